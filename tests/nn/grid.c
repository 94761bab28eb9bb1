#include "tests/nn/grid.h"
#include "base/mem.h"
#include <criterion/criterion.h>
#include <math.h>

enum { TAIL = 64 };

float grid_draw(uint64_t *seed) {
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return (float)((double)(*seed >> 11) / 9007199254740992.0 * 2 - 1);
}

static struct grid grid_of(size_t rows, size_t n, size_t ld, float guard, uint64_t seed) {
    struct grid g = {.rows = rows, .n = n, .ld = ld, .floats = rows * (ld ? ld : n) + TAIL};
    g.m = (struct mat){mem_alloc(g.floats * sizeof(float)), ld};
    cr_assert_not_null(g.m.p);
    for (size_t i = 0; i < g.floats; i++) g.m.p[i] = guard;
    for (size_t r = 0; r < rows && (ld || r == 0); r++)
        for (size_t c = 0; c < n; c++) g.m.p[r * ld + c] = grid_draw(&seed);
    return g;
}
struct grid grid_input(size_t rows, size_t n, size_t ld, uint64_t seed) {
    return grid_of(rows, n, ld, NAN, seed);
}
struct grid grid_output(size_t rows, size_t n, size_t ld, uint64_t seed) {
    return grid_of(rows, n, ld, -777.25f, seed);
}
void grid_free(struct grid *g) { mem_free(g->m.p); }

void grid_scale(struct grid *g, float factor) {
    for (size_t r = 0; r < g->rows && (g->ld || r == 0); r++)
        for (size_t c = 0; c < g->n; c++) g->m.p[r * g->ld + c] *= factor;
}

void grid_expect(const struct grid *fast, const struct grid *slow, double tolerance, const char *what) {
    for (size_t i = 0; i < fast->floats; i++) {
        bool inside = fast->n && i / fast->ld < fast->rows && i % fast->ld < fast->n;
        double a = (double)fast->m.p[i], b = (double)slow->m.p[i];
        if (inside)
            cr_assert(fabs(a - b) <= tolerance * fmax(1, fabs(b)),
                      "%s: %zu x %zu (ld %zu): row %zu column %zu is %.9g, not %.9g", what, fast->rows,
                      fast->n, fast->ld, i / fast->ld, i % fast->ld, a, b);
        else
            cr_assert(fast->m.p[i] == slow->m.p[i] || (isnan(a) && isnan(b)),
                      "%s: %zu x %zu (ld %zu): the guard at %zu is now %g", what, fast->rows, fast->n,
                      fast->ld, i, a);
    }
}
