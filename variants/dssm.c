/* DSSM, the two-tower model (Huang et al. 2013): each side's embeddings go through an MLP of their own; the
 * score is the inner product of the two vectors. Pair features have no place in it. With `normalize`: cosine
 * / temperature. */
#include "variants/variant.h"
#include <string.h>

struct dssm_options {
    struct model_options model;
    struct mlp_options tower;
    bool normalize;
    double temperature;
};

static const struct opt dssm_opts[] = {
    MODEL_OPTS(struct dssm_options),
    MLP_OPTS(struct dssm_options, tower, "128,64,32",
             "units of each tower's layers; the last is the vector's dimension"),
    OPT_BOOL(struct dssm_options, normalize, "false",
             "score by cosine / temperature instead of the inner product"),
    OPT_DOUBLE(struct dssm_options, temperature, "1", 1e-3, 100,
               "what the cosine is divided by (0.05 is usual)"),
    OPT_END};

static int tower(struct graph *g, const struct features *f, const struct dssm_options *o, bool user,
                 struct err *e) {
    int n, x = parts_embed(g, f, user ? take_user : take_item, (int)o->model.dim, &n);
    const char *name = user ? "user" : "item";
    if (!n) return err_set(e, ERR_INPUT, "dssm: the feature subset has no field of the %s side", name), -1;
    x = parts_mlp(g, x, &o->tower, true, name);
    return o->normalize ? nn_l2_normalize(g, x) : x;
}

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct dssm_options *o = options;
    int u = tower(g, f, o, true, e), v = u < 0 ? -1 : tower(g, f, o, false, e);
    if (u < 0 || v < 0) return g->err.code ? (*e = g->err).code : e->code;
    g->output = nn_dot(g, u, v);
    if (o->normalize && g->output >= 0) g->output = nn_scale(g, g->output, 1 / o->temperature);
    return 0;
}

static const char *idle(const void *options, const char *name) {
    const struct dssm_options *o = options;
    return !strcmp(name, "temperature") && !o->normalize ? "without `normalize: true`" : NULL;
}

const struct variant variant_dssm = {.name = "dssm",
                                     .help = "two towers, score = inner product of their vectors",
                                     .opts = dssm_opts,
                                     .options_bytes = sizeof(struct dssm_options),
                                     .two_tower = true,
                                     .idle = idle,
                                     .build = build};
