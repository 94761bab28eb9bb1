/* select.h: choosing features under a compute budget: the experiment's `select:` (docs/selection.md).
 *
 *     select:
 *       rank_by: [se, permutation, fscd]        how fields are ranked
 *       top_k: [2, 4, 8, 16]                    how many of them are kept
 *       variant: [cold]                         default: every variant without `select: false`
 *       from: all                               the feature subset chosen from; default: the first
 *       subject_to: {p99_ms: "<= 10"}           budget.h
 *       fscd: {strength: 2}                     a selector's own options
 *
 * The order of things in `prerank run`: the ordinary sweep (which trains the model of all fields) -> what each
 * field costs at serving (field_cost.h) -> what each is worth, by every selector (importance.h) -> a model for
 * every selector and K (plan.h) -> measuring -> the pick (bench/report/choice.h).
 *
 * A selector is one file here and one line in selectors.c.
 */
#ifndef PRERANK_BENCH_SELECT_H
#define PRERANK_BENCH_SELECT_H
#include "base/opt.h"
#include "base/pool.h"
#include "bench/problems.h"
#include "bench/select/budget.h"
#include "data/dataset.h"
#include "variants/variant.h"
#include <jansson.h>

struct experiment;
struct teacher;
struct experiment_variant;

enum rank_by_cost { RANK_BY_NO_COST, RANK_BY_KEPT, RANK_BY_MEASURED };

struct rank_task {
    const struct dataset *ds;
    const struct experiment_variant *variant;
    const struct features *features; /* all that are chosen from */
    uint64_t seed;
    const struct objective *objective; /* what models of the variant are trained for, and so the selector's */
    const struct teacher *teacher;     /* of the model of all fields with this seed; NULL: none */
    const char *weights;               /* .safetensors of the trained model of all fields, this seed */
    const double *
        cost; /* [features->n] measured marginal cost of serving, as field_cost_shares() has it; NULL: not asked for */
    const void *options; /* the selector's own */
    struct pool *pool;
    void (*progress)(void *ctx, const char *note);
    void *progress_ctx;
};
struct selector {
    const char *name, *help;
    const struct opt *opts; /* may hold nothing but OPT_END */
    size_t options_bytes;
    bool needs_model; /* reads `weights` */
    bool lone_fields; /* trains models of one field, which are no two towers: no softmax loss */
    /* Whether it has a place in the graph of a variant on these fields; NULL: in any. */
    int (*fits)(const struct graph *g, const struct features *f, struct err *e);
    /* Which costs (kept_cost.h) it ranks by, with these options of its own. NULL: none, whatever they are. */
    enum rank_by_cost (*cost)(const void *options);
    /* importance[features->n]: higher is worth more. Depends on nothing but the task and what it points to;
     * the number of threads is no part of it. */
    int (*rank)(const struct rank_task *t, double *importance, struct err *e);
};
enum { SELECTORS = 6 };
extern const struct selector *const selectors[SELECTORS + 1]; /* NULL-ended */

/* Of several seeds: one ranking, by the mean importance, or one of each seed. */
enum select_rankings { RANKINGS_MEAN, RANKINGS_EACH };

struct select_options {
    struct opt_ints rank_by; /* numbers in selectors[] */
    struct opt_ints top_k;
    struct opt_names variant; /* ids; empty: every variant without `select: false` */
    char from[OPT_TEXT_MAX];
    int64_t seeds;
    int rankings; /* enum select_rankings */
    struct budget_options subject_to;
    void *own[SELECTORS];
    const char
        *costs_of; /* `run --costs-of`: a results folder whose costs fields are ranked by; NULL: none */
};
extern const struct opt select_opts[];

/* Reads the experiment's `select:`; x->select is there afterwards, with defaults where the key is not. */
void select_read(struct experiment *x, struct problems *p);
/* What can be known of it before the data is prepared; needs the variants and subsets. */
void select_check(struct experiment *x, struct problems *p);
/* Whether each selector has a place in the variant; `used`: the fields that it chooses from. */
void select_check_model(const struct experiment *x, const struct experiment_variant *v,
                        const struct features *used, struct problems *p);
/* New reference or NULL. Its "variant" names the ids that fields are chosen for, also where that is the default; selectors that are
 * not asked for are not in it. */
json_t *select_json(const struct experiment *x);
/* Whether `select` asks for models (ranks and K); a budget alone does not. */
bool select_wanted(const struct select_options *o);
int select_rankings(const struct select_options *o); /* of each selector */
/* Whether it is about that variant. */
bool select_takes(const struct select_options *o, const struct experiment_variant *v);
/* Number of the subset chosen from. */
int select_from(const struct experiment *x);

#endif
