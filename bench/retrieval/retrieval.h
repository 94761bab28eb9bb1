/* retrieval.h: two-tower models as retrievers: all item vectors in FAISS indexes, a user's vector against them.
 *
 *     TRY(retrieval_check(&x, &ds, e));                  before training: are there enough items for every index?
 *     TRY(retrieval_run(&sweep, pool, e));               writes retrieval.csv; without the key `retrieval`, removes it
 *
 * For each two-tower model, each of its seeds (`seeds: first`: the first that trained) and each index, a point is a search
 * parameter (nprobe, efSearch; Flat has none) and a number of items to return. Models that are no two towers are left
 * out with a note. What is judged and what is timed is the same: user stage, search, and with `exclude: seen` asking
 * for as many items more as the user has seen and dropping those. Each point's lists are judged for the same users
 * (judge.h); then all points of all models and seeds are timed in turns (bench/run/rounds.h), one request at a time,
 * with the users in the same order. For that all item vectors and indexes are in memory at once.
 */
#ifndef PRERANK_BENCH_RETRIEVAL_H
#define PRERANK_BENCH_RETRIEVAL_H
#include "bench/run/sweep.h"

int retrieval_check(const struct experiment *x, const struct dataset *ds, struct err *e);
int retrieval_run(const struct sweep *s, struct pool *pool, struct err *e);

#endif
