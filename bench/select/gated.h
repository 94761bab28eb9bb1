/* gated.h: a variant's graph with a gate between the fields' embeddings and the rest, for selectors that learn
 * which fields matter (se, fscd). A walk over the finished graph, so it works for every variant that lays all its
 * fields side by side in one concat; variants/ knows nothing of it.
 *
 *     struct gated_options o = {.model = *(const struct model_options *)options, .variant = v, .options = options,
 *                               .gate = se_gate};
 *     variant_build(&variant_gated, &o, &features, &g, e);      to be trained like any other
 */
#ifndef PRERANK_BENCH_GATED_H
#define PRERANK_BENCH_GATED_H
#include "variants/variant.h"

struct field_concat {
    int node;                   /* the concat */
    int n;                      /* its inputs, all of one width */
    int field[NODE_MAX_INPUTS]; /* which feature each is */
};
/* ERR_INPUT when the graph has no such concat. */
int field_concat_find(const struct graph *g, const struct features *f, struct field_concat *out,
                      struct err *e);

struct gated_options {
    struct model_options model; /* the variant's own */
    const struct variant *variant;
    const void *options;
    /* x: the concat's copy in g; returns the node that takes its place, as wide. May add losses. */
    int (*gate)(struct graph *g, int x, const struct field_concat *c, const void *ctx);
    const void *ctx;
};
extern const struct variant variant_gated; /* in no registry */

#endif
