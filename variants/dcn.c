/* DCN-v2 (Wang et al. 2021) as a ranker: cross layers over all fields beside an MLP, concatenated, then
 * linear to the logit. */
#include "variants/variant.h"

struct dcn_options {
    struct model_options model;
    struct mlp_options mlp;
    int64_t cross_layers;
};

static const struct opt dcn_opts[] = {
    MODEL_OPTS(struct dcn_options),
    MLP_OPTS(struct dcn_options, mlp, "256,128", "units of each hidden layer of the MLP"),
    OPT_INT(struct dcn_options, cross_layers, "3", 1, 16, "cross layers"), OPT_END};

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct dcn_options *o = options;
    int n, x = parts_embed(g, f, take_all, (int)o->model.dim, &n);
    if (!n) return err_set(e, ERR_INPUT, "dcn: the feature subset is empty");
    int both[] = {parts_cross(g, x, o->cross_layers, "cross"), parts_mlp(g, x, &o->mlp, false, "mlp")};
    g->output = nn_linear(g, nn_concat(g, 2, both), 1, ACT_NONE, "out");
    return 0;
}

const struct variant variant_dcn = {.name = "dcn",
                                    .help = "DCN-v2: cross layers beside an MLP, all fields",
                                    .opts = dcn_opts,
                                    .options_bytes = sizeof(struct dcn_options),
                                    .build = build};
