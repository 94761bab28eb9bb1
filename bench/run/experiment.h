/* experiment.h: what `prerank run` is asked to do: the YAML of configs/, read and checked
 * (docs/experiments.md).
 *
 *     name: mine                          default: the file's name without .yaml
 *     data: configs/data/mine.yaml        or the schema itself as a map
 *     data_dir: results/data/mine         default: results/data/<schema name>
 *     variants:
 *       - dssm
 *       - dssm: {id: deep, hidden: [256, 128, 64, 32], train: {epochs: 20}}
 *       - dssm: {id: student, distill: {teacher: din}}      loss_opts, distill_opts (nn/loss.h)
 *       - mlp: {select: false}            bench/select/select.h
 *     features: {all: "*", no-cross: [user, item]}       bench/run/features.h; default {all: "*"}
 *     seeds: [1, 2, 3]
 *     train: {batch: 1024, ...}           train_table()
 *     measure: {candidates: [100, 1000]}  measure_opts
 *     select: {rank_by: [se], top_k: [4]} bench/select/select.h
 *     retrieval: {index: [Flat, HNSW32]}  retrieval_opts; without the key there is none
 *     tune: {learning_rate: [5e-4, 1e-3]} bench/run/tune.h
 *
 *     struct experiment x;  struct problems p = PROBLEMS_INIT;
 *     if (experiment_load("configs/mine.yaml", settings, n, &x, &p)) problems_print(&p, stderr);
 *     else experiment_release(&x);
 */
#ifndef PRERANK_BENCH_EXPERIMENT_H
#define PRERANK_BENCH_EXPERIMENT_H
#include "base/conf.h"
#include "base/file.h"
#include "base/opt.h"
#include "bench/problems.h"
#include "bench/retrieval/options.h"
#include "bench/run/features.h"
#include "bench/select/select.h"
#include "data/schema.h"
#include "metrics/metrics.h"
#include "nn/fused/fused.h"
#include "nn/loss.h"
#include "nn/optim.h"
#include "variants/variant.h"
#include <jansson.h>

#define EXPERIMENT_ID_MAX 48
#define EXPERIMENT_ALL    "all-fields" /* the name of experiment.everything; no subset may have it */

enum { MONITOR_GAUC, MONITOR_AUC, MONITOR_LOGLOSS, MONITOR_NONE };
struct train_options {
    int64_t batch, slice, epochs, patience, eval_every, rows;
    int monitor;
    enum gauc_weight gauc_weight; /* the experiment's, no option of its own: one table is of one metric */
    struct optim_options optim;
    struct schedule_options schedule;
};
/* The options of `train:`: ours, then those of nn/optim.h, all in one map. */
#define TRAIN_TABLE_MAX 48
void train_table(struct opt out[TRAIN_TABLE_MAX]);

enum { LOAD_CLOSED, LOAD_OPEN, LOAD_USABLE };
enum { SPLIT_AUTO, SPLIT_ALWAYS, SPLIT_NEVER };
enum { TOP_BY_SELECTION, TOP_BY_SORT };
struct measure_options {
    struct opt_ints candidates;
    char candidates_from[OPT_TEXT_MAX]; /* as spread.h reads it; "": none */
    struct opt_ints load;
    struct opt_doubles offered_qps, utilisation;
    double open_seconds, probe_seconds, probe_tolerance;
    char ranker[OPT_TEXT_MAX]; /* a variant's id; "": the best */
    int64_t recall_k, recall_m, recall_candidates, recall_requests;
    struct opt_ints cascade_k;
    int64_t requests, warmup, turn, threads, servers, topk;
    int threads_over_candidates; /* SPLIT_... */
    double min_seconds, seconds, limit_ms;
    bool ladder, split_layers, by_column, fuse, skip_zeros;
    int64_t user_cache;
    int top_by; /* TOP_BY_... */
    int tables; /* as serve/tables.h numbers them */
    int64_t tables_mib;
    struct opt_ints precision, store; /* members of precision_names and store_kind_names */
    char store_path[OPT_TEXT_MAX], store_server[OPT_TEXT_MAX];
    int64_t store_timeout_ms;
};
extern const struct opt measure_opts[];

struct experiment_options { /* the scalars of the top level */
    char name[OPT_TEXT_MAX], data_dir[OPT_TEXT_MAX];
    struct opt_ints seeds;
    int gauc_weight;               /* enum gauc_weight */
    struct opt_names compare_with; /* ids of variants; none: the first */
};
extern const struct opt experiment_opts[];
/* Every key of the top level with a line of help; NULL-ended. */
struct experiment_key {
    const char *name, *help;
};
extern const struct experiment_key experiment_keys[];

struct experiment_variant {
    char id[OPT_TEXT_MAX]; /* names the files and the rows of the results; unique */
    const struct variant *variant;
    void *options;
    struct train_options train; /* the experiment's `train:` with this variant's overrides */
    struct objective objective; /* `loss:` and `distill:`; teacher_width is not known here */
    int teacher;                /* index in experiment.variant; -1: none */
    bool select;                /* `select: false`: no fields are chosen for it */
    const struct conf *body;    /* its own map in the list, or NULL */
    const struct conf *at, *loss_at, *teacher_at;
};

struct experiment {
    struct arena arena;
    const char *path;
    struct conf *root;
    struct experiment_options o;
    char data_path[1024]; /* of the schema; "" when it stands inline */
    bool has_schema;
    struct schema schema;
    int n_variants, n_teachers, n_subsets;
    /* [n_variants] of the list, then [n_teachers] that some `distill:` names and the list does not */
    struct experiment_variant *variant;
    struct subset *subset;
    struct subset everything; /* what a teacher is trained on */
    struct train_options train;
    struct measure_options measure;
    bool has_retrieval;
    struct retrieval_options retrieval;
    struct hash written; /* of what the file and --set ask for, apart from names and folders; no defaults */
    struct select_options select;
    const struct conf *tune; /* as read by tune_read(); NULL: nothing is tuned */
};

/* settings: "KEY=VALUE" texts of --set. KEY is a path from the top level ("train.batch",
 * "variants.0.dssm.dim") or begins with a variant's name or id ("dssm.hidden"). Returns 0, or ERR_INPUT with
 * every problem that was found; then there is nothing to release. */
int experiment_load(const char *path, const char *const *settings, size_t n_settings, struct experiment *out,
                    struct problems *p);
void experiment_release(struct experiment *x);
/* The fields that a variant is trained on as a teacher: all that it has a place for. */
int experiment_teacher_features(const struct experiment_variant *v, const struct features *all,
                                struct arena *a, struct features *out, struct err *e);
/* experiment_load()'s last step: what cannot be learned from whom, and losses that contradict other options. */
void experiment_check_losses(const struct experiment *x, struct problems *p);
/* experiment_check.c: the names in `compare_with`. */
void experiment_check_compared(const struct experiment *x, struct problems *p);

/* experiment_idle.c: options that are written down and mean nothing beside the others, in the file or in --set's maps by
 * variant name or id; and models that cannot be served where they would be. */
void experiment_check_idle(const struct experiment *x, const struct conf *overrides, struct problems *p);
void experiment_check_served(const struct experiment *x, struct problems *p);
/* Builds each variant on each feature subset, as far as that goes before the data is prepared. */
int experiment_check_models(struct experiment *x, struct problems *p);

/* experiment_loads.c: what of `measure:` does not fit together, or does not fit the variants. */
void experiment_check_loads(const struct experiment *x, const struct conf *at, struct problems *p);
/* Says what can be known before the run of how its models will stand to the budget; none of it is a mistake. */
void experiment_note_budget(const struct experiment *x);

/* As resolved: every option with its value. New references or NULL. */
json_t *experiment_json(const struct experiment *x);
json_t *experiment_variant_json(const struct experiment_variant *v);
/* What decides effect.csv, besides the data: experiment_json() without name, data, data_dir, compare_with and
 * measure. */
json_t *experiment_train_json(const struct experiment *x);
/* Every key of `map` into `obj`, but for those in `others`, which somebody else reads. */
void experiment_read_options(struct problems *p, const struct opt *table, void *obj, const struct conf *map,
                             const char *what, const char *const *others, size_t n_others);
int json_hash(const json_t *j, struct hash *out, struct err *e);

#endif
