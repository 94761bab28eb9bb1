/* selection.h: what `select` found, read back: a curve for each variant and selector, GAUC against the number of fields
 * that are kept, and the areas under them.
 *
 *     struct selection sel;
 *     TRY(selection_load(&study, &sel, e));      n = 0: nothing was selected
 *     TRY(selection_save(&sel, dir, e));         selection.csv
 *     selection_release(&sel);
 *
 * Area: the mean height of the curve over the Ks that all selectors of the variant share, by the trapezoid rule; with the
 * interval over seeds (Student's t): over trainings, the ranking being the same. Where a selector has several
 * rankings (`select.rankings: each`), also the mean of their areas, with the interval over rankings. By response time: the mean over RT, between the fastest and the slowest point of the
 * variant, of the test GAUC of the point that validation prefers among those as fast; where a selector has no point that
 * fast, its GAUC is 1/2. Times and GAUC are those of fp32; where that was not timed, both are of one other precision.
 */
#ifndef PRERANK_BENCH_SELECTION_H
#define PRERANK_BENCH_SELECTION_H
#include "bench/report/study.h"
#include "bench/report/table.h"

struct selection_point {
    double k;
    const char *fields;
    const struct effect_group *group;
    const struct tradeoff_point
        *timed; /* study_point() at the largest number of candidates; NULL: not timed */
};
struct selection_curve {
    const char *variant, *selector; /* "se"; "se~2": by its second ranking */
    int colour; /* number of the selector among those of the folder; of all its rankings */
    int n;
    struct selection_point *point; /* by K */
    double area, area_lo, area_hi; /* test GAUC over K */
    double area_valid, area_rt;
    int rankings; /* of the selector, and their areas: the mean, and its interval over rankings; of its first curve only */
    double area_rankings, area_rankings_lo, area_rankings_hi;
};
struct selection {
    struct arena arena;
    struct table subsets, importance;
    double *importance_value; /* column of importance */
    int n, variants;
    struct selection_curve *curve; /* as in subsets.csv */
};
int selection_load(const struct study *s, struct selection *out, struct err *e);
void selection_release(struct selection *sel);
/* The curve is of the first ranking of its selector: the one that has the name without a number. */
bool selection_first(const struct selection_curve *c);
int selection_save(const struct selection *sel, const char *dir, struct err *e);

/* plot_selection.c, plot_importance.c: as plot_*.c in plots.h */
struct picture;
/* All curves of a variant: against K, or (by_time) against p50. */
int plot_selection(const struct selection *sel, const char *variant, bool by_time, struct picture *p);
int plot_importance(const struct selection *sel, const struct selection_curve *c, struct picture *p);

#endif
