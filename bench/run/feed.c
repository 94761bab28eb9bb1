#include "bench/run/feed.h"
#include "base/rng.h"
#include <math.h>
#include <string.h>

struct feed_set {
    enum loss_set kind;
    int number; /* of drawn, or of hard sets */
    int n_fields, *field;
    struct batch *batch; /* [max_slices] */
    uint64_t *row;       /* [max_rows]; the batch's own rows: NULL */
    float *item, *p, *q; /* [max_rows] */
    float *teacher;      /* [max_rows]; the batch's own rows only */
};

/* ---- what comes from where ---- */

/* Sets in order: the batch's rows, drawn 0 .., hard 0 .. */
static int set_number(const struct feed *f, enum loss_set set, int k) {
    return set == LOSS_SET_ROW ? 0 : set == LOSS_SET_DRAWN ? 1 + k : 1 + f->n_drawn + k;
}

static void count_sets(struct feed *f) {
    int n_hard = 0;
    for (int i = 0; i < f->n_columns; i++) {
        enum loss_set set;
        int k;
        loss_column(f->t.graph->column[i].name, &set, &k);
        if (set == LOSS_SET_DRAWN && k >= f->n_drawn) f->n_drawn = k + 1;
        if (set == LOSS_SET_HARD && k >= n_hard) n_hard = k + 1;
    }
    f->n_sets = 1 + f->n_drawn + n_hard;
}

static int find_column(struct feed *f, int i, struct err *e) {
    static const char *const special[] = {[FEED_LABEL] = "label",
                                          [FEED_ITEM] = LOSS_ITEM,
                                          [FEED_P] = LOSS_P,
                                          [FEED_Q] = LOSS_Q,
                                          [FEED_TEACHER] = LOSS_TEACHER};
    enum loss_set kind;
    int k;
    const char *name = loss_column(f->t.graph->column[i].name, &kind, &k);
    struct feed_column *c = &f->column[i];
    c->set = set_number(f, kind, k);
    struct feed_set *s = &f->set[c->set];
    s->kind = kind;
    s->number = k;
    for (int w = FEED_LABEL; w <= FEED_TEACHER; w++)
        if (!strcmp(name, special[w])) {
            c->what = w;
            return 0;
        }
    const struct field *field = dataset_field(f->t.ds, name);
    if (!field)
        return err_set(e, ERR_INPUT, "the model wants a field \"%s\" that the dataset %s does not have", name,
                       f->t.ds->dir);
    c->what = FEED_FIELD;
    c->field = s->n_fields;
    s->field[s->n_fields++] = (int)(field - f->t.ds->field);
    return 0;
}

static int alloc_set(struct feed *f, struct feed_set *s, struct err *e) {
    size_t rows = f->t.max_rows;
    float **own[] = {&s->item, &s->p, &s->q, &s->teacher};
    for (size_t k = 0; k < sizeof own / sizeof *own; k++)
        if (!(*own[k] = arena_alloc(&f->arena, rows * sizeof(float))))
            return err_nomem(e, rows * sizeof(float));
    if (s->kind != LOSS_SET_ROW && !(s->row = arena_alloc(&f->arena, rows * sizeof *s->row)))
        return err_nomem(e, rows * sizeof *s->row);
    s->batch = arena_alloc(&f->arena, (size_t)f->max_slices * sizeof *s->batch);
    if (!s->batch) return err_nomem(e, (size_t)f->max_slices * sizeof *s->batch);
    for (int k = 0; k < f->max_slices; k++)
        TRY(batch_init(&s->batch[k], f->t.ds, s->field, s->n_fields, f->t.slice_rows, e));
    return 0;
}

static int init(struct feed *f, struct err *e) {
    size_t slices = (size_t)f->max_slices, columns = (size_t)f->n_columns + 1;
    count_sets(f);
    f->column = arena_alloc(&f->arena, columns * sizeof *f->column);
    f->slice = arena_alloc(&f->arena, slices * sizeof *f->slice);
    f->col = arena_alloc(&f->arena, slices * columns * sizeof *f->col);
    f->set = arena_alloc(&f->arena, (size_t)f->n_sets * sizeof *f->set);
    f->err = arena_alloc(&f->arena, slices * sizeof *f->err);
    if (!f->column || !f->slice || !f->col || !f->set || !f->err) return err_nomem(e, slices);
    for (int k = 0; k < f->n_sets; k++)
        if (!(f->set[k].field = arena_alloc(&f->arena, columns * sizeof(int)))) return err_nomem(e, columns);
    for (int i = 0; i < f->n_columns; i++) TRY(find_column(f, i, e));
    for (int k = 0; k < f->n_sets; k++) TRY(alloc_set(f, &f->set[k], e));
    for (int s = 0; s < f->max_slices; s++) f->slice[s].col = f->col + (size_t)s * (size_t)f->n_columns;
    size_t width = f->t.teacher ? (size_t)f->t.teacher->width : 0;
    if (width && !(f->hidden = arena_alloc(&f->arena, f->t.max_rows * width * sizeof *f->hidden)))
        return err_nomem(e, f->t.max_rows * width * sizeof *f->hidden);
    return 0;
}

int feed_init(struct feed *f, const struct feed_task *t, struct err *e) {
    *f = (struct feed){.t = *t, .n_columns = t->graph->n_columns};
    if (f->t.slice_rows > t->max_rows) f->t.slice_rows = t->max_rows;
    f->max_slices = (int)((t->max_rows + f->t.slice_rows - 1) / f->t.slice_rows);
    int rc = init(f, e);
    if (rc) feed_release(f);
    return rc;
}

/* ---- one slice ---- */

/* Rows `first` .. first + n of a set that is not the batch itself. Of a hard negative that does not exist, the
 * row's own fields are computed and not used. */
static void choose_rows(const struct feed *f, struct feed_set *s, size_t first, size_t n) {
    const struct negatives *from = f->t.negatives;
    uint64_t stream =
        rng_hash(f->seed ^ rng_stream(s->kind == LOSS_SET_DRAWN ? "drawn" : "hard")) + (uint64_t)s->number;
    for (size_t r = first; r < first + n; r++) {
        uint64_t seed = rng_hash(rng_hash(stream) + r);
        bool there = true;
        if (s->kind == LOSS_SET_DRAWN) {
            s->row[r] = negatives_draw(from, seed);
        } else {
            s->row[r] = f->rows[r];
            there = negatives_hard(from, f->rows[r], seed, &s->row[r]);
        }
        s->item[r] = there ? (float)f->t.ds->item[s->row[r]] : -1;
    }
}

static void fill_numbers(const struct feed *f, struct feed_set *s, const uint64_t *rows, size_t first,
                         size_t n) {
    const struct negatives *from = f->t.negatives;
    for (size_t r = first; from && r < first + n; r++) {
        uint32_t item = f->t.ds->item[rows[r]];
        if (s->kind == LOSS_SET_ROW) s->item[r] = (float)item;
        s->p[r] = from->p[item];
        s->q[r] = from->q[item];
    }
    const struct teacher *teacher = f->t.teacher;
    for (size_t r = first; teacher && s->kind == LOSS_SET_ROW && r < first + n; r++) {
        uint64_t at = rows[r] - teacher->first;
        s->teacher[r] = (float)(1 / (1 + exp(-(double)teacher->logit[at] / f->t.temperature)));
        if (teacher->width)
            memcpy(f->hidden + r * (size_t)teacher->width, teacher->hidden + at * (uint64_t)teacher->width,
                   (size_t)teacher->width * sizeof(float));
    }
}

static int gather_set(struct feed *f, struct feed_set *s, int slice, struct err *e) {
    size_t first = (size_t)slice * f->t.slice_rows, n = f->slice[slice].rows;
    if (s->row) choose_rows(f, s, first, n);
    const uint64_t *rows = s->row ? s->row : f->rows;
    if (f->training) fill_numbers(f, s, rows, first, n);
    return batch_gather(&s->batch[slice], rows + first, n, e);
}

static struct batch_column column_of(const struct feed *f, const struct feed_column *c, int slice) {
    const struct feed_set *s = &f->set[c->set];
    size_t first = (size_t)slice * f->t.slice_rows;
    switch (c->what) {
    case FEED_FIELD:
        return s->batch[slice].col[c->field];
    case FEED_LABEL:
        return (struct batch_column){.number = s->batch[slice].label};
    case FEED_ITEM:
        return (struct batch_column){.number = s->item + first};
    case FEED_P:
        return (struct batch_column){.number = s->p + first};
    case FEED_Q:
        return (struct batch_column){.number = s->q + first};
    case FEED_TEACHER:
        return (struct batch_column){.number = s->teacher + first};
    }
    return (struct batch_column){.ids = NULL};
}

static void gather_slice(void *ctx, int s, int worker) {
    struct feed *f = ctx;
    (void)worker;
    size_t left = f->n_rows - (size_t)s * f->t.slice_rows;
    f->err[s].code = 0;
    f->slice[s].rows = left < f->t.slice_rows ? left : f->t.slice_rows;
    for (int k = 0; k < (f->training ? f->n_sets : 1); k++)
        if (gather_set(f, &f->set[k], s, &f->err[s])) return;
    struct batch_column *col = f->col + (size_t)s * (size_t)f->n_columns;
    for (int i = 0; i < f->n_columns; i++)
        if (f->training || !f->column[i].set) col[i] = column_of(f, &f->column[i], s);
}

static int gather(struct feed *f, const uint64_t *rows, size_t n, struct err *e) {
    if (n > f->t.max_rows)
        return err_set(e, ERR_INPUT, "feed: %zu rows where %zu have room", n, f->t.max_rows);
    f->rows = rows;
    f->n_rows = n;
    f->n_slices = (int)((n + f->t.slice_rows - 1) / f->t.slice_rows);
    pool_run(f->t.pool, f->n_slices, gather_slice, f);
    for (int s = 0; s < f->n_slices; s++) {
        if (!f->err[s].code) continue;
        if (e) *e = f->err[s];
        return f->err[s].code;
    }
    return 0;
}

int feed_rows(struct feed *f, const uint64_t *rows, size_t n, struct err *e) {
    f->training = false;
    return gather(f, rows, n, e);
}

int feed_training(struct feed *f, const uint64_t *rows, size_t n, uint64_t seed, struct err *e) {
    f->training = true;
    f->seed = seed;
    return gather(f, rows, n, e);
}

void feed_release(struct feed *f) {
    for (int k = 0; f->set && k < f->n_sets; k++)
        for (int s = 0; f->set[k].batch && s < f->max_slices; s++)
            if (f->set[k].batch[s].ds) batch_release(&f->set[k].batch[s]);
    arena_release(&f->arena);
    memset(f, 0, sizeof *f);
}
