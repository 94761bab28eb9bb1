/* The sieve of bytes: no item that reaches the threshold is left out, and few that do not are let through. */
#include "base/mem.h"
#include "base/rng.h"
#include "serve/sieve.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { ITEMS = 1000, USERS = 30 };
struct trial {
    size_t dim, users;
    float around; /* all numbers near this one: products differ little */
};

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float product(size_t dim, const float *x, const float *y) {
    double sum = 0;
    for (size_t c = 0; c < dim; c++) sum += (double)x[c] * (double)y[c];
    return (float)sum;
}

/* Thresholds are the 20th best score of each user; of the sieve's words, how many items pass that should not. */
static size_t check_users(const struct sieve *s, const struct trial *t, const float *item,
                          const float *user) {
    static float score[USERS][ITEMS], worst[USERS];
    struct sieve_taste taste[USERS];
    uint32_t *word = mem_calloc(USERS * sieve_words(s), sizeof *word), mask[USERS];
    int32_t low[USERS];
    uint16_t hit[USERS + 1];
    size_t extra = 0;
    cr_assert(word);
    for (size_t u = 0; u < t->users; u++) {
        float sorted[ITEMS];
        for (size_t i = 0; i < ITEMS; i++)
            sorted[i] = score[u][i] = product(t->dim, item + i * t->dim, user + u * t->dim);
        qsort(sorted, ITEMS, sizeof *sorted, ascending);
        worst[u] = sorted[ITEMS - 20];
        sieve_user(s, user + u * t->dim, &taste[u], word + u * sieve_words(s));
    }
    for (size_t at = 0; at < ITEMS; at += SIEVE_PANEL) {
        if (at % SIEVE_BLOCK == 0) sieve_low(s, at / SIEVE_BLOCK, taste, t->users, worst, low);
        size_t hits = sieve_panel(s, at / SIEVE_PANEL, word, t->users, low, mask, hit), next = 0;
        for (size_t u = 0; u < t->users; u++) {
            bool in_list = next < hits && hit[next] == u;
            cr_assert_eq(in_list, mask[u] != 0, "user %zu", u);
            next += in_list;
            for (size_t j = 0; j < SIEVE_PANEL && at + j < ITEMS; j++) {
                bool passes = mask[u] >> j & 1, reaches = score[u][at + j] >= worst[u];
                cr_assert(passes || !reaches, "dimension %zu, user %zu, item %zu", t->dim, u, at + j);
                extra += passes && !reaches;
            }
        }
        cr_assert_eq(next, hits);
    }
    mem_free(word);
    return extra;
}

/* Of the items that should not pass, the share that does. */
static double check(const struct trial *t) {
    struct err e = ERR_INIT;
    struct rng r = rng_init(t->dim, t->users);
    struct sieve *s;
    float *item = mem_alloc(ITEMS * t->dim * sizeof *item), *user = mem_alloc(USERS * t->dim * sizeof *user);
    cr_assert(item && user);
    for (size_t i = 0; i < ITEMS * t->dim; i++) item[i] = t->around + 0.1F * (float)rng_normal(&r);
    for (size_t i = 0; i < USERS * t->dim; i++) user[i] = t->around + 7 * (float)rng_normal(&r);
    cr_assert_eq(sieve_create(ISA_BEST, t->dim, item, ITEMS, NULL, &s, &e), 0, "%s", e.msg);
    if (!s) cr_skip_test("skipped: this processor has no AVX512_VNNI, and without it there is no sieve");
    double share = (double)check_users(s, t, item, user) / ((double)t->users * (ITEMS - 20));
    sieve_free(s);
    mem_free(item), mem_free(user);
    return share;
}

Test(sieve, lets_all_through_that_reach_and_few_others) {
    static const size_t dims[] = {3, 4, 31, 32, 130}, users[] = {1, 3, 4, 12, 19, 30};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t u = 0; u < sizeof users / sizeof *users; u++) {
            double share = check(&(struct trial){dims[d], users[u], 0});
            cr_expect_lt(share, .02, "dimension %zu, %zu users: %g of the others pass", dims[d], users[u],
                         share);
        }
}

Test(sieve, lets_all_through_that_reach_where_bytes_confuse_scores) {
    static const float around[] = {10, 1000};
    for (size_t a = 0; a < 2; a++)
        for (size_t dim = 1; dim < 70; dim += 17) check(&(struct trial){dim, 13, around[a]});
}

Test(sieve, lets_everything_through_that_it_cannot_judge) {
    static const float strange[] = {NAN, INFINITY, -INFINITY, 1e30F, 1e-30F, 0};
    for (size_t k = 0; k < sizeof strange / sizeof *strange; k++)
        for (int of_user = 0; of_user < 2; of_user++) {
            struct err e = ERR_INIT;
            float item[SIEVE_BLOCK] = {0}, user = of_user ? strange[k] : 1, worst = 3;
            for (size_t i = 0; i < SIEVE_BLOCK; i++) item[i] = of_user ? 1 : strange[k];
            struct sieve *s;
            struct sieve_taste taste;
            uint32_t word, mask;
            int32_t low;
            uint16_t hit[2];
            cr_assert_eq(sieve_create(ISA_BEST, 1, item, SIEVE_BLOCK, NULL, &s, &e), 0);
            if (!s)
                cr_skip_test("skipped: this processor has no AVX512_VNNI, and without it there is no sieve");
            sieve_user(s, &user, &taste, &word);
            sieve_low(s, 0, &taste, 1, &worst, &low);
            cr_expect_eq(sieve_panel(s, 3, &word, 1, &low, &mask, hit), 1);
            cr_expect_eq(mask, UINT32_MAX);
            sieve_free(s);
        }
}

Test(sieve, is_made_where_the_processor_multiplies_bytes_and_memory_lasts) {
    struct err e = ERR_INIT;
    float item[8] = {1};
    struct sieve *s;
    cr_expect_eq(sieve_create(ISA_AVX512, 4, item, 2, NULL, &s, &e), 0);
    cr_expect_null(s);
    if (isa_best() < ISA_DOT) return;
    for (unsigned long long n = 1;; n++) {
        mem_fail_after(n);
        int rc = sieve_create(ISA_BEST, 4, item, 2, NULL, &s, &e);
        mem_fail_after(0);
        if (!rc) break;
        cr_assert_eq(rc, ERR_INPUT);
        cr_assert_null(s);
        e = (struct err)ERR_INIT;
    }
    cr_assert(s);
    sieve_free(s);
}
