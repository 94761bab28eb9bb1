/* open.h: an open loop: requests are sent when the schedule says so, whether the servers are done with the last ones or
 * not. First come, first served: a request that comes while all servers are busy waits, and its wait counts.
 *
 *     struct open_loop o;
 *     TRY(open_begin(&o, &servers, &schedule, first, e));
 *     TRY(open_until(&o, schedule.n, e));                 or a part at a time: the schedule goes on in between
 *     ... o.latency[i], o.service[i], o.lag[i] for i < o.n ...
 *     open_release(&o);
 *
 * Of each request three times are kept, in ns:
 *   latency  from the *planned* sending time to the answer: what a user would have waited
 *   service  from the beginning of the work to the answer
 *   lag      by how much the work began later than it could have: after the planned time and after its server was free.
 *            It is the generator's own fault, and is part of the latency.
 * so that latency = wait for the requests before + lag + service.
 *
 * The generator is the servers' own threads: a request "arrives" by its planned time passing, which needs no thread, and
 * the queue is that part of the schedule which is past. A free server takes the next request of the schedule and waits
 * until it is due. So the generator takes nothing from the cores that the model runs on while it works.
 */
#ifndef PRERANK_BENCH_LOAD_OPEN_H
#define PRERANK_BENCH_LOAD_OPEN_H
#include "bench/load/arrivals.h"
#include "bench/load/samples.h"
#include "bench/load/servers.h"

struct open_loop {
    struct load_servers servers;
    const struct arrivals *schedule; /* the caller's */
    uint64_t first;                  /* number of the first request */
    int64_t start;                   /* of the schedule */
    int64_t end;                     /* no request is begun after it; 0: none */
    int64_t *free_at;                /* [servers.n] */
    size_t n;                        /* answered: the first n of the schedule */
    int64_t *latency, *service, *lag;
};
int open_begin(struct open_loop *o, const struct load_servers *s, const struct arrivals *schedule,
               uint64_t first, struct err *e);
/* Answers the requests up to the n-th of the schedule, or to the end or an interrupt. Servers wait for each other here. */
int open_until(struct open_loop *o, size_t n, struct err *e);
void open_release(struct open_loop *o); /* a zeroed struct is fine */

/* What the requests from `skip` on say. The first ones do not count: the queue was empty when they came. */
struct open_summary {
    size_t n;
    double offered_qps; /* as it came out: of n requests in the time that was planned for them */
    double qps;         /* answered, from the first one's planned time to the last answer */
    double service_us, wait_us, latency_us; /* means; wait: latency - lag - service */
    double lag_p50_us, lag_p99_us;          /* NaN: too few */
    double utilisation; /* offered_qps x mean service time / servers: the share of the time that is work */
    enum verdict verdict;
};
/* Verdicts, the worst that holds: overloaded (utilisation >= 1), invalid (lag at p50 above 5 % of latency at p50, or
 * at p99 above 10 % of latency at p99), insufficient (no p99), unstable (service times differ between the halves as
 * in samples_verdict(), or so does the latency: by more than 10 %, and at 99 % by Welch's t test of ten blocks a half,
 * as requests behind one another are not independent), ok. */
int open_summarise(const struct open_loop *o, size_t skip, struct open_summary *out, struct err *e);

#endif
