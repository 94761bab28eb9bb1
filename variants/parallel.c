/* Parallel towers: on each side several interaction networks give a vector each; the user's and the item's
 * vector of a channel are multiplied elementwise, and a logistic regression over all products gives the
 * logit. At serving its weights fold into the user's vector (passes.h), so the pair stage is one inner
 * product of the concatenated vectors.
 *
 *     mlp  the DSSM tower
 *     dcn  cross layers, then a linear to d
 *     fm   [sum of embeddings, second-order term within the side, 1]: the inner product over both sides is exactly the
 *          FM's cross-tower sum plus both within-side terms (Rendle 2010)
 *     ffm  one vector per field of the other side (Juan et al. 2016): all user field x item field products in one
 *          inner product
 *     cin  two CIN layers, sum-pooled, then a linear to d (Lian et al. 2018) */
#include "variants/variant.h"
#include <stdio.h>
#include <string.h>

enum { MLP, DCN, FM, FFM, CIN };
static const char *const channel_names[] = {"mlp", "dcn", "fm", "ffm", "cin", NULL};

struct parallel_options {
    struct model_options model;
    struct mlp_options tower;
    struct opt_ints channels; /* indices in channel_names */
    int64_t vector, cross_layers, ffm_dim;
    struct opt_ints cin;
};

static const struct opt parallel_opts[] = {
    MODEL_OPTS(struct parallel_options),
    MLP_OPTS(struct parallel_options, tower, "128,64", "units of the mlp channel's hidden layers"),
    OPT_ENUMS(struct parallel_options, channels, "mlp,dcn,fm,ffm,cin", channel_names,
              "interaction towers side by side"),
    {"d", OPT_T_INT, offsetof(struct parallel_options, vector), "32", 1, 4096, NULL,
     "dimension of the mlp, dcn and cin vectors"},
    OPT_INT(struct parallel_options, cross_layers, "3", 1, 16, "cross layers of the dcn channel"),
    OPT_INT(struct parallel_options, ffm_dim, "4", 1, 256, "dimension of an ffm vector"),
    OPT_INTS(struct parallel_options, cin, "32,32", 1, 1024, "feature maps of each cin layer"),
    OPT_END};

struct side_input { /* what the channels of one side are built from */
    const struct features *f;
    const struct parallel_options *o;
    bool user;
    const char *name;
    int x, fields, other_fields;
};

static const char *named(char *text, const char *side, const char *rest) {
    snprintf(text, NN_NAME_MAX, "%s.%s", side, rest);
    return text;
}

static int mlp_channel(struct graph *g, const struct side_input *s) {
    char name[NN_NAME_MAX], last[NN_NAME_MAX];
    int x = parts_mlp(g, s->x, &s->o->tower, false, named(name, s->name, "mlp"));
    return nn_linear(g, x, (int)s->o->vector, ACT_NONE, named(last, s->name, "mlp.out"));
}

static int dcn_channel(struct graph *g, const struct side_input *s) {
    char name[NN_NAME_MAX];
    int x = parts_cross(g, s->x, s->o->cross_layers, named(name, s->name, "dcn"));
    return nn_linear(g, x, (int)s->o->vector, ACT_NONE, named(name, s->name, "dcn.out"));
}

static int fm_channel(struct graph *g, const struct side_input *s) {
    side_t side = s->user ? SIDE_USER : SIDE_ITEM;
    int sum = s->fields > 1 ? nn_group_sum(g, s->x, s->fields) : s->x;
    int parts[] = {nn_row_sum(g, nn_mul(g, sum, sum)), nn_scale(g, nn_row_sum(g, nn_mul(g, s->x, s->x)), -1)};
    int within = nn_scale(g, nn_add(g, 2, parts), 0.5), one = nn_constant(g, side, 1, 1);
    int vector[] = {sum, s->user ? within : one, s->user ? one : within};
    return nn_concat(g, 3, vector);
}

/* Field k's table holds one vector of ffm_dim per field of the other side, in their order; the user's blocks
 * lie by (own, other), and the item's are put into the same order. */
static int ffm_channel(struct graph *g, const struct side_input *s) {
    int field[NODE_MAX_INPUTS], block[NODE_MAX_INPUTS], n = 0, d = (int)s->o->ffm_dim;
    for (int i = 0; i < s->f->n; i++) {
        const struct feature *f = &s->f->feature[i];
        char table[NN_NAME_MAX];
        if (!(s->user ? take_user : take_item)(f->side)) continue;
        snprintf(table, sizeof table, "ffm.%s", f->name);
        field[n++] =
            nn_embedding(g, graph_input(g, f->name, f->side, f->type, f->vocab), s->other_fields * d, table);
    }
    if (s->user) return nn_concat(g, n, field);
    if (n * s->other_fields > NODE_MAX_INPUTS)
        return graph_fail(g, "ffm: %d x %d field pairs, at most %d are possible", n, s->other_fields,
                          NODE_MAX_INPUTS);
    for (int u = 0; u < s->other_fields; u++)
        for (int v = 0; v < n; v++) block[u * n + v] = nn_slice(g, field[v], u * d, d);
    return nn_concat(g, n * s->other_fields, block);
}

static int cin_channel(struct graph *g, const struct side_input *s) {
    int pooled[OPT_LIST_MAX], x = s->x, dim = (int)s->o->model.dim;
    char name[NN_NAME_MAX], rest[32];
    for (int k = 0; k < s->o->cin.n; k++) {
        snprintf(rest, sizeof rest, "cin.%d", k);
        x = nn_cin(g, x, s->x, (int)s->o->cin.v[k], dim, named(name, s->name, rest));
        pooled[k] = nn_group_pool(g, x, (int)s->o->cin.v[k]);
    }
    return nn_linear(g, nn_concat(g, s->o->cin.n, pooled), (int)s->o->vector, ACT_NONE,
                     named(name, s->name, "cin.out"));
}

static int side_vector(struct graph *g, const struct side_input *s) {
    static int (*const channel[])(struct graph *, const struct side_input *) = {[MLP] = mlp_channel,
                                                                                [DCN] = dcn_channel,
                                                                                [FM] = fm_channel,
                                                                                [FFM] = ffm_channel,
                                                                                [CIN] = cin_channel};
    int vector[OPT_LIST_MAX];
    for (int k = 0; k < s->o->channels.n; k++) vector[k] = channel[s->o->channels.v[k]](g, s);
    return nn_concat(g, s->o->channels.n, vector);
}

/* Any subset of the channels will do, in any order. `embedded`: one of them reads the fields' embeddings; ffm has tables
 * of its own. */
static int check_channels(const struct parallel_options *o, bool *embedded, struct err *e) {
    int64_t seen = 0;
    if (!o->channels.n) return err_set(e, ERR_INPUT, "parallel: `channels` is empty");
    for (int k = 0; k < o->channels.n; k++) {
        int64_t c = o->channels.v[k];
        if (seen >> c & 1)
            return err_set(e, ERR_INPUT, "parallel: the channel `%s` is listed twice", channel_names[c]);
        if (c == CIN && !o->cin.n)
            return err_set(e, ERR_INPUT, "parallel: `cin` is empty; leave out the channel instead");
        seen |= (int64_t)1 << c;
        *embedded |= c != FFM;
    }
    return 0;
}

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct parallel_options *o = options;
    struct side_input user = {.f = f, .o = o, .user = true, .name = "user"},
                      item = {.f = f, .o = o, .name = "item"};
    bool embedded = false;
    TRY(check_channels(o, &embedded, e));
    for (int i = 0; i < f->n; i++) {
        user.fields += take_user(f->feature[i].side);
        item.fields += take_item(f->feature[i].side);
    }
    if (!user.fields || !item.fields)
        return err_set(e, ERR_INPUT, "parallel: the feature subset has no field of the %s side",
                       user.fields ? "item" : "user");
    if (embedded) {
        user.x = parts_embed(g, f, take_user, (int)o->model.dim, &user.fields);
        item.x = parts_embed(g, f, take_item, (int)o->model.dim, &item.fields);
    }
    user.other_fields = item.fields;
    item.other_fields = user.fields;
    int u = side_vector(g, &user), v = side_vector(g, &item);
    g->output = nn_linear(g, nn_mul(g, u, v), 1, ACT_NONE, "fusion");
    return 0;
}

/* An option that none of the channels reads. */
static const char *idle(const void *options, const char *name) {
    enum { M = 1 << MLP, D = 1 << DCN, F = 1 << FM, P = 1 << FFM, C = 1 << CIN };
    static const struct {
        const char *name;
        int readers;
        const char *why;
    } known[] = {{"dim", M | D | F | C, "with `channels: [ffm]`"},
                 {"hidden", M, "without the channel mlp"},
                 {"dropout", M, "without the channel mlp"},
                 {"batch_norm", M, "without the channel mlp"},
                 {"batch_norm_uniform", M, "without the channel mlp"},
                 {"d", M | D | C, "without the channels mlp, dcn and cin"},
                 {"cross_layers", D, "without the channel dcn"},
                 {"ffm_dim", P, "without the channel ffm"},
                 {"cin", C, "without the channel cin"}};
    const struct parallel_options *o = options;
    int chosen = 0;
    for (int k = 0; k < o->channels.n; k++) chosen |= 1 << o->channels.v[k];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name) && !(chosen & known[i].readers)) return known[i].why;
    return NULL;
}

const struct variant variant_parallel = {
    .name = "parallel",
    .help = "several interaction towers side by side, fused by a logistic regression",
    .opts = parallel_opts,
    .options_bytes = sizeof(struct parallel_options),
    .two_tower = true,
    .idle = idle,
    .build = build};
