#include "variants/variant.h"
#include <stdio.h>

bool take_user(side_t s) { return s == SIDE_USER; }
bool take_item(side_t s) { return s == SIDE_ITEM; }
bool take_all(side_t s) { return s != SIDE_NONE; }

int parts_embed(struct graph *g, const struct features *f, bool (*take)(side_t), int dim, int *n) {
    int field[NODE_MAX_INPUTS];
    *n = 0;
    for (int i = 0; i < f->n && *n < NODE_MAX_INPUTS; i++) {
        const struct feature *x = &f->feature[i];
        if (!take(x->side)) continue;
        char table[NN_NAME_MAX];
        snprintf(table, sizeof table, "embedding.%s", x->shares ? x->shares : x->name);
        field[(*n)++] = nn_embedding(g, graph_input(g, x->name, x->side, x->type, x->vocab), dim, table);
    }
    return *n ? nn_concat(g, *n, field) : -1;
}

int parts_mlp(struct graph *g, int x, const struct mlp_options *o, bool linear_last, const char *name) {
    for (int k = 0; k < o->hidden.n; k++) {
        char layer[NN_NAME_MAX], norm[NN_NAME_MAX];
        snprintf(layer, sizeof layer, "%s.%d", name, k);
        snprintf(norm, sizeof norm, "%s.%d.bn", name, k);
        bool plain = linear_last && k == o->hidden.n - 1, norm_first = o->batch_norm && !plain;
        x = nn_linear(g, x, (int)o->hidden.v[k], plain || norm_first ? ACT_NONE : ACT_RELU, layer);
        if (norm_first) x = nn_act(g, nn_batch_norm(g, x, norm, o->batch_norm_uniform), ACT_RELU);
        if (o->dropout > 0 && !plain) x = nn_dropout(g, x, o->dropout);
    }
    return x;
}

int parts_cross(struct graph *g, int x, int64_t layers, const char *name) {
    int x0 = x;
    for (int k = 0; k < layers && x >= 0; k++) {
        char layer[NN_NAME_MAX];
        snprintf(layer, sizeof layer, "%s.%d", name, k);
        int product = nn_mul(g, nn_linear(g, x, g->node[x0]->width, ACT_NONE, layer), x0),
            sum[] = {product, x};
        x = nn_add(g, 2, sum);
    }
    return x;
}

int parts_importance(struct graph *g, int x, int fields, const char *name) {
    return nn_group_scale(g, x, nn_linear(g, x, fields, ACT_SIGMOID, name));
}
