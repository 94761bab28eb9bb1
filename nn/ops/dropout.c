/* Inverted dropout (Srivastava et al. 2014): in training each value is dropped with probability p and the
 * others are divided by 1-p. Whether (row, column) is dropped is a hash of the step's seed, the node and the
 * position: forward and backward agree without storing a mask, and threads do not matter. attr_f 0 = p;
 * attr_i 0 = the node's own stream. */
#include "nn/op.h"
#include "nn/vec.h"

static uint32_t
mix(uint32_t x) { /* finaliser "lowbias32" by C. Wellons, https://nullprogram.com/blog/2018/07/31/ */
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ (x >> 16);
}

static void mask(struct op_ctx *c, struct mat dst, struct mat src, bool acc) {
    double p = c->node->attr_f[0];
    uint32_t limit = (uint32_t)(p * 4294967295.0), w = (uint32_t)c->node->width;
    float keep = (float)(1 / (1 - p));
    uint32_t stream =
        mix((uint32_t)c->seed) ^ mix((uint32_t)(c->seed >> 32) + 0x9e3779b9U * (uint32_t)c->node->attr_i[0]);
    for (size_t r = 0; r < c->rows; r++) {
        const float *s = src.p + r * src.ld;
        float *d = dst.p + r * dst.ld;
        uint32_t base = mix(stream + (uint32_t)(c->first_row + r));
        for (uint32_t j = 0; j < w; j++) {
            float v = mix(base + j * 0x9e3779b9U) >= limit ? s[j] * keep : 0;
            d[j] = acc ? d[j] + v : v;
        }
    }
}

static void dropout_forward(struct op_ctx *c) {
    if (c->training)
        mask(c, c->out, c->in[0], false);
    else
        vec_copy(c->rows, (size_t)c->node->width, c->out, c->in[0], 1, false);
}
static void dropout_backward(struct op_ctx *c) {
    if (c->in_grad[0].p) mask(c, c->in_grad[0], c->out_grad, c->in_acc[0]);
}

const struct op op_dropout = {.name = "dropout", .forward = dropout_forward, .backward = dropout_backward};

int nn_dropout(struct graph *g, int x, double rate) {
    if (g->err.code) return -1;
    if (x < 0 || g->node[x]->width < 1) return graph_fail(g, "dropout: needs a computed input");
    if (!(rate >= 0 && rate < 1)) return graph_fail(g, "dropout: the rate must be in [0, 1), not %g", rate);
    int id = graph_add_node(g, &op_dropout, "dropout", 1, &x, g->node[x]->width);
    if (id < 0) return -1;
    g->node[id]->attr_f[0] = rate;
    g->node[id]->attr_i[0] = id;
    return id;
}
