#include "metrics/metrics.h"
#include "metrics/rows.h"
#include <math.h>
#include <stdlib.h>

static int is_probability(float p) { return p >= 0 && p <= 1; }

double metric_logloss(const float *p, const uint8_t *label, size_t n) {
    const double least = 1e-15;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_probability(p[i])) return NAN;
        double q = fmin(fmax((double)p[i], least), 1 - least);
        sum -= log(label[i] ? q : 1 - q);
    }
    return sum / (double)n;
}

double metric_pcoc(const float *p, const uint8_t *label, size_t n) {
    double predicted = 0;
    size_t clicked = 0;
    for (size_t i = 0; i < n; i++) {
        predicted += (double)p[i];
        clicked += label[i] != 0;
    }
    return clicked ? predicted / (double)clicked : NAN;
}

static struct calibration_bin bin_of(const struct row *rows, const float *p, const uint8_t *label, size_t n) {
    double sum_p = 0;
    size_t clicked = 0;
    for (size_t i = 0; i < n; i++) {
        sum_p += (double)p[rows[i].value];
        clicked += label[rows[i].value] != 0;
    }
    return (struct calibration_bin){sum_p / (double)n, (double)clicked / (double)n, n};
}

int metric_ece(const float *p, const uint8_t *label, size_t n, int bins, double *out,
               struct calibration_bin *bin) {
    *out = NAN;
    for (int b = 0; bin && b < bins; b++) bin[b] = (struct calibration_bin){NAN, NAN, 0};
    if (n == 0 || bins < 1) return 0;
    struct row *rows = rows_alloc(n);
    if (!rows) return -1;
    int bad = 0, meaningless = 0;
    for (size_t i = 0; i < n && !bad; i++) {
        if (isnan(p[i])) bad = -2;
        if (!is_probability(p[i])) meaningless = 1;
        rows[i] = (struct row){rows_key(p[i]), i};
    }
    if (!bad && !meaningless) {
        const struct row *sorted = rows_sort(rows, n);
        const size_t size = n / (size_t)bins,
                     larger = n % (size_t)bins; /* the first `larger` bins hold one row more */
        double gap = 0;
        for (size_t b = 0, from = 0; b < (size_t)bins && from < n; b++) {
            struct calibration_bin c = bin_of(sorted + from, p, label, size + (b < larger));
            gap += (double)c.n * fabs(c.mean_p - c.mean_y);
            from += c.n;
            if (bin) bin[b] = c;
        }
        *out = gap / (double)n;
    }
    free(rows);
    return bad;
}
