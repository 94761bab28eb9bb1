#include "serve/towers.h"
#include "base/mem.h"
#include "nn/dots.h"
#include "nn/fused/kernels.h"
#include "serve/best.h"
#include "serve/index.h"
#include "serve/sieve.h"
#include <math.h>
#include <string.h>

enum {
    BLOCK = 96,          /* items whose vectors and scores stay in the first-level cache */
    PIECE = 128 * BLOCK, /* items of a task: whole blocks, also of a sieve */
    PANEL = DOTS_PANEL,  /* users of a product */
    AT_ONCE = 4 * PANEL  /* users */
};

struct lane {          /* a thread's */
    struct best *best; /* [at_once] */
    float *worst;      /* [at_once]: of each heap; behind the last user infinity, which nothing reaches */
    float *rows;       /* [BLOCK][dim]: of items that do not lie side by side */
    float score[BLOCK * PANEL];
    uint8_t row[BLOCK]; /* which rows of `score` reach the worst of someone's best */
    /* with a sieve */
    int32_t low[AT_ONCE];
    uint32_t mask[AT_ONCE];
    uint16_t hit[AT_ONCE + 1];
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
    struct lane *lane;   /* [workers] */
    float *panel;        /* [at_once / PANEL][2][dim][16] */
    float *zero;         /* [dim, at least PANEL]: a bias */
    struct sieve *sieve; /* of items first .. n_items - 1; NULL: all products are made in fp32 */
    struct sieve_taste taste[AT_ONCE];
    uint32_t *bytes; /* [at_once][sieve_words()]: users */
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
    size_t rows = dots_reach(l->score, (n + PANEL - 1) / PANEL, low, q->kernels.isa, l->row, none_ahead);
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

/* A panel of users. A product is the same to the bit in whichever row it is made. */
static void search_panel(struct towers_search *q, struct lane *l, size_t user, size_t item, size_t n) {
    size_t dim = q->t.dim;
    struct fused_ask none = {0};
    const float *rows = q->t.items + item * dim;
    if (n < BLOCK) { /* the kernel reads whole groups of rows */
        memcpy(l->rows, rows, n * dim * sizeof *rows);
        rows = l->rows;
    }
    q->kernels.mul_f32(n, dim, rows, dim, q->panel + user * dim, q->zero, false, l->score, PANEL, &none);
    size_t left =
        dots_reach(l->score, n, l->worst + user, q->kernels.isa, l->row, user ? none_ahead : ahead(q, item));
    for (size_t r = 0; r < left; r++)
        for (size_t u = 0; u < PANEL; u++)
            keep(q, l, user + u, item + l->row[r], l->score[l->row[r] * PANEL + u]);
}

static void search_block(struct towers_search *q, struct lane *l, size_t item, size_t n) {
    size_t user = 0;
    for (; q->n > user + q->few; user += PANEL) search_panel(q, l, user, item, n);
    for (; user < q->n; user++) search_user(q, l, user, item, n);
}

/* ---- with a sieve ---- */

/* The items of a panel that the sieve lets through for a user, a bit an item. */
static void keep_hits(struct towers_search *q, struct lane *l, size_t user, size_t item, uint32_t mask) {
    uint32_t id[SIEVE_PANEL];
    size_t n = 0, dim = q->t.dim;
    for (; mask; mask &= mask - 1) {
        size_t at = item + (size_t)__builtin_ctz(mask);
        if (at < q->t.n_items) id[n++] = (uint32_t)at;
    }
    dots_gather(dim, q->users + user * dim, q->t.items, id, n, q->kernels.isa, l->score);
    for (size_t i = 0; i < n; i++) keep(q, l, user, id[i], l->score[i]);
}

static void sift_block(struct towers_search *q, struct lane *l, size_t first) {
    sieve_low(q->sieve, first / SIEVE_BLOCK, q->taste, q->n, l->worst, l->low);
    for (size_t at = first; at < first + SIEVE_BLOCK; at += SIEVE_PANEL) {
        size_t hits = sieve_panel(q->sieve, at / SIEVE_PANEL, q->bytes, q->n, l->low, l->mask, l->hit);
        for (size_t h = 0; h < hits; h++) keep_hits(q, l, l->hit[h], q->o.first + at, l->mask[l->hit[h]]);
    }
}

static void search_piece(void *ctx, int task, int worker) {
    struct towers_search *q = ctx;
    struct lane *l = &q->lane[worker];
    size_t begin = (size_t)task * PIECE, end = begin + PIECE, n = q->t.n_items - q->o.first;
    if (end > n) end = n;
    if (q->sieve)
        for (size_t i = begin; i < end; i += SIEVE_BLOCK) sift_block(q, l, i);
    else
        for (size_t i = begin; i < end; i += BLOCK)
            search_block(q, l, q->o.first + i, end - i < BLOCK ? end - i : BLOCK);
}

/* ---- a pass ---- */

static void pack_user(struct towers_search *q, size_t u) {
    size_t dim = q->t.dim, at = u / 16, column = u % 16;
    const float *x = u < q->n ? q->users + u * dim : NULL;
    if (!q->sieve)
        for (size_t c = 0; c < dim; c++) q->panel[(at * dim + c) * 16 + column] = x ? x[c] : 0;
    else if (x)
        sieve_user(q->sieve, x, &q->taste[u], q->bytes + u * sieve_words(q->sieve));
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
    struct found *heap = arena_alloc(&q->arena, heap_bytes);
    if (!l->best || !l->worst || !l->rows || !heap) return err_nomem(e, heap_bytes);
    for (size_t u = 0; u < q->at_once; u++)
        l->best[u] = (struct best){.k = q->o.k, .heap = heap + u * q->o.k};
    return 0;
}

static int make_sieve(struct towers_search *q, struct err *e) {
    const struct scorer_towers *t = &q->t;
    TRY(sieve_create(q->o.isa, t->dim, t->items + q->o.first * t->dim, t->n_items - q->o.first, q->pool,
                     &q->sieve, e));
    if (!q->sieve) return 0;
    size_t bytes = q->at_once * sieve_words(q->sieve) * sizeof *q->bytes;
    q->bytes = arena_alloc(&q->arena, bytes);
    return q->bytes ? 0 : err_nomem(e, bytes);
}

static int make(struct towers_search *q, struct err *e) {
    size_t dim = q->t.dim;
    q->lane = arena_alloc(&q->arena, (size_t)q->workers * sizeof *q->lane);
    q->panel = arena_alloc(&q->arena, q->at_once * dim * sizeof *q->panel);
    q->zero = arena_alloc(&q->arena, (dim > PANEL ? dim : PANEL) * sizeof *q->zero);
    if (!q->lane || !q->panel || !q->zero) return err_nomem(e, q->at_once * dim * sizeof *q->panel);
    for (int w = 0; w < q->workers; w++) TRY(make_lane(q, &q->lane[w], e));
    q->few = q->kernels.isa < ISA_AVX512 ? 4 : 12;
    return make_sieve(q, e);
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
    sieve_free(q->sieve);
    arena_release(&q->arena);
    mem_free(q);
}
