#include "bench/select/importance_files.h"
#include "base/str.h"
#include "bench/results.h"
#include "bench/select/kept_cost.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static int path_of(const struct sweep *s, const char *name, char out[1024], struct err *e) {
    char folder[1024];
    TRY(file_join(folder, sizeof folder, s->dir, "importance", e));
    TRY(file_make_dirs(folder, e));
    return file_join(out, 1024, folder, name, e);
}

static int importance_path(const struct importance_file *f, char out[1024], struct err *e) {
    char name[2 * EXPERIMENT_ID_MAX + 64];
    snprintf(name, sizeof name, "%.*s.%s.%" PRId64 ".json", EXPERIMENT_ID_MAX,
             f->sweep->model[f->model].variant->id, selectors[f->selector]->name, f->seed);
    return path_of(f->sweep, name, out, e);
}

static json_t *numbers(const double *v, int n) {
    json_t *list = json_array();
    for (int i = 0; list && i < n; i++)
        json_array_append_new(list, isfinite(v[i]) ? json_real(v[i]) : json_null());
    return list;
}

/* The hash of everything that decides a ranking. */
static int importance_key(const struct importance_file *f, int n, struct hash *out, struct err *e) {
    const struct selector *s = selectors[f->selector];
    json_t *j = json_pack("{s:s, s:s, s:I, s:o}", "model", f->sweep->model[f->model].key.hex, "selector",
                          s->name, "seed", (json_int_t)f->seed, "options",
                          opt_json(s->opts, f->sweep->x->select.own[f->selector]));
    if (j && f->share) json_object_set_new(j, "cost", numbers(f->share, n));
    int rc = j ? json_hash(j, out, e) : err_nomem(e, 0);
    json_decref(j);
    return rc;
}

/* The list `name` of the file, n numbers or null; false when it is another's. */
static bool take(const json_t *j, const char *key, const char *name, double *out, int n) {
    const char *there = json_string_value(json_object_get(j, "key"));
    const json_t *list = json_object_get(j, name);
    if (!there || strcmp(there, key) != 0 || json_array_size(list) != (size_t)n) return false;
    for (int i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        out[i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
    }
    return true;
}

int importance_file_load(const struct importance_file *f, double *out, int n, double *seconds,
                         struct err *e) {
    char path[1024];
    struct hash key;
    json_t *j;
    *seconds = -1;
    TRY(importance_key(f, n, &key, e));
    TRY(importance_path(f, path, e));
    if (!file_exists(path)) return 0;
    TRY(file_read_json(path, &j, e));
    if (take(j, key.hex, "importance", out, n)) *seconds = json_number_value(json_object_get(j, "seconds"));
    json_decref(j);
    return 0;
}

int importance_file_save(const struct importance_file *f, const double *importance, int n, double seconds,
                         struct err *e) {
    char path[1024];
    struct hash key;
    TRY(importance_key(f, n, &key, e));
    TRY(importance_path(f, path, e));
    json_t *j = json_pack("{s:s, s:o, s:f}", "key", key.hex, "importance", numbers(importance, n), "seconds",
                          seconds);
    int rc = j ? file_write_json(path, j, e) : err_nomem(e, 0);
    json_decref(j);
    return rc;
}

/* ---- costs ---- */

enum { COSTS = sizeof(struct field_cost) / sizeof(double) };

static int cost_key(const struct cost_file *f, struct hash *out, struct err *e) {
    struct hash program;
    TRY(hash_file("/proc/self/exe", &program, e));
    json_t *j = json_pack("{s:o, s:i, s:s}", "about", kept_cost_about(f->sweep, &f->sweep->model[f->model]),
                          "threads", f->threads, "program", program.hex);
    int rc = j ? json_hash(j, out, e) : err_nomem(e, 0);
    json_decref(j);
    return rc;
}

static int cost_place(const struct cost_file *f, char path[1024], struct hash *key, struct err *e) {
    char name[EXPERIMENT_ID_MAX + 32];
    snprintf(name, sizeof name, "%.*s.cost.json", EXPERIMENT_ID_MAX, f->sweep->model[f->model].variant->id);
    TRY(cost_key(f, key, e));
    return path_of(f->sweep, name, path, e);
}

static bool take_text(const json_t *j, const char *key, char *out, size_t cap) {
    const char *text = json_string_value(json_object_get(j, key));
    snprintf(out, cap, "%s", text ? text : "");
    return text;
}

int field_cost_load(const struct cost_file *f, struct field_cost *out, struct cost_taken *taken, bool *there,
                    struct err *e) {
    char path[1024];
    struct hash key;
    json_t *j;
    int n = f->sweep->model[f->model].features.n;
    *there = false;
    *taken = (struct cost_taken){.threads = f->threads};
    TRY(cost_place(f, path, &key, e));
    if (!file_exists(path)) return 0;
    TRY(file_read_json(path, &j, e));
    *there = take(j, key.hex, "cost", (double *)out, n * COSTS) &&
             take_text(j, "taken", taken->at, sizeof taken->at) &&
             take_text(j, "revision", taken->revision, sizeof taken->revision) &&
             (!f->on_demand || json_is_true(json_object_get(j, "on_demand")));
    json_decref(j);
    return 0;
}

int field_cost_save(const struct cost_file *f, const struct field_cost *cost, const struct cost_taken *taken,
                    struct err *e) {
    char path[1024];
    struct hash key;
    TRY(cost_place(f, path, &key, e));
    json_t *j = json_pack("{s:s, s:s, s:s, s:b, s:o}", "key", key.hex, "taken", taken->at, "revision",
                          taken->revision, "on_demand", f->on_demand, "cost",
                          numbers((const double *)cost, f->sweep->model[f->model].features.n * COSTS));
    int rc = j ? file_write_json(path, j, e) : err_nomem(e, 0);
    json_decref(j);
    return rc;
}

/* ---- tables ---- */

static void importance_row(FILE *out, const struct sweep *s, const struct ranking_of *r, int field, int rank,
                           const char *seed, double importance) {
    const struct sweep_model *m = &s->model[r->model];
    const struct field_cost *c = &r->cost[field];
    struct csv_line l = {.f = out};
    csv_text(&l, m->variant->id);
    csv_text(&l, r->name);
    csv_text(&l, seed);
    csv_text(&l, m->features.feature[field].name);
    csv_text(&l, side_name(m->features.feature[field].side));
    csv_num(&l, importance);
    csv_int(&l, rank);
    csv_num(&l, c->request_us);
    csv_num(&l, c->ns_per_candidate);
    csv_num(&l, c->flops_per_candidate);
    csv_num(&l, c->bytes_per_candidate);
    csv_num(&l, r->seconds / r->n_seeds);
    csv_num(&l, r->share ? r->share[field] : (double)NAN);
    csv_end(&l);
}

/* Rank of a field by one seed alone, from 1. */
static int seed_rank(const double *importance, int n, int field) {
    int rank = 1;
    for (int i = 0; i < n; i++)
        rank += importance[i] > importance[field] || (i < field && importance[i] == importance[field]);
    return rank;
}

static void importance_rows(FILE *out, const struct sweep *s, const struct ranking_of *r) {
    for (int k = 0; k < r->n_seeds; k++) {
        const double *v = r->by_seed + (size_t)k * (size_t)r->n;
        char seed[24];
        snprintf(seed, sizeof seed, "%" PRId64, s->x->o.seeds.v[r->first_seed + k]);
        for (int i = 0; i < r->n; i++) importance_row(out, s, r, i, seed_rank(v, r->n, i), seed, v[i]);
    }
    for (int i = 0; i < r->n; i++)
        importance_row(out, s, r, r->order[i], i + 1, "mean", r->importance[r->order[i]]);
}

static void field_rows(FILE *out, const struct sweep *s, const struct ranking_of *r) {
    const struct sweep_model *m = &s->model[r->model];
    for (int i = 0; i < r->n; i++) {
        const struct field_cost *c = &r->cost[i];
        struct csv_line l = {.f = out};
        csv_text(&l, m->variant->id);
        csv_text(&l, m->features.feature[i].name);
        csv_text(&l, side_name(m->features.feature[i].side));
        csv_int(&l, field_cost_candidates(s->x));
        const double v[] = {c->request_us,
                            c->lo_us,
                            c->hi_us,
                            c->ns_per_candidate,
                            c->flops_per_candidate,
                            c->bytes_per_candidate,
                            c->flops_per_request,
                            m->features.feature[i].vocab};
        for (size_t k = 0; k < sizeof v / sizeof *v; k++) csv_num(&l, v[k]);
        csv_end(&l);
    }
}

int rankings_write(const struct sweep *s, const struct rankings *r, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(file_join(path, sizeof path, s->dir, "importance.csv", e));
    TRY(file_begin(&o, path, e));
    fputs(RESULTS_IMPORTANCE_COLUMNS "\n", o.f);
    for (int i = 0; i < r->n; i++) importance_rows(o.f, s, &r->v[i]);
    TRY(file_commit(&o, e));
    TRY(file_join(path, sizeof path, s->dir, "fields.csv", e));
    TRY(file_begin(&o, path, e));
    fputs(RESULTS_FIELDS_COLUMNS "\n", o.f);
    for (int i = 0; i < r->n; i++)
        if (!i || r->v[i].model != r->v[i - 1].model) field_rows(o.f, s, &r->v[i]);
    return file_commit(&o, e);
}
