/* Binary cross-entropy on logits, one loss a row: max(z,0) - z y + log(1 + exp(-|z|)); y in [0,1] (soft
 * labels allowed). in: logit (B,1), label (number column). */
#include "nn/op.h"
#include <math.h>

static void bce_forward(struct op_ctx *c) {
    const float *y = c->in_col[1]->number;
    for (size_t r = 0; r < c->rows; r++) {
        float z = c->in[0].p[r * c->in[0].ld];
        c->out.p[r * c->out.ld] = (z > 0 ? z : 0) - z * y[r] + log1pf(expf(-fabsf(z)));
    }
}

static void bce_backward(struct op_ctx *c) {
    const float *y = c->in_col[1]->number;
    if (!c->in_grad[0].p) return;
    for (size_t r = 0; r < c->rows; r++) {
        float z = c->in[0].p[r * c->in[0].ld], e = expf(-fabsf(z)), p = z >= 0 ? 1 / (1 + e) : e / (1 + e);
        float v = c->out_grad.p[r * c->out_grad.ld] * (p - y[r]), *d = &c->in_grad[0].p[r * c->in_grad[0].ld];
        *d = c->in_acc[0] ? *d + v : v;
    }
}

const struct op op_bce = {.name = "bce", .forward = bce_forward, .backward = bce_backward};

int nn_bce(struct graph *g, int logit, int label) {
    if (g->err.code) return -1;
    if (logit < 0 || g->node[logit]->width != 1) return graph_fail(g, "bce: the logit must have width 1");
    if (label < 0 || g->node[label]->input < 0 || g->node[label]->type != VALUE_NUMBER)
        return graph_fail(g, "bce: the label must be a number column");
    int in[] = {logit, label};
    return graph_add_node(g, &op_bce, "bce", 2, in, 1);
}
