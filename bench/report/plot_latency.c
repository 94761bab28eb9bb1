/* Percentiles of RT, one curve a model. The percentile axis is spaced as -log10(1 - p), so that each nine of
 * the tail has the same room. */
#include "base/mem.h"
#include "bench/report/plots.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct line { /* a model; rows of latency.csv with its texts */
    const struct tradeoff_point *point;
    size_t n;
    double last_x, last_us;  /* its right end */
    double label_y, label_h; /* middle of its name; room that the name takes */
};
struct lines {
    const struct study *s;
    size_t n;
    struct line *line;
    int column[6];
};

static double nines(double percentile) { return -log10(1 - percentile / 100); }

/* Whether row r of latency.csv belongs to the point. */
static int belongs(const struct lines *l, size_t r, const struct tradeoff_point *p) {
    const struct table *t = &l->s->latency;
    const char *want[] = {p->variant, p->features, p->precision, p->store, p->load};
    if (l->s->candidates_of[r] != p->candidates) return 0;
    for (int i = 0; i < 5; i++)
        if (strcmp(table_text(t, r, l->column[i]), want[i]) != 0) return 0;
    double threads;
    const char *text = table_text(t, r, l->column[5]);
    return str_to_double(text, &threads) || isnan(p->threads) || threads == p->threads;
}

static int usable(const struct lines *l, size_t r) {
    double p = l->s->percentile[r];
    return p >= 0 && p < 100 && l->s->rt_us[r] > 0;
}

static void find_columns(struct lines *l) {
    static const char *const name[] = {"variant", "features", "precision", "store", "load", "threads"};
    for (int i = 0; i < 6; i++) l->column[i] = table_column(&l->s->latency, name[i]);
}

static int collect(const struct study *s, double candidates, struct lines *l) {
    *l = (struct lines){.s = s};
    l->line = mem_calloc(s->tradeoff.n + 1, sizeof *l->line);
    if (!l->line) return -1;
    find_columns(l);
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = &s->tradeoff.point[i];
        struct line *line = &l->line[l->n];
        *line = (struct line){.point = p, .last_x = -1};
        if (p->candidates != candidates) continue;
        for (size_t r = 0; r < s->latency.rows; r++) {
            if (!usable(l, r) || !belongs(l, r, p)) continue;
            line->n++;
            if (nines(l->s->percentile[r]) <= line->last_x) continue;
            line->last_x = nines(l->s->percentile[r]);
            line->last_us = l->s->rt_us[r];
        }
        if (line->n > 1) l->n++;
    }
    return l->n > 0;
}

static int by_end(const void *a, const void *b) {
    const struct line *p = a, *q = b;
    return (p->last_us < q->last_us) - (p->last_us > q->last_us); /* slowest first: it is on top */
}

/* Least distance of the middles of name i and the one above it. */
static double apart(const struct lines *l, size_t i) {
    return (l->line[i - 1].label_h + l->line[i].label_h) / 2;
}

/* Moves the labels apart: first each under the one above, then those that fell out of the bottom back up. */
static void spread(struct lines *l, const struct panel *p) {
    struct line *k = l->line;
    for (size_t i = 0; i < l->n; i++)
        k[i].label_y = fmax(panel_py(p, k[i].last_us),
                            i ? k[i - 1].label_y + apart(l, i) : p->top - 4 + k[i].label_h / 2);
    for (size_t i = l->n; i-- > 0;) {
        double y = i + 1 < l->n ? k[i + 1].label_y - apart(l, i + 1) : p->bottom + 6 - k[i].label_h / 2;
        if (k[i].label_y <= y) break;
        k[i].label_y = y;
    }
    /* what was pushed down by a crowd shares the way: centre each run of touching labels on its curves */
    for (size_t i = 0; i < l->n;) {
        size_t j = i;
        double want = 0;
        while (j < l->n && (j == i || k[j].label_y - k[j - 1].label_y <= apart(l, j) * 1.001)) {
            want += panel_py(p, k[j].last_us) - k[j].label_y;
            j++;
        }
        double first = i ? k[i - 1].label_y + apart(l, i) : p->top - 4 + k[i].label_h / 2;
        double shift = fmax(want / (double)(j - i), first - k[i].label_y);
        for (; i < j; i++) k[i].label_y += fmin(shift, 0);
    }
}

static void set_scales(const struct lines *l, struct panel *p) {
    double lo = INFINITY, hi = -INFINITY, x = 1;
    for (size_t i = 0; i < l->n; i++)
        for (size_t r = 0; r < l->s->latency.rows; r++) {
            if (!usable(l, r) || !belongs(l, r, l->line[i].point)) continue;
            range_add(&lo, &hi, l->s->rt_us[r]);
            x = fmax(x, nines(l->s->percentile[r]));
        }
    p->y = scale_around(lo, hi, true, 0.04);
    p->x = (struct scale){0, x, false};
}

static void percentile_ticks(struct ticks *t, double hi, int narrow) {
    static const double at[] = {0, 50, 90, 99, 99.9, 99.99, 99.999};
    t->n = 0;
    for (size_t i = narrow ? 1 : 0; i < sizeof at / sizeof *at && nines(at[i]) <= hi + 1e-9; i++) {
        t->at[t->n] = nines(at[i]);
        snprintf(t->label[t->n++], sizeof t->label[0], at[i] > 0 ? "p%g" : "min", at[i]);
    }
}

static void add_data(const struct lines *l, const struct panel *p, size_t i) {
    str_addf(p->out, "$l%zu << EOD\n", i);
    for (size_t r = 0; r < l->s->latency.rows; r++)
        if (usable(l, r) && belongs(l, r, l->line[i].point))
            str_addf(p->out, "%.9g %.9g\n", nines(l->s->percentile[r]), l->s->rt_us[r]);
    str_add(p->out, "EOD\n");
}

static void draw_names(const struct lines *l, const struct panel *p, struct layout *out, double size) {
    char name[STUDY_LABEL_MAX], text[PLOT_TEXT_MAX], p50[24], p99[24], tip[300];
    for (size_t i = 0; i < l->n; i++) {
        const struct line *k = &l->line[i];
        const struct tradeoff_point *q = k->point;
        const char *colour = plot_colour(q->group ? q->group->variant_index : 0);
        double x = panel_px(p, k->last_x), y = panel_py(p, k->last_us);
        study_label(l->s, q, ~0u, name);
        int lines = text_wrap(name, size, out->w - p->right - 20, text);
        /* a curve that ends early (too few samples for its tail) must not seem to go on */
        bool whole = k->last_x >= p->x.hi - 1e-9;
        panel_line(p, x + (whole ? 2 : 4), y, p->right + 12, k->label_y, whole ? colour : "faint", 0.7);
        panel_lines(p, p->right + 16, k->label_y - PLOT_LINE_PX * (lines - 1) / 2,
                    (struct pen){.align = -1, .size = size}, text);
        plot_microseconds(p50, q->p50_us);
        plot_microseconds(p99, q->p99_us);
        snprintf(tip, sizeof tip, "%s: p50 %s%s%s", name, p50, isnan(q->p99_us) ? "" : ", p99 ",
                 isnan(q->p99_us) ? "" : p99);
        layout_tip(out, p->right + 24, k->label_y, 9, tip);
    }
}

static void draw(struct lines *l, struct layout *out, int narrow) {
    struct ticks x, y;
    char name[STUDY_LABEL_MAX];
    double size = narrow ? 11 : PLOT_TEXT_PX, widest = 40, names = 0;
    for (size_t i = 0; i < l->n; i++) {
        study_label(l->s, l->line[i].point, ~0u, name);
        widest = fmax(widest, text_width(name, size));
    }
    widest = fmin(widest, narrow ? 120 : 260);
    for (size_t i = 0; i < l->n; i++) {
        char text[PLOT_TEXT_MAX];
        study_label(l->s, l->line[i].point, ~0u, name);
        int lines = text_wrap(name, size, widest + 2, text);
        l->line[i].label_h = PLOT_LINE_PX * (lines - 1) + (lines > 1 ? 18 : narrow ? 12.5 : PLOT_LINE_PX);
        names += l->line[i].label_h;
    }
    out->w = narrow ? 360 : 960;
    out->h = fmax(narrow ? 340 : 420, names + 90);
    struct panel p = {.out = &out->script,
                      .w = out->w,
                      .h = out->h,
                      .right = out->w - widest - 22,
                      .top = 30,
                      .bottom = out->h - 46};
    set_scales(l, &p);
    percentile_ticks(&x, p.x.hi, narrow);
    ticks_microseconds(&y, &p.y, narrow ? 6 : 9);
    p.left = ticks_width(&y);
    panel_axes(&p, &x, &y);
    panel_text(&p, 4, 12, (struct pen){.colour = "muted", .align = -1}, "response time, log scale");
    panel_text(&p, p.right, out->h - 8, (struct pen){.colour = "muted", .align = 1},
               "share of requests at or below");
    spread(l, &p);
    for (size_t i = 0; i < l->n; i++) add_data(l, &p, i);
    draw_names(l, &p, out, size);
    for (size_t i = 0; i < l->n; i++) {
        const struct effect_group *g = l->line[i].point->group;
        str_addf(p.out, "%s $l%zu using 1:2 with lines linewidth 1.6 dashtype %s linecolor rgb %s",
                 i ? "," : "plot", i, plot_dash(g ? g->features_index : 0),
                 plot_colour(g ? g->variant_index : 0));
    }
    str_add(p.out, "\n");
}

int plot_latency(const struct study *s, double candidates, struct picture *p) {
    struct lines l;
    char name[64], title[120];
    int drawn = collect(s, candidates, &l);
    if (drawn > 0) {
        qsort(l.line, l.n, sizeof *l.line, by_end);
        snprintf(name, sizeof name, "latency-%.0f", candidates);
        snprintf(title, sizeof title, "Percentiles of the response time, %.0f candidates", candidates);
        picture_name(p, name, title);
        str_addf(&p->text, "%zu models, the slowest tail first:", l.n);
        for (size_t i = 0; i < l.n; i++) {
            char label[STUDY_LABEL_MAX];
            study_label(s, l.line[i].point, ~0u, label);
            str_addf(&p->text, "%s %s", i ? "," : "", label);
        }
        for (int k = 0; k < LAYOUTS; k++) draw(&l, &p->layout[k], k == NARROW);
    }
    mem_free(l.line);
    return drawn;
}
