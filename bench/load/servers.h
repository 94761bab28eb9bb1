/* servers.h: some servers that answer at once, and the queue before them: requests are taken in their order by whichever
 * server is free first (first come, first served).
 *
 *     struct load_servers s = servers_one(&server, &clock);         one server, on the caller's thread
 *     struct load_servers s = {.n = 4, .server = four, .clock = clocks, .pool = pool};
 *     TRY(servers_run(&s, 0, 1000, &work, &next, e));            work.one(ctx, server, k, e) for k = 0 .. 999
 *
 * On the real clock each server has a thread of `pool` for as long as servers_run() lasts; they begin together. Without a
 * pool they take turns on the caller's thread, each on a clock of its own: the one whose clock is behind is the one that
 * is free first. On clocks that only move when somebody waits that is a queue with n servers, exactly.
 */
#ifndef PRERANK_BENCH_LOAD_SERVERS_H
#define PRERANK_BENCH_LOAD_SERVERS_H
#include "base/pool.h"
#include "bench/load/server.h"
#include <stdbool.h>
#include <stddef.h>

struct load_servers { /* all of it is the caller's */
    int n;
    const struct load_server *server; /* [n] */
    const struct load_clock *clock;   /* [n] */
    struct pool *pool; /* of at least n threads; NULL with one server, or with virtual clocks */
};
struct load_servers servers_one(const struct load_server *s, const struct load_clock *c);

/* one(): request number k by that server. stop() is asked before a server takes a request: true ends the run; NULL: never.
 * *next: the first number that was not taken; all before it are done, unless there was an error. */
struct servers_work {
    int (*one)(void *ctx, int server, size_t k, struct err *e);
    bool (*stop)(void *ctx, int server, size_t k);
    void *ctx;
};
int servers_run(const struct load_servers *s, size_t from, size_t to, const struct servers_work *w,
                size_t *next, struct err *e);

#endif
