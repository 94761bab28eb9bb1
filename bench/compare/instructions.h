/* instructions.h: instructions that scoring takes, counted by valgrind's tool callgrind: a figure of cost that a busy
 * machine does not disturb.
 *
 *     TRY(instructions_count("configs/mine.yaml", "results/mine", NULL, 0, e));      writes instructions.csv
 *
 * This program runs once under callgrind, on one thread, and answers the same few requests at each measured point;
 * counted is what happens inside scorer_score(), the mean over the requests. The processor that valgrind
 * imitates has AVX2 and no AVX-512, so the counts are those of the AVX2 kernels, on any machine that has them;
 * they do depend on the compiler and on the libraries.
 */
#ifndef PRERANK_BENCH_INSTRUCTIONS_H
#define PRERANK_BENCH_INSTRUCTIONS_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

bool instructions_possible(void); /* valgrind is there */
/* set: the settings of --set that the results folder was made with. */
int instructions_count(const char *config, const char *dir, const char *const *set, size_t n_set,
                       struct err *e);

#endif
