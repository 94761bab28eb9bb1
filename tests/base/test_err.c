#include "base/err.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(err, sets_code_and_message_and_returns_the_code) {
    struct err e = ERR_INIT;
    cr_assert_eq(err_set(&e, ERR_MEASURE, "%d samples, \"%s\"", 7, "x"), ERR_MEASURE);
    cr_assert_eq(e.code, ERR_MEASURE);
    cr_assert_str_eq(e.msg, "7 samples, \"x\"");
}

Test(err, needs_no_receiver) {
    cr_assert_eq(err_set(NULL, ERR_INTERRUPTED, "x"), ERR_INTERRUPTED);
    cr_assert_eq(err_nomem(NULL, 1), ERR_INPUT);
    cr_assert_eq(err_errno(NULL, "p", "read"), ERR_INPUT);
    cr_assert_eq(err_prefix(NULL, "x"), ERR_INPUT);
}

Test(err, cuts_a_message_that_is_too_long) {
    struct err e = ERR_INIT;
    char text[3000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(&e, ERR_INPUT, "%s", text);
    cr_assert_eq(strlen(e.msg), sizeof e.msg - 1);
    cr_assert_eq(err_prefix(&e, "%s", text), ERR_INPUT);
    cr_assert_eq(strlen(e.msg), sizeof e.msg - 1);
}

Test(err, message_may_quote_the_message_that_is_there) {
    struct err e = ERR_INIT;
    err_set(&e, ERR_INPUT, "inner");
    err_set(&e, ERR_MEASURE, "outer (%s)", e.msg);
    cr_assert_str_eq(e.msg, "outer (inner)");
}

Test(err, prefix_goes_in_front_and_keeps_the_code) {
    struct err e = ERR_INIT;
    err_set(&e, ERR_DIVERGED, "loss is NaN");
    cr_assert_eq(err_prefix(&e, "seed %d", 3), ERR_DIVERGED);
    cr_assert_str_eq(e.msg, "seed 3: loss is NaN");
}

Test(err, errno_names_path_and_action_and_a_full_disk) {
    struct err e = ERR_INIT;
    errno = ENOENT;
    cr_assert_eq(err_errno(&e, "a/b", "open"), ERR_INPUT);
    cr_assert_str_eq(e.msg, "a/b: cannot open: No such file or directory");
    errno = ENOSPC;
    err_errno(&e, "a/b", "write");
    cr_assert(strstr(e.msg, "a/b: cannot write: the disk is full"), "%s", e.msg);
}

static int fails_second(struct err *e, int *reached) {
    TRY(0);
    ++*reached;
    TRY(err_set(e, ERR_MEASURE, "x"));
    ++*reached;
    return 0;
}

Test(err, try_returns_at_the_first_failure) {
    struct err e = ERR_INIT;
    int reached = 0;
    cr_assert_eq(fails_second(&e, &reached), ERR_MEASURE);
    cr_assert_eq(reached, 1);
}
