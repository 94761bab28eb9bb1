/* permutation: how much validation GAUC the model of all fields loses when a field's values are dealt to other rows
 * (Breiman 2001; mean of some shuffles). */
#include "base/mem.h"
#include "bench/run/experiment.h"
#include "bench/select/passage.h"
#include "bench/select/select.h"
#include "nn/checkpoint.h"
#include <inttypes.h>
#include <string.h>

struct permutation_options {
    int64_t shuffles;
};
static const struct opt opts[] = {
    OPT_INT(struct permutation_options, shuffles, "5", 1, 1000, "the drop is the mean over so many shuffles"),
    OPT_END};

static int drop(struct passage *p, const struct rank_task *t, int field, double base, float *score,
                double *out, struct err *e) {
    const struct permutation_options *o = t->options;
    const char *name = t->features->feature[field].name;
    int column = graph_column_index(p->g, name);
    double sum = 0;
    if (column < 0) { /* the model does not read it */
        *out = 0;
        return 0;
    }
    for (int64_t k = 0; k < o->shuffles; k++) {
        char text[NN_NAME_MAX + 40];
        double q;
        snprintf(text, sizeof text, "permutation %s %" PRId64, name, k);
        struct shuffle order = shuffle_init(p->n, rng_hash(t->seed ^ rng_stream(text)));
        TRY(passage_score(p, &order, column, score, e));
        TRY(passage_quality(p, score, t->variant->train.gauc_weight, &q, e));
        sum += base - q;
    }
    *out = sum / (double)o->shuffles;
    if (t->progress) t->progress(t->progress_ctx, name);
    return 0;
}

static int rank_graph(const struct rank_task *t, const struct graph *g, double *importance, struct err *e) {
    const struct train_options *train = &t->variant->train;
    struct passage p;
    double base;
    TRY(passage_open(t->ds, g, (size_t)train->batch, (size_t)train->slice, t->pool, &p, e));
    float *score = mem_alloc(p.n * sizeof *score);
    int rc = score ? passage_score(&p, NULL, -1, score, e) : err_nomem(e, p.n * sizeof *score);
    if (!rc) rc = passage_quality(&p, score, train->gauc_weight, &base, e);
    for (int i = 0; i < t->features->n && !rc; i++) rc = drop(&p, t, i, base, score, &importance[i], e);
    mem_free(score);
    passage_close(&p);
    return rc;
}

static int rank(const struct rank_task *t, double *importance, struct err *e) {
    struct graph g;
    graph_init(&g);
    int rc = variant_build(t->variant->variant, t->variant->options, t->features, &g, e);
    if (!rc) rc = graph_alloc_params(&g, t->seed, e);
    if (!rc) rc = checkpoint_load(&g, t->weights, e);
    if (!rc) rc = rank_graph(t, &g, importance, e);
    graph_release(&g);
    return rc;
}

const struct selector selector_permutation = {
    .name = "permutation",
    .help = "loss of validation GAUC when the field's values are shuffled",
    .opts = opts,
    .options_bytes = sizeof(struct permutation_options),
    .needs_model = true,
    .rank = rank};
