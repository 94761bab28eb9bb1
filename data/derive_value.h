/* derive_value.h: the values of derived features, given what was counted: the one place for their formulas (see derive.h),
 * used by the preparation and at serving time.
 */
#ifndef PRERANK_DATA_DERIVE_VALUE_H
#define PRERANK_DATA_DERIVE_VALUE_H
#include "data/prepare/quantile.h"
#include "data/prepare/tally.h"
#include <stddef.h>

enum { DERIVE_LEVELS = 5 }; /* of exposures, in history */

struct ids { /* the values of one column in one row: one, or a bag */
    const uint32_t *p;
    size_t n;
};

uint64_t derive_cross_seed(const char *name);
uint32_t derive_cross_id(uint64_t seed, uint32_t buckets, struct ids a,
                         struct ids b); /* 0 when a first value is unknown */
uint32_t derive_count_id(uint32_t n, uint32_t buckets);
uint32_t derive_level(uint32_t n); /* 0..4: n = 0, 1-2, 3-7, 8-20, more */
/* Known values that stand in both, each counted once. O(a n x b n); sorted and distinct a: see derive_overlap_sorted(). */
uint32_t derive_overlap(struct ids a, struct ids b);
uint32_t derive_overlap_sorted(struct ids a, struct ids b); /* a: rising, without 0 */
size_t derive_distinct(struct ids a, uint32_t *out); /* out[a.n]: the known values of a, rising; how many */

/* prior x m, and (p + prior m) / (n + prior). Apart, so that no compiler makes a fused multiply-add of them. */
double derive_prior_mass(double prior, uint64_t exposures, uint64_t positives);
double derive_rate(struct tally_count c, double prior, double prior_mass);

/* 1 + level + 5 (bucket - 1) */
uint32_t derive_history_id(const struct edges *edges, double rate, uint32_t level);
uint32_t derive_history_vocab(const struct edges *edges);

static inline uint64_t derive_pair_key(uint32_t a, uint32_t b) { return (uint64_t)a << 32 | b; }
/* Sums over all pairs of known values; *known: there is at least one. */
struct tally_count derive_pair_sum(const struct tally *t, struct ids a, struct ids b, bool *known);

#endif
