/* A small experiment from end to end, through the program. */
#include "bench/load/samples.h"
#include "bench/results.h"
#include "metrics/metrics.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(sweep, .init = setup, .fini = teardown, .timeout = 120);

static const char plan[] = "variants:\n"
                           "  - dssm\n"
                           "  - mlp: {hidden: [32], train: {epochs: 2}}\n"
                           "features: {all: \"*\", no-cross: [user, item]}\n"
                           "seeds: [1, 2]\n"
                           "train: {batch: 128, slice: 32, epochs: 3}\n"
                           "measure: {candidates: [10, 30], requests: 400, min_seconds: 0, topk: 5}\n";
static const char times[] = "train_seconds,examples_per_second";

static void write_plan(int rows, const char *rest) {
    scratch_write(&s, "x.yaml", small_experiment(&s, rows, rest));
}

static void assert_runs(struct ran r) { cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err); }

static char *effect(const char *dir) {
    char name[100];
    snprintf(name, sizeof name, "%s/effect.csv", dir);
    return scratch_read(&s, name);
}

static void assert_first_line(const char *name, const char *columns) {
    const char *text = scratch_read(&s, name);
    cr_expect_eq(strncmp(text, columns, strlen(columns)), 0, "%s begins with other columns", name);
    cr_expect_eq(text[strlen(columns)], '\n');
}

Test(sweep, leaves_every_file_with_the_columns_of_the_contract) {
    write_plan(2000, plan);
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir);
    assert_runs(r);
    assert_first_line("out/effect.csv", RESULTS_EFFECT_COLUMNS);
    assert_first_line("out/curves.csv", RESULTS_CURVES_COLUMNS);
    assert_first_line("out/compute.csv", RESULTS_COMPUTE_COLUMNS);
    assert_first_line("out/latency.csv", RESULTS_LATENCY_COLUMNS);
    assert_first_line("out/tradeoff.csv", RESULTS_TRADEOFF_COLUMNS);
    static const char *const files[] = {"manifest.json",
                                        "report.html",
                                        "predictions/dssm.all.1.csv",
                                        "predictions/mlp.no-cross.2.csv",
                                        "models/dssm.all.2.safetensors",
                                        "models/mlp.all.1.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[100];
        snprintf(name, sizeof name, "out/%s", files[i]);
        cr_expect(scratch_has(&s, name), "no %s", name);
    }
    /* dssm takes no pair fields, so it sees the same in both subsets and is
   * trained on one */
    cr_expect(!scratch_has(&s, "out/predictions/dssm.no-cross.1.csv"));
    cr_expect_eq(count_lines(effect("out")), 1 + 2 * (2 + 4));
    const char *note = cell(&s, effect("out"), "variant=dssm,seed=1,split=test", "note");
    cr_expect(strstr(note, "the same on features no-cross") && strstr(note, "left out: x"), "%s", note);
    cr_expect_str_eq(cell(&s, effect("out"), "variant=dssm,seed=1,split=test", "n_features"), "4");
    cr_expect_str_eq(cell(&s, effect("out"), "variant=mlp,features=all,split=test", "n_features"), "5");
    cr_expect_eq(count_lines(scratch_read(&s, "out/compute.csv")), 1 + 3 * 2);
}

Test(sweep, effect_does_not_depend_on_threads) {
    write_plan(2000, plan);
    char *first = NULL, *curves = NULL;
    static const int threads[] = {1, 2, 8};
    for (size_t i = 0; i < 3; i++) {
        char out[20], name[40];
        snprintf(out, sizeof out, "out%zu", i);
        assert_runs(prerank(&s, "run %s/x.yaml --out %s/%s --threads %d --set measure.candidates=[]", s.dir,
                            s.dir, out, threads[i]));
        snprintf(name, sizeof name, "%s/curves.csv", out);
        char *now = without_columns(&s, effect(out), times);
        char *then = without_columns(&s, scratch_read(&s, name), "seconds");
        if (!i) first = now, curves = then;
        cr_expect_str_eq(now, first, "%d threads", threads[i]);
        cr_expect_str_eq(then, curves, "%d threads", threads[i]);
    }
}

/* Starts a run and kills it as soon as `file` is there. */
static void kill_after(const char *file) {
    char config[100], out[100];
    snprintf(config, sizeof config, "%s/x.yaml", s.dir);
    snprintf(out, sizeof out, "%s/out", s.dir);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(126);
        execl(prerank_path(), "prerank", "run", config, "--out", out, "--set", "measure.candidates=[]",
              (char *)NULL);
        _exit(127);
    }
    int status = 0;
    for (int i = 0; i < 4000 && !scratch_has(&s, file); i++) {
        cr_assert_eq(waitpid(child, &status, WNOHANG), 0, "it ended by itself");
        usleep(5000);
    }
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
}

Test(sweep, a_killed_run_resumes_to_the_same_files) {
    write_plan(4000, plan);
    assert_runs(prerank(&s, "run %s/x.yaml --out %s/whole --set measure.candidates=[]", s.dir, s.dir));
    kill_after("out/runs/dssm.all.2.json");
    cr_assert(!scratch_has(&s, "out/runs/mlp.no-cross.2.json"), "killed too late");
    struct ran r =
        prerank(&s, "run %s/x.yaml --out %s/out --resume --set measure.candidates=[]", s.dir, s.dir);
    assert_runs(r);
    cr_expect(strstr(r.err, " of 6 runs are there already"), "%s", r.err);
    cr_expect_str_eq(without_columns(&s, effect("out"), times), without_columns(&s, effect("whole"), times));
    cr_expect_str_eq(scratch_read(&s, "out/predictions/mlp.all.2.csv"),
                     scratch_read(&s, "whole/predictions/mlp.all.2.csv"));
    char *before = effect("out");
    assert_runs(prerank(&s, "run %s/x.yaml --out %s/out --resume --set measure.candidates=[]", s.dir, s.dir));
    cr_expect_str_eq(effect("out"), before, "nothing is left to do, so not even the times change");
}

/* dat has parameters of training alone; `twin` has another name, `seeded` another option. */
Test(sweep, two_ids_with_equal_options_are_trained_once) {
    static const char rest[] = "variants:\n  - dat: {hidden: [8]}\n  - dat: {id: twin, hidden: [8]}\n"
                               "  - dat: {id: other, hidden: [9]}\n"
                               "seeds: [1, 2]\ntrain: {epochs: 2, batch: 64}\nmeasure: {candidates: []}\n";
    scratch_write(&s, "x.yaml", small_experiment(&s, 1500, rest));
    assert_runs(prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir));
    const char *effect = scratch_read(&s, "out/effect.csv");
    for (int seed = 1; seed <= 2; seed++) {
        char dat[48], twin[48], other[48], command[400];
        snprintf(dat, sizeof dat, "variant=dat,seed=%d,split=test", seed);
        snprintf(twin, sizeof twin, "variant=twin,seed=%d,split=test", seed);
        snprintf(other, sizeof other, "variant=other,seed=%d,split=test", seed);
        cr_expect_str_eq(cell(&s, effect, twin, "auc"), cell(&s, effect, dat, "auc"));
        cr_expect_str_eq(cell(&s, effect, twin, "train_seconds"), cell(&s, effect, dat, "train_seconds"));
        cr_expect_str_neq(cell(&s, effect, other, "train_seconds"), cell(&s, effect, dat, "train_seconds"));
        snprintf(command, sizeof command,
                 "cd %s/out && cmp models/dat.all.%d.safetensors models/twin.all.%d.safetensors && "
                 "cmp predictions/dat.all.%d.csv predictions/twin.all.%d.csv",
                 s.dir, seed, seed, seed, seed);
        cr_expect_eq(system(command), 0);
    }
    cr_expect(strstr(scratch_read(&s, "out/models/twin.all.1.json"), "\"id\": \"twin\""));
}

Test(sweep, another_experiments_folder_is_refused) {
    write_plan(2000, "variants: [dssm]\ntrain: {epochs: 1}\nmeasure: {candidates: []}\n");
    assert_runs(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir));
    char *before = effect("out");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out --resume --set dssm.dim=8", s.dir, s.dir);
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, "variants.0.options.dim is 16 there and 8 here") && strstr(r.err, "--out"), "%s",
              r.err);
    r = prerank(&s, "run %s/x.yaml --out %s/out --set data.split.test=0.2", s.dir, s.dir);
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, "results of other data"), "%s", r.err);
    cr_expect_str_eq(effect("out"), before, "nothing of it was touched");
    r = prerank(&s, "run %s/x.yaml --out %s", s.dir, s.dir);
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, "is not empty and holds no manifest.json"), "%s", r.err);
}

Test(sweep, a_diverging_run_is_marked_and_the_others_go_on) {
    write_plan(2000, "variants:\n  - mlp: {id: wild, train: {learning_rate: 1e30}}\n  - dssm\n"
                     "train: {epochs: 2}\nmeasure: {candidates: [10], requests: 400, min_seconds: 0}\n");
    assert_runs(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir));
    char *table = effect("out");
    cr_expect_str_eq(cell(&s, table, "variant=wild,split=test", "status"), "failed");
    cr_expect(strstr(cell(&s, table, "variant=wild,split=test", "note"), " at step "), "%s", table);
    cr_expect_str_eq(cell(&s, table, "variant=wild,split=test", "gauc"), "");
    cr_expect_str_eq(cell(&s, table, "variant=dssm,split=test", "status"), "ok");
    cr_expect_eq(count_lines(scratch_read(&s, "out/compute.csv")), 2, "only what was trained is measured");
}

Test(sweep, when_all_runs_fail_so_does_the_command) {
    write_plan(2000, "variants: [mlp]\ntrain: {learning_rate: 1e30}\n");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir);
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, "every run failed"), "%s", r.err);
    cr_expect_eq(count_lines(effect("out")), 3);
}

Test(sweep, gauc_follows_from_the_predictions) {
    write_plan(3000, "variants: [dssm]\ntrain: {epochs: 2}\nmeasure: {candidates: []}\n");
    assert_runs(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir));
    const char *text = scratch_read(&s, "out/predictions/dssm.all.1.csv");
    size_t n = count_lines(text) - 1;
    float *score = calloc(n, sizeof *score);
    uint8_t *label = calloc(n, 1);
    uint32_t *user = calloc(n, sizeof *user);
    unsigned long long last = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned long long row;
        unsigned y;
        text = strchr(text, '\n') + 1;
        cr_assert_eq(sscanf(text, "%llu,%u,%u,%f", &row, &user[i], &y, &score[i]), 4);
        label[i] = (uint8_t)y;
        cr_expect(row < 3000 && (!i || row > last), "the log's rows, in order of time");
        last = row;
    }
    struct gauc g;
    char want[40];
    cr_assert_eq(gauc_compute(score, label, user, n, GAUC_BY_EXPOSURES, &g), 0);
    snprintf(want, sizeof want, "%.9g", g.value);
    cr_expect_str_eq(cell(&s, effect("out"), "variant=dssm,split=test", "gauc"), want);
    gauc_release(&g);
    free(score);
    free(label);
    free(user);
    char command[300];
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/check_predictions.py %s/out", s.dir);
    cr_expect_eq(system(command), 0, "scikit-learn finds other numbers");
}

Test(sweep, ctrl_c_keeps_what_is_finished) {
    write_plan(4000, plan);
    char config[100], out[100];
    snprintf(config, sizeof config, "%s/x.yaml", s.dir);
    snprintf(out, sizeof out, "%s/out", s.dir);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(126);
        execl(prerank_path(), "prerank", "run", config, "--out", out, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 4000 && !scratch_has(&s, "out/runs/dssm.all.1.json"); i++) usleep(5000);
    kill(child, SIGINT);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_expect_eq(WEXITSTATUS(status), 4);
    cr_expect_geq(count_lines(effect("out")), 3);
    cr_expect(strstr(scratch_read(&s, "out/manifest.json"), "\"interrupted\""));
}

/* ---- measuring ---- */

Test(sweep, measured_figures_are_possible) {
    write_plan(2000, "variants: [dssm, mlp]\ntrain: {epochs: 1}\n"
                     "measure: {candidates: [10, 2000], requests: 400, min_seconds: 0, threads: 1}\n");
    assert_runs(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir));
    const char *t = scratch_read(&s, "out/compute.csv");
    static const char *const variants[] = {"dssm", "mlp"}, *const candidates[] = {"10", "2000"};
    for (int v = 0; v < 2; v++)
        for (int c = 0; c < 2; c++) {
            char key[80];
            snprintf(key, sizeof key, "variant=%s,candidates=%s", variants[v], candidates[c]);
            double p50 = atof(cell(&s, t, key, "p50_us")), p99 = atof(cell(&s, t, key, "p99_us"));
            double floor = atof(cell(&s, t, key, "floor_us")), mean = atof(cell(&s, t, key, "mean_us"));
            double qps = atof(cell(&s, t, key, "qps"));
            /* The floor comes from rates measured at another moment, and the larger model runs close to it: on a shared
             * machine only the order of magnitude is certain. */
            cr_expect(0 < floor && floor < 2 * p50 && p50 <= p99, "%s: floor %g p50 %g p99 %g", key, floor,
                      p50, p99);
            cr_expect(qps <= 1e6 / mean && qps > 0.8e6 / mean, "%s: %g QPS, mean %g us", key, qps, mean);
            cr_expect_float_eq(atof(cell(&s, t, key, "items_per_second")), qps * atof(candidates[c]),
                               qps * 1e-3);
            cr_expect_str_eq(cell(&s, t, key, "n"), "400");
            cr_expect_str_eq(cell(&s, t, key, "p999_us"), "", "400 samples carry no p99.9");
        }
}

static enum verdict verdict_of(size_t n, double shift) {
    int64_t *x = calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (int64_t)((100000 + (int64_t)(i * 7919 % 1000)) * (i < n / 2 ? 1 : 1 + shift));
    enum verdict v;
    cr_assert_eq(samples_verdict(x, n, &v, NULL), 0);
    free(x);
    return v;
}

Test(sweep, the_verdict_tells_drift_and_too_few_samples) {
    cr_expect_eq(verdict_of(1000, 0), VERDICT_OK);
    cr_expect_eq(verdict_of(1000, 0.04), VERDICT_OK);
    cr_expect_eq(verdict_of(1000, 0.07), VERDICT_UNSTABLE);
    cr_expect_eq(verdict_of(1000, -0.07), VERDICT_UNSTABLE);
    cr_expect_eq(verdict_of(50, 0), VERDICT_INSUFFICIENT);
}
