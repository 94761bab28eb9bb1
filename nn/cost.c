#include "nn/exec.h"
#include "nn/op.h"

static void add(struct cost *to, const struct cost *c) {
    to->flops += c->flops;
    to->gather_bytes += c->gather_bytes;
    to->stream_bytes += c->stream_bytes;
    to->weight_bytes += c->weight_bytes;
}

void graph_cost_count(const struct graph *g, struct graph_cost *out) {
    *out = (struct graph_cost){0};
    for (int i = 0; i < g->n_nodes; i++) {
        struct cost c = {0};
        if (!g->node[i]->op->cost) continue;
        g->node[i]->op->cost(g, g->node[i], &c);
        add(&out->side[g->node[i]->side & 3], &c);
        add(&out->total, &c);
    }
}
