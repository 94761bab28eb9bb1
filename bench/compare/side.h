/* side.h: one results folder of a comparison, and whether two of them can be compared.
 *
 *     struct side base, new;
 *     TRY(side_open(&base, "results/reference", e));
 *     ...
 *     TRY(side_comparable(&base, &new, e));              the message says what differs
 *     side_close(&base);
 */
#ifndef PRERANK_BENCH_SIDE_H
#define PRERANK_BENCH_SIDE_H
#include "base/err.h"
#include "bench/report/subsets.h"
#include <jansson.h>
#include <stdbool.h>

struct side {
    const char *dir;
    json_t *manifest;
    struct table effect, compute;
    struct table instructions, tables, subsets; /* without rows when there is no such file */
    bool has_instructions;
    json_t *costs; /* by variant: the hash of the costs that its fields were ranked by, where they were */
};
int side_open(struct side *s, const char *dir, struct err *e);
void side_close(struct side *s); /* also one that was never opened, if zeroed */
/* The data are of the same log and schema (data_hash), and so is what was asked for: the same config_hash; or the same
 * text of the experiment (written_hash) with every option that both programs know resolved alike, so that an option
 * that a newer version has added does not make an old result worthless. Names and folders do not count. */
int side_comparable(const struct side *base, const struct side *new, struct err *e);
const char *side_text(const struct side *s, const char *path); /* "machine.cpu" of the manifest, or "" */
/* What its fields were ranked by: equal texts are equal costs; "" where no selector knew any. */
const char *side_costs(const struct side *s, const char *variant);
/* The type of machine: processor and BLAS kernel, which decide the rounding. */
bool side_same_machine(const struct side *base, const struct side *new);
/* The very same program file. */
bool side_same_program(const struct side *base, const struct side *new);

#endif
