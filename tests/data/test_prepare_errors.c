/* What a preparation refuses: cells, logs and joins, each with its place, and nothing is left. */
#include "base/file.h"
#include "data/prepare.h"
#include "tests/data/folder.h"
#include "tests/data/prepared.h"
#include "tests/data/small_log.h"
#include <criterion/criterion.h>
#include <string.h>

TestSuite(prepare_errors, .init = folder_setup, .fini = folder_teardown);

static void assert_bad(const char *log, const char *schema, const char *message) {
    folder_put_text("log.csv", log);
    const char *got = prepare_error("out", schema);
    cr_assert(strstr(got, message), "\"%s\" does not have \"%s\"", got, message);
    cr_assert_not(file_exists(folder_path("out")));
}

Test(prepare_errors, bad_cells_are_named_with_their_place) {
    const char *number = HEAD "columns:\n  p: {side: item, kind: number}\n";
    const char *log_of = HEAD "columns:\n  p: {side: item, kind: number, transform: log1p}\n" COLUMN_SPLIT;
    const char *number_split = HEAD "columns:\n  p: {side: item, kind: number}\n" COLUMN_SPLIT;
    assert_bad("u,i,y,p\na,x,1,2\na,x,0,two\n", number, "log.csv:3: column `p`: \"two\" is not a number");
    assert_bad("u,i,y,p\na,x,1,inf\n", number, "log.csv:2: column `p`: \"inf\" is not a number");
    assert_bad("u,i,y,p,part\na,x,1,1e39,train\na,y,0,1e39,train\na,x,1,1,valid\na,x,0,1,valid\na,x,1,1,"
               "test\na,x,0,1,test\n",
               number_split, "too large for a 32-bit float");
    assert_bad("u,i,y,p,part\na,x,1,-3,train\na,y,0,0,train\na,x,1,1,valid\na,x,0,1,valid\na,x,1,1,test\na,x,"
               "0,1,test\n",
               log_of, "log1p of -3");
    assert_bad("u,i,y,p\na,x,1,1\na,y,,1\n", number, "log.csv:3: column `y`: the label is missing (\"\")");
    assert_bad("u,i,y,p\na,x,1,1\na,y,NaN,1\n", number,
               "log.csv:3: column `y`: the label is missing (\"NaN\")");
    assert_bad("u,i,y,p\na,x,1,1\na,y,3,1\n", number,
               "log.csv:3: column `y`: the label \"3\" is neither 0 nor 1");
    assert_bad("u,i,y,p\na,x,1,1\n,y,0,1\n", number, "log.csv:3: column `u` is empty");
    assert_bad("u,i,y,p\na,x,1,1\na,,0,1\n", number, "log.csv:3: column `i` is empty");
    assert_bad("u,i,t,y\na,x,1.5,1\n", HEAD "time: t\n" COLUMNS,
               "log.csv:2: column `t`: the time \"1.5\" is not a whole number");
    assert_bad("u,i,t,y\na,x,,1\n", HEAD "time: t\n" COLUMNS, "the time \"\" is not a whole number");
    assert_bad("u,i,t,y\na,x,99999999999999999999,1\n", HEAD "time: t\n" COLUMNS, "is not a whole number");
    assert_bad("u,i,y,f,g\na,x,1,1,0\na,x,1,0,yes\n",
               HEAD "columns:\n  f: {side: item, kind: multi, flags: [f, g]}\n",
               "log.csv:3: column `g`: \"yes\" is no flag");
    assert_bad("u,i,y,part\na,x,1,train\na,x,0,holdout\n", HEAD COLUMNS COLUMN_SPLIT,
               "\"holdout\" names no split");
    assert_bad("u,i,y\na,x,1\nb,x,0\n", HEAD COLUMNS "where: [\"u >= 3\"]\n",
               "log.csv:2: column `u`: \"a\" is not a number");
    assert_bad("u,i,y,p,part\na,x,1,v1,train\na,y,0,vx,train\na,x,1,v1,valid\na,x,0,v1,valid\na,x,1,v1,"
               "test\na,x,0,v1,test\n",
               HEAD "columns:\n  p: {side: item, kind: number, extract: \"v(.*)\"}\n" COLUMN_SPLIT,
               "column `p`: \"x\", extracted from \"vx\", is not a number");
}

Test(prepare_errors, a_log_without_rows_is_an_error) {
    assert_bad("u,i,y\n", HEAD COLUMNS, "there are no rows");
    assert_bad("u,i,y\na,x,1\nb,x,0\n", HEAD COLUMNS "where: [u == c]\n", "`where` drops all 2 rows");
}

Test(prepare_errors, an_empty_split_or_one_class_is_an_error) {
    assert_bad("u,i,t,y\na,x,1,1\na,x,1,0\nb,x,1,0\n", HEAD "time: t\n" COLUMNS, "split is empty");
    assert_bad("u,i,t,y\na,x,1,1\na,x,2,0\nb,x,3,0\n", HEAD "time: t\n" COLUMNS "split: {by: user}\n",
               "the valid split is empty; users have too few rows for these shares");
    assert_bad("u,i,y,part\na,x,1,train\na,x,0,train\na,x,1,test\na,x,0,test\n", HEAD COLUMNS COLUMN_SPLIT,
               "the valid split is empty; the log's split column decides");
    assert_bad("u,i,y,part\na,x,1,train\na,x,0,train\na,x,1,test\na,x,0,test\na,x,0,valid\n",
               HEAD COLUMNS COLUMN_SPLIT,
               "the valid split has only one class: all of its 1 rows are negative");
    assert_bad("u,i,y\na,x,1\na,x,1\na,x,1\na,x,1\na,x,1\na,x,1\na,x,1\na,x,1\n",
               HEAD COLUMNS "split: {by: random, valid: 0, test: 0.5}\n", "only one class: all of its");
}

Test(prepare_errors, too_many_values_for_max_vocab_are_an_error) {
    put_log(300, 20, 17, 3);
    cr_assert(
        strstr(prepare_error("out", HEAD "time: t\ncolumns:\n  uid: {side: user, from: u, max_vocab: 19}\n"),
               "has 20 distinct values in the training split (with min_count 1), but max_vocab is 19; raise "
               "max_vocab"));
}

Test(prepare_errors, bad_joins_are_errors) {
    const char *schema = HEAD "join: [{file: users.csv, on: u}]\ncolumns:\n  age: {side: user}\n";
    const char *log = "u,i,y\na,x,1\nb,x,0\n";
    folder_put_text("users.csv", "u,age\na,1\nb,2\na,3\n");
    assert_bad(log, schema, "users.csv:4: the key `u` \"a\" stands here a second time");
    folder_put_text("users.csv", "u,age\na,1\n,2\n");
    assert_bad(log, schema, "users.csv:3: the key `u` is empty");
    folder_put_text("users.csv", "u,age\nA,1\nB,2\n");
    assert_bad(log, schema, "no row of the log finds its `u` in");
}

/* Columns are looked up when the schema is read, and again in what is there when the data is. */
static void assert_stale(const char *schema, const char *log, const char *users, const char *message) {
    struct schema s;
    struct err e = ERR_INIT;
    folder_put_text("log.csv", "u,i,y,tags\na,x,1,p\nb,x,0,q\n");
    folder_put_text("users.csv", "u,age,f,g\na,1,0,1\nb,2,1,1\n");
    folder_put_text("mine.yaml", schema);
    cr_assert_eq(schema_load(folder_path("mine.yaml"), &s, &e), 0, "%s", e.msg);
    folder_put_text("log.csv", log);
    folder_put_text("users.csv", users);
    cr_expect_eq(prepare_dataset(&s, folder_path("out"), &e), ERR_INPUT, "%s", message);
    cr_expect(strstr(e.msg, message), "\"%s\" does not have \"%s\"", e.msg, message);
    schema_release(&s);
}

Test(prepare_errors, a_log_that_changed_since_the_schema_was_read_is_an_error) {
#define JOINED HEAD "join: [{file: users.csv, on: u}]\n"
    const char *users = "u,age,f,g\na,1,0,1\nb,2,1,1\n";
    assert_stale(
        HEAD "columns:\n  tags: {side: item}\n", "u,i,y,tag\na,x,1,p\n", users,
        "mine.yaml:6:3: there is no column `tags` in the log or a joined table, did you mean \"tag\"?");
    assert_stale(JOINED COLUMNS, "v,i,y,tags\na,x,1,p\n", users,
                 "`on: u`: there is no such column in the log");
    assert_stale(JOINED COLUMNS, "u,i,y,tags\na,x,1,p\n", "v,age\na,1\n",
                 "`on: u`: there is no such column in /");
    assert_stale(JOINED "columns:\n  age: {side: user}\n", "u,i,y,age\na,x,1,p\n", users,
                 "column `age` stands in two tables, in the log and in ");
    assert_stale(JOINED COLUMNS, "u,i,tags\na,x,p\n", "u,age,y\na,1,0\n",
                 "`y` is a column of a joined table; it must be one of the log itself");
    assert_stale(JOINED "columns:\n  g: {side: user, kind: multi, flags: [f, g]}\n", "u,i,y,g\na,x,1,0\n",
                 "u,age,f\na,1,0\n", "the flags `f` and `g` stand in different tables");
}

Test(prepare_errors, a_place_that_is_no_folder_of_its_own_is_refused) {
    struct schema s;
    struct err e = ERR_INIT;
    put_log(300, 20, 17, 3);
    folder_put_text("mine.yaml", HEAD COLUMNS);
    cr_assert_eq(schema_load(folder_path("mine.yaml"), &s, &e), 0, "%s", e.msg);
    cr_expect_eq(prepare_dataset(&s, "/", &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "cannot put a dataset here; name a folder"), "%s", e.msg);
    schema_release(&s);
}
