/* reference.h: nn/vec.h again, one scalar at a time with sums in double. Used by tests only.
 *
 *     vec_mul(rows, n, fast, x, y, false, true);
 *     reference_mul(rows, n, slow, x, y, false, true);     then compare
 *
 * Arguments and shapes are those of the function of the same name in nn/vec.h.
 */
#ifndef PRERANK_TESTS_NN_REFERENCE_H
#define PRERANK_TESTS_NN_REFERENCE_H
#include "nn/op.h"

void reference_copy(size_t rows, size_t n, struct mat dst, struct mat src, float factor, bool acc);
void reference_mul(size_t rows, size_t n, struct mat dst, struct mat x, struct mat y, bool y_column,
                   bool acc);
void reference_row_dot(size_t rows, size_t n, struct mat dst, struct mat x, struct mat y, bool acc);
double reference_dot(size_t n, const float *x, const float *y);
void reference_bias_act(size_t rows, size_t n, struct mat y, const float *bias, enum act act);
void reference_act_grad(size_t rows, size_t n, struct mat g, struct mat y, enum act act, float *bias_grad);
void reference_col_sum(size_t rows, size_t n, struct mat x, const struct mat *w, float *sum);
/* offsets NULL: one id a row; otherwise the mean of each bag, zeros for an empty one */
void reference_gather(size_t rows, size_t n, struct mat dst, const float *table, size_t ld,
                      const uint32_t *ids, const uint32_t *offsets, bool acc);
void reference_gemm_nt(size_t rows, size_t n, size_t k, struct mat x, const float *w, size_t ldw,
                       struct mat y, bool acc);
void reference_gemm_nn(size_t rows, size_t n, size_t k, struct mat x, const float *w, size_t ldw,
                       struct mat y, bool acc);
void reference_gemm_tn_add(size_t rows, size_t m, size_t n, struct mat a, struct mat b, float *g, size_t ldg);

double reference_act(double x, enum act act);
double reference_act_slope(double y, enum act act); /* act'(x) where y = act(x) */

#endif
