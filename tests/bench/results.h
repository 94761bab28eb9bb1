/* results.h: small results folders for the tests of trade-off, pictures and report.
 *
 *     struct scratch s;  scratch_make(&s);
 *     results_fixture(&s);                             tests/fixtures/tradeoff, where its names must be nasty
 *     results_minimal(&s, rows_of_effect, rows_of_compute);       header lines are added
 */
#ifndef PRERANK_TESTS_BENCH_RESULTS_H
#define PRERANK_TESTS_BENCH_RESULTS_H
#include "tests/bench/scratch.h"

void results_fixture(struct scratch *s);
/* Rows of "variant,features,seed,split,gauc,gauc_lo,gauc_hi,status" and
 * "variant,features,candidates,p50_us,p99_us"; curves.csv and latency.csv get nothing but a header. */
void results_minimal(struct scratch *s, const char *effect, const char *compute);

#endif
