#include "nn/dots.h"
#include "nn/vec.h"
#include <stdbool.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    LANES = 16,
    GROUP = 16,
    AHEAD = 32
}; /* rows asked for ahead: about as many accesses as a core can have open */

static inline void ask_for(const float *row, size_t dim) {
    for (size_t c = 0; c < dim; c += LANES) __builtin_prefetch(row + c);
}

static void gather_each(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n,
                        float *out) {
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) ask_for(table + (size_t)ids[i + AHEAD] * dim, dim);
        out[i] = vec_dot(dim, table + (size_t)ids[i] * dim, x);
    }
}

static void rows_each(size_t dim, const float *x, const float *rows, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) out[i] = vec_dot(dim, rows + i * dim, x);
}

#if defined(__x86_64__)
#define V4     __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define INLINE static inline __attribute__((always_inline))

/* Lane sums of sixteen rows, from 16 lanes each down to one: lanes half a register apart are added, and two rows share each register, then four, then all. */
V4 INLINE __m512 halve_512(__m512 a, __m512 b) { /* [a0+a2 a1+a3 b0+b2 b1+b3] of 128-bit blocks */
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}
V4 INLINE __m512 halve_256(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
V4 INLINE __m512 halve_128(__m512 a, __m512 b) { /* within blocks: [a0+a2 a1+a3 b0+b2 b1+b3] */
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
}
V4 INLINE __m512 halve_64(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}

/* Four rows: block k holds four lane sums of row k. */
V4 INLINE __m512 four(size_t dim, const float *x, const float *const row[4]) {
    __m512 lane[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) lane[r] = _mm512_setzero_ps();
    for (size_t c = 0; c < dim; c += LANES) {
        __m512 v = _mm512_loadu_ps(x + c);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) lane[r] = _mm512_fmadd_ps(_mm512_loadu_ps(row[r] + c), v, lane[r]);
    }
    return halve_256(halve_512(lane[0], lane[1]), halve_512(lane[2], lane[3]));
}

V4 INLINE void sixteen(size_t dim, const float *x, const float *const row[GROUP], float *out) {
    /* element j of block k is row k + 4 j */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512 a = halve_128(four(dim, x, row), four(dim, x, row + 4));
    __m512 b = halve_128(four(dim, x, row + 8), four(dim, x, row + 12));
    _mm512_storeu_ps(out, _mm512_permutexvar_ps(order, halve_64(a, b)));
}

/* The last group repeats its last row, so that every product comes from the same arithmetic. */
V4 INLINE void last_group(size_t dim, const float *x, const float *row[GROUP], size_t n, float *out) {
    float all[GROUP];
    for (size_t r = n; r < GROUP; r++) row[r] = row[n - 1];
    sixteen(dim, x, row, all);
    for (size_t r = 0; r < n; r++) out[r] = all[r];
}

V4 INLINE void gather_groups(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n,
                             float *out) {
    const float *row[GROUP];
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
        size_t ahead = i + AHEAD + GROUP <= n ? AHEAD : 0;
#pragma GCC unroll 16
        for (size_t r = 0; r < GROUP; r++) row[r] = table + (size_t)ids[i + r] * dim;
        for (size_t r = 0; ahead && r < GROUP; r++) ask_for(table + (size_t)ids[i + ahead + r] * dim, dim);
        sixteen(dim, x, row, out + i);
    }
    for (size_t r = 0; i + r < n; r++) row[r] = table + (size_t)ids[i + r] * dim;
    if (i < n) last_group(dim, x, row, n - i, out + i);
}

V4 static void gather_any(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n,
                          float *out) {
    gather_groups(dim, x, table, ids, n, out);
}
V4 static void gather_32(const float *x, const float *table, const uint32_t *ids, size_t n, float *out) {
    gather_groups(32, x, table, ids, n, out);
}

V4 INLINE void rows_groups(size_t dim, const float *x, const float *rows, size_t n, float *out) {
    const float *row[GROUP];
    size_t i = 0;
    for (; i + GROUP <= n; i += GROUP) {
#pragma GCC unroll 16
        for (size_t r = 0; r < GROUP; r++) row[r] = rows + (i + r) * dim;
        sixteen(dim, x, row, out + i);
    }
    for (size_t r = 0; i + r < n; r++) row[r] = rows + (i + r) * dim;
    if (i < n) last_group(dim, x, row, n - i, out + i);
}
V4 static void rows_any(size_t dim, const float *x, const float *rows, size_t n, float *out) {
    rows_groups(dim, x, rows, n, out);
}
V4 static void rows_32(const float *x, const float *rows, size_t n, float *out) {
    rows_groups(32, x, rows, n, out);
}

static bool in_groups(size_t dim, enum isa isa) { return dim && dim % LANES == 0 && isa >= ISA_AVX512; }
#endif

void dots_gather(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n, enum isa isa,
                 float *out) {
    (void)isa;
#if defined(__x86_64__)
    if (in_groups(dim, isa)) {
        for (size_t i = 0; i < n && i < AHEAD; i++) ask_for(table + (size_t)ids[i] * dim, dim);
        if (dim == 32)
            gather_32(x, table, ids, n, out);
        else
            gather_any(dim, x, table, ids, n, out);
        return;
    }
#endif
    gather_each(dim, x, table, ids, n, out);
}

void dots_rows(size_t dim, const float *x, const float *rows, size_t n, enum isa isa, float *out) {
    (void)isa;
#if defined(__x86_64__)
    if (in_groups(dim, isa)) {
        if (dim == 32)
            rows_32(x, rows, n, out);
        else
            rows_any(dim, x, rows, n, out);
        return;
    }
#endif
    rows_each(dim, x, rows, n, out);
}
