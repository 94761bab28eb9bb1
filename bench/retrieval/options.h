/* options.h: the experiment's key `retrieval`: which indexes search the whole item set, and how it is judged. */
#ifndef PRERANK_BENCH_RETRIEVAL_OPTIONS_H
#define PRERANK_BENCH_RETRIEVAL_OPTIONS_H
#include "base/opt.h"
#include "bench/problems.h"

enum { RETRIEVAL_EXCLUDE_NONE, RETRIEVAL_EXCLUDE_SEEN };
enum { RETRIEVAL_SEEDS_ALL, RETRIEVAL_SEEDS_FIRST };
struct retrieval_options {
    struct opt_names index;
    struct opt_ints nprobe, ef_search, topk;
    int64_t threads, users, requests;
    double min_seconds;
    int exclude, seeds;
};
extern const struct opt retrieval_opts[];
extern const char *const retrieval_exclude_names[];
/* The indexes must be kinds that FAISS knows, each once. */
void retrieval_check_options(const struct retrieval_options *o, const struct conf *map, struct problems *p);
/* IVF256,Flat: 256; 0 for kinds without clusters. */
int64_t retrieval_clusters(const char *index);
/* Whether this many items are enough for every index: an error that says which is not, and what would be. Fewer than FAISS
 * advises: a note. */
int retrieval_check_items(const struct retrieval_options *o, uint32_t n_items, struct err *e);

#endif
