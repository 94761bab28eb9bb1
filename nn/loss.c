/* loss.h: the options and columns of the losses, and what a graph is given of them. */
#include "nn/loss.h"
#include "nn/loss_parts.h"
#include "nn/op.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"bce", "in_batch", "uniform", "popularity", "mixed", NULL};
const struct opt loss_opts[] = {
    OPT_ENUM(struct loss_options, kind, "bce", kind_names,
             "cross-entropy on the label (pre-ranking), or softmax of a clicked item against sampled ones "
             "(retrieval; two-tower variants only)"),
    OPT_BOOL(struct loss_options, log_q, "true",
             "softmax: correct each sampled item's score by the log of how often it is sampled"),
    OPT_INT(struct loss_options, negatives, "1", 1, LOSS_MAX_SETS,
            "uniform, popularity, mixed: items drawn per row of the batch; all rows of the batch share them"),
    OPT_DOUBLE(struct loss_options, power, "0.75", 0, 2,
               "popularity, mixed: an item is drawn in proportion to (its training rows)^power"),
    OPT_DOUBLE(struct loss_options, uniform_share, "0.5", 0, 1,
               "mixed: share of the drawn items that are drawn uniformly; the batch's own items come on top"),
    OPT_INT(struct loss_options, hard_negatives, "0", 0, LOSS_MAX_SETS,
            "softmax: of the user's exposed but not clicked items, so many join a row's denominator"),
    OPT_DOUBLE(struct loss_options, temperature, "1", 1e-3, 100, "softmax: what scores are divided by"),
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

int loss_input(struct graph *g, const char *prefix, const char *name) {
    char text[NN_NAME_MAX];
    snprintf(text, sizeof text, "%s%s", prefix, name);
    return graph_input(g, text, SIDE_NONE, VALUE_NUMBER, 0);
}

int loss_build(struct graph *g, const struct objective *o, struct err *e) {
    bool taught = o && distill_wanted(&o->distill);
    int hidden = -1, label = graph_input(g, "label", SIDE_NONE, VALUE_NUMBER, 0);
    if (!g->err.code && taught && o->distill.feature > 0 && (hidden = loss_hidden(g, e)) < 0)
        return ERR_INPUT;
    if (!g->err.code) {
        int node;
        if (o && loss_is_softmax(&o->loss))
            TRY(loss_softmax(g, &o->loss, label, &node, e));
        else
            node = nn_bce(g, g->output, label);
        double weight = taught ? 1 - o->distill.weight : 1;
        if (weight > 0) graph_add_loss(g, node, weight);
        if (taught) loss_distill(g, o, hidden);
    }
    if (!g->err.code) return 0;
    if (e) *e = g->err;
    return g->err.code;
}
