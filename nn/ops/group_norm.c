/* Group lasso on a weight (Yuan & Lin 2006): () -> (B,1), in every row the same value, the sum over the column
 * blocks of the norm of the block:  sum_j ||W[:, j w .. (j+1) w]||_F,  w = cols / groups. As a loss, its mean over
 * rows is that sum. Where a norm is 0 the gradient taken is 0. attr_i: 0 = groups. */
#include "nn/op.h"
#include <math.h>

/* attr_list: rows and columns of W. */
static double block_norm(const struct op_ctx *c, size_t j) {
    size_t rows = (size_t)c->node->attr_list[0], cols = (size_t)c->node->attr_list[1];
    size_t width = cols / (size_t)c->node->attr_i[0];
    double sum = 0;
    for (size_t r = 0; r < rows; r++) {
        const float *w = c->param[0] + r * cols + j * width;
        for (size_t k = 0; k < width; k++) sum += (double)w[k] * (double)w[k];
    }
    return sqrt(sum);
}

static void norm_forward(struct op_ctx *c) {
    double sum = 0;
    for (size_t j = 0; j < (size_t)c->node->attr_i[0]; j++) sum += block_norm(c, j);
    for (size_t r = 0; r < c->rows; r++) c->out.p[r * c->out.ld] = (float)sum;
}

static void norm_backward(struct op_ctx *c) {
    size_t rows = (size_t)c->node->attr_list[0], cols = (size_t)c->node->attr_list[1];
    size_t width = cols / (size_t)c->node->attr_i[0];
    double g = 0;
    for (size_t r = 0; r < c->rows; r++) g += (double)c->out_grad.p[r * c->out_grad.ld];
    for (size_t j = 0; j < (size_t)c->node->attr_i[0]; j++) {
        double norm = block_norm(c, j);
        if (!(norm > 0)) continue;
        float f = (float)(g / norm);
        for (size_t r = 0; r < rows; r++) {
            const float *w = c->param[0] + r * cols + j * width;
            float *to = c->param_grad[0] + r * cols + j * width;
            for (size_t k = 0; k < width; k++) to[k] += f * w[k];
        }
    }
}

const struct op op_group_norm = {.name = "group_norm", .forward = norm_forward, .backward = norm_backward};

int nn_group_norm(struct graph *g, int param, int groups) {
    if (g->err.code) return -1;
    if (param < 0 || param >= g->n_params || groups < 1 || g->param[param]->cols % (size_t)groups != 0)
        return graph_fail(g, "group_norm: the weight's columns are no multiple of %d groups", groups);
    const struct param *p = g->param[param];
    int id = graph_add_node(g, &op_group_norm, "group_norm", 0, NULL, 1);
    if (id < 0) return -1;
    struct node *n = g->node[id];
    n->attr_list = arena_alloc(&g->arena, 2 * sizeof *n->attr_list);
    if (!n->attr_list) return err_nomem(&g->err, 2 * sizeof *n->attr_list), -1;
    n->n_attr = 2;
    n->attr_list[0] = (int)p->rows;
    n->attr_list[1] = (int)p->cols;
    n->attr_i[0] = groups;
    return graph_set_params(g, id, 1, &param);
}
