/* requests.h: requests drawn from a dataset, the same for every model that is measured.
 *
 * A request is a user of the test split at the moment of the user's first row there, and candidates: the items
 * that this user was really shown from then on, and items drawn from the training log's rows (so by
 * popularity) that the user was not shown before, none of them twice as long as there are enough; when there are not, items
 * that no training row shows come next, and then those that the user was shown before. Users come in random order, again from the
 * start, with other drawn items, when there are more requests than users. Everything follows from the seed.
 *
 * The user's values are those of that first row: what was known before the first of the held-out clicks, and
 * nothing of the clicks themselves. Items and the state of pair features are as of the end of training and
 * validation (items/, state/): they were published then.
 *
 *     struct requests q;
 *     const struct spread size = spread_fixed(1000);
 *     TRY(requests_draw(&ds, &size, 500, 1, &q, e));       500 requests of 1000 candidates
 *     struct request r = requests_at(&q, i);               i wraps around
 *     requests_release(&q);
 */
#ifndef PRERANK_BENCH_REQUESTS_H
#define PRERANK_BENCH_REQUESTS_H
#include "bench/load/spread.h"
#include "data/dataset.h"
#include "serve/scorer.h"

struct requests {
    size_t n, most; /* candidates of the largest */
    double mean;    /* candidates a request */
    uint32_t *user;
    uint64_t *moment;
    size_t *first;    /* [n + 1]: where a request's candidates begin in the next two */
    uint32_t *item;   /* [first[n]] */
    uint8_t *clicked; /* [first[n]] this user clicked it in the test period */
};
int requests_draw(const struct dataset *ds, const struct spread *size, size_t n, uint64_t seed,
                  struct requests *out, struct err *e);
struct request requests_at(const struct requests *q, size_t i);
/* The number of users of the test split: requests from there on repeat users. */
size_t requests_users(const struct dataset *ds);
void requests_release(struct requests *q); /* a zeroed struct is fine */

#endif
