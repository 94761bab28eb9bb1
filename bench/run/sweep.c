#include "bench/run/sweep.h"
#include "base/progress.h"
#include "base/str.h"
#include <inttypes.h>
#include <string.h>

/* ---- plan ---- */

bool sweep_same_features(const struct features *a, const struct features *b) {
    if (a->n != b->n) return false;
    for (int i = 0; i < a->n; i++)
        if (strcmp(a->feature[i].name, b->feature[i].name) != 0) return false;
    return true;
}

json_t *sweep_model_json(const struct sweep *s, const struct sweep_model *m) {
    json_t *fields = json_array(), *j = experiment_variant_json(m->variant);
    for (int i = 0; fields && i < m->features.n; i++)
        json_array_append_new(fields, json_string(m->features.feature[i].name));
    if (!j || json_array_size(fields) != (size_t)m->features.n || json_object_set(j, "fields", fields) ||
        json_object_set_new(j, "data", json_string(s->ds->hash))) {
        json_decref(j);
        j = NULL;
    }
    json_decref(fields);
    return j;
}

/* Everything that decides what training gives, but for the seed. */
int sweep_model_key(const struct sweep *s, struct sweep_model *m, struct err *e) {
    json_t *j = sweep_model_json(s, m);
    int failed = !j || json_object_set_new(j, "subset", json_string(m->subset->name));
    if (!failed && m->teacher >= 0)
        failed = json_object_set_new(j, "teacher", json_string(s->model[m->teacher].key.hex));
    int rc = failed ? err_nomem(e, 0) : json_hash(j, &m->key, e);
    json_decref(j);
    return rc;
}

static void add_note(struct sweep_model *m, const char *fmt, const char *text) {
    size_t used = strlen(m->note);
    if (used) used += (size_t)snprintf(m->note + used, sizeof m->note - used, "; ");
    if (used < sizeof m->note) snprintf(m->note + used, sizeof m->note - used, fmt, text);
}

static void note_left_out(struct sweep_model *m, const struct features *all, const bool *keep) {
    struct str s = STR_INIT;
    for (int i = 0; i < all->n; i++)
        if (keep[i] && all->feature[i].side == SIDE_PAIR)
            str_addf(&s, "%s%s", s.len ? " " : "", all->feature[i].name);
    if (!s.failed && s.len) {
        char list[200];
        snprintf(list, sizeof list, "%s%s", strlen(s.p) < 190 ? "" : "among others ", "");
        snprintf(list + strlen(list), sizeof list - strlen(list), "%.180s", s.p);
        add_note(m, "pair fields left out: %s", list);
    }
    str_release(&s);
}

/* An earlier model of the variant that sees the same, or -1. */
static int find_same(const struct sweep *s, const struct sweep_model *m) {
    for (int k = 0; k < (int)(m - s->model); k++) {
        const struct sweep_model *o = &s->model[k];
        if (o->variant == m->variant && o->same_as < 0 && sweep_same_features(&o->features, &m->features))
            return k;
    }
    return -1;
}

static int plan_model(struct sweep *s, const struct features *all, bool *keep, struct sweep_model *m,
                      struct err *e) {
    struct problems p = PROBLEMS_INIT;
    int left_out, bad = subset_resolve(m->subset, all, keep, &p);
    problems_release(&p);
    if (bad) /* checked against the schema before; so the dataset is not what the schema says */
        return err_set(e, ERR_INPUT, "%s: feature subset `%s` does not fit this dataset", s->ds->dir,
                       m->subset->name);
    TRY(features_select(all, keep, !m->variant->variant->two_tower, &s->arena, &m->features, &left_out, e));
    m->same_as = find_same(s, m);
    if (m->same_as >= 0) {
        struct sweep_model *o = &s->model[m->same_as];
        add_note(o, "the same on features %s", m->subset->name);
    }
    if (m->same_as < 0 && left_out) note_left_out(m, all, keep);
    return 0;
}

static void plan_runs_of(struct sweep *s, int m) {
    const struct opt_ints *seeds = &s->x->o.seeds;
    for (int k = 0; s->model[m].same_as < 0 && k < seeds->n; k++) {
        struct sweep_run *r = &s->run[s->n_runs++];
        r->model = m;
        r->seed = seeds->v[k];
        snprintf(r->id, sizeof r->id, "%.*s.%.*s.%" PRId64, EXPERIMENT_ID_MAX, s->model[m].variant->id,
                 EXPERIMENT_ID_MAX, s->model[m].subset->name, r->seed);
        char text[80];
        snprintf(text, sizeof text, "%s.%" PRId64, s->model[m].key.hex, r->seed);
        r->key = hash_bytes(text, strlen(text));
        snprintf(text, sizeof text, "%s.%" PRId64, s->model[m].equal.hex, r->seed);
        r->equal = hash_bytes(text, strlen(text));
    }
}

static int plan_runs(struct sweep *s, struct err *e) {
    s->run = arena_alloc(&s->arena, (size_t)s->n_models * (size_t)s->x->o.seeds.n * sizeof *s->run);
    if (!s->run) return err_nomem(e, 0);
    for (int m = 0; m < s->n_models; m++) plan_runs_of(s, m);
    return 0;
}

int sweep_add(struct sweep *s, const struct experiment_variant *v, const struct subset *subset,
              const bool *keep, struct err *e) {
    struct features all;
    size_t models = (size_t)s->n_models, runs = (size_t)s->n_runs, seeds = (size_t)s->x->o.seeds.n;
    struct sweep_model *model = arena_alloc(&s->arena, (models + 2) * sizeof *model); /* and its teacher */
    struct sweep_run *run = arena_alloc(&s->arena, (runs + 2 * seeds) * sizeof *run);
    if (!model || !run) return err_nomem(e, (models + 2) * sizeof *model);
    memcpy(model, s->model, models * sizeof *model);
    memcpy(run, s->run, runs * sizeof *run);
    s->model = model;
    s->run = run;
    struct sweep_model *m = &model[models];
    *m = (struct sweep_model){.variant = v, .subset = subset, .listed = true};
    TRY(features_of_dataset(s->ds, &s->arena, &all, e));
    TRY(features_select(&all, keep, !v->variant->two_tower, &s->arena, &m->features, NULL, e));
    m->same_as = find_same(s, m);
    s->n_models++;
    TRY(sweep_plan_teachers(s, (int)models, &all, e));
    for (int i = (int)models; i < s->n_models; i++) plan_runs_of(s, i);
    return 0;
}

static int plan(struct sweep *s, struct err *e) {
    struct features all;
    TRY(table_times_create(NULL, NULL, &s->table_times, e));
    TRY(features_of_dataset(s->ds, &s->arena, &all, e));
    size_t models = (size_t)s->x->n_variants * (size_t)s->x->n_subsets;
    bool *keep = arena_alloc(&s->arena, (size_t)all.n + 1);
    size_t teachers = (size_t)s->x->n_variants + (size_t)s->x->n_teachers;
    s->model = arena_alloc(&s->arena, (models + teachers) * sizeof *s->model);
    if (!keep || !s->model) return err_nomem(e, models * sizeof *s->model);
    for (int v = 0; v < s->x->n_variants; v++)
        for (int k = 0; k < s->x->n_subsets; k++) {
            struct sweep_model *m = &s->model[s->n_models++];
            m->variant = &s->x->variant[v];
            m->subset = &s->x->subset[k];
            TRY(plan_model(s, &all, keep, m, e));
        }
    TRY(sweep_plan_teachers(s, 0, &all, e));
    return plan_runs(s, e);
}

void sweep_announce(const struct sweep *s) {
    for (int i = 0; i < s->n_models; i++)
        if (*s->model[i].note && !s->model[i].teacher_only)
            progress_note("%s on %s: %s", s->model[i].variant->id, s->model[i].subset->name,
                          s->model[i].note);
}

int sweep_plan(const struct experiment *x, const struct dataset *ds, const char *dir, struct sweep *out,
               struct err *e) {
    *out = (struct sweep){.x = x, .ds = ds, .dir = dir};
    int rc = plan(out, e);
    if (rc) sweep_release(out);
    return rc;
}

void sweep_release(struct sweep *s) {
    for (int i = 0; i < s->n_runs; i++) json_decref(s->run[i].result);
    json_decref(s->offered);
    table_times_free(s->table_times);
    arena_release(&s->arena);
    memset(s, 0, sizeof *s);
}

bool sweep_run_ok(const struct sweep_run *r) {
    const char *status = json_string_value(json_object_get(r->result, "status"));
    return status && !strcmp(status, "ok");
}

int sweep_n_finished(const struct sweep *s) {
    int n = 0;
    for (int i = 0; i < s->n_runs; i++) n += s->run[i].result != NULL;
    return n;
}

int sweep_n_failed(const struct sweep *s) {
    int n = 0;
    for (int i = 0; i < s->n_runs; i++) n += s->run[i].result && !sweep_run_ok(&s->run[i]);
    return n;
}

int sweep_resume(struct sweep *s, struct err *e) {
    for (int i = 0; i < s->n_runs; i++)
        if (!s->run[i].result) TRY(sweep_load_run(s, &s->run[i], e));
    int kept = sweep_n_finished(s);
    if (kept) progress_note("%d of %d runs are there already", kept, s->n_runs);
    return 0;
}

/* ---- train ---- */

struct bar {
    struct progress p;
    uint64_t before; /* rows of the finished runs */
    const char *id;
};

static void on_progress(void *ctx, uint64_t rows, const char *note) {
    struct bar *b = ctx;
    char text[2 * EXPERIMENT_ID_MAX + 120];
    snprintf(text, sizeof text, "%s%s%s", b->id, note ? " " : "", note ? note : "");
    progress_at(&b->p, b->before + rows, text);
}

static uint64_t planned_rows(const struct sweep *s, const struct sweep_run *r) {
    const struct train_options *t = &s->model[r->model].variant->train;
    return trainer_rows(s->ds, t) * (uint64_t)t->epochs;
}

static int train_one(struct sweep *s, struct sweep_run *r, const struct teacher *teacher, struct pool *pool,
                     struct bar *bar, struct err *e) {
    const struct sweep_model *model = &s->model[r->model];
    const struct train_task t = {.ds = s->ds,
                                 .variant = model->variant->variant,
                                 .options = model->variant->options,
                                 .features = &model->features,
                                 .train = &model->variant->train,
                                 .objective = &model->objective,
                                 .teacher = teacher,
                                 .seed = (uint64_t)r->seed,
                                 .pool = pool,
                                 .progress = on_progress,
                                 .progress_ctx = bar};
    struct trained m;
    struct err why = ERR_INIT;
    bar->id = r->id;
    int rc = trainer_run(&t, &m, &why);
    if (!rc || rc == ERR_DIVERGED) {
        if (rc) progress_note("%s failed: %s", r->id, why.msg);
        rc = sweep_save_run(s, r, &m, rc ? why.msg : NULL, e);
    } else {
        if (e) *e = why;
        if (rc != ERR_INTERRUPTED) err_prefix(e, "%s", r->id);
    }
    /* an early stop shortens the bar */
    bar->p.total -= planned_rows(s, r) - (m.rows < planned_rows(s, r) ? m.rows : planned_rows(s, r));
    bar->before += m.rows;
    trained_release(&m);
    return rc;
}

/* After its teacher, if that is not there yet. */
static int train_run(struct sweep *s, struct sweep_run *r, struct pool *pool, struct bar *bar,
                     struct err *e) {
    struct sweep_run *of = sweep_teacher_run(s, r);
    struct teacher teacher = {.rows = 0};
    bool taken;
    TRY(sweep_take_equal(s, r, &taken, e));
    if (taken) {
        bar->p.total -= planned_rows(s, r);
        return sweep_assemble(s, e);
    }
    int rc = of && !of->result ? train_run(s, of, pool, bar, e) : 0;
    if (rc) return rc;
    if (of && !sweep_run_ok(of)) {
        struct trained none = {.params = 0};
        char why[sizeof of->id + 32];
        snprintf(why, sizeof why, "its teacher %s failed", of->id);
        bar->p.total -= planned_rows(s, r);
        rc = sweep_save_run(s, r, &none, why, e);
    } else {
        rc = sweep_teacher(s, r, pool, &teacher, e);
        if (!rc) rc = train_one(s, r, &teacher, pool, bar, e);
        teacher_close(&teacher);
    }
    return rc ? rc : sweep_assemble(s, e);
}

int sweep_train(struct sweep *s, struct pool *pool, struct err *e) {
    struct bar bar = {.before = 0};
    uint64_t rows = 0;
    int rc = 0, left = 0;
    for (int i = 0; i < s->n_runs; i++) {
        if (s->run[i].result) continue;
        rows += planned_rows(s, &s->run[i]);
        left++;
    }
    if (!left) return 0;
    progress_start(&bar.p, "training", rows);
    for (int i = 0; i < s->n_runs && !rc; i++) {
        if (s->run[i].result) continue;
        rc = train_run(s, &s->run[i], pool, &bar, e);
    }
    progress_end(&bar.p, rc ? "stopped" : NULL);
    return rc;
}

int sweep_path(const struct sweep *s, const char *sub, const struct sweep_run *r, const char *ending,
               char out[1024], struct err *e) {
    int n = snprintf(out, 1024, "%s/%s/%s%s", s->dir, sub, r->id, ending);
    return n < 1024 ? 0 : err_set(e, ERR_INPUT, "%.80s...: the path is too long", s->dir);
}
