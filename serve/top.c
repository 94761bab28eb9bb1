/* The k best of n by a heap that holds the worst of them on top: one comparison for most candidates, sixteen at a
 * time, no full sort. */
#include "nn/vec.h"
#include "serve/scorer.h"

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

enum { AT_ONCE = 16 };

KERNEL static bool any_better(const float *score, float worst) {
    int better = 0;
    for (int i = 0; i < AT_ONCE; i++) better |= score[i] > worst;
    return better;
}

size_t scorer_top(const float *score, size_t n, size_t k, uint32_t *order) {
    if (k > n) k = n;
    if (!k) return 0;
    for (size_t i = 0; i < k; i++) order[i] = (uint32_t)i;
    for (size_t i = k / 2; i-- > 0;) sift_down(score, order, k, i);
    for (size_t i = k; i < n; i++) {
        while (i + AT_ONCE <= n && !any_better(score + i, score[order[0]])) i += AT_ONCE;
        if (i >= n || !worse(score, order[0], (uint32_t)i)) continue;
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
