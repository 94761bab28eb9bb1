#include "bench/run/negatives.h"
#include "base/mem.h"
#include "base/rng.h"
#include <math.h>
#include <string.h>

/* Rows by key[row], of those for which `label` is what is wanted (label NULL: all). */
static int group_rows(struct row_groups *g, const uint32_t *key, uint32_t n_keys, const uint8_t *label,
                      uint64_t rows, struct err *e) {
    g->begin = mem_calloc((size_t)n_keys + 2, sizeof *g->begin);
    if (!g->begin) return err_nomem(e, ((size_t)n_keys + 2) * sizeof *g->begin);
    for (uint64_t r = 0; r < rows; r++)
        if (!label || !label[r]) g->begin[key[r] + 2]++;
    for (uint32_t k = 2; k <= n_keys; k++) g->begin[k + 1] += g->begin[k];
    g->row = mem_alloc((size_t)g->begin[n_keys + 1] * sizeof *g->row + 1);
    if (!g->row) return err_nomem(e, (size_t)g->begin[n_keys + 1] * sizeof *g->row);
    for (uint64_t r = 0; r < rows; r++)
        if (!label || !label[r]) g->row[g->begin[key[r] + 1]++] = (uint32_t)r;
    return 0;
}

static uint64_t group_size(const struct row_groups *g, uint32_t k) { return g->begin[k + 1] - g->begin[k]; }

/* p: how the clicks among the training rows are spread over items. */
static int count_clicks(struct negatives *n, uint64_t rows, struct err *e) {
    const uint8_t *label = n->ds->label + n->first;
    const uint32_t *item = n->ds->item + n->first;
    double clicks = 0, *count = mem_calloc(n->ds->n_items, sizeof *count);
    if (!count) return err_nomem(e, n->ds->n_items * sizeof *count);
    for (uint64_t r = 0; r < rows; r++)
        if (label[r]) {
            count[item[r]]++;
            clicks++;
        }
    for (uint32_t i = 0; i < n->ds->n_items; i++) n->p[i] = clicks > 0 ? (float)(count[i] / clicks) : 0;
    mem_free(count);
    return clicks > 0
               ? 0
               : err_set(e, ERR_INPUT,
                         "%s: no training row has the label 1, and a softmax loss learns from those only",
                         n->ds->dir);
}

static int prepare_draws(struct negatives *n, uint64_t rows, double power, struct err *e) {
    uint32_t items = n->ds->n_items;
    TRY(group_rows(&n->by_item, n->ds->item + n->first, items, NULL, rows, e));
    n->shown = mem_alloc(items * sizeof *n->shown);
    n->up_to = mem_alloc(items * sizeof *n->up_to);
    if (!n->shown || !n->up_to) return err_nomem(e, items * sizeof *n->up_to);
    double sum = 0;
    for (uint32_t i = 0; i < items; i++) {
        uint64_t count = group_size(&n->by_item, i);
        if (!count) continue;
        sum += pow((double)count, power);
        n->shown[n->n_shown] = i;
        n->up_to[n->n_shown++] = sum;
    }
    for (uint32_t k = 0; k < n->n_shown; k++) {
        double own = n->up_to[k] - (k ? n->up_to[k - 1] : 0);
        n->q[n->shown[k]] = (float)(n->uniform / n->n_shown + (1 - n->uniform) * own / sum);
    }
    return 0;
}

/* dataset_open() reads no array: numbers index tables here. */
static int check_numbers(const struct negatives *n, uint64_t rows, struct err *e) {
    uint32_t user = 0, item = 0;
    for (uint64_t r = n->first; r < n->first + rows; r++) {
        user = n->ds->user[r] > user ? n->ds->user[r] : user;
        item = n->ds->item[r] > item ? n->ds->item[r] : item;
    }
    if (user < n->ds->n_users && item < n->ds->n_items) return 0;
    return err_set(e, ERR_INPUT, "%s: holds user %u and item %u, but they go to %u and %u; prepare it again",
                   n->ds->dir, user, item, n->ds->n_users - 1, n->ds->n_items - 1);
}

static double uniform_share(const struct loss_options *o) {
    return o->kind == LOSS_UNIFORM ? 1 : o->kind == LOSS_POPULARITY ? 0 : o->uniform_share;
}

static int init(struct negatives *n, uint64_t rows, const struct loss_options *o, struct err *e) {
    const struct dataset *ds = n->ds;
    if (ds->n_items > 1 << 24)
        return err_set(e, ERR_INPUT, "%s: a softmax loss tells at most %d items apart; there are %u", ds->dir,
                       1 << 24, ds->n_items);
    if (rows > UINT32_MAX)
        return err_set(e, ERR_INPUT, "%s: a softmax loss takes at most %u training rows; set train.rows",
                       ds->dir, UINT32_MAX);
    TRY(check_numbers(n, rows, e));
    n->p = mem_calloc(ds->n_items, sizeof *n->p);
    n->q = mem_calloc(ds->n_items, sizeof *n->q);
    if (!n->p || !n->q) return err_nomem(e, ds->n_items * sizeof *n->p);
    TRY(count_clicks(n, rows, e));
    if (loss_is_drawn(o)) TRY(prepare_draws(n, rows, o->power, e));
    if (!o->hard_negatives) return 0;
    return group_rows(&n->unclicked, ds->user + n->first, ds->n_users, ds->label + n->first, rows, e);
}

int negatives_init(struct negatives *n, const struct dataset *ds, uint64_t rows, const struct loss_options *o,
                   struct err *e) {
    *n = (struct negatives){.ds = ds, .first = ds->split[SPLIT_TRAIN].begin, .uniform = uniform_share(o)};
    int rc = init(n, rows, o, e);
    if (rc) negatives_release(n);
    return rc;
}

void negatives_release(struct negatives *n) {
    void *own[] = {n->by_item.begin,
                   n->by_item.row,
                   n->unclicked.begin,
                   n->unclicked.row,
                   n->shown,
                   n->up_to,
                   n->p,
                   n->q};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    memset(n, 0, sizeof *n);
}

/* The first of up_to[] that lies above x. */
static uint32_t find(const struct negatives *n, double x) {
    uint32_t lo = 0, hi = n->n_shown - 1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (n->up_to[mid] > x)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static uint64_t pick(const struct row_groups *g, uint32_t k, struct rng *r) {
    return g->row[g->begin[k] + rng_below(r, group_size(g, k))];
}

uint64_t negatives_draw(const struct negatives *n, uint64_t seed) {
    struct rng r = rng_init(seed, 0);
    uint32_t k;
    if (rng_uniform(&r) < n->uniform)
        k = (uint32_t)rng_below(&r, n->n_shown);
    else
        k = find(n, rng_uniform(&r) * n->up_to[n->n_shown - 1]);
    return n->first + pick(&n->by_item, n->shown[k], &r);
}

bool negatives_hard(const struct negatives *n, uint64_t row, uint64_t seed, uint64_t *out) {
    uint32_t user = n->ds->user[row];
    struct rng r = rng_init(seed, 0);
    if (!group_size(&n->unclicked, user)) return false;
    *out = n->first + pick(&n->unclicked, user, &r);
    return true;
}
