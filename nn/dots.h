/* dots.h: the inner products of one vector with many rows of a table, picked by number or one after the other: the
 * pair stage of a two-tower model.
 *
 *     enum isa isa = isa_best();                                       once: asking takes a while
 *     dots_gather(32, user, items, ids, 1000, isa, score);             rows ids[0], ids[1], ...
 *     dots_rows(32, user, items, 1000, isa, score);                    rows 0, 1, ...
 *
 * A product is the same to the bit whatever else is computed with it; between instructions, and to vec_dot(), the
 * last bits may differ. Rows of a multiple of 16 floats have a kernel that computes sixteen products at once
 * (AVX-512); picked rows are asked of memory some groups ahead, since a single row is far less than what a memory
 * access takes.
 */
#ifndef PRERANK_NN_DOTS_H
#define PRERANK_NN_DOTS_H
#include "nn/fused/isa.h"
#include <stddef.h>
#include <stdint.h>

/* table[..][dim] without gaps; out[n] */
void dots_gather(size_t dim, const float *x, const float *table, const uint32_t *ids, size_t n, enum isa isa,
                 float *out);
void dots_rows(size_t dim, const float *x, const float *rows, size_t n, enum isa isa, float *out);

struct dots_ahead { /* rows that will be wanted soon: one is asked of memory for each that is looked at */
    const float *rows;
    size_t n, dim;
};
/* Which rows of score[n][DOTS_PANEL] have a number that is not below low[] of its column (NaN is not below): their
 * numbers in row[n], ascending; n <= 256. Returns how many. */
enum { DOTS_PANEL = 32 };
size_t dots_reach(const float *score, size_t n, const float *low, enum isa isa, uint8_t *row,
                  struct dots_ahead ahead);

#endif
