/* The fused engine gives the scores of the pair program run op by op: exactly as far as floats go in fp32, within what
 * rounding costs below, on every level of instructions that this processor has. */
#include "base/rng.h"
#include "nn/op.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct toy toy;
static struct serving_data data;
static struct err e;

enum { SAMPLE = 6000 };
static struct { uint32_t user[SAMPLE], item[SAMPLE], small[SAMPLE], big[SAMPLE]; } rows;
static const char *const names[] = {"big", "small"};
static const uint32_t *const columns[] = {rows.big, rows.small};
static const struct scorer_sample sample = {SAMPLE, rows.user, rows.item, 2, names, columns};

static void init(void) {
    struct rng r = rng_init(8, 1);
    toy_init(&toy);
    data = toy_serving(&toy);
    for (size_t i = 0; i < SAMPLE; i++) {
        rows.user[i] = (uint32_t)rng_below(&r, TOY_USERS);
        rows.item[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
        rows.small[i] = toy.pair_small[rows.user[i]][rows.item[i]];
        rows.big[i] = toy.pair_big[rows.user[i]][rows.item[i]];
    }
}
TestSuite(scorer_fused, .init = init);

static struct scorer_options options(enum precision p, enum isa isa) {
    struct scorer_options o = scorer_defaults();
    o.passes.table_bytes = 64 << 20;
    o.precision = p;
    o.isa = isa;
    o.sample = &sample;
    return o;
}

/* Scores of users 1 and 6 for the same n items; out[2 * n]. */
static void scores(const struct graph *g, const struct scorer_options *o, int threads, size_t n, float *out) {
    struct pool *pool;
    struct scorer *s;
    uint32_t items[2000];
    struct rng r = rng_init(5, 5);
    for (size_t i = 0; i < n; i++) items[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
    cr_assert_eq(pool_create(threads, &pool, &e), 0);
    cr_assert_eq(scorer_create(g, &data, o, pool, &s, &e), 0, "%s", e.msg);
    for (uint32_t k = 0; k < 2; k++)
        cr_assert_eq(
            scorer_score(s, &(struct request){.user = 1 + 5 * k, .n = n, .items = items}, out + k * n, &e), 0,
            "%s", e.msg);
    scorer_free(s);
    pool_free(pool);
}

/* Largest difference, relative to the largest score. */
static double apart(const float *x, const float *y, size_t n) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
        largest = fmax(largest, fabs((double)y[i]));
    }
    cr_assert_gt(largest, 0.01, "the test's scores must not be trivially equal");
    return worst / largest;
}

static const struct {
    const char *variant, *options;
} models[] = {
    {"mlp", "{dim: 8, hidden: [32, 16]}"},
    {"mlp", "{dim: 5, hidden: [7]}"},
    {"mlp", "{dim: 4, hidden: [3, 2]}"},
    {"mlp", "{dim: 4, hidden: [33, 17, 5]}"},
    {"mlp", "{dim: 4, hidden: [65, 128, 31, 64]}"},
    {"mlp", "{dim: 8, hidden: [48, 100], batch_norm: true, dropout: 0.2}"},
    {"cold", "{dim: 8, hidden: [24, 40], linear_log: true}"},
    {"cold", "{dim: 8, hidden: [40, 24], batch_norm: true}"},
    {"dssm", "{dim: 8, hidden: [24, 12]}"},
    {"dssm", "{dim: 8, hidden: [24, 32]}"},
    {"dssm", "{dim: 8, hidden: [24, 48], normalize: true, temperature: 0.1}"},
    {"dssm", "{dim: 8, hidden: [24, 100], normalize: true, temperature: 0.05}"},
    {"parallel", "{dim: 8, hidden: [24], d: 12}"},
    {"dat", "{dim: 8, hidden: [24, 12]}"},
};
#define EACH_MODEL(m) for (size_t m = 0; m < sizeof models / sizeof *models; m++)

static void op_by_op(const struct graph *g, size_t n, float *out) {
    struct scorer_options o = options(PRECISION_FP32, ISA_BEST);
    o.fuse = false;
    scores(g, &o, 1, n, out);
}

/* Other activations than the variants use, on the layers of the graph they built. */
static void set_acts(struct graph *g, enum act act) {
    for (int i = 0; i < g->n_nodes; i++)
        if (!strcmp(g->node[i]->op->name, "linear") && g->node[i]->attr_i[0] == ACT_RELU)
            g->node[i]->attr_i[0] = (int)act;
}

Test(scorer_fused, fp32_equals_the_pair_program_op_by_op) {
    static float expect[1200], got[1200];
    EACH_MODEL(m) {
        struct graph g;
        toy_model(models[m].variant, models[m].options, &g);
        op_by_op(&g, 600, expect);
        for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++)
            for (size_t block = 0; block < 200; block = block * 3 + 13) {
                struct scorer_options o = options(PRECISION_FP32, isa);
                o.block = block;
                scores(&g, &o, 2, 600, got);
                double d = apart(got, expect, 1200);
                cr_expect_lt(d, 1e-5, "%s, %s, block %zu: %g", models[m].options, isa_names[isa], block, d);
            }
        graph_release(&g);
    }
}

/* Of both users' scores by one scorer. */
static double skipped(const struct graph *g, const struct scorer_options *o, float *out) {
    struct scorer *s;
    uint32_t items[600];
    struct rng r = rng_init(5, 5);
    for (size_t i = 0; i < 600; i++) items[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
    cr_assert_eq(scorer_create(g, &data, o, NULL, &s, &e), 0, "%s", e.msg);
    cr_expect_eq(scorer_cost(s).flops_skipped, 0, "nothing is scored yet");
    cr_assert_eq(scorer_score(s, &(struct request){.user = 1, .n = 600, .items = items}, out, &e), 0);
    struct scorer_cost c = scorer_cost(s);
    cr_expect_leq(c.flops_skipped, c.flops_per_candidate);
    scorer_free(s);
    return c.flops_skipped;
}

Test(scorer_fused, activations_that_are_0_are_skipped_behind_a_relu_alone_and_the_scores_stay_the_same) {
    static float all[600], some[600];
    static const enum act acts[] = {ACT_RELU, ACT_SIGMOID};
    EACH_MODEL(m) for (size_t a = 0; a < 2; a++) {
        struct graph g;
        if (a && strstr(models[m].options, "batch_norm")) continue; /* its relu is a node of its own */
        toy_model(models[m].variant, models[m].options, &g);
        set_acts(&g, acts[a]);
        for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8; p++)
            for (enum isa isa = ISA_AVX2; isa <= isa_best(); isa++) {
                struct scorer_options o = options(p, isa);
                double some_flops = skipped(&g, &o, some);
                o.skip_zeros = false;
                cr_expect_eq(skipped(&g, &o, all), 0);
                cr_assert_arr_eq(some, all, sizeof all, "%s, %s, %s: other scores", models[m].options,
                                 precision_names[p], isa_names[isa]);
                if (isa < ISA_AVX512 || p == PRECISION_INT8 || acts[a] != ACT_RELU)
                    cr_expect_eq(some_flops, 0, "%s, %s", precision_names[p], isa_names[isa]);
                else if (p == PRECISION_FP32 && m == 4) /* wide layers */
                    cr_expect_gt(some_flops, 0, "%s", isa_names[isa]);
            }
        graph_release(&g);
    }
}

/* By hand: the second layer's FLOPs times the share of zeros that the first layer's units have. */
Test(scorer_fused, what_is_skipped_is_counted) {
    struct graph g;
    static float out[600];
    toy_model("mlp", "{dim: 4, hidden: [64, 128]}", &g);
    int bias = graph_find_param(&g, "mlp.0.bias");
    cr_assert_geq(bias, 0);
    for (size_t k = 0; k < 64; k++) g.param[bias]->value[k] = k % 4 ? -1000 : 1000; /* 16 of 64 are there */
    const struct scorer_options o = options(PRECISION_FP32, ISA_BEST);
    double flops = skipped(&g, &o, out);
    if (isa_best() < ISA_AVX512) cr_skip_test("no level of this processor skips zeros");
    cr_expect_eq(flops, 2.0 * 48 * 128);
    graph_release(&g);
}

Test(scorer_fused, any_number_of_candidates_and_threads_gives_the_same_scores_to_the_bit) {
    static const size_t counts[] = {1, 2, 13, 14, 15, 55, 56, 57, 63, 64, 65, 128, 129, 700, 1500};
    static float whole[3000], got[3000];
    struct graph g;
    toy_model("mlp", "{hidden: [48, 33, 16]}", &g);
    for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8; p++) {
        struct scorer_options o = options(p, ISA_BEST);
        scores(&g, &o, 1, 1500, whole);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            for (int threads = 1; threads <= 3; threads++) {
                size_t n = counts[k];
                scores(&g, &o, threads, n, got);
                cr_expect_arr_eq(got, whole, n * sizeof *got, "%s, %zu candidates, %d threads",
                                 precision_names[p], n, threads);
                cr_expect_arr_eq(got + n, whole + 1500, n * sizeof *got);
            }
    }
    graph_release(&g);
}

Test(scorer_fused, two_towers_give_the_same_scores_to_the_bit_for_any_number_of_candidates_and_threads) {
    static const size_t counts[] = {1, 15, 16, 17, 255, 256, 257, 700, 1500};
    static float whole[3000], got[3000];
    struct graph g;
    toy_model("dssm", "{hidden: [24, 32]}", &g);
    for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++) {
        struct scorer_options o = options(PRECISION_FP32, isa);
        scores(&g, &o, 1, 1500, whole);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            for (int threads = 1; threads <= 3; threads++) {
                scores(&g, &o, threads, counts[k], got);
                cr_expect_arr_eq(got, whole, counts[k] * sizeof *got, "%zu candidates, %d threads", counts[k],
                                 threads);
                cr_expect_arr_eq(got + counts[k], whole + 1500, counts[k] * sizeof *got);
            }
    }
    graph_release(&g);
}

Test(scorer_fused, every_activation_in_every_precision) {
    /* sigmoids are alike, so that much of the score cancels: more than in the next test */
    static const double most[] = {1e-5, 0.1, 0.02, 0.15};
    static float expect[600], got[600];
    for (enum act act = ACT_NONE; act <= ACT_LINEAR_LOG; act++) {
        struct graph g;
        toy_model("mlp", "{dim: 8, hidden: [40, 24, 18]}", &g);
        set_acts(&g, act);
        op_by_op(&g, 300, expect);
        for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8; p++)
            for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++) {
                struct scorer_options o = options(p, isa);
                scores(&g, &o, 1, 300, got);
                double d = apart(got, expect, 600);
                cr_expect_lt(d, most[p], "activation %d, %s, %s: %g", (int)act, precision_names[p],
                             isa_names[isa], d);
            }
        graph_release(&g);
    }
}

/* One rounding is 2^-9 of a value in bf16, 2^-12 in fp16, 1/508 of the largest in int8; some layers and sums of them. */
Test(scorer_fused, lower_precisions_stay_within_their_rounding_and_do_round) {
    static const double most[] = {0, 0.03, 0.003, 0.12}, least[] = {0, 1e-4, 1e-5, 1e-3};
    static float expect[1200], got[1200];
    EACH_MODEL(m) {
        struct graph g;
        toy_model(models[m].variant, models[m].options, &g);
        op_by_op(&g, 600, expect);
        for (enum precision p = PRECISION_BF16; p <= PRECISION_INT8; p++)
            for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++) {
                struct scorer_options o = options(p, isa);
                scores(&g, &o, 2, 600, got);
                double d = apart(got, expect, 1200);
                cr_expect_lt(d, most[p], "%s, %s, %s: %g", models[m].options, precision_names[p],
                             isa_names[isa], d);
                cr_expect_gt(d, least[p], "%s, %s, %s: nothing was rounded", models[m].options,
                             precision_names[p], isa_names[isa]);
            }
        graph_release(&g);
    }
}

/* Pair fields that are no tables are multiplied for each candidate: all of them, or the big one. A product rounds once more
 * than a table of products does. */
Test(scorer_fused, pair_fields_without_tables_keep_to_the_same_bounds_in_every_precision) {
    static const double most[] = {1e-5, 0.03, 0.003, 0.12}, least[] = {0, 1e-4, 1e-5, 1e-3};
    static const size_t limits[] = {0, 2 << 10};
    static float expect[1200], got[1200], tables[1200];
    EACH_MODEL(m) {
        struct graph g;
        toy_model(models[m].variant, models[m].options, &g);
        op_by_op(&g, 600, expect);
        bool two_tower = variant_find(models[m].variant)->two_tower;
        for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8 && !two_tower; p++) {
            struct scorer_options o = options(p, ISA_BEST);
            scores(&g, &o, 2, 600, tables);
            for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++)
                for (size_t k = 0; k < 2; k++) {
                    o.isa = isa;
                    o.passes.table_bytes = limits[k];
                    scores(&g, &o, 2, 600, got);
                    double d = apart(got, expect, 1200);
                    cr_expect(d < most[p] && d >= least[p], "%s, %s, %s, tables of %zu bytes: %g",
                              models[m].options, precision_names[p], isa_names[isa], limits[k], d);
                    cr_expect_neq(memcmp(got, tables, sizeof got), 0, "the tables are still there");
                }
        }
        graph_release(&g);
    }
}

Test(scorer_fused, without_tables_any_number_of_candidates_and_threads_gives_the_same_scores_to_the_bit) {
    static const size_t counts[] = {1, 13, 15, 55, 57, 64, 65, 129, 700};
    static float whole[3000], got[3000];
    struct graph g;
    toy_model("cold", "{dim: 7, hidden: [48, 33, 16], linear_log: true}", &g);
    for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8; p++) {
        struct scorer_options o = options(p, ISA_BEST);
        o.tables = TABLES_NONE;
        scores(&g, &o, 1, 1500, whole);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            for (int threads = 1; threads <= 2; threads++) {
                scores(&g, &o, threads, counts[k], got);
                cr_expect_arr_eq(got, whole, counts[k] * sizeof *got, "%s, %zu candidates, %d threads",
                                 precision_names[p], counts[k], threads);
            }
    }
    graph_release(&g);
}

Test(scorer_fused, instructions_change_int8_scores_by_no_more_than_a_float_rounding) {
    static float expect[1200], got[1200];
    struct graph g;
    toy_model("mlp", "{dim: 8, hidden: [64, 48, 32]}", &g);
    struct scorer_options o = options(PRECISION_INT8, ISA_PORTABLE);
    scores(&g, &o, 1, 600, expect);
    for (enum isa isa = ISA_AVX2; isa <= isa_best(); isa++) {
        size_t other = 0;
        o.isa = isa;
        scores(&g, &o, 1, 600, got);
        for (size_t i = 0; i < 1200; i++) other += fabsf(got[i] - expect[i]) > 1e-4f * (1 + fabsf(expect[i]));
        /* a sum half way between two bytes may go to the other one when its last bit differs */
        cr_expect_leq(other, 12, "%s: %zu of 1200 scores differ", isa_names[isa], other);
    }
    graph_release(&g);
}

Test(scorer_fused, int8_is_the_same_every_time_and_depends_on_the_sample) {
    static float first[200], again[200];
    static const struct scorer_sample small = {1, rows.user, rows.item, 2, names, columns};
    struct graph g;
    toy_model("mlp", "{dim: 8, hidden: [32, 16]}", &g);
    struct scorer_options o = options(PRECISION_INT8, ISA_BEST);
    scores(&g, &o, 1, 100, first);
    scores(&g, &o, 2, 100, again);
    cr_expect_arr_eq(first, again, sizeof first);
    o.sample = &small;
    scores(&g, &o, 1, 100, again);
    cr_expect_neq(memcmp(first, again, sizeof first), 0);
    graph_release(&g);
}

static void refused(const char *variant, const char *text, const struct scorer_options *o, const char *why) {
    struct graph g;
    struct scorer *s;
    toy_model(variant, text, &g);
    cr_assert_eq(scorer_create(&g, &data, o, NULL, &s, &e), ERR_INPUT, "%s in %s", variant,
                 precision_names[o->precision]);
    cr_expect(strstr(e.msg, why), "%s: %s", variant, e.msg);
    graph_release(&g);
}

Test(scorer_fused, int8_wants_a_sample_with_the_models_columns) {
    static const struct scorer_sample less = {SAMPLE, rows.user, rows.item, 1, names, columns};
    struct scorer_options o = options(PRECISION_INT8, ISA_BEST);
    o.sample = NULL;
    refused("mlp", "{hidden: [16, 8]}", &o, "sample");
    o.sample = &less;
    refused("mlp", "{hidden: [16, 8]}", &o, "no column `small`");
    o.sample = &sample;
    rows.item[7] = TOY_ITEMS;
    refused("mlp", "{hidden: [16, 8]}", &o, "row 7 of the sample is item 700");
}

Test(scorer_fused, a_record_takes_half_and_a_quarter_of_the_bytes) {
    struct graph g;
    toy_model("mlp", "{dim: 8, hidden: [128, 16]}", &g);
    const size_t bytes[] = {512, 256, 256, 128};
    for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8; p++) {
        struct scorer *s;
        struct scorer_options o = options(p, ISA_BEST);
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
        struct scorer_cost c = scorer_cost(s);
        cr_expect_eq(c.item_record_bytes, bytes[p]);
        cr_expect_eq(c.item_store_bytes, bytes[p] * TOY_ITEMS);
        cr_expect_float_eq(c.bytes_per_candidate, 3 * ((double)bytes[p] + 4), 1e-9, "%g",
                           c.bytes_per_candidate);
        scorer_free(s);
    }
    graph_release(&g);
}

static float score_of(struct scorer *s, uint32_t user) {
    float score;
    cr_assert_eq(
        scorer_score(s, &(struct request){.user = user, .n = 1, .items = (uint32_t[]){5}}, &score, &e), 0);
    return score;
}

Test(scorer_fused, a_user_that_comes_again_is_not_computed_again_and_scores_the_same) {
    static const char *const variants[] = {"mlp", "dcn", "dssm"}; /* fused, and op by op */
    for (int v = 0; v < 3; v++) {
        struct graph g;
        struct scorer *plain, *cached;
        struct scorer_options o = options(PRECISION_FP32, ISA_BEST);
        toy_model(variants[v], "{dim: 8, hidden: [24, 12]}", &g);
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &plain, &e), 0, "%s", e.msg);
        o.user_cache = 3;
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &cached, &e), 0, "%s", e.msg);
        static const uint32_t users[] = {1, 2, 3, 1, 4, 1, 2, 4, 4}; /* 4 drives out 2, 2 drives out 3 */
        static const uint64_t hits[] = {0, 0, 0, 1, 1, 2, 2, 3, 4};
        for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
            cr_expect_eq(score_of(cached, users[i]), score_of(plain, users[i]), "%s", variants[v]);
            cr_expect_eq(scorer_user_hits(cached), hits[i], "request %zu: %llu hits", i,
                         (unsigned long long)scorer_user_hits(cached));
        }
        cr_expect_eq(scorer_user_hits(plain), 0);
        scorer_free(plain);
        scorer_free(cached);
        graph_release(&g);
    }
}
