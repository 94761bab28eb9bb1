/* Subsets that `select` chose, in comparisons: two sides may have chosen others, or trained them under other names. */
#include "base/file.h"
#include "bench/compare/twins.h"
#include "tests/bench/folders.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(compare_subsets, .init = setup, .fini = teardown);

static struct ran compare(const char *more) {
    return prerank(&s, "compare %s/base %s/new %s", s.dir, s.dir, more);
}

/* A line more in effect.csv for the model of the folder, under the name of a subset that `select` made. */
static void list_again(const char *name, const char *features, const char *gauc) {
    char path[128], line[200];
    snprintf(path, sizeof path, "%s/effect.csv", name);
    snprintf(line, sizeof line, "mlp,%s,1,test,.7,%s,.5,1,0,.5,.5,3,9,50,ok,\n", features, gauc);
    char *text = scratch_read(&s, path), *more = arena_alloc(&s.arena, strlen(text) + sizeof line);
    scratch_write(&s, path, strcat(strcpy(more, text), line));
}

static void write_subsets(const char *name, const char *rows) {
    char path[128], text[1000];
    snprintf(path, sizeof path, "%s/subsets.csv", name);
    snprintf(text, sizeof text, "variant,selector,k,features,trained_as,n_fields,fields,required\n%s", rows);
    scratch_write(&s, path, text);
}

Test(compare_subsets,
     a_subset_that_was_trained_under_another_name_is_judged_by_the_predictions_of_that_name) {
    folder_write(&s, "base", folder_usual, ".7001");
    folder_write(&s, "new", (struct folder){.program_hash = "p2", .noise = 1e-6}, ".70010001");
    list_again("base", "se-2", ".7001");
    list_again("new", "se-2", ".70010001");
    write_subsets("base", "mlp,se,2,se-2,all,2,x y,\n");
    write_subsets("new", "mlp,se,2,se-2,all,2,x y,\n");
    struct ran r = compare("");
    cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
    cr_expect_eq(count_parts(r.out, "judged by its users"), 2, "%s", r.out);
}

static void write_costs(const char *name, const char *hash) {
    char path[128], text[200];
    struct err e = ERR_INIT;
    snprintf(path, sizeof path, "%s/%s/importance", s.dir, name);
    cr_assert_eq(file_make_dirs(path, &e), 0);
    snprintf(path, sizeof path, "%s/importance/mlp.ranked-by.json", name);
    snprintf(text, sizeof text, "{\"hash\": \"%s\"}\n", hash);
    scratch_write(&s, path, text);
}

/* `mlp` on the subset SELECTOR-2 with the fields x and y in BASE, `fields` in NEW, whose model is twice as large. */
static void write_chosen(const char *selector, const char *fields, const char *program) {
    static const char *const side[] = {"base", "new"};
    folder_write(&s, "base", folder_usual, ".7001");
    folder_write(&s, "new", (struct folder){.program_hash = program}, ".7001");
    for (int k = 0; k < 2; k++) {
        char name[64], path[128], text[300];
        struct folder f = {.noise = k ? 1e-6 : 0};
        snprintf(name, sizeof name, "%s-2", selector);
        snprintf(text, sizeof text, "mlp,%s,2,%s,%s,2,%s,\n", selector, name, name, k ? fields : "x y");
        write_subsets(side[k], text);
        write_costs(side[k], k ? "h2" : "h1");
        list_again(side[k], name, k ? ".70010001" : ".7001");
        snprintf(path, sizeof path, "%s/compute.csv", side[k]);
        snprintf(text, sizeof text, "%smlp,%s,fp32,memory,100,2,closed,5,%d,64,1000\n",
                 scratch_read(&s, path), name, k ? 200 : 100);
        scratch_write(&s, path, text);
        snprintf(path, sizeof path, "%s/predictions", side[k]);
        folder_predictions(&s, side[k], &f, name, 1);
    }
}

Test(compare_subsets, subsets_ranked_by_other_costs_are_skipped_where_they_hold_other_fields) {
    write_chosen("fscd", "x z", "p1");
    struct ran r = compare("");
    cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
    cr_expect_eq(count_parts(r.out, "by costs of fields that another run measured"), 4, "%s", r.out);
    cr_expect_eq(count_parts(r.out, "skipped "), 5, "GAUC, three counts, and instructions: %s", r.out);
    write_costs("new", "h1");
    r = compare("");
    cr_expect_eq(r.status, 1, "the same program chose otherwise by the same costs: %s", r.out);
    HAS(r.out, "other fields were chosen, though program and type of machine are the same");
    write_chosen("fscd", "y x", "p1");
    r = compare("");
    cr_expect_eq(r.status, 1, "they hold the same, in another order: %s", r.out);
    HAS(r.out, "not the same to the bit, though program");
    HAS(r.out, "+100.0 %");
}

Test(compare_subsets, subsets_that_another_program_chose_otherwise_are_judged_by_their_users_alone) {
    write_chosen("se", "x z", "p2");
    struct ran r = compare("");
    cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
    HAS(r.out, "other fields were chosen: judged by its users");
    cr_expect_eq(count_parts(r.out, "other fields were chosen\n"), 4, "parameters and three counts: %s",
                 r.out);
    folder_predictions(&s, "new", &(struct folder){.drop = .5}, "se-2", 1);
    r = compare("");
    cr_expect_eq(r.status, 1, "worse ones were chosen: %s", r.out);
    r = compare("--exact");
    HAS(r.out, "other fields were chosen, as --exact demands");
}

/* BASE has trained se-2 by itself, NEW has it as `all`; compute.csv has it under its own name on both sides. */
Test(compare_subsets, counts_of_a_subset_are_found_under_the_name_that_each_side_trained_it_under) {
    static const char tables[] = "variant,features,precision,layer,field,chosen\n",
                      instructions[] =
                          "variant,features,precision,store,candidates,threads,load,instructions\n";
    char text[300];
    write_chosen("se", "x y", "p1");
    write_subsets("new", "mlp,se,2,se-2,all,2,x y,\n");
    snprintf(text, sizeof text, "%smlp,se-2,fp32,memory,100,1,closed,1000\n", instructions);
    scratch_write(&s, "base/instructions.csv", text);
    snprintf(text, sizeof text, "%smlp,all,fp32,memory,100,1,closed,1100\n", instructions);
    scratch_write(&s, "new/instructions.csv", text);
    struct ran r = compare("");
    HAS(r.out, "REGRESSED  +10.0 %");
    HAS(r.out, "REGRESSED  +100.0 %");
    snprintf(text, sizeof text, "%smlp,se-2,fp32,mlp.0,x,table\n", tables);
    scratch_write(&s, "base/tables.csv", text);
    snprintf(text, sizeof text, "%smlp,all,fp32,mlp.0,x,product\n", tables);
    scratch_write(&s, "new/tables.csv", text);
    r = compare("");
    HAS(r.out, "other pair fields are tables");
    cr_expect_not(strstr(r.out, "REGRESSED  +100.0 %"), "%s", r.out);
}

/* ---- points of a comparison of builds ---- */

/* "01-": OLD's points have NEW's points 0, 1 and none as their twins; "": the two measure different things. */
static const char *twins(const char *old_names, const char *new_names) {
    struct side side[2];
    struct turns t[2];
    struct err e = ERR_INIT;
    const char *text[] = {old_names, new_names};
    int twin[8];
    char *out = arena_alloc(&s.arena, 9);
    for (int k = 0; k < 2; k++) {
        char dir[128];
        snprintf(dir, sizeof dir, "%s/%s", s.dir, k ? "new" : "base");
        cr_assert_eq(side_open(&side[k], dir, &e), 0, "%s", e.msg);
        t[k] = (struct turns){.name = arena_alloc(&s.arena, 8 * sizeof(char *))};
        for (const char *p = text[k]; *p; p += strspn(p, " ")) {
            char name[128];
            snprintf(name, sizeof name, "mlp,%.*s,fp32,memory,100,2,closed", (int)strcspn(p, " "), p);
            t[k].name[t[k].n_points++] = arena_strdup(&s.arena, name);
            p += strcspn(p, " ");
        }
    }
    if (twins_find(&side[0], &side[1], &t[0], &t[1], twin))
        for (int i = 0; i < t[0].n_points; i++) out[i] = twin[i] < 0 ? '-' : (char)('0' + twin[i]);
    for (int k = 0; k < 2; k++) side_close(&side[k]);
    return out;
}

Test(compare_subsets, points_of_chosen_subsets_are_told_by_their_fields) {
    write_chosen("fscd", "x y", "p2");
    cr_expect_str_eq(twins("all fscd-2", "all fscd-2"), "01");
    cr_expect_str_eq(twins("all fscd-2", "fscd-2 all"), "10");
    cr_expect_str_eq(twins("all fscd-2", "all"), "", "it must be there");
    cr_expect_str_eq(twins("all", "all no-cross"), "");
    cr_expect_str_eq(twins("all", "all fscd-2"), "", "OLD is a program that does not time what it chose");
    write_subsets("new", "mlp,fscd,2,fscd-2,all,2,x y,\n");
    cr_expect_str_eq(twins("all fscd-2", "all"), "00", "NEW has trained it as `all`");
    write_subsets("new", "mlp,fscd,2,fscd-2,fscd-2,2,x z,\n");
    cr_expect_str_eq(twins("all fscd-2", "all fscd-2"), "0-", "other fields");
    write_subsets("new", "mlp,fscd,2,fscd-2,all,2,x z,\nmlp,fscd,3,fscd-3,fscd-3,3,x y z,\n");
    cr_expect_str_eq(twins("all fscd-2", "all fscd-3"), "0-", "fscd-3 is NEW's alone");
    write_subsets("base", "mlp,fscd,2,fscd-2,fscd-2,2,x y,\nmlp,se,2,se-2,fscd-2,2,x y,\n");
    write_subsets("new", "mlp,fscd,2,fscd-2,fscd-2,2,x z,\nmlp,se,2,se-2,se-2,2,x y,\n");
    cr_expect_str_eq(twins("all fscd-2", "all fscd-2 se-2"), "0-", "se-2 was trained with what is skipped");
}
