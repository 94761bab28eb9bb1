#include "base/rng.h"
#include "base/str.h"
#include "data/dataset.h"
#include "folder.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct err e;
static struct dataset d;

enum { ROWS = 1000, USERS = 11, ITEMS = 7, GENRES = 5 };

static void *create(const char *name, enum npy_type type, size_t n, struct npy *a) {
    char path[64];
    snprintf(path, sizeof path, "ds/%s.npy", name);
    cr_assert_eq(npy_create(folder_path(path), type, n, a, &e), 0, "%s", e.msg);
    return a->data;
}

static void put_ids(const char *name, size_t n, uint32_t below) {
    struct npy a;
    uint32_t *v = create(name, NPY_U32, n, &a);
    for (size_t i = 0; i < n; i++) v[i] = (uint32_t)(rng_hash(i + below) % below);
    npy_close(&a);
}

/* Row i has i % 4 values. */
static void put_bags(const char *name, size_t n, uint32_t below) {
    struct npy a;
    char offsets[64];
    size_t total = 0;
    snprintf(offsets, sizeof offsets, "%s.offsets", name);
    uint64_t *v = create(offsets, NPY_U64, n + 1, &a);
    for (size_t i = 0; i <= n; i++) {
        v[i] = total;
        total += i % 4;
    }
    size_t values = (size_t)v[n];
    npy_close(&a);
    put_ids(name, values, below);
}

static void put_numbers(const char *name, size_t n) {
    struct npy a;
    float *v = create(name, NPY_F32, n, &a);
    for (size_t i = 0; i < n; i++) v[i] = (float)i / 8;
    npy_close(&a);
}

static void put_row_arrays(void) {
    struct npy a;
    uint8_t *label = create("rows/label", NPY_U8, ROWS, &a);
    for (int i = 0; i < ROWS; i++) label[i] = i % 3 == 0;
    npy_close(&a);
    int64_t *time = create("rows/time", NPY_I64, ROWS, &a);
    for (int i = 0; i < ROWS; i++) time[i] = -5 + i / 2;
    npy_close(&a);
    uint64_t *row = create("rows/row", NPY_U64, ROWS, &a);
    for (int i = 0; i < ROWS; i++) row[i] = (uint64_t)(ROWS - i);
    npy_close(&a);
    double *keep = create("rows/keep.p", NPY_F64, ROWS, &a);
    for (int i = 0; i < ROWS; i++) keep[i] = i;
    npy_close(&a);
    put_ids("rows/user", ROWS, USERS);
    put_ids("rows/item", ROWS, ITEMS);
}

static struct field fields[] = {
    {.name = "user_id",
     .side = SIDE_USER,
     .type = VALUE_ID,
     .vocab = USERS,
     .kind = "category",
     .shares = -1,
     .mean_length = 1},
    {.name = "recent",
     .side = SIDE_USER,
     .type = VALUE_BAG,
     .vocab = ITEMS,
     .kind = "recent",
     .shares = 2,
     .mean_length = 1.5},
    {.name = "item_id",
     .side = SIDE_ITEM,
     .type = VALUE_ID,
     .vocab = ITEMS,
     .kind = "category",
     .shares = -1,
     .mean_length = 1},
    {.name = "genres",
     .side = SIDE_ITEM,
     .type = VALUE_BAG,
     .vocab = GENRES,
     .kind = "multi",
     .shares = -1,
     .mean_length = 1.5},
    {.name = "price",
     .side = SIDE_ITEM,
     .type = VALUE_NUMBER,
     .kind = "number",
     .shares = -1,
     .mean_length = 1},
    {.name = "taste",
     .side = SIDE_PAIR,
     .type = VALUE_ID,
     .vocab = 41,
     .kind = "history",
     .shares = -1,
     .mean_length = 1},
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static void put_field(const struct field *f, const char *folder, size_t n) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", folder, f->name);
    if (f->type == VALUE_ID) put_ids(name, n, f->vocab);
    if (f->type == VALUE_BAG) put_bags(name, n, f->vocab);
    if (f->type == VALUE_NUMBER) put_numbers(name, n);
}

static void put_json(void) {
    struct dataset made = {.name = "toy",
                           .hash = "0123456789abcdef0123456789abcdef",
                           .n_rows = ROWS,
                           .n_users = USERS,
                           .n_items = ITEMS,
                           .n_fields = N_FIELDS,
                           .field = fields};
    made.split[SPLIT_TRAIN].end = made.split[SPLIT_VALID].begin = 800;
    made.split[SPLIT_VALID].end = made.split[SPLIT_TEST].begin = 900;
    made.split[SPLIT_TEST].end = ROWS;
    json_t *more = json_pack("{s:{s:i}, s:i}", "summary", "positives", 334, "rows", 3);
    cr_assert_eq(dataset_write_json(folder_path("ds"), &made, true, (const char *const[]){"p"}, 1, more, &e),
                 0);
    json_decref(more);
}

static void setup(void) {
    folder_setup();
    static const char *const folders[] = {"ds/rows", "ds/users", "ds/items"};
    for (int i = 0; i < 3; i++) cr_assert_eq(file_make_dirs(folder_path(folders[i]), &e), 0);
    put_row_arrays();
    for (int i = 0; i < N_FIELDS; i++) {
        put_field(&fields[i], "rows", ROWS);
        if (fields[i].side == SIDE_USER) put_field(&fields[i], "users", USERS);
        if (fields[i].side == SIDE_ITEM) put_field(&fields[i], "items", ITEMS);
    }
    put_json();
}

static void teardown(void) {
    dataset_close(&d);
    folder_teardown();
}

TestSuite(dataset, .init = setup, .fini = teardown);
TestSuite(batch, .init = setup, .fini = teardown);

static void open_it(void) { cr_assert_eq(dataset_open(folder_path("ds"), &d, &e), 0, "%s", e.msg); }

Test(dataset, opens_with_everything_that_was_written) {
    open_it();
    cr_assert_str_eq(d.name, "toy");
    cr_assert_str_eq(d.hash, "0123456789abcdef0123456789abcdef");
    cr_assert(d.n_rows == ROWS && d.n_users == USERS && d.n_items == ITEMS && d.n_fields == N_FIELDS);
    cr_assert(d.split[SPLIT_VALID].begin == 800 && d.split[SPLIT_TEST].end == ROWS);
    cr_assert(d.label[0] == 1 && d.label[1] == 0 && d.time[999] == 494 && d.row[0] == ROWS);
    for (int i = 0; i < N_FIELDS; i++) {
        const struct field *f = dataset_field(&d, fields[i].name);
        cr_assert(f && f == &d.field[i]);
        cr_expect(f->side == fields[i].side && f->type == fields[i].type && f->vocab == fields[i].vocab);
        cr_expect(f->shares == fields[i].shares && f->mean_length == fields[i].mean_length);
        cr_expect_str_eq(f->kind, fields[i].kind);
        cr_expect_eq(f->rows.offsets != NULL, f->type == VALUE_BAG);
        cr_expect_eq(f->entity.ids || f->entity.number, f->side != SIDE_PAIR);
    }
    cr_assert_null(dataset_field(&d, "genre"));
    cr_assert_eq(json_integer_value(json_object_get(json_object_get(d.json, "summary"), "positives")), 334);
    cr_assert_eq(dataset_verify(&d, &e), 0, "%s", e.msg);
    struct npy keep;
    cr_assert_eq(dataset_keep(&d, "p", &keep, &e), 0);
    cr_assert_eq(((double *)keep.data)[7], 7);
    npy_close(&keep);
    cr_assert_eq(dataset_keep(&d, "q", &keep, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "no column \"q\" was kept"));
    cr_assert_str_eq(split_name(SPLIT_VALID), "valid");
}

static void assert_refused(const char *part) {
    e = (struct err)ERR_INIT;
    cr_expect_eq(dataset_open(folder_path("ds"), &d, &e), ERR_INPUT, "opened, where this was expected: %s",
                 part);
    cr_expect(strstr(e.msg, part), "wanted %s\ngot    %s", part, e.msg);
    dataset_close(&d);
}

Test(dataset, refuses_a_folder_without_one) {
    cr_assert_eq(dataset_open(folder_path(""), &d, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "no dataset: there is no dataset.json"), "%s", e.msg);
}

Test(dataset, refuses_missing_and_shortened_files) {
    static const char *const files[] = {"rows/label",  "rows/user",           "rows/item",
                                        "rows/row",    "rows/time",           "rows/genres",
                                        "rows/taste",  "rows/genres.offsets", "users/recent",
                                        "items/price", "items/genres.offsets"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64], *p;
        size_t n;
        snprintf(path, sizeof path, "ds/%s.npy", files[i]);
        cr_assert_eq(file_read_text(folder_path(path), &p, &n, &e), 0);
        folder_put(path, p, n - 1);
        assert_refused("truncated");
        cr_assert_eq(remove(folder_path(path)), 0);
        assert_refused("cannot open");
        folder_put(path, p, n);
        mem_free(p);
    }
    open_it();
}

Test(dataset, refuses_arrays_of_another_length_or_type) {
    put_ids("rows/taste", ROWS - 1, 41);
    assert_refused("rows/taste.npy: 999 values, but 1000 are needed");
    put_numbers("rows/taste", ROWS);
    assert_refused("holds dtype \"<f4\"");
    put_ids("rows/taste", ROWS, 41);
    put_ids("users/user_id", USERS + 1, USERS);
    assert_refused("users/user_id.npy: 12 values, but 11 are needed");
    put_ids("users/user_id", USERS, USERS);
    put_ids("rows/genres", 3, GENRES);
    assert_refused("rows/genres.npy: 3 values, but 1500 are needed");
}

/* Replaces the first `from` in dataset.json by `to`. */
static void assert_edit_refused(const char *from, const char *to, const char *part) {
    char *text;
    size_t n;
    cr_assert_eq(file_read_text(folder_path("ds/dataset.json"), &text, &n, &e), 0);
    const char *at = strstr(text, from);
    cr_assert(at, "%s is not in it", from);
    struct str s = STR_INIT;
    str_addn(&s, text, (size_t)(at - text));
    str_add(&s, to);
    str_add(&s, at + strlen(from));
    folder_put("ds/dataset.json", s.p, s.len);
    assert_refused(part);
    folder_put("ds/dataset.json", text, n);
    str_release(&s);
    mem_free(text);
}

Test(dataset, refuses_a_json_with_mistakes) {
    assert_edit_refused("{", "", "dataset.json:2:11: not valid JSON");
    assert_edit_refused("\"format\": 1", "\"format\": 2", "format 2, but this program reads format 1");
    assert_edit_refused("\"rows\": 1000", "\"rows\": -1", "`rows` must be a whole number");
    assert_edit_refused("\"rows\": 1000", "\"rows\": 999", "the splits end at row 1000 of 999");
    assert_edit_refused("\"users\": 11", "\"users\": 0", "at least 1");
    assert_edit_refused("\"users\": 11", "\"users\": 4294967296", "from 0 to 4294967295");
    assert_edit_refused("\"has_time\": true", "\"has_time\": 1", "`has_time` must be true or false");
    assert_edit_refused("\"toy\"", "7", "`name` must be a text");
    assert_edit_refused("800,\n", "801,\n", "the split `valid` must be [begin, end], with begin 800");
    assert_edit_refused("\"p\"", "\"../p\"", "`keep` must be a list of names");
    assert_edit_refused("\"user_id\"", "\"recent\"", "the field `recent` is there twice");
    assert_edit_refused("\"user_id\"", "\"../label\"", "cannot be the name of a field");
    assert_edit_refused("\"side\": \"user\"", "\"side\": \"none\"", "must be user, item or pair");
    assert_edit_refused("\"type\": \"id\"", "\"type\": \"ids\"", "must be id, bag or number");
    assert_edit_refused("\"vocab\": 11", "\"vocab\": 0", "`vocab` must be 0 for numbers");
    assert_edit_refused("\"vocab\": 11", "\"vocab\": 1e3", "`vocab` must be a whole number");
    assert_edit_refused("\"shares\": \"item_id\"", "\"shares\": \"recent\"",
                        "`shares` must be null or the name of another");
    assert_edit_refused("\"shares\": \"item_id\"", "\"shares\": \"user_id\"", "has 7 values, but `user_id`");
    assert_edit_refused("\"mean_length\": 1.0", "\"mean_length\": -1", "`mean_length` must be");
    open_it();
}

Test(dataset, survives_any_json) {
    char *text;
    size_t n;
    struct rng r = rng_init(1, 1);
    cr_assert_eq(file_read_text(folder_path("ds/dataset.json"), &text, &n, &e), 0);
    for (int i = 0; i < 1500; i++) {
        char *copy = mem_alloc(n);
        memcpy(copy, text, n);
        for (uint64_t k = 1 + rng_below(&r, 3); k; k--)
            copy[rng_below(&r, n)] = "0123456789-.e\"[]{}:,nulltrue \n"[rng_below(&r, 30)];
        folder_put("ds/dataset.json", copy, n);
        if (!dataset_open(folder_path("ds"), &d, &e)) dataset_verify(&d, &e);
        dataset_close(&d);
        mem_free(copy);
    }
    mem_free(text);
}

/* Writes one value into an array that is there. */
#define POKE(name, TYPE, T, i, value)                                                                        \
    do {                                                                                                     \
        struct npy a_;                                                                                       \
        char *p_;                                                                                            \
        size_t n_;                                                                                           \
        cr_assert_eq(npy_open(folder_path("ds/" name ".npy"), TYPE, &a_, &e), 0);                            \
        npy_close(&a_);                                                                                      \
        cr_assert_eq(file_read_text(folder_path("ds/" name ".npy"), &p_, &n_, &e), 0);                       \
        ((T *)(void *)(p_ + 128))[i] = value;                                                                \
        folder_put("ds/" name ".npy", p_, n_);                                                               \
        mem_free(p_);                                                                                        \
    } while (0)

static void assert_not_verified(const char *part) {
    open_it();
    cr_expect_eq(dataset_verify(&d, &e), ERR_INPUT, "verified, where this was expected: %s", part);
    cr_expect(strstr(e.msg, part), "wanted %s\ngot    %s", part, e.msg);
    dataset_close(&d);
}

Test(dataset, verify_finds_a_label_that_is_none) {
    POKE("rows/label", NPY_U8, uint8_t, 999, 2);
    assert_not_verified("rows/label.npy: row 999 is 2");
}
Test(dataset, verify_finds_ids_beyond_their_vocabulary) {
    POKE("rows/taste", NPY_U32, uint32_t, 500, 41);
    assert_not_verified("rows/taste.npy: value 500 is 41, but ids go to 40");
    POKE("rows/taste", NPY_U32, uint32_t, 500, 40);
    POKE("rows/user", NPY_U32, uint32_t, 3, USERS);
    assert_not_verified("rows/user.npy: value 3 is 11, but ids go to 10");
    POKE("rows/user", NPY_U32, uint32_t, 3, 0);
    POKE("items/genres", NPY_U32, uint32_t, 2, UINT32_MAX);
    assert_not_verified("items/genres.npy: value 2 is 4294967295");
}
Test(dataset, verify_finds_falling_offsets_and_time_and_numbers_that_are_none) {
    POKE("rows/genres.offsets", NPY_U64, uint64_t, 10, 1u << 30);
    assert_not_verified("rows/genres.offsets.npy: falls from 1073741824");
    put_bags("rows/genres", ROWS, GENRES);
    POKE("rows/time", NPY_I64, int64_t, 801, -6);
    assert_not_verified("rows/time.npy: goes back at row 801");
    POKE("rows/time", NPY_I64, int64_t, 800, -6); /* a split may begin earlier than the last one ended */
    open_it();
    cr_assert_eq(dataset_verify(&d, &e), 0, "%s", e.msg);
    dataset_close(&d);
    POKE("items/price", NPY_F32, float, 1, NAN);
    assert_not_verified("items/price.npy: value 1 is not finite");
}
Test(dataset, offsets_must_begin_at_0_and_end_at_the_values) {
    POKE("rows/genres.offsets", NPY_U64, uint64_t, 0, 1);
    assert_refused("begins with 1, not 0");
    POKE("rows/genres.offsets", NPY_U64, uint64_t, 0, 0);
    POKE("rows/genres.offsets", NPY_U64, uint64_t, ROWS, UINT64_MAX);
    assert_refused("1500 values, but 18446744073709551615 are needed");
}

Test(dataset, every_failing_allocation_is_an_error) {
    int failures = 0;
    for (unsigned long long nth = 1;; nth++) {
        e = (struct err)ERR_INIT;
        mem_fail_after(nth);
        int rc = dataset_open(folder_path("ds"), &d, &e);
        mem_fail_after(0);
        dataset_close(&d);
        if (!rc) break;
        cr_assert(strstr(e.msg, "memory"), "%s", e.msg);
        failures++;
    }
    cr_assert_geq(failures, 2);
}

/* ---- batches ---- */

static const int all_fields[] = {5, 0, 1, 2, 3, 4};

/* The slow way. */
static void assert_gathered(const struct batch *b, const uint64_t *rows, size_t n) {
    cr_assert_eq(b->rows, n);
    for (size_t r = 0; r < n; r++) cr_assert_eq(b->label[r], d.label[rows[r]] ? 1.0f : 0.0f);
    for (int i = 0; i < b->n_fields; i++) {
        const struct field *f = b->field[i];
        const struct batch_column *c = &b->col[i];
        if (f->type == VALUE_BAG) cr_assert_eq(c->offsets[0], 0);
        for (size_t r = 0; r < n; r++) {
            if (f->type == VALUE_ID) cr_assert_eq(c->ids[r], f->rows.ids[rows[r]]);
            if (f->type == VALUE_NUMBER) cr_assert_eq(c->number[r], f->rows.number[rows[r]]);
            if (f->type != VALUE_BAG) continue;
            uint64_t begin = f->rows.offsets[rows[r]], length = f->rows.offsets[rows[r] + 1] - begin;
            cr_assert_eq(c->offsets[r + 1] - c->offsets[r], length);
            for (uint64_t k = 0; k < length; k++)
                cr_assert_eq(c->ids[c->offsets[r] + k], f->rows.ids[begin + k]);
        }
    }
}

Test(batch, holds_the_rows_asked_for_in_that_order) {
    struct batch b;
    struct rng r = rng_init(4, 4);
    open_it();
    cr_assert_eq(batch_init(&b, &d, all_fields, N_FIELDS, 256, &e), 0);
    for (int turn = 0; turn < 50; turn++) {
        uint64_t rows[256];
        size_t n = turn < 2 ? (size_t)turn : turn == 2 ? 256 : rng_below(&r, 257);
        for (size_t i = 0; i < n; i++) rows[i] = rng_below(&r, ROWS);
        cr_assert_eq(batch_gather(&b, rows, n, &e), 0, "%s", e.msg);
        assert_gathered(&b, rows, n);
    }
    batch_release(&b);
    batch_release(&b);
}

Test(batch, takes_any_choice_of_fields) {
    struct batch b;
    uint64_t rows[] = {3, 3, 999};
    open_it();
    cr_assert_eq(batch_init(&b, &d, (const int[]){3, 3}, 2, 3, &e), 0);
    cr_assert_eq(batch_gather(&b, rows, 3, &e), 0);
    assert_gathered(&b, rows, 3);
    batch_release(&b);
    cr_assert_eq(batch_init(&b, &d, NULL, 0, 3, &e), 0);
    cr_assert_eq(batch_gather(&b, rows, 3, &e), 0);
    assert_gathered(&b, rows, 3);
    batch_release(&b);
    cr_assert_eq(batch_init(&b, &d, (const int[]){6}, 1, 3, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "there is no field 6"), "%s", e.msg);
    batch_release(&b);
}

Test(batch, refuses_rows_that_are_not_there) {
    struct batch b;
    open_it();
    cr_assert_eq(batch_init(&b, &d, all_fields, N_FIELDS, 2, &e), 0);
    cr_assert_eq(batch_gather(&b, (const uint64_t[]){1, ROWS}, 2, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "there is no row 1000; it has 1000"), "%s", e.msg);
    cr_assert_eq(batch_gather(&b, (const uint64_t[]){1, 2, 3}, 3, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "3 rows do not fit"), "%s", e.msg);
    cr_assert_eq(b.rows, 0);
    batch_release(&b);
}

Test(batch, hands_out_no_id_beyond_its_vocabulary) {
    struct batch b;
    static const uint64_t rows[] = {11, 12};
    POKE("rows/taste", NPY_U32, uint32_t, 12, 41);
    POKE("rows/genres.offsets", NPY_U64, uint64_t, 21, 1501);
    POKE("rows/recent", NPY_U32, uint32_t, 30, ITEMS);
    open_it();
    cr_assert_eq(batch_init(&b, &d, (const int[]){5}, 1, 2, &e), 0);
    cr_assert_eq(batch_gather(&b, rows, 2, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "rows/taste.npy: holds the id 41, but ids go to 40"), "%s", e.msg);
    batch_release(&b);
    cr_assert_eq(batch_init(&b, &d, (const int[]){3}, 1, 2, &e), 0);
    cr_assert_eq(batch_gather(&b, (const uint64_t[]){20, 1}, 2, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "rows/genres.offsets.npy: row 20 has no valid range"), "%s", e.msg);
    cr_assert_eq(batch_gather(&b, (const uint64_t[]){1, 21}, 2, &e), ERR_INPUT);
    batch_release(&b);
    cr_assert_eq(batch_init(&b, &d, (const int[]){1}, 1, ROWS, &e), 0);
    uint64_t all[ROWS];
    for (uint64_t i = 0; i < ROWS; i++) all[i] = i;
    cr_assert_eq(batch_gather(&b, all, ROWS, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "rows/recent.npy: holds the id 7"), "%s", e.msg);
    batch_release(&b);
}

Test(batch, every_failing_allocation_is_an_error) {
    int failures = 0;
    uint64_t rows[100];
    for (uint64_t i = 0; i < 100; i++) rows[i] = i;
    open_it();
    for (unsigned long long nth = 1;; nth++) {
        struct batch b;
        e = (struct err)ERR_INIT;
        mem_fail_after(nth);
        int rc = batch_init(&b, &d, all_fields, N_FIELDS, 100, &e);
        if (!rc) rc = batch_gather(&b, rows, 100, &e);
        mem_fail_after(0);
        batch_release(&b);
        if (!rc) break;
        cr_assert(strstr(e.msg, "memory"), "%s", e.msg);
        failures++;
    }
    cr_assert_geq(failures, 3);
}
