/* Where the truth is planted, the models come out in the order that it demands. The whole of it is `make family-truth`; this is a
 * slice of few rows: every two-tower against cold, din against cold, dssm against the truth. */
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

Test(family, planted_effects_decide_which_model_wins, .timeout = 120) {
    struct scratch s;
    char command[512];
    scratch_make(&s);
    snprintf(command, sizeof command,
             "/usr/bin/python3 tests/bench/family_truth.py %s %s --small >%s/out 2>&1", prerank_path(), s.dir,
             s.dir);
    int rc = system(command);
    cr_expect_eq(rc, 0, "%s", scratch_read(&s, "out"));
    scratch_remove(&s);
}
