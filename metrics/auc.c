#include "metrics/metrics.h"
#include "metrics/rows.h"
#include <math.h>
#include <stdlib.h>

/* U counts, for every positive, the negatives below it and half of those that tie with it; 2U is an integer,
 * so the result does not depend on the order of the rows. */
double rows_auc(const struct row *rows, size_t n, size_t *positives) {
    uint64_t twice_u = 0, above = 0, below = 0; /* positives and negatives so far */
    for (size_t i = 0, end; i < n; i = end) {
        end = rows_tie_end(rows, i, n);
        uint64_t hits = 0;
        for (size_t j = i; j < end; j++) hits += rows[j].value;
        uint64_t misses = end - i - hits;
        twice_u += hits * (2 * below + misses);
        above += hits;
        below += misses;
    }
    *positives = above;
    if (above == 0 || below == 0) return NAN;
    return (double)twice_u / (2 * (double)above * (double)below);
}

int metric_auc(const float *score, const uint8_t *label, size_t n, double *out) {
    *out = NAN;
    if (n == 0) return 0;
    struct row *rows = rows_alloc(n);
    if (!rows) return -1;
    int bad = rows_fill(rows, score, NULL, label, n, 0);
    if (!bad) {
        size_t positives;
        *out = rows_auc(rows_sort(rows, n), n, &positives);
    }
    free(rows);
    return bad;
}
