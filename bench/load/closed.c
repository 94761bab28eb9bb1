#include "bench/load/closed.h"
#include "base/mem.h"
#include "metrics/stats.h"
#include <math.h>

int closed_one(const struct load_server *s, const struct load_clock *c, uint64_t number, int64_t *took_ns,
               struct err *e) {
    int64_t start = c->now(c->self);
    int rc = s->answer(s->self, number, e);
    *took_ns = c->now(c->self) - start;
    return rc;
}

/* Mean and median (ns) of one window. */
static int one_window(const struct load_server *s, const struct load_clock *c, int64_t *took, size_t n,
                      uint64_t *number, double *mean, double *median, struct err *e) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        TRY(closed_one(s, c, (*number)++, &took[i], e));
        sum += (double)took[i];
    }
    stat_sort_ns(took, n);
    *mean = sum / (double)n;
    *median = (double)stat_percentile_ns(took, n, 0.5);
    return 0;
}

int closed_warm_up(const struct load_server *s, const struct load_clock *c, size_t window, int most,
                   uint64_t *number, struct warm *out, struct err *e) {
    *out = (struct warm){.steady = false};
    int64_t *took = mem_alloc(window * sizeof *took);
    int rc = took ? 0 : err_nomem(e, window * sizeof *took);
    double before = (double)NAN, median = (double)NAN;
    for (int i = 0; !rc && i < (most < 2 ? 2 : most) && !out->steady; i++) {
        rc = one_window(s, c, took, window, number, &out->service_ns, &median, e);
        out->requests += window;
        /* below a microsecond the clock's own resolution is more than 5 % */
        out->steady = fabs(median - before) <= fmax(0.05 * before, 50);
        before = median;
    }
    mem_free(took);
    return rc;
}
