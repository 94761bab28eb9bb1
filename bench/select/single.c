/* single: validation AUC of a model of that field alone: its embedding, one weight a dimension, a bias. */
#include "bench/select/learn.h"
#include <math.h>

static const struct opt opts[] = {OPT_END};

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct model_options *o = options;
    int n, x = parts_embed(g, f, take_all, (int)o->dim, &n);
    (void)e;
    g->output = nn_linear(g, x, 1, ACT_NONE, "single");
    return 0;
}
static const struct variant variant_single = {.name = "single",
                                              .help = "one field alone",
                                              .opts = opts,
                                              .options_bytes = sizeof(struct model_options),
                                              .build = build};

static int rank(const struct rank_task *t, double *importance, struct err *e) {
    struct train_options train = t->variant->train;
    struct objective objective = *t->objective;
    struct rank_task task = *t;
    objective.distill.feature = 0; /* there is no hidden layer */
    task.objective = &objective;
    train.monitor = MONITOR_AUC; /* a user's own field has no GAUC: it is the same in all the user's rows */
    for (int i = 0; i < t->features->n; i++) {
        struct trained m;
        const struct features one = {.n = 1, .feature = &t->features->feature[i]};
        int rc = learn_with(&task, &train, &variant_single, t->variant->options, &one, &m, e);
        double auc = m.quality[SPLIT_VALID].auc;
        trained_release(&m);
        if (rc) return rc;
        importance[i] = isnan(auc) ? 0.5 : auc;
        if (t->progress) t->progress(t->progress_ctx, one.feature->name);
    }
    return 0;
}

const struct selector selector_single = {.name = "single",
                                         .help = "validation AUC of a model of that field alone",
                                         .opts = opts,
                                         .lone_fields = true,
                                         .rank = rank};
