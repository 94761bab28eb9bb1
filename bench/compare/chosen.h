/* chosen.h: subsets that `select` chose. Under one name the two sides may hold other fields, and so other models, of which
 * counts and times are not comparable.
 *
 *     if (chosen_compare(&base, &new, "cold", "se-4") != CHOSEN_ALIKE) ...
 */
#ifndef PRERANK_BENCH_CHOSEN_H
#define PRERANK_BENCH_CHOSEN_H
#include "bench/compare/side.h"

enum chosen {
    CHOSEN_ALIKE,         /* the same fields on both sides; or no subset of select's */
    CHOSEN_OTHERWISE,     /* other fields, for reasons of the programs or of their rounding */
    CHOSEN_BY_OTHER_COSTS /* other fields, and ranked by costs that were measured at two times: says nothing */
};
enum chosen chosen_compare(const struct side *base, const struct side *new, const char *variant,
                           const char *features);
/* What a gate that is skipped for it says; NULL for CHOSEN_ALIKE. */
const char *chosen_note(enum chosen c);

#endif
