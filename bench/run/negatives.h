/* negatives.h: items that a softmax loss is trained against, drawn from the training rows.
 *
 *     struct negatives n;
 *     TRY(negatives_init(&n, &ds, rows, &loss_options, e));
 *     uint64_t row = negatives_draw(&n, rng_hash(seed + i));          a row of the drawn item
 *     float c = n.q[ds.item[row]];                                    how likely that item was
 *     negatives_release(&n);
 *
 * An item is drawn first (uniformly among the items that the training rows show, or in proportion to the number of
 * those rows to a power), then one of its training rows: the item's fields, derived ones too, are what they were
 * at that time. Drawn from the item's fields as of the end of training they would know the future, and tell drawn
 * items from shown ones. Every draw follows from its seed alone.
 */
#ifndef PRERANK_BENCH_NEGATIVES_H
#define PRERANK_BENCH_NEGATIVES_H
#include "data/dataset.h"
#include "nn/loss.h"

struct
    row_groups { /* rows by user or by item: group k has row[begin[k]] .. row[begin[k+1]], from the first row on */
    uint64_t *begin;
    uint32_t *row;
};
struct negatives {
    const struct dataset *ds;
    uint64_t first;              /* training row */
    double uniform;              /* share of uniform draws */
    struct row_groups by_item;   /* training rows; drawn losses only */
    struct row_groups unclicked; /* of each user; hard negatives only */
    uint32_t n_shown, *shown;    /* items with a training row */
    double *up_to;               /* [n_shown] sums of count^power */
    float *p;                    /* [n_items] share of the clicks */
    float *q;                    /* [n_items] probability of a draw */
};
/* `rows`: how many of the training rows are trained on, from the first. */
int negatives_init(struct negatives *n, const struct dataset *ds, uint64_t rows, const struct loss_options *o,
                   struct err *e);
void negatives_release(struct negatives *n); /* a zeroed struct is fine */
uint64_t negatives_draw(const struct negatives *n, uint64_t seed);
/* A training row that this row's user was shown and did not click, into *out; false when there is none. */
bool negatives_hard(const struct negatives *n, uint64_t row, uint64_t seed, uint64_t *out);

#endif
