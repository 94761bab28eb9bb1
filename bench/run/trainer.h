/* trainer.h: trains one model: a variant on some features with one seed.
 *
 *     struct train_task t = {.ds = &ds, .variant = v, .options = o, .features = &f, .train = &train, .seed =
 * 1, .pool = pool}; struct trained m; rc = trainer_run(&t, &m, e);                ERR_DIVERGED: a loss or a
 * score was NaN or infinite; e says where trained_release(&m);                        also after a failure
 *
 * Each epoch goes through the training rows in another order (a permutation that depends on seed and epoch).
 * The validation split is scored before training (epoch 0) and after each epoch; the weights of the best
 * epoch from 1 on are kept, and only the validation split decides which that is. Without validation rows, or
 * when the monitored metric does not exist there, training runs all epochs and the last weights are kept;
 * `note` says so. Likewise with `monitor: none`, without a note. Nothing depends on the number of threads but the times.
 */
#ifndef PRERANK_BENCH_TRAINER_H
#define PRERANK_BENCH_TRAINER_H
#include "bench/run/evaluate.h"
#include "bench/run/experiment.h"
#include "bench/run/teacher.h"
#include "data/dataset.h"

struct train_task {
    const struct dataset *ds;
    const struct variant *variant;
    const void *options;
    const struct features *features;
    const struct train_options *train;
    const struct objective *objective; /* NULL: bce */
    const struct teacher *teacher;     /* what objective->distill learns from; else NULL */
    uint64_t seed;
    struct pool *pool;
    /* May be NULL. `rows` of training were seen so far; note: a few words, or NULL. */
    void (*progress)(void *ctx, uint64_t rows, const char *note);
    void *progress_ctx;
};

struct epoch {
    int64_t epoch, step;
    double learning_rate, loss; /* of the last step; mean over the epoch's rows. NaN for epoch 0 */
    struct quality valid;       /* quick; NaN without a validation split */
    double seconds;             /* of training so far, evaluation excluded */
};

struct trained {
    struct graph graph; /* with the weights that were kept */
    uint64_t params;
    int64_t epochs, best_epoch; /* run; kept */
    uint64_t rows;              /* trained on, each epoch's counted */
    double seconds;             /* of training, evaluation excluded */
    size_t n_epochs;            /* entries of `epoch` */
    struct epoch *epoch;
    struct quality quality[SPLIT_COUNT]; /* validation and test; rows 0 where the split is empty */
    float *test_score;                   /* logits of the test split, in its order */
    char note[512];
};
uint64_t trainer_rows(const struct dataset *ds, const struct train_options *t); /* of one epoch */
int trainer_run(const struct train_task *t, struct trained *out, struct err *e);
void trained_release(struct trained *m);

#endif
