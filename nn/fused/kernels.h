/* kernels.h: the inner loops of the fused engine (fused.h), a set for each level of instructions.
 *
 * Layouts, shared by all sets
 *   rows      32-bit words everywhere: a word holds 1 float, 2 bf16 or 4 bytes; a row of activations is padded with
 *             zeros to a multiple of FUSED_K words, weights beyond K are zeros
 *   weights   panels of 16 columns: [N/16][K words][16 columns] words, N padded to a multiple of 32
 *   strips    weights for products that skip zeros: of up to 128 units (32, 64 or 96 in the last), a row for each column:
 *             [N/128][K columns][units], in bf16 in the order of fused_skip_at_bf16()
 *   bf16 row  of a table: in each block of 32 columns, word i holds column i (low half) and column i + 16 (high half),
 *             so that a shift and a mask give both in order
 * A group is at most FUSED_GROUP rows; buffers have room for all of them, and kernels may write garbage into the rows
 * beyond `rows` (never beyond the group).
 */
#ifndef PRERANK_NN_FUSED_KERNELS_H
#define PRERANK_NN_FUSED_KERNELS_H
#include "nn/fused/isa.h"
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FUSED_GROUP = 64, FUSED_K = 16, FUSED_TERMS = 32 };
enum { FUSED_STRIP = 128, FUSED_MASK = 64 }; /* of products that skip zeros: units, and columns of a mask */
static inline size_t fused_masks(size_t columns) { return (columns + FUSED_MASK - 1) / FUSED_MASK; }

struct fused_sum { /* rows of a sum: base + sum over terms of table[ids[r]] */
    size_t width;  /* columns, padded to 32, for sums that pack to 64; in fp32 any number */
    int terms;
    const void *table[FUSED_TERMS]; /* rows `stride` bytes apart */
    size_t stride[FUSED_TERMS];
    const uint32_t *ids[FUSED_TERMS]; /* [rows] */
    const float *base;                /* [width], or [rows][base_ld] */
    size_t base_ld;                   /* 0: the same for all rows */
};

/* Cache lines that will be wanted soon, asked for a few at a time between multiplications: the processor can wait for a
 * dozen or so at once, and would stand still if it were asked for more. A kernel takes from the front what it can. */
struct fused_ask {
    const char *const *line;
    size_t n;
};

struct fused_kernels {
    enum isa isa;
    /* out[rows][ld] = sum (max 0 with relu), from rows of float, fp16 and bf16 */
    void (*sum_f32)(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld);
    void (*sum_f16)(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld);
    void (*sum_bf16)(size_t rows, const struct fused_sum *s, bool relu, float *out, size_t ld);
    /* from rows of int8: base + scale[c] * sum */
    void (*sum_s8)(size_t rows, const struct fused_sum *s, const float *scale, bool relu, float *out,
                   size_t ld);
    /* the same straight into the words that the next product reads: bf16 (NULL below ISA_DOT, as are mul_bf16 and
     * pack_bf16: floats rounded to bf16 are multiplied then), ... */
    void (*sum_bf16_pack)(size_t rows, const struct fused_sum *s, bool relu, uint32_t *out, size_t ld);
    /* ... and bytes: round(base + scale[c] * sum), limited to 0 .. 255 */
    void (*sum_s8_pack)(size_t rows, const struct fused_sum *s, const float *scale, uint32_t *out, size_t ld);
    /* c[rows][32] = max(a w + bias, 0 with relu): a (rows, k) floats, w two panels */
    void (*mul_f32)(size_t rows, size_t k, const float *a, size_t lda, const float *w, const float *bias,
                    bool relu, float *c, size_t ldc, struct fused_ask *ask);
    /* c[rows][32] = a w: a (rows, k words) pairs of bf16, or unsigned times signed bytes */
    void (*mul_bf16)(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w, float *c,
                     size_t ldc, struct fused_ask *ask);
    void (*mul_u8)(size_t rows, size_t k, const uint32_t *a, size_t lda, const uint32_t *w, int32_t *c,
                   size_t ldc, struct fused_ask *ask);
    /* Which of the columns are not 0, in masks[rows][fused_masks(columns)]; how many there are. The two products for
     * rows with masks, n (32, 64, 96, 128) units from one strip: the same to the bit as mul_f32 and mul_bf16, faster where
     * many are 0 (skip.c). bf16: the columns that are not 0 by twos as well, FUSED_MASK / 2 words a mask. NULL where nothing is gained; skip_f32 from ISA_AVX512 on, skip_bf16 at ISA_DOT. */
    size_t (*mask_f32)(size_t rows, size_t k, const float *a, size_t lda, uint64_t *mask);
    size_t (*mask_bf16)(size_t rows, size_t k, const uint32_t *a, size_t lda, uint64_t *mask,
                        uint32_t *pairs);
    void (*skip_f32)(size_t rows, size_t k, const float *a, size_t lda, const uint64_t *mask, size_t n,
                     const float *w, const float *bias, bool relu, float *c, size_t ldc,
                     struct fused_ask *ask);
    void (*skip_bf16)(size_t rows, size_t k, const uint64_t *mask, const uint32_t *pairs, size_t n,
                      const uint16_t *w, float *c, size_t ldc, struct fused_ask *ask);
    /* out = bf16(x + bias, max 0 with relu); n columns, padded to 32 */
    void (*pack_bf16)(size_t rows, size_t n, const float *x, size_t ldx, const float *bias, bool relu,
                      uint32_t *out, size_t ld);
    /* out = round(scale[c] x + base[c]) limited to 0 .. 255, x of int32 or of float; n padded to 32 */
    void (*pack_u8_s32)(size_t rows, size_t n, const int32_t *x, size_t ldx, const float *scale,
                        const float *base, uint32_t *out, size_t ld);
    void (*pack_u8_f32)(size_t rows, size_t n, const float *x, size_t ldx, const float *scale,
                        const float *base, uint32_t *out, size_t ld);
    /* Before and after a series of products on one thread (tiles must be set up); NULL: nothing to do. */
    void (*begin)(void);
    void (*end)(void);
};
/* What the level offers; for ISA_BEST what the processor has. Asked for more than it has: what it has. */
struct fused_kernels fused_kernels(enum isa limit);

/* private to the kernels' files: each fills in what it has for that level */
void fused_kernels_sum(struct fused_kernels *k);
void fused_kernels_mul(struct fused_kernels *k);
void fused_kernels_skip(struct fused_kernels *k);
void fused_kernels_pack(struct fused_kernels *k);

/* Where a strip of n units has the weight of a unit and a column. */
size_t fused_skip_at_bf16(size_t n, size_t unit, size_t column);

static inline uint32_t bf16_round(float x) { /* to nearest, ties to even; as AVX512_BF16 for normal numbers */
    union {
        float f;
        uint32_t u;
    } v = {x};
    if ((v.u & 0x7fffffff) > 0x7f800000) return v.u >> 16 | 0x40;
    return (v.u + 0x7fff + (v.u >> 16 & 1)) >> 16;
}
static inline float bf16_float(uint32_t h) {
    union {
        uint32_t u;
        float f;
    } v = {h << 16};
    return v.f;
}
static inline int8_t s8_round(float x) { /* to nearest, ties to even, within -127 .. 127 */
    float n = nearbyintf(x);
    return (int8_t)(n > 127 ? 127 : n < -127 ? -127 : n);
}
uint16_t f16_round(float x); /* to nearest, ties to even; beyond 65504: infinity */
float f16_float(uint16_t h);

#endif
