#include "bench/run/ladder.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/str.h"
#include "bench/results.h"
#include "bench/run/precision.h"
#include "bench/run/requests.h"
#include "bench/run/rounds.h"
#include "bench/run/served.h"
#include "metrics/stats.h"
#include "nn/vec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { USER_CACHE = 4096, CHECKED = 8 };
static const double confidence = 0.95;

/* In the order they are added; each has those before it, but a precision has no other precision. */
static const struct step {
    const char *name;
    bool split, tables, columns, fuse, measured, cache, select, threads, concurrent;
    enum precision precision;
} steps[] = {
    {"cut graph", false, false, false, false, false, false, false, false, false, PRECISION_FP32},
    {"item partial products", true, false, false, false, false, false, false, false, false, PRECISION_FP32},
    {"tables of pair products", true, true, false, false, false, false, false, false, false, PRECISION_FP32},
    {"pair features by column", true, true, true, false, false, false, false, false, false, PRECISION_FP32},
    {"fused blocks", true, true, true, true, false, false, false, false, false, PRECISION_FP32},
    {"tables by measured cost", true, true, true, true, true, false, false, false, false, PRECISION_FP32},
    {"users cached", true, true, true, true, true, true, false, false, false, PRECISION_FP32},
    {"top-k by selection", true, true, true, true, true, true, true, false, false, PRECISION_FP32},
    {"threads over candidates", true, true, true, true, true, true, true, true, false, PRECISION_FP32},
    {"threads over requests", true, true, true, true, true, true, true, false, true, PRECISION_FP32},
    {"bf16", true, true, true, true, true, true, true, true, false, PRECISION_BF16},
    {"fp16", true, true, true, true, true, true, true, true, false, PRECISION_FP16},
    {"int8", true, true, true, true, true, true, true, true, false, PRECISION_INT8},
};
enum { STEPS = sizeof steps / sizeof *steps };

struct pick { /* one candidate, for sorting */
    float score;
    uint32_t at;
};

struct server {                     /* one scorer with what it writes to */
    struct serving_data data, rows; /* rows: the same, candidate by candidate */
    struct scorer *scorer;
    float *score;
    uint32_t *order;
    struct pick *pick;
    uint64_t counted, hits;
};

struct rung { /* a model with a number of steps, on requests of one size */
    const struct step *step;
    int model; /* of the ladder */
    const struct requests *requests;
    struct server *server; /* [n_servers]: the first has the model, which the others share */
    int n_servers;
    struct round_point round;
};

struct model {
    const struct sweep_run *run;
    struct graph graph;
    double gauc[PRECISION_INT8 + 1];
};

struct ladder {
    const struct sweep *s;
    const struct machine *machine;
    struct pool *pool;
    struct arena arena;
    struct precision_sample sample;
    struct requests *requests; /* [n_sizes] */
    int n_sizes, n_models, n_rungs;
    struct model *model;
    struct rung *rung;
    struct round_point **point;
    FILE *f;
    struct err *e;
};

/* ---- pair features one candidate at a time: what "by column" is measured against ---- */

static int pair_by_row(void *self, const char *name, uint32_t user, const uint32_t *items, size_t n,
                       uint32_t *ids, struct err *e) {
    const struct serving_data *d = self;
    for (size_t i = 0; i < n; i++) TRY(d->pair(d->self, name, user, items + i, 1, ids + i, e));
    return 0;
}
static int pair_at_by_row(void *self, const char *name, uint64_t moment, const uint32_t *items, size_t n,
                          uint32_t *ids, struct err *e) {
    const struct serving_data *d = self;
    for (size_t i = 0; i < n; i++) TRY(d->pair_at(d->self, name, moment, items + i, 1, ids + i, e));
    return 0;
}
static int user_through(void *self, const char *name, uint32_t user, struct batch_column *out,
                        struct err *e) {
    const struct serving_data *d = self;
    return d->user(d->self, name, user, out, e);
}
static int user_at_through(void *self, const char *name, uint64_t moment, struct batch_column *out,
                           struct err *e) {
    const struct serving_data *d = self;
    return d->user_at(d->self, name, moment, out, e);
}
static int item_through(void *self, const char *name, uint32_t first, size_t n, struct batch_column *out,
                        struct err *e) {
    const struct serving_data *d = self;
    return d->item(d->self, name, first, n, out, e);
}

/* ---- answering ---- */

static int best_first(const void *a, const void *b) {
    const struct pick *p = a, *q = b;
    if (p->score != q->score) return p->score < q->score ? 1 : -1;
    return (p->at > q->at) - (p->at < q->at);
}

static int answer(const struct ladder *l, const struct step *step, struct server *v, const struct request *r,
                  struct err *e) {
    size_t topk = (size_t)l->s->x->measure.topk;
    TRY(scorer_score(v->scorer, r, v->score, e));
    if (step->select) {
        scorer_top(v->score, r->n, topk < r->n ? topk : r->n, v->order);
        return 0;
    }
    for (size_t i = 0; i < r->n; i++) v->pick[i] = (struct pick){v->score[i], (uint32_t)i};
    qsort(v->pick, r->n, sizeof *v->pick, best_first);
    for (size_t i = 0; i < r->n && i < topk; i++) v->order[i] = v->pick[i].at;
    return 0;
}

static int ask(void *ctx, int point, int server, uint64_t number, bool counts, int64_t *took_ns,
               struct err *e) {
    struct ladder *l = ctx;
    const struct rung *g = &l->rung[point];
    struct server *v = &g->server[server];
    const struct request r = requests_at(g->requests, number);
    uint64_t before = scorer_user_hits(v->scorer);
    int64_t start = clock_ns();
    TRY(answer(l, g->step, v, &r, e));
    *took_ns = clock_ns() - start;
    if (!counts) return 0;
    v->counted++;
    v->hits += scorer_user_hits(v->scorer) - before;
    return 0;
}

/* ---- making ---- */

static void server_release(struct server *v) {
    scorer_free(v->scorer);
    if (v->data.release) v->data.release(v->data.self);
    *v = (struct server){0};
}

static void servers_release(struct rung *g) {
    for (int i = g->n_servers - 1; i >= 0; i--) server_release(&g->server[i]);
}

/* ERR_INPUT with a precision: perhaps refused. */
static int make_server(struct ladder *l, const struct rung *g, struct server *v, struct err *e) {
    const struct step *step = g->step;
    struct scorer_options o = served_options(l->s, true);
    size_t most = g->requests->most;
    v->score = arena_alloc(&l->arena, most * sizeof *v->score);
    v->order = arena_alloc(&l->arena, most * sizeof *v->order);
    v->pick = arena_alloc(&l->arena, most * sizeof *v->pick);
    if (!v->score || !v->order || !v->pick) return err_nomem(e, most * sizeof *v->pick);
    if (v != g->server) return scorer_share(g->server->scorer, NULL, &v->scorer, e);
    TRY(serving_data_from_dataset(l->s->ds, &v->data, e));
    v->rows = v->data;
    v->rows.share = NULL;
    v->rows.self = &v->data;
    v->rows.user = user_through;
    v->rows.user_at = user_at_through;
    v->rows.item = item_through;
    v->rows.pair = pair_by_row;
    v->rows.pair_at = pair_at_by_row;
    o.passes.split = step->split;
    o.tables = step->measured ? TABLES_AUTO : step->tables ? TABLES_ALL : TABLES_NONE;
    o.fuse = step->fuse;
    o.user_cache = step->cache ? USER_CACHE : 0;
    o.precision = step->precision;
    o.sample = &l->sample.rows;
    return scorer_create(&l->model[g->model].graph, step->columns ? &v->data : &v->rows, &o,
                         step->threads ? l->pool : NULL, &v->scorer, e);
}

static int add_rung(struct ladder *l, int model, const struct step *step, const struct requests *requests) {
    struct rung *g = &l->rung[l->n_rungs];
    struct err refused = ERR_INIT;
    int threads = pool_threads(l->pool);
    *g = (struct rung){.step = step, .model = model, .requests = requests};
    g->round.name = step->name;
    g->n_servers = step->concurrent ? threads : 1;
    g->round.servers = g->n_servers;
    g->round.pool = l->pool;
    if (step->concurrent && threads == 1) return 0;
    if (!(g->server = arena_alloc(&l->arena, (size_t)g->n_servers * sizeof *g->server)))
        return err_nomem(l->e, sizeof *g->server);
    int rc = 0;
    for (int i = 0; i < g->n_servers && !rc; i++) rc = make_server(l, g, &g->server[i], &refused);
    if (!rc) {
        l->point[l->n_rungs++] = &g->round;
        return 0;
    }
    servers_release(g);
    if (step->precision == PRECISION_FP32) return *l->e = refused, rc;
    progress_note("ladder: %s: %s", l->model[model].run->id, refused.msg);
    return 0;
}

static int add_model(struct ladder *l, const struct sweep_run *r) {
    int at = l->n_models++;
    struct model *m = &l->model[at];
    m->run = r;
    TRY(served_load(l->s, r, &m->graph, l->e));
    for (int p = PRECISION_FP32; p <= PRECISION_INT8; p++)
        TRY(precision_gauc(l->s, r, &m->graph, (enum precision)p, l->pool, &m->gauc[p], l->e));
    for (int k = 0; k < l->n_sizes; k++)
        for (int i = 0; i < STEPS; i++) TRY(add_rung(l, at, &steps[i], &l->requests[k]));
    return 0;
}

static int make(struct ladder *l) {
    const struct measure_options *o = &l->s->x->measure;
    size_t models = (size_t)l->s->n_models + 1, sizes = (size_t)o->candidates.n + 1;
    l->requests = arena_alloc(&l->arena, sizes * sizeof *l->requests);
    l->model = arena_alloc(&l->arena, models * sizeof *l->model);
    l->rung = arena_alloc(&l->arena, models * sizes * STEPS * sizeof *l->rung);
    l->point = arena_alloc(&l->arena, models * sizes * STEPS * sizeof *l->point);
    if (!l->requests || !l->model || !l->rung || !l->point) return err_nomem(l->e, models * sizes);
    TRY(precision_sample(l->s->ds, &l->sample, l->e));
    for (int k = 0; k < o->candidates.n; k++) {
        const struct spread size = spread_fixed((size_t)o->candidates.v[k]);
        TRY(requests_draw(l->s->ds, &size, (size_t)o->requests, 1, &l->requests[l->n_sizes++], l->e));
    }
    for (int i = 0; i < l->s->n_models; i++) {
        const struct sweep_run *r = served_run(l->s, i);
        if (r && add_model(l, r)) return err_prefix(l->e, "ladder of %s", r->id);
    }
    return 0;
}

/* ---- rows ---- */

static const struct rung *first_of(const struct ladder *l, const struct rung *g) {
    for (int i = 0; i < l->n_rungs; i++)
        if (l->rung[i].model == g->model && l->rung[i].requests == g->requests) return &l->rung[i];
    return g;
}

/* Largest distance of scores of the first requests. */
static int score_difference(struct ladder *l, const struct rung *a, const struct rung *b, double *out) {
    *out = 0;
    for (uint64_t k = 0; k < CHECKED; k++) {
        const struct request r = requests_at(a->requests, k);
        TRY(scorer_score(a->server->scorer, &r, a->server->score, l->e));
        TRY(scorer_score(b->server->scorer, &r, b->server->score, l->e));
        for (size_t i = 0; i < r.n; i++)
            *out = fmax(*out, fabs((double)a->server->score[i] - (double)b->server->score[i]));
    }
    return 0;
}

static double at_percentile(const struct rung *g, double q) {
    int64_t lo, hi;
    const struct samples *t = &g->round.got;
    if (!stat_percentile_interval_ns(t->v, t->n, q, confidence, &lo, &hi)) return (double)NAN;
    return (double)stat_percentile_ns(t->v, t->n, q) / 1e3;
}

/* Of a request whose user is cached, where there is a cache: the pair stage's work on the candidates alone. */
static double floor_of(const struct ladder *l, const struct rung *g) {
    struct scorer_cost cost = scorer_cost(g->server->scorer);
    if (g->step->cache) cost.flops_per_request = cost.weight_bytes = 0;
    return served_floor_us(&cost, (double)g->requests->most, l->machine);
}

static int row(struct ladder *l, const struct rung *g) {
    const struct model *m = &l->model[g->model];
    const struct sweep_model *sm = &l->s->model[m->run->model];
    const struct rung *first = first_of(l, g);
    double differs, p50 = at_percentile(g, 0.5), counted = 0, hits = 0;
    for (int i = 0; i < g->n_servers; i++) {
        counted += (double)g->server[i].counted;
        hits += (double)g->server[i].hits;
    }
    TRY(score_difference(l, g, first, &differs));
    struct csv_line c = {.f = l->f};
    csv_text(&c, sm->variant->id);
    csv_text(&c, sm->subset->name);
    csv_int(&c, (int64_t)g->requests->most);
    csv_int(&c, g->step - steps);
    csv_text(&c, g->step->name);
    csv_text(&c, precision_names[g->step->precision]);
    csv_int(&c, g->step->threads || g->step->concurrent ? pool_threads(l->pool) : 1);
    csv_int(&c, g->n_servers);
    csv_int(&c, (int64_t)counted);
    csv_num(&c, p50);
    csv_num(&c, at_percentile(g, 0.99));
    csv_num(&c, rounds_qps(&g->round));
    csv_num(&c, at_percentile(first, 0.5) / p50);
    csv_num(&c, m->gauc[g->step->precision]);
    csv_num(&c, m->gauc[g->step->precision] - m->gauc[PRECISION_FP32]);
    csv_num(&c, differs);
    csv_num(&c, hits / counted);
    csv_num(&c, floor_of(l, g));
    csv_end(&c);
    return 0;
}

static int write_rows(struct ladder *l) {
    char path[1024];
    struct file_out o;
    for (int i = 0; i < l->n_rungs; i++) stat_sort_ns(l->rung[i].round.got.v, l->rung[i].round.got.n);
    TRY(file_join(path, sizeof path, l->s->dir, "ladder.csv", l->e));
    TRY(file_begin(&o, path, l->e));
    l->f = o.f;
    fprintf(o.f, "%s\n", RESULTS_LADDER_COLUMNS);
    for (int i = 0; i < l->n_rungs; i++) {
        int rc = row(l, &l->rung[i]);
        if (rc) {
            file_abort(&o);
            return rc;
        }
    }
    return file_commit(&o, l->e);
}

static void release(struct ladder *l) {
    for (int i = 0; i < l->n_rungs; i++) {
        servers_release(&l->rung[i]);
        samples_release(&l->rung[i].round.got);
    }
    for (int i = 0; i < l->n_models; i++) graph_release(&l->model[i].graph);
    for (int k = 0; k < l->n_sizes; k++) requests_release(&l->requests[k]);
    precision_sample_release(&l->sample);
    arena_release(&l->arena);
}

int ladder_run(const struct sweep *s, const struct machine *m, struct pool *pool, struct err *e) {
    struct err own = ERR_INIT;
    struct ladder l = {.s = s, .machine = m, .pool = pool, .e = e ? e : &own};
    gemm_single_threaded();
    int rc = make(&l);
    struct rounds r = {.title = "ladder",
                       .o = rounds_of(&s->x->measure),
                       .point = l.point,
                       .n = l.n_rungs,
                       .ask = ask,
                       .ctx = &l};
    if (!rc) rc = rounds_run(&r, l.e);
    if (!rc) rc = write_rows(&l);
    release(&l);
    return rc;
}
