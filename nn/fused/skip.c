/* Products that leave out zeros. Behind a relu about half of a row's activations are 0 and what they would be multiplied
 * with need not be read: a row's mask says which columns are not, and for each of them a row of weights is added.
 *
 * A strip of up to 128 units has its sums in registers. 64 columns' weights of a strip stay in the first-level
 * cache while the group's rows pass by. In a dense product a weight serves 14 rows at a time, here one: each
 * multiplication reads its weights, which limits the rate to some 8/9 of the dense one at best; hence half of the
 * work is 1.45 times as fast in floats, and from some three quarters on the dense product is the faster one.
 *
 * Sums are taken in the order of the dense products, each with one rounding, and a zero changes no sum: scores are
 * those of the dense products to the bit (but where a weight is infinite). In bf16 an instruction takes two columns at a time
 * and adds the product of the high half first: so the order here is that of columns 1, 0, 3, 2, ...
 */
#include "nn/fused/kernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)
#define INLINE static inline __attribute__((always_inline))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,popcnt")))
#define DOT                                                                                                  \
    __attribute__((                                                                                          \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,popcnt,avx512bf16,avx512vbmi,avx512vbmi2")))

enum { LANES = 16, MOST = FUSED_STRIP / LANES, ASKS = 2 };
#define EACH_SUM _Pragma("GCC unroll 8") for (int j = 0; j < n; j++)

/* Some lines a tile; the rest of the list is for whoever comes next. */
INLINE void ask_some(struct fused_ask *ask) {
    if (ask->n < ASKS) return;
#pragma GCC unroll 4
    for (int i = 0; i < ASKS; i++) __builtin_prefetch(ask->line[i], 0, 2);
    ask->line += ASKS;
    ask->n -= ASKS;
}

/* ---- floats ---- */

AVX512 static size_t mask_f32_avx512(size_t rows, size_t k, const float *a, size_t lda, uint64_t *mask) {
    size_t n = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < k; c += FUSED_MASK) {
            uint64_t m = 0;
            for (size_t i = c; i < k && i < c + FUSED_MASK; i += LANES) {
                __mmask16 in = (__mmask16)(k - i < LANES ? (1U << (k - i)) - 1 : 0xffffU);
                __m512 x = _mm512_maskz_loadu_ps(in, a + r * lda + i);
                m |= (uint64_t)_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NEQ_UQ) << (i - c);
            }
            *mask++ = m;
            n += (size_t)__builtin_popcountll(m);
        }
    return n;
}

/* sum += the row's columns in the mask, times their rows of weights. */
AVX512 INLINE void add_f32(int n, uint64_t m, const float *a, const float *w, __m512 *sum) {
    for (; m; m &= m - 1) {
        size_t i = (size_t)__builtin_ctzll(m);
        const float *row = w + i * LANES * (size_t)n;
        __m512 x = _mm512_set1_ps(a[i]);
        EACH_SUM sum[j] = _mm512_fmadd_ps(x, _mm512_loadu_ps(row + LANES * j), sum[j]);
    }
}

AVX512 INLINE void strip_f32(int n, size_t rows, size_t k, const float *a, size_t lda, const uint64_t *mask,
                             const float *w, const float *bias, bool relu, float *c, size_t ldc,
                             struct fused_ask *ask) {
    size_t masks = fused_masks(k);
    for (size_t t = 0; t < masks; t++, w += FUSED_MASK * LANES * (size_t)n)
        for (size_t r = 0; r < rows; r++) {
            __m512 sum[MOST];
            float *out = c + r * ldc;
            const float *from = t ? out : bias;
            EACH_SUM sum[j] = _mm512_loadu_ps(from + LANES * j);
            ask_some(ask);
            add_f32(n, mask[r * masks + t], a + r * lda + t * FUSED_MASK, w, sum);
            if (relu && t + 1 == masks) EACH_SUM sum[j] = _mm512_max_ps(sum[j], _mm512_setzero_ps());
            EACH_SUM _mm512_storeu_ps(out + LANES * j, sum[j]);
        }
}

AVX512 static void skip_f32_avx512(size_t rows, size_t k, const float *a, size_t lda, const uint64_t *mask,
                                   size_t n, const float *w, const float *bias, bool relu, float *c,
                                   size_t ldc, struct fused_ask *ask) {
#define STRIP(vectors)                                                                                       \
    case vectors *LANES:                                                                                     \
        strip_f32(vectors, rows, k, a, lda, mask, w, bias, relu, c, ldc, ask);                               \
        break;
    switch (n) { STRIP(2) STRIP(4) STRIP(6) STRIP(8) }
#undef STRIP
}

/* ---- bf16 ---- */

enum { PAIRED = 2 * LANES }; /* columns of a vector */

/* The mask's bits, and the words' halves, are in the order in which the instruction adds. */
DOT INLINE __m512i swapped(const uint32_t *x) { return _mm512_rol_epi32(_mm512_loadu_si512(x), 16); }

/* The columns in the mask side by side, then zeros up to 64. */
DOT INLINE uint64_t list_bf16(__m512i lo, __m512i hi, uint16_t *list) {
    __mmask32 in_lo = _mm512_test_epi16_mask(lo, lo), in_hi = _mm512_test_epi16_mask(hi, hi);
    _mm512_storeu_si512(list + PAIRED, _mm512_setzero_si512());
    _mm512_storeu_si512(list, _mm512_maskz_compress_epi16(in_lo, lo));
    _mm512_storeu_si512(list + __builtin_popcount(in_lo), _mm512_maskz_compress_epi16(in_hi, hi));
    return (uint64_t)in_hi << PAIRED | in_lo;
}

/* The first of two is the high half. */
DOT INLINE void pair_up(size_t masks, uint16_t *list) {
    for (size_t i = 0; i < masks * FUSED_MASK; i += PAIRED)
        _mm512_storeu_si512(list + i, _mm512_rol_epi32(_mm512_loadu_si512(list + i), 16));
}

/* A row's lists are paired up when those of the next are written: they are still on their way to the cache before. */
DOT static size_t mask_bf16_dot(size_t rows, size_t k, const uint32_t *a, size_t lda, uint64_t *mask,
                                uint32_t *pairs) {
    size_t n = 0, masks = fused_masks(2 * k), ld = masks * FUSED_MASK;
    uint16_t *list = (uint16_t *)(void *)pairs;
    for (size_t r = 0; r < rows; r++) {
        for (size_t t = 0; t < masks; t++) {
            const uint32_t *x = a + r * lda + t * LANES * 2;
            bool half = k - t * LANES * 2 <= LANES;
            __m512i lo = swapped(x), hi = half ? _mm512_setzero_si512() : swapped(x + LANES);
            *mask = list_bf16(lo, hi, list + r * ld + t * FUSED_MASK);
            n += (size_t)__builtin_popcountll(*mask++);
        }
        if (r) pair_up(masks, list + (r - 1) * ld);
    }
    if (rows) pair_up(masks, list + (rows - 1) * ld);
    return n;
}

/* Two columns at a time; an odd one is followed by a 0. */
DOT INLINE void add_bf16(int n, uint64_t m, const uint32_t *pair, const uint16_t *w, __m512 *sum) {
    while (m) {
        size_t first = (size_t)__builtin_ctzll(m);
        m &= m - 1;
        size_t second = m ? (size_t)__builtin_ctzll(m) : first;
        m &= m - 1;
        const uint16_t *row = w + first * LANES * (size_t)n, *next = w + second * LANES * (size_t)n;
        __m512bh x = (__m512bh)_mm512_set1_epi32((int)*pair++);
#pragma GCC unroll 4
        for (int j = 0; j < n / 2; j++) {
            __m512i hi = _mm512_loadu_si512(row + PAIRED * j), lo = _mm512_loadu_si512(next + PAIRED * j);
            __asm__("" : "+v"(hi), "+v"(lo)); /* one load each, not one an instruction */
            sum[2 * j] = _mm512_dpbf16_ps(sum[2 * j], x, (__m512bh)_mm512_unpacklo_epi16(lo, hi));
            sum[2 * j + 1] = _mm512_dpbf16_ps(sum[2 * j + 1], x, (__m512bh)_mm512_unpackhi_epi16(lo, hi));
        }
    }
}

DOT INLINE void strip_bf16(int n, size_t rows, size_t k, const uint64_t *mask, const uint32_t *list,
                           const uint16_t *w, float *c, size_t ldc, struct fused_ask *ask) {
    size_t masks = fused_masks(2 * k);
    for (size_t t = 0; t < masks; t++, w += FUSED_MASK * LANES * (size_t)n)
        for (size_t r = 0; r < rows; r++) {
            __m512 sum[MOST];
            float *out = c + r * ldc;
            EACH_SUM sum[j] = t ? _mm512_loadu_ps(out + LANES * j) : _mm512_setzero_ps();
            ask_some(ask);
            add_bf16(n, mask[r * masks + t], list + (r * masks + t) * FUSED_MASK / 2, w, sum);
            EACH_SUM _mm512_storeu_ps(out + LANES * j, sum[j]);
        }
}

DOT static void skip_bf16_dot(size_t rows, size_t k, const uint64_t *mask, const uint32_t *list, size_t n,
                              const uint16_t *w, float *c, size_t ldc, struct fused_ask *ask) {
#define STRIP(vectors)                                                                                       \
    case vectors *LANES:                                                                                     \
        strip_bf16(vectors, rows, k, mask, list, w, c, ldc, ask);                                            \
        break;
    switch (n) { STRIP(2) STRIP(4) STRIP(6) STRIP(8) }
#undef STRIP
}
#endif

size_t fused_skip_at_bf16(size_t n, size_t unit, size_t column) {
    size_t lane = unit % 16 / 4, word = unit % 4 + (unit % 32 < 16 ? 0 : 4);
    return (column ^ 1) * n + unit / 32 * 32 + 8 * lane + word;
}

void fused_kernels_skip(struct fused_kernels *k) {
    (void)k;
#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)
    if (k->isa >= ISA_AVX512) {
        k->mask_f32 = mask_f32_avx512;
        k->skip_f32 = skip_f32_avx512;
    }
    if (k->isa == ISA_DOT &&
        __builtin_cpu_supports("avx512vbmi2")) { /* with tiles the dense product is faster */
        k->mask_bf16 = mask_bf16_dot;
        k->skip_bf16 = skip_bf16_dot;
    }
#endif
}
