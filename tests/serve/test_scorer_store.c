/* Serving through a store gives the training graph's scores; a missing item comes last and is counted; a
 * store of another model is refused. */
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/support/models.h"
#include "tests/support/redis.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct toy toy;
static struct redis_server server = {.pid = -1};
static char dir[64];

static void setup(void) {
    toy_init(&toy);
    strcpy(dir, "/tmp/prerank-scorer-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void) {
    redis_stop(&server);
    file_remove_tree(dir, NULL);
}

TestSuite(scorer_store, .init = setup, .fini = teardown);

static struct scorer_options options(int kind, size_t block) {
    struct scorer_options o = scorer_defaults();
    o.block = block;
    o.store.kind = kind;
    snprintf(o.store.path, sizeof o.store.path, "%s", dir);
    snprintf(o.store.server, sizeof o.store.server, "%s", server.address);
    return o;
}

static int n_kinds(void) {
    if (redis_start(&server, 0)) return STORE_REDIS + 1;
    fprintf(stderr, "redis is not tested: redis-server is not installed\n");
    return STORE_REDIS;
}

/* Largest difference from the training graph's scores, relative to the largest of them. */
static double skew(struct scorer *s, const struct graph *g, size_t n) {
    struct err e = ERR_INIT;
    uint32_t items[TOY_ITEMS];
    float expect[TOY_ITEMS], got[TOY_ITEMS];
    double worst = 0, largest = 0;
    struct rng r = rng_init(5, 5);
    for (uint32_t user = 1; user < TOY_USERS; user += 5) {
        for (size_t i = 0; i < n; i++) items[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
        toy_training_scores(g, &toy, user, items, n, expect);
        struct request q = {.user = user, .n = n, .items = items};
        cr_assert_eq(scorer_score(s, &q, got, &e), 0, "%s", e.msg);
        cr_assert_eq(scorer_missing(s), 0);
        for (size_t i = 0; i < n; i++) {
            worst = fmax(worst, fabs((double)got[i] - (double)expect[i]));
            largest = fmax(largest, fabs((double)expect[i]));
        }
    }
    cr_assert_gt(largest, 0.01, "the test's scores must not be trivially equal");
    return worst / largest;
}

Test(scorer_store, serving_scores_equal_training_scores_through_every_store) {
    struct err e = ERR_INIT;
    struct serving_data data = toy_serving(&toy);
    struct pool *pool;
    cr_assert_eq(pool_create(2, &pool, &e), 0);
    int kinds = n_kinds();
    toy_variants_are_all();
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        struct graph g;
        toy_model(m->variant, m->options, &g);
        for (int kind = 0; kind < kinds; kind++)
            for (int attach = 0; attach < (kind == STORE_MEMORY ? 1 : 2); attach++) {
                struct scorer_options o = options(kind, attach ? 128 : 50);
                struct scorer *s;
                o.attach = attach;
                cr_assert_eq(scorer_create(&g, &data, &o, attach ? NULL : pool, &s, &e), 0, "%s", e.msg);
                for (size_t n = 1; n < 700; n = n * 6 + 1) {
                    double d = skew(s, &g, n);
                    cr_expect_lt(d, 1e-5, "%s %s, store %d, %zu candidates: %g", m->variant, m->options, kind,
                                 n, d);
                }
                scorer_free(s);
            }
        graph_release(&g);
    }
    pool_free(pool);
}

/* A store with the records of every item of `from` but those divisible by 3. */
static void thin_out(const struct scorer_options *o, const char *version, size_t bytes) {
    struct err e = ERR_INIT;
    struct store_header h = {.bytes = bytes, .n_items = TOY_ITEMS};
    struct store *from, *to;
    struct store_options thin = o->store;
    char *record = calloc(bytes, 1);
    bool found;
    size_t missing = 0;
    snprintf(h.version, sizeof h.version, "%s", version);
    snprintf(h.precision, sizeof h.precision, "%s", precision_names[o->precision]);
    cr_assert_eq(store_open(&o->store, &h, &from, &e), 0, "%s", e.msg);
    snprintf(thin.name, sizeof thin.name, "thin");
    cr_assert_eq(store_create(&thin, &h, &to, &e), 0, "%s", e.msg);
    for (uint32_t i = 0; i < TOY_ITEMS; i++) {
        if (i % 3 == 0) continue;
        cr_assert_eq(store_get(from, 0, &i, 1, record, &found, &missing, &e), 0);
        cr_assert_eq(store_put(to, &i, record, 1, &e), 0);
    }
    cr_assert_eq(missing, 0);
    cr_assert_eq(store_publish(to, &e), 0, "%s", e.msg);
    store_close(from);
    store_close(to);
    free(record);
}

Test(scorer_store, missing_items_come_last_and_are_counted) {
    struct err e = ERR_INIT;
    struct serving_data data = toy_serving(&toy);
    struct graph g;
    struct pool *pool;
    uint32_t items[500], order[500];
    float full[500], got[500];
    cr_assert_eq(pool_create(2, &pool, &e), 0);
    toy_model("dssm", "{dim: 8, hidden: [24, 12]}", &g);
    for (int kind = STORE_LMDB, kinds = n_kinds(); kind < kinds; kind++) {
        struct scorer_options o = options(kind, 64);
        struct scorer *s;
        size_t missing, expect = 0;
        struct request q = {.user = 3, .n = 500, .items = items};
        for (uint32_t i = 0; i < 500; i++) items[i] = (i * 37) % TOY_ITEMS;
        cr_assert_eq(scorer_create(&g, &data, &o, pool, &s, &e), 0, "%s", e.msg);
        cr_assert_eq(scorer_score(s, &q, full, &e), 0, "%s", e.msg);
        cr_expect_eq(scorer_missing(s), 0);
        thin_out(&o, scorer_version(s), scorer_cost(s).item_record_bytes);
        scorer_free(s);
        snprintf(o.store.name, sizeof o.store.name, "thin");
        o.attach = true;
        cr_assert_eq(scorer_create(&g, &data, &o, pool, &s, &e), 0, "%s", e.msg);
        cr_assert_eq(scorer_score(s, &q, got, &e), 0, "%s", e.msg);
        for (size_t i = 0; i < 500; i++) {
            expect += items[i] % 3 == 0;
            cr_expect_eq(got[i], items[i] % 3 ? full[i] : -INFINITY, "item %u: %g", items[i], (double)got[i]);
        }
        missing = scorer_missing(s);
        cr_expect_eq(missing, expect);
        cr_assert_eq(scorer_top(got, 500, 500, order), 500);
        for (size_t i = 0; i < 500; i++) cr_expect_eq(items[order[i]] % 3 == 0, i >= 500 - missing);
        scorer_free(s);
    }
    graph_release(&g);
    pool_free(pool);
}

Test(scorer_store, records_of_another_model_are_refused) {
    struct err e = ERR_INIT;
    struct serving_data data = toy_serving(&toy);
    struct graph g, other;
    toy_model("dssm", "{dim: 8, hidden: [24, 12]}", &g);
    toy_model("dssm", "{dim: 8, hidden: [24, 12]}", &other);
    int bias = graph_find_param(&other, "user.0.bias");
    cr_assert_geq(bias, 0);
    other.param[bias]->value[0] += 1e-6f; /* one weight, of the user's side */
    for (int kind = STORE_LMDB, kinds = n_kinds(); kind < kinds; kind++) {
        struct scorer_options o = options(kind, 128);
        struct scorer *s, *stale;
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
        o.attach = true;
        cr_expect_eq(scorer_create(&other, &data, &o, NULL, &stale, &e), ERR_INPUT);
        cr_expect_null(stale);
        cr_expect(strstr(e.msg, "made by model version") && strstr(e.msg, scorer_version(s)), "%s", e.msg);
        scorer_free(s);
    }
    struct scorer_options o = options(STORE_MEMORY, 128);
    struct scorer *s;
    o.attach = true;
    cr_expect_eq(scorer_create(&g, &data, &o, NULL, &s, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "in memory"), "%s", e.msg);
    graph_release(&g);
    graph_release(&other);
}

enum { SAMPLE = 300 };
static struct { uint32_t user[SAMPLE], item[SAMPLE], small[SAMPLE], big[SAMPLE]; } rows;
static const char *const pair_names[] = {"big", "small"};
static const uint32_t *const pair_ids[] = {rows.big, rows.small};
static const struct scorer_sample sample = {SAMPLE, rows.user, rows.item, 2, pair_names, pair_ids};

static void draw_sample(void) {
    struct rng r = rng_init(8, 1);
    for (size_t i = 0; i < SAMPLE; i++) {
        rows.user[i] = (uint32_t)rng_below(&r, TOY_USERS);
        rows.item[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
        rows.small[i] = toy.pair_small[rows.user[i]][rows.item[i]];
        rows.big[i] = toy.pair_big[rows.user[i]][rows.item[i]];
    }
}

/* Scores of 500 candidates through a scorer of these options; the record's bytes. */
static size_t score_all(const struct graph *g, const struct scorer_options *o, struct pool *pool,
                        float *out) {
    struct err e = ERR_INIT;
    struct serving_data data = toy_serving(&toy);
    struct scorer *s;
    uint32_t items[500];
    for (uint32_t i = 0; i < 500; i++) items[i] = (i * 37) % TOY_ITEMS;
    cr_assert_eq(scorer_create(g, &data, o, pool, &s, &e), 0, "%s", e.msg);
    cr_assert_eq(scorer_score(s, &(struct request){.user = 3, .n = 500, .items = items}, out, &e), 0, "%s",
                 e.msg);
    cr_expect_eq(scorer_missing(s), 0);
    size_t bytes = scorer_cost(s).item_record_bytes;
    scorer_free(s);
    return bytes;
}

Test(scorer_store, scores_are_the_same_to_the_bit_through_every_store_in_every_precision) {
    static const struct {
        const char *variant, *options;
        size_t bytes[4];
    } models[] = {{"mlp", "{dim: 8, hidden: [128, 16]}", {512, 256, 256, 128}},
                  {"cold", "{dim: 8, hidden: [70, 16]}", {280, 256, 256, 128}}, /* rows of 128 columns */
                  {"dssm", "{dim: 8, hidden: [24, 32]}", {128, 64, 64, 32}}};
    struct err e = ERR_INIT;
    struct pool *pool;
    int kinds = n_kinds();
    draw_sample();
    cr_assert_eq(pool_create(2, &pool, &e), 0);
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct graph g;
        float expect[500], got[500];
        toy_model(models[m].variant, models[m].options, &g);
        for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8; p++)
            for (int kind = STORE_MEMORY; kind < kinds; kind++)
                for (int attach = 0; attach < (kind == STORE_MEMORY ? 1 : 2); attach++) {
                    struct scorer_options o = options(kind, attach ? 37 : 0);
                    o.precision = p;
                    o.sample = &sample;
                    o.attach = attach;
                    size_t bytes = score_all(&g, &o, pool, kind == STORE_MEMORY ? expect : got);
                    cr_expect_eq(bytes, models[m].bytes[p], "%s in %s: %zu bytes", models[m].variant,
                                 precision_names[p], bytes);
                    if (kind != STORE_MEMORY)
                        cr_expect_arr_eq(got, expect, sizeof got, "%s in %s, store %s", models[m].variant,
                                         precision_names[p], store_kind_names[kind]);
                }
        graph_release(&g);
    }
    pool_free(pool);
}

Test(scorer_store, records_of_another_precision_or_scale_are_refused) {
    static const struct scorer_sample other = {1, rows.user, rows.item, 2, pair_names, pair_ids};
    struct err e = ERR_INIT;
    struct serving_data data = toy_serving(&toy), fewer = data;
    struct graph g;
    toy_model("mlp", "{dim: 8, hidden: [64, 16]}", &g);
    draw_sample();
    fewer.n_items = TOY_ITEMS / 2;
    for (int kind = STORE_LMDB, kinds = n_kinds(); kind < kinds; kind++)
        for (enum precision there = PRECISION_FP32; there <= PRECISION_INT8; there++) {
            struct scorer_options o = options(kind, 0);
            struct scorer *s, *stale;
            o.precision = there;
            o.sample = &sample;
            cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
            o.attach = true;
            for (o.precision = PRECISION_FP32; o.precision <= PRECISION_INT8; o.precision++) {
                if (o.precision == there) continue;
                cr_expect_eq(scorer_create(&g, &data, &o, NULL, &stale, &e), ERR_INPUT);
                cr_expect_null(stale);
                cr_expect(strstr(e.msg, "records are in") && strstr(e.msg, precision_names[there]) &&
                              strstr(e.msg, precision_names[o.precision]),
                          "%s", e.msg);
            }
            scorer_free(s);
        }
    /* int8 scales are those of all records: with others of them, another version */
    for (int kind = STORE_LMDB, kinds = n_kinds(); kind < kinds; kind++) {
        struct scorer_options o = options(kind, 0), less = options(STORE_MEMORY, 0);
        struct scorer *s, *scales, *stale;
        o.precision = less.precision = PRECISION_INT8;
        o.sample = less.sample = &sample;
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
        for (uint32_t i = 0; i < SAMPLE; i++) rows.item[i] %= fewer.n_items;
        cr_assert_eq(scorer_create(&g, &fewer, &less, NULL, &scales, &e), 0, "%s", e.msg);
        o.attach = true;
        o.scales = scales;
        cr_expect_eq(scorer_create(&g, &data, &o, NULL, &stale, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, "made by model version"), "%s", e.msg);
        o.scales = s;
        cr_expect_eq(scorer_create(&g, &data, &o, NULL, &stale, &e), 0, "%s", e.msg);
        scorer_free(stale);
        o.scales = NULL;
        o.sample = &other; /* of activations alone: the records are the same */
        cr_expect_eq(scorer_create(&g, &data, &o, NULL, &stale, &e), 0, "%s", e.msg);
        scorer_free(stale);
        scorer_free(scales);
        scorer_free(s);
    }
    graph_release(&g);
}

/* A reader of bf16 whose store is filled anew in fp16, records of the same length, must notice. */
Test(scorer_store, a_server_filled_in_another_precision_under_requests_is_an_error) {
    struct err e = ERR_INIT;
    struct serving_data data = toy_serving(&toy);
    struct graph g;
    struct scorer *s, *newer;
    uint32_t items[300];
    float score[300];
    if (!redis_start(&server, 0)) {
        teardown();
        cr_skip_test("redis-server is not installed");
    }
    toy_model("mlp", "{dim: 8, hidden: [64, 16]}", &g);
    struct scorer_options o = options(STORE_REDIS, 128);
    struct request q = {.user = 3, .n = 300, .items = items};
    for (uint32_t i = 0; i < 300; i++) items[i] = i;
    o.precision = PRECISION_BF16;
    cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
    cr_expect_eq(scorer_score(s, &q, score, &e), 0, "%s", e.msg);
    o.precision = PRECISION_FP16;
    cr_assert_eq(scorer_create(&g, &data, &o, NULL, &newer, &e), 0, "%s", e.msg);
    cr_expect_eq(scorer_score(s, &q, score, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "records are in fp16") && strstr(e.msg, "served in bf16"), "%s", e.msg);
    scorer_free(s);
    scorer_free(newer);
    graph_release(&g);
}

Test(scorer_store, a_server_that_dies_or_changes_under_requests_is_an_error) {
    struct err e = ERR_INIT;
    struct serving_data data = toy_serving(&toy);
    struct graph g, other;
    struct scorer *s, *newer;
    uint32_t items[300];
    float score[300];
    if (!redis_start(&server, 0)) {
        teardown(); /* what skips does not come to its end */
        cr_skip_test("redis-server is not installed");
    }
    toy_model("dssm", "{dim: 8, hidden: [24, 12]}", &g);
    toy_model("dssm", "{dim: 8, hidden: [24, 12]}", &other);
    other.param[0]->value[0] += 1;
    struct scorer_options o = options(STORE_REDIS, 128);
    struct request q = {.user = 3, .n = 300, .items = items};
    for (uint32_t i = 0; i < 300; i++) items[i] = i;
    cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
    cr_expect_eq(scorer_score(s, &q, score, &e), 0, "%s", e.msg);
    cr_assert_eq(scorer_create(&other, &data, &o, NULL, &newer, &e), 0, "%s", e.msg);
    cr_expect_eq(scorer_score(s, &q, score, &e), ERR_INPUT, "a newer model has filled the store");
    cr_expect(strstr(e.msg, scorer_version(newer)) && strstr(e.msg, scorer_version(s)), "%s", e.msg);
    cr_expect_eq(scorer_score(newer, &q, score, &e), 0, "%s", e.msg);
    redis_stop(&server);
    cr_expect_eq(scorer_score(newer, &q, score, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, server.address), "%s", e.msg);
    scorer_free(s);
    scorer_free(newer);
    graph_release(&g);
    graph_release(&other);
}

Test(scorer_store, out_of_memory_anywhere_is_an_error) {
    struct serving_data data = toy_serving(&toy);
    struct graph g;
    uint32_t items[100];
    float score[100];
    for (uint32_t i = 0; i < 100; i++) items[i] = i;
    struct request q = {.user = 3, .n = 100, .items = items};
    toy_model("dssm", "{dim: 8, hidden: [24, 12]}", &g);
    for (int kind = STORE_LMDB, kinds = n_kinds(); kind < kinds; kind++) {
        struct scorer_options o = options(kind, 64);
        for (unsigned long long n = 1;; n++) {
            struct err e = ERR_INIT;
            struct scorer *s = NULL;
            mem_fail_after(n);
            int rc = scorer_create(&g, &data, &o, NULL, &s, &e);
            if (!rc) rc = scorer_score(s, &q, score, &e);
            scorer_free(s);
            mem_fail_after(0);
            if (!rc) break;
            cr_assert(strstr(e.msg, "memory"), "allocation %llu: %s", n, e.msg);
            cr_assert_lt(n, 10000);
        }
    }
    graph_release(&g);
}
