/* Two towers with an SE block in front of each MLP (Hu et al. 2018; in towers: Zhang 2020): a field's
 * embedding is multiplied by a learned weight that depends on all fields of its side,  a = act2(W2 relu(W1
 * z)),  z_f = mean over D of e_f. */
#include "variants/variant.h"
#include <stdio.h>

struct senet_options {
    struct model_options model;
    struct mlp_options tower;
    int64_t reduction;
    int gate; /* index in gate_names */
    bool skip;
};

static const char *const gate_names[] = {"relu", "sigmoid", NULL};
static const struct opt senet_opts[] = {
    MODEL_OPTS(struct senet_options),
    MLP_OPTS(struct senet_options, tower, "128,64,32",
             "units of each tower's layers; the last is the vector's dimension"),
    OPT_INT(struct senet_options, reduction, "3", 1, 64,
            "the SE block's bottleneck has fields / reduction units"),
    OPT_ENUM(struct senet_options, gate, "relu", gate_names,
             "activation of the field weights (relu can switch a field off)"),
    OPT_BOOL(struct senet_options, skip, "false", "add the embeddings as they were to the reweighed ones"),
    OPT_END};

static int tower(struct graph *g, const struct features *f, const struct senet_options *o, bool user,
                 struct err *e) {
    int fields, x = parts_embed(g, f, user ? take_user : take_item, (int)o->model.dim, &fields);
    const char *side = user ? "user" : "item";
    if (!fields)
        return err_set(e, ERR_INPUT, "senet: the feature subset has no field of the %s side", side), -1;
    char squeeze[NN_NAME_MAX], excite[NN_NAME_MAX];
    snprintf(squeeze, sizeof squeeze, "%s.se.0", side);
    snprintf(excite, sizeof excite, "%s.se.1", side);
    int units = fields / (int)o->reduction,
        z = nn_scale(g, nn_group_pool(g, x, fields), 1.0 / (double)o->model.dim);
    int a = nn_linear_no_bias(g, z, units < 1 ? 1 : units, ACT_RELU, squeeze);
    a = nn_linear_no_bias(g, a, fields, o->gate ? ACT_SIGMOID : ACT_RELU, excite);
    int both[] = {fields == 1 ? nn_mul(g, x, a) : nn_group_scale(g, x, a), x};
    return parts_mlp(g, o->skip ? nn_add(g, 2, both) : both[0], &o->tower, true, side);
}

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct senet_options *o = options;
    int u = tower(g, f, o, true, e), v = u < 0 ? -1 : tower(g, f, o, false, e);
    if (u < 0 || v < 0) return g->err.code ? (*e = g->err).code : e->code;
    g->output = nn_dot(g, u, v);
    return 0;
}

const struct variant variant_senet = {.name = "senet",
                                      .help = "two towers whose fields are reweighed by an SE block",
                                      .opts = senet_opts,
                                      .options_bytes = sizeof(struct senet_options),
                                      .two_tower = true,
                                      .build = build};
