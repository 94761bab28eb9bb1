#include "bench/report/plot_label.h"
#include <math.h>

enum { ROUNDS = 6, RINGS = 9, DIRECTIONS = 12 };
static const double ring_at[RINGS] = {2, 5, 10, 17, 26, 38, 52, 70, 92};
static const double hard = 1000, far = 30;

double box_overlap(struct box a, struct box b) {
    double w = fmin(a.x1, b.x1) - fmax(a.x0, b.x0), h = fmin(a.y1, b.y1) - fmax(a.y0, b.y0);
    return w > 0 && h > 0 ? w * h : 0;
}

/* Right, left, above, below, then the directions between. */
static struct box place(const struct label *l, int ring, int direction) {
    static const double angle[DIRECTIONS] = {0, 180, 90, 270, 35, 325, 145, 215, 62, 298, 118, 242};
    double a = angle[direction] * acos(-1) / 180, x = cos(a), y = -sin(a);
    double away = l->radius + ring_at[ring];
    double cx = l->px + away * x + x * l->w / 2, cy = l->py + away * y + y * l->h / 2;
    return (struct box){cx - l->w / 2, cy - l->h / 2, cx + l->w / 2, cy + l->h / 2};
}

/* Where the leader line meets the label: the nearest point of the box. */
static void nearest(const struct box *b, double x, double y, double *bx, double *by) {
    *bx = fmin(fmax(x, b->x0), b->x1);
    *by = fmin(fmax(y, b->y0), b->y1);
}

/* Samples of the segment from a point to its label that lie in `b`. */
static int crosses(const struct label *l, struct box at, struct box b) {
    double x, y;
    int hits = 0;
    nearest(&at, l->px, l->py, &x, &y);
    for (int i = 1; i < 8; i++) {
        double sx = l->px + (x - l->px) * i / 8, sy = l->py + (y - l->py) * i / 8;
        hits += sx > b.x0 && sx < b.x1 && sy > b.y0 && sy < b.y1;
    }
    return hits;
}

static double collisions(const struct label *l, size_t all, size_t i, struct box at) {
    double cost = 0;
    for (size_t j = 0; j < all; j++) {
        double r = l[j].radius;
        struct box dot = {l[j].px - r, l[j].py - r, l[j].px + r, l[j].py + r};
        cost += box_overlap(at, dot) > 0 ? hard : 0;
        if (j == i) continue;
        cost += crosses(&l[i], at, dot) ? far : 0;
        if (!l[j].placed) continue;
        cost += box_overlap(at, l[j].at) > 0 ? hard : 0;
        cost += crosses(&l[i], at, l[j].at) ? far : 0;
        cost += l[j].leader && crosses(&l[j], l[j].at, at) ? far : 0;
    }
    return cost;
}

static double cost_of(const struct label *l, size_t all, size_t i, int ring, int direction, struct box area,
                      const struct box *soft, size_t n_soft) {
    struct box at = place(&l[i], ring, direction);
    if (at.x0 < area.x0 || at.x1 > area.x1 || at.y0 < area.y0 || at.y1 > area.y1) return 1e9;
    double cost = ring_at[ring] + direction * 0.9 + collisions(l, all, i, at);
    for (size_t k = 0; k < n_soft; k++)
        cost += 20 * box_overlap(at, soft[k]) / (l[i].w * l[i].h) + (box_overlap(at, soft[k]) > 0 ? 4 : 0);
    return cost;
}

static void settle(struct label *l, size_t all, size_t i, struct box area, const struct box *soft,
                   size_t n_soft) {
    double best = 1e9;
    l[i].placed = false;
    for (int ring = 0; ring < RINGS && (!(l[i].reach > 0) || ring_at[ring] <= l[i].reach); ring++)
        for (int d = 0; d < DIRECTIONS; d++) {
            double cost = cost_of(l, all, i, ring, d, area, soft, n_soft);
            if (cost >= best) continue;
            best = cost;
            l[i].placed = true;
            l[i].leader = ring > 2;
            l[i].at = place(&l[i], ring, d);
        }
}

/* The lightest label that covers something, or n. */
static size_t worst(const struct label *l, size_t n, size_t all) {
    size_t found = n;
    for (size_t i = 0; i < n; i++) {
        if (!l[i].placed || collisions(l, all, i, l[i].at) < hard) continue;
        if (found == n || l[i].weight < l[found].weight) found = i;
    }
    return found;
}

void labels_place(struct label *l, size_t n, size_t all, struct box area, const struct box *soft,
                  size_t n_soft) {
    for (size_t i = 0; i < all; i++) l[i].placed = false;
    for (int round = 0; round < ROUNDS; round++) {
        double above = INFINITY; /* heaviest first: a selection sort without moving anything */
        size_t last = n;
        for (size_t k = 0; k < n; k++) {
            size_t next = n;
            for (size_t i = 0; i < n; i++) {
                bool later = l[i].weight < above || (l[i].weight == above && i > last);
                if (later && (next == n || l[i].weight > l[next].weight)) next = i;
            }
            if (next == n) break; /* a NaN among the weights */
            settle(l, all, next, area, soft, n_soft);
            above = l[next].weight;
            last = next;
        }
    }
    for (size_t i = worst(l, n, all); i < n; i = worst(l, n, all)) l[i].placed = false;
}
