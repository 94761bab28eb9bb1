#include "bench/report/plot_series.h"
#include <math.h>
#include <string.h>

struct series *series_add(struct series_plot *s, const char *label, int colour, int dash) {
    if (s->n == SERIES_MAX) return NULL;
    struct series *one = &s->series[s->n++];
    *one = (struct series){.colour = colour, .dash = dash};
    snprintf(one->label, sizeof one->label, "%s", label);
    return one;
}

void series_point(struct series *s, double x, double y, double lo, double hi) {
    if (!s || s->n == SERIES_POINTS || isnan(x) || isnan(y)) return;
    s->x[s->n] = x;
    s->y[s->n] = y;
    s->lo[s->n] = lo;
    s->hi[s->n++] = hi;
}

static void set_scales(const struct series_plot *s, struct panel *p) {
    double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < s->series[i].n; k++) {
            const struct series *one = &s->series[i];
            range_add(&x0, &x1, one->x[k]);
            range_add(&y0, &y1, one->y[k]);
            range_add(&y0, &y1, one->lo[k]);
            range_add(&y0, &y1, one->hi[k]);
        }
    if (s->diagonal) {
        x0 = y0 = fmin(x0, y0);
        x1 = y1 = fmax(x1, y1);
    }
    p->x = scale_around(x0, x1, false, 0.05);
    p->y = scale_around(y0, y1, false, 0.05);
    if (s->names) p->x = (struct scale){0.6, s->names + 0.4, false};
}

static void draw_whiskers(const struct series_plot *s, const struct panel *p) {
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < s->series[i].n; k++) {
            const struct series *one = &s->series[i];
            double x = panel_px(p, one->x[k]) + 5 * (i - (s->n - 1) / 2.0);
            if (isnan(one->lo[k]) || isnan(one->hi[k])) continue;
            panel_line(p, x, panel_py(p, one->lo[k]), x, panel_py(p, one->hi[k]), plot_colour(one->colour),
                       1.2);
        }
}

/* Lines of different models are moved aside a little where x is a name, so that their whiskers can be told apart. */
static void draw_lines(const struct series_plot *s, const struct panel *p, struct layout *l) {
    for (int i = 0; i < s->n; i++) {
        const struct series *one = &s->series[i];
        double aside = s->names ? 5 * (i - (s->n - 1) / 2.0) : 0;
        double unit = (p->x.hi - p->x.lo) / (p->right - p->left);
        str_addf(p->out, "$s%d << EOD\n", i);
        for (int k = 0; k < one->n; k++) {
            char tip[300];
            str_addf(p->out, "%.9g %.9g\n", one->x[k] + aside * unit, one->y[k]);
            snprintf(tip, sizeof tip, "%s: %.4f", one->label, one->y[k]);
            layout_tip(l, panel_px(p, one->x[k]) + aside, panel_py(p, one->y[k]), 8, tip);
        }
        str_add(p->out, "EOD\n");
    }
    const char *sep = "plot ";
    for (int i = 0; i < s->n; i++, sep = ", ")
        str_addf(p->out,
                 "%s$s%d using 1:2 with linespoints linewidth 1.6 dashtype %s pointtype %s pointsize 0.6 "
                 "linecolor rgb %s",
                 sep, i, plot_dash(s->series[i].dash), mark_gnuplot(plot_mark_of(i)),
                 plot_colour(s->series[i].colour));
    str_add(p->out, "\n");
}

static void draw(const struct series_plot *s, struct layout *l, bool narrow) {
    struct legend_item item[SERIES_MAX];
    struct ticks x, y;
    for (int i = 0; i < s->n; i++)
        item[i] =
            (struct legend_item){s->series[i].label, plot_colour(s->series[i].colour),
                                 LEGEND_LINE + s->series[i].dash % PLOT_DASHES, 1 + (int)plot_mark_of(i)};
    l->w = narrow ? 360 : 520;
    double top = 34 + 18 * plot_legend(NULL, item, (size_t)s->n, 4, l->w - 8, 0);
    double height = s->diagonal ? (narrow ? 300 : 360) : (narrow ? 200 : 240);
    l->h = top + height + 46;
    struct panel p = {.out = &l->script,
                      .w = l->w,
                      .h = l->h,
                      .left = 4,
                      .right = l->w - 12,
                      .top = top,
                      .bottom = top + height};
    set_scales(s, &p);
    ticks_number(&y, &p.y, 6);
    ticks_number(&x, &p.x, narrow ? 5 : 6);
    if (s->names) {
        x.n = s->names;
        for (int i = 0; i < s->names; i++) {
            x.at[i] = i + 1;
            snprintf(x.label[i], sizeof x.label[i], "%.23s", s->x_name[i]);
        }
    }
    p.left += ticks_width(&y);
    panel_axes(&p, &x, &y);
    plot_legend(&p, item, (size_t)s->n, 4, l->w - 8, 10);
    panel_text(&p, 4, top - 14, (struct pen){.colour = "muted", .align = -1}, s->y_label);
    panel_text(&p, p.right, l->h - 8, (struct pen){.colour = "muted", .align = 1}, s->x_label);
    if (s->diagonal)
        panel_line(&p, panel_px(&p, p.x.lo), panel_py(&p, p.y.lo), panel_px(&p, p.x.hi), panel_py(&p, p.y.hi),
                   "front", 1);
    draw_whiskers(s, &p);
    draw_lines(s, &p, l);
}

int plot_series(const struct series_plot *s, struct picture *p) {
    bool any = false;
    for (int i = 0; i < s->n; i++) any |= s->series[i].n > 0;
    if (!any) return 0;
    picture_name(p, s->name, s->title);
    str_addf(&p->text, "%s; %s against %s:", s->title, s->y_label, s->x_label);
    for (int i = 0; i < s->n; i++) {
        str_addf(&p->text, "%s %s", i ? ";" : "", s->series[i].label);
        for (int k = 0; k < s->series[i].n; k++) str_addf(&p->text, " %.4g", s->series[i].y[k]);
    }
    for (int k = 0; k < LAYOUTS; k++) draw(s, &p->layout[k], k == NARROW);
    return 1;
}
