/* The fused engine's kernels, at every level of instructions that this processor has, against the same thing one scalar
 * at a time. Whole numbers must be the same; floats differ by the order of sums and by one rounding to bf16. */
#include "base/rng.h"
#include "nn/fused/kernels.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { K = 112, LD = 136, ROWS = FUSED_GROUP }; /* words of a row: no multiple of 64 */
static uint32_t a[ROWS * LD], w[2 * 16 * K];
static float c[ROWS * LD], bias[LD], scale[LD];
static const size_t row_counts[] = {1, 2, 5, 13, 14, 15, 31, 32, 33, 56, 64}, widths[] = {16, 32, 48, 112};
#define EACH(i, list) for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++)
#define EACH_LEVEL(k)                                                                                        \
    for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++)                                              \
        for (struct fused_kernels k = fused_kernels(isa), *once = &k; once; once = NULL)

static struct rng r;
static float normal(void) { return (float)rng_normal(&r); }
static void fill_bytes(void *p, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = (uint8_t)rng_below(&r, 256);
}
static void fill_floats(float *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = normal();
}
static void fill_bf16(uint32_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = bf16_round(normal()) << 16 | bf16_round(normal());
}
static const char *const line[] = {"a", "line", "or", "more", "to", "ask", "for", "now"};
static struct fused_ask ask(void) { return (struct fused_ask){line, sizeof line / sizeof *line}; }

static void init(void) { r = rng_init(11, 4); }
TestSuite(fused_kernels, .init = init);

Test(fused_kernels, a_level_that_the_processor_does_not_have_is_not_used) {
    for (enum isa isa = ISA_BEST; isa <= ISA_AMX; isa++) {
        struct fused_kernels k = fused_kernels(isa);
        cr_expect_leq(k.isa, isa_best());
        if (isa != ISA_BEST) cr_expect_leq(k.isa, isa);
    }
    cr_expect_eq(fused_kernels(ISA_BEST).isa, isa_best());
    cr_expect_null(fused_kernels(ISA_AVX2).mul_bf16);
}

Test(fused_kernels, products_of_bytes_are_exact) {
    fill_bytes(a, sizeof a);
    fill_bytes(w, sizeof w);
    memset(a, 255, LD * sizeof *a); /* the largest sums there are */
    memset(w, 0x80, K * sizeof *w);
    EACH_LEVEL(k) EACH(i, row_counts) EACH(j, widths) {
        size_t rows = row_counts[i], words = widths[j];
        struct fused_ask lines = ask();
        if (k.begin) k.begin();
        k.mul_u8(rows, words, a, LD, w, (int32_t *)(void *)c, LD, &lines);
        if (k.end) k.end();
        for (size_t row = 0; row < rows; row++)
            for (size_t n = 0; n < 32; n++) {
                int64_t sum = 0;
                const uint8_t *x = (const uint8_t *)(a + row * LD);
                for (size_t b = 0; b < 4 * words; b++)
                    sum += x[b] * ((const int8_t *)w)[4 * ((n / 16 * words + b / 4) * 16 + n % 16) + b % 4];
                int32_t got;
                memcpy(&got, &c[row * LD + n], sizeof got);
                cr_assert_eq(got, sum, "%s, %zu rows, %zu words: row %zu unit %zu: %d, not %ld",
                             isa_names[k.isa], rows, words, row, n, got, (long)sum);
            }
    }
}

Test(fused_kernels, products_of_bf16_add_up_in_float) {
    fill_bf16(a, sizeof a / 4);
    fill_bf16(w, sizeof w / 4);
    EACH_LEVEL(k) EACH(i, row_counts) EACH(j, widths) {
        size_t rows = row_counts[i], words = widths[j];
        struct fused_ask lines = ask();
        if (!k.mul_bf16) continue; /* below ISA_DOT floats are multiplied */
        if (k.begin) k.begin();
        k.mul_bf16(rows, words, a, LD, w, c, LD, &lines);
        if (k.end) k.end();
        for (size_t row = 0; row < rows; row++)
            for (size_t n = 0; n < 32; n++) {
                double sum = 0, size = 0; /* of the terms: what roundings are relative to */
                for (size_t b = 0; b < 2 * words; b++) {
                    uint32_t x = a[row * LD + b / 2] >> 16 * (b % 2),
                             y = w[(n / 16 * words + b / 2) * 16 + n % 16] >> 16 * (b % 2);
                    double term = (double)bf16_float(x & 0xffff) * (double)bf16_float(y & 0xffff);
                    sum += term;
                    size += fabs(term);
                }
                cr_assert_float_eq(c[row * LD + n], sum, 2e-6 * size, "%s: %g, not %g", isa_names[k.isa],
                                   (double)c[row * LD + n], sum);
            }
    }
}

Test(fused_kernels, products_of_floats_with_bias_and_relu) {
    fill_floats((float *)a, sizeof a / 4);
    fill_floats((float *)w, sizeof w / 4);
    fill_floats(bias, LD);
    const size_t odd[] = {1, 2, 3, 7, 33, 112};
    EACH_LEVEL(k) EACH(i, row_counts) EACH(j, odd) for (int relu = 0; relu < 2; relu++) {
        size_t rows = row_counts[i], n_k = odd[j];
        struct fused_ask lines = ask();
        k.mul_f32(rows, n_k, (float *)a, LD, (float *)w, bias, relu, c, LD, &lines);
        for (size_t row = 0; row < rows; row++)
            for (size_t n = 0; n < 32; n++) {
                double sum = bias[n], size = fabs(sum);
                for (size_t b = 0; b < n_k; b++) {
                    double term = (double)((float *)a)[row * LD + b] *
                                  (double)((float *)w)[(n / 16 * n_k + b) * 16 + n % 16];
                    sum += term;
                    size += fabs(term);
                }
                if (relu && sum < 0) sum = 0;
                cr_assert_float_eq(c[row * LD + n], sum, 1e-6 * size + 1e-7, "%s", isa_names[k.isa]);
            }
    }
}

/* ---- products that skip zeros ---- */

enum { UNITS = 128, COLUMNS = 2 * K };
static float weight[UNITS][COLUMNS], strip[UNITS * COLUMNS], dense[ROWS * LD], panels[32 * COLUMNS];
static uint64_t mask[ROWS * 4];
static uint32_t pairs[ROWS * 4 * FUSED_MASK / 2];
static const size_t units[] = {32, 64, 96, 128};
static const int kept[] = {0, 1, 30, 50, 97, 100}; /* of 100 columns */

static bool zero_at(int percent) { return (int)rng_below(&r, 100) >= percent; }

/* The masks' columns, one by one. */
static size_t count_bits(size_t rows, size_t columns) {
    size_t n = 0;
    for (size_t i = 0; i < rows * fused_masks(columns); i++)
        for (uint64_t m = mask[i]; m; m >>= 1) n += m & 1;
    return n;
}

static void same_bits(const char *what, size_t rows, size_t first, size_t n_k, size_t n) {
    for (size_t row = 0; row < rows; row++)
        cr_assert_arr_eq(&c[row * LD + first], &dense[row * LD], 32 * sizeof(float),
                         "%s: row %zu of %zu, units from %zu of %zu, %zu columns", what, row, rows, first, n,
                         n_k);
}

Test(fused_kernels, skipping_zeros_changes_no_bit_in_floats) {
    const size_t odd[] = {1, 7, 33, 64, 65, 112};
    for (size_t i = 0; i < UNITS; i++) fill_floats(weight[i], COLUMNS);
    fill_floats(bias, LD);
    EACH_LEVEL(k) {
        cr_expect_eq(!k.skip_f32, k.isa < ISA_AVX512);
        if (!k.skip_f32) continue;
        EACH(i, row_counts) EACH(j, odd) EACH(u, units) EACH(p, kept) {
            size_t rows = row_counts[i], n_k = odd[j], n = units[u], ones = 0;
            bool relu = (i + j + p) % 2;
            struct fused_ask lines = ask();
            float *x = (float *)a;
            for (size_t at = 0; at < sizeof a / sizeof *a; at++) x[at] = zero_at(kept[p]) ? 0 : normal();
            for (size_t row = 0; row < rows; row++)
                for (size_t b = 0; b < n_k; b++) ones += x[row * LD + b] != 0;
            for (size_t b = 0; b < n_k; b++)
                for (size_t unit = 0; unit < n; unit++) strip[b * n + unit] = weight[unit][b];
            cr_assert_eq(k.mask_f32(rows, n_k, x, LD, mask), ones);
            cr_assert_eq(count_bits(rows, n_k), ones);
            k.skip_f32(rows, n_k, x, LD, mask, n, strip, bias, relu, c, LD, &lines);
            cr_expect_eq(lines.line + lines.n, line + sizeof line / sizeof *line);
            for (size_t first = 0; first < n; first += 32) {
                struct fused_ask none = {NULL, 0};
                for (size_t unit = 0; unit < 32; unit++)
                    for (size_t b = 0; b < n_k; b++)
                        panels[(unit / 16 * n_k + b) * 16 + unit % 16] = weight[first + unit][b];
                k.mul_f32(rows, n_k, x, LD, panels, bias + first, relu, dense, LD, &none);
                same_bits(isa_names[k.isa], rows, first, n_k, n);
            }
        }
    }
}

Test(fused_kernels, skipping_zeros_changes_no_bit_in_bf16) {
    uint16_t *packed_strip = (uint16_t *)(void *)strip;
    uint32_t *packed_panels = (uint32_t *)(void *)panels;
    for (size_t i = 0; i < UNITS; i++) fill_floats(weight[i], COLUMNS);
    EACH_LEVEL(k) {
        if (!k.skip_bf16) continue; /* only where the dense products are AVX512_BF16's */
        cr_expect_eq(k.isa, ISA_DOT);
        EACH(i, row_counts) EACH(j, widths) EACH(u, units) EACH(p, kept) {
            size_t rows = row_counts[i], words = widths[j], n = units[u], ones = 0;
            struct fused_ask lines = ask();
            for (size_t at = 0; at < sizeof a / sizeof *a; at++)
                a[at] = (zero_at(kept[p]) ? 0 : bf16_round(normal())) |
                        (zero_at(kept[p]) ? 0 : bf16_round(normal()) << 16);
            for (size_t row = 0; row < rows; row++)
                for (size_t b = 0; b < 2 * words; b++)
                    ones += (a[row * LD + b / 2] >> 16 * (b % 2) & 0xffff) != 0;
            for (size_t b = 0; b < 2 * words; b++)
                for (size_t unit = 0; unit < n; unit++)
                    packed_strip[fused_skip_at_bf16(n, unit, b)] = (uint16_t)bf16_round(weight[unit][b]);
            cr_assert_eq(k.mask_bf16(rows, words, a, LD, mask, pairs), ones);
            cr_assert_eq(count_bits(rows, 2 * words), ones);
            k.skip_bf16(rows, words, mask, pairs, n, packed_strip, c, LD, &lines);
            cr_expect_eq(lines.line + lines.n, line + sizeof line / sizeof *line);
            for (size_t first = 0; first < n; first += 32) {
                struct fused_ask none = {NULL, 0};
                for (size_t unit = 0; unit < 32; unit++)
                    for (size_t b = 0; b < words; b++)
                        packed_panels[(unit / 16 * words + b) * 16 + unit % 16] =
                            bf16_round(weight[first + unit][2 * b]) |
                            bf16_round(weight[first + unit][2 * b + 1]) << 16;
                k.mul_bf16(rows, words, a, LD, packed_panels, dense, LD, &none);
                same_bits(isa_names[k.isa], rows, first, words, n);
            }
        }
    }
}

Test(fused_kernels, lines_asked_for_are_taken_from_the_front_and_never_beyond_the_list) {
    EACH_LEVEL(k) {
        struct fused_ask lines = ask();
        if (k.begin) k.begin();
        for (int i = 0; i < 5; i++) k.mul_u8(64, 16, a, LD, w, (int32_t *)(void *)c, LD, &lines);
        if (k.end) k.end();
        cr_expect_leq(lines.n, sizeof line / sizeof *line);
        cr_expect_eq(lines.line + lines.n, line + sizeof line / sizeof *line);
        for (int i = 0; i < 5; i++) k.mul_f32(64, 16, (float *)a, LD, (float *)w, bias, true, c, LD, &lines);
        cr_expect_leq(lines.n, sizeof line / sizeof *line);
        cr_expect_eq(lines.line + lines.n, line + sizeof line / sizeof *line);
    }
}

/* ---- sums of table rows ---- */

enum { WIDTH = 128, TABLE = 50, TERMS = 3 };
static float values[TERMS][TABLE][WIDTH], base[ROWS][WIDTH];
static char packed[TERMS][TABLE][WIDTH * 4];
static uint32_t ids[TERMS][ROWS];

static struct fused_sum make_sum(size_t bytes, size_t width, bool base_rows) {
    struct fused_sum s = {.width = width, .terms = TERMS, .base = base[0], .base_ld = base_rows ? WIDTH : 0};
    fill_floats(base[0], ROWS * WIDTH);
    for (int t = 0; t < TERMS; t++) {
        s.table[t] = packed[t];
        s.stride[t] = bytes;
        s.ids[t] = ids[t];
        for (size_t i = 0; i < ROWS; i++) ids[t][i] = (uint32_t)rng_below(&r, TABLE);
    }
    return s;
}

static void check_sum(const char *what, size_t rows, const struct fused_sum *s, bool relu, double tolerance) {
    for (size_t i = 0; i < rows; i++)
        for (size_t col = 0; col < s->width; col++) {
            double sum = base[s->base_ld ? i : 0][col];
            for (int t = 0; t < TERMS; t++) sum += values[t][ids[t][i]][col];
            if (relu && sum < 0) sum = 0;
            cr_assert_float_eq(c[i * LD + col], sum, tolerance, "%s: %g, not %g", what,
                               (double)c[i * LD + col], sum);
        }
}

/* What is packed, and what it stands for. */
static void pack_values(int kind) {
    for (int t = 0; t < TERMS; t++)
        for (int row = 0; row < TABLE; row++)
            for (int col = 0; col < WIDTH; col++) {
                float x = normal(), *v = &values[t][row][col];
                char *p = packed[t][row];
                uint32_t h = bf16_round(x), *word = (uint32_t *)(void *)p + col / 32 * 16 + col % 16;
                if (kind == 0) *v = ((float *)(void *)p)[col] = x;
                if (kind == 1) *v = f16_float(((uint16_t *)(void *)p)[col] = f16_round(x));
                if (kind == 2) {
                    *word = col % 32 < 16 ? h : *word | h << 16;
                    *v = bf16_float(h);
                }
                if (kind == 3) *v = ((int8_t *)p)[col] = (int8_t)((int)rng_below(&r, 255) - 127);
            }
}

Test(fused_kernels, sums_of_rows_in_every_precision) {
    for (int kind = 0; kind < 4; kind++) {
        pack_values(kind);
        for (size_t i = 0; i < WIDTH; i++) scale[i] = 1;
        EACH_LEVEL(k) EACH(i, row_counts) for (int bits = 0; bits < 4; bits++) {
            bool relu = bits & 1;
            struct fused_sum s = make_sum(WIDTH * 4, kind ? 128 : bits & 2 ? 77 : 128, bits & 2);
            const char *what = isa_names[k.isa];
            memset(c, 0xff, sizeof c);
            if (kind == 0) k.sum_f32(row_counts[i], &s, relu, c, LD);
            if (kind == 1) k.sum_f16(row_counts[i], &s, relu, c, LD);
            if (kind == 2) k.sum_bf16(row_counts[i], &s, relu, c, LD);
            if (kind == 3) k.sum_s8(row_counts[i], &s, scale, relu, c, LD);
            check_sum(what, row_counts[i], &s, relu, kind == 3 ? 1e-4 : 1e-5);
        }
    }
}

Test(fused_kernels, sums_packed_for_the_product_are_the_rounded_sums) {
    static float plain[ROWS * LD];
    static uint32_t out[ROWS * LD];
    EACH_LEVEL(k) for (int relu = 0; relu < 2; relu++) {
        pack_values(2);
        struct fused_sum s = make_sum(WIDTH * 4, WIDTH, relu);
        if (k.sum_bf16_pack) {
            k.sum_bf16(ROWS, &s, relu, plain, LD);
            k.sum_bf16_pack(ROWS, &s, relu, out, LD);
            for (size_t i = 0; i < ROWS; i++)
                for (size_t col = 0; col < WIDTH; col++)
                    cr_assert_eq(out[i * LD + col / 2] >> 16 * (col % 2) & 0xffff,
                                 bf16_round(plain[i * LD + col]));
        }
        pack_values(3);
        for (size_t i = 0; i < WIDTH; i++) scale[i] = 0.37f;
        k.sum_s8_pack(ROWS, &s, scale, out, LD);
        for (size_t i = 0; i < ROWS; i++)
            for (size_t col = 0; col < WIDTH; col++) {
                double x = base[s.base_ld ? i : 0][col];
                for (int t = 0; t < TERMS; t++) x += (double)scale[col] * (double)values[t][ids[t][i]][col];
                x = x < 0 ? 0 : x > 255 ? 255 : x;
                cr_assert_float_eq(((uint8_t *)(out + i * LD))[col], x, 0.5 + 1e-4, "%s", isa_names[k.isa]);
            }
    }
}

Test(fused_kernels, packing_rounds_to_nearest_and_limits) {
    static float x[ROWS * LD];
    static int32_t whole[ROWS * LD];
    static uint32_t out[ROWS * LD];
    enum { N = 96 };
    for (size_t i = 0; i < ROWS * LD; i++) {
        x[i] = 100 * normal();
        whole[i] = (int32_t)(10000 * normal());
    }
    x[0] = NAN, x[1] = INFINITY, x[2] = -INFINITY, x[3] = 3e38f;
    fill_floats(bias, LD);
    for (size_t i = 0; i < LD; i++) scale[i] = 0.02f;
    EACH_LEVEL(k) {
        k.pack_u8_s32(ROWS, N, whole, LD, scale, bias, out, LD);
        for (size_t i = 0; i < ROWS * N; i++) {
            size_t at = i / N * LD + i % N;
            double y = (double)whole[at] * (double)scale[i % N] + (double)bias[i % N];
            cr_assert_float_eq(((uint8_t *)(out + i / N * LD))[i % N], y < 0 ? 0 : y > 255 ? 255 : y, 0.5001);
        }
        k.pack_u8_f32(ROWS, N, x, LD, scale, bias, out, LD);
        for (size_t i = 0; i < ROWS * N; i++) {
            double y = (double)x[i / N * LD + i % N] * (double)scale[i % N] + (double)bias[i % N];
            if (isnan(y)) y = 0;
            cr_assert_float_eq(((uint8_t *)(out + i / N * LD))[i % N],
                               y < 0     ? 0
                               : y > 255 ? 255
                                         : y,
                               0.5001, "%s %g", isa_names[k.isa], y);
        }
        for (int relu = 0; k.pack_bf16 && relu < 2; relu++) {
            k.pack_bf16(ROWS, N, x, LD, bias, relu, out, LD);
            for (size_t i = 1; i < ROWS * N; i++) {
                float y = x[i / N * LD + i % N] + bias[i % N];
                if (relu && !(y > 0)) y = 0;
                cr_assert_eq(out[i / N * LD + i % N / 2] >> 16 * (i % 2) & 0xffff, bf16_round(y), "%g",
                             (double)y);
            }
        }
    }
}

Test(fused_kernels, fp16_goes_there_and_back_and_rounds_ties_to_even) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        float x = f16_float((uint16_t)h);
        if ((h & 0x7fff) > 0x7c00)
            cr_assert(isnan(x) && isnan(f16_float(f16_round(x))));
        else
            cr_assert_eq(f16_round(x), h, "%x", h);
        if ((h & 0x7fff) >= 0x7bff) continue;
        float next = f16_float((uint16_t)(h + 1)), middle = (x + next) / 2;
        cr_assert_eq(f16_round(middle), h % 2 ? h + 1 : h, "between %x and the next", h);
        cr_assert_eq(f16_round(nextafterf(middle, x)), h);
        cr_assert_eq(f16_round(nextafterf(middle, next)), h + 1);
    }
    cr_expect_eq(f16_round(65519), 0x7bff);
    cr_expect_eq(f16_round(65520), 0x7c00);
    cr_expect_eq(f16_round(-1e30f), 0xfc00);
    cr_expect_float_eq(f16_float(0x3555), 0.333251953125, 0); /* IEEE 754's binary16 of 1/3 */
}
