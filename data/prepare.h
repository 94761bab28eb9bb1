/* prepare.h: logs -> dataset directory.
 *
 * One streaming pass over the text writes encoded columns into mapped temporary files; everything after that works on those.
 * Anonymous memory holds the vocabularies, the joined tables and the state of the derived features, nothing per row:
 *   1 read     parse, filter, join, label; each text becomes a provisional id (one dictionary a column, over all rows)
 *   2 order    sort rows by time (stable), cut the splits
 *   3 encode   vocabularies and quantiles from training rows only; provisional ids become final ones (0 = not in training)
 *   4 derive   one sweep in time order (derive.h)
 *   5 finish   users/, items/, state/, dataset.json with hash and summary; fsync; rename the directory into place
 * A failure at any point leaves nothing but the message. A directory that already holds the same hash is kept as it is.
 *
 *     TRY(prepare_dataset(&schema, "results/data/ml1m", NULL, e));
 */
#ifndef PRERANK_DATA_PREPARE_H
#define PRERANK_DATA_PREPARE_H
#include "base/err.h"
#include "data/schema.h"

/* hash of schema text and the input files' bytes: computed before anything is read, so that an unchanged dataset is not made
 * again. */
int prepare_dataset(const struct schema *s, const char *dir, struct err *e);
/* Summary table for people (rows, users, items, positives, split sizes, users with both classes per split, each field's side, kind,
 * vocabulary, unknown rate in test) on `f`. */
struct dataset;
int dataset_summary(const struct dataset *d, FILE *f, struct err *e);

#endif
