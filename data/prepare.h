/* prepare.h: logs -> dataset directory.
 *
 * One streaming pass over the text writes encoded columns into mapped temporary files; everything after that works on those.
 * Anonymous memory holds the vocabularies, the joined tables and the state of the derived features, nothing per row:
 *   1 read     parse, filter, join, label; each text becomes a provisional id (one dictionary a column, over all rows)
 *   2 order    sort rows by time (stable), cut the splits
 *   3 encode   vocabularies and quantiles from training rows only; provisional ids become final ones (0 = not in training)
 *   4 derive   one sweep in time order (derive.h)
 *   5 finish   users/, items/, state/, dataset.json with hash and summary; fsync; rename the directory into place
 * A failure at any point, or Ctrl-C, leaves nothing but the message (and the old directory as it was). A directory that already
 * holds the same hash is kept as it is, unless it is damaged; one that holds other things than a dataset is refused.
 *
 * What the columns hold is in encode.h, how the splits are cut in order.h, what is missing in cell.h. A row whose key a joined
 * table does not have has missing values for all of that table's columns. Texts in vocab/ have \n, \r and \\ for line breaks
 * and backslashes. Besides what dataset.h says, dataset.json has "edges" (of buckets) and "means" (of numbers) by field,
 * "summary" (summary.h), and "derive": {"exposures", "positives": those in the saved state, "features": {name: {"of": [..],
 * "buckets", "prior", "n", "max", "edges": [..]}}}. state/<history>.npy is a table of counts (tally.h).
 *
 *     TRY(prepare_dataset(&schema, "results/data/ml1m", e));
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
