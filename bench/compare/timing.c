#include "bench/compare/timing.h"
#include "metrics/stats.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double confidence = 0.95;
static const char *const metric_name[TIMING_METRICS] = {"p50", "p99", "qps"};

void timing_init(struct timing *t, int groups) {
    *t = (struct timing){.arena = ARENA_INIT, .groups = groups};
}

void timing_release(struct timing *t) {
    arena_release(&t->arena);
    *t = (struct timing){.arena = ARENA_INIT};
}

/* "variant,features,precision,store,candidates,threads,load": ids hold no commas. */
static int name_point(struct timing *t, struct timing_point *p, const char *names, struct err *e) {
    char cell[7][64] = {"", "", "", "", "", "", ""}, where[320];
    for (int i = 0; i < 7 && *names; i++) {
        size_t n = strcspn(names, ",");
        snprintf(cell[i], sizeof cell[i], "%.*s", (int)n, names);
        names += n + (names[n] == ',');
    }
    snprintf(where, sizeof where, "%s, %s, %s candidates, %s thread%s", cell[2], cell[3], cell[4], cell[5],
             strcmp(cell[5], "1") != 0 ? "s" : "");
    p->variant = arena_strdup(&t->arena, cell[0]);
    p->features = arena_strdup(&t->arena, cell[1]);
    p->where = arena_strdup(&t->arena, where);
    size_t n = (size_t)t->groups * TIMING_METRICS;
    p->base = arena_alloc(&t->arena, n * sizeof *p->base);
    p->ratio = arena_alloc(&t->arena, n * sizeof *p->ratio);
    return p->variant && p->features && p->where && p->base && p->ratio ? 0
                                                                        : err_nomem(e, n * sizeof *p->base);
}

int timing_name(struct timing *t, char *const *names, int n, struct err *e) {
    t->n_points = n;
    t->point = arena_alloc(&t->arena, ((size_t)n + 1) * sizeof *t->point);
    if (!t->point) return err_nomem(e, 0);
    for (int i = 0; i < n; i++) TRY(name_point(t, &t->point[i], names[i], e));
    return 0;
}

/* Sorted samples -> p50, p99, time per request, in us; p99 only when the samples carry it. */
static void figures(const int64_t *sorted, size_t n, double out[TIMING_METRICS]) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)sorted[i];
    out[TIMING_P50] = (double)stat_percentile_ns(sorted, n, 0.5) / 1e3;
    out[TIMING_P99] = n < stat_samples_needed(0.99, confidence)
                          ? (double)NAN
                          : (double)stat_percentile_ns(sorted, n, 0.99) / 1e3;
    out[TIMING_QPS] = sum / (double)n / 1e3;
}

int timing_add(struct timing *t, int point, int64_t *base_ns, int64_t *new_ns, size_t n, struct err *e) {
    struct timing_point *p = &t->point[point];
    double a[TIMING_METRICS], b[TIMING_METRICS];
    if (p->n >= t->groups) return err_set(e, ERR_INPUT, "more than %d groups", t->groups);
    stat_sort_ns(base_ns, n);
    stat_sort_ns(new_ns, n);
    figures(base_ns, n, a);
    figures(new_ns, n, b);
    for (int m = 0; m < TIMING_METRICS; m++) {
        p->base[m * t->groups + p->n] = a[m];
        p->ratio[m * t->groups + p->n] = log(b[m] / a[m]);
    }
    p->n++;
    return 0;
}

int timing_gate(const struct timing *t, int point, int metric, int first, struct gate *g, struct err *e) {
    const struct timing_point *p = &t->point[point];
    const double *ratio = p->ratio + metric * t->groups + first, *base = p->base + metric * t->groups + first;
    double centre, lo, hi, typical, unused[2];
    size_t n = (size_t)(p->n - first);
    if (stat_centre(ratio, n, confidence, &centre, &lo, &hi) || stat_signed_rank(ratio, n, &g->p) ||
        stat_centre(base, n, confidence, &typical, &unused[0], &unused[1]))
        return err_nomem(e, n * n * sizeof(double));
    if (n && isnan(g->p)) g->p = 1; /* no group differs: all lie as much above 0 as these */
    g->worse = exp(centre) - 1;
    g->lo = exp(lo) - 1;
    g->hi = exp(hi) - 1;
    g->n = n;
    g->base = metric == TIMING_QPS ? 1e6 / typical : typical;
    g->new = metric == TIMING_QPS ? g->base / exp(centre) : g->base *exp(centre);
    return 0;
}

int timing_gates(const struct timing *t, struct comparison *c, struct err *e) {
    for (int i = 0; i < t->n_points; i++)
        for (int m = 0; m < TIMING_METRICS; m++) {
            const struct timing_point *p = &t->point[i];
            struct gate *g = gate_add(c, p->variant, p->features, metric_name[m], GATE_TURNS, e);
            if (!g) return ERR_INPUT;
            snprintf(g->point, sizeof g->point, "%.120s", p->where);
            if (p->skip)
                gate_skip(g, p->skip);
            else
                TRY(timing_gate(t, i, m, 0, g, e));
        }
    return 0;
}
