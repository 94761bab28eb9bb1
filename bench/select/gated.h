/* gated.h: a variant's graph with a gate between the fields' embeddings and the rest, for selectors that learn
 * which fields matter (se, fscd). A walk over the finished graph, so it works for every variant that lays its fields
 * side by side in one concat, or those of each side in one (two towers); variants/ knows nothing of it. What a model
 * reads of a field elsewhere (dat's augmented vector, parallel's ffm tables, din's attention) passes no gate.
 *
 *     struct gated_options o = {.model = *(const struct model_options *)options, .variant = v, .options = options,
 *                               .gate = se_gate};
 *     variant_build(&variant_gated, &o, &features, &g, e);      to be trained like any other
 */
#ifndef PRERANK_BENCH_GATED_H
#define PRERANK_BENCH_GATED_H
#include "variants/variant.h"

struct field_concat {
    int number;                 /* 0: of all fields, or the user's; 1: the item's */
    int node;                   /* the concat; of a single field its embedding */
    int n;                      /* its inputs, all of one width */
    int field[NODE_MAX_INPUTS]; /* which feature each is */
};
struct field_concats { /* every field once */
    int n;
    struct field_concat v[2];
};
/* ERR_INPUT when the graph has no such concats. */
int field_concats_find(const struct graph *g, const struct features *f, struct field_concats *out,
                       struct err *e);
int field_concats_fit(const struct graph *g, const struct features *f,
                      struct err *e); /* whether it has them */
/* "base", and for the second concat "base.1": the name of what a gate is made of. */
const char *field_concat_name(const struct field_concat *c, const char *base, char out[NN_NAME_MAX]);

struct gated_options {
    struct model_options model; /* the variant's own */
    const struct variant *variant;
    const void *options;
    /* For each concat. x: its copy in g; returns the node that takes its place, as wide. May add losses. */
    int (*gate)(struct graph *g, int x, const struct field_concat *c, const void *ctx);
    const void *ctx;
};
extern const struct variant variant_gated; /* in no registry */

#endif
