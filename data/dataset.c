#include "data/dataset.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FORMAT = 1, FIELDS_MAX = 4096 };

const char *split_name(enum split s) {
    static const char *const names[] = {"train", "valid", "test"};
    return s < SPLIT_COUNT ? names[s] : "?";
}

static const char *const type_names[] = {[VALUE_ID] = "id", [VALUE_BAG] = "bag", [VALUE_NUMBER] = "number"};

/* ---- dataset.json ---- */

struct reader {
    struct dataset *d;
    char path[1100]; /* of dataset.json */
    struct err *e;
};

__attribute__((format(printf, 2, 3))) static int bad(const struct reader *r, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0) text[0] = '\0';
    va_end(ap);
    return err_set(r->e, ERR_INPUT, "%s: %s; prepare the dataset again", r->path, text);
}

static int get_uint(const struct reader *r, const json_t *obj, const char *key, uint64_t max, uint64_t *out) {
    const json_t *j = json_object_get(obj, key);
    json_int_t v = json_integer_value(j);
    if (!json_is_integer(j) || v < 0 || (uint64_t)v > max)
        return bad(r, "`%s` must be a whole number from 0 to %" PRIu64, key, max);
    *out = (uint64_t)v;
    return 0;
}

static int get_text(const struct reader *r, const json_t *obj, const char *key, const char **out) {
    *out = json_string_value(json_object_get(obj, key));
    return *out ? 0 : bad(r, "`%s` must be a text", key);
}

static int read_splits(const struct reader *r) {
    struct dataset *d = r->d;
    const json_t *splits = json_object_get(d->json, "split");
    uint64_t at = 0;
    for (int i = 0; i < SPLIT_COUNT; i++) {
        const json_t *pair = json_object_get(splits, split_name((enum split)i));
        const json_t *begin = json_array_get(pair, 0), *end = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
            (uint64_t)json_integer_value(begin) != at || json_integer_value(end) < json_integer_value(begin))
            return bad(r, "the split `%s` must be [begin, end], with begin %" PRIu64,
                       split_name((enum split)i), at);
        d->split[i].begin = at;
        d->split[i].end = at = (uint64_t)json_integer_value(end);
    }
    return at == d->n_rows ? 0 : bad(r, "the splits end at row %" PRIu64 " of %" PRIu64, at, d->n_rows);
}

/* Names become paths. */
static bool safe_name(const char *name) {
    size_t n = strlen(name);
    return n > 0 && n < 200 && *name != '.' && !strpbrk(name, "/\\");
}

static int read_side(const struct reader *r, const json_t *j, struct field *f) {
    const char *text;
    TRY(get_text(r, j, "side", &text));
    for (side_t s = SIDE_USER; s <= SIDE_PAIR; s++)
        if (!strcmp(text, side_name(s))) f->side = s;
    return f->side ? 0 : bad(r, "field `%s`: the side \"%.20s\" must be user, item or pair", f->name, text);
}

static int read_type(const struct reader *r, const json_t *j, struct field *f) {
    const char *text;
    TRY(get_text(r, j, "type", &text));
    for (int t = VALUE_ID; t <= VALUE_NUMBER; t++) {
        if (strcmp(text, type_names[t]) != 0) continue;
        f->type = (enum value_type)t;
        return 0;
    }
    return bad(r, "field `%s`: the type \"%.20s\" must be id, bag or number", f->name, text);
}

static int read_field(const struct reader *r, const json_t *j, int index) {
    struct field *f = &r->d->field[index];
    uint64_t vocab = 0;
    TRY(get_text(r, j, "name", &f->name));
    if (!safe_name(f->name)) return bad(r, "\"%.40s\" cannot be the name of a field", f->name);
    for (int i = 0; i < index; i++)
        if (!strcmp(r->d->field[i].name, f->name)) return bad(r, "the field `%s` is there twice", f->name);
    TRY(read_side(r, j, f));
    TRY(read_type(r, j, f));
    TRY(get_text(r, j, "kind", &f->kind));
    TRY(get_uint(r, j, "vocab", UINT32_MAX, &vocab));
    if ((vocab == 0) != (f->type == VALUE_NUMBER))
        return bad(r, "field `%s`: `vocab` must be 0 for numbers and at least 1 otherwise", f->name);
    f->vocab = (uint32_t)vocab;
    const json_t *mean = json_object_get(j, "mean_length");
    f->mean_length = json_number_value(mean);
    if (!json_is_number(mean) || !(f->mean_length >= 0))
        return bad(r, "field `%s`: `mean_length` must be a number, at least 0", f->name);
    return 0;
}

/* After all fields are known, as a field may share the vocabulary of a later one. */
static int read_shares(const struct reader *r, const json_t *j, struct field *f) {
    const json_t *shares = json_object_get(j, "shares");
    const char *name = json_string_value(shares);
    f->shares = -1;
    if (!shares || json_is_null(shares)) return 0;
    for (int i = 0; name && i < r->d->n_fields; i++)
        if (!strcmp(r->d->field[i].name, name) && &r->d->field[i] != f) f->shares = i;
    if (f->shares < 0)
        return bad(r, "field `%s`: `shares` must be null or the name of another field", f->name);
    if (r->d->field[f->shares].vocab != f->vocab)
        return bad(r, "field `%s` has %u values, but `%s`, whose vocabulary it shares, has %u", f->name,
                   f->vocab, name, r->d->field[f->shares].vocab);
    return 0;
}

static int read_fields(const struct reader *r) {
    struct dataset *d = r->d;
    const json_t *fields = json_object_get(d->json, "fields");
    size_t n = json_array_size(fields);
    if (!json_is_array(fields) || n > FIELDS_MAX)
        return bad(r, "`fields` must be a list of at most %d", FIELDS_MAX);
    d->field = arena_alloc(&d->arena, (n + 1) * sizeof *d->field);
    if (!d->field) return err_nomem(r->e, n * sizeof *d->field);
    for (size_t i = 0; i < n; i++) {
        TRY(read_field(r, json_array_get(fields, i), (int)i));
        d->n_fields++;
    }
    for (size_t i = 0; i < n; i++) TRY(read_shares(r, json_array_get(fields, i), &d->field[i]));
    for (int i = 0; i < d->n_fields; i++)
        if (d->field[i].shares >= 0 && d->field[d->field[i].shares].shares >= 0)
            return bad(r, "field `%s` shares the vocabulary of a field that shares another's",
                       d->field[i].name);
    return 0;
}

static int read_keep(const struct reader *r) {
    const json_t *keep = json_object_get(r->d->json, "keep");
    if (!json_is_array(keep)) return bad(r, "`keep` must be a list of texts");
    for (size_t i = 0; i < json_array_size(keep); i++) {
        const char *name = json_string_value(json_array_get(keep, i));
        if (!name || !safe_name(name)) return bad(r, "`keep` must be a list of names");
    }
    return 0;
}

static int read_json(const struct reader *r) {
    struct dataset *d = r->d;
    uint64_t format = 0, users = 0, items = 0;
    TRY(file_read_json(r->path, &d->json, r->e));
    if (!json_is_object(d->json)) return bad(r, "not an object");
    TRY(get_uint(r, d->json, "format", UINT32_MAX, &format));
    if (format != FORMAT)
        return bad(r, "format %" PRIu64 ", but this program reads format %d", format, FORMAT);
    TRY(get_text(r, d->json, "name", &d->name));
    TRY(get_text(r, d->json, "hash", &d->hash));
    TRY(get_uint(r, d->json, "rows", UINT64_MAX >> 8, &d->n_rows));
    TRY(get_uint(r, d->json, "users", UINT32_MAX, &users));
    TRY(get_uint(r, d->json, "items", UINT32_MAX, &items));
    if (!users || !items) return bad(r, "`users` and `items` count the unknown one and are at least 1");
    d->n_users = (uint32_t)users;
    d->n_items = (uint32_t)items;
    if (!json_is_boolean(json_object_get(d->json, "has_time")))
        return bad(r, "`has_time` must be true or false");
    TRY(read_splits(r));
    TRY(read_keep(r));
    return read_fields(r);
}

/* ---- the arrays ---- */

static int open_array(const struct dataset *d, const char *folder, const char *name, const char *suffix,
                      enum npy_type type, uint64_t n, struct npy *out, struct err *e) {
    char path[sizeof d->dir + 512];
    snprintf(path, sizeof path, "%s/%s/%s%s.npy", d->dir, folder, name, suffix);
    TRY(npy_open(path, type, out, e));
    if (out->n == n) return 0;
    return err_set(e, ERR_INPUT, "%s: %zu values, but %" PRIu64 " are needed; prepare the dataset again",
                   path, out->n, n);
}

static int open_column(const struct dataset *d, const struct field *f, const char *folder, uint64_t n,
                       struct column *c, struct err *e) {
    enum npy_type type = f->type == VALUE_NUMBER ? NPY_F32 : NPY_U32;
    uint64_t values = n;
    if (f->type == VALUE_BAG) {
        TRY(open_array(d, folder, f->name, ".offsets", NPY_U64, n + 1, &c->offsets_file, e));
        c->offsets = c->offsets_file.data;
        if (c->offsets[0] != 0)
            return err_set(e, ERR_INPUT,
                           "%s/%s/%s.offsets.npy: begins with %" PRIu64 ", not 0; prepare the dataset again",
                           d->dir, folder, f->name, c->offsets[0]);
        values = c->offsets[n];
    }
    TRY(open_array(d, folder, f->name, "", type, values, &c->values_file, e));
    if (f->type == VALUE_NUMBER)
        c->number = c->values_file.data;
    else
        c->ids = c->values_file.data;
    return 0;
}

static int open_row_arrays(struct dataset *d, struct err *e) {
    uint64_t n = d->n_rows;
    TRY(open_array(d, "rows", "label", "", NPY_U8, n, &d->label_file, e));
    TRY(open_array(d, "rows", "user", "", NPY_U32, n, &d->user_file, e));
    TRY(open_array(d, "rows", "item", "", NPY_U32, n, &d->item_file, e));
    TRY(open_array(d, "rows", "row", "", NPY_U64, n, &d->row_file, e));
    if (json_is_true(json_object_get(d->json, "has_time")))
        TRY(open_array(d, "rows", "time", "", NPY_I64, n, &d->time_file, e));
    d->label = d->label_file.data;
    d->user = d->user_file.data;
    d->item = d->item_file.data;
    d->row = d->row_file.data;
    d->time = d->time_file.data;
    return 0;
}

static int open_all(struct dataset *d, const char *dir, struct err *e) {
    struct reader r = {.d = d, .e = e};
    if (strlen(dir) >= sizeof d->dir) return err_set(e, ERR_INPUT, "%.60s...: the path is too long", dir);
    snprintf(d->dir, sizeof d->dir, "%s", dir);
    TRY(file_join(r.path, sizeof r.path, dir, "dataset.json", e));
    if (!file_exists(r.path))
        return err_set(e, ERR_INPUT,
                       "%s: no dataset: there is no dataset.json in it; make one with `prerank data`", dir);
    TRY(read_json(&r));
    TRY(open_row_arrays(d, e));
    for (int i = 0; i < d->n_fields; i++) {
        struct field *f = &d->field[i];
        TRY(open_column(d, f, "rows", d->n_rows, &f->rows, e));
        if (f->side == SIDE_USER) TRY(open_column(d, f, "users", d->n_users, &f->entity, e));
        if (f->side == SIDE_ITEM) TRY(open_column(d, f, "items", d->n_items, &f->entity, e));
    }
    return 0;
}

int dataset_open(const char *dir, struct dataset *out, struct err *e) {
    *out = (struct dataset){.arena = ARENA_INIT};
    int rc = open_all(out, dir, e);
    if (rc) dataset_close(out);
    return rc;
}

static void close_column(struct column *c) {
    npy_close(&c->values_file);
    npy_close(&c->offsets_file);
}

void dataset_close(struct dataset *d) {
    for (int i = 0; d->field && i < d->n_fields; i++) {
        close_column(&d->field[i].rows);
        close_column(&d->field[i].entity);
    }
    npy_close(&d->label_file);
    npy_close(&d->user_file);
    npy_close(&d->item_file);
    npy_close(&d->time_file);
    npy_close(&d->row_file);
    json_decref(d->json);
    arena_release(&d->arena);
    *d = (struct dataset){.arena = ARENA_INIT};
}

const struct field *dataset_field(const struct dataset *d, const char *name) {
    for (int i = 0; i < d->n_fields; i++)
        if (!strcmp(d->field[i].name, name)) return &d->field[i];
    return NULL;
}

int dataset_keep(const struct dataset *d, const char *name, struct npy *out, struct err *e) {
    char file[256];
    const json_t *keep = json_object_get(d->json, "keep");
    for (size_t i = 0; i < json_array_size(keep); i++) {
        if (strcmp(json_string_value(json_array_get(keep, i)), name) != 0) continue;
        snprintf(file, sizeof file, "keep.%s", name);
        int rc = open_array(d, "rows", file, "", NPY_F64, d->n_rows, out, e);
        if (rc) npy_close(out);
        return rc;
    }
    *out = (struct npy){.type = NPY_F64};
    return err_set(e, ERR_INPUT, "%s: no column \"%s\" was kept; name it under `keep` in the schema", d->dir,
                   name);
}

/* ---- verify ---- */

struct place { /* for messages */
    const struct dataset *d;
    const char *folder, *name;
};

static int verify_ids(struct place p, const uint32_t *ids, uint64_t n, uint32_t vocab, struct err *e) {
    uint32_t largest = 0;
    for (uint64_t i = 0; i < n; i++) largest = ids[i] > largest ? ids[i] : largest;
    if (!n || largest < vocab) return 0;
    uint64_t i = 0;
    while (ids[i] < vocab) i++;
    return err_set(e, ERR_INPUT,
                   "%s/%s/%s.npy: value %" PRIu64 " is %u, but ids go to %u; prepare the dataset again",
                   p.d->dir, p.folder, p.name, i, ids[i], vocab - 1);
}

static int verify_numbers(struct place p, const float *v, uint64_t n, struct err *e) {
    for (uint64_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return err_set(e, ERR_INPUT,
                           "%s/%s/%s.npy: value %" PRIu64 " is not finite; prepare the dataset again",
                           p.d->dir, p.folder, p.name, i);
    return 0;
}

static int verify_column(struct place p, const struct field *f, const struct column *c, uint64_t n,
                         struct err *e) {
    if (f->type == VALUE_NUMBER) return verify_numbers(p, c->number, n, e);
    if (f->type == VALUE_ID) return verify_ids(p, c->ids, n, f->vocab, e);
    for (uint64_t i = 0; i < n; i++)
        if (c->offsets[i] > c->offsets[i + 1])
            return err_set(e, ERR_INPUT,
                           "%s/%s/%s.offsets.npy: falls from %" PRIu64 " to %" PRIu64 " at row %" PRIu64
                           "; prepare the dataset again",
                           p.d->dir, p.folder, p.name, c->offsets[i], c->offsets[i + 1], i);
    return verify_ids(p, c->ids, c->offsets[n], f->vocab, e);
}

static int verify_rows(const struct dataset *d, struct err *e) {
    for (uint64_t i = 0; i < d->n_rows; i++)
        if (d->label[i] > 1)
            return err_set(e, ERR_INPUT,
                           "%s/rows/label.npy: row %" PRIu64 " is %d, not 0 or 1; prepare the dataset again",
                           d->dir, i, d->label[i]);
    TRY(verify_ids((struct place){d, "rows", "user"}, d->user, d->n_rows, d->n_users, e));
    TRY(verify_ids((struct place){d, "rows", "item"}, d->item, d->n_rows, d->n_items, e));
    for (int s = 0; d->time && s < SPLIT_COUNT; s++)
        for (uint64_t i = d->split[s].begin + 1; i < d->split[s].end; i++)
            if (d->time[i] < d->time[i - 1])
                return err_set(e, ERR_INPUT,
                               "%s/rows/time.npy: goes back at row %" PRIu64 "; prepare the dataset again",
                               d->dir, i);
    return 0;
}

int dataset_verify(const struct dataset *d, struct err *e) {
    TRY(verify_rows(d, e));
    for (int i = 0; i < d->n_fields; i++) {
        const struct field *f = &d->field[i];
        TRY(verify_column((struct place){d, "rows", f->name}, f, &f->rows, d->n_rows, e));
        if (f->side == SIDE_USER)
            TRY(verify_column((struct place){d, "users", f->name}, f, &f->entity, d->n_users, e));
        if (f->side == SIDE_ITEM)
            TRY(verify_column((struct place){d, "items", f->name}, f, &f->entity, d->n_items, e));
    }
    return 0;
}

/* ---- writing dataset.json ---- */

static json_t *field_json(const struct dataset *d, const struct field *f) {
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:f}", "name", f->name, "side", side_name(f->side),
                     "type", type_names[f->type], "kind", f->kind, "vocab", (json_int_t)f->vocab, "shares",
                     f->shares < 0 ? json_null() : json_string(d->field[f->shares].name), "mean_length",
                     f->mean_length);
}

static json_t *whole_json(const struct dataset *d, bool has_time, const char *const *keep, int n_keep,
                          json_t *more) {
    json_t *split = json_object(), *kept = json_array(), *fields = json_array();
    int rc = 0;
    for (int i = 0; i < SPLIT_COUNT; i++)
        rc |= json_object_set_new(
            split, split_name((enum split)i),
            json_pack("[I, I]", (json_int_t)d->split[i].begin, (json_int_t)d->split[i].end));
    for (int i = 0; i < n_keep; i++) rc |= json_array_append_new(kept, json_string(keep[i]));
    for (int i = 0; i < d->n_fields; i++) rc |= json_array_append_new(fields, field_json(d, &d->field[i]));
    json_t *j = json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:b, s:o, s:o, s:o}", "format", FORMAT, "name",
                          d->name, "hash", d->hash, "rows", (json_int_t)d->n_rows, "users",
                          (json_int_t)d->n_users, "items", (json_int_t)d->n_items, "has_time", (int)has_time,
                          "split", split, "keep", kept, "fields", fields);
    if (j && more) rc |= json_object_update_missing(j, more);
    if (!rc) return j;
    json_decref(j);
    return NULL;
}

int dataset_write_json(const char *dir, const struct dataset *d, bool has_time, const char *const *keep,
                       int n_keep, json_t *more, struct err *e) {
    char path[1100];
    TRY(file_join(path, sizeof path, dir, "dataset.json", e));
    json_t *j = whole_json(d, has_time, keep, n_keep, more);
    int rc = file_write_json(path, j, e); /* takes NULL as out of memory */
    json_decref(j);
    return rc;
}
