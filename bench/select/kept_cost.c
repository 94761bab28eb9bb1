#include "bench/select/kept_cost.h"
#include "base/progress.h"
#include "bench/run/machine.h"
#include "bench/run/manifest.h"
#include <math.h>
#include <string.h>

struct keeper {
    const struct sweep *s;
    const struct sweep_model *model;
    json_t *about, *record;                                   /* record: NULL until there is one */
    char beside_data[1024], in_results[1024], in_other[1024]; /* in_other: "" when there is none */
    const char *from;                                         /* where the record was found */
    struct err *e;
};

static json_t *names_of(const struct features *f) {
    json_t *list = json_array();
    for (int i = 0; list && i < f->n; i++) json_array_append_new(list, json_string(f->feature[i].name));
    return list;
}

json_t *kept_cost_about(const struct sweep *s, const struct sweep_model *m) {
    struct machine machine;
    const struct variant *v = m->variant->variant;
    machine_describe(&machine);
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:s}", "cpu", machine.cpu, "cpus",
                     machine.cpus, "blas_kernel", machine.blas_kernel, "data", s->ds->hash, "variant",
                     v->name, "options", opt_json(v->opts, m->variant->options), "fields",
                     names_of(&m->features), "candidates", (json_int_t)field_cost_candidates(s->x), "threads",
                     (json_int_t)s->x->measure.threads, "precision", precision_names[PRECISION_FP32]);
}

static int find_places(struct keeper *k) {
    char folder[1024], name[EXPERIMENT_ID_MAX + 64];
    struct hash h;
    if (!k->about) return err_nomem(k->e, 0);
    TRY(json_hash(k->about, &h, k->e));
    TRY(file_join(folder, sizeof folder, k->s->ds->dir, "field-costs", k->e));
    snprintf(name, sizeof name, "%.32s.%.16s.json", k->model->variant->variant->name, h.hex);
    TRY(file_join(k->beside_data, sizeof k->beside_data, folder, name, k->e));
    snprintf(name, sizeof name, "importance/%.*s.ranked-by.json", EXPERIMENT_ID_MAX, k->model->variant->id);
    const char *other = k->s->x->select.costs_of;
    if (other) TRY(file_join(k->in_other, sizeof k->in_other, other, name, k->e));
    return file_join(k->in_results, sizeof k->in_results, k->s->dir, name, k->e);
}

/* "hash" of what the record says besides. */
static int hash_of(json_t *record, struct hash *out, struct err *e) {
    json_t *rest = json_copy(record);
    json_object_del(rest, "hash");
    int rc = json_hash(rest, out, e);
    json_decref(rest);
    return rc;
}

/* Why the record cannot be used; NULL when it can. */
static const char *fault(const struct keeper *k, json_t *record) {
    struct hash h;
    const char *hash = json_string_value(json_object_get(record, "hash"));
    const json_t *us = json_object_get(record, "request_us");
    if (!hash || hash_of(record, &h, NULL) || strcmp(hash, h.hex) != 0) return "is damaged or was changed";
    if (!json_equal(json_object_get(record, "about"), k->about)) return "is about something else";
    for (int i = 0; i < k->model->features.n; i++) {
        const json_t *v = json_object_get(us, k->model->features.feature[i].name);
        if (!json_is_number(v) && !json_is_null(v)) return "does not have every field";
    }
    if (!json_object_get(record, "whole_us")) return "does not say how long the request took";
    return NULL;
}

/* k->record, when there is a good one at `path`. */
static void take(struct keeper *k, const char *path) {
    struct err why = ERR_INIT;
    if (k->record || !*path || !file_exists(path)) return;
    k->from = path;
    if (file_read_json(path, &k->record, &why)) {
        progress_note("select: costs of fields are not taken from there: %s", why.msg);
        return;
    }
    const char *bad = fault(k, k->record);
    if (!bad) return;
    progress_note("select: costs of fields are not taken from %s, which %s", path, bad);
    json_decref(k->record);
    k->record = NULL;
}

static int record_own(struct keeper *k, const struct field_cost *own, const struct cost_taken *taken) {
    struct hash h;
    json_t *us = json_object();
    double whole = (double)NAN;
    for (int i = 0; us && i < k->model->features.n; i++) {
        json_object_set_new(us, k->model->features.feature[i].name,
                            isnan(own[i].request_us) ? json_null() : json_real(own[i].request_us));
        if (!isnan(own[i].whole_us)) whole = own[i].whole_us;
    }
    k->record = json_pack("{s:O, s:s, s:i, s:s, s:o, s:o}", "about", k->about, "taken", taken->at, "threads",
                          taken->threads, "revision", taken->revision, "whole_us",
                          isnan(whole) ? json_null() : json_real(whole), "request_us", us);
    if (!k->record || json_object_size(us) != (size_t)k->model->features.n) return err_nomem(k->e, 0);
    TRY(hash_of(k->record, &h, k->e));
    return json_object_set_new(k->record, "hash", json_string(h.hex)) ? err_nomem(k->e, 0) : 0;
}

/* Whether the run that is resumed had the same, and so kept them when they were new. */
static bool known(const struct keeper *k) {
    json_t *there = NULL;
    bool same = file_exists(k->in_results) && !file_read_json(k->in_results, &there, NULL) &&
                json_equal(there, k->record);
    json_decref(there);
    return same;
}

/* For later runs; that they cannot be kept is no reason to fail this one. */
static bool keep(struct keeper *k) {
    struct err why = ERR_INIT;
    char folder[1024];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(k->beside_data, '/') - k->beside_data),
             k->beside_data);
    int rc = file_make_dirs(folder, &why);
    if (!rc) rc = file_write_json(k->beside_data, k->record, &why);
    if (rc) progress_note("select: %s; later runs measure the costs of fields again", why.msg);
    return !rc;
}

static int choose(struct keeper *k, enum rank_by_cost by, const struct field_cost *own,
                  const struct cost_taken *taken, json_t **says) {
    take(k, k->in_other);
    if (by == RANK_BY_KEPT) {
        take(k, k->in_results);
        take(k, k->beside_data);
    }
    bool kept = k->record != NULL;
    if (!kept) {
        TRY(record_own(k, own, taken));
        k->from = !known(k) && keep(k) ? k->beside_data : k->in_results;
    }
    progress_note("select: %s: fields are ranked by costs %s %s, kept in %s", k->model->variant->id,
                  kept || !taken->now ? "measured at" : "measured now,",
                  json_string_value(json_object_get(k->record, "taken")), k->from);
    *says = json_pack("{s:s, s:O, s:O, s:O, s:s}", "costs", kept ? "kept" : "measured", "taken",
                      json_object_get(k->record, "taken"), "threads", json_object_get(k->record, "threads"),
                      "revision", json_object_get(k->record, "revision"), "file", k->from);
    return *says ? file_write_json(k->in_results, k->record, k->e) : err_nomem(k->e, 0);
}

/* From the record, also for own ones: what later runs read is what this one ranks by. */
static int shares(struct keeper *k, double *share) {
    int n = k->model->features.n;
    const json_t *us = json_object_get(k->record, "request_us"),
                 *whole = json_object_get(k->record, "whole_us");
    struct arena a = ARENA_INIT;
    struct field_cost *cost = arena_alloc(&a, ((size_t)n + 1) * sizeof *cost);
    for (int i = 0; cost && i < n; i++) {
        const json_t *v = json_object_get(us, k->model->features.feature[i].name);
        cost[i].request_us = json_is_number(v) ? json_number_value(v) : (double)NAN;
        cost[i].whole_us = json_is_number(whole) ? json_number_value(whole) : (double)NAN;
    }
    if (cost) field_cost_shares(cost, n, share);
    arena_release(&a);
    return cost ? 0 : err_nomem(k->e, 0);
}

int kept_cost_shares(const struct sweep *s, int model, enum rank_by_cost by, const struct field_cost *own,
                     const struct cost_taken *taken, double *share, json_t **says, struct err *e) {
    struct err none = ERR_INIT;
    struct keeper k = {.s = s, .model = &s->model[model], .e = e ? e : &none};
    k.about = kept_cost_about(s, k.model);
    *says = NULL;
    int rc = find_places(&k);
    if (!rc) rc = choose(&k, by, own, taken, says);
    if (!rc) rc = shares(&k, share);
    json_decref(k.about);
    json_decref(k.record);
    return rc;
}
