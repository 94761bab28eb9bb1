#include "bench/load/open.h"
#include "base/mem.h"
#include "base/progress.h"
#include "metrics/stats.h"
#include <math.h>
#include <string.h>

enum { LEAD_NS = 2000000, HALF_BLOCKS = 10 }; /* the schedule begins a little later than now */

int open_begin(struct open_loop *o, const struct load_servers *s, const struct arrivals *schedule,
               uint64_t first, struct err *e) {
    *o = (struct open_loop){.servers = *s, .schedule = schedule, .first = first};
    size_t bytes = (schedule->n + 1) * sizeof(int64_t);
    o->latency = mem_calloc(1, bytes); /* touched now, not while the clock runs */
    o->service = mem_calloc(1, bytes);
    o->lag = mem_calloc(1, bytes);
    o->free_at = mem_calloc((size_t)s->n, sizeof *o->free_at);
    if (!o->latency || !o->service || !o->lag || !o->free_at) {
        open_release(o);
        return err_nomem(e, bytes);
    }
    memset(o->latency, 0xff, bytes);
    memset(o->service, 0xff, bytes);
    memset(o->lag, 0xff, bytes);
    for (int i = 0; i < s->n; i++) {
        int64_t now = s->clock[i].now(s->clock[i].self) + LEAD_NS;
        if (!i || now > o->start) o->start = now;
    }
    for (int i = 0; i < s->n; i++) o->free_at[i] = o->start;
    return 0;
}

static int answer_one(void *ctx, int server, size_t k, struct err *e) {
    struct open_loop *o = ctx;
    const struct load_clock c = o->servers.clock[server];
    const struct load_server s = o->servers.server[server];
    int64_t planned = o->start + o->schedule->at[k], free_at = o->free_at[server];
    if (planned > free_at) c.wait_until(c.self, planned);
    int64_t sent = c.now(c.self), ready = planned > free_at ? planned : free_at;
    TRY(s.answer(s.self, o->first + k, e));
    int64_t done = c.now(c.self);
    o->latency[k] = done - planned;
    o->service[k] = done - sent;
    o->lag[k] = sent - ready;
    o->free_at[server] = done;
    return 0;
}

static bool is_over(void *ctx, int server, size_t k) {
    const struct open_loop *o = ctx;
    (void)k;
    return interrupt_seen() || (o->end && o->free_at[server] >= o->end);
}

int open_until(struct open_loop *o, size_t n, struct err *e) {
    const struct servers_work w = {answer_one, is_over, o};
    return servers_run(&o->servers, o->n, n < o->schedule->n ? n : o->schedule->n, &w, &o->n, e);
}

void open_release(struct open_loop *o) {
    mem_free(o->latency);
    mem_free(o->service);
    mem_free(o->lag);
    mem_free(o->free_at);
    *o = (struct open_loop){0};
}

/* ---- what it says ---- */

/* The means of `HALF_BLOCKS` blocks of a half. */
static void block_means(const int64_t *v, size_t n, double mean[HALF_BLOCKS]) {
    for (size_t b = 0; b < HALF_BLOCKS; b++) {
        size_t from = b * n / HALF_BLOCKS, to = (b + 1) * n / HALF_BLOCKS;
        mean[b] = 0;
        for (size_t i = from; i < to; i++) mean[b] += (double)v[i] / (double)(to - from);
    }
}

/* Welch 1947: blocks of one half against those of the other. */
static bool halves_differ(const int64_t *latency, size_t n) {
    double a[HALF_BLOCKS], b[HALF_BLOCKS];
    if (n < 4 * HALF_BLOCKS) return false;
    block_means(latency, n / 2, a);
    block_means(latency + n / 2, n - n / 2, b);
    double x = stat_mean(a, HALF_BLOCKS), y = stat_mean(b, HALF_BLOCKS);
    double s = pow(stat_sd(a, HALF_BLOCKS), 2) / HALF_BLOCKS,
           t = pow(stat_sd(b, HALF_BLOCKS), 2) / HALF_BLOCKS;
    if (fabs(x - y) <= 0.1 * fmin(x, y)) return false;
    double degrees = (s + t) * (s + t) / ((s * s + t * t) / (HALF_BLOCKS - 1));
    if (!(s + t > 0)) return true;
    return fabs(x - y) / sqrt(s + t) > stat_t_quantile(0.995, degrees);
}

/* p50 and p99 (us) of v[n], whose copy is sorted in `scratch`. */
static void two_percentiles(const int64_t *v, size_t n, int64_t *scratch, double out[2]) {
    memcpy(scratch, v, n * sizeof *v);
    stat_sort_ns(scratch, n);
    out[0] = samples_percentile_us(scratch, n, 0.5, NULL);
    out[1] = samples_percentile_us(scratch, n, 0.99, NULL);
}

int open_summarise(const struct open_loop *o, size_t skip, struct open_summary *out, struct err *e) {
    *out = (struct open_summary){.verdict = VERDICT_INSUFFICIENT};
    if (skip >= o->n || o->n - skip < 2) return 0;
    const size_t n = out->n = o->n - skip;
    const int64_t *latency = o->latency + skip, *service = o->service + skip, *lag = o->lag + skip;
    const int64_t *at = o->schedule->at + skip;
    int64_t *scratch = mem_alloc(n * sizeof *scratch);
    if (!scratch) return err_nomem(e, n * sizeof *scratch);
    double late[2], lagged[2], wait = 0, work = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        work += (double)service[i] / (double)n;
        all += (double)latency[i] / (double)n;
        wait += (double)(latency[i] - lag[i] - service[i]) / (double)n;
    }
    two_percentiles(latency, n, scratch, late);
    two_percentiles(lag, n, scratch, lagged);
    mem_free(scratch);
    out->offered_qps = 1e9 * (double)(n - 1) / (double)(at[n - 1] - at[0]);
    out->qps = 1e9 * (double)n / (double)(at[n - 1] + latency[n - 1] - at[0]);
    out->service_us = work / 1e3;
    out->wait_us = wait / 1e3;
    out->latency_us = all / 1e3;
    out->lag_p50_us = lagged[0];
    out->lag_p99_us = lagged[1];
    out->utilisation = o->schedule->rate * work * 1e-9 / o->servers.n;
    TRY(samples_verdict(service, n, &out->verdict, e));
    if (out->verdict < VERDICT_UNSTABLE && halves_differ(latency, n)) out->verdict = VERDICT_UNSTABLE;
    if (lagged[0] > 0.05 * late[0] || lagged[1] > 0.1 * late[1]) out->verdict = VERDICT_INVALID;
    if (out->utilisation >= 1) out->verdict = VERDICT_OVERLOADED;
    return 0;
}
