#include "bench/select/importance.h"
#include "base/progress.h"
#include "bench/run/manifest.h"
#include "bench/select/importance_files.h"
#include "bench/select/kept_cost.h"
#include <inttypes.h>
#include <string.h>

struct own_cost { /* of a variant's fields, as this run measured them */
    struct field_cost *v;
    struct cost_taken taken;
};

struct maker {
    const struct sweep *s;
    struct pool *pool, *serving; /* serving: costs are measured with as many threads as requests get */
    struct rankings *out;
    struct progress bar;
    char doing[160];
    uint64_t done;
    struct err *e;
};

/* The sweep's model that sees everything a variant may choose from; -1 when it has no finished run. */
static int all_fields_model(const struct sweep *s, const struct experiment_variant *v) {
    const struct subset *from = &s->x->subset[select_from(s->x)];
    int found = -1;
    for (int m = 0; m < s->n_models; m++)
        if (s->model[m].variant == v && s->model[m].subset == from) found = m;
    if (found >= 0 && s->model[found].same_as >= 0) found = s->model[found].same_as;
    for (int i = 0; i < s->n_runs; i++)
        if (s->run[i].model == found && sweep_run_ok(&s->run[i])) return found;
    return -1;
}

static const struct sweep_run *run_of(const struct sweep *s, int model, int64_t seed) {
    for (int i = 0; i < s->n_runs; i++)
        if (s->run[i].model == model && s->run[i].seed == seed) return &s->run[i];
    return NULL;
}

static void on_progress(void *ctx, const char *note) {
    struct maker *m = ctx;
    char text[240];
    snprintf(text, sizeof text, "%s %s", m->doing, note);
    progress_at(&m->bar, m->done, text);
}

static int rank_seed(struct maker *m, struct ranking_of *r, int k) {
    const struct sweep *s = m->s;
    const struct sweep_model *model = &s->model[r->model];
    const struct selector *selector = selectors[r->selector];
    int64_t seed = s->x->o.seeds.v[r->first_seed + k];
    const struct sweep_run *run = run_of(s, r->model, seed);
    char weights[1024];
    struct importance_file f = {
        .sweep = s, .model = r->model, .selector = r->selector, .seed = seed, .share = r->share};
    double *out = r->by_seed + (size_t)k * (size_t)r->n, seconds;
    snprintf(m->doing, sizeof m->doing, "%.48s %s seed %" PRId64, model->variant->id, selector->name, seed);
    if (importance_file_load(&f, out, r->n, &seconds, m->e)) return m->e->code;
    if (seconds < 0) {
        if (selector->needs_model && (!run || !sweep_run_ok(run)))
            return err_set(m->e, ERR_INPUT,
                           "`%s` ranks by the model of all fields, and %s has none with seed %" PRId64,
                           selector->name, model->variant->id, seed);
        if (selector->needs_model) TRY(sweep_path(s, "models", run, ".safetensors", weights, m->e));
        struct teacher teacher = {.rows = 0};
        const struct rank_task t = {.ds = s->ds,
                                    .variant = model->variant,
                                    .features = &model->features,
                                    .seed = (uint64_t)seed,
                                    .objective = &model->objective,
                                    .teacher = &teacher,
                                    .weights = selector->needs_model ? weights : NULL,
                                    .cost = r->share,
                                    .options = s->x->select.own[r->selector],
                                    .pool = m->pool,
                                    .progress = on_progress,
                                    .progress_ctx = m};
        double start = clock_seconds();
        on_progress(m, "");
        int rc = run ? sweep_teacher(s, run, m->pool, &teacher, m->e) : 0;
        if (!rc) rc = selector->rank(&t, out, m->e);
        teacher_close(&teacher);
        if (rc) return m->e->code == ERR_INTERRUPTED ? m->e->code : err_prefix(m->e, "%s", m->doing);
        seconds = clock_seconds() - start;
        TRY(importance_file_save(&f, out, r->n, seconds, m->e));
    }
    r->seconds += seconds;
    m->done++;
    return 0;
}

static void put_in_order(struct ranking_of *r) {
    for (int i = 0; i < r->n; i++) {
        for (int k = 0; k < r->n_seeds; k++) r->importance[i] += r->by_seed[k * r->n + i] / r->n_seeds;
        int at = i;
        for (; at > 0 && r->importance[r->order[at - 1]] < r->importance[i]; at--)
            r->order[at] = r->order[at - 1];
        r->order[at] = i;
    }
}

static enum rank_by_cost wanted_cost(const struct sweep *s, int selector) {
    const struct selector *of = selectors[selector];
    return of->cost ? of->cost(s->x->select.own[selector]) : RANK_BY_NO_COST;
}

/* The costs that the selector ranks by, over an even share of the request; NULL when it does without. */
static int shares_for(struct maker *m, int model, int selector, const struct own_cost *own,
                      const double **out) {
    const struct sweep *s = m->s;
    enum rank_by_cost by = wanted_cost(s, selector);
    double *share = arena_alloc(&m->out->arena, (size_t)s->model[model].features.n * sizeof *share + 1);
    json_t *says;
    *out = NULL;
    if (!share) return err_nomem(m->e, 0);
    if (by == RANK_BY_NO_COST) return 0;
    TRY(kept_cost_shares(s, model, by, own->v, &own->taken, share, &says, m->e));
    *out = share;
    return json_object_set_new(m->out->costs, s->model[model].variant->id, says) ? err_nomem(m->e, 0) : 0;
}

/* The selector's ranking number `which`, of as many seeds as a ranking has. */
static int rank_one(struct maker *m, int model, int selector, int which, const struct own_cost *own) {
    struct arena *a = &m->out->arena;
    struct ranking_of *r = &m->out->v[m->out->n];
    const struct select_options *o = &m->s->x->select;
    size_t n = (size_t)m->s->model[model].features.n, seeds = (size_t)o->seeds / (size_t)select_rankings(o);
    *r = (struct ranking_of){.model = model,
                             .selector = selector,
                             .n = (int)n,
                             .first_seed = which,
                             .n_seeds = (int)seeds,
                             .cost = own->v};
    snprintf(r->name, sizeof r->name, which ? "%s~%d" : "%s", selectors[selector]->name, which + 1);
    r->importance = arena_alloc(a, (n + 1) * sizeof *r->importance);
    r->by_seed = arena_alloc(a, (n * seeds + 1) * sizeof *r->by_seed);
    r->order = arena_alloc(a, (n + 1) * sizeof *r->order);
    if (!r->importance || !r->by_seed || !r->order) return err_nomem(m->e, n * seeds * sizeof(double));
    TRY(shares_for(m, model, selector, own, &r->share));
    for (int k = 0; k < r->n_seeds; k++) TRY(rank_seed(m, r, k));
    put_in_order(r);
    m->out->n++;
    return 0;
}

static int cost_of(struct maker *m, int model, struct own_cost *own) {
    const struct sweep *s = m->s;
    bool there;
    const struct sweep_model *k = &s->model[model];
    const struct opt_ints *rank_by = &s->x->select.rank_by;
    struct cost_file f = {.sweep = s, .model = model, .threads = pool_threads(m->serving)};
    for (int i = 0; i < rank_by->n; i++)
        f.on_demand |= wanted_cost(s, (int)rank_by->v[i]) == RANK_BY_MEASURED;
    TRY(field_cost_load(&f, own->v, &own->taken, &there, m->e));
    if (there) return 0;
    snprintf(m->doing, sizeof m->doing, "%.48s", k->variant->id);
    on_progress(m, "cost of each field");
    TRY(field_cost_measure(s->x, s->ds, k->variant, &k->features, m->serving, own->v, m->e));
    own->taken.now = true;
    time_text(own->taken.at);
    program_revision(own->taken.revision, sizeof own->taken.revision);
    return field_cost_save(&f, own->v, &own->taken, m->e);
}

static int rank_variant(struct maker *m, const struct experiment_variant *v) {
    const struct select_options *o = &m->s->x->select;
    int model = all_fields_model(m->s, v);
    if (model < 0) {
        progress_note("select: %s with all its fields has not trained, so no fields are chosen for it",
                      v->id);
        return 0;
    }
    size_t n = (size_t)m->s->model[model].features.n + 1;
    struct own_cost own = {.v = arena_alloc(&m->out->arena, n * sizeof *own.v)};
    if (!own.v) return err_nomem(m->e, n * sizeof *own.v);
    TRY(cost_of(m, model, &own));
    for (int k = 0; k < select_rankings(o); k++)
        for (int i = 0; i < o->rank_by.n; i++) TRY(rank_one(m, model, (int)o->rank_by.v[i], k, &own));
    return 0;
}

int rankings_make(const struct sweep *s, struct pool *pool, struct rankings *out, struct err *e) {
    const struct experiment *x = s->x;
    struct err own = ERR_INIT;
    struct maker m = {.s = s, .pool = pool, .out = out, .e = e ? e : &own};
    *out = (struct rankings){.n = 0};
    size_t each = (size_t)x->n_variants * (size_t)x->select.rank_by.n,
           most = each * (size_t)select_rankings(&x->select) + 1;
    out->v = arena_alloc(&out->arena, most * sizeof *out->v);
    out->costs = json_object();
    int rc = out->v && out->costs ? 0 : err_nomem(m.e, most * sizeof *out->v);
    int64_t threads = x->measure.threads;
    m.serving = pool;
    if (!rc && threads && threads != pool_threads(pool)) rc = pool_create((int)threads, &m.serving, m.e);
    progress_start(&m.bar, "ranking fields", (uint64_t)each * (uint64_t)x->select.seeds);
    for (int v = 0; v < x->n_variants && !rc; v++)
        if (select_takes(&x->select, &x->variant[v])) rc = rank_variant(&m, &x->variant[v]);
    progress_end(&m.bar, rc ? "stopped" : NULL);
    if (m.serving != pool) pool_free(m.serving);
    if (!rc) rc = rankings_write(s, out, m.e);
    if (rc) rankings_release(out);
    return rc;
}

void rankings_release(struct rankings *r) {
    json_decref(r->costs);
    arena_release(&r->arena);
    *r = (struct rankings){.n = 0};
}
