/* loss.h: what a model is trained for: the losses that are added to a graph whose output is the score.
 *
 *     struct objective o = {.teacher_width = 0};
 *     opt_defaults(loss_opts, &o.loss);  opt_defaults(distill_opts, &o.distill);
 *     TRY(loss_build(&g, &o, e));         after the variant set g.output; before graph_alloc_params()
 *
 * bce: binary cross-entropy of the score and the row's label.
 * in_batch, uniform, popularity, mixed: softmax of the row's item against sampled ones, over the rows with label
 * 1 (nn/ops/sampled_softmax.c). The model must be two towers and an inner product: the item tower runs a second
 * time, with the same parameters, on the drawn items.
 * distillation (Hinton et al. 2015): (1-w) L + w T^2 BCE(sigmoid(z_t/T), sigmoid(z_s/T)), and `feature` times the
 * mean square of (linear map of the student's last hidden layer - the teacher's).
 *
 * Columns that a batch must bring, besides "label" and the model's fields; all are numbers but the fields:
 *     @loss.item, @loss.p, @loss.q              the row's item; its probability as a batch's click, and as a draw
 *     @drawn<k>.<field>, @drawn<k>.@loss.item, ...p, ...q    likewise of the row's k-th drawn item, k from 0
 *     @hard<k>.<field>, @hard<k>.@loss.item     the k-th unclicked exposure of the row's user; item -1: none
 *     @loss.teacher                             sigmoid(teacher's score / T)
 * and the external node "@loss.hidden" (B, teacher_width): the teacher's last hidden layer.
 */
#ifndef PRERANK_NN_LOSS_H
#define PRERANK_NN_LOSS_H
#include "base/opt.h"
#include "nn/graph.h"

enum { LOSS_BCE, LOSS_IN_BATCH, LOSS_UNIFORM, LOSS_POPULARITY, LOSS_MIXED };
struct loss_options {
    int kind;
    bool log_q;
    int64_t negatives, hard_negatives;
    double power, uniform_share, temperature;
};
extern const struct opt loss_opts[];
/* Whether `option` means anything with this kind of loss. */
bool loss_option_applies(int kind, const char *option);

struct distill_options {
    char teacher[OPT_TEXT_MAX]; /* "": none */
    double temperature, weight, feature;
};
extern const struct opt distill_opts[];

struct objective {
    struct loss_options loss;
    struct distill_options distill;
    int teacher_width; /* of the teacher's last hidden layer; for distill.feature */
};
static inline bool loss_is_softmax(const struct loss_options *o) { return o->kind != LOSS_BCE; }
static inline bool loss_is_drawn(const struct loss_options *o) { return o->kind > LOSS_IN_BATCH; }
static inline bool distill_wanted(const struct distill_options *o) {
    return *o->teacher && (o->weight > 0 || o->feature > 0);
}

/* Adds the losses; `o` NULL: bce alone. Refuses a softmax of a model that is not two towers, and distill.feature
 * where there is no hidden layer. */
int loss_build(struct graph *g, const struct objective *o, struct err *e);
/* The last hidden layer: what the output's linear layer reads, or both vectors of an inner product side by side
 * (a node is added). -1 with the reason in e (not in g->err) when there is none. */
int loss_hidden(struct graph *g, struct err *e);

/* ---- the columns' names ---- */
#define LOSS_ITEM    "@loss.item"
#define LOSS_P       "@loss.p"
#define LOSS_Q       "@loss.q"
#define LOSS_TEACHER "@loss.teacher"
#define LOSS_HIDDEN  "@loss.hidden"
enum loss_set { LOSS_SET_ROW, LOSS_SET_DRAWN, LOSS_SET_HARD };
/* Which rows a column is of: set and number (*k); returns the rest of the name. */
const char *loss_column(const char *name, enum loss_set *set, int *k);

/* ---- nn/ops/sampled_softmax.c ---- */
struct softmax_item { /* nodes: vector (B,D), and (B,1) numbers */
    int vector, item, p, q;
};
struct softmax_inputs {
    int user, label;
    struct softmax_item own;
    int n_drawn, n_hard;
    const struct softmax_item *drawn, *hard; /* hard: without p and q */
    bool in_batch;
    double scale, log_q;
};
int nn_sampled_softmax(struct graph *g, const struct softmax_inputs *s);

#endif
