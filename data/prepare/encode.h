/* encode.h: final columns: rows/, keep and vocab/ from the log's carriers, in the stored order.
 *
 * Everything that is learned (which values have an id, bucket edges, means) comes from training rows only. Users, items: numbers
 * from 1 in order of first appearance in the stored order, so that those of training rows do not depend on other rows. Values
 * of a category: ids from 1 by falling number of training rows, ties by first appearance there; 0 = unknown: not in training,
 * rarer than min_count, or empty. Buckets: ids from 1 by training quantiles (quantile.h), 0 = missing. Numbers: missing =
 * training mean (0 when all are missing). Flags: ids in the schema's order, 0 when not in training.
 *
 *     TRY(encode_rows(&x, e));            label, time, row, user, item, keep; x.ds->n_users, n_items
 *     TRY(encode_columns(&x, e));         the schema's columns; x.ds->field[0 .. n_columns)
 */
#ifndef PRERANK_DATA_ENCODE_H
#define PRERANK_DATA_ENCODE_H
#include "base/progress.h"
#include "data/dataset.h"
#include "data/prepare/log.h"
#include "data/prepare/order.h"
#include <jansson.h>

struct encode {
    struct log *l; /* carriers are released as soon as nothing needs them any more */
    const struct order *o;
    const char *dir, *work;
    struct dataset *ds;    /* what will be in dataset.json: field[] has room for all */
    float *missing;        /* [n_columns] numbers: what stands for a missing value */
    json_t *edges, *means; /* objects: bucket edges and means by field */
    struct progress progress;
};

int encode_rows(struct encode *x, struct err *e);
int encode_columns(struct encode *x, struct err *e);
/* One category or multi column: encode_ids.c. */
int encode_ids(struct encode *x, int column, struct err *e);

/* Call with every k of a loop over rows: progress and Ctrl-C now and then. */
static inline int encode_tick(struct encode *x, uint64_t k, struct err *e) {
    if (k & 0xFFFFF) return 0;
    progress_at(&x->progress, x->progress.done, NULL);
    return interrupt_seen() ? err_set(e, ERR_INTERRUPTED, "interrupted") : 0;
}

#endif
