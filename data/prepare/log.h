/* log.h: the log and its joined tables as encoded columns in temporary files: what the one pass over the text leaves.
 *
 * Features that use the same column share its carrier. A carrier of a joined table holds that table's rows (row 0: no such row),
 * and the log holds which of them each of its own rows has. Rows are in the order of the file; those that `where` drops are
 * not there.
 *
 *     struct log l;
 *     TRY(log_read(&schema, "out.tmp-17/work", &l, e));
 *     const struct carrier *c = &l.carrier[l.column[0]];
 *     for (uint64_t r = 0; r < l.rows; r++) use(carrier_ids(c)[log_at(&l, c, r)]);
 *     log_release(&l);
 */
#ifndef PRERANK_DATA_LOG_H
#define PRERANK_DATA_LOG_H
#include "base/err.h"
#include "data/prepare/carrier.h"
#include "data/prepare/spool.h"
#include "data/prepare/vocab.h"
#include "data/schema.h"

struct joined {
    struct source *source;
    int on, on_log;    /* the key's cell in the joined table and in the log */
    struct vocab keys; /* id = row of the joined table, from 1 */
    uint8_t *passes;   /* [keys.n + 1] the `where` conditions on columns of this table */
    size_t room;
    uint64_t missed;  /* rows of the log that find no row here */
    struct spool row; /* u32 [log rows] */
};

struct log_place { /* a column: a cell of a row of a table */
    int table, cell;
};

struct log {
    const struct schema *schema;
    struct arena arena;
    struct source *source;
    uint64_t rows, rows_read;
    int n_carriers;
    struct carrier *carrier;
    int *column, *keep;                          /* carrier of each schema column, of each `keep` column */
    int user, item;                              /* carriers */
    struct log_place *where, label, time, split; /* cell -1: none */
    struct joined *join;
    struct spool label_of, time_of, row_of,
        split_of; /* u8 0/1, i64, u64 number in the file from 0, u8 enum split */
};

int log_read(const struct schema *s, const char *work, struct log *out,
             struct err *e); /* on failure nothing to release */
void log_release(struct log *l);
/* The part of log_read() that opens the sources and finds every column. */
int log_resolve(struct log *l, struct err *e);

/* Log row r as a row of the carrier's table. */
static inline uint64_t log_at(const struct log *l, const struct carrier *c, uint64_t r) {
    return c->table ? ((const uint32_t *)l->join[c->table - 1].row.map.p)[r] : r;
}

#endif
