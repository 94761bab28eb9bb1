/* Which pair fields become tables of partial products: those that are faster so, and the scores stay what they are. */
#include "base/rng.h"
#include "tests/support/models.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct toy toy;
static struct serving_data data;
static struct err e;

static void init(void) {
    toy_init(&toy);
    data = toy_serving(&toy);
}
TestSuite(tables, .init = init);

struct clock { /* an injected timer: the field of 40000 ids, and all others */
    double big[2], other[2];
    int asked;
    struct table_shape last;
    enum table_fault { GOES_WELL, FAILS } fault;
};

static int tell(void *ctx, const struct table_shape *s, double *table_ns, double *product_ns,
                struct err *why) {
    struct clock *c = ctx;
    const double *ns = s->rows == 40000 ? c->big : c->other;
    c->asked++;
    c->last = *s;
    *table_ns = ns[0];
    *product_ns = ns[1];
    return c->fault == FAILS ? err_set(why, ERR_MEASURE, "the clock has stopped") : 0;
}

static struct scorer_options automatic(struct table_times *times) {
    struct scorer_options o = scorer_defaults();
    o.tables = TABLES_AUTO;
    o.table_times = times;
    return o;
}

static struct scorer *make(const struct graph *g, const struct scorer_options *o) {
    struct scorer *s;
    cr_assert_eq(scorer_create(g, &data, o, NULL, &s, &e), 0, "%s", e.msg);
    return s;
}

static const struct table_choice *choice(const struct scorer *s, const char *field) {
    size_t n;
    const struct table_choice *c = scorer_tables(s, &n);
    for (size_t k = 0; k < n; k++)
        if (!strcmp(c[k].field, field)) return &c[k];
    cr_assert_fail("no choice about %s", field);
    return NULL;
}

/* Largest difference to the training graph for two users, relative to the largest score. */
static double skew(const struct graph *g, struct scorer *s) {
    uint32_t items[300];
    float got[300], expect[300];
    double worst = 0, largest = 0;
    struct rng r = rng_init(5, 5);
    for (uint32_t user = 1; user < 12; user += 6) {
        for (size_t i = 0; i < 300; i++) items[i] = (uint32_t)rng_below(&r, TOY_ITEMS);
        toy_training_scores(g, &toy, user, items, 300, expect);
        cr_assert_eq(scorer_score(s, &(struct request){.user = user, .n = 300, .items = items}, got, &e), 0);
        for (size_t i = 0; i < 300; i++) {
            worst = fmax(worst, fabs((double)got[i] - (double)expect[i]));
            largest = fmax(largest, fabs((double)expect[i]));
        }
    }
    return worst / largest;
}

/* FLOPs of a candidate tell what runs: a product of the embedding takes 2 x dim x units, a table's row units additions. */
static double flops(const struct scorer *s) { return scorer_cost(s).flops_per_candidate; }

Test(tables, the_choice_follows_the_times_of_each_field) {
    struct graph g;
    toy_model("mlp", "{dim: 8, hidden: [32, 16]}", &g);
    struct scorer_options all = scorer_defaults(), none = scorer_defaults();
    none.tables = TABLES_NONE;
    struct scorer *s_all = make(&g, &all), *s_none = make(&g, &none);
    cr_expect_gt(flops(s_none) - flops(s_all), 2 * 8 * 32);
    cr_expect(choice(s_all, "big")->table && choice(s_all, "small")->table);
    cr_expect(!choice(s_none, "big")->table && !choice(s_none, "small")->table);
    cr_expect(isnan(choice(s_all, "big")->table_ns), "what is not asked is not measured");
    for (int bits = 0; bits < 4; bits++) {
        bool big = bits & 1, other = bits & 2;
        struct clock c = {.big = {big ? 3 : 5, 4}, .other = {other ? 1 : 9, 8}};
        struct table_times *times;
        cr_assert_eq(table_times_create(tell, &c, &times, &e), 0);
        struct scorer_options o = automatic(times);
        struct scorer *s = make(&g, &o);
        cr_expect_eq(choice(s, "big")->table, big);
        cr_expect_eq(choice(s, "small")->table, other);
        cr_expect_eq(choice(s, "big")->table_ns, c.big[0]);
        cr_expect_eq(choice(s, "small")->product_ns, 8);
        cr_expect_eq(choice(s, "big")->rows, 40000);
        cr_expect_eq(choice(s, "big")->units, 32);
        cr_expect_lt(skew(&g, s), 1e-5, "tables %d: %g", bits, skew(&g, s));
        double now = flops(s);
        cr_expect_eq(now == flops(s_all), big && other);
        cr_expect_eq(now == flops(s_none), !big && !other);
        scorer_free(s);
        table_times_free(times);
    }
    scorer_free(s_all);
    scorer_free(s_none);
    graph_release(&g);
}

Test(tables, the_limit_holds_whatever_the_times_are) {
    struct graph g;
    struct clock c = {.big = {1, 100}, .other = {1, 100}};
    struct table_times *times;
    toy_model("mlp", "{dim: 8, hidden: [32, 16]}", &g);
    cr_assert_eq(table_times_create(tell, &c, &times, &e), 0);
    struct scorer_options o = automatic(times);
    o.passes.table_bytes = 1 << 20;
    struct scorer *s = make(&g, &o);
    cr_expect(!choice(s, "big")->table && !choice(s, "big")->fits);
    cr_expect(choice(s, "small")->table && choice(s, "small")->fits);
    cr_expect_eq(c.asked, 1, "what cannot be is not measured");
    scorer_free(s);
    table_times_free(times);
    graph_release(&g);
}

Test(tables, times_are_taken_once_for_the_same_shape_and_ids) {
    static const uint32_t user[] = {1, 2, 3}, big[] = {7, 8, 9}, small[] = {1, 2, 3}, other[] = {7, 8, 10};
    static const char *const names[] = {"big", "small"};
    const uint32_t *const ids[] = {big, small}, *const other_ids[] = {other, small};
    const struct scorer_sample sample = {3, user, user, 2, names, ids},
                               changed = {3, user, user, 2, names, other_ids};
    struct graph g, wider;
    struct clock c = {.big = {1, 2}, .other = {2, 1}};
    struct table_times *times;
    toy_model("mlp", "{dim: 8, hidden: [32, 16]}", &g);
    toy_model("mlp", "{dim: 8, hidden: [33, 16]}", &wider);
    cr_assert_eq(table_times_create(tell, &c, &times, &e), 0);
    struct scorer_options o = automatic(times);
    struct {
        const struct graph *g;
        const struct scorer_sample *sample;
        enum precision precision;
        bool fuse;
        int asked;
    } step[] = {{&g, NULL, PRECISION_FP32, true, 2},     {&g, NULL, PRECISION_FP32, true, 2},
                {&g, &sample, PRECISION_FP32, true, 4},  {&g, &sample, PRECISION_FP32, true, 4},
                {&g, &changed, PRECISION_FP32, true, 5}, {&g, &sample, PRECISION_BF16, true, 7},
                {&g, &sample, PRECISION_FP32, false, 9}, {&wider, NULL, PRECISION_FP32, true, 11}};
    for (size_t k = 0; k < sizeof step / sizeof *step; k++) {
        o.sample = step[k].sample;
        o.precision = step[k].precision;
        o.fuse = step[k].fuse;
        struct scorer *s = make(step[k].g, &o);
        cr_expect_eq(c.asked, step[k].asked, "step %zu: asked %d times", k, c.asked);
        cr_expect(choice(s, "big")->table && !choice(s, "small")->table);
        scorer_free(s);
    }
    cr_expect_null(c.last.ids, "without a sample");
    cr_expect_not_null(c.last.chain, "by the fused engine");
    c.fault = FAILS;
    o.precision = PRECISION_FP16;
    struct scorer *s;
    cr_expect_eq(scorer_create(&g, &data, &o, NULL, &s, &e), ERR_MEASURE);
    table_times_free(times);
    graph_release(&g);
    graph_release(&wider);
}

Test(tables, records_are_the_same_and_another_scorer_takes_over_the_choice) {
    struct graph g;
    struct clock c = {.big = {2, 1}, .other = {1, 2}};
    struct table_times *times;
    toy_model("mlp", "{dim: 8, hidden: [32, 16]}", &g);
    cr_assert_eq(table_times_create(tell, &c, &times, &e), 0);
    struct scorer_options o = automatic(times), all = scorer_defaults();
    struct scorer *s = make(&g, &o), *s_all = make(&g, &all);
    cr_expect_str_eq(scorer_version(s), scorer_version(s_all), "tables are no part of the records");
    all.scales = s;
    struct scorer *like = make(&g, &all);
    cr_expect(!choice(like, "big")->table && choice(like, "small")->table);
    scorer_free(like);
    scorer_free(s);
    scorer_free(s_all);
    table_times_free(times);
    graph_release(&g);
}

/* No injected clock: whatever is faster here. */
Test(tables, measured_choices_keep_the_scores_of_every_model) {
    struct table_times *times;
    cr_assert_eq(table_times_create(NULL, NULL, &times, &e), 0);
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        struct graph g;
        toy_model(m->variant, m->options, &g);
        struct scorer_options o = automatic(times);
        struct scorer *s = make(&g, &o);
        size_t n;
        const struct table_choice *table = scorer_tables(s, &n);
        for (size_t k = 0; k < n; k++) {
            cr_expect(table[k].table_ns > 0 && isfinite(table[k].table_ns));
            cr_expect(table[k].product_ns > 0 && isfinite(table[k].product_ns));
            cr_expect_eq(table[k].table, table[k].table_ns <= table[k].product_ns);
        }
        double d = skew(&g, s);
        cr_expect_lt(d, 1e-5, "%s %s: %g", m->variant, m->options, d);
        scorer_free(s);
        graph_release(&g);
    }
    table_times_free(times);
}

Test(tables, both_ways_are_timed_in_every_precision_and_for_few_and_many_ids) {
    struct chain chain = {.width = 40, .act = ACT_RELU, .n_layers = 3};
    float weight[40 * 24] = {0};
    chain.layer[0] = (struct chain_layer){.weight = weight, .k = 40, .n = 24, .act = ACT_RELU};
    chain.layer[1] = (struct chain_layer){.weight = weight, .k = 24, .n = 16, .act = ACT_RELU};
    chain.layer[2] = (struct chain_layer){.weight = weight, .k = 16, .n = 1};
    static const uint32_t ids[] = {5, 5, 1, 70000, 3}; /* one that the table has not is drawn anew */
    for (int p = -1; p <= PRECISION_INT8; p++)
        for (size_t rows = 1; rows <= 10000; rows *= 100) {
            struct table_shape s = {.rows = rows, .dim = 7, .units = 40, .act = ACT_LINEAR_LOG};
            double table = 0, product = 0;
            s.chain = p < 0 ? NULL : &chain;
            s.precision = p < 0 ? PRECISION_FP32 : (enum precision)p;
            s.ids = rows > 1 ? ids : NULL;
            s.n_ids = rows > 1 ? 5 : 0;
            cr_assert_eq(table_time(NULL, &s, &table, &product, &e), 0, "%s", e.msg);
            cr_expect(table > 0 && isfinite(table) && product > 0 && isfinite(product));
        }
}
