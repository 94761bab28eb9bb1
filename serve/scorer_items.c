/* The scorer's item stage: each item's record, once for all requests, into a store or a table. */
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "nn/vec.h"
#include "serve/scorer_own.h"
#include <string.h>

/* Of the model, because a user's vector is only good for the records that were trained with it, and of the form of the
 * records: another precision or int8 scale is another version. */
static int make_version(struct scorer *s, struct err *e) {
    struct str text = STR_INIT;
    str_addf(&text, "%s %s %zu %zu", s->model, precision_names[s->form.precision], s->form.width,
             s->form.pad);
    if (s->form.scale) str_add(&text, hash_bytes(s->form.scale, s->form.width * sizeof *s->form.scale).hex);
    int rc = text.failed ? err_nomem(e, text.len) : 0;
    if (!rc) snprintf(s->version, sizeof s->version, "%.16s", hash_bytes(text.p, text.len).hex);
    str_release(&text);
    return rc;
}

#define ITEM_BLOCK 512

/* Takes the records of items [first, first + n), n of at most ITEM_BLOCK. */
typedef int (*take_records)(struct scorer *s, uint32_t first, size_t n, const float *record, struct err *e);

/* Every item's frontier values side by side are its record. */
static int each_block(struct scorer *s, struct exec *x, struct batch_column *col, float *record,
                      take_records take, struct err *e) {
    const struct cut *c = &s->cut;
    size_t width = (size_t)c->item_width;
    for (uint32_t first = 0; first < s->data.n_items; first += ITEM_BLOCK) {
        size_t n = s->data.n_items - first < ITEM_BLOCK ? s->data.n_items - first : ITEM_BLOCK;
        for (int i = 0; i < c->item.n_columns; i++)
            TRY(s->data.item(s->data.self, c->item.column[i].name, first, n, &col[i], e));
        exec_forward(x, &(struct exec_slice){n, col}, 1);
        for (int k = 0; k < c->n_item; k++) {
            struct mat v = exec_value(x, c->item_node[k]), to = {record + c->item_offset[k], width};
            vec_copy(n, (size_t)c->item.node[c->item_node[k]]->width, to, v, 1, false);
        }
        TRY(take(s, first, n, record, e));
    }
    return 0;
}

static int item_stage(struct scorer *s, take_records take, struct err *e) {
    struct exec *x = NULL;
    struct batch_column *col = mem_calloc((size_t)s->cut.item.n_columns + 1, sizeof *col);
    size_t bytes = (size_t)ITEM_BLOCK * (size_t)s->cut.item_width * sizeof(float);
    float *record = mem_alloc(bytes);
    int rc = col && record ? 0 : err_nomem(e, bytes);
    if (!rc) rc = exec_create(&s->cut.item, &(struct exec_options){.max_rows = ITEM_BLOCK}, &x, e);
    if (!rc) rc = each_block(s, x, col, record, take, e);
    exec_free(x);
    mem_free(col);
    mem_free(record);
    return rc;
}

static int put_records(struct scorer *s, uint32_t first, size_t n, const float *record, struct err *e) {
    uint32_t items[ITEM_BLOCK];
    size_t bytes = row_bytes(&s->form);
    char *packed = mem_alloc(n * bytes);
    if (!packed) return err_nomem(e, n * bytes);
    for (size_t i = 0; i < n; i++) {
        items[i] = first + (uint32_t)i;
        row_pack(&s->form, record + i * s->form.width, packed + i * bytes);
    }
    int rc = store_put(s->store, items, packed, n, e);
    mem_free(packed);
    return rc;
}

static int fill_store(struct scorer *s, struct err *e) {
    size_t width = s->form.width, n_items = s->data.n_items;
    if (!s->table) TRY(item_stage(s, put_records, e));
    for (size_t i = 0, n; s->table && i < n_items; i += n) {
        n = n_items - i < ITEM_BLOCK ? n_items - i : ITEM_BLOCK;
        TRY(put_records(s, (uint32_t)i, n, s->table + i * width, e));
    }
    return store_publish(s->store, e);
}

void scorer_bind_records(struct scorer *s, float *records, size_t n) {
    struct param *table = s->cut.pair.param[graph_find_param(&s->cut.pair, "@items")];
    table->value = records;
    table->rows = n;
}

static int keep_records(struct scorer *s, uint32_t first, size_t n, const float *record, struct err *e) {
    size_t width = (size_t)s->cut.item_width;
    (void)e;
    memcpy(s->table + first * width, record, n * width * sizeof *record);
    return 0;
}

int scorer_make_table(struct scorer *s, struct err *e) {
    size_t n = s->data.n_items, width = (size_t)s->cut.item_width;
    if (!(s->table = mem_calloc(n, width * sizeof *s->table)))
        return err_nomem(e, n * width * sizeof *s->table);
    scorer_bind_records(s, s->table, n);
    return item_stage(s, keep_records, e);
}

static struct store_header store_header(const struct scorer *s) {
    struct store_header h = {.bytes = row_bytes(&s->form), .n_items = s->data.n_items};
    snprintf(h.version, sizeof h.version, "%s", s->version);
    snprintf(h.precision, sizeof h.precision, "%s", precision_names[s->form.precision]);
    return h;
}

int scorer_make_store(struct scorer *s, struct err *e) {
    if (!s->cut.n_item) return 0;
    scorer_bind_records(s, NULL, s->data.n_items); /* s->table is no part of the model */
    TRY(make_version(s, e));
    const struct store_header h = store_header(s);
    s->o.store.readers = s->n_workers;
    if (s->o.attach) {
        TRY(store_open(&s->o.store, &h, &s->store, e));
    } else {
        TRY(store_create(&s->o.store, &h, &s->store, e));
        TRY(fill_store(s, e));
    }
    mem_free(s->table);
    s->table = NULL;
    s->fetch = !store_table(s->store);
    if (!s->fetch) scorer_bind_records(s, store_table(s->store), s->data.n_items);
    return 0;
}

int scorer_share_store(struct scorer *s, struct err *e) {
    const struct store_header h = store_header(s);
    s->store = NULL;
    s->o.store.readers = s->n_workers;
    return store_open(&s->o.store, &h, &s->store, e);
}
