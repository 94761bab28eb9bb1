/* Every kernel of nn/vec.h against its scalar reference, on all shapes: odd widths, rows further apart than
 * they are long, one row seen by all. */
#include "nn/vec.h"
#include "tests/nn/grid.h"
#include "tests/nn/reference.h"
#include <criterion/criterion.h>
#include <math.h>

static const size_t row_counts[] = {0, 1, 2, 3, 8, 19},
                    widths[] = {1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100};
static const size_t gaps[] = {0, 1, 13}; /* ld = n + gap */
#define EACH(i, list) for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++)
#define N_WIDTHS      (sizeof widths / sizeof *widths)

/* One shape: the output's rows are n + gap apart; x's likewise, or all the same row. */
struct shape {
    size_t rows, n, ld, x_ld;
    bool acc;
};

static void on_all_shapes(void (*check)(const struct shape *)) {
    EACH(r, row_counts)
    EACH(w, widths)
    EACH(g, gaps)
    for (int acc = 0; acc < 2; acc++)
        for (int x = 0; x < 3; x++) {
            size_t n = widths[w], x_ld[] = {n + gaps[g], n + 7, 0};
            check(&(struct shape){row_counts[r], n, n + gaps[g], x_ld[x], acc});
        }
}

static void check_copy(const struct shape *s) {
    struct grid x = grid_input(s->rows, s->n, s->x_ld, 1), a = grid_output(s->rows, s->n, s->ld, 2),
                b = grid_output(s->rows, s->n, s->ld, 2);
    vec_copy(s->rows, s->n, a.m, x.m, -1.75f, s->acc);
    reference_copy(s->rows, s->n, b.m, x.m, -1.75f, s->acc);
    grid_expect(&a, &b, 1e-6, "vec_copy");
    grid_free(&x), grid_free(&a), grid_free(&b);
}
Test(vec, copy_scales_and_adds) { on_all_shapes(check_copy); }

static void check_mul(const struct shape *s) {
    for (int column = 0; column < 2; column++) {
        size_t n_y = column ? 1 : s->n, y_ld = s->x_ld ? n_y + 3 : s->n; /* x or y is the broadcast row */
        struct grid x = grid_input(s->rows, s->n, s->x_ld, 1), y = grid_input(s->rows, n_y, y_ld, 3);
        struct grid y0 = grid_input(s->rows, n_y, 0, 4);
        struct grid a = grid_output(s->rows, s->n, s->ld, 2), b = grid_output(s->rows, s->n, s->ld, 2);
        vec_mul(s->rows, s->n, a.m, x.m, y.m, column, s->acc);
        reference_mul(s->rows, s->n, b.m, x.m, y.m, column, s->acc);
        grid_expect(&a, &b, 1e-6, column ? "vec_mul, a factor a row" : "vec_mul");
        vec_mul(s->rows, s->n, a.m, x.m, y0.m, column, s->acc);
        reference_mul(s->rows, s->n, b.m, x.m, y0.m, column, s->acc);
        grid_expect(&a, &b, 1e-6, column ? "vec_mul, one factor" : "vec_mul by one row");
        grid_free(&x), grid_free(&y), grid_free(&y0), grid_free(&a), grid_free(&b);
    }
}
Test(vec, mul_by_values_and_by_row_factors) { on_all_shapes(check_mul); }

static void check_row_dot(const struct shape *s) {
    struct grid x = grid_input(s->rows, s->n, s->x_ld, 1), y = grid_input(s->rows, s->n, s->n + 2, 3);
    struct grid a = grid_output(s->rows, 1, s->ld, 2), b = grid_output(s->rows, 1, s->ld, 2);
    vec_row_dot(s->rows, s->n, a.m, x.m, y.m, s->acc);
    reference_row_dot(s->rows, s->n, b.m, x.m, y.m, s->acc);
    grid_expect(&a, &b, 2e-6, "vec_row_dot");
    vec_row_dot(s->rows, s->n, a.m, y.m, x.m, s->acc);
    reference_row_dot(s->rows, s->n, b.m, y.m, x.m, s->acc);
    grid_expect(&a, &b, 2e-6, "vec_row_dot the other way round");
    if (s->rows) {
        double norm2 = reference_dot(s->n, x.m.p, x.m.p), dot = reference_dot(s->n, x.m.p, y.m.p);
        cr_assert_float_eq(vec_norm2(s->n, x.m.p), norm2, 1e-12 * fmax(1, norm2));
        cr_assert_float_eq((double)vec_dot(s->n, x.m.p, y.m.p), dot, 2e-6 * fmax(1, fabs(dot)));
    }
    grid_free(&x), grid_free(&y), grid_free(&a), grid_free(&b);
}
Test(vec, inner_products_and_norms) { on_all_shapes(check_row_dot); }

static void check_bias_act(const struct shape *s) {
    for (enum act act = ACT_NONE; act <= ACT_LINEAR_LOG; act++) {
        struct grid bias = grid_input(1, s->n, s->n, 5);
        struct grid a = grid_output(s->rows, s->n, s->ld, 2), b = grid_output(s->rows, s->n, s->ld, 2);
        grid_scale(&a, 2.5f), grid_scale(&b, 2.5f);
        vec_bias_act(s->rows, s->n, a.m, s->acc ? bias.m.p : NULL, act);
        reference_bias_act(s->rows, s->n, b.m, s->acc ? bias.m.p : NULL, act);
        grid_expect(&a, &b, 1e-6, "vec_bias_act");
        grid_free(&bias), grid_free(&a), grid_free(&b);
    }
}
Test(vec, bias_and_activation) { on_all_shapes(check_bias_act); }

static void check_act_grad(const struct shape *s) {
    for (enum act act = ACT_NONE; act <= ACT_LINEAR_LOG; act++) {
        struct grid y = grid_input(s->rows, s->n, s->x_ld, 1);
        struct grid a = grid_output(s->rows, s->n, s->ld, 2), b = grid_output(s->rows, s->n, s->ld, 2);
        struct grid sum_a = grid_output(1, s->n, s->n, 6), sum_b = grid_output(1, s->n, s->n, 6);
        if (s->x_ld) grid_scale(&y, 2.5f); /* to beyond 1, where linear_log bends */
        vec_act_grad(s->rows, s->n, a.m, y.m, act, s->acc ? sum_a.m.p : NULL);
        reference_act_grad(s->rows, s->n, b.m, y.m, act, s->acc ? sum_b.m.p : NULL);
        grid_expect(&a, &b, 1e-6, "vec_act_grad");
        grid_expect(&sum_a, &sum_b, 2e-6, "vec_act_grad, bias");
        grid_free(&y), grid_free(&a), grid_free(&b), grid_free(&sum_a), grid_free(&sum_b);
    }
}
Test(vec, gradient_of_activation_and_bias) { on_all_shapes(check_act_grad); }

static void check_col_sum(const struct shape *s) {
    struct grid x = grid_input(s->rows, s->n, s->x_ld, 1), w = grid_input(s->rows, 1, s->acc ? s->ld : 0, 3);
    struct grid a = grid_output(1, s->n, s->n, 2), b = grid_output(1, s->n, s->n, 2);
    vec_col_sum(s->rows, s->n, x.m, NULL, a.m.p);
    reference_col_sum(s->rows, s->n, x.m, NULL, b.m.p);
    grid_expect(&a, &b, 2e-5, "vec_col_sum");
    vec_col_sum(s->rows, s->n, x.m, &w.m, a.m.p);
    reference_col_sum(s->rows, s->n, x.m, &w.m, b.m.p);
    grid_expect(&a, &b, 2e-5, "vec_col_sum, weighted");
    grid_free(&x), grid_free(&w), grid_free(&a), grid_free(&b);
}
Test(vec, column_sums) { on_all_shapes(check_col_sum); }

/* ids and bags: the first bag does not start at 0, some are empty, the table's rows may be wider than what is
 * taken. */
static void check_gather(const struct shape *s) {
    enum { VOCAB = 23 };
    struct grid table = grid_input(VOCAB, s->n, s->n + (s->x_ld ? s->x_ld - s->n : 4), 1);
    uint32_t ids[400], offsets[32] = {3};
    uint64_t seed = s->rows * 131 + s->n;
    for (size_t i = 0; i < 400; i++) ids[i] = (uint32_t)((double)(grid_draw(&seed) + 1) / 2 * VOCAB) % VOCAB;
    for (size_t r = 0; r < s->rows; r++) offsets[r + 1] = offsets[r] + (uint32_t)(r * 5 % 7 % 4);
    struct grid a = grid_output(s->rows, s->n, s->ld, 2), b = grid_output(s->rows, s->n, s->ld, 2);
    vec_gather(s->rows, s->n, a.m, table.m.p, table.ld, ids);
    reference_gather(s->rows, s->n, b.m, table.m.p, table.ld, ids, NULL, false);
    grid_expect(&a, &b, 0, "vec_gather");
    vec_gather_add(s->rows, s->n, a.m, table.m.p, table.ld, ids + 1, NULL);
    reference_gather(s->rows, s->n, b.m, table.m.p, table.ld, ids + 1, NULL, true);
    grid_expect(&a, &b, 1e-6, "vec_gather_add, ids");
    vec_gather_add(s->rows, s->n, a.m, table.m.p, table.ld, ids, offsets);
    reference_gather(s->rows, s->n, b.m, table.m.p, table.ld, ids, offsets, true);
    grid_expect(&a, &b, 1e-6, "vec_gather_add, bags");
    vec_gather_mean(s->rows, s->n, a.m, table.m.p, table.ld, ids, offsets);
    reference_gather(s->rows, s->n, b.m, table.m.p, table.ld, ids, offsets, false);
    grid_expect(&a, &b, 1e-6, "vec_gather_mean");
    grid_free(&table), grid_free(&a), grid_free(&b);
}
Test(vec, gathers_of_ids_and_bags) { on_all_shapes(check_gather); }

/* Products: the other dimension k goes through all widths too; one broadcast row counts as one row only. */
static void check_gemm(const struct shape *s) {
    size_t rows = s->x_ld ? s->rows : s->rows > 0;
    for (size_t i = s->n % 3; i < N_WIDTHS; i += 3) {
        size_t k = widths[i], x_ld = s->x_ld ? k + s->ld - s->n : 0;
        struct grid x = grid_input(rows, k, x_ld, 1), nt = grid_input(s->n, k, k + 2, 3),
                    nn = grid_input(k, s->n, s->n + 3, 4);
        struct grid a = grid_output(rows, s->n, s->ld, 2), b = grid_output(rows, s->n, s->ld, 2);
        gemm_nt(rows, s->n, k, x.m, nt.m.p, nt.ld, a.m, s->acc);
        reference_gemm_nt(rows, s->n, k, x.m, nt.m.p, nt.ld, b.m, s->acc);
        grid_expect(&a, &b, 4e-6, "gemm_nt");
        gemm_nn(rows, s->n, k, x.m, nn.m.p, nn.ld, a.m, s->acc);
        reference_gemm_nn(rows, s->n, k, x.m, nn.m.p, nn.ld, b.m, s->acc);
        grid_expect(&a, &b, 4e-6, "gemm_nn");
        struct grid ga = grid_output(s->n, k, k + s->ld - s->n, 7),
                    gb = grid_output(s->n, k, k + s->ld - s->n, 7);
        gemm_tn_add(rows, s->n, k, a.m, x.m, ga.m.p, ga.ld);
        reference_gemm_tn_add(rows, s->n, k, a.m, x.m, gb.m.p, gb.ld);
        grid_expect(&ga, &gb, 1e-5, "gemm_tn_add");
        grid_free(&x), grid_free(&nt), grid_free(&nn), grid_free(&a), grid_free(&b), grid_free(&ga),
            grid_free(&gb);
    }
}
Test(vec, matrix_products) {
    gemm_single_threaded();
    on_all_shapes(check_gemm);
}
