#include "bench/run/measure.h"
#include "base/progress.h"
#include "bench/run/measure_rows.h"
#include "bench/run/requests.h"
#include "bench/run/rounds.h"
#include "bench/run/served.h"
#include "nn/vec.h"
#include <string.h>

struct measure {
    const struct sweep *s;
    const struct measure_options *o;
    const struct machine *machine;
    struct pool *pool;
    struct arena arena;
    struct serving_data data;
    bool has_data;
    struct served_set served;
    struct requests *requests; /* one for each number of candidates */
    int n_points;
    struct point *point;
    struct round_point **round; /* [n_points]: those of the points */
    struct scorer **scorer;     /* [n_points] */
    float *score;
    uint32_t *order;
    struct err *e;
};

static const uint64_t request_seed = 1;
enum { REQUEST_BYTES_MAX = 256 << 20 }; /* of one number of candidates; requests repeat from there on */

static int draw_requests(struct measure *m) {
    int n = m->o->candidates.n;
    size_t most = 0;
    m->requests = arena_alloc(&m->arena, (size_t)n * sizeof *m->requests);
    if (!m->requests) return err_nomem(m->e, 0);
    for (int k = 0; k < n; k++) {
        size_t candidates = (size_t)m->o->candidates.v[k];
        size_t room = REQUEST_BYTES_MAX / (candidates * sizeof(uint32_t)), want = (size_t)m->o->requests;
        if (candidates > most) most = candidates;
        if (want > room) want = room ? room : 1;
        TRY(requests_draw(m->s->ds, candidates, want, request_seed, &m->requests[k], m->e));
    }
    m->score = arena_alloc(&m->arena, most * sizeof *m->score);
    m->order = arena_alloc(&m->arena, most * sizeof *m->order);
    return m->score && m->order ? 0 : err_nomem(m->e, most * sizeof *m->score);
}

static int add_points(struct measure *m) {
    size_t most = (size_t)m->served.n * (size_t)m->o->candidates.n + 1;
    m->point = arena_alloc(&m->arena, most * sizeof *m->point);
    m->scorer = arena_alloc(&m->arena, most * sizeof *m->scorer);
    m->round = arena_alloc(&m->arena, most * sizeof *m->round);
    if (!m->point || !m->scorer || !m->round) return err_nomem(m->e, most * sizeof *m->point);
    for (int i = 0; i < m->served.n; i++) {
        const struct served *v = &m->served.v[i];
        const struct sweep_model *model = &m->s->model[v->model];
        for (int k = 0; k < m->o->candidates.n; k++) {
            struct point *p = &m->point[m->n_points];
            *p = (struct point){.variant = model->variant->id,
                                .features = model->subset->name,
                                .precision = v->precision,
                                .store = v->store,
                                .candidates = (size_t)m->o->candidates.v[k],
                                .requests = &m->requests[k],
                                .threads = pool_threads(m->pool),
                                .cost = scorer_cost(v->scorer)};
            p->round.name = p->variant;
            m->round[m->n_points] = &p->round;
            m->scorer[m->n_points++] = v->scorer;
        }
    }
    return 0;
}

/* ---- the loop ---- */

static int ask(void *ctx, int point, bool counts, int64_t *took_ns, struct err *e) {
    struct measure *m = ctx;
    struct point *p = &m->point[point];
    const struct request r = requests_at(p->requests, p->at++);
    size_t k = (size_t)m->o->topk;
    int64_t start = clock_ns();
    int rc = scorer_score(m->scorer[point], &r, m->score, e);
    scorer_top(m->score, r.n, k < r.n ? k : r.n, m->order);
    *took_ns = clock_ns() - start;
    if (counts) p->missing += scorer_missing(m->scorer[point]);
    return rc;
}

static int run_points(struct measure *m) {
    struct rounds r = {.title = "measuring",
                       .o = rounds_of(m->o),
                       .point = m->round,
                       .n = m->n_points,
                       .ask = ask,
                       .ctx = m};
    return rounds_run(&r, m->e);
}

static int prepare(struct measure *m) {
    gemm_single_threaded();
    TRY(serving_data_from_dataset(m->s->ds, &m->data, m->e));
    m->has_data = true;
    TRY(served_open(m->s, &m->data, m->pool, &m->served, m->e));
    TRY(draw_requests(m));
    return add_points(m);
}

static void release(struct measure *m) {
    for (int i = 0; i < m->n_points; i++) samples_release(&m->point[i].round.got);
    for (int k = 0; m->requests && k < m->o->candidates.n; k++) requests_release(&m->requests[k]);
    served_release(&m->served);
    if (m->has_data && m->data.release) m->data.release(m->data.self);
    arena_release(&m->arena);
}

int measure_run(const struct sweep *s, const struct machine *machine, struct pool *pool, struct err *e) {
    struct err own = ERR_INIT;
    struct measure m = {.s = s, .o = &s->x->measure, .machine = machine, .pool = pool, .e = e ? e : &own};
    int rc = m.o->candidates.n ? prepare(&m) : 0; /* nothing to measure: tables without rows */
    if (!rc) rc = run_points(&m);
    if (!rc) rc = measure_write(s->dir, m.point, m.n_points, machine, m.e);
    release(&m);
    return rc;
}

/* ---- turn by turn ---- */

int measure_open(const struct sweep *s, struct pool *pool, struct measure **out, struct err *e) {
    struct measure *m = mem_calloc(1, sizeof *m);
    *out = NULL;
    if (!m) return err_nomem(e, sizeof *m);
    *m = (struct measure){.s = s, .o = &s->x->measure, .pool = pool, .e = e};
    int rc = m->o->candidates.n ? prepare(m) : 0;
    if (rc) {
        measure_close(m);
        return rc;
    }
    *out = m;
    return 0;
}

int measure_points(const struct measure *m) { return m->n_points; }

void measure_name(const struct measure *m, int point, FILE *out) { measure_names(out, &m->point[point]); }

int measure_turn(struct measure *m, int point, size_t n, int64_t *took_ns, struct err *e) {
    int64_t ignored;
    m->e = e;
    for (int64_t i = 0; i < m->o->warmup; i++) TRY(ask(m, point, false, &ignored, e));
    for (size_t i = 0; i < n; i++) TRY(ask(m, point, true, &took_ns[i], e));
    return 0;
}

void measure_close(struct measure *m) {
    if (!m) return;
    release(m);
    mem_free(m);
}
