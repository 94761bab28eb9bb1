/* Item stores: what was put comes back, what was not put is counted, and whatever is wrong with a store is an
 * error that says so, never a wrong record. */
#include "base/file.h"
#include "base/rng.h"
#include "tests/serve/stores.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <hiredis/hiredis.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(store, .init = stores_setup, .fini = stores_teardown);

/* ---- all kinds ---- */

Test(store, what_was_put_comes_back_and_what_was_not_is_counted) {
    for (int kind = 0, n = stores_kinds(); kind < n; kind++) {
        struct store_options o = stores_options(kind);
        struct store *s = stores_make(&o, "v1", 2);
        stores_reads_well(s, 2);
        if (kind != STORE_MEMORY) { /* and another handle, also after this one is gone */
            struct store *other = stores_reopen(&o, "v1");
            stores_reads_well(other, 2);
            store_close(s);
            s = stores_reopen(&o, "v1");
            stores_reads_well(other, 2);
            store_close(other);
        }
        store_close(s);
    }
}

Test(store, refuses_what_it_cannot_hold) {
    struct err e = ERR_INIT;
    for (int kind = 0, n = stores_kinds(); kind < n; kind++) {
        struct store_options o = stores_options(kind);
        struct store_header h = stores_header("v1");
        struct store *s;
        float record[WIDTH] = {0};
        uint32_t item = ITEMS;
        cr_assert_eq(store_create(&o, &h, &s, &e), 0, "%s", e.msg);
        cr_expect_eq(store_put(s, &item, record, 1, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, "item 1500, but there are only 1500"), "%s", e.msg);
        cr_expect_eq(stores_get_one(s, 1, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, "not published"), "%s", e.msg);
        item = 3;
        cr_assert_eq(store_put(s, &item, record, 1, &e), 0, "%s", e.msg);
        cr_assert_eq(store_publish(s, &e), 0, "%s", e.msg);
        cr_expect_eq(store_put(s, &item, record, 1, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, "is published"), "%s", e.msg);
        cr_expect_eq(stores_get_one(s, ITEMS, &e), ERR_INPUT);
        store_close(s);
    }
    const char *bad[] = {"", "v 1", "v:1", "0123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct store_options o = stores_options(STORE_MEMORY);
        struct store_header h = {.precision = "fp32", .bytes = 1, .n_items = 1};
        struct store *s;
        memcpy(h.version, bad[i], strnlen(bad[i], sizeof h.version));
        cr_expect_eq(store_create(&o, &h, &s, &e), ERR_INPUT, "version \"%s\"", bad[i]);
    }
}

Test(store, another_version_width_or_number_of_items_is_stale) {
    for (int kind = STORE_LMDB, n = stores_kinds(); kind < n; kind++) {
        struct store_options o = stores_options(kind);
        store_close(stores_make(&o, "v1", 1));
        struct store_header h = stores_header("v2");
        stores_refuses(&o, &h, "made by model version v1, but the model to serve is version v2");
        h = stores_header("v1");
        h.bytes++;
        stores_refuses(&o, &h, "1500 items of 28 bytes, but the model needs 1500 items of 29");
        h = stores_header("v1");
        strcpy(h.precision, "bf16");
        stores_refuses(&o, &h, "records are in fp32, but the model is to be served in bf16");
        h = stores_header("v1");
        h.n_items--;
        stores_refuses(&o, &h, "needs 1499 items");
        snprintf(o.name, sizeof o.name, "never filled");
        h = stores_header("v1");
        stores_refuses(&o, &h, "fill the store first");
    }
}

static int files_in_folder(void) {
    char path[128];
    int n = 0;
    snprintf(path, sizeof path, "%s/a/b", stores_dir);
    DIR *d = opendir(path);
    cr_assert_not_null(d);
    for (struct dirent *f; (f = readdir(d));) n += f->d_name[0] != '.';
    closedir(d);
    return n;
}

Test(store, a_fill_that_is_cut_off_changes_nothing) {
    struct err e = ERR_INIT;
    for (int kind = STORE_LMDB, n = stores_kinds(); kind < n; kind++) {
        struct store_options o = stores_options(kind);
        struct store_header h = stores_header("v1");
        struct store *s;
        for (int round = 0; round < 2; round++) { /* nothing there; then, a published one */
            if (round) store_close(stores_make(&o, "v0", 3));
            cr_assert_eq(store_create(&o, &h, &s, &e), 0, "%s", e.msg);
            stores_fill(s, 1);
            store_close(s);
            stores_refuses(&o, &h, round ? "made by model version v0" : "fill the store first");
            if (kind == STORE_LMDB) cr_expect_eq(files_in_folder(), round);
        }
        s = stores_reopen(&o, "v0");
        stores_reads_well(s, 3);
        store_close(s);
    }
}

Test(store, models_have_records_of_their_own_by_name) {
    const char *names[] = {"dssm/all/1", "dssm all 1", "dssm%2Fall%2F1", "..", "a\nb"};
    for (int kind = STORE_LMDB, n = stores_kinds(); kind < n; kind++) {
        struct store *s[5];
        for (size_t i = 0; i < 5; i++) {
            struct store_options o = stores_options(kind);
            snprintf(o.name, sizeof o.name, "%s", names[i]);
            s[i] = stores_make(&o, "v1", (float)i);
        }
        for (size_t i = 0; i < 5; i++) stores_reads_well(s[i], (float)i);
        for (size_t i = 0; i < 5; i++) store_close(s[i]);
    }
}

Test(store, temporary_records_end_with_their_maker) {
    for (int kind = STORE_LMDB, n = stores_kinds(); kind < n; kind++) {
        struct store_options o = stores_options(kind);
        struct store_header h = stores_header("v1");
        o.temporary = true;
        struct store *s = stores_make(&o, "v1", 1), *reader = stores_reopen(&o, "v1");
        store_close(reader);
        reader = stores_reopen(&o, "v1");
        store_close(reader);
        store_close(s);
        stores_refuses(&o, &h, "fill the store first");
    }
    if (stores_server.pid > 0) {
        redisContext *c = redisConnect("127.0.0.1", stores_server.port);
        redisReply *r = redisCommand(c, "DBSIZE");
        cr_expect_eq(r->integer, 0);
        freeReplyObject(r);
        redisFree(c);
    }
}

Test(store, memory_cannot_be_opened_and_is_the_only_table) {
    struct store_options o = stores_options(STORE_MEMORY);
    struct store_header h = stores_header("v1");
    stores_refuses(&o, &h, "in memory");
    struct store *s = stores_make(&o, "v1", 2);
    cr_assert_not_null(store_table(s));
    cr_expect_eq(((float *)store_table(s))[11 * WIDTH + 3], stores_value(11, 3, 2));
    store_close(s);
    o = stores_options(STORE_LMDB);
    s = stores_make(&o, "v1", 2);
    cr_expect_null(store_table(s));
    store_close(s);
}

/* ---- lmdb ---- */

Test(store, lmdb_readers_keep_what_they_opened_when_a_new_version_is_published) {
    struct store_options o = stores_options(STORE_LMDB);
    struct store *s1 = stores_make(&o, "v1", 1), *s2 = stores_make(&o, "v2", 2);
    stores_reads_well(s1, 1);
    stores_reads_well(s2, 2);
    store_close(s1);
    store_close(s2);
}

Test(store, lmdb_takes_records_of_any_width_in_any_order) {
    const size_t widths[] = {1, 500, 509, 510, 700, 1022, 1023, 2500};
    static float record[2500];
    struct err e = ERR_INIT;
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        struct store_options o = stores_options(STORE_LMDB);
        struct store_header h = {
            .version = "v", .precision = "fp32", .bytes = widths[k] * sizeof(float), .n_items = 700};
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

static void file_path(char path[128]) { snprintf(path, 128, "%s/a/b/model.lmdb", stores_dir); }

Test(store, lmdb_says_that_a_file_is_cut_off) {
    struct store_options o = stores_options(STORE_LMDB);
    struct store_header h = stores_header("v1");
    char path[128];
    file_path(path);
    store_close(stores_make(&o, "v1", 1));
    for (int64_t size = file_size(path) - 1; size > 8192; size = size * 2 / 3) {
        cr_assert_eq(truncate(path, size), 0);
        stores_refuses(&o, &h, "cut off");
    }
    const int64_t small[] = {8191, 4096, 100, 1, 0};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        cr_assert_eq(truncate(path, small[i]), 0);
        stores_refuses(&o, &h, "model.lmdb: ");
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
    struct store_options o = stores_options(STORE_LMDB);
    struct store_header h = stores_header("v1");
    char path[128], noise[20000];
    uint32_t key = UINT32_MAX;
    uint64_t wide = 7;
    file_path(path);
    store_close(stores_make(&o, "v1", 1));
    struct rng r = rng_init(2, 2);
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)rng_below(&r, 256);
    cr_assert_eq(file_write_text(path, noise, sizeof noise, &e), 0);
    stores_refuses(&o, &h, "no LMDB file");
    cr_assert_eq(file_write_text(path, "user,item\n", 10, &e), 0);
    stores_refuses(&o, &h, "no LMDB file");
    foreign_lmdb(path, 0, "some key", 8);
    stores_refuses(&o, &h, "no item records of prerank");
    foreign_lmdb(path, MDB_INTEGERKEY, &key, sizeof key);
    stores_refuses(&o, &h, "no item records of prerank");
    foreign_lmdb(path, MDB_INTEGERKEY, &wide, sizeof wide);
    stores_refuses(&o, &h, "no item records of prerank");
    foreign_lmdb(path, 0, NULL, 0);
    stores_refuses(&o, &h, "no item records of prerank");
}

Test(store, lmdb_needs_a_folder_it_can_write) {
    struct err e = ERR_INIT;
    struct store_options o = stores_options(STORE_LMDB);
    struct store_header h = stores_header("v1");
    struct store *s;
    o.path[0] = '\0';
    cr_expect_eq(store_create(&o, &h, &s, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "`path: DIR`"), "%s", e.msg);
    snprintf(o.path, sizeof o.path, "%s/file", stores_dir);
    cr_assert_eq(file_write_text(o.path, "x", 1, &e), 0);
    cr_expect_eq(store_create(&o, &h, &s, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "file"), "%s", e.msg);
}
