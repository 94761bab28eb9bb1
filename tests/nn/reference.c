#include "tests/nn/reference.h"
#include <math.h>

static float *at(struct mat m, size_t r, size_t c) { return m.p + r * m.ld + c; }
static double get(struct mat m, size_t r, size_t c) { return (double)*at(m, r, c); }
static void put(struct mat m, size_t r, size_t c, double v, bool acc) {
    *at(m, r, c) = (float)(acc ? get(m, r, c) + v : v);
}

double reference_act(double x, enum act act) {
    switch (act) {
    case ACT_RELU:
        return x > 0 ? x : 0;
    case ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case ACT_TANH:
        return tanh(x);
    case ACT_LINEAR_LOG:
        return x < -1 ? -log(-x) - 1 : x > 1 ? log(x) + 1 : x;
    case ACT_NONE:
        break;
    }
    return x;
}

double reference_act_slope(double y, enum act act) {
    switch (act) {
    case ACT_RELU:
        return y > 0 ? 1 : 0;
    case ACT_SIGMOID:
        return y * (1 - y);
    case ACT_TANH:
        return 1 - y * y;
    case ACT_LINEAR_LOG:
        return fabs(y) > 1 ? exp(1 - fabs(y)) : 1; /* 1 / |x| */
    case ACT_NONE:
        break;
    }
    return 1;
}

void reference_copy(size_t rows, size_t n, struct mat dst, struct mat src, float factor, bool acc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) put(dst, r, c, (double)factor * get(src, r, c), acc);
}

void reference_mul(size_t rows, size_t n, struct mat dst, struct mat x, struct mat y, bool y_column,
                   bool acc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) put(dst, r, c, get(x, r, c) * get(y, r, y_column ? 0 : c), acc);
}

double reference_dot(size_t n, const float *x, const float *y) {
    double sum = 0;
    for (size_t c = 0; c < n; c++) sum += (double)x[c] * (double)y[c];
    return sum;
}

void reference_row_dot(size_t rows, size_t n, struct mat dst, struct mat x, struct mat y, bool acc) {
    for (size_t r = 0; r < rows; r++) put(dst, r, 0, reference_dot(n, at(x, r, 0), at(y, r, 0)), acc);
}

void reference_bias_act(size_t rows, size_t n, struct mat y, const float *bias, enum act act) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++)
            put(y, r, c, reference_act(get(y, r, c) + (bias ? (double)bias[c] : 0), act), false);
}

void reference_act_grad(size_t rows, size_t n, struct mat g, struct mat y, enum act act, float *bias_grad) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++)
            put(g, r, c, get(g, r, c) * reference_act_slope(get(y, r, c), act), false);
    if (bias_grad) reference_col_sum(rows, n, g, NULL, bias_grad);
}

void reference_col_sum(size_t rows, size_t n, struct mat x, const struct mat *w, float *sum) {
    for (size_t c = 0; c < n; c++) {
        double total = (double)sum[c];
        for (size_t r = 0; r < rows; r++) total += (w ? get(*w, r, 0) : 1) * get(x, r, c);
        sum[c] = (float)total;
    }
}

void reference_gather(size_t rows, size_t n, struct mat dst, const float *table, size_t ld,
                      const uint32_t *ids, const uint32_t *offsets, bool acc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) {
            size_t begin = offsets ? offsets[r] : r, end = offsets ? offsets[r + 1] : r + 1;
            double sum = 0;
            for (size_t i = begin; i < end; i++) sum += (double)table[(size_t)ids[i] * ld + c];
            put(dst, r, c, begin < end ? sum / (double)(end - begin) : 0, acc);
        }
}

void reference_gemm_nt(size_t rows, size_t n, size_t k, struct mat x, const float *w, size_t ldw,
                       struct mat y, bool acc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) put(y, r, c, reference_dot(k, at(x, r, 0), w + c * ldw), acc);
}

void reference_gemm_nn(size_t rows, size_t n, size_t k, struct mat x, const float *w, size_t ldw,
                       struct mat y, bool acc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) {
            double sum = 0;
            for (size_t i = 0; i < k; i++) sum += get(x, r, i) * (double)w[i * ldw + c];
            put(y, r, c, sum, acc);
        }
}

void reference_gemm_tn_add(size_t rows, size_t m, size_t n, struct mat a, struct mat b, float *g,
                           size_t ldg) {
    for (size_t i = 0; i < m; i++)
        for (size_t c = 0; c < n; c++) {
            double sum = (double)g[i * ldg + c];
            for (size_t r = 0; r < rows; r++) sum += get(a, r, i) * get(b, r, c);
            g[i * ldg + c] = (float)sum;
        }
}
