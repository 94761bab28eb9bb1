/* The ladder of the engine's steps, through the program. */
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(ladder, .init = setup, .fini = teardown, .timeout = 120);

static const char *run_ladder(const char *ladder) {
    char rest[400];
    snprintf(rest, sizeof rest,
             "variants: [mlp, dcn]\ntrain: {epochs: 1}\n"
             "measure: {candidates: [50], requests: 400, min_seconds: 0, ladder: %s}\n",
             ladder);
    scratch_write(&s, "x.yaml", small_experiment(&s, 1000, rest));
    struct ran r = prerank(&s, "run %s/x.yaml --threads 2 --out %s/out", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    return r.err;
}

static double number(const char *table, const char *variant, const char *step, const char *column) {
    char key[120];
    snprintf(key, sizeof key, "variant=%s,step=%s", variant, step);
    return atof(cell(&s, table, key, column));
}

Test(ladder, every_step_is_timed_on_the_same_requests_and_keeps_the_scores) {
    static const char *const exact[] = {"cut graph",
                                        "item partial products",
                                        "tables of pair products",
                                        "pair features by column",
                                        "fused blocks",
                                        "tables by measured cost",
                                        "users cached",
                                        "top-k by selection",
                                        "threads over candidates",
                                        "threads over requests"};
    run_ladder("true");
    const char *t = scratch_read(&s, "out/ladder.csv");
    cr_expect_eq(count_lines(t), 1 + 2 * 13);
    for (int v = 0; v < 2; v++)
        for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
            const char *variant = v ? "dcn" : "mlp";
            cr_expect_geq(number(t, variant, exact[i], "n"), 400);
            cr_expect_gt(number(t, variant, exact[i], "p50_us"), 0);
            cr_expect_lt(number(t, variant, exact[i], "score_max_diff"), 1e-4);
            cr_expect_eq(number(t, variant, exact[i], "gauc_delta"), 0);
        }
    cr_expect_eq(number(t, "mlp", "cut graph", "user_hit_share"), 0);
    cr_expect_eq(number(t, "mlp", "threads over requests", "concurrent"), 2);
    for (int v = 0; v < 2; v++) {
        cr_expect_gt(number(t, v ? "dcn" : "mlp", "int8", "score_max_diff"), 1e-5);
        cr_expect_lt(fabs(number(t, v ? "dcn" : "mlp", "int8", "gauc_delta")), 0.02);
    }
    const char *report = scratch_read(&s, "out/report.html");
    cr_expect(strstr(report, "id=\"ladder\""), "the report has a section");
    cr_expect(strstr(report, "<p>By measured cost, "), "which says what became a table");
}

Test(ladder, is_not_measured_unasked) {
    run_ladder("false");
    cr_expect(!scratch_has(&s, "out/ladder.csv"));
    cr_expect(!strstr(scratch_read(&s, "out/report.html"), "id=\"ladder\""));
}
