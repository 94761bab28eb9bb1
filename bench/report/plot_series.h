/* plot_series.h: a panel of lines, one for each model, over a number or over a few names. Each has a mark of its own, so that
 * lines can be told apart without their colours.
 *
 *     struct series_plot s = {.name = "slices-user", .title = "...", .x_label = "...", .y_label = "GAUC"};
 *     struct series *one = series_add(&s, "mlp · all", colour, dash);      NULL: there are SERIES_MAX already
 *     series_point(one, 1, .71, .70, .72);
 *     return plot_series(&s, picture);                        1 drawn, 0 nothing, -1 out of memory
 */
#ifndef PRERANK_BENCH_PLOT_SERIES_H
#define PRERANK_BENCH_PLOT_SERIES_H
#include "bench/report/plots.h"

enum { SERIES_MAX = 8, SERIES_POINTS = 16 };
struct series {
    char label[STUDY_LABEL_MAX];
    int colour, dash, n;
    double x[SERIES_POINTS], y[SERIES_POINTS], lo[SERIES_POINTS],
        hi[SERIES_POINTS]; /* lo, hi: NaN: no whisker */
};
struct series_plot {
    const char *name, *title, *x_label, *y_label;
    int names; /* > 0: x is 1..names, called x_name */
    char x_name[SERIES_POINTS][24];
    bool diagonal; /* both axes alike, with the line y = x */
    int n;
    struct series series[SERIES_MAX];
};
struct series *series_add(struct series_plot *s, const char *label, int colour, int dash);
void series_point(struct series *s, double x, double y, double lo, double hi);
int plot_series(const struct series_plot *s, struct picture *p);

#endif
