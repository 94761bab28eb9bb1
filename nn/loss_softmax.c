/* loss.h: the softmax of a clicked item against sampled ones: finds the two towers, and runs the item tower again on what is
 * drawn. The arithmetic is that of nn/ops/sampled_softmax.c. */
#include "nn/loss.h"
#include "nn/loss_parts.h"
#include "nn/op.h"
#include "nn/passes.h"
#include <stdio.h>
#include <string.h>

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

static int number(struct graph *g, const char *prefix, const char *name) {
    return nn_number(g, loss_input(g, prefix, name));
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

int loss_softmax(struct graph *g, const struct loss_options *o, int label, int *node, struct err *e) {
    struct towers t;
    struct softmax_item drawn[LOSS_MAX_SETS], hard[LOSS_MAX_SETS];
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
