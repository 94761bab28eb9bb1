/* best.h: private to serve: the k highest of many scores, in a heap with the worst of them on top. Equal scores: the
 * lower number first, so that the result does not depend on the order in which they are offered.
 *
 *     struct found heap[100];
 *     struct best b = {.k = 100, .heap = heap};
 *     best_offer(&b, score, 1024, first);           numbers first, first + 1, ...
 *     best_sort(&b);                                heap[0 .. b.n - 1], best first; nothing is to be offered any more
 */
#ifndef PRERANK_SERVE_BEST_H
#define PRERANK_SERVE_BEST_H
#include <stddef.h>
#include <stdint.h>

struct found {
    float score;
    uint32_t item;
};
struct best {
    size_t n, k;
    struct found *heap; /* [k]; a heap as soon as n = k */
};
/* Sixteen scores a comparison with the worst of those kept: nearly all fail it. */
void best_offer(struct best *b, const float *score, size_t n, uint32_t first);
void best_add(struct best *b, const struct found *f, size_t n);
void best_sort(struct best *b);

#endif
