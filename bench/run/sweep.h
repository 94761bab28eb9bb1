/* sweep.h: variants x feature subsets x seeds: what is trained, what of it is there already, and the files
 * that come of it.
 *
 *     struct sweep s;
 *     TRY(sweep_plan(&x, &ds, "results/mine", &s, e));
 *     TRY(sweep_resume(&s, e));                 finds the runs that are finished (--resume)
 *     rc = sweep_train(&s, pool, e);            the others; ERR_INTERRUPTED after Ctrl-C
 *     TRY(sweep_assemble(&s, e));               effect.csv and curves.csv of what is finished, in the plan's
 * order sweep_release(&s);
 *
 * A run is finished when runs/<id>.json is there, which is written last, after predictions/<id>.csv,
 * models/<id>.safetensors and models/<id>.json; id = <variant>.<features>.<seed>. It holds the run's rows of
 * effect.csv and curves.csv, and a key: the hash of everything that decides them; and another, `equal`, of the same without names.
 */
#ifndef PRERANK_BENCH_SWEEP_H
#define PRERANK_BENCH_SWEEP_H
#include "bench/run/experiment.h"
#include "bench/run/trainer.h"
#include "data/dataset.h"
#include "serve/tables.h"

struct sweep_model { /* a variant on a feature subset */
    const struct experiment_variant *variant;
    const struct subset *subset;
    struct features features; /* what it sees: a two-tower variant gets no pair fields */
    int same_as; /* an earlier model of the same variant that sees the same, which is trained instead; or -1
                  */
    bool listed; /* with `same_as`: its rows stand in the tables under its own name all the same */
    int teacher; /* the model it learns from, which is trained first with the same seed; -1: none */
    bool teacher_only; /* there for its students: listed in effect.csv, not measured */
    struct objective objective;
    char note[400]; /* for effect.csv; "" mostly */
    struct hash key;
    struct hash equal; /* of the same without names: equal ones are trained once */
};

struct sweep_run {
    int model; /* index */
    int64_t seed;
    char id[2 * EXPERIMENT_ID_MAX + 32];
    struct hash key, equal;
    json_t *result; /* as in runs/<id>.json; NULL: not there yet */
    bool has_recall;
    double ranker_recall; /* set by cascade_run() */
};

struct sweep {
    struct arena arena;
    const struct experiment *x;
    const struct dataset *ds;
    const char *dir;
    int n_models, n_runs;
    struct sweep_model *model;
    struct sweep_run *run; /* in order of the models, then seed; none for models that are `same_as` another */
                           /* teachers that the experiment does not train anyway come after its models */
    struct table_times *table_times; /* of all scorers that are timed */
    json_t *offered;                 /* runs of other sweeps, by what they are equal to; NULL: none */
};
int sweep_plan(const struct experiment *x, const struct dataset *ds, const char *dir, struct sweep *out,
               struct err *e);
/* Prints what there is to know of each model: pair fields left out, subsets that are the same to it. */
void sweep_announce(const struct sweep *s);
/* One more model, after the first were trained (select/): the fields keep[] of the dataset under the name
 * `subset->name`. When an earlier model of the variant sees the same it is `same_as` that, and listed. The arrays
 * model and run move. */
int sweep_add(struct sweep *s, const struct experiment_variant *v, const struct subset *subset,
              const bool *keep, struct err *e);
void sweep_release(struct sweep *s);
int sweep_resume(struct sweep *s, struct err *e);
/* sweep_train() takes finished runs of the sweep in `dir` over where it would train the same again: files and rows are then what
 * training would have given, to the bit (times are those of the training that there was). Runs of the sweep itself are
 * taken over anyway. A folder without runs is fine. */
int sweep_offer(struct sweep *s, const char *dir, struct err *e);
int sweep_train(struct sweep *s, struct pool *pool, struct err *e);
int sweep_assemble(const struct sweep *s, struct err *e);
int sweep_n_finished(const struct sweep *s);
int sweep_n_failed(const struct sweep *s);    /* of the finished ones */
bool sweep_run_ok(const struct sweep_run *r); /* finished, and not as failed */

/* sweep_teachers.c: of the models from `first` on, finds or adds the teachers (at most one a variant; the room is the
 * caller's), and makes the keys. */
int sweep_plan_teachers(struct sweep *s, int first, const struct features *all, struct err *e);
bool sweep_same_features(const struct features *a, const struct features *b);
/* What the teacher of r's model says of the training rows, scored once and kept in teachers/; *out is empty for a
 * model without one. The teacher's run must be finished. */
int sweep_teacher(const struct sweep *s, const struct sweep_run *r, struct pool *pool, struct teacher *out,
                  struct err *e);
struct sweep_run *sweep_teacher_run(const struct sweep *s,
                                    const struct sweep_run *r);                   /* NULL: there is none */
int sweep_model_key(const struct sweep *s, struct sweep_model *m, struct err *e); /* after its teacher's */
/* What both keys are made of, but for the teacher; a new reference or NULL. */
json_t *sweep_model_json(const struct sweep *s, const struct sweep_model *m);

/* sweep_equal.c */
int sweep_equal_key(const struct sweep *s, struct sweep_model *m, struct err *e); /* after its teacher's */
/* *taken: there was an equal run, and r is finished. */
int sweep_take_equal(const struct sweep *s, struct sweep_run *r, bool *taken, struct err *e);

/* "dir/sub/<id><ending>" */
int sweep_path(const struct sweep *s, const char *sub, const struct sweep_run *r, const char *ending,
               char out[1024], struct err *e);

/* sweep_files.c: writes what one run leaves; `failure` is NULL, or why it has no model. Sets r->result. */
int sweep_save_run(const struct sweep *s, struct sweep_run *r, const struct trained *m, const char *failure,
                   struct err *e);
/* Scores of the test rows: FOLDER/<id>.csv. */
int sweep_save_predictions(const struct sweep *s, const struct sweep_run *r, const char *folder,
                           const float *score, struct err *e);
int sweep_load_run(const struct sweep *s, struct sweep_run *r,
                   struct err *e); /* r->result stays NULL: not finished */
/* Parts of these, for a run that is taken over. sweep_save_renamed: the result of an equal one, under r's names. */
int sweep_make_folders(const struct sweep *s, struct err *e);
bool sweep_has_files(const struct sweep *s, const struct sweep_run *r);
int sweep_save_weights(const struct sweep *s, const struct sweep_run *r, const struct graph *g,
                       struct err *e);
int sweep_save_renamed(const struct sweep *s, struct sweep_run *r, const json_t *result, struct err *e);

#endif
