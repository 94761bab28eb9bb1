/* plot_label.h: puts names beside points so that no name covers another name or a point.
 *
 * Each label tries places around its point, near ones first, then farther ones with a leader line; a few
 * rounds let labels that came first make room. One that finds no free place is left out, the least important
 * first. All in pixels, y down. Deterministic.
 *
 *     struct label l[2] = {{.px = 10, .py = 20, .w = 40, .h = 14}, ...};
 *     labels_place(l, 2, 2, (struct box){0, 0, 300, 200}, soft, n_soft);
 *     if (l[0].placed) text_at(l[0].at.x0, (l[0].at.y0 + l[0].at.y1) / 2);
 */
#ifndef PRERANK_BENCH_PLOT_LABEL_H
#define PRERANK_BENCH_PLOT_LABEL_H
#include <stdbool.h>
#include <stddef.h>

struct box {
    double x0, y0, x1, y1;
};
struct label {
    double px, py, w, h;
    double weight; /* the heavier keeps its place */
    double radius; /* of the point, which nothing may cover */
    double reach;  /* how far from the point it may stand; 0: as far as it takes */
    bool placed, leader;
    struct box at;
};
/* Places the first n of `all` labels inside `area`; the others stand for points without a name. Every point
 * is an obstacle of radius 6; the boxes of `soft` are better left free but may be covered (whiskers, lines).
 */
void labels_place(struct label *l, size_t n, size_t all, struct box area, const struct box *soft,
                  size_t n_soft);
double box_overlap(struct box a, struct box b); /* area in common */

#endif
