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

struct groups {
    size_t d, categories;
    double *count; /* [categories] */
    double *mean;  /* [categories][D] */
    double *cov;   /* [categories][D][D]; after the forward pass: dL/dCov */
};

static struct groups groups(const struct op_ctx *c) {
    struct groups s = {.d = (size_t)c->node->attr_i[0], .categories = (size_t)c->node->attr_i[1]};
    s.count = c->work;
    s.mean = s.count + s.categories;
    s.cov = s.mean + s.categories * s.d;
    return s;
}

static size_t alignment_work(const struct node *n, size_t rows) {
    size_t d = (size_t)n->attr_i[0];
    (void)rows;
    return (size_t)n->attr_i[1] * (1 + d + d * d) * sizeof(double);
}

static size_t category(const struct op_ctx *c, size_t r) { return (size_t)c->in[1].p[r * c->in[1].ld]; }

static void covariances(struct op_ctx *c, struct groups *s) {
    size_t d = s->d;
    memset(s->count, 0, s->categories * (1 + d + d * d) * sizeof *s->count);
    for (size_t r = 0; r < c->rows; r++) {
        size_t k = category(c, r);
        s->count[k]++;
        for (size_t i = 0; i < d; i++) s->mean[k * d + i] += (double)c->in[0].p[r * c->in[0].ld + i];
    }
    for (size_t k = 0; k < s->categories; k++)
        for (size_t i = 0; i < d && s->count[k] > 0; i++) s->mean[k * d + i] /= s->count[k];
    for (size_t r = 0; r < c->rows; r++) {
        size_t k = category(c, r);
        const float *x = c->in[0].p + r * c->in[0].ld;
        const double *m = s->mean + k * d;
        if (s->count[k] < 2) continue;
        for (size_t i = 0; i < d; i++)
            for (size_t j = 0; j < d; j++)
                s->cov[(k * d + i) * d + j] +=
                    ((double)x[i] - m[i]) * ((double)x[j] - m[j]) / (s->count[k] - 1);
    }
}

static void alignment_forward(struct op_ctx *c) {
    struct groups s = groups(c);
    size_t major = 0, cells = s.d * s.d;
    double loss = 0;
    covariances(c, &s);
    for (size_t k = 1; k < s.categories; k++)
        if (s.count[k] > s.count[major]) major = k;
    double *of_major = s.cov + major * cells;
    for (size_t i = 0; i < cells; i++) {
        double m = of_major[i], grad = 0;
        for (size_t k = 0; k < s.categories; k++) {
            double *v = &s.cov[k * cells + i];
            if (k == major) continue;
            double diff = s.count[k] < 2 || s.count[major] < 2 ? 0 : m - *v;
            loss += diff * diff;
            grad += 2 * diff;
            *v = -2 * diff;
        }
        of_major[i] = grad;
    }
    for (size_t r = 0; r < c->rows; r++) c->out.p[r * c->out.ld] = (float)loss;
}

/* dL/ds = 2/(n-1) (s - mean) dL/dCov, as dL/dCov is symmetric. */
static void alignment_backward(struct op_ctx *c) {
    struct groups s = groups(c);
    double total = 0;
    if (!c->in_grad[0].p) return;
    for (size_t r = 0; r < c->rows; r++) total += (double)c->out_grad.p[r * c->out_grad.ld];
    for (size_t r = 0; r < c->rows; r++) {
        size_t k = category(c, r);
        const float *x = c->in[0].p + r * c->in[0].ld;
        float *to = c->in_grad[0].p + r * c->in_grad[0].ld;
        for (size_t i = 0; i < s.d; i++) {
            double sum = 0;
            for (size_t j = 0; j < s.d && s.count[k] >= 2; j++)
                sum += ((double)x[j] - s.mean[k * s.d + j]) * s.cov[(k * s.d + i) * s.d + j];
            float v = s.count[k] >= 2 ? (float)(total * 2 * sum / (s.count[k] - 1)) : 0;
            to[i] = c->in_acc[0] ? to[i] + v : v;
        }
    }
}

const struct op op_category_alignment = {.name = "category_alignment",
                                         .forward = alignment_forward,
                                         .backward = alignment_backward,
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
