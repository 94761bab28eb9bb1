#include "bench/load/samples.h"
#include "base/mem.h"
#include "metrics/stats.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

static const double confidence = 0.95, unlike = 0.05;
enum { COARSE_BLOCKS = 5, FINE_BLOCKS = 10 };

int samples_room(struct samples *s, size_t more, struct err *e) {
    size_t room = s->room ? s->room : 1024, want = s->n + more;
    while (room < want) room *= 2;
    if (room == s->room) return 0;
    int64_t *v = mem_realloc(s->v, s->n * sizeof *v, room * sizeof *v);
    if (!v) return err_nomem(e, room * sizeof *v);
    s->v = v;
    s->room = room;
    return 0;
}

void samples_release(struct samples *s) {
    mem_free(s->v);
    *s = (struct samples){0};
}

double samples_mean_us(const struct samples *s) {
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += (double)s->v[i];
    return s->n ? sum / (double)s->n / 1e3 : (double)NAN;
}

double samples_percentile_us(const int64_t *sorted, size_t n, double q, double interval[2]) {
    int64_t lo, hi;
    bool known = stat_percentile_interval_ns(sorted, n, q, confidence, &lo, &hi);
    if (interval) {
        interval[0] = known ? (double)lo / 1e3 : (double)NAN;
        interval[1] = known ? (double)hi / 1e3 : (double)NAN;
    }
    return known ? (double)stat_percentile_ns(sorted, n, q) / 1e3 : (double)NAN;
}

double samples_inflation(const int64_t *v, size_t n, int64_t limit, int blocks) {
    size_t k = (size_t)blocks;
    double sum = 0, squares = 0;
    for (size_t b = 0; b < k; b++) {
        double count = 0;
        for (size_t i = b * n / k; i < (b + 1) * n / k; i++) count += v[i] > limit;
        sum += count;
        squares += count * count;
    }
    double mean = sum / blocks, expected = mean * (1 - sum / (double)n);
    double variance = (squares - sum * mean) / (blocks - 1);
    return expected > 0 ? fmax(1, variance / expected) : 1;
}

void samples_interval_us(const int64_t *v, const int64_t *sorted, size_t n, double q, double interval[2]) {
    interval[0] = interval[1] = (double)NAN;
    double half = 0;
    if (n < 2 * FINE_BLOCKS) return;
    for (int blocks = COARSE_BLOCKS; blocks <= FINE_BLOCKS; blocks *= 2) {
        double inflation = samples_inflation(v, n, stat_percentile_ns(sorted, n, q), blocks);
        double t = stat_t_quantile((1 + confidence) / 2, blocks - 1);
        half = fmax(half, t * sqrt(q * (1 - q) * inflation / (double)n));
    }
    double lo = floor((q - half) * (double)n), hi = ceil((q + half) * (double)n);
    if (lo >= 1) interval[0] = (double)sorted[(size_t)lo - 1] / 1e3;
    if (hi < (double)n) interval[1] = (double)sorted[(size_t)hi] / 1e3;
}

const char *verdict_name(enum verdict v) {
    static const char *const names[] = {"ok",      "unstable",   "insufficient samples",
                                        "invalid", "overloaded", "items missing"};
    return names[v];
}

/* Median and its interval of samples in the order of time; false when there are too few. */
static bool median(const int64_t *v, size_t n, int64_t *scratch, int64_t out[3]) {
    memcpy(scratch, v, n * sizeof *v);
    stat_sort_ns(scratch, n);
    out[0] = stat_percentile_ns(scratch, n, 0.5);
    return stat_percentile_interval_ns(scratch, n, 0.5, confidence, &out[1], &out[2]);
}

int samples_verdict(const int64_t *v, size_t n, enum verdict *out, struct err *e) {
    *out = VERDICT_INSUFFICIENT;
    if (n < stat_samples_needed(0.99, confidence)) return 0;
    int64_t *scratch = mem_alloc(n * sizeof *scratch), a[3], b[3];
    if (!scratch) return err_nomem(e, n * sizeof *scratch);
    bool known = median(v, n / 2, scratch, a) && median(v + n / 2, n - n / 2, scratch, b);
    mem_free(scratch);
    if (!known) return 0;
    bool apart = a[2] < b[1] || b[2] < a[1];
    *out = apart && fabs((double)a[0] / (double)b[0] - 1) > unlike ? VERDICT_UNSTABLE : VERDICT_OK;
    return 0;
}
