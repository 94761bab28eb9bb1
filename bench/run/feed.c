#include "bench/run/feed.h"
#include <string.h>

static int find_fields(struct feed *f, const struct dataset *ds, const struct graph *g, int *fields,
                       int *n_fields, struct err *e) {
    *n_fields = 0;
    for (int i = 0; i < g->n_columns; i++) {
        f->column[i] = -1;
        if (!strcmp(g->column[i].name, "label")) continue;
        const struct field *field = dataset_field(ds, g->column[i].name);
        if (!field)
            return err_set(e, ERR_INPUT, "the model wants a field \"%s\" that the dataset %s does not have",
                           g->column[i].name, ds->dir);
        f->column[i] = *n_fields;
        fields[(*n_fields)++] = (int)(field - ds->field);
    }
    return 0;
}

static int init_batches(struct feed *f, const struct dataset *ds, const int *fields, int n_fields,
                        struct err *e) {
    for (int s = 0; s < f->max_slices; s++) {
        TRY(batch_init(&f->batch[s], ds, fields, n_fields, f->slice_rows, e));
        f->slice[s].col = f->col + (size_t)s * (size_t)f->n_columns;
    }
    return 0;
}

int feed_init(struct feed *f, const struct dataset *ds, const struct graph *g, size_t max_rows,
              size_t slice_rows, struct pool *pool, struct err *e) {
    if (slice_rows > max_rows) slice_rows = max_rows;
    size_t slices = (max_rows + slice_rows - 1) / slice_rows, columns = (size_t)g->n_columns + 1;
    *f = (struct feed){.pool = pool,
                       .max_rows = max_rows,
                       .slice_rows = slice_rows,
                       .n_columns = g->n_columns,
                       .max_slices = (int)slices};
    f->column = arena_alloc(&f->arena, columns * sizeof *f->column);
    f->slice = arena_alloc(&f->arena, slices * sizeof *f->slice);
    f->col = arena_alloc(&f->arena, slices * columns * sizeof *f->col);
    f->batch = arena_alloc(&f->arena, slices * sizeof *f->batch);
    f->err = arena_alloc(&f->arena, slices * sizeof *f->err);
    int *fields = arena_alloc(&f->arena, columns * sizeof *fields), n_fields;
    int rc = f->column && f->slice && f->col && f->batch && f->err && fields ? 0 : err_nomem(e, slices);
    if (!rc) rc = find_fields(f, ds, g, fields, &n_fields, e);
    if (!rc) rc = init_batches(f, ds, fields, n_fields, e);
    if (rc) feed_release(f);
    return rc;
}

static void gather_slice(void *ctx, int s, int worker) {
    struct feed *f = ctx;
    (void)worker;
    size_t first = (size_t)s * f->slice_rows, left = f->n_rows - first;
    struct batch *b = &f->batch[s];
    f->err[s].code = 0;
    f->slice[s].rows = left < f->slice_rows ? left : f->slice_rows;
    if (batch_gather(b, f->rows + first, f->slice[s].rows, &f->err[s])) return;
    struct batch_column *col = f->col + (size_t)s * (size_t)f->n_columns;
    const struct batch_column label = {.number = b->label};
    for (int i = 0; i < f->n_columns; i++) col[i] = f->column[i] < 0 ? label : b->col[f->column[i]];
}

int feed_rows(struct feed *f, const uint64_t *rows, size_t n, struct err *e) {
    if (n > f->max_rows) return err_set(e, ERR_INPUT, "feed: %zu rows where %zu have room", n, f->max_rows);
    f->rows = rows;
    f->n_rows = n;
    f->n_slices = (int)((n + f->slice_rows - 1) / f->slice_rows);
    pool_run(f->pool, f->n_slices, gather_slice, f);
    for (int s = 0; s < f->n_slices; s++) {
        if (!f->err[s].code) continue;
        if (e) *e = f->err[s];
        return f->err[s].code;
    }
    return 0;
}

void feed_release(struct feed *f) {
    for (int s = 0; f->batch && s < f->max_slices; s++)
        if (f->batch[s].ds) batch_release(&f->batch[s]);
    arena_release(&f->arena);
    memset(f, 0, sizeof *f);
}
