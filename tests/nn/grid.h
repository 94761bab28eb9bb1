/* grid.h: a matrix with guards between and behind its rows: NaN in what is read (who reads on gets NaN), a pattern that
 * must survive in what is written.
 *
 *     struct grid x = grid_input(rows, n, ld, 1), a = grid_output(rows, n, ld, 2), b = grid_output(rows, n, ld, 2);
 *     vec_copy(rows, n, a.m, x.m, 2, false);
 *     reference_copy(rows, n, b.m, x.m, 2, false);
 *     grid_expect(&a, &b, 1e-6, "vec_copy");
 *     grid_free(&x), grid_free(&a), grid_free(&b);
 */
#ifndef PRERANK_TESTS_NN_GRID_H
#define PRERANK_TESTS_NN_GRID_H
#include "nn/op.h"

struct grid {
    size_t rows, n, ld, floats;
    struct mat m;
};
/* Random values in [-1, 1), the same for the same seed; ld 0: one row for all. */
struct grid grid_input(size_t rows, size_t n, size_t ld, uint64_t seed);
struct grid grid_output(size_t rows, size_t n, size_t ld, uint64_t seed);
void grid_free(struct grid *g);
void grid_scale(struct grid *g, float factor);
float grid_draw(uint64_t *seed); /* the next value */
/* Equal within `tolerance` of the larger of 1 and the value inside the rows, the same outside. */
void grid_expect(const struct grid *fast, const struct grid *slow, double tolerance, const char *what);

#endif
