/* index.h: retrieval: the items with the largest inner product with a user's vector, by FAISS.
 *
 *     struct scorer_towers t;
 *     TRY(scorer_towers(s, &t, e));                        a two-tower model: vectors of all items
 *     struct index *ix;
 *     TRY(index_create("IVF256,Flat", t.dim, 1, &ix, e));
 *     TRY(index_add(ix, (struct vectors){t.items, t.n_items, t.dim}, e));     trains, then adds; item numbers from 0
 *     TRY(index_set(ix, "nprobe", 16, e));
 *     TRY(index_search(ix, (struct vectors){users, n, t.dim}, 100, ids, scores, e));
 *     TRY(index_save(ix, "models/dssm.index", scorer_version(s), e));
 *     index_free(ix);
 *
 * Kinds, by FAISS's factory strings: `Flat` is exact; `IVF256,Flat` looks at `nprobe` of 256 clusters;
 * `HNSW32` walks a graph of 32 links an item, `efSearch` wide; `IVF256,PQ8` keeps 8 bytes an item (the
 * dimension must be a multiple of 8).
 *
 * FAISS brings OpenMP threads of its own beside base/pool.h. They are `threads` for every call here, and 1
 * starts none: what is called from a pool's task, or measured beside other work, should have 1. HNSW graphs
 * built by several threads differ from run to run. OpenBLAS stays on one thread. An index is used by one
 * thread at a time.
 */
#ifndef PRERANK_SERVE_INDEX_H
#define PRERANK_SERVE_INDEX_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct index;
struct vectors { /* p[n][dim] */
    const float *p;
    size_t n, dim;
};
#define INDEX_NONE UINT32_MAX

int index_create(const char *factory, size_t dim, int threads, struct index **out, struct err *e);
/* Learns clusters and codes from a sample; kinds that need none take it at once. FAISS advises 39 vectors a cluster or code
 * (of IVF64,PQ8: 64 and 256), and refuses fewer than one; in between nothing is said here. */
int index_train(struct index *ix, struct vectors sample, struct err *e);
/* Numbers go on from those that are there. Trains on them first if that has not been done. */
int index_add(struct index *ix, struct vectors items, struct err *e);
/* A parameter of the search: nprobe, efSearch. Holds until it is set again; it is not saved. */
int index_set(struct index *ix, const char *name, int64_t value, struct err *e);
/* ids[n][k] and scores[n][k], best first; where there are fewer than k: INDEX_NONE and -INFINITY. */
int index_search(struct index *ix, struct vectors users, size_t k, uint32_t *ids, float *scores,
                 struct err *e);
size_t index_count(const struct index *ix);

/* A FAISS file (Python's faiss.read_index takes it), with the model's version behind it. Atomic. Opening
 * refuses another version or dimension, and a file that is cut off or something else. */
int index_save(const struct index *ix, const char *path, const char *version, struct err *e);
int index_open(const char *path, size_t dim, const char *version, int threads, struct index **out,
               struct err *e);
void index_free(struct index *ix);

#endif
