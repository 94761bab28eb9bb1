#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(cli, .init = setup, .fini = teardown, .timeout = 60);

static void assert_ran(struct ran r, int status, const char *out, const char *err) {
    cr_expect_eq(r.status, status, "exit %d, wanted %d\n%s", r.status, status, r.err);
    cr_expect(strstr(r.out, out), "stdout lacks \"%s\":\n%s", out, r.out);
    cr_expect(strstr(r.err, err), "stderr lacks \"%s\":\n%s", err, r.err);
    if (!*out) cr_expect_str_eq(r.out, "", "stdout is for data");
}

Test(cli, without_arguments_it_shows_its_usage) {
    assert_ran(prerank(&s, " "), 2, "", "usage: prerank COMMAND");
}

Test(cli, version_and_help_are_data) {
    assert_ran(prerank(&s, "--version"), 0, "prerank 0.", "");
    assert_ran(prerank(&s, "--help"), 0, "prerank run CONFIG", "");
    assert_ran(prerank(&s, "help"), 0, "exit codes", "");
    assert_ran(prerank(&s, "run --help"), 0, "--resume", "");
}

Test(cli, help_knows_every_word) {
    assert_ran(prerank(&s, "help run"), 0, "--set KEY=VALUE", "");
    assert_ran(prerank(&s, "help dssm"), 0, "hidden", "");
    assert_ran(prerank(&s, "help dssm.hidden"), 0, "128,64,32", "");
    assert_ran(prerank(&s, "help train.batch"), 0, "default 1024", "");
    assert_ran(prerank(&s, "help learning_rate"), 0, "train.learning_rate", "");
    assert_ran(prerank(&s, "help seeds"), 0, "seeds: ", "");
    assert_ran(prerank(&s, "help dim"), 0, "mlp.dim", "");
}

Test(cli, a_misspelt_word_gets_a_suggestion) {
    assert_ran(prerank(&s, "rnu"), 2, "", "unknown command \"rnu\", did you mean \"run\"?");
    assert_ran(prerank(&s, "help dssm.hiden"), 2, "", "did you mean \"dssm.hidden\"?");
    assert_ran(prerank(&s, "help bacth"), 2, "", "did you mean \"batch\"?");
    assert_ran(prerank(&s, "run x.yaml --thread 2"), 2, "",
               "unknown option --thread, did you mean \"--threads\"?");
}

Test(cli, wrong_arguments_are_usage_errors) {
    assert_ran(prerank(&s, "run"), 2, "", "run: needs an experiment");
    assert_ran(prerank(&s, "run a b"), 2, "", "one argument too many: \"b\"");
    assert_ran(prerank(&s, "run a --threads none"), 2, "", "--threads: \"none\"");
    assert_ran(prerank(&s, "run a --threads"), 2, "", "--threads needs a value");
    assert_ran(prerank(&s, "run a --resume=yes"), 2, "", "--resume takes no value");
    assert_ran(prerank(&s, "check %s/none.yaml", s.dir), 2, "", "none.yaml: ");
    assert_ran(prerank(&s, "run %s/none.yaml", s.dir), 2, "", "none.yaml: ");
}

Test(cli, check_says_what_a_good_experiment_would_run) {
    scratch_write(&s, "x.yaml", small_experiment(&s, 1000, "variants: [dssm, mlp]\nseeds: [1, 2, 3]\n"));
    assert_ran(prerank(&s, "check %s/x.yaml", s.dir), 0, "2 variants x 1 feature subsets x 3 seeds = 6 runs",
               "");
    cr_expect(!scratch_has(&s, "data"), "check reads no data");
}

Test(cli, check_prints_every_error_with_its_place) {
    scratch_write(&s, "x.yaml", small_experiment(&s, 1000, "variants: [dsm]\ntrain: {bach: 1}\n"));
    struct ran r = prerank(&s, "check %s/x.yaml", s.dir);
    assert_ran(r, 2, "", "x.yaml:18:12: unknown variant `dsm`");
    cr_expect(strstr(r.err, "x.yaml:19:9: train: unknown key `bach`"), "%s", r.err);
}

Test(cli, check_takes_schemas_too) {
    scratch_write(&s, "s.yaml",
                  "synthetic: {rows: 100}\nuser: user_id\nitem: item_id\ntime: ts\nlabel: label\n"
                  "columns: {user_id: {side: user}, item_id: {side: item}}\n"
                  "split: {by: time, test: 0.1}\n");
    assert_ran(prerank(&s, "check %s/s.yaml", s.dir), 0, "a schema of 2 columns", "");
    scratch_write(&s, "bad.yaml", "log: nowhere.csv\nuser: u\nitem: i\nlabel: y\n");
    assert_ran(prerank(&s, "check %s/bad.yaml", s.dir), 2, "", "bad.yaml:");
    scratch_write(&s, "other.yaml", "a: 1\n");
    assert_ran(prerank(&s, "check %s/other.yaml", s.dir), 2, "", "other.yaml:1:1: neither an experiment");
}

Test(cli, data_prepares_and_summarises) {
    scratch_write(&s, "s.yaml",
                  "synthetic: {rows: 500, users: 20, items: 10}\nuser: user_id\nitem: item_id\ntime: ts\n"
                  "label: label\ncolumns: {user_id: {side: user}, item_id: {side: item}}\n"
                  "split: {by: time, valid: 0.1, test: 0.1}\n");
    assert_ran(prerank(&s, "data %s/s.yaml --out %s/d", s.dir, s.dir), 0, "500", "");
    cr_expect(scratch_has(&s, "d/dataset.json"));
    assert_ran(prerank(&s, "data %s/none.yaml", s.dir), 2, "", "none.yaml");
}
