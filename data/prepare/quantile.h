/* quantile.h: exact quantiles of a mapped column, and which bucket a value falls into.
 *
 * With N values that are no NaN, sorted v[0..N-1], the edges of B buckets are v[floor(j N / B)], j = 1..B-1; equal ones are
 * merged, and one that equals v[0] moves up to the next larger value (or is left out when there is none), so that no bucket is
 * empty. A value x is in bucket 1 + (number of edges <= x).
 *
 * Found by radix selection (some bits a pass, sequential reads only): no copy, no sort.
 *
 *     struct edges edges;
 *     TRY(quantile_edges(values, n, 10, &arena, &edges, e));
 *     uint32_t id = quantile_bucket(&edges, 3.5);         1 .. edges.n + 1
 */
#ifndef PRERANK_DATA_QUANTILE_H
#define PRERANK_DATA_QUANTILE_H
#include "base/err.h"
#include "base/mem.h"
#include <stdint.h>

struct edges {
    uint32_t n;
    const double *v; /* [n] rising */
};

/* buckets >= 1. The edges live in the arena. */
int quantile_edges(const double *v, uint64_t n, uint32_t buckets, struct arena *a, struct edges *out,
                   struct err *e);

static inline uint32_t quantile_bucket(const struct edges *edges, double x) {
    uint32_t low = 0, high = edges->n; /* edges below low are <= x, those from high on are > x */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (edges->v[middle] <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return low + 1;
}

#endif
