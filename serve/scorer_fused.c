/* The scorer's use of the fused engine: where the pair program is a chain. */
#include "base/mem.h"
#include "serve/scorer_own.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 128, FUSED_BLOCK = 1024 };

const struct param *scorer_records(const struct scorer *s) {
    int id = graph_find_param(&s->cut.pair, "@items");
    return id < 0 ? NULL : s->cut.pair.param[id];
}

/* ---- making ---- */

static int make_fused(struct scorer *s, const struct chain *c, enum precision precision,
                      const struct fused_ranges *ranges, struct err *e) {
    fused_free(s->fused);
    mem_free(s->base);
    s->base = NULL;
    struct fused_options o = {.precision = precision,
                              .isa = s->o.isa,
                              .dense = !s->o.skip_zeros,
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
    s->watch = &s->ranges;
    int rc = scorer_watch(s, s->ranges.own, s->ranges.n, e);
    s->watch = NULL;
    TRY(rc);
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

bool scorer_chain(const struct scorer *s, struct chain *c) {
    const char *why;
    if (!s->o.fuse || !chain_find(&s->cut.pair, c, &why)) return false;
    if (c->towers && s->o.precision == PRECISION_FP32) return false; /* one inner product: nothing to fuse */
    return whole_record(s, c);
}

int scorer_fuse(struct scorer *s, struct err *e) {
    struct chain c;
    enum precision p = s->o.precision;
    bool fits = scorer_chain(s, &c);
    s->form = (struct row_form){PRECISION_FP32, (size_t)s->cut.item_width, (size_t)s->cut.item_width, NULL};
    s->block = s->o.block ? s->o.block : fits ? FUSED_BLOCK : BLOCK;
    if (!fits) return p == PRECISION_FP32 ? 0 : scorer_lower(s, p, e);
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
    const void *records = s->store ? store_table(s->store) : s->table;
    if (s->fetch) records = s->fetched + first * row_bytes(&s->form);
    for (int k = 0; k < s->n_pair; k++) {
        uint32_t *ids = w->ids + (size_t)k * s->block;
        w->at[s->pair_at[k]] = r->pair_ids ? r->pair_ids[k] + first : ids;
        if (!r->pair_ids) TRY(scorer_pair_values(s, s->pair_column[k], first, n, ids, e));
    }
    for (size_t i = 0; i < n && s->fetch; i++) w->item[i] = (uint32_t)i;
    if (s->item_column >= 0) w->at[s->item_column] = s->fetch ? w->item : r->items + first;
    fused_observe(s->fused, w->fused, &(struct fused_rows){n, w->at, s->base, records}, s->score + first,
                  s->watch);
    for (size_t i = first; i < first + n && s->fetch; i++)
        if (!s->found[i]) s->score[i] = -INFINITY;
    return 0;
}
