/* How gates are judged: simulated times, margins, Holm's correction. */
#include "bench/compare/compare.h"
#include "bench/compare/timing.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static char name_a[] = "mlp,all,fp32,memory,100,2,closed";
static char *const names[] = {name_a};

/* Groups of requests of about 100 us with a long tail; NEW is `slower` times BASE; group noise `wobble`. */
static struct comparison timed(double slower, double wobble, unsigned seed, int groups) {
    struct timing t;
    struct comparison c;
    struct err e = ERR_INIT;
    int64_t base[400], new[400];
    timing_init(&t, groups);
    comparison_init(&c);
    c.base = c.new = "program";
    cr_assert_eq(timing_name(&t, names, 1, &e), 0);
    for (int g = 0; g < groups; g++) {
        double level = 1 + scratch_uniform(&seed), mine = 1 + wobble * (scratch_uniform(&seed) - .5);
        for (int i = 0; i < 400; i++) {
            base[i] = (int64_t)(1e5 * level *
                                (1 + .1 * scratch_uniform(&seed) +
                                 (scratch_uniform(&seed) < .02) * scratch_uniform(&seed)));
            new[i] = (int64_t)(1e5 * level * mine * slower *
                               (1 + .1 * scratch_uniform(&seed) +
                                (scratch_uniform(&seed) < .02) * scratch_uniform(&seed)));
        }
        cr_assert_eq(timing_add(&t, 0, base, new, 400, &e), 0);
    }
    cr_assert_eq(timing_gates(&t, &c, &e), 0);
    cr_assert_eq(comparison_judge(&c, &e), 0);
    timing_release(&t);
    return c;
}

Test(timing, identical_programs_give_no_alarm) {
    size_t alarms = 0;
    for (unsigned seed = 1; seed <= 100; seed++) {
        struct comparison c = timed(1, .02, seed, 20);
        alarms += comparison_code(&c) == ERR_REGRESSION;
        comparison_release(&c);
    }
    cr_expect_leq(alarms, 1, "%zu", alarms);
}

Test(timing, five_percent_are_found_in_the_median_and_not_called_so_elsewhere) {
    size_t found = 0;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct comparison c = timed(1.05, .02, seed, 20);
        found += c.gate[TIMING_P50].verdict == GATE_REGRESSED;
        cr_expect_neq(c.gate[TIMING_P99].verdict, GATE_REGRESSED, "5 %% are less than the margin of p99");
        cr_expect(fabs(c.gate[TIMING_P50].worse - .05) < .01, "%g", c.gate[TIMING_P50].worse);
        comparison_release(&c);
    }
    cr_expect_geq(found, 19, "%zu", found);
}

Test(timing, two_percent_are_below_the_margin) {
    struct comparison c = timed(1.02, .01, 3, 20);
    cr_expect_eq(comparison_code(&c), 0);
    cr_expect_lt(c.gate[TIMING_P50].p_holm, .01, "though they are there beyond doubt");
    comparison_release(&c);
}

Test(timing, a_noisy_machine_is_undecided) {
    struct comparison c = timed(1, 1, 5, 8);
    cr_expect_eq(comparison_code(&c), ERR_MEASURE);
    HAS(c.gate[TIMING_P50].note, "too noisy");
    comparison_release(&c);
}

/* As of a request of less than a microsecond, on a clock of some nanoseconds. */
Test(timing, medians_that_are_the_same_in_every_group_are_no_regression) {
    struct timing t;
    struct comparison c;
    struct err e = ERR_INIT;
    int64_t took[400];
    timing_init(&t, 6);
    comparison_init(&c);
    c.base = c.new = "program";
    cr_assert_eq(timing_name(&t, names, 1, &e), 0);
    for (int i = 0; i < 400; i++) took[i] = 660 + 10 * (i % 40 / 36);
    for (int group = 0; group < 6; group++) cr_assert_eq(timing_add(&t, 0, took, took, 400, &e), 0);
    cr_assert_eq(timing_gates(&t, &c, &e), 0);
    cr_assert_eq(comparison_judge(&c, &e), 0);
    cr_expect_eq(comparison_code(&c), 0, "%s", c.gate[TIMING_P50].note);
    cr_expect_eq(c.gate[TIMING_P50].verdict, GATE_OK);
    cr_expect_eq(c.gate[TIMING_P50].p, 1);
    timing_release(&t);
    comparison_release(&c);
}

/* The smallest p of n groups is 2^-n: of 6 it can count among 3 gates, and not among 6. */
Test(timing, what_is_beyond_its_margin_is_never_ok_however_few_the_groups) {
    struct comparison c = timed(1.5, .01, 1, 6);
    struct err e = ERR_INIT;
    cr_expect_eq(comparison_code(&c), ERR_REGRESSION);
    for (int i = 0; i < 3; i++) {
        struct gate *g = gate_add(&c, "x", "all", "p50", GATE_TURNS, &e);
        g->lo = g->worse = g->hi = 0;
        g->p = 1;
    }
    cr_assert_eq(comparison_judge(&c, &e), 0);
    cr_expect_eq(comparison_code(&c), ERR_MEASURE);
    cr_expect_eq(c.gate[TIMING_P50].verdict, GATE_UNDECIDED);
    HAS(c.gate[TIMING_P50].note, "p is too large");
    comparison_release(&c);
}

Test(timing, an_interval_wider_than_the_margin_that_reaches_beyond_it_is_undecided) {
    static const struct {
        double lo, hi;
        enum gate_verdict verdict;
    } cases[] = {{.023, .058, GATE_UNDECIDED}, {.001, .0311, GATE_UNDECIDED}, {.002, .0319, GATE_OK},
                 {-.02, .029, GATE_OK},        {-.09, -.031, GATE_BETTER},    {.031, .09, GATE_REGRESSED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct comparison c;
        struct err e = ERR_INIT;
        comparison_init(&c);
        struct gate *g = gate_add(&c, "mlp", "all", "p50", GATE_TURNS, &e);
        g->lo = cases[i].lo;
        g->hi = cases[i].hi;
        g->worse = (g->lo + g->hi) / 2;
        g->p = 1e-6;
        cr_assert_eq(comparison_judge(&c, &e), 0);
        cr_expect_eq(g->verdict, cases[i].verdict, "[%g, %g]: %s", g->lo, g->hi,
                     gate_verdict_name(g->verdict));
        comparison_release(&c);
    }
}

Test(timing, a_second_measurement_can_be_judged_alone_or_with_the_first) {
    struct timing t;
    struct err e = ERR_INIT;
    struct gate g = {.margin = .03};
    timing_init(&t, 20);
    cr_assert_eq(timing_name(&t, names, 1, &e), 0);
    for (int group = 0; group < 20; group++) {
        int64_t base[400], new[400];
        for (int i = 0; i < 400; i++) {
            base[i] = 100000 + i + group;
            new[i] = group < 10 ? base[i] * 11 / 10 : base[i] * 21 / 20;
        }
        cr_assert_eq(timing_add(&t, 0, base, new, 400, &e), 0);
    }
    cr_assert_eq(timing_gate(&t, 0, TIMING_P50, 10, &g, &e), 0);
    cr_expect_eq(g.n, 10);
    cr_expect_float_eq(g.worse, .05, 1e-4);
    cr_expect_float_eq(g.hi, .05, 1e-4);
    cr_assert_eq(timing_gate(&t, 0, TIMING_P50, 0, &g, &e), 0);
    cr_expect_eq(g.n, 20);
    cr_expect_float_eq(g.hi, .1, 1e-3);
    timing_release(&t);
}

Test(timing, faster_is_better) {
    struct comparison c = timed(.9, .01, 5, 12);
    cr_expect_eq(comparison_code(&c), 0);
    cr_expect_eq(c.gate[TIMING_P50].verdict, GATE_BETTER);
    cr_expect(c.gate[TIMING_QPS].new > c.gate[TIMING_QPS].base);
    comparison_release(&c);
}

Test(timing, small_p_is_corrected_for_the_number_of_gates) {
    struct comparison c = timed(1.05, .02, 1, 20);
    struct err e = ERR_INIT;
    double before = c.gate[TIMING_P50].p_holm;
    cr_expect_eq(c.gate[TIMING_P50].verdict, GATE_REGRESSED);
    for (int i = 0; i < 100; i++) gate_add(&c, "x", "y", "p50", GATE_TURNS, &e)->p = 1e-7;
    for (size_t i = 0; i < c.n; i++) c.gate[i].verdict = GATE_OPEN;
    cr_assert_eq(comparison_judge(&c, &e), 0);
    cr_expect_gt(c.gate[TIMING_P50].p_holm, before);
    comparison_release(&c);
}

static struct gate *add_users(struct comparison *c, double p) {
    struct err e = ERR_INIT;
    struct gate *g = gate_add(c, "mlp", "all", "gauc", GATE_USERS, &e);
    g->worse = .005;
    g->lo = .002;
    g->hi = .008;
    g->p = p;
    snprintf(g->note, sizeof g->note, "judged by its users");
    return g;
}

/* As --builds does: GAUC is there, and judged, before any time is. */
Test(timing, verdicts_and_corrected_p_agree_when_gates_come_later) {
    struct comparison c;
    struct err e = ERR_INIT;
    comparison_init(&c);
    add_users(&c, .02);
    add_users(&c, .9);
    add_users(&c, .9)->settled = true;
    c.gate[2].verdict = GATE_REGRESSED;
    cr_assert_eq(comparison_judge(&c, &e), 0);
    cr_expect_float_eq(c.gate[0].p_holm, .06, 1e-12);
    cr_expect_eq(c.gate[0].verdict, GATE_UNDECIDED);
    HAS(c.gate[0].note, "judged by its users; beyond the margin");
    c.gate[0].p = .01;
    cr_assert_eq(comparison_judge(&c, &e), 0);
    cr_expect_eq(c.gate[0].verdict, GATE_REGRESSED);
    cr_expect_str_eq(c.gate[0].note, "judged by its users");
    for (int i = 0; i < 6; i++) {
        struct gate *g = gate_add(&c, "mlp", "all", "p50", GATE_TURNS, &e);
        g->lo = g->worse = g->hi = 0;
        g->p = .5;
    }
    cr_assert_eq(comparison_judge(&c, &e), 0);
    cr_expect_float_eq(c.gate[0].p_holm, .09, 1e-12);
    cr_expect_eq(c.gate[0].verdict, GATE_UNDECIDED, "%s", c.gate[0].note);
    cr_expect_eq(c.gate[2].verdict, GATE_REGRESSED, "whoever settled it knows better than its p");
    comparison_release(&c);
}

Test(timing, a_point_without_a_twin_is_skipped_whatever_else_is_judged) {
    struct timing t;
    struct comparison c;
    struct err e = ERR_INIT;
    timing_init(&t, 6);
    comparison_init(&c);
    cr_assert_eq(timing_name(&t, names, 1, &e), 0);
    t.point[0].skip = "other fields";
    cr_assert_eq(timing_gates(&t, &c, &e), 0);
    cr_assert_eq(comparison_judge(&c, &e), 0);
    cr_expect_eq(comparison_count(&c, GATE_SKIPPED), TIMING_METRICS);
    cr_expect_eq(comparison_code(&c), 0);
    comparison_release(&c);
    timing_release(&t);
}
