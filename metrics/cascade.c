/* What passes from the pre-ranker to the ranker. */
#include "metrics/metrics.h"
#include "metrics/rows.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Best first; rows of equal score stay in the order of their index, as the sort is stable. */
static const struct row *best_first(struct row *rows, const float *score, size_t n) {
    for (size_t i = 0; i < n; i++) rows[i] = (struct row){(uint32_t)~rows_key(score[i]), i};
    return rows_sort(rows, n);
}

int metric_ranker_recall(const float *pre, const float *ranker, size_t n, size_t k, size_t m, double *out) {
    *out = NAN;
    for (size_t i = 0; i < n; i++)
        if (isnan(pre[i]) || isnan(ranker[i])) return -2;
    if (k > n) k = n;
    if (m > n) m = n;
    if (m == 0) return 0;
    struct row *rows = rows_alloc(n);
    unsigned char *passed = reallocarray(NULL, n, 1);
    int bad = rows && passed ? 0 : -1;
    if (!bad) {
        memset(passed, 0, n);
        const struct row *best = best_first(rows, pre, n);
        for (size_t i = 0; i < k; i++) passed[best[i].value] = 1;
        best = best_first(rows, ranker, n);
        size_t common = 0;
        for (size_t i = 0; i < m; i++) common += passed[best[i].value];
        *out = (double)common / (double)m;
    }
    free(rows);
    free(passed);
    return bad;
}

static int by_index(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Gains of the first `top` of the kept ones, which come best first. */
static void add_gains(const struct row *kept, size_t k, const uint8_t *label, size_t top, size_t positives,
                      struct cascade *out) {
    double gain = 0, ideal = 0;
    size_t hits = 0, found = 0;
    for (size_t i = 0; i < k; i++) {
        bool hit = label[kept[i].value] != 0;
        found += hit;
        if (i >= top || !hit) continue;
        gain += 1 / log2((double)i + 2);
        hits++;
    }
    for (size_t i = 0; i < positives && i < top; i++) ideal += 1 / log2((double)i + 2);
    *out = (struct cascade){gain / ideal, hits > 0, (double)found / (double)positives};
}

int metric_cascade(const float *pre, const float *ranker, const uint8_t *label, size_t n, size_t k,
                   size_t top, struct cascade *out) {
    *out = (struct cascade){NAN, NAN, NAN};
    size_t positives = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(pre[i]) || isnan(ranker[i])) return -2;
        positives += label[i] != 0;
    }
    if (k > n) k = n;
    if (!positives || !top) return 0;
    struct row *rows = rows_alloc(n);
    size_t *kept = reallocarray(NULL, n, sizeof *kept);
    int bad = rows && kept ? 0 : -1;
    if (!bad) {
        const struct row *best = best_first(rows, pre, n);
        for (size_t i = 0; i < k; i++) kept[i] = best[i].value;
        qsort(kept, k, sizeof *kept, by_index); /* equal ranker scores: the lower index first */
        for (size_t i = 0; i < k; i++) rows[i] = (struct row){(uint32_t)~rows_key(ranker[kept[i]]), kept[i]};
        add_gains(rows_sort(rows, k), k, label, top, positives, out);
    }
    free(rows);
    free(kept);
    return bad;
}
