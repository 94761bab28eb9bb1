#include "bench/run/requests.h"
#include "base/rng.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rest { /* an item that a request does not have yet */
    int tier;
    double key;
    uint32_t item;
};

struct draw {
    const struct dataset *ds;
    struct rng rng;
    uint64_t *first; /* [n_users + 1]: where a user's rows begin in `row` */
    uint64_t *row;   /* the test split's rows, by user */
    uint32_t *users; /* those with rows there, in random order */
    size_t n_users;
    uint32_t *stamp; /* [n_items]: number of the last request that had it, from 1 */
    uint32_t
        *known; /* [n_items]: number of the last request whose user was shown it before the test period */
    uint64_t *past_first; /* [n_users + 1]: where a user's items of that time begin in the next */
    uint32_t *past;
    uint32_t *shown; /* [n_items]: rows of the training split that show it */
    struct rest *rest;
};

static int draw_alloc(struct draw *d, struct err *e) {
    size_t users = (size_t)d->ds->n_users + 1;
    size_t rows = (size_t)(d->ds->split[SPLIT_TEST].end - d->ds->split[SPLIT_TEST].begin);
    d->first = mem_calloc(users + 1, sizeof *d->first);
    d->row = mem_calloc(rows + 1, sizeof *d->row);
    d->users = mem_calloc(users, sizeof *d->users);
    d->stamp = mem_calloc((size_t)d->ds->n_items + 1, sizeof *d->stamp);
    d->known = mem_calloc((size_t)d->ds->n_items + 1, sizeof *d->known);
    d->past_first = mem_calloc(users + 1, sizeof *d->past_first);
    d->shown = mem_calloc((size_t)d->ds->n_items + 1, sizeof *d->shown);
    d->rest = mem_calloc((size_t)d->ds->n_items + 1, sizeof *d->rest);
    return d->first && d->row && d->users && d->stamp && d->known && d->past_first && d->shown && d->rest
               ? 0
               : err_nomem(e, rows * sizeof *d->row);
}

static void count_shown(struct draw *d) {
    const struct dataset *ds = d->ds;
    for (uint64_t i = ds->split[SPLIT_TRAIN].begin; i < ds->split[SPLIT_TRAIN].end; i++)
        d->shown[ds->item[i]]++;
}

/* What the users of the first n requests were shown before the test period. */
static int list_past(struct draw *d, size_t n, struct err *e) {
    const struct dataset *ds = d->ds;
    uint64_t end = ds->split[SPLIT_VALID].end > ds->split[SPLIT_TRAIN].end ? ds->split[SPLIT_VALID].end
                                                                           : ds->split[SPLIT_TRAIN].end;
    bool *asks = mem_calloc((size_t)ds->n_users + 1, sizeof *asks);
    if (!asks) return err_nomem(e, ds->n_users);
    for (size_t i = 0; i < n && i < d->n_users; i++) asks[d->users[i]] = true;
    for (uint64_t i = 0; i < end; i++) d->past_first[ds->user[i] + 1] += asks[ds->user[i]];
    for (size_t u = 0; u < ds->n_users; u++) d->past_first[u + 1] += d->past_first[u];
    uint64_t all = d->past_first[ds->n_users];
    d->past = mem_calloc((size_t)all + 1, sizeof *d->past);
    for (uint64_t i = 0; d->past && i < end; i++)
        if (asks[ds->user[i]]) d->past[d->past_first[ds->user[i]]++] = ds->item[i];
    memmove(d->past_first + 1, d->past_first, ds->n_users * sizeof *d->past_first);
    d->past_first[0] = 0;
    mem_free(asks);
    return d->past ? 0 : err_nomem(e, (size_t)all * sizeof *d->past);
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

static bool clicked(const struct draw *d, uint32_t user, uint32_t item) {
    for (uint64_t i = d->first[user]; i < d->first[user + 1]; i++)
        if (d->ds->item[d->row[i]] == item && d->ds->label[d->row[i]]) return true;
    return false;
}

static int by_tier_and_key(const void *a, const void *b) {
    const struct rest *x = a, *y = b;
    if (x->tier != y->tier) return x->tier - y->tier;
    return (x->key > y->key) - (x->key < y->key);
}

/* Where drawing rows finds hardly anything new, the draw goes on exactly: of exponential variables over weights the smallest are
 * a draw without replacement in proportion to the weights (Efraimidis and Spirakis 2006). Items of no training row come after
 * those, in random order, and then what the user was shown before, by popularity again. */
static size_t draw_rest(struct draw *d, uint64_t seed, uint32_t number, uint32_t *item, size_t want) {
    struct rng r = rng_init(seed, rng_stream("rest of a request"));
    size_t n = 0, got = 0;
    for (uint32_t x = 1; x < d->ds->n_items; x++) {
        double exponential = -log(1 - rng_uniform(&r));
        if (d->stamp[x] == number) continue;
        int tier = d->known[x] == number ? 2 : d->shown[x] ? 0 : 1;
        d->rest[n++] = (struct rest){tier, exponential / fmax(d->shown[x], 0.5), x};
    }
    qsort(d->rest, n, sizeof *d->rest, by_tier_and_key);
    for (; got < want && got < n; got++) {
        item[got] = d->rest[got].item;
        d->stamp[item[got]] = number;
    }
    return got;
}

/* Distinct items that this user was shown, then drawn ones; returns how many of the first kind. */
static size_t draw_items(struct draw *d, uint32_t number, uint32_t user, uint32_t *item, size_t want) {
    const struct dataset *ds = d->ds;
    uint64_t begin = ds->split[SPLIT_TRAIN].begin, n = ds->split[SPLIT_TRAIN].end - begin;
    size_t got = 0;
    for (uint64_t i = d->first[user]; i < d->first[user + 1] && got < want; i++) {
        uint32_t x = ds->item[d->row[i]];
        if (d->stamp[x] == number) continue;
        d->stamp[x] = number;
        item[got++] = x;
    }
    size_t shown = got;
    for (uint64_t i = d->past_first[user]; i < d->past_first[user + 1]; i++) d->known[d->past[i]] = number;
    for (size_t tries = 0; got < want && n && tries < 8 * want; tries++) {
        uint32_t x = ds->item[begin + rng_below(&d->rng, n)];
        if (d->stamp[x] == number || d->known[x] == number) continue;
        d->stamp[x] = number;
        item[got++] = x;
    }
    uint64_t seed = rng_next(&d->rng); /* drawn in any case: the next request does not depend on this one */
    if (got < want) got += draw_rest(d, seed, number, item + got, want - got);
    while (got < want) item[got++] = ds->n_items > 1 ? 1 + (uint32_t)rng_below(&d->rng, ds->n_items - 1) : 0;
    return shown;
}

static void draw_request(struct draw *d, size_t i, struct requests *out) {
    uint32_t user = out->user[i] = d->users[i % d->n_users], *item = out->item + out->first[i];
    uint8_t *click = out->clicked + out->first[i];
    size_t want = out->first[i + 1] - out->first[i];
    size_t shown = draw_items(d, (uint32_t)(i + 1), user, item, want);
    out->moment[i] = 1 + d->row[d->first[user]]; /* rows of a split are in the order of time */
    for (size_t k = 0; k < shown; k++) click[k] = clicked(d, user, item[k]);
    for (size_t k = want; k > 1; k--) {
        size_t other = (size_t)rng_below(&d->rng, k);
        uint32_t t = item[k - 1];
        uint8_t c = click[k - 1];
        item[k - 1] = item[other];
        click[k - 1] = click[other];
        item[other] = t;
        click[other] = c;
    }
}

/* Sizes first, so that they do not depend on the items. */
static int draw_sizes(const struct spread *size, uint64_t seed, struct requests *out, struct err *e) {
    struct rng r = rng_init(seed, rng_stream("request sizes"));
    for (size_t i = 0; i < out->n; i++) {
        size_t k = spread_draw(size, &r);
        out->first[i + 1] = out->first[i] + k;
        if (k > out->most) out->most = k;
    }
    size_t all = out->first[out->n];
    out->mean = out->n ? (double)all / (double)out->n : 0;
    out->item = mem_calloc(all + 1, sizeof *out->item);
    out->clicked = mem_calloc(all + 1, sizeof *out->clicked);
    return out->item && out->clicked ? 0 : err_nomem(e, all * sizeof *out->item);
}

int requests_draw(const struct dataset *ds, const struct spread *size, size_t n, uint64_t seed,
                  struct requests *out, struct err *e) {
    *out = (struct requests){.n = n};
    if (ds->split[SPLIT_TEST].begin == ds->split[SPLIT_TEST].end)
        return err_set(e, ERR_INPUT,
                       "%s: the test split is empty, so there are no users to send requests for", ds->dir);
    struct draw d = {.ds = ds, .rng = rng_init(seed, rng_stream("requests"))};
    out->user = mem_calloc(n + 1, sizeof *out->user);
    out->moment = mem_calloc(n + 1, sizeof *out->moment);
    out->first = mem_calloc(n + 1, sizeof *out->first);
    int rc = out->user && out->moment && out->first ? draw_sizes(size, seed, out, e) : err_nomem(e, n);
    if (!rc) rc = draw_alloc(&d, e);
    if (!rc) {
        sort_by_user(&d);
        count_shown(&d);
        rc = list_past(&d, n, e);
        for (size_t i = 0; !rc && i < n && d.n_users; i++) draw_request(&d, i, out);
    }
    void *own[] = {d.first, d.row, d.users, d.stamp, d.known, d.past_first, d.past, d.shown, d.rest};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    if (rc) requests_release(out);
    return rc;
}

struct request requests_at(const struct requests *q, size_t i) {
    i %= q->n;
    return (struct request){.user = q->user[i],
                            .n = q->first[i + 1] - q->first[i],
                            .items = q->item + q->first[i],
                            .moment = q->moment[i]};
}

size_t requests_users(const struct dataset *ds) {
    uint64_t begin = ds->split[SPLIT_TEST].begin, end = ds->split[SPLIT_TEST].end;
    bool *seen = mem_calloc((size_t)ds->n_users + 1, sizeof *seen);
    size_t n = 0;
    for (uint64_t i = begin; seen && i < end; i++) {
        n += !seen[ds->user[i]];
        seen[ds->user[i]] = true;
    }
    mem_free(seen);
    return n;
}

void requests_release(struct requests *q) {
    void *own[] = {q->user, q->moment, q->first, q->item, q->clicked};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    *q = (struct requests){0};
}
