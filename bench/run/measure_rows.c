#include "bench/run/measure_rows.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "bench/results.h"
#include "bench/run/served.h"
#include "metrics/stats.h"
#include <math.h>

struct measured *measured_add(struct measured_list *l, const struct point *p, const char *load,
                              struct err *e) {
    if (l->n == l->room) {
        int room = l->room ? 2 * l->room : 16;
        struct measured *v = mem_realloc(l->v, (size_t)l->room * sizeof *v, (size_t)room * sizeof *v);
        if (!v) {
            err_nomem(e, (size_t)room * sizeof *v);
            return NULL;
        }
        l->v = v;
        l->room = room;
    }
    const double none = (double)NAN;
    l->v[l->n] = (struct measured){.point = p,
                                   .load = load,
                                   .offered_qps = none,
                                   .qps = none,
                                   .service_us = none,
                                   .wait_us = none,
                                   .lag_p99_us = none,
                                   .utilisation = none};
    return &l->v[l->n++];
}

void measured_release(struct measured_list *l) {
    for (int i = 0; i < l->n; i++)
        if (!l->v[i].again) samples_release(&l->v[i].took);
    mem_free(l->v);
    *l = (struct measured_list){0};
}

int measured_again(struct measured_list *l, const struct point *from, const struct point *to, struct err *e) {
    for (int i = 0, n = l->n; i < n; i++) {
        if (l->v[i].point != from) continue;
        struct measured *r = measured_add(l, to, l->v[i].load, e);
        if (!r) return ERR_INPUT;
        *r = l->v[i];
        r->point = to;
        r->again = true;
    }
    return 0;
}

int measured_closed(struct measured_list *l, struct point *p, double limit_ms, struct err *e) {
    struct measured *r = measured_add(l, p, "closed", e);
    if (!r) return ERR_INPUT;
    r->qps = rounds_qps(&p->round);
    r->took = p->round.got;
    p->round.got = (struct samples){0};
    r->missing = p->missing;
    r->limit_us = limit_ms * 1e3;
    TRY(samples_verdict(r->took.v, r->took.n, &r->verdict, e));
    if (r->missing) r->verdict = VERDICT_MISSING;
    return 0;
}

static void names(struct csv_line *l, const struct point *p, const char *load) {
    csv_text(l, p->variant);
    csv_text(l, p->features);
    csv_text(l, p->precision);
    csv_text(l, p->store);
    csv_int(l, (int64_t)llround(p->requests->mean));
    csv_int(l, p->threads);
    csv_text(l, load);
}

void measure_names(FILE *out, const struct point *p) {
    struct csv_line l = {.f = out};
    names(&l, p, "closed");
    csv_end(&l);
}

static double late_share(const struct measured *r) {
    size_t late = 0;
    if (!(r->limit_us > 0) || !r->took.n) return (double)NAN;
    for (size_t i = 0; i < r->took.n; i++) late += (double)r->took.v[i] / 1e3 > r->limit_us;
    return (double)late / (double)r->took.n;
}

/* Of all requests at the point, those that warm up included; NaN without a cache. */
static double hit_share(const struct point *p) {
    double asked = 0, hits = 0;
    for (int i = 0; p->caches_users && i < p->servers.n; i++) {
        asked += (double)p->scorer[i].asked;
        hits += (double)p->scorer[i].user_hits;
    }
    return asked > 0 ? hits / asked : (double)NAN;
}

static void compute_row(struct csv_line *l, const struct measured *r, const struct machine *m) {
    const struct point *p = r->point;
    static const double percentile[] = {0.5, 0.95, 0.99, 0.999};
    double at[4], interval[4][2];
    for (int i = 0; i < 4; i++)
        at[i] = samples_percentile_us(r->took.v, r->took.n, percentile[i], interval[i]);
    for (int i = 0; r->waits && i < 2; i++)
        for (int k = 0; k < 2; k++) interval[2 * i][k] = isnan(at[2 * i]) ? (double)NAN : r->interval[i][k];
    names(l, p, r->load);
    csv_num(l, r->offered_qps);
    csv_num(l, r->qps);
    csv_num(l, r->qps * p->requests->mean);
    for (int i = 0; i < 4; i++) csv_num(l, at[i]);
    csv_int(l, (int64_t)r->took.n);
    csv_num(l, p->cost.flops_per_candidate);
    csv_num(l, p->cost.bytes_per_candidate);
    csv_num(l, p->cost.flops_per_request);
    csv_num(l, served_floor_us(&p->cost, p->requests->mean, p->caches_users, m));
    csv_text(l, verdict_name(r->verdict));
    csv_num(l, interval[0][0]);
    csv_num(l, interval[0][1]);
    csv_num(l, interval[2][0]);
    csv_num(l, interval[2][1]);
    csv_num(l, samples_mean_us(&r->took));
    csv_int(l, (int64_t)r->missing);
    csv_num(l, r->service_us);
    csv_num(l, r->wait_us);
    csv_num(l, r->lag_p99_us);
    csv_num(l, r->utilisation);
    csv_num(l, r->limit_us > 0 ? r->limit_us / 1e3 : (double)NAN);
    csv_num(l, late_share(r));
    csv_text(l, p->spread);
    csv_int(l, p->servers.n);
    csv_int(l, p->threads_per_request);
    if (p->split_from < SIZE_MAX)
        csv_int(l, (int64_t)p->split_from);
    else
        csv_text(l, "");
    csv_num(l, hit_share(p));
    csv_end(l);
}

/* Whole percentiles, then 99.5 and 99.9, as far as the samples carry them; 0 and 100 are the extremes seen.
 */
static void latency_rows(FILE *f, const struct measured *r) {
    static const double tail[] = {99.5, 99.9};
    const struct samples *s = &r->took;
    for (int i = 0; i <= 102 && s->n; i++) {
        double q = i < 100 ? i : i < 102 ? tail[i - 100] : 100;
        double us = i ? samples_percentile_us(s->v, s->n, q / 100, NULL) : (double)s->v[0] / 1e3;
        if (i == 102) us = (double)s->v[s->n - 1] / 1e3;
        if (isnan(us)) continue;
        struct csv_line l = {.f = f};
        names(&l, r->point, r->load);
        csv_num(&l, q);
        csv_num(&l, us);
        csv_num(&l, r->offered_qps);
        csv_end(&l);
    }
}

int measure_write(const char *dir, struct measured_list *l, const struct machine *m, struct err *e) {
    char path[1024];
    struct file_out o;
    for (int i = 0; i < l->n; i++)
        if (!l->v[i].again) stat_sort_ns(l->v[i].took.v, l->v[i].took.n);
    TRY(file_join(path, sizeof path, dir, "compute.csv", e));
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", RESULTS_COMPUTE_COLUMNS);
    for (int i = 0; i < l->n; i++) {
        struct csv_line line = {.f = o.f};
        compute_row(&line, &l->v[i], m);
    }
    TRY(file_commit(&o, e));
    TRY(file_join(path, sizeof path, dir, "latency.csv", e));
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", RESULTS_LATENCY_COLUMNS);
    for (int i = 0; i < l->n; i++) latency_rows(o.f, &l->v[i]);
    return file_commit(&o, e);
}
