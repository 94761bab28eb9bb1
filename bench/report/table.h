/* table.h: a CSV file of results, held whole.
 *
 * The table owns all its texts; they live until table_release(). Cells are as pandas writes them: an empty
 * one is missing. Reading goes through data/source.h, so a malformed file is an error with file and line.
 *
 *     struct table t;
 *     double *gauc;
 *     TRY(table_load("results/mine", "effect.csv", &t, e));
 *     int rc = table_numbers(&t, "gauc", &gauc, e);              NaN where the cell is empty
 *     int variant = table_column(&t, "variant");                 -1 when there is none
 *     if (!rc) printf("%s %g\n", table_text(&t, 0, variant), gauc[0]);
 *     table_release(&t);
 */
#ifndef PRERANK_BENCH_TABLE_H
#define PRERANK_BENCH_TABLE_H
#include "base/err.h"
#include "base/mem.h"
#include <stddef.h>

struct table {
    struct arena arena;
    const char *path;
    size_t rows;
    int columns;
    const char **name;  /* [columns] */
    const char **cell;  /* [rows * columns], row by row */
    const char **where; /* [rows] "results/mine/effect.csv:17" */
};

/* DIR/FILE, one of the files that `prerank run` writes. On an error there is nothing to release. */
int table_load(const char *dir, const char *file, struct table *t, struct err *e);
void table_release(struct table *t);

int table_column(const struct table *t, const char *name);
/* The same, but a missing column is an error that lists the columns there are. */
int table_need(const struct table *t, const char *name, int *column, struct err *e);
/* "" when the column is -1. */
const char *table_text(const struct table *t, size_t row, int column);
/* out[rows], in the table's arena: NaN for an empty cell, "nan", and for a column that is not there; any
 * other text that is no number is an error with file and line. */
int table_numbers(struct table *t, const char *name, double **out, struct err *e);

#endif
