/* From sums to the words that the next product reads. */
#include "nn/fused/kernels.h"
#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE uint8_t to_byte(float x) {
    x = x > 0 ? x : 0; /* also NaN */
    return (uint8_t)nearbyintf(x < 255 ? x : 255);
}

INLINE void pack_s32_rows(size_t rows, size_t n, const int32_t *x, size_t ldx, const float *scale,
                          const float *base, uint32_t *out, size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        uint8_t *to = (uint8_t *)(out + r * ld);
        for (size_t c = 0; c < n; c++) to[c] = to_byte((float)x[r * ldx + c] * scale[c] + base[c]);
    }
}

INLINE void pack_f32_rows(size_t rows, size_t n, const float *x, size_t ldx, const float *scale,
                          const float *base, uint32_t *out, size_t ld) {
    for (size_t r = 0; r < rows; r++) {
        uint8_t *to = (uint8_t *)(out + r * ld);
        for (size_t c = 0; c < n; c++) to[c] = to_byte(x[r * ldx + c] * scale[c] + base[c]);
    }
}

static void pack_u8_s32_portable(size_t rows, size_t n, const int32_t *x, size_t ldx, const float *scale,
                                 const float *base, uint32_t *out, size_t ld) {
    pack_s32_rows(rows, n, x, ldx, scale, base, out, ld);
}
static void pack_u8_f32_portable(size_t rows, size_t n, const float *x, size_t ldx, const float *scale,
                                 const float *base, uint32_t *out, size_t ld) {
    pack_f32_rows(rows, n, x, ldx, scale, base, out, ld);
}

#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)
#define AVX2   __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define DOT    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512bf16,avx512vnni")))

AVX2 static void pack_u8_s32_avx2(size_t rows, size_t n, const int32_t *x, size_t ldx, const float *scale,
                                  const float *base, uint32_t *out, size_t ld) {
    pack_s32_rows(rows, n, x, ldx, scale, base, out, ld);
}
AVX2 static void pack_u8_f32_avx2(size_t rows, size_t n, const float *x, size_t ldx, const float *scale,
                                  const float *base, uint32_t *out, size_t ld) {
    pack_f32_rows(rows, n, x, ldx, scale, base, out, ld);
}

AVX512 INLINE void put_bytes(__m512 x, const float *scale, const float *base, uint8_t *to) {
    x = _mm512_fmadd_ps(x, _mm512_loadu_ps(scale), _mm512_loadu_ps(base));
    x = _mm512_max_ps(x, _mm512_setzero_ps());
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(x)));
}

AVX512 static void pack_u8_s32_avx512(size_t rows, size_t n, const int32_t *x, size_t ldx, const float *scale,
                                      const float *base, uint32_t *out, size_t ld) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c += 16)
            put_bytes(_mm512_cvtepi32_ps(_mm512_loadu_si512(x + r * ldx + c)), scale + c, base + c,
                      (uint8_t *)(out + r * ld) + c);
}
AVX512 static void pack_u8_f32_avx512(size_t rows, size_t n, const float *x, size_t ldx, const float *scale,
                                      const float *base, uint32_t *out, size_t ld) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c += 16)
            put_bytes(_mm512_loadu_ps(x + r * ldx + c), scale + c, base + c, (uint8_t *)(out + r * ld) + c);
}

DOT static void pack_bf16_dot(size_t rows, size_t n, const float *x, size_t ldx, const float *bias, bool relu,
                              uint32_t *out, size_t ld) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c += 32) {
            __m512 lo = _mm512_add_ps(_mm512_loadu_ps(x + r * ldx + c), _mm512_loadu_ps(bias + c));
            __m512 hi = _mm512_add_ps(_mm512_loadu_ps(x + r * ldx + c + 16), _mm512_loadu_ps(bias + c + 16));
            if (relu)
                lo = _mm512_max_ps(lo, _mm512_setzero_ps()), hi = _mm512_max_ps(hi, _mm512_setzero_ps());
            _mm512_storeu_si512(out + r * ld + c / 2, (__m512i)_mm512_cvtne2ps_pbh(hi, lo));
        }
}
#endif

void fused_kernels_pack(struct fused_kernels *k) {
    k->pack_u8_s32 = pack_u8_s32_portable;
    k->pack_u8_f32 = pack_u8_f32_portable;
#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)
    if (k->isa >= ISA_AVX2) {
        k->pack_u8_s32 = pack_u8_s32_avx2;
        k->pack_u8_f32 = pack_u8_f32_avx2;
    }
    if (k->isa >= ISA_AVX512) {
        k->pack_u8_s32 = pack_u8_s32_avx512;
        k->pack_u8_f32 = pack_u8_f32_avx512;
    }
    if (k->isa >= ISA_DOT) k->pack_bf16 = pack_bf16_dot;
#endif
}

struct fused_kernels fused_kernels(enum isa limit) {
    struct fused_kernels k = {.isa = isa_limit(isa_best(), limit)};
    fused_kernels_sum(&k);
    fused_kernels_mul(&k);
    fused_kernels_skip(&k);
    fused_kernels_pack(&k);
    return k;
}
