/* rounds.h: the closed loop that times many points at once: they take turns of `turn` requests in the order
 * A B C C B A, so that whatever else the machine does meets all of them alike; the first `warmup` requests of a
 * turn do not count. A point that several servers answer has as many clients, and a turn as many times as many requests. A point is done when it has `requests` of them over at least `min_seconds`, when it has 100
 * times as many, or when it has taken `seconds`.
 *
 *     struct round_point a = {.name = "a"}, b = {.name = "b"}, *both[] = {&a, &b};
 *     struct rounds r = {.title = "measuring", .o = rounds_of(&measure), .point = both, .n = 2, .ask = ask, .ctx = &mine};
 *     TRY(rounds_run(&r, e));                ERR_INTERRUPTED after Ctrl-C
 *     ... a.got.v[0 .. a.got.n - 1] in the order of time ...
 *     samples_release(&a.got);
 */
#ifndef PRERANK_BENCH_ROUNDS_H
#define PRERANK_BENCH_ROUNDS_H
#include "bench/load/samples.h"
#include "bench/load/servers.h"
#include "bench/run/experiment.h"

struct round_point {
    const char *name;  /* for the progress bar */
    int servers;       /* that answer at once; 0: one */
    struct pool *pool; /* with several: a thread for each */
    uint64_t number;   /* of the next request */
    struct samples got;
    int64_t busy_ns; /* all turns, warm-up excluded */
};
struct round_options {
    int64_t requests, turn, warmup;
    double min_seconds, seconds;
};
struct rounds {
    const char *title;
    struct round_options o;
    struct round_point *const *point;
    int n;
    /* Request `number` of point number `point`, by its server number `server`; several servers ask at once. `counts`: it is
     * no warm-up. */
    int (*ask)(void *ctx, int point, int server, uint64_t number, bool counts, int64_t *took_ns,
               struct err *e);
    void *ctx;
};
struct round_options rounds_of(const struct measure_options *m);
int rounds_run(struct rounds *t, struct err *e);
double rounds_qps(const struct round_point *p); /* NaN without samples */

#endif
