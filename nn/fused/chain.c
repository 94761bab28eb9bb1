#include "nn/fused/chain.h"
#include "nn/op.h"

/* One part of what the first layer multiplies for each candidate: the embedding of an id, perhaps with an activation. */
static bool read_product(const struct graph *g, int i, const float *weight, struct chain *c) {
    struct chain_product p = {.act = ACT_NONE, .weight = weight};
    const struct node *n = g->node[i];
    if (n->op == &op_act) {
        p.act = (enum act)n->attr_i[0];
        n = g->node[n->in[0]];
    }
    if (n->op != &op_embedding || c->n_products == CHAIN_PRODUCTS) return false;
    p.column = g->node[n->in[0]]->input;
    p.table = g->param[n->param[0]];
    if (g->column[p.column].type != VALUE_ID) return false;
    c->product[c->n_products++] = p;
    return true;
}

/* x W over some embeddings side by side, as `split` in nn/passes.c leaves it; false: node i is something else. */
static bool read_products(const struct graph *g, int i, struct chain *c) {
    const struct node *n = g->node[i];
    if (n->op != &op_linear || n->attr_i[0] != ACT_NONE || n->attr_i[1] || !n->attr_i[3]) return false;
    const float *weight = g->param[n->param[0]]->value;
    const struct node *x = g->node[n->in[0]];
    if (x->op != &op_concat) return read_product(g, n->in[0], weight, c);
    for (int k = 0; k < x->n_in; k++) {
        if (!read_product(g, x->in[k], weight, c)) return false;
        weight += (size_t)g->node[x->in[k]]->width * c->width;
    }
    return true;
}

static bool read_sum(const struct graph *g, const struct node *n, struct chain *c, const char **why) {
    int n_x = n->attr_i[0], lookups = n->n_in - n_x;
    *c = (struct chain){.width = (size_t)n->width, .act = (enum act)n->attr_i[1]};
    if (n->attr_i[2]) c->bias = g->param[n->param[lookups]]->value;
    if (n_x > CHAIN_USERS || lookups > CHAIN_LOOKUPS) {
        *why = "its first layer adds up too many values";
        return false;
    }
    for (int k = 0; k < n_x; k++) {
        if (g->node[n->in[k]]->op == &op_external) {
            c->user[c->n_users++] = n->in[k];
        } else if (!read_products(g, n->in[k], c)) {
            *why = "its first layer multiplies something else than embeddings of single ids per candidate";
            return false;
        }
    }
    for (int k = 0; k < lookups; k++) {
        int column = g->node[n->in[n_x + k]]->input;
        if (g->column[column].type != VALUE_ID) {
            *why = "it looks up bags of ids per candidate";
            return false;
        }
        c->lookup[c->n_lookups++] = (struct chain_lookup){column, g->param[n->param[k]], n->attr_list[2 * k]};
    }
    *why = "its first layer adds up no rows of tables";
    return lookups + c->n_products > 0;
}

struct chain_layer chain_layer_of(const struct graph *g, const struct node *n) {
    return (struct chain_layer){.weight = g->param[n->param[0]]->value,
                                .by_input = n->attr_i[3],
                                .bias = n->attr_i[1] ? g->param[n->param[1]]->value : NULL,
                                .k = (size_t)n->attr_i[2],
                                .n = (size_t)n->width,
                                .act = (enum act)n->attr_i[0]};
}

/* A factor and a bias may lie between the inner product and the output, as in serve/scorer.c. */
static bool find_towers(const struct graph *g, struct chain *c) {
    const char *ignored;
    double scale = 1;
    const float *bias = NULL;
    int at = g->output;
    for (const struct node *n = g->node[at]; n->op != &op_dot; n = g->node[at]) {
        if (n->op == &op_scale && !bias)
            scale *= n->attr_f[0];
        else if (n->op == &op_lookup_sum && n->attr_i[0] == 1 && n->n_in == 1 && n->attr_i[1] == ACT_NONE &&
                 n->attr_i[2] && !bias && scale == 1)
            bias = g->param[n->param[0]]->value;
        else
            return false;
        at = n->in[0];
    }
    const int *in = g->node[at]->in;
    bool first = g->node[in[0]]->op == &op_external;
    const struct node *user = g->node[in[!first]], *item = g->node[in[first]];
    if (user->op != &op_external || item->op != &op_lookup_sum || !read_sum(g, item, c, &ignored))
        return false;
    if (c->n_users || c->n_products || c->bias || c->act != ACT_NONE) return false;
    c->towers = true;
    c->scale = (float)scale;
    c->user[c->n_users++] = in[!first];
    c->layer[c->n_layers++] = (struct chain_layer){.k = c->width, .n = 1, .bias = bias};
    return true;
}

bool chain_find(const struct graph *g, struct chain *c, const char **why) {
    int at = g->output, layers = 0;
    struct chain_layer back[CHAIN_LAYERS];
    *why = "its pair stage is no chain of linear layers";
    *c = (struct chain){0};
    if (find_towers(g, c)) return true;
    *c = (struct chain){0};
    for (; g->node[at]->op == &op_linear && layers < CHAIN_LAYERS; at = g->node[at]->in[0])
        back[layers++] = chain_layer_of(g, g->node[at]);
    if (!layers || g->node[at]->op != &op_lookup_sum) return false;
    if (!read_sum(g, g->node[at], c, why)) return false;
    c->n_layers = layers;
    for (int k = 0; k < layers; k++) c->layer[k] = back[layers - 1 - k];
    return true;
}
