/* study.h: everything that a results folder says, loaded: what pictures, tables and the page are made from.
 *
 *     struct study s;
 *     TRY(study_load("results/mine", &s, e));
 *     for (int c = 0; c < s.n_candidates; c++) printf("%g candidates\n", s.candidates[c]);
 *     study_release(&s);
 */
#ifndef PRERANK_BENCH_STUDY_H
#define PRERANK_BENCH_STUDY_H
#include "base/err.h"
#include "base/opt.h"
#include "base/str.h"
#include "bench/report/effect.h"
#include "bench/report/table.h"
#include "bench/report/tradeoff.h"
#include <jansson.h>
#include <stdbool.h>

#define STUDY_LABEL_MAX 160
/* What a model's name must say, because it differs between the points. */
enum { STUDY_FEATURES = 1, STUDY_PRECISION = 2, STUDY_STORE = 4, STUDY_THREADS = 8, STUDY_LOAD = 16 };

struct choices;
struct study {
    const char *dir;
    struct effect effect;
    struct tradeoff tradeoff;
    struct table curves, latency;
    double *epoch, *valid_gauc, *train_loss;    /* columns of curves */
    double *candidates_of, *percentile, *rt_us; /* columns of latency */
    json_t *manifest;                           /* NULL when there is none */
    int n_candidates;
    double *candidates;                        /* ascending */
    const struct tradeoff_point **ranked;      /* [tradeoff.n] the highest GAUC first, unknown ones last */
    const struct effect_group **ranked_groups; /* [effect.groups] likewise */
    unsigned varies;
    const struct effect_group *baseline; /* the two-tower, else NULL */
    struct opt_names compare_with;       /* the manifest's, until the caller says otherwise; differences.h */
    struct choices *choices;             /* choices_make() in choice.h; NULL before */
};

int study_load(const char *dir, struct study *s, struct err *e);
void study_release(struct study *s);
/* Other models to compare with; an error when there is no such variant. */
int study_compare_with(struct study *s, const struct opt_names *ids, struct err *e);
/* The variant's first group, in the order of effect.csv (that of the subsets); effect.groups: it has none. */
size_t study_first_group(const struct study *s, const char *variant);
/* "cold · no-cross · bf16": the variant, and of `what` (STUDY_... flags) the parts that vary. */
void study_label(const struct study *s, const struct tradeoff_point *p, unsigned what,
                 char out[STUDY_LABEL_MAX]);
void study_group_label(const struct study *s, const struct effect_group *g, char out[STUDY_LABEL_MAX]);
/* The point of `group` with the lowest p50 at that number of candidates, or NULL: one in fp32, whose quality is the group's;
 * only where there is none, one in another precision, whose quality (p->gauc) is its own. */
const struct tradeoff_point *study_point(const struct study *s, double candidates,
                                         const struct effect_group *group);
/* A member of the manifest by path, "config.measure.limit_ms"; NULL when it is not there. */
const json_t *study_manifest(const struct study *s, const char *path);
/* The measurement itself says that it is not to be trusted: of the closed loop, and of the usable rate (that there is none
 * is no doubt). */
bool study_doubtful(const struct tradeoff_point *p);
bool study_usable_doubtful(const struct tradeoff_point *p);
const char *study_name(const struct study *s); /* the experiment's name, or the folder's */

#endif
