/* feed.h: rows of a dataset -> slices of columns in the order that a graph wants them, gathered by the pool.
 *
 *     struct feed f;
 *     TRY(feed_init(&f, &(struct feed_task){&ds, &graph, 1024, 256, pool}, e));
 *     TRY(feed_rows(&f, rows, n, e));                 n <= 1024 row numbers of the dataset; for scoring
 *     TRY(feed_training(&f, rows, n, seed, e));       also what losses want (nn/loss.h)
 *     loss = exec_train(x, f.slice, f.n_slices, seed);
 *     feed_release(&f);
 *
 * The column "label" is the row's label as a number. Columns of drawn items are gathered from training rows that
 * follow from the seed and a row's place in the batch, those of hard negatives from rows of the same user: nothing
 * depends on threads.
 */
#ifndef PRERANK_BENCH_FEED_H
#define PRERANK_BENCH_FEED_H
#include "base/pool.h"
#include "bench/run/negatives.h"
#include "bench/run/teacher.h"
#include "data/dataset.h"
#include "nn/exec.h"
#include "nn/graph.h"

struct feed_task {
    const struct dataset *ds;
    const struct graph *graph;
    size_t max_rows, slice_rows;
    struct pool *pool;
    const struct negatives *negatives; /* NULL: no softmax loss */
    const struct teacher *teacher;     /* NULL: no distillation */
    double temperature;                /* of distillation */
};

struct feed_column { /* where a column of the graph comes from */
    int set;
    enum { FEED_FIELD, FEED_LABEL, FEED_ITEM, FEED_P, FEED_Q, FEED_TEACHER } what;
    int field; /* of the set's batches */
};
struct feed_set; /* the batch's rows, a set of drawn items, or of hard negatives */
struct feed {
    struct arena arena;
    struct feed_task t;
    int n_columns, n_sets, n_drawn;
    struct feed_column *column;
    int max_slices, n_slices;
    struct exec_slice *slice; /* [n_slices] of the last feed_rows() */
    struct batch_column *col; /* [max_slices][n_columns] */
    struct feed_set *set;
    float *hidden;   /* [max_rows][teacher's width] its last hidden layer, of the last feed_training() */
    struct err *err; /* [max_slices] */
    const uint64_t *rows;
    size_t n_rows;
    uint64_t seed;
    bool training;
};
int feed_init(struct feed *f, const struct feed_task *t, struct err *e);
int feed_rows(struct feed *f, const uint64_t *rows, size_t n, struct err *e);
int feed_training(struct feed *f, const uint64_t *rows, size_t n, uint64_t seed, struct err *e);
void feed_release(struct feed *f); /* a zeroed struct is fine */

#endif
