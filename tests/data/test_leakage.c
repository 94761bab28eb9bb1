/* Nothing of a row's features comes from its own label, from rows of the same time, from later rows, or from other splits. */
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "tests/data/folder.h"
#include "tests/data/prepared.h"
#include <criterion/criterion.h>
#include <string.h>

TestSuite(leakage, .init = folder_setup, .fini = folder_teardown);

enum { ROWS = 600, USERS = 25, ITEMS = 30 };
struct row {
    unsigned user, item, time, click, tag, price, part;
};

static struct row made[ROWS];

/* A log in no order, with many equal times. */
static void make_log(uint64_t seed) {
    struct rng r = rng_init(seed, 0);
    for (int i = 0; i < ROWS; i++)
        made[i] = (struct row){.user = (unsigned)rng_below(&r, USERS),
                               .item = (unsigned)rng_below(&r, ITEMS),
                               .time = 1000 + (unsigned)rng_below(&r, ROWS / 3),
                               .click = rng_uniform(&r) < 0.4,
                               .tag = (unsigned)rng_below(&r, 64),
                               .price = (unsigned)rng_below(&r, 100),
                               .part = (unsigned)rng_below(&r, 3)};
}

static void write_log(const struct row *rows, const char *name) {
    static const char *const parts[] = {"train", "valid", "test"};
    struct str s = STR_INIT;
    str_add(&s, "user,item,ts,click,tags,price,part\n");
    for (int i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        str_addf(&s, "u%u,i%u,%u,%u,", r->user, r->item, r->time, r->click);
        for (unsigned t = 0; t < 6; t++)
            if (r->tag >> t & 1) str_addf(&s, "t%u|", t);
        str_addf(&s, ",%u,%s\n", r->price, parts[r->part]);
    }
    folder_put_text(name, s.p);
    str_release(&s);
}

static struct dataset prepare_log(const char *name, const char *split) {
    char schema[2048], log[64];
    snprintf(log, sizeof log, "%s.csv", name);
    snprintf(schema, sizeof schema,
             "log: %s\n"
             "user: user\nitem: item\ntime: ts\nlabel: click\n"
             "columns:\n"
             "  user_id: {side: user, from: user}\n"
             "  item_id: {side: item, from: item}\n"
             "  tags: {side: item, kind: multi}\n"
             "  price: {side: item, kind: bucket}\n"
             "  amount: {side: item, kind: number, from: price}\n"
             "derive:\n"
             "  un: {kind: count, of: user_id}\n"
             "  in: {kind: count, of: item_id}\n"
             "  ur: {kind: rate, of: user_id}\n"
             "  ir: {kind: rate, of: item_id}\n"
             "  recent: {kind: recent, of: item_id, n: 5}\n"
             "  rtags: {kind: recent, of: tags, n: 3}\n"
             "  taste: {kind: history, of: [user_id, tags]}\n"
             "  again: {kind: history, of: [user_id, item_id]}\n"
             "  same: {kind: overlap, of: [rtags, tags]}\n"
             "  uxt: {kind: cross, of: [user_id, tags]}\n"
             "%s\n",
             log, split);
    return prepared(name, schema);
}

/* Stored position of each row of the log. */
static void positions(const struct dataset *ds, uint64_t at[ROWS]) {
    cr_assert_eq(ds->n_rows, ROWS);
    for (uint64_t k = 0; k < ROWS; k++) at[ds->row[k]] = k;
}

enum { RAW = 1, DERIVED = 2, QUANTILES = 4, EVERYTHING = 7 };

static int group_of(const struct field *f) {
    if (!strcmp(f->kind, "rate") || !strcmp(f->kind, "history")) return QUANTILES;
    return strstr("category multi bucket number", f->kind) ? RAW : DERIVED;
}

/* Do the rows of the log that `chosen` picks have the same features in both? */
static void assert_same_rows(const struct dataset *a, const struct dataset *b, const bool chosen[ROWS],
                             int groups) {
    uint64_t at_a[ROWS], at_b[ROWS], n = 0;
    positions(a, at_a);
    positions(b, at_b);
    for (int i = 0; i < ROWS; i++) {
        if (!chosen[i]) continue;
        n++;
        for (int f = 0; f < a->n_fields; f++) {
            if (!(group_of(&a->field[f]) & groups)) continue;
            cr_assert_str_eq(value_text(&a->field[f], &a->field[f].rows, at_a[i]),
                             value_text(&b->field[f], &b->field[f].rows, at_b[i]), "row %d: %s", i,
                             a->field[f].name);
        }
    }
    cr_assert_gt(n, 50, "too few rows for a test: %lu", (unsigned long)n);
}

static void shuffle_from(struct row *rows, unsigned time, bool labels_only, bool spare_training) {
    struct rng r = rng_init(99, time);
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].time < time || (spare_training && !rows[i].part)) continue;
        rows[i].click = !rows[i].click;
        if (labels_only) continue;
        rows[i].item = (unsigned)rng_below(&r, ITEMS + 5);
        rows[i].user = (unsigned)rng_below(&r, USERS + 5);
        rows[i].tag = (unsigned)rng_below(&r, 64);
        rows[i].price = (unsigned)rng_below(&r, 1000);
    }
}

Test(leakage, rows_from_a_time_on_change_nothing_before_it) {
    make_log(1);
    write_log(made, "base.csv");
    struct dataset base = prepare_log("base", "split: {by: time, valid: 0.3, test: 0.3}");
    uint64_t begin = base.split[SPLIT_VALID].begin, end = base.split[SPLIT_TEST].end;
    for (uint64_t k = begin; k < end; k += 60) {
        unsigned time = (unsigned)base.time[k];
        struct row changed[ROWS];
        bool before[ROWS];
        memcpy(changed, made, sizeof made);
        shuffle_from(changed, time, false, false);
        write_log(changed, "later.csv");
        struct dataset later = prepare_log("later", "split: {by: time, valid: 0.3, test: 0.3}");
        for (int i = 0; i < ROWS; i++) before[i] = made[i].time < time;
        assert_same_rows(&base, &later, before, EVERYTHING);
        dataset_close(&later);
    }
    dataset_close(&base);
}

Test(leakage, labels_from_a_time_on_change_nothing_up_to_it) {
    make_log(2);
    write_log(made, "base.csv");
    struct dataset base = prepare_log("base", "split: {by: time, valid: 0.3, test: 0.3}");
    unsigned time = (unsigned)base.time[base.split[SPLIT_TEST].begin + 10];
    struct row changed[ROWS];
    bool up_to[ROWS];
    memcpy(changed, made, sizeof made);
    shuffle_from(changed, time, true, false);
    write_log(changed, "later.csv");
    struct dataset later = prepare_log("later", "split: {by: time, valid: 0.3, test: 0.3}");
    for (int i = 0; i < ROWS; i++) up_to[i] = made[i].time <= time;
    assert_same_rows(&base, &later, up_to, DERIVED | QUANTILES);
    dataset_close(&later);
    dataset_close(&base);
}

Test(leakage, splits_that_lie_side_by_side_in_time_see_only_the_past) {
    make_log(
        3); /* a training row may come after a test row and so know it: the quantiles of training rows move */
    write_log(made, "base.csv");
    struct dataset base = prepare_log("base", "split: {by: column, column: part}");
    for (unsigned time = 1050; time < 1200; time += 50) {
        struct row changed[ROWS];
        bool before[ROWS];
        memcpy(changed, made, sizeof made);
        shuffle_from(changed, time, false, true); /* training rows make vocabularies and edges: they stay */
        write_log(changed, "later.csv");
        struct dataset later = prepare_log("later", "split: {by: column, column: part}");
        for (int i = 0; i < ROWS; i++) before[i] = made[i].time < time;
        assert_same_rows(&base, &later, before, RAW | DERIVED);
        dataset_close(&later);
    }
    dataset_close(&base);
}

Test(leakage, rows_of_equal_time_do_not_see_each_other) {
    make_log(4);
    for (int i = 0; i < ROWS; i++) made[i].time = 5000;
    write_log(made, "base.csv");
    struct dataset ds = prepare_log("base", "split: {by: random, valid: 0.2, test: 0.2}");
    for (uint64_t k = 0; k < ROWS; k++) {
        cr_assert_eq(dataset_field(&ds, "un")->rows.ids[k], ds.field[0].rows.ids[k] ? 1 : 0);
        cr_assert_eq(dataset_field(&ds, "ur")->rows.ids[k], ds.field[0].rows.ids[k] ? 1 : 0);
        cr_assert_leq(dataset_field(&ds, "again")->rows.ids[k], 1);
    }
    cr_assert_eq(dataset_field(&ds, "recent")->rows.offsets[ROWS], 0);
    cr_assert_eq(dataset_field(&ds, "rtags")->rows.offsets[ROWS], 0);
    dataset_close(&ds);
}

Test(leakage, values_that_training_does_not_have_are_unknown) {
    make_log(5);
    for (int i = 0; i < ROWS; i++)
        if (made[i].part) made[i].item += i % 2 ? 100 : 0;
    write_log(made, "base.csv");
    struct dataset ds = prepare_log("base", "split: {by: column, column: part}");
    const struct field *item = dataset_field(&ds, "item_id");
    cr_assert_eq(item->vocab, ITEMS + 1);
    uint64_t unknown = 0;
    for (uint64_t k = 0; k < ROWS; k++) {
        unsigned number = made[ds.row[k]].item;
        cr_assert_eq(item->rows.ids[k] == 0, number >= 100, "item %u", number);
        unknown += number >= 100;
        cr_assert_gt(ds.item[k], 0, "every item has a number");
        if (number >= 100) continue;
        char text[16];
        snprintf(text, sizeof text, "i%u", number);
        cr_assert_str_eq(vocab_line(ds.dir, "item_id", item->rows.ids[k]), text);
    }
    cr_assert_gt(unknown, 100);
    dataset_close(&ds);
}

static void assert_same_training(const struct dataset *a, const struct dataset *b) {
    uint64_t n = a->split[SPLIT_TRAIN].end;
    cr_assert_eq(b->split[SPLIT_TRAIN].end, n);
    cr_assert_arr_eq(a->label, b->label, n);
    cr_assert_arr_eq(a->user, b->user, n * sizeof *a->user);
    cr_assert_arr_eq(a->item, b->item, n * sizeof *a->item);
    cr_assert_arr_eq(a->row, b->row, n * sizeof *a->row);
    for (int i = 0; i < a->n_fields; i++) {
        const struct field *f = &a->field[i], *g = &b->field[i];
        cr_assert_eq(f->vocab, g->vocab, "%s", f->name);
        cr_assert_eq(f->mean_length, g->mean_length, "%s", f->name);
        uint64_t values = n;
        if (f->type == VALUE_BAG) {
            cr_assert_arr_eq(f->rows.offsets, g->rows.offsets, (n + 1) * sizeof *f->rows.offsets, "%s",
                             f->name);
            values = f->rows.offsets[n];
        }
        const void *x = f->type == VALUE_NUMBER ? (const void *)f->rows.number : f->rows.ids;
        const void *y = g->type == VALUE_NUMBER ? (const void *)g->rows.number : g->rows.ids;
        cr_assert_arr_eq(x, y, values * 4, "%s", f->name);
    }
}

Test(leakage, test_rows_change_no_byte_of_training) {
    make_log(6);
    write_log(made, "base.csv");
    struct dataset base = prepare_log("base", "split: {by: time, valid: 0.2, test: 0.3}");
    unsigned time = (unsigned)base.time[base.split[SPLIT_TEST].begin];
    struct row changed[ROWS];
    memcpy(changed, made, sizeof made);
    shuffle_from(changed, time, false, false);
    write_log(changed, "later.csv");
    struct dataset later = prepare_log("later", "split: {by: time, valid: 0.2, test: 0.3}");
    assert_same_training(&base, &later);
    cr_assert(same_trees(folder_path("base/vocab"), folder_path("later/vocab")));
    cr_assert(same_trees(folder_path("base/state"), folder_path("later/state")));
    dataset_close(&later);
    dataset_close(&base);
}
