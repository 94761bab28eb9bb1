#include "bench/report/differences.h"
#include "base/file.h"
#include "base/mem.h"
#include "bench/results.h"
#include "metrics/metrics.h"
#include "metrics/stats.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 2000 };

struct model {        /* one group's runs */
    size_t runs;      /* with predictions */
    size_t *run;      /* [runs] indices in effect.run */
    struct gauc *own; /* [runs] */
};

static void release_model(struct model *m) {
    for (size_t i = 0; i < m->runs; i++) gauc_release(&m->own[i]);
    mem_free(m->run);
    mem_free(m->own);
}

/* Columns user, label and score of one run's predictions as GAUC. */
static int load_run(const struct study *s, const char *file, struct gauc *out, struct err *e) {
    struct table t;
    double *user = NULL, *label = NULL, *score = NULL;
    TRY(table_load(s->dir, file, &t, e));
    size_t n = t.rows, bytes = n * (2 * sizeof(float) + 1) + 1;
    int rc = table_numbers(&t, "user", &user, e);
    if (!rc) rc = table_numbers(&t, "label", &label, e);
    if (!rc) rc = table_numbers(&t, "score", &score, e);
    float *f = rc ? NULL : mem_alloc(bytes);
    if (!rc && !f) rc = err_nomem(e, bytes);
    if (!rc) {
        uint32_t *id = (uint32_t *)(void *)(f + n);
        uint8_t *positive = (uint8_t *)(id + n);
        for (size_t i = 0; i < n; i++) {
            f[i] = (float)score[i];
            id[i] = user[i] >= 0 && user[i] <= UINT32_MAX ? (uint32_t)user[i] : 0;
            positive[i] = label[i] > 0;
        }
        const char *weight = json_string_value(study_manifest(s, "config.gauc_weight"));
        rc = gauc_compute(f, positive, id, n, gauc_weight_named(weight), out);
        if (rc == -1) rc = err_nomem(e, bytes);
        if (rc == -2) rc = err_set(e, ERR_INPUT, "%s: a score is not a number", t.path);
    }
    mem_free(f);
    table_release(&t);
    return rc;
}

static bool as_trained(const char *precision) { return !*precision || !strcmp(precision, "fp32"); }

bool scored_same(struct scored a, struct scored b) {
    return a.group == b.group &&
           (as_trained(a.precision) ? as_trained(b.precision) : !strcmp(a.precision, b.precision));
}

static int load_model(const struct study *s, struct scored which, struct model *m, struct err *e) {
    const char *folder = as_trained(which.precision) ? "" : which.precision;
    *m = (struct model){0, mem_calloc(s->effect.runs + 1, sizeof *m->run),
                        mem_calloc(s->effect.runs + 1, sizeof *m->own)};
    if (!m->run || !m->own) return err_nomem(e, s->effect.runs * sizeof *m->own);
    for (size_t i = 0; i < s->effect.runs; i++) {
        const struct effect_run *r = &s->effect.run[i];
        char file[512], path[1024];
        if (r->group != which.group || !r->ok || !r->has_test) continue;
        snprintf(file, sizeof file, "predictions/%s%s%s.%s.%s.csv", folder, *folder ? "/" : "", r->variant,
                 r->features, r->seed);
        TRY(file_join(path, sizeof path, s->dir, file, e));
        if (!file_exists(path)) continue;
        TRY(load_run(s, file, &m->own[m->runs], e));
        m->run[m->runs++] = i;
    }
    return 0;
}

/* The runs of the same seed: pairs[k] = index in a, index in b. */
static size_t match_seeds(const struct study *s, const struct model *a, const struct model *b,
                          size_t (*pair)[2]) {
    size_t n = 0;
    for (size_t i = 0; i < a->runs; i++)
        for (size_t k = 0; k < b->runs; k++)
            if (!strcmp(s->effect.run[a->run[i]].seed, s->effect.run[b->run[k]].seed)) {
                pair[n][0] = i;
                pair[n++][1] = k;
            }
    return n;
}

/* Each user's mean AUC over the paired runs of one model, in run 0's entries. The test rows are the same in every run, so
 * the users are, too. */
static int mean_over_seeds(const struct study *s, struct model *m, size_t (*pair)[2], size_t n, int which,
                           struct gauc *out, struct err *e) {
    const struct gauc *first = &m->own[pair[0][which]];
    *out = *first;
    if (!(out->user = calloc(first->users_kept + 1, sizeof *out->user)))
        return err_nomem(e, first->users_kept * sizeof *out->user);
    for (size_t i = 0; i < n; i++) {
        const struct gauc *g = &m->own[pair[i][which]];
        if (g->users_kept != first->users_kept)
            return err_set(e, ERR_INPUT,
                           "%s/predictions: two runs were scored on other rows; run again without --resume",
                           s->dir);
        for (size_t u = 0; u < g->users_kept; u++) {
            out->user[u].user = g->user[u].user;
            out->user[u].weight = g->user[u].weight;
            out->user[u].auc += g->user[u].auc / (double)n;
        }
    }
    return 0;
}

static int compare(const struct study *s, struct model *a, struct model *b, size_t (*pair)[2],
                   double *by_seed, struct difference *d, struct err *e) {
    struct gauc mean[2] = {0};
    struct gauc_difference g;
    int rc = mean_over_seeds(s, a, pair, d->seeds, 0, &mean[0], e);
    if (!rc) rc = mean_over_seeds(s, b, pair, d->seeds, 1, &mean[1], e);
    if (!rc && (rc = gauc_paired_bootstrap(&mean[0], &mean[1], RESAMPLES, 0.95, 1, &g)) == -1)
        rc = err_nomem(e, 0);
    gauc_release(&mean[0]);
    gauc_release(&mean[1]);
    if (rc == -3) d->seeds = 0; /* no user has both classes */
    if (rc) return rc == -3 ? 0 : rc;
    double sum = 0;
    for (size_t i = 0; i < d->seeds; i++)
        sum += by_seed[i] = a->own[pair[i][0]].value - b->own[pair[i][1]].value;
    double half = stat_t_half_width(by_seed, d->seeds, 0.95), centre = sum / (double)d->seeds;
    d->users = g.users;
    d->value = g.value;
    d->lo = g.ci.lo;
    d->hi = g.ci.hi;
    d->p_users = g.p_two_sided;
    d->seeds_lo = centre - half;
    d->seeds_hi = centre + half;
    return 0;
}

static int correct(struct differences *d, struct err *e) {
    double *p = mem_alloc((d->n + 1) * sizeof *p);
    if (!p) return err_nomem(e, d->n * sizeof *p);
    for (size_t i = 0; i < d->n; i++) p[i] = d->d[i].p_users;
    int rc = stat_holm(p, d->n, p) ? err_nomem(e, d->n * sizeof *p) : 0;
    for (size_t i = 0; i < d->n; i++) d->d[i].p_holm = p[i];
    mem_free(p);
    return rc;
}

/* Each against one, whose runs are `first`. */
static int compare_all(const struct study *s, struct scored against, const struct scored *v, size_t n,
                       struct model *first, size_t (*pair)[2], double *by_seed, struct differences *out,
                       struct err *e) {
    for (size_t i = 0; i < n && first->runs; i++) {
        struct model m;
        if (scored_same(v[i], against)) continue;
        struct difference *d = &out->d[out->n];
        int rc = load_model(s, v[i], &m, e);
        *d = (struct difference){.group = &s->effect.group[v[i].group],
                                 .against = &s->effect.group[against.group],
                                 .precision = v[i].precision};
        if (!rc) d->seeds = match_seeds(s, &m, first, pair);
        if (!rc && d->seeds) rc = compare(s, &m, first, pair, by_seed, d, e);
        release_model(&m);
        if (rc) return rc;
        out->n += d->seeds > 0;
    }
    return correct(out, e);
}

static int load_tables(const struct study *s, const struct scored *all, struct differences *out, size_t *n,
                       struct err *e) {
    const struct opt_names *names = &s->compare_with;
    for (int i = 0; i < (names->n ? names->n : 1); i++) {
        size_t group = names->n ? study_first_group(s, names->v[i]) : 0;
        if (group == s->effect.groups) continue; /* not trained yet */
        TRY(differences_against(s, all[group], all, s->effect.groups, &out[*n], e));
        if (out[*n].n)
            ++*n;
        else
            differences_release(&out[*n]);
    }
    return 0;
}

int differences_load(const struct study *s, struct differences *out, size_t *n, struct err *e) {
    size_t groups = s->effect.groups;
    struct scored *all = mem_calloc(groups + 1, sizeof *all);
    *n = 0;
    if (!all) return err_nomem(e, groups * sizeof *all);
    for (size_t g = 0; g < groups; g++) all[g] = (struct scored){g, ""};
    int rc = load_tables(s, all, out, n, e);
    while (rc && *n) differences_release(&out[--*n]);
    mem_free(all);
    return rc;
}

int differences_against(const struct study *s, struct scored against, const struct scored *v, size_t n,
                        struct differences *out, struct err *e) {
    size_t runs = s->effect.runs + 1;
    struct model first = {0};
    size_t(*pair)[2] = mem_calloc(runs * runs, sizeof *pair);
    double *by_seed = mem_calloc(runs, sizeof *by_seed);
    *out = (struct differences){0, mem_calloc(n + 1, sizeof *out->d)};
    int rc = pair && by_seed && out->d ? 0 : err_nomem(e, runs * runs * sizeof *pair);
    bool others = n > 1 || (n == 1 && !scored_same(v[0], against));
    if (!rc && others) rc = load_model(s, against, &first, e);
    if (!rc && others) rc = compare_all(s, against, v, n, &first, pair, by_seed, out, e);
    release_model(&first);
    mem_free(pair);
    mem_free(by_seed);
    if (rc) differences_release(out);
    return rc;
}

void differences_release(struct differences *d) {
    mem_free(d->d);
    *d = (struct differences){0, NULL};
}

const char *difference_verdict(const struct difference *d) {
    if (!(d->p_holm < 0.05) || !(d->seeds_lo > 0 || d->seeds_hi < 0)) return "not told apart";
    if (d->value > 0 && d->seeds_lo > 0) return "better";
    return d->value < 0 && d->seeds_hi < 0 ? "worse" : "not told apart";
}

static void save_table(const struct differences *all, struct csv_line *l) {
    for (size_t i = 0; i < all->n; i++) {
        const struct difference *d = &all->d[i];
        const double number[] = {(double)d->seeds, (double)d->users, d->value,   d->lo,    d->hi,
                                 d->seeds_lo,      d->seeds_hi,      d->p_users, d->p_holm};
        csv_text(l, d->group->variant);
        csv_text(l, d->group->features);
        csv_text(l, d->against->variant);
        csv_text(l, d->against->features);
        for (size_t k = 0; k < sizeof number / sizeof *number; k++) csv_num(l, number[k]);
        csv_text(l, difference_verdict(d));
        csv_end(l);
    }
}

int differences_save(const struct differences *d, size_t n, const char *dir, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(file_join(path, sizeof path, dir, "differences.csv", e));
    TRY(file_begin(&o, path, e));
    fputs(RESULTS_DIFFERENCES_COLUMNS "\n", o.f);
    struct csv_line l = {.f = o.f};
    for (size_t i = 0; i < n; i++) save_table(&d[i], &l);
    return file_commit(&o, e);
}
