/* judge.h: the users whose retrieved lists are judged: what they clicked in the test split, and what is not to be
 * returned to them.
 *
 *     struct judge j;
 *     TRY(judge_open(&ds, RETRIEVAL_EXCLUDE_SEEN, 1000, 1, &j, e));
 *     struct exact x;
 *     TRY(exact_search(&j, users, items, 100, pool, &x, e));     the true best of all items for each user
 *     struct judged sum;
 *     judge_list(&j, u, list, 10, &sum);                         adds one user's list of 10
 *     exact_release(&x);
 *     judge_release(&j);
 *
 * A user counts who has a click in the test split on an item that may be returned. Item 0, unknown, is never
 * returned.
 */
#ifndef PRERANK_BENCH_RETRIEVAL_JUDGE_H
#define PRERANK_BENCH_RETRIEVAL_JUDGE_H
#include "base/pool.h"
#include "data/dataset.h"
#include "serve/index.h"

struct judge {
    uint32_t n_items; /* with item 0 */
    size_t n;         /* users, in random order */
    uint32_t *user;   /* [n] */
    /* of user i: click[click_at[i] .. click_at[i + 1]), ascending; likewise what is excluded */
    size_t *click_at, *seen_at;
    uint32_t *click, *seen;
};
/* most: at most so many users, 0: all. exclude: of options.h. No user: an error. */
int judge_open(const struct dataset *ds, int exclude, size_t most, uint64_t seed, struct judge *out,
               struct err *e);
void judge_release(struct judge *j);
bool judge_seen(const struct judge *j, size_t i, uint32_t item);
size_t judge_n_seen(const struct judge *j, size_t i);
/* Drops what user i has seen from list[n] and keeps the first k of the rest; returns how many there are. */
size_t judge_keep(const struct judge *j, size_t i, uint32_t *list, size_t n, size_t k);

/* By the plain inner product over the item set: for each user the k best that may be returned, best first; equal
 * scores in the order of item numbers. */
struct exact {
    size_t k;
    size_t *n;      /* [judge.n]: how many there are, k mostly */
    uint32_t *item; /* [judge.n][k] */
    float *score;   /* [judge.n][k] */
};
/* users.p[judge.n][dim]; items.p[n_items][dim] with item 0. */
int exact_search(const struct judge *j, struct vectors users, struct vectors items, size_t k,
                 struct pool *pool, struct exact *out, struct err *e);
void exact_release(struct exact *x);

struct judged { /* sums over users */
    double ndcg, hit_rate, click_recall;
    double recall; /* against the exact result */
    size_t users;
};
/* Adds list[n], which user i was given when asking for k. */
void judge_list(const struct judge *j, size_t i, const uint32_t *list, size_t n, size_t k,
                struct judged *sum);
/* The share of the exact k best of user i that list[n] has, to be added to judged.recall. An item that scores as
 * high as the exact k-th best (but for rounding) is as good as that one. */
double exact_recall(const struct exact *x, size_t i, const float *user, struct vectors items,
                    const uint32_t *list, size_t n, size_t k);

#endif
