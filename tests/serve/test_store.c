/* Item stores: what was put comes back, what was not put is counted, and whatever is wrong with a store is an
 * error that says so, never a wrong record. */
#include "base/file.h"
#include "base/rng.h"
#include "serve/store.h"
#include "tests/support/redis.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <hiredis/hiredis.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WIDTH = 7, ITEMS = 1500 };

static struct redis_server server = {.pid = -1};
static char dir[64];

static void setup(void) {
    strcpy(dir, "/tmp/prerank-store-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void) {
    redis_stop(&server);
    file_remove_tree(dir, NULL);
}

TestSuite(store, .init = setup, .fini = teardown);

static struct store_options options(int kind) {
    struct store_options o = {0};
    opt_defaults(store_opts, &o);
    o.kind = kind;
    snprintf(o.name, sizeof o.name, "model");
    snprintf(o.path, sizeof o.path, "%s/a/b", dir);
    snprintf(o.server, sizeof o.server, "%s", server.address);
    return o;
}

/* The kinds that can be tested here: all, or all but redis. */
static int n_kinds(void) {
    if (server.pid > 0 || redis_start(&server, 0)) return STORE_REDIS + 1;
    fprintf(stderr, "redis is not tested: redis-server is not installed\n");
    return STORE_REDIS;
}

#define NEED_REDIS()                                                                                         \
    if (!redis_start(&server, 0)) cr_skip_test("redis-server is not installed")

static struct store_header header(const char *version) {
    struct store_header h = {.width = WIDTH, .n_items = ITEMS};
    snprintf(h.version, sizeof h.version, "%s", version);
    return h;
}

static float value(uint32_t item, size_t k, float version) {
    return version * (float)item + (float)k / 8 - 100;
}

/* Puts every item but those divisible by 10, in batches. */
static void fill(struct store *s, float version) {
    struct err e = ERR_INIT;
    uint32_t items[100];
    float record[100 * WIDTH];
    size_t n = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        if (i % 10) {
            for (size_t k = 0; k < WIDTH; k++) record[n * WIDTH + k] = value(i, k, version);
            items[n++] = i;
        }
        if (n == 100 || i + 1 == ITEMS) {
            cr_assert_eq(store_put(s, items, record, n, &e), 0, "%s", e.msg);
            n = 0;
        }
    }
}

static struct store *make(const struct store_options *o, const char *version, float factor) {
    struct err e = ERR_INIT;
    struct store *s;
    struct store_header h = header(version);
    cr_assert_eq(store_create(o, &h, &s, &e), 0, "%s", e.msg);
    fill(s, factor);
    cr_assert_eq(store_publish(s, &e), 0, "%s", e.msg);
    return s;
}

static struct store *reopen(const struct store_options *o, const char *version) {
    struct err e = ERR_INIT;
    struct store *s;
    struct store_header h = header(version);
    cr_assert_eq(store_open(o, &h, &s, &e), 0, "%s", e.msg);
    return s;
}

/* Opening must fail with this in the message. */
static void refuses(const struct store_options *o, const struct store_header *h, const char *text) {
    struct err e = ERR_INIT;
    struct store *s;
    cr_expect_eq(store_open(o, h, &s, &e), ERR_INPUT);
    cr_expect_null(s);
    cr_expect(strstr(e.msg, text), "\"%s\" does not say \"%s\"", e.msg, text);
}

static void reads_well(struct store *s, float version) {
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
                cr_assert_eq(record[i * WIDTH + k], there ? value(items[i], k, version) : 0.0f, "item %u",
                             items[i]);
        }
        cr_assert_eq(missing, expect);
    }
}

static int get_one(struct store *s, uint32_t item, struct err *e) {
    float record[WIDTH];
    bool found;
    size_t missing = 0;
    *e = (struct err)ERR_INIT;
    return store_get(s, 0, &item, 1, record, &found, &missing, e);
}

/* ---- all kinds ---- */

Test(store, what_was_put_comes_back_and_what_was_not_is_counted) {
    for (int kind = 0, n = n_kinds(); kind < n; kind++) {
        struct store_options o = options(kind);
        struct store *s = make(&o, "v1", 2);
        reads_well(s, 2);
        if (kind != STORE_MEMORY) { /* and another handle, also after this one is gone */
            struct store *other = reopen(&o, "v1");
            reads_well(other, 2);
            store_close(s);
            s = reopen(&o, "v1");
            reads_well(other, 2);
            store_close(other);
        }
        store_close(s);
    }
}

Test(store, refuses_what_it_cannot_hold) {
    struct err e = ERR_INIT;
    for (int kind = 0, n = n_kinds(); kind < n; kind++) {
        struct store_options o = options(kind);
        struct store_header h = header("v1");
        struct store *s;
        float record[WIDTH] = {0};
        uint32_t item = ITEMS;
        cr_assert_eq(store_create(&o, &h, &s, &e), 0, "%s", e.msg);
        cr_expect_eq(store_put(s, &item, record, 1, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, "item 1500, but there are only 1500"), "%s", e.msg);
        cr_expect_eq(get_one(s, 1, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, "not published"), "%s", e.msg);
        item = 3;
        cr_assert_eq(store_put(s, &item, record, 1, &e), 0, "%s", e.msg);
        cr_assert_eq(store_publish(s, &e), 0, "%s", e.msg);
        cr_expect_eq(store_put(s, &item, record, 1, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, "is published"), "%s", e.msg);
        cr_expect_eq(get_one(s, ITEMS, &e), ERR_INPUT);
        store_close(s);
    }
    const char *bad[] = {"", "v 1", "v:1", "0123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct store_options o = options(STORE_MEMORY);
        struct store_header h = {.width = 1, .n_items = 1};
        struct store *s;
        memcpy(h.version, bad[i], strnlen(bad[i], sizeof h.version));
        cr_expect_eq(store_create(&o, &h, &s, &e), ERR_INPUT, "version \"%s\"", bad[i]);
    }
}

Test(store, another_version_width_or_number_of_items_is_stale) {
    for (int kind = STORE_LMDB, n = n_kinds(); kind < n; kind++) {
        struct store_options o = options(kind);
        store_close(make(&o, "v1", 1));
        struct store_header h = header("v2");
        refuses(&o, &h, "made by model version v1, but the model to serve is version v2");
        h = header("v1");
        h.width++;
        refuses(&o, &h, "1500 items of 7 floats, but the model needs 1500 items of 8");
        h = header("v1");
        h.n_items--;
        refuses(&o, &h, "needs 1499 items");
        snprintf(o.name, sizeof o.name, "never filled");
        h = header("v1");
        refuses(&o, &h, "fill the store first");
    }
}

static int files_in_folder(void) {
    char path[128];
    int n = 0;
    snprintf(path, sizeof path, "%s/a/b", dir);
    DIR *d = opendir(path);
    cr_assert_not_null(d);
    for (struct dirent *f; (f = readdir(d));) n += f->d_name[0] != '.';
    closedir(d);
    return n;
}

Test(store, a_fill_that_is_cut_off_changes_nothing) {
    struct err e = ERR_INIT;
    for (int kind = STORE_LMDB, n = n_kinds(); kind < n; kind++) {
        struct store_options o = options(kind);
        struct store_header h = header("v1");
        struct store *s;
        for (int round = 0; round < 2; round++) { /* nothing there; then, a published one */
            if (round) store_close(make(&o, "v0", 3));
            cr_assert_eq(store_create(&o, &h, &s, &e), 0, "%s", e.msg);
            fill(s, 1);
            store_close(s);
            refuses(&o, &h, round ? "made by model version v0" : "fill the store first");
            if (kind == STORE_LMDB) cr_expect_eq(files_in_folder(), round);
        }
        s = reopen(&o, "v0");
        reads_well(s, 3);
        store_close(s);
    }
}

Test(store, models_have_records_of_their_own_by_name) {
    const char *names[] = {"dssm/all/1", "dssm all 1", "dssm%2Fall%2F1", "..", "a\nb"};
    for (int kind = STORE_LMDB, n = n_kinds(); kind < n; kind++) {
        struct store *s[5];
        for (size_t i = 0; i < 5; i++) {
            struct store_options o = options(kind);
            snprintf(o.name, sizeof o.name, "%s", names[i]);
            s[i] = make(&o, "v1", (float)i);
        }
        for (size_t i = 0; i < 5; i++) reads_well(s[i], (float)i);
        for (size_t i = 0; i < 5; i++) store_close(s[i]);
    }
}

Test(store, temporary_records_end_with_their_maker) {
    for (int kind = STORE_LMDB, n = n_kinds(); kind < n; kind++) {
        struct store_options o = options(kind);
        struct store_header h = header("v1");
        o.temporary = true;
        struct store *s = make(&o, "v1", 1), *reader = reopen(&o, "v1");
        store_close(reader);
        reader = reopen(&o, "v1");
        store_close(reader);
        store_close(s);
        refuses(&o, &h, "fill the store first");
    }
    if (server.pid > 0) {
        redisContext *c = redisConnect("127.0.0.1", server.port);
        redisReply *r = redisCommand(c, "DBSIZE");
        cr_expect_eq(r->integer, 0);
        freeReplyObject(r);
        redisFree(c);
    }
}

Test(store, memory_cannot_be_opened_and_is_the_only_table) {
    struct store_options o = options(STORE_MEMORY);
    struct store_header h = header("v1");
    refuses(&o, &h, "in memory");
    struct store *s = make(&o, "v1", 2);
    cr_assert_not_null(store_table(s));
    cr_expect_eq(store_table(s)[11 * WIDTH + 3], value(11, 3, 2));
    store_close(s);
    o = options(STORE_LMDB);
    s = make(&o, "v1", 2);
    cr_expect_null(store_table(s));
    store_close(s);
}

/* ---- lmdb ---- */

Test(store, lmdb_readers_keep_what_they_opened_when_a_new_version_is_published) {
    struct store_options o = options(STORE_LMDB);
    struct store *s1 = make(&o, "v1", 1), *s2 = make(&o, "v2", 2);
    reads_well(s1, 1);
    reads_well(s2, 2);
    store_close(s1);
    store_close(s2);
}

Test(store, lmdb_takes_records_of_any_width_in_any_order) {
    const size_t widths[] = {1, 500, 509, 510, 700, 1022, 1023, 2500};
    static float record[2500];
    struct err e = ERR_INIT;
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        struct store_options o = options(STORE_LMDB);
        struct store_header h = {.version = "v", .width = widths[k], .n_items = 700};
        struct store *s;
        bool found;
        size_t missing = 0;
        cr_assert_eq(store_create(&o, &h, &s, &e), 0, "%s", e.msg);
        for (uint32_t i = 0; i < 1400; i++) { /* each item twice: the second counts */
            uint32_t item = i * 277 % 700;
            for (size_t c = 0; c < widths[k]; c++) record[c] = (float)(i + c);
            cr_assert_eq(store_put(s, &item, record, 1, &e), 0, "%s", e.msg);
        }
        cr_assert_eq(store_publish(s, &e), 0, "%s", e.msg);
        for (uint32_t i = 700; i < 1400; i++) {
            uint32_t item = i * 277 % 700;
            cr_assert_eq(store_get(s, 0, &item, 1, record, &found, &missing, &e), 0, "%s", e.msg);
            cr_assert(found);
            for (size_t c = 0; c < widths[k]; c++) cr_assert_eq(record[c], (float)(i + c));
        }
        store_close(s);
    }
}

static void file_path(char path[128]) { snprintf(path, 128, "%s/a/b/model.lmdb", dir); }

Test(store, lmdb_says_that_a_file_is_cut_off) {
    struct store_options o = options(STORE_LMDB);
    struct store_header h = header("v1");
    char path[128];
    file_path(path);
    store_close(make(&o, "v1", 1));
    for (int64_t size = file_size(path) - 1; size > 8192; size = size * 2 / 3) {
        cr_assert_eq(truncate(path, size), 0);
        refuses(&o, &h, "cut off");
    }
    const int64_t small[] = {8191, 4096, 100, 1, 0};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        cr_assert_eq(truncate(path, small[i]), 0);
        refuses(&o, &h, "model.lmdb: ");
    }
}

static void foreign_lmdb(const char *path, unsigned flags, const void *key, size_t key_bytes) {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {key_bytes, (void *)(uintptr_t)key}, v = {5, "hello"};
    unlink(path);
    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, NULL, flags, &dbi), 0);
    if (key) cr_assert_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
    cr_assert_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

Test(store, lmdb_says_that_a_file_is_something_else) {
    struct err e = ERR_INIT;
    struct store_options o = options(STORE_LMDB);
    struct store_header h = header("v1");
    char path[128], noise[20000];
    uint32_t key = UINT32_MAX;
    uint64_t wide = 7;
    file_path(path);
    store_close(make(&o, "v1", 1));
    struct rng r = rng_init(2, 2);
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)rng_below(&r, 256);
    cr_assert_eq(file_write_text(path, noise, sizeof noise, &e), 0);
    refuses(&o, &h, "no LMDB file");
    cr_assert_eq(file_write_text(path, "user,item\n", 10, &e), 0);
    refuses(&o, &h, "no LMDB file");
    foreign_lmdb(path, 0, "some key", 8);
    refuses(&o, &h, "no item records of prerank");
    foreign_lmdb(path, MDB_INTEGERKEY, &key, sizeof key);
    refuses(&o, &h, "no item records of prerank");
    foreign_lmdb(path, MDB_INTEGERKEY, &wide, sizeof wide);
    refuses(&o, &h, "no item records of prerank");
    foreign_lmdb(path, 0, NULL, 0);
    refuses(&o, &h, "no item records of prerank");
}

Test(store, lmdb_needs_a_folder_it_can_write) {
    struct err e = ERR_INIT;
    struct store_options o = options(STORE_LMDB);
    struct store_header h = header("v1");
    struct store *s;
    o.path[0] = '\0';
    cr_expect_eq(store_create(&o, &h, &s, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "`path: DIR`"), "%s", e.msg);
    snprintf(o.path, sizeof o.path, "%s/file", dir);
    cr_assert_eq(file_write_text(o.path, "x", 1, &e), 0);
    cr_expect_eq(store_create(&o, &h, &s, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "file"), "%s", e.msg);
}

/* ---- redis ---- */

Test(store, redis_readers_notice_a_new_version_and_its_records_replace_the_old) {
    struct err e;
    NEED_REDIS();
    struct store_options o = options(STORE_REDIS);
    struct store *s1 = make(&o, "v1", 1), *s2 = make(&o, "v2", 2);
    reads_well(s2, 2);
    cr_expect_eq(get_one(s1, 1, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "made by model version v2, but the model to serve is version v1"), "%s", e.msg);
    store_close(s1);
    redisContext *c = redisConnect("127.0.0.1", server.port);
    redisReply *r = redisCommand(c, "DBSIZE");
    cr_expect_eq(r->integer, ITEMS - ITEMS / 10 + 1, "%lld keys", r->integer);
    freeReplyObject(r);
    redisFree(c);
    store_close(s2);
}

Test(store, redis_dead_server_is_an_error_that_names_it) {
    struct err e;
    NEED_REDIS();
    struct store_options o = options(STORE_REDIS);
    struct store *s = make(&o, "v1", 1), *never;
    struct store_header h = header("v1");
    redis_stop(&server);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(get_one(s, 1, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, server.address) && strstr(e.msg, "Connection refused"), "%s", e.msg);
    }
    store_close(s);
    cr_expect_eq(store_create(&o, &h, &never, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, server.address), "%s", e.msg);
    refuses(&o, &h, server.address);
}

Test(store, redis_reconnects_once_to_a_server_that_came_back) {
    struct err e;
    NEED_REDIS();
    struct store_options o = options(STORE_REDIS);
    struct store *s = make(&o, "v1", 1);
    int port = server.port;
    redis_stop(&server);
    cr_assert(redis_start(&server, port));
    cr_expect_eq(get_one(s, 1, &e), ERR_INPUT); /* it is back, but empty */
    cr_expect(strstr(e.msg, "no such records"), "%s", e.msg);
    store_close(make(&o, "v1", 1));
    reads_well(s, 1);
    redis_stop(&server);
    cr_assert(redis_start(&server, port));
    store_close(make(&o, "v1", 1));
    reads_well(s, 1); /* the request that meets the closed connection does not fail */
    store_close(s);
}

Test(store, redis_silence_ends_at_the_timeout) {
    struct err e;
    NEED_REDIS();
    struct store_options o = options(STORE_REDIS);
    o.timeout_ms = 100;
    struct store *s = make(&o, "v1", 1);
    kill(server.pid, SIGSTOP);
    cr_expect_eq(get_one(s, 1, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "no answer within 100 ms"), "%s", e.msg);
    kill(server.pid, SIGCONT);
    reads_well(s, 1); /* and the late answer is not taken for the next one's */
    store_close(s);
}

Test(store, redis_wrong_values_are_refused) {
    struct err e;
    NEED_REDIS();
    struct store_options o = options(STORE_REDIS);
    struct store_header h = header("v1");
    struct store *s = make(&o, "v1", 1);
    redisContext *c = redisConnect("127.0.0.1", server.port);
    freeReplyObject(redisCommand(c, "SET prerank:model:v1:7 short"));
    cr_expect_eq(get_one(s, 7, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "record of item 7 has 5 bytes, not 28"), "%s", e.msg);
    freeReplyObject(redisCommand(c, "DEL prerank:model:v1:7"));
    cr_expect_eq(get_one(s, 7, &e), 0, "%s", e.msg);
    freeReplyObject(redisCommand(c, "SET prerank:model nonsense"));
    cr_expect_eq(get_one(s, 8, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "no item records of prerank"), "%s", e.msg);
    freeReplyObject(redisCommand(c, "DEL prerank:model"));
    freeReplyObject(redisCommand(c, "LPUSH prerank:model a b"));
    cr_expect_eq(get_one(s, 8, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "WRONGTYPE"), "%s", e.msg);
    refuses(&o, &h, "WRONGTYPE");
    redisFree(c);
    store_close(s);
}

Test(store, redis_tells_a_server_that_is_none) {
    struct err e;
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert(!bind(fd, (struct sockaddr *)&a, n) && !listen(fd, 1) &&
              !getsockname(fd, (struct sockaddr *)&a, &n));
    pid_t pid = fork();
    if (!pid) {
        int c = accept(fd, NULL, NULL);
        _exit(write(c, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) != 28);
    }
    struct store_options o = options(STORE_REDIS);
    struct store_header h = header("v1");
    struct store *s;
    snprintf(o.server, sizeof o.server, "127.0.0.1:%d", ntohs(a.sin_port));
    cr_expect_eq(store_open(&o, &h, &s, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, o.server) && strstr(e.msg, "Protocol error"), "%s", e.msg);
    close(fd);
    const char *bad[] = {"localhost", "localhost:", ":6379", "localhost:0", "localhost:65536", "h:6x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(o.server, sizeof o.server, "%s", bad[i]);
        refuses(&o, &h, "must be HOST:PORT");
    }
    o.server[0] = '\0';
    refuses(&o, &h, "needs the server to use");
}
