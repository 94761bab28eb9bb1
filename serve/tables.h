/* tables.h: which embeddings of the pair side become tables of partial products, chosen by measured time.
 *
 * A table saves a product per candidate, but its rows are as wide as the layer and may lie beyond the cache, where the
 * embedding's would not. For each field that can be either, the pair stage with this field alone (and the item's
 * record) is timed in both ways, in the precision and by the engine that would run it; ids are drawn as `sample` has
 * them. Times are kept for the next scorer that asks for the same:
 *
 *     struct table_times *times;
 *     TRY(table_times_create(NULL, NULL, &times, e));
 *     o.tables = TABLES_AUTO;  o.table_times = times;      scorer_options; `times` outlives scorer_create()
 *     ...  const struct table_choice *c = scorer_tables(s, &n);
 *     table_times_free(times);
 *
 * The choice moves scores by the rounding of the precision. Who needs them to the bit takes TABLES_ALL.
 */
#ifndef PRERANK_SERVE_TABLES_H
#define PRERANK_SERVE_TABLES_H
#include "base/err.h"
#include "nn/fused/fused.h"
#include "nn/passes.h"

enum tables { TABLES_ALL, TABLES_AUTO, TABLES_NONE }; /* all and auto: that fit into passes.table_bytes */
extern const char *const tables_names[];              /* NULL-ended */

struct table_choice { /* of one field in one layer */
    char layer[NN_NAME_MAX], field[NN_NAME_MAX];
    size_t rows, dim, units;
    enum act act; /* on the embedding */
    bool fits, table;
    double table_ns, product_ns; /* a candidate; NaN: not measured */
};

struct table_shape { /* everything that the times of one field depend on */
    size_t rows, dim, units;
    enum act act;              /* on the embedding */
    const struct chain *chain; /* the pair stage, which runs by the fused engine; NULL: op by op */
    enum precision precision;
    enum isa isa;
    const uint32_t *ids; /* as they come in requests; NULL: all alike */
    size_t n_ids;
};
typedef int table_timer(void *ctx, const struct table_shape *shape, double *table_ns, double *product_ns,
                        struct err *e);
/* The timer that is used when no other is given; takes some milliseconds, and the table's bytes while it runs. */
int table_time(void *ctx, const struct table_shape *shape, double *table_ns, double *product_ns,
               struct err *e);

struct table_times;
int table_times_create(table_timer *timer, void *ctx, struct table_times **out, struct err *e);
void table_times_free(struct table_times *t);
/* By the timer, or as it was when the same was asked before. `times` NULL: measured, and forgotten. */
int table_times_get(struct table_times *times, const struct table_shape *shape, double *table_ns,
                    double *product_ns, struct err *e);

#endif
