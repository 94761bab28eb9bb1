/* vec.h: the arithmetic that is not matrix multiplication, on row-major matrices with a row distance (struct
 * mat).
 *
 * Each function is compiled for AVX-512, AVX2 and plain x86-64 and picked when the program starts (KERNEL);
 * elsewhere the portable code alone. Sums run in a fixed order of 16 lanes, so results do not depend on
 * threads; they may differ in the last bits between instruction sets. tests/nn/reference.c holds the slow
 * scalar versions that these are tested against.
 *
 * Matrix products go through OpenBLAS, single-threaded within a slice (gemm_*).
 */
#ifndef PRERANK_NN_VEC_H
#define PRERANK_NN_VEC_H
#include "nn/op.h"

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(PRERANK_PORTABLE)
#define KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KERNEL
#endif

/* dst = factor * src, or dst += factor * src. (rows, n) */
void vec_copy(size_t rows, size_t n, struct mat dst, struct mat src, float factor, bool acc);
/* dst = x * y (+ dst), elementwise; y_column: y has one column, a factor for the whole row. */
void vec_mul(size_t rows, size_t n, struct mat dst, struct mat x, struct mat y, bool y_column, bool acc);
/* dst[r] = sum_c x[r,c] y[r,c] (+ dst[r]) */
void vec_row_dot(size_t rows, size_t n, struct mat dst, struct mat x, struct mat y, bool acc);
float vec_dot(size_t n, const float *x, const float *y);
double vec_norm2(size_t n, const float *x); /* sum of squares */
/* y = act(y + bias); bias may be NULL */
void vec_bias_act(size_t rows, size_t n, struct mat y, const float *bias, enum act act);
/* g *= act'(.), given the activation's output y; bias_grad (may be NULL) += column sums of g */
void vec_act_grad(size_t rows, size_t n, struct mat g, struct mat y, enum act act, float *bias_grad);
/* sum[c] += sum_r w[r] x[r,c]; w NULL: 1 */
void vec_col_sum(size_t rows, size_t n, struct mat x, const struct mat *w, float *sum);
/* dst[r] = table[ids[r]] (n floats from `table`, rows `ld` apart) */
void vec_gather(size_t rows, size_t n, struct mat dst, const float *table, size_t ld, const uint32_t *ids);
/* dst[r] = mean of the rows of bag r; an empty bag gives zeros */
void vec_gather_mean(size_t rows, size_t n, struct mat dst, const float *table, size_t ld,
                     const uint32_t *ids, const uint32_t *offsets);
/* Like the two above, but dst[r] += */
void vec_gather_add(size_t rows, size_t n, struct mat dst, const float *table, size_t ld, const uint32_t *ids,
                    const uint32_t *offsets);

/* dst[r] = act(sum over terms): a value (ids NULL: row r), or a table's row ids[r]. In one sweep, at least one term. */
struct vec_term {
    const float *p;
    size_t ld;
    const uint32_t *ids;
};
#define VEC_MAX_TERMS 32
void vec_sum(size_t rows, size_t n, struct mat dst, const struct vec_term *term, int terms, enum act act);

/* y (rows, n) = x (rows, k) w^T (+ y);  w (n, k) with rows `ldw` apart */
void gemm_nt(size_t rows, size_t n, size_t k, struct mat x, const float *w, size_t ldw, struct mat y,
             bool acc);
/* y (rows, n) = x (rows, k) w (+ y);  w (k, n) */
void gemm_nn(size_t rows, size_t n, size_t k, struct mat x, const float *w, size_t ldw, struct mat y,
             bool acc);
/* g (m, n) += a^T b;  a (rows, m), b (rows, n) */
void gemm_tn_add(size_t rows, size_t m, size_t n, struct mat a, struct mat b, float *g, size_t ldg);
/* gemm_nn is the faster form for a weight matrix of this size and many rows: it may pay to turn w around for it. */
bool gemm_nn_is_faster(size_t n, size_t k);
/* dst (cols, rows) = src (rows, cols) transposed, both without gaps */
void vec_transpose(size_t rows, size_t cols, float *dst, const float *src);
/* OpenBLAS on one thread: call once before the first product. */
void gemm_single_threaded(void);

static inline struct mat mat_rows(struct mat m, size_t first) {
    return (struct mat){m.p ? m.p + first * m.ld : NULL, m.ld};
}
static inline struct mat mat_cols(struct mat m, size_t first) {
    return (struct mat){m.p ? m.p + first : NULL, m.ld};
}

#endif
