#include "serve/towers.h"
#include "base/mem.h"
#include "nn/dots.h"
#include "nn/fused/kernels.h"
#include "nn/vec.h"
#include "serve/best.h"
#include "serve/index.h"
#include <math.h>
#include <string.h>

enum {
    BLOCK = 96,          /* items whose vectors and scores stay in the first-level cache */
    PIECE = 128 * BLOCK, /* items of a task */
    PANEL = DOTS_PANEL,  /* users of a product */
    AT_ONCE = 4 * PANEL, /* users */
    TILES = 32           /* rows that the tiles of AMX hold */
};

struct lane {          /* a thread's */
    struct best *best; /* [at_once] */
    float *worst;      /* [at_once]: of each heap; behind the last user infinity, which nothing reaches */
    float *rows;       /* [BLOCK][dim]: of items that do not lie side by side */
    uint32_t *half;    /* [BLOCK][dim / 2]: the block in bf16 */
    float score[BLOCK * PANEL];
    uint8_t row[BLOCK]; /* which rows of `score` reach the worst of someone's best */
};
struct towers_search {
    struct scorer_towers t;
    struct towers_options o;
    size_t at_once; /* users, in whole panels */
    size_t few;     /* so many users are faster one at a time than in a panel that they do not fill */
    struct pool *pool;
    struct fused_kernels kernels;
    struct arena arena;
    int workers;
    struct lane *lane; /* [workers] */
    float *panel;      /* [at_once / PANEL][2][dim][16] */
    float *zero;       /* [dim, at least PANEL]: a bias */
    bool filters;
    uint32_t *half_panel; /* [at_once / PANEL][2][dim / 2][16]: in bf16 */
    float *norm;          /* [blocks]: the largest of a block's items */
    float *slack;         /* [at_once]: how far a bf16 product may be off, for an item of norm 1 */
    /* the call under way */
    const float *users; /* of this pass */
    size_t done, n;     /* users before this pass, and in it */
    uint32_t *items;
    float *scores;
};

static const struct dots_ahead none_ahead;

/* ---- what gets into the lists ---- */

static void keep(struct towers_search *q, struct lane *l, size_t user, size_t item, float score) {
    struct best *b = &l->best[user];
    if (!(score >= l->worst[user]) || (q->o.skip && q->o.skip(q->o.ctx, q->done + user, (uint32_t)item)))
        return;
    best_add(b, &(struct found){score, (uint32_t)item}, 1);
    l->worst[user] = b->heap[0].score;
}

/* One user, n items from `item` on: 32 of them at a time are compared with the worst of the best. */
static void search_user(struct towers_search *q, struct lane *l, size_t user, size_t item, size_t n) {
    size_t dim = q->t.dim;
    float low[PANEL];
    dots_rows(dim, q->users + user * dim, q->t.items + item * dim, n, q->kernels.isa, l->score);
    for (size_t c = 0; c < PANEL; c++) low[c] = l->worst[user];
    size_t rows = dots_reach(l->score, (n + PANEL - 1) / PANEL, low, q->kernels.isa, 0, l->row, none_ahead);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = l->row[r] * (size_t)PANEL; i < (l->row[r] + 1U) * PANEL && i < n; i++)
            keep(q, l, user, item + i, l->score[i]);
}

/* What follows a block on from item `item`. */
static struct dots_ahead ahead(const struct towers_search *q, size_t item) {
    size_t dim = q->t.dim, next = item + BLOCK, n = q->t.n_items;
    if (next >= n) return none_ahead;
    return (struct dots_ahead){q->t.items + next * dim, n - next < BLOCK ? n - next : BLOCK, dim};
}

/* Items of the block that may reach the worst of the best of a user, in l->row: by products in bf16 and what those may be
 * off. */
static size_t filter(struct towers_search *q, struct lane *l, size_t user, size_t item, size_t n) {
    size_t dim = q->t.dim, left = 0;
    struct fused_ask none = {0};
    float low[PANEL], norm = q->norm[(item - q->o.first) / BLOCK];
    for (size_t u = 0; u < PANEL; u++) low[u] = l->worst[user + u] - q->slack[user + u] * norm;
    for (size_t r = 0; r < n; r += TILES) { /* a few at a time: getting the next block goes on meanwhile */
        size_t m = n - r < TILES ? n - r : TILES;
        q->kernels.mul_bf16(m, dim / 2, l->half + r * dim / 2, dim / 2, q->half_panel + user * dim / 2,
                            l->score, PANEL, &none);
        left += dots_reach(l->score, m, low, q->kernels.isa, r, l->row + left,
                           user ? none_ahead : ahead(q, item + r));
    }
    return left;
}

/* A panel of users. A product is the same to the bit in whichever row it is made. */
static void search_panel(struct towers_search *q, struct lane *l, size_t user, size_t item, size_t n) {
    size_t dim = q->t.dim, left = n;
    const float *rows = q->t.items + item * dim;
    struct fused_ask none = {0};
    uint8_t from[BLOCK]; /* of the rows that are left, in the block */
    if (q->filters)
        left = filter(q, l, user, item, n);
    else
        for (size_t i = 0; i < n; i++) l->row[i] = (uint8_t)i;
    if (!left) return;
    memcpy(from, l->row, left);
    if (left < BLOCK) { /* the kernel reads whole groups of rows */
        for (size_t i = 0; i < left; i++) memcpy(l->rows + i * dim, rows + from[i] * dim, dim * sizeof *rows);
        rows = l->rows;
    }
    q->kernels.mul_f32(left, dim, rows, dim, q->panel + user * dim, q->zero, false, l->score, PANEL, &none);
    left = dots_reach(l->score, left, l->worst + user, q->kernels.isa, 0, l->row,
                      q->filters || user ? none_ahead : ahead(q, item));
    for (size_t r = 0; r < left; r++)
        for (size_t u = 0; u < PANEL; u++)
            keep(q, l, user + u, item + from[l->row[r]], l->score[l->row[r] * PANEL + u]);
}

static void search_block(struct towers_search *q, struct lane *l, size_t item, size_t n) {
    size_t dim = q->t.dim, user = 0;
    const float *rows = q->t.items + item * dim;
    if (q->filters && q->n > q->few)
        q->kernels.pack_bf16(n, dim, rows, dim, q->zero, false, l->half, dim / 2);
    for (; q->n > user + q->few; user += PANEL) search_panel(q, l, user, item, n);
    for (; user < q->n; user++) search_user(q, l, user, item, n);
}

static void search_piece(void *ctx, int task, int worker) {
    struct towers_search *q = ctx;
    size_t begin = q->o.first + (size_t)task * PIECE, end = begin + PIECE;
    if (end > q->t.n_items) end = q->t.n_items;
    if (q->filters && q->kernels.begin) q->kernels.begin();
    for (size_t i = begin; i < end; i += BLOCK)
        search_block(q, &q->lane[worker], i, end - i < BLOCK ? end - i : BLOCK);
    if (q->filters && q->kernels.end) q->kernels.end();
}

/* ---- a pass ---- */

/* The norm of v, as large as the bound below needs it: at least so much that numbers which bf16 products take for zero do
 * not matter, and infinity, with which nothing is filtered out, where sums could overflow. NaN stays. */
static float norm_of(size_t dim, const float *v) {
    double norm = sqrt(vec_norm2(dim, v));
    return norm > 0x1p60 ? INFINITY : norm < 0x1p-40 ? 0x1p-40F : (float)norm;
}

/* |x y - bf16(x) bf16(y)| <= (2 u + u^2) |x y|, u = 2^-8 half a unit in the last place of bf16 (8 bits), so that
 * inner products differ by that times |x| |y| at most (Cauchy-Schwarz); and by the rounding of both sums in float, n terms
 * each, n 2^-24 |x| |y| (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1). The first
 * number is 2 u + u^2 rounded up, to cover the rounding of norms and of the threshold as well. */
static float slack_of(size_t dim, const float *user) {
    return (float)(0x1.02p-7 + (double)dim * 0x1p-22) * norm_of(dim, user);
}

static void pack_user(struct towers_search *q, size_t u) {
    size_t dim = q->t.dim, at = u / 16, column = u % 16;
    const float *x = u < q->n ? q->users + u * dim : NULL;
    for (size_t c = 0; c < dim; c++) q->panel[(at * dim + c) * 16 + column] = x ? x[c] : 0;
    if (!q->filters) return;
    for (size_t c = 0; c < dim; c += 2)
        q->half_panel[(at * dim + c) / 2 * 16 + column] =
            x ? bf16_round(x[c]) | bf16_round(x[c + 1]) << 16 : 0;
    q->slack[u] = x ? slack_of(dim, x) : 0;
}

/* Heaps are full from the start, of places that every number takes. */
static void clear(struct towers_search *q, struct lane *l) {
    for (size_t u = 0; u < q->at_once; u++) {
        l->worst[u] = u < q->n ? -INFINITY : INFINITY;
        l->best[u].n = q->o.k;
        for (size_t i = 0; i < q->o.k; i++) l->best[u].heap[i] = (struct found){-INFINITY, INDEX_NONE};
    }
}

static void merge_user(void *ctx, int user, int worker) {
    struct towers_search *q = ctx;
    struct best *b = &q->lane[0].best[user];
    size_t at = (q->done + (size_t)user) * q->o.k;
    (void)worker;
    for (int w = 1; w < q->workers; w++) best_add(b, q->lane[w].best[user].heap, q->o.k);
    best_sort(b);
    for (size_t i = 0; i < q->o.k; i++) {
        q->items[at + i] = b->heap[i].item;
        q->scores[at + i] = b->heap[i].score;
    }
}

void towers_search(struct towers_search *q, const float *users, size_t n, uint32_t *items, float *scores) {
    size_t all = q->t.n_items - q->o.first;
    q->items = items;
    q->scores = scores;
    for (q->done = 0; q->done < n; q->done += q->n) {
        q->users = users + q->done * q->t.dim;
        q->n = n - q->done < q->at_once ? n - q->done : q->at_once;
        for (size_t u = 0; u < q->at_once; u++) pack_user(q, u);
        for (int w = 0; w < q->workers; w++) clear(q, &q->lane[w]);
        pool_run(q->pool, (int)((all + PIECE - 1) / PIECE), search_piece, q);
        pool_run(q->pool, (int)q->n, merge_user, q);
    }
}

/* ---- making ---- */

static int make_lane(struct towers_search *q, struct lane *l, struct err *e) {
    size_t dim = q->t.dim, heap_bytes = q->at_once * q->o.k * sizeof *l->best->heap;
    l->best = arena_alloc(&q->arena, q->at_once * sizeof *l->best);
    l->worst = arena_alloc(&q->arena, q->at_once * sizeof *l->worst);
    l->rows = arena_alloc(&q->arena, BLOCK * dim * sizeof *l->rows);
    l->half = arena_alloc(&q->arena, BLOCK * dim / 2 * sizeof *l->half);
    struct found *heap = arena_alloc(&q->arena, heap_bytes);
    if (!l->best || !l->worst || !l->rows || !l->half || !heap) return err_nomem(e, heap_bytes);
    for (size_t u = 0; u < q->at_once; u++)
        l->best[u] = (struct best){.k = q->o.k, .heap = heap + u * q->o.k};
    return 0;
}

static int make_filter(struct towers_search *q, struct err *e) {
    size_t dim = q->t.dim, n = q->t.n_items - q->o.first;
    q->half_panel = arena_alloc(&q->arena, q->at_once * dim / 2 * sizeof *q->half_panel);
    q->slack = arena_alloc(&q->arena, q->at_once * sizeof *q->slack);
    q->norm = arena_alloc(&q->arena, (n + BLOCK - 1) / BLOCK * sizeof *q->norm);
    if (!q->half_panel || !q->slack || !q->norm) return err_nomem(e, n / BLOCK * sizeof *q->norm);
    for (size_t i = 0; i < n; i++) { /* an item whose norm is NaN has no score, whatever its block's norm */
        float norm = norm_of(dim, q->t.items + (q->o.first + i) * dim);
        if (norm > q->norm[i / BLOCK]) q->norm[i / BLOCK] = norm;
    }
    q->filters = true;
    return 0;
}

static int make(struct towers_search *q, struct err *e) {
    size_t dim = q->t.dim;
    q->lane = arena_alloc(&q->arena, (size_t)q->workers * sizeof *q->lane);
    q->panel = arena_alloc(&q->arena, q->at_once * dim * sizeof *q->panel);
    q->zero = arena_alloc(&q->arena, (dim > PANEL ? dim : PANEL) * sizeof *q->zero);
    if (!q->lane || !q->panel || !q->zero) return err_nomem(e, q->at_once * dim * sizeof *q->panel);
    for (int w = 0; w < q->workers; w++) TRY(make_lane(q, &q->lane[w], e));
    if (q->kernels.isa >= ISA_AMX && dim % 32 == 0) TRY(make_filter(q, e)); /* whole tiles of 16 words */
    q->few = q->filters || q->kernels.isa < ISA_AVX512 ? 4 : 12;
    return 0;
}

int towers_search_create(const struct scorer_towers *t, const struct towers_options *o, struct pool *pool,
                         struct towers_search **out, struct err *e) {
    *out = NULL;
    if (!t->items) return err_set(e, ERR_INPUT, "exact search takes item vectors in memory, in fp32");
    if (!o->k || o->first >= t->n_items)
        return err_set(e, ERR_INPUT, "exact search for %zu items from item %u of %u on", o->k, o->first,
                       t->n_items);
    struct towers_search *q = mem_calloc(1, sizeof *q);
    if (!q) return err_nomem(e, sizeof *q);
    *q = (struct towers_search){.t = *t,
                                .o = *o,
                                .at_once = o->users >= AT_ONCE ? AT_ONCE : o->users / PANEL * PANEL + PANEL,
                                .pool = pool,
                                .kernels = fused_kernels(o->isa),
                                .workers = pool_threads(pool)};
    int rc = make(q, e);
    if (rc)
        towers_search_free(q);
    else
        *out = q;
    return rc;
}

void towers_search_free(struct towers_search *q) {
    if (!q) return;
    arena_release(&q->arena);
    mem_free(q);
}
