/* plots.h: the pictures of a report, drawn by gnuplot, as files in DIR/plots/ and in memory for report.html.
 *
 * Each picture is written twice: wide for a desk, narrow for a phone (360 pixels). NAME.svg and NAME.png are
 * the wide one, NAME-narrow.svg the narrow one. plots/ belongs to prerank: pictures of an earlier report are
 * removed from it.
 *
 *     struct gallery g;
 *     TRY(plots_draw(&study, &g, e));
 *     const struct picture *p = gallery_find(&g, "gauc");            NULL when there was nothing to draw
 *     gallery_release(&g);
 *
 * Which pictures there are is for the sections of the page to say (section.h, docs/results.md).
 */
#ifndef PRERANK_BENCH_PLOTS_H
#define PRERANK_BENCH_PLOTS_H
#include "base/err.h"
#include "base/str.h"
#include "bench/report/plot.h"
#include "bench/report/study.h"
#include <stddef.h>

enum { WIDE, NARROW, LAYOUTS };
struct layout {
    double w, h;
    struct str script, tips, inner; /* for gnuplot; hover texts (SVG); the finished SVG's elements */
};
struct picture {
    char name[96], title[200];
    struct str text; /* what it shows, in words */
    struct layout layout[LAYOUTS];
};
struct gallery {
    size_t n, room;
    struct picture *picture;
};
int plots_draw(const struct study *s, struct gallery *g, struct err *e);
const struct picture *gallery_find(const struct gallery *g, const char *name);
void gallery_release(struct gallery *g);
/* An empty picture behind the others, to be scripted and then kept; NULL when memory is out. */
struct picture *gallery_next(struct gallery *g, struct err *e);
/* Keeps it, or drops it. drawn: 1 keep, 0 there was nothing to draw, -1 memory is out. */
int gallery_keep(struct gallery *g, int drawn, struct err *e);
/* A variant's id as the end of a file name: letters, digits, - and _; `index` keeps two of them apart. */
void plots_slug(const char *variant, int index, char out[64]);

/* ---- for the files plot_*.c: each writes the scripts of one picture; returns 1, 0 when there is nothing to
 * draw, or -1 when memory is out ---- */
int plot_tradeoff(const struct study *s, double candidates, struct picture *p);
int plot_gauc(const struct study *s, struct picture *p);
int plot_latency(const struct study *s, double candidates, struct picture *p);
int plot_curves(const struct study *s, int variant, struct picture *p);
void picture_name(struct picture *p, const char *name, const char *title);
/* A hover text around (x, y). */
void layout_tip(struct layout *l, double x, double y, double radius, const char *text);

struct legend_item {
    const char *text, *colour;
    int kind; /* an enum plot_mark, or one of these */
    int mark; /* on a line: 1 + an enum plot_mark; 0: none */
};
enum {
    LEGEND_LINE = 100,
    LEGEND_CHOSEN = LEGEND_LINE + PLOT_DASHES
}; /* LEGEND_LINE + i % PLOT_DASHES: as plot_dash(i) */
/* Writes the items from left to right between x0 and x1, in lines 18 apart, the first at y; returns the
 * number of lines. One that is too long for a line takes several. p == NULL only counts. */
int plot_legend(const struct panel *p, const struct legend_item *item, size_t n, double x0, double x1,
                double y);

#endif
