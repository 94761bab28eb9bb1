#include "bench/report/table.h"
#include "base/file.h"
#include "base/str.h"
#include "data/source.h"
#include <math.h>
#include <string.h>

static int missing(const char *dir, const char *path, struct err *e) {
    if (!file_exists(dir))
        return err_set(e, ERR_INPUT, "%s: there is no such folder; `prerank run CONFIG --out %s` makes it",
                       dir, dir);
    return err_set(e, ERR_INPUT, "%s: there is no such file; `prerank run CONFIG --out %s` writes it", path,
                   dir);
}

/* The cells of a row share one piece of the arena. */
static int keep_row(struct table *t, const struct cell *row, const char *where, struct err *e) {
    size_t where_bytes = strlen(where) + 1, bytes = where_bytes;
    for (int c = 0; c < t->columns; c++) bytes += row[c].n + 1;
    char *text = arena_alloc(&t->arena, bytes);
    if (!text) return err_nomem(e, bytes);
    for (int c = 0; c < t->columns; c++) {
        t->cell[t->rows * (size_t)t->columns + (size_t)c] = text;
        memcpy(text, row[c].p, row[c].n);
        text += row[c].n + 1;
    }
    memcpy(text, where, where_bytes);
    t->where[t->rows++] = text;
    return 0;
}

/* Room for twice the rows. */
static int grow(struct table *t, size_t *room, struct err *e) {
    size_t columns = (size_t)t->columns, more = *room ? *room * 2 : 256;
    size_t old = *room * sizeof(char *), bytes = more * sizeof(char *);
    const char **where = mem_realloc(t->where, old, bytes);
    if (!where) return err_nomem(e, bytes);
    t->where = where;
    const char **cell = mem_realloc(t->cell, old * columns, bytes * columns);
    if (!cell) return err_nomem(e, bytes * columns);
    t->cell = cell;
    *room = more;
    return 0;
}

static int read_rows(struct table *t, struct source *s, struct err *e) {
    t->columns = source_columns(s);
    t->name = arena_alloc(&t->arena, (size_t)t->columns * sizeof *t->name);
    if (!t->name) return err_nomem(e, 0);
    for (int c = 0; c < t->columns; c++) {
        t->name[c] = arena_strdup(&t->arena, source_name(s, c));
        if (!t->name[c]) return err_nomem(e, 0);
    }
    size_t room = 0;
    for (;;) {
        const struct cell *row;
        int got;
        TRY(source_next(s, &row, &got, e));
        if (!got) return 0;
        if (t->rows == room) TRY(grow(t, &room, e));
        TRY(keep_row(t, row, source_where(s), e));
    }
}

int table_load(const char *dir, const char *file, struct table *t, struct err *e) {
    *t = (struct table){.arena = ARENA_INIT};
    struct file_spec spec = {.sep = ",", .quotes = true};
    TRY(file_join(spec.path, sizeof spec.path, dir, file, e));
    if (!file_exists(spec.path)) return missing(dir, spec.path, e);
    t->path = arena_strdup(&t->arena, spec.path);
    struct source *s = NULL;
    int rc = t->path ? source_open_file(&spec, &s, e) : err_nomem(e, sizeof spec.path);
    if (!rc) rc = read_rows(t, s, e);
    source_close(s);
    if (rc) table_release(t);
    return rc;
}

void table_release(struct table *t) {
    mem_free(t->cell);
    mem_free(t->where);
    arena_release(&t->arena);
    *t = (struct table){.arena = ARENA_INIT};
}

int table_column(const struct table *t, const char *name) {
    for (int c = 0; c < t->columns; c++)
        if (!strcmp(t->name[c], name)) return c;
    return -1;
}

int table_need(const struct table *t, const char *name, int *column, struct err *e) {
    *column = table_column(t, name);
    if (*column >= 0) return 0;
    struct str s = STR_INIT;
    str_add(&s, "");
    str_add_suggestion(&s, name, t->name, (size_t)t->columns);
    err_set(e, ERR_INPUT, "%s:1: has no column \"%s\"%s", t->path, name, s.failed ? "" : s.p);
    str_release(&s);
    return ERR_INPUT;
}

const char *table_text(const struct table *t, size_t row, int column) {
    return column < 0 ? "" : t->cell[row * (size_t)t->columns + (size_t)column];
}

int table_numbers(struct table *t, const char *name, double **out, struct err *e) {
    int column = table_column(t, name);
    *out = arena_alloc(&t->arena, (t->rows + 1) * sizeof **out);
    if (!*out) return err_nomem(e, t->rows * sizeof **out);
    for (size_t r = 0; r < t->rows; r++) {
        const char *text = table_text(t, r, column);
        (*out)[r] = NAN;
        if (!*text || !strcmp(text, "nan") || !strcmp(text, "NaN") || !str_to_double(text, &(*out)[r]))
            continue;
        return err_set(e, ERR_INPUT, "%s: %s: \"%.60s\" is no number; an empty cell means missing",
                       t->where[r], name, text);
    }
    return 0;
}
