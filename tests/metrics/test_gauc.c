#include "metrics/metrics.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct gauc gauc(const float *score, const uint8_t *label, const uint32_t *user, size_t n,
                        enum gauc_weight w) {
    struct gauc g;
    cr_assert_eq(gauc_compute(score, label, user, n, w, &g), 0);
    return g;
}

Test(gauc, equals_scikit_learn_per_user_under_every_weighting) {
    struct split s;
    split_read(&s);
    struct fixture f = fixture_open("gauc.csv");
    int lines = 0;
    for (; fixture_next(&f); lines++) {
        struct gauc g = gauc(f.v[1] ? s.tied : s.score, s.label, s.user, s.n, (enum gauc_weight)f.v[0]);
        cr_expect(near(g.value, f.v[2], 1e-14), "weight %g: %.17g, not %.17g", f.v[0], g.value, f.v[2]);
        cr_expect(near(g.kept, f.v[3], 1e-15));
        cr_expect_eq(g.users_kept, (size_t)f.v[4]);
        cr_expect_eq(g.users_all, (size_t)f.v[5]);
        gauc_release(&g);
    }
    cr_expect_eq(lines, 6);
}

Test(gauc, lists_the_users_that_count_in_order_of_id) {
    struct split s;
    split_read(&s);
    struct gauc g = gauc(s.tied, s.label, s.user, s.n, GAUC_BY_POSITIVES);
    struct fixture f = fixture_open("gauc_users.csv");
    size_t i = 0;
    for (; fixture_next(&f); i++) {
        cr_assert_lt(i, g.users_kept);
        cr_expect_eq(g.user[i].user, (uint32_t)f.v[0]);
        cr_expect(near(g.user[i].auc, f.v[1], 1e-15));
        cr_expect_eq(g.user[i].weight, f.v[2]);
    }
    cr_expect_eq(i, g.users_kept);
    gauc_release(&g);
}

Test(gauc, of_one_user_is_the_auc) {
    struct split s;
    split_read(&s);
    memset(s.user, 0xff, sizeof s.user);
    double auc;
    cr_assert_eq(metric_auc(s.tied, s.label, s.n, &auc), 0);
    for (int w = GAUC_BY_EXPOSURES; w <= GAUC_BY_USER; w++) {
        struct gauc g = gauc(s.tied, s.label, s.user, s.n, (enum gauc_weight)w);
        cr_expect(near(g.value, auc, 1e-15));
        cr_expect_eq(g.kept, 1);
        gauc_release(&g);
    }
}

Test(gauc, ignores_any_shift_of_a_users_scores) {
    struct split s;
    split_read(&s);
    struct gauc plain = gauc(s.tied, s.label, s.user, s.n, GAUC_BY_EXPOSURES);
    for (size_t i = 0; i < s.n; i++) s.tied[i] += (float)(s.user[i] % 50) * 16;
    struct gauc shifted = gauc(s.tied, s.label, s.user, s.n, GAUC_BY_EXPOSURES);
    cr_expect_eq(plain.value, shifted.value);
    gauc_release(&plain);
    gauc_release(&shifted);
}

Test(gauc, does_not_depend_on_the_order_of_rows) {
    struct split s;
    split_read(&s);
    struct gauc plain = gauc(s.tied, s.label, s.user, s.n, GAUC_BY_EXPOSURES);
    split_shuffle(&s, 11);
    struct gauc shuffled = gauc(s.tied, s.label, s.user, s.n, GAUC_BY_EXPOSURES);
    cr_expect_eq(plain.value, shuffled.value);
    cr_expect_eq(plain.users_kept, shuffled.users_kept);
    gauc_release(&plain);
    gauc_release(&shuffled);
}

Test(gauc, leaves_users_of_one_class_out_of_both_sums) {
    const float score[] = {1, 2, 9, 9, 0, 0};
    const uint8_t label[] = {0, 1, 1, 1, 0, 0};
    const uint32_t user[] = {5, 5, 6, 6, 4, 4};
    struct gauc g = gauc(score, label, user, 6, GAUC_BY_EXPOSURES);
    cr_expect_eq(g.value, 1);
    cr_expect(near(g.kept, 1. / 3, 1e-15));
    cr_expect_eq(g.users_kept, 1);
    cr_expect_eq(g.users_all, 3);
    gauc_release(&g);
}

Test(gauc, does_not_exist_when_no_user_has_both_classes) {
    struct gauc g =
        gauc((const float[]){1, 2}, (const uint8_t[]){0, 1}, (const uint32_t[]){1, 2}, 2, GAUC_BY_USER);
    cr_expect(isnan(g.value));
    cr_expect_eq(g.kept, 0);
    cr_expect_eq(g.users_all, 2);
    cr_expect_null(g.user);
    gauc_release(&g);
    g = gauc(NULL, NULL, NULL, 0, GAUC_BY_USER);
    cr_expect(isnan(g.value) && isnan(g.kept));
    cr_expect_eq(g.users_all, 0);
    gauc_release(&g);
}

Test(gauc, refuses_a_nan_score) {
    struct gauc g;
    cr_expect_eq(gauc_compute((const float[]){1, NAN}, (const uint8_t[]){0, 1}, (const uint32_t[]){1, 1}, 2,
                              GAUC_BY_USER, &g),
                 -2);
    cr_expect(isnan(g.value));
    cr_expect_null(g.user);
}

Test(gauc, says_when_memory_is_out) {
    for (int nth = 1; nth <= 2; nth++) {
        struct gauc g;
        fail_allocation(nth);
        int bad = gauc_compute((const float[]){1, 2}, (const uint8_t[]){0, 1}, (const uint32_t[]){1, 1}, 2,
                               GAUC_BY_USER, &g);
        cr_expect_eq(bad, -1);
        cr_expect(isnan(g.value));
        cr_expect_null(g.user);
    }
}

Test(gauc, handles_a_hundred_thousand_users) {
    enum { USERS = 100000, EACH = 10, N = USERS * EACH };
    float *score = malloc(N * sizeof *score);
    uint8_t *label = malloc(N);
    uint32_t *user = malloc(N * sizeof *user);
    for (size_t i = 0; i < N; i++) {
        size_t at = i * 7919 % N, place = at % EACH;
        user[i] = (uint32_t)(at / EACH) * 40013; /* spread over 32 bits, distinct as 40013 is odd */
        score[i] = (float)place;
        label[i] = at / EACH % 2 ? place == EACH - 1 : place == 0; /* AUC 1 for odd users, 0 for even ones */
    }
    struct gauc g = gauc(score, label, user, N, GAUC_BY_EXPOSURES);
    cr_expect_eq(g.value, .5);
    cr_expect_eq(g.users_kept, USERS);
    for (size_t i = 1; i < g.users_kept; i++) cr_assert_lt(g.user[i - 1].user, g.user[i].user);
    gauc_release(&g);
    free(score);
    free(label);
    free(user);
}
