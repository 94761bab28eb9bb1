/* write.h: a comparison as a table for people, JSON for machines, JUnit XML for CI servers and Markdown for a pull
 * request. Files appear whole or not at all. All say the same verdicts.
 */
#ifndef PRERANK_BENCH_COMPARE_WRITE_H
#define PRERANK_BENCH_COMPARE_WRITE_H
#include "base/str.h"
#include "bench/compare/gate.h"
#include <stdio.h>

int comparison_write_text(const struct comparison *c, FILE *out, struct err *e);
int comparison_write_json(const struct comparison *c, const char *path, struct err *e);
int comparison_write_junit(const struct comparison *c, const char *path, struct err *e);
int comparison_write_markdown(const struct comparison *c, const char *path, struct err *e);

/* ---- in words, for all of them ---- */
void gate_subject(const struct gate *g, char out[300]); /* "mlp on all: fp32, memory, 1000 candidates" */
void gate_value(const struct gate *g, double v, char out[40]);        /* with its unit */
void gate_change(const struct gate *g, char out[120]);                /* "+4.9 % [4.1 %, 5.7 %]" */
void comparison_summary(const struct comparison *c, struct str *out); /* "1 regressed, 12 same" */
const char *comparison_verdict(const struct comparison *c);           /* one word or two for the whole */

#endif
