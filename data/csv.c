#include "base/mem.h"
#include "base/str.h"
#include "data/blocks.h"
#include "data/source.h"
#include <csv.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A line without a quote is split in place; a row with one goes through libcsv. Both give the same cells. */

enum { CELL_MAX = 1 << 20, CELLS_MAX = 4096, ROW_MAX = 64 << 20, BUFFER_MIN = 256 << 10, CELL_BUFFER = 4096 };

struct csv_file {
    struct file_spec spec;
    size_t sep_n;
    struct blocks *blocks;

    char *buffer; /* bytes read: [at .. end) are not yet used, room for one more behind `cap` */
    size_t cap, at, end;
    bool finished; /* all bytes are in the buffer */
    bool plain;    /* only ASCII without NUL in [at .. end) */
    bool quote;    /* there may be a quote in [at .. end) */

    uint64_t line, row_line; /* of the file, from 1: the line just read; where the row begins */
    char *text;              /* a line converted from latin-1 */
    size_t text_cap;

    int columns; /* 0 until the header is known */
    const char **name;
    struct arena names;
    struct cell *cell; /* room for CELLS_MAX + 1 */
    int n_cells;

    struct csv_parser parser;
    struct str row;     /* the cells of a row with quotes, one after the other, each with its NUL */
    bool quoted;        /* the row went through libcsv */
    bool inside;        /* a quoted cell goes on */
    uint64_t open_line; /* where it began */
    size_t open_column;
    bool pending; /* the header line was read to learn the number of cells and is a row */
    char where[1088];
};

static size_t characters(const char *p, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)p[i] & 0xC0) != 0x80;
    return count;
}

/* "cell 3 (`title`)" */
static const char *cell_name(const struct csv_file *f, int cell, char out[160]) {
    if (cell < f->columns && *f->name[cell])
        snprintf(out, 160, "cell %d (`%.100s`)", cell + 1, f->name[cell]);
    else
        snprintf(out, 160, "cell %d", cell + 1);
    return out;
}

__attribute__((format(printf, 4, 5))) static int fail(const struct csv_file *f, struct err *e, size_t column,
                                                      const char *fmt, ...) {
    char text[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0) text[0] = '\0';
    va_end(ap);
    return err_set(e, ERR_INPUT, "%s:%llu:%zu: %s", f->spec.path, (unsigned long long)f->line, column, text);
}

/* The number of the cell that byte `n` of a line is in. */
static int cell_at(const struct csv_file *f, const char *p, size_t n) {
    bool inside = f->inside;
    int cell = inside ? f->n_cells : 0;
    for (size_t i = 0; i < n; i++) {
        if (f->spec.quotes && p[i] == '"') inside = !inside;
        if (inside || i + f->sep_n > n || memcmp(p + i, f->spec.sep, f->sep_n) != 0) continue;
        cell++;
        i += f->sep_n - 1;
    }
    return cell;
}

/* ---- bytes to lines ---- */

static void look(struct csv_file *f, size_t from) {
    unsigned char high = 0, zero = 0, quote = 0;
    const unsigned char *p = (const unsigned char *)f->buffer;
    for (size_t i = from; i < f->end; i++) {
        high |= p[i];
        zero |= p[i] == 0;
        quote |= p[i] == '"';
    }
    if (high >= 0x80 || zero) f->plain = false;
    if (quote) f->quote = true;
}

static int more_bytes(struct csv_file *f, struct err *e) {
    if (f->at) {
        memmove(f->buffer, f->buffer + f->at, f->end - f->at);
        f->end -= f->at;
        f->at = 0;
        f->plain = true;
        f->quote = false;
        look(f, 0);
    }
    if (f->end == f->cap) {
        if (f->cap >= ROW_MAX) {
            f->line++;
            return fail(f, e, 1, "longer than 64 MiB, which no row is; lines must end in LF or CR LF");
        }
        char *p = mem_realloc(f->buffer, f->end, 2 * f->cap + 1);
        if (!p) return err_nomem(e, 2 * f->cap + 1);
        f->buffer = p;
        f->cap *= 2;
    }
    size_t got, from = f->end;
    TRY(blocks_read(f->blocks, f->buffer + f->end, f->cap - f->end, &got, e));
    f->end += got;
    f->finished = !got;
    look(f, from);
    return 0;
}

static int to_utf8(struct csv_file *f, char **p, size_t *n, struct err *e) {
    if (f->text_cap < 2 * *n + 2) {
        size_t cap = 4 * *n + 2;
        char *text = mem_alloc(cap);
        if (!text) return err_nomem(e, cap);
        mem_free(f->text);
        f->text = text;
        f->text_cap = cap;
    }
    size_t used = 0;
    for (size_t i = 0; i < *n; i++) {
        unsigned char c = (unsigned char)(*p)[i];
        if (c < 0x80) {
            f->text[used++] = (char)c;
        } else {
            f->text[used++] = (char)(0xC0 | c >> 6);
            f->text[used++] = (char)(0x80 | (c & 0x3F));
        }
    }
    *p = f->text;
    *n = used;
    return 0;
}

static int check_text(struct csv_file *f, char **p, size_t *n, struct err *e) {
    char name[160];
    const char *zero = memchr(*p, '\0', *n);
    if (zero) {
        size_t before = (size_t)(zero - *p);
        return fail(f, e, characters(*p, before) + 1, "%s has a NUL byte; is this a text file?",
                    cell_name(f, cell_at(f, *p, before), name));
    }
    if (f->spec.latin1) return to_utf8(f, p, n, e);
    size_t bad;
    if (str_utf8_valid(*p, *n, &bad)) return 0;
    return fail(f, e, characters(*p, bad) + 1,
                "%s: the byte 0x%02x is not UTF-8; if the file is ISO 8859-1, say `encoding: latin-1`",
                cell_name(f, cell_at(f, *p, bad), name), (unsigned char)(*p)[bad]);
}

/* The next line without its LF; *p = NULL at the end. p[n] may be written to. */
static int next_line(struct csv_file *f, char **p, size_t *n, struct err *e) {
    size_t seen = 0;
    char *lf;
    *p = NULL;
    while (!(lf = memchr(f->buffer + f->at + seen, '\n', f->end - f->at - seen)) && !f->finished) {
        seen = f->end - f->at;
        TRY(more_bytes(f, e));
    }
    if (!lf && f->at == f->end) return 0;
    f->line++;
    *p = f->buffer + f->at;
    *n = (lf ? (size_t)(lf - f->buffer) : f->end) - f->at;
    f->at += *n + (lf != NULL);
    return f->plain ? 0 : check_text(f, p, n, e);
}

/* ---- lines to cells ---- */

static int too_long(const struct csv_file *f, const char *line, const char *p, int cell, struct err *e) {
    char name[160];
    return fail(f, e, characters(line, (size_t)(p - line)) + 1, "%s is longer than 1 MiB",
                cell_name(f, cell, name));
}

static int split(struct csv_file *f, char *line, size_t n, struct err *e) {
    char *p = line, *end = line + n, sep = f->spec.sep[0];
    int cells = 0;
    *end = '\0';
    for (;;) {
        char *q = p;
        if (f->sep_n == 1)
            while (q < end && *q != sep) q++;
        else if (!(q = memmem(p, (size_t)(end - p), f->spec.sep, f->sep_n)))
            q = end;
        if (q - p > CELL_MAX) return too_long(f, line, p, cells, e);
        f->cell[cells++] = (struct cell){p, (size_t)(q - p)};
        if (q == end) break;
        *q = '\0';
        p = q + f->sep_n;
        if (cells == CELLS_MAX)
            return fail(f, e, characters(line, (size_t)(p - line)) + 1, "more than %d cells in a row",
                        CELLS_MAX);
    }
    f->n_cells = cells;
    return 0;
}

static int wrong_count(struct csv_file *f, const char *line, struct err *e) {
    char name[160];
    const char *what = f->spec.n_header ? "`header` names" : "the header has";
    const struct cell *last = &f->cell[f->n_cells - 1];
    const char *p = f->n_cells > f->columns ? f->cell[f->columns].p : last->p + last->n;
    size_t column = f->quoted ? 1 : characters(line, (size_t)(p - line)) + 1;
    f->line = f->row_line;
    if (f->n_cells > f->columns)
        return fail(f, e, column, "%d cells, but %s %d", f->n_cells, what, f->columns);
    return fail(f, e, column, "%d %s, but %s %d; %s is missing", f->n_cells,
                f->n_cells == 1 ? "cell" : "cells", what, f->columns, cell_name(f, f->n_cells, name));
}

/* ---- rows with quotes: libcsv ---- */

/* libcsv asks for memory here, without context. It gets no more than a cell may have, so that a missing quote
 * does not read the whole file into one cell. The size stands before the block. */
static void *cell_realloc(void *p, size_t bytes) {
    enum { HEAD = 64 };
    if (bytes > CELL_MAX + 1) return NULL;
    char *old = p ? (char *)p - HEAD : NULL;
    size_t old_bytes = 0;
    if (old) memcpy(&old_bytes, old, sizeof old_bytes);
    char *fresh = mem_realloc(old, old_bytes, HEAD + bytes);
    if (!fresh) return NULL;
    size_t all = HEAD + bytes;
    memcpy(fresh, &all, sizeof all);
    return fresh + HEAD;
}

static void cell_free(void *p) {
    if (p) mem_free((char *)p - 64);
}

static int never(unsigned char c) {
    (void)c;
    return 0;
}

static int is_lf(unsigned char c) { return c == '\n'; }

static void on_cell(void *text, size_t n, void *ctx) {
    struct csv_file *f = ctx;
    if (f->n_cells == CELLS_MAX + 1) return;
    f->cell[f->n_cells++].n = n;
    str_addn(&f->row, text ? text : "", n);
    str_addn(&f->row, "", 1);
}

static void on_row(int c, void *ctx) {
    (void)c;
    (void)ctx;
}

/* Where a quoted cell that the line leaves open began. */
static size_t open_quote(const char *p, size_t n, bool inside) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '"') continue;
        if (!inside && !(i && p[i - 1] == '"')) at = i;
        inside = !inside;
    }
    return at;
}

static const char *opened(const struct csv_file *f, char out[64]) {
    out[0] = '\0';
    if (f->inside)
        snprintf(out, 64, " (its quote opens at %llu:%zu)", (unsigned long long)f->open_line, f->open_column);
    return out;
}

static int bad_quotes(struct csv_file *f, const char *p, size_t at, struct err *e) {
    char name[160], open[64];
    size_t column = characters(p, at) + 1;
    if (csv_error(&f->parser) == CSV_ENOMEM && csv_get_buffer_size(&f->parser) > CELL_MAX)
        return fail(f, e, column, "%s is longer than 1 MiB%s; is a closing quote missing?",
                    cell_name(f, f->n_cells, name), opened(f, open));
    if (csv_error(&f->parser) != CSV_EPARSE) return err_nomem(e, CELL_MAX);
    if (p[at] == '"')
        return fail(
            f, e, column,
            "a quote in the middle of %s; put the whole cell in quotes and double the quotes in it, or say "
            "`quotes: false`",
            cell_name(f, f->n_cells, name));
    return fail(f, e, column, "text behind the closing quote of %s%s; a quote within quotes must be doubled",
                cell_name(f, f->n_cells, name), opened(f, open));
}

static int feed(struct csv_file *f, const char *p, size_t n, struct err *e) {
    size_t used = csv_parse(&f->parser, p, n, on_cell, on_row, f);
    if (used < n) return bad_quotes(f, p, used, e);
    if (f->n_cells > CELLS_MAX) return fail(f, e, 1, "more than %d cells in a row", CELLS_MAX);
    if (f->row.failed) return err_nomem(e, f->row.cap);
    if (f->row.len > ROW_MAX) return fail(f, e, 1, "a row longer than 64 MiB");
    return 0;
}

/* A row whose first line has a quote: lines until the quotes are even. */
static int quoted_row(struct csv_file *f, char *p, size_t n, struct err *e) {
    str_clear(&f->row);
    f->n_cells = 0;
    for (;;) {
        size_t quotes = 0;
        for (const char *q = p, *end = p + n; (q = memchr(q, '"', (size_t)(end - q))) != NULL; q++) quotes++;
        bool inside = f->inside ^ (quotes % 2);
        if (!inside && n && p[n - 1] == '\r') n--;
        TRY(feed(f, p, n, e));
        if (inside && (!f->inside || quotes)) {
            f->open_line = f->line;
            f->open_column = characters(p, open_quote(p, n, f->inside)) + 1;
        }
        f->inside = inside;
        TRY(feed(f, "\n", 1, e));
        if (!inside) break;
        TRY(next_line(f, &p, &n, e));
        if (!p)
            return err_set(e, ERR_INPUT, "%s:%llu:%zu: the closing quote is missing", f->spec.path,
                           (unsigned long long)f->open_line, f->open_column);
    }
    const char *text = f->row.p;
    for (int i = 0; i < f->n_cells; i++) {
        f->cell[i].p = text;
        text += f->cell[i].n + 1;
    }
    return 0;
}

/* The next row's cells; *got = 0 at the end. */
static int read_row(struct csv_file *f, int *got, struct err *e) {
    char *p;
    size_t n;
    *got = 0;
    do {
        TRY(next_line(f, &p, &n, e));
        if (!p) return 0;
        f->quoted = f->spec.quotes && f->quote && memchr(p, '"', n);
        if (!f->quoted && n && p[n - 1] == '\r') n--;
    } while (!n);
    *got = 1;
    f->row_line = f->line;
    TRY(f->quoted ? quoted_row(f, p, n, e) : split(f, p, n, e));
    return f->columns && f->n_cells != f->columns ? wrong_count(f, p, e) : 0;
}

static int next(void *self, const struct cell **row, int *got, struct err *e) {
    struct csv_file *f = self;
    *row = f->cell;
    *got = 1;
    if (f->pending) {
        f->pending = false;
        return 0;
    }
    return read_row(f, got, e);
}

/* ---- opening ---- */

static int skip_mark(struct csv_file *f, struct err *e) {
    while (f->end < 4 && !f->finished) TRY(more_bytes(f, e));
    if (f->end >= 3 && !memcmp(f->buffer, "\xEF\xBB\xBF", 3)) f->at = 3;
    if (f->end >= 2 && (!memcmp(f->buffer, "\xFF\xFE", 2) || !memcmp(f->buffer, "\xFE\xFF", 2)))
        return err_set(e, ERR_INPUT, "%s: is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8",
                       f->spec.path);
    return 0;
}

static int header_name(struct csv_file *f, int i, const char *name, struct err *e) {
    if (!f->spec.n_header && !f->quoted && strchr(name, '\r'))
        return fail(f, e, 1, "lines that end in a lone CR; convert them first: tr '\\r' '\\n'");
    for (int k = 0; k < i; k++)
        if (*name && !strcmp(f->name[k], name))
            return f->spec.n_header
                       ? err_set(e, ERR_INPUT, "%s: `header` names `%s` twice: cells %d and %d", f->spec.path,
                                 name, k + 1, i + 1)
                       : fail(f, e, 1, "the header names `%s` twice: cells %d and %d", name, k + 1, i + 1);
    f->name[i] = arena_strdup(&f->names, name);
    return f->name[i] ? 0 : err_nomem(e, strlen(name));
}

static int read_header(struct csv_file *f, struct err *e) {
    int got, n = f->spec.n_header;
    TRY(read_row(f, &got, e));
    if (!got) return err_set(e, ERR_INPUT, "%s: the file is empty", f->spec.path);
    f->pending = n > 0;
    if (!n) n = f->n_cells;
    f->name = arena_alloc(&f->names, (size_t)n * sizeof *f->name);
    if (!f->name) return err_nomem(e, (size_t)n * sizeof *f->name);
    for (int i = 0; i < n; i++)
        TRY(header_name(f, i, f->spec.n_header ? f->spec.header[i] : f->cell[i].p, e));
    f->columns = n;
    return f->n_cells == n ? 0 : wrong_count(f, f->cell[0].p, e);
}

static int check_spec(const struct file_spec *spec, struct err *e) {
    bool good = *spec->sep && memchr(spec->sep, '\0', sizeof spec->sep);
    for (const char *p = spec->sep; good && *p; p++) good = (unsigned char)*p < 0x80 && !strchr("\"\r\n", *p);
    if (!good)
        return err_set(e, ERR_INPUT,
                       "%s: `sep` must be 1 to 7 ASCII characters, no quote and no line end, as in \",\"",
                       spec->path);
    if (spec->quotes && spec->sep[1])
        return err_set(e, ERR_INPUT,
                       "%s: a separator of several characters (\"%s\") goes without quotes: say "
                       "`quotes: false`",
                       spec->path, spec->sep);
    if (spec->n_header > CELLS_MAX)
        return err_set(e, ERR_INPUT, "%s: `header` has more than %d names", spec->path, CELLS_MAX);
    return 0;
}

static int start(struct csv_file *f, struct err *e) {
    TRY(check_spec(&f->spec, e));
    f->sep_n = strlen(f->spec.sep);
    csv_set_delim(&f->parser, (unsigned char)f->spec.sep[0]);
    csv_set_space_func(&f->parser, never);
    csv_set_term_func(&f->parser, is_lf);
    csv_set_realloc_func(&f->parser, cell_realloc);
    csv_set_free_func(&f->parser, cell_free);
    csv_set_blk_size(&f->parser, CELL_BUFFER);
    f->cap = BUFFER_MIN;
    f->plain = true;
    f->buffer = mem_alloc(f->cap + 1);
    f->cell = mem_alloc((CELLS_MAX + 1) * sizeof *f->cell);
    if (!f->buffer || !f->cell) return err_nomem(e, f->cap);
    TRY(blocks_open(f->spec.path, &f->blocks, e));
    TRY(skip_mark(f, e));
    return read_header(f, e);
}

static void close_file(void *self) {
    struct csv_file *f = self;
    csv_free(&f->parser);
    blocks_close(f->blocks);
    arena_release(&f->names);
    str_release(&f->row);
    mem_free(f->text);
    mem_free(f->buffer);
    mem_free(f->cell);
    mem_free(f);
}

static const char *where(void *self) {
    struct csv_file *f = self;
    snprintf(f->where, sizeof f->where, "%s:%llu", f->spec.path, (unsigned long long)f->row_line);
    return f->where;
}

static void progress(const void *self, uint64_t *done, uint64_t *total) {
    const struct csv_file *f = self;
    blocks_progress(f->blocks, done, total);
}

int source_open_file(const struct file_spec *spec, struct source **out, struct err *e) {
    static const struct source_ops ops = {next, close_file, where, progress};
    *out = NULL;
    struct csv_file *f = mem_calloc(1, sizeof *f);
    if (!f) return err_nomem(e, sizeof *f);
    f->spec = *spec;
    if (csv_init(&f->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL)) {
        mem_free(f);
        return err_nomem(e, sizeof *f);
    }
    int rc = start(f, e);
    if (rc) {
        close_file(f);
        return rc;
    }
    return source_new(&ops, f, f->columns, f->name, out, e);
}
