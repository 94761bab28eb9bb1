/* Kernels of nn/vec.h that work in blocks, on shapes of several blocks, and the one-sweep sum of looked-up rows,
 * against their scalar references. */
#include "base/mem.h"
#include "base/rng.h"
#include "nn/vec.h"
#include "tests/nn/reference.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static float *random_floats(size_t n, uint64_t stream) {
    struct rng r = rng_init(1, stream);
    float *x = mem_alloc((n + 1) * sizeof *x);
    cr_assert_not_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(2 * rng_uniform(&r) - 1);
    return x;
}

static void expect_near(size_t n, const float *fast, const float *slow, double tolerance, const char *what) {
    for (size_t i = 0; i < n; i++)
        cr_assert(fabs((double)fast[i] - (double)slow[i]) <= tolerance, "%s: number %zu is %.9g, not %.9g",
                  what, i, (double)fast[i], (double)slow[i]);
}

/* rows, n, k: below, at and far above the 10^6 multiply-adds of one block, and with one too large for any */
static const size_t shapes[][3] = {{64, 128, 112},  {78, 100, 128}, {79, 100, 128},
                                   {300, 128, 112}, {517, 65, 33},  {40, 300, 260}};

Test(vec_large, products_of_several_blocks) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t rows = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        float *x = random_floats(rows * (k + 3), 1), *w = random_floats(k * n, 2),
              *y = random_floats(rows * (n + 5), 3), *fast = random_floats(k * n, 4),
              *slow = random_floats(k * n, 4), *z = random_floats(rows * (n + 5), 3);
        struct mat in = {x, k + 3}, a = {y, n + 5}, b = {z, n + 5};
        for (int acc = 1; acc >= 0; acc--) {
            gemm_nn(rows, n, k, in, w, n, a, acc);
            reference_gemm_nn(rows, n, k, in, w, n, b, acc);
            expect_near(rows * (n + 5), y, z, 2e-5, "gemm_nn");
        }
        gemm_tn_add(rows, k, n, in, b, fast, n);
        reference_gemm_tn_add(rows, k, n, in, b, slow, n);
        expect_near(k * n, fast, slow, 5e-4, "gemm_tn_add");
        float *own[] = {x, w, y, fast, slow, z};
        for (size_t f = 0; f < sizeof own / sizeof *own; f++) mem_free(own[f]);
    }
}

Test(vec_large, transposed_to_the_bit) {
    static const size_t sizes[] = {1, 2, 7, 8, 9, 16, 33, 112};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            size_t rows = sizes[i], cols = sizes[j];
            float *x = random_floats(rows * cols, 1), *y = random_floats(rows * cols, 2);
            y[rows * cols] = 77; /* random_floats has room for one more */
            vec_transpose(rows, cols, y, x);
            for (size_t r = 0; r < rows; r++)
                for (size_t c = 0; c < cols; c++)
                    cr_assert_eq(y[c * rows + r], x[r * cols + c], "%zu x %zu: row %zu column %zu", rows,
                                 cols, r, c);
            cr_assert_eq(y[rows * cols], 77);
            mem_free(x);
            mem_free(y);
        }
}

enum { ROWS = 21, TABLE = 50 };

static void check_sum(size_t n, int tables, enum act act) {
    uint32_t ids[4][ROWS];
    struct rng r = rng_init(1, 9);
    struct vec_term term[6];
    float *x[6], *fast = random_floats(ROWS * (n + 2), 3), *slow = random_floats(ROWS * (n + 2), 3);
    struct mat a = {fast, n + 2}, b = {slow, n + 2};
    x[0] = random_floats(n, 10);
    x[1] = random_floats(ROWS * (n + 1), 11);
    term[0] = (struct vec_term){x[0], 0, NULL};
    term[1] = (struct vec_term){x[1], n + 1, NULL};
    reference_copy(ROWS, n, b, (struct mat){x[0], 0}, 1, false);
    reference_copy(ROWS, n, b, (struct mat){x[1], n + 1}, 1, true);
    for (int k = 0; k < tables; k++) {
        size_t ld = n + (size_t)k;
        for (size_t i = 0; i < ROWS; i++) ids[k][i] = (uint32_t)rng_below(&r, TABLE);
        x[2 + k] = random_floats(TABLE * ld, 12 + (uint64_t)k);
        term[2 + k] = (struct vec_term){x[2 + k], ld, ids[k]};
        reference_gather(ROWS, n, b, x[2 + k], ld, ids[k], NULL, true);
    }
    reference_bias_act(ROWS, n, b, NULL, act);
    vec_sum(ROWS, n, a, term, 2 + tables, act);
    expect_near(ROWS * (n + 2), fast, slow, 2e-6, "vec_sum"); /* and nothing between the rows is written */
    for (int k = 0; k < 2 + tables; k++) mem_free(x[k]);
    mem_free(fast);
    mem_free(slow);
}

Test(vec_large, sums_of_values_and_table_rows) {
    static const size_t widths[] = {1, 15, 16, 17, 63, 64, 65, 100, 128, 200};
    static const enum act acts[] = {ACT_NONE, ACT_RELU, ACT_TANH};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (int tables = 0; tables <= 4; tables++)
            for (size_t k = 0; k < sizeof acts / sizeof *acts; k++) check_sum(widths[w], tables, acts[k]);
}
