#include "bench/retrieval/point.h"
#include "base/str.h"
#include "metrics/stats.h"
#include <math.h>

static void mean(struct csv_line *l, double sum, size_t n) { csv_num(l, n ? sum / (double)n : (double)NAN); }

static void quality(struct csv_line *l, const struct judged *got, const struct judged *exact) {
    mean(l, got->recall, got->users);
    mean(l, got->hit_rate, got->users);
    mean(l, got->ndcg, got->users);
    mean(l, got->click_recall, got->users);
    mean(l, exact->hit_rate, exact->users);
    mean(l, exact->ndcg, exact->users);
    mean(l, exact->click_recall, exact->users);
}

static void times(struct csv_line *l, const struct retrieval_point *p, enum verdict v) {
    static const double at[] = {0.5, 0.95, 0.99, 0.999};
    const struct samples *s = &p->round.got;
    double value[4], interval[4][2];
    for (int i = 0; i < 4; i++) value[i] = samples_percentile_us(s->v, s->n, at[i], interval[i]);
    csv_num(l, rounds_qps(&p->round));
    for (int i = 0; i < 4; i++) csv_num(l, value[i]);
    csv_int(l, (int64_t)s->n);
    csv_text(l, verdict_name(v));
    for (int i = 0; i < 3; i += 2) {
        csv_num(l, interval[i][0]);
        csv_num(l, interval[i][1]);
    }
    csv_num(l, samples_mean_us(s));
    csv_num(l, s->n ? (double)p->user_ns / 1e3 / (double)s->n : (double)NAN);
}

int retrieval_row(FILE *f, const struct retrieval_row *r, struct retrieval_point *p,
                  const struct judged *exact, struct err *e) {
    enum verdict v;
    struct samples *s = &p->round.got;
    TRY(samples_verdict(s->v, s->n, &v, e));
    if (s->n) stat_sort_ns(s->v, s->n);
    struct csv_line l = {.f = f};
    csv_text(&l, r->variant);
    csv_text(&l, r->features);
    csv_int(&l, r->seed);
    csv_text(&l, p->index->kind);
    csv_text(&l, p->parameter);
    if (*p->parameter)
        csv_int(&l, p->value);
    else
        csv_text(&l, "");
    csv_int(&l, (int64_t)p->k);
    csv_int(&l, r->threads);
    csv_text(&l, r->exclude);
    csv_int(&l, (int64_t)p->judged.users);
    csv_int(&l, (int64_t)r->items);
    csv_int(&l, (int64_t)r->dim);
    quality(&l, &p->judged, exact);
    times(&l, p, v);
    csv_num(&l, p->index->build_seconds);
    csv_int(&l, p->index->bytes);
    csv_end(&l);
    return 0;
}
