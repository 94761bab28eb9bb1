/* compare.h: what `prerank compare` finds, before anybody prints it.
 *
 *     struct comparison c;
 *     comparison_init(&c);
 *     TRY(compare_folders("results/reference", "results/new", &c, e));       two results folders
 *     TRY(compare_builds(&task, &c, e));                                     or two programs (builds.h)
 *     TRY(comparison_write_text(&c, stdout, e));                             write.h
 *     comparison_release(&c);
 *
 * Gates of two folders:
 *   gauc                     exact: the rows of effect.csv and the files of predictions/ are the same to the bit. That is
 *                            demanded when program and type of machine are the same, or with `exact` (type of machine
 *                            the same). Otherwise a difference goes to a bootstrap over the users of predictions/,
 *                            paired, users being averaged over the seeds.
 *   params                   exact; another number is another model
 *   flops_per_candidate, bytes_per_candidate, flops_per_request     exact; more is a regression
 *   instructions             within a small margin; where both folders have instructions.csv, of one type of machine
 * Predictions of a seed that are of other rows, users or labels on the two sides are refused.
 * Response times of two folders were taken at two times, and say nothing about two programs: they are not gated.
 */
#ifndef PRERANK_BENCH_COMPARE_H
#define PRERANK_BENCH_COMPARE_H
#include "bench/compare/gate.h"
#include "bench/compare/side.h"

int compare_folders(const char *base, const char *new, struct comparison *c, struct err *e);

/* ---- its parts ---- */
int compare_quality(const struct side *base, const struct side *new, struct comparison *c, struct err *e);
int compare_costs(struct side *base, struct side *new, struct comparison *c, struct err *e);

#endif
