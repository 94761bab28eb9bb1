/* DAT, dual augmented two-tower (Yu et al. 2021): each user id and item id owns a learned vector that is
 * appended to its tower's input and trained, by the mimic loss, to equal the other tower's output for the
 * pairs that were clicked. It carries what the other side knows without an interaction at serving.
 *
 *     L_u = mean over dims of (y a_u + (1-y) sg(p_v) - sg(p_v))^2 = mean_d (y (a_u - sg(p_v)))^2,  L_v symmetric
 *
 * Category alignment pulls the covariances of the item vectors of every category to those of the largest one. */
#include "variants/variant.h"
#include <stdio.h>
#include <string.h>

struct dat_options {
    struct model_options model;
    struct mlp_options tower;
    int64_t augment;
    double mimic_user, mimic_item, category_alignment;
    char user_id[OPT_TEXT_MAX], item_id[OPT_TEXT_MAX], category[OPT_TEXT_MAX];
};

static const struct opt dat_opts[] = {
    MODEL_OPTS(struct dat_options),
    MLP_OPTS(struct dat_options, tower, "256,128,32",
             "units of each tower's layers; the last is the vector's dimension"),
    OPT_INT(struct dat_options, augment, "0", 0, 4096,
            "dimension of the augmented vectors; 0: that of the other tower's vector, which they mimic"),
    OPT_DOUBLE(struct dat_options, mimic_user, "0.5", 0, 1000, "weight of the user's mimic loss"),
    OPT_DOUBLE(struct dat_options, mimic_item, "0.5", 0, 1000, "weight of the item's mimic loss"),
    OPT_DOUBLE(struct dat_options, category_alignment, "1", 0, 1000, "weight of the category alignment loss"),
    OPT_TEXT(struct dat_options, user_id, "user_id", "field that identifies the user"),
    OPT_TEXT(struct dat_options, item_id, "item_id", "field that identifies the item"),
    OPT_TEXT(struct dat_options, category, "",
             "single-id item field whose values are the categories; empty: the first besides item_id, no "
             "alignment when there is none"),
    OPT_END};

static int find_id(struct graph *g, const struct features *f, const char *name, side_t side, struct err *e) {
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->feature[i].name, name) && f->feature[i].side == side && f->feature[i].type == VALUE_ID)
            return graph_input(g, name, side, VALUE_ID, f->feature[i].vocab);
    err_set(e, ERR_INPUT, "dat: `%s` is no single-id field of the %s side in this feature subset", name,
            side_name(side));
    return -1;
}

/* The field that groups items into categories, as an input; -1: none, or an error in e. */
static int find_category(struct graph *g, const struct features *f, const struct dat_options *o,
                         struct err *e) {
    if (o->category[0]) return find_id(g, f, o->category, SIDE_ITEM, e);
    for (int i = 0; i < f->n; i++) {
        const struct feature *x = &f->feature[i];
        if (x->side == SIDE_ITEM && x->type == VALUE_ID && strcmp(x->name, o->item_id) != 0)
            return graph_input(g, x->name, x->side, x->type, x->vocab);
    }
    return -1;
}

static int64_t vector_width(const struct dat_options *o) { return o->tower.hidden.v[o->tower.hidden.n - 1]; }

struct side {
    int augmented, vector;
};

static int tower(struct graph *g, const struct features *f, const struct dat_options *o, bool user,
                 struct side *s, struct err *e) {
    const char *name = user ? "user" : "item";
    char table[NN_NAME_MAX];
    int n, x = parts_embed(g, f, user ? take_user : take_item, (int)o->model.dim, &n);
    int id = find_id(g, f, user ? o->user_id : o->item_id, user ? SIDE_USER : SIDE_ITEM, e);
    if (id < 0) return ERR_INPUT;
    snprintf(table, sizeof table, "augmented.%s", name);
    s->augmented = nn_embedding(g, id, (int)(o->augment ? o->augment : vector_width(o)), table);
    int in[] = {x, s->augmented};
    s->vector = parts_mlp(g, nn_concat(g, 2, in), &o->tower, true, name);
    return 0;
}

static void mimic(struct graph *g, int augmented, int other, int label, double weight) {
    if (weight <= 0 || augmented < 0 || other < 0) return;
    int in[] = {augmented, nn_scale(g, nn_stop_gradient(g, other), -1)}, d = nn_add(g, 2, in);
    if (d < 0) return;
    d = nn_mul(g, d, nn_number(g, label));
    graph_add_loss(g, nn_scale(g, nn_row_sum(g, nn_mul(g, d, d)), 1.0 / g->node[in[0]]->width), weight);
}

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct dat_options *o = options;
    struct side user, item;
    if (!o->tower.hidden.n) return err_set(e, ERR_INPUT, "dat: `hidden` is empty");
    if (o->augment && o->augment != vector_width(o) && (o->mimic_user > 0 || o->mimic_item > 0))
        return err_set(e, ERR_INPUT,
                       "dat: augmented vectors of dimension %lld cannot mimic a tower's of %lld; leave out "
                       "`augment`, or set `mimic_user: 0` and `mimic_item: 0`",
                       (long long)o->augment, (long long)vector_width(o));
    TRY(tower(g, f, o, true, &user, e));
    TRY(tower(g, f, o, false, &item, e));
    int label = graph_input(g, "label", SIDE_NONE, VALUE_NUMBER, 0);
    g->output = nn_dot(g, user.vector, item.vector);
    mimic(g, user.augmented, item.vector, label, o->mimic_user);
    mimic(g, item.augmented, user.vector, label, o->mimic_item);
    int category = o->category_alignment > 0 ? find_category(g, f, o, e) : -1;
    if (category < 0) return o->category_alignment > 0 && o->category[0] ? ERR_INPUT : 0;
    graph_add_loss(g, nn_category_alignment(g, item.vector, category), o->category_alignment);
    return 0;
}

static const char *idle(const void *options, const char *name) {
    const struct dat_options *o = options;
    return !strcmp(name, "category") && o->category_alignment <= 0 ? "with `category_alignment: 0`" : NULL;
}

const struct variant variant_dat = {.name = "dat",
                                    .help = "two towers with learned vectors that mimic the other tower",
                                    .opts = dat_opts,
                                    .options_bytes = sizeof(struct dat_options),
                                    .two_tower = true,
                                    .idle = idle,
                                    .build = build};
