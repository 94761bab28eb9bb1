/* judge.h: the users whose retrieved lists are judged: what they clicked in the test split, and what is not to be
 * returned to them.
 *
 *     struct judge j;
 *     TRY(judge_open(&ds, RETRIEVAL_EXCLUDE_SEEN, 1000, 1, &j, e));
 *     struct exact x;
 *     TRY(exact_search(&j, users, items, 100, pool, &x, e));     the true best of all items for each user
 *     double value[JUDGED];
 *     judge_list(&j, u, list, n, 10, value);                     one user's list of 10 against the held-out clicks
 *     value[JUDGED_RECALL] = exact_recall(&x, u, user, items, list, n, 10);
 *     exact_release(&x);
 *     judge_release(&j);
 *
 * A user counts who has a click in the test split on an item that may be returned. Item 0, unknown, is never
 * returned. A user is judged at the moment of the user's first test row, as the requests of the pre-ranking are
 * (bench/run/requests.h).
 */
#ifndef PRERANK_BENCH_RETRIEVAL_JUDGE_H
#define PRERANK_BENCH_RETRIEVAL_JUDGE_H
#include "base/pool.h"
#include "data/dataset.h"
#include "metrics/metrics.h"
#include "serve/index.h"

struct judge {
    uint32_t n_items; /* with item 0 */
    size_t n;         /* users, in random order */
    uint32_t *user;   /* [n] */
    uint64_t *moment; /* [n] 1 + the user's first test row: of struct request */
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

/* What one user's list is judged by: recall against the exact result; whether it has a held-out click, NDCG, and the
 * share of the user's held-out clicks. */
enum { JUDGED_RECALL, JUDGED_HR, JUDGED_NDCG, JUDGED_CLICKS, JUDGED };
/* Of list[n], which user i was given when asking for k; JUDGED_RECALL is the caller's (exact_recall). */
void judge_list(const struct judge *j, size_t i, const uint32_t *list, size_t n, size_t k,
                double value[JUDGED]);
struct judged { /* means over users, and their 95 % intervals: bootstrap, 1000 resamples */
    double mean[JUDGED];
    struct interval over_users[JUDGED];
};
/* value[JUDGED][n] of n users, divided by `times` (sums over so many seeds). */
int judged_of(const double *value, size_t n, double times, struct judged *out, struct err *e);

/* The share of the exact k best of user i that list[n] has. An item that scores as high as the exact k-th
 * best (but for rounding) is as good as that one. */
double exact_recall(const struct exact *x, size_t i, const float *user, struct vectors items,
                    const uint32_t *list, size_t n, size_t k);

#endif
