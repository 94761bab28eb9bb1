#include "base/file.h"
#include "base/str.h"
#include "data/schema.h"
#include "folder.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct err e;
static struct schema s;

/* A log and two tables beside the schema. */
static void setup(void) {
    folder_setup();
    unsetenv("PRERANK_DATA");
    folder_put_text("log.csv", "user_id,item_id,ts,rating,part,p\n1,2,3,4,train,0.5\n");
    folder_put_text("users.csv", "user_id,age,zip,gender\n1,30,12345,F\n");
    folder_put_text("items.csv", "item_id,title,genres,price,g0,g1\n2,Up (2009),a|b,1.5,0,1\n");
}

static void teardown(void) {
    schema_release(&s);
    folder_teardown();
}

TestSuite(schema, .init = setup, .fini = teardown);

#define TOP                                                                                                  \
    "log: log.csv\nuser: user_id\nitem: item_id\ntime: ts\nlabel: {column: rating, positive: \">= 4\"}\n"
#define JOIN "join:\n  - {file: users.csv, on: user_id}\n  - {file: items.csv, on: item_id}\n"
#define COLUMNS                                                                                              \
    "columns:\n  user_id: {side: user}\n  age: {side: user, kind: bucket}\n  item_id: {side: item}\n"        \
    "  genres: {side: item, kind: multi}\n  price: {side: item, kind: number}\n"

static int load(const char *text) {
    folder_put_text("mine.yaml", text);
    schema_release(&s);
    e = (struct err)ERR_INIT;
    return schema_load(folder_path("mine.yaml"), &s, &e);
}

static void assert_loads(const char *text) { cr_assert_eq(load(text), 0, "%s", e.msg); }

/* The message is "FOLDER/mine.yaml:" + `where` + ": " + something with `part`. */
static void assert_refused(const char *text, const char *where, const char *part) {
    char want[600];
    snprintf(want, sizeof want, "%s:%s: ", folder_path("mine.yaml"), where);
    cr_expect_eq(load(text), ERR_INPUT, "accepted:\n%s", text);
    cr_expect(!strncmp(e.msg, want, strlen(want)), "wanted %s...\ngot    %s", want, e.msg);
    cr_expect(strstr(e.msg, part), "wanted ...%s...\ngot    %s", part, e.msg);
}

Test(schema, reads_a_short_one_with_its_defaults) {
    assert_loads(TOP "columns:\n  user_id: {side: user}\n  item_id: {side: item}\n");
    cr_assert_str_eq(s.name, "mine");
    cr_assert_str_eq(s.path, folder_path("mine.yaml"));
    cr_assert_str_eq(s.log.path, folder_path("log.csv"));
    cr_assert_str_eq(s.log.sep, ",");
    cr_assert(s.log.quotes && !s.log.latin1 && !s.log.n_header);
    cr_assert_str_eq(s.user, "user_id");
    cr_assert_str_eq(s.item, "item_id");
    cr_assert_str_eq(s.time, "ts");
    cr_assert_str_eq(s.label.column, "rating");
    cr_assert(s.label.op == CMP_GE && s.label.numeric && s.label.number == 4 && !s.label_is_binary);
    cr_assert(s.split.by == SPLIT_TIME && s.split.valid == 0.1 && s.split.test == 0.1);
    cr_assert(s.n_columns == 2 && !s.n_joins && !s.n_where && !s.n_derived && !s.n_keep && !s.synthetic);
    const struct schema_column *c = &s.column[0];
    cr_assert_str_eq(c->name, "user_id");
    cr_assert_str_eq(c->from, "user_id");
    cr_assert(c->side == SIDE_USER && c->kind == COLUMN_CATEGORY && c->min_count == 1 &&
              c->max_vocab == 100000000);
    cr_assert(!c->extract && !c->n_flags && c->at->line == 7 && c->at->column == 3);
}

Test(schema, reads_every_option_of_a_column) {
    assert_loads(TOP JOIN "columns:\n"
                          "  zip1: {side: user, from: zip, extract: \"^(.)\", min_count: 3, max_vocab: 1k}\n"
                          "  age: {side: user, kind: bucket, buckets: 7}\n"
                          "  user_id: {side: user, kind: id}\n"
                          "  genres: {side: item, kind: multi, sep: \"/\"}\n"
                          "  flags: {side: item, kind: multi, flags: [g0, g1]}\n"
                          "  price: {side: item, kind: number, transform: log1p}\n"
                          "  position: {side: pair, from: p}\n");
    cr_assert_eq(s.n_columns, 7);
    cr_assert_str_eq(s.column[0].from, "zip");
    cr_assert_str_eq(s.column[0].extract, "^(.)");
    cr_assert(s.column[0].min_count == 3 && s.column[0].max_vocab == 1000);
    cr_assert(s.column[1].kind == COLUMN_BUCKET && s.column[1].buckets == 7);
    cr_assert(s.column[2].kind == COLUMN_CATEGORY && s.column[2].min_count == 1);
    cr_assert_str_eq(s.column[3].sep, "/");
    cr_assert(s.column[4].kind == COLUMN_MULTI && s.column[4].n_flags == 2);
    cr_assert_str_eq(s.column[4].flags[1], "g1");
    cr_assert_str_eq(s.column[4].from, "g0");
    cr_assert(s.column[5].kind == COLUMN_NUMBER && s.column[5].log1p);
    cr_assert_eq(s.column[6].side, SIDE_PAIR);
}

Test(schema, reads_how_files_are_written) {
    folder_put_text("u.data", "1\t2\t3\t4\n");
    folder_put_text("u.item", "2::x\n");
    folder_put_text("items.tsv", "item_id\tcolour\n");
    assert_loads(
        "log: {file: u.data, sep: \"\\t\", header: [user_id, item_id, rating, ts]}\n"
        "user: user_id\nitem: item_id\nlabel: {column: rating, positive: \"> 2.5\"}\n"
        "join:\n  - {file: u.item, on: item_id, sep: \"::\", encoding: latin-1, header: [item_id, title]}\n"
        "  - {file: items.tsv, on: item_id, quotes: true}\n"
        "columns: {title: {side: item}, colour: {side: item}}\n");
    cr_assert_str_eq(s.log.sep, "\t");
    cr_assert(!s.log.quotes && s.log.n_header == 4);
    cr_assert_str_eq(s.log.header[3], "ts");
    cr_assert_eq(s.n_joins, 2);
    cr_assert_str_eq(s.join[0].file.sep, "::");
    cr_assert_str_eq(s.join[0].on, "item_id");
    cr_assert(s.join[0].file.latin1 && !s.join[0].file.quotes);
    cr_assert_str_eq(s.join[1].file.sep, "\t");
    cr_assert(s.join[1].file.quotes);
    cr_assert(!s.time && s.split.by == SPLIT_RANDOM);
}

/* ---- derived features ---- */

Test(schema, derived_features_have_defaults_inputs_and_sides) {
    assert_loads(TOP JOIN COLUMNS "derive:\n"
                                  "  x: {kind: cross, of: [genres, age], side: pair}\n"
                                  "  taste: {kind: history, of: [user_id, genres]}\n"
                                  "  recent: {kind: recent, of: item_id, side: user}\n"
                                  "  recent_genres: {kind: recent, of: [genres], n: 7}\n"
                                  "  same: {kind: overlap, of: [genres, recent_genres]}\n"
                                  "  pop: {kind: count, of: item_id}\n"
                                  "  ctr: {kind: rate, of: age}\n"
                                  "  uu: {kind: cross, of: [user_id, age], buckets: 100}\n");
    static const enum derive_kind kinds[] = {DERIVE_CROSS,   DERIVE_HISTORY, DERIVE_RECENT, DERIVE_RECENT,
                                             DERIVE_OVERLAP, DERIVE_COUNT,   DERIVE_RATE,   DERIVE_CROSS};
    static const side_t sides[] = {SIDE_PAIR, SIDE_PAIR, SIDE_USER, SIDE_USER,
                                   SIDE_PAIR, SIDE_ITEM, SIDE_USER, SIDE_USER};
    static const int of[8][2] = {{1, 3}, {0, 3}, {2, 0}, {3, 0}, {5 + 3, 3}, {2, 0}, {1, 0}, {0, 1}};
    cr_assert_eq(s.n_derived, 8);
    for (int i = 0; i < 8; i++) {
        const struct schema_derived *d = &s.derived[i];
        cr_expect_eq(d->kind, kinds[i], "%s", d->name);
        cr_expect_eq(d->side, sides[i], "%s", d->name);
        cr_expect_eq(d->of_index[0], of[i][0], "%s: %d", d->name, d->of_index[0]);
        if (d->n_of == 2) cr_expect_eq(d->of_index[1], of[i][1], "%s: %d", d->name, d->of_index[1]);
    }
    cr_assert_str_eq(s.derived[0].of[0], "age", "the user side comes first");
    cr_assert_eq(s.derived[0].buckets, 10000);
    cr_assert(s.derived[1].buckets == 8 && s.derived[1].prior == 5);
    cr_assert_eq(s.derived[2].n, 20);
    cr_assert_eq(s.derived[3].n, 7);
    cr_assert_eq(s.derived[4].max, 5);
    cr_assert_eq(s.derived[5].buckets, 16);
    cr_assert(s.derived[6].buckets == 16 && s.derived[6].prior == 10);
    cr_assert_eq(s.derived[7].buckets, 100);
}

static void refuse_derived(const char *line, const char *where, const char *part) {
    char text[2048];
    snprintf(text, sizeof text,
             TOP JOIN COLUMNS "derive:\n  recent_genres: {kind: recent, of: genres}\n  x: %s\n", line);
    assert_refused(text, where, part);
}

Test(schema, derived_features_must_fit_their_inputs) {
    refuse_derived("{kind: cross, of: [agee, genres]}", "17:25",
                   "`of` names `agee`, which is no feature under `columns`, "
                   "did you mean \"age\"?");
    refuse_derived("{kind: history, of: user_id}", "17:26", "history needs 2 columns in `of`, not 1");
    refuse_derived("{kind: count, of: [age, item_id]}", "17:24", "count needs 1 column in `of`, not 2");
    assert_refused(TOP JOIN COLUMNS
                   "  both: {side: pair, from: part}\nderive:\n  x: {kind: cross, of: [age, both]}\n",
                   "17:24", "`both` is pair-side; `of` takes user-side and item-side columns");
    refuse_derived("{kind: count}", "17:3", "count needs 1 column in `of`, not 0");
    refuse_derived("{kind: history, of: [user_id, age]}", "17:26",
                   "history needs a user-side and an item-side column");
    refuse_derived("{kind: recent, of: age}", "17:25",
                   "recent needs an item-side column; `age` is user-side");
    refuse_derived("{kind: overlap, of: [user_id, genres]}", "17:26", "overlap needs two bags");
    refuse_derived("{kind: overlap, of: [recent_genres, item_id]}", "17:26", "but `item_id` is none");
    refuse_derived("{kind: cross, of: [age, price]}", "17:24", "`price` is a number; make it a bucket");
    refuse_derived("{kind: cross, of: [age, age]}", "17:24", "names `age` twice");
    refuse_derived("{kind: rate, of: genres}", "17:23", "`genres` has several values");
    refuse_derived("{kind: cross, of: [recent_genres, genres]}", "17:24",
                   "only overlap takes a derived feature");
    refuse_derived("{kind: rate, of: age, side: item}", "17:34",
                   "is user-side by what it is derived of, not item-side");
    refuse_derived("{kind: cros, of: [age, genres]}", "17:13", "did you mean \"cross\"?");
    refuse_derived("{of: [age, genres]}", "17:3", "needs `kind`");
    refuse_derived("{kind: recent, of: item_id, buckets: 3}", "17:34", "unknown key `buckets`");
    refuse_derived("{kind: recent, of: item_id, n: 0}", "17:37", "between 1 and 1000, not \"0\"");
    refuse_derived("{kind: rate, of: age, prior: -1}", "17:35", "`prior` must be between");
    refuse_derived("3", "17:6", "must be a map");
    assert_refused(TOP JOIN COLUMNS "derive:\n  age: {kind: cross, of: [age, genres]}\n", "16:3",
                   "`columns` has a feature of this name");
    assert_refused(TOP JOIN COLUMNS
                   "derive:\n  same: {kind: overlap, of: [r, genres]}\n  r: {kind: recent, of: genres}\n",
                   "16:30", "`of` names `r`");
    assert_refused(TOP JOIN COLUMNS "  g2: {side: item, kind: multi, from: genres}\nderive:\n"
                                    "  r: {kind: recent, of: genres}\n  same: {kind: overlap, of: [r, g2]}\n",
                   "18:29", "two bags of the same values");
    assert_refused(
        "log: log.csv\nuser: user_id\nitem: item_id\nlabel: rating\ncolumns: {item_id: {side: item}}\n"
        "derive:\n  pop: {kind: count, of: item_id}\n",
        "7:3", "count looks at the past and needs the key `time`");
}

/* ---- mistakes ---- */

Test(schema, a_schema_has_at_most_256_features) {
    struct str text = STR_INIT;
    str_add(&text, TOP JOIN "columns:\n");
    for (int i = 0; i < 255; i++) str_addf(&text, "  c%d: {side: user, from: age}\n", i);
    str_add(&text, "derive:\n  a: {kind: count, of: c0}\n  b: {kind: count, of: c0}\n");
    assert_refused(text.p, "266:3",
                   "257 features under `columns` and `derive` together, but 256 is the limit");
    str_release(&text);
    str_add(&text, "synthetic: {noise_user_fields: 200, noise_item_fields: 200}\n");
    cr_expect_eq(load(text.p), ERR_INPUT, "a synthetic log of 400 fields");
    str_release(&text);
}

Test(schema, unknown_and_missing_keys) {
    assert_refused(TOP COLUMNS "lable: x\n", "12:1", "unknown key `lable`, did you mean \"label\"?");
    assert_refused("user: user_id\n", "1:1", "needs the key `log`");
    assert_refused("log: log.csv\nuser: user_id\nlabel: rating\n", "1:1", "needs the key `item`");
    assert_refused("log: log.csv\nuser: user_id\nitem: item_id\n", "1:1", "needs the key `label`");
    assert_refused(TOP, "1:1", "needs the key `columns`");
    assert_refused("log: log.csv\nsynthetic: {}\n", "1:6", "both given");
    assert_refused(TOP "columns: []\n", "6:10", "`columns` must be a map");
    assert_refused(TOP "columns: {}\n", "6:10", "1 to 256 features, not 0");
    assert_refused(TOP COLUMNS "user: x\n", "12:1", "twice");
    assert_refused("log: log.csv\nuser: user_id\nitem: user_id\nlabel: rating\n", "3:7", "both `user_id`");
    assert_refused("log: log.csv\nuser: [a]\n", "2:7", "`user` must be a single value, not a list");
    assert_refused(TOP COLUMNS "name: a/b\n", "12:7", "becomes a folder");
    cr_assert_eq(schema_load(folder_path("none.yaml"), &s, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "none.yaml: cannot open"));
}

static void refuse_column(const char *line, const char *where, const char *part) {
    char text[2048];
    snprintf(text, sizeof text, TOP JOIN "columns:\n  %s\n", line);
    assert_refused(text, where, part);
}

Test(schema, columns_with_mistakes) {
    refuse_column("age: {kind: bucket}", "10:3", "needs `side`: user, item or pair");
    refuse_column("age: {side: users}", "10:15", "did you mean \"user\"?");
    refuse_column("age: {side: user, kind: buckets}", "10:27", "did you mean \"bucket\"?");
    refuse_column("age: {side: user, bucket: 3}", "10:21", "unknown key `bucket`, did you mean \"buckets\"?");
    refuse_column("age: {side: user, buckets: 3}", "10:30",
                  "`buckets` goes with kind bucket, not with category");
    refuse_column("age: {side: user, kind: bucket, buckets: 1}", "10:44", "between 2 and 65536, not \"1\"");
    refuse_column("age: {side: user, kind: bucket, min_count: 2}", "10:46", "category or multi");
    refuse_column("age: {side: user, kind: id, min_count: 2}", "10:42",
                  "`min_count` goes with kind category or multi");
    refuse_column("age: {side: user, sep: x}", "10:26", "`sep` goes with kind multi");
    refuse_column("age: {side: user, transform: log1p}", "10:32", "`transform` goes with kind number");
    refuse_column("g: {side: item, flags: [g0]}", "10:26", "`flags` goes with kind multi");
    refuse_column("g: {side: item, kind: multi, flags: [g0, g0]}", "10:39", "names `g0` twice");
    refuse_column("g: {side: item, kind: multi, flags: [g0], from: genres}", "10:51",
                  "does not go with `flags`");
    refuse_column("age: {side: user, extract: \"(\"}", "10:30", "no POSIX extended regex");
    refuse_column("age: {side: user, extract: \"^.\"}", "10:30", "has no group");
    refuse_column("age: user", "10:8", "column `age` must be a map, not \"user\"");
    refuse_column("2nd: {side: user, from: age}", "10:3", "the name \"2nd\" must be a letter or _");
    refuse_column("a.b: {side: user, from: age}", "10:3", "must be a letter or _");
    refuse_column("user: {side: user, from: user_id}", "10:3", "the name `user` is taken");
    refuse_column("zipp: {side: user}", "10:3", "column `zipp`: there is no column \"zipp\" in ");
    cr_assert(strstr(e.msg, "users.csv\" and \""), "%s", e.msg);
    cr_assert(strstr(e.msg, "did you mean \"zip\"?"), "%s", e.msg);
}

Test(schema, labels_and_conditions) {
    assert_loads(
        "log: log.csv\nuser: user_id\nitem: item_id\nlabel: rating\ncolumns: {item_id: {side: item}}\n"
        "where: [\"ts <= 2999\", part!=test, \"part == '7'\"]\n");
    cr_assert(s.label_is_binary && s.label.op == CMP_EQ && s.label.number == 1);
    cr_assert_eq(s.n_where, 3);
    cr_assert_str_eq(s.where[0].column, "ts");
    cr_assert(s.where[0].op == CMP_LE && s.where[0].numeric && s.where[0].number == 2999);
    cr_assert(s.where[1].op == CMP_NE && !s.where[1].numeric);
    cr_assert_str_eq(s.where[1].value, "test");
    cr_assert(s.where[2].op == CMP_EQ && !s.where[2].numeric);
    cr_assert_str_eq(s.where[2].value, "7");
#define BEFORE "log: log.csv\nuser: user_id\nitem: item_id\ncolumns: {item_id: {side: item}}\n"
    assert_refused(BEFORE "label: {column: rating, positive: 4}\n", "5:35", "needs one of >= > <= < == !=");
    assert_refused(BEFORE "label: {column: rating, positive: \">= four\"}\n", "5:35",
                   "must compare with a number");
    assert_refused(BEFORE "label: {column: rating, positive: \">=\"}\n", "5:35", "needs a value");
    assert_refused(BEFORE "label: {positive: \">= 4\"}\n", "5:8", "needs the key `column`");
    assert_refused(BEFORE "label: {column: rating, positve: \">= 4\"}\n", "5:25",
                   "did you mean \"positive\"?");
    assert_refused(BEFORE "label: stars\n", "5:8", "there is no column \"stars\"");
    assert_refused(BEFORE "label: rating\nwhere: [ts]\n", "6:9", "must be COLUMN OPERATOR VALUE");
    assert_refused(BEFORE "label: rating\nwhere: \"> 3\"\n", "6:8", "must be COLUMN OPERATOR VALUE");
    assert_refused(BEFORE "label: rating\nwhere: \"ts = 3\"\n", "6:8", "needs one of");
    assert_refused(BEFORE "label: rating\nwhere: \"day > 3\"\n", "6:8", "there is no column \"day\"");
}

Test(schema, compares_numbers_as_numbers_and_texts_as_texts) {
    static const struct {
        const char *op, *value;
        int numeric;
        const char *text;
        int want; /* 2: not a number */
    } cases[] = {{">=", "4", 1, "4.0", 1},   {">=", "4", 1, "3.9", 0},  {">", "4", 1, "4", 0},
                 {"<=", "4", 1, "-5", 1},    {"<", "4", 1, "4", 0},     {"<", "4", 1, "", 2},
                 {">", "4", 1, "x", 2},      {"==", "4", 1, "4.00", 1}, {"==", "4", 1, "x", 0},
                 {"!=", "4", 1, "x", 1},     {"!=", "4", 1, "4", 0},    {"==", "'4'", 0, "4.0", 0},
                 {"==", "red", 0, "red", 1}, {"!=", "''", 0, "", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        bool ok;
        snprintf(text, sizeof text, BEFORE "label: {column: rating, positive: \"%s %s\"}\n", cases[i].op,
                 cases[i].value);
        assert_loads(text);
        cr_assert_eq(s.label.numeric, cases[i].numeric);
        int got = schema_compare(&s.label, cases[i].text, &ok);
        cr_expect_eq(ok ? got : 2, cases[i].want, "\"%s\" %s %s", cases[i].text, cases[i].op, cases[i].value);
    }
}

Test(schema, splits) {
#define WITH "label: rating\ntime: ts\nsplit: "
    assert_loads(BEFORE WITH "{by: user, valid: 0, test: 0.5}\n");
    cr_assert(s.split.by == SPLIT_USER && s.split.valid == 0 && s.split.test == 0.5);
    assert_loads(BEFORE WITH "random\n");
    cr_assert(s.split.by == SPLIT_RANDOM && s.split.seed == 1);
    assert_loads(BEFORE WITH "{by: column, column: part}\n");
    cr_assert_eq(s.split.by, SPLIT_COLUMN);
    cr_assert_str_eq(s.split.column, "part");
    assert_loads(BEFORE WITH "{test: 0.2}\n");
    cr_assert(s.split.by == SPLIT_TIME && s.split.test == 0.2);
    assert_refused(BEFORE WITH "{by: day}\n", "7:13", "one of time, user, random, column, not \"day\"");
    assert_refused(BEFORE WITH "{test: 0}\n", "7:15", "`test` must be more than 0");
    assert_refused(BEFORE WITH "{test: 0.6}\n", "7:15", "between 0 and 0.5");
    assert_refused(BEFORE WITH "{valid: -0.1}\n", "7:16", "between 0 and 0.5");
    assert_refused(BEFORE WITH "{by: column}\n", "7:13", "needs the key `column`");
    assert_refused(BEFORE WITH "{by: column, column: parts}\n", "7:8", "there is no column \"parts\"");
    assert_refused(BEFORE WITH "{by: column, column: part, test: 0.1}\n", "7:41",
                   "the column says the shares");
    assert_refused(BEFORE WITH "{by: time, column: part}\n", "7:27", "goes with `by: column`");
    assert_refused(BEFORE WITH "{by: time, seed: 3}\n", "7:25", "goes with `by: random`");
    assert_refused(BEFORE "label: rating\nsplit: time\n", "6:8", "needs the key `time`");
}

Test(schema, keep) {
    assert_loads(BEFORE "label: rating\nkeep: [p, ts]\n");
    cr_assert_eq(s.n_keep, 2);
    cr_assert_str_eq(s.keep[1], "ts");
    assert_refused(BEFORE "label: rating\nkeep: [p, p]\n", "6:11", "names `p` twice");
    assert_refused(BEFORE "label: rating\nkeep: [q]\n", "6:7", "there is no column \"q\"");
    assert_refused(BEFORE "label: rating\nkeep: [\"../x\"]\n", "6:8", "cannot be the name of a file");
    assert_refused(BEFORE "label: rating\nkeep: p\n", "6:7", "`keep` must be a list, not \"p\"");
}

/* ---- files ---- */

Test(schema, looks_beside_the_schema_then_here_then_in_prerank_data) {
    static const char text[] = "log: x/f.csv\nuser: a\nitem: b\nlabel: c\ncolumns: {a: {side: user}}\n";
    char data[600];
    cr_assert_eq(file_make_dirs(folder_path("here/x"), &e), 0);
    cr_assert_eq(file_make_dirs(folder_path("data/x"), &e), 0);
    cr_assert_eq(file_make_dirs(folder_path("x"), &e), 0);
    cr_assert_eq(chdir(folder_path("here")), 0);

    assert_refused(text, "1:6", "there is no file \"x/f.csv\"; looked for \"");
    cr_assert(strstr(e.msg, folder_path("x/f.csv")), "%s", e.msg);
    cr_assert(strstr(e.msg, ", \"x/f.csv\" (and PRERANK_DATA"), "%s", e.msg);

    snprintf(data, sizeof data, "%s", folder_path("data"));
    setenv("PRERANK_DATA", data, 1);
    assert_refused(text, "1:6", folder_path("data/x/f.csv"));
    folder_put_text("data/x/f.csv", "a,b,c\n");
    assert_loads(text);
    cr_assert_str_eq(s.log.path, folder_path("data/x/f.csv"));
    folder_put_text("here/x/f.csv", "a,b,c\n");
    assert_loads(text);
    cr_assert_str_eq(s.log.path, "x/f.csv");
    folder_put_text("x/f.csv", "a,b,c\n");
    assert_loads(text);
    cr_assert_str_eq(s.log.path, folder_path("x/f.csv"));
}

Test(schema, a_path_may_begin_with_prerank_data_or_be_absolute) {
    char text[1024];
    static const char rest[] =
        "\nuser: user_id\nitem: item_id\nlabel: rating\ncolumns: {item_id: {side: item}}\n";
    snprintf(text, sizeof text, "log: ${PRERANK_DATA}/log.csv%s", rest);
    assert_refused(text, "1:6", "the environment variable PRERANK_DATA is not set");
    setenv("PRERANK_DATA", folder_path(""), 1);
    assert_loads(text);
    cr_assert_str_eq(s.log.path, folder_path("log.csv"));
    snprintf(text, sizeof text, "log: %s%s", folder_path("log.csv"), rest);
    assert_loads(text);
    snprintf(text, sizeof text, "log: /nowhere/log.csv%s", rest);
    assert_refused(text, "1:6", "looked for \"/nowhere/log.csv\"");
    cr_assert_null(strstr(e.msg, "PRERANK_DATA"));
}

Test(schema, files_with_mistakes) {
    assert_refused("log: {sep: x}\n", "1:6", "`log` needs the key `file`");
    assert_refused("log: {file: log.csv, seperator: x}\n", "1:22", "unknown key `seperator`");
    assert_refused("log: {file: log.csv, sep: \"12345678\"}\n", "1:27", "1 to 7 ASCII characters");
    assert_refused("log: {file: log.csv, encoding: utf-16}\n", "1:32",
                   "must be utf-8 or latin-1, not \"utf-16\"");
    assert_refused("log: {file: log.csv, sep: \"::\", quotes: true}\n", "1:41", "one character only");
    assert_refused("log: {file: log.csv, quotes: maybe}\n", "1:30", "must be true or false");
    assert_refused("log: {file: log.csv, header: [a, b, a]}\n", "1:37", "names `a` twice");
    assert_refused("log: {file: log.csv, header: []}\n", "1:30", "is empty");
    assert_refused(TOP "join: {file: users.csv, on: user_id}\n" COLUMNS, "6:7", "`join` must be a list");
    assert_refused(TOP "join: [users.csv]\n" COLUMNS, "6:8", "must be a map, not \"users.csv\"");
    assert_refused(TOP "join: [{file: users.csv}]\n" COLUMNS, "6:8", "needs the key `on`");
    assert_refused(TOP "join: [{file: users.csv, on: uid}]\n" COLUMNS, "6:30",
                   "there is no column \"uid\" in ");
    assert_refused(TOP "join: [{file: users.csv, on: item_id}]\n" COLUMNS, "6:30", "users.csv\"");
    folder_put_text("users2.csv", "user_id,age\n");
    assert_refused(TOP "join: [{file: users.csv, on: user_id}, {file: users2.csv, on: user_id}]\n"
                       "columns:\n  age: {side: user}\n",
                   "8:3", "the column \"age\" is in \"");
    folder_put_text("log.csv", "user_id,user_id\n");
    cr_assert_eq(load(TOP COLUMNS), ERR_INPUT);
    cr_assert(strstr(e.msg, "log.csv:1:1: the header names `user_id` twice"), "%s", e.msg);
}

Test(schema, keys_user_item_time_and_label_are_columns_of_the_log_itself) {
    assert_refused("log: log.csv\nuser: zip\nitem: item_id\nlabel: rating\ncolumns: {age: {side: user}}\n"
                   "join: [{file: users.csv, on: user_id}]\n",
                   "2:7", "`user`: there is no column \"zip\" in \"");
    folder_put_text("cities.csv", "zip,city\n12345,Berlin\n");
    assert_refused(TOP JOIN "  - {file: cities.csv, on: zip}\ncolumns: {city: {side: user}}\n", "9:28",
                   "`join`: there is no column \"zip\" in \"");
    assert_refused(TOP JOIN "columns: {g: {side: item, kind: multi, flags: [g0, p]}}\n", "9:11",
                   "the flags \"g0\" and \"p\" are in different files");
    assert_loads(TOP JOIN "where: [\"age > 18\"]\ncolumns: {age: {side: user}}\n");
}

/* ---- synthetic ---- */

Test(schema, a_synthetic_log_needs_nothing_else) {
    assert_loads("synthetic: {rows: 10, user_fields: [3, 1], noise_item_fields: 1}\n");
    cr_assert_not_null(s.synthetic);
    cr_assert_str_eq(s.user, "user_id");
    cr_assert_str_eq(s.label.column, "label");
    cr_assert(s.label_is_binary && s.split.by == SPLIT_TIME && s.n_keep == 1);
    static const char *const names[] = {"user_id", "item_id", "u0", "u1", "nu0",
                                        "nu1",     "i0",      "i1", "i2", "ni0"};
    static const char sides[] = "uiuuuuiiii";
    cr_assert_eq(s.n_columns, 10);
    for (int i = 0; i < 10; i++) {
        cr_expect_str_eq(s.column[i].name, names[i]);
        cr_expect_eq(s.column[i].side, sides[i] == 'u' ? SIDE_USER : SIDE_ITEM, "%s", names[i]);
    }
    assert_refused("synthetic: {row: 10}\n", "1:13", "did you mean \"rows\"?");
    assert_refused("synthetic: {}\ncolumns: {u9: {side: user}}\n", "2:11",
                   "no column \"u9\" in \"the synthetic log\"");
    assert_refused("synthetic: {}\njoin: [{file: users.csv, on: user_id}]\n", "2:7",
                   "does not go with `synthetic`");
}

Test(schema, may_stand_inside_another_file) {
    struct arena a = ARENA_INIT;
    struct conf *root;
    static const char text[] = "data:\n  synthetic: {rows: 10}\n  lable: x\n";
    cr_assert_eq(conf_parse("exp.yaml", text, strlen(text) - 11, &a, &root, &e), 0, "%s", e.msg);
    cr_assert_eq(schema_from_conf(conf_get(root, "data"), "exp", &s, &e), 0, "%s", e.msg);
    cr_assert_str_eq(s.name, "exp");
    schema_release(&s);
    cr_assert_eq(conf_parse("exp.yaml", text, strlen(text), &a, &root, &e), 0, "%s", e.msg);
    cr_assert_eq(schema_from_conf(conf_get(root, "data"), "exp", &s, &e), ERR_INPUT);
    cr_assert_eq(strncmp(e.msg, "exp.yaml:3:3: a schema: unknown key `lable`", 43), 0, "%s", e.msg);
    schema_release(&s);
    arena_release(&a);
}

Test(schema, what_is_committed_loads) {
    static const char *const paths[] = {"configs/data/example.yaml", "configs/data/synthetic.yaml"};
    for (int i = 0; i < 2; i++) {
        schema_release(&s);
        cr_assert_eq(schema_load(paths[i], &s, &e), 0, "%s", e.msg);
    }
}

Test(schema, every_failing_allocation_is_an_error) {
    static const char text[] =
        TOP JOIN COLUMNS "derive:\n  x: {kind: cross, of: [age, genres]}\n"
                         "split: {by: column, column: part}\nkeep: [p]\nwhere: [ts > 1]\n";
    assert_loads(text);
    int failures = 0;
    for (unsigned long long nth = 1;; nth++) {
        e = (struct err)ERR_INIT;
        schema_release(&s);
        mem_fail_after(nth);
        int rc = schema_load(folder_path("mine.yaml"), &s, &e);
        mem_fail_after(0);
        if (!rc) break;
        cr_assert_eq(rc, ERR_INPUT);
        cr_assert(strstr(e.msg, "memory"), "%s", e.msg);
        failures++;
    }
    cr_assert_gt(failures, 10);
}
