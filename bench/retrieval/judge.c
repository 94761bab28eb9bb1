#include "bench/retrieval/judge.h"
#include "base/mem.h"
#include "base/rng.h"
#include "bench/retrieval/options.h"
#include "nn/vec.h"
#include "serve/towers.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Sorts list[n] and drops what is there twice; returns how many are left. */
static size_t distinct(uint32_t *list, size_t n) {
    size_t kept = 0;
    qsort(list, n, sizeof *list, ascending);
    for (size_t i = 0; i < n; i++)
        if (!kept || list[kept - 1] != list[i]) list[kept++] = list[i];
    return kept;
}

static bool in_list(const uint32_t *list, size_t n, uint32_t item) {
    return n && bsearch(&item, list, n, sizeof *list, ascending);
}

/* ---- the users ---- */

struct items_of { /* the items of every user's rows in one split, ascending, each once */
    size_t *at;   /* [n_users + 1] */
    size_t *n;    /* [n_users] from `at` on */
    uint32_t *item;
};

static void release_items(struct items_of *o) {
    mem_free(o->at);
    mem_free(o->n);
    mem_free(o->item);
}

static int collect(const struct dataset *ds, enum split split, bool clicked, struct items_of *o,
                   struct err *e) {
    uint64_t begin = ds->split[split].begin, end = ds->split[split].end;
    size_t users = ds->n_users;
    *o = (struct items_of){mem_calloc(users + 2, sizeof *o->at), mem_calloc(users + 1, sizeof *o->n),
                           mem_alloc((size_t)(end - begin + 1) * sizeof *o->item)};
    if (!o->at || !o->n || !o->item) return err_nomem(e, (size_t)(end - begin) * sizeof *o->item);
    for (uint64_t r = begin; r < end; r++) o->at[ds->user[r] + 1] += !clicked || ds->label[r];
    for (size_t u = 0; u < users; u++) o->at[u + 1] += o->at[u];
    for (uint64_t r = begin; r < end; r++) {
        uint32_t u = ds->user[r];
        if ((!clicked || ds->label[r]) && ds->item[r]) o->item[o->at[u] + o->n[u]++] = ds->item[r];
    }
    for (size_t u = 0; u < users; u++) o->n[u] = distinct(o->item + o->at[u], o->n[u]);
    return 0;
}

static void shuffle_users(uint32_t *user, size_t n, uint64_t seed) {
    struct rng r = rng_init(seed, rng_stream("retrieval users"));
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)rng_below(&r, i);
        uint32_t t = user[i - 1];
        user[i - 1] = user[k];
        user[k] = t;
    }
}

/* Of the clicks of user u, those that may be returned come to the front; returns how many. */
static size_t returnable(const struct items_of *clicks, const struct items_of *seen, uint32_t u) {
    size_t kept = 0;
    uint32_t *list = clicks->item + clicks->at[u];
    for (size_t i = 0; i < clicks->n[u]; i++)
        if (!seen->at || !in_list(seen->item + seen->at[u], seen->n[u], list[i])) list[kept++] = list[i];
    return kept;
}

/* Rows of a split are in the order of time. */
static int find_moments(const struct dataset *ds, struct judge *j, struct err *e) {
    uint64_t *first = mem_calloc((size_t)ds->n_users + 1, sizeof *first);
    j->moment = mem_alloc(j->n * sizeof *j->moment);
    for (uint64_t r = ds->split[SPLIT_TEST].end; first && r > ds->split[SPLIT_TEST].begin; r--)
        first[ds->user[r - 1]] = r;
    for (size_t i = 0; first && j->moment && i < j->n; i++) j->moment[i] = first[j->user[i]];
    int rc = first && j->moment ? 0 : err_nomem(e, ds->n_users * sizeof *first);
    mem_free(first);
    return rc;
}

static int choose(const struct dataset *ds, struct items_of *clicks, const struct items_of *seen, size_t most,
                  uint64_t seed, struct judge *j, struct err *e) {
    size_t users = ds->n_users, n_clicks = 0, n_seen = 0;
    j->user = mem_alloc((users + 1) * sizeof *j->user);
    if (!j->user) return err_nomem(e, users * sizeof *j->user);
    for (uint32_t u = 0; u < users; u++) {
        clicks->n[u] = returnable(clicks, seen, u);
        if (clicks->n[u]) j->user[j->n++] = u;
    }
    if (!j->n)
        return err_set(
            e, ERR_INPUT,
            "%s: no user has a click in the test split that could be retrieved, so retrieval cannot "
            "be judged",
            ds->dir);
    shuffle_users(j->user, j->n, seed);
    if (most && j->n > most) j->n = most;
    TRY(find_moments(ds, j, e));
    for (size_t i = 0; i < j->n; i++) {
        n_clicks += clicks->n[j->user[i]];
        n_seen += seen->n ? seen->n[j->user[i]] : 0;
    }
    j->click_at = mem_calloc(j->n + 1, sizeof *j->click_at);
    j->seen_at = mem_calloc(j->n + 1, sizeof *j->seen_at);
    j->click = mem_alloc((n_clicks + 1) * sizeof *j->click);
    j->seen = mem_alloc((n_seen + 1) * sizeof *j->seen);
    if (!j->click_at || !j->seen_at || !j->click || !j->seen) return err_nomem(e, n_seen * sizeof *j->seen);
    for (size_t i = 0; i < j->n; i++) {
        uint32_t u = j->user[i];
        size_t excluded = seen->n ? seen->n[u] : 0;
        memcpy(j->click + j->click_at[i], clicks->item + clicks->at[u], clicks->n[u] * sizeof *j->click);
        j->click_at[i + 1] = j->click_at[i] + clicks->n[u];
        if (excluded) memcpy(j->seen + j->seen_at[i], seen->item + seen->at[u], excluded * sizeof *j->seen);
        j->seen_at[i + 1] = j->seen_at[i] + excluded;
    }
    return 0;
}

int judge_open(const struct dataset *ds, int exclude, size_t most, uint64_t seed, struct judge *out,
               struct err *e) {
    struct items_of clicks = {0}, seen = {0};
    *out = (struct judge){.n_items = ds->n_items};
    int rc = collect(ds, SPLIT_TEST, true, &clicks, e);
    if (!rc && exclude == RETRIEVAL_EXCLUDE_SEEN) rc = collect(ds, SPLIT_TRAIN, false, &seen, e);
    if (!rc) rc = choose(ds, &clicks, &seen, most, seed, out, e);
    release_items(&clicks);
    release_items(&seen);
    if (rc) judge_release(out);
    return rc;
}

void judge_release(struct judge *j) {
    void *own[] = {j->user, j->moment, j->click_at, j->seen_at, j->click, j->seen};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    *j = (struct judge){0};
}

size_t judge_n_seen(const struct judge *j, size_t i) { return j->seen_at[i + 1] - j->seen_at[i]; }

bool judge_seen(const struct judge *j, size_t i, uint32_t item) {
    return in_list(j->seen + j->seen_at[i], judge_n_seen(j, i), item);
}

size_t judge_keep(const struct judge *j, size_t i, uint32_t *list, size_t n, size_t k) {
    size_t kept = 0;
    for (size_t at = 0; at < n && kept < k; at++)
        if (list[at] != INDEX_NONE && !judge_seen(j, i, list[at])) list[kept++] = list[at];
    return kept;
}

void judge_list(const struct judge *j, size_t i, const uint32_t *list, size_t n, size_t k,
                double value[JUDGED]) {
    struct ranking r;
    metric_top_list(list, n, j->click + j->click_at[i], j->click_at[i + 1] - j->click_at[i], k, &r);
    value[JUDGED_HR] = r.hit_rate;
    value[JUDGED_NDCG] = r.ndcg;
    value[JUDGED_CLICKS] = r.recall;
}

int judged_of(const double *value, size_t n, double times, struct judged *out, struct err *e) {
    for (int m = 0; m < JUDGED; m++) {
        const double *v = value + (size_t)m * n;
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += v[i];
        out->mean[m] = sum / (double)n / times;
        if (mean_bootstrap(v, n, 1000, 0.95, 1, &out->over_users[m])) return err_nomem(e, n * sizeof *v);
        out->over_users[m].lo /= times;
        out->over_users[m].hi /= times;
    }
    return 0;
}

/* ---- the exact result ---- */

static bool is_excluded(void *judge, size_t i, uint32_t item) { return judge_seen(judge, i, item); }

int exact_search(const struct judge *j, struct vectors users, struct vectors items, size_t k,
                 struct pool *pool, struct exact *out, struct err *e) {
    const struct scorer_towers t = {
        .dim = items.dim, .scale = 1, .n_items = (uint32_t)items.n, .items = items.p};
    const struct towers_options o = {
        .first = 1, .k = k, .users = j->n, .skip = is_excluded, .ctx = (struct judge *)j};
    struct towers_search *q = NULL;
    *out = (struct exact){.k = k,
                          .n = mem_calloc(j->n, sizeof *out->n),
                          .item = mem_calloc(j->n * k, sizeof *out->item),
                          .score = mem_calloc(j->n * k, sizeof *out->score)};
    int rc = out->n && out->item && out->score ? 0 : err_nomem(e, j->n * k * sizeof *out->score);
    if (!rc) rc = towers_search_create(&t, &o, pool, &q, e);
    if (rc) {
        exact_release(out);
        return rc;
    }
    towers_search(q, users.p, j->n, out->item, out->score);
    towers_search_free(q);
    for (size_t i = 0; i < j->n; i++)
        while (out->n[i] < k && out->item[i * k + out->n[i]] != INDEX_NONE) out->n[i]++;
    return 0;
}

void exact_release(struct exact *x) {
    mem_free(x->n);
    mem_free(x->item);
    mem_free(x->score);
    *x = (struct exact){0};
}

/* Rounding of a float sum: some units in the last place of the product of the norms. */
static const double rounding = 1e-6;

double exact_recall(const struct exact *x, size_t i, const float *user, struct vectors items,
                    const uint32_t *list, size_t n, size_t k) {
    size_t want = x->n[i] < k ? x->n[i] : k, hits = 0, dim = items.dim;
    if (!want) return 1;
    double last = x->score[i * x->k + want - 1], norm = sqrt(vec_norm2(dim, user));
    for (size_t a = 0; a < n && a < k; a++) {
        const float *item = items.p + (size_t)list[a] * dim;
        double slack = rounding * norm * sqrt(vec_norm2(dim, item));
        hits += (double)vec_dot(dim, user, item) >= last - slack;
    }
    return (double)(hits < want ? hits : want) / (double)want;
}
