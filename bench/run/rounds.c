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

static bool done(const struct round_options *o, size_t n, int64_t busy_ns) {
    size_t want = (size_t)o->requests;
    double busy = (double)busy_ns * 1e-9;
    return busy > o->seconds || n >= 100 * want || (n >= want && busy >= o->min_seconds);
}

struct turn {
    const struct rounds *r;
    struct round_point *p;
    int point;
    bool counts;
    uint64_t first; /* number of the first request */
    int64_t start;
};

static int one(void *ctx, int server, size_t k, struct err *e) {
    const struct turn *t = ctx;
    int64_t took;
    TRY(t->r->ask(t->r->ctx, t->point, server, t->first + k, t->counts, &took, e));
    if (t->counts) t->p->got.v[t->p->got.n + k] = took;
    return 0;
}

static bool enough(void *ctx, int server, size_t k) {
    const struct turn *t = ctx;
    (void)server;
    return t->counts && done(&t->r->o, t->p->got.n + k, t->p->busy_ns + clock_ns() - t->start);
}

/* n requests a client. */
static int take_part(struct turn *t, const struct load_servers *s, int64_t n, struct err *e) {
    const struct servers_work w = {one, enough, t};
    size_t sent;
    t->start = clock_ns();
    TRY(servers_run(s, 0, (size_t)n * (size_t)s->n, &w, &sent, e));
    t->first += sent;
    if (!t->counts) return 0;
    t->p->got.n += sent;
    t->p->busy_ns += clock_ns() - t->start;
    return 0;
}

static int take_turn(const struct rounds *r, int point, struct err *e) {
    struct round_point *p = r->point[point];
    const struct load_servers s = {.n = p->servers ? p->servers : 1, .pool = p->pool};
    struct turn t = {.r = r, .p = p, .point = point, .first = p->number};
    TRY(samples_room(&p->got, (size_t)r->o.turn * (size_t)s.n, e));
    TRY(take_part(&t, &s, r->o.warmup, e));
    t.counts = true;
    TRY(take_part(&t, &s, r->o.turn, e));
    p->number = t.first;
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
            if (done(&r->o, p->got.n, p->busy_ns)) continue;
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
