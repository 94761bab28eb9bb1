#include "metrics/metrics.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>

enum { USERS = 150 };
struct models {
    struct gauc_user a[USERS], b[USERS];
};

static void models_read(struct models *m) {
    struct fixture f = fixture_open("bootstrap_users.csv");
    uint32_t i = 0;
    for (; fixture_next(&f); i++) {
        cr_assert_lt(i, USERS);
        m->a[i] = (struct gauc_user){2 * i, f.v[1], f.v[0]};
        m->b[i] = (struct gauc_user){2 * i, f.v[2], f.v[0]};
    }
    cr_assert_eq(i, USERS);
}

static struct gauc of_users(struct gauc_user *user, size_t n) {
    return (struct gauc){.users_kept = n, .users_all = n, .user = user};
}

/* A tail quantile of B resamples of a roughly normal statistic has a standard error of sqrt(q(1-q)/B) /
 * density; at q = .005 and B = 20000 that is .034 of the statistic's own standard error. SciPy's has 60000.
 */
static const double MONTE_CARLO = .15;

Test(bootstrap, agrees_with_scipy) {
    struct models m;
    models_read(&m);
    const struct gauc a = of_users(m.a, USERS), b = of_users(m.b, USERS);
    struct fixture f = fixture_open("bootstrap.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        struct interval ci;
        cr_assert_eq(gauc_bootstrap(&a, 20000, f.v[0], 1, &ci), 0);
        cr_expect_float_eq(ci.lo, f.v[2], MONTE_CARLO * f.v[4], "%g: %g, not %g", f.v[0], ci.lo, f.v[2]);
        cr_expect_float_eq(ci.hi, f.v[3], MONTE_CARLO * f.v[4], "%g: %g, not %g", f.v[0], ci.hi, f.v[3]);

        struct gauc_difference d;
        cr_assert_eq(gauc_paired_bootstrap(&a, &b, 20000, f.v[0], 2, &d), 0);
        cr_expect(near(d.value, f.v[5], 1e-12));
        cr_expect_float_eq(d.ci.lo, f.v[6], MONTE_CARLO * f.v[8], "%g: %g, not %g", f.v[0], d.ci.lo, f.v[6]);
        cr_expect_float_eq(d.ci.hi, f.v[7], MONTE_CARLO * f.v[8], "%g: %g, not %g", f.v[0], d.ci.hi, f.v[7]);
        cr_expect_float_eq(d.p_two_sided, f.v[9], .015, "p %g, not %g", d.p_two_sided, f.v[9]);
        cr_expect_eq(d.users, USERS);
    }
    cr_expect_eq(lines, 3);
}

/* Which SciPy agreed with. */
Test(bootstrap, of_a_mean_is_that_of_gauc_where_users_weigh_alike) {
    struct models m;
    double value[USERS], sum = 0;
    struct interval mean, gauc;
    models_read(&m);
    for (int i = 0; i < USERS; i++) {
        m.a[i].weight = 7;
        sum += value[i] = m.a[i].auc;
    }
    const struct gauc a = of_users(m.a, USERS);
    cr_assert_eq(gauc_bootstrap(&a, 1000, .95, 3, &gauc), 0);
    cr_assert_eq(mean_bootstrap(value, USERS, 1000, .95, 3, &mean), 0);
    cr_expect(near(mean.lo, gauc.lo, 1e-12) && near(mean.hi, gauc.hi, 1e-12));
    cr_expect(mean.lo < sum / USERS && sum / USERS < mean.hi);
    mean_bootstrap(value, 1, 1000, .95, 3, &mean);
    cr_expect(isnan(mean.lo) && isnan(mean.hi));
}

Test(bootstrap, repeats_with_the_seed_and_moves_with_it) {
    struct models m;
    models_read(&m);
    const struct gauc a = of_users(m.a, USERS);
    struct interval one, again, other;
    gauc_bootstrap(&a, 1000, .95, 7, &one);
    gauc_bootstrap(&a, 1000, .95, 7, &again);
    gauc_bootstrap(&a, 1000, .95, 8, &other);
    cr_expect(one.lo == again.lo && one.hi == again.hi);
    cr_expect(one.lo != other.lo && one.hi != other.hi);
}

Test(bootstrap, is_wider_at_a_higher_confidence) {
    struct models m;
    models_read(&m);
    const struct gauc a = of_users(m.a, USERS);
    struct interval narrow, wide;
    gauc_bootstrap(&a, 1000, .8, 7, &narrow);
    gauc_bootstrap(&a, 1000, .99, 7, &wide);
    cr_expect(wide.lo < narrow.lo && narrow.lo < narrow.hi && narrow.hi < wide.hi);
}

/* 400 experiments of 60 users whose true mean is known. Percentile intervals of a mean of 60 cover slightly
 * less than they say; the count has a standard deviation of 6. */
Test(bootstrap, covers_the_truth_as_often_as_it_says) {
    uint64_t random = 1;
    int covered = 0;
    for (int experiment = 0; experiment < 400; experiment++) {
        struct gauc_user user[60];
        for (uint32_t i = 0; i < 60; i++)
            user[i] = (struct gauc_user){i, .6 + .1 * random_normal(&random), 1};
        const struct gauc g = of_users(user, 60);
        struct interval ci;
        gauc_bootstrap(&g, 500, .9, (uint64_t)experiment, &ci);
        covered += ci.lo <= .6 && .6 <= ci.hi;
    }
    cr_expect(covered >= 335 && covered <= 380, "%d of 400 at 90 %%", covered);
}

Test(bootstrap, of_two_models_that_do_not_differ_is_significant_as_often_as_it_says) {
    uint64_t random = 5;
    int found = 0;
    for (int experiment = 0; experiment < 400; experiment++) {
        struct gauc_user a[60], b[60];
        for (uint32_t i = 0; i < 60; i++) {
            double shared = .6 + .1 * random_normal(&random);
            a[i] = (struct gauc_user){i, shared + .02 * random_normal(&random), 1 + i % 3};
            b[i] = (struct gauc_user){i, shared + .02 * random_normal(&random), 1 + i % 3};
        }
        const struct gauc g = of_users(a, 60), h = of_users(b, 60);
        struct gauc_difference d;
        gauc_paired_bootstrap(&g, &h, 500, .9, (uint64_t)experiment, &d);
        found += d.p_two_sided <= .1;
    }
    cr_expect(found >= 20 && found <= 65, "%d of 400 at 10 %%", found);
}

Test(bootstrap, pairing_narrows_the_interval_of_a_difference) {
    struct models m;
    models_read(&m);
    const struct gauc a = of_users(m.a, USERS), b = of_users(m.b, USERS);
    struct interval alone;
    struct gauc_difference d;
    gauc_bootstrap(&a, 2000, .95, 1, &alone);
    gauc_paired_bootstrap(&a, &b, 2000, .95, 1, &d);
    cr_expect_lt(d.ci.hi - d.ci.lo, alone.hi - alone.lo);
}

Test(bootstrap, swapping_the_models_flips_the_difference) {
    struct models m;
    models_read(&m);
    const struct gauc a = of_users(m.a, USERS), b = of_users(m.b, USERS);
    struct gauc_difference d, e;
    gauc_paired_bootstrap(&a, &b, 1000, .95, 3, &d);
    gauc_paired_bootstrap(&b, &a, 1000, .95, 3, &e);
    cr_expect_eq(d.value, -e.value);
    cr_expect(d.ci.lo == -e.ci.hi && d.ci.hi == -e.ci.lo);
    cr_expect_eq(d.p_two_sided, e.p_two_sided);
}

Test(bootstrap, finds_no_difference_of_a_model_to_itself) {
    struct models m;
    models_read(&m);
    const struct gauc a = of_users(m.a, USERS);
    struct gauc_difference d;
    gauc_paired_bootstrap(&a, &a, 200, .95, 3, &d);
    cr_expect(d.value == 0 && d.ci.lo == 0 && d.ci.hi == 0);
    cr_expect_eq(d.p_two_sided, 1);
}

Test(bootstrap, never_claims_a_p_smaller_than_its_resamples_carry) {
    struct models m;
    models_read(&m);
    for (int i = 0; i < USERS; i++) m.b[i].auc = m.a[i].auc - .1;
    const struct gauc a = of_users(m.a, USERS), b = of_users(m.b, USERS);
    struct gauc_difference d;
    gauc_paired_bootstrap(&a, &b, 999, .95, 3, &d);
    cr_expect(near(d.p_two_sided, 2. / 1000, 1e-15));
    cr_expect(near(d.ci.lo, .1, 1e-9) && near(d.ci.hi, .1, 1e-9));
}

Test(bootstrap, pairs_only_the_users_of_both_models) {
    struct gauc_user a[] = {{1, .5, 1}, {3, .9, 2}, {5, .7, 1}, {9, .1, 4}};
    struct gauc_user b[] = {{2, .1, 9}, {3, .6, 2}, {5, .6, 1}, {8, .3, 9}};
    const struct gauc g = of_users(a, 4), h = of_users(b, 4);
    struct gauc_difference d;
    cr_assert_eq(gauc_paired_bootstrap(&g, &h, 100, .9, 1, &d), 0);
    cr_expect_eq(d.users, 2);
    cr_expect(near(d.value, (2 * .3 + .1) / 3, 1e-14));
    cr_expect(near(d.ci.lo, .1, 1e-9) && near(d.ci.hi, .3, 1e-9));
}

Test(bootstrap, says_when_no_user_is_in_both) {
    struct gauc_user a[] = {{1, .5, 1}}, b[] = {{2, .5, 1}};
    const struct gauc g = of_users(a, 1), h = of_users(b, 1), none = of_users(NULL, 0);
    struct gauc_difference d;
    cr_expect_eq(gauc_paired_bootstrap(&g, &h, 100, .9, 1, &d), -3);
    cr_expect(isnan(d.value) && isnan(d.p_two_sided) && isnan(d.ci.lo) && isnan(d.ci.hi));
    cr_expect_eq(gauc_paired_bootstrap(&g, &none, 100, .9, 1, &d), -3);
    cr_expect_eq(gauc_paired_bootstrap(&none, &g, 100, .9, 1, &d), -3);
}

static int has_interval(struct gauc *g, int resamples, double confidence) {
    struct interval ci = {0, 0};
    cr_assert_eq(gauc_bootstrap(g, resamples, confidence, 1, &ci), 0);
    cr_assert_eq(isnan(ci.lo), isnan(ci.hi));
    struct gauc_difference d;
    int bad = gauc_paired_bootstrap(g, g, resamples, confidence, 1, &d);
    cr_assert_eq(bad, g->users_kept ? 0 : -3);
    cr_assert_eq(isnan(d.ci.lo), isnan(ci.lo));
    cr_assert_eq(isnan(d.p_two_sided), isnan(ci.lo));
    return !isnan(ci.lo);
}

Test(bootstrap, makes_no_interval_of_too_little) {
    struct models m;
    models_read(&m);
    struct gauc none = of_users(NULL, 0), one = of_users(m.a, 1), all = of_users(m.a, USERS);
    cr_expect_not(has_interval(&none, 1000, .95));
    cr_expect_not(has_interval(&one, 1000, .95), "one user says nothing of the spread of users");
    cr_expect_not(has_interval(&all, 38, .95));
    cr_expect(has_interval(&all, 39, .95));
    cr_expect_not(has_interval(&all, 18, .9));
    cr_expect(has_interval(&all, 19, .9));
    cr_expect_not(has_interval(&all, 0, .9));
    cr_expect_not(has_interval(&all, -1, .9));
    cr_expect_not(has_interval(&all, 1000, 1));
    cr_expect_not(has_interval(&all, 1000, 0));
    cr_expect_not(has_interval(&all, 1000, NAN));
}

Test(bootstrap, says_when_memory_is_out) {
    struct models m;
    const double value[10] = {0};
    models_read(&m);
    const struct gauc a = of_users(m.a, USERS);
    for (int nth = 1; nth <= 2; nth++) {
        struct interval ci;
        fail_allocation(nth);
        cr_expect_eq(gauc_bootstrap(&a, 100, .9, 1, &ci), -1);
        cr_expect(isnan(ci.lo) && isnan(ci.hi));
        fail_allocation(nth);
        cr_expect_eq(mean_bootstrap(value, 10, 100, .9, 1, &ci), -1);
        cr_expect(isnan(ci.lo) && isnan(ci.hi));
        struct gauc_difference d;
        fail_allocation(nth);
        cr_expect_eq(gauc_paired_bootstrap(&a, &a, 100, .9, 1, &d), -1);
        cr_expect(isnan(d.value) && isnan(d.ci.lo));
    }
}
