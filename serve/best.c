#include "serve/best.h"
#include "nn/vec.h"
#include <stdbool.h>

#define INLINE static inline __attribute__((always_inline))
enum { AT_ONCE = 16 };

INLINE bool worse(struct found a, struct found b) {
    return (a.score < b.score) | ((a.score == b.score) & (a.item > b.item));
}

/* Puts f where heap[i] is not any more, below that place. */
INLINE void sift_down(struct found *heap, size_t n, size_t i, struct found f) {
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && worse(heap[child + 1], heap[child]);
        if (!worse(heap[child], f)) break;
        heap[i] = heap[child];
    }
    heap[i] = f;
}

INLINE void make_heap(struct best *b) {
    for (size_t i = b->n / 2; i-- > 0;) sift_down(b->heap, b->n, i, b->heap[i]);
}

INLINE void keep(struct best *b, struct found f) {
    if (b->n < b->k) {
        b->heap[b->n++] = f;
        if (b->n == b->k) make_heap(b);
    } else if (worse(b->heap[0], f)) {
        sift_down(b->heap, b->n, 0, f);
    }
}

KERNEL void best_offer(struct best *b, const float *score, size_t n, uint32_t first) {
    for (size_t i = 0; i < n; i += AT_ONCE) {
        size_t end = i + AT_ONCE < n ? i + AT_ONCE : n;
        if (b->n == b->k && end == i + AT_ONCE) {
            float worst = b->heap[0].score;
            int reaches = 0;
            for (size_t j = 0; j < AT_ONCE; j++) reaches |= score[i + j] >= worst;
            if (!reaches) continue;
        }
        for (size_t j = i; j < end; j++) keep(b, (struct found){score[j], first + (uint32_t)j});
    }
}

void best_add(struct best *b, const struct found *f, size_t n) {
    for (size_t i = 0; i < n; i++) keep(b, f[i]);
}

/* The worst goes to the end, again and again. */
void best_sort(struct best *b) {
    if (b->n < b->k) make_heap(b);
    for (size_t left = b->n; left > 1; left--) {
        struct found worst = b->heap[0], last = b->heap[left - 1];
        sift_down(b->heap, left - 1, 0, last);
        b->heap[left - 1] = worst;
    }
}
