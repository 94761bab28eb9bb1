#include "data/prepare/entity.h"
#include "data/prepare/staging.h"
#include <string.h>

struct rows { /* the columns that say whose a row is, and when */
    struct npy who, time, number;
};

static bool later(const struct rows *r, uint64_t a, uint64_t b) {
    const int64_t *time = r->time.data;
    const uint64_t *number = r->number.data;
    if (time && time[a] != time[b]) return time[a] > time[b];
    return number[a] > number[b];
}

static int open_rows(struct rows *r, const char *dir, const char *name, struct err *e) {
    char time[1200];
    TRY(staging_reopen(dir, "rows", name, "", NPY_U32, &r->who, e));
    TRY(staging_reopen(dir, "rows", "row", "", NPY_U64, &r->number, e));
    TRY(file_join(time, sizeof time, dir, "rows/time.npy", e));
    return file_exists(time) ? npy_open(time, NPY_I64, &r->time, e) : 0;
}

static void find(struct entity *t, const struct rows *r, const struct dataset *ds) {
    const uint32_t *who = r->who.data;
    uint64_t test = ds->split[SPLIT_TEST].begin;
    for (uint32_t i = 0; i < t->n; i++) t->row[i] = UINT32_MAX;
    for (uint64_t k = 0; k < test; k++) {
        uint32_t *row = &t->row[who[k]];
        if (*row == UINT32_MAX || later(r, k, *row)) *row = (uint32_t)k;
    }
    for (uint64_t k = test; k < ds->split[SPLIT_TEST].end; k++) {
        uint32_t *row = &t->row[who[k]];
        if (*row == UINT32_MAX || (*row >= test && later(r, *row, k))) *row = (uint32_t)k;
    }
}

int entity_find(struct entity *t, const char *dir, side_t side, const struct dataset *ds, struct err *e) {
    int user = side == SIDE_USER;
    *t = (struct entity){.folder = user ? "users" : "items", .n = user ? ds->n_users : ds->n_items};
    t->row = mem_alloc((size_t)t->n * sizeof *t->row);
    if (!t->row) return err_nomem(e, (size_t)t->n * sizeof *t->row);
    struct rows r;
    memset(&r, 0, sizeof r);
    int rc = open_rows(&r, dir, user ? "user" : "item", e);
    if (!rc) find(t, &r, ds);
    npy_close(&r.who);
    npy_close(&r.time);
    npy_close(&r.number);
    if (rc) entity_release(t);
    return rc;
}

void entity_release(struct entity *t) {
    mem_free(t->row);
    t->row = NULL;
}

static int copy_words(const struct entity *t, const char *dir, const struct field *f, float missing,
                      struct err *e) {
    struct npy from, to;
    enum npy_type type = f->type == VALUE_NUMBER ? NPY_F32 : NPY_U32;
    TRY(staging_reopen(dir, "rows", f->name, "", type, &from, e));
    int rc = staging_array(dir, t->folder, f->name, "", type, t->n, &to, e);
    if (!rc && type == NPY_F32) {
        ((float *)to.data)[0] = missing;
        for (uint32_t i = 1; i < t->n; i++) ((float *)to.data)[i] = ((const float *)from.data)[t->row[i]];
    } else if (!rc) {
        for (uint32_t i = 1; i < t->n; i++)
            ((uint32_t *)to.data)[i] = ((const uint32_t *)from.data)[t->row[i]];
    }
    npy_close(&from);
    if (!rc) npy_close(&to);
    return rc;
}

struct bags {
    struct npy offsets, values, to_offsets, to_values;
};

static int copy_bags(struct bags *b, const struct entity *t, const char *dir, const struct field *f,
                     struct err *e) {
    TRY(staging_reopen(dir, "rows", f->name, ".offsets", NPY_U64, &b->offsets, e));
    TRY(staging_reopen(dir, "rows", f->name, "", NPY_U32, &b->values, e));
    TRY(staging_array(dir, t->folder, f->name, ".offsets", NPY_U64, (uint64_t)t->n + 1, &b->to_offsets, e));
    const uint64_t *from = b->offsets.data;
    uint64_t *to = b->to_offsets.data;
    for (uint32_t i = 1; i < t->n; i++) to[i + 1] = to[i] + from[t->row[i] + 1ULL] - from[t->row[i]];
    TRY(staging_array(dir, t->folder, f->name, "", NPY_U32, to[t->n], &b->to_values, e));
    for (uint32_t i = 1; i < t->n; i++) {
        uint64_t n = to[i + 1] - to[i];
        if (n)
            memcpy((uint32_t *)b->to_values.data + to[i], (const uint32_t *)b->values.data + from[t->row[i]],
                   n * sizeof(uint32_t));
    }
    return 0;
}

int entity_column(const struct entity *t, const char *dir, const struct field *f, float missing,
                  struct err *e) {
    if (f->type != VALUE_BAG) return copy_words(t, dir, f, missing, e);
    struct bags b;
    memset(&b, 0, sizeof b);
    int rc = copy_bags(&b, t, dir, f, e);
    npy_close(&b.offsets);
    npy_close(&b.values);
    npy_close(&b.to_offsets);
    npy_close(&b.to_values);
    return rc;
}
