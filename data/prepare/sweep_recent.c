/* sweep.h: recent: a user's last positive items.
 *
 * The state is, for each user, a ring of the stored rows of the last n positives; an item's values are looked up in rows/ when
 * they are needed, so bags cost no more than single ids.
 */
#include "data/prepare/scratch.h"
#include "data/prepare/staging.h"
#include "data/prepare/sweep.h"
#include <stdio.h>
#include <string.h>

static int open_recent(struct derived *x, struct err *e) {
    const struct dataset *ds = x->sweep->ds;
    const struct field *of = &ds->field[x->d->of_index[0]];
    x->field->vocab = of->vocab;
    x->field->shares = x->d->of_index[0];
    x->observed = mem_calloc(ds->n_users, sizeof *x->observed);
    if (!x->observed) return err_nomem(e, (size_t)ds->n_users * sizeof *x->observed);
    TRY(scratch_map(x->sweep->work, (size_t)ds->n_users * (size_t)x->d->n * sizeof(uint32_t), &x->ring, e));
    TRY(staging_array(x->sweep->dir, "rows", x->d->name, ".offsets", NPY_U64, ds->n_rows + 1, &x->out, e));
    for (int s = 0; s < SPLIT_COUNT; s++) {
        char name[128];
        snprintf(name, sizeof name, "%s.%s", x->d->name, split_name((enum split)s));
        TRY(spool_open(&x->values[s], x->sweep->work, name, e));
    }
    return 0;
}

static int room_for(struct derived *x, size_t n, struct err *e) {
    if (n <= x->room_n) return 0;
    size_t room = n > 2 * x->room_n ? n : 2 * x->room_n;
    uint32_t *p = mem_realloc(x->room, x->room_n * sizeof *p, room * sizeof *p);
    if (!p) return err_nomem(e, room * sizeof *p);
    x->room = p;
    x->room_n = room;
    return 0;
}

/* x->now: the user's values, newest first. */
static int look_up(struct derived *x, uint32_t user, struct err *e) {
    uint32_t n = (uint32_t)x->d->n, all = x->observed[user], have = all < n ? all : n;
    const uint32_t *ring = (const uint32_t *)x->ring.p + (size_t)user * n;
    size_t at = 0;
    for (uint32_t i = 1; i <= have; i++) {
        struct ids v = input_at(&x->of[0], ring[(all - i) % n]);
        TRY(room_for(x, at + v.n, e));
        for (size_t j = 0; j < v.n; j++) x->room[at++] = v.p[j];
    }
    x->now = (struct ids){x->room, at};
    return 0;
}

static int add(struct spool *s, struct ids v, struct err *e) {
    for (size_t i = 0; i < v.n; i++) TRY(spool_u32(s, v.p[i], e));
    return 0;
}

static int compute_recent(struct derived *x, uint64_t k, struct err *e) {
    const struct sweep *w = x->sweep;
    int s = SPLIT_TRAIN;
    while (k >= w->ds->split[s].end) s++;
    TRY(look_up(x, ((const uint32_t *)w->user.data)[k], e));
    ((uint64_t *)x->out.data)[k + 1] = x->now.n; /* a length, until all are known */
    return add(&x->values[s], x->now, e);        /* a split's rows come in their stored order */
}

static int observe_recent(struct derived *x, uint64_t k, bool positive, struct err *e) {
    (void)e;
    if (!positive) return 0;
    uint32_t user = ((const uint32_t *)x->sweep->user.data)[k], n = (uint32_t)x->d->n;
    ((uint32_t *)x->ring.p)[(size_t)user * n + x->observed[user]++ % n] = (uint32_t)k;
    return 0;
}

static void forget_recent(struct derived *x) {
    memset(x->observed, 0, (size_t)x->sweep->ds->n_users * sizeof *x->observed);
}

/* Writes the bags of users 1..n-1; offsets[n + 1]. */
static int write_users(struct derived *x, const char *folder, uint32_t n, uint64_t *offsets,
                       struct spool *values, struct err *e) {
    struct npy out;
    for (uint32_t u = 1; u < n; u++) {
        TRY(look_up(x, u, e));
        TRY(add(values, x->now, e));
        offsets[u + 1] = offsets[u] + x->now.n;
    }
    TRY(spool_map(values, e));
    TRY(staging_array(x->sweep->dir, folder, x->d->name, "", NPY_U32, offsets[n], &out, e));
    if (offsets[n]) memcpy(out.data, values->map.p, values->map.bytes);
    npy_close(&out);
    return 0;
}

static int entity_recent(struct derived *x, const char *folder, uint32_t n, struct err *e) {
    struct npy offsets;
    struct spool values = SPOOL_INIT;
    char name[128];
    snprintf(name, sizeof name, "%s.users", x->d->name);
    TRY(staging_array(x->sweep->dir, folder, x->d->name, ".offsets", NPY_U64, (uint64_t)n + 1, &offsets, e));
    int rc = spool_open(&values, x->sweep->work, name, e);
    if (!rc) rc = write_users(x, folder, n, offsets.data, &values, e);
    spool_release(&values);
    npy_close(&offsets);
    return rc;
}

static int finish_recent(struct derived *x, struct err *e) {
    const struct dataset *ds = x->sweep->ds;
    uint64_t *offsets = x->out.data, train = ds->split[SPLIT_TRAIN].end;
    for (uint64_t k = 0; k < ds->n_rows; k++) offsets[k + 1] += offsets[k];
    x->field->mean_length = (double)offsets[train] / (double)train;
    struct npy out;
    TRY(staging_array(x->sweep->dir, "rows", x->d->name, "", NPY_U32, offsets[ds->n_rows], &out, e));
    int rc = 0;
    for (int s = 0; !rc && s < SPLIT_COUNT; s++) {
        rc = spool_map(&x->values[s], e);
        if (rc || !x->values[s].map.p) continue;
        memcpy((uint32_t *)out.data + offsets[ds->split[s].begin], x->values[s].map.p,
               x->values[s].map.bytes);
        spool_release(&x->values[s]);
    }
    npy_close(&out);
    return rc;
}

const struct derived_ops derived_recent = {.kind = "recent",
                                           .type = VALUE_BAG,
                                           .open = open_recent,
                                           .compute = compute_recent,
                                           .observe = observe_recent,
                                           .forget = forget_recent,
                                           .entity = entity_recent,
                                           .finish = finish_recent};
