#include "bench/retrieval/retriever.h"
#include "base/mem.h"
#include "base/progress.h"
#include "bench/run/served.h"
#include <string.h>

/* The item set: all but number 0, unknown. */
static struct vectors items_of(const struct retriever *r) {
    size_t dim = r->towers.dim;
    return (struct vectors){r->towers.items + dim, r->towers.n_items - 1, dim};
}

static size_t most_items(const struct retrieval_options *o) {
    int64_t most = 0;
    for (int i = 0; i < o->topk.n; i++) most = o->topk.v[i] > most ? o->topk.v[i] : most;
    return (size_t)most;
}

static int make_room(struct retriever *r, struct err *e) {
    const struct judge *j = r->setup->judge;
    size_t dim = r->towers.dim, seen = 0;
    for (size_t i = 0; i < j->n; i++) seen = judge_n_seen(j, i) > seen ? judge_n_seen(j, i) : seen;
    r->room = most_items(r->setup->o) + seen;
    r->user = arena_alloc(&r->arena, dim * sizeof *r->user);
    r->score = arena_alloc(&r->arena, r->room * sizeof *r->score);
    r->list = arena_alloc(&r->arena, r->room * sizeof *r->list);
    r->exact = arena_alloc(&r->arena, (size_t)r->setup->o->topk.n * sizeof *r->exact);
    return r->user && r->score && r->list && r->exact ? 0 : err_nomem(e, r->room * sizeof *r->score);
}

/* ---- points ---- */

static void add_points(struct retriever *r, const struct kept_index *index, const char *parameter,
                       int64_t value) {
    const struct retrieval_options *o = r->setup->o;
    for (int t = 0; t < o->topk.n; t++)
        r->point[r->n_points++] = (struct retrieval_point){.index = index,
                                                           .parameter = parameter,
                                                           .value = value,
                                                           .t = t,
                                                           .k = (size_t)o->topk.v[t],
                                                           .round.name = index->kind};
}

/* Parameters of an index: nprobe up to the number of clusters, each once. */
static void add_index(struct retriever *r, const struct kept_index *index) {
    const struct retrieval_options *o = r->setup->o;
    int64_t clusters = retrieval_clusters(index->kind), before = 0;
    const struct opt_ints *v = clusters ? &o->nprobe : &o->ef_search;
    const char *parameter = clusters ? "nprobe" : "efSearch";
    if (!clusters && !strstr(index->kind, "HNSW")) {
        add_points(r, index, "", 0);
        return;
    }
    for (int i = 0; i < v->n; i++) {
        int64_t value = clusters && v->v[i] > clusters ? clusters : v->v[i];
        if (value != before) add_points(r, index, parameter, value);
        before = value;
    }
}

/* An index that this model's vectors do not fit (PQ8 and a dimension that 8 does not divide) is left out. */
static int make_indexes(struct retriever *r, struct err *e) {
    const struct retrieval_options *o = r->setup->o;
    size_t most = (size_t)o->index.n * (size_t)(o->nprobe.n + o->ef_search.n + 1) * (size_t)o->topk.n;
    char stem[1024];
    r->index = arena_alloc(&r->arena, (size_t)o->index.n * sizeof *r->index);
    r->point = arena_alloc(&r->arena, most * sizeof *r->point);
    if (!r->index || !r->point) return err_nomem(e, most * sizeof *r->point);
    TRY(sweep_path(r->setup->s, "models", r->run, "", stem, e));
    for (int i = 0; i < o->index.n; i++) {
        struct kept_index *k = &r->index[r->n_indexes];
        struct index *fits = NULL;
        struct err why = ERR_INIT;
        if (index_create(o->index.v[i], r->towers.dim, 1, &fits, &why)) {
            progress_note("retrieval: %s: %s; left out", r->run->id, why.msg);
            continue;
        }
        index_free(fits);
        TRY(kept_index_get(stem, o->index.v[i], items_of(r), scorer_version(r->scorer), (int)o->threads, k,
                           e));
        if (k->opened) progress_note("%s: the index %s is there already", r->run->id, k->kind);
        r->n_indexes++;
        add_index(r, k);
    }
    return 0;
}

int retriever_open(const struct retrieval_setup *setup, const struct sweep_run *run, struct retriever *out,
                   struct err *e) {
    struct scorer_options so = scorer_defaults();
    struct err why = ERR_INIT;
    *out = (struct retriever){.setup = setup, .run = run};
    TRY(served_load(setup->s, run, &out->graph, e));
    TRY(scorer_create(&out->graph, setup->data, &so, NULL, &out->scorer, e));
    if (scorer_towers(out->scorer, &out->towers, &why)) {
        progress_note("retrieval: %s is left out: %s", run->id, why.msg);
        return 0;
    }
    TRY(make_room(out, e));
    return make_indexes(out, e);
}

void retriever_release(struct retriever *r) {
    for (int i = 0; i < r->n_points; i++) samples_release(&r->point[i].round.got);
    for (int i = 0; i < r->n_indexes; i++) kept_index_release(&r->index[i]);
    scorer_free(r->scorer);
    graph_release(&r->graph);
    arena_release(&r->arena);
}

/* ---- one request ---- */

static int user_vector(struct retriever *r, size_t i, float *out, struct err *e) {
    const struct judge *j = r->setup->judge;
    return scorer_user_vector(r->scorer, j->user[i], j->moment[i], out, e);
}

/* The list of user i in r->list; *n of them. */
static int retrieve(struct retriever *r, const struct retrieval_point *p, size_t i, size_t *n,
                    int64_t took_ns[2], struct err *e) {
    size_t ask = p->k + judge_n_seen(r->setup->judge, i);
    int64_t start = clock_ns();
    TRY(user_vector(r, i, r->user, e));
    int64_t mid = clock_ns();
    TRY(index_search(p->index->index, (struct vectors){r->user, 1, r->towers.dim}, ask, r->list, r->score,
                     e));
    for (size_t a = 0; a < ask; a++)
        if (r->list[a] != INDEX_NONE) r->list[a]++; /* the index counts from item 1 */
    *n = judge_keep(r->setup->judge, i, r->list, ask, p->k);
    took_ns[0] = mid - start;
    took_ns[1] = clock_ns() - mid;
    return 0;
}

static int set_parameter(const struct retrieval_point *p, struct err *e) {
    return *p->parameter ? index_set(p->index->index, p->parameter, p->value, e) : 0;
}

int retriever_ask(struct retriever *r, struct retrieval_point *p, bool turns, int64_t took_ns[2],
                  struct err *e) {
    size_t n;
    if (turns) TRY(set_parameter(p, e));
    return retrieve(r, p, p->at++ % r->setup->judge->n, &n, took_ns, e);
}

/* ---- judging ---- */

struct judging {
    struct retriever *r;
    struct vectors users, items; /* [judge.n], and [n_items] with item 0 */
    struct exact exact;
    double *value; /* [JUDGED][judge.n] of one point */
};

static void keep_values(const struct judging *g, size_t i, const double value[JUDGED]) {
    for (int m = 0; m < JUDGED; m++) g->value[(size_t)m * g->users.n + i] = value[m];
}

/* The true best for every user, and how good they are: what an index can come near to. */
static int judge_exact(struct judging *g, struct err *e) {
    const struct retrieval_setup *s = g->r->setup;
    size_t most = most_items(s->o);
    TRY(exact_search(s->judge, g->users, g->items, most, s->pool, &g->exact, e));
    for (int t = 0; t < s->o->topk.n; t++) {
        for (size_t i = 0; i < g->users.n; i++) {
            double value[JUDGED] = {[JUDGED_RECALL] = 1};
            judge_list(s->judge, i, g->exact.item + i * most, g->exact.n[i], (size_t)s->o->topk.v[t], value);
            keep_values(g, i, value);
        }
        TRY(judged_of(g->value, g->users.n, 1, &g->r->exact[t], e));
    }
    return 0;
}

static int judge_point(struct judging *g, struct retrieval_point *p, struct err *e) {
    struct retriever *r = g->r;
    int64_t took[2];
    TRY(set_parameter(p, e));
    for (size_t i = 0; i < g->users.n; i++) {
        size_t n;
        double value[JUDGED];
        TRY(retrieve(r, p, i, &n, took, e));
        judge_list(r->setup->judge, i, r->list, n, p->k, value);
        value[JUDGED_RECALL] =
            exact_recall(&g->exact, i, g->users.p + i * g->users.dim, g->items, r->list, n, p->k);
        keep_values(g, i, value);
        if (interrupt_seen()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    }
    return judged_of(g->value, g->users.n, 1, &p->judged, e);
}

int retriever_judge(struct retriever *r, double *sums, struct err *e) {
    size_t n = r->setup->judge->n, dim = r->towers.dim, values = n * JUDGED;
    float *users = mem_alloc(n * dim * sizeof *users);
    struct judging g = {.r = r,
                        .users = {users, n, dim},
                        .items = {r->towers.items, r->towers.n_items, dim},
                        .value = mem_alloc(values * sizeof *g.value)};
    int rc = users && g.value ? 0 : err_nomem(e, n * dim * sizeof *users);
    for (size_t i = 0; !rc && i < n; i++) rc = user_vector(r, i, users + i * dim, e);
    if (!rc) rc = judge_exact(&g, e);
    for (int p = 0; !rc && p < r->n_points; p++) {
        rc = judge_point(&g, &r->point[p], e);
        for (size_t i = 0; !rc && i < values; i++) sums[(size_t)p * values + i] += g.value[i];
    }
    exact_release(&g.exact);
    mem_free(users);
    mem_free(g.value);
    return rc;
}
