/* perf_load: the load generator against the theory of queues, on the real clock (make bench-load).
 *
 *   build/perf_load [SECONDS] [SERVICE_US]        at each utilisation, default 60; of each request, default 100
 *
 * The null model's times first: what the harness itself takes. Then a server of a fixed service time s under Poisson arrivals
 * at some utilisations rho (M/D/1), whose mean wait is rho s / (2 (1 - rho)) (Pollaczek 1930, Khinchine 1932). Beside that
 * closed form stands what a clock without the machine makes of the same arrivals: the sample's own error (a standard
 * deviation of some 1 % at the default length).
 *
 * The real clock runs in segments of half a second; those in which something else took the processor are run again, and
 * counted. Exit code 0: every mean wait is within 3 % of the closed form; 1: one is not; 3: too few segments were left alone.
 */
#include "base/str.h"
#include "bench/load/closed.h"
#include "bench/load/open.h"
#include "bench/load/overhead.h"
#include "bench/load/usable.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double within = 0.03;

struct wait { /* of the segments that nothing disturbed */
    double sum_us, n;
    int segments, disturbed;
};

static const double segment_seconds = 0.5;

/* Another program took the processor, or the hypervisor did: a request that took half as long again as it should have, or
 * began as late. Arrivals have no part in that, so leaving such segments out does not change what waits are. */
static bool disturbed(const struct open_loop *o, int64_t service_ns) {
    for (size_t i = 0; i < o->n; i++)
        if (o->service[i] > service_ns * 3 / 2 || o->lag[i] > service_ns / 2) return true;
    return false;
}

/* One segment: a queue that begins empty, the first fifth of which does not count. */
static int run_segment(const struct load_clock *c, int64_t service_ns, double rho, uint64_t seed,
                       struct wait *w, struct err *e) {
    struct fixed_server fixed = {service_ns, *c};
    const struct load_server s = server_fixed(&fixed);
    const struct load_servers servers = servers_one(&s, c);
    size_t n = (size_t)(segment_seconds * rho * 1e9 / (double)service_ns);
    struct arrivals a;
    struct open_loop o = {.n = 0};
    int rc = arrivals_poisson(rho * 1e9 / (double)service_ns, n, seed, &a, e);
    if (!rc) rc = open_begin(&o, &servers, &a, 0, e);
    if (!rc) rc = open_until(&o, n, e);
    w->segments++;
    bool bad = !rc && disturbed(&o, service_ns);
    w->disturbed += bad;
    for (size_t i = n / 5; !rc && !bad && i < n; i++) {
        w->sum_us += (double)(o.latency[i] - o.service[i]) / 1e3;
        w->n++;
    }
    open_release(&o);
    arrivals_release(&a);
    return rc;
}

/* As many undisturbed segments as make `seconds`, or three times as many segments; and the same arrivals without the
 * machine. */
static int run_queue(int64_t service_ns, double rho, double seconds, struct wait *seen, struct wait *without,
                     struct err *e) {
    struct virtual_time t = {0};
    const struct load_clock real = clock_real(), ideal = clock_virtual(&t);
    int want = (int)ceil(seconds / segment_seconds);
    *seen = *without = (struct wait){.n = 0};
    while (without->segments < want && seen->segments < 3 * want) {
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

static int queues(double seconds, int64_t service_ns, int *code, struct err *e) {
    static const double rho[] = {0.3, 0.5, 0.7};
    printf("mean wait in us, service %.0f us, segments of %.1f s, %.0f s in all\n", (double)service_ns / 1e3,
           segment_seconds, seconds);
    printf("%5s %12s %14s %12s %8s %10s  %s\n", "rho", "closed form", "same arrivals", "measured", "ratio",
           "segments", "verdict");
    for (size_t i = 0; i < sizeof rho / sizeof *rho; i++) {
        double form = rho[i] * (double)service_ns / 1e3 / (2 * (1 - rho[i]));
        struct wait seen, without;
        TRY(run_queue(service_ns, rho[i], seconds, &seen, &without, e));
        int good = seen.segments - seen.disturbed;
        bool enough = 2 * good * segment_seconds >= seconds,
             near = fabs(seen.sum_us / seen.n / form - 1) <= within;
        if (!enough && !*code) *code = 3;
        if (enough && !near) *code = 1;
        printf("%5.2f %12.2f", rho[i], form);
        if (good)
            printf(" %14.2f %12.2f %8.4f", without.sum_us / without.n, seen.sum_us / seen.n,
                   seen.sum_us / seen.n / form);
        else
            printf(" %14s %12s %8s", "-", "-", "-");
        printf(" %4d of %3d  %s\n", good, seen.segments,
               !enough ? "too much else was running"
               : near  ? "ok"
                       : "off");
        fflush(stdout);
    }
    return 0;
}

/* The largest rate at which 1 % wait longer than 4 service times, beside Erlang's: tests/fixtures/queue/usable.csv. */
static int usable_rate(int64_t service_ns, struct err *e) {
    static const double closed_form = 0.560783297;
    const struct load_clock c = clock_real();
    struct fixed_server fixed = {service_ns, c};
    const struct load_server s = server_fixed(&fixed);
    const struct usable_options o = {.limit_ns = 5 * service_ns, .seconds = 4, .tolerance = 0.02, .seed = 1};
    struct usable u;
    uint64_t number = 0;
    const struct load_servers servers = servers_one(&s, &c);
    TRY(usable_find(&servers, &o, (double)service_ns, &number, &u, e));
    printf("\nusable rate at a limit of 5 service times: rho %.4f, closed form %.4f (%d probes, %s)\n",
           u.qps * (double)service_ns / 1e9, closed_form, u.probes, verdict_name(u.verdict));
    usable_release(&u);
    return 0;
}

int main(int argc, char **argv) {
    struct err e = ERR_INIT;
    double seconds = 60, service_us = 100;
    int code = 0;
    if ((argc > 1 && (str_to_double(argv[1], &seconds) || !(seconds > 0))) ||
        (argc > 2 && (str_to_double(argv[2], &service_us) || !(service_us > 0)))) {
        fputs("usage: perf_load [SECONDS] [SERVICE_US]\n", stderr);
        return 2;
    }
    int64_t service_ns = llround(service_us * 1e3);
    int rc = null_model(&e);
    if (!rc) rc = queues(seconds, service_ns, &code, &e);
    if (!rc) rc = usable_rate(service_ns, &e);
    if (rc) fprintf(stderr, "perf_load: %s\n", e.msg);
    return rc ? 2 : code;
}
