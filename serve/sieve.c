#include "serve/sieve.h"
#include "base/mem.h"
#include "nn/vec.h"
#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { MOST_DIM = 1 << 15 }; /* sums of 255 * 127 in 32 bits */

struct sieve_block {
    double per_a;  /* 1 / a */
    double margin; /* in sums of bytes: b/2 |x|_1 and the rounding of fp32; infinity: everything passes */
};
struct sieve {
    size_t dim, words, n;
    const float *items;        /* while it is made */
    struct sieve_block *block; /* [n / SIEVE_BLOCK] */
    uint32_t *panel;           /* [n / SIEVE_PANEL][words][SIEVE_PANEL]: four bytes of each item */
};

/* ---- making ---- */

/* The bound has a thousandth in hand for the rounding of scales and of the numbers on them. */
static const double in_hand = 1 + 0x1p-10;

/* Neither overflow nor numbers that are taken for 0 play a part: NaN is not within. */
static bool within(float most) { return most >= 0x1p-40F && most <= 0x1p50F; }

static void pack_item(const struct sieve *s, size_t item, float per_a) {
    const float *x = s->items + item * s->dim;
    uint32_t *out = s->panel + item / SIEVE_PANEL * s->words * SIEVE_PANEL + item % SIEVE_PANEL;
    for (size_t c = 0; c < s->dim; c++) {
        uint32_t byte = (uint32_t)(x[c] * per_a + 128.5F);
        out[c / 4 * SIEVE_PANEL] |= byte << c % 4 * 8;
    }
}

static void pack_block(void *ctx, int task, int worker) {
    struct sieve *s = ctx;
    size_t begin = (size_t)task * SIEVE_BLOCK, end = begin + SIEVE_BLOCK;
    struct sieve_block *b = &s->block[task];
    float most = 0, most_sum = 0;
    bool fine = true;
    (void)worker;
    if (end > s->n) end = s->n;
    for (size_t i = begin; i < end; i++) {
        const float *x = s->items + i * s->dim;
        float sum = 0;
        for (size_t c = 0; c < s->dim; c++) {
            most = fmaxf(most, fabsf(x[c]));
            sum += fabsf(x[c]);
        }
        fine &= isfinite(sum) != 0;
        most_sum = fmaxf(most_sum, sum);
    }
    *b = (struct sieve_block){.margin = INFINITY};
    if (!fine || !within(most)) return;
    b->per_a = 127 / (double)most;
    b->margin = (double)most_sum * b->per_a * (0.5 + (double)s->dim * 0x1p-17) * in_hand * in_hand;
    for (size_t i = begin; i < end; i++) pack_item(s, i, (float)b->per_a);
}

int sieve_create(enum isa isa, size_t dim, const float *items, size_t n, struct pool *pool,
                 struct sieve **out, struct err *e) {
    *out = NULL;
    if (isa_limit(isa_best(), isa) < ISA_DOT || !dim || dim > MOST_DIM || !n) return 0;
    struct sieve *s = mem_calloc(1, sizeof *s);
    if (!s) return err_nomem(e, sizeof *s);
    size_t blocks = (n + SIEVE_BLOCK - 1) / SIEVE_BLOCK, words = (dim + 3) / 4,
           bytes = words * SIEVE_BLOCK * sizeof *s->panel;
    *s = (struct sieve){.dim = dim, .words = words, .n = n, .items = items};
    s->block = mem_calloc(blocks, sizeof *s->block);
    s->panel = mem_calloc(blocks, bytes);
    if (!s->block || !s->panel) return sieve_free(s), err_nomem(e, blocks * bytes);
    pool_run(pool, (int)blocks, pack_block, s);
    *out = s;
    return 0;
}

void sieve_free(struct sieve *s) {
    if (!s) return;
    mem_free(s->block);
    mem_free(s->panel);
    mem_free(s);
}

size_t sieve_words(const struct sieve *s) { return s->words; }

void sieve_user(const struct sieve *s, const float *x, struct sieve_taste *t, uint32_t *word) {
    float most = 0;
    bool fine = true;
    int sum = 0, size = 0;
    for (size_t c = 0; c < s->dim; c++) {
        most = fmaxf(most, fabsf(x[c]));
        fine &= isfinite(x[c]) != 0;
    }
    for (size_t i = 0; i < s->words; i++) word[i] = 0;
    *t = (struct sieve_taste){.shift = -INFINITY};
    if (!fine || !within(most)) return;
    t->per_b = 127 / (double)most;
    for (size_t c = 0; c < s->dim; c++) {
        int v = (int)(x[c] * (float)t->per_b + 128.5F) - 128;
        word[c / 4] |= (uint32_t)(uint8_t)(int8_t)v << c % 4 * 8;
        sum += v;
        size += v < 0 ? -v : v;
    }
    t->shift = 128.0 * sum - 0.5 * size * in_hand;
}

/* ---- use ---- */

/* Rounded down, and one more for the rounding of doubles. Comparisons with NaN, as of 0 times infinity, let pass. */
void sieve_low(const struct sieve *s, size_t block, const struct sieve_taste *t, size_t n_users,
               const float *worst, int32_t *low) {
    double per_a = s->block[block].per_a, margin = s->block[block].margin;
    for (size_t u = 0; u < n_users; u++) {
        double x = (double)worst[u] * t[u].per_b * per_a + t[u].shift - margin;
        low[u] = x > INT32_MAX ? INT32_MAX : x > -0x1p30 ? (int32_t)floor(x) - 1 : INT32_MIN;
    }
}

#if defined(__x86_64__)
#define DOT    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define INLINE static inline __attribute__((always_inline))
enum { LANES = 16, FEW = 4, MANY = 12 }; /* 12 users: 24 sums and two words of items in 32 registers */

struct found_users {
    uint32_t *mask;
    uint16_t *hit;
    size_t n;
};

DOT INLINE void reach(size_t rows, size_t words, const uint32_t *panel, const uint32_t *word,
                      const int32_t *low, size_t first, struct found_users *f) {
    __m512i s0[MANY], s1[MANY];
#pragma GCC unroll 12
    for (size_t r = 0; r < rows; r++) s0[r] = s1[r] = _mm512_setzero_si512();
    for (size_t i = 0; i < words; i++) {
        __m512i w0 = _mm512_loadu_si512(panel + i * SIEVE_PANEL),
                w1 = _mm512_loadu_si512(panel + i * SIEVE_PANEL + LANES);
#pragma GCC unroll 12
        for (size_t r = 0; r < rows; r++) {
            __m512i v = _mm512_set1_epi32((int)word[r * words + i]);
            s0[r] = _mm512_dpbusd_epi32(s0[r], w0, v);
            s1[r] = _mm512_dpbusd_epi32(s1[r], w1, v);
        }
    }
#pragma GCC unroll 12
    for (size_t r = 0; r < rows; r++) {
        __m512i least = _mm512_set1_epi32(low[r]);
        uint32_t m = (uint32_t)_mm512_cmpge_epi32_mask(s0[r], least) |
                     (uint32_t)_mm512_cmpge_epi32_mask(s1[r], least) << LANES;
        f->mask[first + r] = m;
        f->hit[f->n] = (uint16_t)(first + r);
        f->n += m != 0;
    }
}

DOT size_t sieve_panel(const struct sieve *s, size_t panel, const uint32_t *word, size_t n_users,
                       const int32_t *low, uint32_t *mask, uint16_t *hit) {
    const uint32_t *p = s->panel + panel * s->words * SIEVE_PANEL;
    struct found_users f = {mask, hit, 0};
    size_t u = 0, w = s->words;
    for (; u + MANY <= n_users; u += MANY) reach(MANY, w, p, word + u * w, low + u, u, &f);
    for (; u + FEW <= n_users; u += FEW) reach(FEW, w, p, word + u * w, low + u, u, &f);
    for (; u < n_users; u++) reach(1, w, p, word + u * w, low + u, u, &f);
    return f.n;
}
#else
size_t sieve_panel(const struct sieve *s, size_t panel, const uint32_t *word, size_t n_users,
                   const int32_t *low, uint32_t *mask, uint16_t *hit) {
    (void)s, (void)panel, (void)word, (void)n_users, (void)low, (void)mask, (void)hit;
    return 0; /* sieve_create() makes none */
}
#endif
