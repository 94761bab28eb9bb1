/* The usual curve of approximate search: QPS on a log axis against recall, one line an index, one point a search
 * parameter. Further up and right is better; the exact index is the point at recall 1. Whiskers are 95 % intervals: of recall
 * over seeds, or over users where there is one seed; of QPS over seeds. */
#include "bench/report/retrieval.h"
#include <math.h>
#include <string.h>

enum { INDEXES_MAX = 32 };
struct curves {
    const struct retrieval *r;
    int model;
    double topk;
    int n;
    const char *index[INDEXES_MAX];
    const char *variant, *features;
    struct scale x, y;
};

static bool belongs(const struct curves *c, const struct retrieval_line *l) {
    return l->model == c->model && l->topk == c->topk && l->recall >= 0 && l->qps > 0;
}

/* The lower or upper end of the interval; NaN: none. */
static double recall_end(const struct retrieval_line *l, bool upper) {
    if (!isnan(l->recall_seeds_lo)) return upper ? l->recall_seeds_hi : l->recall_seeds_lo;
    return upper ? l->recall_hi : l->recall_lo;
}

static bool collect(struct curves *c) {
    double lo = INFINITY, hi = -INFINITY, least = 1;
    for (size_t i = 0; i < c->r->n; i++) {
        const struct retrieval_line *l = &c->r->line[i];
        if (!belongs(c, l)) continue;
        int k = 0;
        while (k < c->n && strcmp(c->index[k], l->index) != 0) k++;
        if (k == INDEXES_MAX) continue;
        if (k == c->n) c->index[c->n++] = l->index;
        c->variant = l->variant;
        c->features = l->features;
        range_add(&lo, &hi, l->qps);
        least = fmin(least, fmax(l->recall - 0.1, fmin(l->recall, recall_end(l, false))));
    }
    /* room for whole points at both ends */
    c->x = (struct scale){fmax(0, floor(least * 10 - 0.2) / 10), 1.02, false};
    c->y = scale_around(lo, hi, true, 0.08);
    return c->n > 0;
}

static void add_data(const struct curves *c, const struct panel *p, int k) {
    str_addf(p->out, "$i%d << EOD\n", k);
    for (size_t i = 0; i < c->r->n; i++) {
        const struct retrieval_line *l = &c->r->line[i];
        if (belongs(c, l) && !strcmp(l->index, c->index[k]))
            str_addf(p->out, "%.9g %.9g\n", l->recall, l->qps);
    }
    str_add(p->out, "EOD\n");
}

/* Both intervals of each point of a curve, as lines apart, cut at the frame; whether there is one. */
static bool add_whiskers(const struct curves *c, const struct panel *p, int k) {
    bool any = false;
    str_addf(p->out, "$w%d << EOD\n", k);
    for (size_t i = 0; i < c->r->n; i++) {
        const struct retrieval_line *l = &c->r->line[i];
        if (!belongs(c, l) || strcmp(l->index, c->index[k]) != 0) continue;
        double left = fmax(p->x.lo, recall_end(l, false)), right = fmin(p->x.hi, recall_end(l, true));
        if (!isnan(recall_end(l, false)))
            str_addf(p->out, "%.9g %.9g\n%.9g %.9g\n\n", left, l->qps, right, l->qps);
        if (!isnan(l->qps_seeds_lo))
            str_addf(p->out, "%.9g %.9g\n%.9g %.9g\n\n", l->recall, fmax(p->y.lo, l->qps_seeds_lo), l->recall,
                     fmin(p->y.hi, l->qps_seeds_hi));
        any |= !isnan(recall_end(l, false)) || !isnan(l->qps_seeds_lo);
    }
    str_add(p->out, "EOD\n");
    return any;
}

static void add_tips(const struct curves *c, const struct panel *p, struct layout *out) {
    for (size_t i = 0; i < c->r->n; i++) {
        const struct retrieval_line *l = &c->r->line[i];
        char value[32] = "", text[300];
        if (!belongs(c, l)) continue;
        if (*l->parameter) snprintf(value, sizeof value, " %.0f", l->value);
        snprintf(text, sizeof text, "%s%s%.40s%s: recall %.4f, %.0f QPS", l->index, *l->parameter ? ", " : "",
                 l->parameter, value, l->recall, l->qps);
        layout_tip(out, panel_px(p, l->recall), panel_py(p, l->qps), 7, text);
    }
}

/* 10, 30, 100, ... requests a second */
static void qps_ticks(struct ticks *t, const struct scale *y) {
    ticks_number(t, y, 7);
    for (int i = 0; i < t->n; i++)
        snprintf(t->label[i], sizeof t->label[0], t->at[i] >= 1000 ? "%.6gk" : "%.6g",
                 t->at[i] >= 1000 ? t->at[i] / 1e3 : t->at[i]);
}

static void draw(const struct curves *c, struct layout *l, bool narrow) {
    struct legend_item item[INDEXES_MAX];
    for (int k = 0; k < c->n; k++)
        item[k] = (struct legend_item){c->index[k], plot_colour(k), (int)plot_mark_of(k), 0};
    l->w = narrow ? 360 : 520;
    int lines = plot_legend(NULL, item, (size_t)c->n, 4, l->w - 8, 0);
    double top = 34 + 18 * lines;
    l->h = top + (narrow ? 230 : 270) + 44;
    struct panel p = {.out = &l->script, .w = l->w, .h = l->h, .top = top, .x = c->x, .y = c->y};
    struct ticks x, y;
    ticks_number(&x, &p.x, narrow ? 5 : 8);
    qps_ticks(&y, &p.y);
    p.left = ticks_width(&y);
    p.right = l->w - 10;
    p.bottom = l->h - 44;
    panel_axes(&p, &x, &y);
    panel_text(&p, 4, top - 16, (struct pen){.colour = "muted", .align = -1},
               "requests per second, log scale");
    panel_text(&p, p.right, l->h - 8, (struct pen){.colour = "muted", .align = 1},
               "recall against the exact result");
    plot_legend(&p, item, (size_t)c->n, 4, l->w - 8, 10);
    bool whiskers[INDEXES_MAX];
    for (int k = 0; k < c->n; k++) add_data(c, &p, k);
    for (int k = 0; k < c->n; k++) whiskers[k] = add_whiskers(c, &p, k);
    for (int k = 0; k < c->n; k++) {
        str_addf(p.out,
                 "%s $i%d using 1:2 with linespoints linewidth 1.6 dashtype %s pointtype %s pointsize 0.8 "
                 "linecolor rgb %s",
                 k ? "," : "plot", k, plot_dash(k), mark_gnuplot(plot_mark_of(k)), plot_colour(k));
        if (whiskers[k])
            str_addf(p.out, ", $w%d using 1:2 with lines linewidth 1.1 linecolor rgb %s", k, plot_colour(k));
    }
    str_add(p.out, "\n");
    add_tips(c, &p, l);
}

int plot_retrieval(const struct study *s, const struct retrieval *r, int model, double topk,
                   struct picture *p) {
    struct curves c = {.r = r, .model = model, .topk = topk};
    char id[160], slug[64], name[96], title[200];
    if (!collect(&c)) return 0;
    snprintf(id, sizeof id, "%.70s%s%.70s", c.variant, s->effect.subsets > 1 ? "-" : "",
             s->effect.subsets > 1 ? c.features : "");
    plots_slug(id, model, slug);
    snprintf(name, sizeof name, "retrieval-%s-%.0f", slug, topk);
    snprintf(title, sizeof title, "Recall and QPS of %.60s%s%.60s, top %.0f", c.variant,
             s->effect.subsets > 1 ? " · " : "", s->effect.subsets > 1 ? c.features : "", topk);
    picture_name(p, name, title);
    str_add(&p->text, "Recall against the exact result, and requests per second:");
    for (size_t i = 0; i < r->n; i++) {
        const struct retrieval_line *l = &r->line[i];
        if (!belongs(&c, l)) continue;
        str_addf(&p->text, " %s", l->index);
        if (*l->parameter) str_addf(&p->text, " %s %.0f", l->parameter, l->value);
        str_addf(&p->text, " %.3f at %.0f;", l->recall, l->qps);
    }
    for (int l = 0; l < LAYOUTS; l++) draw(&c, &p->layout[l], l == NARROW);
    return 1;
}
