/* GAUC against the number of fields that are kept, or against RT, a curve for each selector. */
#include "bench/report/plots.h"
#include "bench/report/selection.h"
#include <math.h>
#include <string.h>

enum { LEGEND_MAX = 8 };

struct drawn {
    const struct selection *sel;
    const char *variant;
    bool by_time;
};

static bool mine(const struct drawn *d, int i) { return !strcmp(d->sel->curve[i].variant, d->variant); }

static double x_of(const struct drawn *d, const struct selection_point *p) {
    if (!d->by_time) return p->k;
    return p->timed ? p->timed->p50_us : (double)NAN;
}

/* Against a time, the quality of what was timed. */
static const struct effect_stat *y_of(const struct drawn *d, const struct selection_point *p) {
    return d->by_time && p->timed ? &p->timed->gauc : &p->group->metric[EFFECT_GAUC];
}

/* As in plot_tradeoff.c, a very wide interval is cut at the frame. */
static bool set_scales(const struct drawn *d, struct panel *p) {
    double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
    for (int i = 0; i < d->sel->n; i++)
        for (int k = 0; mine(d, i) && k < d->sel->curve[i].n; k++) {
            const struct selection_point *q = &d->sel->curve[i].point[k];
            if (isnan(x_of(d, q))) continue;
            range_add(&x0, &x1, x_of(d, q));
            range_add(&y0, &y1, y_of(d, q)->mean);
        }
    if (!(x0 <= x1)) return false;
    double room = (y1 - y0) / 4, lo = y0 - room, hi = y1 + room;
    for (int i = 0; i < d->sel->n; i++)
        for (int k = 0; mine(d, i) && k < d->sel->curve[i].n; k++) {
            const struct effect_stat *g = y_of(d, &d->sel->curve[i].point[k]);
            if (isnan(g->lo)) continue;
            range_add(&y0, &y1, fmax(g->lo, lo));
            range_add(&y0, &y1, fmin(g->hi, hi));
        }
    p->x = scale_around(x0, x1, d->by_time, d->by_time ? 0.06 : 0.04);
    p->y = scale_around(y0, y1, false, 0.05);
    return true;
}

static void add_data(const struct drawn *d, const struct panel *p, int i) {
    const struct selection_curve *c = &d->sel->curve[i];
    str_addf(p->out, "$c%d << EOD\n", i);
    for (int k = 0; k < c->n; k++) {
        const struct effect_stat *g = y_of(d, &c->point[k]);
        if (isnan(x_of(d, &c->point[k]))) continue;
        double lo = isnan(g->lo) ? g->mean : fmax(g->lo, p->y.lo),
               hi = isnan(g->hi) ? g->mean : fmin(g->hi, p->y.hi);
        str_addf(p->out, "%.9g %.9g %.9g %.9g\n", x_of(d, &c->point[k]), g->mean, lo, hi);
    }
    str_add(p->out, "EOD\n");
}

/* Beside each point its intervals: that of GAUC, and where x is a time, that of the time. */
static void add_times(const struct drawn *d, const struct panel *p, int i) {
    const struct selection_curve *c = &d->sel->curve[i];
    str_addf(p->out, "$t%d << EOD\n%.9g %.9g\n\n", i, p->x.lo, p->y.lo);
    for (int k = 0; k < c->n; k++) {
        const struct tradeoff_point *t = c->point[k].timed;
        if (!d->by_time || !t || isnan(t->p50_lo_us) || isnan(t->p50_hi_us)) continue;
        double y = y_of(d, &c->point[k])->mean;
        str_addf(p->out, "%.9g %.9g\n%.9g %.9g\n\n", t->p50_lo_us, y, t->p50_hi_us, y);
    }
    str_add(p->out, "EOD\n");
}

static void add_tips(const struct drawn *d, const struct panel *p, struct layout *l, int i) {
    const struct selection_curve *c = &d->sel->curve[i];
    for (int k = 0; k < c->n; k++) {
        const struct selection_point *q = &c->point[k];
        char text[700];
        if (isnan(x_of(d, q))) continue;
        snprintf(text, sizeof text, "%.60s, %g fields: GAUC %.4f; %.500s", c->selector, q->k,
                 y_of(d, q)->mean, q->fields);
        layout_tip(l, panel_px(p, x_of(d, q)), panel_py(p, y_of(d, q)->mean), 7, text);
    }
}

static void draw_curves(const struct drawn *d, const struct panel *p) {
    const char *sep = "plot ";
    for (int i = 0; i < d->sel->n; i++) {
        if (!mine(d, i)) continue;
        const char *colour = plot_colour(d->sel->curve[i].colour);
        str_addf(p->out, "%s$c%d using 1:2:3:4 with yerrorbars pointtype 0 linewidth 1.1 linecolor rgb %s",
                 sep, i, colour);
        if (d->by_time)
            str_addf(p->out, ", $t%d using 1:2 with lines linewidth 1.1 linecolor rgb %s", i, colour);
        str_addf(
            p->out,
            ", $c%d using 1:2 with linespoints linewidth 1.8 pointtype %s pointsize 0.9 linecolor rgb %s", i,
            mark_gnuplot(plot_mark_of(d->sel->curve[i].colour)), colour);
        sep = ", ";
    }
    str_add(p->out, *sep == 'p' ? "plot NaN\n" : "\n");
}

/* A selector with the area under its curve. */
static const char *legend_text(const struct drawn *d, const struct selection_curve *c, char out[80]) {
    double area = d->by_time ? c->area_rt : c->area;
    snprintf(out, 80, isnan(area) ? "%.48s" : "%.48s, area %.4f", c->selector, area);
    return out;
}

static bool draw(const struct drawn *d, struct layout *l, int narrow) {
    struct legend_item item[LEGEND_MAX];
    char text[LEGEND_MAX][80];
    struct ticks x, y;
    size_t n = 0;
    for (int i = 0; i < d->sel->n && n < LEGEND_MAX; i++) {
        const struct selection_curve *c = &d->sel->curve[i];
        if (!mine(d, i) || !selection_first(c)) continue;
        item[n] = (struct legend_item){legend_text(d, c, text[n]), plot_colour(c->colour),
                                       (int)plot_mark_of(c->colour), 0};
        n++;
    }
    l->w = narrow ? 360 : 960;
    int lines = plot_legend(NULL, item, n, 8, l->w - 8, 0);
    l->h = (narrow ? 300 : 420) + 18 * lines;
    struct panel p = {.out = &l->script,
                      .w = l->w,
                      .h = l->h,
                      .left = 4,
                      .right = l->w - 14,
                      .top = 34 + 18 * lines,
                      .bottom = l->h - 44};
    if (!set_scales(d, &p)) return false;
    if (d->by_time)
        ticks_microseconds(&x, &p.x, narrow ? 4 : 8);
    else
        ticks_whole(&x, &p.x, narrow ? 6 : 12);
    ticks_number(&y, &p.y, 6);
    p.left += ticks_width(&y);
    panel_axes(&p, &x, &y);
    plot_legend(&p, item, n, 8, l->w - 8, 10);
    panel_text(&p, 8, p.top - 14, (struct pen){.colour = "muted", .align = -1}, "GAUC on the test split");
    panel_text(&p, p.right, l->h - 10, (struct pen){.colour = "muted", .align = 1},
               d->by_time ? "RT of a request, median" : "fields that are kept");
    for (int i = 0; i < d->sel->n; i++) {
        if (!mine(d, i)) continue;
        add_data(d, &p, i);
        if (d->by_time) add_times(d, &p, i);
        add_tips(d, &p, l, i);
    }
    draw_curves(d, &p);
    return true;
}

int plot_selection(const struct selection *sel, const char *variant, bool by_time, struct picture *p) {
    const struct drawn d = {sel, variant, by_time};
    char name[96], title[200];
    snprintf(name, sizeof name, "selection-%s-%.60s", by_time ? "rt" : "k", variant);
    snprintf(title, sizeof title, "GAUC of %.60s against %s, by selector", variant,
             by_time ? "response time" : "the number of fields");
    picture_name(p, name, title);
    str_addf(
        &p->text,
        "A curve for each selector, with the area under it; whiskers are 95 %% intervals over the seeds.");
    for (int l = 0; l < LAYOUTS; l++)
        if (!draw(&d, &p->layout[l], l == NARROW)) return 0;
    return 1;
}
