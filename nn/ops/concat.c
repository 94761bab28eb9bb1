/* Concat: (B,w1) (B,w2) .. -> (B, w1+w2+..). The executor lays an input's value straight into its columns
 * where it can (the input has no other reader); then both directions have nothing to do for it. */
#include "nn/op.h"
#include "nn/vec.h"

static void concat_forward(struct op_ctx *c) {
    size_t at = 0;
    for (int k = 0; k < c->node->n_in; k++) {
        size_t w = (size_t)c->node->attr_list[k];
        struct mat dst = mat_cols(c->out, at);
        if (dst.p != c->in[k].p) vec_copy(c->rows, w, dst, c->in[k], 1, false);
        at += w;
    }
}

static void concat_backward(struct op_ctx *c) {
    size_t at = 0;
    for (int k = 0; k < c->node->n_in; k++) {
        size_t w = (size_t)c->node->attr_list[k];
        struct mat src = mat_cols(c->out_grad, at);
        if (c->in_grad[k].p && src.p != c->in_grad[k].p)
            vec_copy(c->rows, w, c->in_grad[k], src, 1, c->in_acc[k]);
        at += w;
    }
}

static void concat_cost(const struct graph *g, const struct node *n, struct cost *out) {
    (void)g;
    out->stream_bytes = 4.0 * n->width;
}

const struct op op_concat = {
    .name = "concat", .forward = concat_forward, .backward = concat_backward, .cost = concat_cost};

int nn_concat(struct graph *g, int n, const int *x) {
    if (g->err.code) return -1;
    if (n < 1) return graph_fail(g, "concat: nothing to concatenate");
    if (n == 1) return x[0];
    int width = 0;
    for (int i = 0; i < n; i++) {
        if (x[i] < 0 || g->node[x[i]]->width < 1)
            return graph_fail(g, "concat: input %d is no computed value", i);
        width += g->node[x[i]]->width;
    }
    int id = graph_add_node(g, &op_concat, "concat", n, x, width);
    if (id < 0) return -1;
    struct node *node = g->node[id];
    if (!(node->attr_list = arena_alloc(&g->arena, (size_t)n * sizeof(int))))
        return err_nomem(&g->err, (size_t)n * sizeof(int)), -1;
    node->n_attr = n;
    for (int i = 0; i < n; i++) node->attr_list[i] = g->node[x[i]]->width;
    return id;
}
