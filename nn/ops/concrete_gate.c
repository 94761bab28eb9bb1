/* A learned gate per field, the same for all rows of a batch: () -> (B,F), FSCD's relaxed Bernoulli (Ma et al.
 * 2021, "Towards a Better Tradeoff between Effectiveness and Efficiency in Pre-Ranking"; Maddison et al. 2017):
 *     z_j = sigmoid((logit d_j + logit u_j) / t),  u_j ~ U(0,1) drawn anew for each batch
 * The parameter holds logit d_j. Without training u_j is its median 1/2. attr_f: 0 = t; attr_i: 0 = the number of u_0, after
 * those of the graph's other gates. A copy of a node is the same gate (of other rows) and so has the same u.
 * d z_j / d logit d_j = z_j (1 - z_j) / t. */
#include "base/rng.h"
#include "nn/op.h"
#include <math.h>
#include <stdio.h>

static double gate(const struct op_ctx *c, size_t j) {
    double logit = c->param[0][j];
    if (c->training) {
        struct rng r = rng_init(c->seed, rng_stream("gate") + (uint64_t)c->node->attr_i[0] + j);
        double u = (rng_uniform(&r) + 0x1p-54); /* never 0 */
        logit += log(u) - log1p(-u);
    }
    return 1 / (1 + exp(-logit / c->node->attr_f[0]));
}

static void gate_forward(struct op_ctx *c) {
    for (size_t j = 0; j < (size_t)c->node->width; j++) {
        float z = (float)gate(c, j);
        for (size_t r = 0; r < c->rows; r++) c->out.p[r * c->out.ld + j] = z;
    }
}

static void gate_backward(struct op_ctx *c) {
    for (size_t j = 0; j < (size_t)c->node->width; j++) {
        double z = gate(c, j), sum = 0;
        for (size_t r = 0; r < c->rows; r++) sum += (double)c->out_grad.p[r * c->out_grad.ld + j];
        c->param_grad[0][j] += (float)(sum * z * (1 - z) / c->node->attr_f[0]);
    }
}

const struct op op_concrete_gate = {
    .name = "concrete_gate", .forward = gate_forward, .backward = gate_backward};

static int fields_gated(const struct graph *g) {
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->op == &op_concrete_gate) n += g->node[i]->width;
    return n;
}

int nn_concrete_gate(struct graph *g, int fields, double temperature, const char *name) {
    char text[NN_NAME_MAX + 16];
    if (g->err.code) return -1;
    if (fields < 1 || !(temperature > 0)) return graph_fail(g, "%s: needs a field and a temperature", name);
    snprintf(text, sizeof text, "%s.logit", name);
    int before = fields_gated(g), p = graph_add_param(g, text, PARAM_DENSE, 1, (size_t)fields, INIT_ZERO);
    int id = p < 0 ? -1 : graph_add_node(g, &op_concrete_gate, name, 0, NULL, fields);
    if (id < 0) return -1;
    struct node *n = g->node[id];
    g->param[p]->vector = true;
    n->attr_f[0] = temperature;
    n->attr_i[0] = before;
    return graph_set_params(g, id, 1, &p);
}
