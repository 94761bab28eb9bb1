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

struct window {
    const struct load_servers *s;
    uint64_t first;
    int64_t *took;
};

static int one(void *ctx, int server, size_t k, struct err *e) {
    const struct window *w = ctx;
    return closed_one(&w->s->server[server], &w->s->clock[server], w->first + k, &w->took[k], e);
}

int closed_run(const struct load_servers *s, uint64_t *number, size_t n, int64_t *took_ns, struct err *e) {
    struct window w = {s, *number, took_ns};
    size_t next;
    *number += n;
    return servers_run(s, 0, n, &(struct servers_work){one, NULL, &w}, &next, e);
}

int closed_warm_up(const struct load_servers *s, size_t window, int most, uint64_t *number, struct warm *out,
                   struct err *e) {
    *out = (struct warm){.steady = false};
    const size_t n = window * (size_t)s->n;
    int64_t *took = mem_alloc(n * sizeof *took);
    int rc = took ? 0 : err_nomem(e, n * sizeof *took);
    double before = (double)NAN, median = (double)NAN;
    for (int i = 0; !rc && i < (most < 2 ? 2 : most) && !out->steady; i++) {
        rc = closed_run(s, number, n, took, e);
        if (rc) break;
        out->service_ns = 0;
        for (size_t k = 0; k < n; k++) out->service_ns += (double)took[k] / (double)n;
        stat_sort_ns(took, n);
        median = (double)stat_percentile_ns(took, n, 0.5);
        out->requests += n;
        /* below a microsecond the clock's own resolution is more than 5 % */
        out->steady = fabs(median - before) <= fmax(0.05 * before, 50);
        before = median;
    }
    mem_free(took);
    return rc;
}
