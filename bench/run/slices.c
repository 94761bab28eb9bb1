#include "bench/run/slices.h"
#include "base/str.h"
#include "bench/report/table.h"
#include "bench/results.h"
#include "metrics/metrics.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = 4, BINS = 10, RESAMPLES = 1000 };
static const uint64_t bootstrap_seed = 1;

struct cuts {
    const char *name;
    uint32_t at[SLICES - 1], lo[SLICES], hi[SLICES]; /* the cuts; the values that each slice really has */
    uint8_t *slice;                                  /* [rows of the test split] */
};
struct slices {
    const struct sweep *s;
    struct arena arena;
    size_t n; /* rows of the test split */
    const uint8_t *label;
    const uint32_t *user;
    struct cuts by[2]; /* users, items */
    FILE *slices, *calibration;
    struct err *e;
};

/* ---- which slice a row is in ---- */

static int compare_counts(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint8_t slice_of(const struct cuts *c, uint32_t value) {
    int k = 0;
    for (int i = 0; i < SLICES - 1; i++) k += c->at[i] <= value;
    return (uint8_t)k;
}

/* Rows of the training split of each id. */
static uint32_t *count_ids(struct slices *x, const uint32_t *id, uint32_t n_ids) {
    const struct dataset *ds = x->s->ds;
    uint32_t *count = arena_alloc(&x->arena, ((size_t)n_ids + 1) * sizeof *count);
    if (count)
        for (uint64_t i = ds->split[SPLIT_TRAIN].begin; i < ds->split[SPLIT_TRAIN].end; i++) count[id[i]]++;
    return count;
}

/* once: a value counts once for each id, else once a row. */
static int cut(struct slices *x, const uint32_t *id, uint32_t n_ids, bool once, struct cuts *c) {
    const uint32_t *test = id + x->s->ds->split[SPLIT_TEST].begin;
    uint32_t *count = count_ids(x, id, n_ids);
    uint32_t *value = arena_alloc(&x->arena, (x->n + 1) * sizeof *value);
    uint8_t *seen = arena_alloc(&x->arena, (size_t)n_ids + 1);
    size_t n = 0;
    c->slice = arena_alloc(&x->arena, x->n + 1);
    if (!count || !value || !seen || !c->slice) return err_nomem(x->e, x->n);
    for (size_t i = 0; i < x->n; i++)
        if (!once || !seen[test[i]]++) value[n++] = count[test[i]];
    qsort(value, n, sizeof *value, compare_counts);
    for (size_t k = 1; k < SLICES; k++) c->at[k - 1] = value[k * n / SLICES];
    for (size_t i = n; i-- > 0;) c->lo[slice_of(c, value[i])] = value[i];
    for (size_t i = 0; i < n; i++) c->hi[slice_of(c, value[i])] = value[i];
    for (size_t i = 0; i < x->n; i++) c->slice[i] = slice_of(c, count[test[i]]);
    return 0;
}

/* ---- a model ---- */

struct model {
    const struct sweep_model *of;
    size_t runs;
    float **score; /* [runs][n] */
};

static int read_run(struct slices *x, const struct sweep_run *r, float *score) {
    char name[512];
    double *v;
    struct table t;
    snprintf(name, sizeof name, "predictions/%s.csv", r->id);
    TRY(table_load(x->s->dir, name, &t, x->e));
    int rc = table_numbers(&t, "score", &v, x->e);
    if (!rc && t.rows != x->n)
        rc = err_set(x->e, ERR_INPUT, "%s: has %zu rows, and the test split %zu", t.path, t.rows, x->n);
    for (size_t i = 0; !rc && i < x->n; i++) score[i] = (float)v[i];
    table_release(&t);
    return rc;
}

static int gauc_of(struct slices *x, const float *score, const uint8_t *label, const uint32_t *user, size_t n,
                   struct gauc *out) {
    int bad = gauc_compute(score, label, user, n, (enum gauc_weight)x->s->x->o.gauc_weight, out);
    if (bad == -2) return err_set(x->e, ERR_INPUT, "a score of predictions/ is no number");
    return bad ? err_nomem(x->e, n) : 0;
}

/* The mean over the seeds, whose users are the same. */
static int mean_gauc(struct slices *x, const struct model *m, const uint8_t *label, const uint32_t *user,
                     const size_t *row, size_t n, float *scratch, struct gauc *sum) {
    *sum = (struct gauc){.user = NULL};
    for (size_t r = 0; r < m->runs; r++) {
        struct gauc g;
        for (size_t i = 0; i < n; i++) scratch[i] = m->score[r][row[i]];
        TRY(gauc_of(x, scratch, label, user, n, r ? &g : sum));
        if (!r) continue;
        for (size_t i = 0; i < g.users_kept; i++) sum->user[i].auc += g.user[i].auc;
        sum->value += g.value;
        gauc_release(&g);
    }
    for (size_t i = 0; i < sum->users_kept; i++) sum->user[i].auc /= (double)m->runs;
    sum->value /= (double)m->runs;
    return 0;
}

static void slice_row(struct slices *x, const struct model *m, const struct cuts *c, int k, size_t rows,
                      const struct gauc *g, const struct interval *ci) {
    struct csv_line l = {.f = x->slices};
    csv_text(&l, m->of->variant->id);
    csv_text(&l, m->of->subset->name);
    csv_text(&l, c->name);
    csv_int(&l, k + 1);
    csv_int(&l, c->lo[k]);
    csv_int(&l, c->hi[k]);
    csv_int(&l, (int64_t)m->runs);
    csv_int(&l, (int64_t)rows);
    csv_int(&l, (int64_t)g->users_kept);
    csv_num(&l, g->value);
    csv_num(&l, ci->lo);
    csv_num(&l, ci->hi);
    csv_end(&l);
}

struct room {
    float *score;
    uint8_t *label;
    uint32_t *user;
    size_t *row;
};

static int write_slice(struct slices *x, const struct model *m, const struct cuts *c, int k,
                       const struct room *w) {
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++) {
        if (c->slice[i] != k) continue;
        w->label[n] = x->label[i];
        w->user[n] = x->user[i];
        w->row[n++] = i;
    }
    if (!n) return 0;
    struct gauc g = {.user = NULL};
    struct interval ci;
    int rc = mean_gauc(x, m, w->label, w->user, w->row, n, w->score, &g);
    if (!rc && gauc_bootstrap(&g, RESAMPLES, 0.95, bootstrap_seed, &ci)) rc = err_nomem(x->e, n);
    if (!rc) slice_row(x, m, c, k, n, &g, &ci);
    gauc_release(&g);
    return rc;
}

static int write_calibration(struct slices *x, const struct model *m) {
    size_t n = m->runs * x->n;
    float *p = mem_alloc((n + 1) * sizeof *p);
    uint8_t *label = mem_alloc(n + 1);
    struct calibration_bin bin[BINS];
    double ece;
    int rc = p && label ? 0 : err_nomem(x->e, n * sizeof *p);
    for (size_t i = 0; !rc && i < n; i++) {
        p[i] = 1 / (1 + expf(-m->score[i / x->n][i % x->n]));
        label[i] = x->label[i % x->n];
    }
    if (!rc && metric_ece(p, label, n, BINS, &ece, bin)) rc = err_nomem(x->e, n);
    for (int k = 0; !rc && k < BINS; k++) {
        struct csv_line l = {.f = x->calibration};
        csv_text(&l, m->of->variant->id);
        csv_text(&l, m->of->subset->name);
        csv_int(&l, k + 1);
        csv_int(&l, (int64_t)bin[k].n);
        csv_num(&l, bin[k].mean_p);
        csv_num(&l, bin[k].mean_y);
        csv_end(&l);
    }
    mem_free(p);
    mem_free(label);
    return rc;
}

static int write_model(struct slices *x, int model, const struct room *w) {
    struct model m = {.of = &x->s->model[model]};
    struct arena a = ARENA_INIT;
    int rc = 0;
    m.score = arena_alloc(&a, ((size_t)x->s->n_runs + 1) * sizeof *m.score);
    if (!m.score) rc = err_nomem(x->e, 0);
    for (int i = 0; i < x->s->n_runs && !rc; i++) {
        if (x->s->run[i].model != model || !sweep_run_ok(&x->s->run[i])) continue;
        float *score = arena_alloc(&a, (x->n + 1) * sizeof *score);
        rc = score ? read_run(x, &x->s->run[i], score) : err_nomem(x->e, x->n * sizeof *score);
        m.score[m.runs++] = score;
    }
    for (int by = 0; by < 2 && m.runs && !rc; by++)
        for (int k = 0; k < SLICES && !rc; k++) rc = write_slice(x, &m, &x->by[by], k, w);
    if (m.runs && !rc) rc = write_calibration(x, &m);
    arena_release(&a);
    return rc;
}

static int write_models(struct slices *x) {
    const struct dataset *ds = x->s->ds;
    struct room w = {arena_alloc(&x->arena, (x->n + 1) * sizeof *w.score), arena_alloc(&x->arena, x->n + 1),
                     arena_alloc(&x->arena, (x->n + 1) * sizeof *w.user),
                     arena_alloc(&x->arena, (x->n + 1) * sizeof *w.row)};
    if (!w.score || !w.label || !w.user || !w.row) return err_nomem(x->e, x->n);
    TRY(cut(x, ds->user, ds->n_users, true, &x->by[0]));
    TRY(cut(x, ds->item, ds->n_items, false, &x->by[1]));
    for (int m = 0; m < x->s->n_models; m++) TRY(write_model(x, m, &w));
    return 0;
}

static int begin(const struct sweep *s, const char *name, const char *columns, struct file_out *o,
                 struct err *e) {
    char path[1024];
    TRY(file_join(path, sizeof path, s->dir, name, e));
    TRY(file_begin(o, path, e));
    fprintf(o->f, "%s\n", columns);
    return 0;
}

int slices_write(const struct sweep *s, struct err *e) {
    const uint64_t first = s->ds->split[SPLIT_TEST].begin;
    struct file_out o, c;
    struct slices x = {.s = s,
                       .n = (size_t)(s->ds->split[SPLIT_TEST].end - first),
                       .label = s->ds->label + first,
                       .user = s->ds->user + first,
                       .by = {{.name = "user"}, {.name = "item"}},
                       .e = e};
    TRY(begin(s, "slices.csv", RESULTS_SLICES_COLUMNS, &o, e));
    int rc = begin(s, "calibration.csv", RESULTS_CALIBRATION_COLUMNS, &c, e);
    if (rc) {
        file_abort(&o);
        return rc;
    }
    x.slices = o.f;
    x.calibration = c.f;
    rc = x.n ? write_models(&x) : 0;
    arena_release(&x.arena);
    if (!rc) rc = file_commit(&o, e);
    if (!rc) return file_commit(&c, e);
    file_abort(&o);
    file_abort(&c);
    return rc;
}
