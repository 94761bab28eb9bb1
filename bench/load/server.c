#include "bench/load/server.h"
#include <stdlib.h>

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

static int best_first(const void *a, const void *b) {
    const struct scorer_pick *p = a, *q = b;
    if (p->score != q->score) return p->score < q->score ? 1 : -1;
    return (p->at > q->at) - (p->at < q->at);
}

static void sort(const struct scorer_server *s, size_t n, size_t topk) {
    for (size_t i = 0; i < n; i++) s->pick[i] = (struct scorer_pick){s->score[i], (uint32_t)i};
    qsort(s->pick, n, sizeof *s->pick, best_first);
    for (size_t i = 0; i < topk; i++) s->order[i] = s->pick[i].at;
}

static int answer_scorer(void *self, uint64_t number, struct err *e) {
    struct scorer_server *s = self;
    const struct request r = requests_at(s->requests, (size_t)number);
    size_t topk = s->topk < r.n ? s->topk : r.n;
    uint64_t hits = scorer_user_hits(s->scorer);
    int rc = scorer_score(s->scorer, &r, s->score, e);
    s->missing += scorer_missing(s->scorer);
    s->asked++;
    s->user_hits += scorer_user_hits(s->scorer) - hits;
    if (s->pick)
        sort(s, r.n, topk);
    else
        scorer_top(s->score, r.n, topk, s->order);
    return rc;
}

struct load_server server_scorer(struct scorer_server *s) {
    return (struct load_server){"scorer", s, answer_scorer};
}
