#include "bench/run/experiment.h"
#include "base/str.h"
#include "bench/run/tune.h"
#include "serve/store.h"
#include <ctype.h>
#include <string.h>

struct reader {
    struct experiment *x;
    struct problems *p;
    struct conf *overrides; /* what --set says of variants: name or id -> map */
    bool nomem;
};

static void *alloc(struct reader *r, size_t bytes) {
    void *p = arena_alloc(&r->x->arena, bytes ? bytes : 1);
    if (!p && !r->nomem) {
        struct err e = ERR_INIT;
        err_nomem(&e, bytes);
        problems_take(r->p, &e);
        r->nomem = true;
    }
    return p;
}

static size_t add_names(const struct opt *table, const char **names, size_t n, size_t cap) {
    for (; table->name && n < cap; table++) names[n++] = table->name;
    return n;
}

void experiment_read_options(struct problems *p, const struct opt *table, void *obj, const struct conf *map,
                             const char *what, const char *const *others, size_t n_others) {
    struct err e = ERR_INIT;
    if (!map || (map->type == CONF_SCALAR && !map->quoted && !*map->text)) return;
    if (conf_want(map, CONF_MAP, what, &e)) {
        problems_take(p, &e);
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct conf *key = map->key[i];
        size_t k = 0;
        while (k < n_others && strcmp(others[k], key->text) != 0) k++;
        if (k < n_others) continue;
        if (opt_find(table, key->text)) {
            if (opt_set(table, obj, key->text, map->item[i], what, &e)) problems_take(p, &e);
            continue;
        }
        const char *names[128];
        size_t n = 0;
        for (; n < n_others; n++) names[n] = others[n];
        n = add_names(table, names, n, sizeof names / sizeof *names);
        char text[OPT_TEXT_MAX + 32];
        snprintf(text, sizeof text, "%s: unknown key", what);
        problems_unknown(p, key, text, key->text, names, n);
    }
}

/* Ids become file names and cells of tables. */
static bool good_name(const char *s) {
    size_t n = strlen(s);
    if (!n || n > EXPERIMENT_ID_MAX || *s == '-') return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("_-+", *s)) return false;
    return true;
}

static void check_name(struct reader *r, const struct conf *at, const char *what, const char *name) {
    if (!good_name(name))
        problems_add(r->p, at,
                     "%s \"%s\" becomes part of file names: at most %d letters, digits and _ - + work", what,
                     name, EXPERIMENT_ID_MAX);
}

/* ---- --set ---- */

static bool is_top_level(const char *key, size_t n) {
    for (const struct experiment_key *k = experiment_keys; k->name; k++)
        if (strlen(k->name) == n && !strncmp(k->name, key, n)) return true;
    return false;
}

static void read_settings(struct reader *r, const char *const *settings, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct err e = ERR_INIT;
        const char *equals = strchr(settings[i], '=');
        if (!equals || equals == settings[i]) {
            err_set(&e, ERR_INPUT, "--set %s: write it as KEY=VALUE, for example --set train.batch=512",
                    settings[i]);
            problems_take(r->p, &e);
            continue;
        }
        char *key = arena_strndup(&r->x->arena, settings[i], (size_t)(equals - settings[i]));
        if (!key) {
            alloc(r, SIZE_MAX);
            return;
        }
        struct conf *root = r->x->root;
        size_t first = strcspn(key, ".");
        if (!is_top_level(key, first) && key[first]) root = r->overrides; /* dssm.hidden */
        if (conf_set(root, key, equals + 1, &r->x->arena, &e)) problems_take(r->p, &e);
    }
}

/* Each variant that --set names must be in the experiment. */
static void check_overrides(struct reader *r) {
    const struct experiment *x = r->x;
    for (size_t i = 0; i < r->overrides->n; i++) {
        const char *key = r->overrides->key[i]->text, *known[128];
        size_t n = 0;
        bool found = false;
        for (const struct experiment_key *k = experiment_keys; k->name; k++) known[n++] = k->name;
        for (int v = 0; v < x->n_variants + x->n_teachers; v++) {
            found |= !strcmp(key, x->variant[v].id) || !strcmp(key, x->variant[v].variant->name);
            if (n < sizeof known / sizeof *known) known[n++] = x->variant[v].id;
        }
        if (!found)
            problems_unknown(r->p, r->overrides->key[i],
                             "neither a key nor a variant of the experiment:", key, known, n);
    }
}

/* ---- the parts ---- */

static void read_top(struct reader *r) {
    static const char *const others[] = {"data",    "variants", "features",  "train",
                                         "measure", "select",   "retrieval", "tune"};
    struct experiment *x = r->x;
    experiment_read_options(r->p, experiment_opts, &x->o, x->root, "experiment", others,
                            sizeof others / sizeof *others);
    const struct conf *at = conf_get(x->root, "seeds");
    if (!x->o.seeds.n) problems_add(r->p, at, "`seeds` must name at least one, as in [1]");
    for (int i = 0; i < x->o.seeds.n; i++)
        for (int k = 0; k < i; k++)
            if (x->o.seeds.v[i] == x->o.seeds.v[k])
                problems_add(r->p, at, "`seeds` names %lld twice", (long long)x->o.seeds.v[i]);
    if (!*x->o.name) {
        const char *slash = strrchr(x->path, '/'), *stem = slash ? slash + 1 : x->path;
        const char *dot = strrchr(stem, '.');
        size_t n = dot && dot != stem ? (size_t)(dot - stem) : strlen(stem);
        snprintf(x->o.name, sizeof x->o.name, "%.*s", (int)(n < OPT_TEXT_MAX ? n : OPT_TEXT_MAX - 1), stem);
    }
    at = conf_get(x->root, "name");
    check_name(r, at ? at : x->root, "the experiment's name", x->o.name);
}

static void read_train(struct reader *r, struct train_options *t, const struct conf *map, const char *what) {
    struct opt table[TRAIN_TABLE_MAX];
    train_table(table);
    experiment_read_options(r->p, table, t, map, what, NULL, 0);
    if (map && t->monitor == MONITOR_NONE && t->schedule.schedule == SCHEDULE_PLATEAU)
        problems_add(r->p, map,
                     "%s: `schedule: plateau` waits for the monitored metric, and `monitor: none` has none",
                     what);
}

static void read_data(struct reader *r) {
    struct experiment *x = r->x;
    struct err e = ERR_INIT;
    struct conf *data = conf_get(x->root, "data");
    int rc;
    if (!data) {
        problems_add(r->p, x->root, "needs the key `data`: a schema such as configs/data/movielens.yaml");
        return;
    }
    if (data->type == CONF_MAP) {
        rc = schema_from_conf(data, x->o.name, &x->schema, &e);
    } else if (data->type == CONF_LIST || !*data->text) {
        rc = conf_err(data, &e, "`data` must be the path of a schema, or a map");
    } else {
        const char *slash = strrchr(x->path, '/');
        char dir[1024];
        snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - x->path + 1) : 0, x->path);
        rc = file_join(x->data_path, sizeof x->data_path, dir, data->text, &e);
        if (!rc && (!*dir || !file_exists(x->data_path)))
            rc = file_join(x->data_path, sizeof x->data_path, "", data->text, &e);
        if (!rc && !file_exists(x->data_path))
            rc = conf_err(data, &e,
                          "there is no schema \"%s\", neither beside this file nor in the working directory",
                          data->text);
        if (!rc) rc = schema_load(x->data_path, &x->schema, &e);
    }
    if (rc) {
        problems_take(r->p, &e);
        return;
    }
    x->has_schema = true;
    if (!*x->o.data_dir && snprintf(x->o.data_dir, sizeof x->o.data_dir, "results/data/%s", x->schema.name) >=
                               (int)sizeof x->o.data_dir)
        problems_add(r->p, data, "the schema's name is too long for a folder; set `data_dir`");
}

/* A map of options, or the value of its first one alone: `loss: in_batch`, `distill: din`. */
static void read_short(struct reader *r, const struct opt *table, void *obj, const struct conf *at,
                       const char *variant, const char *key) {
    char what[OPT_TEXT_MAX + 16];
    struct err e = ERR_INIT;
    snprintf(what, sizeof what, "%s: %s", variant, key);
    if (!at || at->type != CONF_SCALAR || !*at->text)
        experiment_read_options(r->p, table, obj, at, what, NULL, 0);
    else if (opt_set(table, obj, table->name, at, what, &e))
        problems_take(r->p, &e);
}

static void read_objective(struct reader *r, struct experiment_variant *v, const struct conf *body,
                           const char *what) {
    const struct conf *loss = conf_get(body, "loss"), *distill = conf_get(body, "distill");
    read_short(r, loss_opts, &v->objective.loss, loss, what, "loss");
    read_short(r, distill_opts, &v->objective.distill, distill, what, "distill");
    if (loss) v->loss_at = loss;
    const struct conf *teacher = conf_get(distill, "teacher");
    if (distill) v->teacher_at = teacher ? teacher : distill;
    if (distill && !*v->objective.distill.teacher)
        problems_add(r->p, distill, "%s: distill: needs a `teacher`, as in {teacher: din}", what);
}

static void read_select(struct reader *r, struct experiment_variant *v, const struct conf *at,
                        const char *what) {
    static const struct opt table[] = {OPT_BOOL(struct experiment_variant, select, "true", ""), OPT_END};
    struct err e = ERR_INIT;
    if (at && opt_set(table, v, "select", at, what, &e)) problems_take(r->p, &e);
}

/* One variant's map: its options and the keys that all variants have. */
static void read_body(struct reader *r, struct experiment_variant *v, const struct conf *body,
                      const char *what) {
    static const char *const others[] = {"id", "train", "loss", "distill", "select"};
    experiment_read_options(r->p, v->variant->opts, v->options, body, what, others,
                            sizeof others / sizeof *others);
    char where[OPT_TEXT_MAX + 16];
    snprintf(where, sizeof where, "%s: train", what);
    read_train(r, &v->train, conf_get(body, "train"), where);
    read_objective(r, v, body, what);
    read_select(r, v, conf_get(body, "select"), what);
    const struct conf *id = conf_get(body, "id");
    if (!id) return;
    if (id->type != CONF_SCALAR)
        problems_add(r->p, id, "%s: `id` must be a single text", what);
    else {
        check_name(r, id, "the id", id->text);
        snprintf(v->id, sizeof v->id, "%s", id->text);
    }
}

static void unknown_variant(struct reader *r, const struct conf *at, const char *name) {
    const char *known[128];
    size_t n = 0;
    for (const struct variant *const *v = variant_all(); *v && n < 128; v++) known[n++] = (*v)->name;
    problems_unknown(r->p, at, "unknown variant", name, known, n);
}

static bool read_variant(struct reader *r, const struct conf *c, struct experiment_variant *v) {
    const struct conf *name = c, *body = NULL;
    if (c->type == CONF_MAP && c->n) {
        name = c->key[0];
        body = c->item[0];
    }
    if (c->type == CONF_MAP && c->n > 1) {
        problems_add(r->p, c->key[1],
                     "a variant is one `name: {options}`; indent `%s` below `%s` if it is its option",
                     c->key[1]->text, name->text);
        return false;
    }
    if (name->type != CONF_SCALAR || !*name->text) {
        problems_add(r->p, c, "a variant must be a name, or `name: {options}`");
        return false;
    }
    v->at = name;
    v->body = body;
    v->variant = variant_find(name->text);
    if (!v->variant) {
        unknown_variant(r, name, name->text);
        return false;
    }
    v->options = alloc(r, v->variant->options_bytes);
    if (!v->options) return false;
    opt_defaults(v->variant->opts, v->options);
    opt_defaults(loss_opts, &v->objective.loss);
    opt_defaults(distill_opts, &v->objective.distill);
    v->teacher = -1;
    v->select = true;
    v->train = r->x->train;
    snprintf(v->id, sizeof v->id, "%s", v->variant->name);
    read_body(r, v, body, v->variant->name);
    read_body(r, v, conf_get(r->overrides, v->variant->name), v->variant->name);
    if (strcmp(v->id, v->variant->name) != 0) read_body(r, v, conf_get(r->overrides, v->id), v->id);
    return true;
}

static void read_variants(struct reader *r) {
    struct experiment *x = r->x;
    struct err e = ERR_INIT;
    const struct conf *list = conf_get(x->root, "variants");
    if (!list) {
        problems_add(r->p, x->root, "needs the key `variants`: a list of models, as in [dssm, mlp]");
        return;
    }
    if (conf_want(list, CONF_LIST, "`variants`", &e)) {
        problems_take(r->p, &e);
        return;
    }
    if (!list->n) problems_add(r->p, list, "`variants` must name at least one, as in [dssm, mlp]");
    size_t room = list->n; /* and for teachers that are not in the list */
    for (const struct variant *const *v = variant_all(); *v; v++) room++;
    x->variant = alloc(r, room * sizeof *x->variant);
    for (size_t i = 0; x->variant && i < list->n; i++) {
        struct experiment_variant *v = &x->variant[x->n_variants];
        if (!read_variant(r, list->item[i], v)) continue;
        for (int k = 0; k < x->n_variants; k++)
            if (!strcmp(x->variant[k].id, v->id))
                problems_add(r->p, v->at, "two variants are called `%s`; give one another `id`", v->id);
        x->n_variants++;
    }
}

/* By id in the list; a variant's name that is no id there is one more variant, with its defaults. */
static int find_teacher(struct reader *r, const struct experiment_variant *student) {
    struct experiment *x = r->x;
    const char *name = student->objective.distill.teacher, *known[128];
    int n = x->n_variants + x->n_teachers;
    size_t n_known = 0;
    for (int i = 0; i < n; i++)
        if (!strcmp(x->variant[i].id, name)) return i;
    if (variant_find(name)) {
        const struct conf at = {.type = CONF_SCALAR, .text = variant_find(name)->name};
        struct experiment_variant *v = &x->variant[n];
        if (!read_variant(r, &at, v)) return -1;
        v->at = student->teacher_at;
        x->n_teachers++;
        return n;
    }
    for (int i = 0; i < x->n_variants && n_known < 64; i++) known[n_known++] = x->variant[i].id;
    for (const struct variant *const *v = variant_all(); *v && n_known < 128; v++)
        known[n_known++] = (*v)->name;
    char what[OPT_TEXT_MAX + 96];
    snprintf(what, sizeof what,
             "%s: distill: the teacher is neither an id of `variants` nor a variant:", student->id);
    problems_unknown(r->p, student->teacher_at, what, name, known, n_known);
    return -1;
}

static void read_teachers(struct reader *r) {
    struct experiment *x = r->x;
    for (int i = 0; i < x->n_variants + x->n_teachers; i++)
        if (*x->variant[i].objective.distill.teacher) x->variant[i].teacher = find_teacher(r, &x->variant[i]);
    experiment_check_losses(x, r->p);
    experiment_check_compared(x, r->p);
    experiment_check_idle(x, r->overrides, r->p);
}

static void read_subset(struct reader *r, const struct conf *name, const struct conf *value,
                        struct subset *s) {
    *s = (struct subset){.name = name->text, .at = name};
    check_name(r, name, "the feature subset", name->text);
    if (!strcmp(name->text, EXPERIMENT_ALL))
        problems_add(r->p, name, "the name `%s` is kept for what teachers are trained on", EXPERIMENT_ALL);
    bool list = value->type == CONF_LIST;
    s->term = alloc(r, (list ? value->n : 1) * sizeof *s->term);
    if (!s->term) return;
    if (value->type == CONF_MAP || (list ? !value->n : !*value->text)) {
        problems_add(r->p, value->type == CONF_MAP || list ? value : name,
                     "feature subset `%s` must be \"*\" or a list such as [user, item, -zip]", name->text);
        return;
    }
    for (size_t i = 0; i < (list ? value->n : 1); i++) {
        const struct conf *t = list ? value->item[i] : value;
        if (t->type != CONF_SCALAR)
            problems_add(r->p, t, "feature subset `%s`: each member must be a name", name->text);
        else
            s->term[s->n++] = (struct subset_term){t->text, t};
    }
}

static void read_subsets(struct reader *r) {
    struct experiment *x = r->x;
    struct err e = ERR_INIT;
    const struct conf *map = conf_get(x->root, "features");
    if (map && conf_want(map, CONF_MAP, "`features`", &e)) {
        problems_take(r->p, &e);
        return;
    }
    if (map && !map->n) problems_add(r->p, map, "`features` must name a subset, as in {all: \"*\"}");
    x->subset = alloc(r, (map ? map->n : 1) * sizeof *x->subset);
    if (!x->subset) return;
    struct subset_term *everything = alloc(r, sizeof *everything);
    if (!everything) return;
    everything->text = "*";
    x->everything = (struct subset){.name = EXPERIMENT_ALL, .n = 1, .term = everything};
    if (!map) {
        x->subset[x->n_subsets++] = (struct subset){.name = "all", .n = 1, .term = everything};
        return;
    }
    for (size_t i = 0; i < map->n; i++) read_subset(r, map->key[i], map->item[i], &x->subset[x->n_subsets++]);
}

/* Each member once, and at least one. */
static void check_choices(struct reader *r, const struct conf *map, const char *key, const struct opt_ints *v,
                          const char *const *names) {
    const struct conf *at = map && map->type == CONF_MAP && conf_get(map, key) ? conf_get(map, key) : map;
    if (!v->n) problems_add(r->p, at, "`measure.%s` must name at least one, as in [%s]", key, names[0]);
    for (int i = 0; i < v->n; i++)
        for (int k = 0; k < i; k++)
            if (v->v[i] == v->v[k])
                problems_add(r->p, at, "`measure.%s` names %s twice", key, names[v->v[i]]);
}

static void check_stores(struct reader *r, const struct conf *map) {
    const struct measure_options *m = &r->x->measure;
    check_choices(r, map, "precision", &m->precision, precision_names);
    check_choices(r, map, "store", &m->store, store_kind_names);
    for (int i = 0; i < m->store.n; i++)
        if (m->store.v[i] == STORE_REDIS && !*m->store_server)
            problems_add(r->p, map,
                         "`measure.store` names redis: `store_server` must say which server, as in "
                         "\"127.0.0.1:6379\"");
}

static void read_measure(struct reader *r) {
    struct measure_options *m = &r->x->measure;
    const struct conf *map = conf_get(r->x->root, "measure");
    experiment_read_options(r->p, measure_opts, m, map, "measure", NULL, 0);
    check_stores(r, map ? map : r->x->root);
    experiment_check_loads(r->x, map ? map : r->x->root, r->p);
    for (int i = 0; i < m->candidates.n; i++)
        for (int k = 0; k < i; k++)
            if (m->candidates.v[i] == m->candidates.v[k])
                problems_add(r->p, conf_get(r->x->root, "measure"), "`candidates` names %lld twice",
                             (long long)m->candidates.v[i]);
}

static void read_retrieval(struct reader *r) {
    const struct conf *map = conf_get(r->x->root, "retrieval");
    r->x->has_retrieval = map != NULL;
    experiment_read_options(r->p, retrieval_opts, &r->x->retrieval, map, "retrieval", NULL, 0);
    if (map) retrieval_check_options(&r->x->retrieval, map, r->p);
}

static void check_subsets(struct reader *r) {
    struct experiment *x = r->x;
    struct err e = ERR_INIT;
    struct features all;
    if (features_of_schema(&x->schema, &x->arena, &all, &e)) {
        problems_take(r->p, &e);
        return;
    }
    bool *keep = alloc(r, (size_t)all.n + 1);
    for (int s = 0; keep && s < x->n_subsets; s++) subset_resolve(&x->subset[s], &all, keep, r->p);
}

/* An experiment is the same one when it asks for the same, wherever it lies and whatever defaults a version adds. */
static int hash_written(struct reader *r, struct err *e) {
    static const char *const places[] = {"name", "data", "data_dir", "compare_with"};
    json_t *file = conf_json(r->x->root);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) json_object_del(file, places[i]);
    json_t *both = json_pack("{s:o, s:o}", "file", file, "set", conf_json(r->overrides)); /* taken over */
    int rc = json_hash(both, &r->x->written, e);
    json_decref(both);
    return rc;
}

int experiment_load(const char *path, const char *const *settings, size_t n_settings, struct experiment *out,
                    struct problems *p) {
    int before = p->n;
    struct conf overrides = {.type = CONF_MAP, .file = "--set"};
    struct reader r = {.x = out, .p = p, .overrides = &overrides};
    struct err e = ERR_INIT;
    struct opt table[TRAIN_TABLE_MAX];
    memset(out, 0, sizeof *out);
    train_table(table);
    opt_defaults(experiment_opts, &out->o);
    opt_defaults(table, &out->train);
    opt_defaults(measure_opts, &out->measure);
    opt_defaults(retrieval_opts, &out->retrieval);
    out->path = arena_strdup(&out->arena, path);
    if (!out->path) err_nomem(&e, strlen(path));
    if (e.code || conf_load(path, &out->arena, &out->root, &e) ||
        conf_want(out->root, CONF_MAP, "an experiment", &e)) {
        problems_take(p, &e);
    } else {
        read_settings(&r, settings, n_settings);
        read_top(&r);
        out->train.gauc_weight = (enum gauc_weight)out->o.gauc_weight;
        read_train(&r, &out->train, conf_get(out->root, "train"), "train");
        read_data(&r);
        read_variants(&r);
        read_teachers(&r);
        tune_read(out, p);
        read_subsets(&r);
        read_measure(&r);
        select_read(out, p);
        select_check(out, p);
        read_retrieval(&r);
        experiment_check_served(out, p);
        check_overrides(&r);
        if (out->has_schema) check_subsets(&r);
    }
    if (p->n == before && hash_written(&r, &e)) problems_take(p, &e);
    if (p->n == before) return 0;
    experiment_release(out);
    return ERR_INPUT;
}

void experiment_release(struct experiment *x) {
    if (x->has_schema) schema_release(&x->schema);
    x->has_schema = false;
    arena_release(&x->arena);
}
