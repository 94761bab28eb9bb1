/* log.h: which cell of which table each column of the schema is. */
#include "base/str.h"
#include "data/prepare/log.h"
#include "data/synth.h"
#include <string.h>

static const struct source *source_of(const struct log *l, int table) {
    return table ? l->join[table - 1].source : l->source;
}

static int open_sources(struct log *l, struct err *e) {
    const struct schema *s = l->schema;
    TRY(s->synthetic ? synth_open(s->synthetic, &l->source, e) : source_open_file(&s->log, &l->source, e));
    for (int j = 0; j < s->n_joins; j++) {
        struct joined *t = &l->join[j];
        TRY(source_open_file(&s->join[j].file, &t->source, e));
        t->on = source_column(t->source, s->join[j].on);
        t->on_log = source_column(l->source, s->join[j].on);
        if (t->on < 0 || t->on_log < 0)
            return conf_err(s->join[j].at, e, "`on: %s`: there is no such column in %s", s->join[j].on,
                            t->on < 0 ? s->join[j].file.path : "the log");
    }
    return 0;
}

static int unknown_column(const struct log *l, const struct conf *at, const char *name, struct err *e) {
    const char *known[512];
    size_t n = 0;
    for (int t = 0; t <= l->schema->n_joins; t++)
        for (int i = 0; i < source_columns(source_of(l, t)) && n < 512; i++)
            known[n++] = source_name(source_of(l, t), i);
    struct str s = STR_INIT;
    str_add_suggestion(&s, name, known, n);
    conf_err(at, e, "there is no column `%s` in the log or a joined table%s", name,
             s.p && !s.failed ? s.p : "");
    str_release(&s);
    return ERR_INPUT;
}

static int find(const struct log *l, const struct conf *at, const char *name, struct log_place *out,
                struct err *e) {
    const struct schema *s = l->schema;
    *out = (struct log_place){0, source_column(l->source, name)};
    for (int j = 0; j < s->n_joins; j++) {
        int cell = source_column(l->join[j].source, name);
        if (cell < 0 || cell == l->join[j].on) continue;
        if (out->cell >= 0)
            return conf_err(
                at, e, "column `%s` stands in two tables, in %s and in %s; rename one with `header:`", name,
                out->table ? s->join[out->table - 1].file.path : "the log", s->join[j].file.path);
        *out = (struct log_place){j + 1, cell};
    }
    return out->cell < 0 ? unknown_column(l, at, name, e) : 0;
}

static int find_in_log(const struct log *l, const struct conf *at, const char *what, const char *name,
                       struct log_place *out, struct err *e) {
    TRY(find(l, at, name, out, e));
    if (!out->table) return 0;
    return conf_err(at, e, "%s: `%s` is a column of a joined table; it must be one of the log itself", what,
                    name);
}

/* Room for all carriers is made beforehand: pointers to them stay good. */
static struct carrier *new_carrier(struct log *l, enum carry kind, struct log_place at) {
    struct carrier *c = &l->carrier[l->n_carriers++];
    c->kind = kind;
    c->table = at.table;
    c->cell = at.cell;
    c->name = source_name(source_of(l, at.table), at.cell);
    return c;
}

static int plain_carrier(struct log *l, enum carry kind, struct log_place at) {
    for (int i = 0; i < l->n_carriers; i++) {
        const struct carrier *c = &l->carrier[i];
        if (c->kind == kind && c->table == at.table && c->cell == at.cell) return i;
    }
    new_carrier(l, kind, at);
    return l->n_carriers - 1;
}

static int same_text(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static int resolve_flags(struct log *l, const struct schema_column *f, struct carrier *c, struct err *e) {
    int *flag = arena_alloc(&l->arena, (size_t)f->n_flags * sizeof *flag);
    if (!flag) return err_nomem(e, (size_t)f->n_flags * sizeof *flag);
    for (int i = 0; i < f->n_flags; i++) {
        struct log_place at;
        TRY(find(l, f->at, f->flags[i], &at, e));
        if (at.table != c->table)
            return conf_err(f->at, e, "the flags `%s` and `%s` stand in different tables", f->flags[0],
                            f->flags[i]);
        flag[i] = at.cell;
    }
    c->flag = flag;
    return 0;
}

static int bag_carrier(struct log *l, const struct schema_column *f, struct log_place at, int *out,
                       struct err *e) {
    for (int i = 0; i < l->n_carriers && !f->n_flags; i++) {
        const struct carrier *c = &l->carrier[i];
        if (c->kind != CARRY_BAG || c->table != at.table || c->cell != at.cell || c->bag->n_flags) continue;
        if (!same_text(c->bag->sep, f->sep) || !same_text(c->bag->extract, f->extract)) continue;
        *out = i;
        return 0;
    }
    *out = l->n_carriers;
    struct carrier *c = new_carrier(l, CARRY_BAG, at);
    c->bag = f;
    return f->n_flags ? resolve_flags(l, f, c, e) : 0;
}

static int resolve_column(struct log *l, const struct schema_column *f, int *out, struct err *e) {
    struct log_place at;
    TRY(find(l, f->at, f->n_flags ? f->flags[0] : f->from, &at, e));
    if (f->kind == COLUMN_MULTI) return bag_carrier(l, f, at, out, e);
    /* a part of a text is taken once for each distinct text, after the reading */
    bool text = f->kind == COLUMN_CATEGORY || f->extract;
    *out = plain_carrier(l, text ? CARRY_TEXT : CARRY_NUMBER, at);
    return 0;
}

static const struct conf *where_stands(const struct schema *s, const char *key) {
    const struct conf *c = conf_get(s->root, key);
    return c ? c : s->root;
}

static int resolve_entities(struct log *l, struct err *e) {
    const struct schema *s = l->schema;
    struct log_place at;
    TRY(find_in_log(l, where_stands(s, "user"), "`user`", s->user, &at, e));
    l->user = plain_carrier(l, CARRY_TEXT, at);
    TRY(find_in_log(l, where_stands(s, "item"), "`item`", s->item, &at, e));
    l->item = plain_carrier(l, CARRY_TEXT, at);
    l->carrier[l->user].required = l->carrier[l->item].required = true;
    return 0;
}

static int resolve_rest(struct log *l, struct err *e) {
    const struct schema *s = l->schema;
    TRY(find_in_log(l, where_stands(s, "label"), "`label`", s->label.column, &l->label, e));
    if (s->time) TRY(find_in_log(l, where_stands(s, "time"), "`time`", s->time, &l->time, e));
    if (s->split.by == SPLIT_COLUMN)
        TRY(find_in_log(l, where_stands(s, "split"), "`split`", s->split.column, &l->split, e));
    for (int i = 0; i < s->n_where; i++) TRY(find(l, s->where[i].at, s->where[i].column, &l->where[i], e));
    for (int i = 0; i < s->n_keep; i++) {
        struct log_place at;
        TRY(find(l, where_stands(s, "keep"), s->keep[i], &at, e));
        l->keep[i] = plain_carrier(l, CARRY_NUMBER, at);
    }
    return 0;
}

static void *room(struct log *l, int n, size_t size, int *rc, struct err *e) {
    void *p = arena_alloc(&l->arena, ((size_t)n + 1) * size);
    if (!p && !*rc) *rc = err_nomem(e, ((size_t)n + 1) * size);
    return p;
}

int log_resolve(struct log *l, struct err *e) {
    const struct schema *s = l->schema;
    int rc = 0;
    l->carrier = room(l, s->n_columns + s->n_keep + 2, sizeof *l->carrier, &rc, e);
    l->column = room(l, s->n_columns, sizeof *l->column, &rc, e);
    l->keep = room(l, s->n_keep, sizeof *l->keep, &rc, e);
    l->where = room(l, s->n_where, sizeof *l->where, &rc, e);
    l->join = room(l, s->n_joins, sizeof *l->join, &rc, e);
    if (rc) return rc;
    l->label = l->time = l->split = (struct log_place){0, -1};
    TRY(open_sources(l, e));
    TRY(resolve_entities(l, e));
    for (int i = 0; i < s->n_columns; i++) TRY(resolve_column(l, &s->column[i], &l->column[i], e));
    return resolve_rest(l, e);
}
