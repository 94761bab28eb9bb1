/* Many inner products at once against the plain sum, and, to the bit, against one at a time: for any instructions,
 * dimension and number of rows. */
#include "base/mem.h"
#include "base/rng.h"
#include "nn/dots.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { ROWS = 300, MOST = 80 };

static void draw(struct rng *r, float *v, size_t n) {
    for (size_t i = 0; i < n; i++) v[i] = (float)rng_normal(r);
}

static void check(size_t dim, size_t n, enum isa isa) {
    struct rng r = rng_init(dim, n);
    float *table = mem_alloc(ROWS * dim * sizeof *table), *x = mem_alloc(dim * sizeof *x), out[ROWS + 1];
    uint32_t ids[ROWS];
    cr_assert(table && x);
    draw(&r, table, ROWS * dim);
    draw(&r, x, dim);
    for (size_t i = 0; i < n; i++) ids[i] = (uint32_t)rng_below(&r, ROWS);
    for (int gather = 0; gather < 2; gather++) {
        memset(out, 0x7f, sizeof out);
        float untouched = out[n];
        if (gather)
            dots_gather(dim, x, table, ids, n, isa, out);
        else
            dots_rows(dim, x, table, n, isa, out);
        for (size_t i = 0; i < n; i++) {
            const float *row = table + (gather ? ids[i] : i) * dim;
            double want = 0;
            for (size_t c = 0; c < dim; c++) want += (double)x[c] * (double)row[c];
            cr_assert_float_eq(out[i], want, 1e-4, "dim %zu, row %zu of %zu: %g, not %g", dim, i, n,
                               (double)out[i], want);
            float one;
            dots_rows(dim, x, row, 1, isa, &one);
            cr_assert_eq(memcmp(&one, &out[i], sizeof one), 0, "dim %zu, row %zu of %zu", dim, i, n);
        }
        cr_assert_eq(memcmp(&untouched, &out[n], sizeof untouched), 0, "wrote behind the end");
    }
    mem_free(table);
    mem_free(x);
}

Test(dots, equal_the_plain_sum_and_single_products_to_the_bit) {
    static const size_t dims[] = {1, 3, 16, 17, 32, 48, 64, MOST},
                        counts[] = {0, 1, 15, 16, 17, 33, 64, 255, ROWS};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
            for (int best = 0; best < 2; best++) check(dims[d], counts[c], best ? isa_best() : ISA_PORTABLE);
}

Test(dots, rows_that_reach_are_those_with_a_number_not_below) {
    enum { N = 100 };
    static const size_t counts[] = {0, 1, 31, N};
    struct rng r = rng_init(3, 1);
    float score[N * DOTS_PANEL], low[DOTS_PANEL];
    draw(&r, low, DOTS_PANEL);
    for (size_t i = 0; i < N * DOTS_PANEL; i++)
        score[i] = low[i % DOTS_PANEL] - (rng_below(&r, 40) ? 0.1F : 0);
    for (size_t c = 0; c < DOTS_PANEL; c++) score[7 * DOTS_PANEL + c] = low[c] - 1;
    score[7 * DOTS_PANEL + 31] = NAN;
    low[16] = INFINITY; /* whom nothing reaches */
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        for (int best = 0; best < 2; best++) {
            size_t n = counts[k], found = 0;
            uint8_t row[N + 1];
            memset(row, 0xff, sizeof row);
            struct dots_ahead ahead = {score, n / 2, DOTS_PANEL};
            size_t got = dots_reach(score, n, low, best ? isa_best() : ISA_PORTABLE, row, ahead);
            for (size_t i = 0; i < n; i++) {
                bool reaches = false;
                for (size_t c = 0; c < DOTS_PANEL; c++)
                    if (isnan(score[i * DOTS_PANEL + c]) || score[i * DOTS_PANEL + c] >= low[c])
                        reaches = true;
                if (reaches) cr_assert_eq(row[found++], i);
            }
            cr_expect_eq(got, found);
            cr_expect(n < N || (found > 20 && found < 80), "%zu rows", found);
            cr_expect_eq(row[n], 0xff);
        }
}
