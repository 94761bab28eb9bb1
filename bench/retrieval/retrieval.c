#include "bench/retrieval/retrieval.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "bench/results.h"
#include "bench/retrieval/rows.h"
#include "nn/vec.h"
#include <unistd.h>

struct model { /* all of its seeds */
    struct retriever *r;
    int n;
    struct judged *mean; /* [n_points] users' values averaged over the seeds */
};
struct all {
    struct retrieval_setup setup;
    struct retriever *r; /* [n_runs], model by model */
    struct model *model; /* [n_models] */
    int n_models;
    struct retrieval_point **point; /* [n_points] of all models and seeds */
    struct retriever **of;          /* [n_points] whose it is */
    int n_points, last;             /* point that asked */
};

/* ---- one model ---- */

/* Users' values are summed over the seeds here, and not kept apart. */
static int judge_model(struct all *a, struct model *m, struct err *e) {
    size_t points = m->n ? (size_t)m->r[0].n_points : 0, n = a->setup.judge->n;
    double *sums = mem_calloc(points * JUDGED * n + 1, sizeof *sums);
    m->mean = mem_calloc(points + 1, sizeof *m->mean);
    int rc = sums && m->mean ? 0 : err_nomem(e, points * JUDGED * n * sizeof *sums);
    for (int i = 0; !rc && i < m->n; i++) {
        rc = retriever_judge(&m->r[i], sums, e);
        if (rc && rc != ERR_INTERRUPTED) err_prefix(e, "retrieval with %s", m->r[i].run->id);
    }
    for (size_t p = 0; !rc && p < points; p++) rc = judged_of(sums + p * JUDGED * n, n, m->n, &m->mean[p], e);
    mem_free(sums);
    return rc;
}

/* The runs of model number k that trained, from a->r[first] on. A model that is no two towers has no points. */
static int open_model(struct all *a, int k, struct retriever *first, struct err *e) {
    const struct sweep *s = a->setup.s;
    struct model *m = &a->model[k];
    m->r = first;
    if (s->model[k].teacher_only) return 0;
    for (int i = 0; i < s->n_runs; i++) {
        if (s->run[i].model != k || !sweep_run_ok(&s->run[i])) continue;
        if (m->n && (a->setup.o->seeds == RETRIEVAL_SEEDS_FIRST || !m->r[0].n_points)) break;
        int rc = retriever_open(&a->setup, &s->run[i], &m->r[m->n++], e);
        if (rc) return rc == ERR_INTERRUPTED ? rc : err_prefix(e, "retrieval with %s", s->run[i].id);
    }
    return m->n && m->r[0].n_points ? judge_model(a, m, e) : 0;
}

/* ---- all of them ---- */

static int open_all(struct all *a, struct err *e) {
    const struct sweep *s = a->setup.s;
    struct retriever *next = a->r = mem_calloc((size_t)s->n_runs + 1, sizeof *a->r);
    a->model = mem_calloc((size_t)s->n_models + 1, sizeof *a->model);
    if (!a->r || !a->model) return err_nomem(e, (size_t)s->n_runs * sizeof *a->r);
    for (; a->n_models < s->n_models; next += a->model[a->n_models++].n)
        TRY(open_model(a, a->n_models, next, e));
    for (struct retriever *r = a->r; r < next; r++) a->n_points += r->n_points;
    size_t points = (size_t)a->n_points + 1;
    a->point = mem_calloc(points, sizeof *a->point);
    a->of = mem_calloc(points, sizeof *a->of);
    if (!a->point || !a->of) return err_nomem(e, points * sizeof *a->of);
    int at = 0;
    for (struct retriever *r = a->r; r < next; r++)
        for (int p = 0; p < r->n_points; p++, at++) {
            a->point[at] = &r->point[p];
            a->of[at] = r;
        }
    return 0;
}

static void release(struct all *a) {
    for (int k = 0; a->model && k < a->setup.s->n_models; k++) {
        for (int i = 0; i < a->model[k].n; i++) retriever_release(&a->model[k].r[i]);
        mem_free(a->model[k].mean);
    }
    void *own[] = {a->r, a->model, a->point, a->of};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
}

static int ask(void *ctx, int point, int server, uint64_t number, bool counts, int64_t *took_ns,
               struct err *e) {
    (void)server;
    (void)number;
    struct all *a = ctx;
    struct retrieval_point *p = a->point[point];
    int64_t took[2];
    TRY(retriever_ask(a->of[point], p, point != a->last, took, e));
    a->last = point;
    *took_ns = took[0] + took[1];
    if (counts) p->user_ns += took[0];
    return 0;
}

static int time_points(struct all *a, struct err *e) {
    struct rounds rounds = {.title = "retrieving",
                            .o = rounds_of(&a->setup.s->x->measure),
                            .n = a->n_points,
                            .ask = ask,
                            .ctx = a};
    struct round_point **round = mem_calloc((size_t)a->n_points + 1, sizeof *round);
    if (!round) return err_nomem(e, (size_t)a->n_points * sizeof *round);
    for (int i = 0; i < a->n_points; i++) round[i] = &a->point[i]->round;
    rounds.point = round;
    rounds.o.requests = a->setup.o->requests;
    rounds.o.min_seconds = a->setup.o->min_seconds;
    int rc = rounds_run(&rounds, e);
    mem_free(round);
    return rc;
}

static int all_models(struct all *a, FILE *f, struct err *e) {
    TRY(open_all(a, e));
    TRY(time_points(a, e));
    for (int k = 0; k < a->n_models; k++)
        TRY(retrieval_rows(f, a->model[k].r, a->model[k].n, a->model[k].mean, e));
    return 0;
}

int retrieval_check(const struct experiment *x, const struct dataset *ds, struct err *e) {
    return x->has_retrieval ? retrieval_check_items(&x->retrieval, ds->n_items - 1, e) : 0;
}

static int write_table(const struct sweep *s, const struct judge *j, struct pool *pool, const char *path,
                       struct err *e) {
    struct serving_data data;
    struct file_out o;
    gemm_single_threaded();
    TRY(serving_data_from_dataset(s->ds, &data, e));
    struct all a = {.setup = {.s = s, .o = &s->x->retrieval, .judge = j, .data = &data, .pool = pool},
                    .last = -1};
    int rc = file_begin(&o, path, e);
    if (!rc) {
        fprintf(o.f, "%s\n", RESULTS_RETRIEVAL_COLUMNS);
        rc = all_models(&a, o.f, e);
        if (rc)
            file_abort(&o);
        else
            rc = file_commit(&o, e);
    }
    release(&a);
    data.release(data.self);
    return rc;
}

int retrieval_run(const struct sweep *s, struct pool *pool, struct err *e) {
    static const uint64_t user_seed = 1;
    char path[1024];
    struct judge j;
    TRY(file_join(path, sizeof path, s->dir, "retrieval.csv", e));
    if (!s->x->has_retrieval) {
        unlink(path);
        return 0;
    }
    TRY(judge_open(s->ds, s->x->retrieval.exclude, (size_t)s->x->retrieval.users, user_seed, &j, e));
    int rc = write_table(s, &j, pool, path, e);
    judge_release(&j);
    return rc;
}
