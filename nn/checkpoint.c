#include "nn/checkpoint.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* File: 8 bytes little-endian header length, the header (a JSON object, spaces at its end), the data.
 * data_offsets count from the start of the data; together the tensors fill it with no gap and no overlap, as
 * the reference reader demands. */
#define HEADER_MAX ((size_t)100 << 20)
#define METADATA   "__metadata__"
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "safetensors are little-endian and go to memory as they are");

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {[TENSOR_F32] = {"F32", 4},
              [TENSOR_I64] = {"I64", 8},
              [TENSOR_U32] = {"U32", 4},
              [TENSOR_I32] = {"I32", 4}};
enum {
    N_DTYPES = sizeof dtypes / sizeof *dtypes,
    MAX_DIMS = sizeof((struct tensor *)0)->dim / sizeof(size_t)
};

/* ---- reader ---- */

struct span { /* where a tensor's data lies */
    size_t begin, end;
    int tensor;
};

/* "[3,4]" */
static const char *shape_text(char out[128], int n_dims, const size_t *dim) {
    int at = snprintf(out, 128, "[");
    for (int k = 0; k < n_dims; k++) at += snprintf(out + at, 128 - (size_t)at, k ? ",%zu" : "%zu", dim[k]);
    snprintf(out + at, 128 - (size_t)at, "]");
    return out;
}

static int read_header(const char *path, const struct file_map *m, json_t **header, size_t *data_at,
                       struct err *e) {
    uint64_t n = 0;
    if (m->bytes < 8)
        return err_set(e, ERR_INPUT,
                       "%s: no safetensors file: %zu bytes, where the header's length alone takes 8", path,
                       m->bytes);
    memcpy(&n, m->p, 8);
    if (n > HEADER_MAX)
        return err_set(e, ERR_INPUT,
                       "%s: no safetensors file: a header of %llu bytes, at most %zu are allowed", path,
                       (unsigned long long)n, HEADER_MAX);
    if (n > m->bytes - 8)
        return err_set(e, ERR_INPUT,
                       "%s: truncated: the header takes %llu bytes, but only %zu follow its length", path,
                       (unsigned long long)n, m->bytes - 8);
    const char *text = (const char *)m->p + 8;
    if (!n || *text != '{')
        return err_set(e, ERR_INPUT, "%s: no safetensors file: the header does not begin with \"{\"", path);
    json_error_t why;
    *header = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &why);
    *data_at = 8 + (size_t)n;
    if (*header) return 0;
    if (json_error_code(&why) == json_error_out_of_memory) return err_nomem(e, n);
    return err_set(e, ERR_INPUT, "%s: the header is not valid JSON (line %d, column %d): %s", path, why.line,
                   why.column, why.text);
}

static int read_size(const json_t *j, size_t *out) {
    json_int_t v = json_is_integer(j) ? json_integer_value(j) : -1;
    *out = v < 0 ? 0 : (size_t)v;
    return v < 0 ? -1 : 0;
}

static int read_dtype(const char *path, const json_t *j, struct tensor *t, struct err *e) {
    const char *text = json_string_value(j);
    for (unsigned k = 0; text && k < N_DTYPES; k++)
        if (!strcmp(text, dtypes[k].name)) {
            t->dtype = k;
            return 0;
        }
    return err_set(e, ERR_INPUT, "%s: tensor \"%s\": the dtype is %s%s%s; F32, I64, I32 and U32 can be read",
                   path, t->name, text ? "\"" : "", text ? text : "missing or no text", text ? "\"" : "");
}

static int read_shape(const char *path, const json_t *j, struct tensor *t, struct err *e) {
    if (!json_is_array(j) || json_array_size(j) > MAX_DIMS)
        return err_set(e, ERR_INPUT, "%s: tensor \"%s\": the shape must be a list of at most %d sizes", path,
                       t->name, (int)MAX_DIMS);
    t->n_dims = (int)json_array_size(j);
    t->n = 1;
    for (int k = 0; k < t->n_dims; k++) {
        if (read_size(json_array_get(j, (size_t)k), &t->dim[k]))
            return err_set(e, ERR_INPUT, "%s: tensor \"%s\": the shape's size %d is no whole number from 0",
                           path, t->name, k);
        if (__builtin_mul_overflow(t->n, t->dim[k], &t->n))
            return err_set(e, ERR_INPUT,
                           "%s: tensor \"%s\": the shape has more elements than memory can hold", path,
                           t->name);
    }
    return 0;
}

/* One entry of the header; its data stays where it is, or is copied to the arena when it is misaligned there.
 */
static int read_entry(const char *path, struct tensors *ts, const json_t *j, size_t data_at, struct tensor *t,
                      struct span *span, struct err *e) {
    const json_t *offsets = json_object_get(j, "data_offsets");
    if (!json_is_object(j))
        return err_set(e, ERR_INPUT, "%s: tensor \"%s\": its entry in the header is no object", path,
                       t->name);
    TRY(read_dtype(path, json_object_get(j, "dtype"), t, e));
    TRY(read_shape(path, json_object_get(j, "shape"), t, e));
    if (json_array_size(offsets) != 2 || read_size(json_array_get(offsets, 0), &span->begin) ||
        read_size(json_array_get(offsets, 1), &span->end) || span->begin > span->end)
        return err_set(e, ERR_INPUT, "%s: tensor \"%s\": data_offsets must be [begin, end] with begin <= end",
                       path, t->name);
    size_t have = ts->map.bytes - data_at, need, item = dtypes[t->dtype].bytes;
    if (span->end > have)
        return err_set(
            e, ERR_INPUT,
            "%s: tensor \"%s\": its data ends at byte %zu, but the file holds %zu bytes of data (truncated?)",
            path, t->name, span->end, have);
    char shape[128];
    if (__builtin_mul_overflow(t->n, item, &need) || need != span->end - span->begin)
        return err_set(e, ERR_INPUT,
                       "%s: tensor \"%s\": shape %s of %s does not take %zu bytes, as its data_offsets say",
                       path, t->name, shape_text(shape, t->n_dims, t->dim), dtypes[t->dtype].name,
                       span->end - span->begin);
    t->data = (const char *)ts->map.p + data_at + span->begin;
    if (!need || (uintptr_t)t->data % item == 0) return 0;
    void *copy = arena_alloc(&ts->arena, need);
    if (!copy) return err_nomem(e, need);
    t->data = memcpy(copy, t->data, need);
    return 0;
}

static int by_place(const void *a, const void *b) {
    const struct span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return x->tensor - y->tensor;
}

static int check_places(const char *path, const struct tensors *ts, struct span *span, size_t data_bytes,
                        struct err *e) {
    size_t at = 0;
    qsort(span, (size_t)ts->n, sizeof *span, by_place);
    for (int i = 0; i < ts->n; i++) {
        const char *name = ts->tensor[span[i].tensor].name;
        if (span[i].begin < at)
            return err_set(e, ERR_INPUT, "%s: the data of tensors \"%s\" and \"%s\" overlap", path,
                           ts->tensor[span[i - 1].tensor].name, name);
        if (span[i].begin > at)
            return err_set(e, ERR_INPUT,
                           "%s: the %zu bytes before the data of tensor \"%s\" belong to no tensor", path,
                           span[i].begin - at, name);
        at = span[i].end;
    }
    if (at == data_bytes) return 0;
    return err_set(e, ERR_INPUT, "%s: the last %zu bytes belong to no tensor", path, data_bytes - at);
}

static int read_metadata(const char *path, json_t *m, struct tensors *ts, struct err *e) {
    const char *key;
    json_t *value;
    if (!json_is_object(m))
        return err_set(e, ERR_INPUT, "%s: " METADATA " must be a map from text to text", path);
    json_object_foreach(m, key, value) {
        if (!json_is_string(value))
            return err_set(e, ERR_INPUT, "%s: " METADATA ": the value of \"%s\" must be text", path, key);
    }
    ts->metadata = json_incref(m);
    return 0;
}

static int read_entries(const char *path, json_t *header, size_t data_at, struct tensors *ts, struct err *e) {
    size_t n = json_object_size(header);
    struct span *span = mem_calloc(n + 1, sizeof *span);
    ts->tensor = arena_alloc(&ts->arena, (n + 1) * sizeof *ts->tensor);
    int rc = span && ts->tensor ? 0 : err_nomem(e, (n + 1) * (sizeof *span + sizeof *ts->tensor));
    for (void *it = json_object_iter(header); it && !rc; it = json_object_iter_next(header, it)) {
        if (!strcmp(json_object_iter_key(it), METADATA)) {
            rc = read_metadata(path, json_object_iter_value(it), ts, e);
            continue;
        }
        struct tensor *t = &ts->tensor[ts->n];
        span[ts->n].tensor = ts->n;
        if (!(t->name = arena_strdup(&ts->arena, json_object_iter_key(it)))) rc = err_nomem(e, n);
        if (!rc) rc = read_entry(path, ts, json_object_iter_value(it), data_at, t, &span[ts->n], e);
        ts->n++;
    }
    if (!rc) rc = check_places(path, ts, span, ts->map.bytes - data_at, e);
    mem_free(span);
    return rc;
}

int tensors_open(const char *path, struct tensors *out, struct err *e) {
    json_t *header = NULL;
    size_t data_at = 0;
    *out = (struct tensors){.arena = ARENA_INIT};
    int rc = file_map_read(path, &out->map, e);
    if (!rc) rc = read_header(path, &out->map, &header, &data_at, e);
    if (!rc) rc = read_entries(path, header, data_at, out, e);
    json_decref(header);
    if (rc) tensors_close(out);
    return rc;
}

const struct tensor *tensors_find(const struct tensors *t, const char *name) {
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->tensor[i].name, name)) return &t->tensor[i];
    return NULL;
}

void tensors_close(struct tensors *t) {
    json_decref(t->metadata);
    arena_release(&t->arena);
    file_unmap(&t->map);
    *t = (struct tensors){.arena = ARENA_INIT};
}

/* ---- graph ---- */

static int param_dims(const struct param *p, size_t dim[2]) {
    dim[0] = p->vector ? p->cols : p->rows;
    dim[1] = p->cols;
    return p->vector ? 1 : 2;
}

static int check_param(const char *path, const struct param *p, const struct tensor *t, struct err *e) {
    size_t dim[2];
    int n_dims = param_dims(p, dim);
    char want[128], got[128];
    shape_text(want, n_dims, dim);
    if (!p->value)
        return err_set(e, ERR_INPUT, "%s: parameter \"%s\" has no memory yet (graph_alloc_params)", path,
                       p->name);
    if (!t)
        return err_set(e, ERR_INPUT, "%s: tensor \"%s\" %s is missing: the file is of another model", path,
                       p->name, want);
    if (t->dtype != TENSOR_F32)
        return err_set(e, ERR_INPUT, "%s: tensor \"%s\": the dtype is %s, the model needs F32", path, p->name,
                       dtypes[t->dtype].name);
    if (t->n_dims == n_dims && !memcmp(t->dim, dim, (size_t)n_dims * sizeof *dim)) return 0;
    return err_set(e, ERR_INPUT, "%s: tensor \"%s\": the shape is %s, the model needs %s", path, p->name,
                   shape_text(got, t->n_dims, t->dim), want);
}

/* Everything is checked before the first value changes. */
static int copy_params(struct graph *g, const char *path, const struct tensors *ts, struct err *e) {
    for (int i = 0; i < g->n_params; i++)
        if (!g->param[i]->training_only)
            TRY(check_param(path, g->param[i], tensors_find(ts, g->param[i]->name), e));
    for (int i = 0; i < ts->n; i++)
        if (graph_find_param(g, ts->tensor[i].name) < 0)
            return err_set(e, ERR_INPUT, "%s: tensor \"%s\" is unknown: the model has no such parameter",
                           path, ts->tensor[i].name);
    for (int i = 0; i < g->n_params; i++) {
        const struct tensor *t = tensors_find(ts, g->param[i]->name);
        if (t && t->n) memcpy(g->param[i]->value, t->data, t->n * sizeof(float));
    }
    return 0;
}

int checkpoint_load(struct graph *g, const char *path, struct err *e) {
    struct tensors ts;
    TRY(tensors_open(path, &ts, e));
    int rc = copy_params(g, path, &ts, e);
    tensors_close(&ts);
    return rc;
}

/* ---- writer ---- */

static json_t *param_entry(const struct param *p, size_t begin, size_t end) {
    size_t dim[2];
    json_t *shape = param_dims(p, dim) == 1 ? json_pack("[I]", (json_int_t)dim[0])
                                            : json_pack("[I,I]", (json_int_t)dim[0], (json_int_t)dim[1]);
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)end);
}

static int make_header(const struct graph *g, const char *path, const json_t *metadata, json_t *header,
                       struct err *e) {
    const char *key;
    json_t *value;
    size_t at = 0;
    if (metadata && !json_is_object(metadata))
        return err_set(e, ERR_INPUT, "%s: metadata must be a map from text to text", path);
    json_object_foreach((json_t *)metadata, key, value) {
        if (!json_is_string(value))
            return err_set(e, ERR_INPUT, "%s: metadata: the value of \"%s\" must be text", path, key);
    }
    if (metadata && json_object_set_new(header, METADATA, json_deep_copy(metadata))) return err_nomem(e, 0);
    for (int i = 0; i < g->n_params; i++) {
        const struct param *p = g->param[i];
        size_t bytes = p->rows * p->cols * sizeof(float);
        if (p->training_only) continue;
        if (!p->value)
            return err_set(e, ERR_INPUT, "%s: parameter \"%s\" has no values to save", path, p->name);
        if (json_object_set_new(header, p->name, param_entry(p, at, at + bytes)))
            return err_set(e, ERR_INPUT,
                           "%s: cannot save parameter \"%s\": its name is not UTF-8, or memory is out", path,
                           p->name);
        at += bytes;
    }
    return 0;
}

static void write_file(FILE *f, const struct graph *g, const char *text) {
    size_t n = strlen(text), pad = (8 - n % 8) % 8;
    uint64_t length = n + pad;
    fwrite(&length, 1, sizeof length, f); /* file_commit() looks at ferror() */
    fwrite(text, 1, n, f);
    fwrite("       ", 1, pad, f);
    for (int i = 0; i < g->n_params; i++) {
        const struct param *p = g->param[i];
        if (!p->training_only) fwrite(p->value, sizeof(float), p->rows * p->cols, f);
    }
}

int checkpoint_save(const struct graph *g, const char *path, const json_t *metadata, struct err *e) {
    json_t *header = json_object();
    if (!header) return err_nomem(e, 0);
    char *text = NULL;
    int rc = make_header(g, path, metadata, header, e);
    if (!rc && !(text = json_dumps(header, JSON_COMPACT))) rc = err_nomem(e, 0);
    json_decref(header);
    if (!rc && strlen(text) > HEADER_MAX - 8)
        rc = err_set(e, ERR_INPUT, "%s: cannot save: the header would be longer than %zu bytes", path,
                     HEADER_MAX);
    struct file_out o;
    if (!rc) rc = file_begin(&o, path, e);
    if (!rc) {
        write_file(o.f, g, text);
        rc = file_commit(&o, e);
    }
    free(text);
    return rc;
}
