#include "bench/report/study.h"
#include "base/file.h"
#include "bench/report/choice.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int list_candidates(struct study *s, struct err *e) {
    const struct tradeoff *t = &s->tradeoff;
    s->candidates = arena_alloc(&s->effect.table.arena, (t->n + 1) * sizeof *s->candidates);
    if (!s->candidates) return err_nomem(e, t->n * sizeof *s->candidates);
    for (size_t i = 0; i < t->n; i++) {
        double c = t->point[i].candidates;
        int k = 0;
        while (k < s->n_candidates && s->candidates[k] != c) k++;
        if (k == s->n_candidates && !isnan(c)) s->candidates[s->n_candidates++] = c;
    }
    qsort(s->candidates, (size_t)s->n_candidates, sizeof *s->candidates, ascending);
    return 0;
}

/* Both sorts put NaN last and keep the order of the files among equals. */
static int descending(double x, double y) {
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    return (x < y) - (x > y);
}

static int by_gauc(const void *a, const void *b) {
    const struct tradeoff_point *p = *(const struct tradeoff_point *const *)a;
    const struct tradeoff_point *q = *(const struct tradeoff_point *const *)b;
    int order = descending(p->gauc.mean, q->gauc.mean);
    if (!order) order = descending(-p->p50_us, -q->p50_us);
    return order ? order : (p > q) - (p < q);
}

static int groups_by_gauc(const void *a, const void *b) {
    const struct effect_group *p = *(const struct effect_group *const *)a;
    const struct effect_group *q = *(const struct effect_group *const *)b;
    int order = descending(p->metric[EFFECT_GAUC].mean, q->metric[EFFECT_GAUC].mean);
    return order ? order : (p > q) - (p < q);
}

static int rank(struct study *s, struct err *e) {
    struct arena *a = &s->effect.table.arena;
    s->ranked = arena_alloc(a, (s->tradeoff.n + 1) * sizeof *s->ranked);
    s->ranked_groups = arena_alloc(a, (s->effect.groups + 1) * sizeof *s->ranked_groups);
    if (!s->ranked || !s->ranked_groups) return err_nomem(e, s->tradeoff.n * sizeof *s->ranked);
    for (size_t i = 0; i < s->tradeoff.n; i++) s->ranked[i] = &s->tradeoff.point[i];
    for (size_t i = 0; i < s->effect.groups; i++) s->ranked_groups[i] = &s->effect.group[i];
    qsort(s->ranked, s->tradeoff.n, sizeof *s->ranked, by_gauc);
    qsort(s->ranked_groups, s->effect.groups, sizeof *s->ranked_groups, groups_by_gauc);
    return 0;
}

static unsigned varying(const struct study *s) {
    const struct tradeoff *t = &s->tradeoff;
    unsigned v = s->effect.subsets > 1 ? STUDY_FEATURES : 0;
    const struct tradeoff_point *first = NULL;
    const char *store = NULL; /* of the first model that keeps something of its items */
    for (size_t i = 0; i < t->n; i++) {
        const struct tradeoff_point *p = &t->point[i];
        if (isnan(p->candidates)) continue;
        if (!first) first = p;
        if (!store && strcmp(p->store, "none") != 0) store = p->store;
        if (strcmp(p->features, first->features) != 0) v |= STUDY_FEATURES;
        if (strcmp(p->precision, first->precision) != 0) v |= STUDY_PRECISION;
        if (store && strcmp(p->store, "none") != 0 && strcmp(p->store, store) != 0) v |= STUDY_STORE;
        if (strcmp(p->load, first->load) != 0) v |= STUDY_LOAD;
        if (p->threads > first->threads || p->threads < first->threads) v |= STUDY_THREADS;
    }
    return v;
}

const json_t *study_manifest(const struct study *s, const char *path) {
    const json_t *j = s->manifest;
    char key[64];
    while (j && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof key) return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        j = json_object_get(j, key);
        path += n + (path[n] == '.');
    }
    return j;
}

/* The two-tower's id: a variant of type dssm with the plainest name: itself, or the first of that type. */
static const char *two_tower(const struct study *s) {
    for (size_t g = 0; g < s->effect.groups; g++)
        if (!strcmp(s->effect.group[g].variant, "dssm")) return "dssm";
    const json_t *variants = study_manifest(s, "config.variants");
    for (size_t i = 0; i < json_array_size(variants); i++) {
        const json_t *v = json_array_get(variants, i);
        const char *type = json_string_value(json_object_get(v, "variant"));
        if (type && !strcmp(type, "dssm")) return json_string_value(json_object_get(v, "id"));
    }
    return NULL;
}

/* Of its feature subsets the one with the highest GAUC. */
static const struct effect_group *baseline_of(const struct study *s) {
    const char *id = two_tower(s);
    const struct effect_group *best = NULL;
    for (size_t i = 0; id && i < s->effect.groups; i++) {
        const struct effect_group *g = &s->effect.group[i];
        if (strcmp(g->variant, id) != 0 || isnan(g->metric[EFFECT_GAUC].mean)) continue;
        if (!best || g->metric[EFFECT_GAUC].mean > best->metric[EFFECT_GAUC].mean) best = g;
    }
    return best;
}

static int load_rest(struct study *s, struct err *e) {
    char path[1024];
    TRY(list_candidates(s, e));
    TRY(rank(s, e));
    TRY(table_load(s->dir, "curves.csv", &s->curves, e));
    TRY(table_load(s->dir, "latency.csv", &s->latency, e));
    TRY(table_numbers(&s->curves, "epoch", &s->epoch, e));
    TRY(table_numbers(&s->curves, "valid_gauc", &s->valid_gauc, e));
    TRY(table_numbers(&s->curves, "train_loss", &s->train_loss, e));
    TRY(table_numbers(&s->latency, "candidates", &s->candidates_of, e));
    TRY(table_numbers(&s->latency, "percentile", &s->percentile, e));
    TRY(table_numbers(&s->latency, "rt_us", &s->rt_us, e));
    TRY(file_join(path, sizeof path, s->dir, "manifest.json", e));
    if (file_exists(path)) TRY(file_read_json(path, &s->manifest, e));
    return 0;
}

static void read_compared(struct study *s) {
    const json_t *names = study_manifest(s, "config.compare_with");
    struct opt_names *o = &s->compare_with;
    for (size_t i = 0; i < json_array_size(names) && o->n < OPT_LIST_MAX; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name) snprintf(o->v[o->n++], OPT_NAME_MAX, "%s", name);
    }
}

int study_load(const char *dir, struct study *s, struct err *e) {
    *s = (struct study){.dir = dir};
    TRY(tradeoff_load(dir, &s->effect, &s->tradeoff, e));
    int rc = load_rest(s, e);
    if (rc) {
        study_release(s);
        return rc;
    }
    s->varies = varying(s);
    s->baseline = baseline_of(s);
    read_compared(s);
    return 0;
}

size_t study_first_group(const struct study *s, const char *variant) {
    size_t g = 0;
    while (g < s->effect.groups && strcmp(s->effect.group[g].variant, variant) != 0) g++;
    return g;
}

int study_compare_with(struct study *s, const struct opt_names *ids, struct err *e) {
    for (int i = 0; i < ids->n; i++)
        if (study_first_group(s, ids->v[i]) == s->effect.groups)
            return err_set(e, ERR_INPUT, "compare_with: no variant in %s/effect.csv is called \"%s\"", s->dir,
                           ids->v[i]);
    s->compare_with = *ids;
    return 0;
}

void study_release(struct study *s) {
    choices_free(s->choices);
    json_decref(s->manifest);
    table_release(&s->latency);
    table_release(&s->curves);
    tradeoff_release(&s->tradeoff);
    effect_release(&s->effect);
    *s = (struct study){.dir = NULL};
}

void study_label(const struct study *s, const struct tradeoff_point *p, unsigned what,
                 char out[STUDY_LABEL_MAX]) {
    char threads[32] = "";
    if (!isnan(p->threads)) snprintf(threads, sizeof threads, "%g threads", p->threads);
    const char *part[] = {p->features, p->precision, p->store, threads, p->load};
    int n = snprintf(out, STUDY_LABEL_MAX, "%.60s", p->variant);
    for (unsigned i = 0; i < sizeof part / sizeof *part; i++) {
        if (!(s->varies & what & (1u << i)) || !*part[i] || n >= STUDY_LABEL_MAX - 1) continue;
        n += snprintf(out + n, (size_t)(STUDY_LABEL_MAX - n), " · %.60s", part[i]);
    }
}

void study_group_label(const struct study *s, const struct effect_group *g, char out[STUDY_LABEL_MAX]) {
    if (s->effect.subsets > 1)
        snprintf(out, STUDY_LABEL_MAX, "%.60s · %.60s", g->variant, g->features);
    else
        snprintf(out, STUDY_LABEL_MAX, "%.60s", g->variant);
}

static bool is_fp32(const struct tradeoff_point *p) { return !strcmp(p->precision, "fp32"); }

const struct tradeoff_point *study_point(const struct study *s, double candidates,
                                         const struct effect_group *group) {
    const struct tradeoff_point *best = NULL;
    for (size_t i = 0; group && i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = &s->tradeoff.point[i];
        if (p->group != group || p->candidates != candidates || isnan(p->p50_us)) continue;
        bool nearer = best && is_fp32(p) != is_fp32(best) ? is_fp32(p) : !best || p->p50_us < best->p50_us;
        if (nearer) best = p;
    }
    return best;
}

bool study_doubtful(const struct tradeoff_point *p) { return *p->verdict && strcmp(p->verdict, "ok") != 0; }

bool study_usable_doubtful(const struct tradeoff_point *p) {
    return *p->usable_verdict && strcmp(p->usable_verdict, "ok") != 0 &&
           strcmp(p->usable_verdict, "overloaded") != 0;
}

const char *study_name(const struct study *s) {
    const char *name = json_string_value(study_manifest(s, "experiment"));
    if (!name) name = json_string_value(study_manifest(s, "config.name"));
    if (name && *name) return name;
    const char *slash = strrchr(s->dir, '/');
    return slash && slash[1] ? slash + 1 : s->dir;
}
