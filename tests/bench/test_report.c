#include "base/str.h"
#include "bench/report/report.h"
#include "tests/bench/results.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(report, .init = setup, .fini = teardown);

static const char *page_of(void) {
    struct err e = ERR_INIT;
    cr_assert_eq(report_write_plain(s.dir, &e), 0, "%s", e.msg);
    return scratch_read(&s, "report.html");
}

static const char *terminal(void) {
    char *text = NULL;
    size_t n;
    struct err e = ERR_INIT;
    FILE *f = open_memstream(&text, &n);
    cr_assert_eq(report_table(s.dir, f, &e), 0, "%s", e.msg);
    fclose(f);
    char *copy = arena_strdup(&s.arena, text);
    free(text);
    return copy;
}

#define EXPECT_HAS(text, what)   cr_expect(strstr(text, what), "\"%s\" is missing", what)
#define EXPECT_LACKS(text, what) cr_expect_not(strstr(text, what), "\"%s\" must not be there", what)

/* ---- the page ---- */
Test(report, escapes_what_comes_from_data) {
    results_fixture(&s);
    const char *page = page_of();
    EXPECT_HAS(page, "&lt;b&gt;se,net&lt;/b&gt; &amp; &quot;co&quot; &#39;x&#39;");
    EXPECT_HAS(page, "tiny &lt;i&gt;&quot;test&quot;&lt;/i&gt;");
    EXPECT_HAS(page, "A &amp; B");
    EXPECT_HAS(page, "&lt;try&gt; a lower train.lr");
    EXPECT_LACKS(page, "<b>se,net");
    EXPECT_LACKS(page, "<try>");
    EXPECT_LACKS(page, "<i>\"test");
}

Test(report, asks_nothing_of_the_network) {
    results_fixture(&s);
    struct err e = ERR_INIT;
    cr_assert_eq(report_write(s.dir, &e), 0, "%s", e.msg);
    const char *page = scratch_read(&s, "report.html");
    cr_expect_eq(count_parts(page, "http://") + count_parts(page, "https://"),
                 count_parts(page, "xmlns=\"http://www.w3.org/2000/svg\""));
    EXPECT_LACKS(page, "src=\"");
    EXPECT_LACKS(page, "url(");
    EXPECT_LACKS(page, "@import");
    EXPECT_HAS(page, "default-src 'none'");
}

Test(report, closes_what_it_opens) {
    results_fixture(&s);
    struct err e = ERR_INIT;
    cr_assert_eq(report_write(s.dir, &e), 0, "%s", e.msg);
    const char *page = scratch_read(&s, "report.html");
    static const char *const tag[] = {"table", "tr", "td", "th",      "section", "figure",
                                      "svg",   "g",  "dl", "details", "div",     "p"};
    for (size_t i = 0; i < sizeof tag / sizeof *tag; i++) {
        char open[16], open_with[16], close[16];
        snprintf(open, sizeof open, "<%s>", tag[i]);
        snprintf(open_with, sizeof open_with, "<%s ", tag[i]);
        snprintf(close, sizeof close, "</%s>", tag[i]);
        cr_expect_eq(count_parts(page, open) + count_parts(page, open_with), count_parts(page, close), "<%s>",
                     tag[i]);
    }
}

Test(report, shows_pictures_in_two_layouts) {
    results_fixture(&s);
    struct err e = ERR_INIT;
    cr_assert_eq(report_write(s.dir, &e), 0, "%s", e.msg);
    const char *page = scratch_read(&s, "report.html");
    size_t figures = count_parts(page, "<figure>");
    cr_expect_eq(figures, 2 + 2 + 1 + 4, "two trade-offs, two latencies, GAUC, curves of four variants");
    cr_expect_eq(count_parts(page, "class=\"plot wide\""), figures);
    cr_expect_eq(count_parts(page, "class=\"plot narrow\""), figures);
}

Test(report, shows_missing_numbers_as_dashes) {
    results_fixture(&s);
    const char *page = page_of();
    EXPECT_HAS(page, "<td class=\"n none\">–</td>");
    EXPECT_LACKS(page, ">nan<");
    EXPECT_LACKS(page, ">-nan<");
    EXPECT_LACKS(page, "±nan");
    EXPECT_LACKS(page, "\"nan\"");
}

Test(report, marks_failed_runs_with_their_note) {
    results_fixture(&s);
    const char *page = page_of();
    EXPECT_HAS(page, "Runs that failed");
    EXPECT_HAS(page, "3 of 16 training runs failed");
    EXPECT_HAS(page, "diverged: the loss is NaN at step 812");
    EXPECT_HAS(page, ">2 of 3</td>");
}

Test(report, without_gnuplot_says_how_to_get_it_and_writes_the_rest) {
    results_fixture(&s);
    char *path = arena_strdup(&s.arena, getenv("PATH"));
    setenv("PATH", s.dir, 1);
    struct err e = ERR_INIT;
    int rc = report_write(s.dir, &e);
    setenv("PATH", path, 1);
    cr_assert_eq(rc, ERR_INPUT);
    EXPECT_HAS(e.msg, "gnuplot is not installed");
    EXPECT_HAS(e.msg, "apt-get install gnuplot-nox");
    EXPECT_HAS(e.msg, "--no-plots");
    cr_expect(scratch_has(&s, "tradeoff.csv"));
    EXPECT_HAS(scratch_read(&s, "report.html"), "without pictures");
}

/* ---- the summary ---- */
static const char *summary_of(const char *effect, const char *compute) {
    results_minimal(&s, effect, compute);
    char *page = arena_strdup(&s.arena, page_of());
    char *from = strstr(page, "<p class=\"lead\">"), *to = from ? strstr(from, "</p>") : NULL;
    cr_assert(to);
    *to = '\0';
    return from;
}

Test(report, says_by_how_much_the_best_model_wins_and_what_it_costs) {
    const char *text = summary_of("dssm,all,1,test,0.70,0.69,0.71,ok\ncold,all,1,test,0.75,0.74,0.76,ok\n",
                                  "dssm,all,100,100,200\ncold,all,100,1000,2000\n");
    EXPECT_HAS(text, "<b>cold</b> has the highest GAUC on the test split: 0.7500");
    EXPECT_HAS(text, "That is 0.0500 above the two-tower <b>dssm</b> at 0.7000");
    EXPECT_HAS(text, "the intervals do not overlap");
    EXPECT_HAS(
        text,
        "takes <b>cold</b> <span class=\"nowrap\">1.00 ms</span> at the median, 10 times the two-tower’s");
    EXPECT_HAS(text,
               "2 of the 2 points are on the Pareto front, from the fastest to the best: dssm and cold.");
}

Test(report, says_that_intervals_overlap) {
    const char *text = summary_of("dssm,all,1,test,0.70,0.68,0.72,ok\ncold,all,1,test,0.71,0.69,0.73,ok\n",
                                  "dssm,all,100,100,200\ncold,all,100,101,200\n");
    EXPECT_HAS(text, "the intervals overlap, so these runs do not tell the two apart");
    EXPECT_HAS(text, "about as long as the two-tower");
}

Test(report, does_not_claim_a_difference_without_intervals) {
    const char *text = summary_of("dssm,all,1,test,0.70,,,ok\ncold,all,1,test,0.71,,,ok\n", "");
    EXPECT_HAS(text, "the difference may be chance");
    EXPECT_HAS(text, "No requests were timed");
}

Test(report, says_when_the_two_tower_is_best) {
    const char *text = summary_of("dssm,all,1,test,0.72,,,ok\ncold,all,1,test,0.71,,,ok\n", "");
    EXPECT_HAS(text, "It is the two-tower itself");
}

Test(report, says_when_validation_prefers_another_model) {
    const char *text = summary_of("dssm,all,1,test,0.72,,,ok\ndssm,all,1,valid,0.70,,,ok\n"
                                  "cold,all,1,test,0.71,,,ok\ncold,all,1,valid,0.73,,,ok\n",
                                  "");
    EXPECT_HAS(text, "On the validation split, where a choice belongs, <b>cold</b> leads.");
}

Test(report, says_so_when_every_run_failed) {
    EXPECT_HAS(summary_of("dssm,all,1,test,,,,failed\n", ""), "there is no model to compare");
}

/* ---- the manifest ---- */
Test(report, bears_any_manifest) {
    static const char *const manifest[] = {"{}", "[1, 2]", "{\"config\": 3, \"machine\": null, \"data\": []}",
                                           "{\"config\": {\"measure\": {\"limit_ms\": \"soon\"}, "
                                           "\"variants\": [7, {\"id\": 1, \"variant\": {}}]}}"};
    for (size_t i = 0; i < sizeof manifest / sizeof *manifest; i++) {
        results_minimal(&s, "a,all,1,test,0.7,,,ok\n", "a,all,100,100,200\n");
        scratch_write(&s, "manifest.json", manifest[i]);
        EXPECT_HAS(page_of(), "What ran where");
    }
    scratch_write(&s, "manifest.json", "{\"config\": ");
    struct err e = ERR_INIT;
    cr_expect_eq(report_write_plain(s.dir, &e), ERR_INPUT);
    EXPECT_HAS(e.msg, "manifest.json:1");
}

/* ---- the terminal ---- */
Test(report, prints_the_best_model_first_and_marks_the_front) {
    results_minimal(
        &s,
        "slow,all,1,test,0.71,0.70,0.72,ok\nfast,all,1,test,0.70,0.69,0.71,ok\nbad,all,1,test,0.60,,,ok\n",
        "slow,all,1000,1620,2410\nfast,all,1000,400,500\nbad,all,1000,900,901\n");
    const char *text = terminal();
    EXPECT_HAS(text, "1,000 candidates per request\n");
    EXPECT_HAS(text, "* slow   all           1  0.7100 ±0.0100    –  1.62 ms  2.41 ms");
    EXPECT_HAS(text, "* fast   all");
    EXPECT_HAS(text, "  bad    all           1          0.6000");
    cr_expect_lt(strstr(text, "slow"), strstr(text, "fast"));
    EXPECT_LACKS(text, " \n");
}

Test(report, says_which_measurements_are_not_to_be_trusted) {
    results_minimal(&s, "a,all,1,test,0.7,,,ok\nb,all,1,test,0.7,,,ok\n", "");
    scratch_write(&s, "compute.csv",
                  "variant,features,candidates,p50_us,p99_us,verdict\n"
                  "a,all,100,10,20,unstable\nb,all,100,10,,insufficient samples\na,all,200,10,20,ok\n");
    EXPECT_HAS(terminal(), "  unstable\n");
    EXPECT_HAS(terminal(), "  insufficient samples\n");
    const char *page = page_of();
    EXPECT_HAS(page, "2 of the 3 measurements of response time are not to be trusted");
    EXPECT_HAS(page, "<span class=\"bad\">unstable</span>");
}

Test(report, shows_the_notes_of_runs_that_went_well) {
    results_minimal(&s, "", "");
    scratch_write(
        &s, "effect.csv",
        "variant,features,seed,split,gauc,status,note\na,all,1,test,0.7,ok,one column <was> left out\n");
    const char *page = page_of();
    EXPECT_HAS(page, "one column &lt;was&gt; left out");
    EXPECT_LACKS(page, "Runs that failed");
}

Test(report, never_sends_control_characters_to_the_terminal) {
    results_minimal(&s, "\x1b[31mred,all,1,test,0.71,,,ok\n\x1b[2J,all,1,test,,,,failed\n", "");
    EXPECT_LACKS(terminal(), "\x1b");
}

Test(report, a_missing_file_is_an_error) {
    results_fixture(&s);
    char path[128];
    snprintf(path, sizeof path, "%s/curves.csv", s.dir);
    remove(path);
    struct err e = ERR_INIT;
    cr_expect_eq(report_write_plain(s.dir, &e), ERR_INPUT);
    EXPECT_HAS(e.msg, "curves.csv: there is no such file; `prerank run CONFIG --out");
    cr_expect_not(scratch_has(&s, "report.html"));
}

Test(report, running_out_of_memory_is_an_error_at_every_allocation) {
    results_fixture(&s);
    int rc = ERR_INPUT;
    unsigned long long n = 0;
    while (rc) {
        struct err e = ERR_INIT;
        mem_fail_after(++n);
        rc = report_write_plain(s.dir, &e);
        mem_fail_after(0);
        if (rc) cr_assert_neq(*e.msg, '\0', "allocation %llu failed without a message", n);
        cr_assert_lt(n, 100000);
    }
}
