/* The choice under a budget: honest, explained in figures that others can make again, and made again under another budget. */
#include "bench/select/budget.h"
#include "data/dataset.h"
#include "tests/bench/planted.h"
#include "tests/bench/results.h"
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(choice, .init = setup, .fini = teardown);

/* Turns the label of every test row around, in the dataset itself. */
static void flip_test_labels(void) {
    char path[128];
    struct err e = ERR_INIT;
    struct dataset ds;
    snprintf(path, sizeof path, "%s/data", s.dir);
    cr_assert_eq(dataset_open(path, &ds, &e), 0, "%s", e.msg);
    uint64_t begin = ds.split[SPLIT_TEST].begin, end = ds.split[SPLIT_TEST].end, rows = ds.n_rows;
    dataset_close(&ds);
    snprintf(path, sizeof path, "%s/data/rows/label.npy", s.dir);
    FILE *f = fopen(path, "r+b");
    cr_assert(f && !fseek(f, 0, SEEK_END));
    long head = ftell(f) - (long)rows;
    for (uint64_t i = begin; i < end; i++) {
        fseek(f, head + (long)i, SEEK_SET);
        int label = fgetc(f);
        fseek(f, head + (long)i, SEEK_SET);
        fputc(!label, f);
    }
    fclose(f);
}

Test(choice, the_pick_depends_on_validation_rows_only) {
    planted_write(&s, planted_columns, "", planted_small);
    planted_status(prerank(&s, "run %s/x.yaml --out %s/a --set measure.candidates=[20]", s.dir, s.dir), 0);
    flip_test_labels();
    planted_status(prerank(&s, "run %s/x.yaml --out %s/b --set measure.candidates=[20]", s.dir, s.dir), 0);
    cr_expect_str_eq(planted_chosen(&s, "b", "trained_as"), planted_chosen(&s, "a", "trained_as"));
    cr_expect_str_eq(planted_chosen(&s, "b", "gauc_valid"), planted_chosen(&s, "a", "gauc_valid"));
    cr_expect_gt(atof(planted_chosen(&s, "a", "gauc")), 0.6);
    cr_expect_lt(atof(planted_chosen(&s, "b", "gauc")), 0.4, "the labels were turned around");
}

Test(choice, another_budget_chooses_again_and_one_that_nobody_fits_is_exit_3) {
    planted_write(&s, planted_columns, "", planted_small);
    struct ran r = prerank(&s,
                           "run %s/x.yaml --out %s/out --set measure.candidates=[20] "
                           "--set select.subject_to.n_features=3",
                           s.dir, s.dir);
    planted_status(r, 0);
    cr_expect(strstr(r.out, "n_features <= 3"), "%s", r.out);
    cr_expect_leq(atof(planted_chosen(&s, "out", "n_features")), 3);
    char *before = scratch_read(&s, "out/effect.csv");
    r = prerank(&s, "report %s/out --no-plots --set 'select.subject_to.n_features=<= 1'", s.dir);
    planted_status(r, 0);
    cr_expect_str_eq(planted_chosen(&s, "out", "n_features"), "1");
    cr_expect_str_eq(scratch_read(&s, "out/effect.csv"), before, "nothing was run again");
    cr_expect(strstr(scratch_read(&s, "out/report.html"), "n_features &lt;= 1"));
    r = prerank(&s, "report %s/out --no-plots --set select.subject_to.p99_ms=0.000001", s.dir);
    planted_status(r, 3);
    cr_expect(strstr(r.err, "no model fits the budget") && strstr(r.err, "the closest is"), "%s", r.err);
    cr_expect_str_eq(planted_chosen(&s, "out", "features"), "");
    r = prerank(&s,
                "run %s/x.yaml --out %s/out --resume --set measure.candidates=[20] "
                "--set select.subject_to.qps=1e12",
                s.dir, s.dir);
    planted_status(r, 3);
    cr_expect(scratch_has(&s, "out/report.html"), "the report is there all the same");
    r = prerank(&s,
                "run %s/x.yaml --out %s/out --resume --set measure.candidates=[20] --no-report "
                "--set select.subject_to.qps=1e12",
                s.dir, s.dir);
    planted_status(r, 3);
    cr_expect(strstr(r.err, "the closest is") && !*r.out, "%s\n%s", r.out, r.err);
    r = prerank(&s,
                "run %s/x.yaml --out %s/out --resume --set measure.candidates=[] --no-report "
                "--set select.subject_to.n_features=3",
                s.dir, s.dir);
    planted_status(r, 3);
    cr_expect(strstr(r.err, "Nothing was timed"), "%s", r.err);
    cr_expect(strstr(r.err, "the exit code will be 3"), "said before it trains: %s", r.err);
    r = prerank(&s,
                "check %s/x.yaml --set measure.load=[closed,usable] --set measure.limit_ms=10 "
                "--set select.subject_to.qps=5 --set select.subject_to.p99_ms=%d",
                s.dir, 10);
    planted_status(r, 0);
    cr_expect(!strstr(r.err, "tighter") && !strstr(r.err, "exit code"), "%s", r.err);
    r = prerank(&s,
                "check %s/x.yaml --set measure.load=[closed,usable] --set measure.limit_ms=10 "
                "--set select.subject_to.qps=5 --set select.subject_to.p99_ms=%d",
                s.dir, 5);
    planted_status(r, 0);
    cr_expect(strstr(r.err, "measure.limit_ms=5"), "%s", r.err);
    r = prerank(&s, "report %s/out --set train.batch=3", s.dir);
    planted_status(r, 2);
    r = prerank(&s, "report %s/out --set select.subject_to.p98_ms=3", s.dir);
    planted_status(r, 2);
    cr_expect(strstr(r.err, "unknown key `p98_ms`"), "%s", r.err);
}

Test(choice, the_choice_and_every_figure_of_its_explanation_equal_pandas_and_scipy) {
    planted_write(&s, planted_columns, "", planted_small);
    planted_status(prerank(&s,
                           "run %s/x.yaml --out %s/out --set measure.precision=[fp32,int8] "
                           "--set measure.store=[memory,lmdb] --set measure.recall_requests=0 "
                           "--set select.subject_to.n_features=3",
                           s.dir, s.dir),
                   0);
    char command[128];
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/check_choice.py %s/out >&2", s.dir);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "out/chosen.json"));
    /* A budget that costs nothing, and one that nothing fits. */
    planted_status(prerank(&s, "report %s/out --no-plots --set select.subject_to.n_features=100", s.dir), 0);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "out/chosen.json"));
    planted_status(prerank(&s, "report %s/out --no-plots --set select.subject_to.qps=1e12", s.dir), 3);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "out/chosen.json"));
}

/* ---- what the pick is made of ---- */

/* Three models of which a is the best and c the worst, with the rows of compute.csv; then another budget for them. */
static struct ran choose_of(const char *rows, const char *budget) {
    results_minimal(&s,
                    "a,all,1,test,0.73,,,ok\na,all,1,valid,0.73,,,ok\nb,all,1,test,0.72,,,ok\n"
                    "b,all,1,valid,0.72,,,ok\nc,all,1,test,0.71,,,ok\nc,all,1,valid,0.71,,,ok\n",
                    "");
    char text[1200];
    snprintf(
        text, sizeof text,
        "variant,features,precision,store,candidates,threads,load,qps,p50_us,p99_us,verdict,limit_ms\n%s",
        rows);
    scratch_write(&s, "compute.csv", text);
    return prerank(&s, "report %s --no-plots %s", s.dir, budget);
}

static json_t *first_choice(void) {
    json_t *j = json_loads(scratch_read(&s, "chosen.json"), 0, NULL);
    json_t *c = json_incref(json_array_get(json_object_get(j, "choices"), 0));
    json_decref(j);
    return c;
}

#define CLOSED(id, verdict)      id ",all,fp32,memory,100,1,closed,9000,100,200," verdict ",10\n"
#define USABLE(id, qps, verdict) id ",all,fp32,memory,100,1,usable," qps ",300,9000," verdict ",10\n"

Test(choice, a_usable_rate_is_said_to_be_of_the_limit_at_which_it_was_searched) {
    static const char rows[] =
        CLOSED("a", "ok") USABLE("a", "2500", "ok") CLOSED("b", "ok") USABLE("b", "1500", "ok");
    struct ran r = choose_of(rows, "--set select.subject_to.qps=2000 --set select.subject_to.p99_ms=10");
    planted_status(r, 0);
    cr_expect(strstr(r.out, "(QPS usable at 10 ms): 1 of 2 points fit") &&
                  strstr(r.out, "2,500 QPS usable at 10 ms"),
              "%s", r.out);
    cr_expect(!strstr(r.out, "was not measured"), "%s", r.out);
    r = choose_of(rows, "--set select.subject_to.qps=2000 --set select.subject_to.p99_ms=5");
    planted_status(r, 0);
    cr_expect(strstr(r.out, "usable at the budget's own p99 was not measured") &&
                  strstr(r.out, "measure.limit_ms=5"),
              "%s", r.out);
    json_t *c = first_choice();
    cr_expect_eq(json_number_value(json_object_get(c, "qps_limit_ms")), 10);
    cr_expect_eq(json_number_value(json_object_get(json_object_get(c, "chosen"), "usable_limit_ms")), 10);
    json_decref(c);
    r = choose_of(rows, "--set select.subject_to.qps=2000 --set measure.limit_ms=5");
    planted_status(r, 0);
    cr_expect(strstr(r.out, "was not measured"), "%s", r.out);
}

Test(choice, verdicts_stand_beside_what_they_are_about_and_missing_items_are_not_chosen) {
    struct ran r =
        choose_of(CLOSED("a", "items missing") CLOSED("b", "unstable") USABLE("b", "3000", "invalid")
                      CLOSED("c", "ok") USABLE("c", "0", "overloaded"),
                  "--set select.subject_to.p99_ms=1");
    planted_status(r, 0);
    json_t *c = first_choice(), *pick = json_object_get(c, "chosen");
    cr_expect_str_eq(json_string_value(json_object_get(pick, "variant")), "b");
    cr_expect_str_eq(json_string_value(json_object_get(pick, "verdict")), "unstable");
    cr_expect_str_eq(json_string_value(json_object_get(pick, "usable_verdict")), "invalid");
    cr_expect_eq(json_integer_value(json_object_get(c, "points")), 2);
    cr_expect_eq(json_integer_value(json_object_get(c, "doubtful")), 1);
    cr_expect_eq(json_integer_value(json_object_get(c, "incomplete")), 1);
    const char *text = json_string_value(json_object_get(c, "explanation"));
    static const char *const want[] = {"p99 200 µs (verdict: unstable)",
                                       "3,000 QPS usable at 10 ms (verdict: invalid)",
                                       "verdict on 1 of the 2 is not `ok`", "1 more cannot be chosen"};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_expect(strstr(text, want[i]), "%s\n%s", want[i], text);
    json_decref(c);
    r = choose_of(CLOSED("a", "items missing"), "--set select.subject_to.p99_ms=1");
    planted_status(r, 3);
    cr_expect(strstr(r.err, "No point fits"), "%s", r.err);
}

/* Each K with a time in fp32 and a shorter one in int8, whose quality is another. */
Test(choice, the_area_over_response_time_pairs_times_with_the_quality_of_their_precision) {
    results_minimal(&s,
                    "a,se-1,1,test,0.60,,,ok\na,se-1,1,valid,0.60,,,ok\na,se-2,1,test,0.70,,,ok\n"
                    "a,se-2,1,valid,0.70,,,ok\na,se-3,1,test,0.65,,,ok\na,se-3,1,valid,0.65,,,ok\n",
                    "");
    scratch_write(&s, "subsets.csv",
                  "variant,selector,k,features,trained_as,n_fields,fields\na,se,1,se-1,se-1,1,x\n"
                  "a,se,2,se-2,se-2,2,x y\na,se,3,se-3,se-3,3,x y z\n");
    scratch_write(&s, "importance.csv", "variant,selector,seed,field,importance\n");
    static const char head[] = "variant,features,precision,candidates,p50_us\n",
                      lower[] = "a,se-1,int8,10,50\na,se-2,int8,10,60\na,se-3,int8,10,150\n",
                      exact[] = "a,se-1,fp32,10,100\na,se-2,fp32,10,200\na,se-3,fp32,10,300\n";
    char text[400];
    scratch_write(&s, "precision.csv",
                  "variant,features,precision,seed,split,gauc_delta\na,se-1,int8,1,test,-0.1\n"
                  "a,se-2,int8,1,test,-0.1\na,se-3,int8,1,test,-0.1\n");
    for (int both = 0; both < 2; both++) {
        snprintf(text, sizeof text, "%s%s%s", head, lower, both ? exact : "");
        scratch_write(&s, "compute.csv", text);
        struct ran r = prerank(&s, "report %s --no-plots", s.dir);
        planted_status(r, 0);
        double area = atof(cell(&s, scratch_read(&s, "selection.csv"), "selector=se", "area_rt")),
               want = both ? (.60 + .70) / 2 : (.60 * 10 + .70 * 90) / 100 - .1;
        cr_expect_float_eq(area, want, 1e-6, "%g, not %g", area, want);
    }
}

Test(choice, a_budget_that_is_about_nothing_that_was_timed_is_exit_3) {
    struct ran r = choose_of(CLOSED("a", "ok"), "--set select.subject_to.candidates=5000");
    planted_status(r, 3);
    cr_expect(strstr(r.err, "No point has candidates == 5000; timed: 100"), "%s", r.err);
    cr_expect(strstr(r.out, "No point has candidates == 5000"), "%s", r.out);
    cr_expect(strstr(scratch_read(&s, "report.html"), "No point has candidates == 5000"));
    cr_expect(strstr(scratch_read(&s, "chosen.json"), "No point has candidates == 5000"));
    r = choose_of(CLOSED("a", "ok"), "--set 'select.subject_to.candidates=<= 100'");
    planted_status(r, 0);
    r = choose_of("", "--set select.subject_to.p99_ms=5");
    planted_status(r, 3);
    cr_expect(strstr(r.err, "Nothing was timed"), "%s", r.err);
    r = choose_of("", "");
    planted_status(r, 0);
}

/* ---- budgets ---- */

Test(budget, bare_numbers_take_the_direction_of_their_kind) {
    struct budget_options o;
    struct budget b;
    struct str text = STR_INIT;
    struct err e = ERR_INIT;
    opt_defaults(budget_opts, &o);
    strcpy(o.text[BUDGET_P99], "5");
    strcpy(o.text[BUDGET_QPS], ">2000");
    strcpy(o.text[BUDGET_ITEMS], "2M");
    strcpy(o.text[BUDGET_CANDIDATES], "1000");
    cr_assert_eq(budget_parse(&o, &b, &e), 0, "%s", e.msg);
    budget_text(&b, &text);
    cr_expect_str_eq(text.p, "p99_ms <= 5 and qps > 2000 and items_per_second >= 2000000");
    str_release(&text);
    cr_expect(budget_covers(&b, 1000) && !budget_covers(&b, 100));
    double v[BUDGET_METRICS] = {
        [BUDGET_P99] = 5, [BUDGET_QPS] = 2001, [BUDGET_ITEMS] = 2e6, [BUDGET_CANDIDATES] = 1000};
    cr_expect(budget_keeps(&b, v));
    cr_expect_eq(budget_excess(&b, v), 1);
    v[BUDGET_QPS] = 2000;
    cr_expect(!budget_keeps(&b, v), "not more than itself");
    v[BUDGET_QPS] = 1000;
    v[BUDGET_P99] = 15;
    cr_expect_float_eq(budget_excess(&b, v), 6, 1e-12, "twice too few, three times too slow");
    v[BUDGET_P99] = (double)NAN;
    cr_expect(!budget_keeps(&b, v) && isinf(budget_excess(&b, v)), "what was not measured fits no budget");
}

Test(budget, nonsense_is_refused) {
    static const char *const bad[] = {"soon", "<=", "<= -1", "=> 5", "5 ms"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct budget_options o;
        struct budget b;
        struct err e = ERR_INIT;
        opt_defaults(budget_opts, &o);
        strcpy(o.text[BUDGET_P99], bad[i]);
        cr_expect_eq(budget_parse(&o, &b, &e), ERR_INPUT, "%s", bad[i]);
        cr_expect(strstr(e.msg, bad[i]) && strstr(e.msg, "p99_ms"), "%s", e.msg);
    }
}
