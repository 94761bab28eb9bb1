#include "data/prepare/encode.h"
#include "data/prepare/cell.h"
#include "data/prepare/extract.h"
#include "data/prepare/quantile.h"
#include "data/prepare/scratch.h"
#include "data/prepare/staging.h"
#include <math.h>
#include <string.h>

/* --- columns that every dataset has --- */

static int copy_bytes(struct encode *x, const char *name, const uint8_t *from, struct err *e) {
    struct npy out;
    TRY(staging_array(x->dir, "rows", name, "", NPY_U8, x->o->n, &out, e));
    uint8_t *to = out.data;
    for (uint64_t k = 0; k < x->o->n; k++) to[k] = from[order_row(x->o, k)];
    npy_close(&out);
    return 0;
}

static int copy_words(struct encode *x, const char *name, enum npy_type type, const uint64_t *from,
                      struct err *e) {
    struct npy out;
    TRY(staging_array(x->dir, "rows", name, "", type, x->o->n, &out, e));
    uint64_t *to = out.data;
    for (uint64_t k = 0; k < x->o->n; k++) to[k] = from[order_row(x->o, k)];
    npy_close(&out);
    return 0;
}

/* *n: how many there are, and the unknown one. */
static int number_entities(struct encode *x, const char *name, const struct carrier *c, uint32_t *n,
                           struct err *e) {
    struct npy out;
    size_t bytes = ((size_t)c->vocab.n + 1) * sizeof(uint32_t);
    uint32_t *number = mem_calloc(1, bytes);
    if (!number) return err_nomem(e, bytes);
    int rc = staging_array(x->dir, "rows", name, "", NPY_U32, x->o->n, &out, e);
    *n = 1;
    if (!rc) {
        uint32_t *to = out.data;
        const uint32_t *id = carrier_ids(c);
        for (uint64_t k = 0; k < x->o->n; k++) {
            uint32_t *entity = &number[id[order_row(x->o, k)]];
            if (!*entity) *entity = (*n)++;
            to[k] = *entity;
        }
        npy_close(&out);
    }
    mem_free(number);
    return rc;
}

static int copy_keep(struct encode *x, int i, struct err *e) {
    const struct carrier *c = &x->l->carrier[x->l->keep[i]];
    const double *from = carrier_numbers(c);
    struct npy out;
    char name[128];
    snprintf(name, sizeof name, "keep.%s", x->l->schema->keep[i]);
    TRY(staging_array(x->dir, "rows", name, "", NPY_F64, x->o->n, &out, e));
    double *to = out.data;
    for (uint64_t k = 0; k < x->o->n; k++) to[k] = from[log_at(x->l, c, order_row(x->o, k))];
    npy_close(&out);
    return 0;
}

int encode_rows(struct encode *x, struct err *e) {
    const struct log *l = x->l;
    TRY(copy_bytes(x, "label", l->label_of.map.p, e));
    TRY(copy_words(x, "row", NPY_U64, l->row_of.map.p, e));
    if (l->time_of.map.p) TRY(copy_words(x, "time", NPY_I64, l->time_of.map.p, e));
    TRY(number_entities(x, "user", &l->carrier[l->user], &x->ds->n_users, e));
    TRY(number_entities(x, "item", &l->carrier[l->item], &x->ds->n_items, e));
    for (int i = 0; i < l->schema->n_keep; i++) TRY(copy_keep(x, i, e));
    spool_release(&x->l->label_of);
    spool_release(&x->l->time_of);
    spool_release(&x->l->row_of);
    return 0;
}

/* --- numbers and buckets --- */

/* What each text of a carrier's vocabulary is as a number, after `extract`: [n + 1], mem_free() it. */
static int numbers_of_texts(const struct schema_column *f, const struct carrier *c, double **out,
                            struct err *e) {
    size_t bytes = ((size_t)c->vocab.n + 1) * sizeof(double);
    double *v = mem_alloc(bytes);
    struct extract x;
    if (!v) return err_nomem(e, bytes);
    int rc = extract_open(&x, f->extract, f->at, e);
    v[0] = NAN;
    for (uint32_t i = 1; !rc && i <= c->vocab.n; i++) {
        const char *text = vocab_text(&c->vocab, i);
        struct cell part = extract_apply(&x, (struct cell){text, strlen(text)});
        char copy[64];
        snprintf(copy, sizeof copy, "%.*s", (int)(part.n < sizeof copy ? part.n : sizeof copy - 1), part.p);
        if (cell_number((struct cell){copy, strlen(copy)}, &v[i]) == CELL_BAD)
            rc = err_set(e, ERR_INPUT, "column `%s`: \"%.60s\", extracted from \"%.60s\", is not a number",
                         f->name, copy, text);
    }
    extract_close(&x);
    if (rc)
        mem_free(v);
    else
        *out = v;
    return rc;
}

/* The column's values in the stored order: to[n]. */
static int gather(struct encode *x, int column, double *to, struct err *e) {
    const struct schema_column *f = &x->l->schema->column[column];
    const struct carrier *c = &x->l->carrier[x->l->column[column]];
    double *of_text = NULL;
    int rc = 0;
    if (c->kind == CARRY_TEXT) TRY(numbers_of_texts(f, c, &of_text, e));
    for (uint64_t k = 0; !rc && k < x->o->n; k++) {
        uint64_t r = log_at(x->l, c, order_row(x->o, k));
        double v = of_text ? of_text[carrier_ids(c)[r]] : carrier_numbers(c)[r];
        if (f->log1p) {
            if (v <= -1)
                rc = err_set(e, ERR_INPUT, "column `%s`: log1p of %g does not exist; values must be above -1",
                             f->name, v);
            v = log1p(v);
        }
        to[k] = v;
        if (!rc) rc = encode_tick(x, k, e);
    }
    mem_free(of_text);
    return rc;
}

static json_t *json_of_edges(const struct edges *edges) {
    json_t *j = json_array();
    for (uint32_t i = 0; i < edges->n; i++)
        if (json_array_append_new(j, json_real(edges->v[i]))) {
            json_decref(j);
            return NULL;
        }
    return j;
}

static int encode_bucket(struct encode *x, int column, const double *v, struct err *e) {
    const struct schema_column *f = &x->l->schema->column[column];
    struct edges edges;
    struct npy out;
    TRY(quantile_edges(v, x->o->split[SPLIT_TRAIN].end, (uint32_t)f->buckets, &x->ds->arena, &edges, e));
    if (json_object_set_new(x->edges, f->name, json_of_edges(&edges)))
        return err_nomem(e, edges.n * sizeof(double));
    TRY(staging_array(x->dir, "rows", f->name, "", NPY_U32, x->o->n, &out, e));
    uint32_t *to = out.data;
    for (uint64_t k = 0; k < x->o->n; k++) to[k] = isnan(v[k]) ? 0 : quantile_bucket(&edges, v[k]);
    npy_close(&out);
    x->ds->field[column].vocab = edges.n + 2;
    return 0;
}

static int encode_number(struct encode *x, int column, const double *v, struct err *e) {
    const struct schema_column *f = &x->l->schema->column[column];
    struct npy out;
    double sum = 0, n = 0;
    for (uint64_t k = 0; k < x->o->split[SPLIT_TRAIN].end; k++) {
        if (isnan(v[k])) continue;
        sum += v[k];
        n++;
    }
    double mean = n > 0 ? sum / n : 0;
    if (json_object_set_new(x->means, f->name, json_real(mean))) return err_nomem(e, sizeof mean);
    TRY(staging_array(x->dir, "rows", f->name, "", NPY_F32, x->o->n, &out, e));
    float *to = out.data;
    int rc = 0;
    for (uint64_t k = 0; !rc && k < x->o->n; k++) {
        to[k] = (float)(isnan(v[k]) ? mean : v[k]);
        if (!isfinite(to[k]))
            rc = err_set(
                e, ERR_INPUT,
                "column `%s`: %g is too large for a 32-bit float; use transform: log1p, or kind: bucket",
                f->name, v[k]);
    }
    x->missing[column] = (float)mean;
    npy_close(&out);
    return rc;
}

static int encode_values(struct encode *x, int column, struct err *e) {
    struct file_map scratch;
    TRY(scratch_map(x->work, x->o->n * sizeof(double), &scratch, e));
    double *v = scratch.p;
    int rc = gather(x, column, v, e);
    if (!rc)
        rc = x->l->schema->column[column].kind == COLUMN_BUCKET ? encode_bucket(x, column, v, e)
                                                                : encode_number(x, column, v, e);
    file_unmap(&scratch);
    return rc;
}

/* --- all columns --- */

/* Disk and memory go back early: a carrier that no later column reads ends here. */
static void release_carrier(struct encode *x, int column) {
    int carrier = x->l->column[column];
    for (int i = column + 1; i < x->l->schema->n_columns; i++)
        if (x->l->column[i] == carrier) return;
    carrier_release(&x->l->carrier[carrier]);
}

int encode_columns(struct encode *x, struct err *e) {
    static const struct {
        const char *kind;
        enum value_type type;
    } kinds[] = {[COLUMN_CATEGORY] = {"category", VALUE_ID},
                 [COLUMN_BUCKET] = {"bucket", VALUE_ID},
                 [COLUMN_MULTI] = {"multi", VALUE_BAG},
                 [COLUMN_NUMBER] = {"number", VALUE_NUMBER}};
    const struct schema *s = x->l->schema;
    progress_start(&x->progress, "encoding", (uint64_t)s->n_columns * x->o->n);
    for (int i = 0; i < s->n_columns; i++) {
        const struct schema_column *f = &s->column[i];
        x->ds->field[i] = (struct field){.name = f->name,
                                         .side = f->side,
                                         .type = kinds[f->kind].type,
                                         .kind = kinds[f->kind].kind,
                                         .shares = -1,
                                         .mean_length = 1};
        x->progress.done = (uint64_t)i * x->o->n;
        int ids = f->kind == COLUMN_CATEGORY || f->kind == COLUMN_MULTI;
        TRY(ids ? encode_ids(x, i, e) : encode_values(x, i, e));
        release_carrier(x, i);
    }
    x->progress.done = x->progress.total;
    progress_end(&x->progress, "values");
    return 0;
}
