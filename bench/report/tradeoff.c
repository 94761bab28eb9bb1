#include "bench/report/tradeoff.h"
#include "base/file.h"
#include "base/str.h"
#include "bench/report/lowered.h"
#include "bench/results.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* The numbers of compute.csv and where they go. */
struct column {
    const char *name;
    size_t offset;
    double *value;
};
#define COLUMN(field)                                                                                        \
    { #field, offsetof(struct tradeoff_point, field), NULL }
enum { NUMBERS = 17 };

static void set_texts(struct tradeoff_point *p, const struct table *t, size_t row) {
    p->variant = table_text(t, row, table_column(t, "variant"));
    p->features = table_text(t, row, table_column(t, "features"));
    p->precision = table_text(t, row, table_column(t, "precision"));
    p->store = table_text(t, row, table_column(t, "store"));
    p->load = table_text(t, row, table_column(t, "load"));
    p->verdict = table_text(t, row, table_column(t, "verdict"));
}

static struct tradeoff_point empty_point(const struct effect_group *g) {
    struct tradeoff_point p = {.group = g,
                               .precision = "",
                               .store = "",
                               .load = "",
                               .verdict = "",
                               .usable_verdict = "",
                               .variant = "",
                               .features = "",
                               .pareto = -1,
                               .chosen = -1};
    p.n_features = p.seeds = p.gauc_valid = p.auc = p.logloss = p.params = NAN;
    p.candidates = p.threads = p.offered_qps = p.qps = p.usable_qps = p.items_per_second = p.samples = NAN;
    p.usable_limit_ms = NAN;
    p.p50_us = p.p50_lo_us = p.p50_hi_us = p.p95_us = p.p99_us = p.p99_lo_us = p.p99_hi_us = p.p999_us = NAN;
    p.flops_per_candidate = p.bytes_per_candidate = p.floor_us = NAN;
    p.gauc = (struct effect_stat){0, NAN, NAN, NAN};
    if (!g) return p;
    p.variant = g->variant;
    p.features = g->features;
    p.n_features = g->n_features;
    p.seeds = (double)g->metric[EFFECT_GAUC].n;
    p.gauc = g->metric[EFFECT_GAUC];
    p.gauc_valid = g->valid_gauc;
    p.auc = g->metric[EFFECT_AUC].mean;
    p.logloss = g->metric[EFFECT_LOGLOSS].mean;
    p.params = g->metric[EFFECT_PARAMS].mean;
    return p;
}

/* Rows of other loads, and of requests that differ in size, are no points of the curve. */
static bool is_point(const struct table *t, size_t row) {
    const char *load = table_text(t, row, table_column(t, "load"));
    return (!*load || !strcmp(load, "closed")) && !*table_text(t, row, table_column(t, "candidates_from"));
}

/* The row of the usable rate that was looked for with row's model, store and candidates; t->rows without. */
static size_t usable_row(const struct table *t, size_t row) {
    static const char *const key[] = {"variant", "features", "precision", "store", "candidates", "threads"};
    for (size_t r = 0; r < t->rows; r++) {
        bool same = !strcmp(table_text(t, r, table_column(t, "load")), "usable") &&
                    !*table_text(t, r, table_column(t, "candidates_from"));
        for (size_t k = 0; same && k < sizeof key / sizeof *key; k++) {
            int column = table_column(t, key[k]);
            same = !strcmp(table_text(t, r, column), table_text(t, row, column));
        }
        if (same) return r;
    }
    return t->rows;
}

static void set_usable(struct tradeoff_point *p, const struct tradeoff *t, size_t row) {
    size_t found = usable_row(&t->compute, row);
    if (found == t->compute.rows) return;
    p->usable_qps = t->qps[found];
    p->usable_limit_ms = t->limit_ms[found];
    p->usable_verdict = table_text(&t->compute, found, table_column(&t->compute, "verdict"));
}

/* Appends the rows of compute.csv that belong to group g (NULL: those that belong to none). */
static size_t add_rows(struct tradeoff *t, const struct effect *f, const struct effect_group *g,
                       const struct column number[NUMBERS]) {
    size_t added = 0;
    for (size_t row = 0; row < t->compute.rows; row++) {
        struct tradeoff_point p = empty_point(g);
        if (!is_point(&t->compute, row)) continue;
        set_texts(&p, &t->compute, row);
        size_t found = effect_find(f, p.variant, p.features);
        if ((found < f->groups ? &f->group[found] : NULL) != g) continue;
        for (int i = 0; i < NUMBERS; i++)
            *(double *)(void *)((char *)&p + number[i].offset) = number[i].value[row];
        set_usable(&p, t, row);
        t->point[t->n++] = p;
        added++;
    }
    return added;
}

static int join(struct tradeoff *t, const struct effect *f, struct err *e) {
    struct column number[NUMBERS + 1] = {COLUMN(candidates),
                                         COLUMN(threads),
                                         COLUMN(offered_qps),
                                         COLUMN(qps),
                                         COLUMN(items_per_second),
                                         COLUMN(p50_us),
                                         COLUMN(p50_lo_us),
                                         COLUMN(p50_hi_us),
                                         COLUMN(p95_us),
                                         COLUMN(p99_us),
                                         COLUMN(p99_lo_us),
                                         COLUMN(p99_hi_us),
                                         COLUMN(p999_us),
                                         COLUMN(flops_per_candidate),
                                         COLUMN(bytes_per_candidate),
                                         COLUMN(floor_us),
                                         {"n", offsetof(struct tradeoff_point, samples), NULL},
                                         {NULL, 0, NULL}};
    int unused;
    TRY(table_need(&t->compute, "variant", &unused, e));
    TRY(table_need(&t->compute, "features", &unused, e));
    TRY(table_need(&t->compute, "candidates", &unused, e));
    TRY(table_need(&t->compute, "p50_us", &unused, e));
    for (int i = 0; i < NUMBERS; i++) TRY(table_numbers(&t->compute, number[i].name, &number[i].value, e));
    TRY(table_numbers(&t->compute, "qps", &t->qps, e));
    TRY(table_numbers(&t->compute, "limit_ms", &t->limit_ms, e));
    size_t room = t->compute.rows + f->groups;
    t->point = arena_alloc(&t->compute.arena, room * sizeof *t->point);
    if (!t->point) return err_nomem(e, room * sizeof *t->point);
    for (size_t g = 0; g < f->groups; g++)
        if (!add_rows(t, f, &f->group[g], number)) t->point[t->n++] = empty_point(&f->group[g]);
    add_rows(t, f, NULL, number);
    return 0;
}

/* q is at least as good as p in both, and better in one. */
static int beats(const struct tradeoff_point *q, const struct tradeoff_point *p) {
    return tradeoff_complete(q) && q->candidates == p->candidates && q->gauc.mean >= p->gauc.mean &&
           q->p50_us <= p->p50_us && (q->gauc.mean > p->gauc.mean || q->p50_us < p->p50_us);
}

static bool says_missing(const char *verdict) { return verdict && !strcmp(verdict, "items missing"); }

bool tradeoff_complete(const struct tradeoff_point *p) {
    return !says_missing(p->verdict) && !says_missing(p->usable_verdict);
}

bool tradeoff_eligible(const struct tradeoff_point *p) {
    bool closed = !p->load || !*p->load || !strcmp(p->load, "closed");
    return closed && !isnan(p->candidates) && !isnan(p->gauc_valid) && tradeoff_complete(p);
}

bool tradeoff_preferred(const struct tradeoff_point *q, const struct tradeoff_point *p) {
    return q->gauc_valid > p->gauc_valid || (q->gauc_valid == p->gauc_valid && q->p50_us < p->p50_us);
}

void tradeoff_values(const struct tradeoff_point *p, double value[BUDGET_METRICS]) {
    value[BUDGET_P50] = p->p50_us / 1e3;
    value[BUDGET_P95] = p->p95_us / 1e3;
    value[BUDGET_P99] = p->p99_us / 1e3;
    value[BUDGET_QPS] = isnan(p->usable_qps) ? p->qps : p->usable_qps;
    value[BUDGET_ITEMS] = p->items_per_second;
    value[BUDGET_FLOPS] = p->flops_per_candidate;
    value[BUDGET_BYTES] = p->bytes_per_candidate;
    value[BUDGET_PARAMS] = p->params;
    value[BUDGET_FIELDS] = p->n_features;
    value[BUDGET_CANDIDATES] = p->candidates;
}

static bool within(const struct tradeoff_point *p, const struct budget *b) {
    double value[BUDGET_METRICS];
    tradeoff_values(p, value);
    return tradeoff_eligible(p) && budget_keeps(b, value);
}

static int chosen(const struct tradeoff_point *point, size_t n, size_t i, const struct budget *b) {
    const struct tradeoff_point *p = &point[i];
    if (!b || !budget_covers(b, p->candidates)) return -1;
    if (!within(p, b)) return 0;
    for (size_t j = 0; j < n; j++) {
        const struct tradeoff_point *q = &point[j];
        if (j == i || q->candidates != p->candidates || !within(q, b)) continue;
        if (tradeoff_preferred(q, p) || (j < i && !tradeoff_preferred(p, q))) return 0;
    }
    return 1;
}

void tradeoff_flag(struct tradeoff_point *point, size_t n, const struct budget *b) {
    for (size_t i = 0; i < n; i++) {
        struct tradeoff_point *p = &point[i];
        p->pareto = p->chosen = -1;
        if (isnan(p->candidates)) continue;
        p->chosen = chosen(point, n, i, b);
        p->pareto = isnan(p->gauc.mean) || isnan(p->p50_us) || !tradeoff_complete(p) ? -1 : 1;
        for (size_t j = 0; j < n && p->pareto == 1; j++)
            if (j != i && beats(&point[j], p)) p->pareto = 0;
    }
}

void tradeoff_subject(struct tradeoff *t, const struct budget *b) {
    t->budget = *b;
    t->picks = true;
    tradeoff_flag(t->point, t->n, &t->budget);
}

/* What the experiment in the manifest asks for; no manifest, or nothing in it: no budget. */
static bool read_options(const char *dir, struct budget_options *o) {
    char path[1024];
    json_t *manifest = NULL;
    opt_defaults(budget_opts, o);
    if (file_join(path, sizeof path, dir, "manifest.json", NULL) || file_read_json(path, &manifest, NULL))
        return false;
    const json_t *config = json_object_get(manifest, "config");
    if (!config) config = manifest;
    const json_t *select = json_object_get(config, "select"),
                 *subject = json_object_get(select, "subject_to");
    for (int m = 0; m < BUDGET_METRICS; m++) {
        const char *text = json_string_value(json_object_get(subject, budget_name((enum budget_metric)m)));
        snprintf(o->text[m], sizeof o->text[m], "%s", text ? text : "");
    }
    double limit = json_number_value(json_object_get(json_object_get(config, "measure"), "limit_ms"));
    if (limit > 0 && !o->text[BUDGET_P99][0])
        snprintf(o->text[BUDGET_P99], sizeof o->text[BUDGET_P99], "<= %.17g", limit);
    bool selects = json_array_size(json_object_get(select, "rank_by")) > 0;
    json_decref(manifest);
    return selects;
}

int tradeoff_budget(const char *dir, struct budget_options *o, struct err *e) {
    struct budget parsed;
    read_options(dir, o);
    return budget_parse(o, &parsed, e);
}

static void read_budget(const char *dir, struct tradeoff *t) {
    struct budget_options o;
    t->picks = read_options(dir, &o);
    if (budget_parse(&o, &t->budget, NULL)) t->budget = (struct budget){.n = 0}; /* edited by hand */
    t->picks |= t->budget.n > 0;
}

int tradeoff_load(const char *dir, struct effect *f, struct tradeoff *t, struct err *e) {
    *t = (struct tradeoff){.n = 0};
    TRY(effect_load(dir, f, e));
    int rc = table_load(dir, "compute.csv", &t->compute, e);
    if (!rc) rc = join(t, f, e);
    if (!rc) rc = lowered_apply(dir, t, e);
    if (rc) {
        tradeoff_release(t);
        effect_release(f);
        return rc;
    }
    read_budget(dir, t);
    tradeoff_flag(t->point, t->n, t->picks ? &t->budget : NULL);
    return 0;
}

void tradeoff_release(struct tradeoff *t) {
    table_release(&t->compute);
    *t = (struct tradeoff){.n = 0};
}

static void flag(struct csv_line *l, int value) { csv_num(l, value < 0 ? (double)NAN : value); }

static void write_point(struct csv_line *l, const struct tradeoff_point *p) {
    csv_text(l, p->variant);
    csv_text(l, p->features);
    csv_num(l, p->n_features);
    csv_text(l, p->precision);
    csv_text(l, p->store);
    csv_num(l, p->candidates);
    csv_num(l, p->threads);
    csv_text(l, p->load);
    const double number[] = {p->seeds,
                             p->gauc.mean,
                             p->gauc.lo,
                             p->gauc.hi,
                             p->gauc_valid,
                             p->auc,
                             p->logloss,
                             p->p50_us,
                             p->p50_lo_us,
                             p->p50_hi_us,
                             p->p99_us,
                             p->qps,
                             p->items_per_second,
                             p->flops_per_candidate,
                             p->bytes_per_candidate,
                             p->floor_us,
                             p->params};
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) csv_num(l, number[i]);
    flag(l, p->pareto);
    flag(l, p->chosen);
    csv_num(l, p->usable_qps);
    csv_num(l, p->gauc_delta);
    csv_end(l);
}

int tradeoff_save(const struct tradeoff *t, const char *dir, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(file_join(path, sizeof path, dir, "tradeoff.csv", e));
    TRY(file_begin(&o, path, e));
    fputs(RESULTS_TRADEOFF_COLUMNS "\n", o.f);
    struct csv_line l = {.f = o.f};
    for (size_t i = 0; i < t->n; i++) write_point(&l, &t->point[i]);
    return file_commit(&o, e);
}

int tradeoff_write(const char *dir, struct err *e) {
    struct effect f;
    struct tradeoff t;
    TRY(tradeoff_load(dir, &f, &t, e));
    int rc = tradeoff_save(&t, dir, e);
    tradeoff_release(&t);
    effect_release(&f);
    return rc;
}
