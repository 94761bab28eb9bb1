/* Against tests/fixtures/make_derive.py, which recomputes every value from its definition. */
#include "base/mem.h"
#include "base/progress.h"
#include "data/derive.h"
#include "data/derive_value.h"
#include "data/prepare.h"
#include "tests/data/folder.h"
#include "tests/data/prepared.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(derive, .init = folder_setup, .fini = folder_teardown);

static const char *const splits[] = {"time", "user", "column"};

static struct dataset fixture(const char *split) {
    char path[128];
    struct schema s;
    struct err e = ERR_INIT;
    progress_set_quiet(1);
    snprintf(path, sizeof path, "tests/fixtures/derive/%s.yaml", split);
    cr_assert_eq(schema_load(path, &s, &e), 0, "%s", e.msg);
    cr_assert_eq(prepare_dataset(&s, folder_path(split), &e), 0, "%s", e.msg);
    schema_release(&s);
    return opened(folder_path(split));
}

static struct table expected(const char *split, const char *what) {
    char path[128];
    snprintf(path, sizeof path, "tests/fixtures/derive/%s.%s.csv", split, what);
    return table_read(path);
}

static void assert_value(const struct field *f, const struct column *c, uint64_t k, const char *want,
                         const char *where) {
    if (f->type == VALUE_NUMBER)
        cr_assert_float_eq(c->number[k], strtof(want, NULL), 1e-6, "%s row %lu: %s", where, (unsigned long)k,
                           f->name);
    else
        cr_assert_str_eq(value_text(f, c, k), want, "%s row %lu: %s is %s, not %s", where, (unsigned long)k,
                         f->name, value_text(f, c, k), want);
}

static uint64_t number(const struct table *t, size_t row, const char *column) {
    return strtoull(table_cell(t, row, column), NULL, 10);
}

Test(derive, rows_are_in_the_stored_order) {
    for (int i = 0; i < 3; i++) {
        struct dataset ds = fixture(splits[i]);
        struct table t = expected(splits[i], "rows");
        cr_assert_eq(ds.n_rows, t.rows);
        for (size_t k = 0; k < t.rows; k++) {
            cr_assert_eq(ds.row[k], number(&t, k, "row"), "%s %zu", splits[i], k);
            cr_assert_eq(ds.time[k], (int64_t)number(&t, k, "time"));
            cr_assert_eq(ds.label[k], number(&t, k, "label"));
            cr_assert_eq(ds.user[k], number(&t, k, "user"));
            cr_assert_eq(ds.item[k], number(&t, k, "item"));
            uint64_t s = number(&t, k, "split");
            cr_assert(k >= ds.split[s].begin && k < ds.split[s].end);
        }
        table_free(&t);
        dataset_close(&ds);
    }
}

Test(derive, every_field_of_every_row_is_as_defined) {
    for (int i = 0; i < 3; i++) {
        struct dataset ds = fixture(splits[i]);
        struct table t = expected(splits[i], "rows");
        cr_assert_eq(ds.n_fields, 22);
        for (int f = 0; f < ds.n_fields; f++)
            for (size_t k = 0; k < t.rows; k++)
                assert_value(&ds.field[f], &ds.field[f].rows, k, table_cell(&t, k, ds.field[f].name),
                             splits[i]);
        table_free(&t);
        dataset_close(&ds);
    }
}

Test(derive, users_and_items_are_as_of_the_end_of_validation) {
    for (int i = 0; i < 3; i++) {
        struct dataset ds = fixture(splits[i]);
        struct table users = expected(splits[i], "users"), items = expected(splits[i], "items");
        cr_assert_eq(ds.n_users, users.rows);
        cr_assert_eq(ds.n_items, items.rows);
        for (int f = 0; f < ds.n_fields; f++) {
            const struct field *x = &ds.field[f];
            const struct table *t = x->side == SIDE_USER ? &users : &items;
            for (size_t k = 0; x->side != SIDE_PAIR && k < t->rows; k++)
                assert_value(x, &x->entity, k, table_cell(t, k, x->name),
                             x->side == SIDE_USER ? "user" : "item");
        }
        table_free(&users);
        table_free(&items);
        dataset_close(&ds);
    }
}

Test(derive, ids_stand_for_the_values_of_the_training_split) {
    for (int i = 0; i < 3; i++) {
        struct dataset ds = fixture(splits[i]);
        struct table t = expected(splits[i], "vocab");
        for (size_t k = 0; k < t.rows; k++)
            cr_assert_str_eq(vocab_line(ds.dir, table_cell(&t, k, "field"), (uint32_t)number(&t, k, "id")),
                             table_cell(&t, k, "value"));
        table_free(&t);
        dataset_close(&ds);
    }
}

Test(derive, serving_gives_what_a_recount_of_training_and_validation_gives) {
    static const char *const names[] = {"taste", "dev_x", "same", "uxt"};
    for (int i = 0; i < 3; i++) {
        struct dataset ds = fixture(splits[i]);
        struct table t = expected(splits[i], "pairs");
        struct derive *d;
        struct err e = ERR_INIT;
        cr_assert_eq(derive_open(&ds, &d, &e), 0, "%s", e.msg);
        cr_assert_eq(t.rows, (ds.n_users - 1) * (ds.n_items - 1));
        for (int f = 0; f < 4; f++) {
            int field = (int)(dataset_field(&ds, names[f]) - ds.field);
            uint32_t items[32], ids[32];
            for (uint32_t n = 1; n < ds.n_items; n++) items[n - 1] = n;
            for (uint32_t u = 1, k = 0; u < ds.n_users; u++) {
                derive_pairs(d, field, u, items, ds.n_items - 1, ids);
                for (uint32_t n = 1; n < ds.n_items; n++, k++) {
                    uint32_t one;
                    cr_assert_eq(derive_pair(d, field, u, n, &one), 0);
                    cr_assert_eq(ids[n - 1], one);
                    cr_assert_eq(one, number(&t, k, names[f]), "%s of user %u and item %u: %u, not %s",
                                 names[f], u, n, one, table_cell(&t, k, names[f]));
                }
            }
        }
        derive_free(d);
        table_free(&t);
        dataset_close(&ds);
    }
}

Test(derive, an_unknown_user_or_item_has_id_0) {
    struct dataset ds = fixture("user");
    struct derive *d;
    struct err e = ERR_INIT;
    cr_assert_eq(derive_open(&ds, &d, &e), 0, "%s", e.msg);
    for (int f = 0; f < ds.n_fields; f++) {
        uint32_t id = 7, ids[3] = {7, 7, 7}, items[3] = {0, ds.n_items, UINT32_MAX};
        if (ds.field[f].side != SIDE_PAIR) {
            cr_assert_eq(derive_pair(d, f, 1, 1, &id), ERR_INPUT, "%s", ds.field[f].name);
            cr_assert_eq(id, 0);
            continue;
        }
        cr_assert_eq(derive_pair(d, f, 0, 1, &id), 0);
        cr_assert_eq(id, 0);
        cr_assert_eq(derive_pair(d, f, ds.n_users, 1, &id), ERR_INPUT);
        derive_pairs(d, f, 1, items, 3, ids);
        for (int i = 0; i < 3; i++) cr_assert_eq(ids[i], 0, "%s", ds.field[f].name);
        derive_pairs(d, f, ds.n_users, items, 3, ids);
        cr_assert_eq(ids[0], 0);
    }
    derive_free(d);
    dataset_close(&ds);
}

Test(derive, opening_without_memory_or_state_is_an_error) {
    struct dataset ds = fixture("time");
    struct derive *d = NULL;
    struct err e = ERR_INIT;
    int rc = ERR_INPUT;
    for (unsigned long long n = 1; rc; n++) {
        mem_fail_after(n);
        rc = derive_open(&ds, &d, &e);
        mem_fail_after(0);
        cr_assert_eq(!rc, d != NULL);
    }
    derive_free(d);
    cr_assert_eq(unlink(folder_path("time/state/taste.npy")), 0);
    cr_assert_eq(derive_open(&ds, &d, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "state/taste.npy"));
    dataset_close(&ds);
}

/* --- the functions on their own --- */

Test(derive_value, counts_are_in_log2_buckets) {
    static const uint32_t n[] = {0, 1, 2, 3, 4, 7, 8, 1000, UINT32_MAX}, id[] = {1, 2, 3, 3, 4, 4, 5, 11, 33};
    for (int i = 0; i < 9; i++) cr_assert_eq(derive_count_id(n[i], 64), id[i], "%u", n[i]);
    cr_assert_eq(derive_count_id(1000, 6), 6);
}

Test(derive_value, both_ways_to_overlap_agree) {
    uint64_t state = 1;
    for (int round = 0; round < 1000; round++) {
        uint32_t a[12], b[12], sorted[12];
        for (int i = 0; i < 12; i++) {
            a[i] = (uint32_t)(rng_hash(state++) % 15);
            b[i] = (uint32_t)(rng_hash(state++) % 15);
        }
        struct ids x = {a, (size_t)(round % 12)}, y = {b, (size_t)(round / 12 % 12)};
        struct ids set = {sorted, derive_distinct(x, sorted)};
        cr_assert_eq(derive_overlap(x, y), derive_overlap_sorted(set, y));
    }
}

Test(derive_value, a_tally_counts_what_it_is_given_and_forgets_it) {
    struct tally t;
    struct err e = ERR_INIT;
    cr_assert_eq(tally_hashed(&t, "/nowhere", &e), 0, "%s", e.msg);
    for (uint64_t i = 0; i < 20000; i++)
        cr_assert_eq(tally_add(&t, 1 + rng_hash(i % 5000), i % 3 == 0, &e), 0);
    for (uint64_t key = 0; key < 5000; key++) {
        uint32_t positives = 0;
        for (uint64_t i = key; i < 20000; i += 5000) positives += i % 3 == 0;
        struct tally_count c = tally_get(&t, 1 + rng_hash(key));
        cr_assert(c.n == 4 && c.p == positives);
    }
    cr_assert_eq(tally_get(&t, 2).n, 0);
    tally_clear(&t);
    cr_assert_eq(tally_get(&t, 1 + rng_hash(3)).n, 0);
    tally_release(&t);
}
