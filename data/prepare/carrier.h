/* carrier.h: one column as it was read, in temporary files: numbers as they are, texts as ids of the carrier's own dictionary
 * (over all rows, in order of first appearance; id 0 is the empty text), lists as bags of such ids.
 *
 *     struct carrier c = {.kind = CARRY_TEXT, .cell = 3, .name = "age"};
 *     TRY(carrier_open(&c, "out.tmp-17/work", "c7", e));
 *     TRY(carrier_add(&c, source, row, e));              once a row; errors say where the row stands
 *     TRY(carrier_close(&c, e));                         no more rows; now it can be read
 *     use(carrier_ids(&c)[r]);
 *     carrier_release(&c);
 */
#ifndef PRERANK_DATA_CARRIER_H
#define PRERANK_DATA_CARRIER_H
#include "base/err.h"
#include "data/prepare/extract.h"
#include "data/prepare/spool.h"
#include "data/prepare/vocab.h"
#include "data/schema.h"

enum carry { CARRY_TEXT, CARRY_BAG, CARRY_NUMBER };

struct carrier {
    enum carry kind;
    int table;                       /* 0: the log, j: joined table j - 1 */
    int cell;                        /* its cell in a row of that table; flags: the first one's */
    const char *name;                /* the column in the file */
    bool required;                   /* text: an empty cell is an error */
    const struct schema_column *bag; /* bag: the feature with its sep, flags, extract; else NULL */
    const int *flag;                 /* bag from flags: their cells */
    struct extract extract;          /* bag: applied to the cell before it is split */
    struct vocab vocab;              /* text, bag */
    struct spool values;             /* u32 ids (text: one a row; bag), or f64 with NaN for missing */
    struct spool offsets;            /* bag: u64 [rows + 1] */
    uint64_t n_values;
};

int carrier_open(struct carrier *c, const char *work, const char *name, struct err *e);
int carrier_add(struct carrier *c, const struct source *s, const struct cell *row, struct err *e);
int carrier_add_missing(struct carrier *c,
                        struct err *e); /* the row of a key that a joined table does not have */
int carrier_close(struct carrier *c, struct err *e);
void carrier_release(struct carrier *c);

static inline const uint32_t *carrier_ids(const struct carrier *c) { return c->values.map.p; }
static inline const double *carrier_numbers(const struct carrier *c) { return c->values.map.p; }
static inline const uint64_t *carrier_offsets(const struct carrier *c) { return c->offsets.map.p; }

#endif
