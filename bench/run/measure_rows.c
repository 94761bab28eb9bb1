#include "bench/run/measure_rows.h"
#include "base/file.h"
#include "base/str.h"
#include "bench/results.h"
#include "bench/run/measure.h"
#include "metrics/stats.h"
#include <math.h>
#include <string.h>

static const char load[] = "closed";

struct percentile { /* in us; NaN where the samples do not carry it */
    double at, interval[2];
};

static struct percentile percentile(const struct point *p, double q) {
    struct percentile out;
    out.at = samples_percentile_us(p->round.got.v, p->round.got.n, q, out.interval);
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
    double qps = rounds_qps(&p->round);
    names(l, p);
    csv_text(l, ""); /* offered_qps: a closed loop offers what it gets */
    csv_num(l, qps);
    csv_num(l, qps * (double)p->candidates);
    csv_num(l, p50.at);
    csv_num(l, p95.at);
    csv_num(l, p99.at);
    csv_num(l, p999.at);
    csv_int(l, (int64_t)p->round.got.n);
    csv_num(l, p->cost.flops_per_candidate);
    csv_num(l, p->cost.bytes_per_candidate);
    csv_num(l, p->cost.flops_per_request);
    csv_num(l, floor_us(p, m));
    csv_text(l, verdict_name(v));
    csv_num(l, p50.interval[0]);
    csv_num(l, p50.interval[1]);
    csv_num(l, p99.interval[0]);
    csv_num(l, p99.interval[1]);
    csv_num(l, samples_mean_us(&p->round.got));
    csv_int(l, (int64_t)p->missing);
    csv_end(l);
}

/* Whole percentiles, then 99.5 and 99.9, as far as the samples carry them; 0 and 100 are the extremes seen.
 */
static void latency_rows(FILE *f, const struct point *p) {
    static const double tail[] = {99.5, 99.9};
    for (int i = 0; i <= 102 && p->round.got.n; i++) {
        double q = i < 100 ? i : i < 102 ? tail[i - 100] : 100;
        double us = percentile(p, q / 100).at;
        if (i == 0) us = (double)p->round.got.v[0] / 1e3;
        if (i == 102) us = (double)p->round.got.v[p->round.got.n - 1] / 1e3;
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
        int rc = samples_verdict(p[i].round.got.v, p[i].round.got.n, &v, e);
        if (rc) {
            file_abort(&o);
            return rc;
        }
        if (p[i].missing) v = VERDICT_MISSING;
        stat_sort_ns(p[i].round.got.v, p[i].round.got.n);
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
