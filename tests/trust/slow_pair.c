/* A program with a slow pair stage, for tests/trust/trust.py: linked with -Wl,--wrap around each way to run that stage
 * (serve/scorer.c: fused, op by op, inner products), so that the stage itself takes longer, in whichever thread it runs.
 * SLOW_FUSED=0.08 adds 8 % of the time that the call took; SLOW_EXEC and SLOW_DOTS likewise. Nothing of it is in the program
 * that users build.
 */
#include "base/progress.h"
#include "nn/dots.h"
#include "nn/exec.h"
#include "nn/fused/fused.h"
#include <stdlib.h>

static double fused, exec, dots; /* shares */

static double share_of(const char *name) {
    const char *text = getenv(name);
    return text ? strtod(text, NULL) : 0;
}

__attribute__((constructor)) static void read_shares(void) {
    fused = share_of("SLOW_FUSED");
    exec = share_of("SLOW_EXEC");
    dots = share_of("SLOW_DOTS");
}

/* Works on until the stage, begun at `start`, has taken `share` longer. */
static void work_on(int64_t start, double share) {
    int64_t now = clock_ns();
    int64_t until = now + (int64_t)((double)(now - start) * share);
    while (now < until) now = clock_ns();
}

void __real_fused_observe(const struct fused *f, struct fused_work *w, const struct fused_rows *in,
                          float *score, struct fused_ranges *ranges);
void __wrap_fused_observe(const struct fused *f, struct fused_work *w, const struct fused_rows *in,
                          float *score, struct fused_ranges *ranges);
void __wrap_fused_observe(const struct fused *f, struct fused_work *w, const struct fused_rows *in,
                          float *score, struct fused_ranges *ranges) {
    int64_t start = clock_ns();
    __real_fused_observe(f, w, in, score, ranges);
    work_on(start, fused);
}

void __real_exec_score(struct exec *x, const struct exec_slice *s, int n, float *score);
void __wrap_exec_score(struct exec *x, const struct exec_slice *s, int n, float *score);
void __wrap_exec_score(struct exec *x, const struct exec_slice *s, int n, float *score) {
    int64_t start = clock_ns();
    __real_exec_score(x, s, n, score);
    work_on(start, exec);
}

void __real_dots_gather(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n,
                        enum isa isa, float *out);
void __wrap_dots_gather(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n,
                        enum isa isa, float *out);
void __wrap_dots_gather(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n,
                        enum isa isa, float *out) {
    int64_t start = clock_ns();
    __real_dots_gather(dim, x, table, ids, n, isa, out);
    work_on(start, dots);
}
