/* Threads over candidates and threads over requests are two ways to the same scores, to the last bit. */
#include "base/file.h"
#include "base/rng.h"
#include "tests/serve/stores.h"
#include "tests/support/models.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 600, SERVERS = 3, ROUNDS = 20, SAMPLE = 300 };
static struct toy toy;
static struct serving_data data;
static struct pool *pool;
static uint32_t items[MOST];
static struct { uint32_t user[SAMPLE], item[SAMPLE], small[SAMPLE], big[SAMPLE]; } rows;
static const char *const names[] = {"big", "small"};
static const uint32_t *const columns[] = {rows.big, rows.small};
static const struct scorer_sample sample = {SAMPLE, rows.user, rows.item, 2, names, columns};

static void *another_toy(void *self, struct err *e) {
    (void)e;
    struct toy *t = malloc(sizeof *t);
    cr_assert(t);
    memcpy(t, self, sizeof *t);
    return t;
}

static void setup(void) {
    struct rng r = rng_init(5, 5);
    stores_setup();
    toy_init(&toy);
    data = toy_serving(&toy);
    data.share = another_toy;
    data.release = free;
    for (size_t i = 0; i < MOST; i++) items[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
    for (size_t i = 0; i < SAMPLE; i++) {
        rows.user[i] = (uint32_t)rng_below(&r, TOY_USERS);
        rows.item[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
        rows.small[i] = toy.pair_small[rows.user[i]][rows.item[i]];
        rows.big[i] = toy.pair_big[rows.user[i]][rows.item[i]];
    }
    cr_assert_eq(pool_create(3, &pool, NULL), 0);
}
static void teardown(void) {
    pool_free(pool);
    stores_teardown();
}
TestSuite(scorer_share, .init = setup, .fini = teardown);

static struct request of(uint32_t user, size_t n) {
    return (struct request){.user = user, .n = n, .items = items};
}

/* NULL: the model cannot be served so. */
static struct scorer *make(const struct graph *g, const struct scorer_options *o) {
    struct err e = ERR_INIT;
    struct scorer *s;
    if (!scorer_create(g, &data, o, pool, &s, &e)) return s;
    cr_assert(o->precision != PRECISION_FP32, "%s", e.msg);
    return NULL;
}

static void expect_same_scores_in_either_split(struct scorer *s, const char *what) {
    float split[MOST], whole[MOST];
    for (size_t n = 1; n <= MOST; n = n < MOST && 3 * n > MOST ? MOST : 3 * n) {
        const struct request r = of((uint32_t)(n % TOY_USERS), n);
        scorer_split(s, 0);
        cr_expect_eq(scorer_threads(s, n), 3);
        cr_assert_eq(scorer_score(s, &r, split, NULL), 0);
        scorer_split(s, SIZE_MAX);
        cr_expect_eq(scorer_threads(s, n), 1);
        cr_assert_eq(scorer_score(s, &r, whole, NULL), 0);
        cr_expect_arr_eq(split, whole, n * sizeof *split, "%s, %zu candidates", what, n);
    }
}

Test(scorer_share, a_request_split_over_threads_has_the_same_scores_to_the_last_bit) {
    toy_variants_are_all();
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        struct graph g;
        toy_model(m->variant, m->options, &g);
        for (int k = PRECISION_FP32 - 1; k <= PRECISION_INT8; k++) { /* first: not fused */
            struct scorer_options o = scorer_defaults();
            o.fuse = k >= 0;
            o.precision = k < 0 ? PRECISION_FP32 : (enum precision)k;
            o.sample = &sample;
            struct scorer *s = make(&g, &o);
            if (s) expect_same_scores_in_either_split(s, m->variant);
            scorer_free(s);
        }
        graph_release(&g);
    }
}

Test(scorer_share, calibration_finds_a_number_of_candidates_and_changes_no_score) {
    struct graph g;
    struct scorer_options o = scorer_defaults();
    float before[MOST], after[MOST];
    const struct request r = of(3, MOST);
    toy_model("mlp", "{hidden: [32, 16]}", &g);
    struct scorer *s = make(&g, &o);
    cr_expect_eq(scorer_split_from(s), 0, "all are split before");
    cr_assert_eq(scorer_score(s, &r, before, NULL), 0);
    cr_assert_eq(scorer_calibrate(s, &r, after, NULL), 0);
    size_t from = scorer_split_from(s);
    cr_expect(from >= 1 && from <= MOST + 1, "%zu", from);
    cr_assert_eq(scorer_score(s, &r, after, NULL), 0);
    cr_expect_arr_eq(before, after, sizeof before);
    items[7] = TOY_ITEMS;
    cr_expect_eq(scorer_calibrate(s, &r, after, NULL), ERR_INPUT, "no such item");
    cr_expect_eq(scorer_split_from(s), from);
    scorer_free(s);
    struct scorer *alone;
    cr_assert_eq(scorer_create(&g, &data, &o, NULL, &alone, NULL), 0);
    items[7] = 0;
    cr_assert_eq(scorer_calibrate(alone, &r, after, NULL), 0);
    cr_expect_eq(scorer_split_from(alone), SIZE_MAX, "one thread has nothing to split");
    scorer_free(alone);
    graph_release(&g);
}

/* ---- several servers ---- */

struct server {
    struct scorer *scorer;
    const float (*expect)[MOST]; /* [TOY_USERS] */
    uint32_t first;
    pthread_t thread;
    int failed, wrong;
};

static void *serve(void *arg) {
    struct server *v = arg;
    float got[MOST];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t user = (v->first + i) % TOY_USERS;
        const struct request r = of(user, MOST);
        v->failed += scorer_score(v->scorer, &r, got, NULL) != 0;
        v->wrong += memcmp(got, v->expect[user], sizeof got) != 0;
    }
    return NULL;
}

static void expect_same_scores_of_servers(struct scorer *s, const char *what) {
    static float expect[TOY_USERS][MOST];
    struct server server[SERVERS];
    struct err e = ERR_INIT;
    for (uint32_t user = 0; user < TOY_USERS; user++) {
        const struct request r = of(user, MOST);
        cr_assert_eq(scorer_score(s, &r, expect[user], NULL), 0);
    }
    for (uint32_t k = 0; k < SERVERS; k++) { /* the first is the one that the others share */
        server[k] = (struct server){.scorer = s, .expect = expect, .first = 4 * k};
        if (k) cr_assert_eq(scorer_share(s, NULL, &server[k].scorer, &e), 0, "%s: %s", what, e.msg);
    }
    for (int k = 0; k < SERVERS; k++)
        cr_assert_eq(pthread_create(&server[k].thread, NULL, serve, &server[k]), 0);
    for (int k = 0; k < SERVERS; k++) {
        pthread_join(server[k].thread, NULL);
        cr_expect_eq(server[k].failed, 0, "%s", what);
        cr_expect_eq(server[k].wrong, 0, "%s: %d of %d answers of server %d", what, server[k].wrong, ROUNDS,
                     k);
        if (k) scorer_free(server[k].scorer);
    }
    cr_assert_eq(scorer_score(s, &(struct request){.user = 1, .n = MOST, .items = items}, expect[0], NULL), 0,
                 "%s: the first goes on without them", what);
}

Test(scorer_share, servers_of_one_model_answer_at_once) {
    int kinds = stores_kinds();
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        struct graph g;
        toy_model(m->variant, m->options, &g);
        for (int kind = 0; kind < kinds; kind++)
            for (int p = PRECISION_FP32; p <= PRECISION_INT8; p += PRECISION_INT8) {
                struct scorer_options o = scorer_defaults();
                o.store = stores_options(kind);
                o.store.temporary = true;
                o.precision = (enum precision)p;
                o.sample = &sample;
                o.user_cache = m->towers ? 4 : 0;
                struct scorer *s = make(&g, &o);
                if (s) expect_same_scores_of_servers(s, m->variant);
                scorer_free(s);
            }
        graph_release(&g);
    }
}
