/* store_kind.h: what a kind of item store is (serve/store_<kind>.c), for serve/store.c alone.
 *
 * The calls come checked: items are below header.n_items, a get or table only after publish or open, a put
 * only before. Each kind owns `self`, and leaves it so that close() can be called after any failure.
 */
#ifndef PRERANK_SERVE_STORE_KIND_H
#define PRERANK_SERVE_STORE_KIND_H
#include "serve/store.h"

struct store_kind {
    const char *name;
    bool local; /* see store_is_local() */
    int (*create)(struct store *s, struct err *e);
    int (*open)(struct store *s, struct err *e);
    int (*put)(struct store *s, const uint32_t *items, const void *records, size_t n, struct err *e);
    int (*publish)(struct store *s, struct err *e);
    /* found[] is all false and records[] all zero when it is called */
    int (*get)(struct store *s, int reader, const uint32_t *items, size_t n, void *records, bool *found,
               struct err *e);
    void *(*table)(struct store *s); /* NULL: there is none */
    void (*close)(struct store *s, bool delete_published);
};
extern const struct store_kind store_memory, store_lmdb, store_redis;

struct store {
    const struct store_kind *kind;
    struct store_options o;
    struct store_header header;
    bool created, published;
    char where[1024]; /* set by create and open */
    void *self;
};

/* The header as a text that is stored beside the records, and its check: ERR_INPUT with what differs. */
#define STORE_HEADER_TEXT 96
void store_header_write(const struct store_header *h, char text[STORE_HEADER_TEXT]);
int store_header_read(const char *text, size_t n, struct store_header *h); /* -1: no header of prerank */
int store_header_check(const struct store *s, const char *text, size_t n, struct err *e);

#endif
