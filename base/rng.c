#include "base/rng.h"
#include <math.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio: splitmix64's step */

__extension__ typedef unsigned __int128 u128;

/* A bijection; note that rng_hash(0) is 0. */
uint64_t rng_hash(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t rng_stream(const char *name) {
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *name; name++) h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return rng_hash(h);
}

/* Stream 0 is splitmix64's own sequence for the seed. */
struct rng rng_init(uint64_t seed, uint64_t stream) {
    struct rng r = {.has_spare = 0};
    uint64_t x = seed ^ rng_hash(stream);
    for (int i = 0; i < 4; i++) r.s[i] = rng_hash(x += GOLDEN);
    return r;
}

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t rng_next(struct rng *r) {
    uint64_t *s = r->s;
    uint64_t out = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

double rng_uniform(struct rng *r) { return (double)(rng_next(r) >> 11) * 0x1p-53; }

double rng_normal(struct rng *r) {
    if (r->has_spare) {
        r->has_spare = 0;
        return r->spare;
    }
    double radius = sqrt(-2 * log(1 - rng_uniform(r))); /* 1 - u is in (0, 1] */
    double angle = 6.283185307179586477 * rng_uniform(r);
    r->spare = radius * sin(angle);
    r->has_spare = 1;
    return radius * cos(angle);
}

/* Lemire, "Fast random integer generation in an interval", 2019, https://arxiv.org/abs/1805.10941 */
uint64_t rng_below(struct rng *r, uint64_t n) {
    u128 m = (u128)rng_next(r) * n;
    if ((uint64_t)m < n) {
        uint64_t least = (0 - n) % n; /* 2^64 mod n */
        while ((uint64_t)m < least) m = (u128)rng_next(r) * n;
    }
    return (uint64_t)(m >> 64);
}

struct shuffle shuffle_init(uint64_t n, uint64_t key) {
    struct shuffle s = {.n = n, .key = rng_hash(key + GOLDEN), .half_bits = 1};
    while (s.half_bits < 32 && n > (UINT64_C(1) << (2 * s.half_bits))) s.half_bits++;
    return s;
}

uint64_t shuffle_at(const struct shuffle *s, uint64_t i) {
    const uint64_t mask = (UINT64_C(1) << s->half_bits) - 1;
    do { /* the network permutes 0..4^half_bits - 1, less than 4 n: walk the cycle until it is back inside */
        uint64_t left = i >> s->half_bits, right = i & mask;
        for (uint64_t round = 1; round <= 4; round++) {
            uint64_t next = left ^ (rng_hash(s->key ^ (round << 40) ^ right) & mask);
            left = right;
            right = next;
        }
        i = left << s->half_bits | right;
    } while (i >= s->n);
    return i;
}
