#include "bench/run/requests.h"
#include "base/rng.h"
#include <string.h>

struct draw {
    const struct dataset *ds;
    struct rng rng;
    uint64_t *first; /* [n_users + 1]: where a user's rows begin in `row` */
    uint64_t *row;   /* the test split's rows, by user */
    uint32_t *users; /* those with rows there, in random order */
    size_t n_users;
    uint32_t *stamp; /* [n_items]: number of the last request that had it, from 1 */
};

static int draw_alloc(struct draw *d, struct err *e) {
    size_t users = (size_t)d->ds->n_users + 1;
    size_t rows = (size_t)(d->ds->split[SPLIT_TEST].end - d->ds->split[SPLIT_TEST].begin);
    d->first = mem_calloc(users + 1, sizeof *d->first);
    d->row = mem_calloc(rows + 1, sizeof *d->row);
    d->users = mem_calloc(users, sizeof *d->users);
    d->stamp = mem_calloc((size_t)d->ds->n_items + 1, sizeof *d->stamp);
    return d->first && d->row && d->users && d->stamp ? 0 : err_nomem(e, rows * sizeof *d->row);
}

/* Counting sort of the test rows by user; then the users in random order. */
static void sort_by_user(struct draw *d) {
    const struct dataset *ds = d->ds;
    uint64_t begin = ds->split[SPLIT_TEST].begin, end = ds->split[SPLIT_TEST].end;
    for (uint64_t i = begin; i < end; i++) d->first[ds->user[i] + 1]++;
    for (size_t u = 0; u < ds->n_users; u++) {
        if (d->first[u + 1]) d->users[d->n_users++] = (uint32_t)u;
        d->first[u + 1] += d->first[u];
    }
    for (uint64_t i = begin; i < end; i++) d->row[d->first[ds->user[i]]++] = i;
    /* each start has moved to its end, which is the next one's start */
    memmove(d->first + 1, d->first, ds->n_users * sizeof *d->first);
    d->first[0] = 0;
    for (size_t i = d->n_users; i > 1; i--) {
        size_t k = (size_t)rng_below(&d->rng, i);
        uint32_t t = d->users[i - 1];
        d->users[i - 1] = d->users[k];
        d->users[k] = t;
    }
}

static void draw_items(struct draw *d, uint32_t number, uint32_t user, uint32_t *item, size_t want) {
    const struct dataset *ds = d->ds;
    uint64_t begin = ds->split[SPLIT_TRAIN].begin, n = ds->split[SPLIT_TRAIN].end - begin;
    size_t got = 0;
    for (uint64_t i = d->first[user]; i < d->first[user + 1] && got < want; i++) {
        uint32_t x = ds->item[d->row[i]];
        if (d->stamp[x] == number) continue;
        d->stamp[x] = number;
        item[got++] = x;
    }
    for (size_t tries = 0; got < want && n && tries < 8 * want; tries++) {
        uint32_t x = ds->item[begin + rng_below(&d->rng, n)];
        if (d->stamp[x] == number) continue;
        d->stamp[x] = number;
        item[got++] = x;
    }
    /* the rest: items not there yet, from a random one on; when there are no more, any */
    uint32_t at = (uint32_t)rng_below(&d->rng, ds->n_items);
    for (uint32_t k = 0; k < ds->n_items && got < want; k++) {
        uint32_t x = (at + k) % ds->n_items;
        if (x && d->stamp[x] != number) item[got++] = x;
    }
    while (got < want) item[got++] = ds->n_items > 1 ? 1 + (uint32_t)rng_below(&d->rng, ds->n_items - 1) : 0;
    for (size_t i = want; i > 1; i--) {
        size_t k = (size_t)rng_below(&d->rng, i);
        uint32_t t = item[i - 1];
        item[i - 1] = item[k];
        item[k] = t;
    }
}

int requests_draw(const struct dataset *ds, size_t candidates, size_t n, uint64_t seed, struct requests *out,
                  struct err *e) {
    *out = (struct requests){.n = n, .candidates = candidates};
    if (ds->split[SPLIT_TEST].begin == ds->split[SPLIT_TEST].end)
        return err_set(e, ERR_INPUT,
                       "%s: the test split is empty, so there are no users to send requests for", ds->dir);
    struct draw d = {.ds = ds, .rng = rng_init(seed, rng_stream("requests"))};
    out->user = mem_calloc(n, sizeof *out->user);
    out->item = mem_calloc(n * candidates, sizeof *out->item);
    int rc = out->user && out->item ? draw_alloc(&d, e) : err_nomem(e, n * candidates * sizeof *out->item);
    if (!rc) {
        sort_by_user(&d);
        for (size_t i = 0; i < n && d.n_users; i++) {
            out->user[i] = d.users[i % d.n_users];
            draw_items(&d, (uint32_t)(i + 1), out->user[i], out->item + i * candidates, candidates);
        }
    }
    void *own[] = {d.first, d.row, d.users, d.stamp};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    if (rc) requests_release(out);
    return rc;
}

struct request requests_at(const struct requests *q, size_t i) {
    i %= q->n;
    return (struct request){.user = q->user[i], .n = q->candidates, .items = q->item + i * q->candidates};
}

void requests_release(struct requests *q) {
    mem_free(q->user);
    mem_free(q->item);
    *q = (struct requests){0};
}
