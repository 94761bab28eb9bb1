#include "data/prepare/order.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/prepare/scratch.h"
#include <inttypes.h>
#include <math.h>

static uint64_t share_of(uint64_t n, double share) { return (uint64_t)floor((double)n * share + 0.5); }

/* The change of time nearest to position `at`. row may be NULL. */
static uint64_t nearest_change(const int64_t *time, const uint32_t *row, uint64_t n, uint64_t at) {
    if (!at || at >= n) return at > n ? n : at;
    int64_t t = time[row ? row[at] : at];
    uint64_t first = at, end = at;
    while (first > 0 && time[row ? row[first - 1] : first - 1] == t) first--;
    if (first == at) return at;
    while (end < n && time[row ? row[end] : end] == t) end++;
    return at - first <= end - at ? first : end;
}

/* --- which split: u8 a log row, in a mapped file --- */

struct cutting {
    const struct log *l;
    const uint32_t *by_time; /* NULL: log order */
    struct file_map map;
    uint8_t *split; /* [rows] */
};

static int cut_users(struct cutting *c, struct err *e) {
    const struct log *l = c->l;
    const struct carrier *user = &l->carrier[l->user];
    const uint32_t *id = carrier_ids(user);
    uint32_t(*count)[2] = mem_calloc((size_t)user->vocab.n + 1, sizeof *count); /* rows; rows so far */
    if (!count) return err_nomem(e, ((size_t)user->vocab.n + 1) * sizeof *count);
    for (uint64_t r = 0; r < l->rows; r++) count[id[r]][0]++;
    for (uint64_t k = 0; k < l->rows; k++) {
        uint64_t r = c->by_time ? c->by_time[k] : k;
        uint32_t n = count[id[r]][0];
        uint64_t left = n - count[id[r]][1]++; /* this row and the later ones */
        uint64_t test = share_of(n, l->schema->split.test), valid = share_of(n, l->schema->split.valid);
        c->split[r] = left <= test ? SPLIT_TEST : left <= test + valid ? SPLIT_VALID : SPLIT_TRAIN;
    }
    mem_free(count);
    return 0;
}

static void cut_random(struct cutting *c) {
    const struct log *l = c->l;
    const uint64_t *number = l->row_of.map.p;
    double test = l->schema->split.test, valid = l->schema->split.valid;
    uint64_t seed = rng_hash(l->schema->split.seed ^ rng_stream("split"));
    for (uint64_t r = 0; r < l->rows; r++) {
        double u = (double)(rng_hash(seed + number[r]) >> 11) * 0x1p-53;
        c->split[r] = u < test ? SPLIT_TEST : u < test + valid ? SPLIT_VALID : SPLIT_TRAIN;
    }
}

static int cut(struct cutting *c, const char *work, struct err *e) {
    const struct log *l = c->l;
    if (l->schema->split.by == SPLIT_COLUMN) {
        c->split = l->split_of.map.p;
        return 0;
    }
    TRY(scratch_map(work, l->rows, &c->map, e));
    c->split = c->map.p;
    if (l->schema->split.by == SPLIT_USER) return cut_users(c, e);
    cut_random(c);
    return 0;
}

/* --- the stored order --- */

static void set_bounds(struct order *o, const uint64_t size[SPLIT_COUNT]) {
    uint64_t at = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        o->split[s].begin = at;
        o->split[s].end = at += size[s];
    }
}

static int order_cut(struct order *o, struct cutting *c, const char *work, struct err *e) {
    TRY(cut(c, work, e));
    uint64_t size[SPLIT_COUNT] = {0}, at[SPLIT_COUNT];
    for (uint64_t r = 0; r < o->n; r++) size[c->split[r]]++;
    set_bounds(o, size);
    for (int s = 0; s < SPLIT_COUNT; s++) at[s] = o->split[s].begin;
    TRY(scratch_map(work, o->n * sizeof(uint32_t), &o->map, e));
    uint32_t *row = o->map.p;
    for (uint64_t k = 0; k < o->n; k++) {
        uint32_t r = c->by_time ? c->by_time[k] : (uint32_t)k;
        row[at[c->split[r]]++] = r;
    }
    o->row = row;
    return 0;
}

static void order_cut_time(struct order *o, const struct log *l) {
    const struct schema_split *s = &l->schema->split;
    const int64_t *time = l->time_of.map.p;
    uint64_t test = nearest_change(time, o->row, o->n, o->n - share_of(o->n, s->test));
    uint64_t valid = nearest_change(time, o->row, o->n, o->n - share_of(o->n, s->test + s->valid));
    if (valid > test || s->valid == 0) valid = test;
    set_bounds(o, (uint64_t[SPLIT_COUNT]){valid, test - valid, o->n - test});
}

static const char *cure(enum split_by by) {
    return by == SPLIT_TIME     ? "change the shares of `split`, or cut another way (by: user)"
           : by == SPLIT_USER   ? "users have too few rows for these shares: make them larger"
           : by == SPLIT_RANDOM ? "make its share larger"
                                : "the log's split column decides: mark rows for it there";
}

static int check(const struct order *o, const struct log *l, struct err *e) {
    const struct schema *s = l->schema;
    const uint8_t *label = l->label_of.map.p;
    for (int i = 0; i < SPLIT_COUNT; i++) {
        uint64_t n = o->split[i].end - o->split[i].begin, positive = 0;
        if (i == SPLIT_VALID && s->split.valid == 0) continue;
        const char *name = split_name((enum split)i);
        if (!n) return err_set(e, ERR_INPUT, "the %s split is empty; %s", name, cure(s->split.by));
        for (uint64_t k = o->split[i].begin; k < o->split[i].end; k++) positive += label[order_row(o, k)];
        if (positive && positive < n) continue;
        return err_set(e, ERR_INPUT,
                       "the %s split has only one class: all of its %" PRIu64
                       " rows are %s; %s, or change what "
                       "`label` calls positive",
                       name, n, positive ? "positive" : "negative", cure(s->split.by));
    }
    return 0;
}

static int make(struct order *o, const struct log *l, struct file_map *by_time, const char *work,
                struct err *e) {
    if (l->schema->time) TRY(order_by_time(l->time_of.map.p, o->n, work, by_time, e));
    o->row = by_time->p;
    if (l->schema->split.by == SPLIT_TIME) {
        o->map = *by_time;
        *by_time = (struct file_map){NULL, 0};
        order_cut_time(o, l);
    } else {
        struct cutting c = {.l = l, .by_time = by_time->p};
        int rc = order_cut(o, &c, work, e);
        file_unmap(&c.map);
        if (rc) return rc;
    }
    return check(o, l, e);
}

int order_make(const struct log *l, const char *work, struct order *out, struct err *e) {
    *out = (struct order){.n = l->rows};
    struct file_map by_time = {NULL, 0};
    int rc = make(out, l, &by_time, work, e);
    file_unmap(&by_time);
    if (rc) order_release(out);
    return rc;
}

void order_release(struct order *o) {
    file_unmap(&o->map);
    *o = (struct order){.n = 0};
}
