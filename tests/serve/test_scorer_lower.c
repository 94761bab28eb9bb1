/* Every variant in every precision on every level of instructions, also those whose pair stage is no chain: within what
 * rounding costs of fp32, rounded at all, the same to the bit from every store, by every number of threads. */
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/support/models.h"
#include "tests/support/redis.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE = 2000, N = 300 };
static struct toy toy;
static struct serving_data data;
static struct err e;
static struct { uint32_t user[SAMPLE], item[SAMPLE], small[SAMPLE], big[SAMPLE]; } rows;
static const char *const names[] = {"big", "small"};
static const uint32_t *const columns[] = {rows.big, rows.small};
static const struct scorer_sample sample = {SAMPLE, rows.user, rows.item, 2, names, columns};
static struct redis_server server = {.pid = -1};
static char dir[64];

static void setup(void) {
    struct rng r = rng_init(8, 1);
    toy_init(&toy);
    data = toy_serving(&toy);
    for (size_t i = 0; i < SAMPLE; i++) {
        rows.user[i] = (uint32_t)(i * TOY_USERS / SAMPLE);
        rows.item[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
        rows.small[i] = toy.pair_small[rows.user[i]][rows.item[i]];
        rows.big[i] = toy.pair_big[rows.user[i]][rows.item[i]];
    }
    strcpy(dir, "/tmp/prerank-lower-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}
static void teardown(void) {
    redis_stop(&server);
    file_remove_tree(dir, NULL);
}
TestSuite(scorer_lower, .init = setup, .fini = teardown);

static struct scorer_options options(enum precision p, enum isa isa) {
    struct scorer_options o = scorer_defaults();
    o.precision = p;
    o.isa = isa;
    o.sample = &sample;
    snprintf(o.store.path, sizeof o.store.path, "%s", dir);
    snprintf(o.store.server, sizeof o.store.server, "%s", server.address);
    return o;
}

/* Scores of users 1 and 6 for the same N items; out[2 * N]. */
static struct scorer_cost scores(const struct graph *g, const struct scorer_options *o, int threads,
                                 float *out) {
    struct pool *pool;
    struct scorer *s;
    uint32_t items[N];
    struct rng r = rng_init(5, 5);
    for (size_t i = 0; i < N; i++) items[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
    cr_assert_eq(pool_create(threads, &pool, &e), 0);
    cr_assert_eq(scorer_create(g, &data, o, pool, &s, &e), 0, "%s", e.msg);
    for (uint32_t k = 0; k < 2; k++)
        cr_assert_eq(
            scorer_score(s, &(struct request){.user = 1 + 5 * k, .n = N, .items = items}, out + k * N, &e), 0,
            "%s", e.msg);
    struct scorer_cost c = scorer_cost(s);
    scorer_free(s);
    pool_free(pool);
    return c;
}

/* Largest difference, relative to the largest score. */
static double apart(const float *x, const float *y) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < 2 * N; i++) {
        worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
        largest = fmax(largest, fabs((double)y[i]));
    }
    cr_assert_gt(largest, 0.01, "the test's scores must not be trivially equal");
    return worst / largest;
}

/* One rounding is 2^-9 of a value in bf16, 2^-12 in fp16, 1/508 of the largest in int8; some layers and sums of them. */
Test(scorer_lower, every_variant_stays_within_its_rounding_and_does_round) {
    static const double most[] = {0, 0.03, 0.004, 0.12}, least[] = {0, 1e-5, 1e-6, 1e-5};
    static float expect[2 * N], got[2 * N];
    toy_variants_are_all();
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        struct graph g;
        struct scorer_options plain = options(PRECISION_FP32, ISA_BEST);
        plain.fuse = false;
        toy_model(m->variant, m->options, &g);
        scores(&g, &plain, 1, expect);
        for (enum precision p = PRECISION_BF16; p <= PRECISION_INT8; p++)
            for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++)
                for (int fuse = 0; fuse < 2; fuse++) {
                    struct scorer_options o = options(p, isa);
                    o.fuse = fuse;
                    scores(&g, &o, 1, got);
                    double d = apart(got, expect);
                    cr_expect_lt(d, most[p], "%s %s, %s, %s, fuse %d: %g", m->variant, m->options,
                                 precision_names[p], isa_names[isa], fuse, d);
                    cr_expect_gt(d, least[p], "%s %s, %s, %s, fuse %d: nothing was rounded", m->variant,
                                 m->options, precision_names[p], isa_names[isa], fuse);
                }
        graph_release(&g);
    }
}

static const char *const models[][2] = {
    {"dcn", "{dim: 8, hidden: [40, 24], cross_layers: 2}"},
    {"din", "{dim: 8, hidden: [24, 16], attention: 20}"},
    {"inttower", "{dim: 8, hidden: [24, 16], heads: 3, head_dim: 8}"},
    {"cold", "{dim: 8, hidden: [24, 12], importance: se}"},
};

Test(scorer_lower, the_same_to_the_bit_from_every_store_and_by_every_number_of_threads) {
    static float expect[2 * N], got[2 * N];
    int kinds = redis_start(&server, 0) ? STORE_REDIS + 1 : STORE_REDIS;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++)
        for (enum precision p = PRECISION_BF16; p <= PRECISION_INT8; p++) {
            struct graph g;
            toy_model(models[m][0], models[m][1], &g);
            struct scorer_options o = options(p, ISA_BEST);
            scores(&g, &o, 1, expect);
            for (int kind = STORE_MEMORY; kind < kinds; kind++)
                for (int attach = 0; attach < (kind == STORE_MEMORY ? 1 : 2); attach++) {
                    o.store.kind = kind;
                    o.attach = attach;
                    o.block = attach ? 37 : 0;
                    scores(&g, &o, 2 + attach, got);
                    cr_expect_arr_eq(got, expect, sizeof got, "%s in %s, store %s, attach %d", models[m][0],
                                     precision_names[p], store_kind_names[kind], attach);
                }
            graph_release(&g);
        }
}

Test(scorer_lower, servers_of_one_model_score_alike) {
    for (enum precision p = PRECISION_BF16; p <= PRECISION_INT8; p++) {
        struct graph g;
        struct scorer *s, *other;
        float a[N], b[N], expect[N];
        uint32_t items[N];
        for (uint32_t i = 0; i < N; i++) items[i] = (i * 37) % TOY_ITEMS;
        toy_model(models[0][0], models[0][1], &g);
        struct scorer_options o = options(p, ISA_BEST);
        struct request q = {.user = 3, .n = N, .items = items},
                       few = {.user = 3, .n = 20, .items = items + 5};
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
        cr_assert_eq(scorer_share(s, NULL, &other, &e), 0, "%s", e.msg);
        cr_assert_eq(scorer_score(s, &q, expect, &e), 0);
        cr_assert_eq(scorer_score(other, &few, b, &e), 0);
        cr_assert_eq(scorer_score(s, &q, a, &e), 0);
        cr_expect_arr_eq(a, expect, sizeof a, "%s", precision_names[p]);
        cr_expect_arr_eq(b, expect + 5, 20 * sizeof *b, "%s", precision_names[p]);
        scorer_free(other);
        scorer_free(s);
        graph_release(&g);
    }
}

Test(scorer_lower, int8_takes_the_scales_of_another_scorer) {
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        static float expect[2 * N], got[2 * N];
        struct graph g;
        struct scorer *from;
        toy_model(models[m][0], models[m][1], &g);
        struct scorer_options o = options(PRECISION_INT8, ISA_BEST);
        scores(&g, &o, 1, expect);
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &from, &e), 0, "%s", e.msg);
        o.sample = NULL;
        o.scales = from;
        scores(&g, &o, 1, got);
        cr_expect_arr_eq(got, expect, sizeof got, "%s", models[m][0]);
        scorer_free(from);
        graph_release(&g);
    }
}

/* dcn: a record is the item's part of three layers, of which only the bytes change; 72 columns in rows of 96. */
Test(scorer_lower, records_and_weights_take_fewer_bytes) {
    static float score[2 * N];
    struct graph g;
    toy_model("dcn", "{dim: 16, hidden: [64, 32]}", &g);
    struct scorer_cost c[4];
    for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8; p++) {
        struct scorer_options o = options(p, ISA_BEST);
        c[p] = scores(&g, &o, 1, score);
    }
    size_t width = c[0].item_record_bytes / 4, pad = (width + 31) / 32 * 32;
    cr_expect_eq(c[PRECISION_BF16].item_record_bytes, 2 * pad);
    cr_expect_eq(c[PRECISION_FP16].item_record_bytes, 2 * pad);
    cr_expect_eq(c[PRECISION_INT8].item_record_bytes, pad);
    cr_expect_eq(c[PRECISION_INT8].item_store_bytes, pad * TOY_ITEMS);
    for (enum precision p = PRECISION_BF16; p <= PRECISION_INT8; p++) {
        double saved = 4.0 * (double)width - (double)c[p].item_record_bytes;
        cr_expect_lt(c[p].bytes_per_candidate, c[0].bytes_per_candidate - saved + 1, "%g of %g, %g saved",
                     c[p].bytes_per_candidate, c[0].bytes_per_candidate, saved);
    }
    cr_expect_lt(c[PRECISION_INT8].weight_bytes, c[0].weight_bytes);
    graph_release(&g);
}

static void refused(const struct graph *g, const struct scorer_options *o, const char *why) {
    struct scorer *s;
    cr_assert_eq(scorer_create(g, &data, o, NULL, &s, &e), ERR_INPUT, "in %s", precision_names[o->precision]);
    cr_expect_null(s);
    cr_expect(strstr(e.msg, why), "%s", e.msg);
}

Test(scorer_lower, what_has_nothing_in_a_lower_precision_is_refused) {
    struct graph g;
    graph_init(&g);
    g.output = nn_row_sum(&g, nn_embedding(&g, graph_input(&g, "small", SIDE_PAIR, VALUE_ID, 5), 4, NULL));
    cr_assert_eq(graph_alloc_params(&g, 1, &e), 0, "%s", e.msg);
    for (enum precision p = PRECISION_BF16; p <= PRECISION_INT8; p++) {
        struct scorer_options o = options(p, ISA_BEST);
        refused(&g, &o, "no product of layers and reads no item record");
    }
    graph_release(&g);
}

Test(scorer_lower, int8_wants_a_sample_with_the_models_columns) {
    static const struct scorer_sample less = {SAMPLE, rows.user, rows.item, 1, names, columns};
    struct graph g;
    struct scorer_options o = options(PRECISION_INT8, ISA_BEST);
    toy_model("dcn", "{hidden: [16, 8]}", &g);
    o.sample = NULL;
    refused(&g, &o, "sample");
    o.sample = &less;
    refused(&g, &o, "no column `small`");
    graph_release(&g);
}

Test(scorer_lower, out_of_memory_anywhere_is_an_error) {
    struct graph g;
    uint32_t items[100];
    float score[100];
    static const struct scorer_sample few = {5, rows.user, rows.item, 2, names, columns};
    for (uint32_t i = 0; i < 100; i++) items[i] = i;
    struct request q = {.user = 3, .n = 100, .items = items};
    toy_model("dcn", "{dim: 4, hidden: [6], cross_layers: 1}", &g);
    for (enum precision p = PRECISION_BF16; p <= PRECISION_INT8; p++) {
        struct scorer_options o = options(p, ISA_BEST);
        o.sample = &few;
        for (unsigned long long n = 1;; n++) {
            struct scorer *s = NULL;
            e = (struct err)ERR_INIT;
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
