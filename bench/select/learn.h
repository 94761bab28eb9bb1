/* learn.h: a training run of a selector's own: the variant's training options and losses, the task's seed, data and
 * teacher, another graph.
 *
 *     struct trained m;
 *     int rc = learn(t, &variant_gated, &options, t->features, &m, e);
 *     ... m.graph ...
 *     trained_release(&m);                                     also after a failure
 */
#ifndef PRERANK_BENCH_LEARN_H
#define PRERANK_BENCH_LEARN_H
#include "bench/run/trainer.h"
#include "bench/select/select.h"

/* A loss that diverges is ERR_INPUT here: without it there is no rank. */
int learn(const struct rank_task *t, const struct variant *v, const void *options, const struct features *f,
          struct trained *out, struct err *e);
int learn_with(const struct rank_task *t, const struct train_options *train, const struct variant *v,
               const void *options, const struct features *f, struct trained *out, struct err *e);

/* All epochs, and the last one's weights: for what a price shapes slowly (gates, group lasso). The epoch that scores best on
 * validation is mostly an early one, when the price has not yet told. */
int learn_to_the_end(const struct rank_task *t, const struct variant *v, const void *options,
                     const struct features *f, struct trained *out, struct err *e);

#endif
