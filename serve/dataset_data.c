/* Serving columns from a dataset: users/ and items/ tables, pair features by derive.h. */
#include "base/mem.h"
#include "data/derive.h"
#include "serve/scorer.h"

struct from_dataset {
    const struct dataset *ds;
    struct derive *derive;
    uint32_t **offsets; /* per field: room for the batch-local offsets of a bag */
    size_t *room;
    uint64_t begin; /* serving_data_from_rows: row of user and item 0 */
    bool shared;    /* `derive` is another's */
};

static int find(const struct dataset *ds, const char *name, side_t side, struct err *e) {
    const struct field *f = dataset_field(ds, name);
    if (!f || f->side != side)
        return err_set(e, ERR_INPUT, "the model needs the %s column `%s`, which the dataset %s does not have",
                       side_name(side), name, ds->dir),
               -1;
    return (int)(f - ds->field);
}

/* Rows [first, first+n) of a field's table: c is its `entity` or its `rows`. */
static int table_rows(struct from_dataset *d, int field, const struct column *c, uint64_t first, size_t n,
                      struct batch_column *out, struct err *e) {
    const struct field *f = &d->ds->field[field];
    *out = (struct batch_column){0};
    if (f->type == VALUE_NUMBER) {
        out->number = c->number + first;
    } else if (f->type == VALUE_ID) {
        out->ids = c->ids + first;
    } else {
        if (d->room[field] < n + 1) {
            uint32_t *p = mem_realloc(d->offsets[field], d->room[field] * sizeof *p, (n + 1) * sizeof *p);
            if (!p) return err_nomem(e, (n + 1) * sizeof *p);
            d->offsets[field] = p;
            d->room[field] = n + 1;
        }
        uint64_t base = c->offsets[first];
        for (size_t i = 0; i <= n; i++) d->offsets[field][i] = (uint32_t)(c->offsets[first + i] - base);
        out->ids = c->ids + base;
        out->offsets = d->offsets[field];
    }
    return 0;
}

static int user_column(void *self, const char *name, uint32_t user, struct batch_column *out, struct err *e) {
    struct from_dataset *d = self;
    int f = find(d->ds, name, SIDE_USER, e);
    if (f < 0) return ERR_INPUT;
    return table_rows(d, f, &d->ds->field[f].entity, user < d->ds->n_users ? user : 0, 1, out, e);
}

static int item_column(void *self, const char *name, uint32_t first, size_t n, struct batch_column *out,
                       struct err *e) {
    struct from_dataset *d = self;
    int f = find(d->ds, name, SIDE_ITEM, e);
    if (f < 0) return ERR_INPUT;
    return table_rows(d, f, &d->ds->field[f].entity, first, n, out, e);
}

static int pair_column(void *self, const char *name, uint32_t user, const uint32_t *items, size_t n,
                       uint32_t *ids, struct err *e) {
    struct from_dataset *d = self;
    int f = find(d->ds, name, SIDE_PAIR, e);
    if (f < 0) return ERR_INPUT;
    derive_pairs(d->derive, f, user < d->ds->n_users ? user : 0, items, n, ids);
    return 0;
}

static int user_column_at(void *self, const char *name, uint64_t moment, struct batch_column *out,
                          struct err *e) {
    struct from_dataset *d = self;
    int f = find(d->ds, name, SIDE_USER, e);
    if (f < 0) return ERR_INPUT;
    if (moment > d->ds->n_rows)
        return err_set(e, ERR_INPUT, "moment %llu: the log has %llu rows", (unsigned long long)moment,
                       (unsigned long long)d->ds->n_rows);
    return table_rows(d, f, &d->ds->field[f].rows, moment - 1, 1, out, e);
}

static int pair_column_at(void *self, const char *name, uint64_t moment, const uint32_t *items, size_t n,
                          uint32_t *ids, struct err *e) {
    struct from_dataset *d = self;
    int f = find(d->ds, name, SIDE_PAIR, e);
    if (f < 0) return ERR_INPUT;
    derive_pairs_at(d->derive, f, moment - 1, items, n, ids);
    return 0;
}

static void release(void *self) {
    struct from_dataset *d = self;
    if (!d) return;
    if (!d->shared) derive_free(d->derive);
    for (int i = 0; d->offsets && i < d->ds->n_fields; i++) mem_free(d->offsets[i]);
    mem_free(d->offsets);
    mem_free(d->room);
    mem_free(d);
}

/* ---- logged rows, each a user and an item of its own ---- */

static int row_column(struct from_dataset *d, const char *name, side_t side, uint64_t first, size_t n,
                      struct batch_column *out, struct err *e) {
    int f = find(d->ds, name, side, e);
    return f < 0 ? ERR_INPUT : table_rows(d, f, &d->ds->field[f].rows, d->begin + first, n, out, e);
}
static int user_of_row(void *self, const char *name, uint32_t row, struct batch_column *out, struct err *e) {
    return row_column(self, name, SIDE_USER, row, 1, out, e);
}
static int item_of_row(void *self, const char *name, uint32_t first, size_t n, struct batch_column *out,
                       struct err *e) {
    return row_column(self, name, SIDE_ITEM, first, n, out, e);
}
static int pair_of_row(void *self, const char *name, uint32_t row, const uint32_t *items, size_t n,
                       uint32_t *ids, struct err *e) {
    struct from_dataset *d = self;
    int f = find(d->ds, name, SIDE_PAIR, e);
    if (f < 0) return ERR_INPUT;
    for (size_t i = 0; i < n; i++) {
        if (items[i] != row)
            return err_set(e, ERR_INPUT,
                           "row %u has pair features with its own item only, not with that of row %u", row,
                           items[i]);
        ids[i] = d->ds->field[f].rows.ids[d->begin + row];
    }
    return 0;
}

static struct from_dataset *make(const struct dataset *ds, struct err *e) {
    struct from_dataset *d = mem_calloc(1, sizeof *d);
    if (!d) return err_nomem(e, sizeof *d), NULL;
    d->ds = ds;
    d->offsets = mem_calloc((size_t)ds->n_fields + 1, sizeof *d->offsets);
    d->room = mem_calloc((size_t)ds->n_fields + 1, sizeof *d->room);
    if (d->offsets && d->room) return d;
    release(d);
    return err_nomem(e, ((size_t)ds->n_fields + 1) * sizeof *d->room), NULL;
}

/* With its own room for the offsets of a user's bags. */
static void *share(void *self, struct err *e) {
    const struct from_dataset *from = self;
    struct from_dataset *d = make(from->ds, e);
    if (!d) return NULL;
    d->derive = from->derive;
    d->begin = from->begin;
    d->shared = true;
    return d;
}

int serving_data_from_rows(const struct dataset *ds, uint64_t begin, uint64_t end, struct serving_data *out,
                           struct err *e) {
    *out = (struct serving_data){0};
    if (end - begin > UINT32_MAX)
        return err_set(e, ERR_INPUT, "%llu rows are too many to serve", (unsigned long long)(end - begin));
    struct from_dataset *d = make(ds, e);
    if (!d) return e ? e->code : ERR_INPUT;
    d->begin = begin;
    *out = (struct serving_data){.self = d,
                                 .n_items = (uint32_t)(end - begin),
                                 .user = user_of_row,
                                 .item = item_of_row,
                                 .pair = pair_of_row,
                                 .release = release,
                                 .share = share};
    return 0;
}

int serving_data_from_dataset(const struct dataset *ds, struct serving_data *out, struct err *e) {
    *out = (struct serving_data){0};
    struct from_dataset *d = make(ds, e);
    if (!d) return e ? e->code : ERR_INPUT;
    int rc = derive_open(ds, &d->derive, e);
    if (rc) {
        release(d);
        return rc;
    }
    *out = (struct serving_data){.self = d,
                                 .n_items = ds->n_items,
                                 .user = user_column,
                                 .item = item_column,
                                 .pair = pair_column,
                                 .user_at = user_column_at,
                                 .pair_at = pair_column_at,
                                 .release = release,
                                 .share = share};
    return 0;
}
