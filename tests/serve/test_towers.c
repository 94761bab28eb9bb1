/* The two towers' own paths: scores equal to those of the pair stage op by op, the exact best of all items. */
#include "base/mem.h"
#include "base/rng.h"
#include "serve/towers.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- exact search ---- */

static uint32_t items[400];
static float scores[400];

/* Orders as it should be found: the highest first, equal ones by number. */
static const float *by_score;
static int better(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (by_score[x] != by_score[y]) return by_score[x] < by_score[y] ? 1 : -1;
    return (x > y) - (x < y);
}

/* Items around whole numbers, so that many tie. */
static void search(uint32_t n, size_t dim, uint32_t first, size_t k, int threads, bool ties) {
    struct err e = ERR_INIT;
    struct rng r = rng_init(n, k);
    struct pool *pool;
    struct towers_search *q;
    float *table = mem_alloc((size_t)n * dim * sizeof *table), *score = mem_alloc(n * sizeof *score),
          user[64];
    uint32_t *order = mem_alloc(n * sizeof *order);
    for (size_t i = 0; i < n * dim; i++) table[i] = ties ? (float)rng_below(&r, 3) : (float)rng_normal(&r);
    for (size_t c = 0; c < dim; c++) user[c] = ties ? 1 : (float)rng_normal(&r);
    for (uint32_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t c = 0; c < dim; c++) sum += (double)user[c] * (double)table[i * dim + c];
        score[i] = (float)sum;
        order[i] = i;
    }
    by_score = score;
    qsort(order + first, n - first, sizeof *order, better);
    struct scorer_towers t = {.dim = dim, .scale = 1, .n_items = n, .items = table};
    cr_assert_eq(pool_create(threads, &pool, &e), 0, "%s", e.msg);
    cr_assert_eq(towers_search_create(&t, first, k, pool, &q, &e), 0, "%s", e.msg);
    for (int again = 0; again < 2; again++) {
        size_t got = towers_search(q, user, items, scores), want = n - first < k ? n - first : k;
        cr_assert_eq(got, want);
        for (size_t i = 0; i < got; i++) {
            cr_assert_eq(items[i], order[first + i], "%u items, place %zu: %u, not %u", n, i, items[i],
                         order[first + i]);
            cr_assert_float_eq(scores[i], score[items[i]], 1e-4);
        }
    }
    towers_search_free(q);
    pool_free(pool);
    mem_free(table), mem_free(score), mem_free(order);
}

Test(towers, the_exact_best_of_all_items_are_found_by_any_number_of_threads) {
    for (int threads = 1; threads <= 3; threads += 2) {
        search(100000, 32, 0, 100, threads, false);
        search(100000, 16, 1, 100, threads, true); /* a few scores, shared by thousands */
        search(20000, 7, 1, 1, threads, true);
        search(300, 32, 1, 400, threads, false); /* fewer than asked for */
        search(2, 32, 1, 10, threads, false);
    }
}

Test(towers, searches_that_cannot_be_are_refused) {
    struct err e = ERR_INIT;
    struct towers_search *q;
    float table[8] = {0};
    struct scorer_towers t = {.dim = 4, .scale = 1, .n_items = 2};
    cr_expect_eq(towers_search_create(&t, 0, 1, NULL, &q, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "in memory"), "%s", e.msg);
    t.items = table;
    cr_expect_eq(towers_search_create(&t, 2, 1, NULL, &q, &e), ERR_INPUT);
    cr_expect_eq(towers_search_create(&t, 0, 0, NULL, &q, &e), ERR_INPUT);
    towers_search_free(NULL);
    for (unsigned long long n = 1; n < 4; n++) {
        mem_fail_after(n);
        cr_expect_neq(towers_search_create(&t, 0, 1, NULL, &q, &e), 0);
        cr_expect_null(q);
        mem_fail_after(0);
    }
}
