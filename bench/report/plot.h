/* plot.h: the vocabulary in which a picture is written for gnuplot. Everything is in pixels from the top left
 * corner; a panel maps data to them. Colours are the names in bench/report/assets/style.gp.
 *
 *     struct panel p = {.out = &script, .w = 720, .h = 400, .left = 60, .right = 700, .top = 40, .bottom =
 * 360, .x = {1, 100, true}, .y = {0, 1, false}}; panel_axes(&p, &xticks, &yticks); panel_text(&p, 60, 20,
 * (struct pen){.colour = "muted"}, "GAUC"); str_addf(&script, "plot $data with lines linecolor rgb c1\n");
 *
 * Texts come from data: panel_text() quotes them so that gnuplot sees no command in them.
 */
#ifndef PRERANK_BENCH_PLOT_H
#define PRERANK_BENCH_PLOT_H
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>

#define PLOT_TEXT_PX  12.0
#define PLOT_LINE_PX  15.0 /* from one line of a text to the next */
#define PLOT_TEXT_MAX 512  /* bytes of a wrapped text */
#define PLOT_TICKS    24
#define PLOT_DASHES   4

struct scale {
    double lo, hi;
    bool log;
};
struct panel {
    struct str *out;
    double w, h;                     /* the picture */
    double left, right, top, bottom; /* the plotting area */
    struct scale x, y;
};
struct ticks {
    int n;
    double at[PLOT_TICKS];
    char label[PLOT_TICKS][24];
};
struct pen {
    const char *colour; /* default: ink */
    double size;        /* default: PLOT_TEXT_PX */
    int align;          /* -1 left, 0 centre, 1 right; of the text at x */
    bool bold;
};
enum plot_mark {
    MARK_DISC,
    MARK_RING,
    MARK_TRIANGLE,
    MARK_DIAMOND,
    MARK_SQUARE,
    MARK_BOX,
    MARK_DOWN,
    MARK_LOZENGE,
    PLOT_MARKS
};

double scale_at(const struct scale *s, double v); /* 0..1 */
double panel_px(const struct panel *p, double x);
double panel_py(const struct panel *p, double y);
/* Widens [*lo, *hi] to hold v; start with INFINITY, -INFINITY. NaN changes nothing. */
void range_add(double *lo, double *hi, double v);
/* The range with a share of it added at both ends; never empty. */
struct scale scale_around(double lo, double hi, bool log, double share);

/* Round numbers inside the scale, at most `most`. */
void ticks_number(struct ticks *t, const struct scale *s, int most);
void ticks_whole(struct ticks *t, const struct scale *s, int most); /* whole numbers alone, for counts */
void ticks_microseconds(struct ticks *t, const struct scale *s, int most); /* labels "200 µs", "1.5 ms" */
double ticks_width(const struct ticks *t);       /* room that they need left of a panel, in pixels */
void plot_microseconds(char out[24], double us); /* three digits: "1.62 ms" */

/* Ranges, margins, ticks and grid of the next plot command; forgets the labels of the last one. */
void panel_axes(const struct panel *p, const struct ticks *x, const struct ticks *y);
/* One line of text, its middle at y. */
void panel_text(const struct panel *p, double x, double y, struct pen pen, const char *text);
void panel_line(const struct panel *p, double x0, double y0, double x1, double y1, const char *colour,
                double width);
/* A level line in the dashes of plot_dash(i). */
void panel_dashes(const struct panel *p, double x0, double x1, double y, const char *colour, double width,
                  int i);
void panel_mark(const struct panel *p, double x, double y, enum plot_mark mark, const char *colour,
                double size);
/* The number after `pointtype`. */
const char *mark_gnuplot(enum plot_mark mark);

const char *plot_colour(int series); /* c1..c8, again and again */
/* What follows `dashtype`: the first is solid, then PLOT_DASHES - 1 kinds of dashes, again and again. */
const char *plot_dash(int i);
enum plot_mark plot_mark_of(int i);
double text_width(const char *text, double size); /* an upper estimate, in pixels */
/* UTF-8 text with a line feed wherever a line would be wider than `max` pixels: after a space, a hyphen or an underscore,
 * and inside a word only where it has none. Returns the number of lines. */
int text_wrap(const char *text, double size, double max, char out[PLOT_TEXT_MAX]);
/* A wrapped text; the middle of its first line at y. */
void panel_lines(const struct panel *p, double x, double y, struct pen pen, const char *lines);
/* UTF-8 text, cut to at most `max` pixels with an ellipsis. */
void text_fit(const char *text, double size, double max, char *out, size_t cap);

#endif
