/* perf_load: the load generator against the theory of queues, on the real clock (make bench-load).
 *
 *   build/perf_load [SECONDS] [SERVICE_US]        of each run, default 20; of each request, default 100
 *
 * The null model's times first: what the harness itself takes. Then a server of a fixed service time s under Poisson arrivals
 * at some utilisations rho (M/D/1), whose mean wait is rho s / (2 (1 - rho)) (Pollaczek 1930, Khinchine 1932). Beside that
 * closed form stand the same arrivals on a clock without the machine (what the sample of arrivals does), and the formula for
 * the service times that were really seen (what the machine did: lambda E[S^2] / (2 (1 - lambda E[S]))).
 *
 * Exit code 0: every mean wait is within 3 % of the closed form; 1: one is not; 3: one is not, but the machine was disturbed:
 * the service times that were seen explain it.
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

struct wait {
    double us, utilisation, explained_us, lag_p99_us;
    enum verdict verdict;
};

/* lambda E[S^2] / (2 (1 - lambda E[S])), in us. */
static double explained(const struct open_loop *o, size_t skip) {
    double first = 0, second = 0, n = (double)(o->n - skip), rate = o->schedule->rate;
    for (size_t i = skip; i < o->n; i++) {
        double s = (double)(o->service[i] + o->lag[i]) * 1e-9;
        first += s / n;
        second += s * s / n;
    }
    return 1e6 * rate * second / (2 * (1 - rate * first));
}

static int run_queue(const struct load_clock *c, int64_t service_ns, double rho, size_t n, struct wait *out,
                     struct err *e) {
    struct fixed_server fixed = {service_ns, *c};
    const struct load_server s = server_fixed(&fixed);
    struct arrivals a;
    struct open_loop o = {.n = 0};
    struct open_summary sum;
    size_t skip = n / 20;
    int rc = arrivals_poisson(rho * 1e9 / (double)service_ns, n, 1, &a, e);
    if (!rc) rc = open_begin(&o, &s, c, &a, 0, e);
    if (!rc) rc = open_until(&o, n, e);
    if (!rc) rc = open_summarise(&o, skip, &sum, e);
    if (!rc)
        *out = (struct wait){sum.latency_us - sum.service_us, sum.utilisation, explained(&o, skip),
                             sum.lag_p99_us, sum.verdict};
    open_release(&o);
    arrivals_release(&a);
    return rc;
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
    static const double rho[] = {0.3, 0.5, 0.7, 0.8};
    struct virtual_time t = {0};
    const struct load_clock real = clock_real(), ideal = clock_virtual(&t);
    printf("mean wait in us, service %.0f us, %.0f s each\n", (double)service_ns / 1e3, seconds);
    printf("%5s %12s %14s %12s %8s %12s %12s  %s\n", "rho", "closed form", "same arrivals", "measured",
           "ratio", "explained", "lag p99 us", "verdict");
    for (size_t i = 0; i < sizeof rho / sizeof *rho; i++) {
        size_t n = (size_t)(seconds * rho[i] * 1e9 / (double)service_ns);
        double form = rho[i] * (double)service_ns / 1e3 / (2 * (1 - rho[i]));
        struct wait seen, without;
        TRY(run_queue(&real, service_ns, rho[i], n, &seen, e));
        TRY(run_queue(&ideal, service_ns, rho[i], n, &without, e));
        bool good = fabs(seen.us / form - 1) <= within;
        bool disturbed = fabs(seen.explained_us / form - 1) > within;
        if (!good) *code = *code == 1 || !disturbed ? 1 : 3;
        printf("%5.2f %12.2f %14.2f %12.2f %8.4f %12.2f %12.2f  %s%s\n", rho[i], form, without.us, seen.us,
               seen.us / form, seen.explained_us, seen.lag_p99_us, verdict_name(seen.verdict),
               good        ? ""
               : disturbed ? ", machine disturbed"
                           : ", off");
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
    TRY(usable_find(&s, &c, &o, (double)service_ns, &number, &u, e));
    printf("\nusable rate at a limit of 5 service times: rho %.4f, closed form %.4f (%d probes, %s)\n",
           u.qps * (double)service_ns / 1e9, closed_form, u.probes, verdict_name(u.verdict));
    usable_release(&u);
    return 0;
}

int main(int argc, char **argv) {
    struct err e = ERR_INIT;
    double seconds = 20, service_us = 100;
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
