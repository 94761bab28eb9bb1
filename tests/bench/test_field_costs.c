/* Costs that fields are ranked by: kept beside the data, believed only when they are what was written. */
#include "bench/select/field_cost.h"
#include "tests/bench/planted.h"
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
TestSuite(field_costs, .init = setup, .fini = teardown);

/* Two fields are computed live for each candidate: all others cost next to nothing. */
static void write_priced(void) {
    planted_write(&s, planted_columns,
                  "  derive:\n    x: {kind: cross, of: [u0, i0], buckets: 100}\n"
                  "    y: {kind: cross, of: [u1, i1], buckets: 1000}\n",
                  "variants:\n  - cold: {dim: 4, hidden: [8]}\ntrain: {batch: 256, epochs: 2}\n"
                  "measure: {candidates: []}\nselect: {rank_by: [fscd, random], top_k: [2, 4]}\n");
}

static struct ran run_priced(const char *out, const char *settings) {
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/%s --no-report %s", s.dir, s.dir, out, settings);
    planted_status(r, 0);
    return r;
}

static const char *result(const char *out, const char *file, const char *times) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", out, file);
    return without_columns(&s, scratch_read(&s, name), times);
}

/* fscd's importances depend on the costs in every digit, and the subsets on them. */
static bool ranks_alike(const char *a, const char *b) {
    static const char *const files[][2] = {{"effect.csv", "train_seconds,examples_per_second"},
                                           {"importance.csv", "seconds,request_us,ns_per_candidate"},
                                           {"subsets.csv", ""}};
    for (int i = 0; i < 3; i++)
        if (strcmp(result(a, files[i][0], files[i][1]), result(b, files[i][0], files[i][1])) != 0)
            return false;
    return true;
}

/* The one file of DATA_DIR/field-costs. */
static char *kept_file(void) {
    char command[200], *text = arena_alloc(&s.arena, 200);
    snprintf(command, sizeof command, "ls %s/data/field-costs/*.json", s.dir);
    FILE *f = popen(command, "r");
    cr_assert(f && fgets(text, 200, f));
    cr_assert(pclose(f) == 0 && !strchr(text, ' '));
    text[strcspn(text, "\n")] = '\0';
    return text + strlen(s.dir) + 1;
}

static json_t *says(const char *out) {
    char name[64];
    snprintf(name, sizeof name, "%s/manifest.json", out);
    json_t *j = json_loads(scratch_read(&s, name), 0, NULL);
    json_t *costs = json_incref(json_object_get(json_object_get(j, "field_costs"), "cold"));
    json_decref(j);
    cr_assert(costs, "%s has no field_costs", name);
    return costs;
}

static void assert_says(const char *out, const char *costs, const char *taken) {
    json_t *j = says(out);
    cr_expect_str_eq(json_string_value(json_object_get(j, "costs")), costs, "%s", out);
    if (taken) cr_expect_str_eq(json_string_value(json_object_get(j, "taken")), taken, "%s", out);
    json_decref(j);
}

Test(field_costs, runs_rank_by_the_same_kept_costs_and_give_the_same_bits) {
    write_priced();
    struct ran r = run_priced("a", "--threads 1");
    cr_expect(strstr(r.err, "ranked by costs measured now"), "%s", r.err);
    assert_says("a", "measured", NULL);
    json_t *first = says("a");
    const char *taken = json_string_value(json_object_get(first, "taken"));
    r = run_priced("b", "--threads 2");
    cr_expect(strstr(r.err, "ranked by costs measured at") && strstr(r.err, taken), "%s", r.err);
    assert_says("b", "kept", taken);
    run_priced("c", "--threads 8");
    cr_expect(ranks_alike("a", "b") && ranks_alike("a", "c"), "%s\n%s", scratch_read(&s, "a/importance.csv"),
              scratch_read(&s, "b/importance.csv"));
    cr_expect_str_neq(scratch_read(&s, "a/fields.csv"), scratch_read(&s, "b/fields.csv"),
                      "what a run shows is its own measurement");
    cr_expect_str_eq(cell(&s, scratch_read(&s, "a/importance.csv"), "selector=random", "ranked_cost"), "");
    json_decref(first);
}

Test(field_costs, costs_are_measured_anew_on_demand_and_resuming_keeps_to_its_own) {
    write_priced();
    run_priced("a", "");
    char *kept = scratch_read(&s, kept_file());
    run_priced("b", "--set select.fscd.cost=measured");
    assert_says("b", "measured", NULL);
    cr_expect_str_neq(scratch_read(&s, kept_file()), kept, "the new ones take the place of the old");
    cr_expect(!ranks_alike("a", "b"));
    run_priced("c", "");
    cr_expect(ranks_alike("b", "c"), "the new ones are those that are kept");
    char command[256];
    snprintf(command, sizeof command, "cp -r %s/a %s/d && rm %s/d/importance/cold.fscd.1.json", s.dir, s.dir,
             s.dir);
    cr_assert_eq(system(command), 0);
    run_priced("d", "--resume");
    cr_expect(ranks_alike("a", "d"), "a run goes on with what it began with");
}

static json_t *own_costs(const char *out) {
    char name[64];
    snprintf(name, sizeof name, "%s/importance/cold.cost.json", out);
    json_t *j = json_loads(scratch_read(&s, name), 0, NULL), *costs = json_incref(json_object_get(j, "cost"));
    json_decref(j);
    cr_assert(costs);
    return costs;
}

/* Resumes, and whether the costs were measured for that. */
static bool measured_anew(const char *settings) {
    json_t *before = own_costs("a");
    run_priced("a", settings);
    json_t *after = own_costs("a");
    bool anew = !json_equal(before, after);
    json_decref(before);
    json_decref(after);
    return anew;
}

Test(field_costs, costs_of_another_run_rank_alike_whatever_lies_beside_the_data) {
    char other[256];
    write_priced();
    snprintf(other, sizeof other, "--set data_dir=%s/other --costs-of %s/a", s.dir, s.dir);
    run_priced("a", "");
    run_priced("b", other);
    assert_says("b", "kept", NULL);
    cr_expect(ranks_alike("a", "b"), "%s\n%s", scratch_read(&s, "a/importance.csv"),
              scratch_read(&s, "b/importance.csv"));
    cr_expect(!scratch_has(&s, "other/field-costs"), "they are that run's, and not kept for others");
    strcat(other, " --set select.fscd.cost=measured");
    run_priced("c", other);
    cr_expect(ranks_alike("a", "c"));
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/d --costs-of %s/nowhere", s.dir, s.dir, s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "nowhere: is no results folder"), "exit %d: %s", r.status,
              r.err);
}

Test(field_costs, resuming_takes_costs_over_only_when_they_would_be_measured_in_the_same_way) {
    static const char on_demand[] = "--resume --set select.fscd.cost=measured";
    write_priced();
    run_priced("a", "--threads 2");
    json_t *first = says("a"), *there;
    cr_expect(!measured_anew("--resume --threads 2"));
    cr_expect(measured_anew("--resume --threads 1"));
    cr_expect(measured_anew("--resume --threads 1 --set measure.threads=2"));
    cr_expect(measured_anew("--resume"));
    sleep(1); /* times are in seconds */
    cr_expect(measured_anew(on_demand), "`measured` is this run's own");
    there = says("a");
    cr_expect_str_neq(json_string_value(json_object_get(there, "taken")),
                      json_string_value(json_object_get(first, "taken")));
    json_decref(first);
    run_priced("b", "--set select.fscd.cost=measured");
    char *kept = scratch_read(&s, kept_file());
    cr_expect(!measured_anew(on_demand), "which is finished");
    assert_says("a", "measured", json_string_value(json_object_get(there, "taken")));
    cr_expect_str_eq(scratch_read(&s, kept_file()), kept, "later costs stay kept");
    json_decref(there);
}

Test(field_costs, kept_costs_that_are_not_what_was_written_are_not_believed) {
    write_priced();
    run_priced("a", "");
    char *name = kept_file(), *good = scratch_read(&s, name), *bad = arena_strdup(&s.arena, good);
    char *digit = strchr(strstr(bad, "request_us"), '.') + 1;
    *digit = *digit == '9' ? '8' : '9';
    scratch_write(&s, name, bad);
    struct ran r = run_priced("b", "");
    cr_expect(strstr(r.err, "is damaged or was changed") && strstr(r.err, "measured now"), "%s", r.err);
    assert_says("b", "measured", NULL);
    bad[strlen(bad) / 2] = '\0';
    scratch_write(&s, name, bad);
    r = run_priced("c", "");
    cr_expect(strstr(r.err, "costs of fields are not taken from there") && strstr(r.err, "measured now"),
              "%s", r.err);
    scratch_write(&s, name, good);
    run_priced("d", "");
    cr_expect(ranks_alike("a", "d"), "they are whole again");
    /* Requests of another size, or a model of other options, have costs of their own, not these. */
    run_priced("e", "--set measure.candidates=[30] --set measure.requests=20 --set measure.min_seconds=0");
    assert_says("e", "measured", NULL);
    run_priced("f", "--set cold.dim=8");
    assert_says("f", "measured", NULL);
    cr_expect_eq(count_lines(scratch_read(&s, "a/fields.csv")), 11);
}

/* A tenth of a microsecond is next to nothing of a request of 100, though every other field's cost be less. */
Test(field_costs, are_held_against_the_request_and_not_against_each_other) {
    const struct field_cost cost[] = {{.request_us = 0.1, .whole_us = 100},
                                      {.request_us = -0.2, .whole_us = 100},
                                      {.request_us = 40, .whole_us = 100},
                                      {.request_us = (double)NAN, .whole_us = (double)NAN}};
    double share[4];
    field_cost_shares(cost, 2, share);
    cr_expect_float_eq(share[0], 0.002, 1e-12);
    cr_expect_eq(share[1], 0);
    field_cost_shares(cost, 4, share);
    cr_expect_float_eq(share[2], 1.6, 1e-12);
    cr_expect_float_eq(share[3], (0.004 + 0 + 1.6) / 3, 1e-12, "what is not known is as the others are");
    field_cost_shares(cost + 3, 1, share);
    cr_expect_eq(share[0], 1);
}
