/* The two towers' own paths: scores equal to those of the pair stage op by op, the exact best of all items. */
#include "base/mem.h"
#include "base/rng.h"
#include "serve/index.h"
#include "serve/towers.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- exact search ---- */

/* An ordering as it should be found: the highest first, equal ones by number. */
static const double *by_score;
static int better(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (by_score[x] != by_score[y]) return by_score[x] < by_score[y] ? 1 : -1;
    return (x > y) - (x < y);
}

enum values { NORMAL, TIES, CLOSE, ROUNDED };
struct setting {
    uint32_t n_items, first;
    size_t dim, k, users;
    int threads;
    enum isa isa;
    enum values values;
};

struct data {
    struct vectors items, users;
    double *score; /* [users][n_items]: plain sums */
    uint32_t *found;
    float *found_score; /* [users][k] */
};

static float draw(struct rng *r, enum values v, float around) {
    if (v == ROUNDED) return 1 + 0x1p-8F * (1 - 0.1F * (float)rng_uniform(r)); /* all of them 127 in bytes */
    if (v == TIES) return (float)rng_below(r, 3); /* whole numbers: sums are exact, and many are equal */
    return v == CLOSE ? around + 0.01F * (float)rng_normal(r) : (float)rng_normal(r);
}

static void make_data(const struct setting *s, struct data *d) {
    struct rng r = rng_init(s->n_items, s->k + s->users);
    size_t n = s->n_items, dim = s->dim;
    float *item = mem_alloc(n * dim * sizeof *item), *user = mem_alloc(s->users * dim * sizeof *user);
    d->score = mem_alloc(s->users * n * sizeof *d->score);
    d->found = mem_alloc(s->users * s->k * sizeof *d->found);
    d->found_score = mem_alloc(s->users * s->k * sizeof *d->found_score);
    cr_assert(item && user && d->score && d->found && d->found_score);
    for (size_t i = 0; i < n * dim; i++) item[i] = draw(&r, s->values, sinf((float)(i % dim)));
    for (size_t i = 0; i < n * dim && s->values == ROUNDED; i++) item[i] *= (i / dim + 1) % 3 ? 1 : 0.25F;
    for (size_t i = 0; i < s->users * dim; i++) user[i] = draw(&r, s->values, sinf((float)(i % dim)));
    d->items = (struct vectors){item, n, dim};
    d->users = (struct vectors){user, s->users, dim};
    for (size_t u = 0; u < s->users; u++)
        for (size_t i = 0; i < n; i++) {
            double sum = 0;
            for (size_t c = 0; c < dim; c++) sum += (double)user[u * dim + c] * (double)item[i * dim + c];
            d->score[u * n + i] = sum;
        }
}

static void release_data(struct data *d) {
    mem_free((float *)d->items.p), mem_free((float *)d->users.p);
    mem_free(d->score), mem_free(d->found), mem_free(d->found_score);
}

static struct towers_options options_of(const struct setting *s) {
    return (struct towers_options){.first = s->first, .k = s->k, .users = s->users, .isa = s->isa};
}

static void search(const struct setting *s, const struct towers_options *o, struct data *d) {
    struct err e = ERR_INIT;
    struct pool *pool = NULL;
    struct towers_search *q;
    struct scorer_towers t = {.dim = s->dim, .scale = 1, .n_items = s->n_items, .items = d->items.p};
    if (s->threads) cr_assert_eq(pool_create(s->threads, &pool, &e), 0, "%s", e.msg);
    cr_assert_eq(towers_search_create(&t, o, pool, &q, &e), 0, "%s", e.msg);
    for (int again = 0; again < 2; again++) towers_search(q, d->users.p, s->users, d->found, d->found_score);
    towers_search_free(q);
    pool_free(pool);
}

/* Every place holds an item with the score of that place among the plain sums, up to the rounding of floats; equal ones
 * in the order of their numbers where sums are exact. */
static void check_lists(const struct setting *s, const struct data *d) {
    uint32_t *order = mem_alloc(s->n_items * sizeof *order);
    size_t n = s->n_items - s->first < s->k ? s->n_items - s->first : s->k;
    for (size_t u = 0; u < s->users; u++) {
        by_score = d->score + u * s->n_items;
        for (uint32_t i = 0; i < s->n_items; i++) order[i] = i;
        qsort(order + s->first, s->n_items - s->first, sizeof *order, better);
        for (size_t i = 0; i < s->k; i++) {
            uint32_t item = d->found[u * s->k + i], want = i < n ? order[s->first + i] : 0;
            float score = d->found_score[u * s->k + i];
            double slack = 2e-6 * fmax(10, fabs(by_score[want]));
            if (i >= n) {
                cr_assert(item == INDEX_NONE && score == -INFINITY);
                continue;
            }
            cr_assert(item >= s->first && item < s->n_items);
            cr_assert_float_eq(score, by_score[item], slack);
            cr_assert_float_eq(
                by_score[item], by_score[want], slack,
                "%s, %u items of dimension %zu, user %zu of %zu, place %zu: item %u with %.9g, not "
                "%u with %.9g",
                isa_names[s->isa], s->n_items, s->dim, u, s->users, i, item, by_score[item], want,
                by_score[want]);
            if (s->values == TIES) cr_assert_eq(item, want, "place %zu: item %u, not %u", i, item, want);
            for (size_t b = 0; b < i; b++) cr_assert_neq(d->found[u * s->k + b], item);
        }
    }
    mem_free(order);
}

static void check_search(struct setting s) {
    struct data d;
    struct towers_options o = options_of(&s);
    make_data(&s, &d);
    search(&s, &o, &d);
    check_lists(&s, &d);
    release_data(&d);
}

Test(towers, the_exact_best_for_one_user) {
    for (int threads = 1; threads <= 3; threads += 2) {
        check_search((struct setting){100000, 0, 32, 100, 1, threads, ISA_BEST, NORMAL});
        check_search((struct setting){100000, 1, 16, 100, 1, threads, ISA_BEST, TIES});
        check_search((struct setting){20000, 1, 7, 1, 1, threads, ISA_BEST, TIES});
        check_search(
            (struct setting){300, 1, 32, 400, 1, threads, ISA_BEST, NORMAL}); /* fewer than asked for */
        check_search((struct setting){2, 1, 32, 10, 1, threads, ISA_BEST, NORMAL});
    }
}

/* Around whole panels of 32 users, blocks of 96 items, tiles of 32 dimensions, and the number from which users share a
 * product. */
Test(towers, the_exact_best_for_many_users_with_all_instructions) {
    static const size_t users[] = {1, 2, 4, 5, 12, 13, 31, 32, 33, 37, 44, 45, 65};
    static const size_t dims[] = {1, 7, 16, 31, 32, 48, 64};
    for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++)
        for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
            uint32_t n = (uint32_t)(700 + 97 * i);
            check_search((struct setting){n, i % 2, dims[i % 7], 10, users[i], 1 + (int)i % 3, isa, NORMAL});
            check_search((struct setting){n, i % 2, dims[(i + 4) % 7], 30, users[i], 1, isa, TIES});
        }
}

Test(towers, many_users_take_several_passes) {
    check_search((struct setting){2000, 1, 32, 7, 300, 2, ISA_BEST, NORMAL});
    struct setting s = {500, 1, 32, 7, 70, 2, ISA_BEST, NORMAL}; /* more than it was made for */
    struct towers_options o = options_of(&s);
    struct data d;
    o.users = 0;
    make_data(&s, &d);
    search(&s, &o, &d);
    check_lists(&s, &d);
    release_data(&d);
}

/* Scores that lie within a hundredth of each other: bytes confuse their order, and must not decide. With ROUNDED it is
 * off by as much as it can be. */
Test(towers, scores_that_bytes_cannot_tell_apart) {
    check_search((struct setting){5000, 0, 32, 3, 20, 1, ISA_BEST, ROUNDED});
    check_search((struct setting){5000, 0, 96, 3, 33, 2, ISA_BEST, ROUNDED});
    check_search((struct setting){30000, 0, 32, 50, 33, 2, ISA_BEST, CLOSE});
    check_search((struct setting){12500, 0, 64, 50, 20, 1, ISA_BEST, CLOSE});
}

/* Fewer pieces of items than 3 threads, and more: to the bit. */
Test(towers, the_result_does_not_depend_on_the_number_of_threads) {
    struct setting s = {50001, 1, 32, 100, 40, 1, ISA_BEST, NORMAL};
    struct towers_options o = options_of(&s);
    struct data d;
    make_data(&s, &d);
    size_t n = s.users * s.k;
    uint32_t *found = mem_alloc(n * sizeof *found);
    float *score = mem_alloc(n * sizeof *score);
    search(&s, &o, &d);
    memcpy(found, d.found, n * sizeof *found);
    memcpy(score, d.found_score, n * sizeof *score);
    for (s.threads = 2; s.threads <= 3; s.threads++) {
        search(&s, &o, &d);
        cr_expect_arr_eq(d.found, found, n * sizeof *found);
        cr_expect_arr_eq(d.found_score, score, n * sizeof *score);
    }
    mem_free(found), mem_free(score);
    release_data(&d);
}

Test(towers, many_users_find_what_faiss_finds) {
    struct setting s = {40000, 0, 32, 100, 65, 3, ISA_BEST, NORMAL};
    struct towers_options o = options_of(&s);
    struct err e = ERR_INIT;
    struct index *ix;
    struct data d;
    make_data(&s, &d);
    search(&s, &o, &d);
    size_t n = s.users * s.k, other = 0;
    uint32_t *found = mem_alloc(n * sizeof *found);
    float *score = mem_alloc(n * sizeof *score);
    cr_assert_eq(index_create("Flat", s.dim, 1, &ix, &e), 0, "%s", e.msg);
    cr_assert_eq(index_add(ix, d.items, &e), 0, "%s", e.msg);
    cr_assert_eq(index_search(ix, d.users, s.k, found, score, &e), 0, "%s", e.msg);
    for (size_t i = 0; i < n; i++) {
        cr_assert_float_eq(d.found_score[i], score[i], 2e-5, "place %zu", i);
        other += d.found[i] != found[i];
    }
    cr_expect_leq(other, 2); /* neighbours that a rounding error swaps */
    index_free(ix);
    mem_free(found), mem_free(score);
    release_data(&d);
}

/* Vectors with NaN have no score, and so are never found, whatever is beside them; infinity is the largest score. */
Test(towers, scores_that_are_no_numbers_are_not_found) {
    static const size_t users[] = {1, 20};
    for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++)
        for (size_t i = 0; i < 2; i++) {
            struct setting s = {400, 0, 32, 400, users[i], 1, isa, TIES};
            struct towers_options o = options_of(&s);
            struct data d;
            make_data(&s, &d);
            float *item = (float *)d.items.p, *user = (float *)d.users.p;
            for (size_t c = 0; c < users[i] * s.dim; c++) user[c] += 1; /* above 0 */
            item[7 * 32 + 3] = NAN;
            item[200 * 32] = INFINITY;
            item[201 * 32] = -INFINITY;
            item[300 * 32] = INFINITY, item[300 * 32 + 1] = -INFINITY;
            for (int no_user = 0; no_user < 2; no_user++) {
                search(&s, &o, &d);
                size_t last = (users[i] - 1) * s.k; /* of the last user */
                for (size_t a = 0; a < s.k; a++)
                    cr_assert(d.found[last + a] != 7 && d.found[last + a] != 300, "place %zu", a);
                if (no_user) {
                    cr_expect_eq(d.found[last], INDEX_NONE);
                    continue;
                }
                cr_expect_eq(d.found[last], 200);
                cr_expect_eq(d.found[last + 397], 201);
                cr_expect_eq(d.found_score[last + 397], -INFINITY);
                cr_expect_eq(d.found[last + 398], INDEX_NONE);
                user[(users[i] - 1) * s.dim + 5] = NAN;
            }
            release_data(&d);
        }
}

/* Numbers beyond what the sieve's bound is made for; those of 1e-39 are subnormal, which floats may be where no pool is. */
Test(towers, vectors_may_be_tiny_and_huge) {
    static const float factor[][2] = {{1e-39F, 1e16F}, {1e16F, 1e-39F}, {1e-32F, 1e18F}, {1e18F, 1e-32F},
                                      {1e-20F, 1e20F}, {1e17F, 1e17F},  {3e37F, 1e-32F}};
    for (size_t f = 0; f < sizeof factor / sizeof *factor; f++) {
        struct setting s = {3000, 0, 32, 20, 20, 0, ISA_BEST, NORMAL};
        struct towers_options o = options_of(&s);
        struct data d;
        make_data(&s, &d);
        for (size_t i = 0; i < s.n_items * s.dim; i++) ((float *)d.items.p)[i] *= factor[f][0];
        for (size_t i = 0; i < s.users * s.dim; i++) ((float *)d.users.p)[i] *= factor[f][1];
        search(&s, &o, &d);
        for (size_t i = 0; i < s.users * s.k; i++)
            d.found_score[i] =
                (float)((double)d.found_score[i] / (double)factor[f][0] / (double)factor[f][1]);
        check_lists(&s, &d);
        release_data(&d);
    }
}

/* Next to the largest float, though the sum is not. */
Test(towers, vectors_may_be_next_to_infinite) {
    struct setting s = {3000, 0, 32, 20, 32, 0, ISA_BEST, NORMAL};
    struct towers_options o = options_of(&s);
    struct data d;
    make_data(&s, &d);
    static const float item[] = {3.397e38F, 9.5e36F, 9.5e36F, 9.5e36F, 9.5e36F}, user[] = {-0.1F, 1, 1, 1, 1};
    for (size_t c = 0; c < 5; c++) {
        ((float *)d.items.p)[2900 * s.dim + c] = item[c];
        for (size_t u = 0; u < s.users; u++) ((float *)d.users.p)[u * s.dim + c] = user[c];
    }
    search(&s, &o, &d);
    for (size_t u = 0; u < s.users; u++) cr_expect_eq(d.found[u * s.k], 2900);
    release_data(&d);
}

static bool every_third(void *ctx, size_t user, uint32_t item) {
    (void)ctx;
    return (item + user) % 3 == 0;
}

Test(towers, items_to_skip_are_those_of_each_user) {
    static const size_t users[] = {3, 40, 150};
    for (size_t i = 0; i < 3; i++) {
        struct setting s = {1000, 1, 32, 100, users[i], 2, ISA_BEST, NORMAL};
        struct towers_options o = options_of(&s);
        struct data d;
        o.skip = every_third;
        make_data(&s, &d);
        for (size_t u = 0; u < s.users; u++)
            for (uint32_t a = 0; a < s.n_items; a++)
                if (every_third(NULL, u, a)) d.score[u * s.n_items + a] = -1e9;
        search(&s, &o, &d);
        check_lists(&s, &d);
        release_data(&d);
    }
}

Test(towers, searches_that_cannot_be_are_refused) {
    struct err e = ERR_INIT;
    struct towers_search *q;
    float table[64] = {0};
    struct scorer_towers t = {.dim = 32, .scale = 1, .n_items = 2};
    struct towers_options o = {.k = 1, .users = 1};
    cr_expect_eq(towers_search_create(&t, &o, NULL, &q, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "in memory"), "%s", e.msg);
    t.items = table;
    for (unsigned long long n = 1;; n++) { /* every allocation */
        mem_fail_after(n);
        int rc = towers_search_create(&t, &o, NULL, &q, &e);
        mem_fail_after(0);
        if (!rc) break;
        cr_expect_null(q);
    }
    towers_search_free(q);
    o.first = 2;
    cr_expect_eq(towers_search_create(&t, &o, NULL, &q, &e), ERR_INPUT);
    o = (struct towers_options){.k = 0};
    cr_expect_eq(towers_search_create(&t, &o, NULL, &q, &e), ERR_INPUT);
    towers_search_free(NULL);
}
