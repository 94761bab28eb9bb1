/* se: COLD's importance block (Wang et al. 2020): trained once with s = sigmoid(W concat(e_1 .. e_M) + b) in front
 * of the network, v_f = s_f e_f; a field's importance is the mean of s_f over the validation rows. The models that
 * follow are trained without it. Two towers get a block each, so that they stay two. */
#include "bench/select/gated.h"
#include "bench/select/learn.h"
#include "bench/select/passage.h"
#include "nn/op.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {OPT_END};
static const char block[] = "select.importance";

static int gate(struct graph *g, int x, const struct field_concat *c, const void *ctx) {
    (void)ctx;
    char name[NN_NAME_MAX];
    return parts_importance(g, x, c->n, field_concat_name(c, block, name));
}

/* The linear layer of the concat's block, whose values are s. */
static int find_block(const struct graph *g, const struct field_concat *c) {
    char name[NN_NAME_MAX], weight[NN_NAME_MAX + 8];
    snprintf(weight, sizeof weight, "%s.weight", field_concat_name(c, block, name));
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->n_params && !strcmp(g->param[g->node[i]->param[0]]->name, weight)) return i;
    return -1;
}

static int measure(const struct rank_task *t, const struct graph *g, double *importance, struct err *e) {
    const struct train_options *train = &t->variant->train;
    struct passage p;
    struct field_concats c;
    double mean[NODE_MAX_INPUTS];
    int rc = 0;
    TRY(field_concats_find(g, t->features, &c, e));
    TRY(passage_open(t->ds, g, (size_t)train->batch, (size_t)train->slice, t->pool, &p, e));
    for (int i = 0; i < c.n && !rc; i++) {
        rc = passage_means(&p, find_block(g, &c.v[i]), mean, e);
        for (int k = 0; k < c.v[i].n && !rc; k++) importance[c.v[i].field[k]] = mean[k];
    }
    passage_close(&p);
    return rc;
}

static int rank(const struct rank_task *t, double *importance, struct err *e) {
    const struct gated_options o = {.model = *(const struct model_options *)t->variant->options,
                                    .variant = t->variant->variant,
                                    .options = t->variant->options,
                                    .gate = gate};
    struct trained m;
    int rc = learn(t, &variant_gated, &o, t->features, &m, e);
    if (!rc) rc = measure(t, &m.graph, importance, e);
    trained_release(&m);
    return rc;
}

const struct selector selector_se = {
    .name = "se",
    .help = "COLD's SE block over all fields: mean weight on the validation rows",
    .opts = opts,
    .fits = field_concats_fit,
    .rank = rank};
