/* passes.h: graph -> equal graph that is cheaper to serve. Scores stay equal up to float rounding.
 *
 *   drop      dropout, stop-gradient, losses and everything else that the output does not need
 *   bn_fold   batch norm (running statistics) after a linear without activation disappears into its weights
 *   split     act(concat(u.., i.., p..) W^T + b) becomes act(U(u..) + I(i..) + P(p..) + b): one linear a side
 *   fuse      (with split) an LR over a product of a user and an item vector becomes one inner product, its
 * weights on the user's tables    an embedding of the pair side followed by its slice of such a linear
 * becomes a table of partial products (vocab x units), as long as the table takes at most `table_bytes`, or where
 * `choose` says so
 *
 *     struct graph s;
 *     TRY(pass_serving(&g, &(struct pass_options){.split = true, .bn_fold = true, .table_bytes = 8 << 20},
 * &s, e));
 *     ...  graph_release(&s);     g must outlive s: unchanged parameters are borrowed
 */
#ifndef PRERANK_NN_PASSES_H
#define PRERANK_NN_PASSES_H
#include "nn/graph.h"

struct pass_table { /* what may become a table of partial products */
    const char *layer, *column;
    size_t rows, dim, units; /* of the embedding; of the layer */
    enum act act;            /* on the embedding */
    bool bag;
    bool fits; /* into table_bytes */
};
struct pass_options {
    bool bn_fold, split;
    size_t table_bytes;                                        /* 0: no tables */
    bool (*choose)(void *ctx, const struct pass_table *table); /* NULL: all that fit */
    void *ctx;
};
int pass_serving(const struct graph *g, const struct pass_options *o, struct graph *out, struct err *e);

/* Builders that only passes use. */
int nn_external(struct graph *g, const char *name, side_t side,
                int width); /* a value bound from outside (exec_bind) */
/* act(sum of x_k (B,w) + sum of the rows table_j[ids_j] + bias): the first layer of a split model in one
 * sweep over memory. ids_j may be bags (mean). A table's rows may be wider than w: columns offset_j ..
 * offset_j + w are taken (an item record that holds several values). bias: a parameter, or -1. */
struct lookup {
    int ids;   /* input node */
    int table; /* parameter (PARAM_TABLE) */
    int offset;
};
int nn_lookup_sum(struct graph *g, int n_x, const int *x, int n_lookups, const struct lookup *lookup,
                  int bias, int width, enum act act);

/* The three programs of serving. Frontier: nodes of one side that a pair node (or the output) reads. */
struct cut {
    struct graph user, item, pair; /* parameters borrowed from the graph that was cut */
    int n_user, *user_node; /* frontier nodes in `user`; in `pair` they are externals user_external[k] */
    int *user_external;
    int user_width;
    int n_item,
        *item_node; /* likewise; in `pair` a lookup in the item store's records by the column "@item" */
    int *item_offset,
        item_width; /* a record holds the frontier values one after the other: item_width floats */
    struct arena arena;
};
int graph_cut(const struct graph *serving, struct cut *out, struct err *e);
void cut_release(struct cut *c);

#endif
