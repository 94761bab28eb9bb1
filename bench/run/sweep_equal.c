/* sweep.h's equal runs: what training would only repeat to the bit is taken over under this run's names. */
#include "base/progress.h"
#include "bench/run/sweep.h"
#include "nn/checkpoint.h"
#include <dirent.h>
#include <string.h>

/* ---- what is equal ---- */

int sweep_equal_key(const struct sweep *s, struct sweep_model *m, struct err *e) {
    json_t *j = sweep_model_json(s, m);
    int failed = !j;
    json_object_del(j, "id");
    json_object_del(json_object_get(j, "distill"), "teacher");
    if (!failed && m->teacher >= 0)
        failed = json_object_set_new(j, "teacher", json_string(s->model[m->teacher].equal.hex));
    int rc = failed ? err_nomem(e, 0) : json_hash(j, &m->equal, e);
    json_decref(j);
    return rc;
}

/* ---- where there are equal ones ---- */

static const char *text_of(const json_t *j, const char *key) {
    const char *text = json_string_value(json_object_get(j, key));
    return text ? text : "";
}

/* One runs/<id>.json: of a finished model it is remembered, by what it is equal to. */
static int offer(struct sweep *s, const char *dir, const char *path, struct err *e) {
    json_t *run;
    TRY(file_read_json(path, &run, e));
    const char *equal = text_of(run, "equal");
    int rc = 0;
    if (*equal && !strcmp(text_of(run, "status"), "ok") && !json_object_get(s->offered, equal) &&
        json_object_set_new(s->offered, equal, json_pack("{s:s, s:O}", "dir", dir, "run", run)))
        rc = err_nomem(e, 0);
    json_decref(run);
    return rc;
}

int sweep_offer(struct sweep *s, const char *dir, struct err *e) {
    char runs[1024], path[1024];
    int rc = 0;
    TRY(file_join(runs, sizeof runs, dir, "runs", e));
    if (!s->offered && !(s->offered = json_object())) return err_nomem(e, 0);
    DIR *d = opendir(runs);
    const struct dirent *entry;
    while (d && !rc && (entry = readdir(d))) {
        size_t n = strlen(entry->d_name);
        if (n < 5 || strcmp(entry->d_name + n - 5, ".json") != 0) continue;
        rc = file_join(path, sizeof path, runs, entry->d_name, e);
        if (!rc) rc = offer(s, dir, path, e);
    }
    if (d) closedir(d);
    return rc;
}

/* A finished run equal to r, and the folder of its sweep; NULL: there is none. */
static const json_t *find(const struct sweep *s, const struct sweep_run *r, const char **dir) {
    *dir = s->dir;
    for (int i = 0; i < s->n_runs; i++) {
        const struct sweep_run *o = &s->run[i];
        if (sweep_run_ok(o) && !strcmp(text_of(o->result, "equal"), r->equal.hex)) return o->result;
    }
    const json_t *offered = json_object_get(s->offered, r->equal.hex);
    *dir = text_of(offered, "dir");
    return json_object_get(offered, "run");
}

/* ---- taking it over ---- */

static int copy_predictions(const char *from, const char *to, struct err *e) {
    struct file_map m;
    struct file_out o;
    TRY(file_map_read(from, &m, e));
    int rc = file_begin(&o, to, e);
    if (!rc) {
        fwrite(m.p, 1, m.bytes, o.f); /* file_commit() looks at ferror() */
        rc = file_commit(&o, e);
    }
    file_unmap(&m);
    return rc;
}

/* The weights' file names the features in its metadata. */
static int copy_weights(const struct sweep *s, const struct sweep_run *r, const char *from, struct err *e) {
    const struct sweep_model *m = &s->model[r->model];
    struct graph g;
    graph_init(&g);
    int rc = variant_build(m->variant->variant, m->variant->options, &m->features, &g, e);
    if (!rc) rc = graph_alloc_params(&g, (uint64_t)r->seed, e);
    if (!rc) rc = checkpoint_load(&g, from, e);
    if (!rc) rc = sweep_save_weights(s, r, &g, e);
    graph_release(&g);
    return rc;
}

static int copy_description(const struct sweep *s, const struct sweep_run *r, const char *from,
                            const char *to, struct err *e) {
    const struct sweep_model *m = &s->model[r->model];
    json_t *j;
    TRY(file_read_json(from, &j, e));
    int failed = json_object_set_new(j, "id", json_string(r->id)) |
                 json_object_set_new(j, "features", json_string(m->subset->name)) |
                 json_object_set_new(j, "config", experiment_variant_json(m->variant));
    int rc = failed ? err_nomem(e, 0) : file_write_json(to, j, e);
    json_decref(j);
    return rc;
}

int sweep_take_equal(const struct sweep *s, struct sweep_run *r, bool *taken, struct err *e) {
    const char *dir;
    const json_t *equal = find(s, r, &dir);
    const struct sweep there = {.dir = dir};
    struct sweep_run of = {.seed = r->seed};
    char from[1024], to[1024];
    snprintf(of.id, sizeof of.id, "%s", text_of(equal, "id"));
    *taken = equal && sweep_has_files(&there, &of);
    if (!*taken) return 0;
    TRY(sweep_make_folders(s, e));
    TRY(sweep_path(&there, "predictions", &of, ".csv", from, e));
    TRY(sweep_path(s, "predictions", r, ".csv", to, e));
    TRY(copy_predictions(from, to, e));
    TRY(sweep_path(&there, "models", &of, ".safetensors", from, e));
    TRY(copy_weights(s, r, from, e));
    TRY(sweep_path(&there, "models", &of, ".json", from, e));
    TRY(sweep_path(s, "models", r, ".json", to, e));
    TRY(copy_description(s, r, from, to, e));
    TRY(sweep_save_renamed(s, r, equal, e));
    progress_note("%s is equal to %s%s%s and not trained again", r->id, of.id, dir == s->dir ? "" : " in ",
                  dir == s->dir ? "" : dir);
    return 0;
}
