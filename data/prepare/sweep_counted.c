/* sweep.h: count, rate and history: what was counted before. */
#include "data/prepare/scratch.h"
#include "data/prepare/staging.h"
#include "data/prepare/sweep.h"
#include <math.h>

static void clear(struct derived *x) { tally_clear(&x->tally); }

static uint32_t *ids_out(const struct derived *x) { return x->out.data; }
static double *values_of(const struct derived *x) { return x->value.p; }

/* The one value of a column of categories. */
static uint32_t key_at(const struct derived *x, uint64_t k) {
    return ((const uint32_t *)x->of[0].values.data)[k];
}

static int observe_key(struct derived *x, uint64_t k, bool positive, struct err *e) {
    uint32_t key = key_at(x, k);
    return key ? tally_add(&x->tally, key, positive, e) : 0;
}

static int open_keys(struct derived *x, struct err *e) {
    return tally_dense(&x->tally, x->sweep->ds->field[x->d->of_index[0]].vocab, x->sweep->work, e);
}

/* users/ or items/: id_of(value of the entity's column). */
static int write_entity(struct derived *x, const char *folder, uint32_t n,
                        uint32_t (*id_of)(const struct derived *, uint32_t key), struct err *e) {
    struct npy key, out;
    TRY(staging_reopen(x->sweep->dir, folder, x->d->of[0], "", NPY_U32, &key, e));
    int rc = staging_array(x->sweep->dir, folder, x->d->name, "", NPY_U32, n, &out, e);
    for (uint32_t i = 1; !rc && i < n; i++)
        ((uint32_t *)out.data)[i] = id_of(x, ((const uint32_t *)key.data)[i]);
    npy_close(&key);
    if (!rc) npy_close(&out);
    return rc;
}

/* --- count --- */

static uint32_t count_id(const struct derived *x, uint32_t key) {
    return key ? derive_count_id(tally_get(&x->tally, key).n, (uint32_t)x->d->buckets) : 0;
}

static int open_count(struct derived *x, struct err *e) {
    x->field->vocab = (uint32_t)x->d->buckets + 1;
    return open_keys(x, e);
}

static int compute_count(struct derived *x, uint64_t k, struct err *e) {
    (void)e;
    ids_out(x)[k] = count_id(x, key_at(x, k));
    return 0;
}

static int entity_count(struct derived *x, const char *folder, uint32_t n, struct err *e) {
    return write_entity(x, folder, n, count_id, e);
}

const struct derived_ops derived_count = {.kind = "count",
                                          .type = VALUE_ID,
                                          .open = open_count,
                                          .compute = compute_count,
                                          .observe = observe_key,
                                          .forget = clear,
                                          .entity = entity_count};

/* --- rate --- */

static int open_values(struct derived *x, struct err *e) {
    return scratch_map(x->sweep->work, x->sweep->ds->n_rows * sizeof(double), &x->value, e);
}

static int open_rate(struct derived *x, struct err *e) {
    TRY(open_values(x, e));
    return open_keys(x, e);
}

static double rate_of(const struct derived *x, uint32_t key) {
    return key ? derive_rate(tally_get(&x->tally, key), x->d->prior, x->prior_mass) : NAN;
}

static int compute_rate(struct derived *x, uint64_t k, struct err *e) {
    (void)e;
    values_of(x)[k] = rate_of(x, key_at(x, k));
    return 0;
}

static uint32_t rate_id(const struct derived *x, uint32_t key) {
    return key ? quantile_bucket(&x->edges, rate_of(x, key)) : 0;
}

static int entity_rate(struct derived *x, const char *folder, uint32_t n, struct err *e) {
    return write_entity(x, folder, n, rate_id, e);
}

static int finish_rate(struct derived *x, struct err *e) {
    (void)e;
    const double *v = values_of(x);
    for (uint64_t k = 0; k < x->sweep->ds->n_rows; k++)
        ids_out(x)[k] = isnan(v[k]) ? 0 : quantile_bucket(&x->edges, v[k]);
    x->field->vocab = x->edges.n + 2;
    return 0;
}

const struct derived_ops derived_rate = {.kind = "rate",
                                         .type = VALUE_ID,
                                         .open = open_rate,
                                         .compute = compute_rate,
                                         .observe = observe_key,
                                         .forget = clear,
                                         .entity = entity_rate,
                                         .finish = finish_rate};

/* --- history --- */

static int open_history(struct derived *x, struct err *e) {
    TRY(open_values(x, e));
    return tally_hashed(&x->tally, x->sweep->work, e);
}

static int compute_history(struct derived *x, uint64_t k, struct err *e) {
    (void)e;
    bool known;
    struct tally_count c = derive_pair_sum(&x->tally, input_at(&x->of[0], k), input_at(&x->of[1], k), &known);
    values_of(x)[k] = known ? derive_rate(c, x->d->prior, x->prior_mass) : NAN;
    ids_out(x)[k] = derive_level(c.n); /* until the edges are known */
    return 0;
}

static int observe_history(struct derived *x, uint64_t k, bool positive, struct err *e) {
    struct ids a = input_at(&x->of[0], k), b = input_at(&x->of[1], k);
    for (size_t i = 0; i < a.n; i++)
        for (size_t j = 0; j < b.n; j++)
            if (a.p[i] && b.p[j]) TRY(tally_add(&x->tally, derive_pair_key(a.p[i], b.p[j]), positive, e));
    return 0;
}

static int save_history(struct derived *x, struct err *e) {
    return tally_save(&x->tally, x->sweep->dir, x->d->name, e);
}

static int finish_history(struct derived *x, struct err *e) {
    (void)e;
    const double *v = values_of(x);
    uint32_t *id = ids_out(x);
    for (uint64_t k = 0; k < x->sweep->ds->n_rows; k++)
        id[k] = isnan(v[k]) ? 0 : derive_history_id(&x->edges, v[k], id[k]);
    x->field->vocab = derive_history_vocab(&x->edges);
    return 0;
}

const struct derived_ops derived_history = {.kind = "history",
                                            .type = VALUE_ID,
                                            .open = open_history,
                                            .compute = compute_history,
                                            .observe = observe_history,
                                            .forget = clear,
                                            .save = save_history,
                                            .finish = finish_history};
