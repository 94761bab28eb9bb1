#include "nn/loss.h"
#include "nn/op.h"
#include "nn/passes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SETS 64 /* of drawn, and of hard negatives */

static const char *const kind_names[] = {"bce", "in_batch", "uniform", "popularity", "mixed", NULL};
const struct opt loss_opts[] = {
    OPT_ENUM(struct loss_options, kind, "bce", kind_names,
             "cross-entropy on the label (pre-ranking), or softmax of a clicked item against sampled ones "
             "(retrieval; two-tower variants only)"),
    OPT_BOOL(struct loss_options, log_q, "true",
             "softmax: correct each sampled item's score by the log of how often it is sampled"),
    OPT_INT(struct loss_options, negatives, "1", 1, MAX_SETS,
            "uniform, popularity, mixed: items drawn per row of the batch; all rows of the batch share them"),
    OPT_DOUBLE(struct loss_options, power, "0.75", 0, 2,
               "popularity, mixed: an item is drawn in proportion to (its training rows)^power"),
    OPT_DOUBLE(struct loss_options, uniform_share, "0.5", 0, 1,
               "mixed: share of the drawn items that are drawn uniformly; the batch's own items come on top"),
    OPT_INT(struct loss_options, hard_negatives, "0", 0, MAX_SETS,
            "softmax: of the user's exposed but not clicked items, so many join a row's denominator"),
    OPT_DOUBLE(struct loss_options, temperature, "1", 1e-3, 100, "softmax: what scores are divided by"),
    OPT_END};

const struct opt distill_opts[] = {
    OPT_TEXT(
        struct distill_options, teacher, "",
        "id of another variant, or a variant's name: then it is trained with its defaults on all fields"),
    OPT_DOUBLE(struct distill_options, temperature, "2", 1e-2, 100,
               "what both scores are divided by before the sigmoid"),
    OPT_DOUBLE(struct distill_options, weight, "0.5", 0, 1,
               "share w of the teacher: (1-w) loss + w T^2 BCE(teacher, student)"),
    OPT_DOUBLE(
        struct distill_options, feature, "0", 0, 1000,
        "weight of the squared distance of the last hidden layers, through a learned linear map; 0: off"),
    OPT_END};

bool loss_option_applies(int kind, const char *option) {
    if (!strcmp(option, "kind")) return true;
    if (!strcmp(option, "negatives")) return kind > LOSS_IN_BATCH;
    if (!strcmp(option, "power")) return kind == LOSS_POPULARITY || kind == LOSS_MIXED;
    if (!strcmp(option, "uniform_share")) return kind == LOSS_MIXED;
    return kind != LOSS_BCE;
}

const char *loss_column(const char *name, enum loss_set *set, int *k) {
    static const struct {
        const char *prefix;
        enum loss_set set;
    } known[] = {{"@drawn", LOSS_SET_DRAWN}, {"@hard", LOSS_SET_HARD}};
    *set = LOSS_SET_ROW;
    *k = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].prefix);
        if (strncmp(name, known[i].prefix, n) != 0) continue;
        *set = known[i].set;
        *k = atoi(name + n);
        return strchr(name, '.') + 1;
    }
    return name;
}

/* ---- a two-tower model's vectors ---- */

struct towers {
    int user, item;
    double scale;
};

/* x's columns times a linear layer's weights (1,D), which this node then shares. */
static int scale_columns(struct graph *g, int x, int linear) {
    int id = graph_add_node(g, &op_column_scale, "loss.fusion", 1, &x, g->node[x]->width);
    return graph_set_params(g, id, 1, g->node[linear]->param);
}

/* The score is scale <user, item>, up to what is the same for all items: an inner product, or a linear layer
 * over an elementwise product. */
static int find_towers(struct graph *g, struct towers *t, struct err *e) {
    int at = g->output, fusion = -1;
    t->scale = 1;
    for (; g->node[at]->op == &op_scale; at = g->node[at]->in[0]) t->scale *= g->node[at]->attr_f[0];
    if (g->node[at]->op == &op_linear && g->node[at]->attr_i[0] == ACT_NONE) {
        fusion = at;
        at = g->node[at]->in[0];
    }
    const struct node *n = g->node[at];
    bool product = n->op == (fusion < 0 ? &op_dot : &op_mul) && n->n_in == 2;
    for (int k = 0; product && k < 2; k++) {
        t->user = n->in[k];
        t->item = n->in[1 - k];
        if (g->node[t->user]->side != SIDE_USER || g->node[t->item]->side != SIDE_ITEM) continue;
        if (fusion >= 0) t->user = scale_columns(g, t->user, fusion);
        return 0;
    }
    return err_set(e, ERR_INPUT,
                   "a softmax over sampled items takes two towers that meet in one inner product, and this "
                   "model's score is none; use `loss: {kind: bce}`");
}

static int column(struct graph *g, const char *prefix, const char *name) {
    char text[NN_NAME_MAX];
    snprintf(text, sizeof text, "%s%s", prefix, name);
    return graph_input(g, text, SIDE_NONE, VALUE_NUMBER, 0);
}

static int number(struct graph *g, const char *prefix, const char *name) {
    return nn_number(g, column(g, prefix, name));
}

/* The node in a second copy of what it depends on: the same parameters, columns that begin with `prefix`. */
static int copy_tower(struct graph *g, int root, const char *prefix) {
    int n = g->n_nodes, *map = arena_alloc(&g->arena, (size_t)n * sizeof *map);
    bool *mark = arena_alloc(&g->arena, (size_t)n * sizeof *mark);
    if (!map || !mark) return err_nomem(&g->err, (size_t)n * sizeof *map), -1;
    graph_mark(g, &root, 1, mark);
    for (int i = 0; i <= root; i++) {
        const struct node *from = g->node[i];
        if (!mark[i]) continue;
        if (from->input >= 0) {
            const struct graph_column c = g->column[from->input];
            char name[2 * NN_NAME_MAX];
            if (snprintf(name, sizeof name, "%s%s", prefix, c.name) >= NN_NAME_MAX)
                return graph_fail(g, "the name of the field `%s` is too long for a sampled softmax", c.name);
            map[i] = graph_input(g, name, c.side, c.type, c.vocab);
            if (map[i] >= 0) g->column[g->node[map[i]]->input].mean_length = c.mean_length;
        } else {
            map[i] = graph_clone_node(g, g, i, map);
            if (map[i] >= 0 && from->op == &op_dropout)
                g->node[map[i]]->attr_i[0] = map[i]; /* its own draws */
        }
        if (map[i] < 0) return -1;
    }
    return map[root];
}

/* A set of items, one a row, and its numbers; hard negatives were not drawn. */
static struct softmax_item item_set(struct graph *g, const struct towers *t, const char *name, int k) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "@%s%d.", name, k);
    bool drawn = !strcmp(name, "drawn");
    struct softmax_item s = {.vector = copy_tower(g, t->item, prefix), .item = number(g, prefix, LOSS_ITEM)};
    s.p = drawn ? number(g, prefix, LOSS_P) : -1;
    s.q = drawn ? number(g, prefix, LOSS_Q) : -1;
    return s;
}

static int softmax(struct graph *g, const struct loss_options *o, int label, int *node, struct err *e) {
    struct towers t;
    struct softmax_item drawn[MAX_SETS], hard[MAX_SETS];
    TRY(find_towers(g, &t, e));
    struct softmax_inputs s = {
        .user = t.user,
        .label = nn_number(g, label),
        .own = {t.item, number(g, "", LOSS_ITEM), number(g, "", LOSS_P), number(g, "", LOSS_Q)},
        .n_drawn = loss_is_drawn(o) ? (int)o->negatives : 0,
        .n_hard = (int)o->hard_negatives,
        .drawn = drawn,
        .hard = hard,
        .in_batch = o->kind == LOSS_IN_BATCH || o->kind == LOSS_MIXED,
        .scale = t.scale / o->temperature,
        .log_q = o->log_q};
    for (int k = 0; k < s.n_drawn; k++) drawn[k] = item_set(g, &t, "drawn", k);
    for (int k = 0; k < s.n_hard; k++) hard[k] = item_set(g, &t, "hard", k);
    *node = nn_sampled_softmax(g, &s);
    return 0;
}

/* ---- distillation ---- */

int loss_hidden(struct graph *g, struct err *e) {
    int at = g->output, hidden = -1;
    while (g->node[at]->op == &op_scale) at = g->node[at]->in[0];
    const struct node *n = g->node[at];
    if (n->op == &op_linear) hidden = n->in[0];
    if (n->op == &op_dot) hidden = nn_concat(g, 2, n->in);
    bool *mark = hidden < 0 ? NULL : arena_alloc(&g->arena, (size_t)g->n_nodes * sizeof *mark);
    if (mark) graph_mark(g, &hidden, 1, mark);
    for (int i = 0; mark && i < g->n_nodes; i++)
        if (mark[i] && g->node[i]->op == &op_linear) return hidden;
    err_set(
        e, ERR_INPUT,
        "distill.feature compares last hidden layers, and this model has none: its score is neither a linear "
        "layer over hidden units nor an inner product of two towers' layers");
    return -1;
}

static int distill(struct graph *g, const struct objective *o, int hidden) {
    const struct distill_options *d = &o->distill;
    if (d->weight > 0) {
        double t = d->temperature;
        int z = t == 1 ? g->output : nn_scale(g, g->output, 1 / t);
        graph_add_loss(g, nn_bce(g, z, column(g, "", LOSS_TEACHER)), d->weight * t * t);
    }
    if (d->feature > 0) {
        int width = o->teacher_width, map = nn_linear(g, hidden, width, ACT_NONE, "distill.map");
        int other = nn_external(g, LOSS_HIDDEN, SIDE_NONE, width);
        int in[] = {map, nn_scale(g, other, -1)}, diff = nn_add(g, 2, in);
        graph_add_loss(g, nn_scale(g, nn_row_sum(g, nn_mul(g, diff, diff)), 1.0 / width), d->feature);
        for (int i = 0; !g->err.code && i < g->n_params; i++)
            if (!strncmp(g->param[i]->name, "distill.", 8)) g->param[i]->training_only = true;
    }
    return g->err.code;
}

int loss_build(struct graph *g, const struct objective *o, struct err *e) {
    bool taught = o && distill_wanted(&o->distill);
    int hidden = -1, label = graph_input(g, "label", SIDE_NONE, VALUE_NUMBER, 0);
    if (!g->err.code && taught && o->distill.feature > 0 && (hidden = loss_hidden(g, e)) < 0)
        return ERR_INPUT;
    if (!g->err.code) {
        int node;
        if (o && loss_is_softmax(&o->loss))
            TRY(softmax(g, &o->loss, label, &node, e));
        else
            node = nn_bce(g, g->output, label);
        double weight = taught ? 1 - o->distill.weight : 1;
        if (weight > 0) graph_add_loss(g, node, weight);
        if (taught) distill(g, o, hidden);
    }
    if (!g->err.code) return 0;
    if (e) *e = g->err;
    return g->err.code;
}
