/* Softmax over sampled items, one loss a clicked row:  -s_i + log Z_i,  s_ij = scale <u_i, v_j>.
 *
 * Z_i estimates the sum of exp(s_ij) over all items. The row's own item is in it with certainty and stays as it
 * is; every other candidate j of the pool was drawn, c_j times in expectation, and counts exp(s_ij) / c_j, which
 * makes the sum over the pool unbiased ("logQ"; Bengio & Senecal 2008; Yi et al. 2019 for the batch's own
 * items; Khrylchenko et al. 2025 for leaving the row's own item uncorrected). Candidates that are the row's own
 * item are masked: it is in Z_i already. The pool: the items of the batch's other clicked rows (drawn with
 * probability p_j each) and the drawn items (q_j each), so c_j = (clicks - 1) p_j + draws q_j, as one mixture
 * whatever an item came from (Yang et al. 2020). Hard negatives are a row's own: no other row sees them, and
 * nothing is corrected, as nothing was drawn.
 *
 * Rows without a click have no loss; the others' is multiplied by rows / clicks, so that the mean over the batch
 * is the mean over clicks, and the number of clicks of a batch does not change the weight.
 *
 * in: u (B,D), v (B,D), label, item, p, q (B,1 each); for every drawn set v, item, p, q; for every hard set v,
 * item (-1: none). Items are numbers below 2^24. attr_i: 0 = D, 1 = drawn sets, 2 = hard sets, 3 = the batch's
 * items are in the pool; attr_f: 0 = scale, 1 = factor of log c_j (1; 0 switches the correction off).
 *
 * Coupled: it needs the whole batch. Scores are made block by block, in the backward pass again, so that memory
 * grows with the batch and not with its square. */
#include "nn/loss.h"
#include "nn/op.h"
#include "nn/vec.h"
#include <math.h>
#include <string.h>

#define BLOCK      64
#define OWN_INPUTS 6
enum { IN_U, IN_V, IN_LABEL, IN_ITEM, IN_P, IN_Q };

struct pool_of_items { /* all in c->work */
    size_t d, n_rows, n_items;
    uint32_t *row; /* [n_rows] the batch's rows with a click */
    float *item;   /* [n_items] */
    float *shift;  /* [n_items] -log c_j */
    float *u, *v;  /* [n_rows][d] scaled, [n_items][d] */
    float *u_grad, *v_grad;
    float *own, *log_z; /* [n_rows] s_ii, log Z_i */
    float *score;       /* [BLOCK][n_items] */
};

#define LANES  16
#define INLINE static inline __attribute__((always_inline))

/* exp(x) for x <= 0, to 1e-7 relative; below -87: 0. 2^n * exp(r) with |r| <= log(2)/2, exp(r) by its Taylor
 * polynomial: unlike expf, compilers make vector code of it. */
INLINE float exp_negative(float x) {
    float at = x > -87 ? x : -87;
    int32_t n = (int32_t)(at * 1.44269504f - 0.5f); /* towards zero: rounds what is not positive */
    float r = (at - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float e =
        1 +
        r * (1 + r * (0.5f + r * (1.66666667e-1f +
                                  r * (4.16666667e-2f +
                                       r * (8.33333333e-3f + r * (1.38888889e-3f + r * 1.98412698e-4f))))));
    union {
        int32_t i;
        float f;
    } power = {.i = (n + 127) << 23};
    return x > -87 ? e * power.f : 0;
}

KERNEL static float largest(size_t n, const float *x, float most) {
    for (size_t j = 0; j < n; j++) most = x[j] > most ? x[j] : most;
    return most;
}

/* sum of exp(x_j - most), in lanes of a fixed order (see vec.h) */
KERNEL static double exp_sum(size_t n, const float *x, float most) {
    float lane[LANES] = {0};
    double sum = 0;
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += exp_negative(x[j + l] - most);
    for (; j < n; j++) sum += (double)exp_negative(x[j] - most);
    for (size_t l = 0; l < LANES; l++) sum += (double)lane[l];
    return sum;
}

/* x_j = factor * exp(x_j - log_z) */
KERNEL static void exp_scaled(size_t n, float *x, float log_z, float factor) {
    for (size_t j = 0; j < n; j++) x[j] = factor * exp_negative(x[j] - log_z);
}

static size_t sets(const struct node *n) { return (size_t)n->attr_i[1] + 1; }

static size_t softmax_work(const struct node *n, size_t rows) {
    size_t d = (size_t)n->attr_i[0], items = rows * sets(n);
    return (rows + 2 * items + 2 * rows * d + 2 * items * d + 2 * rows + BLOCK * items + 16) * sizeof(float);
}

/* The same places in forward and backward: by the number of rows alone. */
static struct pool_of_items places(const struct op_ctx *c) {
    struct pool_of_items p = {.d = (size_t)c->node->attr_i[0]};
    size_t items = c->rows * sets(c->node);
    p.row = c->work;
    p.item = (void *)(p.row + c->rows);
    p.shift = p.item + items;
    p.u = p.shift + items;
    p.u_grad = p.u + c->rows * p.d;
    p.v = p.u_grad + c->rows * p.d;
    p.v_grad = p.v + items * p.d;
    p.own = p.v_grad + items * p.d;
    p.log_z = p.own + c->rows;
    p.score = p.log_z + c->rows;
    for (size_t r = 0; r < c->rows; r++)
        if (c->in[IN_LABEL].p[r * c->in[IN_LABEL].ld] > 0.5f) p.row[p.n_rows++] = (uint32_t)r;
    p.n_items = (c->node->attr_i[3] ? p.n_rows : 0) + c->rows * (sets(c->node) - 1);
    return p;
}

static float value(const struct op_ctx *c, int in, size_t row) { return c->in[in].p[row * c->in[in].ld]; }

static void add_item(const struct op_ctx *c, const struct pool_of_items *p, size_t at, int first, size_t row,
                     double clicks, double draws) {
    int own = first == IN_V; /* label stands between the row's own vector and its item */
    int item = first + 1 + own;
    double expected = clicks * (double)value(c, item + 1, row) + draws * (double)value(c, item + 2, row);
    p->item[at] = value(c, item, row);
    p->shift[at] = expected > 0 ? (float)(-c->node->attr_f[1] * log(expected)) : 0;
    memcpy(p->v + at * p->d, c->in[first].p + row * c->in[first].ld, p->d * sizeof(float));
}

static void collect(const struct op_ctx *c, const struct pool_of_items *p) {
    size_t at = 0;
    bool batch = c->node->attr_i[3];
    double clicks = batch ? (double)p->n_rows - 1 : 0, draws = (double)(c->rows * (sets(c->node) - 1));
    float scale = (float)c->node->attr_f[0];
    for (size_t i = 0; i < p->n_rows; i++) {
        const float *u = c->in[IN_U].p + p->row[i] * c->in[IN_U].ld;
        for (size_t k = 0; k < p->d; k++) p->u[i * p->d + k] = scale * u[k];
        p->own[i] = vec_dot(p->d, p->u + i * p->d, c->in[IN_V].p + p->row[i] * c->in[IN_V].ld);
        if (batch) add_item(c, p, at++, IN_V, p->row[i], clicks, draws);
    }
    for (int k = 0; k < c->node->attr_i[1]; k++)
        for (size_t r = 0; r < c->rows; r++) add_item(c, p, at++, OWN_INPUTS + 4 * k, r, clicks, draws);
}

static int hard_input(const struct op_ctx *c, int k) { return OWN_INPUTS + 4 * c->node->attr_i[1] + 2 * k; }

/* s_ih of a row's k-th hard negative; -INFINITY where there is none. */
static float hard_score(const struct op_ctx *c, const struct pool_of_items *p, size_t i, int k) {
    int in = hard_input(c, k);
    size_t row = p->row[i];
    float item = value(c, in + 1, row);
    if (item < 0 || item == value(c, IN_ITEM, row)) return -(float)INFINITY;
    return vec_dot(p->d, p->u + i * p->d, c->in[in].p + row * c->in[in].ld);
}

/* s_ij + shift_j of rows first .. first + n against the whole pool; -INFINITY where masked. */
static void score_block(const struct op_ctx *c, const struct pool_of_items *p, size_t first, size_t n) {
    gemm_nt(n, p->n_items, p->d, (struct mat){p->u + first * p->d, p->d}, p->v, p->d,
            (struct mat){p->score, p->n_items}, false);
    for (size_t i = 0; i < n; i++) {
        float own = value(c, IN_ITEM, p->row[first + i]), *s = p->score + i * p->n_items;
        for (size_t j = 0; j < p->n_items; j++)
            s[j] = p->item[j] == own ? -(float)INFINITY : s[j] + p->shift[j];
    }
}

static size_t block_rows(const struct pool_of_items *p, size_t first) {
    return p->n_rows - first < BLOCK ? p->n_rows - first : BLOCK;
}

static void softmax_forward(struct op_ctx *c) {
    struct pool_of_items p = places(c);
    collect(c, &p);
    for (size_t r = 0; r < c->rows; r++) c->out.p[r * c->out.ld] = 0;
    for (size_t first = 0; first < p.n_rows; first += BLOCK) {
        size_t n = block_rows(&p, first);
        if (p.n_items) score_block(c, &p, first, n);
        for (size_t i = first; i < first + n; i++) {
            float *s = p.score + (i - first) * p.n_items;
            float most = largest(p.n_items, s, p.own[i]);
            for (int k = 0; k < c->node->attr_i[2]; k++) most = fmaxf(most, hard_score(c, &p, i, k));
            double z = exp((double)(p.own[i] - most)) + exp_sum(p.n_items, s, most);
            for (int k = 0; k < c->node->attr_i[2]; k++) z += exp((double)(hard_score(c, &p, i, k) - most));
            p.log_z[i] = (float)((double)most + log(z));
            c->out.p[p.row[i] * c->out.ld] =
                (float)((double)c->rows / (double)p.n_rows * ((double)p.log_z[i] - (double)p.own[i]));
        }
    }
}

/* to[row] += factor * from, (D) */
static void add_to(const struct op_ctx *c, int in, size_t row, float factor, const float *from) {
    if (!c->in_grad[in].p) return;
    float *to = c->in_grad[in].p + row * c->in_grad[in].ld;
    for (size_t k = 0; k < (size_t)c->node->attr_i[0]; k++) to[k] += factor * from[k];
}

/* What row i's own item and hard negatives give; `weight` = dL/d(loss of the row). */
static void own_gradients(const struct op_ctx *c, const struct pool_of_items *p, size_t i, float weight) {
    size_t row = p->row[i];
    float *u = p->u_grad + i * p->d, w = weight * (expf(p->own[i] - p->log_z[i]) - 1);
    const float *v = c->in[IN_V].p + row * c->in[IN_V].ld;
    for (size_t k = 0; k < p->d; k++) u[k] += w * v[k];
    add_to(c, IN_V, row, w, p->u + i * p->d);
    for (int h = 0; h < c->node->attr_i[2]; h++) {
        int in = hard_input(c, h);
        w = weight * expf(hard_score(c, p, i, h) - p->log_z[i]);
        if (w <= 0) continue;
        const float *hard = c->in[in].p + row * c->in[in].ld;
        for (size_t k = 0; k < p->d; k++) u[k] += w * hard[k];
        add_to(c, in, row, w, p->u + i * p->d);
    }
}

/* Only vectors, (D) wide, have gradients. */
static void clear_gradients(struct op_ctx *c) {
    for (int in = 0; in < c->node->n_in; in++)
        for (size_t r = 0; c->in_grad[in].p && !c->in_acc[in] && r < c->rows; r++)
            memset(c->in_grad[in].p + r * c->in_grad[in].ld, 0, (size_t)c->node->attr_i[0] * sizeof(float));
}

static void softmax_backward(struct op_ctx *c) {
    struct pool_of_items p = places(c);
    float scale = (float)c->node->attr_f[0], share = (float)((double)c->rows / (double)p.n_rows);
    clear_gradients(c);
    memset(p.u_grad, 0, p.n_rows * p.d * sizeof(float));
    memset(p.v_grad, 0, p.n_items * p.d * sizeof(float));
    for (size_t first = 0; first < p.n_rows && p.n_items; first += BLOCK) {
        size_t n = block_rows(&p, first);
        score_block(c, &p, first, n);
        for (size_t i = 0; i < n; i++)
            exp_scaled(p.n_items, p.score + i * p.n_items, p.log_z[first + i],
                       share * c->out_grad.p[p.row[first + i] * c->out_grad.ld]);
        gemm_nn(n, p.d, p.n_items, (struct mat){p.score, p.n_items}, p.v, p.d,
                (struct mat){p.u_grad + first * p.d, p.d}, false);
        gemm_tn_add(n, p.n_items, p.d, (struct mat){p.score, p.n_items}, (struct mat){p.u + first * p.d, p.d},
                    p.v_grad, p.d);
    }
    size_t at = 0;
    for (size_t i = 0; i < p.n_rows; i++) {
        own_gradients(c, &p, i, share * c->out_grad.p[p.row[i] * c->out_grad.ld]);
        add_to(c, IN_U, p.row[i], scale, p.u_grad + i * p.d);
        if (c->node->attr_i[3]) add_to(c, IN_V, p.row[i], 1, p.v_grad + at++ * p.d);
    }
    for (int k = 0; k < c->node->attr_i[1]; k++)
        for (size_t r = 0; r < c->rows; r++) add_to(c, OWN_INPUTS + 4 * k, r, 1, p.v_grad + at++ * p.d);
}

const struct op op_sampled_softmax = {.name = "sampled_softmax",
                                      .forward = softmax_forward,
                                      .backward = softmax_backward,
                                      .work_bytes = softmax_work,
                                      .coupled = true};

static int check_shapes(struct graph *g, const struct softmax_inputs *s) {
    if (s->n_drawn < 0 || s->n_hard < 0 || OWN_INPUTS + 4 * s->n_drawn + 2 * s->n_hard > NODE_MAX_INPUTS)
        return graph_fail(g, "sampled_softmax: %d drawn and %d hard negatives a row are too many", s->n_drawn,
                          s->n_hard);
    if (s->user < 0 || s->own.vector < 0) return graph_fail(g, "sampled_softmax: needs two vectors");
    int d = g->node[s->user]->width;
    bool same = d > 0 && g->node[s->own.vector]->width == d;
    for (int k = 0; k < s->n_drawn; k++) same &= g->node[s->drawn[k].vector]->width == d;
    for (int k = 0; k < s->n_hard; k++) same &= g->node[s->hard[k].vector]->width == d;
    return same ? 0 : graph_fail(g, "sampled_softmax: the vectors' dimensions differ");
}

int nn_sampled_softmax(struct graph *g, const struct softmax_inputs *s) {
    int in[NODE_MAX_INPUTS] = {s->user, s->own.vector, s->label, s->own.item, s->own.p, s->own.q},
        n = OWN_INPUTS;
    if (g->err.code || check_shapes(g, s)) return -1;
    for (int k = 0; k < s->n_drawn; k++) {
        in[n++] = s->drawn[k].vector;
        in[n++] = s->drawn[k].item;
        in[n++] = s->drawn[k].p;
        in[n++] = s->drawn[k].q;
    }
    for (int k = 0; k < s->n_hard; k++) {
        in[n++] = s->hard[k].vector;
        in[n++] = s->hard[k].item;
    }
    int id = graph_add_node(g, &op_sampled_softmax, "sampled_softmax", n, in, 1);
    if (id < 0) return -1;
    struct node *node = g->node[id];
    node->attr_i[0] = g->node[s->user]->width;
    node->attr_i[1] = s->n_drawn;
    node->attr_i[2] = s->n_hard;
    node->attr_i[3] = s->in_batch;
    node->attr_f[0] = s->scale;
    node->attr_f[1] = s->log_q;
    return id;
}
