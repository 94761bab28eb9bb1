/* sweep.h: derived features of every row of a dataset in the making: one sweep over all rows in time order (see derive.h).
 *
 * Rows of equal time are computed on the same state and then enter it together, in log order. Values that become quantile
 * buckets are first written as numbers; the edges come from training rows. The state as of the end of training and validation
 * gives users/, items/ and state/: where all test rows are later it is met on the way, otherwise a second sweep, which
 * only observes, leaves them out.
 *
 *     TRY(sweep_run(&schema, dir, work, &ds, &json, e));     ds->field[n_columns ..] set; json: the key "derive" of dataset.json
 */
#ifndef PRERANK_DATA_SWEEP_H
#define PRERANK_DATA_SWEEP_H
#include "base/progress.h"
#include "data/dataset.h"
#include "data/derive_value.h"
#include "data/prepare/quantile.h"
#include "data/prepare/spool.h"
#include "data/prepare/tally.h"
#include "data/schema.h"

int sweep_run(const struct schema *s, const char *dir, const char *work, struct dataset *ds, json_t **json,
              struct err *e);

/* --- what sweep.c and the kinds of features (sweep_*.c) share --- */

struct sweep {
    const struct schema *schema;
    const char *dir, *work;
    struct dataset *ds; /* rows, splits, fields so far */
    struct npy label, user, time, row;
    uint64_t exposures, positives; /* in the state */
    int n;
    struct derived *derived; /* [n] */
    struct progress progress;
};

struct input { /* a column of ids: rows/<field> or users/<field> */
    struct npy values, offsets;
};
int input_open(struct input *in, const char *dir, const char *folder, const struct field *f, struct err *e);
void input_close(struct input *in);
static inline struct ids input_at(const struct input *in, uint64_t k) {
    const uint64_t *offsets = in->offsets.data;
    const uint32_t *values = in->values.data;
    if (!offsets) return (struct ids){values + k, 1};
    if (!values) return (struct ids){NULL, 0}; /* all bags are empty */
    return (struct ids){values + offsets[k], offsets[k + 1] - offsets[k]};
}

struct derived {
    const struct schema_derived *d;
    const struct derived_ops *ops;
    struct sweep *sweep;
    struct field *field;
    struct input of[2];
    const struct derived *recent; /* overlap: its first input */
    struct npy out;        /* rows/<name>: ids, or levels of exposure that become ids; recent: offsets */
    struct file_map value; /* rate, history: f64 [rows], NaN: cannot be computed */
    struct tally tally;
    double prior_mass; /* for rows of the present time */
    uint64_t seed;     /* cross */
    struct edges edges;
    struct file_map ring; /* recent: [users][n] stored rows */
    uint32_t *observed;   /* recent: [users] how many positives entered the ring */
    struct spool values[SPLIT_COUNT];
    struct ids now; /* recent: of the row just computed */
    uint32_t *room; /* what `now` lies in */
    size_t room_n;
};

/* NULL members: nothing to do. `k` is a stored row. */
struct derived_ops {
    const char *kind;
    enum value_type type;
    int (*open)(struct derived *x, struct err *e);
    int (*compute)(struct derived *x, uint64_t k, struct err *e);
    int (*observe)(struct derived *x, uint64_t k, bool positive, struct err *e);
    void (*forget)(struct derived *x);             /* empties the state */
    int (*save)(struct derived *x, struct err *e); /* the state as it is now, into state/ */
    int (*entity)(struct derived *x, const char *folder, uint32_t n,
                  struct err *e);                    /* users/ or items/, likewise */
    int (*finish)(struct derived *x, struct err *e); /* after the last row: rows/<name> */
};
extern const struct derived_ops derived_cross, derived_count, derived_rate, derived_history, derived_recent,
    derived_overlap;

#endif
