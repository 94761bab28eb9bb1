/* random: the control. What another selector finds must beat this. */
#include "base/rng.h"
#include "bench/select/select.h"

static const struct opt opts[] = {OPT_END};

static int rank(const struct rank_task *t, double *importance, struct err *e) {
    (void)e;
    for (int i = 0; i < t->features->n; i++) {
        struct rng r = rng_init(t->seed, rng_stream(t->features->feature[i].name));
        importance[i] = rng_uniform(&r);
    }
    return 0;
}

const struct selector selector_random = {
    .name = "random", .help = "a draw: the control that the others must beat", .opts = opts, .rank = rank};
