/* Timing one field as a table of partial products and as a product. */
#include "base/mem.h"
#include "base/progress.h"
#include "base/rng.h"
#include "nn/exec.h"
#include "nn/fused/product.h"
#include "nn/op.h"
#include "serve/tables.h"
#include <math.h>
#include <string.h>

enum {
    CANDIDATES = 512, /* of a run */
    BLOCK = 128,      /* op by op, as the scorer does it */
    ROUNDS = 64,      /* at most; */
    ROUNDS_LEAST = 3,
    RECORDS = 8192 /* items: more than a cache near the processor has room for */
};
static const int64_t enough_ns = 5000000; /* no further round after so much */

enum { COLUMN_ITEM, COLUMN_FIELD, COLUMNS };
struct trial { /* the pair stage with the field in one of the ways */
    struct fused *fused;
    struct fused_work *work;
    float *base, score[CANDIDATES];
    struct graph serving; /* op by op */
    struct cut cut;
    struct exec *x;
    struct product *product; /* below fp32 */
    double best_ns;
};

struct timing {
    const struct table_shape *shape;
    struct rng rng;
    uint8_t *seen; /* [rows]: times that the sample has the id, 2 at most */
    uint32_t ids[COLUMNS][CANDIDATES];
    float *zeros; /* [dim][units]: weights */
    struct fused_ranges ranges;
    struct graph g; /* op by op: both ways come of it */
    float *records;
    struct trial way[2]; /* table, product */
};

/* ---- ids ---- */

static int count_sample(struct timing *t, struct err *e) {
    const struct table_shape *s = t->shape;
    if (!(t->seen = mem_calloc(s->rows + 1, 1))) return err_nomem(e, s->rows);
    for (size_t i = 0; i < s->n_ids; i++)
        if (s->ids[i] < s->rows && t->seen[s->ids[i]] < 2) t->seen[s->ids[i]]++;
    return 0;
}

/* As in the sample; an id that it has once stands for all those that it has not (Good 1953: they are as many). */
static uint32_t draw_id(struct timing *t) {
    const struct table_shape *s = t->shape;
    uint32_t id = s->n_ids ? s->ids[rng_below(&t->rng, s->n_ids)] : 0;
    return s->n_ids && id < s->rows && t->seen[id] > 1 ? id : (uint32_t)rng_below(&t->rng, s->rows);
}

/* ---- the fused engine ---- */

/* Of what follows the sum the first layer stays: its products run while rows are on their way. */
static struct chain chain_of(const struct chain *whole) {
    struct chain c = {.width = whole->width, .act = whole->act, .n_layers = whole->n_layers > 1 ? 2 : 1};
    for (int k = 0; k < c.n_layers; k++) c.layer[k] = whole->layer[k];
    if (whole->n_layers > 2) c.layer[1] = (struct chain_layer){.k = whole->layer[0].n, .n = 1};
    return c;
}

static int make_fused(struct timing *t, bool as_table, struct trial *w, struct err *e) {
    const struct table_shape *s = t->shape;
    const struct param records = {.rows = RECORDS, .cols = s->units},
                       table = {.rows = s->rows, .cols = s->units},
                       embedding = {.rows = s->rows, .cols = s->dim};
    struct chain c = chain_of(s->chain);
    struct fused_options o = {.precision = s->precision, .isa = s->isa, .ranges = &t->ranges};
    c.lookup[c.n_lookups++] = (struct chain_lookup){COLUMN_ITEM, &records, 0};
    if (as_table)
        c.lookup[c.n_lookups++] = (struct chain_lookup){COLUMN_FIELD, &table, 0};
    else
        c.product[c.n_products++] = (struct chain_product){COLUMN_FIELD, &embedding, s->act, t->zeros};
    if (!t->ranges.own) {
        TRY(fused_ranges_init(&c, &t->ranges, e));
        for (int k = 0; k < c.n_layers; k++)
            for (size_t i = 0; i < (k ? c.layer[k - 1].n : c.width); i++) t->ranges.max[k][i] = 1;
    }
    TRY(fused_create(&c, &o, &w->fused, e));
    TRY(fused_work_create(w->fused, &w->work, e));
    w->base = mem_calloc(fused_base_floats(w->fused), sizeof *w->base);
    return w->base ? 0 : err_nomem(e, s->units * sizeof *w->base);
}

/* ---- op by op ---- */

/* Memory of its own for every parameter, which zeros that nobody wrote would not have. */
static int fill(struct graph *g, struct err *e) {
    for (int i = 0; i < g->n_params; i++) {
        struct param *p = g->param[i];
        size_t bytes = p->rows * p->cols * sizeof *p->value;
        if (!(p->value = mem_alloc(bytes))) return err_nomem(e, bytes);
        memset(p->value, 0, bytes);
    }
    return 0;
}

/* A layer over an item's and the field's embedding. */
static int make_layer(struct timing *t, struct err *e) {
    const struct table_shape *s = t->shape;
    struct graph *g = &t->g;
    int item = nn_embedding(g, graph_input(g, "item", SIDE_ITEM, VALUE_ID, 1), 1, NULL);
    int field =
        nn_embedding(g, graph_input(g, "field", SIDE_PAIR, VALUE_ID, (uint32_t)s->rows), (int)s->dim, NULL);
    if (s->act != ACT_NONE) field = nn_act(g, field, s->act);
    g->output = nn_linear(g, nn_concat(g, 2, (int[]){item, field}), (int)s->units, ACT_NONE, "layer");
    if (g->err.code) return *e = g->err, e->code;
    size_t bytes = RECORDS * s->units * sizeof *t->records;
    if (!(t->records = mem_alloc(bytes))) return err_nomem(e, bytes);
    memset(t->records, 0, bytes);
    return fill(g, e);
}

/* The product as the scorer has it below fp32. */
static int lower(struct timing *t, struct trial *w, struct err *e) {
    const struct graph *pair = &w->cut.pair;
    for (int i = 0; i < pair->n_nodes; i++) {
        struct node *n = pair->node[i];
        if (n->op != &op_linear) continue;
        struct chain_layer l = chain_layer_of(pair, n);
        l.bias = NULL;
        struct product_options o = {.precision = t->shape->precision, .isa = t->shape->isa, .most = t->zeros};
        TRY(product_create(&l, &o, &w->product, e));
        n->product = w->product;
    }
    return 0;
}

static int make_ops(struct timing *t, bool as_table, struct trial *w, struct err *e) {
    const struct table_shape *s = t->shape;
    struct pass_options o = {.split = true, .table_bytes = as_table ? SIZE_MAX : 0};
    TRY(pass_serving(&t->g, &o, &w->serving, e));
    TRY(graph_cut(&w->serving, &w->cut, e));
    struct graph *pair = &w->cut.pair;
    struct param *records = pair->param[graph_find_param(pair, "@items")];
    records->value = t->records;
    records->rows = RECORDS;
    if (s->precision != PRECISION_FP32 && !as_table && s->units > 1) TRY(lower(t, w, e));
    return exec_create(pair, &(struct exec_options){.max_rows = BLOCK}, &w->x, e);
}

/* ---- timing ---- */

static void run(const struct timing *t, struct trial *w) {
    const uint32_t *ids[COLUMNS] = {t->ids[COLUMN_ITEM], t->ids[COLUMN_FIELD]};
    if (w->fused) {
        fused_run(w->fused, w->work, &(struct fused_rows){.n = CANDIDATES, .ids = ids, .base = w->base},
                  w->score);
        return;
    }
    int item = graph_column_index(&w->cut.pair, "@item");
    for (size_t first = 0; first < CANDIDATES; first += BLOCK) {
        struct batch_column col[COLUMNS] = {{0}};
        for (int k = 0; k < COLUMNS; k++) col[k].ids = ids[k == item ? COLUMN_ITEM : COLUMN_FIELD] + first;
        exec_forward(w->x, &(struct exec_slice){BLOCK, col}, 1);
    }
}

static int64_t run_once(struct timing *t, struct trial *w) {
    for (size_t i = 0; i < CANDIDATES; i++) {
        t->ids[COLUMN_ITEM][i] = (uint32_t)rng_below(&t->rng, RECORDS);
        t->ids[COLUMN_FIELD][i] = draw_id(t);
    }
    int64_t start = clock_ns();
    run(t, w);
    int64_t took = clock_ns() - start;
    w->best_ns = fmin(w->best_ns, (double)took);
    return took;
}

/* Turn by turn, other ids each time; the least of each, because other work on the machine only adds. */
static void run_all(struct timing *t) {
    int64_t spent = 0;
    for (int k = 0; k < 2; k++) {
        run_once(t, &t->way[k]); /* does not count */
        t->way[k].best_ns = INFINITY;
    }
    for (int r = 0; r < ROUNDS && (r < ROUNDS_LEAST || spent < enough_ns); r++)
        for (int k = 0; k < 2; k++) spent += run_once(t, &t->way[(r + k) % 2]);
}

static int prepare(struct timing *t, struct err *e) {
    const struct table_shape *s = t->shape;
    TRY(count_sample(t, e));
    if (!(t->zeros = mem_calloc(s->dim * s->units, sizeof *t->zeros)))
        return err_nomem(e, s->dim * s->units * sizeof *t->zeros);
    if (!s->chain) TRY(make_layer(t, e));
    for (int k = 0; k < 2; k++)
        TRY(s->chain ? make_fused(t, k == 0, &t->way[k], e) : make_ops(t, k == 0, &t->way[k], e));
    return 0;
}

static void release(struct timing *t) {
    for (int k = 0; k < 2; k++) {
        struct trial *w = &t->way[k];
        fused_work_free(w->work);
        fused_free(w->fused);
        mem_free(w->base);
        exec_free(w->x);
        product_free(w->product);
        cut_release(&w->cut);
        graph_release(&w->serving);
    }
    fused_ranges_release(&t->ranges);
    graph_release(&t->g);
    mem_free(t->records);
    mem_free(t->zeros);
    mem_free(t->seen);
    mem_free(t);
}

int table_time(void *ctx, const struct table_shape *shape, double *table_ns, double *product_ns,
               struct err *e) {
    struct timing *t = mem_calloc(1, sizeof *t);
    (void)ctx;
    if (!t) return err_nomem(e, sizeof *t);
    t->shape = shape;
    t->rng = rng_init(1, rng_stream("table_time"));
    graph_init(&t->g);
    for (int k = 0; k < 2; k++) graph_init(&t->way[k].serving);
    int rc = prepare(t, e);
    if (!rc) run_all(t);
    *table_ns = t->way[0].best_ns / CANDIDATES;
    *product_ns = t->way[1].best_ns / CANDIDATES;
    release(t);
    return rc;
}
