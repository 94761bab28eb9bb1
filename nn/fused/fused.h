/* fused.h: runs the pair stage of a chain (chain.h) in one go: for each group of candidates, table rows are added up
 * (to the products of those embeddings that are no tables of partial products) straight into the layout that the first product reads, product follows product with bias and activation between them,
 * and the last layer is a dot product. Nothing but ids, table rows and weights comes from beyond the second-level
 * cache; the rows of the next group are asked for while the products of this one run.
 *
 * Precision is that of table rows, weights and activations; sums are fp32 (int8: 32-bit whole numbers):
 *   fp32  all floats; tables are read where they lie
 *   bf16  everything rounded to bf16, products by AMX or AVX512_BF16, elsewhere by float arithmetic on the rounded values
 *   fp16  table rows and weights rounded to fp16 (half the bytes to fetch), products in fp32
 *   int8  table rows with a scale for each column, weights for each unit, activations for each column. The activations'
 *         scales come from `ranges`, seen by fused_observe() on training rows. Products by AMX, VNNI or plain C:
 *         the same whole numbers everywhere.
 * Behind a relu, products skip the activations that are 0 (skip.c) where enough of them are: group by group, with the same
 * scores to the bit. fp32, fp16 and bf16; from AVX512 on, and not by AMX.
 * The last layer, one dot product, is taken in float from the sums before it. Embeddings are multiplied in bf16 when the
 * precision is bf16 or int8 and the processor multiplies bf16, otherwise in floats.
 * A table without values (param.value NULL) is made up of zeros: for timing.
 *
 *     struct fused *f;
 *     TRY(fused_create(&chain, &(struct fused_options){.precision = PRECISION_BF16}, &f, e));   packs what it needs
 *     struct fused_work *w;  TRY(fused_work_create(f, &w, e));                     one a thread
 *     fused_user(f, user_values, base);                                     once a request; base[fused_base_floats()]
 *     fused_run(f, w, &(struct fused_rows){.n = 500, .ids = ids, .base = base}, score);
 *
 * What a low precision has packed it no longer needs the graph for; fp32 reads the graph's tables as they are. One table,
 * that of item records, may stay with the caller: then its floats are only looked at for int8's scales.
 */
#ifndef PRERANK_NN_FUSED_H
#define PRERANK_NN_FUSED_H
#include "base/err.h"
#include "nn/fused/chain.h"
#include "nn/fused/isa.h"
#include "nn/fused/rows.h"

struct fused_ranges { /* largest |activation| of each column after each stage: the sum, then the layers */
    float *max[CHAIN_LAYERS];
    float *own; /* all of them, [n] */
    size_t n;
};
int fused_ranges_init(const struct chain *c, struct fused_ranges *out, struct err *e);
void fused_ranges_release(struct fused_ranges *r);

struct fused_options {
    enum precision precision;
    enum isa isa;                      /* no more than this; ISA_BEST: whatever there is */
    bool dense;                        /* zeros behind a relu are multiplied, too */
    const struct fused_ranges *ranges; /* int8 only */
    const struct fused
        *like; /* int8: the scales of tables' columns as in this one, made of the same chain with
                                          other rows; NULL: from the tables */
    const struct param
        *records; /* this table's rows come with the request, packed as fused_record() says; NULL: none */
};

struct fused;
struct fused_work;
int fused_create(const struct chain *c, const struct fused_options *o, struct fused **out, struct err *e);
void fused_free(struct fused *f);
int fused_work_create(const struct fused *f, struct fused_work **out, struct err *e);
void fused_work_free(struct fused_work *w);
struct fused_skipped {           /* so far, by this thread */
    double candidates, products; /* scored; a weight times a zero, left out */
};
struct fused_skipped fused_skipped(const struct fused_work *w);

size_t fused_base_floats(const struct fused *f);
/* base = bias + sum of user values (value[k][width], in the order of chain.user). */
void fused_user(const struct fused *f, const float *const *value, float *base);

struct fused_rows {
    size_t n;
    const uint32_t *const *ids; /* [columns of the graph][n]; those that no lookup reads may be NULL */
    const float *base;
    const void
        *records; /* with the option: rows of row_bytes(fused_record()), which their column's ids number */
};
void fused_run(const struct fused *f, struct fused_work *w, const struct fused_rows *in, float *score);
/* fp32 only: runs, and widens the ranges by what it sees. */
void fused_observe(const struct fused *f, struct fused_work *w, const struct fused_rows *in, float *score,
                   struct fused_ranges *ranges);

struct fused_bytes { /* as fetched: padded rows in the precision, with the ids */
    double per_candidate, weights, tables;
};
struct fused_bytes fused_bytes(const struct fused *f);
/* The form of the records' rows; the scale is `f`'s. */
struct row_form fused_record(const struct fused *f);
size_t fused_rows_at_once(const struct fused *f); /* of a group: work in multiples of it */
enum isa fused_isa(const struct fused *f);

#endif
