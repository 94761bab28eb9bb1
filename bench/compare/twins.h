/* twins.h: which point that NEW answers requests at is which of OLD's. A subset that `select` chose has the name that it was trained
 * under, which may differ between the two; and one that holds other fields has no twin.
 *
 *     int twin[TURNS_POINTS_MAX];
 *     if (!twins_find(&side[0], &side[1], &turns[0], &turns[1], twin)) ...      they measure different things
 */
#ifndef PRERANK_BENCH_TWINS_H
#define PRERANK_BENCH_TWINS_H
#include "bench/compare/chosen.h"
#include "bench/compare/turns.h"

/* twin[a->n_points]: the number of the point among b's, or -1: what was chosen holds other fields. False when a point of one side is
 * missing on the other for another reason. */
bool twins_find(const struct side *base, const struct side *new, const struct turns *a, const struct turns *b,
                int *twin);
/* How the fields of the point of that name differ. */
enum chosen twins_chosen(const struct side *base, const struct side *new, const char *name);

#endif
