/* closed.h: a closed loop: a client for each server, which sends its next request when it has the answer to the last one.
 *
 *     uint64_t number = 0;
 *     struct warm w;
 *     TRY(closed_warm_up(&servers, 50, 20, &number, &w, e));     until two windows of 50 a server are alike
 *     int64_t took[100];
 *     TRY(closed_run(&servers, &number, 100, took, e));
 *
 * Points that take turns: bench/run/rounds.h.
 */
#ifndef PRERANK_BENCH_LOAD_CLOSED_H
#define PRERANK_BENCH_LOAD_CLOSED_H
#include "bench/load/servers.h"
#include <stdbool.h>
#include <stddef.h>

/* *took_ns: from sending to the answer, both readings of the clock inside. */
int closed_one(const struct load_server *s, const struct load_clock *c, uint64_t number, int64_t *took_ns,
               struct err *e);

/* n requests from *number on, by all clients together; took_ns[n] in the order of sending. */
int closed_run(const struct load_servers *s, uint64_t *number, size_t n, int64_t *took_ns, struct err *e);

struct warm {
    bool steady;       /* the medians of the last two windows are within 5 % */
    size_t requests;   /* that were sent */
    double service_ns; /* mean of the last window: servers / service_ns is the most there can be */
};
/* Sends windows of `window` requests a server until two in a row are alike, at least two and at most `most`. */
int closed_warm_up(const struct load_servers *s, size_t window, int most, uint64_t *number, struct warm *out,
                   struct err *e);

#endif
