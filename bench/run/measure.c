#include "bench/run/measure.h"
#include "base/progress.h"
#include "bench/run/measure_rows.h"
#include "bench/run/requests.h"
#include "bench/run/served.h"
#include "nn/vec.h"
#include <string.h>

struct measure {
    const struct sweep *s;
    const struct measure_options *o;
    struct pool *pool;
    struct arena arena;
    struct serving_data data;
    bool has_data;
    struct served_set served;
    int n_requests;
    struct requests *requests; /* one for each number of candidates */
    const char **spread;       /* of each; "" for a fixed number */
    int n_points;
    struct point *point;
    struct measure_servers servers;
    struct measured_list rows;
    struct measure_options one_server; /* turn by turn: what is compared is one request's time */
    struct err *e;
};

static const uint64_t request_seed = 1;
enum { REQUEST_BYTES_MAX = 256 << 20 }; /* of one number of candidates; requests repeat from there on */

static int draw(struct measure *m, const struct spread *size, const char *text) {
    size_t room = (size_t)(REQUEST_BYTES_MAX / (spread_mean(size) * sizeof(uint32_t))),
           want = (size_t)m->o->requests;
    if (want > room) want = room ? room : 1;
    m->spread[m->n_requests] = text;
    return requests_draw(m->s->ds, size, want, request_seed, &m->requests[m->n_requests++], m->e);
}

static int draw_requests(struct measure *m) {
    size_t n = (size_t)m->o->candidates.n + 1;
    m->requests = arena_alloc(&m->arena, n * sizeof *m->requests);
    m->spread = arena_alloc(&m->arena, n * sizeof *m->spread);
    if (!m->requests || !m->spread) return err_nomem(m->e, n * sizeof *m->requests);
    for (int k = 0; k < m->o->candidates.n; k++) {
        const struct spread size = spread_fixed((size_t)m->o->candidates.v[k]);
        TRY(draw(m, &size, ""));
    }
    if (*m->o->candidates_from) {
        struct spread size;
        TRY(spread_read(m->o->candidates_from, &size, m->e));
        TRY(draw(m, &size, m->o->candidates_from));
    }
    return 0;
}

static const struct requests *largest(const struct measure *m) {
    const struct requests *q = m->requests;
    for (int k = 1; k < m->n_requests; k++)
        if (m->requests[k].most > q->most) q = &m->requests[k];
    return q;
}

static int add_point(struct measure *m, int served, int requests) {
    const struct served *v = &m->served.v[served];
    const struct sweep_model *model = &m->s->model[v->model];
    struct point *p = &m->point[m->n_points++];
    *p = (struct point){.variant = model->variant->id,
                        .features = model->subset->name,
                        .precision = v->precision,
                        .store = v->store,
                        .spread = m->spread[requests],
                        .requests = &m->requests[requests],
                        .threads = pool_threads(m->pool),
                        .cost = scorer_cost(v->scorer),
                        .caches_users = m->o->user_cache > 0};
    TRY(measure_servers_choose(&m->servers, &m->served, served, p, &m->arena, m->e));
    p->round.name = p->variant;
    return interrupt_seen() ? err_set(m->e, ERR_INTERRUPTED, "interrupted") : 0;
}

static int add_points(struct measure *m) {
    size_t most = (size_t)m->served.n * (size_t)m->n_requests + 1;
    m->point = arena_alloc(&m->arena, most * sizeof *m->point);
    if (!m->point) return err_nomem(m->e, most * sizeof *m->point);
    for (int i = 0; i < m->served.n; i++)
        for (int k = 0; k < m->n_requests; k++) TRY(add_point(m, i, k));
    return 0;
}

/* ---- the closed loop ---- */

static int ask(void *ctx, int point, int server, uint64_t number, bool counts, int64_t *took_ns,
               struct err *e) {
    struct measure *m = ctx;
    struct point *p = &m->point[point];
    TRY(closed_one(&p->servers.server[server], &p->servers.clock[server], number, took_ns, e));
    size_t missing = counts ? scorer_missing(p->scorer[server].scorer) : 0;
    if (missing) atomic_fetch_add(&p->missing, missing);
    return 0;
}

static int run_closed(struct measure *m) {
    struct round_point **p = arena_alloc(&m->arena, ((size_t)m->n_points + 1) * sizeof *p);
    if (!p) return err_nomem(m->e, (size_t)m->n_points * sizeof *p);
    for (int i = 0; i < m->n_points; i++) p[i] = &m->point[i].round;
    struct rounds r = {
        .title = "measuring", .o = rounds_of(m->o), .point = p, .n = m->n_points, .ask = ask, .ctx = m};
    TRY(rounds_run(&r, m->e));
    for (int i = 0; i < m->n_points; i++) {
        struct point *q = &m->point[i];
        q->cost = scorer_cost(q->scorer[0].scorer);
        TRY(measured_closed(&m->rows, q, m->o->limit_ms, m->e));
    }
    return 0;
}

/* Models that are listed under a second name have their rows there, too. */
static int add_names(struct measure *m) {
    for (int k = 0; k < m->s->n_models; k++) {
        const struct sweep_model *model = &m->s->model[k];
        if (model->same_as < 0 || !model->listed) continue;
        for (int i = 0; i < m->n_points; i++) {
            const struct point *p = &m->point[i];
            if (p->variant != model->variant->id || p->features != m->s->model[model->same_as].subset->name)
                continue;
            struct point *again = arena_alloc(&m->arena, sizeof *again);
            if (!again) return err_nomem(m->e, sizeof *again);
            *again = *p;
            again->features = model->subset->name;
            TRY(measured_again(&m->rows, p, again, m->e));
        }
    }
    return 0;
}

static int prepare(struct measure *m) {
    gemm_single_threaded();
    TRY(served_data(m->s, m->o, &m->data, m->e));
    m->has_data = true;
    TRY(served_open(m->s, &m->data, m->pool, &m->served, m->e));
    TRY(draw_requests(m));
    TRY(measure_servers_open(m->o, m->pool, &m->served, largest(m), &m->servers, &m->arena, m->e));
    return add_points(m);
}

static void release(struct measure *m) {
    for (int i = 0; i < m->n_points; i++) samples_release(&m->point[i].round.got);
    measured_release(&m->rows);
    for (int k = 0; k < m->n_requests; k++) requests_release(&m->requests[k]);
    measure_servers_close(&m->servers);
    served_release(&m->served);
    if (m->has_data && m->data.release) m->data.release(m->data.self);
    arena_release(&m->arena);
}

int measure_run(const struct sweep *s, const struct machine *machine, struct pool *pool, struct err *e) {
    struct err own = ERR_INIT;
    struct measure m = {.s = s, .o = &s->x->measure, .pool = pool, .e = e ? e : &own};
    int rc = m.o->candidates.n ? prepare(&m) : 0; /* nothing to measure: tables without rows */
    if (!rc && m.served.n) rc = served_write_tables(&m.served, m.e);
    if (!rc) rc = run_closed(&m);
    if (!rc) rc = measure_open_loads(m.point, m.n_points, m.o, &m.rows, m.e);
    if (!rc) rc = add_names(&m);
    if (!rc) rc = measure_write(s->dir, &m.rows, machine, m.e);
    release(&m);
    return rc;
}

/* ---- turn by turn ---- */

int measure_open(const struct sweep *s, struct pool *pool, struct measure **out, struct err *e) {
    struct measure *m = mem_calloc(1, sizeof *m);
    *out = NULL;
    if (!m) return err_nomem(e, sizeof *m);
    *m = (struct measure){.s = s, .o = &m->one_server, .pool = pool, .e = e, .one_server = s->x->measure};
    m->one_server.servers = 1;
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
    uint64_t *number = &m->point[point].round.number;
    for (int64_t i = 0; i < m->o->warmup; i++) TRY(ask(m, point, 0, (*number)++, false, &ignored, e));
    for (size_t i = 0; i < n; i++) TRY(ask(m, point, 0, (*number)++, true, &took_ns[i], e));
    return 0;
}

void measure_close(struct measure *m) {
    if (!m) return;
    release(m);
    mem_free(m);
}
