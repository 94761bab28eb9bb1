#include "bench/run/rounds.h"
#include "base/progress.h"
#include <math.h>

struct round_options rounds_of(const struct measure_options *m) {
    return (struct round_options){.requests = m->requests,
                                  .turn = m->turn,
                                  .warmup = m->warmup,
                                  .min_seconds = m->min_seconds,
                                  .seconds = m->seconds};
}

static bool done(const struct round_options *o, const struct round_point *p, int64_t busy_ns) {
    size_t want = (size_t)o->requests;
    double busy = (double)busy_ns * 1e-9;
    return busy > o->seconds || p->got.n >= 100 * want || (p->got.n >= want && busy >= o->min_seconds);
}

static int take_turn(const struct rounds *r, int point, struct err *e) {
    struct round_point *p = r->point[point];
    int64_t took;
    TRY(samples_room(&p->got, (size_t)r->o.turn, e));
    for (int64_t i = 0; i < r->o.warmup; i++) TRY(r->ask(r->ctx, point, false, &took, e));
    int64_t start = clock_ns(), now = start;
    for (int64_t i = 0; i < r->o.turn && !done(&r->o, p, p->busy_ns + now - start); i++) {
        TRY(r->ask(r->ctx, point, true, &took, e));
        p->got.v[p->got.n++] = took;
        now = clock_ns();
    }
    p->busy_ns += now - start;
    return 0;
}

int rounds_run(struct rounds *r, struct err *e) {
    struct progress bar;
    uint64_t total = (uint64_t)r->n * (uint64_t)r->o.requests, counted = 0;
    int rc = 0;
    if (!total) return 0;
    progress_start(&bar, r->title, total);
    for (int round = 0, left = r->n; left && !rc; round++) {
        left = 0;
        for (int i = 0; i < r->n && !rc; i++) {
            int point = round % 2 ? r->n - 1 - i : i;
            struct round_point *p = r->point[point];
            if (done(&r->o, p, p->busy_ns)) continue;
            size_t before = p->got.n < (size_t)r->o.requests ? p->got.n : (size_t)r->o.requests;
            rc = take_turn(r, point, e);
            counted += (p->got.n < (size_t)r->o.requests ? p->got.n : (size_t)r->o.requests) - before;
            left++;
            if (!rc && interrupt_seen()) rc = err_set(e, ERR_INTERRUPTED, "interrupted");
            progress_at(&bar, counted, p->name);
        }
    }
    progress_end(&bar, rc ? "stopped" : NULL);
    return rc;
}

double rounds_qps(const struct round_point *p) {
    return p->got.n && p->busy_ns > 0 ? 1e9 * (double)p->got.n / (double)p->busy_ns : (double)NAN;
}
