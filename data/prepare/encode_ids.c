/* encode.h: categories and bags: which values get an id, and the columns of ids. */
#include "data/prepare/encode.h"
#include "data/prepare/extract.h"
#include "data/prepare/staging.h"
#include <inttypes.h>
#include <string.h>

/* A column on its way: a text of the log is first a value of the carrier's vocabulary, then (with `extract`) the part of it that
 * counts, then an id. */
struct values {
    struct encode *x;
    int column;
    const struct schema_column *f;
    const struct carrier *c;
    struct vocab parts;        /* with `extract`: its values, otherwise empty */
    uint32_t *part;            /* [carrier's n + 1] value -> part; NULL without `extract` */
    const struct vocab *texts; /* the parts' texts */
    uint32_t *count;           /* [texts n + 1] in training */
    uint32_t *seen, n_seen;    /* parts in order of first appearance in training, then by rank */
    uint32_t *id;              /* [carrier's n + 1] value -> id */
    uint32_t vocab;            /* ids and 0 */
};

static int split_parts(struct values *v, struct err *e) {
    struct extract x;
    v->texts = &v->c->vocab;
    if (!v->f->extract || v->c->kind == CARRY_BAG) return 0;
    size_t bytes = ((size_t)v->c->vocab.n + 1) * sizeof *v->part;
    v->part = mem_calloc(1, bytes);
    if (!v->part) return err_nomem(e, bytes);
    TRY(extract_open(&x, v->f->extract, v->f->at, e));
    int rc = 0;
    for (uint32_t i = 1; !rc && i <= v->c->vocab.n; i++) {
        const char *text = vocab_text(&v->c->vocab, i);
        struct cell part = extract_apply(&x, (struct cell){text, strlen(text)});
        if (part.n) rc = vocab_add(&v->parts, part.p, part.n, &v->part[i], e);
    }
    extract_close(&x);
    v->texts = &v->parts;
    return rc;
}

/* The values of log row r: TEXT has one (0: none), BAG some. */
static inline const uint32_t *values_at(const struct values *v, uint64_t r, uint64_t *n) {
    uint64_t at = log_at(v->x->l, v->c, r);
    if (v->c->kind == CARRY_TEXT) {
        *n = 1;
        return carrier_ids(v->c) + at;
    }
    const uint64_t *offsets = carrier_offsets(v->c);
    *n = offsets[at + 1] - offsets[at];
    return *n ? carrier_ids(v->c) + offsets[at] : NULL;
}

static int count_training(struct values *v, struct err *e) {
    const struct order *o = v->x->o;
    size_t bytes = ((size_t)v->texts->n + 1) * sizeof(uint32_t);
    v->count = mem_calloc(1, bytes);
    v->seen = mem_alloc(bytes);
    if (!v->count || !v->seen) return err_nomem(e, bytes);
    for (uint64_t k = o->split[SPLIT_TRAIN].begin; k < o->split[SPLIT_TRAIN].end; k++) {
        uint64_t n;
        const uint32_t *value = values_at(v, order_row(o, k), &n);
        for (uint64_t i = 0; i < n; i++) {
            uint32_t part = v->part ? v->part[value[i]] : value[i];
            if (!part) continue;
            if (!v->count[part]) v->seen[v->n_seen++] = part;
            if (v->count[part] != UINT32_MAX) v->count[part]++;
        }
        TRY(encode_tick(v->x, k, e));
    }
    return 0;
}

/* Sorts seen[] by falling count, stable: least significant digit first. */
static int rank(struct values *v, struct err *e) {
    enum { DIGIT = 11, DIGITS = 1 << DIGIT };
    uint32_t most = 0, n = v->n_seen;
    for (uint32_t i = 0; i < n; i++) most = v->count[v->seen[i]] > most ? v->count[v->seen[i]] : most;
    uint32_t *from = v->seen, *to = mem_alloc(((size_t)v->texts->n + 1) * sizeof *to);
    if (!to) return err_nomem(e, (size_t)n * sizeof *to);
    for (unsigned shift = 0; shift < 32 && most >> shift; shift += DIGIT) {
        uint32_t at[DIGITS] = {0}, sum = 0;
        for (uint32_t i = 0; i < n; i++) at[(most - v->count[from[i]]) >> shift & (DIGITS - 1)]++;
        for (size_t d = 0; d < DIGITS; d++) {
            uint32_t size = at[d];
            at[d] = sum;
            sum += size;
        }
        for (uint32_t i = 0; i < n; i++)
            to[at[(most - v->count[from[i]]) >> shift & (DIGITS - 1)]++] = from[i];
        uint32_t *other = from;
        from = to;
        to = other;
    }
    v->seen = from;
    mem_free(to);
    return 0;
}

/* Drops what is too rare; flags keep the numbers of the schema. */
static int choose(struct values *v, struct err *e) {
    if (v->f->n_flags) {
        for (uint32_t i = 0; i < v->texts->n; i++) v->seen[i] = i + 1;
        v->vocab = v->texts->n + 1;
        return 0;
    }
    TRY(rank(v, e));
    while (v->n_seen && v->count[v->seen[v->n_seen - 1]] < v->f->min_count) v->n_seen--;
    if (v->n_seen > v->f->max_vocab)
        return conf_err(v->f->at, e,
                        "column `%s` has %u distinct values in the training split (with min_count %" PRId64
                        "), but max_vocab is %" PRId64
                        "; raise max_vocab, or raise min_count to drop rare values",
                        v->f->name, v->n_seen, v->f->min_count, v->f->max_vocab);
    v->vocab = v->n_seen + 1;
    return 0;
}

static int set_ids(struct values *v, struct err *e) {
    size_t parts = (size_t)v->texts->n + 1, values = (size_t)v->c->vocab.n + 1;
    uint32_t *id = mem_calloc(parts, sizeof *id);
    if (!id) return err_nomem(e, parts * sizeof *id);
    for (uint32_t i = 0; i + 1 < v->vocab; i++)
        if (v->count[v->seen[i]] >= v->f->min_count) id[v->seen[i]] = i + 1;
    v->id = v->part ? mem_alloc(values * sizeof *v->id) : id;
    for (size_t i = 0; v->part && v->id && i < values; i++) v->id[i] = id[v->part[i]];
    if (v->id != id) mem_free(id);
    return v->id ? 0 : err_nomem(e, values * sizeof *v->id);
}

/* One value a line; a line break in a value is written \n or \r, a backslash \\. */
static int write_vocab(const struct values *v, struct err *e) {
    char path[1400], name[128];
    struct file_out out;
    snprintf(name, sizeof name, "vocab/%s.txt", v->f->name);
    TRY(file_join(path, sizeof path, v->x->dir, name, e));
    TRY(file_begin(&out, path, e));
    for (uint32_t i = 0; i + 1 < v->vocab; i++) {
        const char *text = vocab_text(v->texts, v->seen[i]);
        if (!strpbrk(text, "\\\n\r")) {
            fputs(text, out.f);
        } else {
            for (; *text; text++) {
                if (*text == '\\' || *text == '\n' || *text == '\r') putc('\\', out.f);
                putc(*text == '\n' ? 'n' : *text == '\r' ? 'r' : *text, out.f);
            }
        }
        putc('\n', out.f);
    }
    return file_commit(&out, e);
}

static int write_ids(struct values *v, struct err *e) {
    const struct order *o = v->x->o;
    struct npy out;
    TRY(staging_array(v->x->dir, "rows", v->f->name, "", NPY_U32, o->n, &out, e));
    uint32_t *to = out.data;
    const uint32_t *value = carrier_ids(v->c);
    int rc = 0;
    for (uint64_t k = 0; !rc && k < o->n; k++) {
        to[k] = v->id[value[log_at(v->x->l, v->c, order_row(o, k))]];
        rc = encode_tick(v->x, k, e);
    }
    npy_close(&out);
    return rc;
}

static int write_bag_values(struct values *v, const uint64_t *offsets, struct err *e) {
    const struct order *o = v->x->o;
    struct npy out;
    TRY(staging_array(v->x->dir, "rows", v->f->name, "", NPY_U32, offsets[o->n], &out, e));
    uint32_t *to = out.data;
    int rc = 0;
    for (uint64_t k = 0; !rc && k < o->n; k++) {
        uint64_t n;
        const uint32_t *value = values_at(v, order_row(o, k), &n);
        for (uint64_t i = 0; i < n; i++) to[offsets[k] + i] = v->id[value[i]];
        rc = encode_tick(v->x, k, e);
    }
    npy_close(&out);
    return rc;
}

static int write_bags(struct values *v, struct err *e) {
    const struct order *o = v->x->o;
    struct npy out;
    TRY(staging_array(v->x->dir, "rows", v->f->name, ".offsets", NPY_U64, o->n + 1, &out, e));
    uint64_t *offsets = out.data;
    for (uint64_t k = 0; k < o->n; k++) {
        uint64_t n;
        values_at(v, order_row(o, k), &n);
        offsets[k + 1] = offsets[k] + n;
    }
    uint64_t train = o->split[SPLIT_TRAIN].end;
    v->x->ds->field[v->column].mean_length = (double)offsets[train] / (double)train;
    int rc = write_bag_values(v, offsets, e);
    npy_close(&out);
    return rc;
}

static int encode_all(struct values *v, struct err *e) {
    TRY(split_parts(v, e));
    TRY(count_training(v, e));
    TRY(choose(v, e));
    TRY(set_ids(v, e));
    v->x->ds->field[v->column].vocab = v->vocab;
    TRY(write_vocab(v, e));
    return v->c->kind == CARRY_BAG ? write_bags(v, e) : write_ids(v, e);
}

int encode_ids(struct encode *x, int column, struct err *e) {
    struct values v = {.x = x,
                       .column = column,
                       .f = &x->l->schema->column[column],
                       .c = &x->l->carrier[x->l->column[column]]};
    int rc = encode_all(&v, e);
    vocab_release(&v.parts);
    mem_free(v.part);
    mem_free(v.count);
    mem_free(v.seen);
    mem_free(v.id);
    return rc;
}
