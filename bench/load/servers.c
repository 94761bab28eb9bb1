#include "bench/load/servers.h"
#include <sched.h>
#include <stdatomic.h>

struct load_servers servers_one(const struct load_server *s, const struct load_clock *c) {
    return (struct load_servers){.n = 1, .server = s, .clock = c};
}

struct run {
    const struct load_servers *s;
    const struct servers_work *w;
    size_t to;
    _Atomic size_t next;
    atomic_int ready, failed;
    struct err err;
};

static bool stopped(const struct run *r, int server, size_t k) {
    return k >= r->to || (r->w->stop && r->w->stop(r->w->ctx, server, k));
}

/* All begin when the last one is there: a thread that slept comes some tens of microseconds late. */
static void meet(struct run *r) {
    atomic_fetch_add(&r->ready, 1);
    while (atomic_load(&r->ready) < r->s->n) sched_yield();
}

static void server_thread(void *ctx, int server, int worker) {
    struct run *r = ctx;
    struct err e = ERR_INIT;
    (void)worker;
    meet(r);
    while (!atomic_load(&r->failed) && !stopped(r, server, atomic_load(&r->next))) {
        size_t k = atomic_fetch_add(&r->next, 1);
        if (k >= r->to || !r->w->one(r->w->ctx, server, k, &e)) continue;
        if (!atomic_exchange(&r->failed, 1)) r->err = e;
    }
}

static int first_free(const struct load_servers *s) {
    int first = 0;
    for (int i = 1; i < s->n; i++)
        if (s->clock[i].now(s->clock[i].self) < s->clock[first].now(s->clock[first].self)) first = i;
    return first;
}

static int take_turns(struct run *r, struct err *e) {
    for (size_t k = r->next;; r->next = ++k) {
        int server = first_free(r->s);
        if (stopped(r, server, k)) return 0;
        TRY(r->w->one(r->w->ctx, server, k, e));
    }
}

int servers_run(const struct load_servers *s, size_t from, size_t to, const struct servers_work *w,
                size_t *next, struct err *e) {
    struct run r = {.s = s, .w = w, .to = to, .next = from};
    int rc = 0;
    if (s->n == 1 || !s->pool) {
        rc = take_turns(&r, e);
    } else {
        if (pool_threads(s->pool) < s->n)
            return err_set(e, ERR_INPUT, "%d servers need as many threads, and there are %d", s->n,
                           pool_threads(s->pool));
        pool_run(s->pool, s->n, server_thread, &r);
        if (r.failed && e) *e = r.err;
        rc = r.failed ? r.err.code : 0;
    }
    *next = r.next < to ? r.next : to;
    return rc;
}
