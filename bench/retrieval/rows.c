#include "bench/retrieval/rows.h"
#include "base/mem.h"
#include "base/str.h"
#include "metrics/stats.h"
#include <inttypes.h>
#include <math.h>

/* What a row says of time, in the order of its columns; between P999 and P50_LO stand n and the verdict. */
enum { QPS, P50, P95, P99, P999, P50_LO, P50_HI, P99_LO, P99_HI, MEAN_US, USER_US, BUILD, BYTES, TIMED };
struct timed {
    double v[TIMED];
    size_t n;
    enum verdict verdict;
};

static int time_of(struct retrieval_point *p, struct timed *out, struct err *e) {
    static const double at[] = {0.5, 0.95, 0.99, 0.999};
    struct samples *s = &p->round.got;
    double interval[4][2];
    *out = (struct timed){.n = s->n};
    TRY(samples_verdict(s->v, s->n, &out->verdict, e));
    if (s->n) stat_sort_ns(s->v, s->n);
    for (int i = 0; i < 4; i++) out->v[P50 + i] = samples_percentile_us(s->v, s->n, at[i], interval[i]);
    for (int i = 0; i < 2; i++) {
        out->v[P50_LO + i] = interval[0][i];
        out->v[P99_LO + i] = interval[2][i];
    }
    out->v[QPS] = rounds_qps(&p->round);
    out->v[MEAN_US] = samples_mean_us(s);
    out->v[USER_US] = s->n ? (double)p->user_ns / 1e3 / (double)s->n : (double)NAN;
    out->v[BUILD] = p->index->build_seconds;
    out->v[BYTES] = (double)p->index->bytes;
    return 0;
}

/* The mean over seeds; order-statistic intervals have none. */
static struct timed mean_time(const struct timed *t, int n) {
    struct timed m = {.verdict = VERDICT_OK};
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < TIMED; k++) m.v[k] += t[i].v[k] / n;
        m.n += t[i].n;
        m.verdict = t[i].verdict > m.verdict ? t[i].verdict : m.verdict;
    }
    for (int k = P50_LO; k <= P99_HI; k++) m.v[k] = (double)NAN;
    return m;
}

/* ---- one row ---- */

static void seeds_interval(struct csv_line *l, const double *of_seed, int n) {
    double mean = stat_mean(of_seed, (size_t)n), half = stat_t_half_width(of_seed, (size_t)n, 0.95);
    csv_num(l, mean - half);
    csv_num(l, mean + half);
}

static void begin(struct csv_line *l, const struct retriever *r, const struct retrieval_point *p,
                  const char *seed) {
    const struct sweep_model *m = &r->setup->s->model[r->run->model];
    csv_text(l, m->variant->id);
    csv_text(l, m->subset->name);
    csv_text(l, seed);
    csv_text(l, p->index->kind);
    csv_text(l, p->parameter);
    if (*p->parameter)
        csv_int(l, p->value);
    else
        csv_text(l, "");
    csv_int(l, (int64_t)p->k);
    csv_int(l, r->setup->o->threads);
    csv_text(l, retrieval_exclude_names[r->setup->o->exclude]);
    csv_int(l, (int64_t)r->setup->judge->n);
    csv_int(l, (int64_t)r->towers.n_items - 1);
    csv_int(l, (int64_t)r->towers.dim);
}

static void time_columns(struct csv_line *l, const struct timed *t) {
    for (int k = 0; k < P50_LO; k++) csv_num(l, t->v[k]);
    csv_int(l, (int64_t)t->n);
    csv_text(l, verdict_name(t->verdict));
    for (int k = P50_LO; k < BYTES; k++) csv_num(l, t->v[k]);
    csv_int(l, (int64_t)t->v[BYTES]);
}

/* Point `at` of r[n]: of one seed, or the mean of several. t[n]. */
static void row(FILE *f, const struct retriever *r, const struct timed *t, int n, int at,
                const struct judged *judged) {
    const struct retrieval_point *p = &r[0].point[at];
    struct csv_line l = {.f = f};
    double of_seed[OPT_LIST_MAX];
    char seed[32] = "mean";
    if (n == 1) snprintf(seed, sizeof seed, "%" PRId64, r[0].run->seed);
    begin(&l, r, p, seed);
    for (int m = 0; m < JUDGED; m++) csv_num(&l, judged->mean[m]);
    for (int m = JUDGED_HR; m < JUDGED; m++) {
        for (int i = 0; i < n; i++) of_seed[i] = r[i].exact[p->t].mean[m];
        csv_num(&l, stat_mean(of_seed, (size_t)n));
    }
    const struct timed mean = mean_time(t, n);
    time_columns(&l, n > 1 ? &mean : t);
    csv_int(&l, n);
    for (int m = 0; m < JUDGED; m++) {
        csv_num(&l, judged->over_users[m].lo);
        csv_num(&l, judged->over_users[m].hi);
    }
    for (int m = 0; m < JUDGED; m++) {
        for (int i = 0; i < n; i++) of_seed[i] = r[i].point[at].judged.mean[m];
        seeds_interval(&l, of_seed, n);
    }
    for (int k = QPS; k <= P50; k++) {
        for (int i = 0; i < n; i++) of_seed[i] = t[i].v[k];
        seeds_interval(&l, of_seed, n);
    }
    csv_end(&l);
}

int retrieval_rows(FILE *f, struct retriever *r, int n, const struct judged *mean, struct err *e) {
    int points = n ? r[0].n_points : 0;
    struct timed *t = mem_calloc((size_t)points * (size_t)n + 1, sizeof *t); /* [points][n] */
    int rc = t ? 0 : err_nomem(e, (size_t)points * sizeof *t);
    for (int p = 0; !rc && p < points; p++)
        for (int i = 0; !rc && i < n; i++) rc = time_of(&r[i].point[p], &t[p * n + i], e);
    for (int i = 0; !rc && i < n; i++)
        for (int p = 0; p < points; p++) row(f, &r[i], &t[p * n + i], 1, p, &r[i].point[p].judged);
    for (int p = 0; !rc && n > 1 && p < points; p++) row(f, r, &t[p * n], n, p, &mean[p]);
    mem_free(t);
    return rc;
}
