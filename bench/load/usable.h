/* usable.h: usable QPS: the largest offered rate at which at most 1 % of the responses exceed the latency limit.
 *
 *     struct usable_options o = {.limit_ns = 10000000, .seconds = 2, .tolerance = 0.02, .seed = 1};
 *     struct usable u;
 *     TRY(usable_find(&servers, &o, warm.service_ns, &number, &u, e));
 *     printf("%g requests a second\n", u.qps);            u.run holds the confirming run
 *     usable_release(&u);
 *
 * A probe offers one rate, from its own Poisson schedule, and counts the responses later than the limit. It lasts as
 * long as it takes to decide by exact binomial tests at 99.9 %, looked at after 512, 768, 1152, ... requests (each time
 * half as many again), at most `seconds`. Responses behind one another are late together, so what counts is not n but n
 * over the variance inflation of the late ones between 32 blocks of the probe, at least 1. A probe that is undecided at
 * its end is decided by its share, and none passes before its queue has had time to fill,
 * nor when there is more work than time. Each probe begins with an empty queue; its first tenth is answered and not counted.
 *
 * Rates: from half of what a closed loop reaches, doubled while a probe passes (halved, when even the first fails, as long as a probe has 100 requests), then
 * bisected until the passing and the failing rate are `tolerance` apart. Then both are repeated with other schedules for
 * the whole time; when one of the two does not hold, the pair moves, in growing steps, until both do (6 rounds at most,
 * else the verdict is unstable).
 */
#ifndef PRERANK_BENCH_LOAD_USABLE_H
#define PRERANK_BENCH_LOAD_USABLE_H
#include "bench/load/open.h"
#include <stdbool.h>

extern const double usable_share; /* .01 */

struct usable_options {
    int64_t limit_ns;
    double seconds;   /* of a probe, at most; repeats take all of them */
    double tolerance; /* relative */
    uint64_t seed;    /* of the schedules */
};
struct usable {
    double qps;      /* 0: no rate keeps to the limit */
    double over_qps; /* the lowest rate that did not */
    int probes;
    bool confirmed;
    double late_share; /* of the confirming run */
    struct arrivals schedule;
    struct open_loop run; /* the confirming run, or the last one */
    size_t skip;          /* its requests that do not count */
    struct open_summary summary;
    enum verdict verdict; /* overloaded: qps is 0; unstable: not confirmed; else the confirming run's */
};
/* service_ns: mean of a server at work, as of closed_warm_up(). */
int usable_find(const struct load_servers *s, const struct usable_options *o, double service_ns,
                uint64_t *number, struct usable *out, struct err *e);
void usable_release(struct usable *u); /* a zeroed struct is fine */

#endif
