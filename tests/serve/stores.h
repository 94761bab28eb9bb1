/* stores.h: what the tests of item stores share: a folder, a Redis server, and a store of 1500 items in which
 * every tenth is missing.
 *
 *     TestSuite(store, .init = stores_setup, .fini = stores_teardown);
 *     for (int kind = 0, n = stores_kinds(); kind < n; kind++) {
 *         struct store_options o = stores_options(kind);
 *         struct store *s = stores_make(&o, "v1", 2);
 *         stores_reads_well(s, 2);
 *         store_close(s);
 *     }
 */
#ifndef PRERANK_TESTS_SERVE_STORES_H
#define PRERANK_TESTS_SERVE_STORES_H
#include "serve/store.h"
#include "tests/support/redis.h"

enum { WIDTH = 7, ITEMS = 1500 };
extern struct redis_server stores_server; /* pid -1 until it is started */
extern char stores_dir[64];
void stores_setup(void);
void stores_teardown(void);
/* Number of kinds that can be tested here: all, or all but redis, whose server it starts. */
int stores_kinds(void);
struct store_options stores_options(int kind);
struct store_header stores_header(const char *version);
/* Column k of an item's record; `version` makes the records of two models differ. */
float stores_value(uint32_t item, size_t k, float version);
/* Puts every item but those divisible by 10, in batches. */
void stores_fill(struct store *s, float version);
struct store *stores_make(const struct store_options *o, const char *version, float factor);
struct store *stores_reopen(const struct store_options *o, const char *version);
/* Opening must fail with this in the message. */
void stores_refuses(const struct store_options *o, const struct store_header *h, const char *text);
void stores_reads_well(struct store *s, float version);
int stores_get_one(struct store *s, uint32_t item, struct err *e);

#endif
