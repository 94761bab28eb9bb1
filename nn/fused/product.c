#include "nn/fused/product.h"
#include "nn/fused/fused_plan.h"
#include "nn/vec.h"
#include <string.h>

struct product {
    struct arena arena;
    struct fused_kernels k;
    enum arithmetic in;
    bool round; /* IN_F32 with bf16: the input is rounded */
    size_t group, k_pad;
    struct fused_layer layer;
    float *inv, *zero; /* u8: value -> byte, [k_pad] */
    float *zeros;      /* [k_pad] */
    float *seen;
};

static int make(struct product *p, const struct chain_layer *from, const struct product_options *o,
                struct err *e) {
    enum act before = o->positive ? ACT_RELU : ACT_NONE;
    p->k = fused_kernels(o->isa);
    p->in = fused_arithmetic(&p->k, o->precision, o->precision == PRECISION_INT8);
    p->round = o->precision == PRECISION_BF16 && p->in == IN_F32;
    p->group = p->in == IN_F32 ? 56 : FUSED_GROUP;
    p->k_pad = (from->k + 31) / 32 * 32;
    p->seen = o->seen;
    p->layer = (struct fused_layer){.k = from->k, .n = from->n};
    TRY(fused_make_layer(&p->arena, p->in, o->precision, from, o->most, before, &p->layer, e));
    float **own[] = {&p->inv, &p->zero, &p->zeros};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!(*own[i] = arena_alloc(&p->arena, p->k_pad * sizeof(float))))
            return err_nomem(e, p->k_pad * sizeof(float));
    if (p->in == IN_U8) fused_byte_scale(o->most, from->k, before, p->inv, p->zero);
    return 0;
}

int product_create(const struct chain_layer *l, const struct product_options *o, struct product **out,
                   struct err *e) {
    *out = NULL;
    struct product *p = mem_calloc(1, sizeof *p);
    if (!p) return err_nomem(e, sizeof *p);
    int rc = make(p, l, o, e);
    if (rc)
        product_free(p);
    else
        *out = p;
    return rc;
}

void product_free(struct product *p) {
    if (!p) return;
    arena_release(&p->arena);
    mem_free(p);
}

/* Words of a row in the buffers; rows do not fall on the same lines of the cache. */
static size_t row_words(const struct product *p) {
    size_t most = p->k_pad > p->layer.n_pad ? p->k_pad : p->layer.n_pad;
    return (most > p->layer.words ? most : p->layer.words) + FUSED_K;
}

size_t product_work_bytes(const struct product *p) { return 3 * FUSED_GROUP * row_words(p) * sizeof(float); }

/* The group's input as the words that the kernel reads. */
static const uint32_t *pack(const struct product *p, size_t rows, float *x, size_t ld, uint32_t *out) {
    if (p->in == IN_BF16)
        p->k.pack_bf16(rows, p->k_pad, x, ld, p->zeros, false, out, ld);
    else if (p->in == IN_U8)
        p->k.pack_u8_f32(rows, p->k_pad, x, ld, p->inv, p->zero, out, ld);
    for (size_t r = 0; p->round && r < rows; r++)
        for (size_t c = 0; c < p->layer.k; c++) x[r * ld + c] = bf16_float(bf16_round(x[r * ld + c]));
    return p->in == IN_F32 ? (const uint32_t *)(void *)x : out;
}

static void multiply(const struct product *p, size_t rows, const uint32_t *x, size_t ld, float *out) {
    struct fused_ask none = {NULL, 0};
    for (size_t c = 0; c < p->layer.n_pad; c += 32) {
        const uint32_t *w = p->layer.weight + c * p->layer.words;
        if (p->in == IN_F32)
            p->k.mul_f32(rows, p->layer.words, (const float *)(const void *)x, ld,
                         (const float *)(const void *)w, p->layer.bias + c, false, out + c, ld, &none);
        else if (p->in == IN_BF16)
            p->k.mul_bf16(rows, p->layer.words, x, ld, w, out + c, ld, &none);
        else
            p->k.mul_u8(rows, p->layer.words, x, ld, w, (int32_t *)(void *)(out + c), ld, &none);
    }
}

KERNEL static void unscale(size_t n, const int32_t *v, const float *scale, const float *bias, float *out) {
    for (size_t c = 0; c < n; c++) out[c] = scale[c] * (float)v[c] + bias[c];
}

void product_run(const struct product *p, size_t rows, struct mat x, struct mat out, void *work) {
    const struct fused_layer *l = &p->layer;
    size_t ld = row_words(p), part = FUSED_GROUP * ld;
    float *in = work, *value = in + part;
    uint32_t *words = (uint32_t *)work + 2 * part;
    if (p->k.begin && p->in != IN_F32) p->k.begin();
    for (size_t first = 0; first < rows; first += p->group) {
        size_t n = rows - first < p->group ? rows - first : p->group;
        for (size_t r = 0; r < n; r++) {
            memcpy(in + r * ld, x.p + (first + r) * x.ld, l->k * sizeof *in);
            memset(in + r * ld + l->k, 0, (ld - l->k) * sizeof *in);
            if (p->seen) row_widen(l->k, in + r * ld, p->seen);
        }
        multiply(p, n, pack(p, n, in, ld, words), ld, value);
        for (size_t r = 0; r < n; r++) {
            float *to = out.p + (first + r) * out.ld, *v = value + r * ld;
            if (p->in == IN_U8)
                unscale(l->n, (const int32_t *)(const void *)v, l->scale, l->bias, to);
            else
                memcpy(to, v, l->n * sizeof *to);
        }
    }
    if (p->k.end && p->in != IN_F32) p->k.end();
}

size_t product_bytes(const struct product *p) {
    size_t scales = p->in == IN_U8 ? 2 * p->layer.n : 0;
    return (p->layer.words * p->layer.n + scales) * sizeof(uint32_t);
}
