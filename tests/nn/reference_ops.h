/* reference_ops.h: operations of nn/ops/ again, one scalar at a time in double: no blocks, no kernels, no scratch memory. Used by
 * tests only.
 *
 * A reference reads an op's context as the op would, except that it computes value and gradients in one call, for the gradient
 * c->out_grad of the value; what it adds up must be zeros before. */
#ifndef PRERANK_TESTS_NN_REFERENCE_OPS_H
#define PRERANK_TESTS_NN_REFERENCE_OPS_H
#include "nn/op.h"

enum { REFERENCE_INPUTS = 32, REFERENCE_PARAMS = 4 };

struct reference {
    const struct op_ctx *c;
    size_t width[REFERENCE_INPUTS];       /* of the inputs */
    double *out;                          /* [rows][width of the node] */
    double *in_grad[REFERENCE_INPUTS];    /* [rows][width] */
    double *param_grad[REFERENCE_PARAMS]; /* as c->param_grad */
};

void reference_cin(struct reference *x);
void reference_target_attention(struct reference *x);
void reference_max_sim(struct reference *x);
void reference_category_alignment(struct reference *x);
void reference_sampled_softmax(struct reference *x);
void reference_batch_norm(struct reference *x); /* in training, without the running statistics */
void reference_l2_normalize(struct reference *x);
void reference_bce(struct reference *x);
void reference_column_scale(struct reference *x);
void reference_group_pool(struct reference *x);
void reference_group_scale(struct reference *x);
void reference_group_norm(struct reference *x);

#endif
