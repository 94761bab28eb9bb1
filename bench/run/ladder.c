#include "bench/run/ladder.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/str.h"
#include "bench/load/server.h"
#include "bench/results.h"
#include "bench/run/precision.h"
#include "bench/run/requests.h"
#include "bench/run/rounds.h"
#include "bench/run/served.h"
#include "metrics/stats.h"
#include "nn/vec.h"
#include <math.h>

enum { USER_CACHE = 4096, CHECKED = 8 };
static const double confidence = 0.95;

/* In the order they are added; each has those before it, but `threads over requests` is instead of the step before it, and a
 * precision has no other precision. */
enum rank {
    CUT,
    SPLIT,
    TABLES,
    BY_COLUMN,
    FUSED,
    SKIPPING,
    MEASURED,
    CACHED,
    SELECTED,
    OVER_CANDIDATES,
    OVER_REQUESTS,
    BF16,
    FP16,
    INT8,
    STEPS
};
static const char *const names[STEPS] = {[CUT] = "cut graph",
                                         [SPLIT] = "item partial products",
                                         [TABLES] = "tables of pair products",
                                         [BY_COLUMN] = "pair features by column",
                                         [FUSED] = "fused blocks",
                                         [SKIPPING] = "zeros skipped",
                                         [MEASURED] = "tables by measured cost",
                                         [CACHED] = "users cached",
                                         [SELECTED] = "top-k by selection",
                                         [OVER_CANDIDATES] = "threads over candidates",
                                         [OVER_REQUESTS] = "threads over requests",
                                         [BF16] = "bf16",
                                         [FP16] = "fp16",
                                         [INT8] = "int8"};

static bool over_candidates(enum rank r) { return r >= OVER_CANDIDATES && r != OVER_REQUESTS; }

static enum precision precision_of(enum rank r) {
    return r == BF16   ? PRECISION_BF16
           : r == FP16 ? PRECISION_FP16
           : r == INT8 ? PRECISION_INT8
                       : PRECISION_FP32;
}

struct server { /* one scorer with what it writes to */
    struct serving_data data;
    struct scorer_server scorer;
    uint64_t counted, hits;
};

struct rung { /* a model with a number of steps, on requests of one size */
    enum rank rank;
    int model; /* of the ladder */
    const struct requests *requests;
    struct server *server; /* [n_servers]: the first has the model, which the others share */
    int n_servers;
    struct round_point round;
};

struct model {
    const struct sweep_run *run;
    struct graph graph;
    double gauc[STEPS]; /* as served with them; NaN: the step is left out */
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

/* ---- answering ---- */

static int ask(void *ctx, int point, int server, uint64_t number, bool counts, int64_t *took_ns,
               struct err *e) {
    struct ladder *l = ctx;
    struct server *v = &l->rung[point].server[server];
    const struct load_server to = server_scorer(&v->scorer);
    uint64_t before = v->scorer.user_hits;
    int64_t start = clock_ns();
    TRY(to.answer(to.self, number, e));
    *took_ns = clock_ns() - start;
    if (!counts) return 0;
    v->counted++;
    v->hits += v->scorer.user_hits - before;
    return 0;
}

/* ---- making ---- */

static void server_release(struct server *v) {
    scorer_free(v->scorer.scorer);
    if (v->data.release) v->data.release(v->data.self);
    *v = (struct server){0};
}

static void servers_release(struct rung *g) {
    for (int i = g->n_servers - 1; i >= 0; i--) server_release(&g->server[i]);
}

static struct measure_options measure_of(const struct ladder *l, enum rank r) {
    struct measure_options m = l->s->x->measure;
    m.split_layers = r >= SPLIT;
    m.tables = r >= MEASURED ? TABLES_AUTO : r >= TABLES ? TABLES_ALL : TABLES_NONE;
    m.by_column = r >= BY_COLUMN;
    m.fuse = r >= FUSED;
    m.skip_zeros = r >= SKIPPING;
    m.user_cache = r >= CACHED ? USER_CACHE : 0;
    m.top_by = r >= SELECTED ? TOP_BY_SELECTION : TOP_BY_SORT;
    return m;
}

static struct scorer_options options_of(const struct ladder *l, enum rank r) {
    const struct measure_options m = measure_of(l, r);
    struct scorer_options o = served_options(l->s, &m, true);
    o.precision = precision_of(r);
    o.sample = &l->sample.rows;
    return o;
}

static int make_room(struct ladder *l, const struct rung *g, struct scorer_server *v, struct err *e) {
    size_t most = g->requests->most;
    *v = (struct scorer_server){.requests = g->requests, .topk = (size_t)l->s->x->measure.topk};
    v->score = arena_alloc(&l->arena, most * sizeof *v->score);
    v->order = arena_alloc(&l->arena, most * sizeof *v->order);
    bool sorts = g->rank < SELECTED;
    if (sorts) v->pick = arena_alloc(&l->arena, most * sizeof *v->pick);
    bool none = !v->score || !v->order || (sorts && !v->pick);
    return none ? err_nomem(e, most * sizeof *v->pick) : 0;
}

/* ERR_INPUT with a precision: perhaps refused. */
static int make_server(struct ladder *l, const struct rung *g, struct server *v, struct err *e) {
    const struct measure_options m = measure_of(l, g->rank);
    const struct scorer_options o = options_of(l, g->rank);
    TRY(make_room(l, g, &v->scorer, e));
    if (v != g->server) return scorer_share(g->server->scorer.scorer, NULL, &v->scorer.scorer, e);
    TRY(served_data(l->s, &m, &v->data, e));
    return scorer_create(&l->model[g->model].graph, &v->data, &o, over_candidates(g->rank) ? l->pool : NULL,
                         &v->scorer.scorer, e);
}

static int add_rung(struct ladder *l, int model, enum rank rank, const struct requests *requests) {
    struct rung *g = &l->rung[l->n_rungs];
    struct err refused = ERR_INIT;
    int threads = pool_threads(l->pool);
    *g = (struct rung){.rank = rank, .model = model, .requests = requests};
    g->round.name = names[rank];
    g->n_servers = rank == OVER_REQUESTS ? threads : 1;
    g->round.servers = g->n_servers;
    g->round.pool = l->pool;
    if (rank == OVER_REQUESTS && threads == 1) return 0;
    if (!(g->server = arena_alloc(&l->arena, (size_t)g->n_servers * sizeof *g->server)))
        return err_nomem(l->e, sizeof *g->server);
    int rc = 0;
    for (int i = 0; i < g->n_servers && !rc; i++) rc = make_server(l, g, &g->server[i], &refused);
    if (!rc) {
        l->point[l->n_rungs++] = &g->round;
        return 0;
    }
    servers_release(g);
    if (precision_of(rank) == PRECISION_FP32) return *l->e = refused, rc;
    progress_note("ladder: %s: %s", l->model[model].run->id, refused.msg);
    return 0;
}

/* Of the rung that was added last. */
static int judge(struct ladder *l) {
    const struct rung *g = &l->rung[l->n_rungs - 1];
    struct model *m = &l->model[g->model];
    const struct measure_options measure = measure_of(l, g->rank);
    const struct scorer_options o = options_of(l, g->rank);
    return precision_gauc(l->s, &measure, &m->graph, g->server->scorer.scorer, &o,
                          over_candidates(g->rank) ? l->pool : NULL, &m->gauc[g->rank], l->e);
}

static int add_model(struct ladder *l, const struct sweep_run *r) {
    int at = l->n_models++;
    struct model *m = &l->model[at];
    m->run = r;
    TRY(served_load(l->s, r, &m->graph, l->e));
    for (int i = 0; i < STEPS; i++) m->gauc[i] = (double)NAN;
    for (int k = 0; k < l->n_sizes; k++)
        for (int i = 0; i < STEPS; i++) {
            int before = l->n_rungs;
            TRY(add_rung(l, at, (enum rank)i, &l->requests[k]));
            if (!k && l->n_rungs > before) TRY(judge(l)); /* quality knows no number of candidates */
        }
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
        struct scorer_server *v = &a->server->scorer, *w = &b->server->scorer;
        TRY(scorer_score(v->scorer, &r, v->score, l->e));
        TRY(scorer_score(w->scorer, &r, w->score, l->e));
        for (size_t i = 0; i < r.n; i++) *out = fmax(*out, fabs((double)v->score[i] - (double)w->score[i]));
    }
    return 0;
}

static double at_percentile(const struct rung *g, double q) {
    int64_t lo, hi;
    const struct samples *t = &g->round.got;
    if (!stat_percentile_interval_ns(t->v, t->n, q, confidence, &lo, &hi)) return (double)NAN;
    return (double)stat_percentile_ns(t->v, t->n, q) / 1e3;
}

static double floor_of(const struct ladder *l, const struct rung *g) {
    const struct scorer_cost cost = scorer_cost(g->server->scorer.scorer);
    return served_floor_us(&cost, (double)g->requests->most, g->rank >= CACHED, l->machine);
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
    csv_int(&c, g->rank);
    csv_text(&c, names[g->rank]);
    csv_text(&c, precision_names[precision_of(g->rank)]);
    csv_int(&c, g->rank >= OVER_CANDIDATES ? pool_threads(l->pool) : 1);
    csv_int(&c, g->n_servers);
    csv_int(&c, (int64_t)counted);
    csv_num(&c, p50);
    csv_num(&c, at_percentile(g, 0.99));
    csv_num(&c, rounds_qps(&g->round));
    csv_num(&c, at_percentile(first, 0.5) / p50);
    csv_num(&c, m->gauc[g->rank]);
    csv_num(&c, m->gauc[g->rank] - m->gauc[0]);
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
