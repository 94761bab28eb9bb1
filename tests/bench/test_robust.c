/* Short slices of `make robust`. */
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(robust, .timeout = 300);

static void assert_passes(const char *script, const char *arguments) {
    char command[1400];
    snprintf(command, sizeof command, "/usr/bin/python3 tests/robust/%s --prerank '%s' %s", script,
             prerank_path(), arguments);
    cr_assert_eq(system(command), 0, "%s", command);
}

Test(robust, a_killed_run_resumes_to_the_same_bytes) { assert_passes("kill.py", "--kills 3 >&2"); }

Test(robust, measuring_that_was_killed_resumes_to_the_same_counts) {
    assert_passes("kill.py", "tests/robust/measured.yaml --kills 1 >&2");
}

Test(robust, a_full_disk_loses_nothing) { assert_passes("disk.py", "--points 3 >&2"); }

Test(robust, threads_runs_and_resuming_change_no_bit) { assert_passes("same.py", ">&2"); }
