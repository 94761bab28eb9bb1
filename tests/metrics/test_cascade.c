#include "metrics/metrics.h"
#include "metrics/stats.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>

enum { N = 60 };

Test(cascade, equals_numpy_with_ties_by_index) {
    float pre[N], ranker[N], tied[N];
    uint8_t label[N];
    size_t n = 0;
    struct fixture f = fixture_open("cascade.csv");
    for (; fixture_next(&f); n++) {
        pre[n] = (float)f.v[0];
        ranker[n] = (float)f.v[1];
        tied[n] = (float)f.v[2];
        label[n] = (uint8_t)f.v[3];
    }
    cr_assert_eq(n, N);
    f = fixture_open("cascade_expected.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        struct cascade c;
        for (int t = 0; t < 2; t++) {
            cr_assert_eq(metric_cascade(pre, t ? tied : ranker, label, N, (size_t)f.v[0], (size_t)f.v[1], &c),
                         0);
            const double *want = f.v + 2 + 3 * t;
            cr_expect_float_eq(c.ndcg, want[0], 1e-12, "k %g top %g: NDCG %g, not %g", f.v[0], f.v[1], c.ndcg,
                               want[0]);
            cr_expect_eq(c.hit_rate, want[1], "k %g top %g", f.v[0], f.v[1]);
            cr_expect_float_eq(c.kept, want[2], 1e-12);
        }
    }
    cr_expect_eq(lines, 7 * 4);
}

Test(cascade, of_a_pre_ranker_that_keeps_all_is_the_ranker) {
    const float ranker[] = {3, 1, 2, 5, 4}, good[] = {1, 2, 3, 4, 5}, bad[] = {5, 4, 3, 2, 1};
    const uint8_t label[] = {1, 0, 0, 0, 1};
    struct cascade a, b;
    cr_assert_eq(metric_cascade(good, ranker, label, 5, 5, 3, &a), 0);
    cr_assert_eq(metric_cascade(bad, ranker, label, 5, 5, 3, &b), 0);
    cr_expect_eq(a.ndcg, b.ndcg);
    cr_expect_float_eq(a.ndcg, (1 / log2(3) + 1 / log2(4)) / (1 + 1 / log2(3)), 1e-12);
    cr_expect_eq(a.kept, 1);
}

Test(cascade, a_dropped_click_is_a_loss) {
    const float ranker[] = {1, 2, 3}, pre[] = {3, 2, 1};
    const uint8_t label[] = {0, 0, 1};
    struct cascade c;
    cr_assert_eq(metric_cascade(pre, ranker, label, 3, 2, 3, &c), 0);
    cr_expect(c.ndcg == 0 && c.hit_rate == 0 && c.kept == 0);
    cr_assert_eq(metric_cascade(pre, ranker, label, 3, 3, 3, &c), 0);
    cr_expect(c.ndcg == 1 && c.hit_rate == 1 && c.kept == 1);
    cr_assert_eq(metric_cascade(pre, ranker, label, 3, 0, 3, &c), 0);
    cr_expect(c.ndcg == 0 && c.hit_rate == 0 && c.kept == 0, "nothing is shown");
}

Test(cascade, does_not_exist_without_a_click_and_refuses_nan) {
    const float x[] = {1, 2}, broken[] = {1, NAN};
    const uint8_t none[] = {0, 0}, one[] = {1, 0};
    struct cascade c;
    cr_assert_eq(metric_cascade(x, x, none, 2, 1, 1, &c), 0);
    cr_expect(isnan(c.ndcg) && isnan(c.hit_rate) && isnan(c.kept));
    cr_assert_eq(metric_cascade(x, x, one, 2, 1, 0, &c), 0);
    cr_expect(isnan(c.ndcg));
    cr_expect_eq(metric_cascade(broken, x, one, 2, 1, 1, &c), -2);
    cr_expect_eq(metric_cascade(x, broken, one, 2, 1, 1, &c), -2);
    cr_expect(isnan(c.ndcg));
    for (int nth = 1; nth <= 2; nth++) {
        fail_allocation(nth);
        cr_expect_eq(metric_cascade(x, x, one, 2, 1, 1, &c), -1);
        cr_expect(isnan(c.ndcg));
    }
    fail_allocation(0);
}

Test(binomial_side, equals_scipys_exact_interval) {
    struct fixture f = fixture_open("binomial_side.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++)
        cr_expect_eq(stat_binomial_side(f.v[0], f.v[1], f.v[2], f.v[3]), (int)f.v[4], "%g of %g at %g, %g",
                     f.v[0], f.v[1], f.v[2], f.v[3]);
    cr_expect(lines > 80);
    cr_expect_eq(stat_binomial_side(0, 0, .01, .95), 0, "nothing says nothing");
    cr_expect_eq(stat_binomial_side(3, 2, .01, .95), 0);
}
