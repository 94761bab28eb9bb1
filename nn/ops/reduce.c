/* Inner product of rows, sums over columns and over groups of columns, and a window of columns. */
#include "nn/op.h"
#include "nn/vec.h"

static void in_width_cost(const struct graph *g, const struct node *n, struct cost *out) {
    double w = g->node[n->in[0]]->width;
    out->flops = n->n_in == 2 ? 2 * w : w;
    out->stream_bytes = 4.0 * (w * n->n_in + n->width);
}

static bool computed(struct graph *g, const char *op, int x) {
    if (g->err.code) return false;
    if (x >= 0 && g->node[x]->width > 0) return true;
    graph_fail(g, "%s: needs a computed input", op);
    return false;
}

/* dot: (B,D),(B,D) -> (B,1); attr_i 0 = D */
static void dot_forward(struct op_ctx *c) {
    vec_row_dot(c->rows, (size_t)c->node->attr_i[0], c->out, c->in[0], c->in[1], false);
}
static void dot_backward(struct op_ctx *c) {
    size_t d = (size_t)c->node->attr_i[0];
    for (int k = 0; k < 2; k++)
        if (c->in_grad[k].p)
            vec_mul(c->rows, d, c->in_grad[k], c->in[1 - k], c->out_grad, true, c->in_acc[k]);
}
const struct op op_dot = {
    .name = "dot", .forward = dot_forward, .backward = dot_backward, .cost = in_width_cost};

int nn_dot(struct graph *g, int x, int y) {
    if (!computed(g, "dot", x) || !computed(g, "dot", y)) return -1;
    if (g->node[x]->width != g->node[y]->width)
        return graph_fail(g, "dot: the two vectors have %d and %d dimensions", g->node[x]->width,
                          g->node[y]->width);
    int in[] = {x, y}, id = graph_add_node(g, &op_dot, "dot", 2, in, 1);
    if (id >= 0) g->node[id]->attr_i[0] = g->node[x]->width;
    return id;
}

/* slice: columns attr_i[0] .. + width */
static void slice_forward(struct op_ctx *c) {
    vec_copy(c->rows, (size_t)c->node->width, c->out, mat_cols(c->in[0], (size_t)c->node->attr_i[0]), 1,
             false);
}
static void slice_backward(struct op_ctx *c) {
    size_t w = (size_t)c->node->width, from = (size_t)c->node->attr_i[0], all = (size_t)c->node->attr_i[1];
    if (!c->in_grad[0].p) return;
    if (!c->in_acc[0]) vec_copy(c->rows, all, c->in_grad[0], c->in[0], 0, false);
    vec_copy(c->rows, w, mat_cols(c->in_grad[0], from), c->out_grad, 1, true);
}
const struct op op_slice = {
    .name = "slice", .forward = slice_forward, .backward = slice_backward, .cost = in_width_cost};

int nn_slice(struct graph *g, int x, int begin, int width) {
    if (!computed(g, "slice", x)) return -1;
    if (begin < 0 || width < 1 || begin > g->node[x]->width - width)
        return graph_fail(g, "slice: columns %d .. %d of a value of width %d", begin, begin + width,
                          g->node[x]->width);
    int id = graph_add_node(g, &op_slice, "slice", 1, &x, width);
    if (id < 0) return -1;
    g->node[id]->attr_i[0] = begin;
    g->node[id]->attr_i[1] = g->node[x]->width;
    return id;
}

/* group_sum: (B, groups*D) -> (B,D); attr_i 0 = groups. row_sum: (B,D) -> (B,1), D groups of one. */
static void group_sum_forward(struct op_ctx *c) {
    size_t w = (size_t)c->node->width;
    for (size_t k = 0; k < (size_t)c->node->attr_i[0]; k++)
        vec_copy(c->rows, w, c->out, mat_cols(c->in[0], k * w), 1, k > 0);
}
static void group_sum_backward(struct op_ctx *c) {
    size_t w = (size_t)c->node->width;
    if (!c->in_grad[0].p) return;
    for (size_t k = 0; k < (size_t)c->node->attr_i[0]; k++)
        vec_copy(c->rows, w, mat_cols(c->in_grad[0], k * w), c->out_grad, 1, c->in_acc[0]);
}
const struct op op_group_sum = {
    .name = "group_sum", .forward = group_sum_forward, .backward = group_sum_backward, .cost = in_width_cost};

int nn_group_sum(struct graph *g, int x, int groups) {
    if (!computed(g, "group_sum", x)) return -1;
    if (groups < 1 || g->node[x]->width % groups)
        return graph_fail(g, "group_sum: width %d is no multiple of %d groups", g->node[x]->width, groups);
    int id = graph_add_node(g, &op_group_sum, "group_sum", 1, &x, g->node[x]->width / groups);
    if (id >= 0) g->node[id]->attr_i[0] = groups;
    return id;
}

static void row_sum_forward(struct op_ctx *c) {
    size_t w = (size_t)c->node->attr_i[0];
    for (size_t r = 0; r < c->rows; r++) {
        const float *x = c->in[0].p + r * c->in[0].ld;
        float sum = 0;
        for (size_t k = 0; k < w; k++) sum += x[k];
        c->out.p[r * c->out.ld] = sum;
    }
}
static void row_sum_backward(struct op_ctx *c) {
    if (!c->in_grad[0].p) return;
    for (size_t r = 0; r < c->rows; r++) {
        float *d = c->in_grad[0].p + r * c->in_grad[0].ld, f = c->out_grad.p[r * c->out_grad.ld];
        for (size_t k = 0; k < (size_t)c->node->attr_i[0]; k++) d[k] = c->in_acc[0] ? d[k] + f : f;
    }
}
const struct op op_row_sum = {
    .name = "row_sum", .forward = row_sum_forward, .backward = row_sum_backward, .cost = in_width_cost};

int nn_row_sum(struct graph *g, int x) {
    if (!computed(g, "row_sum", x)) return -1;
    int id = graph_add_node(g, &op_row_sum, "row_sum", 1, &x, 1);
    if (id >= 0) g->node[id]->attr_i[0] = g->node[x]->width;
    return id;
}
