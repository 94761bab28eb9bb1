/* Columns times learned factors: (B,W) -> (B,W), y[r,c] = x[r,c] w[c]; and a constant that needs no input
 * (its side is told). */
#include "nn/op.h"
#include "nn/passes.h"
#include "nn/vec.h"
#include <stdio.h>

static void column_scale_forward(struct op_ctx *c) {
    vec_mul(c->rows, (size_t)c->node->width, c->out, c->in[0], (struct mat){c->param[0], 0}, false, false);
}
static void column_scale_backward(struct op_ctx *c) {
    size_t w = (size_t)c->node->width;
    for (size_t r = 0; r < c->rows; r++) {
        const float *x = c->in[0].p + r * c->in[0].ld, *g = c->out_grad.p + r * c->out_grad.ld;
        for (size_t k = 0; k < w; k++) c->param_grad[0][k] += x[k] * g[k];
    }
    if (c->in_grad[0].p)
        vec_mul(c->rows, w, c->in_grad[0], c->out_grad, (struct mat){c->param[0], 0}, false, c->in_acc[0]);
}
static void column_scale_cost(const struct graph *g, const struct node *n, struct cost *out) {
    (void)g;
    out->flops = n->width;
    out->stream_bytes = 8.0 * n->width;
    out->weight_bytes = 4.0 * n->width;
}
const struct op op_column_scale = {.name = "column_scale",
                                   .forward = column_scale_forward,
                                   .backward = column_scale_backward,
                                   .cost = column_scale_cost};

int nn_column_scale(struct graph *g, int x, const char *name) {
    if (g->err.code) return -1;
    if (x < 0 || g->node[x]->width < 1) return graph_fail(g, "%s: needs a computed input", name);
    char text[NN_NAME_MAX + 16];
    snprintf(text, sizeof text, "%s.weight", name);
    int w = graph_add_param(g, text, PARAM_DENSE, 1, (size_t)g->node[x]->width, INIT_ONE);
    int id = w < 0 ? -1 : graph_add_node(g, &op_column_scale, name, 1, &x, g->node[x]->width);
    if (id < 0) return -1;
    g->param[w]->vector = true;
    return graph_set_params(g, id, 1, &w);
}

static void constant_forward(struct op_ctx *c) {
    for (size_t r = 0; r < c->rows; r++)
        for (size_t k = 0; k < (size_t)c->node->width; k++)
            c->out.p[r * c->out.ld + k] = (float)c->node->attr_f[0];
}
const struct op op_constant = {.name = "constant", .forward = constant_forward};

int nn_constant(struct graph *g, side_t side, int width, double value) {
    int id = graph_add_node(g, &op_constant, "constant", 0, NULL, width);
    if (id < 0) return -1;
    g->node[id]->side = side;
    g->node[id]->attr_f[0] = value;
    return id;
}
