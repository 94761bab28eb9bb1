#include "base/rng.h"
#include "base/str.h"
#include "bench/report/tradeoff.h"
#include "tests/bench/results.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(tradeoff, .init = setup, .fini = teardown);

static struct err fails(void) {
    struct err e = ERR_INIT;
    cr_assert_eq(tradeoff_write(s.dir, &e), ERR_INPUT);
    cr_expect_not(scratch_has(&s, "tradeoff.csv"), "an error must not leave a tradeoff.csv");
    return e;
}

#define EXPECT_SAYS(e, text) cr_expect(strstr((e).msg, text), "\"%s\" is not in: %s", text, (e).msg)

static const char *write_and_read(void) {
    struct err e = ERR_INIT;
    cr_assert_eq(tradeoff_write(s.dir, &e), 0, "%s", e.msg);
    return scratch_read(&s, "tradeoff.csv");
}

/* The fixture's expected.csv comes from NumPy and SciPy: means, t intervals, Pareto front and choice. */
Test(tradeoff, agrees_with_scipy) {
    results_fixture(&s);
    write_and_read();
    struct table got, want;
    struct err e = ERR_INIT;
    cr_assert_eq(table_load(s.dir, "tradeoff.csv", &got, &e), 0, "%s", e.msg);
    cr_assert_eq(table_load("tests/fixtures/tradeoff", "expected.csv", &want, &e), 0, "%s", e.msg);
    cr_assert_eq(got.rows, want.rows);
    cr_assert_eq(got.columns, want.columns);
    for (int c = 0; c < got.columns; c++) {
        cr_expect_str_eq(got.name[c], want.name[c]);
        for (size_t r = 0; r < got.rows; r++) {
            const char *x = table_text(&got, r, c), *y = table_text(&want, r, c);
            double a, b;
            if (str_to_double(x, &a) || str_to_double(y, &b))
                cr_expect_str_eq(x, y, "%s of row %zu: %s instead of %s", got.name[c], r, x, y);
            else
                cr_expect_float_eq(a, b, 1e-8 * fabs(b), "%s of row %zu: %s instead of %s", got.name[c], r, x,
                                   y);
        }
    }
    table_release(&got);
    table_release(&want);
}

Test(tradeoff, one_seed_has_the_interval_of_its_row) {
    results_minimal(&s, "a,all,1,test,0.7,0.69,0.72,ok\n", "a,all,10,5,6\n");
    const char *t = write_and_read();
    cr_expect_str_eq(cell(&s, t, "variant=a", "gauc_lo"), "0.69");
    cr_expect_str_eq(cell(&s, t, "variant=a", "gauc_hi"), "0.72");
}

Test(tradeoff, failed_runs_are_in_no_mean) {
    results_minimal(&s,
                    "a,all,1,test,0.7,,,ok\na,all,2,test,0.1,,,failed\n"
                    "a,all,1,valid,0.6,,,ok\na,all,2,valid,0.1,,,failed\n",
                    "a,all,10,5,6\n");
    const char *t = write_and_read();
    cr_expect_str_eq(cell(&s, t, "variant=a", "gauc"), "0.7");
    cr_expect_str_eq(cell(&s, t, "variant=a", "gauc_valid"), "0.6");
    cr_expect_str_eq(cell(&s, t, "variant=a", "seeds"), "1");
}

Test(tradeoff, keeps_what_only_one_file_knows) {
    results_minimal(&s, "a,all,1,test,0.7,,,ok\n", "null,,10,5,6\n");
    const char *t = write_and_read();
    cr_expect_str_eq(cell(&s, t, "variant=a", "p50_us"), "");
    cr_expect_str_eq(cell(&s, t, "variant=a", "pareto"), "");
    cr_expect_str_eq(cell(&s, t, "variant=null", "gauc"), "");
    cr_expect_str_eq(cell(&s, t, "variant=null", "pareto"), "");
    cr_expect_str_eq(cell(&s, t, "variant=null", "p50_us"), "5");
}

/* ---- the Pareto front ---- */
static int dominated(const struct tradeoff_point *p, size_t n, size_t i) {
    for (size_t j = 0; j < n; j++)
        if (p[j].candidates == p[i].candidates && p[j].gauc.mean >= p[i].gauc.mean &&
            p[j].p50_us <= p[i].p50_us && (p[j].gauc.mean != p[i].gauc.mean || p[j].p50_us != p[i].p50_us))
            return 1;
    return 0;
}

Test(tradeoff, pareto_front_is_that_of_brute_force) {
    enum { N = 60 };
    struct rng r = rng_init(1, rng_stream("pareto"));
    for (int round = 0; round < 200; round++) {
        struct tradeoff_point p[N] = {{.variant = ""}};
        for (size_t i = 0; i < N; i++) { /* few values: many ties */
            p[i].candidates = rng_below(&r, 2) ? 100 : 1000;
            p[i].gauc.mean = (double)rng_below(&r, round % 2 ? 8 : 1000);
            p[i].p50_us = (double)rng_below(&r, round % 2 ? 8 : 1000);
        }
        tradeoff_flag(p, N, NULL);
        for (size_t i = 0; i < N; i++) {
            cr_assert_eq(p[i].pareto, !dominated(p, N, i));
            cr_assert_eq(p[i].chosen, -1, "there is no limit, so nothing is chosen");
        }
    }
}

Test(tradeoff, an_equal_model_in_a_slower_store_is_not_on_the_front) {
    struct tradeoff_point p[2] = {{.candidates = 10, .gauc = {.mean = .7}, .p50_us = 5},
                                  {.candidates = 10, .gauc = {.mean = .7}, .p50_us = 6}};
    tradeoff_flag(p, 2, NULL);
    cr_expect_eq(p[0].pareto, 1);
    cr_expect_eq(p[1].pareto, 0);
}

/* ---- the choice ---- */
static const struct budget one_ms = {1, {{BUDGET_P99, BOUND_LE, 1}}};
static struct tradeoff_point timed(double candidates, double valid, double p50, double p99) {
    return (struct tradeoff_point){.candidates = candidates,
                                   .gauc = {.mean = 1 - valid},
                                   .gauc_valid = valid,
                                   .p50_us = p50,
                                   .p99_us = p99};
}

Test(tradeoff, chooses_on_validation_within_the_limit) {
    struct tradeoff_point p[] = {timed(10, .70, 100, 900),  timed(10, .72, 300, 1000),
                                 timed(10, .75, 800, 1001), timed(99, .60, 100, 1000),
                                 timed(10, .72, 200, 1000), timed(10, .72, 200, 1000)};
    tradeoff_flag(p, 6, &one_ms);
    int want[] = {0, 0, 0,
                  1, 1, 0}; /* each number of candidates; the faster of two equals; the first of two twins */
    for (int i = 0; i < 6; i++) cr_expect_eq(p[i].chosen, want[i], "point %d", i);
}

Test(tradeoff, chooses_nothing_when_all_are_too_slow) {
    struct tradeoff_point p[] = {timed(10, .70, 100, 1001), timed(10, NAN, 10, 20)};
    tradeoff_flag(p, 2, &one_ms);
    cr_expect_eq(p[0].chosen, 0);
    cr_expect_eq(p[1].chosen, 0);
}

Test(tradeoff, does_not_choose_a_point_whose_requests_found_items_missing) {
    struct tradeoff_point p[] = {timed(10, .75, 100, 900), timed(10, .74, 100, 900),
                                 timed(10, .70, 100, 900)};
    p[0].verdict = "items missing";
    p[1].verdict = "ok";
    p[1].usable_verdict = "items missing";
    p[2].verdict = "unstable";
    tradeoff_flag(p, 3, &one_ms);
    int want[] = {0, 0, 1}, front[] = {-1, -1, 1};
    p[0].gauc.mean = 1;
    for (int i = 0; i < 3; i++) cr_expect_eq(p[i].chosen, want[i], "point %d", i);
    tradeoff_flag(p, 3, &one_ms);
    for (int i = 0; i < 3; i++) cr_expect_eq(p[i].pareto, front[i], "point %d", i);
}

/* ---- errors ---- */
Test(tradeoff, a_missing_file_names_the_command_that_makes_it) {
    results_fixture(&s);
    char path[128];
    snprintf(path, sizeof path, "%s/compute.csv", s.dir);
    remove(path);
    struct err e = fails();
    EXPECT_SAYS(e, "compute.csv: there is no such file");
    EXPECT_SAYS(e, "prerank run CONFIG --out");
}

Test(tradeoff, a_missing_folder_is_said) {
    struct err e = ERR_INIT;
    cr_assert_eq(tradeoff_write("/nonexistent/results", &e), ERR_INPUT);
    EXPECT_SAYS(e, "/nonexistent/results: there is no such folder");
}

Test(tradeoff, no_rows_is_an_error) {
    results_minimal(&s, "", "a,all,10,5,6\n");
    struct err e = fails();
    EXPECT_SAYS(e, "effect.csv: has no rows");
}

Test(tradeoff, a_row_with_too_few_cells_is_an_error_with_its_line) {
    results_minimal(&s, "a,all,1,test,0.7,,,ok\na,all,2\n", "a,all,10,5,6\n");
    struct err e = fails();
    EXPECT_SAYS(e, "effect.csv:3");
}

Test(tradeoff, a_word_in_place_of_a_number_is_an_error_with_its_line) {
    results_minimal(&s, "a,all,1,test,0.7,,,ok\n", "a,all,10,fast,6\n");
    struct err e = fails();
    EXPECT_SAYS(e, "compute.csv:2: p50_us: \"fast\" is no number");
}

Test(tradeoff, nan_is_missing) {
    results_minimal(&s, "a,all,1,test,nan,,,ok\n", "a,all,10,NaN,6\n");
    cr_expect_str_eq(cell(&s, write_and_read(), "variant=a", "p50_us"), "");
}

Test(tradeoff, a_missing_column_is_an_error) {
    results_fixture(&s);
    scratch_write(&s, "effect.csv", "variant,features,seed,split,gauk\na,all,1,test,0.7\n");
    struct err e = fails();
    EXPECT_SAYS(e, "effect.csv:1: has no column \"gauc\", did you mean \"gauk\"?");
}

Test(tradeoff, the_same_run_twice_is_an_error) {
    results_minimal(&s, "a,all,1,test,0.7,,,ok\na,all,1,test,0.7,,,ok\n", "a,all,10,5,6\n");
    struct err e = fails();
    EXPECT_SAYS(e, "effect.csv:3: a second row for variant \"a\", features \"all\", seed 1, split test");
}

Test(tradeoff, running_out_of_memory_is_an_error_at_every_allocation) {
    results_fixture(&s);
    int rc = ERR_INPUT;
    unsigned long long n = 0;
    while (rc) {
        struct err e = ERR_INIT;
        mem_fail_after(++n);
        rc = tradeoff_write(s.dir, &e);
        mem_fail_after(0);
        if (rc) cr_assert_neq(*e.msg, '\0', "allocation %llu failed without a message", n);
        cr_assert_lt(n, 100000);
    }
    cr_expect_gt(n, 20);
}
