/* derive.h: derived features, causal by construction, and the same definitions at serving time.
 *
 * A feature of a row with timestamp t is computed from rows with a timestamp strictly before t: rows of equal time see the same
 * state and enter it together. The state has one implementation of "observe a row" and one of "value for (user, item)", used by
 * preparation (row after row in time order) and by serving (for any pair, also one never logged).
 *
 *     struct derive *d;
 *     TRY(derive_open(&ds, &d, e));                     state as of the end of training + validation
 *     derive_pair(d, field, user, item, &id);           user and item as in rows/user.npy, rows/item.npy
 *     derive_free(d);
 *
 * Definitions (n, p: exposures and positives seen before; m: global past positive rate, 0.5 before any row; k: prior):
 *   cross    1 + xxh3(user value, item value) mod buckets; over a bag: of the first value
 *   count    log2-spaced buckets of n of the key: 0 -> 1, 1 -> 2, 2-3 -> 3, 4-7 -> 4, ... capped at `buckets`
 *   rate     (p + k m) / (n + k) of the key, in `buckets` training quantiles
 *   history  (p + k m) / (n + k) of (user value, item value), p and n summed over a bag's values, in `buckets` training
 *            quantiles, crossed with n in {0, 1-2, 3-7, 8-20, more}: 5 x buckets ids
 *   recent   the user's last n positive items, newest first, as ids of its item column (a bag; may be empty)
 *   overlap  1 + min(size of the intersection of two bags, max)
 * Id 0 is kept for "cannot be computed" (an unknown user or item where one is needed).
 */
#ifndef PRERANK_DATA_DERIVE_H
#define PRERANK_DATA_DERIVE_H
#include "base/err.h"
#include "data/dataset.h"

struct derive;
int derive_open(const struct dataset *ds, struct derive **out, struct err *e);
void derive_free(struct derive *d);
/* The id of pair-side derived field `field` (index in ds->field) for a user and an item. */
int derive_pair(const struct derive *d, int field, uint32_t user, uint32_t item, uint32_t *id);
/* The same for one user and many items (the shape of a request): ids[n]. */
void derive_pairs(const struct derive *d, int field, uint32_t user, const uint32_t *items, size_t n, uint32_t *ids);

#endif
