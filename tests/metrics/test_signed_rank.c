#include "metrics/stats.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>

Test(signed_rank, p_and_interval_equal_r) {
    struct fixture f = fixture_open("signed_rank.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        const size_t n = (size_t)f.v[0];
        const double *x = f.v + 6;
        double p, centre, lo, hi;
        cr_assert_eq(f.n, 6 + n);
        cr_assert_eq(stat_signed_rank(x, n, &p), 0);
        cr_expect(near(p, f.v[2], 1e-10), "p %.15g, not %.15g", p, f.v[2]);
        cr_assert_eq(stat_centre(x, n, f.v[1], &centre, &lo, &hi), 0);
        cr_expect(fabs(centre - f.v[3]) < 1e-12, "centre %.15g, not %.15g", centre, f.v[3]);
        cr_expect(fabs(lo - f.v[4]) < 1e-12 && fabs(hi - f.v[5]) < 1e-12, "n %zu, %g: [%g, %g], not [%g, %g]",
                  n, f.v[1], lo, hi, f.v[4], f.v[5]);
    }
    cr_expect_eq(lines, 66);
}

Test(signed_rank, p_with_ties_equals_the_permutation_test_of_scipy) {
    struct fixture f = fixture_open("signed_rank_ties.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        double p;
        cr_assert_eq(stat_signed_rank(f.v + 2, (size_t)f.v[0], &p), 0);
        cr_expect(near(p, f.v[1], 1e-12), "line %d: %.15g, not %.15g", lines + 1, p, f.v[1]);
    }
    cr_expect_eq(lines, 20);
}

Test(signed_rank, says_nothing_of_nothing) {
    const double zero[] = {0, 0}, one[] = {2};
    double p, centre, lo, hi;
    cr_assert_eq(stat_signed_rank(zero, 2, &p), 0);
    cr_expect(isnan(p));
    cr_assert_eq(stat_signed_rank(zero, 0, &p), 0);
    cr_expect(isnan(p));
    cr_assert_eq(stat_signed_rank(one, 1, &p), 0);
    cr_expect_eq(p, .5);
    cr_assert_eq(stat_centre(one, 1, .95, &centre, &lo, &hi), 0);
    cr_expect_eq(centre, 2);
    cr_expect(isnan(lo) && isnan(hi));
    const double five[] = {1, 2, 3, 4, 5}, six[] = {1, 2, 3, 4, 5, 6};
    stat_centre(five, 5, .95, &centre, &lo, &hi);
    cr_expect(isnan(lo), "five values cannot carry 95 %%");
    stat_centre(six, 6, .95, &centre, &lo, &hi);
    cr_expect_eq(lo, 1);
    cr_expect_eq(hi, 6);
}

Test(signed_rank, reports_that_memory_is_out) {
    const double x[] = {1, 2};
    for (int nth = 1; nth <= 3; nth++) {
        double p, lo, hi;
        fail_allocation(nth);
        cr_expect_eq(stat_signed_rank(x, 2, &p), -1);
        cr_expect(isnan(p));
        fail_allocation(nth);
        cr_expect_eq(stat_centre(x, 2, .95, &p, &lo, &hi), -1);
        cr_expect(isnan(p));
        fail_allocation(0);
    }
}
