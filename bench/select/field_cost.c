#include "bench/select/field_cost.h"
#include "base/mem.h"
#include "base/progress.h"
#include "bench/run/requests.h"
#include "metrics/stats.h"
#include "nn/vec.h"
#include "serve/scorer.h"
#include <math.h>
#include <string.h>

enum { ROUNDS = 60, ROUNDS_LEAST = 12, REQUESTS = 64, REPEATS = 3 };
static const double seconds_most = 20;

struct bench { /* model 0 has all fields, model 1 + i all but i */
    struct arena arena;
    struct pool *pool;
    struct serving_data data;
    bool has_data;
    struct requests requests;
    int n;
    struct graph *graph;
    struct scorer **scorer; /* NULL: it cannot be built */
    size_t rounds;
    int64_t *took; /* [n][ROUNDS], model 0 the mean of both ends */
    float *score;
    struct err *e;
};

int64_t field_cost_candidates(const struct experiment *x) {
    int64_t most = 0;
    for (int i = 0; i < x->measure.candidates.n; i++)
        if (x->measure.candidates.v[i] > most) most = x->measure.candidates.v[i];
    return most ? most : 1000;
}

static int add_model(struct bench *b, const struct experiment_variant *v, const struct features *f,
                     int without, struct err *e) {
    struct feature *kept = arena_alloc(&b->arena, ((size_t)f->n + 1) * sizeof *kept);
    if (!kept) return err_nomem(e, 0);
    struct features some = {0, kept};
    for (int i = 0; i < f->n; i++)
        if (i != without) kept[some.n++] = f->feature[i];
    struct graph *g = &b->graph[1 + without];
    TRY(some.n ? variant_build(v->variant, v->options, &some, g, e)
               : err_set(e, ERR_INPUT, "no field is left"));
    TRY(graph_alloc_params(g, 1, e));
    struct scorer_options so = scorer_defaults();
    return scorer_create(g, &b->data, &so, b->pool, &b->scorer[1 + without], e);
}

static int prepare(struct bench *b, const struct experiment *x, const struct dataset *ds,
                   const struct experiment_variant *v, const struct features *f) {
    b->n = f->n + 1;
    b->graph = arena_alloc(&b->arena, (size_t)b->n * sizeof *b->graph);
    b->scorer = arena_alloc(&b->arena, (size_t)b->n * sizeof *b->scorer);
    b->took = arena_alloc(&b->arena, (size_t)b->n * ROUNDS * sizeof *b->took);
    size_t candidates = (size_t)field_cost_candidates(x);
    b->score = arena_alloc(&b->arena, candidates * sizeof *b->score);
    if (!b->graph || !b->scorer || !b->took || !b->score) return err_nomem(b->e, 0);
    for (int i = 0; i < b->n; i++) graph_init(&b->graph[i]);
    gemm_single_threaded();
    TRY(serving_data_from_dataset(ds, &b->data, b->e));
    b->has_data = true;
    const struct spread size = spread_fixed(candidates);
    TRY(requests_draw(ds, &size, REQUESTS, 2, &b->requests, b->e));
    TRY(add_model(b, v, f, -1, b->e));
    for (int i = 0; i < f->n; i++) {
        struct err why = ERR_INIT;
        if (add_model(b, v, f, i, &why)) b->scorer[1 + i] = NULL;
    }
    return 0;
}

/* The best of some requests, after one that does not count: other work on the machine only adds. */
static int one_turn(struct bench *b, int model, size_t round, int64_t *best) {
    *best = INT64_MAX;
    for (int k = -1; k < REPEATS; k++) {
        const struct request r = requests_at(&b->requests, round * REPEATS + (size_t)(k < 0 ? 0 : k));
        int64_t start = clock_ns();
        TRY(scorer_score(b->scorer[model], &r, b->score, b->e));
        int64_t took = clock_ns() - start;
        if (k >= 0 && took < *best) *best = took;
    }
    return 0;
}

static int one_round(struct bench *b, size_t round) {
    int64_t first, last;
    TRY(one_turn(b, 0, round, &first));
    for (int i = 1; i < b->n; i++) {
        int model = round % 2 ? b->n - i : i;
        if (b->scorer[model]) TRY(one_turn(b, model, round, &b->took[(size_t)model * ROUNDS + round]));
    }
    TRY(one_turn(b, 0, round, &last));
    b->took[round] = (first + last) / 2;
    return interrupt_seen() ? err_set(b->e, ERR_INTERRUPTED, "interrupted") : 0;
}

static double whole_us(const struct bench *b) {
    int64_t took[ROUNDS];
    memcpy(took, b->took, b->rounds * sizeof *took);
    stat_sort_ns(took, b->rounds);
    return (double)stat_percentile_ns(took, b->rounds, 0.5) / 1e3;
}

static struct field_cost result(struct bench *b, int model) {
    const double none = (double)NAN;
    struct field_cost out = {none, none, none, none, none, none, none, none};
    int64_t diff[ROUNDS], lo, hi;
    if (!b->scorer[model]) return out;
    for (size_t r = 0; r < b->rounds; r++) diff[r] = b->took[r] - b->took[(size_t)model * ROUNDS + r];
    stat_sort_ns(diff, b->rounds);
    out.request_us = (double)stat_percentile_ns(diff, b->rounds, 0.5) / 1e3;
    if (stat_percentile_interval_ns(diff, b->rounds, 0.5, 0.95, &lo, &hi)) {
        out.lo_us = (double)lo / 1e3;
        out.hi_us = (double)hi / 1e3;
    }
    out.whole_us = whole_us(b);
    out.ns_per_candidate = out.request_us * 1e3 / (double)b->requests.most;
    struct scorer_cost all = scorer_cost(b->scorer[0]), without = scorer_cost(b->scorer[model]);
    out.flops_per_candidate = all.flops_per_candidate - without.flops_per_candidate;
    out.bytes_per_candidate = all.bytes_per_candidate - without.bytes_per_candidate;
    out.flops_per_request = all.flops_per_request - without.flops_per_request;
    return out;
}

static void release(struct bench *b) {
    for (int i = 0; b->scorer && i < b->n; i++) scorer_free(b->scorer[i]);
    for (int i = 0; b->graph && i < b->n; i++) graph_release(&b->graph[i]);
    requests_release(&b->requests);
    if (b->has_data && b->data.release) b->data.release(b->data.self);
    arena_release(&b->arena);
}

int field_cost_measure(const struct experiment *x, const struct dataset *ds,
                       const struct experiment_variant *v, const struct features *f, struct pool *pool,
                       struct field_cost *out, struct err *e) {
    struct err own = ERR_INIT;
    struct bench b = {.pool = pool, .e = e ? e : &own};
    int rc = prepare(&b, x, ds, v, f);
    double start = clock_seconds();
    while (!rc && b.rounds < ROUNDS && (b.rounds < ROUNDS_LEAST || clock_seconds() - start < seconds_most))
        rc = one_round(&b, b.rounds++);
    for (int i = 0; i < f->n && !rc; i++) out[i] = result(&b, 1 + i);
    release(&b);
    return rc;
}

void field_cost_shares(const struct field_cost *cost, int n, double *share) {
    double sum = 0;
    int known = 0;
    for (int i = 0; i < n; i++) {
        share[i] = fmax(cost[i].request_us, 0) * n / cost[i].whole_us;
        if (isnan(cost[i].request_us) || !(cost[i].whole_us > 0)) continue;
        sum += share[i];
        known++;
    }
    for (int i = 0; i < n; i++)
        if (isnan(cost[i].request_us) || !(cost[i].whole_us > 0)) share[i] = known ? sum / known : 1;
}
