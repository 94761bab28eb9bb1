/* Category alignment (DAT, Yu et al. 2021): with the batch's vectors grouped by category and "major" the
 * category of most rows, L = sum over c != major of |Cov(S_major) - Cov(S_c)|_F^2,   Cov(S) = sum (s -
 * mean)(s - mean)^T / (n - 1). Categories of fewer than two rows have no covariance and are left out; ties
 * for major go to the lower id.
 *
 * in: vectors (B,D), categories (B,1) as numbers (op_id_number). Coupled: needs the whole batch. Every row's
 * value is L, so that the mean over rows, which is the loss, is L. attr_i 0 = D, 1 = categories. Work: see
 * struct groups. */
#include "nn/op.h"
#include "nn/vec.h"
#include <string.h>

static void id_number_forward(struct op_ctx *c) {
    for (size_t r = 0; r < c->rows; r++) c->out.p[r * c->out.ld] = (float)c->in_col[0]->ids[r];
}
const struct op op_id_number = {.name = "id_number", .forward = id_number_forward};

int nn_id_number(struct graph *g, int ids) {
    if (g->err.code) return -1;
    if (ids < 0 || g->node[ids]->input < 0 || g->node[ids]->type != VALUE_ID ||
        g->column[g->node[ids]->input].vocab > 1 << 24)
        return graph_fail(g, "id_number: needs a column of single ids below 2^24");
    return graph_add_node(g, &op_id_number, "id_number", 1, &ids, 1);
}

/* The categories of a batch are numbered by their first row, so that memory and time follow the rows, not the vocabulary. */
struct groups {
    size_t d, n;     /* categories in the batch */
    double *count;   /* [n] */
    double *mean;    /* [n][D] */
    double *cov;     /* [n][D][D]; after the forward pass: dL/dCov */
    double *grad;    /* [D][D] of the largest category, while the others are compared with it */
    double *centred; /* [D] one row - its category's mean */
    uint32_t *id;    /* [n] */
    uint32_t *group; /* [categories] number in the batch + 1; 0: not there */
};

static size_t most_groups(const struct node *n, size_t rows) {
    return rows < (size_t)n->attr_i[1] ? rows : (size_t)n->attr_i[1];
}

static size_t alignment_work(const struct node *n, size_t rows) {
    size_t d = (size_t)n->attr_i[0], most = most_groups(n, rows);
    return (most * (1 + d + d * d) + d * d + d) * sizeof(double) +
           (most + (size_t)n->attr_i[1]) * sizeof(uint32_t);
}

static struct groups groups(const struct op_ctx *c) {
    size_t most = most_groups(c->node, c->rows);
    struct groups s = {.d = (size_t)c->node->attr_i[0], .count = c->work};
    s.mean = s.count + most;
    s.cov = s.mean + most * s.d;
    s.grad = s.cov + most * s.d * s.d;
    s.centred = s.grad + s.d * s.d;
    s.id = (uint32_t *)(void *)(s.centred + s.d);
    s.group = s.id + most;
    return s;
}

static uint32_t category(const struct op_ctx *c, size_t r) { return (uint32_t)c->in[1].p[r * c->in[1].ld]; }

static void number_groups(struct op_ctx *c, struct groups *s) {
    memset(s->group, 0, (size_t)c->node->attr_i[1] * sizeof *s->group);
    for (size_t r = 0; r < c->rows; r++) {
        uint32_t id = category(c, r);
        if (s->group[id]) continue;
        s->id[s->n++] = id;
        s->group[id] = (uint32_t)s->n;
    }
}

static size_t group_of(const struct op_ctx *c, const struct groups *s, size_t r) {
    return s->group[category(c, r)] - 1;
}

static void centre(const struct groups *s, const float *x, size_t k) {
    for (size_t i = 0; i < s->d; i++) s->centred[i] = (double)x[i] - s->mean[k * s->d + i];
}

/* m (n, n) += factor x x^T */
KERNEL static void add_outer(size_t n, const double *restrict x, double factor, double *restrict m) {
    for (size_t i = 0; i < n; i++) {
        double f = factor * x[i];
        for (size_t j = 0; j < n; j++) m[i * n + j] += f * x[j];
    }
}

static void covariances(struct op_ctx *c, struct groups *s) {
    size_t d = s->d;
    number_groups(c, s);
    memset(s->count, 0, s->n * sizeof *s->count);
    memset(s->mean, 0, s->n * d * sizeof *s->mean);
    memset(s->cov, 0, s->n * d * d * sizeof *s->cov);
    for (size_t r = 0; r < c->rows; r++) {
        size_t k = group_of(c, s, r);
        s->count[k]++;
        for (size_t i = 0; i < d; i++) s->mean[k * d + i] += (double)c->in[0].p[r * c->in[0].ld + i];
    }
    for (size_t k = 0; k < s->n; k++)
        for (size_t i = 0; i < d; i++) s->mean[k * d + i] /= s->count[k];
    for (size_t r = 0; r < c->rows; r++) {
        size_t k = group_of(c, s, r);
        if (s->count[k] < 2) continue;
        centre(s, c->in[0].p + r * c->in[0].ld, k);
        add_outer(d, s->centred, 1 / (s->count[k] - 1), s->cov + k * d * d);
    }
}

/* Adds |major - cov|^2 and leaves its gradients: in cov, and added to grad for major. */
KERNEL static double compare(size_t n, const double *restrict major, double *restrict cov,
                             double *restrict grad) {
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        double diff = major[i] - cov[i];
        loss += diff * diff;
        grad[i] += 2 * diff;
        cov[i] = -2 * diff;
    }
    return loss;
}

static void alignment_forward(struct op_ctx *c) {
    struct groups s = groups(c);
    size_t major = 0, cells = s.d * s.d;
    double loss = 0;
    covariances(c, &s);
    for (size_t k = 1; k < s.n; k++)
        if (s.count[k] > s.count[major] || (s.count[k] == s.count[major] && s.id[k] < s.id[major])) major = k;
    memset(s.grad, 0, cells * sizeof *s.grad);
    for (size_t k = 0; k < s.n; k++)
        if (k != major && s.count[k] >= 2)
            loss += compare(cells, s.cov + major * cells, s.cov + k * cells, s.grad);
    if (s.n) memcpy(s.cov + major * cells, s.grad, cells * sizeof *s.grad);
    for (size_t r = 0; r < c->rows; r++) c->out.p[r * c->out.ld] = (float)loss;
}
/* dst = factor m x (+ dst) */
KERNEL static void multiply(size_t n, const double *restrict m, const double *restrict x, double factor,
                            float *restrict dst, bool acc) {
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++) sum += m[i * n + j] * x[j];
        dst[i] = (acc ? dst[i] : 0) + (float)(factor * sum);
    }
}

/* dL/ds = 2/(n-1) (s - mean) dL/dCov, as dL/dCov is symmetric. */
static void alignment_backward(struct op_ctx *c) {
    struct groups s = groups(c);
    double total = 0;
    if (!c->in_grad[0].p) return;
    for (size_t r = 0; r < c->rows; r++) total += (double)c->out_grad.p[r * c->out_grad.ld];
    for (size_t r = 0; r < c->rows; r++) {
        size_t k = group_of(c, &s, r);
        float *to = c->in_grad[0].p + r * c->in_grad[0].ld;
        if (s.count[k] >= 2) {
            centre(&s, c->in[0].p + r * c->in[0].ld, k);
            multiply(s.d, s.cov + k * s.d * s.d, s.centred, 2 * total / (s.count[k] - 1), to, c->in_acc[0]);
        } else if (!c->in_acc[0]) {
            memset(to, 0, s.d * sizeof *to);
        }
    }
}

/* The rows' products; the whole run's share of comparing covariances is not counted. */
static void alignment_cost(const struct graph *g, const struct node *n, struct cost *out) {
    double d = n->attr_i[0];
    (void)g;
    out->flops = 2 * d * d;
    out->stream_bytes = 4 * d;
}

const struct op op_category_alignment = {.name = "category_alignment",
                                         .forward = alignment_forward,
                                         .backward = alignment_backward,
                                         .cost = alignment_cost,
                                         .work_bytes = alignment_work,
                                         .coupled = true};

int nn_category_alignment(struct graph *g, int x, int ids) {
    if (g->err.code) return -1;
    int category = nn_id_number(g, ids), in[] = {x, category};
    if (category < 0 || x < 0 || g->node[x]->width < 1)
        return graph_fail(g, "category_alignment: needs vectors and a category");
    int id = graph_add_node(g, &op_category_alignment, "category_alignment", 2, in, 1);
    if (id < 0) return -1;
    g->node[id]->attr_i[0] = g->node[x]->width;
    g->node[id]->attr_i[1] = (int)g->column[g->node[ids]->input].vocab;
    return id;
}
