/* sweep.h: cross and overlap: values of the row itself; what they look back at is in their inputs. */
#include "data/prepare/staging.h"
#include "data/prepare/sweep.h"

/* --- cross --- */

static int open_cross(struct derived *x, struct err *e) {
    (void)e;
    x->seed = derive_cross_seed(x->d->name);
    x->field->vocab = (uint32_t)x->d->buckets + 1;
    return 0;
}

static int compute_cross(struct derived *x, uint64_t k, struct err *e) {
    (void)e;
    uint32_t *id = x->out.data;
    id[k] = derive_cross_id(x->seed, (uint32_t)x->d->buckets, input_at(&x->of[0], k), input_at(&x->of[1], k));
    return 0;
}

/* Both columns are of one side. */
static int entity_cross(struct derived *x, const char *folder, uint32_t n, struct err *e) {
    struct input a = {.values = {.n = 0}}, b = a;
    struct npy out = {.n = 0};
    const struct field *field = x->sweep->ds->field;
    int rc = input_open(&a, x->sweep->dir, folder, &field[x->d->of_index[0]], e);
    if (!rc) rc = input_open(&b, x->sweep->dir, folder, &field[x->d->of_index[1]], e);
    if (!rc) rc = staging_array(x->sweep->dir, folder, x->d->name, "", NPY_U32, n, &out, e);
    for (uint32_t i = 1; !rc && i < n; i++)
        ((uint32_t *)out.data)[i] =
            derive_cross_id(x->seed, (uint32_t)x->d->buckets, input_at(&a, i), input_at(&b, i));
    input_close(&a);
    input_close(&b);
    npy_close(&out);
    return rc;
}

const struct derived_ops derived_cross = {
    .kind = "cross", .type = VALUE_ID, .open = open_cross, .compute = compute_cross, .entity = entity_cross};

/* --- overlap --- */

static int open_overlap(struct derived *x, struct err *e) {
    (void)e;
    x->field->vocab = (uint32_t)x->d->max + 2;
    return 0;
}

static int compute_overlap(struct derived *x, uint64_t k, struct err *e) {
    (void)e;
    struct ids a = x->recent ? x->recent->now : input_at(&x->of[0], k);
    uint32_t n = derive_overlap(a, input_at(&x->of[1], k)), max = (uint32_t)x->d->max;
    ((uint32_t *)x->out.data)[k] = 1 + (n < max ? n : max);
    return 0;
}

const struct derived_ops derived_overlap = {
    .kind = "overlap", .type = VALUE_ID, .open = open_overlap, .compute = compute_overlap};
