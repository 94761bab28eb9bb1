/* Products in lower precisions on every level of instructions, against PyTorch's rounding and NumPy's whole numbers:
 * tests/fixtures/models/product.safetensors, made by tests/fixtures/make_product.py. And rows of tables, packed. */
#include "base/mem.h"
#include "base/rng.h"
#include "nn/checkpoint.h"
#include "nn/fused/kernels.h"
#include "nn/fused/product.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct tensors file;
static struct err e;

static void init(void) {
    cr_assert_eq(tensors_open("tests/fixtures/models/product.safetensors", &file, &e), 0, "%s", e.msg);
}
static void fini(void) { tensors_close(&file); }
TestSuite(product, .init = init, .fini = fini);

static const struct tensor *get(const char *name) {
    const struct tensor *t = tensors_find(&file, name);
    cr_assert_not_null(t, "no tensor %s", name);
    return t;
}

/* Runs `times` copies of x's rows below each other; the largest distance from `expect`, relative to the largest of it. */
static double run(const struct product *p, size_t times, bool positive, const char *expect) {
    const struct tensor *x = get("x"), *y = get(expect);
    size_t rows = x->dim[0], k = x->dim[1], n = y->dim[1], ld = k + 3, ldy = n + 5;
    float *in = mem_calloc(times * rows * ld, sizeof *in), *out = mem_calloc(times * rows * ldy, sizeof *out);
    void *work = mem_calloc(product_work_bytes(p), 1);
    double worst = 0, largest = 0;
    for (size_t r = 0; r < times * rows; r++)
        for (size_t c = 0; c < k; c++) {
            float v = ((const float *)x->data)[r % rows * k + c];
            in[r * ld + c] = positive ? fabsf(v) : v;
        }
    product_run(p, times * rows, (struct mat){in, ld}, (struct mat){out, ldy}, work);
    for (size_t r = 0; r < times * rows; r++)
        for (size_t c = 0; c < n; c++) {
            double want = (double)((const float *)y->data)[r % rows * n + c];
            worst = fmax(worst, fabs((double)out[r * ldy + c] - want));
            largest = fmax(largest, fabs(want));
        }
    for (size_t r = 0; r < times * rows; r++)
        for (size_t c = n; c < ldy; c++) cr_assert_eq(out[r * ldy + c], 0.0f, "beyond the row");
    mem_free(in);
    mem_free(out);
    mem_free(work);
    return worst / largest;
}

Test(product, rounds_as_pytorch_and_numpy_do) {
    static const struct {
        const char *expect;
        enum precision precision;
        bool positive;
    } cases[] = {{"bf16", PRECISION_BF16, false},
                 {"fp16", PRECISION_FP16, false},
                 {"int8", PRECISION_INT8, false},
                 {"int8_positive", PRECISION_INT8, true}};
    const struct tensor *w = get("w");
    float *turned = mem_alloc(w->n * sizeof *turned);
    for (size_t i = 0; i < w->n; i++)
        turned[i % w->dim[1] * w->dim[0] + i / w->dim[1]] = ((const float *)w->data)[i];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (enum isa isa = ISA_PORTABLE; isa <= isa_best(); isa++)
            for (int by_input = 0; by_input < 2; by_input++) {
                struct chain_layer l = {.weight = by_input ? turned : w->data,
                                        .by_input = by_input,
                                        .k = w->dim[1],
                                        .n = w->dim[0]};
                struct product_options o = {.precision = cases[i].precision,
                                            .isa = isa,
                                            .most = get("most")->data,
                                            .positive = cases[i].positive};
                struct product *p;
                cr_assert_eq(product_create(&l, &o, &p, &e), 0, "%s", e.msg);
                for (size_t times = 1; times < 20; times = times * 2 + 1) {
                    double d = run(p, times, cases[i].positive, cases[i].expect);
                    cr_expect_lt(d, 2e-6, "%s, %s, %zu times: %g", cases[i].expect, isa_names[isa], times, d);
                }
                product_free(p);
            }
    mem_free(turned);
}

Test(product, fp32_sees_the_largest_of_each_column) {
    const struct tensor *w = get("w"), *x = get("x");
    float seen[70] = {0};
    struct chain_layer l = {.weight = w->data, .k = w->dim[1], .n = w->dim[0]};
    struct product *p;
    seen[3] = 1000;
    cr_assert_eq(product_create(&l, &(struct product_options){.seen = seen}, &p, &e), 0, "%s", e.msg);
    run(p, 1, false, "fp16");
    for (size_t c = 0; c < l.k; c++) {
        float most = c == 3 ? 1000 : 0;
        for (size_t r = 0; r < x->dim[0]; r++)
            most = fmaxf(most, fabsf(((const float *)x->data)[r * l.k + c]));
        cr_expect_eq(seen[c], most, "column %zu", c);
    }
    product_free(p);
}

Test(product, weights_take_half_and_a_quarter_of_the_bytes) {
    float w[64 * 128] = {0}, most[128] = {0};
    struct chain_layer l = {.weight = w, .k = 128, .n = 64};
    const size_t bytes[] = {32768, 16384, 32768, 8192 + 2 * 64 * 4}; /* fp16 multiplies in fp32 */
    for (enum precision i = PRECISION_FP32; i <= PRECISION_INT8; i++) {
        struct product *p;
        struct product_options o = {.precision = i, .most = most};
        cr_assert_eq(product_create(&l, &o, &p, &e), 0, "%s", e.msg);
        if (i == PRECISION_BF16 && isa_best() < ISA_DOT)
            cr_expect_eq(product_bytes(p), 32768);
        else
            cr_expect_eq(product_bytes(p), bytes[i], "%s: %zu", precision_names[i], product_bytes(p));
        product_free(p);
    }
}

Test(product, rows_come_back_as_they_were_rounded) {
    const size_t bytes[] = {384, 192, 192, 96};
    float x[70], scale[96], y[96];
    uint32_t packed[96];
    struct rng r = rng_init(3, 3);
    for (size_t c = 0; c < 70; c++) x[c] = (float)rng_normal(&r);
    for (size_t c = 0; c < 96; c++) scale[c] = c == 5 ? 0 : 2.0f / 127;
    x[6] = 100; /* beyond int8's scale */
    for (enum precision p = PRECISION_FP32; p <= PRECISION_INT8; p++) {
        struct row_form f = {p, 70, 96, scale};
        cr_expect_eq(row_bytes(&f), bytes[p]);
        memset(packed, 0xff, sizeof packed);
        row_pack(&f, x, packed);
        row_unpack(&f, packed, y);
        for (size_t c = 0; c < 70; c++) {
            float want = x[c];
            if (p == PRECISION_BF16) want = bf16_float(bf16_round(x[c]));
            if (p == PRECISION_FP16) want = f16_float(f16_round(x[c]));
            if (p == PRECISION_INT8) {
                double n = scale[c] > 0 ? nearbyint((double)(x[c] / scale[c])) : 0;
                want = scale[c] * (float)fmax(-127, fmin(127, n));
            }
            cr_expect_eq(y[c], want, "%s, column %zu: %g", precision_names[p], c, (double)y[c]);
        }
        row_unpack(&(struct row_form){p, 96, 96, scale}, packed, y);
        for (size_t c = 70; c < 96; c++)
            cr_expect_eq(y[c], 0.0f, "%s: column %zu is not empty", precision_names[p], c);
    }
}
