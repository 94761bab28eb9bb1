/* order.h: the order in which the rows of a log are stored: split after split, by time within each, ties in log order.
 *
 * How the splits are cut:
 *   time    the first rows in time are for training, the last `test` share is the test split, validation lies between. A boundary
 *           moves to the nearest change of time (the earlier of two equally near), so equal times are in one split.
 *   user    of a user's n rows in time order the last floor(n test + 1/2) are test rows, the floor(n valid + 1/2) before them are
 *           validation rows.
 *   random  a hash of the seed and the row's number in the file, as u in [0, 1): test if u < test, validation if
 *           u < test + valid
 *   column  what the log says
 *
 *     struct order o;
 *     TRY(order_make(&log, "out.tmp-17/work", &o, e));
 *     for (uint64_t k = o.split[SPLIT_TRAIN].begin; k < o.split[SPLIT_TRAIN].end; k++) use(order_row(&o, k));
 *     order_release(&o);
 */
#ifndef PRERANK_DATA_ORDER_H
#define PRERANK_DATA_ORDER_H
#include "data/dataset.h"
#include "data/prepare/log.h"

struct order {
    uint64_t n;
    struct {
        uint64_t begin, end;
    } split[SPLIT_COUNT];
    const uint32_t *row; /* [n] the log row stored at each position; NULL: the log's order is kept */
    struct file_map map;
};

/* An empty split and one with one class are errors (validation may be empty when its share is 0). */
int order_make(const struct log *l, const char *work, struct order *out, struct err *e);
void order_release(struct order *o);
/* Sorts [n] row numbers by time, stable: *row stays NULL when the rows are in order. In order_sort.c. */
int order_by_time(const int64_t *time, uint64_t n, const char *work, struct file_map *row, struct err *e);

static inline uint64_t order_row(const struct order *o, uint64_t position) {
    return o->row ? o->row[position] : position;
}

#endif
