/* store.h: where item records lie: `bytes` bytes an item, by item number. What they mean is the scorer's: the frontier
 * values of the item stage in the precision that they are served in.
 *
 *     struct store_options o = {0};  opt_defaults(store_opts, &o);  opt_read(store_opts, &o, map, "store", e);
 *     struct store_header h = {.version = "90f2..", .precision = "bf16", .bytes = 64, .n_items = 1000000};
 *     struct store *s;
 *     TRY(store_create(&o, &h, &s, e));                 a new set of records, not visible to readers yet
 *     TRY(store_put(s, items, records, 512, e));        in batches
 *     TRY(store_publish(s, e));                         replaces in one step what stood under that name
 *     TRY(store_get(s, 0, items, 1000, records, found, &missing, e));
 *     store_close(s);
 *     TRY(store_open(&o, &h, &s, e));                   or reads what another run has published
 *
 * An item without a record is no error: its flag is false, its record zeros, and it is counted. Records of
 * another model version, precision, size or number of items, a file or key of something else, a record of another
 * length, a server that is gone: an error that says so, never a wrong record. Nothing is retried but one
 * connection that was found closed.
 *
 * memory  an array
 * lmdb    <path>/<name>.lmdb, a memory-mapped B+ tree by item number. Written beside its place and renamed,
 *         then never changed: readers take no lock, and one that has it open keeps the records it opened.
 * redis   prerank:<name>:<version>:<item> and a header prerank:<name>, over one connection. Every get reads
 *         the header with the records, so that a newly published version is noticed at once; publishing
 *         deletes the records of the version before. The only network access of prerank, to `server` alone.
 *
 * One thread at a time uses a store, except that store_get may run at once with different `reader` numbers
 * where store_is_local().
 */
#ifndef PRERANK_SERVE_STORE_H
#define PRERANK_SERVE_STORE_H
#include "base/err.h"
#include "base/opt.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_MEMORY, STORE_LMDB, STORE_REDIS };
struct store_options {
    int kind;
    char path[OPT_TEXT_MAX];   /* lmdb: folder, made when it is not there */
    char server[OPT_TEXT_MAX]; /* redis: HOST:PORT */
    int64_t timeout_ms;        /* redis: for a connection, and for each answer */
    char name[OPT_TEXT_MAX];   /* of the set of records: one a model; a store holds many */
    int readers;               /* threads that call store_get at once; 0: one */
    bool temporary;            /* store_close deletes what store_create of this handle made */
};
extern const char *const store_kind_names[]; /* NULL-ended */
extern const struct opt store_opts[];        /* `name`, `readers` and `temporary` are the program's to set */

#define STORE_VERSION_MAX 33
struct store_header {
    char version[STORE_VERSION_MAX]; /* of the model that made the records: letters and digits */
    char precision[8];               /* that the records are in: letters and digits */
    size_t bytes;                    /* of a record */
    uint32_t n_items;                /* item numbers are below it */
};

struct store;
int store_create(const struct store_options *o, const struct store_header *h, struct store **out,
                 struct err *e);
/* What is there must have exactly the header `h`. */
int store_open(const struct store_options *o, const struct store_header *h, struct store **out,
               struct err *e);
/* records[n][bytes]; before store_publish only. Putting ascending items is fastest. */
int store_put(struct store *s, const uint32_t *items, const void *records, size_t n, struct err *e);
int store_publish(struct store *s, struct err *e);
/* records[n][bytes], found[n]; adds the number of items without a record to *missing. Items in any order,
 * also more than once. */
int store_get(struct store *s, int reader, const uint32_t *items, size_t n, void *records, bool *found,
              size_t *missing, struct err *e);
/* All records in memory, [n_items][bytes], or NULL: then they are to be fetched. */
void *store_table(struct store *s);
/* A get costs no round trip: small ones from several threads are best; otherwise one for a whole request. */
bool store_is_local(const struct store *s);
const char *store_where(const struct store *s); /* for messages: "redis 127.0.0.1:6379, records of `dssm`" */
/* NULL is fine. What was created but not published is gone. */
void store_close(struct store *s);

#endif
