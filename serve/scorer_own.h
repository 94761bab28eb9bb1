/* scorer_own.h: private to scorer*.c. */
#ifndef PRERANK_SERVE_SCORER_OWN_H
#define PRERANK_SERVE_SCORER_OWN_H
#include "nn/fused/fused.h"
#include "nn/fused/product.h"
#include "serve/scorer.h"
#include "serve/user_cache.h"
#include <stdatomic.h>

struct worker { /* one thread's pair program with its inputs */
    struct exec *x;
    struct batch_column *col;
    uint32_t *ids;  /* [pair columns][block] */
    uint32_t *item; /* [block]: row in the table of records */
    struct fused_work *fused;
    const uint32_t **at; /* [columns of the pair program]: the block's ids, for the fused engine */
};

struct scorer {
    struct graph serving;
    struct cut cut;
    struct serving_data data;
    struct scorer_options o;
    struct pool *pool;
    struct exec *user;
    struct batch_column *user_col;
    const float **user_value; /* [cut.n_user] of the request's user */
    struct user_cache *cache; /* NULL: none */
    uint64_t user_hits;
    void *own_data;          /* sharing: data.self, where each has its own */
    const struct scorer *of; /* shares that one's model; NULL: it owns everything */
    struct store *store;     /* NULL: no item records */
    char version[STORE_VERSION_MAX];
    char model[STORE_VERSION_MAX]; /* of the version: what the programs are, whichever tables there are */
    struct table_choice *choice;   /* [n_choices] */
    size_t n_choices, room_choices;
    bool no_room;         /* for one more of them */
    struct row_form form; /* of item records */
    float *table;  /* [n_items][item_width]: all of them as floats, for int8's scales while it is made */
    bool fetch;    /* records come from the store by request; otherwise the pair stage reads its table */
    size_t room;   /* candidates that the next two have room for */
    char *fetched; /* [room][row_bytes]: the records of the request under way, in its order */
    bool *found;   /* [room] */
    struct fused *fused;        /* NULL: the pair program runs op by op */
    struct fused_ranges ranges; /* int8: of activations, on the sample */
    struct fused_ranges *watch; /* these are to be seen; NULL: none */
    int n_products;             /* below fp32, not fused: of the pair program's nodes */
    struct product **product;
    float *most, *record_scale; /* int8, not fused: ranges of the products' inputs, and form.scale */
    bool unpack;                /* below fp32, not fused: records become floats block by block */
    float *unpacked;            /* [room][item_width] */
    float *base;                /* fused: the user's part of the first layer */
    int *user_at;               /* fused: k-th value of its sum -> k-th frontier value of the user stage */
    size_t block;               /* most candidates of a block, that workers have room for */
    size_t now;                 /* candidates of a block of the request under way */
    size_t split_from;          /* candidates from which the pool's threads share a request */
    struct param records;       /* sharing, with `fetch`: the pair program's table of records, and ... */
    struct param **pair_param;  /* ... its parameters with that one; NULL: those of cut.pair */
    bool dots; /* the pair stage is one inner product with the record, in fp32: by nn/dots.h */
    struct scorer_towers towers;
    enum isa isa; /* of the processor, within o.isa */
    struct worker *worker;
    int n_workers;
    const char **pair_column; /* NULL-ended */
    int n_pair, item_column;  /* column "@item" in the pair program, -1: none */
    int *pair_at;             /* k-th pair column -> column of the pair program */
    /* the request under way */
    const struct request *r;
    float *score;
    _Atomic size_t missing;
    _Atomic int failed;
    struct err err;
};

/* scorer_tables.c. The serving graph and its three programs, with the tables that the options ask for; the version. */
int scorer_programs(struct scorer *s, const struct graph *g, struct err *e);
/* Does the pair program run by the fused engine? */
bool scorer_chain(const struct scorer *s, struct chain *c);

/* The table of records in the pair program; NULL: there is none. */
const struct param *scorer_records(const struct scorer *s);
int scorer_user_stage(struct scorer *s, uint32_t user, uint64_t moment, struct err *e);
const uint32_t *scorer_sample_column(const struct scorer_sample *t, const char *name); /* NULL: it has none */
/* The ids of a pair column for candidates [first, first + n) of the request under way. */
int scorer_pair_values(struct scorer *s, const char *name, size_t first, size_t n, uint32_t *ids,
                       struct err *e);

/* scorer_items.c. The pair program's table of records, and how many it holds. */
void scorer_bind_records(struct scorer *s, float *records, size_t n);
/* Runs the item stage into s->table and binds the pair program's table of records to it. */
int scorer_make_table(struct scorer *s, struct err *e);
/* Makes or attaches the store of item records, where there are any, and drops s->table. */
int scorer_make_store(struct scorer *s, struct err *e);
/* A connection or reader of its own, where another scorer's store is shared. */
int scorer_share_store(struct scorer *s, struct err *e);
/* Scores the sample for those who watch, s->watch and products in fp32, and gives the ranges that they leave in most[n] some
 * head room. */
int scorer_watch(struct scorer *s, float *most, size_t n_most, struct err *e);
int scorer_make_workers(struct scorer *s, struct err *e);
void scorer_free_workers(struct scorer *s);

/* Sets s->fused where the pair program is a chain, s->block, and the records' form; otherwise, below fp32, leaves the rest
 * to scorer_lower(). */
int scorer_fuse(struct scorer *s, struct err *e);
void scorer_fused_user(struct scorer *s); /* s->base from the user stage's values */
size_t scorer_fused_block_size(const struct scorer *s, size_t n,
                               int threads); /* of a request of n candidates */
/* Products of the pair program and records in precision p. An error when it has neither. */
int scorer_lower(struct scorer *s, enum precision p, struct err *e);
void scorer_lower_free(struct scorer *s);
void scorer_unpack(struct scorer *s, size_t first,
                   size_t n); /* candidates [first, first + n) of the request */
void scorer_lower_cost(const struct scorer *s, struct scorer_cost *c);
int scorer_fused_block(struct scorer *s, int worker, size_t first, size_t n, struct err *e);

#endif
