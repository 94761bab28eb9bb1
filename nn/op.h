/* op.h: what an operation is. One op is one file in nn/ops/: `const struct op op_linear` and the builder
 * nn_linear().
 *
 * Values are row-major matrices that may lie inside wider ones (a concat's inputs are written straight into
 * its columns), so every op goes by `ld`, the distance between rows; ld = 0 is one row seen by all rows (the
 * user's side at serving).
 */
#ifndef PRERANK_NN_OP_H
#define PRERANK_NN_OP_H
#include "base/pool.h"
#include "data/field.h"
#include "nn/graph.h"
#include <stddef.h>
#include <stdint.h>

struct mat {
    float *p; /* NULL: not there */
    size_t ld;
};

/* Work per row of the batch, and per run. FLOPs count a multiply-add as 2. */
struct cost {
    double flops;        /* per row, forward */
    double gather_bytes; /* per row: table rows fetched by id */
    double stream_bytes; /* per row: activations read and written */
    double weight_bytes; /* per run: dense parameters read */
};

struct op_ctx {
    const struct node *node;
    size_t rows;       /* rows here: a slice, or the whole batch for a coupled op */
    size_t batch_rows; /* rows of the whole batch */
    size_t first_row;  /* number of the first row in the batch */
    const struct batch_column *
        *in_col;              /* [n_in] the slice's column, where the input is an input node; else NULL */
    struct mat *in;           /* [n_in] values */
    struct mat *in_grad;      /* [n_in]; p NULL: no gradient wanted */
    bool *in_acc;             /* [n_in] 1: add to in_grad, 0: overwrite it */
    struct mat out, out_grad; /* backward may use out_grad as scratch: nobody reads it afterwards */
    float **param;            /* [n_params] */
    float *
        *param_grad; /* [n_params] this slice's dense gradients: add to them. NULL for tables (see optim.h) */
    void *work;      /* op->work_bytes() of scratch, this slice's own, kept from forward to backward */
    struct pool *pool; /* coupled ops only, otherwise NULL: for fixed parts of their work, never by thread */
    bool training;
    uint64_t seed; /* dropout: differs by step */
};

struct op {
    const char *name;
    void (*forward)(struct op_ctx *c);
    void (*backward)(struct op_ctx *c); /* NULL: no gradient flows (stop_gradient, inputs) */
    void (*cost)(const struct graph *g, const struct node *n, struct cost *out); /* NULL: free */
    size_t (*work_bytes)(const struct node *n, size_t rows);                     /* NULL: none */
    bool coupled; /* rows depend on each other: runs once over the whole batch */
};

extern const struct op op_input, op_number, op_embedding, op_concat, op_linear, op_act, op_dot, op_mul,
    op_add, op_scale, op_slice, op_row_sum, op_group_sum, op_l2_normalize, op_batch_norm, op_dropout,
    op_stop_gradient, op_bce, op_external, op_lookup_sum, op_group_pool, op_group_scale, op_max_sim, op_cin,
    op_column_scale, op_constant, op_sequence, op_target_attention, op_id_number, op_category_alignment,
    op_concrete_gate, op_group_norm, op_sampled_softmax;

#endif
