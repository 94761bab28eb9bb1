/* fscd: a learned gate a field, under a price for the field's cost (Ma et al. 2021, "Towards a Better Tradeoff between
 * Effectiveness and Efficiency in Pre-Ranking: A Learnable Feature Selection based Approach", SIGIR):
 *     L = mean BCE + (strength / N) sum_j c_j z_j,    c_j = g1 o_j + g2 e_j + g3 n_j
 * z_j: nn/ops/concrete_gate.c. o_j is what was measured for the field at serving, over an even share of the request (field_cost.h);
 * e_j the embedding's size; n_j the number of its keys; N the rows of a batch. A field's
 * importance is d_j, the probability that its gate is open. */
#include "bench/select/gated.h"
#include "bench/select/learn.h"
#include <math.h>
#include <stdio.h>

enum { COST_KEPT, COST_MEASURED, COST_EQUAL };
struct fscd_options {
    double strength, temperature, online, embedding, keys;
    int cost;
};
static const char *const cost_names[] = {"kept", "measured", "equal", NULL};
static const struct opt opts[] = {
    OPT_DOUBLE(struct fscd_options, strength, "1", 0, 1e6, "factor on the price of all fields"),
    OPT_DOUBLE(struct fscd_options, temperature, "0.1", 0.001, 10, "of the gates: lower is closer to 0 or 1"),
    OPT_DOUBLE(struct fscd_options, online, "1", 0, 1e6,
               "weight of the cost of serving, which is 1 for an even share of the request"),
    OPT_DOUBLE(struct fscd_options, embedding, "0.01", 0, 1e6, "weight of the embedding's size"),
    OPT_DOUBLE(struct fscd_options, keys, "1e-7", 0, 1e6, "weight of the number of keys"),
    OPT_ENUM(struct fscd_options, cost, "kept", cost_names,
             "cost of serving: as once measured on this machine and kept beside the data, so that runs rank "
             "alike; "
             "measured anew, and kept; or the same for every field"),
    OPT_END};
static const char gates[] = "select.gate";

static double price(const struct rank_task *t, int field) {
    const struct fscd_options *o = t->options;
    const struct model_options *model = t->variant->options;
    double online = t->cost ? fmax(t->cost[field], 0) : 1;
    return o->online * online + o->embedding * (double)model->dim +
           o->keys * (double)t->features->feature[field].vocab;
}

static int gate(struct graph *g, int x, const struct field_concat *c, const void *ctx) {
    const struct rank_task *t = ctx;
    const struct fscd_options *o = t->options;
    char name[NN_NAME_MAX];
    int z = nn_concrete_gate(g, c->n, o->temperature, field_concat_name(c, gates, name)),
        part[NODE_MAX_INPUTS];
    for (int k = 0; k < c->n; k++) part[k] = nn_scale(g, nn_slice(g, z, k, 1), price(t, c->field[k]));
    if (o->strength > 0)
        graph_add_loss(g, nn_add(g, c->n, part), o->strength / (double)t->variant->train.batch);
    return nn_group_scale(g, x, z);
}

static void read_gates(const struct graph *g, const struct field_concat *c, double *importance) {
    char name[NN_NAME_MAX], logit[NN_NAME_MAX + 8];
    snprintf(logit, sizeof logit, "%s.logit", field_concat_name(c, gates, name));
    const float *v = g->param[graph_find_param(g, logit)]->value;
    for (int k = 0; k < c->n; k++) importance[c->field[k]] = 1 / (1 + exp(-(double)v[k]));
}

static int rank(const struct rank_task *t, double *importance, struct err *e) {
    const struct gated_options o = {.model = *(const struct model_options *)t->variant->options,
                                    .variant = t->variant->variant,
                                    .options = t->variant->options,
                                    .gate = gate,
                                    .ctx = t};
    struct trained m;
    struct field_concats c;
    int rc = learn_to_the_end(t, &variant_gated, &o, t->features, &m, e);
    if (!rc) rc = field_concats_find(&m.graph, t->features, &c, e);
    for (int k = 0; !rc && k < c.n; k++) read_gates(&m.graph, &c.v[k], importance);
    trained_release(&m);
    return rc;
}

static enum rank_by_cost cost(const void *options) {
    static const enum rank_by_cost by[] = {
        [COST_KEPT] = RANK_BY_KEPT, [COST_MEASURED] = RANK_BY_MEASURED, [COST_EQUAL] = RANK_BY_NO_COST};
    return by[((const struct fscd_options *)options)->cost];
}

const struct selector selector_fscd = {.name = "fscd",
                                       .help = "learned gates under a price for what each field costs",
                                       .opts = opts,
                                       .options_bytes = sizeof(struct fscd_options),
                                       .cost = cost,
                                       .fits = field_concats_fit,
                                       .rank = rank};
