/* Item records in an array. */
#include "base/mem.h"
#include "serve/store_kind.h"
#include <stdio.h>
#include <string.h>

struct memory {
    char *record; /* [n_items][bytes] */
    bool *there;  /* [n_items] */
};

static int memory_create(struct store *s, struct err *e) {
    size_t n = s->header.n_items;
    snprintf(s->where, sizeof s->where, "memory");
    struct memory *m = s->self = mem_calloc(1, sizeof *m);
    if (!m) return err_nomem(e, sizeof *m);
    m->record = mem_calloc(n, s->header.bytes);
    m->there = mem_calloc(n, sizeof *m->there);
    return m->record && m->there ? 0 : err_nomem(e, n * s->header.bytes);
}

static int memory_open(struct store *s, struct err *e) {
    (void)s;
    return err_set(e, ERR_INPUT,
                   "item records in memory end with the program that made them: nothing can be opened; "
                   "choose `kind: lmdb` or `kind: redis`, or let the item stage fill the store");
}

static int memory_put(struct store *s, const uint32_t *items, const void *records, size_t n, struct err *e) {
    struct memory *m = s->self;
    size_t bytes = s->header.bytes;
    (void)e;
    for (size_t i = 0; i < n; i++) {
        memcpy(m->record + items[i] * bytes, (const char *)records + i * bytes, bytes);
        m->there[items[i]] = true;
    }
    return 0;
}

static int memory_publish(struct store *s, struct err *e) {
    (void)s, (void)e;
    return 0;
}

static int memory_get(struct store *s, int reader, const uint32_t *items, size_t n, void *records,
                      bool *found, struct err *e) {
    const struct memory *m = s->self;
    size_t bytes = s->header.bytes;
    (void)reader, (void)e;
    for (size_t i = 0; i < n; i++) {
        found[i] = m->there[items[i]];
        memcpy((char *)records + i * bytes, m->record + items[i] * bytes, bytes);
    }
    return 0;
}

static void *memory_table(struct store *s) { return ((struct memory *)s->self)->record; }

static void memory_close(struct store *s, bool delete_published) {
    struct memory *m = s->self;
    (void)delete_published;
    if (!m) return;
    mem_free(m->record);
    mem_free(m->there);
    mem_free(m);
}

const struct store_kind store_memory = {.name = "memory",
                                        .local = true,
                                        .create = memory_create,
                                        .open = memory_open,
                                        .put = memory_put,
                                        .publish = memory_publish,
                                        .get = memory_get,
                                        .table = memory_table,
                                        .close = memory_close};
