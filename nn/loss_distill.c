/* loss.h: distillation: what a teacher says of a row, and its last hidden layer. */
#include "nn/loss.h"
#include "nn/loss_parts.h"
#include "nn/op.h"
#include "nn/passes.h"
#include <string.h>

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

int loss_distill(struct graph *g, const struct objective *o, int hidden) {
    const struct distill_options *d = &o->distill;
    if (d->weight > 0) {
        double t = d->temperature;
        int z = t == 1 ? g->output : nn_scale(g, g->output, 1 / t);
        graph_add_loss(g, nn_bce(g, z, loss_input(g, "", LOSS_TEACHER)), d->weight * t * t);
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
