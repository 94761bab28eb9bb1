/* perf_train: training speed of a two-tower model (variant dssm: 14 fields, D 16, towers 128-64-32, batch
 * 1024, adam) next to the floor that the machine sets. See perf.h for the protocol.
 *
 *     build/perf_train --write DIR          columns, row order and start weights for the peers; then ends
 *     build/perf_train --threads 2          a contender
 *
 * A timed step is what the trainer does: row numbers from the shuffle, the batch's columns gathered slice by
 * slice, forward, backward, optimiser. Every epoch has the same row order, so that peers can read it from a
 * file; incomplete last batches are left out.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "bench/perf/perf.h"
#include "nn/checkpoint.h"
#include "nn/exec.h"
#include "nn/optim.h"
#include "nn/vec.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIELDS  14
#define ROWS    200000
#define CHECKED 100 /* steps whose losses are compared between contenders */

#define FIELD(name, side, vocab)                                                                             \
    { name, side, VALUE_ID, vocab, NULL, 1 }
static const struct feature default_fields[FIELDS] = {
    FIELD("user_id", SIDE_USER, 0),        FIELD("user_city", SIDE_USER, 1000),
    FIELD("user_model", SIDE_USER, 100),   FIELD("user_age", SIDE_USER, 50),
    FIELD("user_level", SIDE_USER, 20),    FIELD("user_os", SIDE_USER, 10),
    FIELD("user_sex", SIDE_USER, 5),       FIELD("item_id", SIDE_ITEM, 0),
    FIELD("item_brand", SIDE_ITEM, 1000),  FIELD("item_shop", SIDE_ITEM, 100),
    FIELD("item_category", SIDE_ITEM, 50), FIELD("item_price", SIDE_ITEM, 20),
    FIELD("item_stars", SIDE_ITEM, 10),    FIELD("item_stock", SIDE_ITEM, 5)};

struct train {
    int64_t threads, slice, batch, entities;
    struct feature fields[FIELDS]; /* user_id and item_id have `entities` ids */
    bool dense;
    uint32_t *column[FIELDS]; /* [ROWS] */
    float *label;             /* [ROWS] */
    struct shuffle order;
    struct pool *pool;
    struct graph graph;
    struct exec *x;
    struct optim *optim;
    /* the batch */
    uint64_t *rows;          /* [batch] */
    int n_slices, *field_of; /* graph column -> field, -1: label */
    struct exec_slice *slices;
    struct batch_column *columns; /* [slice][graph column] */
    uint32_t **ids;               /* [slice * columns + column] -> [slice rows] */
    float *labels;                /* [batch] */
    int64_t step;
};

/* ---- data ---- */

static int make_rows(struct train *t, struct err *e) {
    memcpy(t->fields, default_fields, sizeof default_fields);
    for (int f = 0; f < FIELDS; f++)
        if (!t->fields[f].vocab) t->fields[f].vocab = (uint32_t)t->entities;
    for (int f = 0; f < FIELDS; f++)
        if (!(t->column[f] = mem_alloc(ROWS * sizeof(uint32_t))))
            return err_nomem(e, ROWS * sizeof(uint32_t));
    if (!(t->label = mem_alloc(ROWS * sizeof(float)))) return err_nomem(e, ROWS * sizeof(float));
    struct rng r = rng_init(1, rng_stream("perf_train"));
    for (size_t i = 0; i < ROWS; i++) {
        uint32_t user = perf_zipf(rng_uniform(&r), (uint32_t)t->entities),
                 item = perf_zipf(rng_uniform(&r), (uint32_t)t->entities);
        double logit = -1;
        for (int f = 0; f < FIELDS; f++) {
            t->column[f][i] = perf_field_id(&t->fields[f], t->fields[f].side == SIDE_USER ? user : item);
            logit += perf_effect(&t->fields[f], t->column[f][i]);
        }
        t->label[i] = rng_uniform(&r) < 1 / (1 + exp(-logit)) ? 1.0f : 0.0f;
    }
    t->order = shuffle_init(ROWS, 1);
    return 0;
}

static int write_rows(const struct train *t, const char *dir, struct err *e) {
    TRY(file_make_dirs(dir, e));
    for (int f = 0; f < FIELDS; f++)
        TRY(perf_write_npy(dir, t->fields[f].name, NPY_U32, t->column[f], ROWS, e));
    TRY(perf_write_npy(dir, "label", NPY_F32, t->label, ROWS, e));
    uint32_t *order = mem_alloc(ROWS * sizeof *order);
    if (!order) return err_nomem(e, ROWS * sizeof *order);
    for (uint32_t i = 0; i < ROWS; i++) order[i] = (uint32_t)shuffle_at(&t->order, i);
    int rc = perf_write_npy(dir, "order", NPY_U32, order, ROWS, e);
    mem_free(order);
    TRY(rc);
    char path[1024];
    TRY(file_join(path, sizeof path, dir, "start.safetensors", e));
    TRY(checkpoint_save(&t->graph, path, NULL, e));
    return perf_write_model(dir, &(struct features){FIELDS, t->fields},
                            json_pack("{s:i, s:[i,i,i], s:I, s:i, s:f}", "dim", 16, "towers", 128, 64, 32,
                                      "batch", (json_int_t)t->batch, "checked", CHECKED, "learning_rate",
                                      0.001),
                            e);
}

/* ---- a step ---- */

static int make_model(struct train *t, struct err *e) {
    const struct variant *v = variant_find("dssm");
    void *options = mem_calloc(1, v->options_bytes);
    if (!options) return err_nomem(e, v->options_bytes);
    opt_defaults(v->opts, options);
    graph_init(&t->graph);
    int rc = variant_build(v, options, &(struct features){FIELDS, t->fields}, &t->graph, e);
    mem_free(options);
    TRY(rc);
    return graph_alloc_params(&t->graph, 1, e);
}

static int make_trainer(struct train *t, struct err *e) {
    struct optim_options o;
    opt_defaults(optim_opts, &o);
    if (t->dense) o.embedding_update = OPTIM_DENSE;
    size_t batch = (size_t)t->batch, slice = (size_t)t->slice;
    TRY(exec_create(&t->graph, &(struct exec_options){batch, slice, true, t->pool}, &t->x, e));
    TRY(optim_create(&t->graph, t->x, &o, t->pool, &t->optim, e));
    t->n_slices = (int)((batch + slice - 1) / slice);
    size_t n = (size_t)t->graph.n_columns, slices = (size_t)t->n_slices;
    t->rows = mem_calloc(batch, sizeof *t->rows);
    t->labels = mem_calloc(batch, sizeof *t->labels);
    t->field_of = mem_calloc(n, sizeof *t->field_of);
    t->slices = mem_calloc(slices, sizeof *t->slices);
    t->columns = mem_calloc(slices * n, sizeof *t->columns);
    t->ids = mem_calloc(slices * n, sizeof *t->ids);
    uint32_t *ids = mem_calloc(slices * n * slice, sizeof *ids);
    if (!t->rows || !t->labels || !t->field_of || !t->slices || !t->columns || !t->ids || !ids)
        return err_nomem(e, slices * n * slice * sizeof *ids);
    for (size_t c = 0; c < n; c++) {
        t->field_of[c] = -1;
        for (int f = 0; f < FIELDS; f++)
            if (!strcmp(t->graph.column[c].name, t->fields[f].name)) t->field_of[c] = f;
    }
    for (size_t s = 0; s < slices; s++) {
        size_t first = s * slice, rows = batch - first < slice ? batch - first : slice;
        t->slices[s] = (struct exec_slice){rows, t->columns + s * n};
        for (size_t c = 0; c < n; c++) {
            t->ids[s * n + c] = ids + (s * n + c) * slice;
            if (t->field_of[c] < 0)
                t->columns[s * n + c].number = t->labels + first;
            else
                t->columns[s * n + c].ids = t->ids[s * n + c];
        }
    }
    return 0;
}

static void gather_slice(void *ctx, int s, int worker) {
    struct train *t = ctx;
    (void)worker;
    size_t first = (size_t)s * (size_t)t->slice, n = t->slices[s].rows;
    const uint64_t *rows = t->rows + first;
    for (int c = 0; c < t->graph.n_columns; c++) {
        if (t->field_of[c] < 0) {
            for (size_t r = 0; r < n; r++) t->labels[first + r] = t->label[rows[r]];
            continue;
        }
        const uint32_t *from = t->column[t->field_of[c]];
        uint32_t *to = t->ids[s * t->graph.n_columns + c];
        for (size_t r = 0; r < n; r++) {
            if (r + 16 < n) __builtin_prefetch(&from[rows[r + 16]], 0, 0);
            to[r] = from[rows[r]];
        }
    }
}

static double run_step(struct train *t) {
    uint64_t batch = (uint64_t)t->batch, at = (uint64_t)t->step++ % (ROWS / batch) * batch;
    for (uint64_t i = 0; i < batch; i++) t->rows[i] = shuffle_at(&t->order, at + i);
    pool_run(t->pool, t->n_slices, gather_slice, t);
    double loss = exec_train(t->x, t->slices, t->n_slices, (uint64_t)t->step);
    optim_step(t->optim, 0.001);
    return loss;
}

static json_t *go(void *self, int64_t n, struct err *e) {
    struct train *t = self;
    double start = clock_seconds(), loss = 0;
    for (int64_t i = 0; i < n; i++) loss = run_step(t);
    double seconds = clock_seconds() - start;
    if (!isfinite(loss)) return err_set(e, ERR_INPUT, "the loss is not finite"), NULL;
    return json_pack("{s:f, s:I, s:f}", "seconds", seconds, "examples", (json_int_t)n * t->batch, "loss",
                     loss);
}

/* ---- the floor ---- */

/* FLOPs: the linear layers' products, once forward and twice backward (gradients of weights and of inputs).
 * Bytes, once each, all at memory speed: per example its table rows (forward) and its row gradients (written,
 * read); per step every distinct table row and every dense weight with Adam's two moments (read, written),
 * and the dense gradient (written, read). Activations, ids and instructions are free: so it is a floor. */
static json_t *work(const struct train *t) {
    const struct graph *g = &t->graph;
    double flops = 0, gather = 0, dense = 0, distinct = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        struct cost c = {0};
        const struct node *n = g->node[i];
        if (n->op->cost) n->op->cost(g, n, &c);
        gather += c.gather_bytes;
        if (n->op == &op_linear) flops += 3 * 2.0 * n->attr_i[2] * n->width;
    }
    for (int i = 0; i < g->n_params; i++)
        if (g->param[i]->kind == PARAM_DENSE) dense += (double)(g->param[i]->rows * g->param[i]->cols);
    uint64_t batches = 20;
    uint64_t *seen =
        mem_calloc((size_t)t->entities + 1000, sizeof *seen); /* id -> last batch with it, from 1 */
    for (int f = 0; f < FIELDS && seen; f++)
        for (uint64_t i = 0; i < batches * (uint64_t)t->batch; i++) {
            uint64_t *last = &seen[t->column[f][shuffle_at(&t->order, i)]];
            uint64_t stamp = (uint64_t)f * batches + i / (uint64_t)t->batch + 1;
            distinct += *last != stamp;
            *last = stamp;
        }
    mem_free(seen);
    distinct /= (double)batches;
    double row = 16 * sizeof(float), batch = (double)t->batch;
    double bytes = gather + 2 * FIELDS * row + (distinct * 6 * row + dense * 8 * sizeof(float)) / batch;
    return json_pack("{s:f, s:f, s:f, s:f}", "flops_per_example", flops, "bytes_per_example", bytes,
                     "distinct_rows_per_batch", distinct, "dense_weights", dense);
}

static json_t *ready(struct train *t) {
    json_t *losses = json_array();
    for (int i = 0; i < CHECKED; i++) json_array_append_new(losses, json_real(run_step(t)));
    return json_pack("{s:b, s:s, s:I, s:I, s:s, s:o, s:o}", "ready", 1, "name", "prerank", "threads",
                     (json_int_t)t->threads, "slice", (json_int_t)t->slice, "embedding_update",
                     t->dense ? "dense" : "lazy", "losses", losses, "work", work(t));
}

static void release(struct train *t) {
    optim_free(t->optim);
    exec_free(t->x);
    graph_release(&t->graph);
    pool_free(t->pool);
    if (t->ids) mem_free(t->ids[0]);
    for (int f = 0; f < FIELDS; f++) mem_free(t->column[f]);
    void *own[] = {t->label, t->rows, t->labels, t->field_of, t->slices, t->columns, t->ids};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
}

int main(int argc, char **argv) {
    struct train t = {.threads = 2, .slice = 256, .batch = 1024, .entities = 100000};
    struct err e = ERR_INIT;
    const char *dir = NULL, *update = "lazy";
    int64_t steps = 0;
    const struct perf_flag flags[] = {
        {"threads", "worker threads (2)", &t.threads, NULL},
        {"slice", "rows of a batch that one thread takes at a time (256)", &t.slice, NULL},
        {"batch", "rows of a batch (1024)", &t.batch, NULL},
        {"ids", "ids of the fields user_id and item_id (100000)", &t.entities, NULL},
        {"update", "embeddings: lazy | dense (lazy)", NULL, &update},
        {"steps", "no protocol: run so many steps (for a profiler), then end", &steps, NULL},
        {"write", "write the inputs of the peers to this folder, then end", NULL, &dir}};
    int rc = perf_flags(argc, argv, flags, (int)(sizeof flags / sizeof *flags), &e);
    t.dense = !strcmp(update, "dense");
    gemm_single_threaded();
    if (!rc && (!t.batch || t.batch > ROWS / 20 || !t.slice || t.entities < 2 || t.entities > 10000000))
        rc =
            err_set(&e, ERR_INPUT, "--batch must be 1 .. %d, --slice at least 1, --ids 2 .. 10 M", ROWS / 20);
    if (!rc) rc = pool_create((int)t.threads, &t.pool, &e);
    if (!rc) rc = make_rows(&t, &e);
    if (!rc) rc = make_model(&t, &e);
    if (!rc && dir) {
        rc = write_rows(&t, dir, &e);
    } else if (!rc) {
        rc = make_trainer(&t, &e);
        if (!rc && steps)
            json_dumpf(go(&t, steps, &e), stdout, 0);
        else if (!rc)
            rc = perf_serve(&(struct perf_contender){&t, go, t.pool}, ready(&t), &e);
    }
    if (rc) fprintf(stderr, "%s: %s\n", argv[0], e.msg);
    release(&t);
    return rc;
}
