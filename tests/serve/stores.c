#include "tests/serve/stores.h"
#include "base/file.h"
#include "base/rng.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct redis_server stores_server = {.pid = -1};
char stores_dir[64];

void stores_setup(void) {
    strcpy(stores_dir, "/tmp/prerank-store-XXXXXX");
    cr_assert_not_null(mkdtemp(stores_dir));
}

void stores_teardown(void) {
    redis_stop(&stores_server);
    file_remove_tree(stores_dir, NULL);
}

struct store_options stores_options(int kind) {
    struct store_options o = {0};
    opt_defaults(store_opts, &o);
    o.kind = kind;
    snprintf(o.name, sizeof o.name, "model");
    snprintf(o.path, sizeof o.path, "%s/a/b", stores_dir);
    snprintf(o.server, sizeof o.server, "%s", stores_server.address);
    return o;
}

/* The kinds that can be tested here: all, or all but redis. */
int stores_kinds(void) {
    if (stores_server.pid > 0 || redis_start(&stores_server, 0)) return STORE_REDIS + 1;
    fprintf(stderr, "redis is not tested: redis-server is not installed\n");
    return STORE_REDIS;
}

struct store_header stores_header(const char *version) {
    struct store_header h = {.precision = "fp32", .bytes = WIDTH * sizeof(float), .n_items = ITEMS};
    snprintf(h.version, sizeof h.version, "%s", version);
    return h;
}

float stores_value(uint32_t item, size_t k, float version) {
    return version * (float)item + (float)k / 8 - 100;
}

/* Puts every item but those divisible by 10, in batches. */
void stores_fill(struct store *s, float version) {
    struct err e = ERR_INIT;
    uint32_t items[100];
    float record[100 * WIDTH];
    size_t n = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        if (i % 10) {
            for (size_t k = 0; k < WIDTH; k++) record[n * WIDTH + k] = stores_value(i, k, version);
            items[n++] = i;
        }
        if (n == 100 || i + 1 == ITEMS) {
            cr_assert_eq(store_put(s, items, record, n, &e), 0, "%s", e.msg);
            n = 0;
        }
    }
}

struct store *stores_make(const struct store_options *o, const char *version, float factor) {
    struct err e = ERR_INIT;
    struct store *s;
    struct store_header h = stores_header(version);
    cr_assert_eq(store_create(o, &h, &s, &e), 0, "%s", e.msg);
    stores_fill(s, factor);
    cr_assert_eq(store_publish(s, &e), 0, "%s", e.msg);
    return s;
}

struct store *stores_reopen(const struct store_options *o, const char *version) {
    struct err e = ERR_INIT;
    struct store *s;
    struct store_header h = stores_header(version);
    cr_assert_eq(store_open(o, &h, &s, &e), 0, "%s", e.msg);
    return s;
}

/* Opening must fail with this in the message. */
void stores_refuses(const struct store_options *o, const struct store_header *h, const char *text) {
    struct err e = ERR_INIT;
    struct store *s;
    cr_expect_eq(store_open(o, h, &s, &e), ERR_INPUT);
    cr_expect_null(s);
    cr_expect(strstr(e.msg, text), "\"%s\" does not say \"%s\"", e.msg, text);
}

void stores_reads_well(struct store *s, float version) {
    struct err e = ERR_INIT;
    uint32_t items[1000];
    static float record[1000 * WIDTH];
    bool found[1000];
    struct rng r = rng_init(1, 1);
    for (size_t n = 1; n <= 1000; n = n * 3 + 1) {
        size_t missing = 5, expect = 5;
        for (size_t i = 0; i < n; i++) items[i] = (uint32_t)rng_below(&r, i % 7 ? ITEMS : 3);
        cr_assert_eq(store_get(s, 0, items, n, record, found, &missing, &e), 0, "%s", e.msg);
        for (size_t i = 0; i < n; i++) {
            bool there = items[i] % 10;
            expect += !there;
            cr_assert_eq(found[i], there, "item %u", items[i]);
            for (size_t k = 0; k < WIDTH; k++)
                cr_assert_eq(record[i * WIDTH + k], there ? stores_value(items[i], k, version) : 0.0f,
                             "item %u", items[i]);
        }
        cr_assert_eq(missing, expect);
    }
}

int stores_get_one(struct store *s, uint32_t item, struct err *e) {
    float record[WIDTH];
    bool found;
    size_t missing = 0;
    *e = (struct err)ERR_INIT;
    return store_get(s, 0, &item, 1, record, &found, &missing, e);
}
