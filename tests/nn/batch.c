#include "tests/nn/batch.h"
#include "base/rng.h"
#include "nn/optim.h"
#include <criterion/criterion.h>
#include <string.h>

void *batch_alloc(struct batch *b, size_t count, size_t size) {
    void *p = arena_alloc(&b->arena, (count + 1) * size);
    cr_assert_not_null(p);
    return p;
}

void batch_init(struct batch *b, const struct graph *g, size_t rows) {
    *b = (struct batch){.arena = ARENA_INIT, .rows = rows, .n_columns = g->n_columns};
    b->column = batch_alloc(b, (size_t)g->n_columns, sizeof *b->column);
}

void batch_random(struct batch *b, const struct graph *g, size_t rows, uint64_t seed) {
    struct rng r = rng_init(seed, rng_stream("batch"));
    batch_init(b, g, rows);
    for (int c = 0; c < g->n_columns; c++) {
        const struct graph_column *col = &g->column[c];
        uint32_t *ids = batch_alloc(b, rows * 4, sizeof *ids),
                 *offsets = batch_alloc(b, rows + 1, sizeof *offsets);
        float *number = batch_alloc(b, rows, sizeof *number);
        for (size_t i = 0; i < rows * 4 && col->vocab; i++) ids[i] = (uint32_t)rng_below(&r, col->vocab);
        for (size_t i = 0; i < rows; i++) {
            static const float labels[] = {0, 0.25f, 1};
            offsets[i + 1] = offsets[i] + (uint32_t)rng_below(&r, 5);
            number[i] = strcmp(col->name, "label") ? (float)rng_normal(&r) : labels[rng_below(&r, 3)];
        }
        switch (col->type) {
        case VALUE_ID:
            b->column[c].ids = ids;
            break;
        case VALUE_BAG:
            b->column[c] = (struct batch_column){.ids = ids, .offsets = offsets};
            break;
        case VALUE_NUMBER:
            b->column[c].number = number;
            break;
        }
    }
    batch_cut(b, rows);
}

/* Every other slice's bags count from 0, the others from where they are in the batch: both are allowed. */
static struct batch_column cut_column(struct batch *b, const struct batch_column *whole, size_t first,
                                      size_t rows, bool rebase) {
    struct batch_column cut = *whole;
    if (whole->number) cut.number += first;
    if (whole->ids && !whole->offsets) cut.ids += first;
    if (!whole->offsets) return cut;
    cut.offsets += first;
    if (!rebase) return cut;
    uint32_t *offsets = batch_alloc(b, rows + 1, sizeof *offsets);
    for (size_t i = 0; i <= rows; i++) offsets[i] = cut.offsets[i] - cut.offsets[0];
    return (struct batch_column){.ids = cut.ids + cut.offsets[0], .offsets = offsets};
}

void batch_cut(struct batch *b, size_t slice_rows) {
    b->n_slices = (int)((b->rows + slice_rows - 1) / slice_rows);
    b->slice = batch_alloc(b, (size_t)b->n_slices, sizeof *b->slice);
    for (int s = 0; s < b->n_slices; s++) {
        size_t first = (size_t)s * slice_rows, left = b->rows - first,
               rows = left < slice_rows ? left : slice_rows;
        struct batch_column *col = batch_alloc(b, (size_t)b->n_columns, sizeof *col);
        for (int c = 0; c < b->n_columns; c++) col[c] = cut_column(b, &b->column[c], first, rows, s % 2);
        b->slice[s] = (struct exec_slice){.rows = rows, .col = col};
    }
}

void batch_release(struct batch *b) { arena_release(&b->arena); }

size_t param_size(const struct param *p) { return p->rows * p->cols; }

static void dense_gradient(const struct exec *x, int param, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int s = 0; s < exec_n_slices(x); s++) sum += (double)exec_param_grad(x, param, s)[i];
        out[i] = (float)sum;
    }
}

float **batch_gradients(struct batch *b, struct graph *g, struct exec *x) {
    struct optim_options o;
    struct optim *optim;
    struct err e = ERR_INIT;
    float **grad = batch_alloc(b, (size_t)g->n_params, sizeof *grad),
          **kept = batch_alloc(b, (size_t)g->n_params, sizeof *kept);
    opt_defaults(optim_opts, &o);
    o.optimizer = OPTIM_SGD;
    for (int i = 0; i < g->n_params; i++) { /* from 0 a step of rate 1 is exactly -gradient */
        size_t n = param_size(g->param[i]);
        grad[i] = batch_alloc(b, n, sizeof **grad);
        kept[i] = memcpy(batch_alloc(b, n, sizeof **kept), g->param[i]->value, n * sizeof **kept);
        if (g->param[i]->kind != PARAM_STATE) memset(g->param[i]->value, 0, n * sizeof **kept);
    }
    cr_assert_eq(optim_create(g, x, &o, NULL, &optim, &e), 0, "%s", e.msg);
    optim_step(optim, 1);
    cr_assert_not(optim_failed(optim));
    optim_free(optim);
    for (int i = 0; i < g->n_params; i++) {
        struct param *p = g->param[i];
        for (size_t k = 0; p->kind == PARAM_TABLE && k < param_size(p); k++) grad[i][k] = -p->value[k];
        if (p->kind == PARAM_DENSE) dense_gradient(x, i, param_size(p), grad[i]);
        memcpy(p->value, kept[i], param_size(p) * sizeof **kept);
    }
    return grad;
}

struct exec *exec_for(const struct graph *g, size_t rows, size_t slice_rows, struct pool *pool) {
    struct exec *x;
    struct err e = ERR_INIT;
    struct exec_options o = {.max_rows = rows, .slice_rows = slice_rows, .train = true, .pool = pool};
    cr_assert_eq(exec_create(g, &o, &x, &e), 0, "%s", e.msg);
    return x;
}
