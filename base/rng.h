/* rng.h: random numbers that depend on nothing but their seed and stream.
 *
 *     struct rng r = rng_init(seed, rng_stream("dropout") + step);
 *     double u = rng_uniform(&r);
 *
 * Generator: xoshiro256** seeded by splitmix64 (Blackman & Vigna, https://prng.di.unimi.it). rng_hash() is splitmix64's
 * finaliser: use it for counter-based draws that must not depend on the order of evaluation.
 */
#ifndef PRERANK_BASE_RNG_H
#define PRERANK_BASE_RNG_H
#include <stdint.h>

struct rng {
    uint64_t s[4];
    double spare;
    int has_spare;
};
struct rng rng_init(uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *r);
double rng_uniform(struct rng *r);             /* [0,1), 53 bits */
double rng_normal(struct rng *r);              /* N(0,1), Box-Muller */
uint64_t rng_below(struct rng *r, uint64_t n); /* unbiased 0..n-1, n > 0 */
uint64_t rng_hash(uint64_t x);
uint64_t rng_stream(const char *name); /* a stream number from a name */

/* A pseudo-random permutation of 0..n-1 that takes no memory: a 4-round Feistel network with cycle walking. Used to
 * shuffle 100 M rows. Same (n, key) gives the same permutation everywhere. */
struct shuffle {
    uint64_t n, key;
    unsigned half_bits;
};
struct shuffle shuffle_init(uint64_t n, uint64_t key);
uint64_t shuffle_at(const struct shuffle *s, uint64_t i); /* i < n */

#endif
