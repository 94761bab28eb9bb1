/* The ladder of the engine's steps, through the program. */
#include "nn/fused/isa.h"
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

static const char *const every[] = {
    "cut graph",          "item partial products",   "tables of pair products", "pair features by column",
    "fused blocks",       "zeros skipped",           "tables by measured cost", "users cached",
    "top-k by selection", "threads over candidates", "threads over requests",   NULL}; /* in fp32 */

/* Of the test rows by the training graph. */
static double trained_gauc(const char *variant) {
    char key[60];
    snprintf(key, sizeof key, "variant=%s,split=test", variant);
    return atof(cell(&s, scratch_read(&s, "out/effect.csv"), key, "gauc"));
}

Test(ladder, every_step_is_timed_on_the_same_requests_and_keeps_the_scores) {
    run_ladder("true");
    const char *t = scratch_read(&s, "out/ladder.csv");
    cr_expect_eq(count_lines(t), 1 + 2 * 14);
    for (int v = 0; v < 2; v++)
        for (const char *const *step = every; *step; step++) {
            const char *variant = v ? "dcn" : "mlp";
            cr_expect_geq(number(t, variant, *step, "n"), 400);
            cr_expect_gt(number(t, variant, *step, "p50_us"), 0);
            cr_expect_lt(number(t, variant, *step, "score_max_diff"), 1e-4);
            cr_expect_lt(fabs(number(t, variant, *step, "gauc_delta")), 1e-3);
            cr_expect_float_eq(number(t, variant, *step, "gauc"), trained_gauc(variant), 1e-3, "%s", *step);
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

/* The roofline by hand: counts of compute.csv, rates of the manifest. */
Test(ladder, every_step_has_the_floor_of_its_work) {
    run_ladder("true");
    const char *t = scratch_read(&s, "out/ladder.csv"), *compute = scratch_read(&s, "out/compute.csv"),
               *manifest = scratch_read(&s, "out/manifest.json");
    const double n = 50, peak = atof(strstr(manifest, "\"peak_gflops\":") + 14) * 1e3,
                 cache = atof(strstr(manifest, "\"cache_gb_per_s\":") + 17) * 1e3,
                 memory = atof(strstr(manifest, "\"memory_gb_per_s\":") + 18) * 1e3;
    for (int v = 0; v < 2; v++) {
        const char *variant = v ? "dcn" : "mlp", *key = v ? "variant=dcn" : "variant=mlp";
        double flops = n * atof(cell(&s, compute, key, "flops_per_candidate")) / peak,
               bytes = n * atof(cell(&s, compute, key, "bytes_per_candidate")) / fmax(cache, memory),
               cached = number(t, variant, "users cached", "floor_us");
        double dense = number(t, variant, "fused blocks", "floor_us"),
               skipped = number(t, variant, "zeros skipped", "floor_us"), whole = fmax(flops, bytes);
        /* what mlp skips is seen while it is served: a mean over other numbers of requests in each file */
        double seen = v ? 1e-6 : 0.02, compute_floor = atof(cell(&s, compute, key, "floor_us"));
        cr_expect_float_eq(compute_floor, number(t, variant, "tables by measured cost", "floor_us"),
                           seen * compute_floor, "%s: %g", variant, compute_floor);
        cr_expect_float_eq(dense, number(t, variant, "pair features by column", "floor_us"), 1e-6 * dense);
        if (v || isa_best() < ISA_AVX512) {
            cr_expect_float_eq(cached, whole, 1e-6 * cached, "%s: %g", variant, cached);
            cr_expect_float_eq(skipped, dense, 1e-6 * dense);
        } else {
            cr_expect(cached >= bytes && cached < whole, "%g of %g", cached, whole);
            cr_expect(skipped > dense / 2 && skipped < dense, "%g of %g", skipped, dense);
        }
        for (const char *const *step = every; *step; step++) {
            double floor = number(t, variant, *step, "floor_us");
            cr_expect(floor > 0 && floor < number(t, variant, *step, "p50_us"), "%s, %s: %g", variant, *step,
                      floor);
        }
        cr_expect_gt(number(t, variant, "cut graph", "floor_us"),
                     number(t, variant, "item partial products", "floor_us"));
    }
}

Test(ladder, is_not_measured_unasked) {
    run_ladder("false");
    cr_expect(!scratch_has(&s, "out/ladder.csv"));
    cr_expect(!strstr(scratch_read(&s, "out/report.html"), "id=\"ladder\""));
}
