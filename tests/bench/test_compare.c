/* prerank compare BASE NEW, on results folders written by hand. */
#include "base/file.h"
#include "bench/compare/compare.h"
#include "bench/compare/write.h"
#include "tests/bench/folders.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(compare, .init = setup, .fini = teardown);

static struct ran compare(const char *more) {
    return prerank(&s, "compare %s/base %s/new %s", s.dir, s.dir, more);
}

static struct ran compare_with(struct folder new, const char *gauc, const char *more) {
    folder_write(&s, "base", folder_usual, ".7001");
    folder_write(&s, "new", new, gauc);
    return compare(more);
}

Test(compare, what_is_the_same_is_no_regression) {
    struct ran r = compare_with(folder_usual, ".7001", "");
    cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
    HAS(r.out, "no regression: 5 same, 1 skipped");
}

Test(compare, other_data_are_refused) {
    struct ran r = compare_with((struct folder){.data_hash = "d2"}, ".7001", "");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "their data differ (data_hash d1 and d2)");
}

Test(compare, another_config_is_refused_with_the_option_that_differs) {
    struct ran r = compare_with(
        (struct folder){.written_hash = "w2",
                        .config = "{\"variants\": [{\"options\": {\"dim\": 16}}], \"seeds\": [1]}"},
        ".7001", "");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "their configs differ (variants.0.options.dim is 8 there and 16 here");
}

Test(compare, a_default_that_changed_is_refused_though_the_text_is_the_same) {
    struct ran r = compare_with(
        (struct folder){.config = "{\"variants\": [{\"options\": {\"dim\": 16}}], \"seeds\": [1]}"}, ".7001",
        "");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "dim is 8 there and 16 here");
}

Test(compare, an_option_that_one_of_the_programs_does_not_know_is_let_pass_when_nobody_asked_for_it) {
    static const char config[] =
        "{\"variants\": [{\"options\": {\"dim\": 8, \"fresh\": 1}}], \"seeds\": [1]}";
    struct ran r = compare_with((struct folder){.config = config}, ".7001", "");
    cr_expect_eq(r.status, 0, "%s", r.err);
    r = compare_with((struct folder){.config = config, .written_hash = "w2"}, ".7001", "");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "fresh is missing there and 1 here");
}

Test(compare, an_unfinished_run_is_refused) {
    struct ran r = compare_with((struct folder){.status = "interrupted"}, ".7001", "");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "was not finished (status \"interrupted\")");
}

Test(compare, no_results_folder_is_an_error) {
    folder_write(&s, "base", folder_usual, ".7");
    struct ran r = compare("");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "is no results folder");
}

static void without_rows(const char *name) {
    char *text = scratch_read(&s, name);
    text[strcspn(text, "\n") + 1] = '\0';
    scratch_write(&s, name, text);
}

Test(compare, a_file_that_is_gone_is_an_error_that_names_it) {
    static const char *const file[] = {"manifest.json", "effect.csv", "compute.csv",
                                       "predictions/mlp.all.1.csv"};
    static const char *const side[] = {"base", "new"};
    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
        for (int k = 0; k < 2; k++) {
            char path[256];
            folder_write(&s, "base", folder_usual, ".7001");
            folder_write(&s, "new", (struct folder){.program_hash = "p2"}, ".7002");
            snprintf(path, sizeof path, "%s/%s/%s", s.dir, side[k], file[i]);
            cr_assert_eq(remove(path), 0, "%s", path);
            struct ran r = compare("");
            cr_expect_eq(r.status, 2, "%s: %s", path, r.out);
            HAS(r.err, i ? path : "is no results folder of `prerank run`");
        }
}

Test(compare, tables_without_rows_are_nothing_to_compare) {
    static const char *const side[] = {"base/effect.csv", "new/effect.csv"};
    for (int k = 0; k < 2; k++) {
        folder_write(&s, "base", folder_usual, ".7001");
        folder_write(&s, "new", folder_usual, ".7001");
        without_rows(side[k]);
        struct ran r = compare("");
        cr_expect_eq(r.status, 2, "%s: %s", side[k], r.out);
        HAS(r.err, "nothing to compare");
    }
    folder_write(&s, "base", folder_usual, ".7001");
    folder_write(&s, "new", folder_usual, ".7001");
    without_rows("new/compute.csv");
    struct ran r = compare("");
    cr_expect_eq(r.status, 3, "%s", r.out);
    HAS(r.out, "has no figure");
}

Test(compare, counts_of_tables_that_times_chose_otherwise_are_not_compared) {
    static const char head[] = "variant,features,precision,layer,field,chosen\nmlp,all,fp32,mlp.0,x,";
    char text[200];
    for (int differ = 0; differ < 2; differ++) {
        folder_write(&s, "base", folder_usual, ".7001");
        folder_write(&s, "new", (struct folder){.flops = "101"}, ".7001");
        snprintf(text, sizeof text, "%stable\n", head);
        scratch_write(&s, "base/tables.csv", text);
        snprintf(text, sizeof text, "%s%s\n", head, differ ? "product" : "table");
        scratch_write(&s, "new/tables.csv", text);
        struct ran r = compare("");
        cr_expect_eq(r.status, !differ, "%s", r.out);
        if (differ) HAS(r.out, "other pair fields are tables");
    }
}

Test(compare, counts_of_a_point_are_compared_once_whatever_its_loads) {
    struct ran once = compare_with(folder_usual, ".7001", "");
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "new/compute.csv" : "base/compute.csv", *text = scratch_read(&s, name);
        char *more = arena_alloc(&s.arena, strlen(text) + 200);
        sprintf(more,
                "%smlp,all,fp32,memory,100,2,open,5,100,64,1000\nmlp,all,fp32,memory,100,2,usable,5,100,64,"
                "1000\n",
                text);
        scratch_write(&s, name, more);
    }
    cr_expect_str_eq(compare("").out, once.out);
}

Test(compare, nothing_to_compare_is_an_error) {
    folder_write(&s, "base", (struct folder){.effect = "failed"}, "");
    folder_write(&s, "new", (struct folder){.effect = "failed"}, "");
    struct ran r = compare("");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "nothing to compare");
}

Test(compare, the_same_program_must_give_the_same_bits) {
    struct ran r = compare_with((struct folder){.noise = 1e-6}, ".70010001", "");
    cr_expect_eq(r.status, 1);
    HAS(r.out, "not the same to the bit, though program and type of machine are the same");
}

Test(compare, another_program_is_judged_by_its_users) {
    struct ran r = compare_with((struct folder){.program_hash = "p2", .noise = 1e-6}, ".70010001", "");
    cr_expect_eq(r.status, 0, "%s", r.out);
    HAS(r.out, "not the same to the bit: judged by its users");
    r = compare_with((struct folder){.program_hash = "p2", .drop = .5}, ".6", "");
    cr_expect_eq(r.status, 1, "%s", r.out);
    HAS(r.out, "REGRESSED");
}

Test(compare, scores_that_differ_behind_the_same_figures_are_not_the_same_to_the_bit) {
    struct ran r = compare_with((struct folder){.noise = 1e-6}, ".7001", "");
    cr_expect_eq(r.status, 1, "%s", r.out);
    HAS(r.out, "not the same to the bit, though program and type of machine are the same");
    r = compare_with((struct folder){.program_hash = "p2", .noise = 1e-6}, ".7001", "");
    cr_expect_eq(r.status, 0, "%s", r.out);
    HAS(r.out, "not the same to the bit: judged by its users");
}

/* The hash of the data is of the log and its schema, so it can be the same all the same. */
Test(compare, other_rows_users_or_labels_are_refused) {
    static const struct {
        int line;
        const char *with, *told;
    } cases[] = {{-1, NULL, "has 2399: the two programs split, filter or label"},
                 {9, "8,0,1,.5\n", "new/predictions/mlp.all.1.csv:10: label is 1; at "},
                 {9, "8,3,0,.5\n", "new/predictions/mlp.all.1.csv:10: user is 3; at "},
                 {9, "7,0,0,.5\n", "new/predictions/mlp.all.1.csv:10: row is 7; at "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder_write(&s, "base", folder_usual, ".7001");
        folder_write(&s, "new", (struct folder){.program_hash = "p2"}, ".7002");
        char *text = scratch_read(&s, "new/predictions/mlp.all.1.csv"), *line = text, *rest = NULL;
        char *more = arena_alloc(&s.arena, strlen(text) + 200);
        if (cases[i].line < 0) {
            text[strlen(text) - 1] = '\0';
            strrchr(text, '\n')[1] = '\0';
            strcpy(more, text);
        } else {
            for (int k = 0; k < cases[i].line; k++) line = strchr(line, '\n') + 1;
            cr_assert(!strncmp(line, "8,0,0,", 6), "%.20s", line);
            rest = strchr(line, '\n') + 1;
            sprintf(more, "%.*s%s%s", (int)(line - text), text, cases[i].with, rest);
        }
        scratch_write(&s, "new/predictions/mlp.all.1.csv", more);
        struct ran r = compare("");
        cr_expect_eq(r.status, 2, "%zu: %s", i, r.out);
        HAS(r.err, cases[i].told);
        HAS(r.err, "cannot be compared");
    }
}

Test(compare, users_of_one_class_leave_gauc_undecided_and_that_is_said) {
    static const char *const side[] = {"base", "new"};
    folder_write(&s, "base", folder_usual, ".7001");
    folder_write(&s, "new", (struct folder){.program_hash = "p2"}, ".7002");
    for (int i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/predictions/mlp.all.1.csv", side[i]);
        scratch_write(&s, name, "row,user,label,score\n0,0,0,.5\n1,0,0,.6\n2,1,1,.7\n");
    }
    struct ran r = compare("");
    cr_expect_eq(r.status, 3, "%s%s", r.out, r.err);
    HAS(r.out, "no user has both classes");
}

/* More seeds of the model, whose scores are the same but for what `drop` spoils. */
static void add_seeds(const char *name, const double *drop, int n) {
    char path[128], line[200];
    snprintf(path, sizeof path, "%s/effect.csv", name);
    for (int i = 0; i < n; i++) {
        char *text = scratch_read(&s, path), *more = arena_alloc(&s.arena, strlen(text) + sizeof line);
        snprintf(line, sizeof line, "mlp,all,%d,test,.7,.7,.5,1,0,.5,.5,3,9,50,ok,\n", i + 2);
        scratch_write(&s, path, strcat(strcpy(more, text), line));
        folder_predictions(&s, name, &(struct folder){.drop = drop[i]}, "all", i + 2);
    }
}

Test(compare, says_what_the_seeds_say_beside_the_users_who_judge) {
    static const double none[] = {0, 0}, drop[] = {.3, .25};
    char more[128], command[400];
    folder_write(&s, "base", folder_usual, ".7001");
    folder_write(&s, "new", (struct folder){.program_hash = "p2", .drop = .9}, ".69");
    add_seeds("base", none, 2);
    add_seeds("new", drop, 2);
    snprintf(more, sizeof more, "--json %s/c.json", s.dir);
    struct ran r = compare(more);
    cr_expect_eq(r.status, 1, "%s%s", r.out, r.err);
    HAS(r.out, "judged by its users; over the seeds -");
    snprintf(command, sizeof command,
             "/usr/bin/python3 tests/bench/check_gate.py %s/base %s/new %s/c.json >%s/log 2>&1", s.dir, s.dir,
             s.dir, s.dir);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "log"));
}

Test(compare, an_improvement_is_no_failure) {
    folder_write(&s, "base", (struct folder){.drop = .5}, ".6");
    folder_write(&s, "new", (struct folder){.program_hash = "p2"}, ".7");
    struct ran r = compare("");
    cr_expect_eq(r.status, 0);
    HAS(r.out, "better");
}

Test(compare, with_exact_another_program_must_give_the_same_bits_too) {
    struct ran r = compare_with((struct folder){.program_hash = "p2", .noise = 1e-6}, ".70010001", "--exact");
    cr_expect_eq(r.status, 1);
    HAS(r.out, "as --exact demands");
}

Test(compare, another_type_of_machine_is_judged_by_its_users_even_with_exact) {
    struct ran r = compare_with((struct folder){.cpu = "cpu2", .noise = 1e-6}, ".70010001", "--exact");
    cr_expect_eq(r.status, 0, "%s", r.out);
    HAS(r.out, "another type of machine rounds otherwise");
    r = compare_with((struct folder){.cpu = "cpu2", .drop = .5}, ".6", "--exact");
    cr_expect_eq(r.status, 1);
}

Test(compare, more_flops_are_a_regression_and_fewer_are_not) {
    struct ran r = compare_with((struct folder){.flops = "101"}, ".7001", "");
    cr_expect_eq(r.status, 1);
    HAS(r.out, "flops_per_candidate");
    HAS(r.out, "+1.00 %");
    r = compare_with((struct folder){.flops = "99"}, ".7001", "");
    cr_expect_eq(r.status, 0);
    HAS(r.out, "better");
}

Test(compare, a_figure_that_is_gone_is_undecided) {
    struct ran r = compare_with((struct folder){.flops = ""}, ".7001", "");
    cr_expect_eq(r.status, 3);
    HAS(r.out, "has no figure");
}

Test(compare, another_number_of_parameters_is_a_regression) {
    struct ran r = compare_with((struct folder){.params = "49"}, ".7001", "");
    cr_expect_eq(r.status, 1);
    HAS(r.out, "another number is another model");
}

Test(compare, a_run_that_fails_now_is_a_regression) {
    struct ran r = compare_with((struct folder){.effect = "failed"}, "", "");
    cr_expect_eq(r.status, 2, "the only one: nothing is left to compare");
    folder_write(&s, "base", folder_usual, ".7");
    folder_write(&s, "new", folder_usual, ".7");
    static const char *const side[] = {"base", "new"};
    for (int i = 0; i < 2; i++) {
        char name[64], *text;
        snprintf(name, sizeof name, "%s/effect.csv", side[i]);
        text = scratch_read(&s, name);
        char *more = arena_alloc(&s.arena, strlen(text) + 200);
        sprintf(more, "%sdin,all,1,test,.7,.7,.5,1,0,.5,.5,3,9,50,%s,loss nan at step 3\n", text,
                i ? "failed" : "ok");
        scratch_write(&s, name, more);
    }
    char path[128], *p = scratch_read(&s, "base/predictions/mlp.all.1.csv");
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/predictions/din.all.1.csv", side[i]);
        scratch_write(&s, path, p);
    }
    r = compare("");
    cr_expect_eq(r.status, 1, "%s%s", r.out, r.err);
    HAS(r.out, "the run failed in NEW: loss nan at step 3");
}

Test(compare, instructions_have_a_small_margin_on_one_type_of_machine) {
    static const char head[] = "variant,features,precision,store,candidates,threads,load,instructions\nmlp,"
                               "all,fp32,memory,100,1,closed,";
    static const struct {
        const char *count;
        int status;
        const char *cpu, *told;
    } cases[] = {{"1000", 0, "cpu1", "6 same"},
                 {"1009", 0, "cpu1", "ok"},
                 {"1011", 1, "cpu1", "REGRESSED"},
                 {"900", 0, "cpu1", "better"},
                 {"2000", 0, "cpu2", "another type of machine"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        folder_write(&s, "base", folder_usual, ".7");
        folder_write(&s, "new", (struct folder){.cpu = cases[i].cpu}, ".7");
        snprintf(text, sizeof text, "%s1000\n", head);
        scratch_write(&s, "base/instructions.csv", text);
        snprintf(text, sizeof text, "%s%s\n", head, cases[i].count);
        scratch_write(&s, "new/instructions.csv", text);
        struct ran r = compare("");
        cr_expect_eq(r.status, cases[i].status, "%s: %s", cases[i].count, r.out);
        HAS(r.out, cases[i].told);
    }
}

Test(compare, margins_can_be_set) {
    cr_expect_eq(
        compare_with((struct folder){.program_hash = "p2", .drop = .5}, ".6", "--margin gauc=0.5").status, 0);
    struct ran r = compare("--margin gavc=1");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "known are gauc, p50");
    r = compare("--margin p50=x");
    cr_expect_eq(r.status, 2);
}

Test(compare, says_the_same_in_json_junit_and_markdown) {
    char more[512];
    snprintf(more, sizeof more, "--json %s/c.json --junit %s/c.xml --markdown %s/c.md", s.dir, s.dir, s.dir);
    struct ran r = compare_with((struct folder){.flops = "101"}, ".7001", more);
    cr_expect_eq(r.status, 1);
    json_t *j = json_loads(scratch_read(&s, "c.json"), 0, NULL);
    cr_assert(j);
    cr_expect_eq(json_integer_value(json_object_get(j, "exit_code")), 1);
    cr_expect_str_eq(json_string_value(json_object_get(j, "verdict")), "regression");
    size_t gates = json_array_size(json_object_get(j, "gates")), regressed = 0;
    for (size_t i = 0; i < gates; i++)
        regressed += !strcmp(
            json_string_value(json_object_get(json_array_get(json_object_get(j, "gates"), i), "verdict")),
            "regressed");
    cr_expect_eq(gates, 6);
    cr_expect_eq(regressed, 1);
    json_decref(j);
    const char *xml = scratch_read(&s, "c.xml");
    HAS(xml, "tests=\"6\" failures=\"1\" errors=\"0\" skipped=\"1\"");
    cr_expect_eq(count_parts(xml, "<testcase"), 6);
    cr_expect_eq(count_parts(xml, "<failure"), 1);
    cr_expect_eq(count_parts(xml, "<skipped"), 1);
    const char *markdown = scratch_read(&s, "c.md");
    HAS(markdown, "prerank: regression");
    HAS(markdown, "| mlp on all: fp32, memory, 100 candidates | flops\\_per\\_candidate | 100 | 101 | +1.00 "
                  "% | REGRESSED |");
}

Test(compare, an_output_that_cannot_be_written_is_an_error) {
    struct ran r = compare_with(folder_usual, ".7001", "--json /nonexistent/c.json");
    cr_expect_eq(r.status, 2);
    HAS(r.err, "/nonexistent/c.json");
}
