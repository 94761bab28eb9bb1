#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "data/prepare.h"
#include "tests/data/folder.h"
#include "tests/data/prepared.h"
#include "tests/data/small_log.h"
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(prepare, .init = folder_setup, .fini = folder_teardown);

static void assert_split(const struct dataset *ds, uint64_t train, uint64_t valid, uint64_t test) {
    cr_assert_eq(ds->split[SPLIT_TRAIN].end, train, "train ends at %lu",
                 (unsigned long)ds->split[SPLIT_TRAIN].end);
    cr_assert_eq(ds->split[SPLIT_VALID].end, train + valid, "valid ends at %lu",
                 (unsigned long)ds->split[SPLIT_VALID].end);
    cr_assert_eq(ds->split[SPLIT_TEST].end, train + valid + test);
}

/* --- splits --- */

Test(prepare, time_split_takes_the_last_shares) {
    put_log(100, 5, 7, 1);
    struct dataset ds =
        prepared("out", HEAD "time: t\n" COLUMNS "split: {by: time, valid: 0.1, test: 0.2}\n");
    assert_split(&ds, 70, 10, 20);
    for (uint64_t k = 0; k < 100; k++) cr_assert_eq(ds.row[k], k);
    dataset_close(&ds);
}

Test(prepare, time_split_does_not_part_equal_times) {
    put_log(100, 5, 7, 8); /* boundaries at 70 and 80: 70 is nearer to 72 than to 64 */
    struct dataset ds =
        prepared("out", HEAD "time: t\n" COLUMNS "split: {by: time, valid: 0.1, test: 0.2}\n");
    assert_split(&ds, 72, 8, 20);
    for (int s = SPLIT_VALID; s < SPLIT_COUNT; s++)
        cr_assert_lt(ds.time[ds.split[s].begin - 1], ds.time[ds.split[s].begin]);
    dataset_close(&ds);
}

Test(prepare, rows_are_sorted_by_time_and_ties_keep_the_logs_order) {
    folder_put_text("log.csv", "u,i,t,y\na,x,-5,1\nb,x,9000000000,0\na,y,-5,0\nb,y,3,1\na,z,-7,1\nb,z,3,0\na,"
                               "x,9000000000,1\na,x,4,0\n");
    struct dataset ds = prepared("out", HEAD "time: t\n" COLUMNS "split: {by: time, valid: 0, test: 0.25}\n");
    static const uint64_t order[] = {4, 0, 2, 3, 5, 7, 1, 6};
    cr_assert_arr_eq(ds.row, order, sizeof order);
    assert_split(&ds, 6, 0, 2);
    dataset_close(&ds);
}

Test(prepare, user_split_takes_the_last_rows_of_each_user) {
    put_log(100, 4, 7, 1); /* 25 rows each: floor(2.5 + .5) = 3 validation rows, 5 test rows */
    struct dataset ds =
        prepared("out", HEAD "time: t\n" COLUMNS "split: {by: user, valid: 0.1, test: 0.2}\n");
    assert_split(&ds, 4 * 17, 4 * 3, 4 * 5);
    for (uint64_t k = 0; k < 100; k++) {
        int nth = (int)ds.row[k] / 4;
        enum split want = nth < 17 ? SPLIT_TRAIN : nth < 20 ? SPLIT_VALID : SPLIT_TEST;
        cr_assert(k >= ds.split[want].begin && k < ds.split[want].end);
    }
    dataset_close(&ds);
}

Test(prepare, random_split_depends_on_the_seed_and_the_row_only) {
    put_log(4000, 50, 7, 1);
    static const char *const split[] = {"split: {by: random, valid: 0.1, test: 0.3, seed: 5}\n",
                                        "split: {by: random, valid: 0.1, test: 0.3, seed: 6}\n"};
    char part[2][4000];
    for (int i = 0; i < 3; i++) {
        char schema[512];
        snprintf(schema, sizeof schema, HEAD COLUMNS "%s%s", i == 2 ? "where: [\"i != i3\"]\n" : "",
                 split[i == 1]);
        struct dataset ds = prepared(i == 0 ? "a" : i == 1 ? "b" : "c", schema);
        for (int s = 0; s < SPLIT_COUNT; s++)
            for (uint64_t k = ds.split[s].begin; k < ds.split[s].end; k++) {
                if (i < 2)
                    part[i][ds.row[k]] = (char)s;
                else
                    cr_assert_eq(part[0][ds.row[k]], s, "the same seed, fewer rows");
            }
        double n = (double)ds.n_rows,
               test = (double)(ds.split[SPLIT_TEST].end - ds.split[SPLIT_TEST].begin) / n;
        cr_assert_float_eq(test, 0.3, 0.03);
        dataset_close(&ds);
    }
    cr_assert_neq(memcmp(part[0], part[1], sizeof part[0]), 0, "another seed");
}

Test(prepare, column_split_does_what_the_log_says) {
    folder_put_text("log.csv", "u,i,y,part\na,x,1,test\na,y,0,train\na,x,1,val\na,y,1,train\nb,x,0,test\nb,y,"
                               "0,validation\nb,x,0,valid\n");
    struct dataset ds = prepared("out", HEAD COLUMNS "split: {by: column, column: part}\n");
    static const uint64_t order[] = {1, 3, 2, 5, 6, 0, 4};
    cr_assert_arr_eq(ds.row, order, sizeof order);
    assert_split(&ds, 2, 3, 2);
    cr_assert_null(ds.time);
    dataset_close(&ds);
}

/* --- columns --- */

Test(prepare, categories_are_numbered_by_falling_frequency_in_training) {
    folder_put_text(
        "log.csv",
        "u,i,y,part,c\na,x,1,test,rare\na,x,0,train,mid\na,x,1,train,top\nb,x,0,train,mid\nb,x,1,train,top\n"
        "b,x,1,train,top\nb,y,1,train,rare\nb,y,0,train,\nb,x,0,test,top\nb,y,1,valid,new\nb,y,0,valid,"
        "mid\n");
    struct dataset ds = prepared("out", HEAD "columns:\n  c: {side: user}\n  two: {side: user, from: c, "
                                             "min_count: 2}\n  z: {side: item, from: i}\n" COLUMN_SPLIT);
    static const uint32_t c[] = {2, 1, 2, 1, 1, 3, 0, 0, 2, 3, 1}, two[] = {2, 1, 2, 1, 1, 0, 0, 0, 2, 0, 1};
    cr_assert_arr_eq(dataset_field(&ds, "c")->rows.ids, c, sizeof c);
    cr_assert_arr_eq(dataset_field(&ds, "two")->rows.ids, two, sizeof two);
    cr_assert_eq(dataset_field(&ds, "c")->vocab, 4);
    cr_assert_eq(dataset_field(&ds, "two")->vocab, 3);
    cr_assert_str_eq(vocab_line(ds.dir, "c", 3), "rare");
    cr_assert_str_eq(vocab_line(ds.dir, "two", 1), "top");
    cr_assert_str_eq(vocab_line(ds.dir, "two", 3), "", "two lines only");
    dataset_close(&ds);
}

Test(prepare, missing_numbers_are_the_training_mean_and_missing_buckets_id_0) {
    folder_put_text("log.csv", "u,i,y,part,p\na,x,1,train,1\na,x,0,train,NA\na,x,1,train,3\nb,x,0,train,\nb,"
                               "x,1,test,nan\nb,x,0,test,100\n"
                               "b,x,0,valid,-1e3\nb,x,1,valid,2\n");
    struct dataset ds = prepared("out", HEAD "columns:\n  p: {side: item, kind: number}\n  q: {side: item, "
                                             "kind: bucket, from: p, buckets: 2}\n" COLUMN_SPLIT);
    static const float p[] = {1, 2, 3, 2, -1000, 2, 2, 100};
    static const uint32_t q[] = {1, 0, 2, 0, 1, 1, 0, 2};
    cr_assert_arr_eq(dataset_field(&ds, "p")->rows.number, p, sizeof p);
    cr_assert_arr_eq(dataset_field(&ds, "q")->rows.ids, q, sizeof q);
    cr_assert_eq(dataset_field(&ds, "p")->entity.number[0], 2);
    cr_assert_eq(json_real_value(json_object_get(json_object_get(ds.json, "means"), "p")), 2);
    cr_assert_eq(json_real_value(json_array_get(json_object_get(json_object_get(ds.json, "edges"), "q"), 0)),
                 3);
    dataset_close(&ds);
}

Test(prepare, texts_with_line_breaks_stay_one_line_of_the_vocabulary) {
    folder_put_text("log.csv", "u,i,y,part\na,\"x\ny\\\",1,train\na,\"x\ny\\\",0,train\na,q,1,test\na,q,0,"
                               "test\na,q,1,valid\na,q,0,valid\n");
    struct dataset ds = prepared("out", HEAD COLUMNS COLUMN_SPLIT);
    cr_assert_str_eq(vocab_line(ds.dir, "iid", 1), "x\\ny\\\\");
    dataset_close(&ds);
}

Test(prepare, parts_of_a_text_share_an_id) {
    folder_put_text("log.csv", "u,i,y,part,zip\na,x,1,train,123\na,x,0,train,129\na,x,1,train,55\na,x,0,test,"
                               "121\na,x,1,test,7x\na,x,1,valid,5\na,x,0,valid,abc\n");
    struct dataset ds = prepared(
        "out", HEAD "columns:\n  z: {side: user, from: zip, extract: \"^([0-9])[0-9]\"}\n  n: {side: user, "
                    "kind: bucket, buckets: 2, from: zip, extract: \"^([0-9]+)\"}\n" COLUMN_SPLIT);
    static const uint32_t z[] = {1, 1, 2, 0, 0, 1, 0}, n[] = {2, 2, 1, 1, 0, 1, 1};
    cr_assert_arr_eq(dataset_field(&ds, "z")->rows.ids, z, sizeof z);
    cr_assert_str_eq(vocab_line(ds.dir, "z", 1), "1");
    cr_assert_eq(dataset_field(&ds, "n")->rows.ids[2], n[2]);
    cr_assert_eq(dataset_field(&ds, "n")->rows.ids[4], 0, "abc has no number");
    dataset_close(&ds);
}

Test(prepare, keeps_columns_and_row_numbers_of_the_file) {
    folder_put_text("log.csv",
                    "u,i,t,y,w\na,x,4,1,.5\na,x,3,0,NA\nb,y,2,1,7\nb,x,1,1,2\nbot,x,1,1,2\nc,y,0,0,1e300\n");
    struct dataset ds = prepared("out", HEAD "time: t\nwhere: [u != bot]\n" COLUMNS
                                             "keep: [w]\nsplit: {by: time, valid: 0, test: 0.4}\n");
    static const uint64_t row[] = {5, 3, 2, 1, 0};
    struct npy w;
    struct err e = ERR_INIT;
    cr_assert_arr_eq(ds.row, row, sizeof row);
    cr_assert_eq(dataset_keep(&ds, "w", &w, &e), 0, "%s", e.msg);
    const double *v = w.data;
    cr_assert(v[0] == 1e300 && v[1] == 2 && v[2] == 7 && isnan(v[3]) && v[4] == .5);
    cr_assert_eq(ds.n_users, 4);
    npy_close(&w);
    dataset_close(&ds);
}

Test(prepare, where_may_look_at_a_joined_table) {
    put_log(60, 6, 5, 1);
    folder_put_text("users.csv",
                    "u,age\nu0,10\nu1,20\nu2,30\nu3,\nu4,40\n"); /* u3 has no age, u5 is not there */
    struct dataset ds =
        prepared("out", HEAD "time: t\njoin: [{file: users.csv, on: u}]\nwhere: [\"age >= 20\"]\n"
                             "columns:\n  age: {side: user}\nsplit: {by: user, valid: 0.2, test: 0.2}\n");
    cr_assert_eq(ds.n_rows, 30);
    cr_assert_eq(ds.n_users, 4);
    cr_assert_str_eq(vocab_line(ds.dir, "age", 1), "20");
    dataset_close(&ds);
}

/* Pieces of an extracted part, also of one that is longer than what is copied to the stack; and two fields of one column. */
Test(prepare, lists_may_be_a_part_of_a_cell) {
    char log[8000], *at = log;
    at += sprintf(at, "u,i,y,tags,part\n");
    for (int k = 0; k < 6; k++) {
        at += sprintf(at, "a,x,%d,\"[b;%s", k % 2, k % 2 ? "c" : "");
        for (int n = 0; n < 300 && k < 2; n++) at += sprintf(at, ";b");
        at += sprintf(at, "]\",%s\n", (const char *[]){"train", "valid", "test"}[k / 2]);
    }
    folder_put_text("log.csv", log);
    struct dataset ds =
        prepared("out", HEAD "columns:\n  t: {side: item, kind: multi, sep: \";\", from: tags, "
                             "extract: \"^.(.*).$\"}\n"
                             "  t2: {side: item, kind: multi, sep: \";\", from: tags, "
                             "extract: \"^.(.*).$\"}\n"
                             "  raw: {side: item, kind: multi, sep: \";\", from: tags}\n" COLUMN_SPLIT);
    cr_expect_str_eq(vocab_line(ds.dir, "t", 1), "b");
    cr_expect_str_eq(vocab_line(ds.dir, "t", 2), "c");
    cr_expect_eq(ds.field[0].vocab, 3);
    cr_expect_eq(ds.field[1].vocab, 3);
    cr_expect_gt(ds.field[2].vocab, 3, "with the brackets");
    dataset_close(&ds);
}

Test(prepare, without_a_time_only_features_that_do_not_look_back_are_derived) {
    put_log(300, 20, 17, 3);
    struct dataset ds =
        prepared("out", HEAD COLUMNS "derive:\n  both: {kind: cross, of: [uid, iid], buckets: 50}\n"
                                     "split: {by: random, valid: 0.2, test: 0.2}\n");
    cr_expect_eq(ds.field[2].vocab, 51);
    dataset_close(&ds);
}

/* --- the directory --- */

#define GOOD                                                                                                 \
    HEAD "time: t\n" COLUMNS "derive:\n  r: {kind: recent, of: iid}\n  c: {kind: rate, of: iid}\n  h: "      \
         "{kind: history, of: [uid, iid]}\n  x: {kind: cross, of: [uid, iid]}\n"

Test(prepare, the_same_input_gives_the_same_bytes) {
    put_log(3000, 20, 17, 3);
    struct dataset a = prepared("a", "name: same\n" GOOD), b = prepared("b", "name: same\n" GOOD);
    cr_assert_str_eq(a.hash, b.hash);
    dataset_close(&a);
    dataset_close(&b);
    cr_assert(same_trees(folder_path("a"), folder_path("b")));
}

Test(prepare, the_hash_follows_schema_and_log) {
    put_log(300, 20, 17, 3);
    struct dataset a = prepared("a", "name: same\n" GOOD),
                   b = prepared("b", "name: same\n" GOOD "split: {by: user}\n");
    cr_assert_str_neq(a.hash, b.hash);
    put_log(301, 20, 17, 3);
    struct dataset c = prepared("c", "name: same\n" GOOD);
    cr_assert_str_neq(a.hash, c.hash);
    dataset_close(&a);
    dataset_close(&b);
    dataset_close(&c);
}

static ino_t inode(const char *path) {
    struct stat st;
    return stat(path, &st) ? 0 : st.st_ino;
}

Test(prepare, an_unchanged_dataset_is_kept_and_a_changed_one_replaced) {
    put_log(300, 20, 17, 3);
    struct dataset ds = prepared("out", GOOD);
    dataset_close(&ds);
    ino_t first = inode(folder_path("out"));
    ds = prepared("out", GOOD);
    dataset_close(&ds);
    cr_assert_eq(inode(folder_path("out")), first, "kept");
    put_log(310, 20, 17, 3);
    ds = prepared("out", GOOD);
    cr_assert_neq(inode(folder_path("out")), first, "replaced");
    cr_assert_eq(ds.n_rows, 310);
    dataset_close(&ds);
    cr_assert_eq(entries_with("out"), 2, "the directory and the schema, nothing else");
}

Test(prepare, a_damaged_dataset_is_made_again) {
    static const char *const files[] = {"out/rows/label.npy", "out/users/uid.npy", "out/state/h.npy",
                                        "out/rows/r.offsets.npy", "out/rows/keep.t.npy"};
    put_log(300, 20, 17, 3);
    for (int i = 0; i < 5; i++) {
        struct dataset ds = prepared("out", GOOD "keep: [t]\n");
        dataset_close(&ds);
        cr_assert_eq(truncate(folder_path(files[i]), 130), 0);
        ds = prepared("out", GOOD "keep: [t]\n");
        dataset_close(&ds);
        cr_assert_gt(file_size(folder_path(files[i])), 140);
    }
    unlink(folder_path("out/vocab/uid.txt"));
    struct dataset ds = prepared("out", GOOD "keep: [t]\n");
    cr_assert_str_eq(vocab_line(ds.dir, "uid", 1), "u0");
    dataset_close(&ds);
}

Test(prepare, a_folder_with_other_things_is_refused) {
    put_log(300, 20, 17, 3);
    file_make_dirs(folder_path("out"), NULL);
    folder_put_text("out/thesis.tex", "years of work");
    cr_assert(strstr(prepare_error("out", GOOD), "the folder holds other things"));
    cr_assert(file_exists(folder_path("out/thesis.tex")));
    folder_put_text("plain", "");
    cr_assert(strstr(prepare_error("plain", GOOD), "it is a file"));
    file_make_dirs(folder_path("empty/"), NULL);
    struct dataset ds = prepared("empty", GOOD);
    dataset_close(&ds);
}

Test(prepare, a_failure_leaves_the_old_dataset) {
    put_log(300, 20, 17, 3);
    struct dataset ds = prepared("out", GOOD);
    dataset_close(&ds);
    folder_put_text("log.csv", "u,i,t,y\na,x,1,1\na,x,2,maybe\n");
    cr_assert(
        strstr(prepare_error("out", GOOD), "log.csv:3: column `y`: the label \"maybe\" is not a number"));
    ds = opened(folder_path("out"));
    cr_assert_eq(ds.n_rows, 300);
    dataset_close(&ds);
}

Test(prepare, an_interrupt_leaves_the_old_dataset) {
    put_log(300, 20, 17, 3);
    struct dataset ds = prepared("out", GOOD);
    dataset_close(&ds);
    put_log(310, 20, 17, 3);
    interrupt_install();
    raise(SIGINT);
    struct err e = ERR_INIT;
    cr_assert_eq(prepare_text("out", GOOD, &e), ERR_INTERRUPTED);
    cr_assert_eq(entries_with(".tmp-"), 0);
    ds = opened(folder_path("out"));
    cr_assert_eq(ds.n_rows, 300);
    dataset_close(&ds);
}

Test(prepare, what_a_killed_process_left_is_removed_and_a_living_ones_work_is_not) {
    char dead[40], name[60];
    pid_t child = fork();
    if (!child) _exit(0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    snprintf(dead, sizeof dead, "out.tmp-%ld", (long)child);
    snprintf(name, sizeof name, "%s/rows", dead);
    const char *const folders[] = {name, "out.tmp-1/rows", "out.tmp-mine", "other.tmp-1"};
    for (size_t i = 0; i < 4; i++) cr_assert_eq(file_make_dirs(folder_path(folders[i]), NULL), 0);
    put_log(300, 20, 17, 3);
    struct dataset ds = prepared("out", GOOD);
    dataset_close(&ds);
    cr_expect(!file_exists(folder_path(dead)));
    cr_expect_eq(entries_with(".tmp-"), 3, "those of process 1, and what no process made");
}

Test(prepare, every_failing_allocation_is_an_error_that_leaves_nothing) {
    put_log(120, 10, 7, 3);
    folder_put_text("items.csv", "i,tags,price\ni0,a|b,1\ni1,b,2\ni2,,3\ni3,c,\n");
    folder_put_text("s.yaml",
                    HEAD "time: t\njoin: [{file: items.csv, on: i}]\n" COLUMNS
                         "  tags: {side: item, kind: multi}\n  price: {side: item, kind: bucket}\n  p: "
                         "{side: item, kind: number, from: price}\n"
                         "  part: {side: user, from: u, extract: \"u(.)\"}\n"
                         "derive:\n  r: {kind: recent, of: tags}\n  o: {kind: overlap, of: [r, tags]}\n  c: "
                         "{kind: rate, of: iid}\n  n: {kind: count, of: uid}\n"
                         "  h: {kind: history, of: [uid, tags]}\n  x: {kind: cross, of: [uid, part]}\n");
    struct schema s;
    struct err e = ERR_INIT;
    progress_set_quiet(1);
    cr_assert_eq(schema_load(folder_path("s.yaml"), &s, &e), 0, "%s", e.msg);
    char out[1024];
    snprintf(out, sizeof out, "%s", folder_path("out"));
    int rc = ERR_INPUT;
    for (unsigned long long n = 1; rc; n++) {
        cr_assert_lt(n, 5000, "%s", e.msg);
        e = (struct err)ERR_INIT;
        mem_fail_after(n);
        rc = prepare_dataset(&s, out, &e);
        mem_fail_after(0);
        if (!rc) break;
        cr_assert_eq(rc, ERR_INPUT, "allocation %llu", n);
        cr_assert_eq(e.code, ERR_INPUT);
        cr_assert(*e.msg, "allocation %llu: no message", n);
        cr_assert_eq(entries_with("out"), 0, "allocation %llu leaves something", n);
    }
    schema_release(&s);
    struct dataset ds = opened(out);
    dataset_close(&ds);
}

Test(prepare, the_summary_shows_the_splits_and_fields) {
    put_log(300, 20, 17, 3);
    struct dataset ds = prepared("out", GOOD);
    struct err e = ERR_INIT;
    FILE *f = fopen(folder_path("summary.txt"), "w");
    cr_assert_eq(dataset_summary(&ds, f, &e), 0, "%s", e.msg);
    fclose(f);
    char *text;
    size_t n;
    cr_assert_eq(file_read_text(folder_path("summary.txt"), &text, &n, &e), 0, "%s", e.msg);
    cr_assert(strstr(text, "out: 300 rows, 20 users, 17 items"));
    cr_assert(strstr(text, "train           240"), "%s", text);
    cr_assert(strstr(text, "recent"));
    mem_free(text);
    dataset_close(&ds);
}

/* --- real data, where it is --- */

Test(prepare, movielens_1m_has_the_published_counts) {
    const char *data = getenv("PRERANK_DATA");
    if (!data || !*data) cr_skip("PRERANK_DATA is not set");
    struct schema s;
    struct err e = ERR_INIT;
    progress_set_quiet(1);
    cr_assert_eq(schema_load("configs/data/ml-1m.yaml", &s, &e), 0, "%s", e.msg);
    cr_assert_eq(prepare_dataset(&s, folder_path("ml"), &e), 0, "%s", e.msg);
    schema_release(&s);
    struct dataset ds = opened(folder_path("ml"));
    cr_assert_eq(ds.n_rows, 487650);
    cr_assert_eq(ds.n_users, 3000);
    dataset_close(&ds);
}
