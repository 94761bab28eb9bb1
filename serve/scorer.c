#include "serve/scorer.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "nn/dots.h"
#include "nn/op.h"
#include "nn/vec.h"
#include "serve/scorer_own.h"
#include <math.h>
#include <string.h>

struct scorer_options scorer_defaults(void) {
    struct scorer_options o = {.passes = {.bn_fold = true, .split = true, .table_bytes = 64 << 20},
                               .fuse = true,
                               .skip_zeros = true};
    opt_defaults(store_opts, &o.store);
    return o;
}

/* ---- making ---- */

static int make_user(struct scorer *s, struct err *e) {
    const struct graph *g = &s->cut.user;
    TRY(exec_create(g, &(struct exec_options){.max_rows = 1}, &s->user, e));
    s->user_col = mem_calloc((size_t)g->n_columns + 1, sizeof *s->user_col);
    s->user_value = mem_calloc((size_t)s->cut.n_user + 1, sizeof *s->user_value);
    if (!s->user_col || !s->user_value) return err_nomem(e, sizeof *s->user_col);
    return s->o.user_cache ? user_cache_create(s->o.user_cache, (size_t)s->cut.user_width + 1, &s->cache, e)
                           : 0;
}

static int make_pair_columns(struct scorer *s, struct err *e) {
    const struct graph *g = &s->cut.pair;
    size_t n = (size_t)g->n_columns + 1;
    s->pair_column = mem_calloc(n, sizeof *s->pair_column);
    s->pair_at = mem_calloc(n, sizeof *s->pair_at);
    if (!s->pair_column || !s->pair_at) return err_nomem(e, n * sizeof *s->pair_column);
    s->item_column = -1;
    for (int i = 0; i < g->n_columns; i++) {
        if (!strcmp(g->column[i].name, "@item")) {
            s->item_column = i;
            continue;
        }
        if (g->column[i].type != VALUE_ID)
            return err_set(e, ERR_INPUT,
                           "the pair column `%s` is no single id and cannot be computed at serving time",
                           g->column[i].name);
        s->pair_at[s->n_pair] = i;
        s->pair_column[s->n_pair++] = g->column[i].name;
    }
    return 0;
}

static int make_worker(struct scorer *s, struct worker *w, struct err *e) {
    size_t block = s->block;
    if (s->fused)
        TRY(fused_work_create(s->fused, &w->fused, e));
    else
        TRY(exec_create(&s->cut.pair, &(struct exec_options){.max_rows = block}, &w->x, e));
    w->col = mem_calloc((size_t)s->cut.pair.n_columns + 1, sizeof *w->col);
    w->ids = mem_calloc((size_t)s->n_pair * block + 1, sizeof *w->ids);
    w->item = mem_calloc(block, sizeof *w->item);
    w->at = mem_calloc((size_t)s->cut.pair.n_columns + 1, sizeof *w->at);
    if (!w->col || !w->ids || !w->item || !w->at)
        return err_nomem(e, (size_t)s->n_pair * block * sizeof *w->ids);
    for (int k = 0; k < s->n_pair; k++) w->col[s->pair_at[k]].ids = w->ids + (size_t)k * block;
    if (s->item_column >= 0) w->col[s->item_column].ids = w->item;
    return 0;
}

int scorer_make_workers(struct scorer *s, struct err *e) {
    s->worker = mem_calloc((size_t)s->n_workers, sizeof *s->worker);
    if (!s->worker) return err_nomem(e, (size_t)s->n_workers * sizeof *s->worker);
    for (int i = 0; i < s->n_workers; i++) TRY(make_worker(s, &s->worker[i], e));
    return 0;
}

/* Without `fuse`, and for reference, two towers run op by op as well. */
static void find_dots(struct scorer *s) {
    struct err why = ERR_INIT;
    s->isa = isa_limit(isa_best(), s->o.isa);
    s->dots = s->o.fuse && !s->fused && s->store && !scorer_towers(s, &s->towers, &why);
}

int scorer_create(const struct graph *g, const struct serving_data *data, const struct scorer_options *o,
                  struct pool *pool, struct scorer **out, struct err *e) {
    *out = NULL;
    struct scorer *s = mem_calloc(1, sizeof *s);
    if (!s) return err_nomem(e, sizeof *s);
    s->data = *data;
    s->o = *o;
    s->pool = pool;
    s->n_workers = pool_threads(pool);
    graph_init(&s->serving);
    int rc = scorer_programs(s, g, e);
    if (!rc) rc = make_user(s, e);
    if (!rc) rc = make_pair_columns(s, e);
    if (!rc && s->cut.n_item) scorer_bind_records(s, NULL, s->data.n_items);
    if (!rc) rc = scorer_fuse(s, e);
    if (!rc) rc = scorer_make_store(s, e);
    if (!rc) find_dots(s);
    if (!rc) rc = scorer_make_workers(s, e);
    if (rc)
        scorer_free(s);
    else
        *out = s;
    return rc;
}

/* ---- sharing ---- */

/* In the pair program a table of records of its own. */
static int share_program(struct scorer *s, struct err *e) {
    struct graph *g = &s->cut.pair;
    s->pair_param = mem_alloc((size_t)g->n_params * sizeof(struct param *));
    if (!s->pair_param) return err_nomem(e, (size_t)g->n_params * sizeof(struct param *));
    int id = graph_find_param(g, "@items");
    memcpy(s->pair_param, g->param, (size_t)g->n_params * sizeof(struct param *));
    s->records = *g->param[id];
    s->pair_param[id] = &s->records;
    g->param = s->pair_param;
    return 0;
}

static int share_data(struct scorer *s, struct err *e) {
    if (!s->data.share) return 0;
    if (!(s->own_data = s->data.share(s->data.self, e))) return e ? e->code : ERR_INPUT;
    s->data.self = s->own_data;
    return 0;
}

int scorer_share(const struct scorer *from, struct pool *pool, struct scorer **out, struct err *e) {
    *out = NULL;
    struct scorer *s = mem_alloc(sizeof *s);
    if (!s) return err_nomem(e, sizeof *s);
    *s = *from;
    s->of = from;
    s->pool = pool;
    s->n_workers = pool_threads(pool);
    s->user_hits = s->room = 0;
    s->own_data = NULL;
    s->user = NULL;
    s->user_col = NULL;
    s->user_value = NULL;
    s->cache = NULL;
    s->fetched = NULL;
    s->unpacked = s->base = NULL;
    s->found = NULL;
    s->worker = NULL;
    s->pair_param = NULL;
    size_t base = s->fused ? fused_base_floats(s->fused) : 0;
    int rc = make_user(s, e);
    if (!rc) rc = share_data(s, e);
    if (!rc && s->fetch) rc = scorer_share_store(s, e);
    if (!rc && (s->fetch || s->unpack)) rc = share_program(s, e);
    if (!rc && base && !(s->base = mem_calloc(base, sizeof *s->base)))
        rc = err_nomem(e, base * sizeof *s->base);
    if (!rc) rc = scorer_make_workers(s, e);
    if (rc)
        scorer_free(s);
    else
        *out = s;
    return rc;
}

static void release_model(struct scorer *s) {
    scorer_lower_free(s);
    fused_free(s->fused);
    fused_ranges_release(&s->ranges);
    cut_release(&s->cut);
    graph_release(&s->serving);
    mem_free(s->pair_column);
    mem_free(s->pair_at);
    mem_free(s->user_at);
    mem_free(s->choice);
}

void scorer_free_workers(struct scorer *s) {
    for (int i = 0; s->worker && i < s->n_workers; i++) {
        exec_free(s->worker[i].x);
        mem_free(s->worker[i].col);
        mem_free(s->worker[i].ids);
        mem_free(s->worker[i].item);
        mem_free(s->worker[i].at);
        fused_work_free(s->worker[i].fused);
    }
    mem_free(s->worker);
    s->worker = NULL;
}

void scorer_free(struct scorer *s) {
    if (!s) return;
    scorer_free_workers(s);
    exec_free(s->user);
    user_cache_free(s->cache);
    if (!s->of || s->fetch) store_close(s->store);
    void *own[] = {s->user_col, s->user_value, s->fetched, s->found,
                   s->base,     s->pair_param, s->table,   s->unpacked};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    if (!s->of) release_model(s);
    if (s->own_data) s->data.release(s->own_data);
    mem_free(s);
}

/* ---- scoring ---- */

/* Room for n records, to which the pair program then points. */
static int reserve(struct scorer *s, size_t n, struct err *e) {
    size_t bytes = s->fetch ? row_bytes(&s->form) : 0, floats = s->unpack ? s->form.width : 0;
    if (n <= s->room) return 0;
    mem_free(s->fetched);
    mem_free(s->unpacked);
    mem_free(s->found);
    s->room = 0;
    s->fetched = mem_alloc(n * bytes + 1);
    s->unpacked = mem_alloc(n * floats * sizeof *s->unpacked + 1);
    s->found = mem_alloc(n * sizeof *s->found);
    if (!s->fetched || !s->unpacked || !s->found)
        return err_nomem(e, n * (bytes + floats * sizeof *s->unpacked));
    s->room = n;
    scorer_bind_records(s, s->unpack ? s->unpacked : (float *)(void *)s->fetched, n);
    return 0;
}

static int fetch(struct scorer *s, int reader, size_t first, size_t n, struct err *e) {
    size_t missing = 0;
    TRY(store_get(s->store, reader, s->r->items + first, n, s->fetched + first * row_bytes(&s->form),
                  s->found + first, &missing, e));
    s->missing += missing;
    return 0;
}

int scorer_pair_values(struct scorer *s, const char *name, size_t first, size_t n, uint32_t *ids,
                       struct err *e) {
    const struct request *r = s->r;
    if (r->moment) return s->data.pair_at(s->data.self, name, r->moment, r->items + first, n, ids, e);
    return s->data.pair(s->data.self, name, r->user, r->items + first, n, ids, e);
}

/* One sweep: records as the store has them, no copy of those in memory. */
static void dots_block(struct scorer *s, size_t first, size_t n) {
    size_t dim = s->towers.dim;
    const float *user = s->user_value[0];
    float scale = (float)s->towers.scale, bias = (float)s->towers.bias, *score = s->score + first;
    if (s->fetch)
        dots_rows(dim, user, (const float *)(void *)s->fetched + first * dim, n, s->isa, score);
    else
        dots_gather(dim, user, s->towers.items, s->r->items + first, n, s->isa, score);
    for (size_t i = 0; i < n; i++) score[i] = scale * score[i] + bias;
    for (size_t i = 0; i < n && s->fetch; i++)
        if (!s->found[first + i]) score[i] = -INFINITY;
}

KERNEL static uint32_t largest(const uint32_t *v, size_t n) {
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) most = v[i] > most ? v[i] : most;
    return most;
}

static int no_such_item(const struct scorer *s, const struct request *r, struct err *e) {
    size_t i = 0;
    while (r->items[i] < s->data.n_items) i++;
    return err_set(e, ERR_INPUT, "candidate %zu is item %u, but there are only %u items", i, r->items[i],
                   s->data.n_items);
}

static int score_block(struct scorer *s, int worker, size_t first, size_t n, struct err *e) {
    const struct request *r = s->r;
    struct worker *w = &s->worker[worker];
    if (!s->fetch && largest(r->items + first, n) >= s->data.n_items) return no_such_item(s, r, e);
    if (s->fetch && store_is_local(s->store)) TRY(fetch(s, worker, first, n, e));
    if (s->fused) return scorer_fused_block(s, worker, first, n, e);
    if (s->dots) {
        dots_block(s, first, n);
        return 0;
    }
    for (int k = 0; k < s->n_pair; k++) {
        uint32_t *ids = w->ids + (size_t)k * s->block;
        if (r->pair_ids)
            memcpy(ids, r->pair_ids[k] + first, n * sizeof *ids);
        else
            TRY(scorer_pair_values(s, s->pair_column[k], first, n, ids, e));
    }
    for (size_t i = 0; i < n && s->item_column >= 0; i++)
        w->item[i] = s->fetch || s->unpack ? (uint32_t)(first + i) : r->items[first + i];
    if (s->unpack) scorer_unpack(s, first, n);
    exec_score(w->x, &(struct exec_slice){n, w->col}, 1, s->score + first);
    for (size_t i = first; i < first + n && s->fetch; i++)
        if (!s->found[i]) s->score[i] = -INFINITY;
    return 0;
}

static void score_task(void *ctx, int block, int worker) {
    struct scorer *s = ctx;
    struct err e = ERR_INIT;
    size_t first = (size_t)block * s->now, n = s->r->n - first < s->now ? s->r->n - first : s->now;
    if (!score_block(s, worker, first, n, &e)) return;
    if (!atomic_exchange(&s->failed, 1)) s->err = e;
}

static int run_user_stage(struct scorer *s, uint32_t user, uint64_t moment, struct err *e) {
    const struct cut *c = &s->cut;
    for (int i = 0; i < c->user.n_columns; i++) {
        const char *name = c->user.column[i].name;
        if (moment)
            TRY(s->data.user_at(s->data.self, name, moment, &s->user_col[i], e));
        else
            TRY(s->data.user(s->data.self, name, user, &s->user_col[i], e));
    }
    exec_forward(s->user, &(struct exec_slice){1, s->user_col}, 1);
    return 0;
}

static size_t user_value_width(const struct scorer *s, int k) {
    return (size_t)s->cut.user.node[s->cut.user_node[k]]->width;
}

/* Points user_value[] to the values of the user, computed or known. */
static int find_user_values(struct scorer *s, uint32_t user, uint64_t moment, struct err *e) {
    bool known = false;
    float *v = s->cache ? user_cache_at(s->cache, user, moment, &known) : NULL;
    s->user_hits += known;
    int rc = known ? 0 : run_user_stage(s, user, moment, e);
    if (rc) {
        if (v) user_cache_forget(s->cache);
        return rc;
    }
    for (int k = 0; k < s->cut.n_user; k++) {
        size_t width = user_value_width(s, k);
        s->user_value[k] = known ? v : exec_value(s->user, s->cut.user_node[k]).p;
        if (!v) continue;
        if (!known) memcpy(v, s->user_value[k], width * sizeof *v);
        v += width;
    }
    return 0;
}

int scorer_user_stage(struct scorer *s, uint32_t user, uint64_t moment, struct err *e) {
    TRY(find_user_values(s, user, moment, e));
    if (s->fused) return scorer_fused_user(s), 0;
    for (int k = 0; k < s->cut.n_user; k++)
        for (int i = 0; i < s->n_workers; i++)
            exec_bind(s->worker[i].x, s->cut.user_external[k], (struct mat){(float *)s->user_value[k], 0});
    return 0;
}

/* Candidates of a block: for inner products, some pieces a thread, since each begins by waiting for its first
 * records. */
static size_t block_size(const struct scorer *s, size_t n, int threads) {
    if (s->fused) return scorer_fused_block_size(s, n, threads);
    if (!s->dots || s->o.block) return s->block;
    size_t parts = 4 * (size_t)threads, block = (n / parts + 15) / 16 * 16;
    return block < 256 ? 256 : block;
}

int scorer_score(struct scorer *s, const struct request *r, float *score, struct err *e) {
    if (s->fetch && largest(r->items, r->n) >= s->data.n_items) return no_such_item(s, r, e);
    if (r->moment && (!s->data.user_at || !s->data.pair_at))
        return err_set(e, ERR_INPUT, "a request has a moment, but there are no features of that time");
    s->r = r;
    s->score = score;
    s->missing = 0;
    s->failed = 0;
    if (s->fetch || s->unpack) TRY(reserve(s, r->n, e));
    if (s->fetch && !store_is_local(s->store)) TRY(fetch(s, 0, 0, r->n, e));
    TRY(scorer_user_stage(s, r->user, r->moment, e));
    bool split = r->n >= s->split_from;
    s->now = block_size(s, r->n, split ? s->n_workers : 1);
    int blocks = (int)((r->n + s->now - 1) / s->now);
    pool_run(split && blocks > 1 ? s->pool : NULL, blocks, score_task, s);
    if (s->failed) {
        if (e) *e = s->err;
        return s->err.code;
    }
    return 0;
}

/* ---- threads over candidates ---- */

enum { TURNS = 15, MOST_TURNS_LOST = 3, LEAST_SPLIT = 32, HALVINGS = 3 };

/* *pays: the pool's threads answered the first n candidates of r faster in 12 of 15 turns (sign test: 1.8 % by chance). */
static int split_pays(struct scorer *s, const struct request *r, size_t n, float *score, bool *pays,
                      struct err *e) {
    struct request some = *r;
    int lost = 0;
    some.n = n;
    for (int i = -1; i < TURNS; i++) { /* the first does not count */
        int64_t took[2];
        for (int k = 0; k < 2; k++) {
            int split = k ^ (i & 1);
            s->split_from = split ? 0 : SIZE_MAX;
            int64_t start = clock_ns();
            TRY(scorer_score(s, &some, score, e));
            took[split] = clock_ns() - start;
        }
        lost += i >= 0 && took[1] >= took[0];
    }
    *pays = lost <= MOST_TURNS_LOST;
    return 0;
}

static int find_split(struct scorer *s, const struct request *r, float *score, size_t *from, struct err *e) {
    size_t lost = 0, won = 0;
    bool pays = false;
    for (size_t n = LEAST_SPLIT; !pays && lost < r->n; n *= 2) {
        size_t at = n < r->n ? n : r->n;
        TRY(split_pays(s, r, at, score, &pays, e));
        *(pays ? &won : &lost) = at;
    }
    for (int i = 0; pays && i < HALVINGS && won - lost > 1; i++) {
        bool still;
        size_t middle = (lost + won) / 2;
        TRY(split_pays(s, r, middle, score, &still, e));
        *(still ? &won : &lost) = middle;
    }
    *from = pays ? won : r->n + 1;
    return 0;
}

int scorer_calibrate(struct scorer *s, const struct request *r, float *score, struct err *e) {
    size_t from = SIZE_MAX, before = s->split_from;
    int rc = s->n_workers > 1 ? find_split(s, r, score, &from, e) : 0;
    s->split_from = rc ? before : from;
    return rc;
}

void scorer_split(struct scorer *s, size_t from) { s->split_from = from; }
size_t scorer_split_from(const struct scorer *s) { return s->split_from; }
int scorer_threads(const struct scorer *s, size_t n) { return n >= s->split_from ? s->n_workers : 1; }

uint64_t scorer_user_hits(const struct scorer *s) { return s->user_hits; }
size_t scorer_missing(const struct scorer *s) { return s->missing; }
const char *scorer_version(const struct scorer *s) { return s->version; }

const char *const *scorer_pair_columns(const struct scorer *s) { return s->pair_column; }

const struct table_choice *scorer_tables(const struct scorer *s, size_t *n) {
    *n = s->n_choices;
    return s->choice;
}

/* ---- costs ---- */

/* Per candidate. */
static double flops_skipped(const struct scorer *s) {
    double candidates = 0, products = 0;
    for (int i = 0; s->fused && i < s->n_workers; i++) {
        const struct fused_skipped z = fused_skipped(s->worker[i].fused);
        candidates += z.candidates;
        products += z.products;
    }
    return candidates > 0 ? 2 * products / candidates : 0;
}

struct scorer_cost scorer_cost(const struct scorer *s) {
    struct graph_cost user, pair;
    graph_cost_count(&s->cut.user, &user);
    graph_cost_count(&s->cut.pair, &pair);
    struct scorer_cost c = {.flops_per_request = user.total.flops,
                            .flops_per_candidate = pair.total.flops,
                            .bytes_per_candidate = pair.total.gather_bytes,
                            .weight_bytes = user.total.weight_bytes + pair.total.weight_bytes,
                            .flops_skipped = flops_skipped(s),
                            .item_record_bytes = row_bytes(&s->form)};
    if (s->fused) {
        struct fused_bytes b = fused_bytes(s->fused);
        c.bytes_per_candidate = b.per_candidate;
        c.weight_bytes = user.total.weight_bytes + b.weights;
    } else if (s->form.precision != PRECISION_FP32) {
        scorer_lower_cost(s, &c);
    }
    c.item_store_bytes = c.item_record_bytes * s->data.n_items;
    return c;
}
