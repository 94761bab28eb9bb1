/* towers.h: the exact best items of a two-tower model, over all of its items, for one user or many at once.
 *
 *     struct scorer_towers t;
 *     TRY(scorer_towers(s, &t, e));
 *     struct towers_search *q;
 *     struct towers_options o = {.first = 1, .k = 100, .users = 20};   items 1 .. n_items - 1
 *     TRY(towers_search_create(&t, &o, pool, &q, e));
 *     for (u = 0; u < 20; u++) TRY(scorer_user_vector(s, user[u], 0, vector + u * t.dim, e));
 *     towers_search(q, vector, 20, items, scores);                     20 lists of 100, best first
 *     towers_search_free(q);
 *
 * The matrix of items streams by once for all users, in pieces that threads take: a block of items in the nearest cache
 * is multiplied with every panel of 32 users. Each thread keeps the best k of each user in a heap whose worst is the
 * threshold that nearly all items fail, many of them in one comparison. Where the processor multiplies bytes (VNNI), items
 * first have to pass a sieve (sieve.h): a copy of them in bytes and a threshold that is lower by as much as that can be
 * off. Those that do are multiplied in fp32. So every list and score is that of products in fp32.
 *
 * Equal scores: the lower item number first; items with the same vector have the same score. A score that is NaN is never
 * found. The result does not depend on the number of threads; the last bits of a score may depend on the number of users.
 */
#ifndef PRERANK_SERVE_TOWERS_H
#define PRERANK_SERVE_TOWERS_H
#include "serve/scorer.h"

struct towers_search;
struct towers_options {
    uint32_t first; /* items from here on */
    size_t k;       /* of a list */
    size_t
        users; /* of the largest call; those beyond this number, or 128, take another pass over the items */
    enum isa isa; /* at most; 0: what there is */
    /* NULL, or: item `item` is nothing for user `user` of a call. Asked from any thread, and only about items that would
     * get into a list. */
    bool (*skip)(void *ctx, size_t user, uint32_t item);
    void *ctx;
};
/* The towers' items must stay as they are; an error when they are not in memory. pool may be NULL. */
int towers_search_create(const struct scorer_towers *t, const struct towers_options *o, struct pool *pool,
                         struct towers_search **out, struct err *e);
/* users[n][dim]; items[n][k] and scores[n][k], which are inner products: where there are fewer than k, INDEX_NONE and
 * -INFINITY (index.h). */
void towers_search(struct towers_search *q, const float *users, size_t n, uint32_t *items, float *scores);
void towers_search_free(struct towers_search *q);

#endif
