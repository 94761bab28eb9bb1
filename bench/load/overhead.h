/* overhead.h: what the harness itself takes: the null model, which answers at once, under both loads. Every measured time
 * contains as much.
 *
 *     struct overhead h;
 *     TRY(overhead_measure(&h, e));                       about half a second
 *     TRY(manifest_set(&manifest, "harness", overhead_json(&h), e));
 */
#ifndef PRERANK_BENCH_LOAD_OVERHEAD_H
#define PRERANK_BENCH_LOAD_OVERHEAD_H
#include "base/err.h"
#include <jansson.h>
#include <stddef.h>

struct overhead { /* ns */
    size_t closed_n, open_n;
    double closed_p50, closed_p99; /* two readings of the clock and a call */
    double offered_qps;            /* of the open loop */
    double open_p50, open_p99;     /* from the planned time: how precisely the generator sends */
};
int overhead_measure(struct overhead *out, struct err *e);
json_t *overhead_json(const struct overhead *h); /* new reference or NULL */

#endif
