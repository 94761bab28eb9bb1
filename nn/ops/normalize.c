/* Row normalisation to length 1: y = x / max(|x|, 1e-12). Work: 1/|x| of each row. */
#include "nn/op.h"
#include "nn/vec.h"
#include <math.h>

static size_t normalize_work(const struct node *n, size_t rows) {
    (void)n;
    return rows * sizeof(float);
}

static void normalize_forward(struct op_ctx *c) {
    float *inverse = c->work;
    size_t w = (size_t)c->node->width;
    for (size_t r = 0; r < c->rows; r++) {
        struct mat x = mat_rows(c->in[0], r);
        inverse[r] = 1.0f / fmaxf(sqrtf((float)vec_norm2(w, x.p)), 1e-12f);
        vec_copy(1, w, mat_rows(c->out, r), x, inverse[r], false);
    }
}

/* dx = (g - y (g.y)) / |x| */
static void normalize_backward(struct op_ctx *c) {
    const float *inverse = c->work;
    size_t w = (size_t)c->node->width;
    if (!c->in_grad[0].p) return;
    for (size_t r = 0; r < c->rows; r++) {
        struct mat y = mat_rows(c->out, r), g = mat_rows(c->out_grad, r), d = mat_rows(c->in_grad[0], r);
        float along = vec_dot(w, g.p, y.p);
        vec_copy(1, w, d, g, inverse[r], c->in_acc[0]);
        vec_copy(1, w, d, y, -along * inverse[r], true);
    }
}

static void normalize_cost(const struct graph *g, const struct node *n, struct cost *out) {
    (void)g;
    out->flops = 3.0 * n->width;
    out->stream_bytes = 8.0 * n->width;
}

const struct op op_l2_normalize = {.name = "l2_normalize",
                                   .forward = normalize_forward,
                                   .backward = normalize_backward,
                                   .cost = normalize_cost,
                                   .work_bytes = normalize_work};

int nn_l2_normalize(struct graph *g, int x) {
    if (g->err.code) return -1;
    if (x < 0 || g->node[x]->width < 1) return graph_fail(g, "l2_normalize: needs a computed input");
    return graph_add_node(g, &op_l2_normalize, "l2_normalize", 1, &x, g->node[x]->width);
}
