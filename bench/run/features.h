/* features.h: feature subsets: which fields of the data a model sees.
 *
 *     features:
 *       all: "*"                             a glob; every field
 *       no-cross: [user, item]               whole sides
 *       slim: [user, item, -zip, "i*"]       names, globs and exclusions, applied from left to right
 *       no-id: [-user_id, -item_id]          a list that begins with an exclusion begins with all fields
 *
 * A side's name (user, item, pair) means the side, also when a field is called so.
 *
 *     struct features all, used;
 *     TRY(features_of_dataset(&ds, &arena, &all, e));
 *     bool *keep = ...;  subset_resolve(&subset, &all, keep, &problems);
 *     TRY(features_select(&all, keep, true, &arena, &used, NULL, e));
 */
#ifndef PRERANK_BENCH_FEATURES_H
#define PRERANK_BENCH_FEATURES_H
#include "base/conf.h"
#include "base/mem.h"
#include "bench/problems.h"
#include "data/dataset.h"
#include "data/schema.h"
#include "variants/variant.h"
#include <stdbool.h>

struct subset_term {
    const char *text;
    const struct conf *at; /* NULL: a default */
};
struct subset {
    const char *name;
    int n;
    struct subset_term *term;
    const struct conf *at;
};

/* All fields, in the order of the dataset. Texts live as long as `ds` or `s`. */
int features_of_dataset(const struct dataset *ds, struct arena *a, struct features *out, struct err *e);
/* The same before the data is prepared: vocabularies are unknown and given as 2. */
int features_of_schema(const struct schema *s, struct arena *a, struct features *out, struct err *e);
/* keep[all->n] becomes true for the fields that the subset names. Every term that means nothing is a problem,
 * and so is a subset that keeps no field; returns the number of problems. */
int subset_resolve(const struct subset *s, const struct features *all, bool *keep, struct problems *p);
/* The kept fields, without those of the pair side when `pair` is false; *left_out (may be NULL) counts these.
 */
int features_select(const struct features *all, const bool *keep, bool pair, struct arena *a,
                    struct features *out, int *left_out, struct err *e);

#endif
