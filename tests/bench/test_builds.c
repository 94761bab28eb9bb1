/* prerank compare --builds: real processes. What it finds on real programs is docs/trust.md's. */
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
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

#define HAS(text, part) cr_expect(strstr(text, part), "no \"%s\" in:\n%s", part, text)

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

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)); text++) n++;
    return n;
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
        cr_expect_eq(count(json, metric), 1, "%s in %s", metric, json);
    }
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
