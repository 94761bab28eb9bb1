/* choice.h: the pick and what there is to say about it, for people (terminal, report.html) and machines (chosen.json).
 *
 *     TRY(study_load(dir, &s, e));
 *     TRY(choices_make(&s, e));                      s.choices; reads predictions/ for the paired differences
 *     choice_text(&s, &s.choices->v[0], &out);       plain words
 *     TRY(choices_save(&s, e));                      DIR/chosen.json
 *     return choices_verdict(&s, e);                 ERR_MEASURE when nothing fits the budget, naming the closest
 *
 * One choice for each number of candidates that the budget covers; a budget that covers none of those that were timed, or
 * of a folder where nothing was, is one that nothing fits. Every choice is made on validation rows; what is said
 * of test rows is a report of it. Differences are GAUC on the test rows, paired by user (differences.h); a model cannot be
 * told from the pick when the interval over users or the one over seeds holds 0. A model in another precision has other scores
 * and is another model; in another store, or under the name of another subset of the same fields, it is the same.
 */
#ifndef PRERANK_BENCH_CHOICE_H
#define PRERANK_BENCH_CHOICE_H
#include "bench/report/differences.h"
#include "bench/report/study.h"
#include "bench/report/subsets.h"

struct choice {
    double candidates;
    const struct tradeoff_point *pick;    /* NULL: nothing fits */
    const struct tradeoff_point *free;    /* the best on validation of all points, budget or not */
    const struct tradeoff_point *by_test; /* what test rows would have picked within the budget */
    const struct tradeoff_point *closest; /* when nothing fits: the least outside (budget_excess) */
    size_t points, fit;                   /* that could be chosen; within the budget */
    size_t doubtful, incomplete;          /* of the points, those with a bad verdict; those left out by one */
    const struct tradeoff_point
        *next;                     /* the best on validation of the other models that fit; NULL: none does */
    struct difference budget_cost; /* free - pick; seeds 0: the same model, or not known */
    struct difference lead;        /* pick - next; likewise */
    struct differences like;       /* distinct models within reach of the pick's quality, fastest first */
    size_t compared;               /* models that the pick could be compared with */
    size_t n_same;
    const struct tradeoff_point **same; /* the other points of the pick's model in its precision */
    double optimism;                    /* GAUC on test of by_test - that of the pick */
    bool usable;                        /* qps are usable QPS, not those of a closed loop */
    double usable_limit_ms;             /* the limit at which they were looked for */
    bool loose; /* and the budget's own p99 is a tighter one, at which nothing is known of them */
};
struct choices {
    struct arena arena;
    struct table subsets; /* what select/ made; no rows without */
    int n;
    struct choice *v; /* by candidates, descending */
};
int choices_make(struct study *s, struct err *e);
void choices_free(struct choices *c);
int choices_save(const struct study *s, struct err *e);
int choices_verdict(const struct study *s, struct err *e);
/* The fastest point of the model that d is about. */
const struct tradeoff_point *choice_point(const struct study *s, const struct choice *c,
                                          const struct difference *d);
/* Both have the same scores: they are of one trained model in one precision. */
bool choices_same_scores(const struct study *s, const struct tradeoff_point *p,
                         const struct tradeoff_point *q);
void choice_text(const struct study *s, const struct choice *c, struct str *out);
/* Why there is no choice at all although there is a budget; nothing ("") when that is not so. */
void choices_none_text(const struct study *s, struct str *out);

#endif
