/* requests.h: requests drawn from a dataset, the same for every model that is measured.
 *
 * A request is a user of the test split and `candidates` items: those that this user was really shown there,
 * and items drawn from the training log's rows (so by popularity), none of them twice as long as there are
 * enough. Users come in random order, again from the start when there are more requests than users.
 * Everything follows from the seed.
 *
 *     struct requests q;
 *     TRY(requests_draw(&ds, 1000, 500, 1, &q, e));        500 requests of 1000 candidates
 *     struct request r = requests_at(&q, i);               i wraps around
 *     requests_release(&q);
 */
#ifndef PRERANK_BENCH_REQUESTS_H
#define PRERANK_BENCH_REQUESTS_H
#include "data/dataset.h"
#include "serve/scorer.h"

struct requests {
    size_t n, candidates;
    uint32_t *user; /* [n] */
    uint32_t *item; /* [n][candidates] */
};
int requests_draw(const struct dataset *ds, size_t candidates, size_t n, uint64_t seed, struct requests *out,
                  struct err *e);
struct request requests_at(const struct requests *q, size_t i);
void requests_release(struct requests *q);

#endif
