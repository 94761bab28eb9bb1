/* field.h: the words of the domain that data/, nn/ and serve/ share: side, kind, and one input column of a batch.
 *
 * A side is a set of bits, so that the side of anything computed from several inputs is their OR: user | item = pair. That one
 * rule is the whole of "which stage does this run in" (see docs/design.md).
 */
#ifndef PRERANK_DATA_FIELD_H
#define PRERANK_DATA_FIELD_H
#include <stddef.h>
#include <stdint.h>

enum { SIDE_NONE = 0, SIDE_USER = 1, SIDE_ITEM = 2, SIDE_PAIR = 3 }; /* none: labels, constants */
typedef unsigned side_t;
const char *side_name(side_t s); /* "none", "user", "item", "pair" */

/* What a column is to a model. */
enum value_type {
    VALUE_ID,    /* one id a row, 0 = unknown */
    VALUE_BAG,   /* some ids a row */
    VALUE_NUMBER /* one float a row */
};

/* One column of a batch of B rows. ID: ids[B]. BAG: ids[offsets[B]], row r owns ids[offsets[r] .. offsets[r+1]), offsets[0]
 * need not be 0. NUMBER: number[B]. The others are NULL. */
struct batch_column {
    const uint32_t *ids;
    const uint32_t *offsets;
    const float *number;
};

#endif
