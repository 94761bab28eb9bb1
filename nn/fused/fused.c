#include "nn/fused/fused.h"
#include "nn/fused/fused_plan.h"
#include "nn/vec.h"
#include <math.h>
#include <string.h>

struct fused_work {
    uint32_t *row[2];     /* [FUSED_GROUP][most_words]: rows before and after a product */
    float *value;         /* [FUSED_GROUP][most_words]: sums, as floats or whole numbers */
    float *base;          /* [FUSED_GROUP][base_ld]: with products of embeddings */
    uint32_t *embedded;   /* [FUSED_GROUP][words of the embeddings, and FUSED_K] */
    const char **line;    /* of a group's table rows */
    uint64_t *mask;       /* [FUSED_GROUP][masks of 2 most_words]: of a row's columns that are not 0 */
    uint32_t *pairs;      /* [as many][FUSED_MASK / 2], bf16: those columns by twos */
    double rows, skipped; /* candidates so far, and products that were left out */
};

/* Rows do not fall on the same lines of the cache. */
static size_t base_ld(const struct fused *f) { return f->width_pad + FUSED_K; }

int fused_work_create(const struct fused *f, struct fused_work **out, struct err *e) {
    *out = NULL;
    struct fused_work *w = mem_calloc(1, sizeof *w);
    if (!w) return err_nomem(e, sizeof *w);
    size_t words = FUSED_GROUP * f->most_words;
    w->row[0] = mem_calloc(words, sizeof(uint32_t));
    w->row[1] = mem_calloc(words, sizeof(uint32_t));
    w->value = mem_calloc(words, sizeof(float));
    w->line = mem_calloc(FUSED_GROUP * f->lines + 1, sizeof *w->line);
    size_t masks = FUSED_GROUP * fused_masks(2 * f->most_words);
    w->mask = mem_calloc(masks, sizeof *w->mask);
    w->pairs = mem_calloc(masks, FUSED_MASK / 2 * sizeof *w->pairs);
    w->base = mem_calloc(FUSED_GROUP * base_ld(f), sizeof(float));
    w->embedded = mem_calloc(FUSED_GROUP * (f->embedded.words + FUSED_K), sizeof *w->embedded);
    if (!w->line || !w->embedded || !w->row[0] || !w->row[1] || !w->value || !w->base || !w->mask ||
        !w->pairs) {
        fused_work_free(w);
        return err_nomem(e, words * sizeof(float));
    }
    *out = w;
    return 0;
}

struct fused_skipped fused_skipped(const struct fused_work *w) {
    return (struct fused_skipped){w->rows, w->skipped};
}

void fused_work_free(struct fused_work *w) {
    if (!w) return;
    mem_free(w->row[0]);
    mem_free(w->row[1]);
    mem_free(w->value);
    mem_free(w->base);
    mem_free(w->line);
    mem_free(w->mask);
    mem_free(w->pairs);
    mem_free(w->embedded);
    mem_free(w);
}

/* ---- the user's part ---- */

size_t fused_base_floats(const struct fused *f) { return 2 * f->width_pad; }

/* The second half is the base in units of the bytes that it is packed to; with towers, the user's vector. */
static void scaled_base(const struct fused *f, const float *base, float *scaled) {
    for (size_t c = 0; c < f->width; c++) scaled[c] = base[c] * f->inv[c] + f->zero[c];
}

void fused_user(const struct fused *f, const float *const *value, float *base) {
    memcpy(base, f->bias, f->width_pad * sizeof *base);
    if (f->towers) {
        vec_copy(1, f->width, (struct mat){base + f->width_pad, 0}, (struct mat){(float *)value[0], 0},
                 f->scale, false);
        return;
    }
    for (int k = 0; k < f->n_users; k++)
        vec_copy(1, f->width, (struct mat){base, 0}, (struct mat){(float *)value[k], 0}, 1, true);
    memset(base + f->width_pad, 0, f->width_pad * sizeof *base);
    if (f->in == IN_U8) scaled_base(f, base, base + f->width_pad);
}

/* ---- a group ---- */

struct group { /* candidates [first, first + n), and those whose rows are to be asked for meanwhile */
    const struct fused *f;
    struct fused_work *w;
    const struct fused_rows *in;
    size_t first, n;
    struct fused_ask ask;
    struct fused_ranges *ranges;
};

/* The lines of the table rows of candidates [first, first + n) are put on the list. Small tables are in the cache anyway. */
static void list_rows(struct group *g, size_t first, size_t n) {
    const struct fused *f = g->f;
    const char **line = g->w->line;
    for (size_t r = first; r < first + n; r++)
        for (int k = 0; k < f->n_asked; k++) {
            const struct fused_asked *a = &f->asked[k];
            const char *p =
                (const char *)(a->records ? g->in->records : a->row) + g->in->ids[a->column][r] * a->stride;
            for (const char *at = p - (uintptr_t)p % 64; at < p + a->bytes; at += 64) *line++ = at;
        }
    g->ask = (struct fused_ask){g->w->line, (size_t)(line - g->w->line)};
}

static void ask_rest(struct group *g) {
    for (; g->ask.n; g->ask.n--) __builtin_prefetch(*g->ask.line++, 0, 2);
}

/* The embeddings' rows side by side. */
static void gather_embeddings(struct group *g) {
    const struct fused *f = g->f;
    size_t ld = f->embedded.words + FUSED_K;
    for (int k = 0; k < f->n_products; k++) {
        const struct fused_product *p = &f->product[k];
        const uint32_t *ids = g->in->ids[p->column] + g->first;
        for (size_t r = 0; r < g->n; r++)
            memcpy(g->w->embedded + r * ld + p->at, (const char *)p->row + ids[r] * p->stride, p->stride);
    }
}

/* x = factor * x + more, column by column. */
KERNEL static void scale_rows(size_t rows, size_t n, struct mat x, const float *factor, const float *more) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) x.p[r * x.ld + c] = x.p[r * x.ld + c] * factor[c] + more[c];
}

/* base + the embeddings' products, a row a candidate; `scaled`: in units of bytes, as the base's second half. */
static void multiply_embeddings(struct group *g, bool scaled) {
    const struct fused *f = g->f;
    const struct fused_layer *l = &f->embedded;
    struct mat to = {g->w->base, base_ld(f)}, base = {(float *)g->in->base, 0};
    const float *bias = scaled ? f->zeros : base.p;
    size_t ld = l->words + FUSED_K;
    const uint32_t *x = g->w->embedded;
    gather_embeddings(g);
    for (size_t p = 0; p < l->n_pad; p += 32) {
        const uint32_t *w = l->weight + p * l->words;
        if (f->embedded_bf16)
            f->k.mul_bf16(g->n, l->words, x, ld, w, to.p + p, to.ld, &g->ask);
        else
            f->k.mul_f32(g->n, l->words, (const float *)(const void *)x, ld, (const float *)(const void *)w,
                         bias + p, false, to.p + p, to.ld, &g->ask);
    }
    if (scaled)
        scale_rows(g->n, f->width, to, f->inv, base.p + f->width_pad);
    else if (f->embedded_bf16)
        vec_copy(g->n, f->width, to, base, 1, true);
}

static struct fused_sum sum_of(struct group *g, bool scaled) {
    const struct fused *f = g->f;
    struct fused_sum s = {.width = f->precision == PRECISION_FP32 ? f->width : f->width_pad};
    for (int k = 0; k < f->n_lookups; k++) {
        const struct fused_lookup *l = &f->lookup[k];
        s.table[s.terms] = l->records ? g->in->records : l->row;
        s.stride[s.terms] = l->stride;
        s.ids[s.terms++] = g->in->ids[l->column] + g->first;
    }
    s.base = g->in->base + (scaled ? f->width_pad : 0);
    if (f->n_products) {
        multiply_embeddings(g, scaled);
        s.base = g->w->base;
        s.base_ld = base_ld(f);
    }
    return s;
}

static void see(const struct group *g, int stage, const float *x, size_t n) {
    float *most = g->ranges ? g->ranges->max[stage] : NULL;
    for (size_t r = 0; most && r < g->n; r++)
        for (size_t c = 0; c < n; c++) most[c] = fmaxf(most[c], fabsf(x[r * g->f->most_words + c]));
}

static void activate(const struct group *g, size_t n, float *x, const float *bias, enum act act) {
    vec_bias_act(g->n, n, (struct mat){x, g->f->most_words}, bias, act);
}

static void round_rows(const struct group *g, size_t n, float *x) {
    for (size_t r = 0; g->f->round && r < g->n; r++)
        for (size_t c = 0; c < n; c++)
            x[r * g->f->most_words + c] = bf16_float(bf16_round(x[r * g->f->most_words + c]));
}

/* act(sum) as floats. */
static void sum_floats(struct group *g, float *out) {
    const struct fused *f = g->f;
    const struct fused_sum s = sum_of(g, false);
    bool relu = f->act == ACT_RELU;
    switch (f->precision) {
    case PRECISION_FP32:
        f->k.sum_f32(g->n, &s, relu, out, f->most_words);
        break;
    case PRECISION_BF16:
        f->k.sum_bf16(g->n, &s, relu, out, f->most_words);
        break;
    case PRECISION_FP16:
        f->k.sum_f16(g->n, &s, relu, out, f->most_words);
        break;
    case PRECISION_INT8:
        f->k.sum_s8(g->n, &s, f->sum_scale, relu, out, f->most_words);
        break;
    }
    if (!fused_plain(f->act)) activate(g, f->width, out, NULL, f->act);
}

/* act(sum) as the words that the first product reads. */
static void sum_words(struct group *g, uint32_t *out) {
    const struct fused *f = g->f;
    size_t ld = f->most_words;
    if (fused_plain(f->act)) {
        const struct fused_sum s = sum_of(g, f->in == IN_U8);
        if (f->in == IN_BF16)
            f->k.sum_bf16_pack(g->n, &s, f->act == ACT_RELU, out, ld);
        else
            f->k.sum_s8_pack(g->n, &s, f->sum_pack_scale, out, ld);
        return;
    }
    sum_floats(g, g->w->value);
    if (f->in == IN_BF16)
        f->k.pack_bf16(g->n, f->width_pad, g->w->value, ld, f->zeros, false, out, ld);
    else
        f->k.pack_u8_f32(g->n, f->width_pad, g->w->value, ld, f->inv, f->zero, out, ld);
}

/* ---- layers ---- */

/* Sets the row's masks; how many columns of all rows are not 0. */
static size_t mask_rows(struct group *g, const struct fused_layer *l, const uint32_t *x) {
    const struct fused_kernels *k = &g->f->k;
    size_t ld = g->f->most_words;
    return g->f->in == IN_BF16 ? k->mask_bf16(g->n, l->words, x, ld, g->w->mask, g->w->pairs)
                               : k->mask_f32(g->n, l->words, (const float *)(const void *)x, ld, g->w->mask);
}

/* Whether few enough are left; notes what is left out. */
static bool mostly_zeros(struct group *g, const struct fused_layer *l, const uint32_t *x) {
    if (!l->strips) return false;
    size_t all = g->n * l->k, left = mask_rows(g, l, x);
    if (100 * left > (size_t)l->skip_up_to * all) return false;
    g->w->skipped += (double)((all - left) * l->n);
    return true;
}

static void multiply_left(struct group *g, const struct fused_layer *l, const uint32_t *x, float *out) {
    const struct fused_kernels *k = &g->f->k;
    const uint64_t *mask = g->w->mask;
    size_t ld = g->f->most_words;
    for (size_t p = 0; p < l->n_pad; p += FUSED_STRIP) {
        size_t n = l->n_pad - p < FUSED_STRIP ? l->n_pad - p : FUSED_STRIP;
        if (g->f->in == IN_BF16)
            k->skip_bf16(g->n, l->words, mask, g->w->pairs, n, (const uint16_t *)l->strips + p * 2 * l->words,
                         out + p, ld, &g->ask);
        else
            k->skip_f32(g->n, l->words, (const float *)(const void *)x, ld, mask, n,
                        (const float *)l->strips + p * l->words, l->bias + p, l->act == ACT_RELU, out + p, ld,
                        &g->ask);
    }
}

static void multiply(struct group *g, const struct fused_layer *l, const uint32_t *x, float *out) {
    const struct fused_kernels *k = &g->f->k;
    size_t ld = g->f->most_words;
    if (mostly_zeros(g, l, x)) {
        multiply_left(g, l, x, out);
        return;
    }
    for (size_t p = 0; p < l->n_pad; p += 32) {
        const uint32_t *w = l->weight + p * l->words;
        if (g->f->in == IN_F32)
            k->mul_f32(g->n, l->words, (const float *)(const void *)x, ld, (const float *)(const void *)w,
                       l->bias + p, l->act == ACT_RELU, out + p, ld, &g->ask);
        else if (g->f->in == IN_BF16)
            k->mul_bf16(g->n, l->words, x, ld, w, out + p, ld, &g->ask);
        else
            k->mul_u8(g->n, l->words, x, ld, w, (int32_t *)(void *)(out + p), ld, &g->ask);
    }
}

KERNEL static void unscale(size_t rows, size_t n, size_t ld, float *x, const float *scale) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) {
            int32_t v;
            memcpy(&v, &x[r * ld + c], sizeof v);
            x[r * ld + c] = scale[c] * (float)v;
        }
}

/* Sums of words -> act(value) as floats, in place. */
static void to_values(struct group *g, const struct fused_layer *l, float *x) {
    if (g->f->in == IN_U8) unscale(g->n, l->n, g->f->most_words, x, l->scale);
    activate(g, l->n, x, l->bias, l->act);
}

static void pack(struct group *g, const struct fused_layer *l, float *x, uint32_t *out) {
    const struct fused *f = g->f;
    size_t ld = f->most_words;
    bool plain = fused_plain(l->act);
    if (!plain) to_values(g, l, x);
    if (f->in == IN_BF16)
        f->k.pack_bf16(g->n, l->n_pad, x, ld, plain ? l->bias : f->zeros, l->act == ACT_RELU, out, ld);
    else if (plain)
        f->k.pack_u8_s32(g->n, l->n_pad, (int32_t *)(void *)x, ld, l->pack_scale, l->pack_base, out, ld);
    else
        f->k.pack_u8_f32(g->n, l->n_pad, x, ld, l->pack_scale, l->pack_base, out, ld);
}

/* Floats all the way. Returns the rows that the last layer reads. */
static float *hidden_floats(struct group *g) {
    const struct fused *f = g->f;
    float *x = (float *)(void *)g->w->row[0], *y = (float *)(void *)g->w->row[1];
    sum_floats(g, x);
    see(g, 0, x, f->width);
    if (f->n_layers > 1) round_rows(g, f->width, x);
    for (int i = 0; i + 1 < f->n_layers; i++) {
        const struct fused_layer *l = &f->layer[i];
        multiply(g, l, (const uint32_t *)(void *)x, y);
        if (!fused_plain(l->act)) activate(g, l->n, y, NULL, l->act);
        if (i + 2 < f->n_layers) {
            see(g, i + 1, y, l->n);
            round_rows(g, l->n, y);
        }
        float *was = x;
        x = y;
        y = was;
    }
    return x;
}

static float *hidden_words(struct group *g) {
    const struct fused *f = g->f;
    if (f->n_layers == 1) {
        sum_floats(g, g->w->value);
        return g->w->value;
    }
    sum_words(g, g->w->row[0]);
    for (int i = 0; i + 1 < f->n_layers; i++) {
        multiply(g, &f->layer[i], g->w->row[i % 2], g->w->value);
        if (i + 2 < f->n_layers) pack(g, &f->layer[i], g->w->value, g->w->row[(i + 1) % 2]);
    }
    return g->w->value;
}

enum { LANES = 16 };

/* relu(scale x + bias) . weight, a row a candidate; `whole`: x are whole numbers, and have a scale. */
static inline __attribute__((always_inline)) void relu_dot(bool whole, size_t rows,
                                                           const struct fused_layer *l, size_t ld,
                                                           const float *x, const float *weight,
                                                           float *score) {
    for (size_t r = 0; r < rows; r++) {
        float sum[LANES] = {0};
        for (size_t c = 0; c < l->n; c += LANES)
            for (size_t i = 0; i < LANES; i++) { /* padded with zeros */
                float v = x[r * ld + c + i];
                if (whole) {
                    int32_t n;
                    memcpy(&n, &x[r * ld + c + i], sizeof n);
                    v = l->scale[c + i] * (float)n;
                }
                v += l->bias[c + i];
                sum[i] += (v > 0 ? v : 0) * weight[c + i];
            }
        for (size_t half = LANES / 2; half; half /= 2)
            for (size_t i = 0; i < half; i++) sum[i] += sum[i + half];
        score[r] = sum[0];
    }
}

KERNEL static void relu_dot_sums(size_t rows, const struct fused_layer *l, size_t ld, const float *x,
                                 const float *weight, float *score) {
    relu_dot(false, rows, l, ld, x, weight, score);
}

KERNEL static void relu_dot_whole(size_t rows, const struct fused_layer *l, size_t ld, const float *x,
                                  const float *weight, float *score) {
    relu_dot(true, rows, l, ld, x, weight, score);
}

/* The last layer, from what the one before it left: activated floats, or sums without bias and activation. */
static void last_layer(struct group *g, float *x, float *score) {
    const struct fused *f = g->f;
    const struct fused_layer *last = &f->layer[f->n_layers - 1], *before = last - 1;
    const float *weight = f->towers ? g->in->base + f->width_pad : (float *)(void *)last->weight;
    bool sums = f->in != IN_F32 && f->n_layers > 1;
    if (sums && before->act == ACT_RELU) {
        (f->in == IN_U8 ? relu_dot_whole : relu_dot_sums)(g->n, before, f->most_words, x, weight, score);
        return;
    }
    if (sums) to_values(g, before, x);
    vec_row_dot(g->n, last->k, (struct mat){score, 1}, (struct mat){x, f->most_words},
                (struct mat){(float *)weight, 0}, false);
}

static void run_group(struct group *g, float *score) {
    const struct fused *f = g->f;
    const struct fused_layer *last = &f->layer[f->n_layers - 1];
    last_layer(g, f->in == IN_F32 ? hidden_floats(g) : hidden_words(g), score);
    vec_bias_act(g->n, 1, (struct mat){score, 1}, last->bias, last->act);
}

void fused_observe(const struct fused *f, struct fused_work *w, const struct fused_rows *in, float *score,
                   struct fused_ranges *ranges) {
    struct group g = {.f = f, .w = w, .in = in, .ranges = ranges};
    w->rows += (double)in->n;
    list_rows(&g, 0, in->n < f->group ? in->n : f->group);
    ask_rest(&g);
    if (f->k.begin && f->in != IN_F32) f->k.begin();
    for (g.first = 0; g.first < in->n; g.first += f->group) {
        size_t left = in->n - g.first;
        g.n = left < f->group ? left : f->group;
        left -= g.n;
        list_rows(&g, g.first + g.n, left < f->group ? left : f->group);
        run_group(&g, score + g.first);
        ask_rest(&g);
    }
    if (f->k.end && f->in != IN_F32) f->k.end();
}

void fused_run(const struct fused *f, struct fused_work *w, const struct fused_rows *in, float *score) {
    fused_observe(f, w, in, score, NULL);
}
