/* GwEN: the embeddings of all fields, pair features included, through one MLP to the logit (the ranker's
 * plain form; COLD's network without its feature selection). */
#include "variants/variant.h"
#include <stdio.h>

struct mlp_variant_options {
    struct model_options model;
    struct mlp_options mlp;
};

static const struct opt mlp_opts[] = {
    MODEL_OPTS(struct mlp_variant_options),
    MLP_OPTS(struct mlp_variant_options, mlp, "256,128,64", "units of each hidden layer"), OPT_END};

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct mlp_variant_options *o = options;
    int n, x = parts_embed(g, f, take_all, (int)o->model.dim, &n);
    if (!n) return err_set(e, ERR_INPUT, "mlp: the feature subset is empty");
    x = parts_mlp(g, x, &o->mlp, false, "mlp");
    char name[NN_NAME_MAX];
    snprintf(name, sizeof name, "mlp.%d", o->mlp.hidden.n);
    g->output = nn_linear(g, x, 1, ACT_NONE, name);
    return 0;
}

const struct variant variant_mlp = {.name = "mlp",
                                    .help = "GwEN: all fields with pair features through one MLP",
                                    .opts = mlp_opts,
                                    .options_bytes = sizeof(struct mlp_variant_options),
                                    .build = build};
