#include "bench/run/precision.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/str.h"
#include "bench/results.h"
#include "bench/run/by_row.h"
#include "bench/run/evaluate.h"
#include "bench/run/served.h"
#include "metrics/metrics.h"
#include "nn/vec.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLE_ROWS = 1 << 16, RESAMPLES = 1000 };
static const uint64_t bootstrap_seed = 1;

static int by_user(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Rows of a user follow each other: the scorer runs the user stage once for them. */
int precision_sample(const struct dataset *ds, struct precision_sample *out, struct err *e) {
    uint64_t begin = ds->split[SPLIT_TRAIN].begin, rows = ds->split[SPLIT_TRAIN].end - begin;
    size_t n = rows < SAMPLE_ROWS ? (size_t)rows : SAMPLE_ROWS, fields = (size_t)ds->n_fields + 1;
    *out = (struct precision_sample){.arena = ARENA_INIT};
    uint64_t *key = arena_alloc(&out->arena, (n + 1) * sizeof *key); /* the user, and which of the n rows */
    uint32_t *id = arena_alloc(&out->arena, (fields + 2) * (n + 1) * sizeof *id);
    const char **name = arena_alloc(&out->arena, fields * sizeof *name);
    const uint32_t **column = arena_alloc(&out->arena, fields * sizeof *column);
    if (!key || !id || !name || !column) {
        precision_sample_release(out);
        return err_nomem(e, (fields + 4) * n * sizeof *id);
    }
    for (size_t i = 0; i < n; i++) key[i] = (uint64_t)ds->user[begin + i * rows / n] << 32 | i;
    qsort(key, n, sizeof *key, by_user);
    uint32_t *user = id, *item = id + n, *next = id + 2 * n;
    int pairs = 0;
    for (size_t i = 0; i < n; i++) {
        user[i] = (uint32_t)(key[i] >> 32);
        item[i] = ds->item[begin + (uint32_t)key[i] * rows / n];
    }
    for (int f = 0; f < ds->n_fields; f++) {
        if (ds->field[f].side != SIDE_PAIR || ds->field[f].type != VALUE_ID) continue;
        name[pairs] = ds->field[f].name;
        column[pairs++] = next;
        for (size_t i = 0; i < n; i++) *next++ = ds->field[f].rows.ids[begin + (uint32_t)key[i] * rows / n];
    }
    out->rows = (struct scorer_sample){n, user, item, pairs, name, column};
    return 0;
}

void precision_sample_release(struct precision_sample *s) {
    arena_release(&s->arena);
    s->rows = (struct scorer_sample){0};
}

struct lowered {
    const struct sweep *s;
    const struct measure_options *m;
    struct pool *pool;
    struct serving_data data; /* the real users and items */
    struct precision_sample sample;
    FILE *f;
    struct err *e;
};

/* Logits of all rows of a split. With a cache of users each row is asked twice, and the second answer counts. */
static int score_rows(struct lowered *l, const struct graph *g, const struct scorer_options *o,
                      enum split split, float *score) {
    const struct dataset *ds = l->s->ds;
    uint64_t begin = ds->split[split].begin, end = ds->split[split].end;
    struct serving_data rows;
    struct scorer *s = NULL;
    TRY(serving_data_from_rows(ds, begin, end, &rows, l->e));
    int rc = l->m->by_column ? 0 : serving_data_by_row(&rows, l->e);
    if (!rc) rc = scorer_create(g, &rows, o, l->pool, &s, l->e);
    int times = o->user_cache ? 2 : 1;
    for (uint32_t i = 0; i < rows.n_items && !rc; i++)
        for (int k = 0; k < times && !rc; k++)
            rc = scorer_score(s, &(struct request){.user = i, .n = 1, .items = &i}, &score[i], l->e);
    scorer_free(s);
    rows.release(rows.self);
    return rc;
}

/* 95 % interval of the difference of two GAUCs on the split's rows, paired by user; NaN where there is none. */
static int delta_interval(struct lowered *l, enum split split, const float *score, const float *exact,
                          struct interval *out) {
    const struct dataset *ds = l->s->ds;
    uint64_t begin = ds->split[split].begin;
    size_t n = (size_t)(ds->split[split].end - begin);
    enum gauc_weight by = (enum gauc_weight)l->s->x->o.gauc_weight;
    struct gauc a = {0}, b = {0};
    struct gauc_difference d = {.ci = {(double)NAN, (double)NAN}};
    int rc = gauc_compute(score, ds->label + begin, ds->user + begin, n, by, &a);
    if (!rc) rc = gauc_compute(exact, ds->label + begin, ds->user + begin, n, by, &b);
    if (!rc) rc = gauc_paired_bootstrap(&a, &b, RESAMPLES, 0.95, bootstrap_seed, &d);
    gauc_release(&a);
    gauc_release(&b);
    *out = d.ci;
    return rc == -1 ? err_nomem(l->e, n) : 0;
}

static int row(struct lowered *l, const struct sweep_run *r, enum precision p, enum split split,
               const struct quality *q, const struct quality *plain, const float *score, const float *exact) {
    const struct sweep_model *m = &l->s->model[r->model];
    double most = 0, sum = 0;
    struct interval ci;
    TRY(delta_interval(l, split, score, exact, &ci));
    for (size_t i = 0; i < q->rows; i++) {
        double d = fabs((double)score[i] - (double)exact[i]);
        most = d > most ? d : most;
        sum += d;
    }
    struct csv_line c = {.f = l->f};
    csv_text(&c, m->variant->id);
    csv_text(&c, m->subset->name);
    csv_text(&c, precision_names[p]);
    csv_int(&c, r->seed);
    csv_text(&c, split_name(split));
    csv_int(&c, (int64_t)q->rows);
    csv_num(&c, q->gauc);
    csv_num(&c, q->gauc - plain->gauc);
    csv_num(&c, q->auc);
    csv_num(&c, q->logloss);
    csv_num(&c, most);
    csv_num(&c, sum / (double)q->rows);
    csv_num(&c, ci.lo);
    csv_num(&c, ci.hi);
    csv_end(&c);
    return 0;
}

/* The scorer of the real items, whose scales int8 takes; NULL, and a message, when the model is refused. */
static int real_scorer(struct lowered *l, const struct graph *g, const struct sweep_run *r,
                       struct scorer_options *o, struct scorer **out) {
    struct err refused = ERR_INIT;
    int rc = scorer_create(g, &l->data, o, l->pool, out, &refused);
    if (!rc) return 0;
    if (rc != ERR_INPUT) return *l->e = refused, rc;
    progress_note("%s: %s; left out of precision.csv", r->id, refused.msg);
    return 0;
}

/* Quality of the split's rows in precision p; *served is false when the model is refused. */
static int quality_in(struct lowered *l, const struct graph *g, const struct sweep_run *r, enum precision p,
                      enum split split, float *score, struct quality *q, bool *served) {
    const struct dataset *ds = l->s->ds;
    uint64_t begin = ds->split[split].begin;
    struct scorer_options o = served_options(l->s, l->m, false);
    struct scorer *real = NULL;
    o.precision = p;
    o.sample = &l->sample.rows;
    *served = true;
    if (p != PRECISION_FP32) {
        TRY(real_scorer(l, g, r, &o, &real));
        *served = real != NULL;
        if (!real) return 0;
        o.scales = real;
    }
    int rc = score_rows(l, g, &o, split, score);
    scorer_free(real);
    TRY(rc);
    return evaluate_quick(score, ds->label + begin, ds->user + begin, (size_t)(ds->split[split].end - begin),
                          (enum gauc_weight)l->s->x->o.gauc_weight, q, l->e);
}

/* predictions/int8/<run>.csv: differences of models as they are served come from these. */
static int save_scores(struct lowered *l, const struct sweep_run *r, enum precision p, const float *score) {
    char folder[64];
    snprintf(folder, sizeof folder, "predictions/%s", precision_names[p]);
    return sweep_save_predictions(l->s, r, folder, score, l->e);
}

static int one_split(struct lowered *l, const struct graph *g, const struct sweep_run *r, enum split split,
                     float *score, float *exact) {
    const struct opt_ints *p = &l->m->precision;
    struct quality plain, q;
    bool served;
    TRY(quality_in(l, g, r, PRECISION_FP32, split, exact, &plain, &served));
    TRY(row(l, r, PRECISION_FP32, split, &plain, &plain, exact, exact));
    for (int k = 0; k < p->n; k++) {
        if (p->v[k] == PRECISION_FP32) continue;
        TRY(quality_in(l, g, r, (enum precision)p->v[k], split, score, &q, &served));
        if (!served) continue;
        TRY(row(l, r, (enum precision)p->v[k], split, &q, &plain, score, exact));
        if (split == SPLIT_TEST) TRY(save_scores(l, r, (enum precision)p->v[k], score));
    }
    return 0;
}

static int one_run(struct lowered *l, const struct sweep_run *r) {
    static const enum split splits[] = {SPLIT_VALID, SPLIT_TEST};
    struct graph g;
    int rc = served_load(l->s, r, &g, l->e);
    for (int k = 0; k < 2 && !rc; k++) {
        size_t n = (size_t)(l->s->ds->split[splits[k]].end - l->s->ds->split[splits[k]].begin);
        if (!n) continue;
        float *score = mem_alloc(2 * n * sizeof *score);
        rc =
            score ? one_split(l, &g, r, splits[k], score, score + n) : err_nomem(l->e, 2 * n * sizeof *score);
        mem_free(score);
    }
    graph_release(&g);
    return rc;
}

static int all_runs(struct lowered *l) {
    struct progress bar;
    int rc = 0;
    progress_start(&bar, "scoring in lower precisions", (uint64_t)l->s->n_runs);
    for (int i = 0; i < l->s->n_runs && !rc; i++) {
        if (sweep_run_ok(&l->s->run[i])) rc = one_run(l, &l->s->run[i]);
        if (rc) err_prefix(l->e, "scoring %s", l->s->run[i].id);
        if (!rc && interrupt_seen()) rc = err_set(l->e, ERR_INTERRUPTED, "interrupted");
        progress_at(&bar, (uint64_t)i + 1, l->s->run[i].id);
    }
    progress_end(&bar, rc ? "stopped" : NULL);
    return rc;
}

static bool any_lower(const struct opt_ints *p) {
    for (int k = 0; k < p->n; k++)
        if (p->v[k] != PRECISION_FP32) return true;
    return false;
}

static int begin(struct lowered *l) {
    gemm_single_threaded();
    TRY(serving_data_from_dataset(l->s->ds, &l->data, l->e));
    return precision_sample(l->s->ds, &l->sample, l->e);
}

static void end(struct lowered *l) {
    precision_sample_release(&l->sample);
    if (l->data.release) l->data.release(l->data.self);
}

int precision_gauc(const struct sweep *s, const struct measure_options *m, const struct graph *g,
                   const struct scorer *as, const struct scorer_options *o, struct pool *pool, double *gauc,
                   struct err *e) {
    struct lowered l = {.s = s, .m = m, .pool = pool, .e = e};
    struct scorer_options like = *o;
    uint64_t begin = s->ds->split[SPLIT_TEST].begin;
    size_t n = (size_t)(s->ds->split[SPLIT_TEST].end - begin);
    struct quality q = {.gauc = (double)NAN};
    like.scales = as;
    float *score = mem_alloc((n + 1) * sizeof *score);
    int rc = score ? 0 : err_nomem(e, n * sizeof *score);
    if (!rc && n) rc = score_rows(&l, g, &like, SPLIT_TEST, score);
    if (!rc && n)
        rc = evaluate_quick(score, s->ds->label + begin, s->ds->user + begin, n,
                            (enum gauc_weight)s->x->o.gauc_weight, &q, e);
    mem_free(score);
    *gauc = q.gauc;
    return rc;
}

int precision_run(const struct sweep *s, struct pool *pool, struct err *e) {
    struct err own = ERR_INIT;
    struct lowered l = {.s = s, .m = &s->x->measure, .pool = pool, .e = e ? e : &own};
    char path[1024];
    struct file_out o = {.f = NULL};
    if (!any_lower(&s->x->measure.precision)) return 0;
    int rc = begin(&l);
    if (!rc) rc = file_join(path, sizeof path, s->dir, "precision.csv", l.e);
    if (!rc) rc = file_begin(&o, path, l.e);
    if (!rc) {
        l.f = o.f;
        fprintf(o.f, "%s\n", RESULTS_PRECISION_COLUMNS);
        rc = all_runs(&l);
        if (rc)
            file_abort(&o);
        else
            rc = file_commit(&o, l.e);
    }
    end(&l);
    return rc;
}
