#include "nn/vec.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

#define LANES 16

KERNEL void vec_copy(size_t rows, size_t n, struct mat dst, struct mat src, float factor, bool acc) {
    for (size_t r = 0; r < rows; r++) {
        float *restrict d = dst.p + r * dst.ld;
        const float *restrict s = src.p + r * src.ld;
        if (acc)
            for (size_t c = 0; c < n; c++) d[c] += factor * s[c];
        else
            for (size_t c = 0; c < n; c++) d[c] = factor * s[c];
    }
}

KERNEL void vec_mul(size_t rows, size_t n, struct mat dst, struct mat x, struct mat y, bool y_column,
                    bool acc) {
    for (size_t r = 0; r < rows; r++) {
        float *restrict d = dst.p + r * dst.ld;
        const float *restrict a = x.p + r * x.ld;
        const float *restrict b = y.p + r * y.ld;
        float f = b[0];
        if (y_column && acc)
            for (size_t c = 0; c < n; c++) d[c] += a[c] * f;
        else if (y_column)
            for (size_t c = 0; c < n; c++) d[c] = a[c] * f;
        else if (acc)
            for (size_t c = 0; c < n; c++) d[c] += a[c] * b[c];
        else
            for (size_t c = 0; c < n; c++) d[c] = a[c] * b[c];
    }
}

/* Sixteen partial sums in a fixed order: the compiler keeps them in vector registers, and the result is the
 * same whatever the vector width. */
static inline __attribute__((always_inline)) float lanes_dot(size_t n, const float *restrict x,
                                                             const float *restrict y) {
    float lane[LANES] = {0};
    size_t c = 0;
    for (; c + LANES <= n; c += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += x[c + l] * y[c + l];
    float tail = 0;
    for (; c < n; c++) tail += x[c] * y[c];
    for (size_t half = LANES / 2; half; half /= 2)
        for (size_t l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0] + tail;
}

KERNEL float vec_dot(size_t n, const float *x, const float *y) { return lanes_dot(n, x, y); }

KERNEL double vec_norm2(size_t n, const float *x) {
    double lane[8] = {0}, sum = 0;
    size_t c = 0;
    for (; c + 8 <= n; c += 8)
        for (size_t l = 0; l < 8; l++) lane[l] += (double)x[c + l] * (double)x[c + l];
    for (; c < n; c++) sum += (double)x[c] * (double)x[c];
    for (size_t l = 0; l < 8; l++) sum += lane[l];
    return sum;
}

KERNEL void vec_row_dot(size_t rows, size_t n, struct mat dst, struct mat x, struct mat y, bool acc) {
    for (size_t r = 0; r < rows; r++) {
        float v = lanes_dot(n, x.p + r * x.ld, y.p + r * y.ld);
        dst.p[r * dst.ld] = acc ? dst.p[r * dst.ld] + v : v;
    }
}

KERNEL void vec_bias_act(size_t rows, size_t n, struct mat y, const float *bias, enum act act) {
    for (size_t r = 0; r < rows; r++) {
        float *restrict d = y.p + r * y.ld;
        if (bias)
            for (size_t c = 0; c < n; c++) d[c] += bias[c];
        switch (act) {
        case ACT_NONE:
            break;
        case ACT_RELU:
            for (size_t c = 0; c < n; c++) d[c] = d[c] > 0 ? d[c] : 0;
            break;
        case ACT_SIGMOID:
            for (size_t c = 0; c < n; c++) d[c] = 1.0f / (1.0f + expf(-d[c]));
            break;
        case ACT_TANH:
            for (size_t c = 0; c < n; c++) d[c] = tanhf(d[c]);
            break;
        case ACT_LINEAR_LOG:
            for (size_t c = 0; c < n; c++) {
                float size = fabsf(d[c]);
                if (size > 1) d[c] = copysignf(logf(size) + 1, d[c]);
            }
            break;
        }
    }
}

KERNEL void vec_act_grad(size_t rows, size_t n, struct mat g, struct mat y, enum act act, float *bias_grad) {
    for (size_t r = 0; r < rows; r++) {
        float *restrict d = g.p + r * g.ld;
        const float *restrict o = y.p + r * y.ld;
        switch (act) {
        case ACT_NONE:
            break;
        case ACT_RELU:
            for (size_t c = 0; c < n; c++) d[c] = o[c] > 0 ? d[c] : 0;
            break;
        case ACT_SIGMOID:
            for (size_t c = 0; c < n; c++) d[c] *= o[c] * (1 - o[c]);
            break;
        case ACT_TANH:
            for (size_t c = 0; c < n; c++) d[c] *= 1 - o[c] * o[c];
            break;
        case ACT_LINEAR_LOG: /* 1/|x| with |x| = exp(|y| - 1) */
            for (size_t c = 0; c < n; c++)
                if (fabsf(o[c]) > 1) d[c] *= expf(1 - fabsf(o[c]));
            break;
        }
        if (bias_grad) {
            float *restrict b = bias_grad;
            for (size_t c = 0; c < n; c++) b[c] += d[c];
        }
    }
}

KERNEL void vec_col_sum(size_t rows, size_t n, struct mat x, const struct mat *w, float *sum) {
    float *restrict s = sum;
    for (size_t r = 0; r < rows; r++) {
        const float *restrict v = x.p + r * x.ld;
        float f = w ? w->p[r * w->ld] : 1.0f;
        for (size_t c = 0; c < n; c++) s[c] += f * v[c];
    }
}

/* How many rows ahead a table row is asked for: covers a DRAM access at some tens of ns a row. */
#define AHEAD 8
static inline __attribute__((always_inline)) void prefetch_row(const float *p, size_t n) {
    for (size_t c = 0; c < n; c += LANES) __builtin_prefetch(p + c);
}

/* Into the second-level cache only: rows of several tables, a kilobyte each, would push each other out of the first. */
static inline __attribute__((always_inline)) void prefetch_far(const float *p, size_t n) {
    for (size_t c = 0; c < n; c += LANES) __builtin_prefetch(p + c, 0, 2);
}

KERNEL void vec_gather(size_t rows, size_t n, struct mat dst, const float *table, size_t ld,
                       const uint32_t *ids) {
    for (size_t r = 0; r < rows; r++) {
        if (r + AHEAD < rows) prefetch_row(table + (size_t)ids[r + AHEAD] * ld, n);
        const float *restrict s = table + (size_t)ids[r] * ld;
        float *restrict d = dst.p + r * dst.ld;
        for (size_t c = 0; c < n; c++) d[c] = s[c];
    }
}

static inline __attribute__((always_inline)) void bag_add(size_t n, float *restrict d, const float *table,
                                                          size_t ld, const uint32_t *ids, size_t begin,
                                                          size_t end) {
    if (begin == end) return;
    float f = 1.0f / (float)(end - begin);
    for (size_t i = begin; i < end; i++) {
        const float *restrict s = table + (size_t)ids[i] * ld;
        for (size_t c = 0; c < n; c++) d[c] += f * s[c];
    }
}

KERNEL void vec_gather_mean(size_t rows, size_t n, struct mat dst, const float *table, size_t ld,
                            const uint32_t *ids, const uint32_t *offsets) {
    for (size_t r = 0; r < rows; r++) {
        memset(dst.p + r * dst.ld, 0, n * sizeof(float));
        bag_add(n, dst.p + r * dst.ld, table, ld, ids, offsets[r], offsets[r + 1]);
    }
}

KERNEL void vec_gather_add(size_t rows, size_t n, struct mat dst, const float *table, size_t ld,
                           const uint32_t *ids, const uint32_t *offsets) {
    for (size_t r = 0; r < rows; r++) {
        float *restrict d = dst.p + r * dst.ld;
        if (offsets) {
            bag_add(n, d, table, ld, ids, offsets[r], offsets[r + 1]);
            continue;
        }
        if (r + AHEAD < rows) prefetch_row(table + (size_t)ids[r + AHEAD] * ld, n);
        const float *restrict s = table + (size_t)ids[r] * ld;
        for (size_t c = 0; c < n; c++) d[c] += s[c];
    }
}

/* Columns [c, c + 16 vectors) of one row. Vectors by name: from loops over floats the compiler makes worse code. */
typedef float lanes_t __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t lanes_mask_t __attribute__((vector_size(LANES * sizeof(float))));
typedef float loose_lanes_t
    __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

static inline __attribute__((always_inline)) void
sum_columns(int vectors, float *dst, const float *const *term, int terms, size_t c, bool relu) {
    lanes_t sum[4], zero = {0};
    for (int v = 0; v < vectors; v++) sum[v] = ((const loose_lanes_t *)(term[0] + c))[v];
    for (int k = 1; k < terms; k++)
        for (int v = 0; v < vectors; v++) sum[v] += ((const loose_lanes_t *)(term[k] + c))[v];
    for (int v = 0; v < vectors; v++) {
        if (relu) sum[v] = (lanes_t)((lanes_mask_t)sum[v] & (sum[v] > zero));
        ((loose_lanes_t *)(dst + c))[v] = sum[v];
    }
}

KERNEL void vec_sum(size_t rows, size_t n, struct mat dst, const struct vec_term *term, int terms,
                    enum act act) {
    bool relu = act == ACT_RELU;
    if (terms < 1) return;
    for (size_t r = 0; r < rows; r++) {
        const float *at[VEC_MAX_TERMS];
        for (int k = 0; k < terms; k++) {
            const struct vec_term *t = &term[k];
            at[k] = t->p + (t->ids ? t->ids[r] : r) * t->ld;
            if (t->ids && r + AHEAD < rows) prefetch_far(t->p + (size_t)t->ids[r + AHEAD] * t->ld, n);
        }
        float *d = dst.p + r * dst.ld;
        size_t c = 0;
        for (; c + 4 * LANES <= n; c += 4 * LANES) sum_columns(4, d, at, terms, c, relu);
        for (; c + LANES <= n; c += LANES) sum_columns(1, d, at, terms, c, relu);
        for (; c < n; c++) {
            float sum = at[0][c];
            for (int k = 1; k < terms; k++) sum += at[k][c];
            d[c] = relu && !(sum > 0) ? 0 : sum;
        }
    }
    if (act != ACT_NONE && !relu) vec_bias_act(rows, n, dst, NULL, act);
}

typedef float eight_t __attribute__((vector_size(8 * sizeof(float))));
typedef float loose_eight_t
    __attribute__((vector_size(8 * sizeof(float)), aligned(sizeof(float)), may_alias));

/* A square of 8 x 8: interleaving rows i and i + 4 three times transposes it. */
static inline __attribute__((always_inline)) void transpose_square(float *dst, size_t dst_ld,
                                                                   const float *src, size_t src_ld) {
    eight_t x[8], y[8];
    for (size_t i = 0; i < 8; i++) x[i] = *(const loose_eight_t *)(src + i * src_ld);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            y[2 * i] = __builtin_shufflevector(x[i], x[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
            y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
        }
        for (int i = 0; i < 8; i++) x[i] = y[i];
    }
    for (size_t i = 0; i < 8; i++) *(loose_eight_t *)(dst + i * dst_ld) = x[i];
}

KERNEL void vec_transpose(size_t rows, size_t cols, float *dst, const float *src) {
    size_t r_whole = rows / 8 * 8, c_whole = cols / 8 * 8;
    for (size_t r = 0; r < r_whole; r += 8)
        for (size_t c = 0; c < c_whole; c += 8)
            transpose_square(dst + c * rows + r, rows, src + r * cols + c, cols);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = r < r_whole ? c_whole : 0; c < cols; c++) dst[c * rows + r] = src[r * cols + c];
}

/* BLAS refuses a row distance below the row's length, even for the single row that a broadcast (ld = 0) is.
 */
static int leading(size_t ld, size_t n) { return (int)(ld < n ? n : ld); }

static bool has_small_kernels(void) {
    const char *core = openblas_get_corename();
    return !strcmp(core, "SkylakeX") || !strcmp(core, "Cooperlake") || !strcmp(core, "SapphireRapids");
}

/* OpenBLAS has AVX-512 kernels that read small operands where they lie, without packing them first, which is
 * up to a fifth faster. It uses them up to 10^6 multiply-adds, so products are cut into blocks of rows that stay below:
 * https://github.com/OpenMathLib/OpenBLAS/blob/v0.3.21/kernel/x86_64/sgemm_small_kernel_permit_skylakex.c
 * Returns how many of `rows` rows, of `work` multiply-adds each, go into one call. */
static size_t block_rows(size_t rows, size_t work) {
    size_t fit = 1000000 / work;
    if (rows <= fit || fit < 16 || !has_small_kernels()) return rows;
    size_t blocks = (rows + fit - 1) / fit;
    return (rows + blocks - 1) / blocks;
}

/* Products with a transposed operand always pack it, but for the smallest. */
bool gemm_nn_is_faster(size_t n, size_t k) { return n > 1 && n * k <= 1000000 / 16 && has_small_kernels(); }

void gemm_nt(size_t rows, size_t n, size_t k, struct mat x, const float *w, size_t ldw, struct mat y,
             bool acc) {
    if (n == 1) { /* one output: a product of a matrix and a vector, where sgemm would waste its blocks */
        vec_row_dot(rows, k, y, x, (struct mat){(float *)w, 0}, acc);
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)n, (int)k, 1, x.p, leading(x.ld, k),
                w, (int)ldw, acc ? 1 : 0, y.p, leading(y.ld, n));
}

void gemm_nn(size_t rows, size_t n, size_t k, struct mat x, const float *w, size_t ldw, struct mat y,
             bool acc) {
    if (k == 1) {
        vec_mul(rows, n, y, (struct mat){(float *)w, 0}, x, true, acc);
        return;
    }
    for (size_t r = 0, block = block_rows(rows, n * k); r < rows; r += block) {
        int m = (int)(rows - r < block ? rows - r : block);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, (int)n, (int)k, 1, mat_rows(x, r).p,
                    leading(x.ld, k), w, (int)ldw, acc ? 1 : 0, mat_rows(y, r).p, leading(y.ld, n));
    }
}

void gemm_tn_add(size_t rows, size_t m, size_t n, struct mat a, struct mat b, float *g, size_t ldg) {
    if (m == 1) {
        vec_col_sum(rows, n, b, &a, g);
        return;
    }
    for (size_t r = 0, block = block_rows(rows, m * n); r < rows; r += block) {
        int k = (int)(rows - r < block ? rows - r : block);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)n, k, 1, mat_rows(a, r).p,
                    leading(a.ld, m), mat_rows(b, r).p, leading(b.ld, n), 1, g, (int)ldg);
    }
}

void gemm_single_threaded(void) { openblas_set_num_threads(1); }
