/* sweep.h's files: what one run leaves, and the tables made of all of them. */
#include "base/str.h"
#include "bench/results.h"
#include "bench/run/sweep.h"
#include "nn/checkpoint.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows, kept as lines of text so that a table made after --resume is the same to the byte ---- */

enum { NOTE_CELL = 23 }; /* of effect.csv, the last; those before it hold neither quotes nor commas */

static void put_note(struct csv_line *l, const struct sweep_model *m, const char *failure, const char *own) {
    char note[sizeof m->note + sizeof((struct trained *)0)->note + 1200];
    const char *parts[] = {m->note, own};
    snprintf(note, sizeof note, "%s", failure ? failure : "");
    for (int i = 0; i < 2; i++) {
        size_t used = strlen(note);
        if (*parts[i]) snprintf(note + used, sizeof note - used, "%s%s", used ? "; " : "", parts[i]);
    }
    csv_text(l, note);
}

static void effect_cells(struct csv_line *l, const struct sweep *s, const struct sweep_run *r,
                         const struct trained *m, const char *failure, enum split split) {
    const struct sweep_model *model = &s->model[r->model];
    const double none = (double)NAN;
    const struct quality no = {.auc = none,
                               .gauc = none,
                               .gauc_kept = none,
                               .logloss = none,
                               .pcoc = none,
                               .ece = none,
                               .ndcg10 = none,
                               .gauc_lo = none,
                               .gauc_hi = none,
                               .hr10 = none};
    const struct quality *q = failure ? &no : &m->quality[split];
    csv_text(l, model->variant->id);
    csv_text(l, model->subset->name);
    csv_int(l, model->features.n);
    csv_int(l, r->seed);
    csv_text(l, split_name(split));
    const double first[] = {q->auc, q->gauc, q->gauc_kept, q->logloss, q->pcoc, q->ece, q->ndcg10, none};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) csv_num(l, first[i]);
    csv_int(l, (int64_t)m->params);
    csv_int(l, m->epochs);
    csv_num(l, m->seconds);
    csv_num(l, m->seconds > 0 ? (double)m->rows / m->seconds : none);
    csv_num(l, q->gauc_lo);
    csv_num(l, q->gauc_hi);
    csv_num(l, q->hr10);
    csv_int(l, (int64_t)(s->ds->split[split].end - s->ds->split[split].begin));
    if (failure)
        csv_text(l, "");
    else
        csv_int(l, (int64_t)q->users_kept);
    csv_text(l, failure ? "failed" : "ok");
    put_note(l, model, failure, m->note);
    csv_end(l);
}

static void curve_cells(struct csv_line *l, const struct sweep *s, const struct sweep_run *r,
                        const struct epoch *c) {
    const struct sweep_model *model = &s->model[r->model];
    csv_text(l, model->variant->id);
    csv_text(l, model->subset->name);
    csv_int(l, r->seed);
    csv_int(l, c->epoch);
    csv_int(l, c->step);
    csv_num(l, c->learning_rate);
    csv_num(l, c->loss);
    csv_num(l, c->valid.gauc);
    csv_num(l, c->valid.auc);
    csv_num(l, c->valid.logloss);
    csv_num(l, c->seconds);
    csv_end(l);
}

/* Lines of effect.csv or curves.csv of a run under the names of another model; `note`: what training had to say, NULL: the line's
 * note stays, or there is none. */
static void put_renamed(FILE *f, const char *lines, const struct sweep_model *as, const char *note) {
    for (const char *line = lines; *line; line = strchr(line, '\n') + 1) {
        const char *rest = strchr(strchr(line, ',') + 1, ','), *end = strchr(line, '\n');
        struct csv_line l = {.f = f};
        if (note) end = line;
        for (int i = 0; note && i < NOTE_CELL; i++) end = strchr(end, ',') + 1;
        csv_text(&l, as->variant->id);
        csv_text(&l, as->subset->name);
        fprintf(f, "%.*s", (int)(end - rest), rest);
        if (note) put_note(&(struct csv_line){.f = f}, as, NULL, note);
        putc('\n', f);
    }
}

/* Both tables' rows as {"effect": "lines", "curves": "lines"} */
static json_t *rows_json(const struct sweep *s, const struct sweep_run *r, const struct trained *m,
                         const char *failure) {
    char *text[2] = {NULL, NULL};
    size_t size[2];
    json_t *j = json_object();
    for (int k = 0; k < 2; k++) {
        struct csv_line l = {.f = open_memstream(&text[k], &size[k])};
        if (!l.f) break;
        for (int split = SPLIT_VALID; k == 0 && split < SPLIT_COUNT; split++)
            if (s->ds->split[split].end > s->ds->split[split].begin)
                effect_cells(&l, s, r, m, failure, (enum split)split);
        for (size_t i = 0; k == 1 && i < m->n_epochs; i++) curve_cells(&l, s, r, &m->epoch[i]);
        int bad = ferror(l.f);
        if (fclose(l.f) || bad || json_object_set_new(j, k ? "curves" : "effect", json_string(text[k])))
            break;
    }
    free(text[0]);
    free(text[1]);
    if (json_object_get(j, "curves")) return j;
    json_decref(j);
    return NULL;
}

/* ---- predictions and models ---- */

int sweep_save_predictions(const struct sweep *s, const struct sweep_run *r, const char *folder,
                           const float *score, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(file_join(path, sizeof path, s->dir, folder, e));
    TRY(file_make_dirs(path, e));
    TRY(sweep_path(s, folder, r, ".csv", path, e));
    TRY(file_begin(&o, path, e));
    fputs("row,user,label,score\n", o.f);
    uint64_t begin = s->ds->split[SPLIT_TEST].begin, end = s->ds->split[SPLIT_TEST].end;
    for (uint64_t i = begin; i < end; i++)
        fprintf(o.f, "%" PRIu64 ",%" PRIu32 ",%u,%.9g\n", s->ds->row[i], s->ds->user[i], s->ds->label[i],
                (double)score[i - begin]);
    return file_commit(&o, e);
}

static json_t *model_json(const struct sweep *s, const struct sweep_run *r, const struct trained *m) {
    const struct sweep_model *model = &s->model[r->model];
    json_t *fields = json_array();
    for (int i = 0; fields && i < model->features.n; i++)
        json_array_append_new(fields, json_string(model->features.feature[i].name));
    /* o: taken over */
    return json_pack("{s:s, s:s, s:I, s:o, s:s, s:I, s:I, s:o, s:o}", "id", r->id, "features",
                     model->subset->name, "seed", (json_int_t)r->seed, "fields", fields, "data_hash",
                     s->ds->hash, "epochs", (json_int_t)m->epochs, "best_epoch", (json_int_t)m->best_epoch,
                     "config", experiment_variant_json(model->variant), "graph", graph_json(&m->graph));
}

int sweep_save_weights(const struct sweep *s, const struct sweep_run *r, const struct graph *g,
                       struct err *e) {
    char path[1024], seed[24];
    const struct sweep_model *model = &s->model[r->model];
    snprintf(seed, sizeof seed, "%" PRId64, r->seed);
    json_t *metadata =
        json_pack("{s:s, s:s, s:s, s:s}", "format", "pt", "variant", model->variant->variant->name,
                  "features", model->subset->name, "seed", seed);
    int rc = metadata ? sweep_path(s, "models", r, ".safetensors", path, e) : err_nomem(e, 0);
    if (!rc) rc = checkpoint_save(g, path, metadata, e);
    json_decref(metadata);
    return rc;
}

static int save_model(const struct sweep *s, const struct sweep_run *r, const struct trained *m,
                      struct err *e) {
    char path[1024];
    TRY(sweep_save_weights(s, r, &m->graph, e));
    TRY(sweep_path(s, "models", r, ".json", path, e));
    json_t *j = model_json(s, r, m);
    int rc = j ? file_write_json(path, j, e) : err_nomem(e, 0);
    json_decref(j);
    return rc;
}

int sweep_make_folders(const struct sweep *s, struct err *e) {
    static const char *const subs[] = {"predictions", "models", "runs"};
    char path[1024];
    for (size_t i = 0; i < sizeof subs / sizeof *subs; i++) {
        TRY(file_join(path, sizeof path, s->dir, subs[i], e));
        TRY(file_make_dirs(path, e));
    }
    return 0;
}

/* Writes runs/<id>.json; takes `rows` over, which is NULL without memory. */
static int finish(const struct sweep *s, struct sweep_run *r, json_t *rows, const char *note,
                  const char *status, struct err *e) {
    char path[1024];
    int rc = sweep_path(s, "runs", r, ".json", path, e);
    if (!rc && (!rows || json_object_set_new(rows, "id", json_string(r->id)) ||
                json_object_set_new(rows, "key", json_string(r->key.hex)) ||
                json_object_set_new(rows, "equal", json_string(r->equal.hex)) ||
                json_object_set_new(rows, "note", json_string(note)) ||
                json_object_set_new(rows, "status", json_string(status))))
        rc = err_nomem(e, 0);
    if (!rc) rc = file_write_json(path, rows, e);
    if (rc)
        json_decref(rows);
    else
        r->result = rows;
    return rc;
}

int sweep_save_run(const struct sweep *s, struct sweep_run *r, const struct trained *m, const char *failure,
                   struct err *e) {
    TRY(sweep_make_folders(s, e));
    if (!failure) {
        TRY(sweep_save_predictions(s, r, "predictions", m->test_score, e));
        TRY(save_model(s, r, m, e));
    }
    return finish(s, r, rows_json(s, r, m, failure), m->note, failure ? "failed" : "ok", e);
}

int sweep_save_renamed(const struct sweep *s, struct sweep_run *r, const json_t *result, struct err *e) {
    static const char *const key[] = {"effect", "curves"};
    const char *note = json_string_value(json_object_get(result, "note"));
    json_t *j = json_object();
    for (int k = 0; j && k < 2; k++) {
        char *text = NULL;
        size_t size;
        const char *lines = json_string_value(json_object_get(result, key[k]));
        FILE *f = open_memstream(&text, &size);
        if (f && lines) put_renamed(f, lines, &s->model[r->model], k ? NULL : note ? note : "");
        if (!f || fclose(f) || json_object_set_new(j, key[k], json_string(text))) {
            json_decref(j);
            j = NULL;
        }
        free(text);
    }
    return finish(s, r, j, note ? note : "", "ok", e);
}

bool sweep_has_files(const struct sweep *s, const struct sweep_run *r) {
    static const char *const file[][2] = {
        {"predictions", ".csv"}, {"models", ".safetensors"}, {"models", ".json"}};
    char path[1024];
    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
        if (sweep_path(s, file[i][0], r, file[i][1], path, NULL) || !file_exists(path)) return false;
    return true;
}

int sweep_load_run(const struct sweep *s, struct sweep_run *r, struct err *e) {
    char path[1024];
    TRY(sweep_path(s, "runs", r, ".json", path, e));
    if (!file_exists(path)) return 0;
    TRY(file_read_json(path, &r->result, e));
    const char *key = json_string_value(json_object_get(r->result, "key"));
    bool ok = key && !strcmp(key, r->key.hex) && json_is_string(json_object_get(r->result, "effect")) &&
              json_is_string(json_object_get(r->result, "curves")) &&
              (!sweep_run_ok(r) || sweep_has_files(s, r));
    if (ok) return 0;
    json_decref(r->result);
    r->result = NULL;
    return 0;
}

/* ---- tables ---- */

/* Rows of effect.csv with ranker_recall in the line of the test split, which only all models together have. */
static char *with_recall(const char *lines, double recall) {
    enum { SPLIT_CELL = 4, RECALL_CELL = 12 };
    char *text = NULL;
    size_t size;
    struct csv_line out = {.f = open_memstream(&text, &size)};
    if (!out.f) return NULL;
    for (const char *line = lines; *line; line = strchr(line, '\n') + 1) {
        const char *cell = line, *split = line;
        for (int i = 0; i < RECALL_CELL; i++) {
            if (i == SPLIT_CELL) split = cell;
            cell = strchr(cell, ',') + 1;
        }
        const char *end = strchr(line, '\n') + 1;
        bool test = !strncmp(split, "test,", 5) && *cell == ',';
        fprintf(out.f, "%.*s", (int)(cell - line), line);
        if (test) csv_num(&(struct csv_line){.f = out.f}, recall);
        fprintf(out.f, "%.*s", (int)(end - cell), cell);
    }
    if (!fclose(out.f)) return text;
    free(text);
    return NULL;
}

/* Each model's rows in the order of the plan; a listed model that is another one has that one's. */
static void put_model(FILE *f, const struct sweep *s, int m, const char *key) {
    const struct sweep_model *model = &s->model[m];
    bool other = model->same_as >= 0;
    if (other && !model->listed) return;
    for (int i = 0; i < s->n_runs; i++) {
        if (s->run[i].model != (other ? model->same_as : m)) continue;
        const char *lines = json_string_value(json_object_get(s->run[i].result, key));
        char *filled = NULL;
        if (lines && s->run[i].has_recall && !strcmp(key, "effect"))
            lines = filled = with_recall(lines, s->run[i].ranker_recall);
        if (!lines) continue;
        if (other) put_renamed(f, lines, model, NULL);
        if (!other) fputs(lines, f);
        free(filled);
    }
}

static int assemble(const struct sweep *s, const char *name, const char *columns, const char *key,
                    struct err *e) {
    char path[1024];
    TRY(file_join(path, sizeof path, s->dir, name, e));
    struct file_out o;
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", columns);
    for (int m = 0; m < s->n_models; m++) put_model(o.f, s, m, key);
    return file_commit(&o, e);
}

int sweep_assemble(const struct sweep *s, struct err *e) {
    TRY(assemble(s, "effect.csv", RESULTS_EFFECT_COLUMNS, "effect", e));
    return assemble(s, "curves.csv", RESULTS_CURVES_COLUMNS, "curves", e);
}
