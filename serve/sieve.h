/* sieve.h: private to serve: which of many items may have an inner product with a user that reaches a threshold, by products
 * of bytes. It never leaves out one that does; of the others it lets few through, and what it lets through is then
 * multiplied in fp32. A quarter of the memory of fp32, and four of its multiplications in one.
 *
 *     struct sieve *s;
 *     TRY(sieve_create(isa, dim, items, n, pool, &s, e));             NULL: not with these instructions or dimensions
 *     for (u = 0; u < n_users; u++) sieve_user(s, users + u * dim, &taste[u], bytes + u * sieve_words(s));
 *     for each block b of SIEVE_BLOCK items
 *         sieve_low(s, b, taste, n_users, worst, low);                worst[u]: what user u's items have to reach
 *         for each panel p of SIEVE_PANEL items of it
 *             hits = sieve_panel(s, p, bytes, n_users, low, mask, hit);
 *
 * A block's items are a (w - 128 for a byte w), a the largest number of the block / 127; a user is b v likewise, with signed
 * bytes. Each number is off by at most half of a or b, so that
 *     |x y - a b sum (w - 128) v| <= b/2 |x|_1 + a/2 |b v|_1,
 * and fp32 adds the rounding of its sums, dim 2^-24 |x|_1 max|y| (N. J. Higham, Accuracy and Stability of Numerical
 * Algorithms, 2nd ed., section 3.1). Everything passes where numbers are not finite, or so large or small that this
 * would not cover an overflow or numbers taken for 0.
 */
#ifndef PRERANK_SERVE_SIEVE_H
#define PRERANK_SERVE_SIEVE_H
#include "base/err.h"
#include "base/pool.h"
#include "nn/fused/isa.h"
#include <stddef.h>
#include <stdint.h>

enum { SIEVE_PANEL = 32, SIEVE_BLOCK = 4 * SIEVE_PANEL };
struct sieve;
struct sieve_taste { /* of a user */
    double per_b;    /* 1 / b */
    double shift;    /* 128 sum v - |v|_1 / 2; -infinity: everything passes */
};

/* items[n][dim] are not needed afterwards. */
int sieve_create(enum isa isa, size_t dim, const float *items, size_t n, struct pool *pool,
                 struct sieve **out, struct err *e);
void sieve_free(struct sieve *s);
size_t sieve_words(const struct sieve *s); /* 32-bit words of a user */
void sieve_user(const struct sieve *s, const float *x, struct sieve_taste *t, uint32_t *word);
/* Sums of bytes that the block's items have to reach. */
void sieve_low(const struct sieve *s, size_t block, const struct sieve_taste *t, size_t n_users,
               const float *worst, int32_t *low);
/* hit[0 ..]: the users, ascending, whom an item of the panel may reach; mask[u]: which items those are, for each such
 * user, a bit an item. hit has room for n_users + 1. Returns how many. */
size_t sieve_panel(const struct sieve *s, size_t panel, const uint32_t *word, size_t n_users,
                   const int32_t *low, uint32_t *mask, uint16_t *hit);

#endif
