/* Times of the cascade's stages: the models on all candidates, the ranker on k. */
#include "bench/load/closed.h"
#include "bench/run/cascade_own.h"
#include "bench/run/rounds.h"
#include "bench/run/served.h"
#include "metrics/stats.h"

enum { TURN = 25, SAMPLES = 200 };
static const uint64_t request_seed = 1;

struct timed {
    struct scorer_server scorer;
    struct load_server server;
    struct round_point round;
    double *us; /* where the p50 goes */
};
struct timing {
    struct load_clock clock;
    int n;
    struct timed *point;
    struct round_point **round;
};

static int ask(void *ctx, int point, int server, uint64_t number, bool counts, int64_t *took_ns,
               struct err *e) {
    struct timing *t = ctx;
    struct timed *p = &t->point[point];
    (void)server;
    (void)counts;
    return closed_one(&p->server, &t->clock, number, took_ns, e);
}

static void add(struct cascade_state *c, struct timing *t, struct scorer *scorer, const struct requests *q,
                uint32_t *order, const char *name, double *us) {
    struct timed *p = &t->point[t->n];
    p->scorer = (struct scorer_server){
        .scorer = scorer, .requests = q, .topk = (size_t)c->o->topk, .score = c->score, .order = order};
    p->server = server_scorer(&p->scorer);
    p->round.name = name;
    p->us = us;
    t->round[t->n++] = &p->round;
}

static int run(struct cascade_state *c, struct timing *t) {
    struct rounds r = {
        .title = "timing the cascade",
        .o = {.requests = SAMPLES, .turn = TURN, .warmup = c->o->warmup, .seconds = c->o->seconds},
        .point = t->round,
        .n = t->n,
        .ask = ask,
        .ctx = t};
    int rc = rounds_run(&r, c->e);
    for (int i = 0; i < t->n; i++) {
        struct samples *got = &t->point[i].round.got;
        stat_sort_ns(got->v, got->n);
        if (!rc) *t->point[i].us = samples_percentile_us(got->v, got->n, 0.5, NULL);
        samples_release(got);
    }
    return rc;
}

int cascade_time(struct cascade_state *c) {
    size_t most = (size_t)c->s->n_models + (size_t)c->n_k;
    struct requests *q = arena_alloc(&c->arena, (size_t)c->n_k * sizeof *q);
    struct timing t = {.clock = clock_real(),
                       .point = arena_alloc(&c->arena, most * sizeof *t.point),
                       .round = arena_alloc(&c->arena, most * sizeof *t.round)};
    uint32_t *order = arena_alloc(&c->arena, (c->q.most + (size_t)c->o->topk) * sizeof *order);
    int rc = q && t.point && t.round && order ? 0 : err_nomem(c->e, most * sizeof *t.point);
    for (int i = 0; !rc && i < c->s->n_models; i++)
        if (c->ahead[i].scorer && !(rc = served_split(c->o, c->ahead[i].scorer, &c->q, c->score, c->e)))
            add(c, &t, c->ahead[i].scorer, &c->q, order, c->s->model[i].variant->id, &c->ahead[i].us);
    for (int k = 0; !rc && k < c->n_k; k++) {
        const struct spread size = spread_fixed(c->k[k]);
        rc = requests_draw(c->s->ds, &size, c->q.n, request_seed, &q[k], c->e);
        if (!rc) add(c, &t, c->ahead[c->ranker].scorer, &q[k], order, "ranker", &c->ranker_us[k]);
    }
    if (!rc) rc = run(c, &t);
    for (int k = 0; q && k < c->n_k; k++) requests_release(&q[k]);
    return rc;
}
