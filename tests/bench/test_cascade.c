/* The models in front of the ranker, through the program. */
#include "bench/results.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(cascade_run, .init = setup, .fini = teardown, .timeout = 120);

static const char times[] = "train_seconds,examples_per_second";

static void write_plan(const char *variants, const char *measure) {
    char rest[800];
    snprintf(rest, sizeof rest,
             "variants: %s\nseeds: [1, 2]\ntrain: {batch: 128, epochs: 2}\n"
             "measure: {candidates: [10], skip_zeros: false, requests: 400, min_seconds: 0, recall_k: 10, "
             "recall_m: 5, "
             "recall_candidates: 30, cascade_k: [20, 5, 10, 400]%s}\n",
             variants, measure);
    scratch_write(&s, "x.yaml", small_experiment(&s, 3000, rest));
}

static void run(const char *out, const char *more) {
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/%s --no-report %s", s.dir, s.dir, out, more);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
}

static double number(const char *file, const char *key, const char *column) {
    return atof(cell(&s, scratch_read(&s, file), key, column));
}

Test(cascade_run, fills_ranker_recall_the_same_with_any_number_of_threads_and_after_resume) {
    char *first = NULL;
    write_plan("[dssm, mlp, cold]", "");
    for (int threads = 1; threads <= 8; threads *= threads == 1 ? 2 : 4) {
        char out[20], name[40], more[40];
        snprintf(out, sizeof out, "out%d", threads);
        snprintf(name, sizeof name, "%s/effect.csv", out);
        snprintf(more, sizeof more, "--threads %d", threads);
        run(out, more);
        char *now = without_columns(&s, scratch_read(&s, name), times);
        if (!first) first = now;
        cr_expect_str_eq(now, first, "%d threads", threads);
    }
    char *before = scratch_read(&s, "out1/effect.csv");
    run("out1", "--resume");
    cr_expect_str_eq(scratch_read(&s, "out1/effect.csv"), before);
    cr_expect_str_eq(cell(&s, before, "variant=dssm,seed=1,split=valid", "ranker_recall"), "");
    double r = number("out1/effect.csv", "variant=dssm,seed=2,split=test", "ranker_recall");
    cr_expect(r > .2 && r < 1, "%g", r);
}

Test(cascade_run, rows_agree_with_each_other) {
    static const char *const k[] = {"5", "10", "20", "30"};
    const char file[] = "out/cascade.csv";
    write_plan("[dssm, mlp]", ", ranker: mlp");
    run("out", "");
    const char *t = scratch_read(&s, file);
    cr_expect_eq(strncmp(t, RESULTS_CASCADE_COLUMNS, strlen(RESULTS_CASCADE_COLUMNS)), 0);
    cr_expect_eq(count_lines(t), 1 + 4 + 1, "dssm keeps 5, 10, 20 or all 30; mlp is the ranker");
    double recall = 0, kept = 0, floor = number(file, "variant=mlp", "floor_us") * 5 / 30;
    double peak = 1e3 * atof(strstr(scratch_read(&s, "out/manifest.json"), "\"peak_gflops\":") + 14);
    for (int i = 0; i < 4; i++) {
        char key[60];
        snprintf(key, sizeof key, "variant=dssm,k=%s", k[i]);
        cr_expect(number(file, key, "ranker_recall") >= recall && number(file, key, "clicks_kept") >= kept);
        recall = number(file, key, "ranker_recall");
        kept = number(file, key, "clicks_kept");
        cr_expect_float_eq(number(file, key, "total_us"),
                           number(file, key, "pre_us") + number(file, key, "ranker_us"), 1e-3);
        cr_expect_float_eq(number(file, key, "total_flops"),
                           number(file, key, "pre_flops") + number(file, key, "ranker_flops"), 1);
        cr_expect(number(file, key, "ranker_us") > 0 && number(file, key, "pre_us") > 0);
        cr_expect_geq(number(file, key, "floor_us"), number(file, key, "total_flops") / peak);
        cr_expect(number(file, key, "floor_us") > floor &&
                  number(file, key, "floor_us") < number(file, key, "total_us"));
        floor = number(file, key, "floor_us");
        cr_expect(number(file, key, "ndcg10_lo") <= number(file, key, "ndcg10"));
    }
    cr_expect(recall == 1 && kept == 1, "who keeps all keeps the best");
    cr_expect_float_eq(number(file, "variant=dssm,k=30", "ndcg10"),
                       number("out/cascade.csv", "variant=dssm,k=30", "ndcg10"), 0);
    cr_expect_float_eq(number(file, "variant=dssm,k=30", "ndcg10"), number(file, "variant=mlp", "ndcg10"), 0,
                       "and the list is the ranker's");
    cr_expect_str_eq(cell(&s, t, "variant=mlp", "pre_us"), "0");
    cr_expect(number(file, "variant=mlp", "floor_us") > 0 && number(file, "variant=mlp", "floor_us") < floor,
              "the ranker alone has no first stage");
    /* recall_k is one of the k: the mean of effect.csv's two seeds */
    double mean = (number("out/effect.csv", "variant=dssm,seed=1,split=test", "ranker_recall") +
                   number("out/effect.csv", "variant=dssm,seed=2,split=test", "ranker_recall")) /
                  2;
    cr_expect_float_eq(number(file, "variant=dssm,k=10", "ranker_recall"), mean, 1e-8);
    cr_expect_eq(number("out/effect.csv", "variant=mlp,seed=1,split=test", "ranker_recall"), 1);
}

Test(cascade_run, has_nothing_to_say_without_a_ranker) {
    write_plan("[dssm]", "");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    cr_expect(strstr(r.err, "no ranker was trained"), "%s", r.err);
    cr_expect_eq(count_lines(scratch_read(&s, "out/cascade.csv")), 1);
    cr_expect_str_eq(cell(&s, scratch_read(&s, "out/effect.csv"), "seed=1,split=test", "ranker_recall"), "");
}

Test(cascade_run, refuses_what_does_not_fit) {
    static const struct {
        const char *measure, *says;
    } bad[] = {{", ranker: mpl", "did you mean \"mlp\""},
               {", load: [open]", "`load` must name closed too"},
               {", load: [closed, usable]", "set `limit_ms`"},
               {", load: [closed, open], utilisation: []", "set `offered_qps` or `utilisation`"},
               {", candidates_from: \"uniform:9:5\"", "is no distribution of candidates"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_plan("[dssm, mlp]", bad[i].measure);
        struct ran r = prerank(&s, "check %s/x.yaml", s.dir);
        cr_expect_eq(r.status, 2);
        cr_expect(strstr(r.err, "x.yaml:") && strstr(r.err, bad[i].says), "%s", r.err);
    }
}

Test(cascade_run, other_loads_are_rows_of_their_own) {
    write_plan("[mlp]",
               ", load: [closed, open, usable], limit_ms: 50, offered_qps: [300], open_seconds: 0.5, "
               "probe_seconds: 0.05, candidates_from: \"uniform:5:15\", recall_requests: 0");
    run("out", "");
    const char *t = scratch_read(&s, "out/compute.csv");
    cr_expect_eq(count_lines(t), 1 + 2 * 3);
    const char *open = "load=open,candidates=10";
    cr_expect_str_eq(cell(&s, t, open, "offered_qps"), "300");
    cr_expect(atoi(cell(&s, t, open, "n")) >= 10); /* 150, unless the machine is all but stopped */
    double mean = number("out/compute.csv", open, "mean_us"),
           wait = number("out/compute.csv", open, "wait_us"),
           service = number("out/compute.csv", open, "service_us");
    cr_expect(mean >= wait + service && service > 0, "%g %g %g", mean, wait, service);
    cr_expect_float_eq(number("out/compute.csv", open, "utilisation"), 300 * service / 1e6, 1e-6);
    cr_expect(number("out/compute.csv", "load=usable", "qps") >= 0);
    cr_expect_str_eq(cell(&s, t, "load=usable", "limit_ms"), "50");
    cr_expect_str_eq(cell(&s, t, "candidates_from=uniform:5:15", "load"), "closed");
    cr_expect(strstr(scratch_read(&s, "out/manifest.json"), "\"closed_p50_ns\""));
    cr_expect_eq(count_lines(scratch_read(&s, "out/cascade.csv")), 1);
}

Test(cascade_run, the_report_shows_the_cascade_and_the_loads) {
    write_plan("[dssm, mlp]", ", load: [closed, open], offered_qps: [200], open_seconds: 0.2");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    const char *page = scratch_read(&s, "out/report.html");
    cr_expect(strstr(page, "<section id=\"cascade\">") && strstr(page, "<section id=\"load\">"));
    cr_expect(strstr(page, "href=\"#cascade\"") && strstr(page, "href=\"#load\""));
    static const char *const pictures[] = {"out/plots/cascade-k.svg", "out/plots/cascade-cost.svg",
                                           "out/plots/cascade-cost-narrow.svg", "out/plots/cascade-k.png"};
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        cr_expect(scratch_has(&s, pictures[i]), "%s", pictures[i]);
    char first[60];
    snprintf(first, sizeof first, "%.4f", number("out/cascade.csv", "variant=dssm,k=5", "ndcg10"));
    cr_expect(strstr(strstr(page, "<section id=\"cascade\">"), first), "its NDCG %s stands in the table",
              first);
}
