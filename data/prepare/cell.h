/* cell.h: what the text of one cell means: a number, a time, nothing at all, or a list.
 *
 *     double v;
 *     switch (cell_number(c, &v)) { case CELL_GOOD: ... case CELL_MISSING: ... case CELL_BAD: ... }
 *
 * Missing is the empty text, NA or NaN (any case).
 */
#ifndef PRERANK_DATA_CELL_H
#define PRERANK_DATA_CELL_H
#include "data/source.h"

enum cell_is { CELL_GOOD, CELL_MISSING, CELL_BAD };

int cell_missing(struct cell c);                      /* 1 or 0 */
enum cell_is cell_number(struct cell c, double *out); /* finite, correctly rounded; missing: NaN */
enum cell_is cell_time(struct cell c, int64_t *out);  /* a whole number */
/* The next piece of a list: 1, or 0 at its end. *at starts as 0. Empty pieces are passed over. */
int cell_piece(struct cell c, const char *sep, size_t *at, struct cell *piece);

#endif
