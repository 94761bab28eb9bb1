/* Elementwise: activation, product (also by one factor a row), sum, scaling. attr_i 0 = activation or 1 for a
 * factor a row. */
#include "nn/op.h"
#include "nn/vec.h"

#define WIDTH(c) ((size_t)(c)->node->width)

static void stream_cost(const struct graph *g, const struct node *n, struct cost *out) {
    (void)g;
    out->flops = (double)n->width * (n->n_in > 1 ? n->n_in - 1 : 1);
    out->stream_bytes = 4.0 * n->width * (n->n_in + 1);
}

static int same_width(struct graph *g, const char *op, int x, int y) {
    if (g->err.code) return -1;
    if (x < 0 || y < 0 || g->node[x]->width < 1 || g->node[x]->width != g->node[y]->width)
        return graph_fail(g, "%s: widths differ: %d and %d", op, x < 0 ? -1 : g->node[x]->width,
                          y < 0 ? -1 : g->node[y]->width);
    return g->node[x]->width;
}

static void act_forward(struct op_ctx *c) {
    vec_copy(c->rows, WIDTH(c), c->out, c->in[0], 1, false);
    vec_bias_act(c->rows, WIDTH(c), c->out, NULL, (enum act)c->node->attr_i[0]);
}
static void act_backward(struct op_ctx *c) {
    vec_act_grad(c->rows, WIDTH(c), c->out_grad, c->out, (enum act)c->node->attr_i[0], NULL);
    if (c->in_grad[0].p) vec_copy(c->rows, WIDTH(c), c->in_grad[0], c->out_grad, 1, c->in_acc[0]);
}
const struct op op_act = {
    .name = "act", .forward = act_forward, .backward = act_backward, .cost = stream_cost};

int nn_act(struct graph *g, int x, enum act act) {
    int w = same_width(g, "act", x, x), id = w < 0 ? -1 : graph_add_node(g, &op_act, "act", 1, &x, w);
    if (id >= 0) g->node[id]->attr_i[0] = (int)act;
    return id;
}

static void mul_forward(struct op_ctx *c) {
    vec_mul(c->rows, WIDTH(c), c->out, c->in[0], c->in[1], c->node->attr_i[0], false);
}
static void mul_backward(struct op_ctx *c) {
    bool column = c->node->attr_i[0];
    if (c->in_grad[0].p)
        vec_mul(c->rows, WIDTH(c), c->in_grad[0], c->out_grad, c->in[1], column, c->in_acc[0]);
    if (!c->in_grad[1].p) return;
    if (column)
        vec_row_dot(c->rows, WIDTH(c), c->in_grad[1], c->out_grad, c->in[0], c->in_acc[1]);
    else
        vec_mul(c->rows, WIDTH(c), c->in_grad[1], c->out_grad, c->in[0], false, c->in_acc[1]);
}
const struct op op_mul = {
    .name = "mul", .forward = mul_forward, .backward = mul_backward, .cost = stream_cost};

int nn_mul(struct graph *g, int x, int y) {
    if (g->err.code) return -1;
    bool column = x >= 0 && y >= 0 && g->node[y]->width == 1 && g->node[x]->width > 1;
    int w = same_width(g, "mul", x, column ? x : y), in[] = {x, y};
    int id = w < 0 ? -1 : graph_add_node(g, &op_mul, "mul", 2, in, w);
    if (id >= 0) g->node[id]->attr_i[0] = column;
    return id;
}

static void add_forward(struct op_ctx *c) {
    for (int k = 0; k < c->node->n_in; k++) vec_copy(c->rows, WIDTH(c), c->out, c->in[k], 1, k > 0);
}
static void add_backward(struct op_ctx *c) {
    for (int k = 0; k < c->node->n_in; k++)
        if (c->in_grad[k].p) vec_copy(c->rows, WIDTH(c), c->in_grad[k], c->out_grad, 1, c->in_acc[k]);
}
const struct op op_add = {
    .name = "add", .forward = add_forward, .backward = add_backward, .cost = stream_cost};

int nn_add(struct graph *g, int n, const int *x) {
    if (g->err.code) return -1;
    if (n < 1) return graph_fail(g, "add: nothing to add");
    for (int i = 0; i < n; i++)
        if (same_width(g, "add", x[0], x[i]) < 0) return -1;
    return graph_add_node(g, &op_add, "add", n, x, g->node[x[0]]->width);
}

static void scale_forward(struct op_ctx *c) {
    vec_copy(c->rows, WIDTH(c), c->out, c->in[0], (float)c->node->attr_f[0], false);
}
static void scale_backward(struct op_ctx *c) {
    if (c->in_grad[0].p)
        vec_copy(c->rows, WIDTH(c), c->in_grad[0], c->out_grad, (float)c->node->attr_f[0], c->in_acc[0]);
}
const struct op op_scale = {
    .name = "scale", .forward = scale_forward, .backward = scale_backward, .cost = stream_cost};

int nn_scale(struct graph *g, int x, double factor) {
    int w = same_width(g, "scale", x, x), id = w < 0 ? -1 : graph_add_node(g, &op_scale, "scale", 1, &x, w);
    if (id >= 0) g->node[id]->attr_f[0] = factor;
    return id;
}

static void stop_forward(struct op_ctx *c) { vec_copy(c->rows, WIDTH(c), c->out, c->in[0], 1, false); }
const struct op op_stop_gradient = {.name = "stop_gradient", .forward = stop_forward, .cost = stream_cost};

int nn_stop_gradient(struct graph *g, int x) {
    int w = same_width(g, "stop_gradient", x, x);
    return w < 0 ? -1 : graph_add_node(g, &op_stop_gradient, "stop_gradient", 1, &x, w);
}
