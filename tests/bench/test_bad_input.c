/* Bad input, from the command line: one clear message with its place, exit code 2, and nothing half-written. What each reader
 * says about each mistake is tested beside the readers (tests/base, tests/data, tests/nn). */
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(bad_input, .init = setup, .fini = teardown, .timeout = 60);

static int entries(void) {
    int n = 0;
    DIR *d = opendir(s.dir);
    cr_assert(d);
    for (const struct dirent *x; (x = readdir(d));) n += x->d_name[0] != '.';
    closedir(d);
    return n;
}

static const char *lines_with(const char *text, const char *part) {
    const char *at = strstr(text, part);
    return at && !strstr(at + 1, part) ? at : NULL;
}

/* One line on stderr that names the place; no folder, no temporary file. */
static void assert_refused(struct ran r, const char *place_and_words, int before) {
    cr_expect_eq(r.status, 2, "exit %d, wanted 2 for %s\n%s", r.status, place_and_words, r.err);
    cr_expect(lines_with(r.err, place_and_words), "wanted once: %s\ngot: %s", place_and_words, r.err);
    cr_expect_str_eq(r.out, "");
    cr_expect_eq(entries(), before, "something was left by %s", place_and_words);
}

#define TOP     "log: log.csv\nuser: u\nitem: i\ntime: t\nlabel: y\n"
#define COLUMNS "columns:\n  u: {side: user}\n  i: {side: item}\n"
#define GOOD_LOG                                                                                             \
    "u,i,t,y\na,x,1,0\nb,x,2,1\na,y,3,0\nb,y,4,0\na,x,5,1\nb,x,6,0\na,y,7,0\nb,y,8,1\na,x,9,0\nb,x,10,0\na," \
    "y,11,1\nb,y,12,0\na,x,13,0\nb,x,14,1\na,y,15,0\nb,y,16,0\na,x,17,1\nb,x,18,0\na,y,19,0\nb,y,20,1\n"

static void assert_data_refused(const char *log, size_t n, const char *schema, const char *place_and_words) {
    char path[100];
    scratch_write(&s, "schema.yaml", schema);
    scratch_write(&s, "stdout", "");
    scratch_write(&s, "stderr", "");
    snprintf(path, sizeof path, "%s/log.csv", s.dir);
    FILE *f = log ? fopen(path, "wb") : NULL;
    if (f) {
        fwrite(log, 1, n, f);
        fclose(f);
    } else {
        unlink(path);
    }
    int before = entries();
    assert_refused(prerank(&s, "data %s/schema.yaml --out %s/out", s.dir, s.dir), place_and_words, before);
}
#define REFUSED(log, schema, words) assert_data_refused(log, sizeof(log) - 1, schema, words)

Test(bad_input, of_a_schema) {
    REFUSED(GOOD_LOG, TOP "colums:\n  u: {side: user}\n", "schema.yaml:6:1: ");
    REFUSED(GOOD_LOG, TOP "colums:\n  u: {side: user}\n", "did you mean \"columns\"?");
    REFUSED(GOOD_LOG, TOP "columns: [u, i]\n", "schema.yaml:6:10: ");
    REFUSED(GOOD_LOG, TOP "columns:\n  u: {side: user, min_count: many}\n  i: {side: item}\n",
            "schema.yaml:7:30: ");
    REFUSED(GOOD_LOG, TOP COLUMNS "split: {by: time, valid: 0.1, test: 0.9}\n", "schema.yaml:9:37: ");
    REFUSED(GOOD_LOG, TOP "columns:\n  u: {side: user}\n  u: {side: user}\n  i: {side: item}\n",
            "schema.yaml:8:3: ");
    REFUSED(GOOD_LOG, TOP "columns:\n  u: {side: user}\n  price: {side: item}\n", "schema.yaml:8:3: ");
    REFUSED(GOOD_LOG, TOP "columns:\n\tu: {side: user}\n", "indent with spaces, not with tabs");
    assert_data_refused(NULL, 0, TOP COLUMNS, "schema.yaml:1:6: ");
}

Test(bad_input, of_a_log) {
    REFUSED("u,i,t,y\na,x,1,1\nb,y,2\n", TOP COLUMNS, "log.csv:3:6: 3 cells, but the header has 4");
    REFUSED("u,i,t,y\na,x,1,1,9\n", TOP COLUMNS, "log.csv:2:9: 5 cells, but the header has 4");
    REFUSED("u,i,t,u,y\na,x,1,1,9\n", TOP COLUMNS, "log.csv:1:1: the header names `u` twice");
    REFUSED("u,i,t,y\na,x\"y,1,1\n", TOP COLUMNS, "log.csv:2:4: ");
    REFUSED("u,i,t,y\n\"a,x,1,1\n", TOP COLUMNS, "log.csv:2:1: ");
    REFUSED("u,i,t,y\ncaf\xe9,x,1,1\n", TOP COLUMNS, "log.csv:2:4: ");
    REFUSED("u,i,t,y\na,x,1,nan\n", TOP COLUMNS, "log.csv:2: column `y`: ");
    REFUSED("u,i,t,y\na,x,soon,1\n", TOP COLUMNS, "log.csv:2: column `t`: ");
    REFUSED("", TOP COLUMNS, "log.csv: ");
    REFUSED("u,i,t,y\n", TOP COLUMNS, "log.csv: ");
}

Test(bad_input, of_splits_and_vocabularies) {
    REFUSED("u,i,t,y\na,x,1,1\n", TOP COLUMNS, "the train split has only one class");
    REFUSED("u,i,t,y\na,x,1,1\nb,y,2,1\na,x,3,1\nb,y,4,1\na,x,5,1\nb,y,6,1\na,x,7,1\nb,y,8,1\na,x,9,1\nb,y,"
            "10,1\n",
            TOP COLUMNS, "the train split has only one class");
    REFUSED(GOOD_LOG,
            TOP "columns:\n  u: {side: user, max_vocab: 1}\n  i: {side: item}\nsplit: {by: time, valid: 0.2, "
                "test: 0.2}\n",
            "schema.yaml:7:3: column `u` has 2 distinct values");
}

Test(bad_input, of_an_experiment) {
    static const char *const bad[][2] = {
        {"variants: [dsm]\n", "18:12: unknown variant `dsm`, did you mean \"dssm\"?"},
        {"variants: [dssm]\ntrain: {epochs: none}\n", "19:17: train: `epochs` must be"},
        {"variants: [dssm]\ntrain: {batch: 0}\n", "19:16: train: "},
        {"variants: [dssm]\nseeds: [1, 1]\n", "19:8: `seeds` names 1 twice"},
        {"variants: [dssm]\nvariants: [mlp]\n", "19:1: "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scratch_write(&s, "x.yaml", small_experiment(&s, 500, bad[i][0]));
        scratch_write(&s, "stdout", "");
        scratch_write(&s, "stderr", "");
        int before = entries();
        assert_refused(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir), bad[i][1], before);
    }
}

static void cut_file(const char *name, long bytes) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", s.dir, name);
    cr_assert_eq(truncate(path, bytes), 0, "%s", path);
}

/* A model that was cut is never measured as if it were whole; an array that was cut is made again. */
Test(bad_input, of_a_cut_checkpoint_and_a_cut_array) {
    scratch_write(
        &s, "x.yaml",
        small_experiment(&s, 600,
                         "variants: [dssm]\ntrain: {epochs: 1}\nmeasure: {candidates: [5], requests: 50, "
                         "min_seconds: 0}\n"));
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    const char *table = scratch_read(&s, "out/compute.csv");
    cut_file("out/models/dssm.all.1.safetensors", 200);
    r = prerank(&s, "run %s/x.yaml --out %s/out --no-report --resume", s.dir, s.dir);
    cr_expect_eq(r.status, 2, "exit %d\n%s", r.status, r.err);
    cr_expect(strstr(r.err, "models/dssm.all.1.safetensors"), "%s", r.err);
    cr_expect_str_eq(scratch_read(&s, "out/compute.csv"), table, "what was measured is still there");
    cut_file("data/rows/label.npy", 100);
    r = prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir);
    cr_expect_eq(r.status, 0, "%s", r.err);
}
