/* perf_load: the load generator against the theory of queues, on the real clock (make bench-load; less than 4 minutes).
 *
 *   build/perf_load [SECONDS] [SERVICE_US]        at each queue, default 24; of each request, default 1000
 *
 * The null model's times first: what the harness itself takes. Then servers of a fixed service time under Poisson arrivals, one
 * at several utilisations (M/D/1: Pollaczek 1930, Khinchine 1932) and two (M/D/2: Crommelin 1932), and their mean waits. Beside
 * the closed form stands what a clock without the machine makes of the same arrivals: what the sample itself is off.
 *
 * The real clock runs in segments of half a second; those in which something else took the processor are run again, and
 * counted, for a quarter longer than SECONDS at most. A queue is ok when its mean wait is within 3 % of that of the same
 * arrivals without the machine, and within 3 %, or two standard errors between segments, of the closed form. The usable rate is
 * ok when it was confirmed and is within 5 % of the closed form.
 * Exit code 0: all are ok; 1: one is not; 3: too few segments were left alone.
 */
#include "base/progress.h"
#include "base/str.h"
#include "bench/load/closed.h"
#include "bench/load/open.h"
#include "bench/load/overhead.h"
#include "bench/load/usable.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double within = 0.03, usable_within = 0.05, segment_seconds = 0.5, most_time = 1.25;
enum { SERVERS = 2 };

/* Servers of a fixed service time, on the real clock or without the machine. */
struct crew {
    struct virtual_time time[SERVERS];
    struct load_clock clock[SERVERS];
    struct fixed_server fixed[SERVERS];
    struct load_server server[SERVERS];
    struct load_servers servers;
};

static void crew_make(struct crew *w, int n, int64_t service_ns, bool real, struct pool *pool) {
    *w = (struct crew){
        .servers = {.n = n, .server = w->server, .clock = w->clock, .pool = real ? pool : NULL}};
    for (int i = 0; i < n; i++) {
        w->clock[i] = real ? clock_real() : clock_virtual(&w->time[i]);
        w->fixed[i] = (struct fixed_server){service_ns, w->clock[i]};
        w->server[i] = server_fixed(&w->fixed[i]);
    }
}

struct wait { /* of the segments that nothing disturbed */
    double sum_us, n, sum_of_means, sum_of_squares;
    int segments, disturbed;
};

static double mean_us(const struct wait *w) { return w->sum_us / w->n; }

/* Standard error of the mean, from the segments' means. */
static double error_us(const struct wait *w) {
    double n = w->segments - w->disturbed, mean = w->sum_of_means / n;
    return sqrt(fmax(w->sum_of_squares / n - mean * mean, 0) / (n - 1));
}

/* Another program took the processor, or the hypervisor did: a request that took half as long again as it should have, or
 * began as late. Arrivals have no part in that, so leaving such segments out does not change what waits are. */
static bool disturbed(const struct open_loop *o, int64_t service_ns) {
    for (size_t i = 0; i < o->n; i++)
        if (o->service[i] > service_ns * 3 / 2 || o->lag[i] > service_ns / 2) return true;
    return false;
}

/* One segment: a queue that begins empty, the first fifth of which does not count. */
static int run_segment(struct crew *c, int64_t service_ns, double rho, uint64_t seed, struct wait *w,
                       struct err *e) {
    double rate = rho * c->servers.n * 1e9 / (double)service_ns, sum = 0;
    size_t n = (size_t)(segment_seconds * rate), skip = n / 5;
    struct arrivals a;
    struct open_loop o = {.n = 0};
    int rc = arrivals_poisson(rate, n, seed, &a, e);
    if (!rc) rc = open_begin(&o, &c->servers, &a, 0, e);
    if (!rc) rc = open_until(&o, n, e);
    w->segments++;
    bool bad = !rc && disturbed(&o, service_ns);
    w->disturbed += bad;
    for (size_t i = skip; !rc && !bad && i < n; i++) sum += (double)(o.latency[i] - o.service[i]) / 1e3;
    if (!rc && !bad) {
        double mean = sum / (double)(n - skip);
        w->sum_us += sum;
        w->n += (double)(n - skip);
        w->sum_of_means += mean;
        w->sum_of_squares += mean * mean;
    }
    open_release(&o);
    arrivals_release(&a);
    return rc;
}

/* As many undisturbed segments as make `seconds`, or a quarter more time; and the same arrivals without the machine. */
static int run_queue(int servers, int64_t service_ns, double rho, double seconds, struct pool *pool,
                     struct wait *seen, struct wait *without, struct err *e) {
    static struct crew real, ideal;
    int want = (int)ceil(seconds / segment_seconds), most = (int)ceil(most_time * want);
    crew_make(&real, servers, service_ns, true, pool);
    crew_make(&ideal, servers, service_ns, false, NULL);
    *seen = *without = (struct wait){.n = 0};
    while (without->segments < want && seen->segments < most && !interrupt_seen()) {
        int before = seen->disturbed;
        uint64_t seed = (uint64_t)seen->segments + 1;
        TRY(run_segment(&real, service_ns, rho, seed, seen, e));
        if (seen->disturbed == before) TRY(run_segment(&ideal, service_ns, rho, seed, without, e));
    }
    return 0;
}

static int null_model(struct err *e) {
    struct overhead h;
    TRY(overhead_measure(&h, e));
    printf("null model, closed loop: p50 %.0f ns, p99 %.0f ns (%zu requests)\n", h.closed_p50, h.closed_p99,
           h.closed_n);
    printf(
        "null model, open loop at %.0f/s: p50 %.0f ns, p99 %.0f ns after the planned time (%zu requests)\n\n",
        h.offered_qps, h.open_p50, h.open_p99, h.open_n);
    return 0;
}

static int queue(int servers, double rho, double form_us, int64_t service_ns, double seconds,
                 struct pool *pool, int *code, struct err *e) {
    struct wait seen, without;
    TRY(run_queue(servers, service_ns, rho, seconds, pool, &seen, &without, e));
    int good = seen.segments - seen.disturbed;
    bool enough = good > 1 && 2 * good * segment_seconds >= seconds;
    printf("%7d %5.2f %12.2f", servers, rho, form_us);
    if (!enough) {
        printf(" %14s %20s %8s %8s %4d of %3d  too much else was running\n", "-", "-", "-", "-", good,
               seen.segments);
        if (!*code) *code = 3;
        return fflush(stdout) ? err_errno(e, "standard output", "write") : 0;
    }
    double mean = mean_us(&seen), error = error_us(&seen), same = mean_us(&without);
    bool ok = fabs(mean / same - 1) <= within && fabs(mean - form_us) <= fmax(within * form_us, 2 * error);
    if (!ok) *code = 1;
    printf(" %14.2f %11.2f +- %5.2f %8.4f %8.4f %4d of %3d  %s\n", same, mean, error, mean / form_us,
           mean / same, good, seen.segments, ok ? "ok" : "off");
    return fflush(stdout) ? err_errno(e, "standard output", "write") : 0;
}

/* Mean waits in service times: rho / (2 (1 - rho)), and M/D/2's from tests/fixtures/queue/waits_several.csv. */
static int queues(double seconds, int64_t service_ns, int *code, struct err *e) {
    static const double rho[] = {0.3, 0.5, 0.7, 0.9};
    static const double two_rho = 0.7, two_wait = 0.493610463;
    const double us = (double)service_ns / 1e3;
    struct pool *pool;
    printf("mean wait in us +- standard error, service %.0f us, segments of %.1f s, %.0f s in all\n", us,
           segment_seconds, seconds);
    printf("%7s %5s %12s %14s %20s %8s %8s %11s  %s\n", "servers", "rho", "closed form", "same arrivals",
           "measured", "/ form", "/ same", "segments", "verdict");
    for (size_t i = 0; i < sizeof rho / sizeof *rho; i++)
        TRY(queue(1, rho[i], rho[i] * us / (2 * (1 - rho[i])), service_ns, seconds, NULL, code, e));
    if (pool_cpus() < SERVERS) {
        printf("%7d %5.2f  not measured: there is one processor\n", SERVERS, two_rho);
        return 0;
    }
    TRY(pool_create(SERVERS, &pool, e));
    int rc = queue(SERVERS, two_rho, two_wait * us, service_ns, seconds, pool, code, e);
    pool_free(pool);
    return rc;
}

/* The largest rate at which 1 % wait longer than 4 service times, beside Erlang's: tests/fixtures/queue/usable.csv. */
static int usable_rate(int64_t service_ns, int *code, struct err *e) {
    static const double closed_form = 0.560783297;
    static struct crew one;
    const struct usable_options o = {.limit_ns = 5 * service_ns, .seconds = 4, .tolerance = 0.03, .seed = 1};
    struct usable u;
    uint64_t number = 0;
    crew_make(&one, 1, service_ns, true, NULL);
    TRY(usable_find(&one.servers, &o, (double)service_ns, &number, &u, e));
    double rho = u.qps * (double)service_ns / 1e9;
    bool ok = u.confirmed && fabs(rho / closed_form - 1) <= usable_within;
    if (!ok && !*code) *code = u.confirmed ? 1 : 3;
    printf("\nusable rate at a limit of 5 service times: rho %.4f, closed form %.4f, ratio %.4f (%d probes)  "
           "%s\n",
           rho, closed_form, rho / closed_form, u.probes,
           ok            ? "ok"
           : u.confirmed ? "off"
                         : "not confirmed: too much else was running");
    usable_release(&u);
    return 0;
}

int main(int argc, char **argv) {
    struct err e = ERR_INIT;
    double seconds = 24, service_us = 1000; /* long beside what interrupts a virtual machine */
    int code = 0;
    if ((argc > 1 && (str_to_double(argv[1], &seconds) || !(seconds > 0))) ||
        (argc > 2 && (str_to_double(argv[2], &service_us) || !(service_us > 0)))) {
        fputs("usage: perf_load [SECONDS] [SERVICE_US]\n", stderr);
        return 2;
    }
    int64_t service_ns = llround(service_us * 1e3);
    int rc = null_model(&e);
    if (!rc) rc = queues(seconds, service_ns, &code, &e);
    if (!rc) rc = usable_rate(service_ns, &code, &e);
    if (rc) fprintf(stderr, "perf_load: %s\n", e.msg);
    return rc ? 2 : code;
}
