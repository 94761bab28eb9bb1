#include "serve/towers.h"
#include "base/mem.h"
#include "nn/dots.h"
#include "serve/best.h"

enum {
    PIECE = 1 << 14,
    BLOCK = 1024
}; /* items: of a task, and of the scores between two filters (they stay in L1) */

struct lane { /* a thread's */
    struct best best;
    float score[BLOCK];
};
struct towers_search {
    struct scorer_towers t;
    uint32_t first;
    size_t k;
    struct pool *pool;
    int workers;
    struct lane *lane; /* [workers] */
    const float *user;
    enum isa isa;
};

static void search_piece(void *ctx, int task, int worker) {
    struct towers_search *q = ctx;
    struct lane *l = &q->lane[worker];
    size_t dim = q->t.dim, begin = q->first + (size_t)task * PIECE, end = begin + PIECE;
    if (end > q->t.n_items) end = q->t.n_items;
    for (size_t i = begin; i < end; i += BLOCK) {
        size_t n = end - i < BLOCK ? end - i : BLOCK;
        dots_rows(dim, q->user, q->t.items + i * dim, n, q->isa, l->score);
        best_offer(&l->best, l->score, n, (uint32_t)i);
    }
}

size_t towers_search(struct towers_search *q, const float *user, uint32_t *items, float *scores) {
    size_t all = q->t.n_items - q->first;
    struct best *b = &q->lane[0].best;
    q->user = user;
    for (int w = 0; w < q->workers; w++) q->lane[w].best.n = 0;
    pool_run(q->pool, (int)((all + PIECE - 1) / PIECE), search_piece, q);
    for (int w = 1; w < q->workers; w++) best_add(b, q->lane[w].best.heap, q->lane[w].best.n);
    best_sort(b);
    for (size_t i = 0; i < b->n; i++) {
        items[i] = b->heap[i].item;
        scores[i] = b->heap[i].score;
    }
    return b->n;
}

int towers_search_create(const struct scorer_towers *t, uint32_t first, size_t k, struct pool *pool,
                         struct towers_search **out, struct err *e) {
    *out = NULL;
    if (!t->items) return err_set(e, ERR_INPUT, "exact search takes item vectors in memory, in fp32");
    if (!k || first >= t->n_items)
        return err_set(e, ERR_INPUT, "exact search for %zu items from item %u of %u on", k, first,
                       t->n_items);
    struct towers_search *q = mem_calloc(1, sizeof *q);
    if (!q) return err_nomem(e, sizeof *q);
    *q = (struct towers_search){
        .t = *t, .first = first, .k = k, .pool = pool, .workers = pool_threads(pool), .isa = isa_best()};
    q->lane = mem_calloc((size_t)q->workers, sizeof *q->lane);
    bool ok = q->lane != NULL;
    for (int w = 0; ok && w < q->workers; w++) {
        q->lane[w].best.k = k;
        ok = (q->lane[w].best.heap = mem_alloc(k * sizeof *q->lane->best.heap)) != NULL;
    }
    if (!ok) {
        towers_search_free(q);
        return err_nomem(e, k * sizeof(struct found));
    }
    *out = q;
    return 0;
}

void towers_search_free(struct towers_search *q) {
    if (!q) return;
    for (int w = 0; q->lane && w < q->workers; w++) mem_free(q->lane[w].best.heap);
    mem_free(q->lane);
    mem_free(q);
}
