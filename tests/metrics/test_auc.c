#include "metrics/metrics.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static double auc(const float *score, const uint8_t *label, size_t n) {
    double a;
    cr_assert_eq(metric_auc(score, label, n, &a), 0);
    return a;
}

Test(auc, equals_scikit_learn_with_and_without_ties) {
    struct split s;
    split_read(&s);
    struct fixture f = fixture_open("auc.csv");
    cr_assert(fixture_next(&f));
    cr_expect(near(auc(s.score, s.label, s.n), f.v[0], 1e-14));
    cr_expect(near(auc(s.tied, s.label, s.n), f.v[1], 1e-14));
}

Test(auc, is_one_for_a_perfect_order_and_zero_for_its_reverse) {
    const uint8_t label[] = {0, 0, 1, 1, 1};
    cr_expect_eq(auc((const float[]){-3, -2, -1, 0, 1}, label, 5), 1);
    cr_expect_eq(auc((const float[]){3, 2, 1, 0, -1}, label, 5), 0);
}

Test(auc, counts_a_tie_as_half) {
    cr_expect_eq(auc((const float[]){1, 1}, (const uint8_t[]){0, 1}, 2), .5);
    cr_expect_eq(auc((const float[]){2, 2, 2, 2}, (const uint8_t[]){1, 0, 0, 0}, 4), .5);
    cr_expect_eq(auc((const float[]){1, 1, 2}, (const uint8_t[]){0, 1, 1}, 3), .75);
}

Test(auc, ties_minus_zero_with_zero) {
    cr_expect_eq(auc((const float[]){-0.f, 0.f}, (const uint8_t[]){0, 1}, 2), .5);
    cr_expect_eq(auc((const float[]){-0.f, 0.f}, (const uint8_t[]){1, 0}, 2), .5);
}

Test(auc, orders_the_whole_range_of_floats) {
    const float up[] = {-INFINITY, -3e38f, -1, -1e-45f, 0, 1e-45f, 1e-38f, 1, 3e38f, INFINITY};
    for (size_t cut = 1; cut < 10; cut++) {
        uint8_t label[10];
        for (size_t i = 0; i < 10; i++) label[i] = i >= cut;
        cr_expect_eq(auc(up, label, 10), 1, "cut at %zu", cut);
    }
}

/* In either order, among few rows and among many: they are sorted in two ways. */
Test(auc, tells_neighbouring_floats_apart) {
    enum { MANY = 100 };
    float score[MANY];
    uint8_t label[MANY];
    for (size_t n = 2; n <= MANY; n += MANY - 2) {
        for (size_t i = 0; i < n; i++) {
            label[i] = i < n / 2;
            score[i] = label[i] ? nextafterf(1, 2) : 1;
        }
        cr_expect_eq(auc(score, label, n), 1, "%zu rows", n);
        for (size_t i = 0; i < n; i++) label[i] = !label[i];
        cr_expect_eq(auc(score, label, n), 0, "%zu rows", n);
    }
}

Test(auc, does_not_exist_without_both_classes) {
    cr_expect(isnan(auc(NULL, NULL, 0)));
    cr_expect(isnan(auc((const float[]){1}, (const uint8_t[]){1}, 1)));
    cr_expect(isnan(auc((const float[]){1, 2}, (const uint8_t[]){1, 1}, 2)));
    cr_expect(isnan(auc((const float[]){1, 2}, (const uint8_t[]){0, 0}, 2)));
}

Test(auc, refuses_a_nan_score) {
    double a = 1;
    cr_expect_eq(metric_auc((const float[]){1, NAN, 2}, (const uint8_t[]){0, 1, 1}, 3, &a), -2);
    cr_expect(isnan(a));
}

Test(auc, says_when_memory_is_out) {
    double a = 1;
    fail_allocation(1);
    cr_expect_eq(metric_auc((const float[]){1, 2}, (const uint8_t[]){0, 1}, 2, &a), -1);
    cr_expect(isnan(a));
    cr_expect_eq(metric_auc(NULL, NULL, SIZE_MAX / 8, &a), -1, "bytes that overflow");
    cr_expect_eq(metric_auc(NULL, NULL, SIZE_MAX / 2 + 2, &a), -1, "rows and scratch that overflow");
}

Test(auc, is_invariant_under_monotone_maps) {
    struct split s;
    split_read(&s);
    float mapped[FIXTURE_ROWS];
    for (size_t i = 0; i < s.n; i++)
        mapped[i] = 3 * expf(s.tied[i]) - 7; /* injective on the few values of tied */
    cr_expect_eq(auc(mapped, s.label, s.n), auc(s.tied, s.label, s.n));
}

Test(auc, of_negated_scores_is_the_complement) {
    struct split s;
    split_read(&s);
    float negated[FIXTURE_ROWS];
    for (size_t i = 0; i < s.n; i++) negated[i] = -s.tied[i];
    const double a = auc(s.tied, s.label, s.n);
    cr_expect(near(auc(negated, s.label, s.n), 1 - a, 1e-15));
    for (size_t i = 0; i < s.n; i++) s.label[i] = !s.label[i];
    cr_expect(near(auc(s.tied, s.label, s.n), 1 - a, 1e-15), "swapping the classes does the same");
    cr_expect_eq(auc(negated, s.label, s.n), a, "and both together nothing");
}

Test(auc, does_not_depend_on_the_order_of_rows) {
    struct split s;
    split_read(&s);
    const double score = auc(s.score, s.label, s.n), tied = auc(s.tied, s.label, s.n);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        split_shuffle(&s, seed);
        cr_expect_eq(auc(s.score, s.label, s.n), score);
        cr_expect_eq(auc(s.tied, s.label, s.n), tied);
    }
}

/* Rounding may turn an ordered pair of classes into a tie, which moves U by a half; it never reverses one. */
Test(auc, changes_by_rounding_only_through_ties) {
    struct split s;
    split_read(&s);
    double half_ties = 0, pairs = 0;
    for (size_t i = 0; i < s.n; i++) {
        for (size_t j = 0; j < s.n; j++) {
            if (!s.label[i] || s.label[j]) continue;
            pairs++;
            if (s.tied[i] == s.tied[j])
                half_ties += (s.score[i] < s.score[j]) - .5 + .5 * (s.score[i] == s.score[j]);
        }
    }
    cr_expect(near(auc(s.tied, s.label, s.n), auc(s.score, s.label, s.n) + half_ties / pairs, 1e-14));
}

Test(auc, equals_counting_pairs_for_every_small_size) {
    uint64_t random = 3;
    for (size_t n = 2; n <= 300; n += 1 + n / 8) { /* both sides of the switch from insertion to radix sort */
        float score[300];
        uint8_t label[300];
        for (size_t i = 0; i < n; i++) {
            score[i] = (float)floor(random_normal(&random) * 8) * powf(2, (float)(n % 7));
            label[i] = random_unit(&random) < .4;
        }
        double u = 0, pairs = 0;
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n; j++) {
                if (!label[i] || label[j]) continue;
                pairs++;
                u += score[i] > score[j] ? 1 : score[i] == score[j] ? .5 : 0;
            }
        }
        cr_expect(near(auc(score, label, n), pairs ? u / pairs : NAN, 1e-15), "n = %zu", n);
    }
}

Test(auc, stays_exact_at_a_million_rows) {
    enum { N = 1000000 };
    float *score = malloc(N * sizeof *score);
    uint8_t *label = malloc(N);
    for (size_t i = 0; i < N; i++) {
        size_t at = i * 7919 % N; /* a permutation */
        score[i] = (float)at;     /* exact below 2^24 */
        label[i] = at % 2;        /* of the P negatives, the j-th positive from below beats j+1 */
    }
    const double p = N / 2;
    cr_expect_eq(auc(score, label, N), (p + 1) / (2 * p));
    free(score);
    free(label);
}
