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

KERNEL static size_t reach_each(const float *score, size_t n, const float *low, uint8_t *row,
                                struct dots_ahead ahead) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++, score += DOTS_PANEL) {
        if (i < ahead.n) ask_for(ahead.rows + i * ahead.dim, ahead.dim);
        int reaches = 0;
        for (size_t c = 0; c < DOTS_PANEL; c++) reaches |= !(score[c] < low[c]);
        row[found] = (uint8_t)i;
        found += (size_t)reaches;
    }
    return found;
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

struct rows { /* row i of `table`, or row ids[i]; those behind `last` are that one again */
    const float *table;
    const uint32_t *ids;
    size_t last;
};
INLINE const float *row_at(size_t dim, struct rows s, size_t i) {
    if (i > s.last) i = s.last;
    return s.table + (s.ids ? s.ids[i] : i) * dim;
}

struct
    user { /* x; of 32 dimensions in registers: read again and again it waits behind the rows, another 15 % */
    const float *x;
    bool kept;
    __m512 v[2];
};
V4 INLINE __m512 part(struct user u, size_t c) { return u.kept ? u.v[c / LANES] : _mm512_loadu_ps(u.x + c); }

/* Four rows from i on: block k holds four lane sums of row i + k. The row `ahead` (0: none) of each is asked for just
 * before it, one at a time: a core can wait for a dozen or so lines at once, and stands still when it is asked for more.
 * Without the barrier the compiler reads a row first, and that takes 15 % longer (Sapphire Rapids). */
V4 INLINE __m512 four(size_t dim, struct user u, struct rows s, size_t i, size_t ahead) {
    __m512 lane[4];
#pragma GCC unroll 4
    for (size_t r = 0; r < 4; r++) {
        const float *row = row_at(dim, s, i + r);
        if (ahead) {
            ask_for(row_at(dim, s, i + r + ahead), dim);
            __asm__ volatile("" ::: "memory");
        }
        lane[r] = _mm512_mul_ps(_mm512_loadu_ps(row), part(u, 0));
        for (size_t c = LANES; c < dim; c += LANES)
            lane[r] = _mm512_fmadd_ps(_mm512_loadu_ps(row + c), part(u, c), lane[r]);
    }
    return halve_256(halve_512(lane[0], lane[1]), halve_512(lane[2], lane[3]));
}

V4 INLINE void sixteen(size_t dim, struct user u, struct rows s, size_t i, size_t ahead, float *out) {
    /* element j of block k is row k + 4 j */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512 f[4]; /* in the order in which they have been asked for */
#pragma GCC unroll 4
    for (size_t k = 0; k < 4; k++) f[k] = four(dim, u, s, i + 4 * k, ahead);
    __m512 sum = halve_64(halve_128(f[0], f[1]), halve_128(f[2], f[3]));
    _mm512_storeu_ps(out, _mm512_permutexvar_ps(order, sum));
}

/* The last group is as whole as the others, so that every product comes from the same arithmetic. */
V4 INLINE void groups(size_t dim, struct user u, struct rows s, size_t n, size_t ahead, float *out) {
    size_t i = 0;
    for (; i + ahead + GROUP <= n; i += GROUP) sixteen(dim, u, s, i, ahead, out + i);
    for (; ahead && i + GROUP <= n; i += GROUP) sixteen(dim, u, s, i, 0, out + i);
    if (i == n) return;
    float all[GROUP];
    s.last = n - 1;
    sixteen(dim, u, s, i, 0, all);
    for (size_t r = 0; i + r < n; r++) out[i + r] = all[r];
}

V4 INLINE struct user keep(const float *x) {
    return (struct user){x, true, {_mm512_loadu_ps(x), _mm512_loadu_ps(x + LANES)}};
}

V4 static void gather_any(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n,
                          float *out) {
    groups(dim, (struct user){.x = x}, (struct rows){table, ids, SIZE_MAX}, n, AHEAD, out);
}
V4 static void gather_32(const float *x, const float *table, const uint32_t *ids, size_t n, float *out) {
    groups(32, keep(x), (struct rows){table, ids, SIZE_MAX}, n, AHEAD, out);
}
V4 static void rows_any(size_t dim, const float *x, const float *rows, size_t n, float *out) {
    groups(dim, (struct user){.x = x}, (struct rows){rows, NULL, SIZE_MAX}, n, 0, out);
}
V4 static void rows_32(const float *x, const float *rows, size_t n, float *out) {
    groups(32, keep(x), (struct rows){rows, NULL, SIZE_MAX}, n, 0, out);
}

V4 static size_t reach_512(const float *score, size_t n, const float *low, uint8_t *row,
                           struct dots_ahead ahead) {
    __m512 low0 = _mm512_loadu_ps(low), low1 = _mm512_loadu_ps(low + LANES);
    size_t found = 0;
    for (size_t i = 0; i < n; i++, score += DOTS_PANEL) {
        if (i < ahead.n) ask_for(ahead.rows + i * ahead.dim, ahead.dim);
        __mmask16 a = _mm512_cmp_ps_mask(_mm512_loadu_ps(score), low0, _CMP_NLT_UQ);
        __mmask16 b = _mm512_cmp_ps_mask(_mm512_loadu_ps(score + LANES), low1, _CMP_NLT_UQ);
        row[found] = (uint8_t)i;
        found += (a | b) != 0;
    }
    return found;
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

size_t dots_reach(const float *score, size_t n, const float *low, enum isa isa, uint8_t *row,
                  struct dots_ahead ahead) {
    (void)isa;
#if defined(__x86_64__)
    if (isa >= ISA_AVX512) return reach_512(score, n, low, row, ahead);
#endif
    return reach_each(score, n, low, row, ahead);
}
