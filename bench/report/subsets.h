/* subsets.h: subsets.csv, which says what fields each of the subsets that `select` made holds, and under which name they
 * were trained: subsets with the same fields share one model, whose files have the name of the first of them.
 *
 *     struct table subsets;
 *     TRY(subsets_load("results/mine", &subsets, e));            no rows where nothing was selected
 *     subsets_trained_as(&subsets, "cold", "se-4")               "fscd-4"; mostly the name itself
 *     table_release(&subsets);
 */
#ifndef PRERANK_BENCH_SUBSETS_H
#define PRERANK_BENCH_SUBSETS_H
#include "bench/report/table.h"

int subsets_load(const char *dir, struct table *t, struct err *e);
/* The row of that name; t->rows: `select` has made no such subset for the variant. */
size_t subsets_find(const struct table *t, const char *variant, const char *features);
const char *subsets_trained_as(const struct table *t, const char *variant, const char *features);

#endif
