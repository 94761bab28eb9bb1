/* DIN (Zhou et al. 2018) as a ranker: the user's recent items are pooled by attention on the candidate; the
 * pooled history and the embeddings of all other fields go through an MLP to the logit. */
#include "variants/variant.h"
#include <stdio.h>
#include <string.h>

struct din_options {
    struct model_options model;
    struct mlp_options mlp;
    char history[OPT_TEXT_MAX];
    int64_t length, attention;
};

static const struct opt din_opts[] = {
    MODEL_OPTS(struct din_options),
    MLP_OPTS(struct din_options, mlp, "256,128,64", "units of each hidden layer"),
    OPT_TEXT(struct din_options, history, "",
             "the user's recent items: a bag that shares an item field's vocabulary; empty: the first"),
    OPT_INT(struct din_options, length, "50", 1, 1000, "recent items that attention looks at"),
    OPT_INT(struct din_options, attention, "36", 1, 4096, "hidden units of the attention network"),
    OPT_END};

static const struct feature *find(const struct features *f, const char *name) {
    for (int i = 0; i < f->n; i++)
        if (name && !strcmp(f->feature[i].name, name)) return &f->feature[i];
    return NULL;
}

/* The history: a bag of the user's side whose ids are those of an item-side single id. */
static bool is_history(const struct features *f, const struct feature *x) {
    const struct feature *target = find(f, x->shares);
    return x->side == SIDE_USER && x->type == VALUE_BAG && target && target->side == SIDE_ITEM &&
           target->type == VALUE_ID;
}

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct din_options *o = options;
    const struct feature *history = o->history[0] ? find(f, o->history) : NULL;
    for (int i = 0; i < f->n && !o->history[0] && !history; i++)
        if (is_history(f, &f->feature[i])) history = &f->feature[i];
    if (!history || !is_history(f, history))
        return err_set(e, ERR_INPUT,
                       "din: %s%s%s is no bag of the user's recent items in this feature subset; the dataset "
                       "needs a `recent` derived "
                       "feature of an item column, and the subset both of them",
                       o->history[0] ? "`" : "there", o->history, o->history[0] ? "`" : "");
    int dim = (int)o->model.dim, part[NODE_MAX_INPUTS], n = 0, target = -1;
    char table[NN_NAME_MAX], name[NN_NAME_MAX];
    for (int i = 0; i < f->n && n < NODE_MAX_INPUTS - 1; i++) {
        const struct feature *x = &f->feature[i];
        if (x == history) continue;
        snprintf(table, sizeof table, "embedding.%s", x->shares ? x->shares : x->name);
        part[n] = nn_embedding(g, graph_input(g, x->name, x->side, x->type, x->vocab), dim, table);
        if (!strcmp(x->name, history->shares)) target = part[n];
        n++;
    }
    snprintf(table, sizeof table, "embedding.%s", history->shares);
    int recent = graph_input(g, history->name, SIDE_USER, VALUE_BAG, history->vocab);
    part[n++] = nn_target_attention(g, nn_sequence(g, recent, (int)o->length, dim, table), target,
                                    (int)o->attention, "attention");
    snprintf(name, sizeof name, "mlp.%d", o->mlp.hidden.n);
    g->output = nn_linear(g, parts_mlp(g, nn_concat(g, n, part), &o->mlp, false, "mlp"), 1, ACT_NONE, name);
    return 0;
}

const struct variant variant_din = {.name = "din",
                                    .help = "target attention over the user's recent items, all fields",
                                    .opts = din_opts,
                                    .options_bytes = sizeof(struct din_options),
                                    .build = build};
