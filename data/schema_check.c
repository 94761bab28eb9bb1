/* Does every column that a schema names exist in its files? */
#include "data/schema_parts.h"
#include "data/synth.h"
#include <string.h>

struct table { /* one file's columns */
    struct source *source;
    const char *label; /* for messages: its path */
    const char *on;    /* join key, not counted as a second column of that name; NULL for the log */
};

struct tables {
    int n;
    struct table *t;
};

static int has(const struct table *t, const char *column) {
    return source_column(t->source, column) >= 0 && !(t->on && !strcmp(t->on, column));
}

static int not_there(const struct tables *all, const struct conf *at, const char *what, const char *column,
                     struct err *e) {
    struct str text = STR_INIT;
    const char **known = NULL;
    size_t n = 0, room = 0;
    for (int i = 0; i < all->n; i++) {
        str_addf(&text, "%s\"%s\"", !i ? "" : i + 1 < all->n ? ", " : " and ", all->t[i].label);
        room += (size_t)source_columns(all->t[i].source);
    }
    known = mem_calloc(room + 1, sizeof *known);
    for (int i = 0; known && i < all->n; i++)
        for (int c = 0; c < source_columns(all->t[i].source); c++)
            known[n++] = source_name(all->t[i].source, c);
    if (known) str_add_suggestion(&text, column, known, n);
    conf_err(at, e, "%s: there is no column \"%s\" in %s", what, column,
             text.failed || !text.p ? "the files" : text.p);
    mem_free(known);
    str_release(&text);
    return ERR_INPUT;
}

static int look_up(const struct tables *all, const struct conf *at, const char *what, const char *column,
                   struct err *e) {
    int found = -1;
    for (int i = 0; i < all->n; i++) {
        if (!has(&all->t[i], column)) continue;
        if (found >= 0)
            return conf_err(at, e,
                            "%s: the column \"%s\" is in \"%s\" and in \"%s\"; name one of them differently, "
                            "with `header`",
                            what, column, all->t[found].label, all->t[i].label);
        found = i;
    }
    return found < 0 ? not_there(all, at, what, column, e) : 0;
}

static const struct conf *at_key(const struct schema *s, const char *key) {
    const struct conf *c = conf_get(s->root, key);
    return c ? c : s->root;
}

static int look_up_flags(const struct tables *all, const struct schema_column *c, const char *what,
                         struct err *e) {
    for (int i = 0; i < c->n_flags; i++) TRY(look_up(all, c->at, what, c->flags[i], e));
    for (int t = 0; t < all->n; t++)
        for (int i = 1; i < c->n_flags; i++)
            if (has(&all->t[t], c->flags[i]) != has(&all->t[t], c->flags[0]))
                return conf_err(c->at, e, "%s: the flags \"%s\" and \"%s\" are in different files", what,
                                c->flags[0], c->flags[i]);
    return 0;
}

static int look_up_columns(const struct schema *s, const struct tables *all, struct err *e) {
    char what[96];
    for (int i = 0; i < s->n_columns; i++) {
        const struct schema_column *c = &s->column[i];
        snprintf(what, sizeof what, "column `%.64s`", c->name);
        TRY(c->n_flags ? look_up_flags(all, c, what, e) : look_up(all, c->at, what, c->from, e));
    }
    return 0;
}

/* What says who, what, when and whether must be in the log itself; features may be in any table. */
static int look_up_all(const struct schema *s, const struct tables *all, struct err *e) {
    const struct tables log = {1, all->t};
    TRY(look_up(&log, at_key(s, "user"), "`user`", s->user, e));
    TRY(look_up(&log, at_key(s, "item"), "`item`", s->item, e));
    if (s->time) TRY(look_up(&log, at_key(s, "time"), "`time`", s->time, e));
    TRY(look_up(&log, at_key(s, "label"), "`label`", s->label.column, e));
    if (s->split.column) TRY(look_up(&log, at_key(s, "split"), "`split`", s->split.column, e));
    for (int i = 0; i < s->n_where; i++) TRY(look_up(all, s->where[i].at, "`where`", s->where[i].column, e));
    for (int i = 0; i < s->n_keep; i++) TRY(look_up(all, at_key(s, "keep"), "`keep`", s->keep[i], e));
    return look_up_columns(s, all, e);
}

static int open_log(const struct schema *s, struct tables *all, struct err *e) {
    struct table *t = &all->t[all->n];
    *t = (struct table){.label = s->synthetic ? "the synthetic log" : s->log.path};
    TRY(s->synthetic ? synth_open(s->synthetic, &t->source, e) : source_open_file(&s->log, &t->source, e));
    all->n++;
    return 0;
}

/* The log must have a join's key, and so must the joined file. */
static int open_join(const struct schema_join *j, struct tables *all, struct err *e) {
    struct table *t = &all->t[all->n];
    const struct tables log = {1, all->t};
    TRY(look_up(&log, j->at, "`join`", j->on, e));
    *t = (struct table){.label = j->file.path};
    TRY(source_open_file(&j->file, &t->source, e));
    struct tables one = {1, t};
    int rc = look_up(&one, j->at, "`join`", j->on, e);
    t->on = j->on;
    all->n++;
    return rc;
}

int schema_check_files(const struct schema *s, struct err *e) {
    size_t room = (size_t)s->n_joins + 1;
    struct tables all = {0, mem_calloc(room, sizeof *all.t)};
    if (!all.t) return err_nomem(e, room * sizeof *all.t);
    int rc = open_log(s, &all, e);
    for (int i = 0; !rc && i < s->n_joins; i++) rc = open_join(&s->join[i], &all, e);
    if (!rc) rc = look_up_all(s, &all, e);
    for (int i = 0; i < all.n; i++) source_close(all.t[i].source);
    mem_free(all.t);
    return rc;
}

/* ---- a synthetic log without `columns` ---- */

/* By how synth.h names its columns: u..., nu... and user_id are user-side, i..., ni... and item_id item-side.
 */
static side_t synthetic_side(const char *name) {
    if (!strcmp(name, "user_id")) return SIDE_USER;
    if (!strcmp(name, "item_id")) return SIDE_ITEM;
    const char *p = name + (*name == 'n');
    bool digits = p[0] && p[1] && !p[1 + strspn(p + 1, "0123456789")];
    if (!digits) return SIDE_NONE;
    return *p == 'u' ? SIDE_USER : *p == 'i' ? SIDE_ITEM : SIDE_NONE;
}

int schema_synthetic_columns(struct schema *s, struct err *e) {
    struct source *source;
    int rc = 0;
    TRY(synth_open(s->synthetic, &source, e));
    int n = source_columns(source);
    s->column = arena_alloc(&s->arena, (size_t)n * sizeof *s->column);
    if (!s->column) rc = err_nomem(e, (size_t)n * sizeof *s->column);
    for (int i = 0; !rc && i < n; i++) {
        side_t side = synthetic_side(source_name(source, i));
        if (!side) continue;
        const char *name = arena_strdup(&s->arena, source_name(source, i));
        if (!name) rc = err_nomem(e, OPT_NAME_MAX);
        if (s->n_columns == SCHEMA_MAX_FIELDS)
            rc = conf_err(s->synthetic, e, "a synthetic log of more than %d fields", SCHEMA_MAX_FIELDS);
        if (rc) break;
        s->column[s->n_columns++] = (struct schema_column){.name = name,
                                                           .from = name,
                                                           .side = side,
                                                           .kind = COLUMN_CATEGORY,
                                                           .min_count = 1,
                                                           .max_vocab = 100000000,
                                                           .buckets = 10,
                                                           .sep = "|",
                                                           .at = s->synthetic};
    }
    source_close(source);
    return rc;
}
