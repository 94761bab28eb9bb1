/* COLD (Wang et al. 2020): user, item and pair fields through an MLP whose size and fields are chosen to fit
 * a compute budget. `linear_log` bounds the concatenated embeddings, which keeps half precision from
 * overflowing. `importance: se` trains with a gate on every field whose mean over rows is the field's importance (node
 * "importance"); the fields that stay are trained again without it. */
#include "variants/variant.h"
#include <stdio.h>

struct cold_options {
    struct model_options model;
    struct mlp_options mlp;
    int importance; /* index in importance_names */
    bool linear_log;
};

static const char *const importance_names[] = {"none", "se", NULL};

static const struct opt cold_opts[] = {
    MODEL_OPTS(struct cold_options),
    MLP_OPTS(struct cold_options, mlp, "256,128,64", "units of each hidden layer"),
    OPT_BOOL(struct cold_options, linear_log, "false",
             "x -> sign(x)(log|x| + 1) beyond 1 on the concatenated embeddings"),
    OPT_ENUM(struct cold_options, importance, "none", importance_names,
             "se: a gate on every field, learned to rank the fields (for training, not for serving)"),
    OPT_END};

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct cold_options *o = options;
    char name[NN_NAME_MAX];
    int n, x = parts_embed(g, f, take_all, (int)o->model.dim, &n);
    if (!n) return err_set(e, ERR_INPUT, "cold: the feature subset is empty");
    if (o->importance) x = parts_importance(g, x, n, "importance");
    if (o->linear_log) x = nn_act(g, x, ACT_LINEAR_LOG);
    snprintf(name, sizeof name, "mlp.%d", o->mlp.hidden.n);
    g->output = nn_linear(g, parts_mlp(g, x, &o->mlp, false, "mlp"), 1, ACT_NONE, name);
    return 0;
}

static const char *training_only(const void *options) {
    const struct cold_options *o = options;
    return o->importance
               ? "`importance: se` is a gate over all fields, which ties the sides together and is for "
                 "ranking the fields: `select: {rank_by: [se]}` does so and trains the best of them without "
                 "it"
               : NULL;
}

const struct variant variant_cold = {.name = "cold",
                                     .help = "COLD: all fields through an MLP sized to the compute budget",
                                     .opts = cold_opts,
                                     .options_bytes = sizeof(struct cold_options),
                                     .training_only = training_only,
                                     .build = build};
