/* summary.h: what a dataset holds, counted once when it is made: the key "summary" of dataset.json.
 *
 *     {"train": {"rows": n, "positives": n, "users": n, "users_both": n, "users_new": n, "items": n, "items_new": n}, ...,
 *      "unknown": {"genres": [share in train, in valid, in test], ...}}
 *
 * users_both: users with both classes in the split; new: not in training; unknown: the share of id 0 among a field's ids.
 */
#ifndef PRERANK_DATA_SUMMARY_H
#define PRERANK_DATA_SUMMARY_H
#include "data/dataset.h"

int summary_count(const struct dataset *d, json_t **out, struct err *e);

#endif
