#include "bench/study.h"
#include "base/file.h"
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

static unsigned varying(const struct study *s) {
    const struct tradeoff *t = &s->tradeoff;
    unsigned v = s->effect.subsets > 1 ? STUDY_FEATURES : 0;
    const struct point *first = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct point *p = &t->point[i];
        if (isnan(p->candidates)) continue;
        if (!first) first = p;
        if (strcmp(p->features, first->features) != 0) v |= STUDY_FEATURES;
        if (strcmp(p->precision, first->precision) != 0) v |= STUDY_PRECISION;
        if (strcmp(p->store, first->store) != 0) v |= STUDY_STORE;
        if (strcmp(p->load, first->load) != 0) v |= STUDY_LOAD;
        if (p->threads != first->threads) v |= STUDY_THREADS;
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
    return 0;
}

void study_release(struct study *s) {
    json_decref(s->manifest);
    table_release(&s->latency);
    table_release(&s->curves);
    tradeoff_release(&s->tradeoff);
    effect_release(&s->effect);
    *s = (struct study){.dir = NULL};
}

void study_label(const struct study *s, const struct point *p, unsigned what, char out[STUDY_LABEL_MAX]) {
    char threads[32];
    snprintf(threads, sizeof threads, "%g threads", p->threads);
    const char *part[] = {p->features, p->precision, p->store, threads, p->load};
    int n = snprintf(out, STUDY_LABEL_MAX, "%.60s", p->variant);
    for (unsigned i = 0; i < sizeof part / sizeof *part; i++) {
        if (!(s->varies & what & (1u << i)) || !*part[i] || n >= STUDY_LABEL_MAX - 1) continue;
        n += snprintf(out + n, (size_t)(STUDY_LABEL_MAX - n), " · %.40s", part[i]);
    }
}

void study_group_label(const struct study *s, const struct effect_group *g, char out[STUDY_LABEL_MAX]) {
    if (s->effect.subsets > 1)
        snprintf(out, STUDY_LABEL_MAX, "%.60s · %.60s", g->variant, g->features);
    else
        snprintf(out, STUDY_LABEL_MAX, "%.60s", g->variant);
}

const struct point *study_best(const struct study *s, double candidates) {
    const struct point *best = NULL;
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct point *p = &s->tradeoff.point[i];
        if (p->candidates != candidates || isnan(p->gauc.mean) || isnan(p->p50_us)) continue;
        if (!best || p->gauc.mean > best->gauc.mean ||
            (p->gauc.mean == best->gauc.mean && p->p50_us < best->p50_us))
            best = p;
    }
    return best;
}

const struct point *study_point(const struct study *s, double candidates, const struct effect_group *group) {
    const struct point *best = NULL;
    for (size_t i = 0; group && i < s->tradeoff.n; i++) {
        const struct point *p = &s->tradeoff.point[i];
        if (p->group != group || p->candidates != candidates || isnan(p->p50_us)) continue;
        if (!best || p->p50_us < best->p50_us) best = p;
    }
    return best;
}

const char *study_name(const struct study *s) {
    const char *name = json_string_value(study_manifest(s, "config.name"));
    if (!name) name = json_string_value(study_manifest(s, "name"));
    if (name && *name) return name;
    const char *slash = strrchr(s->dir, '/');
    return slash && slash[1] ? slash + 1 : s->dir;
}
