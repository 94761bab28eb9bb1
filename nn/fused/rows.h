/* rows.h: rows of a table, such as item records, in a precision.
 *
 *     struct row_form form = {PRECISION_INT8, .width = 70, .pad = 96, .scale = scale};
 *     char packed[row_bytes(&form)];
 *     row_pack(&form, x, packed);           rounds x[width]; the columns up to `pad` are zeros
 *     row_unpack(&form, packed, x);         the rounded values
 *
 * fp32, bf16 and fp16 round to nearest, ties to even. int8: scale[c] * n with n of -127 .. 127. The layout of bf16 is that
 * of kernels.h, the others have a column after the other.
 */
#ifndef PRERANK_NN_FUSED_ROWS_H
#define PRERANK_NN_FUSED_ROWS_H
#include <stddef.h>

enum precision { PRECISION_FP32, PRECISION_BF16, PRECISION_FP16, PRECISION_INT8 };
extern const char *const precision_names[]; /* NULL-ended */

struct row_form {
    enum precision precision;
    size_t width, pad;  /* columns; stored columns, a multiple of 32 in lower precisions */
    const float *scale; /* int8: [width] */
};
size_t row_bytes(const struct row_form *f);
void row_pack(const struct row_form *f, const float *x, void *out);
void row_unpack(const struct row_form *f, const void *row, float *out);
/* most[c] = max(most[c], |x[c]|): int8 takes most / 127 for its scale. */
void row_widen(size_t n, const float *x, float *most);

#endif
