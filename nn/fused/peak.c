#include "nn/fused/peak.h"
#include "base/mem.h"
#include "nn/fused/kernels.h"
#include <time.h>

enum { ROWS = 56, WORDS = 128, LD = WORDS + FUSED_K, TRIES = 400, AT_ONCE = 4 };

struct operands {
    uint32_t a[FUSED_GROUP * LD], w[32 * WORDS];
    float c[FUSED_GROUP * 32], bias[32];
};

static int64_t thread_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Words of zeros: no product is faster or slower for its values. */
static int multiply(const struct fused_kernels *k, enum precision p, struct operands *x) {
    struct fused_ask none = {NULL, 0};
    if (p == PRECISION_INT8) {
        k->mul_u8(FUSED_GROUP, WORDS, x->a, LD, x->w, (int32_t *)(void *)x->c, 32, &none);
        return 8 * FUSED_GROUP;
    }
    if (p == PRECISION_BF16 && k->mul_bf16) {
        k->mul_bf16(FUSED_GROUP, WORDS, x->a, LD, x->w, x->c, 32, &none);
        return 4 * FUSED_GROUP;
    }
    k->mul_f32(ROWS, WORDS, (float *)(void *)x->a, LD, (float *)(void *)x->w, x->bias, true, x->c, 32, &none);
    return 2 * ROWS;
}

int fused_peak(enum precision p, enum isa limit, enum isa *used, double *gflops, struct err *e) {
    struct fused_kernels k = fused_kernels(limit);
    struct operands *x = mem_calloc(1, sizeof *x);
    if (!x) return err_nomem(e, sizeof *x);
    int64_t best = INT64_MAX;
    double flops = 0;
    if (k.begin) k.begin();
    for (int i = 0; i < TRIES; i++) {
        int64_t start = thread_ns();
        for (int j = 0; j < AT_ONCE; j++) flops = 32.0 * WORDS * multiply(&k, p, x);
        int64_t took = thread_ns() - start;
        best = took < best ? took : best;
    }
    if (k.end) k.end();
    mem_free(x);
    bool plain = p != PRECISION_INT8 && !(p == PRECISION_BF16 && k.mul_bf16);
    *used = plain && k.isa > ISA_AVX512 ? ISA_AVX512 : k.isa;
    *gflops = AT_ONCE * flops / (double)(best > 0 ? best : 1);
    return 0;
}
