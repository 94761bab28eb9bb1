/* IntTower (Li et al. 2022), the step beyond one inner product: the user's vector after each hidden layer,
 * projected to `heads` vectors, meets the item's last layer, projected likewise: score = sum over layers and
 * heads h of max over h' of <u_h, v_h'>. */
#include "variants/variant.h"
#include <stdio.h>

struct inttower_options {
    struct model_options model;
    struct mlp_options tower;
    int64_t heads, head_dim;
};

static const struct opt inttower_opts[] = {
    MODEL_OPTS(struct inttower_options),
    MLP_OPTS(struct inttower_options, tower, "128,64,32", "units of each tower's layers"),
    OPT_INT(struct inttower_options, heads, "4", 1, 64, "vectors a layer is split into"),
    OPT_INT(struct inttower_options, head_dim, "32", 1, 1024, "dimension of a head"), OPT_END};

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct inttower_options *o = options;
    int n_user, n_item, heads = (int)(o->heads * o->head_dim), sum[OPT_LIST_MAX], layers = o->tower.hidden.n;
    int u = parts_embed(g, f, take_user, (int)o->model.dim, &n_user),
        v = parts_embed(g, f, take_item, (int)o->model.dim, &n_item);
    if (!n_user || !n_item)
        return err_set(e, ERR_INPUT, "inttower: the feature subset has no field of the %s side",
                       n_user ? "item" : "user");
    if (!layers) return err_set(e, ERR_INPUT, "inttower: `hidden` is empty");
    v = nn_linear_no_bias(g, parts_mlp(g, v, &o->tower, false, "item"), heads, ACT_NONE, "item.heads");
    for (int k = 0; k < layers; k++) {
        char name[NN_NAME_MAX];
        snprintf(name, sizeof name, "user.%d", k);
        struct mlp_options one = o->tower;
        one.hidden = (struct opt_ints){.n = 1, .v = {o->tower.hidden.v[k]}};
        u = parts_mlp(g, u, &one, false, name);
        snprintf(name, sizeof name, "user.%d.heads", k);
        sum[k] = nn_max_sim(g, nn_linear_no_bias(g, u, heads, ACT_NONE, name), v, (int)o->heads);
    }
    g->output = nn_add(g, layers, sum);
    return 0;
}

const struct variant variant_inttower = {.name = "inttower",
                                         .help =
                                             "late interaction of the user's layers with the item's heads",
                                         .opts = inttower_opts,
                                         .options_bytes = sizeof(struct inttower_options),
                                         .two_tower = true,
                                         .build = build};
