/* From features to scores: a variant learns a tiny set by heart, and what is saved scores the same when it is loaded. */
#include "base/rng.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"
#include "tests/nn/batch.h"
#include "variants/variant.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 32 };

static const struct feature feature[] = {
    {.name = "user_id", .side = SIDE_USER, .type = VALUE_ID, .vocab = 9, .mean_length = 1},
    {.name = "age", .side = SIDE_USER, .type = VALUE_NUMBER, .mean_length = 1},
    {.name = "item_id", .side = SIDE_ITEM, .type = VALUE_ID, .vocab = ROWS, .mean_length = 1},
    {.name = "genres", .side = SIDE_ITEM, .type = VALUE_BAG, .vocab = 6, .mean_length = 2},
};
static const struct features features = {sizeof feature / sizeof *feature, feature};

static void build(struct graph *g, const char *variant, const char *options, uint64_t seed) {
    const struct variant *v = variant_find(variant);
    struct arena a = ARENA_INIT;
    struct conf *conf;
    struct err e = ERR_INIT;
    cr_assert_not_null(v);
    void *o = arena_alloc(&a, v->options_bytes);
    opt_defaults(v->opts, o);
    cr_assert_eq(conf_parse("options", options, strlen(options), &a, &conf, &e), 0, "%s", e.msg);
    cr_assert_eq(opt_read(v->opts, o, conf, variant, &e), 0, "%s", e.msg);
    graph_init(g);
    cr_assert_eq(variant_build(v, o, &features, g, &e), 0, "%s", e.msg);
    cr_assert_eq(graph_alloc_params(g, seed, &e), 0, "%s", e.msg);
    arena_release(&a);
}

/* Every row has an item of its own, so that any labels can be learnt. */
static void make_batch(struct batch *b, const struct graph *g) {
    static float label[ROWS];
    static uint32_t item[ROWS];
    struct rng r = rng_init(1, 2);
    batch_random(b, g, ROWS, 3);
    for (uint32_t i = 0; i < ROWS; i++) {
        label[i] = rng_uniform(&r) < 0.5;
        item[i] = i;
    }
    b->column[graph_column_index(g, "label")].number = label;
    b->column[graph_column_index(g, "item_id")].ids = item;
    batch_cut(b, 12);
}

static double logloss(const struct batch *b, const struct graph *g, const float *score) {
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++) {
        double z = (double)score[i], y = (double)b->column[graph_column_index(g, "label")].number[i];
        sum += log1p(exp(-fabs(z))) + fmax(z, 0) - z * y;
    }
    return sum / ROWS;
}

static double train(struct graph *g, struct exec *x, const struct batch *b) {
    struct optim_options o;
    struct optim *optim;
    struct err e = ERR_INIT;
    double loss = 0, first = 0;
    opt_defaults(optim_opts, &o);
    cr_assert_eq(optim_create(g, x, &o, NULL, &optim, &e), 0, "%s", e.msg);
    for (uint64_t step = 0; step < 400; step++) {
        loss = exec_train(x, b->slice, b->n_slices, step);
        if (!step) first = loss;
        optim_step(optim, 0.02);
    }
    cr_assert_gt(first, 0.5, "an untrained model knows nothing: %g", first);
    optim_free(optim);
    return loss;
}

static void expect_overfit(const char *variant, const char *options) {
    struct graph g, loaded;
    struct batch b;
    struct err e = ERR_INIT;
    float score[ROWS], again[ROWS];
    char path[] = "/tmp/prerank-test-XXXXXX";
    build(&g, variant, options, 1);
    make_batch(&b, &g);
    struct exec *x = exec_for(&g, ROWS, 12, NULL);
    double loss = train(&g, x, &b);
    cr_expect_lt(loss, 0.05, "%s %s: loss %g", variant, options, loss);
    exec_score(x, b.slice, b.n_slices, score);
    cr_expect_lt(logloss(&b, &g, score), 0.05, "%s %s: scored %g", variant, options, logloss(&b, &g, score));

    build(&loaded, variant, options, 2);
    cr_assert_geq(mkstemp(path), 0);
    cr_assert_eq(checkpoint_save(&g, path, NULL, &e), 0, "%s", e.msg);
    cr_assert_eq(checkpoint_load(&loaded, path, &e), 0, "%s", e.msg);
    remove(path);
    struct exec *y = exec_for(&loaded, ROWS, 12, NULL);
    exec_score(y, b.slice, b.n_slices, again);
    cr_expect_eq(memcmp(score, again, sizeof score), 0, "%s %s: other scores after loading", variant,
                 options);
    exec_free(x);
    exec_free(y);
    batch_release(&b);
    graph_release(&g);
    graph_release(&loaded);
}

Test(overfit, dssm) {
    expect_overfit("dssm", "{dim: 8, hidden: [16, 8]}");
    expect_overfit("dssm", "{dim: 8, hidden: [16, 8], batch_norm: true}");
    expect_overfit("dssm", "{dim: 8, hidden: [16, 8], normalize: true, temperature: 0.1}");
}
Test(overfit, mlp) {
    expect_overfit("mlp", "{dim: 8, hidden: [16, 8]}");
    expect_overfit("mlp", "{dim: 8, hidden: [16, 8], batch_norm: true, batch_norm_uniform: true}");
}
