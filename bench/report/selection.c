#include "bench/report/selection.h"
#include "base/file.h"
#include "bench/results.h"
#include "metrics/stats.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "se~2" is the second ranking by "se". */
static bool same_selector(const char *a, const char *b) {
    size_t n = strcspn(a, "~");
    return n == strcspn(b, "~") && !strncmp(a, b, n);
}

bool selection_first(const struct selection_curve *c) { return !strchr(c->selector, '~'); }

static struct selection_curve *curve_of(struct selection *sel, const char *variant, const char *selector) {
    bool new_variant = true;
    int colours = 0;
    for (int i = 0; i < sel->n; i++) {
        struct selection_curve *c = &sel->curve[i];
        if (!strcmp(c->variant, variant)) new_variant = false;
        if (!strcmp(c->variant, variant) && !strcmp(c->selector, selector)) return c;
    }
    struct selection_curve *c = &sel->curve[sel->n];
    *c = (struct selection_curve){.variant = variant, .selector = selector, .colour = -1};
    for (int i = 0; i < sel->n; i++) {
        if (same_selector(sel->curve[i].selector, selector)) c->colour = sel->curve[i].colour;
        if (sel->curve[i].colour >= colours) colours = sel->curve[i].colour + 1;
    }
    if (c->colour < 0) c->colour = colours;
    sel->variants += new_variant;
    sel->n++;
    return c;
}

static int by_k(const void *a, const void *b) {
    double x = ((const struct selection_point *)a)->k, y = ((const struct selection_point *)b)->k;
    return (x > y) - (x < y);
}

static int read_curves(const struct study *s, struct selection *sel, struct err *e) {
    struct table *t = &sel->subsets;
    int variant, selector, features;
    double *k, candidates = s->n_candidates ? s->candidates[s->n_candidates - 1] : (double)NAN;
    TRY(table_need(t, "variant", &variant, e));
    TRY(table_need(t, "selector", &selector, e));
    TRY(table_need(t, "features", &features, e));
    TRY(table_numbers(t, "k", &k, e));
    sel->curve = arena_alloc(&sel->arena, (t->rows + 1) * sizeof *sel->curve);
    if (!sel->curve) return err_nomem(e, t->rows);
    for (size_t r = 0; r < t->rows; r++) {
        size_t g = effect_find(&s->effect, table_text(t, r, variant), table_text(t, r, features));
        if (g >= s->effect.groups || isnan(s->effect.group[g].metric[EFFECT_GAUC].mean)) continue;
        struct selection_curve *c = curve_of(sel, table_text(t, r, variant), table_text(t, r, selector));
        if (!c->point) c->point = arena_alloc(&sel->arena, (t->rows + 1) * sizeof *c->point);
        if (!c->point) return err_nomem(e, t->rows);
        c->point[c->n++] =
            (struct selection_point){k[r], table_text(t, r, table_column(t, "fields")), &s->effect.group[g],
                                     study_point(s, candidates, &s->effect.group[g])};
    }
    for (int i = 0; i < sel->n; i++)
        qsort(sel->curve[i].point, (size_t)sel->curve[i].n, sizeof(struct selection_point), by_k);
    return 0;
}

/* ---- areas ---- */

static const struct selection_point *point_at(const struct selection_curve *c, double k) {
    for (int i = 0; i < c->n; i++)
        if (c->point[i].k == k) return &c->point[i];
    return NULL;
}

static bool shared(const struct selection *sel, const struct selection_curve *c, double k) {
    for (int i = 0; i < sel->n; i++)
        if (!strcmp(sel->curve[i].variant, c->variant) && !point_at(&sel->curve[i], k)) return false;
    return true;
}

/* GAUC of a group's run with the seed of `like`'s run number `seed` (NULL text: the mean); NaN when there is none. */
static double value(const struct study *s, const struct effect_group *g, const char *seed, bool valid) {
    if (!seed) return valid ? g->valid_gauc : g->metric[EFFECT_GAUC].mean;
    for (size_t i = 0; i < s->effect.runs; i++) {
        const struct effect_run *r = &s->effect.run[i];
        if (&s->effect.group[r->group] == g && r->ok && !strcmp(r->seed, seed))
            return valid ? r->valid_gauc : r->metric[EFFECT_GAUC];
    }
    return (double)NAN;
}

static double area(const struct study *s, const struct selection *sel, const struct selection_curve *c,
                   const char *seed, bool valid) {
    double sum = 0, first = (double)NAN, last_k = 0, last = 0;
    for (int i = 0; i < c->n; i++) {
        if (!shared(sel, c, c->point[i].k)) continue;
        double k = c->point[i].k, v = value(s, c->point[i].group, seed, valid);
        if (isnan(first))
            first = k;
        else
            sum += (k - last_k) * (v + last) / 2;
        last_k = k;
        last = v;
    }
    return last_k > first ? sum / (last_k - first) : last;
}

static void area_interval(const struct study *s, const struct selection *sel, struct selection_curve *c) {
    double x[64];
    size_t n = 0;
    c->area_lo = c->area_hi = (double)NAN;
    for (size_t i = 0; i < s->effect.runs && c->n && n < 64; i++) {
        const struct effect_run *r = &s->effect.run[i];
        double v =
            &s->effect.group[r->group] == c->point[0].group ? area(s, sel, c, r->seed, false) : (double)NAN;
        if (!isnan(v)) x[n++] = v;
    }
    double half = stat_t_half_width(x, n, 0.95);
    if (isnan(half)) return;
    c->area_lo = stat_mean(x, n) - half;
    c->area_hi = stat_mean(x, n) + half;
}

static void over_rankings(const struct selection *sel, struct selection_curve *c) {
    double x[OPT_LIST_MAX];
    size_t n = 0;
    for (int i = 0; i < sel->n && n < OPT_LIST_MAX && selection_first(c); i++) {
        const struct selection_curve *of = &sel->curve[i];
        if (!strcmp(of->variant, c->variant) && same_selector(of->selector, c->selector) && !isnan(of->area))
            x[n++] = of->area;
    }
    double mean = n > 1 ? stat_mean(x, n) : (double)NAN, half = stat_t_half_width(x, n, 0.95);
    c->rankings = (int)n;
    c->area_rankings = mean;
    c->area_rankings_lo = mean - half;
    c->area_rankings_hi = mean + half;
}

/* Of the curve's points at least as fast as t, the test GAUC of the one that validation prefers. */
static double attainable(const struct selection_curve *c, double t) {
    const struct selection_point *best = NULL;
    for (int i = 0; i < c->n; i++) {
        const struct selection_point *p = &c->point[i];
        if (!p->timed || !(p->timed->p50_us <= t)) continue;
        if (!best || p->timed->gauc_valid > best->timed->gauc_valid) best = p;
    }
    return best ? best->timed->gauc.mean : 0.5;
}

static double area_by_time(const struct selection *sel, const struct selection_curve *c) {
    enum { STEPS = 2000 };
    double lo = (double)INFINITY, hi = 0, sum = 0;
    for (int i = 0; i < sel->n; i++)
        for (int k = 0; k < sel->curve[i].n; k++) {
            const struct tradeoff_point *p = sel->curve[i].point[k].timed;
            if (!p || strcmp(sel->curve[i].variant, c->variant) != 0) continue;
            lo = fmin(lo, p->p50_us);
            hi = fmax(hi, p->p50_us);
        }
    if (!(hi > lo)) return (double)NAN;
    for (int i = 0; i < STEPS; i++) sum += attainable(c, lo + (hi - lo) * (i + 0.5) / STEPS);
    return sum / STEPS;
}

int selection_load(const struct study *s, struct selection *out, struct err *e) {
    char path[1024];
    *out = (struct selection){.n = 0};
    TRY(file_join(path, sizeof path, s->dir, "subsets.csv", e));
    if (!file_exists(path)) return 0;
    int rc = table_load(s->dir, "subsets.csv", &out->subsets, e);
    if (!rc) rc = table_load(s->dir, "importance.csv", &out->importance, e);
    if (!rc) rc = table_numbers(&out->importance, "importance", &out->importance_value, e);
    if (!rc) rc = read_curves(s, out, e);
    for (int i = 0; i < out->n && !rc; i++) {
        struct selection_curve *c = &out->curve[i];
        c->area = area(s, out, c, NULL, false);
        c->area_valid = area(s, out, c, NULL, true);
        c->area_rt = area_by_time(out, c);
        area_interval(s, out, c);
    }
    for (int i = 0; i < out->n && !rc; i++) over_rankings(out, &out->curve[i]);
    if (rc) selection_release(out);
    return rc;
}

void selection_release(struct selection *sel) {
    table_release(&sel->subsets);
    table_release(&sel->importance);
    arena_release(&sel->arena);
    *sel = (struct selection){.n = 0};
}

int selection_save(const struct selection *sel, const char *dir, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(file_join(path, sizeof path, dir, "selection.csv", e));
    TRY(file_begin(&o, path, e));
    fputs(RESULTS_SELECTION_COLUMNS "\n", o.f);
    for (int i = 0; i < sel->n; i++) {
        const struct selection_curve *c = &sel->curve[i];
        struct csv_line l = {.f = o.f};
        csv_text(&l, c->variant);
        csv_text(&l, c->selector);
        csv_int(&l, c->n);
        const double v[] = {c->area, c->area_lo, c->area_hi, c->area_valid, c->area_rt};
        for (size_t k = 0; k < sizeof v / sizeof *v; k++) csv_num(&l, v[k]);
        const double over[] = {c->area_rankings, c->area_rankings_lo, c->area_rankings_hi};
        if (c->rankings)
            csv_int(&l, c->rankings);
        else
            csv_text(&l, "");
        for (size_t k = 0; k < sizeof over / sizeof *over; k++) csv_num(&l, over[k]);
        csv_end(&l);
    }
    return file_commit(&o, e);
}
