/* chain.h: the shape that the fused engine runs, found in a pair program: a sum of looked-up rows, user values and
 * embeddings times their weights, then linear layers one after the other, the last of one unit. `mlp` and `cold` are that, once their first layer is
 * split by side. A two-tower model is one, too: the item's record as the sum, and one layer whose weights are the user's
 * vector. Everything points into the graph. */
#ifndef PRERANK_NN_FUSED_CHAIN_H
#define PRERANK_NN_FUSED_CHAIN_H
#include "nn/graph.h"

enum { CHAIN_LOOKUPS = 32, CHAIN_USERS = 8, CHAIN_PRODUCTS = 32, CHAIN_LAYERS = 16 };
struct chain_lookup {
    int column; /* of the graph */
    const struct param *table;
    int offset; /* first column of the table's rows */
};
struct chain_product { /* act(table[ids]) W: an embedding that is no table of partial products */
    int column;
    const struct param *table;
    enum act act;
    const float *weight; /* (table->cols, width of the sum) */
};
struct chain_layer { /* act(x W + b) */
    const float *weight;
    bool by_input; /* weight is (k, n), else (n, k) */
    const float *bias;
    size_t k, n;
    enum act act;
};
struct chain {
    size_t width; /* of the sum */
    enum act act;
    const float *bias; /* [width] or NULL */
    int n_lookups, n_users, n_products, n_layers;
    struct chain_lookup lookup[CHAIN_LOOKUPS];
    struct chain_product product[CHAIN_PRODUCTS];
    int user[CHAIN_USERS]; /* op_external nodes of width `width` */
    bool towers;           /* user[0] is the weight of the one layer, times `scale`, and no part of the sum */
    float scale;
    struct chain_layer layer[CHAIN_LAYERS];
};
/* The layer of an op_linear node. */
struct chain_layer chain_layer_of(const struct graph *g, const struct node *n);
/* false: the program has another shape, and `why` says which part of it. */
bool chain_find(const struct graph *pair, struct chain *out, const char **why);

#endif
