/* se: COLD's importance block (Wang et al. 2020): trained once with s = sigmoid(W concat(e_1 .. e_M) + b) in front
 * of the network, v_f = s_f e_f; a field's importance is the mean of s_f over the validation rows. The models that
 * follow are trained without it. */
#include "bench/select/gated.h"
#include "bench/select/learn.h"
#include "bench/select/passage.h"
#include "nn/op.h"
#include <string.h>

static const struct opt opts[] = {OPT_END};
static const char block[] = "select.importance";

static int gate(struct graph *g, int x, const struct field_concat *c, const void *ctx) {
    (void)ctx;
    return parts_importance(g, x, c->n, block);
}

/* The linear layer of the block, whose values are s. */
static int find_block(const struct graph *g) {
    char weight[NN_NAME_MAX];
    snprintf(weight, sizeof weight, "%s.weight", block);
    for (int i = 0; i < g->n_nodes; i++)
        if (g->node[i]->n_params && !strcmp(g->param[g->node[i]->param[0]]->name, weight)) return i;
    return -1;
}

static int measure(const struct rank_task *t, const struct graph *g, double *importance, struct err *e) {
    const struct train_options *train = &t->variant->train;
    struct passage p;
    struct field_concat c;
    double mean[NODE_MAX_INPUTS];
    TRY(field_concat_find(g, t->features, &c, e));
    TRY(passage_open(t->ds, g, (size_t)train->batch, (size_t)train->slice, t->pool, &p, e));
    int rc = passage_means(&p, find_block(g), mean, e);
    passage_close(&p);
    for (int k = 0; k < c.n && !rc; k++) importance[c.field[k]] = mean[k];
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
    .rank = rank};
