#include "bench/run/cascade.h"
#include "base/progress.h"
#include "bench/run/cascade_own.h"
#include "bench/run/served.h"
#include "metrics/stats.h"
#include "nn/vec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t request_seed = 2; /* other ones than the times are taken from */
static const double confidence = 0.95;
enum { BLOCK = 128 }; /* fixed: the scores' last bits may depend on it */

/* ---- the ranker ---- */

/* The cell of column `column` in the line of effect.csv that is about the validation split; NaN without one. */
static double valid_cell(const struct sweep_run *r, int column) {
    const char *line = json_string_value(json_object_get(r->result, "effect"));
    for (; line && *line; line = strchr(line, '\n') + 1) {
        const char *cell[8], *at = line;
        for (int i = 0; i < 8 && at; i++) {
            cell[i] = at;
            at = strchr(at, ',');
            at = at ? at + 1 : NULL;
        }
        if (!at || strncmp(cell[4], "valid,", 6) != 0) continue;
        char *end;
        double v = strtod(cell[column], &end);
        return end > cell[column] ? v : (double)NAN;
    }
    return (double)NAN;
}

/* Mean over the seeds of validation GAUC, or of AUC where no user has both classes. */
static double worth(const struct sweep *s, int model) {
    double sum = 0;
    int n = 0;
    for (int i = 0; i < s->n_runs; i++) {
        const struct sweep_run *r = &s->run[i];
        if (r->model != model || !sweep_run_ok(r)) continue;
        double gauc = valid_cell(r, 6), auc = valid_cell(r, 5);
        sum += isnan(gauc) ? auc : gauc;
        n++;
    }
    return n ? sum / n : (double)NAN;
}

int cascade_ranker(const struct sweep *s) {
    const char *named = s->x->measure.ranker;
    int best = -1;
    double top = 0;
    for (int m = 0; m < s->n_models; m++) {
        const struct experiment_variant *v = s->model[m].variant;
        if (*named ? strcmp(v->id, named) != 0 : v->variant->two_tower) continue;
        double w = served_run(s, m) ? worth(s, m) : (double)NAN;
        if (isnan(w) && !(best < 0 && served_run(s, m))) continue; /* without validation rows: the first */
        if (best >= 0 && !(w > top)) continue;
        best = m;
        top = isnan(w) ? -INFINITY : w;
    }
    return best;
}

/* ---- scores ---- */

static int make_scorer(struct cascade_state *c, const struct sweep_run *r, struct graph *g,
                       struct scorer **out) {
    struct scorer_options so = served_options(c->s, c->o, false);
    so.block = BLOCK;
    TRY(served_load(c->s, r, g, c->e));
    return scorer_create(g, &c->data, &so, c->pool, out, c->e);
}

static int score_all(struct cascade_state *c, struct scorer *scorer, float *out) {
    for (size_t i = 0; i < c->q.n; i++) {
        const struct request r = requests_at(&c->q, i);
        TRY(scorer_score(scorer, &r, out + c->q.first[i], c->e));
        if (interrupt_seen()) return err_set(c->e, ERR_INTERRUPTED, "interrupted");
    }
    return 0;
}

static int failed(struct cascade_state *c, int rc) {
    return rc == -2 ? err_set(c->e, ERR_DIVERGED, "a score is NaN") : err_nomem(c->e, 0);
}

/* ranker_recall@(k, m), mean over the requests. */
static int recall(struct cascade_state *c, size_t k, double *out) {
    double sum = 0;
    for (size_t i = 0; i < c->q.n; i++) {
        size_t at = c->q.first[i];
        double r;
        int rc = metric_ranker_recall(c->score + at, c->ranker_score + at, c->q.first[i + 1] - at, k,
                                      (size_t)c->o->recall_m, &r);
        if (rc) return failed(c, rc);
        sum += r;
    }
    *out = sum / (double)c->q.n;
    return 0;
}

static int keep_k(struct cascade_state *c, size_t k, struct outcome *out) {
    double *ndcg = mem_alloc(c->q.n * sizeof *ndcg);
    size_t n = 0;
    int rc = ndcg ? 0 : err_nomem(c->e, c->q.n * sizeof *ndcg);
    *out = (struct outcome){.ndcg_half = (double)NAN};
    for (size_t i = 0; !rc && i < c->q.n; i++) {
        size_t at = c->q.first[i];
        struct cascade one;
        rc = metric_cascade(c->score + at, c->ranker_score + at, c->q.clicked + at, c->q.first[i + 1] - at, k,
                            CASCADE_TOP, &one);
        if (rc) rc = failed(c, rc);
        if (rc || isnan(one.ndcg)) continue;
        ndcg[n++] = one.ndcg;
        out->hit_rate += one.hit_rate;
        out->kept += one.kept;
    }
    out->ndcg = stat_mean(ndcg, n);
    out->hit_rate /= (double)n;
    out->kept /= (double)n;
    out->ndcg_half = stat_t_half_width(ndcg, n, confidence);
    mem_free(ndcg);
    return rc ? rc : recall(c, k, &out->recall);
}

/* One run's scores and all that follows from them. The first seed's scorer stays for the times. */
static int judge(struct cascade_state *c, int run) {
    struct sweep_run *r = &c->s->run[run];
    struct ahead *first = served_run(c->s, r->model) == r ? &c->ahead[r->model] : NULL;
    struct graph g;
    struct scorer *scorer = NULL;
    graph_init(&g);
    int rc = make_scorer(c, r, first ? &first->graph : &g, &scorer);
    if (!rc) rc = score_all(c, scorer, c->score);
    if (first)
        first->scorer = scorer;
    else
        scorer_free(scorer);
    graph_release(&g);
    for (int k = 0; !rc && k < c->n_k; k++)
        rc = keep_k(c, c->k[k], &c->outcome[(size_t)run * (size_t)c->n_k + (size_t)k]);
    if (!rc) rc = recall(c, (size_t)c->o->recall_k, &r->ranker_recall);
    r->has_recall = !rc;
    return rc;
}

static int score_ranker(struct cascade_state *c) {
    struct graph g;
    struct scorer *scorer = NULL;
    graph_init(&g);
    int rc = make_scorer(c, served_run(c->s, c->ranker), &g, &scorer);
    if (!rc) rc = score_all(c, scorer, c->ranker_score);
    scorer_free(scorer);
    graph_release(&g);
    return rc;
}

static int judge_all(struct cascade_state *c) {
    struct progress bar;
    int rc = 0;
    progress_start(&bar, "cascade", (uint64_t)c->s->n_runs);
    for (int i = 0; !rc && i < c->s->n_runs; i++) {
        if (sweep_run_ok(&c->s->run[i])) rc = judge(c, i);
        if (rc && rc != ERR_INTERRUPTED) err_prefix(c->e, "cascade of %s", c->s->run[i].id);
        progress_at(&bar, (uint64_t)i + 1, c->s->run[i].id);
    }
    progress_end(&bar, rc ? "stopped" : NULL);
    return rc;
}

/* ---- the whole ---- */

/* Rising, each once, none above the number of candidates, which is the last. */
static void list_k(struct cascade_state *c) {
    for (int i = 0; i < c->o->cascade_k.n && c->n_k < OPT_LIST_MAX - 1; i++) {
        size_t k = (size_t)c->o->cascade_k.v[i];
        int at = c->n_k;
        bool there = k >= c->q.most;
        for (int j = 0; j < c->n_k; j++) there |= c->k[j] == k;
        if (there) continue;
        for (; at > 0 && c->k[at - 1] > k; at--) c->k[at] = c->k[at - 1];
        c->k[at] = k;
        c->n_k++;
    }
    c->k[c->n_k++] = c->q.most;
}

static int prepare(struct cascade_state *c) {
    const struct dataset *ds = c->s->ds;
    size_t users = requests_users(ds), n = (size_t)c->o->recall_requests,
           most = (size_t)c->o->recall_candidates;
    if (n > users) n = users;
    if (most >= ds->n_items) most = ds->n_items - 1; /* no candidate twice */
    const struct spread size = spread_fixed(most);
    gemm_single_threaded();
    TRY(serving_data_from_dataset(ds, &c->data, c->e));
    c->has_data = true;
    TRY(requests_draw(ds, &size, n, request_seed, &c->q, c->e));
    list_k(c);
    size_t all = c->q.first[c->q.n] + 1;
    c->score = arena_alloc(&c->arena, all * sizeof *c->score);
    c->ranker_score = arena_alloc(&c->arena, all * sizeof *c->ranker_score);
    c->outcome = arena_alloc(&c->arena, (size_t)c->s->n_runs * (size_t)c->n_k * sizeof *c->outcome);
    c->ahead = arena_alloc(&c->arena, (size_t)c->s->n_models * sizeof *c->ahead);
    if (!c->score || !c->ranker_score || !c->outcome || !c->ahead)
        return err_nomem(c->e, all * sizeof *c->score);
    for (int i = 0; i < c->s->n_models; i++) graph_init(&c->ahead[i].graph);
    return 0;
}

static void release(struct cascade_state *c) {
    for (int i = 0; c->ahead && i < c->s->n_models; i++) {
        scorer_free(c->ahead[i].scorer);
        graph_release(&c->ahead[i].graph);
    }
    requests_release(&c->q);
    if (c->has_data) c->data.release(c->data.self);
    arena_release(&c->arena);
}

int cascade_run(struct sweep *s, const struct machine *m, struct pool *pool, struct err *e) {
    struct err own = ERR_INIT;
    struct cascade_state c = {.s = s, .machine = m, .o = &s->x->measure, .pool = pool, .e = e ? e : &own};
    for (int i = 0; i < s->n_runs; i++) s->run[i].has_recall = false;
    c.ranker = cascade_ranker(s);
    if (!c.o->recall_requests || s->ds->n_items < 3) return cascade_write(s, NULL, c.e);
    if (c.ranker < 0) {
        progress_note("no ranker was trained (two-towers only): no ranker_recall, no cascade");
        return cascade_write(s, NULL, c.e);
    }
    int rc = prepare(&c);
    if (!rc) rc = score_ranker(&c);
    if (!rc) rc = judge_all(&c);
    if (!rc) rc = cascade_time(&c);
    if (!rc) rc = cascade_write(s, &c, c.e);
    release(&c);
    return rc;
}
