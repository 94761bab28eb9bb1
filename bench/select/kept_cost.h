/* kept_cost.h: the measured costs that fields are ranked by. They are times, which differ a little from one measurement to the
 * next, and a ranking by them would, too. So they are taken once on a machine and kept beside the prepared dataset, and later
 * runs rank by the same figures:
 *
 *     DATA_DIR/field-costs/<variant>.<16 hex digits>.json      the digits: a hash of all that is under "about"
 *     RESULTS/importance/<variant>.ranked-by.json              a copy: --resume goes on with what the run began with
 *
 *     {"about": {"cpu", "cpus", "blas_kernel", "data", "variant", "options", "fields", "candidates", "threads", "precision"},
 *      "taken": "2026-01-31T12:00:00Z", "threads": 2, "revision": "...",
 *      "request_us": {"user_id": 1.25, ...},       a request's time that the field is answerable for; null: unknown
 *      "hash": "..."}                              of the rest: a file that was changed is not believed
 *
 * These are not the figures of fields.csv, which are the run's own measurement.
 *
 *     double share[n];
 *     TRY(kept_cost_shares(&sweep, model, RANK_BY_KEPT, own, &taken, share, &says, e));
 */
#ifndef PRERANK_BENCH_KEPT_COST_H
#define PRERANK_BENCH_KEPT_COST_H
#include "bench/run/sweep.h"
#include "bench/select/field_cost.h"

/* A new reference to what stands under "about", or NULL: all that decides what is measured, but for the program, whose versions are to be
 * compared with each other. */
json_t *kept_cost_about(const struct sweep *s, const struct sweep_model *m);
/* share[n]: field_cost_shares() of the costs that the model's fields are ranked by. Those of the results
 * folder select.costs_of, where it has them; else RANK_BY_KEPT: those of the run's copy, else those beside the dataset, else
 * `own`; RANK_BY_MEASURED: `own`. Own ones are kept
 * in both places, but not again when the run is resumed; a file that is damaged or about something else is replaced, with a message, and a dataset's folder that
 * cannot be written is a message, too. *says: a new reference, for the manifest: whether kept costs were used, when they were
 * taken, by what revision, and where they are. */
int kept_cost_shares(const struct sweep *s, int model, enum rank_by_cost by, const struct field_cost *own,
                     const struct cost_taken *taken, double *share, json_t **says, struct err *e);

#endif
