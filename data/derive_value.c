#include "data/derive_value.h"
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t derive_cross_seed(const char *name) { return XXH3_64bits(name, strlen(name)); }

uint32_t derive_cross_id(uint64_t seed, uint32_t buckets, struct ids a, struct ids b) {
    if (!a.n || !b.n || !a.p[0] || !b.p[0]) return 0;
    uint32_t both[2] = {a.p[0], b.p[0]};
    return 1 + (uint32_t)(XXH3_64bits_withSeed(both, sizeof both, seed) % buckets);
}

uint32_t derive_count_id(uint32_t n, uint32_t buckets) {
    uint32_t id = n ? 33 - (uint32_t)__builtin_clz(n) : 1;
    return id < buckets ? id : buckets;
}

uint32_t derive_level(uint32_t n) { return n == 0 ? 0 : n <= 2 ? 1 : n <= 7 ? 2 : n <= 20 ? 3 : 4; }

static bool has(const uint32_t *p, size_t n, uint32_t x) {
    for (size_t i = 0; i < n; i++)
        if (p[i] == x) return true;
    return false;
}

uint32_t derive_overlap(struct ids a, struct ids b) {
    uint32_t n = 0;
    for (size_t i = 0; i < b.n; i++) n += b.p[i] && !has(b.p, i, b.p[i]) && has(a.p, a.n, b.p[i]);
    return n;
}

static bool has_sorted(struct ids a, uint32_t x) {
    size_t low = 0, n = a.n; /* without a branch that depends on the values */
    while (n > 1) {
        size_t half = n / 2;
        low += a.p[low + half] <= x ? half : 0;
        n -= half;
    }
    return n && a.p[low] == x;
}

uint32_t derive_overlap_sorted(struct ids a, struct ids b) {
    uint32_t n = 0;
    for (size_t i = 0; i < b.n; i++) n += b.p[i] && has_sorted(a, b.p[i]) && !has(b.p, i, b.p[i]);
    return n;
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

size_t derive_distinct(struct ids a, uint32_t *out) {
    size_t n = 0, distinct = 0;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i]) out[n++] = a.p[i];
    qsort(out, n, sizeof *out, by_value);
    for (size_t i = 0; i < n; i++)
        if (!distinct || out[i] != out[distinct - 1]) out[distinct++] = out[i];
    return distinct;
}

double derive_prior_mass(double prior, uint64_t exposures, uint64_t positives) {
    return prior * (exposures ? (double)positives / (double)exposures : 0.5);
}

double derive_rate(struct tally_count c, double prior, double prior_mass) {
    return ((double)c.p + prior_mass) / ((double)c.n + prior);
}

uint32_t derive_history_id(const struct edges *edges, double rate, uint32_t level) {
    return 1 + level + DERIVE_LEVELS * (quantile_bucket(edges, rate) - 1);
}

uint32_t derive_history_vocab(const struct edges *edges) { return 1 + DERIVE_LEVELS * (edges->n + 1); }

struct tally_count derive_pair_sum(const struct tally *t, struct ids a, struct ids b, bool *known) {
    struct tally_count sum = {0, 0};
    *known = false;
    for (size_t i = 0; i < a.n; i++)
        for (size_t j = 0; j < b.n; j++) {
            if (!a.p[i] || !b.p[j]) continue;
            struct tally_count c = tally_get(t, derive_pair_key(a.p[i], b.p[j]));
            sum.n += c.n;
            sum.p += c.p;
            *known = true;
        }
    return sum;
}
