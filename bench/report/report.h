/* report.h: what `prerank report` makes of a results folder: tradeoff.csv, plots/, report.html, and the table on the
 * terminal.
 *
 *     TRY(report_write("results/mine", e));            also when it returns the error that gnuplot is missing,
 *     TRY(report_table("results/mine", stdout, e));    tradeoff.csv and a report.html without pictures are there
 *
 * report.html is one file that asks nothing of the network; everything in it that comes from data is escaped.
 */
#ifndef PRERANK_BENCH_REPORT_H
#define PRERANK_BENCH_REPORT_H
#include "base/err.h"
#include "base/str.h"
#include "bench/report/plots.h"
#include "bench/report/study.h"
#include <stdbool.h>
#include <stdio.h>

int report_write(const char *dir, struct err *e);
int report_write_plain(const char *dir, struct err *e); /* without pictures, so without gnuplot */
int report_table(const char *dir, FILE *out, struct err *e);
/* All of it: the files, the table on `table`, and as the last thing whether a model fits the budget (ERR_MEASURE when
 * none does). */
struct report_changes { /* NULL: as the manifest has it */
    const struct budget *budget;
    const struct opt_names *compare_with;
};
int report_run(const char *dir, const struct report_changes *other, bool pictures, FILE *table,
               struct err *e);
/* Of all that, tradeoff.csv, chosen.json and the verdict. */
int report_choose(const char *dir, struct err *e);
int report_print(const struct study *s, FILE *out, struct err *e); /* after choices_make() */

/* ---- tables and texts that sections (section.h) are made of: report_*.c; each appends HTML ---- */
int report_summary(const struct study *s, struct str *out, struct err *e);
void report_tradeoff_table(const struct study *s, double candidates, struct str *out); /* NaN: not timed */
void report_quality_table(const struct study *s, struct str *out);
void report_calibration_table(const struct study *s, struct str *out);
void report_latency_table(const struct study *s, double candidates, struct str *out);
void report_notes(const struct study *s, struct str *out); /* failed runs, and what others have to say */

#endif
