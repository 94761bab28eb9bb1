#include "metrics/metrics.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

void metric_top_list(const uint32_t *list, size_t n, const uint32_t *relevant, size_t n_relevant, size_t k,
                     struct ranking *out) {
    double gain = 0, ideal = 0;
    size_t hits = 0;
    *out = (struct ranking){(double)NAN, (double)NAN, (double)NAN, 0};
    if (!n_relevant || !k) return;
    for (size_t i = 0; i < k; i++) {
        double worth = 1 / log2((double)i + 2);
        bool hit = i < n && bsearch(&list[i], relevant, n_relevant, sizeof *relevant, compare);
        hits += hit;
        if (hit) gain += worth;
        if (i < n_relevant) ideal += worth;
    }
    *out = (struct ranking){gain / ideal, hits > 0, (double)hits / (double)n_relevant, 1};
}
