/* planted.h: the experiment that the tests of `select` run: a synthetic log with planted effects.
 *
 *     planted_write(&s, planted_columns, "", planted_small);      x.yaml, its data in data/
 *     planted_status(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir), 0);
 *     planted_chosen(&s, "out", "features")                       of chosen.json
 */
#ifndef PRERANK_TESTS_BENCH_PLANTED_H
#define PRERANK_TESTS_BENCH_PLANTED_H
#include "tests/bench/scratch.h"

/* Four planted fields and four of noise; `twin` holds what i0 does, but is computed live for each candidate. */
extern const char planted_columns[];
/* Two models, three selectors, five numbers of fields, two numbers of candidates. */
extern const char planted_small[];

void planted_write(struct scratch *s, const char *columns, const char *derive, const char *rest);
void planted_status(struct ran r, int status);
/* Cell `key` of the chosen point of the largest number of candidates. */
const char *planted_chosen(struct scratch *s, const char *out, const char *key);

#endif
