/* towers.h: the exact best items of a two-tower model, over all of its items.
 *
 *     struct scorer_towers t;
 *     TRY(scorer_towers(s, &t, e));
 *     struct towers_search *q;
 *     TRY(towers_search_create(&t, 1, 100, pool, &q, e));                 items 1 .. n_items - 1, lists of 100
 *     TRY(scorer_user_vector(s, user, 0, vector, e));
 *     size_t n = towers_search(q, vector, items, scores);                 best first; scores are inner products
 *     towers_search_free(q);
 *
 * The matrix of items streams by once, in pieces that threads take; each thread keeps its best k in a heap whose
 * worst is the threshold that nearly all items fail. Equal scores: the lower item number first. The result does not
 * depend on the number of threads.
 */
#ifndef PRERANK_SERVE_TOWERS_H
#define PRERANK_SERVE_TOWERS_H
#include "serve/scorer.h"

struct towers_search;
/* Items from `first` on. The towers' items must stay; an error when they are not in memory. pool may be NULL. */
int towers_search_create(const struct scorer_towers *t, uint32_t first, size_t k, struct pool *pool,
                         struct towers_search **out, struct err *e);
/* items[k], scores[k]; returns how many there are. */
size_t towers_search(struct towers_search *q, const float *user, uint32_t *items, float *scores);
void towers_search_free(struct towers_search *q);

#endif
