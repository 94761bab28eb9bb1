/* exec.h: runs a graph, forward and backward, on batches; one allocation holds every value and gradient.
 *
 * A batch is cut into slices of `slice_rows` rows. Each slice runs the whole graph on one thread, and dense
 * gradients are kept per slice and added in slice order, so results are bit-identical for any number of
 * threads. An op that couples rows (batch norm) is a meeting point: slices run up to it, it runs once over
 * the whole batch, slices go on.
 *
 *     struct exec *x;
 *     TRY(exec_create(&g, &(struct exec_options){.max_rows = 1024, .slice_rows = 256, .train = true, .pool =
 * pool}, &x, e)); exec_train(x, slices, n_slices, step_seed);  forward + backward; gradients wait for
 * optim_step() exec_score(x, slices, n_slices, scores);     forward of the output only, inference mode
 *     exec_free(x);
 */
#ifndef PRERANK_NN_EXEC_H
#define PRERANK_NN_EXEC_H
#include "base/err.h"
#include "base/pool.h"
#include "nn/graph.h"
#include "nn/op.h"

struct exec_options {
    size_t max_rows;   /* of a batch */
    size_t slice_rows; /* 0: max_rows */
    bool train;        /* gradients wanted */
    struct pool *pool; /* NULL: the caller's thread only */
};

/* One slice's inputs: col[] in the order of graph.column. All slices but the last have slice_rows rows. */
struct exec_slice {
    size_t rows;
    const struct batch_column *col;
};

struct exec;
int exec_create(const struct graph *g, const struct exec_options *o, struct exec **out, struct err *e);
void exec_free(struct exec *x);

/* Forward + backward of all losses. Returns the objective (mean over rows, weighted, without decay), in
 * double, summed in row order: the caller checks it with isfinite(). */
double exec_train(struct exec *x, const struct exec_slice *s, int n, uint64_t seed);
/* score[rows] = output logits; inference mode (running statistics, no dropout). */
void exec_score(struct exec *x, const struct exec_slice *s, int n, float *score);
/* Forward in inference mode of the nodes that `exec_create` was given roots for; read with exec_value. */
void exec_forward(struct exec *x, const struct exec_slice *s, int n);
/* Value of a node after a run: rows 0.. of the whole batch. */
struct mat exec_value(const struct exec *x, int node);
struct mat exec_grad(const struct exec *x,
                     int node); /* after exec_train; tests only: ops may have used it as scratch */
/* Value of an op_external node for the next runs; ld = 0 broadcasts one row. */
void exec_bind(struct exec *x, int node, struct mat value);

/* For optim.c: what the last exec_train left. */
int exec_n_slices(const struct exec *x);                                  /* of the last batch */
const float *exec_param_grad(const struct exec *x, int param, int slice); /* dense parameters */
/* Table gradients are not scattered here: node `embedding` k used table `param` with these ids and this
 * output gradient. */
struct exec_table_use {
    int param;
    const struct node *node;
    struct mat out_grad; /* whole batch */
    const struct exec_slice *slice;
    int n_slices;
};
int exec_table_uses(const struct exec *x, const struct exec_table_use **out);

/* Sums over the nodes that the output needs, by side: what one user, one item and one candidate cost. */
struct graph_cost {
    struct cost side[4]; /* indexed by side_t */
    struct cost total;
};
void graph_cost_count(const struct graph *g, struct graph_cost *out);

#endif
