/* staging.h: a dataset directory while it is made: everything is written to DIR.tmp-<pid>, which takes DIR's place in one step.
 *
 *     struct staging g;
 *     TRY(staging_begin(&g, "results/data/ml1m", e));      g.tmp with its folders, g.work for temporary columns
 *     ... write into g.tmp ...
 *     TRY(staging_commit(&g, e));                          fsync of every file, rename; the old directory is removed
 *     staging_abort(&g);                                   instead of commit, or after its failure: DIR stays as it was
 */
#ifndef PRERANK_DATA_STAGING_H
#define PRERANK_DATA_STAGING_H
#include "base/err.h"
#include "data/npy.h"

struct staging {
    char dir[1024], tmp[1060], work[1080];
    int lock; /* on tmp, while it is there */
};
/* Refuses a DIR that is there but neither empty nor a dataset. Removes what killed processes left of the same DIR. */
int staging_begin(struct staging *g, const char *dir, struct err *e);
int staging_commit(struct staging *g, struct err *e);
void staging_abort(struct staging *g);

/* DIR/FOLDER/NAME SUFFIX.npy */
int staging_array(const char *dir, const char *folder, const char *name, const char *suffix,
                  enum npy_type type, uint64_t n, struct npy *out, struct err *e);
int staging_reopen(const char *dir, const char *folder, const char *name, const char *suffix,
                   enum npy_type type, struct npy *out, struct err *e);

#endif
