/* Products of a group of rows with one double panel of weights (32 columns), for floats, pairs of bf16 and bytes.
 *
 * A register tile is MR rows x 32 columns: each word of a row is broadcast and multiplied with two vectors of
 * weights. The panel (at most some tens of KiB) stays in the first-level cache while the rows pass by. The last tile
 * of a group overlaps the one before rather than being a smaller one. */
#include "nn/fused/kernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
enum { PANEL = 16 };

/* First row of the tile after `r`: the next whole one, or the one that ends with the last row; `rows` at the end. */
INLINE size_t next_tile(size_t r, size_t rows, size_t mr) {
    r += mr;
    return r < rows && r + mr > rows && rows >= mr ? rows - mr : r;
}

/* ---- portable and AVX2 ---- */

typedef float lanes_t __attribute__((vector_size(PANEL * sizeof(float))));
typedef int32_t lanes_mask_t __attribute__((vector_size(PANEL * sizeof(float))));
typedef float loose_lanes_t
    __attribute__((vector_size(PANEL * sizeof(float)), aligned(sizeof(float)), may_alias));

INLINE void mul_f32_tile(size_t k, const float *a, size_t lda, const float *w, const float *bias, bool relu,
                         float *c, size_t ldc) {
    enum { ROWS = 2 };
    lanes_t sum[ROWS], zero = {0};
#pragma GCC unroll 2
    for (size_t r = 0; r < ROWS; r++) sum[r] = *(const loose_lanes_t *)bias;
    for (size_t i = 0; i < k; i++) {
        lanes_t b = *(const loose_lanes_t *)(w + i * PANEL);
#pragma GCC unroll 2
        for (size_t r = 0; r < ROWS; r++) sum[r] += a[r * lda + i] * b;
    }
#pragma GCC unroll 2
    for (size_t r = 0; r < ROWS; r++) {
        if (relu) sum[r] = (lanes_t)((lanes_mask_t)sum[r] & (sum[r] > zero));
        *(loose_lanes_t *)(c + r * ldc) = sum[r];
    }
}

INLINE void mul_u8_group(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w, int32_t *c,
                         size_t ldc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t p = 0; p < 2; p++) {
            int32_t sum[PANEL] = {0};
            const uint8_t *x = (const uint8_t *)(a + r * lda);
            const int8_t *y = (const int8_t *)(w + p * k * PANEL);
            for (size_t i = 0; i < k; i++, x += 4, y += 4 * PANEL)
                for (size_t j = 0; j < PANEL; j++)
                    sum[j] +=
                        x[0] * y[4 * j] + x[1] * y[4 * j + 1] + x[2] * y[4 * j + 2] + x[3] * y[4 * j + 3];
            for (size_t j = 0; j < PANEL; j++) c[r * ldc + p * PANEL + j] = sum[j];
        }
}

static void mul_f32_portable(size_t rows, size_t k, const float *a, size_t lda, const float *w,
                             const float *bias, bool relu, float *c, size_t ldc, struct fused_ask *ask) {
    (void)ask;
    for (size_t p = 0; p < 2; p++)
        for (size_t r = 0; r < rows; r = next_tile(r, rows, 2))
            mul_f32_tile(k, a + r * lda, lda, w + p * k * PANEL, bias + p * PANEL, relu,
                         c + r * ldc + p * PANEL, ldc);
}
static void mul_u8_portable(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w,
                            int32_t *c, size_t ldc, struct fused_ask *ask) {
    (void)ask;
    mul_u8_group(rows, k, a, lda, w, c, ldc);
}

#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)
#define AVX2   __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define DOT    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512bf16,avx512vnni")))
#define AMX    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,amx-tile,amx-bf16,amx-int8")))

/* 6 rows x 16 columns: 12 sums, of the 16 registers there are. */
AVX2 INLINE void mul_f32_tile256(size_t k, const float *a, size_t lda, const float *w, const float *bias,
                                 bool relu, float *c, size_t ldc) {
    enum { ROWS = 6 };
    __m256 s0[ROWS], s1[ROWS];
#pragma GCC unroll 6
    for (size_t r = 0; r < ROWS; r++) s0[r] = _mm256_loadu_ps(bias), s1[r] = _mm256_loadu_ps(bias + 8);
    for (size_t i = 0; i < k; i++) {
        __m256 b0 = _mm256_loadu_ps(w + i * PANEL), b1 = _mm256_loadu_ps(w + i * PANEL + 8);
#pragma GCC unroll 6
        for (size_t r = 0; r < ROWS; r++) {
            __m256 x = _mm256_broadcast_ss(a + r * lda + i);
            s0[r] = _mm256_fmadd_ps(x, b0, s0[r]);
            s1[r] = _mm256_fmadd_ps(x, b1, s1[r]);
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < ROWS; r++) {
        if (relu) s0[r] = _mm256_max_ps(s0[r], _mm256_setzero_ps());
        if (relu) s1[r] = _mm256_max_ps(s1[r], _mm256_setzero_ps());
        _mm256_storeu_ps(c + r * ldc, s0[r]);
        _mm256_storeu_ps(c + r * ldc + 8, s1[r]);
    }
}

AVX2 static void mul_f32_avx2(size_t rows, size_t k, const float *a, size_t lda, const float *w,
                              const float *bias, bool relu, float *c, size_t ldc, struct fused_ask *ask) {
    (void)ask;
    for (size_t p = 0; p < 2; p++)
        for (size_t r = 0; r < rows; r = next_tile(r, rows, 6))
            mul_f32_tile256(k, a + r * lda, lda, w + p * k * PANEL, bias + p * PANEL, relu,
                            c + r * ldc + p * PANEL, ldc);
}
/* Two rows x 4 columns: bytes as 16 bits, whose products are added up by twos in 32 (those of bytes as they are would be
 * cut off at 16 bits). */
AVX2 INLINE void mul_u8_tile256(size_t k, const uint32_t *a, const uint32_t *a1, const uint32_t *w,
                                int32_t *c, int32_t *c1) {
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    for (size_t i = 0; i < k; i++) {
        __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(w + i * PANEL)));
        s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_set1_epi32((int)a[i])), y));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_set1_epi32((int)a1[i])), y));
    }
    /* columns 0 1 of both rows and 2 3 of both: in order again */
    __m256i sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(s0, s1), 0xd8);
    _mm_storeu_si128((__m128i *)(void *)c, _mm256_castsi256_si128(sum));
    _mm_storeu_si128((__m128i *)(void *)c1, _mm256_extracti128_si256(sum, 1));
}

AVX2 static void mul_u8_avx2(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w,
                             int32_t *c, size_t ldc, struct fused_ask *ask) {
    (void)ask;
    for (size_t n = 0; n < 2 * PANEL; n += 4)
        for (size_t r = 0; r < rows; r = next_tile(r, rows, 2)) {
            size_t r1 = r + 1 < rows ? r + 1 : r;
            mul_u8_tile256(k, a + r * lda, a + r1 * lda, w + n / PANEL * k * PANEL + n % PANEL,
                           c + r * ldc + n, c + r1 * ldc + n);
        }
}

enum { MR = 14 };
#define EACH_ROW _Pragma("GCC unroll 14") for (size_t r = 0; r < MR; r++)

enum { ASK_EVERY = 4 }; /* steps of k */

AVX512 INLINE void mul_f32_tile512(bool asks, size_t k, const float *a, size_t lda, const float *w,
                                   const float *bias, bool relu, float *c, size_t ldc,
                                   const char *const *line) {
    __m512 s0[MR], s1[MR];
    const float *w1 = w + k * PANEL, *a1 = a + 5 * lda, *a2 = a + 10 * lda;
    EACH_ROW s0[r] = _mm512_loadu_ps(bias), s1[r] = _mm512_loadu_ps(bias + PANEL);
    for (size_t i = 0; i < k; i++) {
        __m512 b0 = _mm512_loadu_ps(w + i * PANEL), b1 = _mm512_loadu_ps(w1 + i * PANEL);
        if (asks && i % ASK_EVERY == 0) __builtin_prefetch(line[i / ASK_EVERY], 0, 2);
        EACH_ROW {
            __m512 x = _mm512_set1_ps((r < 5 ? a : r < 10 ? a1 : a2)[r % 5 * lda]);
            s0[r] = _mm512_fmadd_ps(x, b0, s0[r]);
            s1[r] = _mm512_fmadd_ps(x, b1, s1[r]);
        }
        a++, a1++, a2++;
    }
    EACH_ROW {
        if (relu) s0[r] = _mm512_max_ps(s0[r], _mm512_setzero_ps());
        if (relu) s1[r] = _mm512_max_ps(s1[r], _mm512_setzero_ps());
        _mm512_storeu_ps(c + r * ldc, s0[r]);
        _mm512_storeu_ps(c + r * ldc + PANEL, s1[r]);
    }
}

AVX512 static void mul_f32_avx512(size_t rows, size_t k, const float *a, size_t lda, const float *w,
                                  const float *bias, bool relu, float *c, size_t ldc, struct fused_ask *ask) {
    size_t lines = (k + ASK_EVERY - 1) / ASK_EVERY;
    for (size_t r = 0; r < rows; r = next_tile(r, rows, MR)) {
        if (ask->n < lines) {
            mul_f32_tile512(false, k, a + r * lda, lda, w, bias, relu, c + r * ldc, ldc, NULL);
            continue;
        }
        mul_f32_tile512(true, k, a + r * lda, lda, w, bias, relu, c + r * ldc, ldc, ask->line);
        ask->line += lines;
        ask->n -= lines;
    }
}

DOT INLINE void mul_bf16_tile(size_t k, const uint32_t *a, size_t lda, const uint32_t *w, float *c,
                              size_t ldc) {
    __m512 s0[MR], s1[MR];
    const uint32_t *w1 = w + k * PANEL, *a1 = a + 5 * lda, *a2 = a + 10 * lda;
    EACH_ROW s0[r] = s1[r] = _mm512_setzero_ps();
    for (size_t i = 0; i < k; i++) {
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(w + i * PANEL),
                 b1 = (__m512bh)_mm512_loadu_si512(w1 + i * PANEL);
        EACH_ROW {
            __m512bh x = (__m512bh)_mm512_set1_epi32((int)(r < 5 ? a : r < 10 ? a1 : a2)[r % 5 * lda]);
            s0[r] = _mm512_dpbf16_ps(s0[r], x, b0);
            s1[r] = _mm512_dpbf16_ps(s1[r], x, b1);
        }
        a++, a1++, a2++;
    }
    EACH_ROW {
        _mm512_storeu_ps(c + r * ldc, s0[r]);
        _mm512_storeu_ps(c + r * ldc + PANEL, s1[r]);
    }
}

DOT static void mul_bf16_dot(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w,
                             float *c, size_t ldc, struct fused_ask *ask) {
    (void)ask;
    for (size_t r = 0; r < rows; r = next_tile(r, rows, MR))
        mul_bf16_tile(k, a + r * lda, lda, w, c + r * ldc, ldc);
}

DOT INLINE void mul_u8_tile(size_t k, const uint32_t *a, size_t lda, const uint32_t *w, int32_t *c,
                            size_t ldc) {
    __m512i s0[MR], s1[MR];
    const uint32_t *w1 = w + k * PANEL, *a1 = a + 5 * lda, *a2 = a + 10 * lda;
    EACH_ROW s0[r] = s1[r] = _mm512_setzero_si512();
    for (size_t i = 0; i < k; i++) {
        __m512i b0 = _mm512_loadu_si512(w + i * PANEL), b1 = _mm512_loadu_si512(w1 + i * PANEL);
        EACH_ROW {
            __m512i x = _mm512_set1_epi32((int)(r < 5 ? a : r < 10 ? a1 : a2)[r % 5 * lda]);
            s0[r] = _mm512_dpbusd_epi32(s0[r], x, b0);
            s1[r] = _mm512_dpbusd_epi32(s1[r], x, b1);
        }
        a++, a1++, a2++;
    }
    EACH_ROW {
        _mm512_storeu_si512(c + r * ldc, s0[r]);
        _mm512_storeu_si512(c + r * ldc + PANEL, s1[r]);
    }
}

DOT static void mul_u8_dot(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w,
                           int32_t *c, size_t ldc, struct fused_ask *ask) {
    (void)ask;
    for (size_t r = 0; r < rows; r = next_tile(r, rows, MR))
        mul_u8_tile(k, a + r * lda, lda, w, c + r * ldc, ldc);
}

/* ---- AMX: tiles 0-3 sums of 32 x 32, 4 and 5 rows, 6 and 7 weights ---- */

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
};

/* A constant in memory, because GCC takes the instruction to read its first word only and drops stores to the rest. */
static const struct tile_config tiles = {
    .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

AMX static void tiles_begin(void) { _tile_loadconfig(&tiles); }
AMX static void tiles_end(void) { _tile_release(); }

enum { TILE_ASKS = 8 };
/* Groups of 32 rows, also beyond the last one: buffers have room for them. */
#define TILE_PRODUCT(product)                                                                                \
    for (size_t r = 0; r < rows; r += 32) {                                                                  \
        const uint32_t *x = a + r * lda, *y = w, *y1 = w + k * PANEL;                                        \
        _tile_zero(0);                                                                                       \
        _tile_zero(1);                                                                                       \
        _tile_zero(2);                                                                                       \
        _tile_zero(3);                                                                                       \
        for (size_t i = 0; i < k; i += PANEL, y += PANEL * PANEL, y1 += PANEL * PANEL) {                     \
            _tile_loadd(4, x + i, lda * 4);                                                                  \
            _tile_loadd(6, y, 64);                                                                           \
            product(0, 4, 6);                                                                                \
            _tile_loadd(7, y1, 64);                                                                          \
            product(1, 4, 7);                                                                                \
            _tile_loadd(5, x + 16 * lda + i, lda * 4);                                                       \
            product(2, 5, 6);                                                                                \
            product(3, 5, 7);                                                                                \
            for (int n = 0; n < TILE_ASKS && ask->n; n++, ask->n--) __builtin_prefetch(*ask->line++, 0, 2);  \
        }                                                                                                    \
        _tile_stored(0, c + r * ldc, ldc * 4);                                                               \
        _tile_stored(1, c + r * ldc + PANEL, ldc * 4);                                                       \
        _tile_stored(2, c + (r + 16) * ldc, ldc * 4);                                                        \
        _tile_stored(3, c + (r + 16) * ldc + PANEL, ldc * 4);                                                \
    }

AMX static void mul_bf16_amx(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w,
                             float *c, size_t ldc, struct fused_ask *ask){TILE_PRODUCT(_tile_dpbf16ps)} AMX
    static void mul_u8_amx(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w,
                           int32_t *c, size_t ldc, struct fused_ask *ask) {
    TILE_PRODUCT(_tile_dpbusd)
}
#endif

void fused_kernels_mul(struct fused_kernels *k) {
    k->mul_f32 = mul_f32_portable;
    k->mul_u8 = mul_u8_portable;
#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)
    if (k->isa >= ISA_AVX2) {
        k->mul_f32 = mul_f32_avx2;
        k->mul_u8 = mul_u8_avx2;
    }
    if (k->isa >= ISA_AVX512) k->mul_f32 = mul_f32_avx512;
    if (k->isa >= ISA_DOT) {
        k->mul_bf16 = mul_bf16_dot;
        k->mul_u8 = mul_u8_dot;
    }
    if (k->isa >= ISA_AMX) {
        k->mul_bf16 = mul_bf16_amx;
        k->mul_u8 = mul_u8_amx;
        k->begin = tiles_begin;
        k->end = tiles_end;
    }
#endif
}
