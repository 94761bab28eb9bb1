/* scorer.h: a trained graph cut for serving: item stage into a store, user stage once a request, pair stage
 * per candidate.
 *
 *     struct scorer *s;
 *     TRY(scorer_create(&graph, &serving_data, &opts, pool, &s, e));   runs passes and the item stage over
 * all items float score[1000]; struct request r = {.user = 17, .n = 1000, .items = ids}; TRY(scorer_score(s,
 * &r, score, e));                   logits, equal to the training graph's to 1e-5 size_t k =
 * scorer_top(score, r.n, 100, order);        the 100 best positions, best first, by selection (no full sort)
 *     scorer_free(s);
 *
 * Where features come from: a `struct serving_data` gives the columns of the user side (one row), of the item
 * side (all items) and of the pair side (for a user and candidates). serving_data_from_dataset() is the real
 * one: users/, items/ and state/ of a dataset, pair features by derive.h. Tests and benchmarks may bring
 * their own. Numbers of users and items are those of rows/user.npy and rows/item.npy.
 */
#ifndef PRERANK_SERVE_SCORER_H
#define PRERANK_SERVE_SCORER_H
#include "base/err.h"
#include "base/pool.h"
#include "data/dataset.h"
#include "data/derive.h"
#include "nn/exec.h"
#include "nn/fused/fused.h"
#include "nn/graph.h"
#include "nn/passes.h"
#include "serve/store.h"
#include "serve/tables.h"

struct serving_data {
    void *self;
    uint32_t n_items;
    /* Column `name` for one user (1 row), or for items [first, first+n): pointers valid until the next call
     * of the same worker.*/
    int (*user)(void *self, const char *name, uint32_t user, struct batch_column *out, struct err *e);
    int (*item)(void *self, const char *name, uint32_t first, size_t n, struct batch_column *out,
                struct err *e);
    /* Ids of pair column `name` for a user and n items. */
    int (*pair)(void *self, const char *name, uint32_t user, const uint32_t *items, size_t n, uint32_t *ids,
                struct err *e);
    /* The same with the user's values as they were at a moment (see struct request). Both may be NULL: then requests have
     * none. */
    int (*user_at)(void *self, const char *name, uint64_t moment, struct batch_column *out, struct err *e);
    int (*pair_at)(void *self, const char *name, uint64_t moment, const uint32_t *items, size_t n,
                   uint32_t *ids, struct err *e);
    void (*release)(void *self);
    /* Another `self` over the same data, for a scorer that works at the same time (scorer_share); release() ends it. NULL on
     * errors. Without this function, user() and user_at() may be called by several threads at once. */
    void *(*share)(void *self, struct err *e);
};
int serving_data_from_dataset(const struct dataset *ds, struct serving_data *out, struct err *e);
/* Rows [begin, end) of the log: user k and item k are those of row begin + k with the features that were logged then.
 * What a model scores there is what it scored in training, so that its quality can be measured as it is served. */
int serving_data_from_rows(const struct dataset *ds, uint64_t begin, uint64_t end, struct serving_data *out,
                           struct err *e);

/* Rows of the training log: a user, an item and the pair features as they were. */
struct scorer_sample {
    size_t n;
    const uint32_t *user, *item;
    int n_pair;
    const char *const *pair;         /* names of at least the pair columns that the model has */
    const uint32_t *const *pair_ids; /* [n_pair][n] */
};

struct scorer;
struct scorer_options {
    struct pass_options passes; /* default (zeroed): see scorer_defaults() */
    size_t block;               /* candidates per block: they share the cache; 0: the scorer's choice */
    size_t user_cache;          /* users whose values of the user stage are kept; 0: none */
    /* Run the pair stage by the fused engine (nn/fused/fused.h) where it has that shape, and two towers in fp32 in one
     * sweep over the records (nn/dots.h); op by op otherwise. */
    bool fuse;
    bool skip_zeros; /* the fused engine does not multiply activations that are 0; the same scores */
    /* Of item records (in whichever store), tables, weights and activations of the pair stage; the user stage is fp32.
     * Models that the fused engine does not run have records and the weights of linear layers and of the attention network
     * in it, all else in fp32; one that has neither is refused. */
    enum precision precision;
    enum isa isa;                       /* no more than these instructions; ISA_BEST: whatever there is */
    const struct scorer_sample *sample; /* int8: rows that the activations' scales are taken from */
    const struct scorer *
        scales; /* int8: or all scales are those of this scorer of the same model, over other items; and its tables */
    /* Which pair fields become tables of partial products. TABLES_AUTO: those that are faster as tables, by measured
     * times (serve/tables.h); the ids are drawn as in `sample`. */
    enum tables tables;
    struct table_times *table_times; /* NULL: measured, and forgotten */
    /* Where item records lie; default memory. `readers` is the scorer's to set. The item stage fills it, or,
     * with `attach`, the records are taken as another scorer of the same model has published them, in the same precision.
     * For int8 the item stage runs all the same, to find the scales, unless they come by `scales`. */
    struct store_options store;
    bool attach;
};
struct scorer_options scorer_defaults(void);

struct request {
    uint32_t user;
    size_t n;
    const uint32_t *items;
    /* Pair columns already computed, in the order of scorer_pair_columns(): [k][n] ids; NULL: computed live
     * by serving_data. */
    const uint32_t *const *pair_ids;
    /* 0: the user's values are those of users/, as of the end of training and validation. Otherwise 1 + a row of the log,
     * one of this user's: they are those of that row, as they were when it was logged. */
    uint64_t moment;
};

int scorer_create(const struct graph *g, const struct serving_data *data, const struct scorer_options *o,
                  struct pool *pool, struct scorer **out, struct err *e);
int scorer_score(struct scorer *s, const struct request *r, float *score, struct err *e);

/* One more server of the same model: weights, tables and records in memory are shared and only read; buffers, user stage,
 * cache of users and the reader of or connection to another store are its own. Each of them answers one request at a
 * time, all of them at once. `from` must outlive it, and its data, too. */
int scorer_share(const struct scorer *from, struct pool *pool, struct scorer **out, struct err *e);

/* Requests of at least `from` candidates are shared out among the pool's threads, smaller ones run on the caller. 0, the
 * start: all of them; SIZE_MAX: none. Scores are the same to the last bit. */
void scorer_split(struct scorer *s, size_t from);
/* Measures from where that pays, on the first 32, 64, ... candidates of `r`; more than r->n are shared out unseen. Threads
 * that have slept for lack of requests take longer to come: this is of requests that follow each other. score[r->n] is
 * scratch. Takes some 30 times as long as r. */
int scorer_calibrate(struct scorer *s, const struct request *r, float *score, struct err *e);
size_t scorer_split_from(const struct scorer *s);
int scorer_threads(const struct scorer *s, size_t n); /* that a request of n candidates is given to */
size_t scorer_top(const float *score, size_t n, size_t k, uint32_t *order);
/* Candidates of the last request whose record the store does not have: their score is -INFINITY, so that they
 * come last. */
size_t scorer_missing(const struct scorer *s);
uint64_t scorer_user_hits(const struct scorer *s); /* requests so far that found their user in the cache */
/* 64 bits as hex digits, over everything that item records and the reading of them depend on in the model:
 * its parameters and the passes, the precision and int8's scales; which pair fields are tables only by those. */
const char *scorer_version(const struct scorer *s);
/* Names of the pair-side columns that a request needs (NULL-ended). */
const char *const *scorer_pair_columns(const struct scorer *s);
/* The pair fields that could be tables of partial products, and which of them are. */
const struct table_choice *scorer_tables(const struct scorer *s, size_t *n);
/* A two-tower model as vectors: logit = scale * <user vector, item vector> + bias, scale > 0. An error when the
 * pair stage is anything else. */
struct scorer_towers {
    size_t dim;
    double scale, bias;
    uint32_t n_items;
    const float *items; /* [n_items][dim], the item records; NULL when they are not in memory */
};
int scorer_towers(const struct scorer *s, struct scorer_towers *out, struct err *e);
/* out[dim]; `moment` as in struct request. */
int scorer_user_vector(struct scorer *s, uint32_t user, uint64_t moment, float *out, struct err *e);
/* Cost after the passes: per request (user stage) and per candidate (pair stage, with the record fetched). */
struct scorer_cost {
    double flops_per_request, flops_per_candidate, bytes_per_candidate, weight_bytes;
    /* Of flops_per_candidate, by which activations that were 0 were not multiplied: mean over the candidates scored so far; 0
     * before the first. The others are counted in the graph. */
    double flops_skipped;
    size_t item_record_bytes, item_store_bytes;
};
struct scorer_cost scorer_cost(const struct scorer *s);
void scorer_free(struct scorer *s);

#endif
