/* manifest.h: manifest.json, which says where a results folder comes from, and who may write into that
 * folder.
 *
 *     struct manifest m;
 *     TRY(manifest_open(dir, &x, &ds, resume, &m, e));     locks the folder, refuses another experiment's,
 * clears or keeps TRY(manifest_set(&m, "machine", machine_json(&machine), e)); TRY(manifest_write(&m,
 * "running", e));
 *     ...
 *     TRY(manifest_write(&m, "finished", e));
 *     manifest_close(&m);
 *
 * A folder is another's when it holds files but no manifest, or a manifest with another `train_hash`
 * (variants, features, seeds and training options: what decides effect.csv) or another `data_hash`. What is
 * measured may change.
 */
#ifndef PRERANK_BENCH_MANIFEST_H
#define PRERANK_BENCH_MANIFEST_H
#include "bench/run/experiment.h"
#include "bench/run/machine.h"
#include "data/dataset.h"

struct manifest {
    json_t *j;
    const char *dir;
    int lock; /* file descriptor of the folder */
    double start_s;
};
int manifest_open(const char *dir, const struct experiment *x, const struct dataset *ds, bool resume,
                  struct manifest *out, struct err *e);
int manifest_set(struct manifest *m, const char *key, json_t *value, struct err *e); /* takes `value` over */
/* status: running | finished | interrupted; "running" is what a killed run leaves. */
int manifest_write(struct manifest *m, const char *status, struct err *e);
void manifest_close(struct manifest *m);

/* Path of the first difference of two JSON values, and both values there: "variants.0.options.dim is 16 there
 * and 8 here". */
void json_difference(json_t *there, json_t *here, char *out, size_t cap);
/* Now: "2026-01-31T12:00:00Z". */
void time_text(char out[32]);
/* "git describe" of the folder the program lies in, or "unknown". */
void program_revision(char *out, size_t cap);

#endif
