#include "bench/load/overhead.h"
#include "bench/load/closed.h"
#include "bench/load/open.h"
#include "metrics/stats.h"

enum { CLOSED = 20000, OPEN = 1000 };
static const double rate = 2000;
static const uint64_t seed = 1;

static int closed(const struct load_server *s, const struct load_clock *c, struct overhead *out,
                  struct err *e) {
    struct samples took = {0};
    int rc = samples_room(&took, CLOSED, e);
    for (uint64_t i = 0; !rc && i < CLOSED; i++) rc = closed_one(s, c, i, &took.v[took.n++], e);
    if (!rc) {
        stat_sort_ns(took.v, took.n);
        out->closed_n = took.n;
        out->closed_p50 = (double)stat_percentile_ns(took.v, took.n, 0.5);
        out->closed_p99 = (double)stat_percentile_ns(took.v, took.n, 0.99);
    }
    samples_release(&took);
    return rc;
}

static int open_load(const struct load_servers *s, struct overhead *out, struct err *e) {
    struct arrivals schedule;
    struct open_loop run = {.n = 0};
    int rc = arrivals_poisson(rate, OPEN, seed, &schedule, e);
    if (!rc) rc = open_begin(&run, s, &schedule, 0, e);
    if (!rc) rc = open_until(&run, schedule.n, e);
    if (!rc) {
        stat_sort_ns(run.latency, run.n);
        out->open_n = run.n;
        out->offered_qps = rate;
        out->open_p50 = (double)stat_percentile_ns(run.latency, run.n, 0.5);
        out->open_p99 = (double)stat_percentile_ns(run.latency, run.n, 0.99);
    }
    open_release(&run);
    arrivals_release(&schedule);
    return rc;
}

int overhead_measure(struct overhead *out, struct err *e) {
    const struct load_server s = server_null();
    const struct load_clock c = clock_real();
    *out = (struct overhead){.closed_n = 0};
    TRY(closed(&s, &c, out, e));
    const struct load_servers one = servers_one(&s, &c);
    return open_load(&one, out, e);
}

json_t *overhead_json(const struct overhead *h) {
    return json_pack("{s:s, s:I, s:f, s:f, s:I, s:f, s:f, s:f}", "server", "null", "closed_requests",
                     (json_int_t)h->closed_n, "closed_p50_ns", h->closed_p50, "closed_p99_ns", h->closed_p99,
                     "open_requests", (json_int_t)h->open_n, "open_offered_qps", h->offered_qps,
                     "open_p50_ns", h->open_p50, "open_p99_ns", h->open_p99);
}
