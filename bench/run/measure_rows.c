#include "bench/run/measure_rows.h"
#include "base/file.h"
#include "base/str.h"
#include "bench/results.h"
#include "bench/run/measure.h"
#include "metrics/stats.h"
#include <math.h>
#include <string.h>

static const double confidence = 0.95;
static const char load[] = "closed";

static const char *verdict_name(enum verdict v) {
    static const char *const names[] = {"ok", "unstable", "insufficient samples", "items missing"};
    return names[v];
}

/* Median and its interval of samples in the order of time; false when there are too few. */
static bool median(const int64_t *sample, size_t n, int64_t *scratch, int64_t out[3]) {
    memcpy(scratch, sample, n * sizeof *sample);
    stat_sort_ns(scratch, n);
    out[0] = stat_percentile_ns(scratch, n, 0.5);
    return stat_percentile_interval_ns(scratch, n, 0.5, confidence, &out[1], &out[2]);
}

int measure_verdict(const int64_t *sample, size_t n, enum verdict *out, struct err *e) {
    *out = VERDICT_INSUFFICIENT;
    if (n < stat_samples_needed(0.99, confidence)) return 0;
    int64_t *scratch = mem_alloc(n * sizeof *scratch), a[3], b[3];
    if (!scratch) return err_nomem(e, n * sizeof *scratch);
    bool known = median(sample, n / 2, scratch, a) && median(sample + n / 2, n - n / 2, scratch, b);
    mem_free(scratch);
    if (!known) return 0;
    bool apart = a[2] < b[1] || b[2] < a[1];
    *out = apart && fabs((double)a[0] / (double)b[0] - 1) > 0.05 ? VERDICT_UNSTABLE : VERDICT_OK;
    return 0;
}

struct percentile { /* in us; NaN where the samples do not carry it */
    double at, lo, hi;
};

static struct percentile percentile(const struct point *p, double q) {
    struct percentile out = {(double)NAN, (double)NAN, (double)NAN};
    int64_t lo, hi;
    if (!stat_percentile_interval_ns(p->sample, p->n, q, confidence, &lo, &hi)) return out;
    out.at = (double)stat_percentile_ns(p->sample, p->n, q) / 1e3;
    out.lo = (double)lo / 1e3;
    out.hi = (double)hi / 1e3;
    return out;
}

static void names(struct csv_line *l, const struct point *p) {
    csv_text(l, p->variant);
    csv_text(l, p->features);
    csv_text(l, p->precision);
    csv_text(l, p->store);
    csv_int(l, (int64_t)p->candidates);
    csv_int(l, p->threads);
    csv_text(l, load);
}

void measure_names(FILE *out, const struct point *p) {
    struct csv_line l = {.f = out};
    names(&l, p);
    csv_end(&l);
}

static double floor_us(const struct point *p, const struct machine *m) {
    const struct scorer_cost *c = &p->cost;
    double n = (double)p->candidates;
    return machine_floor_us(m, c->flops_per_request + n * c->flops_per_candidate,
                            c->weight_bytes + n * c->bytes_per_candidate,
                            c->weight_bytes + (double)c->item_store_bytes);
}

static void compute_row(struct csv_line *l, const struct point *p, enum verdict v, const struct machine *m) {
    const struct percentile p50 = percentile(p, 0.5), p95 = percentile(p, 0.95), p99 = percentile(p, 0.99),
                            p999 = percentile(p, 0.999);
    double sum = 0, qps = p->n && p->busy_ns > 0 ? 1e9 * (double)p->n / (double)p->busy_ns : (double)NAN;
    for (size_t i = 0; i < p->n; i++) sum += (double)p->sample[i];
    names(l, p);
    csv_text(l, ""); /* offered_qps: a closed loop offers what it gets */
    csv_num(l, qps);
    csv_num(l, qps * (double)p->candidates);
    csv_num(l, p50.at);
    csv_num(l, p95.at);
    csv_num(l, p99.at);
    csv_num(l, p999.at);
    csv_int(l, (int64_t)p->n);
    csv_num(l, p->cost.flops_per_candidate);
    csv_num(l, p->cost.bytes_per_candidate);
    csv_num(l, p->cost.flops_per_request);
    csv_num(l, floor_us(p, m));
    csv_text(l, verdict_name(v));
    csv_num(l, p50.lo);
    csv_num(l, p50.hi);
    csv_num(l, p99.lo);
    csv_num(l, p99.hi);
    csv_num(l, p->n ? sum / (double)p->n / 1e3 : (double)NAN);
    csv_int(l, (int64_t)p->missing);
    csv_end(l);
}

/* Whole percentiles, then 99.5 and 99.9, as far as the samples carry them; 0 and 100 are the extremes seen.
 */
static void latency_rows(FILE *f, const struct point *p) {
    static const double tail[] = {99.5, 99.9};
    for (int i = 0; i <= 102 && p->n; i++) {
        double q = i < 100 ? i : i < 102 ? tail[i - 100] : 100;
        double us = percentile(p, q / 100).at;
        if (i == 0) us = (double)p->sample[0] / 1e3;
        if (i == 102) us = (double)p->sample[p->n - 1] / 1e3;
        if (isnan(us)) continue;
        struct csv_line l = {.f = f};
        names(&l, p);
        csv_num(&l, q);
        csv_num(&l, us);
        csv_end(&l);
    }
}

static int write_compute(const char *dir, struct point *p, int n, const struct machine *m, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(file_join(path, sizeof path, dir, "compute.csv", e));
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", RESULTS_COMPUTE_COLUMNS);
    for (int i = 0; i < n; i++) {
        enum verdict v;
        int rc = measure_verdict(p[i].sample, p[i].n, &v, e);
        if (rc) {
            file_abort(&o);
            return rc;
        }
        if (p[i].missing) v = VERDICT_MISSING;
        stat_sort_ns(p[i].sample, p[i].n);
        struct csv_line l = {.f = o.f};
        compute_row(&l, &p[i], v, m);
    }
    return file_commit(&o, e);
}

int measure_write(const char *dir, struct point *p, int n, const struct machine *m, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(write_compute(dir, p, n, m, e));
    TRY(file_join(path, sizeof path, dir, "latency.csv", e));
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", RESULTS_LATENCY_COLUMNS);
    for (int i = 0; i < n; i++) latency_rows(o.f, &p[i]);
    return file_commit(&o, e);
}
