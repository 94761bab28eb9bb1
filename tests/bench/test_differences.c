/* differences.csv: each model against the first one, paired by user and by seed. */
#include "bench/report/report.h"
#include "bench/results.h"
#include "tests/bench/results.h"
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct scratch s;
static void setup(void) {
    scratch_make(&s);
    char path[128];
    snprintf(path, sizeof path, "%s/predictions", s.dir);
    cr_assert_eq(mkdir(path, 0700), 0);
}
static void teardown(void) { scratch_remove(&s); }
TestSuite(differences, .init = setup, .fini = teardown);

enum { USERS = 40 };

/* User u has u % 3 + 1 clicked rows and one that was not clicked, whose score beats `above` of them: AUC = 1 - above/clicked.
 */
static void predictions(const char *run, int above) {
    char text[USERS * 4 * 32], name[64];
    int n = snprintf(text, sizeof text, "row,user,label,score\n"), row = 0;
    for (int u = 0; u < USERS; u++) {
        int clicked = u % 3 + 1;
        for (int k = 0; k < clicked; k++)
            n += snprintf(text + n, sizeof text - (size_t)n, "%d,%d,1,%d\n", row++, u + 1, k);
        n += snprintf(text + n, sizeof text - (size_t)n, "%d,%d,0,%g\n", row++, u + 1,
                      (above < clicked ? above : clicked) - 0.5);
    }
    snprintf(name, sizeof name, "predictions/%s.csv", run);
    scratch_write(&s, name, text);
}

/* GAUC of these: weights are rows. */
static double gauc(int above) {
    double sum = 0, weight = 0;
    for (int u = 0; u < USERS; u++) {
        double clicked = u % 3 + 1;
        sum += (clicked + 1) * (1 - fmin(above, clicked) / clicked);
        weight += clicked + 1;
    }
    return sum / weight;
}

static const char *report(const char *effect) {
    struct err e = ERR_INIT;
    results_minimal(&s, effect, "");
    cr_assert_eq(report_write_plain(s.dir, &e), 0, "%s", e.msg);
    return scratch_read(&s, "report.html");
}

static double number(const char *variant, const char *column) {
    char key[64];
    snprintf(key, sizeof key, "variant=%s", variant);
    return atof(cell(&s, scratch_read(&s, "differences.csv"), key, column));
}

Test(differences, are_paired_by_user_and_by_seed) {
    predictions("a.all.1", 1);
    predictions("a.all.2", 3);
    predictions("b.all.2", 0); /* read in another order, and with a seed that `a` does not have */
    predictions("b.all.1", 0);
    predictions("b.all.3", 3);
    predictions("c.all.1", 1);
    const char *page = report("a,all,1,test,0.7,,,ok\na,all,2,test,0.7,,,ok\nb,all,2,test,0.7,,,ok\n"
                              "b,all,1,test,0.7,,,ok\nb,all,3,test,0.7,,,ok\nc,all,1,test,0.7,,,ok\n");
    double by_seed[] = {gauc(0) - gauc(1), gauc(0) - gauc(3)}, mean = (by_seed[0] + by_seed[1]) / 2,
           half = 12.706204736 * fabs(by_seed[0] - by_seed[1]) / 2; /* t quantile of 1 degree of freedom */
    cr_expect(!strncmp(scratch_read(&s, "differences.csv"), RESULTS_DIFFERENCES_COLUMNS "\n",
                       sizeof RESULTS_DIFFERENCES_COLUMNS));
    cr_expect_eq(number("b", "seeds"), 2);
    cr_expect_eq(number("b", "users"), USERS);
    cr_expect_float_eq(number("b", "difference"), mean, 1e-7, "%g, not %g", number("b", "difference"), mean);
    cr_expect_float_eq(number("b", "seeds_lo"), mean - half, 1e-6);
    cr_expect_float_eq(number("b", "seeds_hi"), mean + half, 1e-6);
    cr_expect(number("b", "lo") < mean && mean < number("b", "hi") && number("b", "lo") > 0);
    cr_expect_float_eq(number("b", "p_users"), 2.0 / 2001, 1e-6);
    cr_expect_float_eq(number("b", "p_holm"), 4.0 / 2001, 1e-6);
    cr_expect_eq(number("c", "difference"), 0);
    cr_expect_eq(number("c", "p_holm"), 1);
    const char *table = scratch_read(&s, "differences.csv");
    cr_expect_str_eq(cell(&s, table, "variant=b", "verdict"), "not told apart", "two seeds differ too much");
    cr_expect_str_eq(cell(&s, table, "variant=c", "seeds_lo"), "", "one seed has no interval");
    cr_expect(strstr(page, "<section id=\"differences\">"));
}

/* Both times the means of the seeds differ by the same in effect.csv, whose intervals do not overlap. */
Test(differences, decide_whether_the_summary_tells_the_best_model_from_the_two_tower) {
    static const char effect[] = "dssm,all,1,test,0.60,,,ok\ndssm,all,2,test,0.6001,,,ok\n"
                                 "mlp,all,1,test,0.70,,,ok\nmlp,all,2,test,0.7001,,,ok\n",
                      doubt[] = "these runs do not tell the two apart",
                      paired[] = "; paired, the difference is ";
    predictions("dssm.all.1", 2);
    predictions("dssm.all.2", 2);
    predictions("mlp.all.1", 1);
    predictions("mlp.all.2", 1);
    const char *page = report(effect);
    char want[64];
    snprintf(want, sizeof want, "%+.4f … %+.4f</span> over users", number("mlp", "lo"), number("mlp", "hi"));
    cr_expect(strstr(page, paired) && strstr(page, want) && !strstr(page, doubt), "%s", want);
    predictions("mlp.all.2", 3);
    page = report(effect);
    snprintf(want, sizeof want, "%+.4f … %+.4f</span> over seeds", number("mlp", "seeds_lo"),
             number("mlp", "seeds_hi"));
    cr_expect(strstr(page, paired) && strstr(page, want) && strstr(page, doubt), "%s", want);
    char command[128];
    snprintf(command, sizeof command, "rm %s/predictions/*.csv", s.dir);
    cr_assert_eq(system(command), 0);
    page = report(effect);
    cr_expect(!strstr(page, paired) && strstr(page, "; the intervals do not overlap. "));
}

Test(differences, say_better_and_worse_when_users_and_seeds_agree) {
    predictions("a.all.1", 2);
    predictions("a.all.2", 2);
    predictions("b.all.1", 1);
    predictions("b.all.2", 1);
    predictions("c.all.1", 3);
    predictions("c.all.2", 3);
    report("a,all,1,test,0.7,,,ok\na,all,2,test,0.7,,,ok\nb,all,1,test,0.7,,,ok\nb,all,2,test,0.7,,,ok\n"
           "c,all,1,test,0.7,,,ok\nc,all,2,test,0.7,,,ok\n");
    const char *table = scratch_read(&s, "differences.csv");
    cr_expect_str_eq(cell(&s, table, "variant=b", "verdict"), "better");
    cr_expect_str_eq(cell(&s, table, "variant=c", "verdict"), "worse");
}

/* The model in int8 ranks worse than the fp32 one by as much as the predictions say, and only it fits the budget. */
Test(differences, a_model_in_a_lower_precision_is_compared_by_the_scores_of_that_precision) {
    char path[128];
    snprintf(path, sizeof path, "%s/predictions/int8", s.dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    predictions("a.all.1", 0);
    predictions("int8/a.all.1", 1);
    predictions("b.all.1", 3);
    predictions("int8/b.all.1", 2);
    results_minimal(
        &s, "a,all,1,test,0.7,,,ok\na,all,1,valid,0.7,,,ok\nb,all,1,test,0.6,,,ok\nb,all,1,valid,0.6,,,ok\n",
        "");
    scratch_write(&s, "compute.csv",
                  "variant,features,precision,store,candidates,load,qps,p50_us\n"
                  "a,all,fp32,memory,10,closed,9,200\na,all,int8,memory,10,closed,9,100\n"
                  "a,all,int8,lmdb,10,closed,9,150\nb,all,fp32,memory,10,closed,9,190\n"
                  "b,all,int8,memory,10,closed,9,90\n");
    scratch_write(&s, "precision.csv",
                  "variant,features,precision,seed,split,gauc_delta\na,all,int8,1,test,-0.01\n"
                  "a,all,int8,1,valid,-0.01\nb,all,int8,1,test,-0.01\nb,all,int8,1,valid,-0.01\n");
    struct ran r = prerank(&s, "report %s --no-plots --set select.subject_to.p50_ms=0.15", s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    json_t *j = json_loads(scratch_read(&s, "chosen.json"), 0, NULL),
           *c = json_array_get(json_object_get(j, "choices"), 0), *cost = json_object_get(c, "budget_cost"),
           *lead = json_object_get(c, "lead"), *same = json_object_get(c, "same_scores");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(c, "chosen"), "precision")), "int8");
    cr_expect_str_eq(json_string_value(json_object_get(cost, "precision")), "fp32");
    cr_expect_float_eq(json_number_value(json_object_get(cost, "difference")), gauc(0) - gauc(1), 1e-7);
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(c, "runner_up"), "variant")), "b");
    cr_expect_float_eq(json_number_value(json_object_get(lead, "difference")), gauc(1) - gauc(2), 1e-7);
    cr_expect_gt(json_number_value(json_object_get(lead, "lo")), 0);
    cr_expect_eq(json_array_size(same), 1, "the other store");
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(same, 0), "store")), "lmdb");
    char want[200];
    snprintf(
        want, sizeof want,
        "runner-up on validation is b · int8 · memory with 0.5900 there; against it the choice has %+.4f",
        gauc(1) - gauc(2));
    cr_expect(strstr(json_string_value(json_object_get(c, "explanation")), want), "%s\n%s", want,
              json_string_value(json_object_get(c, "explanation")));
    json_decref(j);
}

Test(differences, nothing_is_said_of_what_could_not_be_compared) {
    results_minimal(
        &s, "a,all,1,test,0.7,,,ok\na,all,1,valid,0.7,,,ok\nb,all,1,test,0.6,,,ok\nb,all,1,valid,0.6,,,ok\n",
        "a,all,10,5,6\nb,all,10,5,6\n");
    struct ran r = prerank(&s, "report %s --no-plots --set select.subject_to.p50_ms=1", s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    const char *text = scratch_read(&s, "chosen.json");
    cr_expect(strstr(text, "There are no predictions/ by which") && !strstr(text, "tell every other"), "%s",
              text);
}

/* `a` is compared with b and c, and so on; p is corrected within each table: by two, not by four. */
Test(differences, are_a_table_for_each_model_that_compare_with_names) {
    for (int seed = 1; seed <= 2; seed++) {
        char run[32];
        for (int k = 0; k < 3; k++) {
            snprintf(run, sizeof run, "%c.all.%d", "abc"[k], seed);
            predictions(run, 3 - k);
        }
    }
    scratch_write(&s, "manifest.json", "{\"config\": {\"compare_with\": [\"c\", \"a\", \"failed\"]}}");
    const char *effect = "a,all,1,test,0.7,,,ok\na,all,2,test,0.7,,,ok\nb,all,1,test,0.7,,,ok\n"
                         "b,all,2,test,0.7,,,ok\nc,all,1,test,0.7,,,ok\nc,all,2,test,0.7,,,ok\n",
               *page = report(effect), *table = scratch_read(&s, "differences.csv");
    static const struct {
        const char *key;
        int model, against;
    } rows[] = {{"variant=a,against=c", 3, 1},
                {"variant=b,against=c", 2, 1},
                {"variant=b,against=a", 2, 3},
                {"variant=c,against=a", 1, 3}};
    for (size_t i = 0; i < 4; i++) {
        cr_expect_float_eq(atof(cell(&s, table, rows[i].key, "difference")),
                           gauc(rows[i].model) - gauc(rows[i].against), 1e-7, "%s", rows[i].key);
        cr_expect_float_eq(atof(cell(&s, table, rows[i].key, "p_holm")), 2 * 2.0 / 2001, 1e-6);
    }
    cr_expect_eq(count_lines(table), 1 + 4);
    cr_expect(strstr(page, "<h3>Against c</h3>") && strstr(page, "<h3>Against a</h3>"));
    struct ran r = prerank(&s, "report %s --no-plots --set compare_with=[b]", s.dir);
    cr_expect_eq(r.status, 0, "%s", r.err);
    table = scratch_read(&s, "differences.csv");
    cr_expect(count_lines(table) == 3 && strstr(table, "\na,all,b,all,2,"), "%s", table);
    r = prerank(&s, "report %s --no-plots --set compare_with=d", s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "no variant in") && strstr(r.err, "\"d\""), "%s", r.err);
}

Test(differences, need_predictions_of_the_same_rows) {
    const char *effect = "a,all,1,test,0.7,,,ok\nb,all,1,test,0.7,,,ok\n";
    predictions("b.all.1", 1);
    cr_expect_not(strstr(report(effect), "id=\"differences\""));
    cr_expect_not(scratch_has(&s, "differences.csv"));
    predictions("a.all.1", 1);
    cr_expect(strstr(report(effect), "id=\"differences\""));
    scratch_write(&s, "predictions/a.all.1.csv", "row,user,label,score\n0,1,1,x\n");
    struct err e = ERR_INIT;
    cr_expect_eq(report_write_plain(s.dir, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "a.all.1.csv:2"), "%s", e.msg);
}
