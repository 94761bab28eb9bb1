/* perf_train: training speed of a model (14 fields, D 16, batch 1024, adam; by default variant dssm with towers
 * 128-64-32) next to the floor that the machine sets. See perf.h for the protocol.
 *
 *     build/perf_train --write DIR          columns, row order and start weights for the peers; then ends
 *     build/perf_train --threads 2          a contender
 *     build/perf_train --variant parallel --options '{channels: [fm]}' --bursts 8      one line: speed, work and floor
 *     build/perf_train --loss mixed --bursts 8                                         a softmax against sampled items
 *
 * `din` has a fifteenth field, the user's 20 recent items.
 *
 * A timed step is what the trainer does: row numbers from the shuffle, the batch's columns gathered slice by
 * slice, forward, backward, optimiser. Every epoch has the same row order, so that peers can read it from a
 * file; incomplete last batches are left out. A softmax has batches of clicked rows and draws items as the trainer does
 * (bench/run/negatives.h); a teacher's word (--distill 1) is any number.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "bench/perf/perf.h"
#include "bench/run/negatives.h"
#include "nn/checkpoint.h"
#include "nn/exec.h"
#include "nn/optim.h"
#include "nn/vec.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIELDS  14
#define HISTORY 20 /* items in the field `recent`, which only din has */
#define ROWS    200000
#define CHECKED 100 /* steps whose losses are compared between contenders */

#define FIELD(name, side, vocab)                                                                             \
    { name, side, VALUE_ID, vocab, NULL, 1 }
static const struct feature default_fields[FIELDS + 1] = {
    FIELD("user_id", SIDE_USER, 0),
    FIELD("user_city", SIDE_USER, 1000),
    FIELD("user_model", SIDE_USER, 100),
    FIELD("user_age", SIDE_USER, 50),
    FIELD("user_level", SIDE_USER, 20),
    FIELD("user_os", SIDE_USER, 10),
    FIELD("user_sex", SIDE_USER, 5),
    FIELD("item_id", SIDE_ITEM, 0),
    FIELD("item_brand", SIDE_ITEM, 1000),
    FIELD("item_shop", SIDE_ITEM, 100),
    FIELD("item_category", SIDE_ITEM, 50),
    FIELD("item_price", SIDE_ITEM, 20),
    FIELD("item_stars", SIDE_ITEM, 10),
    FIELD("item_stock", SIDE_ITEM, 5),
    {"recent", SIDE_USER, VALUE_BAG, 0, "item_id", HISTORY}};

/* What a column of the graph is of each row: a field, or one of these numbers; and the set of rows (nn/loss.h): 0: the
 * batch's own, k: its k-th drawn items. */
enum { LABEL = -5, ITEM, P, Q, TEACHER };
struct source {
    int what, set;
};

struct train {
    int64_t threads, slice, batch, entities;
    const struct variant *variant;
    const char *options; /* of the variant, as in a YAML file */
    const char *loss;    /* its kind */
    int64_t distill;     /* 1: a teacher's share of half */
    struct objective objective;
    struct dataset ds; /* the rows, as negatives.h wants them */
    struct negatives negatives;
    int n_fields;
    struct feature fields[FIELDS + 1]; /* user_id, item_id and recent have `entities` ids */
    bool dense;
    uint32_t *column[FIELDS + 1]; /* [ROWS], or [ROWS][HISTORY] */
    float *label;                 /* [ROWS] */
    uint8_t *clicked;             /* [ROWS] the same */
    uint32_t *row;                /* [n_rows] that are trained on: all, or the clicked ones */
    uint64_t n_rows;
    struct shuffle order; /* of row[] */
    struct pool *pool;
    struct graph graph;
    struct exec *x;
    struct optim *optim;
    /* the batch */
    int n_sets, n_slices;
    uint64_t *rows;        /* [n_sets][batch] */
    struct source *source; /* [graph column] */
    struct exec_slice *slices;
    struct batch_column *columns; /* [slice][graph column] */
    uint32_t **ids;               /* [slice * columns + column] -> [slice rows][per_row] */
    uint32_t *offsets;            /* of bags, each of which has HISTORY ids: [slice + 1] */
    float *numbers;               /* [slice * columns + column][slice rows] */
    int64_t step;
};

/* ---- data ---- */

static size_t per_row(const struct train *t, int f) { return t->fields[f].type == VALUE_BAG ? HISTORY : 1; }

static void fill_row(struct train *t, size_t i, struct rng *r) {
    uint32_t user = perf_zipf(rng_uniform(r), (uint32_t)t->entities),
             item = perf_zipf(rng_uniform(r), (uint32_t)t->entities);
    double logit = -1;
    for (int f = 0; f < FIELDS; f++) {
        t->column[f][i] = perf_field_id(&t->fields[f], t->fields[f].side == SIDE_USER ? user : item);
        logit += perf_effect(&t->fields[f], t->column[f][i]);
    }
    t->clicked[i] = rng_uniform(r) < 1 / (1 + exp(-logit));
    t->label[i] = t->clicked[i] ? 1.0f : 0.0f;
    for (uint32_t k = 0; k < HISTORY && t->n_fields > FIELDS; k++) {
        double u = (double)(rng_hash((uint64_t)user * HISTORY + k) >> 11) * 0x1p-53;
        t->column[FIELDS][i * HISTORY + k] = perf_zipf(u, (uint32_t)t->entities);
    }
}

static bool softmax_alone(const struct train *t) {
    return loss_is_softmax(&t->objective.loss) && !t->distill;
}

static int make_rows(struct train *t, struct err *e) {
    memcpy(t->fields, default_fields, sizeof default_fields);
    t->n_fields = FIELDS + !strcmp(t->variant->name, "din");
    for (int f = 0; f < t->n_fields; f++) {
        size_t bytes = ROWS * per_row(t, f) * sizeof(uint32_t);
        if (!t->fields[f].vocab) t->fields[f].vocab = (uint32_t)t->entities;
        if (!(t->column[f] = mem_alloc(bytes))) return err_nomem(e, bytes);
    }
    t->label = mem_alloc(ROWS * sizeof *t->label);
    t->clicked = mem_alloc(ROWS);
    t->row = mem_alloc(ROWS * sizeof *t->row);
    if (!t->label || !t->clicked || !t->row) return err_nomem(e, ROWS * sizeof *t->label);
    struct rng r = rng_init(1, rng_stream("perf_train"));
    for (size_t i = 0; i < ROWS; i++) fill_row(t, i, &r);
    for (uint32_t i = 0; i < ROWS; i++)
        if (t->clicked[i] || !softmax_alone(t)) t->row[t->n_rows++] = i;
    t->order = shuffle_init(t->n_rows, 1);
    return 0;
}

/* The i-th row in the order of training. */
static uint32_t row_at(const struct train *t, uint64_t i) {
    return t->row[shuffle_at(&t->order, i % t->n_rows)];
}

static int prepare_draws(struct train *t, struct err *e) {
    t->ds = (struct dataset){.n_users = (uint32_t)t->entities,
                             .n_items = (uint32_t)t->entities,
                             .n_rows = ROWS,
                             .user = t->column[0],
                             .item = t->column[FIELDS / 2],
                             .label = t->clicked};
    t->ds.split[SPLIT_TRAIN].end = ROWS;
    return loss_is_softmax(&t->objective.loss)
               ? negatives_init(&t->negatives, &t->ds, ROWS, &t->objective.loss, e)
               : 0;
}

static int write_rows(const struct train *t, const char *dir, struct err *e) {
    TRY(file_make_dirs(dir, e));
    for (int f = 0; f < FIELDS; f++)
        TRY(perf_write_npy(dir, t->fields[f].name, NPY_U32, t->column[f], ROWS, e));
    TRY(perf_write_npy(dir, "label", NPY_F32, t->label, ROWS, e));
    uint32_t *order = mem_alloc(ROWS * sizeof *order);
    if (!order) return err_nomem(e, ROWS * sizeof *order);
    for (uint32_t i = 0; i < ROWS; i++) order[i] = row_at(t, i);
    int rc = perf_write_npy(dir, "order", NPY_U32, order, ROWS, e);
    mem_free(order);
    TRY(rc);
    char path[1024];
    TRY(file_join(path, sizeof path, dir, "start.safetensors", e));
    TRY(checkpoint_save(&t->graph, path, NULL, e));
    return perf_write_model(dir, &(struct features){t->n_fields, t->fields},
                            json_pack("{s:i, s:[i,i,i], s:I, s:i, s:f}", "dim", 16, "towers", 128, 64, 32,
                                      "batch", (json_int_t)t->batch, "checked", CHECKED, "learning_rate",
                                      0.001),
                            e);
}

/* ---- a step ---- */

static int read_options(const struct train *t, void *options, struct err *e) {
    struct arena a = ARENA_INIT;
    struct conf *map = NULL;
    opt_defaults(t->variant->opts, options);
    int rc = conf_parse("--options", t->options, strlen(t->options), &a, &map, e);
    if (!rc) rc = opt_read(t->variant->opts, options, map, t->variant->name, e);
    arena_release(&a);
    return rc;
}

static int read_loss(struct train *t, struct err *e) {
    const struct conf kind = {.type = CONF_SCALAR, .text = t->loss, .file = "--loss"};
    opt_defaults(loss_opts, &t->objective.loss);
    opt_defaults(distill_opts, &t->objective.distill);
    if (t->distill) snprintf(t->objective.distill.teacher, sizeof t->objective.distill.teacher, "any");
    return *t->loss ? opt_set(loss_opts, &t->objective.loss, "kind", &kind, "--loss", e) : 0;
}

static int make_model(struct train *t, struct err *e) {
    void *options = mem_calloc(1, t->variant->options_bytes);
    if (!options) return err_nomem(e, t->variant->options_bytes);
    graph_init(&t->graph);
    int rc = read_options(t, options, e);
    if (!rc)
        rc = variant_build_for(t->variant, options, &(struct features){t->n_fields, t->fields}, &t->objective,
                               &t->graph, e);
    mem_free(options);
    TRY(rc);
    return graph_alloc_params(&t->graph, 1, e);
}

static struct source source_of(struct train *t, const char *column) {
    static const char *const number[] = {[ITEM - LABEL] = LOSS_ITEM,
                                         [P - LABEL] = LOSS_P,
                                         [Q - LABEL] = LOSS_Q,
                                         [TEACHER - LABEL] = LOSS_TEACHER};
    enum loss_set kind;
    int k;
    const char *name = loss_column(column, &kind, &k);
    struct source s = {.what = LABEL, .set = kind == LOSS_SET_ROW ? 0 : 1 + k};
    if (s.set >= t->n_sets) t->n_sets = s.set + 1;
    for (int f = 0; f < t->n_fields; f++)
        if (!strcmp(name, t->fields[f].name)) s.what = f;
    for (int w = ITEM; w <= TEACHER; w++)
        if (!strcmp(name, number[w - LABEL])) s.what = w;
    return s;
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
    t->source = mem_calloc(n, sizeof *t->source);
    if (!t->source) return err_nomem(e, n * sizeof *t->source);
    for (size_t c = 0; c < n; c++) t->source[c] = source_of(t, t->graph.column[c].name);
    t->rows = mem_calloc((size_t)t->n_sets * batch, sizeof *t->rows);
    t->slices = mem_calloc(slices, sizeof *t->slices);
    t->columns = mem_calloc(slices * n, sizeof *t->columns);
    t->ids = mem_calloc(slices * n, sizeof *t->ids);
    t->offsets = mem_calloc(slice + 1, sizeof *t->offsets);
    t->numbers = mem_calloc(slices * n * slice, sizeof *t->numbers);
    uint32_t *ids = mem_calloc(slices * n * slice * HISTORY, sizeof *ids);
    if (!t->rows || !t->slices || !t->columns || !t->ids || !t->offsets || !t->numbers || !ids)
        return err_nomem(e, slices * n * slice * HISTORY * sizeof *ids);
    for (size_t i = 0; i <= slice; i++) t->offsets[i] = (uint32_t)(i * HISTORY);
    for (size_t s = 0; s < slices; s++) {
        size_t first = s * slice, rows = batch - first < slice ? batch - first : slice;
        t->slices[s] = (struct exec_slice){rows, t->columns + s * n};
        for (size_t c = 0; c < n; c++) {
            struct batch_column *col = &t->columns[s * n + c];
            t->ids[s * n + c] = ids + (s * n + c) * slice * HISTORY;
            if (t->source[c].what < 0)
                col->number = t->numbers + (s * n + c) * slice;
            else
                col->ids = t->ids[s * n + c];
            if (t->source[c].what == FIELDS) col->offsets = t->offsets;
        }
    }
    return 0;
}

static float number_of(const struct train *t, int what, uint64_t row) {
    uint32_t item = t->ds.item[row];
    switch (what) {
    case ITEM:
        return (float)item;
    case P:
        return t->negatives.p[item];
    case Q:
        return t->negatives.q[item];
    case TEACHER:
        return 0.1f + 0.8f * t->label[row];
    default:
        return t->label[row];
    }
}

static void gather_slice(void *ctx, int s, int worker) {
    struct train *t = ctx;
    (void)worker;
    size_t first = (size_t)s * (size_t)t->slice, n = t->slices[s].rows, batch = (size_t)t->batch;
    for (int k = 1; k < t->n_sets; k++)
        for (size_t r = first; r < first + n; r++)
            t->rows[(size_t)k * batch + r] =
                negatives_draw(&t->negatives, rng_hash(rng_hash((uint64_t)(t->step * t->n_sets + k)) + r));
    for (int c = 0; c < t->graph.n_columns; c++) {
        const struct source source = t->source[c];
        const uint64_t *rows = t->rows + (size_t)source.set * batch + first;
        size_t at = (size_t)s * (size_t)t->graph.n_columns + (size_t)c;
        if (source.what < 0) {
            float *number = t->numbers + at * (size_t)t->slice;
            for (size_t r = 0; r < n; r++) number[r] = number_of(t, source.what, rows[r]);
            continue;
        }
        const uint32_t *from = t->column[source.what];
        uint32_t *to = t->ids[at];
        size_t k = per_row(t, source.what);
        for (size_t r = 0; r < n && k > 1; r++) memcpy(to + r * k, from + rows[r] * k, k * sizeof *to);
        if (k > 1) continue;
        for (size_t r = 0; r < n; r++) {
            if (r + 16 < n) __builtin_prefetch(&from[rows[r + 16]], 0, 0);
            to[r] = from[rows[r]];
        }
    }
}

static double run_step(struct train *t) {
    uint64_t batch = (uint64_t)t->batch, at = (uint64_t)t->step++ % (t->n_rows / batch) * batch;
    for (uint64_t i = 0; i < batch; i++) t->rows[i] = row_at(t, at + i);
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

/* FLOPs: the products (linear layers, and what other operations say of themselves where they multiply), once forward and
 * twice backward (gradients of weights and of inputs). Bytes, once each, all at memory speed: per example its table rows
 * (forward) and its row gradients (written, read); per step every distinct table row and every dense weight with Adam's
 * two moments (read, written), and the dense gradient (written, read). Activations, ids, elementwise operations and
 * instructions are free: so it is a floor. */
struct work {
    double flops, bytes, distinct, dense; /* a step's distinct table rows; dense weights */
};

/* How many items an example's user is scored against, in the mean. */
static double scored_items(const struct train *t) {
    double clicked = 0, batch = (double)t->batch;
    bool in_batch = t->objective.loss.kind == LOSS_IN_BATCH || t->objective.loss.kind == LOSS_MIXED;
    for (uint64_t i = 0; i < t->n_rows; i++) clicked += t->clicked[t->row[i]];
    clicked /= (double)t->n_rows;
    return clicked * batch * ((in_batch ? clicked : 0) + (double)(t->n_sets - 1));
}

static double product_flops(const struct train *t, const struct node *n) {
    const struct graph *g = &t->graph;
    static const struct op *const products[] = {&op_cin, &op_target_attention, &op_max_sim,
                                                &op_category_alignment};
    struct cost c = {0};
    if (n->op == &op_linear) return 2.0 * n->attr_i[2] * n->width;
    if (n->op == &op_sampled_softmax) return 2.0 * n->attr_i[0] * scored_items(t);
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (n->op == products[i] && n->op->cost) n->op->cost(g, n, &c);
    return c.flops;
}

/* Distinct ids of field f in a batch, mean over some. */
static double distinct_ids(const struct train *t, int f) {
    uint64_t batches = 20, stamp = 0, n = 0;
    size_t k = per_row(t, f);
    uint64_t *seen =
        mem_calloc((size_t)t->fields[f].vocab + 1, sizeof *seen); /* id -> last batch with it, from 1 */
    for (uint64_t i = 0; seen && i < batches * (uint64_t)t->batch; i++) {
        stamp = i / (uint64_t)t->batch + 1;
        const uint32_t *id = t->column[f] + row_at(t, i) * k;
        for (size_t j = 0; j < k; j++) {
            n += seen[id[j]] != stamp;
            seen[id[j]] = stamp;
        }
    }
    mem_free(seen);
    return (double)n / (double)batches;
}

static struct work count_work(const struct train *t) {
    const struct graph *g = &t->graph;
    double batch = (double)t->batch;
    struct work w = {0};
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->node[i];
        w.flops += 3 * product_flops(t, n);
        if (n->op != &op_embedding && n->op != &op_sequence) continue;
        const struct source source = t->source[g->node[n->in[0]]->input];
        int f = source.what;
        double row = (double)g->param[n->param[0]]->cols * sizeof(float),
               distinct = source.set ? 0 : distinct_ids(t, f); /* drawn rows may be the batch's */
        w.bytes += (double)per_row(t, f) * (3 * row + sizeof(uint32_t)) + distinct * 6 * row / batch;
        w.distinct += distinct;
    }
    for (int i = 0; i < g->n_params; i++)
        if (g->param[i]->kind == PARAM_DENSE) w.dense += (double)(g->param[i]->rows * g->param[i]->cols);
    w.bytes += w.dense * 8 * sizeof(float) / batch;
    return w;
}

static json_t *work(const struct train *t) {
    struct work w = count_work(t);
    return json_pack("{s:f, s:f, s:f, s:f}", "flops_per_example", w.flops, "bytes_per_example", w.bytes,
                     "distinct_rows_per_batch", w.distinct, "dense_weights", w.dense);
}

static json_t *ready(struct train *t) {
    json_t *losses = json_array();
    for (int i = 0; i < CHECKED; i++) json_array_append_new(losses, json_real(run_step(t)));
    return json_pack("{s:b, s:s, s:I, s:I, s:s, s:o, s:o}", "ready", 1, "name", "prerank", "threads",
                     (json_int_t)t->threads, "slice", (json_int_t)t->slice, "embedding_update",
                     t->dense ? "dense" : "lazy", "losses", losses, "work", work(t));
}

/* No protocol: bursts of about half a second, a calibration after each; the best of both stand for a quiet machine. */
static int report(struct train *t, int64_t bursts, struct err *e) {
    struct machine best = {0};
    double fastest = 0;
    int64_t steps = 20;
    for (int64_t i = 0; i <= bursts; i++) { /* the first finds out how many steps that is */
        double start = clock_seconds();
        for (int64_t k = 0; k < steps; k++)
            if (!isfinite(run_step(t))) return err_set(e, ERR_INPUT, "the loss is not finite");
        double speed = (double)steps / (clock_seconds() - start);
        if (i) fastest = fmax(fastest, speed * (double)t->batch);
        steps = 1 + (int64_t)(speed / 2);
        struct machine m;
        machine_describe(&m);
        TRY(machine_calibrate(&m, t->pool, e));
        best.peak_gflops = fmax(best.peak_gflops, m.peak_gflops);
        best.memory_gbs = fmax(best.memory_gbs, m.memory_gbs);
    }
    struct work w = count_work(t);
    double floor = 1e9 / (w.flops / best.peak_gflops + w.bytes / best.memory_gbs);
    char what[80];
    bool plain = !strcmp(t->options, "{}") && (*t->loss || t->distill);
    snprintf(what, sizeof what, "%s%s%s%s", plain ? "" : t->options, t->loss,
             *t->loss && t->distill ? ", " : "", t->distill ? "distill" : "");
    printf("%-9s %-22s %10.0f %12.0f %10.0f %12.0f %8.0f %%\n", t->variant->name, what, fastest, w.flops,
           w.bytes, floor, 100 * fastest / floor);
    return 0;
}

static void release(struct train *t) {
    optim_free(t->optim);
    exec_free(t->x);
    graph_release(&t->graph);
    pool_free(t->pool);
    if (t->ids) mem_free(t->ids[0]);
    for (int f = 0; f <= FIELDS; f++) mem_free(t->column[f]);
    negatives_release(&t->negatives);
    void *own[] = {t->offsets, t->label,  t->clicked, t->row,     t->rows,
                   t->source,  t->slices, t->columns, t->numbers, t->ids};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
}

int main(int argc, char **argv) {
    struct train t = {.threads = 2,
                      .slice = 256,
                      .batch = 1024,
                      .entities = 100000,
                      .options = "{}",
                      .loss = "",
                      .n_sets = 1};
    struct err e = ERR_INIT;
    const char *dir = NULL, *update = "lazy", *variant = "dssm";
    int64_t steps = 0, bursts = 0;
    const struct perf_flag flags[] = {
        {"threads", "worker threads (2)", &t.threads, NULL},
        {"slice", "rows of a batch that one thread takes at a time (256)", &t.slice, NULL},
        {"batch", "rows of a batch (1024)", &t.batch, NULL},
        {"ids", "ids of the fields user_id and item_id (100000)", &t.entities, NULL},
        {"update", "embeddings: lazy | dense (lazy)", NULL, &update},
        {"variant", "the model (dssm)", NULL, &variant},
        {"options", "its options, as in a config ({})", NULL, &t.options},
        {"loss", "bce, in_batch, uniform, popularity or mixed, with default options (bce)", NULL, &t.loss},
        {"distill", "1: a teacher's share of half (0)", &t.distill, NULL},
        {"bursts",
         "no protocol: so many bursts, then one line: name, options, examples/s, FLOPs and bytes an example, "
         "floor, share of it",
         &bursts, NULL},
        {"steps", "no protocol: run so many steps (for a profiler), then end", &steps, NULL},
        {"write", "write the inputs of the peers to this folder, then end", NULL, &dir}};
    int rc = perf_flags(argc, argv, flags, (int)(sizeof flags / sizeof *flags), &e);
    t.dense = !strcmp(update, "dense");
    gemm_single_threaded();
    if (!rc && (!t.batch || t.batch > ROWS / 20 || !t.slice || t.entities < 2 || t.entities > 10000000))
        rc =
            err_set(&e, ERR_INPUT, "--batch must be 1 .. %d, --slice at least 1, --ids 2 .. 10 M", ROWS / 20);
    if (!rc && !(t.variant = variant_find(variant)))
        rc = err_set(&e, ERR_INPUT, "--variant: there is no \"%s\"", variant);
    if (!rc && dir && (strcmp(variant, "dssm") != 0 || *t.loss || t.distill))
        rc = err_set(&e, ERR_INPUT, "--write: the peers know dssm and cross-entropy only");
    if (!rc) rc = read_loss(&t, &e);
    if (!rc) rc = pool_create((int)t.threads, &t.pool, &e);
    if (!rc) rc = make_rows(&t, &e);
    if (!rc) rc = prepare_draws(&t, &e);
    if (!rc) rc = make_model(&t, &e);
    if (!rc && dir) {
        rc = write_rows(&t, dir, &e);
    } else if (!rc) {
        rc = make_trainer(&t, &e);
        if (!rc && bursts)
            rc = report(&t, bursts, &e);
        else if (!rc && steps)
            json_dumpf(go(&t, steps, &e), stdout, 0);
        else if (!rc)
            rc = perf_serve(&(struct perf_contender){&t, go, t.pool}, ready(&t), &e);
    }
    if (rc) fprintf(stderr, "%s: %s\n", argv[0], e.msg);
    release(&t);
    return rc;
}
