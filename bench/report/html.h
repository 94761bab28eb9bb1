/* html.h: the pieces that the tables of report.html are made of. All text is escaped; NaN and no text are a dash.
 *
 *     html_table_open(&s, columns, n_columns, -1);
 *     str_add(&s, "<tr>");
 *     html_model(&s, "cold", "all", 3);
 *     html_number(&s, 0.7123, "%.4f");
 *     str_add(&s, "</tr>\n");
 *     html_table_close(&s);
 */
#ifndef PRERANK_BENCH_HTML_H
#define PRERANK_BENCH_HTML_H
#include "base/str.h"
#include "bench/report/effect.h"
#include <stdbool.h>
#include <stddef.h>

struct html_column {
    const char *label, *help; /* help: a hover text, or NULL */
    char kind; /* 't' text, 'm' mark, 'l' number where low is good, 'h' number where high is good */
};
/* sorted: the column that the rows come sorted by, the best first; -1: none. */
void html_table_open(struct str *out, const struct html_column *column, size_t n, int sorted);
void html_table_close(struct str *out);
/* A row's head: coloured dot, variant, features (NULL: none). series -1: no dot. */
void html_model(struct str *out, const char *variant, const char *features, int series);
void html_text_cell(struct str *out, const char *text);
void html_number(struct str *out, double v, const char *format);
void html_stat(struct str *out, const struct effect_stat *s, int decimals); /* "0.7123 ±0.0021" */
void html_time(struct str *out, double us);                                 /* "1.62 ms" */
void html_time_range(struct str *out, double lo_us, double hi_us);
void html_range(struct str *out, double lo, double hi,
                bool sign);                 /* "0.7012 … 0.7141"; sign: "+0.0012 … +0.0141" */
void html_count(struct str *out, double v); /* 1,234,567; 12.3 below 100 */
void html_si(struct str *out, double v);    /* 1.23 M */
void si_text(char out[32], double v);
void count_text(char out[32], double v);

#endif
