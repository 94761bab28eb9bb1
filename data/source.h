/* source.h: rows of text cells, from wherever they come: a CSV file (plain, .gz, .zst) or the synthetic generator.
 *
 *     struct source *s;
 *     TRY(source_open_file(&spec, &s, e));
 *     int user = source_column(s, "user_id");            -1 when there is none
 *     const struct cell *row; int got;
 *     while (!(rc = source_next(s, &row, &got, e)) && got) use(row[user].p, row[user].n);
 *     source_close(s);
 *
 * CSV through libcsv, in strict mode, streaming in blocks; memory does not grow with the file. A separator of several bytes
 * ("::") is split by hand without quoting. Errors say path:line:column and what is wrong: a row with another number of cells
 * than the header, a quote in the middle of a cell, a missing closing quote, bytes that are not UTF-8 (with the hint
 * `encoding: latin-1`, which converts), a NUL byte, a truncated gzip or zstd stream, a column named twice, an empty file.
 * Columns of the file are counted in characters from 1. A UTF-8 byte order mark is skipped; lines end in LF or CR LF, the last
 * one also without; empty lines are skipped; spaces around a cell belong to it. Limits: a cell 1 MiB, a row 4096 cells and
 * 64 MiB.
 */
#ifndef PRERANK_DATA_SOURCE_H
#define PRERANK_DATA_SOURCE_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cell {
    const char *p; /* NUL-terminated UTF-8, valid until the next source_next() */
    size_t n;
};

struct file_spec {
    char path[1024]; /* resolved */
    char sep[8];     /* default: tab for .tsv, comma otherwise */
    bool quotes;     /* RFC 4180 quoting; default true for "," and false for other separators */
    bool latin1;     /* convert from ISO 8859-1 */
    int n_header;    /* 0: the first line is the header */
    const char *const *header;
};

struct source;
struct source_ops { /* what a kind of source provides */
    int (*next)(void *self, const struct cell **row, int *got, struct err *e);
    void (*close)(void *self);
    const char *(*where)(void *self);                                    /* NULL: "row" */
    void (*progress)(const void *self, uint64_t *done, uint64_t *total); /* NULL: unknown */
};
/* Takes `self` over, also when it fails. names are copied. */
int source_new(const struct source_ops *ops, void *self, int columns, const char *const *names,
               struct source **out, struct err *e);
int source_open_file(const struct file_spec *spec, struct source **out, struct err *e);
void source_close(struct source *s); /* NULL is fine */
int source_columns(const struct source *s);
const char *source_name(const struct source *s, int column);
int source_column(const struct source *s, const char *name);
int source_next(struct source *s, const struct cell **row, int *got, struct err *e);
/* Where the current row is, for messages: "clicks.csv:17" ("synthetic row 17"); and the bytes read so far / in all, for
 * progress (compressed bytes for compressed files; 0 when unknown). */
const char *source_where(const struct source *s);
void source_progress(const struct source *s, uint64_t *done, uint64_t *total);

#endif
