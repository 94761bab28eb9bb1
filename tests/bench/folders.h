/* folders.h: results folders written by hand, for comparisons.
 *
 *     folder_write(&s, "base", folder_usual, ".7001");
 *     folder_write(&s, "new", (struct folder){.program_hash = "p2", .noise = 1e-6}, ".70010001");
 */
#ifndef PRERANK_TESTS_BENCH_FOLDERS_H
#define PRERANK_TESTS_BENCH_FOLDERS_H
#include "tests/bench/scratch.h"

struct folder { /* of one model, `mlp` on `all`, seed 1; NULL: as in folder_usual */
    const char *data_hash, *written_hash, *program_hash, *cpu, *config, *status, *effect, *flops, *params;
    double noise, drop; /* of the scores: to every score; and the share of positives that lose their lead */
};
extern const struct folder folder_usual;

/* The GAUC that stands in effect.csv is only compared as text. */
void folder_write(struct scratch *s, const char *name, struct folder f, const char *gauc);
/* Of one run alone; `dir` as in folder_write(). */
void folder_predictions(struct scratch *s, const char *dir, const struct folder *f, const char *features,
                        int seed);

#endif
