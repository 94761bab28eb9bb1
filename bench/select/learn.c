#include "bench/select/learn.h"

static void on_progress(void *ctx, uint64_t rows, const char *note) {
    const struct rank_task *t = ctx;
    (void)rows;
    if (t->progress && note) t->progress(t->progress_ctx, note);
}

int learn_with(const struct rank_task *t, const struct train_options *train, const struct variant *v,
               const void *options, const struct features *f, struct trained *out, struct err *e) {
    union {
        const struct rank_task *in;
        void *out;
    } ctx = {.in = t};
    const struct train_task task = {.ds = t->ds,
                                    .variant = v,
                                    .options = options,
                                    .features = f,
                                    .train = train,
                                    .objective = t->objective,
                                    .teacher = t->teacher,
                                    .seed = t->seed,
                                    .pool = t->pool,
                                    .progress = on_progress,
                                    .progress_ctx = ctx.out};
    int rc = trainer_run(&task, out, e);
    if (rc != ERR_DIVERGED) return rc;
    if (e) e->code = ERR_INPUT;
    return ERR_INPUT;
}

int learn(const struct rank_task *t, const struct variant *v, const void *options, const struct features *f,
          struct trained *out, struct err *e) {
    return learn_with(t, &t->variant->train, v, options, f, out, e);
}

int learn_to_the_end(const struct rank_task *t, const struct variant *v, const void *options,
                     const struct features *f, struct trained *out, struct err *e) {
    struct train_options train = t->variant->train;
    train.eval_every = train.epochs; /* the last epoch is the only one that is evaluated, so the best */
    return learn_with(t, &train, v, options, f, out, e);
}
