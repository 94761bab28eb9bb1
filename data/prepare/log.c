#include "data/prepare/log.h"
#include "base/progress.h"
#include "data/dataset.h"
#include "data/prepare/cell.h"
#include <stdio.h>
#include <string.h>

enum { TICK = 4096, ROWS_MAX = UINT32_MAX - 1 };

static int tick(const struct source *s, struct progress *p, struct err *e) {
    uint64_t done, total;
    source_progress(s, &done, &total);
    p->total = total;
    progress_at(p, done, NULL);
    return interrupt_seen() ? err_set(e, ERR_INTERRUPTED, "%s: interrupted", source_where(s)) : 0;
}

/* *keep: does the row meet the conditions on columns of `table`? */
static int where_met(const struct log *l, int table, const struct source *s, const struct cell *row,
                     bool *keep, struct err *e) {
    *keep = true;
    for (int i = 0; i < l->schema->n_where && *keep; i++) {
        if (l->where[i].table != table) continue;
        struct cell c = row ? row[l->where[i].cell] : (struct cell){"", 0};
        bool ok;
        *keep = schema_compare(&l->schema->where[i], c.p, &ok);
        if (ok) continue;
        *keep = false;
        if (!cell_missing(c))
            return err_set(e, ERR_INPUT,
                           "%s: column `%s`: \"%.60s\" is not a number, but `where` compares it with %s",
                           source_where(s), l->schema->where[i].column, c.p, l->schema->where[i].value);
    }
    return 0;
}

/* --- joined tables --- */

static int open_carriers(struct log *l, int table, const char *work, struct err *e) {
    for (int i = 0; i < l->n_carriers; i++) {
        char name[32];
        snprintf(name, sizeof name, "column-%d", i);
        if (l->carrier[i].table == table) TRY(carrier_open(&l->carrier[i], work, name, e));
    }
    return 0;
}

static int close_carriers(struct log *l, int table, struct err *e) {
    for (int i = 0; i < l->n_carriers; i++)
        if (l->carrier[i].table == table) TRY(carrier_close(&l->carrier[i], e));
    return 0;
}

static int room_for_row(struct joined *t, struct err *e) {
    if (t->keys.n + 2 <= t->room) return 0;
    size_t room = t->room ? t->room * 2 : 1024;
    uint8_t *p = mem_realloc(t->passes, t->room, room);
    if (!p) return err_nomem(e, room);
    t->passes = p;
    t->room = room;
    return 0;
}

static int add_joined_row(struct log *l, int j, const struct cell *row, struct err *e) {
    struct joined *t = &l->join[j];
    TRY(room_for_row(t, e));
    struct cell key = row[t->on];
    uint32_t id, before = t->keys.n;
    bool keep;
    if (!key.n)
        return err_set(e, ERR_INPUT, "%s: the key `%s` is empty", source_where(t->source),
                       l->schema->join[j].on);
    TRY(vocab_add(&t->keys, key.p, key.n, &id, e));
    if (id <= before)
        return err_set(
            e, ERR_INPUT,
            "%s: the key `%s` \"%.60s\" stands here a second time; keys of a joined table are unique",
            source_where(t->source), l->schema->join[j].on, key.p);
    TRY(where_met(l, j + 1, t->source, row, &keep, e));
    t->passes[id] = keep;
    for (int i = 0; i < l->n_carriers; i++)
        if (l->carrier[i].table == j + 1) TRY(carrier_add(&l->carrier[i], t->source, row, e));
    return 0;
}

static int read_joined(struct log *l, int j, const char *work, struct err *e) {
    struct joined *t = &l->join[j];
    TRY(open_carriers(l, j + 1, work, e));
    TRY(room_for_row(t, e));
    bool keep;
    TRY(where_met(l, j + 1, t->source, NULL, &keep, e));
    t->passes[0] = keep;
    for (int i = 0; i < l->n_carriers; i++)
        if (l->carrier[i].table == j + 1) TRY(carrier_add_missing(&l->carrier[i], e));
    struct progress p;
    progress_start(&p, "reading joined table", 0);
    for (uint64_t n = 0;; n++) {
        const struct cell *row;
        int got;
        TRY(source_next(t->source, &row, &got, e));
        if (!got) break;
        TRY(add_joined_row(l, j, row, e));
        if (n % TICK == 0) TRY(tick(t->source, &p, e));
    }
    p.done = t->keys.n;
    progress_end(&p, l->schema->join[j].file.path);
    TRY(close_carriers(l, j + 1, e));
    source_close(t->source);
    t->source = NULL;
    char name[32];
    snprintf(name, sizeof name, "join-%d", j);
    return spool_open(&t->row, work, name, e);
}

/* --- the log --- */

static int add_label(struct log *l, struct cell c, struct err *e) {
    const struct schema *s = l->schema;
    const char *where = source_where(l->source);
    if (cell_missing(c))
        return err_set(e, ERR_INPUT,
                       "%s: column `%s`: the label is missing (\"%s\"); every row needs one: drop the others "
                       "with where: ['%s != \"%s\"']",
                       where, s->label.column, c.p, s->label.column, c.p);
    bool ok, positive = schema_compare(&s->label, c.p, &ok);
    double v = 0;
    if (!ok || (s->label.numeric && cell_number(c, &v) != CELL_GOOD))
        return err_set(e, ERR_INPUT, "%s: column `%s`: the label \"%.60s\" is not a number", where,
                       s->label.column, c.p);
    if (s->label_is_binary && v != 0 && v != 1)
        return err_set(e, ERR_INPUT,
                       "%s: column `%s`: the label \"%.60s\" is neither 0 nor 1; say what is positive: "
                       "label: {column: %s, positive: \">= 4\"}",
                       where, s->label.column, c.p, s->label.column);
    return spool_u8(&l->label_of, positive, e);
}

static int add_time(struct log *l, struct cell c, struct err *e) {
    int64_t t;
    if (cell_time(c, &t) != CELL_GOOD)
        return err_set(e, ERR_INPUT,
                       "%s: column `%s`: the time \"%.60s\" is not a whole number (seconds, say)",
                       source_where(l->source), l->schema->time, c.p);
    return spool_i64(&l->time_of, t, e);
}

static int add_split(struct log *l, struct cell c, struct err *e) {
    static const struct {
        const char *word;
        enum split split;
    } words[] = {{"train", SPLIT_TRAIN},
                 {"valid", SPLIT_VALID},
                 {"validation", SPLIT_VALID},
                 {"val", SPLIT_VALID},
                 {"test", SPLIT_TEST}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(c.p, words[i].word)) return spool_u8(&l->split_of, (uint8_t)words[i].split, e);
    return err_set(e, ERR_INPUT,
                   "%s: column `%s`: \"%.60s\" names no split; train, valid (validation, val) and test do",
                   source_where(l->source), l->schema->split.column, c.p);
}

/* Finds the row's rows in the joined tables; *keep: all conditions on those are met. */
static void join_row(struct log *l, const struct cell *row, uint32_t *at, bool *keep) {
    for (int j = 0; j < l->schema->n_joins; j++) {
        struct joined *t = &l->join[j];
        struct cell key = row[t->on_log];
        at[j] = vocab_find(&t->keys, key.p, key.n);
        if (!t->passes[at[j]]) *keep = false;
    }
}

static int add_row(struct log *l, const struct cell *row, uint32_t *at, struct err *e) {
    bool keep;
    TRY(where_met(l, 0, l->source, row, &keep, e));
    if (keep) join_row(l, row, at, &keep);
    if (!keep) return 0;
    if (l->rows == ROWS_MAX)
        return err_set(e, ERR_INPUT, "%s: more than %u rows", source_where(l->source), ROWS_MAX);
    TRY(add_label(l, row[l->label.cell], e));
    if (l->time.cell >= 0) TRY(add_time(l, row[l->time.cell], e));
    if (l->split.cell >= 0) TRY(add_split(l, row[l->split.cell], e));
    for (int i = 0; i < l->n_carriers; i++)
        if (!l->carrier[i].table) TRY(carrier_add(&l->carrier[i], l->source, row, e));
    for (int j = 0; j < l->schema->n_joins; j++) {
        l->join[j].missed += !at[j];
        TRY(spool_u32(&l->join[j].row, at[j], e));
    }
    TRY(spool_u64(&l->row_of, l->rows_read, e));
    l->rows++;
    return 0;
}

static int read_rows(struct log *l, struct err *e) {
    uint32_t *at = arena_alloc(&l->arena, ((size_t)l->schema->n_joins + 1) * sizeof *at);
    if (!at) return err_nomem(e, sizeof *at);
    struct progress p;
    progress_start(&p, "reading", 0);
    for (;; l->rows_read++) {
        const struct cell *row;
        int got;
        TRY(source_next(l->source, &row, &got, e));
        if (!got) break;
        TRY(add_row(l, row, at, e));
        if (l->rows_read % TICK == 0) TRY(tick(l->source, &p, e));
    }
    p.done = l->rows;
    progress_end(&p, "rows");
    source_close(l->source);
    l->source = NULL;
    return 0;
}

static int check_rows(const struct log *l, struct err *e) {
    const struct schema *s = l->schema;
    const char *path = s->synthetic ? "the synthetic log" : s->log.path;
    if (!l->rows_read) return err_set(e, ERR_INPUT, "%s: there are no rows", path);
    if (!l->rows)
        return err_set(e, ERR_INPUT, "%s: `where` drops all %llu rows; loosen a condition", path,
                       (unsigned long long)l->rows_read);
    for (int j = 0; j < s->n_joins; j++) {
        const struct joined *t = &l->join[j];
        if (t->missed == l->rows)
            return conf_err(s->join[j].at, e, "no row of the log finds its `%s` in %s; is it the right file?",
                            s->join[j].on, s->join[j].file.path);
        if (t->missed)
            progress_note("%s: %llu of %llu rows of the log have a `%s` that it does not know; their columns "
                          "from it are missing",
                          s->join[j].file.path, (unsigned long long)t->missed, (unsigned long long)l->rows,
                          s->join[j].on);
    }
    return 0;
}

static int read_all(struct log *l, const char *work, struct err *e) {
    TRY(log_resolve(l, e));
    for (int j = 0; j < l->schema->n_joins; j++) TRY(read_joined(l, j, work, e));
    TRY(open_carriers(l, 0, work, e));
    TRY(spool_open(&l->label_of, work, "label", e));
    TRY(spool_open(&l->row_of, work, "row", e));
    if (l->time.cell >= 0) TRY(spool_open(&l->time_of, work, "time", e));
    if (l->split.cell >= 0) TRY(spool_open(&l->split_of, work, "split", e));
    TRY(read_rows(l, e));
    TRY(check_rows(l, e));
    TRY(close_carriers(l, 0, e));
    for (int j = 0; j < l->schema->n_joins; j++) TRY(spool_map(&l->join[j].row, e));
    TRY(spool_map(&l->label_of, e));
    TRY(spool_map(&l->row_of, e));
    if (l->time.cell >= 0) TRY(spool_map(&l->time_of, e));
    return l->split.cell >= 0 ? spool_map(&l->split_of, e) : 0;
}

int log_read(const struct schema *s, const char *work, struct log *out, struct err *e) {
    *out = (struct log){.schema = s};
    int rc = read_all(out, work, e);
    if (rc) log_release(out);
    return rc;
}

void log_release(struct log *l) {
    source_close(l->source);
    for (int j = 0; l->join && j < l->schema->n_joins; j++) {
        struct joined *t = &l->join[j];
        source_close(t->source);
        vocab_release(&t->keys);
        mem_free(t->passes);
        spool_release(&t->row);
    }
    for (int i = 0; i < l->n_carriers; i++) carrier_release(&l->carrier[i]);
    spool_release(&l->label_of);
    spool_release(&l->time_of);
    spool_release(&l->row_of);
    spool_release(&l->split_of);
    arena_release(&l->arena);
    *l = (struct log){.schema = NULL};
}
