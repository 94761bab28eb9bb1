/* The loads that are offered at planned times: given rates, and the usable rate at the latency limit. */
#include "base/progress.h"
#include "bench/load/open.h"
#include "bench/load/usable.h"
#include "bench/run/measure_rows.h"
#include "metrics/stats.h"
#include <math.h>
#include <string.h>

enum { WARM_WINDOW = 50, WARM_MOST = 20, RUN_MOST = 1000000 };
static const uint64_t schedule_seed = 1; /* all points answer the same arrivals */

struct loads {
    const struct measure_options *o;
    struct measured_list *out;
    struct progress bar;
    struct err *e;
};

static int take(struct measured *r, const struct open_loop *run, size_t skip, const struct open_summary *s,
                struct err *e) {
    TRY(samples_room(&r->took, s->n, e));
    const int64_t *latency = run->latency + skip;
    int64_t *sorted = r->took.v; /* measure_write() needs no other order */
    memcpy(sorted, latency, s->n * sizeof *sorted);
    stat_sort_ns(sorted, s->n);
    r->took.n = s->n;
    r->waits = true;
    samples_interval_us(latency, sorted, s->n, 0.5, r->interval[0]);
    samples_interval_us(latency, sorted, s->n, 0.99, r->interval[1]);
    r->service_us = s->service_us;
    r->wait_us = s->wait_us;
    r->lag_p99_us = s->lag_p99_us;
    r->utilisation = s->utilisation;
    return 0;
}

/* One given rate for `open_seconds`, after a tenth of that which does not count. */
static int offer(struct loads *l, struct point *p, double rate, bool steady) {
    double want = rate * l->o->open_seconds;
    size_t n = want < 2 ? 2 : want > RUN_MOST ? RUN_MOST : (size_t)want, skip = n / 10;
    struct arrivals schedule;
    struct open_loop run = {.n = 0};
    struct open_summary s;
    int rc = arrivals_poisson(rate, n + skip, schedule_seed, &schedule, l->e);
    if (!rc) rc = open_begin(&run, &p->servers, &schedule, p->round.number, l->e);
    /* an overloaded server would take longer than was planned, without end */
    run.end = run.start + (int64_t)(2e9 * l->o->open_seconds);
    if (!rc) rc = open_until(&run, schedule.n, l->e);
    p->round.number += run.n;
    if (!rc) rc = open_summarise(&run, skip < run.n ? skip : 0, &s, l->e);
    struct measured *r = rc ? NULL : measured_add(l->out, p, "open", l->e);
    if (r) {
        rc = take(r, &run, skip < run.n ? skip : 0, &s, l->e);
        r->offered_qps = rate;
        r->qps = s.qps;
        r->limit_us = l->o->limit_ms * 1e3;
        r->verdict = s.verdict == VERDICT_OK && !steady ? VERDICT_UNSTABLE : s.verdict;
    } else if (!rc) {
        rc = ERR_INPUT;
    }
    open_release(&run);
    arrivals_release(&schedule);
    return rc;
}

static int usable(struct loads *l, struct point *p, double service_ns) {
    const struct usable_options uo = {.limit_ns = llround(l->o->limit_ms * 1e6),
                                      .seconds = l->o->probe_seconds,
                                      .tolerance = l->o->probe_tolerance,
                                      .seed = schedule_seed};
    struct usable u;
    TRY(usable_find(&p->servers, &uo, service_ns, &p->round.number, &u, l->e));
    struct measured *r = measured_add(l->out, p, "usable", l->e);
    int rc = r ? take(r, &u.run, u.skip, &u.summary, l->e) : ERR_INPUT;
    if (r) {
        r->qps = u.qps;
        r->offered_qps = u.schedule.rate;
        r->limit_us = l->o->limit_ms * 1e3;
        r->verdict = u.verdict;
    }
    usable_release(&u);
    return rc;
}

static bool asked(const struct measure_options *o, int load) {
    for (int i = 0; i < o->load.n; i++)
        if (o->load.v[i] == load) return true;
    return false;
}

static uint64_t missing_so_far(const struct point *p) {
    uint64_t n = 0;
    for (int i = 0; i < p->servers.n; i++) n += p->scorer[i].missing;
    return n;
}

/* What the item store did not have makes every row of the point one of less work than was asked for. */
static void mark_missing(struct measured_list *l, int from, const struct point *p, uint64_t before) {
    uint64_t missing = missing_so_far(p) - before;
    for (int i = from; missing && i < l->n; i++) {
        l->v[i].missing = missing;
        l->v[i].verdict = VERDICT_MISSING;
    }
}

static int at_point(struct loads *l, struct point *p) {
    const struct measure_options *o = l->o;
    struct warm warm;
    int from = l->out->n;
    uint64_t before = missing_so_far(p);
    TRY(closed_warm_up(&p->servers, WARM_WINDOW, WARM_MOST, &p->round.number, &warm, l->e));
    const struct opt_doubles *given = o->offered_qps.n ? &o->offered_qps : &o->utilisation;
    for (int i = 0; asked(o, LOAD_OPEN) && i < given->n && !interrupt_seen(); i++) {
        double rate = o->offered_qps.n ? given->v[i] : given->v[i] * 1e9 * p->servers.n / warm.service_ns;
        TRY(offer(l, p, rate, warm.steady));
    }
    if (asked(o, LOAD_USABLE)) TRY(usable(l, p, warm.service_ns));
    mark_missing(l->out, from, p, before);
    return interrupt_seen() ? err_set(l->e, ERR_INTERRUPTED, "interrupted") : 0;
}

int measure_open_loads(struct point *p, int n, const struct measure_options *o, struct measured_list *out,
                       struct err *e) {
    if (!asked(o, LOAD_OPEN) && !asked(o, LOAD_USABLE)) return 0;
    struct loads l = {.o = o, .out = out, .e = e};
    int rc = 0;
    progress_start(&l.bar, "offering load", (uint64_t)n);
    for (int i = 0; i < n && !rc; i++) {
        rc = at_point(&l, &p[i]);
        progress_at(&l.bar, (uint64_t)i + 1, p[i].variant);
    }
    progress_end(&l.bar, rc ? "stopped" : NULL);
    return rc;
}
