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
 * grows with the batch and not with its square. The clicked rows are cut into TASKS parts, which the pool runs; each
 * has a sum of its own for the items' gradients, and these are added in order: threads do not matter. */
#include "nn/loss.h"
#include "nn/op.h"
#include "nn/vec.h"
#include <math.h>
#include <string.h>

#define BLOCK      64
#define TASKS      4
#define OWN_INPUTS 6
enum { IN_U, IN_V, IN_LABEL, IN_ITEM, IN_P, IN_Q };

struct pool_of_items { /* all in c->work */
    size_t d, n_rows, n_items;
    uint32_t *row;          /* [n_rows] the batch's rows with a click */
    float *item;            /* [n_items] */
    float *shift;           /* [n_items] -log c_j */
    float *u, *v;           /* [n_rows][d] scaled, [n_items][d] */
    float *u_grad, *v_grad; /* v_grad: [TASKS][n_items][d] */
    float *own, *log_z;     /* [n_rows] s_ii, log Z_i */
    float *score;           /* [TASKS][BLOCK][n_items] */
};

#define LANES  16
#define INLINE static inline __attribute__((always_inline))

/* exp(x) for x <= 0, to 1e-7 relative; 0 from -87.5 down. 2^n exp(r) with |r| <= log(2)/2, and exp(r) by its Taylor
 * polynomial. Without a branch, so that compilers make vector code of it, which they do not of expf: 2^(n-1), by its
 * bits, is 0 for the smallest n; and `lowest`, LOWEST, is no constant here. */
#define LOWEST (-87.5f)
INLINE float exp_negative(float x, float lowest) {
    float at = x > lowest ? x : lowest;
    int32_t n = (int32_t)(at * 1.44269504f - 0.5f); /* towards zero: rounds what is not positive */
    float r = (at - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f, e = 1.98412698e-4f;
    e = 1.38888889e-3f + r * e;
    e = 8.33333333e-3f + r * e;
    e = 4.16666667e-2f + r * e;
    e = 1.66666667e-1f + r * e;
    e = 1 + r * (1 + r * (0.5f + r * e));
    union {
        int32_t i;
        float f;
    } half = {.i = (n + 126) << 23};
    return 2 * e * half.f;
}

KERNEL static float largest(size_t n, const float *x, float most) {
    float lane[LANES];
    size_t j = 0;
    for (size_t l = 0; l < LANES; l++) lane[l] = most;
    for (; j + LANES <= n; j += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] = x[j + l] > lane[l] ? x[j + l] : lane[l];
    for (; j < n; j++) most = x[j] > most ? x[j] : most;
    for (size_t l = 0; l < LANES; l++) most = lane[l] > most ? lane[l] : most;
    return most;
}

/* sum of exp(x_j - most), in lanes of a fixed order (see vec.h) */
KERNEL static double exp_sum(size_t n, const float *x, float most, float lowest) {
    float lane[LANES] = {0};
    double sum = 0;
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += exp_negative(x[j + l] - most, lowest);
    for (; j < n; j++) sum += (double)exp_negative(x[j] - most, lowest);
    for (size_t l = 0; l < LANES; l++) sum += (double)lane[l];
    return sum;
}

/* x_j = factor * exp(x_j - log_z) */
KERNEL static void exp_scaled(size_t n, float *x, float log_z, float factor, float lowest) {
    for (size_t j = 0; j < n; j++) x[j] = factor * exp_negative(x[j] - log_z, lowest);
}

static size_t sets(const struct node *n) { return (size_t)n->attr_i[1] + 1; }

static size_t softmax_work(const struct node *n, size_t rows) {
    size_t d = (size_t)n->attr_i[0], items = rows * sets(n);
    return (rows + 2 * items + 2 * rows * d + (1 + TASKS) * items * d + 2 * rows + TASKS * BLOCK * items +
            16) *
           sizeof(float);
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
    p.own = p.v_grad + TASKS * items * p.d;
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

KERNEL static void shift_and_mask(size_t n, float *score, const float *item, const float *shift, float own) {
    for (size_t j = 0; j < n; j++) {
        float shifted = score[j] + shift[j];
        score[j] = item[j] == own ? -(float)INFINITY : shifted;
    }
}

/* score = s_ij + shift_j of rows first .. first + n against the whole pool; -INFINITY where masked. */
static void score_block(const struct op_ctx *c, const struct pool_of_items *p, size_t first, size_t n,
                        float *score) {
    gemm_nt(n, p->n_items, p->d, (struct mat){p->u + first * p->d, p->d}, p->v, p->d,
            (struct mat){score, p->n_items}, false);
    for (size_t i = 0; i < n; i++)
        shift_and_mask(p->n_items, score + i * p->n_items, p->item, p->shift,
                       value(c, IN_ITEM, p->row[first + i]));
}

/* One of TASKS parts of the clicked rows, in whole blocks. */
struct part {
    struct op_ctx *c;
    struct pool_of_items p;
};

static size_t part_begin(const struct pool_of_items *p, int task) {
    size_t blocks = (p->n_rows + BLOCK - 1) / BLOCK, begin = blocks * (size_t)task / TASKS * BLOCK;
    return begin < p->n_rows ? begin : p->n_rows;
}

static float *part_score(const struct pool_of_items *p, int task) {
    return p->score + (size_t)task * BLOCK * p->n_items;
}

static float *part_grad(const struct pool_of_items *p, int task) {
    return p->v_grad + (size_t)task * p->n_items * p->d;
}

static size_t block_rows(size_t first, size_t end) { return end - first < BLOCK ? end - first : BLOCK; }

static void row_loss(const struct op_ctx *c, const struct pool_of_items *p, size_t i, const float *score) {
    float most = largest(p->n_items, score, p->own[i]);
    int hard = c->node->attr_i[2];
    for (int k = 0; k < hard; k++) most = fmaxf(most, hard_score(c, p, i, k));
    double z = exp((double)(p->own[i] - most)) + exp_sum(p->n_items, score, most, LOWEST);
    for (int k = 0; k < hard; k++) z += exp((double)(hard_score(c, p, i, k) - most));
    p->log_z[i] = (float)((double)most + log(z));
    c->out.p[p->row[i] * c->out.ld] =
        (float)((double)c->rows / (double)p->n_rows * ((double)p->log_z[i] - (double)p->own[i]));
}

static void forward_part(void *ctx, int task, int worker) {
    const struct part *t = ctx;
    const struct pool_of_items *p = &t->p;
    size_t end = part_begin(p, task + 1);
    float *score = part_score(p, task);
    (void)worker;
    for (size_t first = part_begin(p, task); first < end; first += BLOCK) {
        size_t n = block_rows(first, end);
        if (p->n_items) score_block(t->c, p, first, n, score);
        for (size_t i = 0; i < n; i++) row_loss(t->c, p, first + i, score + i * p->n_items);
    }
}

static void softmax_forward(struct op_ctx *c) {
    struct part t = {c, places(c)};
    collect(c, &t.p);
    for (size_t r = 0; r < c->rows; r++) c->out.p[r * c->out.ld] = 0;
    pool_run(c->pool, TASKS, forward_part, &t);
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
        if (w == 0) continue; /* none there, or too far below to count */
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

static float row_weight(const struct op_ctx *c, const struct pool_of_items *p, size_t i) {
    return (float)((double)c->rows / (double)p->n_rows) * c->out_grad.p[p->row[i] * c->out_grad.ld];
}

static void backward_part(void *ctx, int task, int worker) {
    const struct part *t = ctx;
    const struct pool_of_items *p = &t->p;
    size_t end = part_begin(p, task + 1);
    float *score = part_score(p, task), *v_grad = part_grad(p, task);
    (void)worker;
    memset(v_grad, 0, p->n_items * p->d * sizeof(float));
    for (size_t first = part_begin(p, task); first < end && p->n_items; first += BLOCK) {
        size_t n = block_rows(first, end);
        score_block(t->c, p, first, n, score);
        for (size_t i = 0; i < n; i++)
            exp_scaled(p->n_items, score + i * p->n_items, p->log_z[first + i],
                       row_weight(t->c, p, first + i), LOWEST);
        gemm_nn(n, p->d, p->n_items, (struct mat){score, p->n_items}, p->v, p->d,
                (struct mat){p->u_grad + first * p->d, p->d}, false);
        gemm_tn_add(n, p->n_items, p->d, (struct mat){score, p->n_items},
                    (struct mat){p->u + first * p->d, p->d}, v_grad, p->d);
    }
}

/* Adds the parts' gradients of candidate `at` to row `row` of an input. */
static void add_parts(const struct op_ctx *c, const struct pool_of_items *p, int in, size_t row, size_t at) {
    for (int task = 0; task < TASKS; task++) add_to(c, in, row, 1, part_grad(p, task) + at * p->d);
}

static void softmax_backward(struct op_ctx *c) {
    struct part t = {c, places(c)};
    const struct pool_of_items *p = &t.p;
    float scale = (float)c->node->attr_f[0];
    size_t at = 0;
    clear_gradients(c);
    memset(p->u_grad, 0, p->n_rows * p->d * sizeof(float));
    pool_run(c->pool, TASKS, backward_part, &t);
    for (size_t i = 0; i < p->n_rows; i++) {
        own_gradients(c, p, i, row_weight(c, p, i));
        add_to(c, IN_U, p->row[i], scale, p->u_grad + i * p->d);
        if (c->node->attr_i[3]) add_parts(c, p, IN_V, p->row[i], at++);
    }
    for (int k = 0; k < c->node->attr_i[1]; k++)
        for (size_t r = 0; r < c->rows; r++) add_parts(c, p, OWN_INPUTS + 4 * k, r, at++);
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
