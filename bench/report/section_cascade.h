/* section_cascade.h: cascade.csv as the section and its pictures read it.
 *
 *     struct cascade_table c;
 *     TRY(cascade_table_load(&study, &c, e));            c.t.rows is 0 when the folder has none
 *     for (size_t r = 0; r < c.t.rows; r++) printf("%s %g %g\n", cascade_text(&c, r, CASCADE_VARIANT), c.k[r], c.ndcg[r]);
 *     table_release(&c.t);
 */
#ifndef PRERANK_BENCH_SECTION_CASCADE_H
#define PRERANK_BENCH_SECTION_CASCADE_H
#include "bench/report/plots.h"
#include "bench/report/study.h"
#include <stdbool.h>

enum { CASCADE_VARIANT, CASCADE_FEATURES, CASCADE_RANKER, CASCADE_RANKER_FEATURES, CASCADE_TEXTS };
struct cascade_table {
    struct table t;
    int text[CASCADE_TEXTS]; /* columns */
    double *k, *candidates, *requests, *seeds, *ndcg, *lo, *hi, *hr, *kept, *recall, *pre_us, *ranker_us,
        *total_us, *total_flops, *floor_us;
};
int cascade_table_load(const struct study *s, struct cascade_table *out, struct err *e);
const char *cascade_text(const struct cascade_table *c, size_t row, int which);
bool cascade_is_ranker(const struct cascade_table *c, size_t row); /* the row of the ranker alone */

/* cost: against the time of both stages; else against k */
int plot_cascade(const struct study *s, const struct cascade_table *c, bool cost, struct picture *p);

#endif
