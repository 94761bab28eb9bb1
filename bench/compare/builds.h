/* builds.h: two programs side by side: both train the experiment and are compared as folders are; then both answer the same
 * requests in turns, and their response times are compared too.
 *
 * A group is a pair of fresh processes, one of each program, that answer turns of 50 requests in the order A B B A, for every
 * point, 400 requests each. Of a group and metric one number remains: the logarithm of NEW's figure over BASE's, for
 * the median (p50), the 99th percentile (p99) and the time per request (qps). p99.9 is not among them: 400 requests cannot
 * carry it, and it differs by half between identical programs. Over the groups: Hodges-Lehmann centre and its
 * interval, and Wilcoxon's signed-rank test. Fresh processes, because where a program happens to lie in
 * memory changes its speed by a percent or more for as long as it lives.
 *
 * When a time is a regression or undecided, its point is measured once more, in as many groups. Only what is a regression in
 * the second measurement alone, too, is reported as one; what was undecided is judged by the groups of both.
 */
#ifndef PRERANK_BENCH_BUILDS_H
#define PRERANK_BENCH_BUILDS_H
#include "bench/compare/gate.h"

enum { BUILDS_GROUPS = 20 };
struct builds_task {
    const char *program[2]; /* OLD, NEW */
    const char *config, *out;
    const char *const *set;
    size_t n_set;
    int threads, groups;
    bool instructions; /* count them where valgrind is */
};
int compare_builds(const struct builds_task *t, struct comparison *c, struct err *e);

#endif
