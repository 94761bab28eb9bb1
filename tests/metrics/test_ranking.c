#include "metrics/metrics.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { MAX = 1000 };
struct candidates {
    size_t n;
    uint32_t request[MAX];
    uint8_t label[MAX];
    float score[MAX];
};

static void candidates_read(struct candidates *c) {
    c->n = 0;
    struct fixture f = fixture_open("ranking.csv");
    while (fixture_next(&f)) {
        cr_assert_lt(c->n, MAX);
        c->request[c->n] = (uint32_t)f.v[0];
        c->label[c->n] = (uint8_t)f.v[1];
        c->score[c->n++] = (float)f.v[2];
    }
}

static struct ranking ranking(const float *score, const uint8_t *label, const uint32_t *request, size_t n,
                              size_t k) {
    struct ranking r;
    cr_assert_eq(metric_ranking(score, label, request, n, k, &r), 0);
    return r;
}

static struct ranking of_one(const float *score, const uint8_t *label, size_t n, size_t k) {
    static const uint32_t request[MAX];
    return ranking(score, label, request, n, k);
}

/* NDCG from scikit-learn; HR and Recall from trying every order of the tied rows. */
Test(ranking, equals_the_mean_over_all_orders_of_ties) {
    struct candidates c;
    candidates_read(&c);
    struct fixture f = fixture_open("ranking_expected.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        struct ranking r = ranking(c.score, c.label, c.request, c.n, (size_t)f.v[0]);
        cr_expect(near(r.ndcg, f.v[1], 1e-12), "NDCG@%g %.15g, not %.15g", f.v[0], r.ndcg, f.v[1]);
        cr_expect(near(r.hit_rate, f.v[2], 1e-12), "HR@%g %.15g, not %.15g", f.v[0], r.hit_rate, f.v[2]);
        cr_expect(near(r.recall, f.v[3], 1e-12), "Recall@%g %.15g, not %.15g", f.v[0], r.recall, f.v[3]);
        cr_expect_eq(r.requests, (size_t)f.v[4]);
    }
    cr_expect_eq(lines, 5);
}

Test(ranking, equals_scikit_learn_on_one_wide_request_of_many_ties) {
    struct candidates c = {.n = 0};
    struct fixture f = fixture_open("ranking_wide.csv");
    while (fixture_next(&f)) {
        c.label[c.n] = (uint8_t)f.v[0];
        c.score[c.n++] = (float)f.v[1];
    }
    f = fixture_open("ranking_wide_expected.csv");
    while (fixture_next(&f)) {
        struct ranking r = of_one(c.score, c.label, c.n, (size_t)f.v[0]);
        cr_expect(near(r.ndcg, f.v[1], 1e-12), "NDCG@%g %.15g, not %.15g", f.v[0], r.ndcg, f.v[1]);
    }
}

Test(ranking, is_perfect_when_the_positives_come_first) {
    struct ranking r = of_one((const float[]){1, 9, 8, 2}, (const uint8_t[]){0, 1, 1, 0}, 4, 2);
    cr_expect(near(r.ndcg, 1, 1e-15) && r.hit_rate == 1 && r.recall == 1);
    r = of_one((const float[]){1, 9, 8, 2}, (const uint8_t[]){0, 1, 1, 0}, 4, 1);
    cr_expect(near(r.ndcg, 1, 1e-15) && r.hit_rate == 1 && r.recall == .5,
              "the ideal of NDCG@1 holds one hit");
    r = of_one((const float[]){1, 9, 8, 2}, (const uint8_t[]){1, 0, 0, 1}, 4, 2);
    cr_expect(r.ndcg == 0 && r.hit_rate == 0 && r.recall == 0);
}

Test(ranking, gives_a_constant_score_no_luck) {
    const uint8_t first[] = {1, 0, 0, 0}, last[] = {0, 0, 0, 1};
    const float constant[] = {0, -0.f, 0, -0.f};
    struct ranking a = of_one(constant, first, 4, 1), b = of_one(constant, last, 4, 1);
    cr_expect(near(a.ndcg, .25, 1e-15) && near(a.hit_rate, .25, 1e-15) && near(a.recall, .25, 1e-15));
    cr_expect(memcmp(&a, &b, sizeof a) == 0);
}

Test(ranking, does_not_depend_on_the_order_of_rows) {
    struct candidates c, d;
    candidates_read(&c);
    memset(&d, 0, sizeof d);
    for (size_t i = 0; i < c.n; i++) {
        size_t from = c.n - 1 - i;
        d.request[i] = c.request[from];
        d.label[i] = c.label[from];
        d.score[i] = c.score[from];
    }
    struct ranking r = ranking(c.score, c.label, c.request, c.n, 3),
                   s = ranking(d.score, d.label, d.request, c.n, 3);
    cr_expect(r.ndcg == s.ndcg && r.hit_rate == s.hit_rate && r.recall == s.recall);
}

Test(ranking, is_invariant_under_monotone_maps) {
    struct candidates c;
    candidates_read(&c);
    struct ranking r = ranking(c.score, c.label, c.request, c.n, 3);
    for (size_t i = 0; i < c.n; i++) c.score[i] = c.score[i] * 4 - 8; /* exact, so ties stay ties */
    struct ranking s = ranking(c.score, c.label, c.request, c.n, 3);
    cr_expect(near(r.ndcg, s.ndcg, 1e-15) && near(r.hit_rate, s.hit_rate, 1e-15) &&
              near(r.recall, s.recall, 1e-15));
}

Test(ranking, grows_with_k_in_hits) {
    struct candidates c;
    candidates_read(&c);
    struct ranking before = {0, 0, 0, 0};
    for (size_t k = 1; k <= 10; k++) {
        struct ranking r = ranking(c.score, c.label, c.request, c.n, k);
        cr_expect(r.hit_rate >= before.hit_rate - 1e-15 && r.recall >= before.recall - 1e-15, "k = %zu", k);
        before = r;
    }
    cr_expect(near(before.hit_rate, 1, 1e-15) && near(before.recall, 1, 1e-15),
              "k beyond every request finds all");
}

Test(ranking, runs_over_the_requests_with_a_positive) {
    const uint32_t request[] = {7, 8, 7, 8};
    struct ranking r = ranking((const float[]){2, 1, 1, 0}, (const uint8_t[]){1, 0, 0, 0}, request, 4, 1);
    cr_expect_eq(r.requests, 1);
    cr_expect_eq(r.hit_rate, 1);
}

Test(ranking, does_not_exist_without_a_request_that_counts) {
    struct ranking r = of_one((const float[]){2, 1}, (const uint8_t[]){0, 0}, 2, 1);
    cr_expect(isnan(r.ndcg) && isnan(r.hit_rate) && isnan(r.recall) && r.requests == 0);
    r = of_one(NULL, NULL, 0, 1);
    cr_expect(isnan(r.ndcg) && isnan(r.hit_rate) && isnan(r.recall) && r.requests == 0);
    r = of_one((const float[]){2, 1}, (const uint8_t[]){0, 1}, 2, 0);
    cr_expect(isnan(r.ndcg) && isnan(r.hit_rate) && isnan(r.recall) && r.requests == 0);
}

Test(ranking, refuses_nan_and_says_when_memory_is_out) {
    struct ranking r;
    cr_expect_eq(metric_ranking((const float[]){NAN}, (const uint8_t[]){1}, (const uint32_t[]){1}, 1, 1, &r),
                 -2);
    cr_expect(isnan(r.ndcg));
    for (int nth = 1; nth <= 2; nth++) {
        fail_allocation(nth);
        cr_expect_eq(
            metric_ranking((const float[]){1}, (const uint8_t[]){1}, (const uint32_t[]){1}, 1, 1, &r), -1);
        cr_expect(isnan(r.ndcg));
    }
}

static double ranker_recall(const float *pre, const float *ranker, size_t n, size_t k, size_t m) {
    double recall;
    cr_assert_eq(metric_ranker_recall(pre, ranker, n, k, m, &recall), 0);
    return recall;
}

Test(ranker_recall, equals_numpy_with_ties_by_index) {
    float pre[MAX], ranker[MAX];
    size_t n = 0;
    struct fixture f = fixture_open("ranker.csv");
    for (; fixture_next(&f); n++) {
        pre[n] = (float)f.v[0];
        ranker[n] = (float)f.v[1];
    }
    f = fixture_open("ranker_expected.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        double r = ranker_recall(pre, ranker, n, (size_t)f.v[0], (size_t)f.v[1]);
        cr_expect(near(r, f.v[2], 1e-15), "@(%g,%g) %g, not %g", f.v[0], f.v[1], r, f.v[2]);
    }
    cr_expect_eq(lines, 30);
}

Test(ranker_recall, breaks_ties_by_the_lower_index) {
    const float constant[] = {0, -0.f, 0, 0}, up[] = {1, 2, 3, 4}, down[] = {4, 3, 2, 1};
    cr_expect_eq(ranker_recall(constant, down, 4, 2, 2), 1);
    cr_expect_eq(ranker_recall(constant, up, 4, 2, 2), 0);
}

Test(ranker_recall, of_a_model_to_itself_is_one_when_k_reaches_m) {
    const float x[] = {3, 1, 2, 2, 5};
    cr_expect_eq(ranker_recall(x, x, 5, 3, 3), 1);
    cr_expect_eq(ranker_recall(x, x, 5, 2, 4), .5);
    cr_expect_eq(ranker_recall(x, x, 5, 0, 4), 0);
}

Test(ranker_recall, takes_all_candidates_when_there_are_fewer_than_k_or_m) {
    const float x[] = {3, 1}, y[] = {1, 3};
    cr_expect_eq(ranker_recall(x, y, 2, 100, 10), 1);
    cr_expect_eq(ranker_recall(x, y, 2, 1, 10), .5);
}

Test(ranker_recall, does_not_exist_without_candidates) {
    cr_expect(isnan(ranker_recall(NULL, NULL, 0, 1, 1)));
    cr_expect(isnan(ranker_recall((const float[]){1}, (const float[]){1}, 1, 1, 0)));
}

Test(ranker_recall, refuses_nan_and_says_when_memory_is_out) {
    double r = 1;
    cr_expect_eq(metric_ranker_recall((const float[]){NAN}, (const float[]){1}, 1, 1, 1, &r), -2);
    cr_expect_eq(metric_ranker_recall((const float[]){1}, (const float[]){NAN}, 1, 1, 1, &r), -2);
    cr_expect(isnan(r));
    for (int nth = 1; nth <= 2; nth++) {
        fail_allocation(nth);
        cr_expect_eq(metric_ranker_recall((const float[]){1}, (const float[]){1}, 1, 1, 1, &r), -1);
        cr_expect(isnan(r));
    }
}
