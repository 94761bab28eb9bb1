/* product.h: x W^T in a lower precision, for operations of the pair stage outside of the fused engine (a linear layer, the
 * attention network). Weights are packed as the fused engine packs a layer's, and its kernels multiply; the input is
 * rounded on the way in and the result is float, so that everything around it stays fp32.
 *
 *     struct product_options o = {.precision = PRECISION_BF16};
 *     TRY(product_create(&layer, &o, &p, e));              layer: k inputs, n units, weights; bias and act are not read
 *     product_run(p, rows, x, out, work);                  x (rows,k), out (rows,n), work of product_work_bytes(p)
 *
 * fp32 is there to be watched: with `seen` it widens seen[k] by the columns of its inputs. int8 takes them as `most`, the
 * largest |x| of each column on training rows (larger values are cut off), and has a scale for each unit's weights.
 */
#ifndef PRERANK_NN_FUSED_PRODUCT_H
#define PRERANK_NN_FUSED_PRODUCT_H
#include "base/err.h"
#include "nn/fused/chain.h"
#include "nn/fused/isa.h"
#include "nn/fused/rows.h"
#include "nn/op.h"

struct product_options {
    enum precision precision;
    enum isa isa;      /* no more than this; ISA_BEST: whatever there is */
    const float *most; /* int8: [k] */
    bool positive;     /* int8: no input is below zero, so that bytes begin there */
    float *seen;       /* fp32: [k], or NULL */
};
struct product;
int product_create(const struct chain_layer *l, const struct product_options *o, struct product **out,
                   struct err *e);
void product_free(struct product *p);
size_t product_work_bytes(const struct product *p);
void product_run(const struct product *p, size_t rows, struct mat x, struct mat out, void *work);
size_t product_bytes(const struct product *p); /* of weights and scales */

#endif
