/* kept_index.h: an index that lies in the results folder: built and saved there, or opened when it is there already
 * (a run with --resume).
 *
 *     struct kept_index k;
 *     TRY(kept_index_get("results/mine/models/dssm.all.1", "IVF256,Flat", items, version, 1, &k, e));
 *     index_search(k.index, ...);
 *     kept_index_release(&k);
 *
 * <stem>.IVF256-Flat.index is the FAISS file (serve/index.h), <stem>.IVF256-Flat.index.json says what it was made of and
 * how long that took, and has a hash of the file. One that is damaged, or of another model, is built anew, with a note.
 */
#ifndef PRERANK_BENCH_KEPT_INDEX_H
#define PRERANK_BENCH_KEPT_INDEX_H
#include "serve/index.h"
#include <stdbool.h>

struct kept_index {
    struct index *index;
    const char *kind;
    double build_seconds; /* training and adding, without writing; also when it was opened */
    int64_t bytes;        /* of the file */
    bool opened;
};
/* items: item numbers from 1 on, so that the index's number i is item i + 1. */
int kept_index_get(const char *stem, const char *kind, struct vectors items, const char *version, int threads,
                   struct kept_index *out, struct err *e);
void kept_index_release(struct kept_index *k);

#endif
