/* Batches of a dataset: rows in any order from mapped files that may be larger than memory. */
#include "data/dataset.h"
#include <inttypes.h>
#include <string.h>

enum { AHEAD = 24 }; /* rows between a prefetch and its use */

struct growable { /* the values of a bag */
    uint32_t *ids;
    size_t cap;
};

struct batch_store {
    struct arena arena;
    uint32_t **ids;       /* [n_fields] of ID fields: [max_rows] */
    float **number;       /* [n_fields] of NUMBER fields: [max_rows] */
    uint32_t **offsets;   /* [n_fields] of BAG fields: [max_rows + 1] */
    struct growable *bag; /* [n_fields] */
    uint64_t *begin;      /* [max_rows] of the bag being copied */
};

static int alloc_field(struct batch *b, int i, struct err *e) {
    struct batch_store *s = b->store;
    size_t words = b->max_rows + 1;
    void *p = arena_alloc(&s->arena, words * sizeof(uint32_t));
    if (!p) return err_nomem(e, words * sizeof(uint32_t));
    if (b->field[i]->type == VALUE_BAG)
        b->col[i].offsets = s->offsets[i] = p;
    else if (b->field[i]->type == VALUE_ID)
        b->col[i].ids = s->ids[i] = p;
    else
        b->col[i].number = s->number[i] = p;
    return 0;
}

static int alloc_all(struct batch *b, struct err *e) {
    struct batch_store *s = b->store;
    size_t n = (size_t)b->n_fields + 1, rows = b->max_rows + 1;
    b->col = arena_alloc(&s->arena, n * sizeof *b->col);
    b->field = arena_alloc(&s->arena, n * sizeof *b->field);
    b->label = arena_alloc(&s->arena, rows * sizeof *b->label);
    s->ids = arena_alloc(&s->arena, n * sizeof *s->ids);
    s->number = arena_alloc(&s->arena, n * sizeof *s->number);
    s->offsets = arena_alloc(&s->arena, n * sizeof *s->offsets);
    s->bag = arena_alloc(&s->arena, n * sizeof *s->bag);
    s->begin = arena_alloc(&s->arena, rows * sizeof *s->begin);
    return b->col && b->field && b->label && s->ids && s->number && s->offsets && s->bag && s->begin
               ? 0
               : err_nomem(e, n * rows * sizeof(uint32_t));
}

int batch_init(struct batch *b, const struct dataset *ds, const int *fields, int n_fields, size_t max_rows,
               struct err *e) {
    *b = (struct batch){.ds = ds, .n_fields = n_fields, .max_rows = max_rows};
    if (max_rows > UINT32_MAX / 16)
        return err_set(e, ERR_INPUT, "a batch of %zu rows is too large", max_rows);
    for (int i = 0; i < n_fields; i++)
        if (fields[i] < 0 || fields[i] >= ds->n_fields)
            return err_set(e, ERR_INPUT, "%s: there is no field %d; it has %d", ds->dir, fields[i],
                           ds->n_fields);
    b->store = mem_calloc(1, sizeof *b->store);
    if (!b->store) return err_nomem(e, sizeof *b->store);
    int rc = alloc_all(b, e);
    for (int i = 0; !rc && i < n_fields; i++) {
        b->field[i] = &ds->field[fields[i]];
        rc = alloc_field(b, i, e);
    }
    if (rc) batch_release(b);
    return rc;
}

void batch_release(struct batch *b) {
    if (b->store) {
        for (int i = 0; b->store->bag && i < b->n_fields; i++) mem_free(b->store->bag[i].ids);
        arena_release(&b->store->arena);
        mem_free(b->store);
    }
    *b = (struct batch){.ds = NULL};
}

static int bad_id(const struct batch *b, const struct field *f, uint32_t id, struct err *e) {
    return err_set(e, ERR_INPUT,
                   "%s/rows/%s.npy: holds the id %u, but ids go to %u; prepare the dataset again", b->ds->dir,
                   f->name, id, f->vocab - 1);
}

static int gather_ids(const struct batch *b, int i, const uint64_t *rows, size_t n, struct err *e) {
    const uint32_t *from = b->field[i]->rows.ids;
    uint32_t *to = b->store->ids[i], largest = 0;
    for (size_t r = 0; r < n; r++) {
        if (r + AHEAD < n) __builtin_prefetch(&from[rows[r + AHEAD]], 0, 0);
        uint32_t id = from[rows[r]];
        to[r] = id;
        largest = id > largest ? id : largest;
    }
    return n && largest >= b->field[i]->vocab ? bad_id(b, b->field[i], largest, e) : 0;
}

static void gather_numbers(const struct batch *b, int i, const uint64_t *rows, size_t n) {
    const float *from = b->field[i]->rows.number;
    float *to = b->store->number[i];
    for (size_t r = 0; r < n; r++) {
        if (r + AHEAD < n) __builtin_prefetch(&from[rows[r + AHEAD]], 0, 0);
        to[r] = from[rows[r]];
    }
}

/* Where each row's values begin, and in offsets[] where they will. */
static int measure_bags(const struct batch *b, int i, const uint64_t *rows, size_t n, struct err *e) {
    const struct field *f = b->field[i];
    const uint64_t *from = f->rows.offsets;
    uint64_t have = f->rows.values_file.n, total = 0;
    uint32_t *offsets = b->store->offsets[i];
    offsets[0] = 0;
    for (size_t r = 0; r < n; r++) {
        if (r + AHEAD < n) __builtin_prefetch(&from[rows[r + AHEAD]], 0, 0);
        uint64_t begin = from[rows[r]], end = from[rows[r] + 1];
        if (begin > end || end > have)
            return err_set(e, ERR_INPUT,
                           "%s/rows/%s.offsets.npy: row %" PRIu64 " has no valid range; prepare the dataset "
                           "again",
                           b->ds->dir, f->name, rows[r]);
        total += end - begin;
        if (total > UINT32_MAX)
            return err_set(e, ERR_INPUT, "%s: %zu rows have more than 4G values of `%s`; use smaller batches",
                           b->ds->dir, n, f->name);
        b->store->begin[r] = begin;
        offsets[r + 1] = (uint32_t)total;
    }
    return 0;
}

static int grow(struct growable *g, size_t need, struct err *e) {
    if (need <= g->cap) return 0;
    size_t cap = need + need / 2;
    uint32_t *ids = mem_alloc(cap * sizeof *ids);
    if (!ids) return err_nomem(e, cap * sizeof *ids);
    mem_free(g->ids);
    *g = (struct growable){ids, cap};
    return 0;
}

static int gather_bags(struct batch *b, int i, const uint64_t *rows, size_t n, struct err *e) {
    const struct field *f = b->field[i];
    const uint32_t *from = f->rows.ids, *offsets = b->store->offsets[i];
    const uint64_t *begin = b->store->begin;
    struct growable *g = &b->store->bag[i];
    TRY(measure_bags(b, i, rows, n, e));
    TRY(grow(g, (size_t)offsets[n] + 1, e));
    b->col[i].ids = g->ids;
    uint32_t largest = 0;
    for (size_t r = 0; r < n; r++) {
        if (r + AHEAD < n && offsets[r + AHEAD] < offsets[r + AHEAD + 1])
            __builtin_prefetch(&from[begin[r + AHEAD]], 0, 0);
        uint32_t *to = g->ids + offsets[r];
        uint32_t length = offsets[r + 1] - offsets[r];
        for (uint32_t k = 0; k < length; k++) {
            uint32_t id = from[begin[r] + k];
            to[k] = id;
            largest = id > largest ? id : largest;
        }
    }
    return offsets[n] && largest >= f->vocab ? bad_id(b, f, largest, e) : 0;
}

static int check_rows(const struct batch *b, const uint64_t *rows, size_t n, struct err *e) {
    uint64_t largest = 0;
    if (n > b->max_rows)
        return err_set(e, ERR_INPUT, "%zu rows do not fit into a batch of at most %zu", n, b->max_rows);
    for (size_t r = 0; r < n; r++) largest = rows[r] > largest ? rows[r] : largest;
    if (n && largest >= b->ds->n_rows)
        return err_set(e, ERR_INPUT, "%s: there is no row %" PRIu64 "; it has %" PRIu64, b->ds->dir, largest,
                       b->ds->n_rows);
    return 0;
}

int batch_gather(struct batch *b, const uint64_t *rows, size_t n, struct err *e) {
    b->rows = 0;
    TRY(check_rows(b, rows, n, e));
    for (size_t r = 0; r < n; r++) {
        if (r + AHEAD < n) __builtin_prefetch(&b->ds->label[rows[r + AHEAD]], 0, 0);
        b->label[r] = b->ds->label[rows[r]];
    }
    for (int i = 0; i < b->n_fields; i++) {
        if (b->field[i]->type == VALUE_ID)
            TRY(gather_ids(b, i, rows, n, e));
        else if (b->field[i]->type == VALUE_BAG)
            TRY(gather_bags(b, i, rows, n, e));
        else
            gather_numbers(b, i, rows, n);
    }
    b->rows = n;
    return 0;
}
