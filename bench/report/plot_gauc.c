/* GAUC of each model: one row each, a dot for the mean, a whisker for its interval, a tick for each seed. */
#include "base/mem.h"
#include "bench/report/plots.h"
#include <math.h>
#include <stdlib.h>

enum { ROWS_MAX = 60 };

struct rows {
    const struct study *s;
    size_t n, all;
    const struct effect_group **group; /* highest GAUC first */
    double y[ROWS_MAX], bottom;        /* where each row is, in the layout that is drawn */
};

static int by_gauc(const void *a, const void *b) {
    const struct effect_group *p = *(const struct effect_group *const *)a;
    const struct effect_group *q = *(const struct effect_group *const *)b;
    double x = p->metric[EFFECT_GAUC].mean, y = q->metric[EFFECT_GAUC].mean;
    if (x != y) return x > y ? -1 : 1;
    return (p > q) - (p < q);
}

static int collect(const struct study *s, struct rows *r) {
    *r = (struct rows){.s = s};
    r->group = mem_alloc((s->effect.groups + 1) * sizeof(const struct effect_group *));
    if (!r->group) return -1;
    for (size_t i = 0; i < s->effect.groups; i++)
        if (!isnan(s->effect.group[i].metric[EFFECT_GAUC].mean)) r->group[r->all++] = &s->effect.group[i];
    qsort(r->group, r->all, sizeof(const struct effect_group *), by_gauc);
    r->n = r->all < ROWS_MAX ? r->all : ROWS_MAX;
    return r->all > 0;
}

/* As in plot_tradeoff.c, a very wide interval is cut at the frame. */
static struct scale range(const struct rows *r) {
    double lo = INFINITY, hi = -INFINITY, half = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct effect_stat *g = &r->group[i]->metric[EFFECT_GAUC];
        range_add(&lo, &hi, g->mean);
        if (!isnan(g->lo)) half += (g->hi - g->lo) / 2;
    }
    double room = fmax((hi - lo) / 2, 1.5 * half / (double)r->n), least = fmax(lo - room, 0),
           most = fmin(hi + room, 1);
    for (size_t i = 0; i < r->n; i++) {
        const struct effect_stat *g = &r->group[i]->metric[EFFECT_GAUC];
        if (isnan(g->lo)) continue;
        range_add(&lo, &hi, fmax(g->lo, least));
        range_add(&lo, &hi, fmin(g->hi, most));
    }
    return scale_around(lo, hi, false, 0.03);
}

static double name_room(const struct panel *p, int narrow) {
    return narrow ? p->right - p->left - 100 : p->left - 16;
}

/* Wide, a name stands left of its row; narrow, above it. One that is too long for its room takes several lines. */
static void place(struct rows *r, const struct panel *p, int narrow) {
    char name[STUDY_LABEL_MAX], text[PLOT_TEXT_MAX];
    double at = p->top + 3;
    for (size_t i = 0; i < r->n; i++) {
        study_group_label(r->s, r->group[i], name);
        double h = PLOT_LINE_PX * text_wrap(name, PLOT_TEXT_PX, name_room(p, narrow), text);
        r->y[i] = narrow ? at + h + 16 : at + fmax(h + 10, 25) / 2;
        at += narrow ? h + 23 : fmax(h + 10, 25);
    }
    r->bottom = at + (narrow ? 8 : 3);
}

static void draw_seeds(const struct rows *r, const struct panel *p, size_t i) {
    const struct effect *f = &r->s->effect;
    double y = r->y[i];
    if (r->group[i]->metric[EFFECT_GAUC].n < 2) return;
    for (size_t k = 0; k < f->runs; k++) {
        const struct effect_run *run = &f->run[k];
        double v = run->metric[EFFECT_GAUC];
        if (&f->group[run->group] != r->group[i] || !run->ok || !(v >= p->x.lo && v <= p->x.hi)) continue;
        panel_line(p, panel_px(p, v), y - 5, panel_px(p, v), y + 5, "front", 0.9);
    }
}

static void value_text(const struct effect_stat *g, char out[48]) {
    double half = (g->hi - g->lo) / 2;
    if (isnan(half))
        snprintf(out, 48, "%.4f", g->mean);
    else
        snprintf(out, 48, "%.4f ±%.4f", g->mean, half);
}

static void draw_row(const struct rows *r, const struct panel *p, struct layout *l, size_t i, int narrow) {
    const struct effect_group *g = r->group[i];
    const struct effect_stat *s = &g->metric[EFFECT_GAUC];
    char name[STUDY_LABEL_MAX], text[PLOT_TEXT_MAX], value[48], tip[300];
    double y = r->y[i], x = panel_px(p, s->mean);
    const char *colour = plot_colour(g->variant_index);
    study_group_label(r->s, g, name);
    value_text(s, value);
    double above = PLOT_LINE_PX * (text_wrap(name, PLOT_TEXT_PX, name_room(p, narrow), text) - 1);
    double name_y = narrow ? y - 14 - above : y - above / 2;
    panel_lines(p, narrow ? p->left : p->left - 12, name_y, (struct pen){.align = narrow ? -1 : 1}, text);
    panel_text(p, l->w - 8, narrow ? name_y : y, (struct pen){.colour = "muted", .align = 1}, value);
    draw_seeds(r, p, i);
    double from = fmax(s->lo, p->x.lo), to = fmin(s->hi, p->x.hi);
    if (!isnan(s->lo)) panel_line(p, panel_px(p, from), y, panel_px(p, to), y, colour, 1.8);
    panel_mark(p, x, y, plot_mark_of(g->features_index), colour, 1.05);
    snprintf(tip, sizeof tip, "%s: GAUC %s, %zu seed%s", name, value, g->seeds, g->seeds == 1 ? "" : "s");
    layout_tip(l, x, y, 11, tip);
}

static void draw_baseline(const struct rows *r, const struct panel *p) {
    if (!r->s->baseline) return;
    double v = r->s->baseline->metric[EFFECT_GAUC].mean;
    if (v < p->x.lo || v > p->x.hi) return;
    double at = panel_px(p, v);
    panel_line(p, at, p->top, at, p->bottom, "front", 1);
    panel_text(p, fmin(fmax(at, p->left + 30), p->right - 30), p->top - 8,
               (struct pen){.colour = "muted", .size = 11}, "two-tower");
}

static void draw(struct rows *r, struct layout *l, int narrow) {
    struct ticks x;
    double widest = 60;
    char name[STUDY_LABEL_MAX];
    for (size_t i = 0; i < r->n; i++) {
        study_group_label(r->s, r->group[i], name);
        widest = fmax(widest, text_width(name, PLOT_TEXT_PX));
    }
    l->w = narrow ? 360 : 960;
    struct panel p = {.out = &l->script,
                      .w = l->w,
                      .left = narrow ? 14 : fmin(widest, 300) + 24,
                      .right = narrow ? 336 : l->w - 140,
                      .top = 34,
                      .x = range(r),
                      .y = {0, 1, false}};
    place(r, &p, narrow);
    p.bottom = r->bottom;
    p.h = l->h = p.bottom + 40;
    ticks_number(&x, &p.x, narrow ? 5 : 8);
    panel_axes(&p, &x, NULL);
    draw_baseline(r, &p);
    panel_text(&p, narrow ? p.left : p.left - 12, 14,
               (struct pen){.colour = "muted", .align = narrow ? -1 : 1}, "model");
    panel_text(&p, l->w - 8, 14, (struct pen){.colour = "muted", .align = 1}, "GAUC ±95 %");
    panel_text(&p, p.right, l->h - 8, (struct pen){.colour = "muted", .align = 1}, "GAUC on the test split");
    for (size_t i = 0; i < r->n; i++) draw_row(r, &p, l, i, narrow);
    str_addf(p.out, "plot NaN\n");
}

int plot_gauc(const struct study *s, struct picture *p) {
    struct rows r;
    int drawn = collect(s, &r);
    if (drawn > 0) {
        picture_name(p, "gauc", "GAUC of each model with its interval");
        str_addf(&p->text, "%zu of %zu models, best first:", r.n, r.all);
        for (size_t i = 0; i < r.n; i++) {
            char label[STUDY_LABEL_MAX];
            study_group_label(s, r.group[i], label);
            str_addf(&p->text, "%s %s %.4f", i ? "," : "", label, r.group[i]->metric[EFFECT_GAUC].mean);
        }
        for (int l = 0; l < LAYOUTS; l++) draw(&r, &p->layout[l], l == NARROW);
    }
    mem_free(r.group);
    return drawn;
}
