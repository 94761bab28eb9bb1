/* GAUC against RT at p50: the trade-off curve of one number of candidates. */
#include "base/mem.h"
#include "bench/report/plot_label.h"
#include "bench/report/plots.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRONT_MAX = 512, LABELLED_MAX = 80, LEGEND_MAX = 2 + PLOT_MARKS };

struct curve {
    const struct study *s;
    size_t n, n_front;
    const struct tradeoff_point **point; /* [n] those with both numbers */
    const struct tradeoff_point *front[FRONT_MAX];
};

static int by_time(const void *a, const void *b) {
    const struct tradeoff_point *p = *(const struct tradeoff_point *const *)a,
                                *q = *(const struct tradeoff_point *const *)b;
    if (p->p50_us != q->p50_us) return p->p50_us < q->p50_us ? -1 : 1;
    return (p->gauc.mean > q->gauc.mean) - (p->gauc.mean < q->gauc.mean);
}

static int collect(const struct study *s, double candidates, struct curve *c) {
    *c = (struct curve){.s = s};
    c->point = mem_alloc((s->tradeoff.n + 1) * sizeof(const struct tradeoff_point *));
    if (!c->point) return -1;
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = &s->tradeoff.point[i];
        if (p->candidates != candidates || isnan(p->gauc.mean) || !(p->p50_us > 0)) continue;
        c->point[c->n++] = p;
        if (p->pareto == 1 && c->n_front < FRONT_MAX) c->front[c->n_front++] = p;
    }
    qsort(c->front, c->n_front, sizeof(const struct tradeoff_point *), by_time);
    return c->n > 0;
}

/* A very wide interval (two seeds) must not flatten the rest: it may add as much as the points span, and is cut
 * at the frame. */
static void set_scales(const struct curve *c, struct panel *p) {
    double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY, half = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct tradeoff_point *q = c->point[i];
        range_add(&x0, &x1, q->p50_us);
        range_add(&y0, &y1, q->gauc.mean);
        if (!isnan(q->gauc.lo)) half += (q->gauc.hi - q->gauc.lo) / 2;
    }
    double room = fmax((y1 - y0) / 2, 1.5 * half / (double)c->n), lo = fmax(y0 - room, 0),
           hi = fmin(y1 + room, 1);
    for (size_t i = 0; i < c->n; i++) {
        const struct tradeoff_point *q = c->point[i];
        if (isnan(q->gauc.lo)) continue;
        range_add(&y0, &y1, fmax(q->gauc.lo, lo));
        range_add(&y0, &y1, fmin(q->gauc.hi, hi));
    }
    double spread = sqrt(fmax(1, 2 / (x1 / x0))); /* times within a factor of 2 must not look far apart */
    p->x = scale_around(x0 / spread, x1 * spread, true, 0.10);
    p->y = scale_around(y0, y1, false, 0.07);
}

static const char *mark_colour(const struct tradeoff_point *q) {
    return plot_colour(q->group ? q->group->variant_index : 0);
}

static enum plot_mark mark_of(const struct tradeoff_point *q) {
    return plot_mark_of(q->group ? q->group->features_index : 0); /* again and again when there are more */
}

static void draw_front(const struct curve *c, const struct panel *p) {
    if (!c->n_front) return;
    str_addf(p->out, "$front << EOD\n%.9g %.9g\n", c->front[0]->p50_us, p->y.lo);
    for (size_t i = 0; i < c->n_front; i++)
        str_addf(p->out, "%.9g %.9g\n", c->front[i]->p50_us, c->front[i]->gauc.mean);
    str_addf(p->out, "%.9g %.9g\nEOD\n", p->x.hi, c->front[c->n_front - 1]->gauc.mean);
}

/* Both intervals of each point, as lines apart. */
static void draw_whiskers(const struct curve *c, const struct panel *p, size_t i) {
    const struct tradeoff_point *q = c->point[i];
    str_addf(p->out, "$w%zu << EOD\n", i);
    if (!isnan(q->gauc.lo))
        str_addf(p->out, "%.9g %.9g\n%.9g %.9g\n\n", q->p50_us, fmax(q->gauc.lo, p->y.lo), q->p50_us,
                 fmin(q->gauc.hi, p->y.hi));
    if (!isnan(q->p50_lo_us) && !isnan(q->p50_hi_us))
        str_addf(p->out, "%.9g %.9g\n%.9g %.9g\n\n", q->p50_lo_us, q->gauc.mean, q->p50_hi_us, q->gauc.mean);
    str_add(p->out, "EOD\n");
    str_addf(p->out, "$p%zu << EOD\n%.9g %.9g\nEOD\n", i, q->p50_us, q->gauc.mean);
}

static bool has_whiskers(const struct tradeoff_point *q) {
    return !isnan(q->gauc.lo) || (!isnan(q->p50_lo_us) && !isnan(q->p50_hi_us));
}

static void draw_plot(const struct curve *c, const struct panel *p) {
    static const char *const inside[PLOT_MARKS] = {
        [MARK_RING] = "7", [MARK_BOX] = "5", [MARK_LOZENGE] = "13"};
    str_add(p->out, "plot ");
    if (c->n_front) str_add(p->out, "$front using 1:2 with steps linewidth 1.6 linecolor rgb front, ");
    for (size_t i = 0; i < c->n; i++)
        if (has_whiskers(c->point[i]))
            str_addf(p->out, "$w%zu using 1:2 with lines linewidth 1.3 linecolor rgb %s, ", i,
                     mark_colour(c->point[i]));
    for (size_t i = 0; i < c->n; i++) {
        const struct tradeoff_point *q = c->point[i];
        if (q->chosen == 1)
            str_addf(
                p->out,
                "$p%zu using 1:2 with points pointtype 6 pointsize 2.1 linewidth 1.4 linecolor rgb ink, ", i);
        if (inside[mark_of(q)])
            str_addf(p->out, "$p%zu using 1:2 with points pointtype %s pointsize 1 linecolor rgb paper, ", i,
                     inside[mark_of(q)]);
        str_addf(p->out,
                 "$p%zu using 1:2 with points pointtype %s pointsize 1 linewidth 1.6 linecolor rgb %s%s", i,
                 mark_gnuplot(mark_of(q)), mark_colour(q), i + 1 < c->n ? ", " : "\n");
    }
}

/* ---- names ---- */
static size_t soft_boxes(const struct curve *c, const struct panel *p, struct box *soft) {
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct tradeoff_point *q = c->point[i];
        double x = panel_px(p, q->p50_us);
        if (!isnan(q->gauc.lo))
            soft[n++] = (struct box){x - 2, panel_py(p, q->gauc.hi), x + 2, panel_py(p, q->gauc.lo)};
        double y = panel_py(p, q->gauc.mean);
        if (!isnan(q->p50_lo_us) && !isnan(q->p50_hi_us))
            soft[n++] = (struct box){panel_px(p, q->p50_lo_us), y - 2, panel_px(p, q->p50_hi_us), y + 2};
    }
    for (size_t i = 0; i < c->n_front; i++) {
        const struct tradeoff_point *q = c->front[i];
        double x = panel_px(p, q->p50_us), y = panel_py(p, q->gauc.mean);
        double next = i + 1 < c->n_front ? panel_px(p, c->front[i + 1]->p50_us) : p->right;
        double below = i ? panel_py(p, c->front[i - 1]->gauc.mean) : p->bottom;
        soft[n++] = (struct box){x, y - 1, next, y + 1};
        soft[n++] = (struct box){x - 1, y, x + 1, below};
    }
    return n;
}

static int by_weight(const void *a, const void *b) {
    const struct tradeoff_point *p = *(const struct tradeoff_point *const *)a,
                                *q = *(const struct tradeoff_point *const *)b;
    if ((p->pareto == 1) != (q->pareto == 1)) return p->pareto == 1 ? -1 : 1;
    if (p->gauc.mean != q->gauc.mean) return p->gauc.mean > q->gauc.mean ? -1 : 1;
    return (p->p50_us > q->p50_us) - (p->p50_us < q->p50_us);
}

/* The mark says the feature subset, as long as there are marks enough. */
static bool marks_suffice(const struct curve *c) { return c->s->effect.subsets <= PLOT_MARKS; }

static unsigned named_by(const struct curve *c) { return marks_suffice(c) ? ~(unsigned)STUDY_FEATURES : ~0u; }

static const double BOLD = 1.07; /* width of bold letters over what text_width() says */

static bool is_bold(const struct tradeoff_point *q) { return q->pareto == 1; }

/* Width of the longest line of a wrapped text. */
static double widest(const char *lines, double size) {
    char line[PLOT_TEXT_MAX];
    double w = 0;
    for (;;) {
        size_t n = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, lines);
        w = fmax(w, text_width(line, size));
        if (!lines[n]) return w;
        lines += n + 1;
    }
}

static void draw_names(const struct curve *c, const struct panel *p, size_t n, struct label *label,
                       const struct box *soft, size_t n_soft) {
    static const double size = PLOT_TEXT_PX;
    char name[STUDY_LABEL_MAX], text[PLOT_TEXT_MAX];
    double most = fmin((p->right - p->left) * 0.45, 250);
    for (size_t i = 0; i < c->n; i++) {
        const struct tradeoff_point *q = c->point[i];
        study_label(c->s, q, named_by(c), name);
        int lines = text_wrap(name, size, most, text);
        label[i] = (struct label){.px = panel_px(p, q->p50_us),
                                  .py = panel_py(p, q->gauc.mean),
                                  .w = i < n ? widest(text, size) * (is_bold(q) ? BOLD : 1) + 2 : 1,
                                  .h = i < n ? PLOT_LINE_PX * lines : 1,
                                  .weight = -(double)i,
                                  .radius = q->chosen == 1 ? 10.5 : 6,
                                  .reach = q->pareto == 1 ? 54 : 27};
    }
    labels_place(label, n, c->n, (struct box){p->left + 2, p->top, p->right, p->bottom - 2}, soft, n_soft);
    for (size_t i = 0; i < n; i++) {
        const struct label *l = &label[i];
        if (!l->placed) continue;
        study_label(c->s, c->point[i], named_by(c), name);
        int lines = text_wrap(name, size, most, text);
        double x = fmin(fmax(l->px, l->at.x0), l->at.x1), y = fmin(fmax(l->py, l->at.y0 + 2), l->at.y1 - 2);
        if (l->leader) panel_line(p, l->px, l->py, x, y, "front", 0.7);
        /* anchored on the side of the point, so that a narrower font stays near it */
        int align = l->at.x0 >= l->px ? -1 : l->at.x1 <= l->px ? 1 : 0;
        double at = align < 0 ? l->at.x0 : align > 0 ? l->at.x1 : (l->at.x0 + l->at.x1) / 2;
        panel_lines(p, at, (l->at.y0 + l->at.y1 - PLOT_LINE_PX * (lines - 1)) / 2,
                    (struct pen){.colour = is_bold(c->point[i]) ? "ink" : "muted",
                                 .align = align,
                                 .bold = is_bold(c->point[i])},
                    text);
    }
}

static int place_names(const struct curve *c, const struct panel *p) {
    struct label *label = mem_calloc(c->n, sizeof *label);
    struct box *soft = mem_calloc(4 * c->n, sizeof *soft);
    int ok = label && soft;
    if (ok) draw_names(c, p, c->n < LABELLED_MAX ? c->n : LABELLED_MAX, label, soft, soft_boxes(c, p, soft));
    mem_free(label);
    mem_free(soft);
    return ok;
}

static void add_tips(const struct curve *c, const struct panel *p, struct layout *l) {
    char name[STUDY_LABEL_MAX], p50[24], p99[24], text[400];
    for (size_t i = 0; i < c->n; i++) {
        const struct tradeoff_point *q = c->point[i];
        study_label(c->s, q, ~0u, name);
        plot_microseconds(p50, q->p50_us);
        plot_microseconds(p99, q->p99_us);
        int n = snprintf(text, sizeof text, "%s: GAUC %.4f", name, q->gauc.mean);
        if (!isnan(q->gauc.lo))
            n += snprintf(text + n, sizeof text - (size_t)n, " (%.4f to %.4f)", q->gauc.lo, q->gauc.hi);
        snprintf(text + n, sizeof text - (size_t)n, ", RT p50 %s%s%s", p50, isnan(q->p99_us) ? "" : ", p99 ",
                 isnan(q->p99_us) ? "" : p99);
        layout_tip(l, panel_px(p, q->p50_us), panel_py(p, q->gauc.mean), 11, text);
    }
}

static size_t legend_items(const struct curve *c, struct legend_item *item) {
    const struct effect *f = &c->s->effect;
    size_t n = 0;
    bool chosen = false;
    for (size_t i = 0; i < c->n; i++) chosen |= c->point[i]->chosen == 1;
    item[n++] = (struct legend_item){"Pareto front", "front", LEGEND_LINE, 0};
    if (chosen) item[n++] = (struct legend_item){"chosen", "ink", LEGEND_CHOSEN, 0};
    for (int k = 0; f->subsets > 1 && marks_suffice(c) && k < f->subsets; k++)
        for (size_t g = 0; g < f->groups; g++) {
            if (f->group[g].features_index != k) continue;
            item[n++] = (struct legend_item){f->group[g].features, "muted", (int)plot_mark_of(k), 0};
            break;
        }
    return n;
}

static int draw(const struct curve *c, struct layout *l, int narrow) {
    struct legend_item item[LEGEND_MAX];
    struct ticks x, y;
    size_t n = legend_items(c, item);
    l->w = narrow ? 360 : 960;
    double x0 = narrow ? 4 : 120;
    int lines = plot_legend(NULL, item, n, x0, l->w - 8, 0);
    double legend_y = narrow ? 30 : 12;
    l->h = (narrow ? 350 : 460) + 18 * (lines - 1);
    struct panel p = {.out = &l->script,
                      .w = l->w,
                      .h = l->h,
                      .right = l->w - 20,
                      .top = legend_y + 18 * lines + 6,
                      .bottom = l->h - 46};
    set_scales(c, &p);
    ticks_microseconds(&x, &p.x, narrow ? 5 : 9);
    ticks_number(&y, &p.y, narrow ? 6 : 8);
    p.left = ticks_width(&y);
    panel_axes(&p, &x, &y);
    panel_text(&p, 4, 12, (struct pen){.colour = "muted", .align = -1}, "GAUC (test)");
    panel_text(&p, p.right, l->h - 10, (struct pen){.colour = "muted", .align = 1},
               narrow ? "response time p50, log scale" : "response time per request, p50, log scale");
    panel_text(&p, p.left, l->h - 10, (struct pen){.colour = "muted", .align = -1}, "← faster");
    plot_legend(&p, item, n, x0, l->w - 8, legend_y);
    draw_front(c, &p);
    for (size_t i = 0; i < c->n; i++) draw_whiskers(c, &p, i);
    if (!place_names(c, &p)) return -1;
    draw_plot(c, &p);
    add_tips(c, &p, l);
    return 1;
}

int plot_tradeoff(const struct study *s, double candidates, struct picture *p) {
    struct curve c;
    char name[64], title[120];
    int drawn = collect(s, candidates, &c);
    if (drawn > 0) {
        qsort(c.point, c.n, sizeof(const struct tradeoff_point *), by_weight);
        snprintf(name, sizeof name, "tradeoff-%.0f", candidates);
        snprintf(title, sizeof title, "GAUC against response time, %.0f candidates", candidates);
        picture_name(p, name, title);
        str_addf(&p->text, "%zu models; on the Pareto front, from fast to good:", c.n);
        for (size_t i = 0; i < c.n_front; i++) {
            char label[STUDY_LABEL_MAX];
            study_label(s, c.front[i], ~0u, label);
            str_addf(&p->text, "%s %s", i ? "," : "", label);
        }
        for (int l = 0; l < LAYOUTS && drawn > 0; l++) drawn = draw(&c, &p->layout[l], l == NARROW);
    }
    mem_free(c.point);
    return drawn;
}
