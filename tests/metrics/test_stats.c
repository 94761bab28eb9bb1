#include "metrics/stats.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>

Test(t, quantile_equals_scipy) {
    struct fixture f = fixture_open("t.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        double t = stat_t_quantile(f.v[0], f.v[1]);
        cr_expect(near(t, f.v[2], 1e-9) || fabs(t - f.v[2]) < 1e-15, "p %g, %g degrees: %.15g, not %.15g",
                  f.v[0], f.v[1], t, f.v[2]);
    }
    cr_expect_eq(lines, 14 * 18);
}

Test(t, quantile_has_its_closed_forms) {
    const double pi = acos(-1);
    for (double p = .0625; p < 1; p += .0625) {
        cr_expect(near(stat_t_quantile(p, 1), tan(pi * (p - .5)), 1e-13) || p == .5, "Cauchy at %g", p);
        cr_expect(near(stat_t_quantile(p, 2), (2 * p - 1) / sqrt(2 * p * (1 - p)), 1e-13) || p == .5,
                  "2 at %g", p);
    }
    cr_expect(near(stat_t_quantile(.975, INFINITY), 1.959963984540054, 1e-14), "the normal distribution");
    cr_expect_eq(stat_t_quantile(.5, 7), 0);
    cr_expect(near(stat_t_quantile(.5 + 0x1p-40, 1), pi * 0x1p-40, 1e-13), "close to the middle");
}

Test(t, quantile_is_odd_and_has_the_limits_of_an_inverse_cdf) {
    cr_expect_eq(stat_t_quantile(.25, 5), -stat_t_quantile(.75, 5));
    cr_expect_eq(stat_t_quantile(0, 5), -INFINITY);
    cr_expect_eq(stat_t_quantile(1, 5), INFINITY);
    cr_expect(isnan(stat_t_quantile(-.1, 5)));
    cr_expect(isnan(stat_t_quantile(1.1, 5)));
    cr_expect(isnan(stat_t_quantile(NAN, 5)));
    cr_expect(isnan(stat_t_quantile(.5, 0)));
    cr_expect(isnan(stat_t_quantile(.5, NAN)));
}

Test(t, interval_equals_scipy) {
    struct fixture f = fixture_open("t_interval.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        const size_t n = (size_t)f.v[0];
        const double *x = f.v + 5;
        cr_assert_eq(f.n, 5 + n);
        cr_expect(near(stat_mean(x, n), f.v[2], 1e-14));
        cr_expect(near(stat_sd(x, n), f.v[3], 1e-12));
        cr_expect(near(stat_t_half_width(x, n, f.v[1]), f.v[4], 1e-12));
    }
    cr_expect_eq(lines, 20);
}

Test(mean, and_spread_do_not_exist_of_too_few) {
    const double x[] = {3};
    cr_expect(isnan(stat_mean(x, 0)));
    cr_expect_eq(stat_mean(x, 1), 3);
    cr_expect(isnan(stat_sd(x, 0)) && isnan(stat_sd(x, 1)));
    cr_expect(isnan(stat_t_half_width(x, 0, .95)) && isnan(stat_t_half_width(x, 1, .95)));
}

Test(mean, spread_survives_a_large_offset) {
    const double x[] = {1e9 + 1, 1e9 + 2, 1e9 + 3};
    cr_expect(near(stat_sd(x, 3), 1, 1e-12));
}

Test(holm, equals_the_closure_principle) {
    struct fixture f = fixture_open("holm.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        const size_t n = (size_t)f.v[0];
        const double *p = f.v + 1, *expected = p + n;
        double adjusted[32];
        cr_assert_eq(f.n, 1 + 2 * n);
        cr_assert_eq(stat_holm(p, n, adjusted), 0);
        for (size_t i = 0; i < n; i++)
            cr_expect(near(adjusted[i], expected[i], 1e-14), "line %d: p %g to %g, not %g", lines, p[i],
                      adjusted[i], expected[i]);
    }
    cr_expect_gt(lines, 5);
}

Test(holm, counts_a_test_without_result_and_leaves_it_nan) {
    double p[] = {NAN, .01, .02};
    cr_assert_eq(stat_holm(p, 3, p), 0);
    cr_expect(isnan(p[0]));
    cr_expect(near(p[1], .03, 1e-15) && near(p[2], .04, 1e-15));
}

Test(holm, of_nothing_is_nothing_and_says_when_memory_is_out) {
    cr_expect_eq(stat_holm(NULL, 0, NULL), 0);
    double p = .5, adjusted;
    fail_allocation(1);
    cr_expect_eq(stat_holm(&p, 1, &adjusted), -1);
}
