#include "metrics/metrics.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>

static double ece(const float *p, const uint8_t *label, size_t n, int bins) {
    double e;
    cr_assert_eq(metric_ece(p, label, n, bins, &e, NULL), 0);
    return e;
}

static void expect_fixture(const char *name, const float *p, const uint8_t *label, size_t n) {
    struct fixture f = fixture_open(name);
    cr_assert(fixture_next(&f));
    cr_expect(near(metric_logloss(p, label, n), f.v[0], 1e-13), "%s: logloss", name);
    cr_expect(near(metric_pcoc(p, label, n), f.v[1], 1e-13), "%s: PCOC", name);
    cr_expect(near(ece(p, label, n, 15), f.v[2], 1e-12), "%s: ECE of 15 bins", name);
    cr_expect(near(ece(p, label, n, 7), f.v[3], 1e-12), "%s: ECE of 7 bins", name);
}

Test(probability, equals_scikit_learn_and_numpy) {
    struct split s;
    split_read(&s);
    expect_fixture("probability.csv", s.p, s.label, s.n);
}

Test(probability, equals_them_under_ties) {
    struct split s;
    split_read(&s);
    expect_fixture("probability_tied.csv", s.p_tied, s.label, s.n);
}

Test(logloss, is_clipped_only_at_certainty) {
    cr_expect(near(metric_logloss((const float[]){0}, (const uint8_t[]){1}, 1), -log(1e-15), 1e-15));
    cr_expect(
        near(metric_logloss((const float[]){1}, (const uint8_t[]){0}, 1), -log(1 - (1 - 1e-15)), 1e-15));
    cr_expect(near(metric_logloss((const float[]){1e-14f}, (const uint8_t[]){1}, 1), -log(1e-14f), 1e-12));
    cr_expect_lt(metric_logloss((const float[]){1}, (const uint8_t[]){1}, 1), 1.2e-15);
}

Test(logloss, of_a_half_is_log_2) {
    cr_expect(near(metric_logloss((const float[]){.5f, .5f}, (const uint8_t[]){1, 0}, 2), log(2), 1e-15));
}

Test(logloss, does_not_exist_without_rows_or_for_what_is_no_probability) {
    cr_expect(isnan(metric_logloss(NULL, NULL, 0)));
    cr_expect(isnan(metric_logloss((const float[]){.5f, NAN}, (const uint8_t[]){1, 0}, 2)));
    cr_expect(isnan(metric_logloss((const float[]){.5f, 1.5f}, (const uint8_t[]){1, 0}, 2)));
    cr_expect(isnan(metric_logloss((const float[]){.5f, -.5f}, (const uint8_t[]){1, 0}, 2)));
}

Test(pcoc, is_one_when_as_many_are_predicted_as_click) {
    cr_expect_eq(metric_pcoc((const float[]){.25f, .75f, .5f, .5f}, (const uint8_t[]){1, 0, 0, 1}, 4), 1);
    cr_expect_eq(metric_pcoc((const float[]){1, 1}, (const uint8_t[]){1, 0}, 2), 2);
}

Test(pcoc, does_not_exist_without_a_positive) {
    cr_expect(isnan(metric_pcoc(NULL, NULL, 0)));
    cr_expect(isnan(metric_pcoc((const float[]){.5f}, (const uint8_t[]){0}, 1)));
    cr_expect(isnan(metric_pcoc((const float[]){NAN}, (const uint8_t[]){1}, 1)));
}

Test(ece, returns_the_bins_of_numpy) {
    struct split s;
    split_read(&s);
    struct calibration_bin bin[7];
    double e;
    cr_assert_eq(metric_ece(s.p, s.label, s.n, 7, &e, bin), 0);
    struct fixture f = fixture_open("bins.csv");
    int b = 0;
    for (; fixture_next(&f); b++) {
        cr_assert_lt(b, 7);
        cr_expect(near(bin[b].mean_p, f.v[0], 1e-13));
        cr_expect(near(bin[b].mean_y, f.v[1], 1e-15));
        cr_expect_eq(bin[b].n, (size_t)f.v[2]);
    }
    cr_expect_eq(b, 7);
}

Test(ece, of_one_bin_is_the_distance_of_the_means) {
    cr_expect(near(ece((const float[]){.5f, .25f}, (const uint8_t[]){1, 1}, 2, 1), .625, 1e-15));
}

Test(ece, is_zero_for_certainty_that_is_right) {
    cr_expect_eq(ece((const float[]){0, 1, 0, 1}, (const uint8_t[]){0, 1, 0, 1}, 4, 2), 0);
}

Test(ece, does_not_depend_on_the_order_of_rows_without_ties) {
    struct split s;
    split_read(&s);
    double e = ece(s.p, s.label, s.n, 15);
    split_shuffle(&s, 4);
    cr_expect(near(ece(s.p, s.label, s.n, 15), e, 1e-13));
}

Test(ece, marks_bins_without_rows) {
    struct calibration_bin bin[3];
    double e;
    cr_assert_eq(metric_ece((const float[]){.75f, .5f}, (const uint8_t[]){1, 0}, 2, 3, &e, bin), 0);
    cr_expect(near(e, .375, 1e-15));
    cr_expect(bin[0].n == 1 && bin[0].mean_p == .5 && bin[0].mean_y == 0);
    cr_expect(bin[1].n == 1 && bin[1].mean_p == .75 && bin[1].mean_y == 1);
    cr_expect(bin[2].n == 0 && isnan(bin[2].mean_p) && isnan(bin[2].mean_y));
}

Test(ece, does_not_exist_without_rows_or_bins) {
    cr_expect(isnan(ece(NULL, NULL, 0, 15)));
    cr_expect(isnan(ece((const float[]){.5f}, (const uint8_t[]){1}, 1, 0)));
    cr_expect(isnan(ece((const float[]){1.5f}, (const uint8_t[]){1}, 1, 1)));
}

Test(ece, refuses_nan_and_says_when_memory_is_out) {
    double e = 1;
    cr_expect_eq(metric_ece((const float[]){.5f, NAN}, (const uint8_t[]){1, 0}, 2, 1, &e, NULL), -2);
    cr_expect(isnan(e));
    fail_allocation(1);
    e = 1;
    cr_expect_eq(metric_ece((const float[]){.5f}, (const uint8_t[]){1}, 1, 1, &e, NULL), -1);
    cr_expect(isnan(e));
}
