#include "nn/fused/chain.h"
#include "nn/op.h"

static bool read_sum(const struct graph *g, const struct node *n, struct chain *c, const char **why) {
    int n_x = n->attr_i[0], lookups = n->n_in - n_x;
    *c = (struct chain){.width = (size_t)n->width, .act = (enum act)n->attr_i[1], .n_layers = c->n_layers};
    if (n->attr_i[2]) c->bias = g->param[n->param[lookups]]->value;
    if (n_x > CHAIN_USERS || lookups > CHAIN_LOOKUPS || lookups < 1) {
        *why = "its first layer adds up too many values, or no rows of tables";
        return false;
    }
    for (int k = 0; k < n_x; k++) {
        if (g->node[n->in[k]]->op != &op_external) {
            *why =
                "a pair field's table of partial products is larger than its limit, so that its first layer "
                "multiplies per candidate";
            return false;
        }
        c->user[c->n_users++] = n->in[k];
    }
    for (int k = 0; k < lookups; k++) {
        int column = g->node[n->in[n_x + k]]->input;
        if (g->column[column].type != VALUE_ID) {
            *why = "it looks up bags of ids per candidate";
            return false;
        }
        c->lookup[c->n_lookups++] = (struct chain_lookup){column, g->param[n->param[k]], n->attr_list[2 * k]};
    }
    return true;
}

static void read_layer(const struct graph *g, const struct node *n, struct chain_layer *l) {
    *l = (struct chain_layer){.weight = g->param[n->param[0]]->value,
                              .by_input = n->attr_i[3],
                              .bias = n->attr_i[1] ? g->param[n->param[1]]->value : NULL,
                              .k = (size_t)n->attr_i[2],
                              .n = (size_t)n->width,
                              .act = (enum act)n->attr_i[0]};
}

bool chain_find(const struct graph *g, struct chain *c, const char **why) {
    int at = g->output, layers = 0;
    struct chain_layer back[CHAIN_LAYERS];
    *why = "its pair stage is no chain of linear layers";
    *c = (struct chain){0};
    for (; g->node[at]->op == &op_linear && layers < CHAIN_LAYERS; at = g->node[at]->in[0])
        read_layer(g, g->node[at], &back[layers++]);
    if (!layers || g->node[at]->op != &op_lookup_sum) return false;
    if (!read_sum(g, g->node[at], c, why)) return false;
    c->n_layers = layers;
    for (int k = 0; k < layers; k++) c->layer[k] = back[layers - 1 - k];
    return true;
}
