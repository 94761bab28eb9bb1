#include "nn/fused/rows.h"
#include "nn/fused/kernels.h"
#include "nn/vec.h"
#include <math.h>
#include <string.h>

const char *const precision_names[] = {"fp32", "bf16", "fp16", "int8", NULL};

size_t row_bytes(const struct row_form *f) {
    return f->pad * (f->precision == PRECISION_FP32 ? 4 : f->precision == PRECISION_INT8 ? 1 : 2);
}

/* Word and shift of column c in a row of bf16. */
static size_t bf16_word(size_t c) { return c / 32 * 16 + c % 16; }
static unsigned bf16_shift(size_t c) { return c % 32 < 16 ? 0 : 16; }

void row_pack(const struct row_form *f, const float *x, void *out) {
    memset(out, 0, row_bytes(f));
    for (size_t c = 0; c < f->width; c++) switch (f->precision) {
        case PRECISION_FP32:
            ((float *)out)[c] = x[c];
            break;
        case PRECISION_BF16:
            ((uint32_t *)out)[bf16_word(c)] |= bf16_round(x[c]) << bf16_shift(c);
            break;
        case PRECISION_FP16:
            ((uint16_t *)out)[c] = f16_round(x[c]);
            break;
        case PRECISION_INT8:
            ((int8_t *)out)[c] = s8_round(f->scale[c] > 0 ? x[c] / f->scale[c] : 0);
            break;
        }
}

KERNEL static void unpack_s8(size_t n, const int8_t *row, const float *scale, float *out) {
    for (size_t c = 0; c < n; c++) out[c] = scale[c] * (float)row[c];
}

void row_unpack(const struct row_form *f, const void *row, float *out) {
    switch (f->precision) {
    case PRECISION_FP32:
        memcpy(out, row, f->width * sizeof *out);
        break;
    case PRECISION_BF16:
        for (size_t c = 0; c < f->width; c++)
            out[c] = bf16_float(((const uint32_t *)row)[bf16_word(c)] >> bf16_shift(c) & 0xffff);
        break;
    case PRECISION_FP16:
        for (size_t c = 0; c < f->width; c++) out[c] = f16_float(((const uint16_t *)row)[c]);
        break;
    case PRECISION_INT8:
        unpack_s8(f->width, row, f->scale, out);
        break;
    }
}

KERNEL void row_widen(size_t n, const float *x, float *most) {
    for (size_t c = 0; c < n; c++) most[c] = fabsf(x[c]) > most[c] ? fabsf(x[c]) : most[c];
}
