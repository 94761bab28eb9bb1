/* fused_plan.h: private to fused.c (runs it), fused_plan.c (makes it) and product.c (a layer alone). */
#ifndef PRERANK_NN_FUSED_PLAN_H
#define PRERANK_NN_FUSED_PLAN_H
#include "base/mem.h"
#include "nn/fused/fused.h"
#include "nn/fused/kernels.h"

enum arithmetic { IN_F32, IN_BF16, IN_U8 }; /* of the products */

struct fused_lookup {
    int column;
    const void *row; /* of id 0, at the first column wanted */
    size_t stride;   /* bytes */
    bool records;    /* rows come with the request */
    size_t table_rows;
    void *own; /* packed rows; the graph's own when NULL */
};

struct
    fused_product { /* an embedding: its row's words are copied to word `at` of the row that is multiplied */
    int column;
    const void *row;
    size_t stride, words, at, table_rows;
    void *own; /* rows as they are multiplied; the graph's own when NULL */
};

struct fused_asked { /* rows that are asked for beforehand */
    int column;
    bool records; /* they come with the request */
    const void *row;
    size_t stride, bytes;
};

struct fused_layer {
    size_t k, n;         /* inputs, units */
    size_t words, n_pad; /* inputs in 32-bit words, padded; units padded to 32 */
    enum act act;
    uint32_t *weight; /* panels, see kernels.h; the last layer: n = 1, floats[k] */
    void *
        strips; /* the same weights for a product that skips zeros, see kernels.h; NULL: for dense ones only */
    int skip_up_to; /* with strips: columns of 100 that are not 0, up to which that product is the faster one */
    float *bias;    /* [n_pad] */
    float *scale;   /* u8: sum of whole numbers -> value, [n_pad] */
    float *pack_scale,
        *pack_base; /* u8: -> the next layer's bytes, [n_pad]; of the activation's argument when that is
                                      none or relu (else of its value) */
};

struct fused {
    struct arena arena;
    struct fused_kernels k;
    enum precision precision;
    enum arithmetic in;
    bool skips; /* zeros behind a relu are not multiplied */
    bool round; /* IN_F32 with bf16: activations are rounded */
    size_t width, width_pad;
    enum act act;
    float *bias; /* [width_pad] */
    int n_users, n_lookups, n_products, n_layers;
    bool towers; /* the last layer's weights come with the request, times `scale` */
    float scale;
    int n_asked;
    struct fused_asked asked[CHAIN_LOOKUPS + CHAIN_PRODUCTS];
    size_t lines; /* of all their rows for one candidate */
    struct fused_lookup lookup[CHAIN_LOOKUPS];
    struct fused_product product[CHAIN_PRODUCTS];
    struct fused_layer embedded; /* their weights, below each other */
    bool embedded_bf16;          /* pairs of bf16, else floats */
    struct row_form form;        /* of the tables' rows */
    float *sum_scale;            /* u8: of the tables' columns, [width_pad] */
    float *inv, *zero;           /* u8: value -> byte, [width_pad] */
    float *sum_pack_scale;       /* u8: sum_scale * inv */
    struct fused_layer layer[CHAIN_LAYERS];
    float *zeros;      /* [largest n_pad or width_pad] */
    size_t most_words; /* of a row between layers */
    size_t most_floats;
    size_t group;
};

enum arithmetic fused_arithmetic(const struct fused_kernels *k, enum precision p, bool bytes);
/* Packs `from` into l, whose k and n are set. IN_U8: of inputs of at most most[k], after activation `before`. */
int fused_make_layer(struct arena *a, enum arithmetic in, enum precision p, const struct chain_layer *from,
                     const float *most, enum act before, struct fused_layer *l, struct err *e);
/* Bytes of n activations of at most most[c]: byte = inv * value + zero. */
void fused_byte_scale(const float *most, size_t n, enum act act, float *inv, float *zero);

/* Plain activations are applied while packing. */
static inline bool fused_plain(enum act a) { return a == ACT_NONE || a == ACT_RELU; }
static inline bool fused_signed(enum act a) { return a != ACT_RELU && a != ACT_SIGMOID; }

#endif
