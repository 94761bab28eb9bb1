#include "serve/store.h"
#include "base/mem.h"
#include "serve/store_kind.h"
#include <stdio.h>
#include <string.h>

const char *const store_kind_names[] = {"memory", "lmdb", "redis", NULL};
static const struct store_kind *const kinds[] = {&store_memory, &store_lmdb, &store_redis};

const struct opt store_opts[] = {
    OPT_ENUM(struct store_options, kind, "memory", store_kind_names,
             "where item records lie: in memory, in a mapped file, or in a Redis server"),
    OPT_TEXT(struct store_options, path, "", "lmdb: folder of the files"),
    OPT_TEXT(struct store_options, server, "", "redis: HOST:PORT, such as 127.0.0.1:6379"),
    OPT_INT(struct store_options, timeout_ms, "1000", 1, 3600000,
            "redis: longest wait for a connection or an answer"),
    OPT_END};

/* ---- the header ---- */

void store_header_write(const struct store_header *h, char text[STORE_HEADER_TEXT]) {
    snprintf(text, STORE_HEADER_TEXT, "prerank-items-2 %s %s %zu %u", h->version, h->precision, h->bytes,
             h->n_items);
}

int store_header_read(const char *text, size_t n, struct store_header *h) {
    char copy[STORE_HEADER_TEXT];
    int end = 0;
    if (n >= sizeof copy) return -1;
    memcpy(copy, text, n);
    copy[n] = '\0';
    *h = (struct store_header){0};
    if (sscanf(copy, "prerank-items-2 %32[0-9A-Za-z] %7[0-9A-Za-z] %zu %u%n", h->version, h->precision,
               &h->bytes, &h->n_items, &end) != 4)
        return -1;
    return (size_t)end == n ? 0 : -1;
}

int store_header_check(const struct store *s, const char *text, size_t n, struct err *e) {
    struct store_header there;
    const struct store_header *want = &s->header;
    if (store_header_read(text, n, &there))
        return err_set(e, ERR_INPUT, "%s: these are no item records of prerank", s->where);
    if (strcmp(there.precision, want->precision) != 0)
        return err_set(e, ERR_INPUT,
                       "%s: the item records are in %s, but the model is to be served in %s; fill the store "
                       "again in this precision",
                       s->where, there.precision, want->precision);
    if (strcmp(there.version, want->version) != 0)
        return err_set(e, ERR_INPUT,
                       "%s: the item records were made by model version %s, but the model to serve is "
                       "version %s; fill the store again with this model",
                       s->where, there.version, want->version);
    if (there.bytes != want->bytes || there.n_items != want->n_items)
        return err_set(e, ERR_INPUT,
                       "%s: the store has %u items of %zu bytes, but the model needs %u items of %zu; fill "
                       "it again with this model and its items",
                       s->where, there.n_items, there.bytes, want->n_items, want->bytes);
    return 0;
}

/* 1 to size - 1 letters and digits */
static int check_word(const char *what, const char *word, size_t size, struct err *e) {
    size_t n = strnlen(word, size);
    bool plain = n > 0 && n < size;
    for (size_t i = 0; plain && i < n; i++)
        plain = (word[i] >= '0' && word[i] <= '9') || (word[i] >= 'A' && word[i] <= 'Z') ||
                (word[i] >= 'a' && word[i] <= 'z');
    return plain ? 0
                 : err_set(e, ERR_INPUT, "item store: the %s \"%.*s\" must be 1 to %d letters and digits",
                           what, (int)n, word, (int)size - 1);
}

static int check_header(const struct store_header *h, struct err *e) {
    TRY(check_word("model version", h->version, sizeof h->version, e));
    TRY(check_word("precision", h->precision, sizeof h->precision, e));
    if (!h->bytes || !h->n_items)
        return err_set(e, ERR_INPUT, "item store: %u items of %zu bytes: nothing to hold", h->n_items,
                       h->bytes);
    return 0;
}

/* ---- life ---- */

static int begin(const struct store_options *o, const struct store_header *h, bool create, struct store **out,
                 struct err *e) {
    *out = NULL;
    TRY(check_header(h, e));
    struct store *s = mem_calloc(1, sizeof *s);
    if (!s) return err_nomem(e, sizeof *s);
    s->kind = kinds[o->kind];
    s->o = *o;
    if (!s->o.name[0]) snprintf(s->o.name, sizeof s->o.name, "items");
    if (s->o.readers < 1) s->o.readers = 1;
    s->header = *h;
    s->created = create;
    s->published = !create;
    int rc = (create ? s->kind->create : s->kind->open)(s, e);
    if (rc) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

int store_create(const struct store_options *o, const struct store_header *h, struct store **out,
                 struct err *e) {
    return begin(o, h, true, out, e);
}

int store_open(const struct store_options *o, const struct store_header *h, struct store **out,
               struct err *e) {
    return begin(o, h, false, out, e);
}

void store_close(struct store *s) {
    if (!s) return;
    s->kind->close(s, s->o.temporary && s->created && s->published);
    mem_free(s);
}

/* ---- records ---- */

static int check_items(const struct store *s, const uint32_t *items, size_t n, struct err *e) {
    for (size_t i = 0; i < n; i++)
        if (items[i] >= s->header.n_items)
            return err_set(e, ERR_INPUT, "%s: item %u, but there are only %u items", s->where, items[i],
                           s->header.n_items);
    return 0;
}

int store_put(struct store *s, const uint32_t *items, const void *records, size_t n, struct err *e) {
    if (s->published)
        return err_set(e, ERR_INPUT, "%s: is published and does not change any more; create it anew",
                       s->where);
    TRY(check_items(s, items, n, e));
    return n ? s->kind->put(s, items, records, n, e) : 0;
}

int store_publish(struct store *s, struct err *e) {
    if (s->published) return 0;
    TRY(s->kind->publish(s, e));
    s->published = true;
    return 0;
}

int store_get(struct store *s, int reader, const uint32_t *items, size_t n, void *records, bool *found,
              size_t *missing, struct err *e) {
    if (!s->published)
        return err_set(e, ERR_INPUT, "%s: is not published yet, so that nothing can be read", s->where);
    TRY(check_items(s, items, n, e));
    memset(records, 0, n * s->header.bytes);
    memset(found, 0, n * sizeof *found);
    if (n) TRY(s->kind->get(s, reader, items, n, records, found, e));
    for (size_t i = 0; i < n; i++) *missing += !found[i];
    return 0;
}

void *store_table(struct store *s) { return s->kind->table ? s->kind->table(s) : NULL; }
bool store_is_local(const struct store *s) { return s->kind->local; }
const char *store_where(const struct store *s) { return s->where; }
