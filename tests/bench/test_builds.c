/* prerank compare --builds: real processes. What it finds on real programs is docs/trust.md's. */
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) {
    scratch_make(&s);
    scratch_write(&s, "small.yaml",
                  small_experiment(&s, 1500,
                                   "variants: [mlp: {dim: 4, hidden: [8]}]\ntrain: {epochs: 1}\n"
                                   "measure: {candidates: [30], requests: 50}\n"));
}
static void teardown(void) { scratch_remove(&s); }
TestSuite(builds, .init = setup, .fini = teardown);

Test(builds, a_program_against_itself) {
    struct ran r =
        prerank(&s,
                "compare --builds %s %s %s/small.yaml --out %s/out --groups 6 --no-instructions --json "
                "%s/c.json --margin p50=50 --margin p99=500 --margin qps=500",
                prerank_path(), prerank_path(), s.dir, s.dir, s.dir);
    cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
    HAS(r.out, "p50");
    HAS(r.out, "p99");
    HAS(r.out, "qps");
    cr_expect_not(strstr(r.out, "p999"));
    HAS(scratch_read(&s, "c.json"), "\"n\": 6");
}

Test(builds, another_program_is_an_error_that_names_it) {
    struct ran r = prerank(&s, "compare --builds %s /bin/false %s/small.yaml --no-instructions --out %s/out",
                           prerank_path(), s.dir, s.dir);
    cr_expect_eq(r.status, 2);
    HAS(r.err, "/bin/false run");
    r = prerank(&s, "compare --builds %s /nowhere %s/small.yaml --no-instructions --out %s/out",
                prerank_path(), s.dir, s.dir);
    cr_expect_eq(r.status, 2);
    HAS(r.err, "/nowhere: No such file");
}

Test(builds, the_commands_of_the_page_on_pipelines_do_what_it_says, .timeout = 600) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("skipped: valgrind, which the page counts with, runs no program that has a sanitizer");
#endif
    char command[300];
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/ci_page.py '%s' >%s/log 2>&1",
             prerank_path(), s.dir);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "log"));
}

/* An open loop of an hour and a search for the usable rate would show in the time that this test takes. */
Test(builds, gate_the_closed_loop_alone_whatever_loads_the_experiment_asks_for, .timeout = 120) {
    scratch_write(&s, "loads.yaml",
                  small_experiment(&s, 1500,
                                   "variants: [mlp: {dim: 4, hidden: [8]}]\ntrain: {epochs: 1}\n"
                                   "measure: {candidates: [30], requests: 50, load: [closed, open, usable], "
                                   "limit_ms: 10, open_seconds: 3600, probe_seconds: 3600}\n"));
    struct ran r =
        prerank(&s,
                "compare --builds %s %s %s/loads.yaml --out %s/out --groups 6 --no-instructions --json "
                "%s/c.json --margin p50=50 --margin p99=500 --margin qps=500",
                prerank_path(), prerank_path(), s.dir, s.dir, s.dir);
    cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
    const char *json = scratch_read(&s, "c.json");
    static const char *const once[] = {"p50", "p99", "qps", "flops_per_candidate", "gauc"};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        char metric[64];
        snprintf(metric, sizeof metric, "\"metric\": \"%s\"", once[i]);
        cr_expect_eq(count_parts(json, metric), 1, "%s in %s", metric, json);
    }
}

/* It makes `prerank run` end with 3, though the results are whole. */
Test(builds, a_budget_that_nothing_fits_is_not_what_is_asked, .timeout = 120) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("skipped: valgrind runs no program that has a sanitizer");
#endif
    scratch_write(&s, "tight.yaml",
                  small_experiment(&s, 1500,
                                   "variants: [mlp: {dim: 4, hidden: [8]}]\ntrain: {epochs: 1}\n"
                                   "measure: {candidates: [30], requests: 50}\n"
                                   "select: {subject_to: {p50_ms: 0.0000001}}\n"));
    struct ran r = prerank(&s,
                           "compare --builds %s %s %s/tight.yaml --out %s/out --groups 6 --margin p50=50 "
                           "--margin p99=500 --margin qps=500",
                           prerank_path(), prerank_path(), s.dir, s.dir);
    cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
    HAS(r.err, "no model fits the budget");
    cr_expect(scratch_has(&s, "out/new/instructions.csv"));
}

Test(builds, an_experiment_without_response_times_is_an_error) {
    scratch_write(&s, "none.yaml",
                  small_experiment(&s, 1500,
                                   "variants: [mlp: {dim: 4, hidden: [8]}]\ntrain: {epochs: 1}\n"
                                   "measure: {candidates: []}\n"));
    struct ran r = prerank(&s, "compare --builds %s %s %s/none.yaml --no-instructions --out %s/out",
                           prerank_path(), prerank_path(), s.dir, s.dir);
    cr_expect_eq(r.status, 2, "%s", r.out);
    HAS(r.err, "measure.candidates is empty");
}

Test(builds, too_few_groups_are_refused) {
    struct ran r = prerank(&s, "compare --builds a b c --groups 5");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "from 6 to 200");
}

Test(turns, refuses_what_is_no_turn_and_answers_what_is) {
    scratch_make(&s);
    scratch_write(&s, "small.yaml",
                  small_experiment(&s, 1500,
                                   "variants: [mlp: {dim: 4, hidden: [8]}]\ntrain: {epochs: 1}\n"
                                   "measure: {candidates: [30], requests: 50}\n"));
    struct ran r = prerank(&s, "turns %s/small.yaml --out %s/out", s.dir, s.dir);
    cr_expect_eq(r.status, 2, "nothing was prepared yet");
    r = prerank(&s, "run %s/small.yaml --out %s/out --no-report", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    char args[512];
    static const char *const bad[] = {"1 5", "0 0", "0 x", "-1 2", "0 99999", "0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64];
        snprintf(text, sizeof text, "0 3\n%s\n", bad[i]);
        scratch_write(&s, "in", text);
        snprintf(args, sizeof args, "turns %s/small.yaml --out %s/out <%s/in", s.dir, s.dir, s.dir);
        char command[1400], line[256];
        snprintf(command, sizeof command, "'%s' %s 2>&1", prerank_path(), args);
        FILE *p = popen(command, "r");
        int lines = 0;
        bool told = false;
        while (fgets(line, sizeof line, p)) {
            lines++;
            told |= strstr(line, "is not \"POINT N\"") != NULL;
        }
        cr_expect_eq(pclose(p) >> 8, 2, "%s", bad[i]);
        cr_expect(told, "%s", bad[i]);
        cr_expect_eq(lines, 5, "greeting, 1, name, times, message: %d", lines);
    }
    scratch_remove(&s);
}

/* ---- models that `run` made by itself: chosen subsets, tuned options ---- */

static const char chosen_and_tuned[] =
    "variants:\n  - cold: {dim: 4, hidden: [8]}\n"
    "  - dssm: {id: student, dim: 4, hidden: [8], distill: mlp}\n"
    "seeds: [1, 2]\ntrain: {batch: 256, epochs: 2}\n"
    "tune: {learning_rate: [0.0001, 0.01]}\n"
    "select: {rank_by: [se, permutation, fscd, lasso, single, random], top_k: [2, 4, 5]}\n"
    "measure: {candidates: [20], requests: 20, warmup: 2, min_seconds: 0}\n";

static void write_chosen(const char *rest) {
    char text[1200];
    snprintf(text, sizeof text, "%s%s", chosen_and_tuned, rest);
    scratch_write(&s, "chosen.yaml", small_experiment(&s, 1500, text));
}

/* The first seven cells of the rows of compute.csv, without those of subsets that were trained under another name. */
static char *points_of(const char *compute, const char *subsets) {
    char *out = arena_alloc(&s.arena, strlen(compute) + 1), *to = out;
    for (const char *line = strchr(compute, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        char variant[64], features[64], other[160];
        cr_assert_eq(sscanf(line, "%63[^,],%63[^,]", variant, features), 2);
        snprintf(other, sizeof other, "variant=%s,features=%s", variant, features);
        if (strchr(features, '-') && strcmp(cell(&s, subsets, other, "trained_as"), features) != 0) continue;
        const char *end = line;
        for (int i = 0; i < 7; i++) end = strchr(end, ',') + 1;
        to += sprintf(to, "%.*s\n", (int)(end - 1 - line), line);
    }
    *to = '\0';
    return out;
}

Test(builds, every_chosen_and_tuned_model_that_was_measured_can_be_measured_in_turns, .timeout = 120) {
    write_chosen("");
    struct ran r = prerank(&s, "run %s/chosen.yaml --out %s/out --no-report", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    r = prerank(&s, "turns %s/chosen.yaml --out %s/out", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    const char *names = strchr(strchr(r.out, '\n') + 1, '\n') + 1,
               *subsets = scratch_read(&s, "out/subsets.csv");
    cr_expect_str_eq(names, points_of(scratch_read(&s, "out/compute.csv"), subsets));
    cr_expect_geq(count_parts(names, "cold,"), 4, "%s", names);
    cr_expect_geq(count_parts(names, "student,"), 2, "%s", names);
    cr_expect_not(strstr(names, "mlp,"), "a teacher is no candidate");
}

Test(builds, turns_say_what_of_a_run_is_gone_or_is_not_the_experiments) {
    write_chosen("");
    struct ran r =
        prerank(&s, "run %s/chosen.yaml --out %s/out --no-report --set measure.candidates=[]", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    char *subsets = scratch_read(&s, "out/subsets.csv"), *manifest = scratch_read(&s, "out/manifest.json");
    scratch_write(
        &s, "out/subsets.csv",
        "variant,selector,k,features,trained_as,n_fields,fields,required\nwarm,se,2,se-2,se-2,2,u0 i0,\n");
    r = prerank(&s, "turns %s/chosen.yaml --out %s/out", s.dir, s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "subsets.csv:2: the experiment has no variant warm"), "%s",
              r.err);
    scratch_write(
        &s, "out/subsets.csv",
        "variant,selector,k,features,trained_as,n_fields,fields,required\ncold,se,2,se-2,se-2,2,u0 i9,\n");
    r = prerank(&s, "turns %s/chosen.yaml --out %s/out", s.dir, s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "subsets.csv:2:") && strstr(r.err, "no field \"i9\""), "%s",
              r.err);
    char path[128];
    snprintf(path, sizeof path, "%s/out/subsets.csv", s.dir);
    remove(path);
    r = prerank(&s, "turns %s/chosen.yaml --out %s/out", s.dir, s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "has no subsets.csv"), "%s", r.err);
    scratch_write(&s, "out/subsets.csv", subsets);
    char *tuned = strstr(manifest, "\"tuned\"");
    cr_assert(tuned);
    tuned[1] = 'T';
    scratch_write(&s, "out/manifest.json", manifest);
    r = prerank(&s, "turns %s/chosen.yaml --out %s/out", s.dir, s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "manifest.json: `tuned` says nothing of cold"), "%s", r.err);
}

/* Instructions inside scorer_score() of `requests` requests at the first point, warm-up included. */
static double counted(const char *dir, int requests) {
    char command[1000], name[64];
    double total = 0;
    snprintf(command, sizeof command,
             "echo '0 %d' | valgrind --tool=callgrind -q --callgrind-out-file=%s/profile "
             "--toggle-collect=scorer_score '%s' turns %s/chosen.yaml --out %s/out --threads 1 "
             "--set measure.tables=all >/dev/null 2>&1",
             requests, dir, prerank_path(), dir, dir);
    cr_assert_eq(system(command), 0, "%s", command);
    snprintf(name, sizeof name, "profile");
    const char *line = strstr(scratch_read(&s, name), "\ntotals:");
    cr_assert(line && sscanf(line, "\ntotals: %lf", &total) == 1);
    return total;
}

Test(builds, instructions_of_chosen_and_tuned_models_are_what_callgrind_counts_for_19_requests_more,
     .timeout = 300) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("skipped: valgrind runs no program that has a sanitizer");
#endif
    if (system("valgrind --version >/dev/null 2>&1")) cr_skip_test("skipped: no valgrind here");
    write_chosen("");
    struct ran r = prerank(&s, "run %s/chosen.yaml --out %s/out --no-report --instructions", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    const char *table = scratch_read(&s, "out/instructions.csv");
    r = prerank(&s, "turns %s/chosen.yaml --out %s/out", s.dir, s.dir);
    cr_expect_eq(count_lines(table), count_lines(r.out) - 1, "%s%s", table, r.out);
    for (const char *line = strchr(table, '\n') + 1; *line; line = strchr(line, '\n') + 1)
        cr_expect_gt(atof(strstr(line, ",closed,") + 8), 500, "%s", line);
    double first = atof(cell(&s, table, "variant=cold,features=all", "instructions")),
           want = (counted(s.dir, 20) - counted(s.dir, 1)) / 19;
    cr_expect_float_eq(first / want, 1, .01, "%g, and %g by two runs", first, want);
    char command[128];
    snprintf(command, sizeof command, "ls -a %s/out | grep -q tmp", s.dir);
    cr_expect_neq(system(command), 0, "no profile is left");
}

Test(builds, a_program_with_chosen_and_tuned_models_never_differs_from_itself, .timeout = 200) {
    write_chosen("");
    struct ran r =
        prerank(&s,
                "compare --builds %s %s %s/chosen.yaml --out %s/out --groups 6 --no-instructions --json "
                "%s/c.json --margin p50=400 --margin p99=1000 --margin qps=1000",
                prerank_path(), prerank_path(), s.dir, s.dir, s.dir);
    cr_expect(r.status == 0 || (r.status == 3 && strstr(r.out, "too noisy")), "exit %d: %s%s", r.status,
              r.out, r.err);
    cr_expect_eq(count_parts(r.out, "skipped "), 1, "instructions: %s", r.out);
    cr_expect_str_eq(scratch_read(&s, "out/old/subsets.csv"), scratch_read(&s, "out/new/subsets.csv"));
    json_t *old = json_loads(scratch_read(&s, "out/old/manifest.json"), 0, NULL),
           *new = json_loads(scratch_read(&s, "out/new/manifest.json"), 0, NULL);
    static const char *const id[] = {"cold", "student"};
    for (int i = 0; i < 2; i++) {
        const json_t *a = json_object_get(json_object_get(old, "field_costs"), id[i]),
                     *b = json_object_get(json_object_get(new, "field_costs"), id[i]);
        cr_expect_str_eq(json_string_value(json_object_get(a, "costs")), "measured");
        cr_expect_str_eq(json_string_value(json_object_get(b, "costs")), "kept");
        cr_expect(strstr(json_string_value(json_object_get(b, "file")), "out/old/"), "they are OLD's");
    }
    json_decref(old);
    json_decref(new);
    /* each point of `turns` has its three times, and each name of compute.csv its counts */
    const char *json = scratch_read(&s, "c.json");
    r = prerank(&s, "turns %s/chosen.yaml --out %s/out/old --set data_dir=%s/out/old.data", s.dir, s.dir,
                s.dir);
    size_t points = count_lines(r.out) - 2, listed = count_lines(scratch_read(&s, "out/old/compute.csv")) - 1;
    cr_expect_geq(points, 6, "%s", r.out);
    cr_expect_gt(listed, points, "some are listed under a second name");
    cr_expect_eq(count_parts(json, "\"metric\": \"p50\""), points, "%s", json);
    cr_expect_eq(count_parts(json, "\"metric\": \"flops_per_candidate\""), listed, "%s", json);
}
