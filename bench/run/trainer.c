#include "bench/run/trainer.h"
#include "base/progress.h"
#include "base/rng.h"
#include "bench/run/feed.h"
#include "nn/exec.h"
#include "nn/vec.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct trainer {
    const struct train_task *t;
    struct trained *m;
    struct exec *x;
    struct optim *optim;
    struct schedule schedule;
    struct feed feed;
    struct negatives negatives;
    uint64_t *rows;    /* [batch] */
    uint64_t *clicked; /* [n_train] rows with label 1, when no loss learns from others; else NULL */
    float *score;      /* [rows of the larger of the splits that are scored] */
    float *best;       /* the best epoch's parameters, one after the other */
    double best_metric;
    int64_t bad, step;
    bool stops_early;
    uint64_t n_train; /* rows of an epoch */
    struct err *e;
};

uint64_t trainer_rows(const struct dataset *ds, const struct train_options *t) {
    uint64_t n = ds->split[SPLIT_TRAIN].end - ds->split[SPLIT_TRAIN].begin;
    return t->rows && (uint64_t)t->rows < n ? (uint64_t)t->rows : n;
}

static uint64_t split_rows(const struct dataset *ds, enum split s) {
    return ds->split[s].end - ds->split[s].begin;
}

static void add_note(struct trained *m, const char *text) {
    size_t used = strlen(m->note);
    snprintf(m->note + used, sizeof m->note - used, "%s%s", used ? "; " : "", text);
}

/* ---- scoring ---- */

static int score_split(struct trainer *r, enum split s, float *score) {
    const struct dataset *ds = r->t->ds;
    size_t batch = (size_t)r->t->train->batch;
    for (uint64_t at = ds->split[s].begin; at < ds->split[s].end; at += batch) {
        uint64_t left = ds->split[s].end - at;
        size_t n = left < batch ? (size_t)left : batch;
        for (size_t i = 0; i < n; i++) r->rows[i] = at + i;
        TRY(feed_rows(&r->feed, r->rows, n, r->e));
        exec_score(r->x, r->feed.slice, r->feed.n_slices, score + (at - ds->split[s].begin));
        if (interrupt_seen()) return err_set(r->e, ERR_INTERRUPTED, "interrupted");
    }
    return 0;
}

static int measure_split(struct trainer *r, enum split s, bool full, float *score, struct quality *out) {
    const struct dataset *ds = r->t->ds;
    uint64_t begin = ds->split[s].begin;
    size_t n = (size_t)split_rows(ds, s);
    TRY(score_split(r, s, score));
    int rc = (full ? evaluate : evaluate_quick)(score, ds->label + begin, ds->user + begin, n,
                                                r->t->train->gauc_weight, out, r->e);
    return rc == ERR_DIVERGED ? err_prefix(r->e, "%s split", split_name(s)) : rc;
}

/* ---- epochs ---- */

static double monitored(const struct trainer *r, const struct quality *q) {
    switch (r->t->train->monitor) {
    case MONITOR_AUC:
        return q->auc;
    case MONITOR_LOGLOSS:
        return -q->logloss;
    case MONITOR_NONE:
        return (double)NAN;
    default:
        return q->gauc;
    }
}

static void copy_params(struct trainer *r, bool save) {
    float *at = r->best;
    for (int i = 0; i < r->m->graph.n_params; i++) {
        struct param *p = r->m->graph.param[i];
        size_t n = p->rows * p->cols;
        memcpy(save ? at : p->value, save ? p->value : at, n * sizeof(float));
        at += n;
    }
}

/* Appends to the curve; `stop` when patience is over. */
static int end_epoch(struct trainer *r, int64_t epoch, double loss, bool *stop) {
    struct trained *m = r->m;
    struct epoch *c = &m->epoch[m->n_epochs];
    double none = (double)NAN;
    *stop = false;
    *c = (struct epoch){.epoch = epoch,
                        .step = r->step,
                        .learning_rate = epoch ? schedule_rate(&r->schedule, r->step - 1) : none,
                        .loss = loss,
                        .valid = {.auc = none, .gauc = none, .logloss = none},
                        .seconds = m->seconds};
    if (split_rows(r->t->ds, SPLIT_VALID)) TRY(measure_split(r, SPLIT_VALID, false, r->score, &c->valid));
    m->n_epochs++;
    double metric = monitored(r, &c->valid);
    if (!epoch) {
        r->stops_early = !isnan(metric);
        return 0;
    }
    if (r->stops_early) schedule_epoch(&r->schedule, metric);
    if (!r->stops_early || metric > r->best_metric) {
        r->best_metric = metric;
        r->bad = 0;
        m->best_epoch = epoch;
        copy_params(r, true);
    } else {
        *stop = ++r->bad >= r->t->train->patience && r->t->train->patience > 0;
    }
    return 0;
}

/* `more` rows into an epoch; progress counts all training rows, as trainer_rows() does. */
static void tell(const struct trainer *r, uint64_t more, const char *note) {
    uint64_t all = trainer_rows(r->t->ds, r->t->train);
    if (r->t->progress) r->t->progress(r->t->progress_ctx, (r->m->rows + more) * all / r->n_train, note);
}

static uint64_t training_row(const struct trainer *r, uint64_t i) {
    return r->clicked ? r->clicked[i] : r->t->ds->split[SPLIT_TRAIN].begin + i;
}

static int train_epoch(struct trainer *r, int64_t epoch, double *loss) {
    const struct train_task *t = r->t;
    size_t batch = (size_t)t->train->batch;
    uint64_t key = rng_hash(rng_hash(t->seed ^ rng_stream("epoch order")) + (uint64_t)epoch);
    struct shuffle order = shuffle_init(r->n_train, key);
    double sum = 0, start = clock_seconds();
    for (uint64_t at = 0; at < r->n_train; at += batch) {
        size_t n = r->n_train - at < batch ? (size_t)(r->n_train - at) : batch;
        for (size_t i = 0; i < n; i++) r->rows[i] = training_row(r, shuffle_at(&order, at + i));
        double rate = schedule_rate(&r->schedule, r->step);
        uint64_t seed = rng_hash(rng_hash(t->seed ^ rng_stream("step")) + (uint64_t)r->step);
        TRY(feed_training(&r->feed, r->rows, n, seed, r->e));
        double mean = exec_train(r->x, r->feed.slice, r->feed.n_slices, seed);
        if (!isfinite(mean))
            return err_set(r->e, ERR_DIVERGED, "loss %s at step %" PRId64 ", learning rate %g",
                           isnan(mean) ? "nan" : "inf", r->step, rate);
        optim_step(r->optim, rate);
        if (optim_failed(r->optim)) return err_nomem(r->e, 0);
        sum += mean * (double)n;
        r->step++;
        if (interrupt_seen()) return err_set(r->e, ERR_INTERRUPTED, "interrupted");
        tell(r, at + n, NULL);
    }
    r->m->seconds += clock_seconds() - start;
    r->m->rows += r->n_train;
    *loss = sum / (double)r->n_train;
    return 0;
}

static int train(struct trainer *r) {
    const struct train_options *o = r->t->train;
    bool stop;
    double sum = 0;
    int64_t since = 0;
    TRY(end_epoch(r, 0, (double)NAN, &stop));
    for (int64_t epoch = 1; epoch <= o->epochs; epoch++) {
        double loss = 0;
        TRY(train_epoch(r, epoch, &loss));
        r->m->epochs = epoch;
        sum += loss;
        since++;
        if (epoch % o->eval_every && epoch != o->epochs) continue;
        TRY(end_epoch(r, epoch, sum / (double)since, &stop));
        sum = 0;
        since = 0;
        char note[64];
        const struct quality *q = &r->m->epoch[r->m->n_epochs - 1].valid;
        snprintf(note, sizeof note, "epoch %" PRId64 ", GAUC %.4f", epoch, q->gauc);
        tell(r, 0, isnan(q->gauc) ? NULL : note);
        if (stop) break;
    }
    copy_params(r, false);
    return 0;
}

/* ---- the whole of it ---- */

static int finish(struct trainer *r) {
    const struct dataset *ds = r->t->ds;
    struct trained *m = r->m;
    if (split_rows(ds, SPLIT_VALID))
        TRY(measure_split(r, SPLIT_VALID, true, r->score, &m->quality[SPLIT_VALID]));
    if (split_rows(ds, SPLIT_TEST))
        TRY(measure_split(r, SPLIT_TEST, true, m->test_score, &m->quality[SPLIT_TEST]));
    if (r->t->train->monitor == MONITOR_NONE) return 0;
    if (!split_rows(ds, SPLIT_VALID))
        add_note(m, "no validation rows: no early stopping, the last epoch is kept");
    else if (!r->stops_early)
        add_note(m, "the monitored metric does not exist on the validation split: no early stopping, the "
                    "last epoch is kept");
    return 0;
}

/* A softmax learns from clicked rows. Where it is all that a model is trained for (no distillation, none of `dat`'s losses),
 * the others would run through the towers for nothing, and batches are of clicked rows. */
static int leave_out_unclicked(struct trainer *r) {
    const struct dataset *ds = r->t->ds;
    uint64_t begin = ds->split[SPLIT_TRAIN].begin, n = 0;
    if (r->m->graph.n_losses != 1 || distill_wanted(&r->t->objective->distill)) return 0;
    r->clicked = mem_alloc((size_t)r->n_train * sizeof *r->clicked);
    if (!r->clicked) return err_nomem(r->e, (size_t)r->n_train * sizeof *r->clicked);
    for (uint64_t i = begin; i < begin + r->n_train; i++)
        if (ds->label[i]) r->clicked[n++] = i;
    r->n_train = n;
    return 0;
}

/* The batches, with what the losses want beside the model's fields. */
static int build_feed(struct trainer *r) {
    const struct train_task *t = r->t;
    const struct objective *o = t->objective;
    struct feed_task f = {.ds = t->ds,
                          .graph = &r->m->graph,
                          .max_rows = (size_t)t->train->batch,
                          .slice_rows = (size_t)t->train->slice,
                          .pool = t->pool};
    if (o && loss_is_softmax(&o->loss)) {
        TRY(negatives_init(&r->negatives, t->ds, r->n_train, &o->loss, r->e));
        f.negatives = &r->negatives;
        TRY(leave_out_unclicked(r));
        if (!distill_wanted(&o->distill))
            add_note(r->m,
                     "softmax loss: scores rank items and are no logits; logloss, pcoc and ece mean nothing");
    }
    if (o && distill_wanted(&o->distill)) {
        f.teacher = t->teacher;
        f.temperature = o->distill.temperature;
    }
    TRY(feed_init(&r->feed, &f, r->e));
    int hidden = graph_find_node(&r->m->graph, LOSS_HIDDEN);
    if (hidden >= 0) exec_bind(r->x, hidden, (struct mat){r->feed.hidden, (size_t)t->teacher->width});
    return 0;
}

static int build(struct trainer *r) {
    const struct train_task *t = r->t;
    struct trained *m = r->m;
    TRY(variant_build_for(t->variant, t->options, t->features, t->objective, &m->graph, r->e));
    TRY(graph_alloc_params(&m->graph, t->seed, r->e));
    m->params = graph_n_trained(&m->graph);
    size_t batch = (size_t)t->train->batch, slice = (size_t)t->train->slice;
    struct exec_options xo = {.max_rows = batch, .slice_rows = slice, .train = true, .pool = t->pool};
    TRY(exec_create(&m->graph, &xo, &r->x, r->e));
    TRY(optim_create(&m->graph, r->x, &t->train->optim, t->pool, &r->optim, r->e));
    TRY(build_feed(r));
    int64_t steps = (int64_t)((r->n_train + batch - 1) / batch);
    schedule_init(&r->schedule, &t->train->schedule, steps * t->train->epochs);
    size_t floats = 0, epochs = (size_t)t->train->epochs + 1;
    size_t test = (size_t)split_rows(t->ds, SPLIT_TEST), valid = (size_t)split_rows(t->ds, SPLIT_VALID);
    for (int i = 0; i < m->graph.n_params; i++) floats += m->graph.param[i]->rows * m->graph.param[i]->cols;
    r->rows = mem_alloc(batch * sizeof *r->rows);
    r->score = mem_alloc((valid + 1) * sizeof *r->score);
    r->best = mem_alloc((floats + 1) * sizeof *r->best);
    m->test_score = mem_alloc((test + 1) * sizeof *m->test_score);
    m->epoch = mem_calloc(epochs, sizeof *m->epoch);
    if (!r->rows || !r->score || !r->best || !m->test_score || !m->epoch)
        return err_nomem(r->e, floats * sizeof(float));
    return 0;
}

int trainer_run(const struct train_task *t, struct trained *out, struct err *e) {
    struct err own = ERR_INIT;
    struct trainer r = {.t = t, .m = out, .e = e ? e : &own, .best_metric = -(double)INFINITY};
    memset(out, 0, sizeof *out);
    graph_init(&out->graph);
    gemm_single_threaded();
    r.n_train = trainer_rows(t->ds, t->train);
    int rc = r.n_train ? 0 : err_set(r.e, ERR_INPUT, "%s: the training split is empty", t->ds->dir);
    if (!rc) rc = build(&r);
    if (!rc) rc = train(&r);
    if (!rc) rc = finish(&r);
    optim_free(r.optim);
    exec_free(r.x);
    feed_release(&r.feed);
    negatives_release(&r.negatives);
    mem_free(r.rows);
    mem_free(r.clicked);
    mem_free(r.score);
    mem_free(r.best);
    return rc;
}

void trained_release(struct trained *m) {
    graph_release(&m->graph);
    mem_free(m->epoch);
    mem_free(m->test_score);
    memset(m, 0, sizeof *m);
}
