/* cascade.csv. */
#include "base/file.h"
#include "base/str.h"
#include "bench/results.h"
#include "bench/run/cascade_own.h"
#include "bench/run/served.h"
#include "metrics/stats.h"
#include <math.h>

enum { SEEDS_MAX = 256 };

struct mean { /* over the seeds of a model */
    size_t seeds;
    double ndcg, lo, hi, hit_rate, kept, recall;
};

static struct mean mean_of(const struct sweep *s, const struct cascade_state *c, int model, int k) {
    double ndcg[SEEDS_MAX], half = (double)NAN;
    struct mean m = {.seeds = 0};
    for (int i = 0; i < s->n_runs && m.seeds < SEEDS_MAX; i++) {
        if (s->run[i].model != model || !sweep_run_ok(&s->run[i])) continue;
        const struct outcome *o = &c->outcome[(size_t)i * (size_t)c->n_k + (size_t)k];
        ndcg[m.seeds++] = o->ndcg;
        half = o->ndcg_half;
        m.hit_rate += o->hit_rate;
        m.kept += o->kept;
        m.recall += o->recall;
    }
    m.ndcg = stat_mean(ndcg, m.seeds);
    if (m.seeds > 1) half = stat_t_half_width(ndcg, m.seeds, 0.95);
    m.lo = m.ndcg - half;
    m.hi = m.ndcg + half;
    m.hit_rate /= (double)m.seeds;
    m.kept /= (double)m.seeds;
    m.recall /= (double)m.seeds;
    return m;
}

struct work { /* of a stage */
    double flops, floor_us;
};

static struct work work_of(const struct cascade_state *c, const struct scorer *scorer, size_t candidates) {
    struct scorer_cost cost = scorer_cost(scorer);
    return (struct work){cost.flops_per_request + (double)candidates * cost.flops_per_candidate,
                         served_floor_us(&cost, (double)candidates, false, c->machine)};
}

/* The ranker itself has one row: all candidates, and no stage before it. */
static void row(struct csv_line *l, const struct sweep *s, const struct cascade_state *c, int model, int k) {
    const struct sweep_model *m = &s->model[model], *r = &s->model[c->ranker];
    const struct mean mean = mean_of(s, c, model, k);
    bool alone = model == c->ranker;
    double pre_us = alone ? 0 : c->ahead[model].us;
    struct work pre = {0, 0}, after = work_of(c, c->ahead[c->ranker].scorer, c->k[k]);
    if (!alone) pre = work_of(c, c->ahead[model].scorer, c->q.most);
    csv_text(l, m->variant->id);
    csv_text(l, m->subset->name);
    csv_text(l, r->variant->id);
    csv_text(l, r->subset->name);
    csv_int(l, (int64_t)c->k[k]);
    csv_int(l, (int64_t)c->q.most);
    csv_int(l, (int64_t)c->q.n);
    csv_int(l, (int64_t)mean.seeds);
    const double number[] = {mean.ndcg,
                             mean.lo,
                             mean.hi,
                             mean.hit_rate,
                             mean.kept,
                             mean.recall,
                             pre_us,
                             c->ranker_us[k],
                             pre_us + c->ranker_us[k],
                             pre.flops,
                             after.flops,
                             pre.flops + after.flops,
                             pre.floor_us + after.floor_us};
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) csv_num(l, number[i]);
    csv_end(l);
}

int cascade_write(const struct sweep *s, const struct cascade_state *c, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(file_join(path, sizeof path, s->dir, "cascade.csv", e));
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", RESULTS_CASCADE_COLUMNS);
    for (int m = 0; c && m < s->n_models; m++) {
        if (!c->ahead[m].scorer || s->model[m].teacher_only) continue;
        for (int k = m == c->ranker ? c->n_k - 1 : 0; k < c->n_k; k++) {
            struct csv_line l = {.f = o.f};
            row(&l, s, c, m, k);
        }
    }
    return file_commit(&o, e);
}
