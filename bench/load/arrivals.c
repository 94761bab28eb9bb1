#include "bench/load/arrivals.h"
#include "base/mem.h"
#include "base/rng.h"
#include <math.h>

int arrivals_poisson(double rate, size_t n, uint64_t seed, struct arrivals *out, struct err *e) {
    *out = (struct arrivals){.n = n, .rate = rate};
    out->at = mem_alloc((n + 1) * sizeof *out->at);
    if (!out->at) return err_nomem(e, n * sizeof *out->at);
    struct rng r = rng_init(seed, rng_stream("arrivals"));
    double t = 0;
    for (size_t i = 0; i < n; i++) {
        t -= log1p(-rng_uniform(&r)) / rate * 1e9;
        out->at[i] = (int64_t)llround(t);
    }
    return 0;
}

void arrivals_release(struct arrivals *s) {
    mem_free(s->at);
    *s = (struct arrivals){0};
}
