#include "metrics/stats.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <stdlib.h>

Test(percentile, equals_the_definition_and_numpy) {
    int64_t latency[400], sorted[400];
    size_t n = 0;
    struct fixture f = fixture_open("latency.csv");
    while (fixture_next(&f)) latency[n++] = (int64_t)f.v[0];
    cr_assert_eq(n, 400);
    f = fixture_open("percentiles.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        n = (size_t)f.v[0];
        for (size_t i = 0; i < n; i++) sorted[i] = latency[i];
        stat_sort_ns(sorted, n);
        int64_t value = stat_percentile_ns(sorted, n, f.v[1]);
        cr_expect_eq(value, (int64_t)f.v[2], "p%g of %zu: %lld, not %g", 100 * f.v[1], n, (long long)value,
                     f.v[2]);
    }
    cr_expect_eq(lines, 8 * 12);
}

Test(percentile, is_the_rank_that_a_reader_counts) {
    int64_t sorted[1000];
    for (int i = 0; i < 1000; i++) sorted[i] = i + 1;
    for (int permille = 1; permille < 1000; permille++)
        cr_expect_eq(stat_percentile_ns(sorted, 1000, permille / 1000.), permille);
    for (int percent = 1; percent < 100; percent++)
        cr_expect_eq(stat_percentile_ns(sorted, 100, percent / 100.), percent);
}

Test(percentile, of_one_sample_is_the_sample_and_of_none_no_latency) {
    const int64_t one = 42;
    cr_expect_eq(stat_percentile_ns(&one, 1, .001), 42);
    cr_expect_eq(stat_percentile_ns(&one, 1, .999), 42);
    cr_expect_eq(stat_percentile_ns(NULL, 0, .5), INT64_MIN);
}

Test(sort, orders_the_whole_range) {
    int64_t x[] = {3, INT64_MAX, -1, INT64_MIN, 0, 3};
    stat_sort_ns(x, 6);
    for (int i = 1; i < 6; i++) cr_expect(x[i - 1] <= x[i]);
    cr_expect(x[0] == INT64_MIN && x[5] == INT64_MAX);
    stat_sort_ns(NULL, 0);
}

Test(percentile_interval, has_the_ranks_of_the_binomial_distribution) {
    struct fixture f = fixture_open("order_statistics.csv");
    int64_t *rank = malloc(1000000 * sizeof *rank);
    for (int64_t i = 0; i < 1000000; i++) rank[i] = i + 1;
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        int64_t lo = -1, hi = -1;
        int exists = stat_percentile_interval_ns(rank, (size_t)f.v[0], f.v[1], f.v[2], &lo, &hi);
        cr_expect_eq(exists, (int)f.v[3], "p%g of %g at %g", 100 * f.v[1], f.v[0], f.v[2]);
        if (f.v[3])
            cr_expect(lo == (int64_t)f.v[4] && hi == (int64_t)f.v[5],
                      "p%g of %g at %g: [%lld,%lld], not [%g,%g]", 100 * f.v[1], f.v[0], f.v[2],
                      (long long)lo, (long long)hi, f.v[4], f.v[5]);
        else
            cr_expect(lo == -1 && hi == -1, "nothing is set");
    }
    cr_expect_eq(lines, 7 * 5 * 6);
    free(rank);
}

Test(percentile_interval, exists_from_the_samples_needed_on) {
    struct fixture f = fixture_open("samples_needed.csv");
    int64_t *rank = calloc(10000, sizeof *rank);
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        int64_t lo, hi;
        size_t n = stat_samples_needed(f.v[0], f.v[1]);
        cr_expect_eq(n, (size_t)f.v[2], "p%g at %g: %zu, not %g", 100 * f.v[0], f.v[1], n, f.v[2]);
        cr_expect_not(stat_percentile_interval_ns(rank, n - 1, f.v[0], f.v[1], &lo, &hi));
        cr_expect(stat_percentile_interval_ns(rank, n, f.v[0], f.v[1], &lo, &hi));
    }
    cr_expect_eq(lines, 35);
    free(rank);
}

Test(percentile_interval, does_not_exist_for_what_is_no_probability) {
    cr_expect_eq(stat_samples_needed(0, .95), SIZE_MAX);
    cr_expect_eq(stat_samples_needed(1, .95), SIZE_MAX);
    cr_expect_eq(stat_samples_needed(.5, 1), SIZE_MAX);
    cr_expect_eq(stat_samples_needed(.5, 0), SIZE_MAX);
    int64_t lo, hi;
    cr_expect_not(stat_percentile_interval_ns(NULL, 0, .5, .95, &lo, &hi));
}

Test(percentile_interval, holds_the_percentile_and_covers_the_truth_as_often_as_it_says) {
    uint64_t random = 9;
    int covered = 0;
    for (int experiment = 0; experiment < 1000; experiment++) {
        int64_t x[200], lo, hi;
        for (int i = 0; i < 200; i++) x[i] = (int64_t)(random_unit(&random) * 1e9);
        stat_sort_ns(x, 200);
        cr_assert(stat_percentile_interval_ns(x, 200, .9, .9, &lo, &hi));
        int64_t own = stat_percentile_ns(x, 200, .9);
        cr_expect(lo <= own && own <= hi);
        covered += lo <= 900000000 && 900000000 <= hi;
    }
    cr_expect(covered >= 880 && covered <= 950, "%d of 1000 at 90 %%", covered);
}
