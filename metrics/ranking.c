#include "metrics/metrics.h"
#include "metrics/rows.h"
#include <math.h>
#include <stdlib.h>

/* discount[j] = sum of 1/log2(i+2) over the first j positions. */
static void fill_discounts(double *discount, size_t n) {
    discount[0] = 0;
    for (size_t i = 0; i < n; i++) discount[i + 1] = discount[i] + 1 / log2((double)i + 2);
}

/* The chance that none of `hits` positives among `tied` rows falls on one of `slots` positions, the order
 * being random: C(tied - hits, slots) / C(tied, slots). */
static double chance_of_none(size_t tied, size_t hits, size_t slots) {
    double chance = 1;
    for (size_t i = 0; i < slots; i++) {
        if (i >= tied - hits) return 0;
        chance *= (double)(tied - hits - i) / (double)(tied - i);
    }
    return chance;
}

/* Adds one request, best score first, to the sums. */
static void add_request(const struct row *rows, size_t n, size_t k, const double *discount,
                        struct ranking *sum) {
    size_t positives = 0;
    for (size_t i = 0; i < n; i++) positives += rows[i].value;
    if (positives == 0) return;
    if (k > n) k = n;
    double gain = 0, found = 0, none = 1;
    for (size_t i = 0, end; i < k; i = end) {
        end = rows_tie_end(rows, i, n);
        size_t hits = 0, tied = end - i, slots = (end < k ? end : k) - i;
        for (size_t j = i; j < end; j++) hits += rows[j].value;
        double share = (double)hits / (double)tied; /* of each position of the tie */
        gain += share * (discount[i + slots] - discount[i]);
        found += share * (double)slots;
        none *= chance_of_none(tied, hits, slots);
    }
    sum->ndcg += gain / discount[positives < k ? positives : k];
    sum->hit_rate += 1 - none;
    sum->recall += found / (double)positives;
    sum->requests++;
}

int metric_ranking(const float *score, const uint8_t *label, const uint32_t *request, size_t n, size_t k,
                   struct ranking *out) {
    *out = (struct ranking){NAN, NAN, NAN, 0};
    if (n == 0 || k == 0) return 0;
    struct row *rows = rows_alloc(n);
    double *discount = reallocarray(NULL, (k < n ? k : n) + 1, sizeof *discount);
    int bad = rows && discount ? rows_fill(rows, score, request, label, n, 1) : -1;
    if (!bad) {
        struct ranking sum = {0, 0, 0, 0};
        const struct row *sorted = rows_sort(rows, n);
        fill_discounts(discount, k < n ? k : n);
        for (size_t i = 0, end; i < n; i = end) {
            end = rows_group_end(sorted, i, n);
            add_request(sorted + i, end - i, k, discount, &sum);
        }
        double m = (double)sum.requests;
        if (sum.requests)
            *out = (struct ranking){sum.ndcg / m, sum.hit_rate / m, sum.recall / m, sum.requests};
    }
    free(rows);
    free(discount);
    return bad;
}
