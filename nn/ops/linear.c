/* Linear layer with fused bias and activation: (B,K) -> (B,N), y = act(x W^T + b), W (N,K). The activation's
 * derivative is taken from its output, so the pre-activation is never stored. attr_i: 0 = activation, 1 = 1
 * with bias, 2 = K, 3 = 1 when W is stored as (K,N): OpenBLAS multiplies by that faster; serving's passes make it so,
 * and there is no backward for it. */
#include "nn/fused/product.h"
#include "nn/op.h"
#include "nn/passes.h"
#include "nn/vec.h"
#include <stdio.h>

/* For enough rows, a transposed copy of the weights costs less than it saves. */
static bool turns_weights(const struct node *n, size_t rows) {
    return !n->attr_i[3] && rows >= 128 && gemm_nn_is_faster((size_t)n->width, (size_t)n->attr_i[2]);
}

static size_t linear_work_bytes(const struct node *n, size_t rows) {
    if (n->product) return product_work_bytes(n->product);
    return turns_weights(n, rows) ? (size_t)n->width * (size_t)n->attr_i[2] * sizeof(float) : 0;
}

static void linear_forward(struct op_ctx *c) {
    const struct node *n = c->node;
    size_t units = (size_t)n->width, k = (size_t)n->attr_i[2];
    if (n->product) {
        product_run(n->product, c->rows, c->in[0], c->out, c->work);
    } else if (n->attr_i[3] && units > 1) {
        gemm_nn(c->rows, units, k, c->in[0], c->param[0], units, c->out, false);
    } else if (turns_weights(n, c->rows)) {
        vec_transpose(units, k, c->work, c->param[0]);
        gemm_nn(c->rows, units, k, c->in[0], c->work, units, c->out, false);
    } else {
        gemm_nt(c->rows, units, k, c->in[0], c->param[0], k, c->out, false);
    }
    vec_bias_act(c->rows, units, c->out, n->attr_i[1] ? c->param[1] : NULL, (enum act)n->attr_i[0]);
}

static void linear_backward(struct op_ctx *c) {
    const struct node *n = c->node;
    size_t units = (size_t)n->width, k = (size_t)n->attr_i[2];
    vec_act_grad(c->rows, units, c->out_grad, c->out, (enum act)n->attr_i[0],
                 n->attr_i[1] ? c->param_grad[1] : NULL);
    gemm_tn_add(c->rows, units, k, c->out_grad, c->in[0], c->param_grad[0], k);
    if (c->in_grad[0].p) gemm_nn(c->rows, k, units, c->out_grad, c->param[0], k, c->in_grad[0], c->in_acc[0]);
}

static void linear_cost(const struct graph *g, const struct node *n, struct cost *out) {
    double k = g->node[n->in[0]]->width, units = n->width;
    out->flops = 2 * k * units + (n->attr_i[1] ? units : 0) + (n->attr_i[0] ? units : 0);
    out->stream_bytes = 4 * (k + units);
    out->weight_bytes = 4 * (k * units + (n->attr_i[1] ? units : 0));
}

const struct op op_linear = {.name = "linear",
                             .forward = linear_forward,
                             .backward = linear_backward,
                             .cost = linear_cost,
                             .work_bytes = linear_work_bytes};

static int linear(struct graph *g, int x, int units, enum act act, bool bias, const char *name) {
    if (g->err.code) return -1;
    if (x < 0 || g->node[x]->width < 1) return graph_fail(g, "%s: linear needs a computed input", name);
    if (units < 1) return graph_fail(g, "%s: linear needs at least one unit", name);
    char text[NN_NAME_MAX + 16];
    snprintf(text, sizeof text, "%s.weight", name);
    int w =
        graph_add_param(g, text, PARAM_DENSE, (size_t)units, (size_t)g->node[x]->width, INIT_XAVIER_NORMAL);
    snprintf(text, sizeof text, "%s.bias", name);
    int b = bias ? graph_add_param(g, text, PARAM_DENSE, 1, (size_t)units, INIT_ZERO) : -1;
    int id = graph_add_node(g, &op_linear, name, 1, &x, units);
    if (id < 0) return -1;
    struct node *n = g->node[id];
    g->param[w]->decay = true;
    if (bias) g->param[b]->vector = true;
    n->attr_i[0] = (int)act;
    n->attr_i[1] = bias;
    n->attr_i[2] = g->node[x]->width;
    return graph_set_params(g, id, bias ? 2 : 1, (int[]){w, b});
}

int nn_linear(struct graph *g, int x, int units, enum act act, const char *name) {
    return linear(g, x, units, act, true, name);
}
int nn_linear_no_bias(struct graph *g, int x, int units, enum act act, const char *name) {
    return linear(g, x, units, act, false, name);
}
