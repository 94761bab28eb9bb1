/* Sums of table rows: the first layer of a chain. One row is summed up in registers, 64 columns at a time. */
#include "nn/fused/kernels.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

uint16_t f16_round(float x) {
    union {
        float f;
        uint32_t u;
    } v = {x};
    uint32_t sign = v.u >> 16 & 0x8000, size = v.u & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (size >= 0x47800000) return (uint16_t)(sign | 0x7c00); /* 65536 and more */
    if (size < 0x38800000) {                                  /* below 2^-14: multiples of 2^-24 */
        float n = nearbyintf(fabsf(x) * 16777216.0f);
        return (uint16_t)(sign | (uint32_t)n);
    }
    size += 0xfff + (size >> 13 & 1);
    return (uint16_t)(sign | ((size - 0x38000000) >> 13)); /* rounded up to 65536, it becomes infinity */
}

float f16_float(uint16_t h) {
    union {
        uint32_t u;
        float f;
    } v;
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, size = h & 0x7fff;
    if (size < 0x400) {
        float x = (float)size * (1 / 16777216.0f);
        return sign ? -x : x;
    }
    v.u = sign | (size >= 0x7c00 ? 0x7f800000 | (size & 0x3ff) << 13 : (size << 13) + 0x38000000);
    return v.f;
}

/* Where the row r of each term begins. */
INLINE void rows_of(const struct fused_sum *s, size_t r, const char *at[FUSED_TERMS]) {
    for (int k = 0; k < s->terms; k++) at[k] = (const char *)s->table[k] + s->ids[k][r] * s->stride[k];
}

/* ---- portable: loops that compilers turn into what the target has ---- */

enum { CHUNK = 32 };

INLINE void finish(size_t n, const float *sum, bool relu, float *out) {
    for (size_t c = 0; c < n; c++) out[c] = relu && !(sum[c] > 0) ? 0 : sum[c];
}

INLINE void sum_f32_rows(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        const float *base = s->base + r * s->base_ld;
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += CHUNK) {
            float sum[CHUNK];
            size_t n = s->width - c < CHUNK ? s->width - c : CHUNK;
            for (size_t i = 0; i < n; i++) sum[i] = base[c + i];
            for (int k = 0; k < s->terms; k++)
                for (size_t i = 0; i < n; i++) sum[i] += ((const float *)(const void *)at[k])[c + i];
            finish(n, sum, relu, out + r * ld + c);
        }
    }
}

INLINE void sum_f16_rows(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        const float *base = s->base + r * s->base_ld;
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += CHUNK) {
            float sum[CHUNK];
            for (size_t i = 0; i < CHUNK; i++) sum[i] = base[c + i];
            for (int k = 0; k < s->terms; k++)
                for (size_t i = 0; i < CHUNK; i++)
                    sum[i] += f16_float(((const uint16_t *)(const void *)at[k])[c + i]);
            finish(CHUNK, sum, relu, out + r * ld + c);
        }
    }
}

INLINE void sum_bf16_block(const struct fused_sum *s, const char *const *at, const float *base, size_t c,
                           float *sum) {
    for (size_t i = 0; i < CHUNK; i++) sum[i] = base[c + i];
    for (int k = 0; k < s->terms; k++) {
        const uint32_t *w = (const uint32_t *)(const void *)at[k] + c / 2;
        for (size_t i = 0; i < CHUNK / 2; i++) {
            sum[i] += bf16_float(w[i] & 0xffff);
            sum[i + CHUNK / 2] += bf16_float(w[i] >> 16);
        }
    }
}

INLINE void sum_bf16_rows(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += CHUNK) {
            float sum[CHUNK];
            sum_bf16_block(s, at, s->base + r * s->base_ld, c, sum);
            finish(CHUNK, sum, relu, out + r * ld + c);
        }
    }
}

INLINE void sum_s8_block(const struct fused_sum *s, const char *const *at, const float *base,
                         const float *scale, size_t c, float *out) {
    int16_t sum[CHUNK] = {0};
    for (int k = 0; k < s->terms; k++)
        for (size_t i = 0; i < CHUNK; i++)
            sum[i] = (int16_t)(sum[i] + ((const int8_t *)(const void *)at[k])[c + i]);
    for (size_t i = 0; i < CHUNK; i++) out[i] = base[c + i] + scale[c + i] * (float)sum[i];
}

INLINE void sum_s8_rows(size_t rows, const struct fused_sum *s, const float *scale, bool relu, float *out,
                        size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += CHUNK) {
            float sum[CHUNK];
            sum_s8_block(s, at, s->base + r * s->base_ld, scale, c, sum);
            finish(CHUNK, sum, relu, out + r * ld + c);
        }
    }
}

INLINE void sum_s8_pack_rows(size_t rows, const struct fused_sum *s, const float *scale, uint32_t *out,
                             size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        uint8_t *to = (uint8_t *)(out + r * ld);
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += CHUNK) {
            float sum[CHUNK];
            sum_s8_block(s, at, s->base + r * s->base_ld, scale, c, sum);
            for (size_t i = 0; i < CHUNK; i++) {
                float x = sum[i] > 0 ? sum[i] : 0; /* also NaN */
                to[c + i] = (uint8_t)nearbyintf(x < 255 ? x : 255);
            }
        }
    }
}

#define WIDENING(name, target)                                                                               \
    target static void sum_bf16_##name(size_t rows, const struct fused_sum *s, bool relu, float *out,        \
                                       size_t ld) {                                                          \
        sum_bf16_rows(rows, s, relu, out, ld);                                                               \
    }                                                                                                        \
    target static void sum_s8_##name(size_t rows, const struct fused_sum *s, const float *scale, bool relu,  \
                                     float *out, size_t ld) {                                                \
        sum_s8_rows(rows, s, scale, relu, out, ld);                                                          \
    }
#define LEVEL(name, target)                                                                                  \
    WIDENING(name, target)                                                                                   \
    target static void sum_f32_##name(size_t rows, const struct fused_sum *s, bool relu, float *out,         \
                                      size_t ld) {                                                           \
        sum_f32_rows(rows, s, relu, out, ld);                                                                \
    }                                                                                                        \
    target static void sum_s8_pack_##name(size_t rows, const struct fused_sum *s, const float *scale,        \
                                          uint32_t *out, size_t ld) {                                        \
        sum_s8_pack_rows(rows, s, scale, out, ld);                                                           \
    }

LEVEL(portable, )

static void sum_f16_portable(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld) {
    sum_f16_rows(rows, s, relu, out, ld);
}

#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)
#define AVX2   __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define DOT    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512bf16,avx512vnni")))

LEVEL(avx2, AVX2)
WIDENING(avx512, AVX512)

AVX2 static void sum_f16_avx2(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        const float *base = s->base + r * s->base_ld;
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += 32) {
            __m256 sum[4];
            for (size_t v = 0; v < 4; v++) sum[v] = _mm256_loadu_ps(base + c + 8 * v);
            for (int k = 0; k < s->terms; k++)
                for (size_t v = 0; v < 4; v++)
                    sum[v] = _mm256_add_ps(sum[v], _mm256_cvtph_ps(_mm_loadu_si128(
                                                       (const __m128i *)(const void *)(at[k] + 2 * c) + v)));
            for (size_t v = 0; v < 4; v++) {
                if (relu) sum[v] = _mm256_max_ps(sum[v], _mm256_setzero_ps());
                _mm256_storeu_ps(out + r * ld + c + 8 * v, sum[v]);
            }
        }
    }
}

AVX512 static void sum_f16_avx512(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        const float *base = s->base + r * s->base_ld;
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += 32) {
            __m512 sum[2];
            for (size_t v = 0; v < 2; v++) sum[v] = _mm512_loadu_ps(base + c + 16 * v);
            for (int k = 0; k < s->terms; k++)
                for (size_t v = 0; v < 2; v++)
                    sum[v] = _mm512_add_ps(sum[v], _mm512_cvtph_ps(_mm256_loadu_si256(
                                                       (const __m256i *)(const void *)(at[k] + 2 * c) + v)));
            for (size_t v = 0; v < 2; v++) {
                if (relu) sum[v] = _mm512_max_ps(sum[v], _mm512_setzero_ps());
                _mm512_storeu_ps(out + r * ld + c + 16 * v, sum[v]);
            }
        }
    }
}

/* Columns [c, c + 16 vectors) of a row of floats; the last vector by `tail`. */
AVX512 INLINE void f32_columns(size_t vectors, const struct fused_sum *s, const char *const *at,
                               const float *base, size_t c, __mmask16 tail, bool relu, float *out) {
    __m512 sum[4];
    for (size_t v = 0; v < vectors; v++) sum[v] = _mm512_maskz_loadu_ps(tail, base + c + 16 * v);
    for (int k = 0; k < s->terms; k++)
        for (size_t v = 0; v < vectors; v++)
            sum[v] = _mm512_add_ps(
                sum[v], _mm512_maskz_loadu_ps(tail, (const float *)(const void *)(at[k] + 4 * (c + 16 * v))));
    for (size_t v = 0; v < vectors; v++) {
        if (relu) sum[v] = _mm512_max_ps(sum[v], _mm512_setzero_ps());
        _mm512_mask_storeu_ps(out + c + 16 * v, tail, sum[v]);
    }
}

AVX512 static void sum_f32_zmm(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        const float *base = s->base + r * s->base_ld;
        size_t c = 0;
        rows_of(s, r, at);
        for (; c + 64 <= s->width; c += 64) f32_columns(4, s, at, base, c, 0xffff, relu, out + r * ld);
        for (; c < s->width; c += 16) {
            size_t n = s->width - c;
            f32_columns(1, s, at, base, c, (__mmask16)(n < 16 ? (1U << n) - 1 : 0xffffU), relu, out + r * ld);
        }
    }
}

DOT static void sum_bf16_pack_dot(size_t rows, const struct fused_sum *s, bool relu, uint32_t *out,
                                  size_t ld) {
    /* A word's high half is added as its product with 1, the low half's with 0: by the units of products, which would have
     * nothing to do beside those of sums. The same roundings. */
    const __m512bh high = (__m512bh)_mm512_set1_epi32(0x3f800000);
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        const float *base = s->base + r * s->base_ld;
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += 64) {
            __m512 sum[4];
            for (size_t v = 0; v < 4; v++) sum[v] = _mm512_loadu_ps(base + c + 16 * v);
            for (int k = 0; k < s->terms; k++)
                for (size_t v = 0; v < 2; v++) {
                    __m512i x = _mm512_loadu_si512(at[k] + 2 * c + 64 * v);
                    sum[2 * v] = _mm512_add_ps(sum[2 * v], _mm512_castsi512_ps(_mm512_slli_epi32(x, 16)));
                    sum[2 * v + 1] = _mm512_dpbf16_ps(sum[2 * v + 1], (__m512bh)x, high);
                }
            if (relu)
                for (size_t v = 0; v < 4; v++) sum[v] = _mm512_max_ps(sum[v], _mm512_setzero_ps());
            for (size_t v = 0; v < 2; v++)
                _mm512_storeu_si512(out + r * ld + c / 2 + 16 * v,
                                    (__m512i)_mm512_cvtne2ps_pbh(sum[2 * v + 1], sum[2 * v]));
        }
    }
}

/* 16 sums of int16 -> 16 bytes. */
AVX512 INLINE __m128i s8_bytes(__m256i sum, const float *base, const float *scale) {
    __m512 x = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(sum));
    x = _mm512_fmadd_ps(x, _mm512_loadu_ps(scale), _mm512_loadu_ps(base));
    x = _mm512_max_ps(x, _mm512_setzero_ps());
    return _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(x));
}

AVX512 static void sum_s8_pack_zmm(size_t rows, const struct fused_sum *s, const float *scale, uint32_t *out,
                                   size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        const char *at[FUSED_TERMS];
        const float *base = s->base + r * s->base_ld;
        char *to = (char *)(out + r * ld);
        rows_of(s, r, at);
        for (size_t c = 0; c < s->width; c += 64) {
            __m512i lo = _mm512_setzero_si512(), hi = lo;
            for (int k = 0; k < s->terms; k++) {
                const __m256i *x = (const __m256i *)(const void *)(at[k] + c);
                lo = _mm512_add_epi16(lo, _mm512_cvtepi8_epi16(_mm256_loadu_si256(x)));
                hi = _mm512_add_epi16(hi, _mm512_cvtepi8_epi16(_mm256_loadu_si256(x + 1)));
            }
            const float *b = base + c, *f = scale + c;
            __m128i *q = (__m128i *)(void *)(to + c);
            _mm_storeu_si128(q, s8_bytes(_mm512_castsi512_si256(lo), b, f));
            _mm_storeu_si128(q + 1, s8_bytes(_mm512_extracti64x4_epi64(lo, 1), b + 16, f + 16));
            _mm_storeu_si128(q + 2, s8_bytes(_mm512_castsi512_si256(hi), b + 32, f + 32));
            _mm_storeu_si128(q + 3, s8_bytes(_mm512_extracti64x4_epi64(hi, 1), b + 48, f + 48));
        }
    }
}
#endif

void fused_kernels_sum(struct fused_kernels *k) {
    k->sum_f32 = sum_f32_portable;
    k->sum_f16 = sum_f16_portable;
    k->sum_bf16 = sum_bf16_portable;
    k->sum_s8 = sum_s8_portable;
    k->sum_s8_pack = sum_s8_pack_portable;
#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)
    if (k->isa >= ISA_AVX2) {
        k->sum_f32 = sum_f32_avx2;
        k->sum_f16 = sum_f16_avx2;
        k->sum_bf16 = sum_bf16_avx2;
        k->sum_s8 = sum_s8_avx2;
        k->sum_s8_pack = sum_s8_pack_avx2;
    }
    if (k->isa >= ISA_AVX512) {
        k->sum_f32 = sum_f32_zmm;
        k->sum_f16 = sum_f16_avx512;
        k->sum_bf16 = sum_bf16_avx512;
        k->sum_s8 = sum_s8_avx512;
        k->sum_s8_pack = sum_s8_pack_zmm;
    }
    if (k->isa >= ISA_DOT) k->sum_bf16_pack = sum_bf16_pack_dot;
#endif
}
