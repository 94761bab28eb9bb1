/* Making a plan: tables, weights and scales in the precision and the layout that the kernels read. */
#include "nn/fused/fused_plan.h"
#include "nn/vec.h"
#include <math.h>
#include <string.h>

static size_t pad(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* ---- ranges ---- */

int fused_ranges_init(const struct chain *c, struct fused_ranges *out, struct err *e) {
    size_t floats = c->width;
    *out = (struct fused_ranges){0};
    for (int l = 0; l < c->n_layers; l++) floats += c->layer[l].n;
    if (!(out->own = mem_calloc(floats, sizeof *out->own))) return err_nomem(e, floats * sizeof *out->own);
    out->n = floats;
    out->max[0] = out->own;
    for (int l = 0; l + 1 < c->n_layers; l++)
        out->max[l + 1] = out->max[l] + (l ? c->layer[l - 1].n : c->width);
    return 0;
}

void fused_ranges_release(struct fused_ranges *r) {
    mem_free(r->own);
    *r = (struct fused_ranges){0};
}

/* ---- tables ---- */

static const float *table_row(const struct chain_lookup *l, size_t row) {
    return l->table->value + row * l->table->cols + (size_t)l->offset;
}

/* Zeros. Of a table without values they are written, so that they lie in memory of their own. */
static void *make_rows(const struct param *table, size_t stride) {
    void *rows = mem_calloc(table->rows, stride);
    if (rows && !table->value)
        for (size_t at = 0; at < table->rows * stride; at += 64) *((volatile char *)rows + at) = 0;
    return rows;
}

static int make_lookup(struct fused *f, const struct chain_lookup *l, const struct param *records,
                       struct err *e) {
    struct fused_lookup *to = &f->lookup[f->n_lookups++];
    *to = (struct fused_lookup){.column = l->column,
                                .stride = row_bytes(&f->form),
                                .records = l->table == records,
                                .table_rows = l->table->rows};
    if (to->records) return 0;
    if (f->precision == PRECISION_FP32 && l->table->value) {
        to->row = l->table->value + l->offset;
        to->stride = l->table->cols * sizeof(float);
        return 0;
    }
    if (!(to->row = to->own = make_rows(l->table, to->stride)))
        return err_nomem(e, l->table->rows * to->stride);
    for (size_t r = 0; r < l->table->rows && l->table->value; r++)
        row_pack(&f->form, table_row(l, r), (char *)to->own + r * to->stride);
    return 0;
}

/* One scale a column for all tables, so that their rows can be added as whole numbers. */
static void scale_of_sum(struct fused *f, const struct chain *c) {
    float *most = f->sum_scale;
    for (int k = 0; k < c->n_lookups; k++)
        for (size_t r = 0; r < c->lookup[k].table->rows && c->lookup[k].table->value; r++)
            row_widen(f->width, table_row(&c->lookup[k], r), most);
    for (size_t i = 0; i < f->width; i++) most[i] /= 127;
}

/* ---- weights ---- */

static float weight_at(const struct chain_layer *l, size_t k, size_t n) {
    return l->by_input ? l->weight[k * l->n + n] : l->weight[n * l->k + k];
}

static float rounded(enum precision p, float x) {
    if (p == PRECISION_BF16) return bf16_float(bf16_round(x));
    return p == PRECISION_FP16 ? f16_float(f16_round(x)) : x;
}

/* Activations in whole numbers: value = (byte - zero) * step. */
static float step_of(float most, enum act act) { return most / (fused_signed(act) ? 127.0f : 255.0f); }

static void pack_f32(enum precision p, const struct chain_layer *from, struct fused_layer *l) {
    for (size_t n = 0; n < from->n; n++)
        for (size_t k = 0; k < from->k; k++) {
            float x = rounded(p, weight_at(from, k, n));
            memcpy(&l->weight[(n / 16 * l->words + k) * 16 + n % 16], &x, sizeof x);
        }
}

static void pack_bf16(const struct chain_layer *from, struct fused_layer *l) {
    for (size_t n = 0; n < from->n; n++)
        for (size_t k = 0; k < from->k; k++)
            l->weight[(n / 16 * l->words + k / 2) * 16 + n % 16] |= bf16_round(weight_at(from, k, n))
                                                                    << 16 * (k % 2);
}

/* Unit n: value = scale[n] * (sum of bytes times weights) + bias[n]; the columns' steps go into the weights, the
 * bytes' zero point into the bias. */
static void pack_s8(const struct chain_layer *from, const float *most, enum act before,
                    struct fused_layer *l) {
    for (size_t n = 0; n < from->n; n++) {
        float largest = 0;
        int64_t total = 0;
        for (size_t k = 0; k < from->k; k++)
            largest = fmaxf(largest, fabsf(weight_at(from, k, n) * step_of(most[k], before)));
        l->scale[n] = largest / 127;
        for (size_t k = 0; k < from->k && largest > 0; k++) {
            int8_t q = s8_round(weight_at(from, k, n) * step_of(most[k], before) / l->scale[n]);
            total += q;
            l->weight[(n / 16 * l->words + k / 4) * 16 + n % 16] |= (uint32_t)(uint8_t)q << 8 * (k % 4);
        }
        if (fused_signed(before)) l->bias[n] -= 128 * l->scale[n] * (float)total;
    }
}

void fused_byte_scale(const float *most, size_t n, enum act act, float *inv, float *zero) {
    for (size_t c = 0; c < n; c++) {
        float step = step_of(most[c], act);
        inv[c] = step > 0 ? 1 / step : 0;
        zero[c] = fused_signed(act) ? 128 : 0;
    }
}

/* ---- embeddings that are multiplied ---- */

static void pack_pairs(const float *x, size_t n, uint32_t *out) {
    for (size_t k = 0; k < n; k++) out[k / 2] |= bf16_round(x[k]) << 16 * (k % 2);
}

static void pack_embedding(const struct fused *f, const struct chain_product *p, size_t row, float *x,
                           void *out) {
    size_t n = p->table->cols;
    memcpy(x, p->table->value + row * n, n * sizeof *x);
    vec_bias_act(1, n, (struct mat){x, n}, NULL, p->act);
    if (f->embedded_bf16) {
        pack_pairs(x, n, out);
        return;
    }
    for (size_t k = 0; k < n; k++) ((float *)out)[k] = rounded(f->precision, x[k]);
}

/* Its rows as words, and its weights as rows of the layer. */
static int make_product(struct fused *f, const struct chain_product *p, float *x, struct err *e) {
    struct fused_product *to = &f->product[f->n_products++];
    size_t n = p->table->cols;
    *to = (struct fused_product){.column = p->column, .table_rows = p->table->rows, .at = f->embedded.k};
    to->words = f->embedded_bf16 ? (n + 1) / 2 : n;
    to->stride = to->words * sizeof(uint32_t);
    f->embedded.k += to->words;
    if (f->precision == PRECISION_FP32 && p->act == ACT_NONE && p->table->value) {
        to->row = p->table->value;
        return 0;
    }
    if (!(to->row = to->own = make_rows(p->table, to->stride)))
        return err_nomem(e, p->table->rows * to->stride);
    for (size_t r = 0; r < p->table->rows && p->table->value; r++)
        pack_embedding(f, p, r, x, (char *)to->own + r * to->stride);
    return 0;
}

static void pack_embedded(const struct fused *f, const struct chain_product *p,
                          const struct fused_product *to) {
    const struct fused_layer *l = &f->embedded;
    for (size_t k = 0; k < p->table->cols; k++)
        for (size_t n = 0; n < f->width; n++) {
            float x = p->weight[k * f->width + n];
            uint32_t *w =
                &l->weight[(n / 16 * l->words + to->at + (f->embedded_bf16 ? k / 2 : k)) * 16 + n % 16];
            if (f->embedded_bf16) {
                *w |= bf16_round(x) << 16 * (k % 2);
            } else {
                x = rounded(f->precision, x);
                memcpy(w, &x, sizeof x);
            }
        }
}

static int make_products(struct fused *f, const struct chain *c, struct err *e) {
    struct fused_layer *l = &f->embedded;
    size_t most = 1;
    f->embedded_bf16 = f->in != IN_F32 && f->k.mul_bf16;
    for (int k = 0; k < c->n_products; k++)
        most = c->product[k].table->cols > most ? c->product[k].table->cols : most;
    float *x = arena_alloc(&f->arena, most * sizeof *x);
    if (!x) return err_nomem(e, most * sizeof *x);
    for (int k = 0; k < c->n_products; k++) TRY(make_product(f, &c->product[k], x, e));
    l->n = f->width;
    l->n_pad = pad(f->width, 32);
    l->words = f->embedded_bf16 ? pad(l->k, FUSED_K) : l->k;
    l->weight = arena_alloc(&f->arena, (l->n_pad * l->words + 1) * sizeof *l->weight);
    if (!l->weight) return err_nomem(e, l->n_pad * l->words * sizeof *l->weight);
    for (int k = 0; k < c->n_products; k++) pack_embedded(f, &c->product[k], &f->product[k]);
    return 0;
}

/* ---- layers ---- */

static float *floats(struct fused *f, size_t n) { return arena_alloc(&f->arena, n * sizeof(float)); }

enum arithmetic fused_arithmetic(const struct fused_kernels *k, enum precision p, bool bytes) {
    return bytes ? IN_U8 : p == PRECISION_BF16 && k->mul_bf16 ? IN_BF16 : IN_F32;
}

int fused_make_layer(struct arena *a, enum arithmetic in, enum precision p, const struct chain_layer *from,
                     const float *most, enum act before, struct fused_layer *l, struct err *e) {
    size_t per_word = in == IN_U8 ? 4 : in == IN_BF16 ? 2 : 1;
    l->words = in == IN_F32 ? l->k : pad((l->k + per_word - 1) / per_word, FUSED_K);
    l->n_pad = pad(l->n, 32);
    l->weight = arena_alloc(a, l->n_pad * l->words * sizeof *l->weight);
    l->bias = arena_alloc(a, l->n_pad * sizeof *l->bias);
    l->scale = arena_alloc(a, l->n_pad * sizeof *l->scale);
    if (!l->weight || !l->bias || !l->scale) return err_nomem(e, l->n_pad * l->words * sizeof *l->weight);
    if (from->bias) memcpy(l->bias, from->bias, l->n * sizeof *l->bias);
    if (in == IN_F32) pack_f32(p, from, l);
    if (in == IN_BF16) pack_bf16(from, l);
    if (in == IN_U8) pack_s8(from, most, before, l);
    return 0;
}

/* Where both products took the same time on the EPYC of docs/performance.md: with 256 columns and 128 units at 75 of 100,
 * with 128 and 64 at 60 in fp32 and 67 in bf16. With 32 units most of the time goes beside the sums (33 in bf16): always dense. */
enum { SKIP_WIDE = 73, SKIP_NARROW = 58, SKIP_UNITS = 64 };

/* Behind a relu, where the level has such products. */
static int make_strips(struct fused *f, const struct chain_layer *from, struct fused_layer *l,
                       struct err *e) {
    bool bf16 = f->in == IN_BF16;
    size_t columns = bf16 ? 2 * l->words : l->words, bytes = columns * l->n_pad * (bf16 ? 2 : 4);
    if (l->n_pad < SKIP_UNITS || f->in == IN_U8 || (bf16 ? !f->k.skip_bf16 : !f->k.skip_f32)) return 0;
    if (!(l->strips = arena_alloc(&f->arena, bytes))) return err_nomem(e, bytes);
    l->skip_up_to = l->n_pad >= FUSED_STRIP ? SKIP_WIDE : SKIP_NARROW;
    for (size_t unit = 0; unit < l->n; unit++) {
        size_t first = unit / FUSED_STRIP * FUSED_STRIP, u = unit - first;
        size_t n = l->n_pad - first < FUSED_STRIP ? l->n_pad - first : FUSED_STRIP;
        for (size_t k = 0; k < l->k; k++) {
            float x = rounded(f->precision, weight_at(from, k, unit));
            if (bf16)
                ((uint16_t *)l->strips)[columns * first + fused_skip_at_bf16(n, u, k)] =
                    (uint16_t)bf16_round(x);
            else
                ((float *)l->strips)[columns * first + k * n + u] = x;
        }
    }
    return 0;
}

static int make_hidden(struct fused *f, const struct chain *c, int at, const struct fused_ranges *ranges,
                       struct err *e) {
    struct fused_layer *l = &f->layer[at];
    bool bytes = f->in == IN_U8;
    TRY(fused_make_layer(&f->arena, f->in, f->precision, &c->layer[at], bytes ? ranges->max[at] : NULL,
                         at ? c->layer[at - 1].act : c->act, l, e));
    if (f->skips && (at ? c->layer[at - 1].act : c->act) == ACT_RELU)
        TRY(make_strips(f, &c->layer[at], l, e));
    l->pack_scale = floats(f, l->n_pad);
    l->pack_base = floats(f, l->n_pad);
    if (!l->pack_scale || !l->pack_base) return err_nomem(e, l->n_pad * sizeof(float));
    if (!bytes || at + 2 == f->n_layers) return 0; /* the last layer reads floats */
    fused_byte_scale(ranges->max[at + 1], l->n, l->act, l->pack_scale, l->pack_base);
    for (size_t n = 0; n < l->n && fused_plain(l->act); n++) {
        l->pack_base[n] += l->pack_scale[n] * l->bias[n];
        l->pack_scale[n] *= l->scale[n];
    }
    return 0;
}

static int make_last(struct fused *f, const struct chain_layer *from, struct fused_layer *l, struct err *e) {
    float *w = floats(f, pad(l->k, 16));
    l->words = l->k;
    l->n_pad = 1;
    l->weight = (uint32_t *)(void *)w;
    l->bias = floats(f, 1);
    if (!w || !l->bias) return err_nomem(e, l->k * sizeof *w);
    for (size_t k = 0; k < l->k && from->weight; k++) w[k] = rounded(f->precision, weight_at(from, k, 0));
    if (from->bias) l->bias[0] = from->bias[0];
    return 0;
}

static int make_layers(struct fused *f, const struct chain *c, const struct fused_ranges *ranges,
                       struct err *e) {
    f->n_layers = c->n_layers;
    f->most_words = f->most_floats = f->width_pad;
    for (int i = 0; i < c->n_layers; i++) {
        struct fused_layer *l = &f->layer[i];
        *l = (struct fused_layer){.k = c->layer[i].k, .n = c->layer[i].n, .act = c->layer[i].act};
        if (i + 1 < c->n_layers)
            TRY(make_hidden(f, c, i, ranges, e));
        else
            TRY(make_last(f, &c->layer[i], l, e));
        if (l->n_pad > f->most_floats) f->most_floats = l->n_pad;
    }
    f->most_words = f->most_floats + FUSED_K; /* rows do not fall on the same lines of the cache */
    return 0;
}

/* Tables up to this size are left to the second-level cache. */
enum { TABLE_IN_CACHE = 1 << 20 };

static void ask_for(struct fused *f, size_t rows, struct fused_asked a) {
    if (rows * a.stride <= TABLE_IN_CACHE) return;
    f->asked[f->n_asked++] = a;
    f->lines += a.bytes / 64 + 2; /* the row may begin anywhere in a line */
}

static void ask_for_rows(struct fused *f) {
    size_t bytes = f->width * (f->precision == PRECISION_FP32 ? 4 : f->precision == PRECISION_INT8 ? 1 : 2);
    for (int k = 0; k < f->n_lookups; k++) {
        const struct fused_lookup *l = &f->lookup[k];
        struct fused_asked a = {l->column, l->records, l->row, l->stride, bytes};
        ask_for(f, l->table_rows, a);
    }
    for (int k = 0; k < f->n_products; k++) {
        const struct fused_product *p = &f->product[k];
        struct fused_asked a = {p->column, false, p->row, p->stride, p->stride};
        ask_for(f, p->table_rows, a);
    }
}

static int make_sum(struct fused *f, const struct chain *c, const struct fused_options *o, struct err *e) {
    f->bias = floats(f, f->width_pad);
    if (!f->bias) return err_nomem(e, f->width_pad * sizeof(float));
    if (c->bias) memcpy(f->bias, c->bias, f->width * sizeof(float));
    f->n_users = c->n_users;
    if (f->precision == PRECISION_INT8) {
        float **own[] = {&f->sum_scale, &f->inv, &f->zero, &f->sum_pack_scale};
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            if (!(*own[i] = floats(f, f->width_pad))) return err_nomem(e, f->width_pad * sizeof(float));
        if (o->like)
            memcpy(f->sum_scale, o->like->sum_scale, f->width * sizeof(float));
        else
            scale_of_sum(f, c);
    }
    if (f->in == IN_U8) {
        fused_byte_scale(o->ranges->max[0], f->width, f->act, f->inv, f->zero);
        for (size_t i = 0; i < f->width; i++) f->sum_pack_scale[i] = f->sum_scale[i] * f->inv[i];
    }
    f->form = (struct row_form){f->precision, f->width,
                                f->precision == PRECISION_FP32 ? f->width : f->width_pad, f->sum_scale};
    for (int k = 0; k < c->n_lookups; k++) TRY(make_lookup(f, &c->lookup[k], o->records, e));
    TRY(make_products(f, c, e));
    ask_for_rows(f);
    return 0;
}

static int make(struct fused *f, const struct chain *c, const struct fused_options *o, struct err *e) {
    bool bytes = o->precision == PRECISION_INT8 && c->n_layers > 1; /* between layers */
    if (bytes && !o->ranges)
        return err_set(e, ERR_INPUT, "int8 takes ranges of activations, seen on training rows");
    f->k = fused_kernels(o->isa);
    f->precision = o->precision;
    f->skips = !o->dense;
    f->in = fused_arithmetic(&f->k, o->precision, bytes);
    f->towers = c->towers;
    f->scale = c->scale;
    f->round = o->precision == PRECISION_BF16 && f->in == IN_F32;
    f->width = c->width;
    f->width_pad = pad(c->width, c->n_layers > 1 ? 64 : 32); /* see kernels.h */
    f->act = c->act;
    f->group = f->in != IN_F32 && f->k.begin ? FUSED_GROUP : 56; /* whole register tiles */
    TRY(make_sum(f, c, o, e));
    TRY(make_layers(f, c, o->ranges, e));
    f->zeros = floats(f, f->most_floats);
    return f->zeros ? 0 : err_nomem(e, f->most_floats * sizeof(float));
}

int fused_create(const struct chain *c, const struct fused_options *o, struct fused **out, struct err *e) {
    *out = NULL;
    struct fused *f = mem_calloc(1, sizeof *f);
    if (!f) return err_nomem(e, sizeof *f);
    int rc = make(f, c, o, e);
    if (rc)
        fused_free(f);
    else
        *out = f;
    return rc;
}

void fused_free(struct fused *f) {
    if (!f) return;
    for (int k = 0; k < f->n_lookups; k++) mem_free(f->lookup[k].own);
    for (int k = 0; k < f->n_products; k++) mem_free(f->product[k].own);
    arena_release(&f->arena);
    mem_free(f);
}

struct fused_bytes fused_bytes(const struct fused *f) {
    struct fused_bytes b = {0};
    for (int k = 0; k < f->n_lookups; k++) {
        const struct fused_lookup *l = &f->lookup[k];
        b.per_candidate += (double)(row_bytes(&f->form) + sizeof(uint32_t));
        if (l->own) b.tables += (double)(l->stride * l->table_rows);
    }
    for (int k = 0; k < f->n_products; k++)
        b.per_candidate += (double)(f->product[k].stride + sizeof(uint32_t));
    b.weights = (double)(f->embedded.k * f->embedded.n * sizeof(uint32_t));
    for (int i = 0; i < f->n_layers; i++) {
        const struct fused_layer *l = &f->layer[i];
        b.weights +=
            (double)((f->in == IN_U8 || f->in == IN_BF16 ? l->words * 4 : l->k * 4) * l->n + l->n * 4);
    }
    return b;
}

struct row_form fused_record(const struct fused *f) {
    return f->form;
}
size_t fused_rows_at_once(const struct fused *f) { return f->group; }
enum isa fused_isa(const struct fused *f) { return f->k.isa; }
