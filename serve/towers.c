#include "serve/towers.h"
#include "base/mem.h"
#include "nn/dots.h"
#include "nn/vec.h"
#include <math.h>
#include <string.h>

enum {
    PIECE = 1 << 14,
    BLOCK = 1024
}; /* items: of a task, and of the scores between two filters (they stay in L1) */

struct found {
    float score;
    uint32_t item;
};
struct best { /* a heap with the worst on top */
    size_t n;
    struct found *heap; /* [k] */
    float score[BLOCK];
};
struct towers_search {
    struct scorer_towers t;
    uint32_t first;
    size_t k;
    struct pool *pool;
    int workers;
    struct best *best; /* [workers] */
    const float *user;
    enum isa isa;
};

static bool worse(struct found a, struct found b) {
    return a.score < b.score || (a.score == b.score && a.item > b.item);
}

static void sift_down(struct found *heap, size_t n, size_t i) {
    for (struct found moved = heap[i];;) {
        size_t child = 2 * i + 1;
        if (child + 1 < n && worse(heap[child + 1], heap[child])) child++;
        if (child >= n || !worse(heap[child], moved)) {
            heap[i] = moved;
            return;
        }
        heap[i] = heap[child];
        i = child;
    }
}

static void keep(struct best *b, size_t k, struct found f) {
    if (b->n == k) {
        if (!worse(b->heap[0], f)) return;
        b->heap[0] = f;
        sift_down(b->heap, k, 0);
        return;
    }
    b->heap[b->n++] = f;
    if (b->n == k)
        for (size_t i = k / 2; i-- > 0;) sift_down(b->heap, k, i);
}

/* Whether any of 16 scores is at least the threshold. */
KERNEL static bool any_reaches(const float *score, float threshold) {
    int reaches = 0;
    for (int i = 0; i < 16; i++) reaches |= score[i] >= threshold;
    return reaches;
}

static void filter(struct best *b, size_t k, uint32_t first, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        size_t end = i + 16 < n ? i + 16 : n;
        if (b->n == k && end - i == 16 && !any_reaches(b->score + i, b->heap[0].score)) continue;
        for (size_t j = i; j < end; j++) keep(b, k, (struct found){b->score[j], first + (uint32_t)j});
    }
}

static void search_piece(void *ctx, int task, int worker) {
    struct towers_search *q = ctx;
    struct best *b = &q->best[worker];
    size_t dim = q->t.dim, begin = q->first + (size_t)task * PIECE, end = begin + PIECE;
    if (end > q->t.n_items) end = q->t.n_items;
    for (size_t i = begin; i < end; i += BLOCK) {
        size_t n = end - i < BLOCK ? end - i : BLOCK;
        dots_rows(dim, q->user, q->t.items + i * dim, n, q->isa, b->score);
        filter(b, q->k, (uint32_t)i, n);
    }
}

size_t towers_search(struct towers_search *q, const float *user, uint32_t *items, float *scores) {
    size_t all = q->t.n_items - q->first;
    struct best *b = q->best;
    q->user = user;
    for (int w = 0; w < q->workers; w++) q->best[w].n = 0;
    pool_run(q->pool, (int)((all + PIECE - 1) / PIECE), search_piece, q);
    for (int w = 1; w < q->workers; w++)
        for (size_t i = 0; i < q->best[w].n; i++) keep(b, q->k, q->best[w].heap[i]);
    if (b->n < q->k)
        for (size_t i = b->n / 2; i-- > 0;) sift_down(b->heap, b->n, i);
    for (size_t left = b->n; left > 0; left--) { /* the worst goes to the end, again and again */
        items[left - 1] = b->heap[0].item;
        scores[left - 1] = b->heap[0].score;
        b->heap[0] = b->heap[left - 1];
        sift_down(b->heap, left - 1, 0);
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
    q->best = mem_calloc((size_t)q->workers, sizeof *q->best);
    bool ok = q->best != NULL;
    for (int w = 0; ok && w < q->workers; w++)
        ok = (q->best[w].heap = mem_alloc(k * sizeof *q->best->heap)) != NULL;
    if (!ok) {
        towers_search_free(q);
        return err_nomem(e, k * sizeof *q->best->heap);
    }
    *out = q;
    return 0;
}

void towers_search_free(struct towers_search *q) {
    if (!q) return;
    for (int w = 0; q->best && w < q->workers; w++) mem_free(q->best[w].heap);
    mem_free(q->best);
    mem_free(q);
}
