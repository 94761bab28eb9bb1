#include "bench/load/server.h"

static int answer_null(void *self, uint64_t number, struct err *e) {
    (void)self;
    (void)number;
    (void)e;
    return 0;
}

struct load_server server_null(void) {
    return (struct load_server){"null", NULL, answer_null};
}

static int answer_fixed(void *self, uint64_t number, struct err *e) {
    struct fixed_server *f = self;
    (void)number;
    (void)e;
    f->clock.wait_until(f->clock.self, f->clock.now(f->clock.self) + f->service_ns);
    return 0;
}

struct load_server server_fixed(struct fixed_server *f) {
    return (struct load_server){"fixed", f, answer_fixed};
}

static int answer_scorer(void *self, uint64_t number, struct err *e) {
    struct scorer_server *s = self;
    const struct request r = requests_at(s->requests, (size_t)number);
    int rc = scorer_score(s->scorer, &r, s->score, e);
    s->missing += scorer_missing(s->scorer);
    scorer_top(s->score, r.n, s->topk < r.n ? s->topk : r.n, s->order);
    return rc;
}

struct load_server server_scorer(struct scorer_server *s) {
    return (struct load_server){"scorer", s, answer_scorer};
}
