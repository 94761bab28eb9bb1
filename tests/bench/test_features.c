#include "bench/run/features.h"
#include <criterion/criterion.h>
#include <string.h>

static const struct feature fields[] = {
    {.name = "user_id", .side = SIDE_USER}, {.name = "age", .side = SIDE_USER},
    {.name = "item_id", .side = SIDE_ITEM}, {.name = "genres", .side = SIDE_ITEM},
    {.name = "x_age", .side = SIDE_PAIR},   {.name = "x_zip", .side = SIDE_PAIR},
};
static const struct features all = {6, fields};
static struct problems p;

static void clear(void) { problems_release(&p); }
TestSuite(features, .fini = clear);

/* The kept fields, in order, with spaces between; terms are given with spaces between, too. */
static const char *kept(const char *terms) {
    static char out[256];
    static char room[256];
    struct subset_term term[8];
    struct subset s = {.name = "mine", .term = term};
    bool keep[6];
    strcpy(room, terms);
    for (char *t = strtok(room, " "); t; t = strtok(NULL, " ")) term[s.n++] = (struct subset_term){t, NULL};
    subset_resolve(&s, &all, keep, &p);
    *out = '\0';
    for (int i = 0; i < 6; i++)
        if (keep[i]) strcat(strcat(out, *out ? " " : ""), fields[i].name);
    return out;
}

Test(features, a_star_is_everything) {
    cr_expect_str_eq(kept("*"), "user_id age item_id genres x_age x_zip");
}

Test(features, sides_names_and_globs_add) {
    cr_expect_str_eq(kept("user item"), "user_id age item_id genres");
    cr_expect_str_eq(kept("genres user"), "user_id age genres");
    cr_expect_str_eq(kept("x_*"), "x_age x_zip");
    cr_expect_str_eq(kept("*_id pair"), "user_id item_id x_age x_zip");
    cr_expect_eq(p.n, 0);
}

Test(features, exclusions_apply_from_left_to_right) {
    cr_expect_str_eq(kept("* -pair"), "user_id age item_id genres");
    cr_expect_str_eq(kept("* -x_* x_zip"), "user_id age item_id genres x_zip");
    cr_expect_str_eq(kept("user -user"), "");
}

Test(features, a_leading_exclusion_starts_from_everything) {
    cr_expect_str_eq(kept("-*_id -x_age"), "age genres x_zip");
    cr_expect_eq(p.n, 0);
}

Test(features, a_field_that_is_not_there_is_a_problem_with_a_suggestion) {
    kept("user genre");
    cr_assert_eq(p.n, 1);
    cr_expect_str_eq(
        p.text.p, "feature subset `mine`: no field of the data matches `genre`, did you mean \"genres\"?\n");
}

Test(features, every_wrong_term_is_told) {
    kept("agee -nothing_like_it z*");
    cr_expect_eq(p.n, 3, "%s", p.text.p);
}

Test(features, a_subset_without_fields_is_a_problem) {
    kept("user -user");
    cr_assert_eq(p.n, 1);
    cr_expect_str_eq(p.text.p, "feature subset `mine` keeps no field\n");
}

Test(features, selection_keeps_the_order_and_can_leave_pair_fields_out) {
    struct arena a = ARENA_INIT;
    struct features used;
    bool keep[] = {true, false, true, false, true, true};
    int left_out;
    cr_assert_eq(features_select(&all, keep, false, &a, &used, &left_out, NULL), 0);
    cr_expect_eq(used.n, 2);
    cr_expect_eq(left_out, 2);
    cr_expect_str_eq(used.feature[1].name, "item_id");
    cr_assert_eq(features_select(&all, keep, true, &a, &used, &left_out, NULL), 0);
    cr_expect_eq(used.n, 4);
    cr_expect_eq(left_out, 0);
    arena_release(&a);
}
