/* batch.h: one batch of rows for a graph's columns, cut into slices, and the gradients that it leaves.
 *
 *     struct batch b;
 *     batch_random(&b, &g, 20, seed);          some ids, bags (empty ones too), normal numbers, "label" in
 * {0, 0.25, 1} batch_cut(&b, 8);                        three slices of 8, 8 and 4 rows double loss =
 * exec_train(x, b.slice, b.n_slices, 1); float **grad = batch_gradients(&b, &g, x);     by parameter,
 * [rows*cols]; lives as long as b batch_release(&b);
 */
#ifndef PRERANK_TESTS_NN_BATCH_H
#define PRERANK_TESTS_NN_BATCH_H
#include "nn/exec.h"
#include "nn/graph.h"

struct batch {
    struct arena arena;
    size_t rows;
    int n_columns, n_slices;
    struct batch_column *column; /* of the whole batch; may be filled by hand */
    struct exec_slice *slice;
};
void batch_init(struct batch *b, const struct graph *g, size_t rows); /* columns are all NULL */
void batch_random(struct batch *b, const struct graph *g, size_t rows, uint64_t seed);
void batch_cut(struct batch *b, size_t slice_rows);
void batch_release(struct batch *b);
void *batch_alloc(struct batch *b, size_t count, size_t size);

/* The gradient of every trained parameter after exec_train: dense ones summed over slices, tables by a step
 * of SGD. The parameters are as before. */
float **batch_gradients(struct batch *b, struct graph *g, struct exec *x);

/* An executor that must come into being. */
struct exec *exec_for(const struct graph *g, size_t rows, size_t slice_rows, struct pool *pool);
size_t param_size(const struct param *p);

#endif
