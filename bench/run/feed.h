/* feed.h: rows of a dataset -> slices of columns in the order that a graph wants them, gathered by the pool.
 *
 *     struct feed f;
 *     TRY(feed_init(&f, &ds, &graph, 1024, 256, pool, e));
 *     TRY(feed_rows(&f, rows, n, e));                 n <= 1024 row numbers of the dataset
 *     loss = exec_train(x, f.slice, f.n_slices, seed);
 *     feed_release(&f);
 *
 * The column "label" is the row's label as a number.
 */
#ifndef PRERANK_BENCH_FEED_H
#define PRERANK_BENCH_FEED_H
#include "base/pool.h"
#include "data/dataset.h"
#include "nn/exec.h"
#include "nn/graph.h"

struct feed {
    struct arena arena;
    struct pool *pool;
    size_t max_rows, slice_rows;
    int n_columns, *column; /* graph column -> field of the batch, or -1: the label */
    int max_slices, n_slices;
    struct exec_slice *slice; /* [n_slices] of the last feed_rows() */
    struct batch_column *col; /* [max_slices][n_columns] */
    struct batch *batch;      /* [max_slices] */
    struct err *err;          /* [max_slices] */
    const uint64_t *rows;
    size_t n_rows;
};
int feed_init(struct feed *f, const struct dataset *ds, const struct graph *g, size_t max_rows,
              size_t slice_rows, struct pool *pool, struct err *e);
int feed_rows(struct feed *f, const uint64_t *rows, size_t n, struct err *e);
void feed_release(struct feed *f); /* a zeroed struct is fine */

#endif
