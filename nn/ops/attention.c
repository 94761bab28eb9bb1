/* Target attention over a user's recent items (DIN, Zhou et al. 2018), as two ops:
 *
 *   sequence          the first T rows of a bag side by side: (B, T*D + 1); missing ones are zeros, the last
 * column is the number of rows that are there. User side: computed once a request. target_attention  with q
 * (B,D): weight_t = w2 relu(W1 [h_t, q, h_t - q, h_t * q] + b1) + b2, no softmax; out = sum_t weight_t h_t.
 *
 * attr_i of both: 0 = T, 1 = D, 2 = hidden units. Parameters: W1 (H,4D), b1, w2 (1,H), b2. Work: inputs
 * and hidden values of a block of rows, made again in the backward pass. */
#include "nn/fused/product.h"
#include "nn/op.h"
#include "nn/vec.h"
#include <stdio.h>
#include <string.h>

static void sequence_forward(struct op_ctx *c) {
    const struct batch_column *col = c->in_col[0];
    size_t t = (size_t)c->node->attr_i[0], d = (size_t)c->node->attr_i[1];
    for (size_t r = 0; r < c->rows; r++) {
        size_t n = col->offsets[r + 1] - col->offsets[r];
        float *to = c->out.p + r * c->out.ld;
        if (n > t) n = t;
        vec_gather(n, d, (struct mat){to, d}, c->param[0], d, col->ids + col->offsets[r]);
        memset(to + n * d, 0, (t - n) * d * sizeof *to);
        to[t * d] = (float)n;
    }
}
/* A table's gradient is collected by optim.c from out_grad; there is nothing else below a lookup. */
static void sequence_backward(struct op_ctx *c) { (void)c; }
static void sequence_cost(const struct graph *g, const struct node *n, struct cost *out) {
    (void)g;
    out->gather_bytes = 4.0 * n->width;
    out->stream_bytes = 4.0 * n->width;
}
const struct op op_sequence = {
    .name = "sequence", .forward = sequence_forward, .backward = sequence_backward, .cost = sequence_cost};

int nn_sequence(struct graph *g, int ids, int length, int dim, const char *table) {
    if (g->err.code) return -1;
    if (ids < 0 || g->node[ids]->type != VALUE_BAG || length < 1)
        return graph_fail(g, "sequence: needs a bag column and a length");
    size_t vocab = g->column[g->node[ids]->input].vocab;
    int p = graph_find_param(g, table);
    if (p < 0) p = graph_add_param(g, table, PARAM_TABLE, vocab, (size_t)dim, INIT_NORMAL);
    if (p < 0) return -1;
    if (g->param[p]->rows != vocab || g->param[p]->cols != (size_t)dim)
        return graph_fail(g, "sequence: \"%s\" is %zu x %zu, wanted %zu x %d", table, g->param[p]->rows,
                          g->param[p]->cols, vocab, dim);
    int id = graph_add_node(g, &op_sequence, "sequence", 1, &ids, length * dim + 1);
    if (id < 0) return -1;
    struct node *n = g->node[id];
    n->attr_i[0] = length;
    n->attr_i[1] = dim;
    return graph_set_params(g, id, 1, &p);
}

/* Some rows of the batch, their recent items one after the other: products of a few hundred items are what OpenBLAS is good
 * at. */
enum { BLOCK_ITEMS = 256 };

struct block {
    size_t first, rows, d, hidden;
    size_t n;         /* items of all rows */
    float *x, *z, *w; /* (n,4D) inputs, (n,H) hidden values, (n) weights */
    float *dx, *dz;   /* the same for gradients */
};

static size_t block_rows(const struct node *n) {
    size_t t = (size_t)n->attr_i[0];
    return t < BLOCK_ITEMS ? BLOCK_ITEMS / t : 1;
}

static size_t attention_work(const struct node *n, size_t rows) {
    size_t t = (size_t)n->attr_i[0], d = (size_t)n->attr_i[1], h = (size_t)n->attr_i[2];
    (void)rows;
    return 2 * block_rows(n) * t * (4 * d + h + 1) * sizeof(float) +
           (n->product ? product_work_bytes(n->product) : 0);
}

static const float *sequence_of(const struct op_ctx *c, size_t r) { return c->in[0].p + r * c->in[0].ld; }
static size_t items_of(const struct op_ctx *c, size_t r) {
    return (size_t)sequence_of(c, r)[(size_t)c->node->attr_i[0] * (size_t)c->node->attr_i[1]];
}

/* [h, q, h - q, h * q] of n items */
KERNEL static void fill_inputs(size_t n, size_t d, const float *restrict h, const float *restrict q,
                               float *restrict x) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++) {
            x[i * 4 * d + k] = h[i * d + k];
            x[i * 4 * d + d + k] = q[k];
            x[i * 4 * d + 2 * d + k] = h[i * d + k] - q[k];
            x[i * 4 * d + 3 * d + k] = h[i * d + k] * q[k];
        }
}

static struct block block_forward(struct op_ctx *c, size_t first) {
    size_t t = (size_t)c->node->attr_i[0], most = block_rows(c->node);
    struct block s = {.first = first, .d = (size_t)c->node->attr_i[1], .hidden = (size_t)c->node->attr_i[2]};
    s.rows = c->rows - first < most ? c->rows - first : most;
    s.x = c->work;
    s.z = s.x + most * t * 4 * s.d;
    s.w = s.z + most * t * s.hidden;
    s.dx = s.w + most * t;
    s.dz = s.dx + most * t * 4 * s.d;
    for (size_t r = first; r < first + s.rows; r++) {
        size_t n = items_of(c, r);
        fill_inputs(n, s.d, sequence_of(c, r), c->in[1].p + r * c->in[1].ld, s.x + s.n * 4 * s.d);
        s.n += n;
    }
    if (!s.n) return s;
    struct mat z = {s.z, s.hidden};
    const struct mat x = {s.x, 4 * s.d};
    if (c->node->product)
        product_run(c->node->product, s.n, x, z, s.dz + most * t * s.hidden);
    else
        gemm_nt(s.n, s.hidden, 4 * s.d, x, c->param[0], 4 * s.d, z, false);
    vec_bias_act(s.n, s.hidden, z, c->param[1], ACT_RELU);
    vec_row_dot(s.n, s.hidden, (struct mat){s.w, 1}, z, (struct mat){c->param[2], 0}, false);
    for (size_t i = 0; i < s.n; i++) s.w[i] += c->param[3][0];
    return s;
}

static void attention_forward(struct op_ctx *c) {
    size_t d = (size_t)c->node->attr_i[1];
    for (size_t first = 0; first < c->rows; first += block_rows(c->node)) {
        struct block s = block_forward(c, first);
        float *w = s.w;
        for (size_t r = first; r < first + s.rows; r++) {
            float *out = c->out.p + r * c->out.ld;
            size_t n = items_of(c, r);
            memset(out, 0, d * sizeof *out);
            vec_col_sum(n, d, (struct mat){(float *)sequence_of(c, r), d}, &(struct mat){w, 1}, out);
            w += n;
        }
    }
}

/* Gradients of a block's attention network; leaves d(inputs) in s->dx. */
static void network_backward(struct op_ctx *c, const struct block *s) {
    struct mat dz = {s->dz, s->hidden}, z = {s->z, s->hidden}, x = {s->x, 4 * s->d};
    size_t at = 0;
    for (size_t r = s->first; r < s->first + s->rows; r++)
        for (size_t i = 0, n = items_of(c, r); i < n; i++, at++) {
            float dw = vec_dot(s->d, c->out_grad.p + r * c->out_grad.ld, sequence_of(c, r) + i * s->d);
            c->param_grad[3][0] += dw;
            vec_copy(1, s->hidden, (struct mat){c->param_grad[2], 0}, mat_rows(z, at), dw, true);
            vec_copy(1, s->hidden, mat_rows(dz, at), (struct mat){c->param[2], 0}, dw, false);
        }
    vec_act_grad(s->n, s->hidden, dz, z, ACT_RELU, c->param_grad[1]);
    gemm_tn_add(s->n, s->hidden, 4 * s->d, dz, x, c->param_grad[0], 4 * s->d);
    gemm_nn(s->n, 4 * s->d, s->hidden, dz, c->param[0], 4 * s->d, (struct mat){s->dx, 4 * s->d}, false);
}

/* dh_i += w_i g + what came through the network; dq likewise */
KERNEL static void add_grads(size_t n, size_t d, const float *restrict h, const float *restrict q,
                             const float *restrict g, const float *restrict w, const float *restrict dx,
                             float *restrict dh, float *restrict dq) {
    for (size_t i = 0; i < n; i++) {
        const float *x = dx + i * 4 * d;
        for (size_t k = 0; dh && k < d; k++)
            dh[i * d + k] += w[i] * g[k] + x[k] + x[2 * d + k] + x[3 * d + k] * q[k];
        for (size_t k = 0; dq && k < d; k++) dq[k] += x[d + k] - x[2 * d + k] + x[3 * d + k] * h[i * d + k];
    }
}

static void attention_backward(struct op_ctx *c) {
    size_t t = (size_t)c->node->attr_i[0], d = (size_t)c->node->attr_i[1];
    if (c->in_grad[0].p && !c->in_acc[0]) vec_copy(c->rows, t * d + 1, c->in_grad[0], c->in[0], 0, false);
    if (c->in_grad[1].p && !c->in_acc[1]) vec_copy(c->rows, d, c->in_grad[1], c->in[1], 0, false);
    for (size_t first = 0; first < c->rows; first += block_rows(c->node)) {
        struct block s = block_forward(c, first);
        if (!s.n) continue;
        network_backward(c, &s);
        size_t at = 0;
        for (size_t r = first; r < first + s.rows; r++) {
            size_t n = items_of(c, r);
            add_grads(n, d, sequence_of(c, r), c->in[1].p + r * c->in[1].ld,
                      c->out_grad.p + r * c->out_grad.ld, s.w + at, s.dx + at * 4 * d,
                      c->in_grad[0].p ? c->in_grad[0].p + r * c->in_grad[0].ld : NULL,
                      c->in_grad[1].p ? c->in_grad[1].p + r * c->in_grad[1].ld : NULL);
            at += n;
        }
    }
}

static void attention_cost(const struct graph *g, const struct node *n, struct cost *out) {
    double t = n->attr_i[0], d = n->attr_i[1], h = n->attr_i[2];
    (void)g;
    out->flops = t * (2 * d + 2 * 4 * d * h + 3 * h + 2 * d);
    out->stream_bytes = 4 * (t * d + 2 * d);
    out->weight_bytes = 4 * (4 * d * h + 2 * h + 1);
}

const struct op op_target_attention = {.name = "target_attention",
                                       .forward = attention_forward,
                                       .backward = attention_backward,
                                       .cost = attention_cost,
                                       .work_bytes = attention_work};

int nn_target_attention(struct graph *g, int sequence, int q, int hidden, const char *name) {
    if (g->err.code) return -1;
    if (sequence < 0 || g->node[sequence]->op != &op_sequence || q < 0 ||
        g->node[q]->width != g->node[sequence]->attr_i[1])
        return graph_fail(g, "%s: needs a sequence and a target of the same dimension", name);
    int d = g->node[q]->width, in[] = {sequence, q};
    static const char *const part[] = {"0.weight", "0.bias", "1.weight", "1.bias"};
    size_t rows[] = {(size_t)hidden, 1, 1, 1}, cols[] = {4 * (size_t)d, (size_t)hidden, (size_t)hidden, 1};
    int id = graph_add_node(g, &op_target_attention, name, 2, in, d);
    int param[4];
    for (int k = 0; k < 4; k++) {
        char text[NN_NAME_MAX + 16];
        snprintf(text, sizeof text, "%s.%s", name, part[k]);
        param[k] =
            graph_add_param(g, text, PARAM_DENSE, rows[k], cols[k], k % 2 ? INIT_ZERO : INIT_XAVIER_NORMAL);
        if (param[k] < 0) return -1;
        g->param[param[k]]->vector = k % 2;
        g->param[param[k]]->decay = !(k % 2);
    }
    if (id < 0) return -1;
    struct node *n = g->node[id];
    n->attr_i[0] = g->node[sequence]->attr_i[0];
    n->attr_i[1] = d;
    n->attr_i[2] = hidden;
    return graph_set_params(g, id, 4, param);
}
