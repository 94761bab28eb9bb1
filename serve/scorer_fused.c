/* The scorer's use of the fused engine: where the pair program is a chain, and for every precision below fp32. */
#include "base/mem.h"
#include "serve/scorer_own.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 128, FUSED_BLOCK = 1024 };

const struct param *scorer_records(const struct scorer *s) {
    int id = graph_find_param(&s->cut.pair, "@items");
    return id < 0 ? NULL : s->cut.pair.param[id];
}

/* ---- int8: the range of activations on training rows ---- */

static const uint32_t *sample_column(const struct scorer_sample *t, const char *name) {
    for (int k = 0; k < t->n_pair; k++)
        if (!strcmp(t->pair[k], name)) return t->pair_ids[k];
    return NULL;
}

static int check_sample(const struct scorer *s, const uint32_t **column, struct err *e) {
    const struct scorer_sample *t = s->o.sample;
    if (!t || !t->n)
        return err_set(e, ERR_INPUT, "int8 takes a sample of training rows for the scales of activations");
    for (int k = 0; k < s->n_pair; k++)
        if (!(column[s->pair_at[k]] = sample_column(t, s->pair_column[k])))
            return err_set(e, ERR_INPUT, "the sample has no column `%s`", s->pair_column[k]);
    for (size_t i = 0; i < t->n; i++)
        if (t->item[i] >= s->data.n_items)
            return err_set(e, ERR_INPUT, "row %zu of the sample is item %u, but there are only %u items", i,
                           t->item[i], s->data.n_items);
    return 0;
}

/* Row by row, because each has its own user. */
static int observe(struct scorer *s, struct fused_work *w, const uint32_t **column, const uint32_t **at,
                   struct fused_ranges *ranges, struct err *e) {
    const struct scorer_sample *t = s->o.sample;
    for (size_t i = 0; i < t->n; i++) {
        float score;
        for (int c = 0; c < s->cut.pair.n_columns; c++)
            at[c] = c == s->item_column ? t->item + i : column[c] ? column[c] + i : NULL;
        if (!i || t->user[i] != t->user[i - 1]) TRY(scorer_user_stage(s, t->user[i], 0, e));
        fused_observe(s->fused, w, &(struct fused_rows){1, at, s->base, s->table}, &score, ranges);
    }
    return 0;
}

static int calibrate(struct scorer *s, struct fused_ranges *ranges, struct err *e) {
    size_t n = (size_t)s->cut.pair.n_columns + 1;
    const uint32_t **column = mem_calloc(2 * n, sizeof *column);
    struct fused_work *w = NULL;
    int rc = column ? 0 : err_nomem(e, 2 * n * sizeof *column);
    if (!rc) rc = check_sample(s, column, e);
    if (!rc) rc = fused_work_create(s->fused, &w, e);
    if (!rc) rc = observe(s, w, column, column + n, ranges, e);
    fused_work_free(w);
    mem_free(column);
    return rc;
}

/* ---- making ---- */

static int make_fused(struct scorer *s, const struct chain *c, enum precision precision,
                      const struct fused_ranges *ranges, struct err *e) {
    fused_free(s->fused);
    mem_free(s->base);
    s->base = NULL;
    struct fused_options o = {.precision = precision,
                              .isa = s->o.isa,
                              .ranges = ranges,
                              .like = s->o.scales ? s->o.scales->fused : NULL,
                              .records = scorer_records(s)};
    TRY(fused_create(c, &o, &s->fused, e));
    size_t floats = fused_base_floats(s->fused);
    return (s->base = mem_calloc(floats, sizeof *s->base)) ? 0 : err_nomem(e, floats * sizeof *s->base);
}

static int make_int8(struct scorer *s, const struct chain *c, struct err *e) {
    if (s->o.scales) return make_fused(s, c, PRECISION_INT8, &s->o.scales->ranges, e);
    if (s->cut.n_item) TRY(scorer_make_table(s, e));
    if (c->n_layers == 1) return make_fused(s, c, PRECISION_INT8, NULL, e); /* no activations */
    TRY(fused_ranges_init(c, &s->ranges, e));
    TRY(make_fused(s, c, PRECISION_FP32, NULL, e));
    TRY(calibrate(s, &s->ranges, e));
    return make_fused(s, c, PRECISION_INT8, &s->ranges, e);
}

static int find_users(struct scorer *s, const struct chain *c, struct err *e) {
    s->user_at = mem_alloc((CHAIN_USERS + 1) * sizeof *s->user_at);
    if (!s->user_at) return err_nomem(e, CHAIN_USERS * sizeof *s->user_at);
    for (int k = 0; k <= CHAIN_USERS; k++) {
        s->user_at[k] = -1;
        for (int j = 0; k < c->n_users && j < s->cut.n_user; j++)
            if (s->cut.user_external[j] == c->user[k]) s->user_at[k] = j;
    }
    return 0;
}

/* The chain looks up the item record as it is, or not at all. */
static bool whole_record(const struct scorer *s, const struct chain *c) {
    bool whole = true;
    for (int k = 0; k < c->n_lookups; k++)
        if (c->lookup[k].table == scorer_records(s))
            whole &= c->lookup[k].offset == 0 && c->width == (size_t)s->cut.item_width;
    return whole;
}

int scorer_fuse(struct scorer *s, struct err *e) {
    struct chain c;
    const char *why = "the fused engine is switched off";
    enum precision p = s->o.precision;
    bool fits = s->o.fuse && chain_find(&s->cut.pair, &c, &why);
    if (fits && c.towers && p == PRECISION_FP32) fits = false; /* one inner product: nothing to fuse */
    if (fits && !whole_record(s, &c)) {
        fits = false;
        why = "its item record holds several values";
    }
    s->form = (struct row_form){PRECISION_FP32, (size_t)s->cut.item_width, (size_t)s->cut.item_width, NULL};
    s->block = s->o.block ? s->o.block : fits ? FUSED_BLOCK : BLOCK;
    if (!fits && p != PRECISION_FP32)
        return err_set(e, ERR_INPUT, "the model cannot be served in %s: %s", precision_names[p], why);
    if (!fits) return 0;
    TRY(find_users(s, &c, e));
    TRY(p == PRECISION_INT8 ? make_int8(s, &c, e) : make_fused(s, &c, p, NULL, e));
    s->form = fused_record(s->fused);
    return 0;
}

/* ---- scoring ---- */

void scorer_fused_user(struct scorer *s) {
    const float *value[CHAIN_USERS];
    for (int k = 0; s->user_at[k] >= 0; k++) value[k] = s->user_value[s->user_at[k]];
    fused_user(s->fused, value, s->base);
}

/* Two blocks a thread: less than that and a disturbed thread holds up the request; more and there are more first
 * groups, whose rows nobody has asked for beforehand. */
size_t scorer_fused_block_size(const struct scorer *s, size_t n, int threads) {
    size_t group = fused_rows_at_once(s->fused), parts = 2 * (size_t)threads;
    if (s->o.block) return s->o.block;
    size_t block = (n + parts - 1) / parts;
    block = (block + group - 1) / group * group;
    return block < s->block ? block ? block : group : s->block;
}

int scorer_fused_block(struct scorer *s, int worker, size_t first, size_t n, struct err *e) {
    const struct request *r = s->r;
    struct worker *w = &s->worker[worker];
    const void *records = s->store ? store_table(s->store) : NULL;
    if (s->fetch) records = s->fetched + first * row_bytes(&s->form);
    for (int k = 0; k < s->n_pair; k++) {
        uint32_t *ids = w->ids + (size_t)k * s->block;
        w->at[s->pair_at[k]] = r->pair_ids ? r->pair_ids[k] + first : ids;
        if (!r->pair_ids) TRY(scorer_pair_values(s, s->pair_column[k], first, n, ids, e));
    }
    for (size_t i = 0; i < n && s->fetch; i++) w->item[i] = (uint32_t)i;
    if (s->item_column >= 0) w->at[s->item_column] = s->fetch ? w->item : r->items + first;
    fused_run(s->fused, w->fused, &(struct fused_rows){n, w->at, s->base, records}, s->score + first);
    for (size_t i = first; i < first + n && s->fetch; i++)
        if (!s->found[i]) s->score[i] = -INFINITY;
    return 0;
}
