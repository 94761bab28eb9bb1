/* graph.h: a model is one computation graph, defined once.
 *
 * A graph is a list of nodes in topological order. A node's value is a matrix of B rows (B = rows of the
 * batch, unknown to the graph) and `width` columns, in float; input nodes of ids have width 0. A node's side
 * is the OR of its inputs' sides (data/field.h), which decides when it runs at serving: item (offline), user
 * (once a request), pair (once a candidate).
 *
 *     struct graph g;  graph_init(&g);
 *     int u = nn_embedding(&g, graph_input(&g, "user_id", SIDE_USER, VALUE_ID, 1000), 16, NULL);
 *     int v = nn_embedding(&g, graph_input(&g, "item_id", SIDE_ITEM, VALUE_ID, 500), 16, NULL);
 *     int hu = nn_linear(&g, u, 32, ACT_RELU, "user.0"), hv = nn_linear(&g, v, 32, ACT_RELU, "item.0");
 *     g.output = nn_dot(&g, hu, hv);
 *     if (g.err.code) ...                          builders are sticky: after the first error they return -1
 * and do nothing TRY(graph_alloc_params(&g, seed, e));        parameters exist and are initialised
 *     graph_release(&g);
 *
 * The operations themselves are in nn/ops/, one file each: builder, shape rule, forward, backward and cost
 * side by side.
 */
#ifndef PRERANK_NN_GRAPH_H
#define PRERANK_NN_GRAPH_H
#include "base/err.h"
#include "base/mem.h"
#include "data/field.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NN_NAME_MAX     96
#define NODE_MAX_INPUTS 512 /* inputs, and parameters, of one node: a concat of every field */

/* linear_log(x) = -log(-x)-1 below -1, x in between, log(x)+1 above 1 (COLD, Wang et al. 2020) */
enum act { ACT_NONE, ACT_RELU, ACT_SIGMOID, ACT_TANH, ACT_LINEAR_LOG };

enum param_kind {
    PARAM_DENSE, /* trained, gradient dense */
    PARAM_TABLE, /* trained, rows looked up by id: gradient sparse in rows */
    PARAM_STATE  /* not trained: running statistics */
};
enum init_kind { INIT_ZERO, INIT_ONE, INIT_XAVIER_NORMAL, INIT_NORMAL, INIT_UNIFORM01 };
struct param {
    char name[NN_NAME_MAX]; /* as in the checkpoint: "user.0.weight" [out,in], "user.0.bias" [out],
                               "embedding.age" [vocab,D] */
    enum param_kind kind;
    size_t rows, cols;  /* vectors: rows = 1 */
    bool vector;        /* one-dimensional in the checkpoint */
    bool decay;         /* `l2` applies (weights, not biases or norms) */
    bool training_only; /* a loss's own, such as distillation's map: not in checkpoints, not counted */
    bool embedding;     /* a number's vector: dense, but optimised as a table of one row */
    enum init_kind init;
    double init_scale; /* INIT_NORMAL: std */
    float *value;      /* [rows*cols], NULL until graph_alloc_params; owned by the graph unless `borrowed` */
    bool borrowed;
};

struct op;
struct product;
struct node {
    const struct op *op;
    char name[NN_NAME_MAX];
    int n_in;
    int *in;
    int width;
    side_t side;
    enum value_type type; /* what an input node carries; VALUE_NUMBER for every computed node */
    int input;            /* input nodes: column number in the batch, otherwise -1 */
    int n_params, *param;
    int attr_i[4];          /* the op's own settings, described in its file */
    int n_attr, *attr_list; /* likewise, when there is a number per parameter or input */
    double attr_f[4];
    const struct product *product; /* serving in a lower precision: the op's weights, packed; NULL: in fp32 */
};

struct graph_column { /* one input column: what a batch must bring, in this order */
    char name[NN_NAME_MAX];
    side_t side;
    enum value_type type;
    uint32_t vocab;
    double mean_length; /* ids a row, for cost counting; 1 unless said otherwise */
    int node;
};

struct graph_loss {
    int node; /* per-row loss, width 1; the objective is the mean over rows x weight, summed over losses */
    double weight;
};

struct graph {
    struct arena arena;
    struct err err; /* the first error of any builder */
    int n_nodes, cap_nodes;
    struct node **node;
    int n_params, cap_params;
    struct param **param;
    int n_columns, cap_columns;
    struct graph_column *column;
    int output; /* the score (a logit), width 1; -1 until set */
    int n_losses;
    struct graph_loss loss[8];
    double init_std; /* embeddings: N(0, init_std); default 0.01 */
};

void graph_init(struct graph *g);
void graph_release(struct graph *g);
/* Input column `name`; asking again for the same name gives the same node. */
int graph_input(struct graph *g, const char *name, side_t side, enum value_type type, uint32_t vocab);
void graph_add_loss(struct graph *g, int node, double weight);
int graph_find_param(const struct graph *g, const char *name); /* -1 when there is none */
int graph_find_node(const struct graph *g,
                    const char *name); /* the first of that name, -1 when there is none */
int graph_column_index(const struct graph *g, const char *name);
/* Allocates all parameters and draws their start values; parameter p draws from its own stream (seed, its
 * name). */
int graph_alloc_params(struct graph *g, uint64_t seed, struct err *e);
uint64_t graph_n_trained(const struct graph *g); /* number of trained floats, without training_only ones */
/* Marks (mark[n_nodes]) the nodes that `roots` depend on, themselves included. */
void graph_mark(const struct graph *g, const int *roots, int n_roots, bool *mark);
json_t *
graph_json(const struct graph *g); /* nodes, shapes, sides: for models/<name>.json; new reference or NULL */

/* The same node in another graph: inputs by map[old node], parameters borrowed. Returns the new node, -1 on
 * error. */
int graph_borrow_param(struct graph *to,
                       const struct param *p); /* the number of the parameter of that name in `to` */
int graph_clone_node(struct graph *to, const struct graph *from, int node, const int *map);
/* All parameters of `from` under their names, as `to`'s own, not yet allocated: nodes cloned after that use these
 * and the copy can be trained. */
int graph_copy_params(struct graph *to, const struct graph *from, struct err *e);

/* For op builders. */
int graph_add_node(struct graph *g, const struct op *op, const char *name, int n_in, const int *in,
                   int width);
int graph_add_param(struct graph *g, const char *name, enum param_kind kind, size_t rows, size_t cols,
                    enum init_kind init);
/* The parameters that a node reads, copied; returns the node, -1 when memory is out or node is -1. */
int graph_set_params(struct graph *g, int node, int n, const int *param);
int graph_fail(struct graph *g, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* returns -1 */

/* ---- builders (nn/ops/) : x, y are node numbers; B rows are implied ---- */
/* ids (B) -> (B,D): the mean of a bag's rows (an empty bag: zeros). A number column (B) -> (B,D): value x
 * learned vector. name NULL: "embedding.<column>". Two columns with the same `name` share a table. */
int nn_embedding(struct graph *g, int ids, int dim, const char *name);
int nn_number(struct graph *g, int column);          /* (B) number column -> (B,1) node */
int nn_concat(struct graph *g, int n, const int *x); /* (B,w1) .. -> (B, sum w) */
int nn_linear(struct graph *g, int x, int units, enum act act,
              const char *name); /* act(x W^T + b), W (units, width) */
int nn_linear_no_bias(struct graph *g, int x, int units, enum act act, const char *name);
int nn_act(struct graph *g, int x, enum act act);
int nn_dot(struct graph *g, int x, int y);        /* (B,D),(B,D) -> (B,1) inner product of rows */
int nn_mul(struct graph *g, int x, int y);        /* elementwise; y may be (B,1): one factor a row */
int nn_add(struct graph *g, int n, const int *x); /* elementwise sum */
int nn_scale(struct graph *g, int x, double factor);
int nn_slice(struct graph *g, int x, int begin, int width); /* columns */
int nn_row_sum(struct graph *g, int x);                     /* (B,D) -> (B,1) */
int nn_group_sum(struct graph *g, int x, int groups);       /* (B, groups*D) -> (B,D): sum over groups */
int nn_group_pool(struct graph *g, int x,
                  int groups); /* (B, groups*D) -> (B,groups): sum within each group */
int nn_group_scale(struct graph *g, int x, int factor); /* (B, G*D), (B,G) -> (B, G*D) */
int nn_max_sim(struct graph *g, int x, int y,
               int heads); /* (B, H*D) twice -> (B,1): sum_h max_h' <x_h, y_h'> */
int nn_cin(struct graph *g, int x, int x0, int maps, int dim,
           const char *name); /* one CIN layer -> (B, maps*dim) */
int nn_column_scale(struct graph *g, int x,
                    const char *name); /* columns times learned factors, which start at 1 */
int nn_constant(struct graph *g, side_t side, int width, double value);
int nn_l2_normalize(struct graph *g, int x); /* rows / max(norm, 1e-12) */
int nn_batch_norm(struct graph *g, int x, const char *name,
                  bool uniform_scale); /* over the whole batch; eps 1e-5, momentum .1 */
int nn_dropout(struct graph *g, int x, double rate);
int nn_stop_gradient(struct graph *g, int x);
/* The first `length` rows of a bag side by side and their number: (B, length*dim + 1); and attention over
 * them with a target. */
int nn_sequence(struct graph *g, int ids, int length, int dim, const char *table);
int nn_target_attention(struct graph *g, int sequence, int q, int hidden, const char *name);
int nn_id_number(struct graph *g, int ids); /* single ids as (B,1) numbers */
int nn_category_alignment(struct graph *g, int x,
                          int ids); /* DAT's loss over the whole batch, the same value in every row */
/* Selection of fields: FSCD's gates () -> (B, fields), with parameter "<name>.logit"; and the sum of the norms of
 * a weight's column blocks () -> (B,1), to be added as a loss (group lasso). */
int nn_concrete_gate(struct graph *g, int fields, double temperature, const char *name);
int nn_group_norm(struct graph *g, int param, int groups);
/* Per-row binary cross-entropy of logit (B,1) and label (B) number column, with soft labels allowed. */
int nn_bce(struct graph *g, int logit, int label);

#endif
