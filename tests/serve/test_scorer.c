/* Serving is the training graph cut at the frontier: whatever passes run, whatever the number of threads,
 * scores are the same. */
#include "base/rng.h"
#include "tests/support/models.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct toy toy;

/* Largest |serving - training| over three users, relative to the largest score. */
static double skew(const struct graph *g, const struct scorer_options *o, int threads, size_t n) {
    struct err e = ERR_INIT;
    struct pool *pool;
    struct scorer *s;
    struct serving_data data = toy_serving(&toy);
    uint32_t items[TOY_ITEMS];
    float expect[TOY_ITEMS], got[TOY_ITEMS];
    cr_assert_eq(pool_create(threads, &pool, &e), 0);
    cr_assert_eq(scorer_create(g, &data, o, pool, &s, &e), 0, "%s", e.msg);
    double worst = 0, largest = 0;
    struct rng r = rng_init(5, 5);
    for (uint32_t user = 1; user < TOY_USERS; user += 5) {
        for (size_t i = 0; i < n; i++) items[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
        toy_training_scores(g, &toy, user, items, n, expect);
        cr_assert_eq(scorer_score(s, &(struct request){.user = user, .n = n, .items = items}, got, &e), 0,
                     "%s", e.msg);
        for (size_t i = 0; i < n; i++) {
            worst = fmax(worst, fabs((double)got[i] - (double)expect[i]));
            largest = fmax(largest, fabs((double)expect[i]));
        }
    }
    scorer_free(s);
    pool_free(pool);
    cr_assert_gt(largest, 0.01, "the test's scores must not be trivially equal");
    return worst / largest;
}

Test(scorer, serving_scores_equal_training_scores_for_every_model_and_every_pass) {
    toy_init(&toy);
    toy_variants_are_all();
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        struct graph g;
        toy_model(m->variant, m->options, &g);
        for (int bits = 0; bits < 8; bits++) {
            struct scorer_options o = scorer_defaults();
            o.passes.bn_fold = bits & 1;
            o.passes.split = bits & 2;
            o.passes.table_bytes = bits & 4 ? 1 << 20 : 0;
            o.block = bits & 1 ? 64 : 100;
            double d = skew(&g, &o, 2, 333);
            cr_expect_lt(d, 1e-5, "%s %s passes %d: %g", m->variant, m->options, bits, d);
        }
        graph_release(&g);
    }
}

Test(scorer, any_number_of_candidates_and_threads_gives_the_same_scores) {
    toy_init(&toy);
    struct graph g;
    struct scorer_options o = scorer_defaults();
    toy_model("mlp", "{hidden: [32, 16]}", &g);
    for (int threads = 1; threads <= 3; threads++)
        for (size_t n = 1; n <= 520; n = n * 2 + 1)
            cr_expect_lt(skew(&g, &o, threads, n), 1e-5, "%d threads, %zu candidates", threads, n);
    graph_release(&g);
}

Test(scorer, pair_ids_brought_by_the_request_count_like_live_ones) {
    toy_init(&toy);
    struct graph g;
    struct err e = ERR_INIT;
    struct scorer *s;
    struct scorer_options o = scorer_defaults();
    struct serving_data data = toy_serving(&toy);
    toy_model("mlp", "{hidden: [16]}", &g);
    cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
    uint32_t items[200];
    float live[200], brought[200];
    for (uint32_t i = 0; i < 200; i++) items[i] = i;
    cr_assert_str_eq(scorer_pair_columns(s)[0], "small");
    cr_assert_str_eq(scorer_pair_columns(s)[1], "big");
    cr_assert_null(scorer_pair_columns(s)[2]);
    const uint32_t *ids[] = {toy.pair_small[4], toy.pair_big[4]};
    cr_assert_eq(scorer_score(s, &(struct request){.user = 4, .n = 200, .items = items}, live, &e), 0);
    cr_assert_eq(
        scorer_score(s, &(struct request){.user = 4, .n = 200, .items = items, .pair_ids = ids}, brought, &e),
        0);
    cr_assert_arr_eq(live, brought, sizeof live);
    ids[0] = toy.pair_small[5];
    cr_assert_eq(
        scorer_score(s, &(struct request){.user = 4, .n = 200, .items = items, .pair_ids = ids}, brought, &e),
        0);
    cr_assert_neq(memcmp(live, brought, sizeof live), 0, "other pair ids must give other scores");
    scorer_free(s);
    graph_release(&g);
}

Test(scorer, an_item_that_does_not_exist_is_an_error) {
    toy_init(&toy);
    struct graph g;
    struct err e = ERR_INIT;
    struct scorer *s;
    struct scorer_options o = scorer_defaults();
    struct serving_data data = toy_serving(&toy);
    float score[1];
    toy_model("dssm", "{hidden: [16]}", &g);
    cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0);
    cr_assert_eq(
        scorer_score(s, &(struct request){.user = 1, .n = 1, .items = (uint32_t[]){TOY_ITEMS}}, score, &e),
        ERR_INPUT);
    cr_assert(strstr(e.msg, "item 700"), "%s", e.msg);
    scorer_free(s);
    graph_release(&g);
}

/* The central idea, counted: a two-tower's pair stage is one inner product, and the split moves work off the
 * pair stage. */
Test(scorer, pair_stage_of_a_two_tower_is_one_inner_product) {
    toy_init(&toy);
    struct graph g;
    struct err e = ERR_INIT;
    struct scorer *s;
    struct scorer_options o = scorer_defaults();
    struct serving_data data = toy_serving(&toy);
    toy_model("dssm", "{hidden: [24, 12]}", &g);
    cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0);
    struct scorer_cost c = scorer_cost(s);
    cr_expect_eq(c.item_record_bytes, 12 * sizeof(float));
    cr_expect_float_eq(c.flops_per_candidate, 2 * 12 + 12, 1e-9, "%g", c.flops_per_candidate);
    scorer_free(s);
    graph_release(&g);
}

Test(scorer, splitting_and_tables_take_the_first_layer_off_the_pair_stage) {
    toy_init(&toy);
    struct graph g;
    struct err e = ERR_INIT;
    struct serving_data data = toy_serving(&toy);
    toy_model("mlp", "{dim: 16, hidden: [32]}", &g);
    double flops[3];
    for (int k = 0; k < 3; k++) {
        struct scorer *s;
        struct scorer_options o = {.passes = {.split = k > 0, .table_bytes = k > 1 ? 1 << 20 : 0},
                                   .block = 128};
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
        flops[k] = scorer_cost(s).flops_per_candidate;
        scorer_free(s);
    }
    /* 8 fields x 16 -> 32: unsplit the pair stage multiplies all of it, split only the 2 pair fields, with a
     * table only the big one */
    cr_expect_gt(flops[0] - flops[1], 2 * 32 * 6 * 16 - 32 * 8);
    cr_expect_gt(flops[1] - flops[2], 2 * 32 * 16 - 32 * 8);
    graph_release(&g);
}

Test(top, gives_the_k_best_in_order_with_ties_by_position) {
    struct rng r = rng_init(3, 3);
    for (int round = 0; round < 200; round++) {
        size_t most = round % 20 ? 300 : 1500; /* short lists and long ones are kept in two ways */
        size_t n = 1 + rng_below(&r, most), k = rng_below(&r, most + 20);
        float score[1500];
        uint32_t order[1500];
        for (size_t i = 0; i < n; i++) score[i] = (float)rng_below(&r, round % 4 < 2 ? 5 : 100000);
        size_t got = scorer_top(score, n, k, order);
        cr_assert_eq(got, k < n ? k : n);
        for (size_t i = 0; i < got; i++) { /* rank of a candidate = how many are strictly before it */
            size_t before = 0;
            for (size_t j = 0; j < n; j++)
                before += score[j] > score[order[i]] || (score[j] == score[order[i]] && j < order[i]);
            cr_assert_eq(before, i);
        }
    }
}
