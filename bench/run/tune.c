#include "bench/run/tune.h"
#include "base/progress.h"
#include "base/str.h"
#include "bench/results.h"
#include <math.h>
#include <string.h>

enum { POINTS_MAX = 64, SUFFIX = 3 }; /* "~63" behind an id, which no id may hold */

/* ---- the grid: a map of lists, one point for each combination; the last key changes fastest ---- */

static int n_values(const struct conf *c) { return c->type == CONF_LIST ? (int)c->n : 1; }

static const struct conf *value(const struct conf *grid, size_t key, int point) {
    for (size_t k = grid->n - 1; k > key; k--) point /= n_values(grid->item[k]);
    const struct conf *c = grid->item[key];
    return c->type == CONF_LIST ? c->item[point % n_values(c)] : c;
}

static int n_points(const struct conf *grid) {
    int n = 1;
    for (size_t k = 0; k < grid->n && n <= POINTS_MAX; k++) n *= n_values(grid->item[k]);
    return n;
}

static int set_point(const struct conf *grid, int point, struct train_options *t, struct err *e) {
    struct opt table[TRAIN_TABLE_MAX];
    train_table(table);
    for (size_t k = 0; k < grid->n; k++)
        TRY(opt_set(table, t, grid->key[k]->text, value(grid, k, point), "tune", e));
    return 0;
}

static void read_key(const struct conf *key, const struct conf *values, struct train_options scratch,
                     struct problems *p) {
    struct opt table[TRAIN_TABLE_MAX];
    struct err e = ERR_INIT;
    const char *names[TRAIN_TABLE_MAX];
    size_t n = 0;
    train_table(table);
    for (; table[n].name; n++) names[n] = table[n].name;
    if (!opt_find(table, key->text))
        problems_unknown(p, key, "tune: not an option of `train`:", key->text, names, n);
    else if (!strcmp(key->text, "monitor"))
        problems_add(p, key,
                     "tune: `monitor` is what the points are compared by, and must be the same for all");
    else if (values->type == CONF_MAP || !n_values(values))
        problems_add(p, key, "tune: `%s` needs a list of values to try, as in [0.0005, 0.001]", key->text);
    else
        for (int i = 0; i < n_values(values); i++)
            if (opt_set(table, &scratch, key->text, values->type == CONF_LIST ? values->item[i] : values,
                        "tune", &e))
                problems_take(p, &e);
}

void tune_read(struct experiment *x, struct problems *p) {
    const struct conf *grid = conf_get(x->root, "tune");
    struct err e = ERR_INIT;
    int before = p->n;
    if (!grid) return;
    if (conf_want(grid, CONF_MAP, "`tune`", &e)) {
        problems_take(p, &e);
        return;
    }
    for (size_t k = 0; k < grid->n; k++) read_key(grid->key[k], grid->item[k], x->train, p);
    if (p->n != before || !grid->n) return;
    if (n_points(grid) > POINTS_MAX)
        problems_add(p, grid, "tune: more than %d combinations; each is a training of every variant",
                     POINTS_MAX);
    for (int v = 0; v < x->n_variants; v++)
        if (x->variant[v].train.monitor == MONITOR_NONE)
            problems_add(p, grid,
                         "tune: %s has `monitor: none`, and the points are compared by that metric; use "
                         "gauc, auc or logloss",
                         x->variant[v].id);
    for (int v = 0; v < x->n_variants + x->n_teachers; v++)
        if (strlen(x->variant[v].id) + SUFFIX > EXPERIMENT_ID_MAX)
            problems_add(p, x->variant[v].at, "tune: the id `%s` must be at most %d characters",
                         x->variant[v].id, EXPERIMENT_ID_MAX - SUFFIX);
    x->tune = grid;
}

/* ---- rounds: every variant whose teacher is tuned already ---- */

struct round {
    struct experiment *x;
    const struct dataset *ds;
    const char *dir; /* of the results */
    bool resume;
    struct pool *pool;
    struct arena arena;
    bool *tuned; /* [n_variants + n_teachers] */
    int number, points;
    FILE *table;
    json_t *chosen;
};

/* The experiment whose variants are the round's at every point; their teachers come behind as what they are now. */
static int round_experiment(const struct round *r, struct arena *a, struct experiment *out, int *of,
                            struct err *e) {
    const struct experiment *x = r->x;
    int all = x->n_variants + x->n_teachers, n = 0;
    struct experiment_variant *v = arena_alloc(a, (size_t)all * (size_t)(r->points + 1) * sizeof *v);
    if (!v) return err_nomem(e, 0);
    for (int i = 0; i < all; i++) {
        if (r->tuned[i] || (x->variant[i].teacher >= 0 && !r->tuned[x->variant[i].teacher])) continue;
        for (int p = 0; p < r->points; p++) {
            v[n] = x->variant[i];
            snprintf(v[n].id, sizeof v[n].id, "%.*s~%d", EXPERIMENT_ID_MAX - SUFFIX, x->variant[i].id, p);
            TRY(set_point(x->tune, p, &v[n].train, e));
            of[n++] = i;
        }
    }
    *out = *x;
    out->variant = v;
    out->n_variants = n;
    out->n_teachers =
        all; /* by their old index, behind the points; only those that are learned from are trained */
    memcpy(v + n, x->variant, (size_t)all * sizeof *v);
    for (int i = 0; i < n + all; i++)
        if (v[i].teacher >= 0) v[i].teacher += n;
    out->n_subsets = 1;
    out->o.seeds.n = 1;
    return 0;
}

/* The monitored metric of the validation split in the run's rows of effect.csv; NaN when it has none. */
static double monitored(const struct sweep_run *run, int monitor) {
    static const int column[] = {[MONITOR_AUC] = 5, [MONITOR_GAUC] = 6, [MONITOR_LOGLOSS] = 8};
    enum { SPLIT = 4 };
    const char *line = json_string_value(json_object_get(run->result, "effect"));
    for (; sweep_run_ok(run) && line && *line; line = strchr(line, '\n') + 1) {
        const char *cell = line;
        char found[32] = "";
        for (int i = 0; i <= column[monitor]; i++, cell += strcspn(cell, ",\n") + 1) {
            if (i == SPLIT && strncmp(cell, "valid,", 6) != 0) break;
            if (i == column[monitor]) snprintf(found, sizeof found, "%.*s", (int)strcspn(cell, ",\n"), cell);
        }
        double v;
        if (*found && !str_to_double(found, &v)) return v;
    }
    return (double)NAN;
}

static const struct sweep_run *run_of(const struct sweep *s, int variant) {
    for (int i = 0; i < s->n_runs; i++)
        if (s->model[s->run[i].model].variant == &s->x->variant[variant]) return &s->run[i];
    return NULL;
}

static void write_point(struct round *r, const struct sweep *s, int variant, const char *id, int point,
                        double metric, bool chosen) {
    static const char *const name[] = {
        [MONITOR_GAUC] = "gauc", [MONITOR_AUC] = "auc", [MONITOR_LOGLOSS] = "logloss"};
    struct csv_line l = {.f = r->table};
    csv_text(&l, id);
    csv_text(&l, s->x->subset[0].name);
    csv_int(&l, s->x->o.seeds.v[0]);
    csv_int(&l, point);
    csv_text(&l, name[s->x->variant[variant].train.monitor]);
    csv_num(&l, metric);
    csv_int(&l, chosen);
    for (size_t k = 0; k < r->x->tune->n; k++) csv_text(&l, value(r->x->tune, k, point)->text);
    csv_end(&l);
}

/* Variant v's points are first .. first + points - 1 of the round's experiment. */
static int choose(struct round *r, const struct sweep *s, int first, int v, struct err *e) {
    struct experiment_variant *of = &r->x->variant[v];
    double metric[POINTS_MAX] = {0}, sign = of->train.monitor == MONITOR_LOGLOSS ? -1 : 1;
    int best = -1;
    for (int p = 0; p < r->points; p++) {
        const struct sweep_run *run = run_of(s, first + p);
        metric[p] = run ? monitored(run, of->train.monitor) : (double)NAN;
        if (!isnan(metric[p]) && (best < 0 || sign * metric[p] > sign * metric[best])) best = p;
    }
    for (int p = 0; p < r->points; p++) write_point(r, s, first + p, of->id, p, metric[p], p == best);
    r->tuned[v] = true;
    json_t *options = json_object();
    if (!options || json_object_set_new(r->chosen, of->id, options)) return err_nomem(e, 0);
    if (best < 0) {
        progress_note("tune: no point of %s has a validation metric; its options stay as they were", of->id);
        return 0;
    }
    struct str text = STR_INIT;
    for (size_t k = 0; k < r->x->tune->n; k++) {
        const char *key = r->x->tune->key[k]->text, *chosen = value(r->x->tune, k, best)->text;
        if (json_object_set_new(options, key, json_string(chosen))) text.failed = 1;
        str_addf(&text, "%s%s %s", k ? ", " : "", key, chosen);
    }
    int rc = text.failed ? err_nomem(e, 0) : set_point(r->x->tune, best, &of->train, e);
    if (!rc) progress_note("tune: %s takes %s", of->id, text.p);
    str_release(&text);
    return rc;
}

/* The sweeps of rounds 1 .. n. */
static int offer_rounds(const char *dir, int n, struct sweep *s, struct err *e) {
    for (int k = 1; k <= n; k++) {
        char name[32], path[1024];
        snprintf(name, sizeof name, "tuning/%d", k);
        TRY(file_join(path, sizeof path, dir, name, e));
        if (!file_exists(path)) return 0;
        TRY(sweep_offer(s, path, e));
    }
    return 0;
}

int tune_offer(const struct experiment *x, struct sweep *s, struct err *e) {
    return x->tune ? offer_rounds(s->dir, x->n_variants + x->n_teachers, s, e) : 0;
}

static int train_round(struct round *r, struct err *e) {
    struct experiment t;
    struct arena a = {0};
    struct sweep s;
    char dir[1024], name[32];
    int all = r->x->n_variants + r->x->n_teachers;
    int *of = arena_alloc(&a, (size_t)all * (size_t)r->points * sizeof *of);
    int rc = of ? round_experiment(r, &a, &t, of, e) : err_nomem(e, 0);
    snprintf(name, sizeof name, "tuning/%d", ++r->number);
    if (!rc) rc = file_join(dir, sizeof dir, r->dir, name, e);
    if (!rc) rc = file_make_dirs(dir, e);
    if (!rc && !(rc = sweep_plan(&t, r->ds, dir, &s, e))) {
        rc = offer_rounds(r->dir, r->number - 1, &s, e);
        if (!rc && r->resume) rc = sweep_resume(&s, e);
        if (!rc) rc = sweep_train(&s, r->pool, e);
        for (int i = 0; i < t.n_variants && !rc; i += r->points) rc = choose(r, &s, i, of[i], e);
        sweep_release(&s);
    }
    arena_release(&a);
    return rc;
}

static int tune_all(struct round *r, struct err *e) {
    int all = r->x->n_variants + r->x->n_teachers;
    r->tuned = arena_alloc(&r->arena, (size_t)all);
    if (!r->tuned || !r->chosen) return err_nomem(e, 0);
    for (bool left = true; left;) {
        TRY(train_round(r, e));
        left = false;
        for (int i = 0; i < all; i++)
            left |= !r->tuned[i]; /* each round tunes one at least: there are no circles */
    }
    return 0;
}

int tune_run(struct experiment *x, const struct dataset *ds, const char *dir, bool resume, struct pool *pool,
             json_t **chosen, struct err *e) {
    struct round r = {.x = x, .ds = ds, .dir = dir, .resume = resume, .pool = pool};
    struct file_out o;
    char path[1024];
    *chosen = NULL;
    if (!x->tune) return 0;
    if (ds->split[SPLIT_VALID].begin == ds->split[SPLIT_VALID].end)
        return conf_err(x->tune, e, "`tune` chooses on validation rows, and the split has none");
    TRY(file_join(path, sizeof path, dir, "tuning.csv", e));
    TRY(file_begin(&o, path, e));
    fputs(RESULTS_TUNING_COLUMNS, o.f);
    for (size_t k = 0; k < x->tune->n; k++) fprintf(o.f, ",%s", x->tune->key[k]->text);
    fputc('\n', o.f);
    r.points = n_points(x->tune);
    r.table = o.f;
    r.chosen = json_object();
    int rc = tune_all(&r, e);
    if (rc) {
        file_abort(&o);
        json_decref(r.chosen);
    } else if (!(rc = file_commit(&o, e)))
        *chosen = r.chosen;
    else
        json_decref(r.chosen);
    arena_release(&r.arena);
    return rc;
}

static int set_tuned(struct experiment_variant *v, const json_t *options, struct err *e) {
    struct opt table[TRAIN_TABLE_MAX];
    const char *key;
    const json_t *text;
    train_table(table);
    if (!json_is_object(options)) return err_set(e, ERR_INPUT, "`tuned` says nothing of %s", v->id);
    json_object_foreach((json_t *)options, key, text) {
        const struct conf c = {.type = CONF_SCALAR, .text = json_string_value(text), .file = "`tuned`"};
        if (!c.text) return err_set(e, ERR_INPUT, "`tuned`: %s of %s is no text", key, v->id);
        TRY(opt_set(table, &v->train, key, &c, "tuned", e));
    }
    return 0;
}

int tune_again(struct experiment *x, const json_t *tuned, struct err *e) {
    for (int v = 0; x->tune && v < x->n_variants + x->n_teachers; v++)
        TRY(set_tuned(&x->variant[v], json_object_get(tuned, x->variant[v].id), e));
    return 0;
}
