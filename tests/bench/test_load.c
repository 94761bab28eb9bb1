/* The load generator against the theory of queues, on a clock that only moves when somebody waits: nothing here
 * depends on what else the machine does. build/perf_load says the same of the real clock. */
#include "base/rng.h"
#include "bench/load/closed.h"
#include "bench/load/open.h"
#include "bench/load/overhead.h"
#include "bench/load/usable.h"
#include "metrics/stats.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVICE = 100000 }; /* ns */

struct queue { /* one M/D/1 queue */
    struct virtual_time time;
    struct fixed_server fixed;
    struct load_server server;
    struct load_clock clock;
    struct load_servers servers;
    struct arrivals schedule;
    struct open_loop run;
};

static void queue_make(struct queue *q) {
    memset(q, 0, sizeof *q);
    q->clock = clock_virtual(&q->time);
    q->fixed = (struct fixed_server){SERVICE, q->clock};
    q->server = server_fixed(&q->fixed);
    q->servers = servers_one(&q->server, &q->clock);
}

static void queue_run(struct queue *q, double rho, size_t n, uint64_t seed) {
    queue_make(q);
    cr_assert_eq(arrivals_poisson(rho * 1e9 / SERVICE, n, seed, &q->schedule, NULL), 0);
    cr_assert_eq(open_begin(&q->run, &q->servers, &q->schedule, 0, NULL), 0);
    cr_assert_eq(open_until(&q->run, n, NULL), 0);
    cr_assert_eq(q->run.n, n);
}

/* Several servers, each on a clock of its own. */
enum { SERVERS_MOST = 4 };
struct crew {
    struct virtual_time time[SERVERS_MOST];
    struct load_clock clock[SERVERS_MOST];
    struct fixed_server fixed[SERVERS_MOST];
    struct random_server {
        struct load_clock clock;
        struct rng *rng;
    } random[SERVERS_MOST];
    struct load_server server[SERVERS_MOST];
    struct load_servers servers;
    struct rng rng;
};

static int answer_random(void *self, uint64_t number, struct err *e) {
    struct random_server *s = self;
    double work = -log1p(-rng_uniform(s->rng)) * SERVICE;
    (void)number;
    (void)e;
    s->clock.wait_until(s->clock.self, s->clock.now(s->clock.self) + llround(work));
    return 0;
}

static void crew_make(struct crew *w, int n, bool exponential) {
    memset(w, 0, sizeof *w);
    w->rng = rng_init(1, rng_stream("service"));
    for (int i = 0; i < n; i++) {
        w->clock[i] = clock_virtual(&w->time[i]);
        w->fixed[i] = (struct fixed_server){SERVICE, w->clock[i]};
        w->random[i] = (struct random_server){w->clock[i], &w->rng};
        w->server[i] = exponential ? (struct load_server){"exponential", &w->random[i], answer_random}
                                   : server_fixed(&w->fixed[i]);
    }
    w->servers = (struct load_servers){.n = n, .server = w->server, .clock = w->clock};
}

static void queue_release(struct queue *q) {
    open_release(&q->run);
    arrivals_release(&q->schedule);
}

static FILE *table(const char *name) {
    char path[100], header[100];
    snprintf(path, sizeof path, "tests/fixtures/queue/%s", name);
    FILE *f = fopen(path, "r");
    cr_assert(f && fgets(header, sizeof header, f), "%s", path);
    return f;
}

Test(open_loop, reproduces_the_waits_of_a_queue_in_closed_form) {
    enum { N = 1000000, SKIP = 10000 };
    FILE *f = table("waits.csv");
    double rho, mean, at[3];
    int lines = 0;
    for (; fscanf(f, "%lf,%lf,%lf,%lf,%lf", &rho, &mean, &at[0], &at[1], &at[2]) == 5; lines++) {
        struct queue q;
        struct open_summary s;
        queue_run(&q, rho, N, 1);
        cr_assert_eq(open_summarise(&q.run, SKIP, &s, NULL), 0);
        cr_expect_float_eq(s.wait_us * 1e3 / SERVICE / mean, 1, .03, "rho %g: mean wait %g, not %g", rho,
                           s.wait_us * 1e3 / SERVICE, mean);
        cr_expect_float_eq(s.utilisation, rho, 1e-9);
        cr_expect_float_eq(s.latency_us, s.wait_us + SERVICE / 1e3, 1e-6);
        cr_expect_float_eq(s.offered_qps * SERVICE / 1e9, rho, .01 * rho);
        stat_sort_ns(q.run.latency, N);
        static const double p[] = {.5, .9, .99};
        for (int i = 0; i < 3; i++) {
            double wait = (double)(stat_percentile_ns(q.run.latency, N, p[i]) - SERVICE) / SERVICE;
            cr_expect(fabs(wait - at[i]) <= .03 * at[i] + .01, "rho %g: p%g of the wait is %g, not %g", rho,
                      100 * p[i], wait, at[i]);
        }
        queue_release(&q);
    }
    fclose(f);
    cr_expect_eq(lines, 6);
}

/* M/D/c and M/M/c: Crommelin 1932, Franx 2001, Erlang 1917. */
Test(open_loop, reproduces_the_waits_of_several_servers_in_closed_form) {
    FILE *f = table("waits_several.csv");
    char service[20];
    int n, lines = 0;
    double rho, mean, at[3];
    for (;
         fscanf(f, "%19[a-z],%d,%lf,%lf,%lf,%lf,%lf ", service, &n, &rho, &mean, &at[0], &at[1], &at[2]) == 7;
         lines++) {
        static struct crew w;
        struct arrivals schedule;
        struct open_loop run;
        struct open_summary s;
        size_t requests = rho > .8 ? 4000000 : 1000000;
        crew_make(&w, n, *service == 'e');
        cr_assert_eq(arrivals_poisson(n * rho * 1e9 / SERVICE, requests, 2, &schedule, NULL), 0);
        cr_assert_eq(open_begin(&run, &w.servers, &schedule, 0, NULL), 0);
        cr_assert_eq(open_until(&run, requests, NULL), 0);
        cr_assert_eq(open_summarise(&run, 10000, &s, NULL), 0);
        cr_expect_float_eq(s.wait_us * 1e3 / SERVICE / mean, 1, .03,
                           "%s, %d servers, rho %g: mean wait %g, not %g", service, n, rho,
                           s.wait_us * 1e3 / SERVICE, mean);
        cr_expect_float_eq(s.utilisation, rho, .005 * rho);
        for (size_t i = 0; i < requests; i++) run.latency[i] -= run.service[i];
        stat_sort_ns(run.latency, requests);
        static const double p[] = {.5, .9, .99};
        double within =
            rho > .8 ? .05 : .03; /* the p99 of 4 million requests has a standard error of 2 % there */
        for (int i = 0; i < 3; i++) {
            double wait = (double)stat_percentile_ns(run.latency, requests, p[i]) / SERVICE;
            cr_expect(fabs(wait - at[i]) <= (i == 2 ? within : .03) * at[i] + .01,
                      "%s, %d servers, rho %g: p%g of the wait is %g, not %g", service, n, rho, 100 * p[i],
                      wait, at[i]);
        }
        open_release(&run);
        arrivals_release(&schedule);
    }
    fclose(f);
    cr_expect_eq(lines, 10);
}

Test(open_loop, is_the_queue_of_several_servers_request_by_request) {
    enum { N = 3, REQUESTS = 5000 };
    static struct crew w;
    struct arrivals schedule;
    struct open_loop run;
    int64_t free_at[N] = {0}; /* Kiefer & Wolfowitz 1955 */
    crew_make(&w, N, false);
    cr_assert_eq(arrivals_poisson(.9 * N * 1e9 / SERVICE, REQUESTS, 7, &schedule, NULL), 0);
    cr_assert_eq(open_begin(&run, &w.servers, &schedule, 0, NULL), 0);
    cr_assert_eq(open_until(&run, 100, NULL), 0);
    cr_expect_eq(run.n, 100);
    cr_assert_eq(open_until(&run, REQUESTS, NULL), 0);
    for (size_t i = 0; i < REQUESTS; i++) {
        int first = 0;
        for (int k = 1; k < N; k++)
            if (free_at[k] < free_at[first]) first = k;
        int64_t planned = schedule.at[i], begin = planned > free_at[first] ? planned : free_at[first];
        free_at[first] = begin + SERVICE;
        cr_assert_eq(run.latency[i], free_at[first] - planned, "request %zu", i);
        cr_assert_eq(run.lag[i], 0);
    }
    open_release(&run);
    arrivals_release(&schedule);
}

/* On threads: how many times each request was answered, and by how many servers at once. Nobody answers until `together`
 * servers were at work at once, or five seconds are over. */
struct counting {
    _Atomic int *answers, *under_way, *most;
    int64_t service_ns;
    int together;
};
static int answer_counting(void *self, uint64_t number, struct err *e) {
    struct counting *s = self;
    const struct load_clock c = clock_real();
    int now = ++*s->under_way;
    if (now > *s->most) *s->most = now;
    s->answers[number]++;
    for (int64_t end = c.now(c.self) + 5000000000; *s->most < s->together && c.now(c.self) < end;)
        sched_yield();
    c.wait_until(c.self, c.now(c.self) + s->service_ns);
    --*s->under_way;
    return number == 777 ? err_set(e, ERR_INPUT, "request 777") : 0;
}

Test(servers, answer_each_request_once_on_their_own_threads) {
    enum { N = 3, REQUESTS = 600 };
    static _Atomic int answers[1000], under_way, most;
    struct counting counting = {answers, &under_way, &most, 20000, N};
    struct load_server server[N];
    struct load_clock clock[N];
    struct pool *pool;
    struct err e = ERR_INIT;
    cr_assert_eq(pool_create(N, &pool, NULL), 0);
    for (int i = 0; i < N; i++) {
        server[i] = (struct load_server){"counting", &counting, answer_counting};
        clock[i] = clock_real();
    }
    const struct load_servers s = {N, server, clock, pool};
    uint64_t number = 0;
    static int64_t took[REQUESTS];
    cr_assert_eq(closed_run(&s, &number, REQUESTS, took, &e), 0);
    cr_expect_eq(number, REQUESTS);
    for (int i = 0; i < 1000; i++) cr_expect_eq(answers[i], i < REQUESTS);
    for (int i = 0; i < REQUESTS; i++) cr_expect_geq(took[i], 20000);
    cr_expect_eq(most, N, "all at once");
    struct arrivals schedule;
    struct open_loop run;
    memset((void *)answers, 0, sizeof answers);
    cr_assert_eq(arrivals_poisson(50000, REQUESTS, 1, &schedule, NULL), 0);
    cr_assert_eq(open_begin(&run, &s, &schedule, 0, &e), 0);
    cr_assert_eq(open_until(&run, 100, &e), 0);
    cr_expect_eq(run.n, 100);
    cr_assert_eq(open_until(&run, REQUESTS, &e), 0);
    for (size_t i = 0; i < 1000; i++) cr_expect_eq(answers[i], i < REQUESTS);
    for (size_t i = 0; i < REQUESTS; i++) {
        cr_expect(run.service[i] >= 20000 && run.lag[i] >= 0);
        cr_expect_geq(run.latency[i], run.service[i] + run.lag[i]);
    }
    open_release(&run);
    run.n = 0;
    cr_assert_eq(open_begin(&run, &s, &schedule, 500, &e), 0);
    cr_expect_eq(open_until(&run, REQUESTS, &e), ERR_INPUT);
    cr_expect_str_eq(e.msg, "request 777");
    open_release(&run);
    arrivals_release(&schedule);
    const struct load_servers more = {N + 1, server, clock, pool};
    cr_expect_eq(closed_run(&more, &number, 1, took, &e), ERR_INPUT, "more servers than threads");
    pool_free(pool);
}

/* Of a nominal 95 %, over queues whose percentiles are known (tests/fixtures/queue/waits.csv). */
Test(open_loop, intervals_of_percentiles_hold_what_they_promise_though_requests_wait_for_each_other) {
    enum { RUNS = 120, N = 50000, SKIP = 2000 };
    static const double p[] = {.5, .99};
    FILE *f = table("waits.csv");
    double rho, mean, at[3];
    static int64_t sorted[N];
    while (fscanf(f, "%lf,%lf,%lf,%lf,%lf", &rho, &mean, &at[0], &at[1], &at[2]) == 5) {
        if (rho < .65) continue;
        int covered[2] = {0, 0}, alone[2] = {0, 0};
        for (uint64_t run = 0; run < RUNS; run++) {
            struct queue q;
            queue_run(&q, rho, N + SKIP, 100 + run);
            memcpy(sorted, q.run.latency + SKIP, sizeof sorted);
            stat_sort_ns(sorted, N);
            for (int i = 0; i < 2; i++) {
                double known = (1 + at[2 * i]) * SERVICE / 1e3, interval[2];
                samples_interval_us(q.run.latency + SKIP, sorted, N, p[i], interval);
                covered[i] += !(interval[0] > known) && !(interval[1] < known);
                samples_percentile_us(sorted, N, p[i], interval);
                alone[i] += interval[0] <= known && known <= interval[1];
            }
            queue_release(&q);
        }
        for (int i = 0; i < 2; i++) {
            cr_log_info("rho %g, p%g: %.3f, as if independent %.3f", rho, 100 * p[i],
                        (double)covered[i] / RUNS, (double)alone[i] / RUNS);
            cr_expect_geq(covered[i], .9 * RUNS, "rho %g, p%g: %d of %d", rho, 100 * p[i], covered[i], RUNS);
        }
        cr_expect(rho < .85 || alone[1] < .5 * RUNS, "as if independent they were too narrow: %d of %d",
                  alone[1], RUNS);
    }
    fclose(f);
}

Test(open_loop, an_interval_end_beyond_the_samples_is_not_there) {
    enum { N = 400 };
    int64_t v[N];
    double interval[2];
    for (int i = 0; i < N; i++) v[i] = 1000 * (i + 1); /* as dependent as can be, and sorted */
    samples_interval_us(v, v, N, .99, interval);
    cr_expect(isnan(interval[1]) && interval[0] < 396);
    samples_interval_us(v, v, 19, .5, interval);
    cr_expect(isnan(interval[0]) && isnan(interval[1]), "too few for ten blocks");
}

Test(open_loop, counts_from_the_planned_time_and_splits_it_exactly) {
    struct queue q;
    queue_run(&q, .8, 5000, 7);
    int64_t free_at = 0; /* Lindley's recursion */
    for (size_t i = 0; i < q.run.n; i++) {
        int64_t planned = q.schedule.at[i], begin = planned > free_at ? planned : free_at;
        free_at = begin + SERVICE;
        cr_assert_eq(q.run.latency[i], free_at - planned, "request %zu", i);
        cr_assert_eq(q.run.service[i], SERVICE);
        cr_assert_eq(q.run.lag[i], 0);
    }
    queue_release(&q);
}

Test(open_loop, says_when_it_was_overloaded_or_too_short) {
    struct queue q;
    struct open_summary s;
    queue_run(&q, 1.05, 5000, 1);
    cr_assert_eq(open_summarise(&q.run, 500, &s, NULL), 0);
    cr_expect_eq(s.verdict, VERDICT_OVERLOADED);
    cr_expect(s.qps < .99 * s.offered_qps);
    queue_release(&q);
    queue_run(&q, .5, 300, 1);
    cr_assert_eq(open_summarise(&q.run, 0, &s, NULL), 0);
    cr_expect_eq(s.verdict, VERDICT_INSUFFICIENT);
    queue_release(&q);
    queue_run(&q, .5, 20000, 1);
    cr_assert_eq(open_summarise(&q.run, 0, &s, NULL), 0);
    cr_expect_eq(s.verdict, VERDICT_OK, "%s", verdict_name(s.verdict));
    for (size_t i = 10000; i < 20000; i++) q.run.latency[i] += SERVICE / 2;
    cr_assert_eq(open_summarise(&q.run, 0, &s, NULL), 0);
    cr_expect_eq(s.verdict, VERDICT_UNSTABLE, "the second half waits longer: %s", verdict_name(s.verdict));
    for (size_t i = 0; i < 20000; i++) q.run.lag[i] = SERVICE / 5;
    cr_assert_eq(open_summarise(&q.run, 0, &s, NULL), 0);
    cr_expect_eq(s.verdict, VERDICT_INVALID, "%s", verdict_name(s.verdict));
    queue_release(&q);
}

/* The schedule's times in a file, judged by SciPy: 0 Poisson, 1 not. */
static int judged(struct scratch *s, const int64_t *at, size_t n, double rate) {
    char path[100], command[300];
    snprintf(path, sizeof path, "%s/at", s->dir);
    FILE *f = fopen(path, "w");
    cr_assert(f);
    for (size_t i = 0; i < n; i++) fprintf(f, "%lld\n", (long long)at[i]);
    fclose(f);
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/check_arrivals.py %s %.17g 2>/dev/null",
             path, rate);
    int status = system(command);
    cr_assert(status == 0 || status == 256, "the check did not run");
    return status / 256;
}

Test(arrivals, is_poisson_says_scipy) {
    struct scratch s;
    scratch_make(&s);
    struct arrivals p;
    cr_assert_eq(arrivals_poisson(750, 20000, 1, &p, NULL), 0);
    cr_expect_eq(judged(&s, p.at, p.n, 750), 0);
    cr_expect_eq(judged(&s, p.at, p.n, 800), 1, "at another rate it is not");
    for (size_t i = 0; i < p.n; i++) p.at[i] = (int64_t)((double)i * 1e9 / 750);
    cr_expect_eq(judged(&s, p.at, p.n, 750), 1, "even gaps are not");
    arrivals_release(&p);
    scratch_remove(&s);
}

Test(arrivals, follows_from_the_seed) {
    struct arrivals a, b, c;
    cr_assert_eq(arrivals_poisson(1000, 500, 3, &a, NULL), 0);
    cr_assert_eq(arrivals_poisson(1000, 500, 3, &b, NULL), 0);
    cr_assert_eq(arrivals_poisson(1000, 500, 4, &c, NULL), 0);
    cr_expect_arr_eq(a.at, b.at, 500 * sizeof *a.at);
    cr_expect_arr_neq(a.at, c.at, 500 * sizeof *a.at);
    for (size_t i = 1; i < 500; i++) cr_assert(a.at[i] >= a.at[i - 1]);
    arrivals_release(&a);
    arrivals_release(&b);
    arrivals_release(&c);
}

Test(closed_loop, warms_up_until_two_windows_are_alike) {
    struct queue q;
    struct warm w;
    uint64_t number = 0;
    queue_make(&q);
    cr_assert_eq(closed_warm_up(&q.servers, 10, 9, &number, &w, NULL), 0);
    cr_expect(w.steady);
    cr_expect_eq(w.requests, 20);
    cr_expect_eq(number, 20);
    cr_expect_float_eq(w.service_ns, SERVICE, 1e-6);
}

/* A server that is slower by a tenth of its first time each 10 requests, up to request `until`. */
struct slowing {
    struct load_clock clock;
    uint64_t until;
};
static int answer_slowing(void *self, uint64_t number, struct err *e) {
    struct slowing *s = self;
    uint64_t at = number < s->until ? number : s->until;
    (void)e;
    s->clock.wait_until(s->clock.self,
                        s->clock.now(s->clock.self) + SERVICE + SERVICE / 10 * (int64_t)(at / 10));
    return 0;
}

Test(closed_loop, warm_up_goes_on_while_the_server_changes_and_says_when_it_does_not_end) {
    struct virtual_time t = {0};
    struct slowing slow = {clock_virtual(&t), 40};
    const struct load_server s = {"slowing", &slow, answer_slowing};
    const struct load_servers servers = servers_one(&s, &slow.clock);
    struct warm w;
    uint64_t number = 0;
    cr_assert_eq(closed_warm_up(&servers, 10, 20, &number, &w, NULL), 0);
    cr_expect(w.steady);
    cr_expect_eq(w.requests, 60, "%zu", w.requests);
    slow.until = 1000;
    number = 0;
    cr_assert_eq(closed_warm_up(&servers, 10, 5, &number, &w, NULL), 0);
    cr_expect_not(w.steady);
    cr_expect_eq(w.requests, 50);
}

Test(usable, is_the_rate_at_which_a_hundredth_is_late_in_closed_form) {
    FILE *f = table("usable.csv");
    double limit, rho;
    int lines = 0;
    for (; fscanf(f, "%lf,%lf", &limit, &rho) == 2; lines++) {
        struct queue q;
        struct usable u;
        uint64_t number = 0;
        queue_make(&q);
        const struct usable_options o = {.limit_ns = (int64_t)(limit * SERVICE),
                                         .seconds = 20 / rho, /* 200000 requests */
                                         .tolerance = .01,
                                         .seed = 5};
        cr_assert_eq(usable_find(&q.servers, &o, SERVICE, &number, &u, NULL), 0);
        double found = u.qps * SERVICE / 1e9;
        cr_expect_float_eq(found / rho, 1, .05, "limit %g: rho %g, not %g", limit, found, rho);
        cr_expect(u.confirmed);
        cr_expect_eq(u.verdict, VERDICT_OK, "%s", verdict_name(u.verdict));
        cr_expect(u.over_qps > u.qps && u.over_qps <= 1.0101 * u.qps, "%g, %g", u.qps, u.over_qps);
        cr_expect(u.late_share <= .01 && u.late_share > .003, "%g", u.late_share);
        usable_release(&u);
    }
    fclose(f);
    cr_expect_eq(lines, 6);
}

Test(usable, is_the_rate_of_several_servers_in_closed_form) {
    FILE *f = table("usable_several.csv");
    double limit, rho;
    int n, lines = 0, confirmed = 0;
    for (; fscanf(f, "%d,%lf,%lf", &n, &limit, &rho) == 3; lines++) {
        static struct crew w;
        struct usable u;
        uint64_t number = 0;
        crew_make(&w, n, false);
        const struct usable_options o = {.limit_ns = (int64_t)(limit * SERVICE),
                                         .seconds = 20 / rho / n, /* 200000 requests */
                                         .tolerance = .02,
                                         .seed = 5};
        cr_assert_eq(usable_find(&w.servers, &o, SERVICE, &number, &u, NULL), 0);
        double found = u.qps * SERVICE / 1e9 / n;
        cr_expect_float_eq(found / rho, 1, .05, "%d servers, limit %g: rho %g, not %g", n, limit, found, rho);
        confirmed += u.confirmed;
        cr_expect_eq(u.verdict == VERDICT_OK, u.confirmed, "%s", verdict_name(u.verdict));
        usable_release(&u);
    }
    fclose(f);
    cr_expect_eq(lines, 6);
    cr_expect_geq(confirmed, 4, "next to the limit a repeat fails by chance, and the search says so");
}

Test(usable, is_nothing_when_no_rate_keeps_to_the_limit) {
    struct queue q;
    struct usable u;
    uint64_t number = 0;
    queue_make(&q);
    const struct usable_options o = {.limit_ns = SERVICE - 1, .seconds = 1, .tolerance = .01, .seed = 5};
    cr_assert_eq(usable_find(&q.servers, &o, SERVICE, &number, &u, NULL), 0);
    cr_expect_eq(u.qps, 0);
    cr_expect_eq(u.verdict, VERDICT_OVERLOADED);
    usable_release(&u);
}

Test(usable, is_below_what_the_server_can_do_however_short_a_probe) {
    struct queue q;
    struct usable u;
    uint64_t number = 0;
    queue_make(&q);
    const struct usable_options o = {
        .limit_ns = 10000 * (int64_t)SERVICE, .seconds = .1, .tolerance = .01, .seed = 5};
    cr_assert_eq(usable_find(&q.servers, &o, SERVICE, &number, &u, NULL), 0);
    cr_expect(u.qps * SERVICE / 1e9 < 1 && u.qps * SERVICE / 1e9 > .9, "%g", u.qps * SERVICE / 1e9);
    usable_release(&u);
}

Test(usable, does_not_take_a_burst_for_many_independent_responses) {
    enum { N = 3200 };
    static int64_t latency[N];
    for (int i = 0; i < N; i++) latency[i] = i % 50 == 0; /* one late in each 50 */
    cr_expect_float_eq(samples_inflation(latency, N, 0, 32), 1, 1e-12);
    for (int i = 0; i < N; i++) latency[i] = i < 64; /* as many, in one burst */
    cr_expect(samples_inflation(latency, N, 0, 32) > 60);
    memset(latency, 0, sizeof latency);
    cr_expect_float_eq(samples_inflation(latency, N, 0, 32), 1, 1e-12);
}

Test(null_model, shows_the_harness_itself) {
    struct overhead h;
    cr_assert_eq(overhead_measure(&h, NULL), 0);
    cr_expect(h.closed_p50 > 0 && h.closed_p50 < 100000, "two readings of a clock took %g ns", h.closed_p50);
    cr_expect(h.open_p50 > 0 && h.open_n == 1000, "how late depends on what else runs: %g ns", h.open_p50);
    cr_expect(h.closed_p99 >= h.closed_p50 && h.open_p99 >= h.open_p50);
    json_t *j = overhead_json(&h);
    cr_expect_float_eq(json_real_value(json_object_get(j, "closed_p50_ns")), h.closed_p50, 1e-9);
    json_decref(j);
}
