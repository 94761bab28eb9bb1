/* The k best of n, best first, by a heap (best.h); no full sort. Short lists, which are the usual ones, are kept with
 * their scores on the stack; for longer ones the heap holds positions in `order` itself. */
#include "serve/best.h"
#include "serve/scorer.h"

enum { SHORT = 512 };

static void top_short(const float *score, size_t n, size_t k, uint32_t *order) {
    struct found heap[SHORT];
    struct best b = {.k = k, .heap = heap};
    best_offer(&b, score, n, 0);
    best_sort(&b);
    for (size_t i = 0; i < k; i++) order[i] = b.heap[i].item;
}

/* Is candidate a worse than b? Ties: the later position is worse, so the order is total. */
static bool worse(const float *score, uint32_t a, uint32_t b) {
    return score[a] < score[b] || (a > b && score[a] == score[b]);
}

static void sift_down(const float *score, uint32_t *heap, size_t n, size_t i) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && worse(score, heap[child + 1], heap[child])) child++;
        if (!worse(score, heap[child], heap[i])) return;
        uint32_t t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
        i = child;
    }
}

size_t scorer_top(const float *score, size_t n, size_t k, uint32_t *order) {
    if (k > n) k = n;
    if (!k) return 0;
    if (k <= SHORT) {
        top_short(score, n, k, order);
        return k;
    }
    for (size_t i = 0; i < k; i++) order[i] = (uint32_t)i;
    for (size_t i = k / 2; i-- > 0;) sift_down(score, order, k, i);
    for (size_t i = k; i < n; i++)
        if (worse(score, order[0], (uint32_t)i)) {
            order[0] = (uint32_t)i;
            sift_down(score, order, k, 0);
        }
    for (size_t left = k; left-- > 1;) { /* the worst goes to the end, again and again */
        uint32_t t = order[0];
        order[0] = order[left];
        order[left] = t;
        sift_down(score, order, left, 0);
    }
    return k;
}
