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
 *   cross    1 + h mod buckets, h = XXH3_64bits of the two ids (u32, little endian) with XXH3_64bits(name) as its seed; of a bag
 *            the first value; 0 when one of the two is unknown
 *   count    log2-spaced buckets of n of the key: 0 -> 1, 1 -> 2, 2-3 -> 3, 4-7 -> 4, ... capped at `buckets`
 *            (a key is the id of a column's value; an unknown value has no count and no rate: id 0)
 *   rate     (p + k m) / (n + k) of the key, in `buckets` training quantiles
 *   history  (p + k m) / (n + k) of (user value, item value), p and n summed over a bag's values, in `buckets` training
 *            quantiles (quantile.h), crossed with n in {0, 1-2, 3-7, 8-20, more}: 1 + level + 5 (bucket - 1); unknown values
 *            count for nothing, 0 when there is no known pair
 *   recent   the values of its item column in the user's last n positive rows, newest first (a bag; may be empty)
 *   overlap  1 + min(number of known values in both bags, each counted once, max)
 * Id 0 is kept for "cannot be computed" (an unknown user or item where one is needed).
 *
 * Ids at serving time come from users/ and items/, which are as of the end of training and validation, and so is the state.
 */
#ifndef PRERANK_DATA_DERIVE_H
#define PRERANK_DATA_DERIVE_H
#include "base/err.h"
#include "data/dataset.h"

struct derive;
int derive_open(const struct dataset *ds, struct derive **out, struct err *e);
void derive_free(struct derive *d);
/* The id of pair-side derived field `field` (index in ds->field) for a user and an item; ERR_INPUT when the field is none, or
 * user or item is not below ds->n_users, ds->n_items. */
int derive_pair(const struct derive *d, int field, uint32_t user, uint32_t item, uint32_t *id);
/* The same for one user and many items (the shape of a request): ids[n]; zeros where derive_pair() would fail. Many threads may
 * ask at once. */
void derive_pairs(const struct derive *d, int field, uint32_t user, const uint32_t *items, size_t n,
                  uint32_t *ids);
/* The same with the user's values as row `row` of the log has them (rows/), against the same state: zeros when there is no
 * such row. */
void derive_pairs_at(const struct derive *d, int field, uint64_t row, const uint32_t *items, size_t n,
                     uint32_t *ids);

#endif
