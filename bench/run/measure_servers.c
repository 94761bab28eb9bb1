/* Who answers the requests of a point: one server with all threads, which share a request (threads over candidates), or
 * several with their part of the threads each (threads over requests). */
#include "base/progress.h"
#include "bench/run/measure_rows.h"

enum { TURNS = 5, LEAST = 8, MOST = 2000 }; /* of the comparison: turns, requests of a server in each */
static const double turn_ns = 20e6;

static int several(const struct measure_options *o, int threads) {
    int most = o->servers ? (int)o->servers : threads;
    if (most <= threads) return most;
    progress_note("measure: %d servers need as many threads; measured with %d", most, threads);
    return threads;
}

static int make_room(struct measure_servers *m, struct arena *a, struct err *e) {
    const struct measure_options *o = m->o;
    size_t n = (size_t)m->most;
    m->own = arena_alloc(a, n * sizeof *m->own);
    m->clock = arena_alloc(a, n * sizeof *m->clock);
    m->score = arena_alloc(a, n * sizeof *m->score);
    m->order = arena_alloc(a, n * sizeof *m->order);
    m->pick = arena_alloc(a, n * sizeof *m->pick);
    if (!m->own || !m->clock || !m->score || !m->order || !m->pick) return err_nomem(e, n * sizeof *m->own);
    int threads = pool_threads(m->pool) / m->most;
    for (int i = 0; i < m->most; i++) {
        m->clock[i] = clock_real();
        m->score[i] = arena_alloc(a, m->candidates * sizeof **m->score);
        m->order[i] = arena_alloc(a, m->candidates * sizeof **m->order);
        if (o->top_by == TOP_BY_SORT) m->pick[i] = arena_alloc(a, m->candidates * sizeof **m->pick);
        if (!m->score[i] || !m->order[i] || (o->top_by == TOP_BY_SORT && !m->pick[i]))
            return err_nomem(e, m->candidates * sizeof **m->pick);
        if (m->most > 1 && threads > 1) TRY(pool_create(threads, &m->own[i], e));
    }
    return 0;
}

/* Scorers that share the model `from`. */
static int share(struct measure_servers *m, struct scorer *from, const struct requests *q,
                 struct scorer ***out, struct arena *a, struct err *e) {
    struct scorer **s = *out = arena_alloc(a, (size_t)m->most * sizeof *s);
    if (!s) return err_nomem(e, (size_t)m->most * sizeof *s);
    for (int i = 0; i < m->most; i++) TRY(scorer_share(from, m->own[i], &s[i], e));
    TRY(served_split(m->o, s[0], q, m->score[0], e));
    for (int i = 1; i < m->most; i++) scorer_split(s[i], scorer_split_from(s[0]));
    return 0;
}

int measure_servers_open(const struct measure_options *o, struct pool *pool, const struct served_set *served,
                         const struct requests *q, struct measure_servers *out, struct arena *a,
                         struct err *e) {
    *out = (struct measure_servers){
        .o = o, .pool = pool, .most = several(o, pool_threads(pool)), .candidates = q->most};
    TRY(make_room(out, a, e));
    out->shared = arena_alloc(a, ((size_t)served->n + 1) * sizeof *out->shared);
    if (!out->shared) return err_nomem(e, (size_t)served->n * sizeof *out->shared);
    for (; out->n_served < served->n; out->n_served++) {
        struct scorer *s = served->v[out->n_served].scorer;
        TRY(served_split(o, s, q, out->score[0], e));
        if (out->most == 1) continue;
        int rc = share(out, s, q, &out->shared[out->n_served], a, e);
        if (rc) return out->n_served++, rc;
    }
    return 0;
}

void measure_servers_close(struct measure_servers *m) {
    for (int k = 0; m->shared && k < m->n_served; k++)
        for (int i = 0; m->shared[k] && i < m->most; i++) scorer_free(m->shared[k][i]);
    for (int i = 0; m->own && i < m->most; i++) pool_free(m->own[i]);
}

/* ---- the choice ---- */

static int set(const struct measure_servers *m, struct scorer *const *scorer, int n, struct point *p,
               struct arena *a, struct err *e) {
    struct scorer_server *v = arena_alloc(a, (size_t)n * sizeof *v);
    struct load_server *server = arena_alloc(a, (size_t)n * sizeof *server);
    if (!v || !server) return err_nomem(e, (size_t)n * sizeof *v);
    for (int i = 0; i < n; i++) {
        v[i] = (struct scorer_server){.scorer = scorer[i],
                                      .requests = p->requests,
                                      .topk = (size_t)m->o->topk,
                                      .score = m->score[i],
                                      .order = m->order[i],
                                      .pick = m->pick[i]};
        server[i] = server_scorer(&v[i]);
    }
    p->scorer = v;
    p->servers = (struct load_servers){n, server, m->clock, m->pool};
    p->round.servers = n;
    p->round.pool = m->pool;
    p->split_from = scorer_split_from(scorer[0]);
    p->threads_per_request = scorer_threads(scorer[0], p->requests->most);
    return 0;
}

/* *ns: for n requests, after a window of some that do not count. */
static int time_requests(const struct load_servers *s, size_t n, int64_t *took, double *ns, struct err *e) {
    uint64_t number = 0;
    TRY(closed_run(s, &number, LEAST, took, e));
    int64_t start = clock_ns();
    TRY(closed_run(s, &number, n, took, e));
    *ns = (double)(clock_ns() - start);
    return 0;
}

/* *better: b answers more requests a second than a, in the sum of turns A B B A. */
static int compare(const struct load_servers *a, const struct load_servers *b, bool *better, struct err *e) {
    const struct load_servers *const side[] = {a, b};
    const size_t least = LEAST * (size_t)b->n;
    double sum[2] = {0, 0}, ns = 1;
    int64_t *took = mem_alloc((least + MOST) * sizeof *took);
    int rc = took ? time_requests(a, least, took, &ns, e) : err_nomem(e, (least + MOST) * sizeof *took);
    double want = rc ? 0 : turn_ns * (double)least / ns;
    size_t n = want < (double)least ? least : want > MOST ? least + MOST : (size_t)want;
    if (n > least + MOST) n = least + MOST;
    for (int i = 0; !rc && i < 2 * TURNS; i++) {
        int k = (i & 1) ^ (i / 2 & 1);
        rc = time_requests(side[k], n, took, &ns, e);
        sum[k] += ns;
    }
    mem_free(took);
    *better = sum[1] < sum[0];
    return rc;
}

int measure_servers_choose(struct measure_servers *m, const struct served_set *served, int i, struct point *p,
                           struct arena *a, struct err *e) {
    struct scorer *const *all = &served->v[i].scorer;
    if (m->most == 1) return set(m, all, 1, p, a, e);
    if (m->o->servers > 1) return set(m, m->shared[i], m->most, p, a, e);
    bool better;
    TRY(set(m, m->shared[i], m->most, p, a, e));
    struct load_servers over_requests = p->servers;
    struct point other = *p;
    TRY(set(m, all, 1, &other, a, e));
    TRY(compare(&other.servers, &over_requests, &better, e));
    return better ? 0 : set(m, all, 1, p, a, e);
}
