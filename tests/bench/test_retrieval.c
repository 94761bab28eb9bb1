/* Retrieval from end to end, through the program: figures against NumPy, files that are opened again, what is refused. */
#include "bench/results.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(retrieval, .init = setup, .fini = teardown, .timeout = 120);

/* The small experiment with a field of the user's side that differs from row to row, as the hour or the device does: here an
 * item's noise. */
static void write_plan(const char *rest) {
    const char *text = small_experiment(&s, 3000, rest), *derive = strstr(text, "  derive:\n");
    char *all = arena_alloc(&s.arena, strlen(text) + 100);
    sprintf(all, "%.*s    ni0: {side: user}\n%s", (int)(derive - text), text, derive);
    scratch_write(&s, "x.yaml", all);
}

static void write_config(const char *variants, const char *retrieval) {
    char rest[800];
    snprintf(rest, sizeof rest,
             "variants: %s\ntrain: {epochs: 2, batch: 64, slice: 64, learning_rate: 0.01}\nmeasure: "
             "{candidates: []}\n"
             "retrieval: {topk: [5, 20], requests: 400, min_seconds: 0%s%s}\n",
             variants, *retrieval ? ", " : "", retrieval);
    write_plan(rest);
}

static struct ran run(const char *more) {
    return prerank(&s, "run %s/x.yaml --out %s/out %s", s.dir, s.dir, more);
}

static void assert_runs(struct ran r) { cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err); }

static double number(const char *key, const char *column) {
    return atof(cell(&s, scratch_read(&s, "out/retrieval.csv"), key, column));
}

static void agrees_with_numpy(void) {
    char command[300];
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/check_retrieval.py %s/out %s/data", s.dir,
             s.dir);
    cr_expect_eq(system(command), 0, "NumPy finds other numbers");
}

Test(retrieval, figures_are_those_of_numpy) {
    write_config(
        "[dssm]",
        "index: [Flat, \"IVF4,Flat\", HNSW8], nprobe: [1, 2, 9], ef_search: [8], users: 0, exclude: seen");
    assert_runs(run("--set seeds=[1,2,3]"));
    const char *t = scratch_read(&s, "out/retrieval.csv");
    cr_expect_eq(strncmp(t, RESULTS_RETRIEVAL_COLUMNS "\n", strlen(RESULTS_RETRIEVAL_COLUMNS) + 1), 0);
    cr_expect_eq(count_lines(t), 1 + 4 * 2 * (1 + 3 + 1),
                 "of IVF4: nprobe 1, 2 and 4, which is all; three seeds and their mean");
    agrees_with_numpy();
    cr_expect_eq(number("index=Flat,topk=20", "recall"), 1);
    cr_expect_lt(number("index=HNSW8,topk=5", "p50_us"), 1e6);
    cr_expect_gt(number("index=HNSW8,topk=5", "qps"), 0);
    cr_expect_str_eq(cell(&s, t, "index=HNSW8,topk=5", "n"), "400");
    cr_expect_str_eq(cell(&s, t, "index=HNSW8,topk=5,seed=mean", "n"), "1200");
    cr_expect(scratch_has(&s, "out/models/dssm.all.3.HNSW8.index"));
    cr_expect_str_eq(cell(&s, t, "index=HNSW8,topk=5", "parameter"), "efSearch");
}

static int times_said(const char *text, const char *what) {
    int n = 0;
    for (; (text = strstr(text, what)); text++) n++;
    return n;
}

/* FAISS would say so of every index of every seed, on stderr. */
Test(retrieval, too_few_items_to_learn_from_are_said_once_with_what_would_do) {
    write_config("[dssm]", "index: [\"IVF4,Flat\", \"IVF1,PQ2x4\", \"PQ4x2\"], nprobe: [1], seeds: first");
    struct ran r = run("--set seeds=[1,2]");
    assert_runs(r);
    cr_expect_eq(times_said(r.err,
                            "IVF4,Flat learns 4 clusters from 40 items, but FAISS advises 39 items for each, "
                            "156; IVF1 keeps to it"),
                 1, "%s", r.err);
    cr_expect_eq(times_said(r.err,
                            "IVF1,PQ2x4 learns 16 codes from 40 items, but FAISS advises 39 items for each, "
                            "624; Flat keeps to it"),
                 1, "%s", r.err);
    cr_expect_eq(times_said(r.err, "PQ4x2 learns 4 codes"), 1, "%s", r.err);
    cr_expect_eq(times_said(r.err, "keeps to it"), 3);
    cr_expect_null(strstr(r.err, "WARNING"), "%s", r.err);
    cr_expect_eq(count_lines(scratch_read(&s, "out/retrieval.csv")), 1 + 2 * 3, "the first seed alone");
}

Test(retrieval, nothing_is_excluded_without_being_asked) {
    write_config("[dssm]", "index: Flat, users: 0");
    assert_runs(run(""));
    agrees_with_numpy();
    cr_expect_str_eq(cell(&s, scratch_read(&s, "out/retrieval.csv"), "index=Flat,topk=5", "exclude"), "none");
}

Test(retrieval, the_report_has_its_curves) {
    write_config("[dssm]", "index: [Flat, HNSW8]");
    assert_runs(run(""));
    const char *page = scratch_read(&s, "out/report.html");
    cr_expect(strstr(page, "<section id=\"retrieval\">") && strstr(page, "href=\"#retrieval\""));
    cr_expect(strstr(page, "efSearch 256"));
    cr_expect(scratch_has(&s, "out/plots/retrieval-dssm-5.svg") &&
              scratch_has(&s, "out/plots/retrieval-dssm-20.png"));
    cr_expect(strstr(scratch_read(&s, "out/plots/retrieval-dssm-5.svg"), "recall against the exact result"));
}

static void change_a_byte(const char *path, long at) {
    FILE *f = fopen(path, "r+b");
    cr_assert(f && !fseek(f, at, SEEK_SET));
    int c = fgetc(f);
    cr_assert(c != EOF && !fseek(f, at, SEEK_SET) && fputc(c ^ 0x40, f) != EOF);
    fclose(f);
}

static char *about(void) { return scratch_read(&s, "out/models/dssm.all.1.HNSW8.index.json"); }

Test(retrieval, a_saved_index_is_opened_again_and_a_damaged_one_is_not) {
    write_config("[dssm]", "index: [Flat, HNSW8], users: 0");
    assert_runs(run(""));
    double recall = number("index=HNSW8,topk=20", "recall");
    const char *before = about();
    struct ran r = run("--resume");
    assert_runs(r);
    cr_expect(strstr(r.err, "the index HNSW8 is there already"), "%s", r.err);
    cr_expect_str_eq(about(), before, "build_seconds is still that of the first time");
    cr_expect_eq(number("index=HNSW8,topk=20", "recall"), recall);
    char path[200];
    snprintf(path, sizeof path, "%s/out/models/dssm.all.1.HNSW8.index", s.dir);
    change_a_byte(path, 400); /* of an item's vector */
    r = run("--resume");
    assert_runs(r);
    cr_expect(strstr(r.err, "is not the file that was saved; it is built again"), "%s", r.err);
    cr_expect_eq(number("index=HNSW8,topk=20", "recall"), recall);
    cr_assert_eq(truncate(path, 300), 0);
    r = run("--resume");
    assert_runs(r);
    cr_expect(strstr(r.err, "it is built again"), "%s", r.err);
    cr_expect_eq(number("index=HNSW8,topk=20", "recall"), recall);
    write_plan("variants: [dssm]\ntrain: {epochs: 2, batch: 64, slice: 64, learning_rate: 0.01}\n"
               "measure: {candidates: []}\n");
    assert_runs(run("--resume"));
    cr_expect(!scratch_has(&s, "out/retrieval.csv"), "without the key there is no table of an earlier run");
}

Test(retrieval, models_and_indexes_that_cannot_are_left_out_with_a_note) {
    write_config("[dssm: {hidden: [6]}, mlp, inttower]", "index: [Flat, \"PQ4\"]");
    char *text = scratch_read(&s, "x.yaml");
    cr_assert(strstr(text, "PQ4"));
    struct ran r = run("");
    cr_expect_eq(r.status, 2, "40 items are too few for PQ");
    cr_expect(strstr(r.err, "learns 256 codes, but there are only 40 items"), "%s", r.err);
    cr_expect(!scratch_has(&s, "out/runs/dssm.all.1.json"), "and that is known before anything is trained");
    write_config("[dssm: {hidden: [6]}, mlp, inttower]", "index: [Flat]");
    r = run("");
    assert_runs(r);
    cr_expect(strstr(r.err, "mlp.all.1 is left out: the model is no two-tower"), "%s", r.err);
    cr_expect(strstr(r.err, "inttower.all.1 is left out"), "%s", r.err);
    cr_expect_eq(count_lines(scratch_read(&s, "out/retrieval.csv")), 1 + 2);
}

static void refused(const char *retrieval, const char *message) {
    write_config("[dssm]", retrieval);
    struct ran r = run("");
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, message), "wanted %s\ngot %s", message, r.err);
    cr_expect(!scratch_has(&s, "out/runs/dssm.all.1.json"));
}

Test(retrieval, what_is_wrong_is_said_before_training) {
    refused("index: [\"IVF256,Flat\"]",
            "IVF256,Flat has 256 clusters, but there are only 40 items; IVF6 would be about");
    refused("index: [Flatt]", "x.yaml:22:");
    refused("index: [Flatt]", "kinds are Flat, IVF<clusters>,Flat");
    refused("index: [Flat, Flat]", "`retrieval.index` names Flat twice");
    refused("ef_serch: [1]", "did you mean \"ef_search\"?");
    refused("exclude: all", "none");
}
