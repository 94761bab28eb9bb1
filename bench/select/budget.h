/* budget.h: what a model must keep to in order to be chosen: `select.subject_to`.
 *
 *     subject_to: {p99_ms: "<= 10", qps: ">= 2000", candidates: ">= 1000"}
 *
 * Each member is a comparison (<= < >= > ==) with a number; a bare number takes the direction that a budget of
 * that kind has: at most for times, at least for throughput, exactly for `candidates`.
 *
 *     struct budget_options o;  opt_defaults(budget_opts, &o);  opt_read(budget_opts, &o, map, ...);
 *     struct budget b;
 *     TRY(budget_parse(&o, &b, e));
 *     if (budget_keeps(&b, value)) ...                      value[BUDGET_METRICS]; NaN keeps no bound
 */
#ifndef PRERANK_BENCH_BUDGET_H
#define PRERANK_BENCH_BUDGET_H
#include "base/err.h"
#include "base/opt.h"
#include "bench/problems.h"
#include <jansson.h>
#include <stdbool.h>

enum budget_metric {
    BUDGET_P50,
    BUDGET_P95,
    BUDGET_P99,
    BUDGET_QPS,
    BUDGET_ITEMS,
    BUDGET_FLOPS,
    BUDGET_BYTES,
    BUDGET_PARAMS,
    BUDGET_FIELDS,
    BUDGET_CANDIDATES,
    BUDGET_METRICS
};
struct budget_options { /* as written; "" where nothing is asked */
    char text[BUDGET_METRICS][OPT_TEXT_MAX];
};
extern const struct opt budget_opts[];

enum bound_kind { BOUND_LE, BOUND_LT, BOUND_GE, BOUND_GT, BOUND_EQ };
struct bound {
    enum budget_metric metric;
    enum bound_kind kind;
    double value;
};
struct budget {
    int n;
    struct bound bound[BUDGET_METRICS + 1]; /* one a metric, and measure.limit_ms */
};
/* The bound that says nothing is ERR_INPUT: "select.subject_to.p99_ms: ...". */
int budget_parse(const struct budget_options *o, struct budget *out, struct err *e);
/* The same, every mistake with the position it has in `map`. */
void budget_check(const struct budget_options *o, const struct conf *map, struct problems *p);
void budget_add(struct budget *b, enum budget_metric m, enum bound_kind kind, double value);
bool bound_keeps(const struct bound *b, double value);
bool budget_keeps(const struct budget *b, const double value[BUDGET_METRICS]);
/* How far outside: the product of value/limit (or its inverse) over the bounds that are broken; 1 for a point
 * that keeps to all, infinite where a number is missing. */
double budget_excess(const struct budget *b, const double value[BUDGET_METRICS]);
/* Whether points of that many candidates are asked about at all. */
bool budget_covers(const struct budget *b, double candidates);
/* Bounds other than on `candidates`. */
bool budget_limits(const struct budget *b);
const char *budget_name(enum budget_metric m); /* "p99_ms" */
/* "p99_ms <= 10 and qps >= 2000" */
void budget_text(const struct budget *b, struct str *out);
/* "candidates >= 1000" */
void budget_candidates_text(const struct budget *b, struct str *out);
/* The largest value of the metric that keeps to the budget; infinite when it is not bounded from above. */
double budget_most(const struct budget *b, enum budget_metric m);
bool budget_bounds(const struct budget *b, enum budget_metric m);

#endif
