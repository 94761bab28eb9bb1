#include "bench/retrieval/retrieval.h"
#include "base/progress.h"
#include "bench/results.h"
#include "bench/retrieval/point.h"
#include "bench/run/served.h"
#include "nn/vec.h"
#include <string.h>
#include <unistd.h>

struct retriever { /* one model with its indexes */
    const struct sweep *s;
    const struct retrieval_options *o;
    const struct judge *judge;
    struct pool *pool;
    struct arena arena;
    struct graph graph;
    struct scorer *scorer;
    struct scorer_towers towers;
    struct kept_index *index; /* [n_indexes] */
    int n_indexes;
    int n_points, last; /* that asked */
    struct retrieval_point *point;
    struct exact exact;
    struct judged *exact_judged; /* [topk] */
    float *users;                /* [judge.n][dim] */
    size_t room;                 /* of a list: the largest topk, and what a user has seen */
    float *user, *score;
    uint32_t *list;
};

/* The item set: all but number 0, unknown. */
static struct vectors items_of(const struct retriever *r) {
    size_t dim = r->towers.dim;
    return (struct vectors){r->towers.items + dim, r->towers.n_items - 1, dim};
}

static int make_room(struct retriever *r, struct err *e) {
    size_t dim = r->towers.dim, most_k = 0, most_seen = 0, n = r->judge->n;
    for (int i = 0; i < r->o->topk.n; i++)
        if ((size_t)r->o->topk.v[i] > most_k) most_k = (size_t)r->o->topk.v[i];
    for (size_t i = 0; i < n; i++)
        if (judge_n_seen(r->judge, i) > most_seen) most_seen = judge_n_seen(r->judge, i);
    r->room = most_k + most_seen;
    r->users = arena_alloc(&r->arena, n * dim * sizeof *r->users);
    r->user = arena_alloc(&r->arena, dim * sizeof *r->user);
    r->score = arena_alloc(&r->arena, r->room * sizeof *r->score);
    r->list = arena_alloc(&r->arena, r->room * sizeof *r->list);
    r->exact_judged = arena_alloc(&r->arena, (size_t)r->o->topk.n * sizeof *r->exact_judged);
    return r->users && r->user && r->score && r->list && r->exact_judged ? 0 : err_nomem(e, n * dim);
}

/* The true best for every user, and how good they are: what an index can come near to. */
static int find_exact(struct retriever *r, struct err *e) {
    size_t n = r->judge->n, dim = r->towers.dim, most = 0;
    for (int i = 0; i < r->o->topk.n; i++)
        if ((size_t)r->o->topk.v[i] > most) most = (size_t)r->o->topk.v[i];
    for (size_t i = 0; i < n; i++)
        TRY(scorer_user_vector(r->scorer, r->judge->user[i], r->users + i * dim, e));
    const struct vectors all = {r->towers.items, r->towers.n_items, dim};
    TRY(exact_search(r->judge, (struct vectors){r->users, n, dim}, all, most, r->pool, &r->exact, e));
    for (int t = 0; t < r->o->topk.n; t++)
        for (size_t i = 0; i < n; i++)
            judge_list(r->judge, i, r->exact.item + i * most, r->exact.n[i], (size_t)r->o->topk.v[t],
                       &r->exact_judged[t]);
    return 0;
}

/* ---- points ---- */

static void add_points(struct retriever *r, const struct kept_index *index, const char *parameter,
                       int64_t value) {
    for (int t = 0; t < r->o->topk.n; t++)
        r->point[r->n_points++] = (struct retrieval_point){.index = index,
                                                           .parameter = parameter,
                                                           .value = value,
                                                           .k = (size_t)r->o->topk.v[t],
                                                           .round.name = index->kind};
}

/* Parameters of an index: nprobe up to the number of clusters, each once. */
static void add_index(struct retriever *r, const struct kept_index *index) {
    int64_t clusters = retrieval_clusters(index->kind), before = 0;
    const struct opt_ints *v = clusters ? &r->o->nprobe : &r->o->ef_search;
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
static int make_indexes(struct retriever *r, const struct sweep_run *run, struct err *e) {
    const struct retrieval_options *o = r->o;
    size_t most = (size_t)o->index.n * (size_t)(o->nprobe.n + o->ef_search.n + 1) * (size_t)o->topk.n;
    char stem[1024];
    r->index = arena_alloc(&r->arena, (size_t)o->index.n * sizeof *r->index);
    r->point = arena_alloc(&r->arena, most * sizeof *r->point);
    if (!r->index || !r->point) return err_nomem(e, most * sizeof *r->point);
    TRY(sweep_path(r->s, "models", run, "", stem, e));
    for (int i = 0; i < o->index.n; i++) {
        struct kept_index *k = &r->index[r->n_indexes];
        struct index *fits = NULL;
        struct err why = ERR_INIT;
        if (index_create(o->index.v[i], r->towers.dim, 1, &fits, &why)) {
            progress_note("retrieval: %s: %s; left out", run->id, why.msg);
            continue;
        }
        index_free(fits);
        TRY(kept_index_get(stem, o->index.v[i], items_of(r), scorer_version(r->scorer), (int)o->threads, k,
                           e));
        if (k->opened) progress_note("%s: the index %s is there already", run->id, k->kind);
        r->n_indexes++;
        add_index(r, k);
    }
    return 0;
}

/* ---- one request ---- */

/* The list of user i in r->list; *n of them. took_ns[2]: user stage, search. */
static int retrieve(struct retriever *r, struct retrieval_point *p, size_t i, size_t *n, int64_t took_ns[2],
                    struct err *e) {
    size_t ask = p->k + judge_n_seen(r->judge, i);
    int64_t start = clock_ns();
    TRY(scorer_user_vector(r->scorer, r->judge->user[i], r->user, e));
    int64_t mid = clock_ns();
    TRY(index_search(p->index->index, (struct vectors){r->user, 1, r->towers.dim}, ask, r->list, r->score,
                     e));
    for (size_t a = 0; a < ask; a++)
        if (r->list[a] != INDEX_NONE) r->list[a]++; /* the index counts from item 1 */
    *n = judge_keep(r->judge, i, r->list, ask, p->k);
    took_ns[0] = mid - start;
    took_ns[1] = clock_ns() - mid;
    return 0;
}

static int set_parameter(const struct retrieval_point *p, struct err *e) {
    return *p->parameter ? index_set(p->index->index, p->parameter, p->value, e) : 0;
}

static int judge_point(struct retriever *r, struct retrieval_point *p, struct err *e) {
    struct vectors all = {r->towers.items, r->towers.n_items, r->towers.dim};
    int64_t took[2];
    TRY(set_parameter(p, e));
    for (size_t i = 0; i < r->judge->n; i++) {
        size_t n;
        TRY(retrieve(r, p, i, &n, took, e));
        judge_list(r->judge, i, r->list, n, p->k, &p->judged);
        p->judged.recall += exact_recall(&r->exact, i, r->users + i * r->towers.dim, all, r->list, n, p->k);
        if (interrupt_seen()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    }
    return 0;
}

static int ask(void *ctx, int point, bool counts, int64_t *took_ns, struct err *e) {
    struct retriever *r = ctx;
    struct retrieval_point *p = &r->point[point];
    int64_t took[2];
    size_t n;
    if (point != r->last) TRY(set_parameter(p, e)); /* points of one index share it */
    r->last = point;
    TRY(retrieve(r, p, p->at++ % r->judge->n, &n, took, e));
    *took_ns = took[0] + took[1];
    if (counts) p->user_ns += took[0];
    return 0;
}

static int time_points(struct retriever *r, struct err *e) {
    struct rounds rounds = {
        .title = "retrieving", .o = rounds_of(&r->s->x->measure), .n = r->n_points, .ask = ask, .ctx = r};
    struct round_point **point = arena_alloc(&r->arena, (size_t)r->n_points * sizeof *point + 1);
    if (!point) return err_nomem(e, 0);
    for (int i = 0; i < r->n_points; i++) point[i] = &r->point[i].round;
    rounds.point = point;
    rounds.o.requests = r->o->requests;
    rounds.o.min_seconds = r->o->min_seconds;
    return rounds_run(&rounds, e);
}

/* ---- models ---- */

static int write_rows(struct retriever *r, const struct sweep_run *run, FILE *f, struct err *e) {
    const struct sweep_model *m = &r->s->model[run->model];
    const struct retrieval_row row = {.variant = m->variant->id,
                                      .features = m->subset->name,
                                      .exclude = retrieval_exclude_names[r->o->exclude],
                                      .seed = run->seed,
                                      .threads = r->o->threads,
                                      .items = r->towers.n_items - 1,
                                      .dim = r->towers.dim};
    for (int i = 0; i < r->n_points; i++)
        TRY(retrieval_row(f, &row, &r->point[i], &r->exact_judged[i % r->o->topk.n], e));
    return 0;
}

static void release(struct retriever *r) {
    for (int i = 0; i < r->n_points; i++) samples_release(&r->point[i].round.got);
    for (int i = 0; i < r->n_indexes; i++) kept_index_release(&r->index[i]);
    exact_release(&r->exact);
    scorer_free(r->scorer);
    graph_release(&r->graph);
    arena_release(&r->arena);
}

static int with_model(struct retriever *r, const struct sweep_run *run, const struct serving_data *data,
                      FILE *f, struct err *e) {
    struct scorer_options so = scorer_defaults();
    struct err why = ERR_INIT;
    TRY(served_load(r->s, run, &r->graph, e));
    TRY(scorer_create(&r->graph, data, &so, NULL, &r->scorer, e));
    if (scorer_towers(r->scorer, &r->towers, &why)) {
        progress_note("retrieval: %s is left out: %s", run->id, why.msg);
        return 0;
    }
    TRY(make_room(r, e));
    TRY(find_exact(r, e));
    TRY(make_indexes(r, run, e));
    for (int i = 0; i < r->n_points; i++) TRY(judge_point(r, &r->point[i], e));
    TRY(time_points(r, e));
    return write_rows(r, run, f, e);
}

static int all_models(const struct sweep *s, const struct judge *j, struct pool *pool, FILE *f,
                      struct err *e) {
    struct serving_data data;
    gemm_single_threaded();
    TRY(serving_data_from_dataset(s->ds, &data, e));
    int rc = 0;
    for (int i = 0; i < s->n_models && !rc; i++) {
        const struct sweep_run *run = served_run(s, i);
        if (!run) continue;
        struct retriever r = {.s = s, .o = &s->x->retrieval, .judge = j, .pool = pool, .last = -1};
        graph_init(&r.graph);
        rc = with_model(&r, run, &data, f, e);
        if (rc && rc != ERR_INTERRUPTED) err_prefix(e, "retrieval with %s", run->id);
        release(&r);
    }
    data.release(data.self);
    return rc;
}

int retrieval_check(const struct experiment *x, const struct dataset *ds, struct err *e) {
    return x->has_retrieval ? retrieval_check_items(&x->retrieval, ds->n_items - 1, e) : 0;
}

int retrieval_run(const struct sweep *s, struct pool *pool, struct err *e) {
    static const uint64_t user_seed = 1;
    char path[1024];
    struct judge j;
    struct file_out o;
    TRY(file_join(path, sizeof path, s->dir, "retrieval.csv", e));
    if (!s->x->has_retrieval) {
        unlink(path);
        return 0;
    }
    TRY(judge_open(s->ds, s->x->retrieval.exclude, (size_t)s->x->retrieval.users, user_seed, &j, e));
    int rc = file_begin(&o, path, e);
    if (!rc) {
        fprintf(o.f, "%s\n", RESULTS_RETRIEVAL_COLUMNS);
        rc = all_models(s, &j, pool, o.f, e);
        if (rc)
            file_abort(&o);
        else
            rc = file_commit(&o, e);
    }
    judge_release(&j);
    return rc;
}
