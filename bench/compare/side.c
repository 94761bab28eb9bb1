#include "bench/compare/side.h"
#include "base/file.h"
#include "bench/run/manifest.h"
#include <string.h>

static int load_if_there(const char *dir, const char *name, struct table *t, bool *there, struct err *e) {
    char path[1024];
    TRY(file_join(path, sizeof path, dir, name, e));
    *there = file_exists(path);
    return *there ? table_load(dir, name, t, e) : 0;
}

static int load_costs_of(struct side *s, const char *variant, struct err *e) {
    char name[160], path[1024];
    json_t *record;
    snprintf(name, sizeof name, "importance/%.120s.ranked-by.json", variant);
    TRY(file_join(path, sizeof path, s->dir, name, e));
    if (json_object_get(s->costs, variant) || !file_exists(path)) return 0;
    TRY(file_read_json(path, &record, e));
    json_t *hash = json_object_get(record, "hash");
    int bad = json_is_string(hash) ? json_object_set(s->costs, variant, hash) : 0;
    json_decref(record);
    return bad ? err_nomem(e, 0) : 0;
}

static int load_costs(struct side *s, struct err *e) {
    const struct table *t = &s->subsets;
    s->costs = json_object();
    if (!s->costs) return err_nomem(e, 0);
    for (size_t r = 0; r < t->rows; r++)
        TRY(load_costs_of(s, table_text(t, r, table_column(t, "variant")), e));
    return 0;
}

int side_open(struct side *s, const char *dir, struct err *e) {
    char path[1024];
    bool has_tables;
    *s = (struct side){.dir = dir};
    TRY(file_join(path, sizeof path, dir, "manifest.json", e));
    if (!file_exists(path))
        return err_set(e, ERR_INPUT, "%s: is no results folder of `prerank run`: it has no manifest.json",
                       dir);
    TRY(file_read_json(path, &s->manifest, e));
    int rc = table_load(dir, "effect.csv", &s->effect, e);
    if (!rc) rc = table_load(dir, "compute.csv", &s->compute, e);
    if (!rc) rc = load_if_there(dir, "instructions.csv", &s->instructions, &s->has_instructions, e);
    if (!rc) rc = load_if_there(dir, "tables.csv", &s->tables, &has_tables, e);
    if (!rc) rc = subsets_load(dir, &s->subsets, e);
    if (!rc) rc = load_costs(s, e);
    if (rc) side_close(s);
    return rc;
}

void side_close(struct side *s) {
    json_decref(s->manifest);
    json_decref(s->costs);
    table_release(&s->effect);
    table_release(&s->compute);
    table_release(&s->instructions);
    table_release(&s->tables);
    table_release(&s->subsets);
    *s = (struct side){.dir = NULL};
}

static const json_t *member(const struct side *s, const char *path) {
    const json_t *j = s->manifest;
    while (j && *path) {
        char key[64];
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        j = json_object_get(j, key);
        path += n + (path[n] == '.');
    }
    return j;
}

const char *side_text(const struct side *s, const char *path) {
    const char *text = json_string_value(member(s, path));
    return text ? text : "";
}

const char *side_costs(const struct side *s, const char *variant) {
    const char *hash = json_string_value(json_object_get(s->costs, variant));
    return hash ? hash : "";
}

static bool same(const struct side *a, const struct side *b, const char *path) {
    return *side_text(a, path) && !strcmp(side_text(a, path), side_text(b, path));
}

bool side_same_machine(const struct side *base, const struct side *new) {
    return same(base, new, "machine.cpu") && same(base, new, "machine.blas_kernel");
}

bool side_same_program(const struct side *base, const struct side *new) {
    return same(base, new, "program_hash") && strcmp(side_text(base, "program_hash"), "several") != 0;
}

/* Copies of both with the options that both have. */
static void keep_common(json_t *a, json_t *b) {
    if (json_is_object(a) && json_is_object(b)) {
        json_t *both[] = {a, b};
        for (int k = 0; k < 2; k++) {
            const char *key;
            json_t *value;
            void *next;
            json_object_foreach_safe(both[k], next, key, value) {
                json_t *other = json_object_get(both[1 - k], key);
                if (!other)
                    json_object_del(both[k], key);
                else if (!k)
                    keep_common(value, other);
            }
        }
    } else if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++)
            keep_common(json_array_get(a, i), json_array_get(b, i));
    }
}

/* "" when the two configs ask for the same. */
static int config_difference(const struct side *base, const struct side *new, char *out, size_t cap,
                             struct err *e) {
    static const char *const places[] = {"name", "data", "data_dir", "compare_with"};
    *out = '\0';
    json_t *a = json_deep_copy(member(base, "config")), *b = json_deep_copy(member(new, "config"));
    if (!a || !b) {
        json_decref(a);
        json_decref(b);
        return err_set(e, ERR_INPUT, "%s/manifest.json: has no `config`", a ? new->dir : base->dir);
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        json_object_del(a, places[i]);
        json_object_del(b, places[i]);
    }
    if (same(base, new, "written_hash")) keep_common(a, b);
    if (!json_equal(a, b)) json_difference(a, b, out, cap);
    json_decref(a);
    json_decref(b);
    return 0;
}

static int finished(const struct side *s, struct err *e) {
    if (!strcmp(side_text(s, "status"), "finished")) return 0;
    return err_set(e, ERR_INPUT,
                   "%s: the run was not finished (status \"%s\"); `prerank run --resume` does the rest",
                   s->dir, side_text(s, "status"));
}

int side_comparable(const struct side *base, const struct side *new, struct err *e) {
    char why[400];
    TRY(finished(base, e));
    TRY(finished(new, e));
    if (!same(base, new, "data_hash"))
        return err_set(
            e, ERR_INPUT,
            "cannot compare %s with %s: their data differ (data_hash %s and %s); run both on the same data",
            base->dir, new->dir, side_text(base, "data_hash"), side_text(new, "data_hash"));
    if (same(base, new, "config_hash")) return 0;
    TRY(config_difference(base, new, why, sizeof why, e));
    if (*why)
        return err_set(e, ERR_INPUT,
                       "cannot compare %s with %s: their configs differ (%s, \"there\" being the first)",
                       base->dir, new->dir, why);
    return 0;
}
