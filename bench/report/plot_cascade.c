/* The cascade: what the final list is worth against the candidates that the pre-ranker keeps, or against the time that both
 * stages take; one line a model, the ranker alone as a diamond. */
#include "bench/report/plots.h"
#include "bench/report/section_cascade.h"
#include <math.h>
#include <string.h>

enum { LEGEND_MAX = 16 };

static const double *across(const struct cascade_table *c, bool cost) { return cost ? c->total_us : c->k; }

static bool drawable(const struct cascade_table *c, size_t row, bool cost) {
    return across(c, cost)[row] > 0 && !isnan(c->ndcg[row]);
}

static int series_of(const struct study *s, const struct cascade_table *c, size_t row) {
    size_t g = effect_find(&s->effect, cascade_text(c, row, CASCADE_VARIANT),
                           cascade_text(c, row, CASCADE_FEATURES));
    return g < s->effect.groups ? s->effect.group[g].variant_index : 0;
}

static bool same_model(const struct cascade_table *c, size_t a, size_t b) {
    return !strcmp(cascade_text(c, a, CASCADE_VARIANT), cascade_text(c, b, CASCADE_VARIANT)) &&
           !strcmp(cascade_text(c, a, CASCADE_FEATURES), cascade_text(c, b, CASCADE_FEATURES));
}

/* The end of the model whose rows begin at `from`. */
static size_t model_end(const struct cascade_table *c, size_t from) {
    size_t end = from + 1;
    while (end < c->t.rows && same_model(c, from, end)) end++;
    return end;
}

static size_t legend(const struct study *s, const struct cascade_table *c,
                     struct legend_item item[LEGEND_MAX]) {
    size_t n = 0;
    for (size_t r = 0; r < c->t.rows; r = model_end(c, r)) {
        const char *variant = cascade_text(c, r, CASCADE_VARIANT);
        bool there = cascade_is_ranker(c, r);
        for (size_t i = 0; i < n; i++) there |= !strcmp(item[i].text, variant);
        if (!there && n < LEGEND_MAX - 1)
            item[n++] = (struct legend_item){variant, plot_colour(series_of(s, c, r)), LEGEND_LINE,
                                             1 + (int)plot_mark_of(series_of(s, c, r))};
    }
    for (size_t r = 0; r < c->t.rows; r++)
        if (cascade_is_ranker(c, r)) {
            item[n++] =
                (struct legend_item){"the ranker alone", plot_colour(series_of(s, c, r)), MARK_DIAMOND, 0};
            break;
        }
    return n;
}

static void scales(const struct cascade_table *c, bool cost, struct panel *p) {
    double lo = INFINITY, hi = -INFINITY, left = INFINITY, right = -INFINITY;
    for (size_t r = 0; r < c->t.rows; r++) {
        if (!drawable(c, r, cost)) continue;
        range_add(&left, &right, across(c, cost)[r]);
        range_add(&lo, &hi, c->ndcg[r]);
    }
    p->x = scale_around(left, right, true, 0.04);
    p->y = scale_around(lo, hi, false, 0.08);
}

static void lines(const struct study *s, const struct cascade_table *c, bool cost, struct layout *l,
                  const struct panel *p) {
    const char *sep = "plot ";
    struct str *out = p->out;
    size_t n = 0;
    for (size_t r = 0; r < c->t.rows; r = model_end(c, r), n++) {
        str_addf(out, "$m%zu << EOD\n0 NaN\n", n);
        for (size_t i = r; i < model_end(c, r); i++) {
            char tip[260];
            if (!drawable(c, i, cost)) continue;
            double x = across(c, cost)[i];
            str_addf(out, "%.9g %.9g\n", x, c->ndcg[i]);
            snprintf(tip, sizeof tip, "%.60s %.60s keeps %.0f: NDCG@10 %.4f, %.0f us",
                     cascade_text(c, i, CASCADE_VARIANT), cascade_text(c, i, CASCADE_FEATURES), c->k[i],
                     c->ndcg[i], c->total_us[i]);
            layout_tip(l, panel_px(p, x), panel_py(p, c->ndcg[i]), 7, tip);
        }
        str_add(out, "EOD\n");
    }
    n = 0;
    for (size_t r = 0; r < c->t.rows; r = model_end(c, r), n++, sep = ", ") {
        size_t g = effect_find(&s->effect, cascade_text(c, r, CASCADE_VARIANT),
                               cascade_text(c, r, CASCADE_FEATURES));
        int subset = g < s->effect.groups ? s->effect.group[g].features_index : 0;
        str_addf(out, "%s$m%zu using 1:2 with ", sep, n);
        if (cascade_is_ranker(c, r))
            str_add(out, "points pointtype 13 pointsize 1.1");
        else
            str_addf(out, "linespoints pointtype %s pointsize 0.6 linewidth 1.6 dashtype %s",
                     mark_gnuplot(plot_mark_of(series_of(s, c, r))), plot_dash(subset));
        str_addf(out, " linecolor rgb %s", plot_colour(series_of(s, c, r)));
    }
    str_add(out, "\n");
}

static void draw(const struct study *s, const struct cascade_table *c, bool cost, struct layout *l,
                 bool narrow) {
    struct legend_item item[LEGEND_MAX];
    struct ticks x, y;
    size_t n = legend(s, c, item);
    l->w = narrow ? 360 : 520;
    int rows = plot_legend(NULL, item, n, 4, l->w - 8, 0);
    l->h = 18 * rows + (narrow ? 300 : 340);
    struct panel p = {.out = &l->script,
                      .w = l->w,
                      .h = l->h,
                      .right = l->w - 26, /* half of the last tick's label */
                      .top = 34 + 18 * rows,
                      .bottom = l->h - 46};
    scales(c, cost, &p);
    ticks_number(&y, &p.y, 6);
    if (cost)
        ticks_microseconds(&x, &p.x, narrow ? 4 : 6);
    else
        ticks_number(&x, &p.x, narrow ? 5 : 8);
    p.left = ticks_width(&y);
    panel_axes(&p, &x, &y);
    plot_legend(&p, item, n, 4, p.w - 8, 10);
    panel_text(&p, 4, p.top - 16, (struct pen){.colour = "muted", .align = -1}, "NDCG@10 of the final list");
    panel_text(&p, p.right, l->h - 8, (struct pen){.colour = "muted", .align = 1},
               cost ? "time of both stages, log scale" : "candidates that the pre-ranker keeps, log scale");
    lines(s, c, cost, l, &p);
}

int plot_cascade(const struct study *s, const struct cascade_table *c, bool cost, struct picture *p) {
    size_t n = 0;
    for (size_t r = 0; r < c->t.rows; r++) n += drawable(c, r, cost);
    if (n < 2) return 0;
    picture_name(p, cost ? "cascade-cost" : "cascade-k",
                 cost ? "The cascade: worth of the final list against time"
                      : "The cascade: worth of the final list against candidates kept");
    str_add(&p->text,
            "NDCG@10 of the list that the pre-ranker and the ranker make together, one line a model.");
    for (int l = 0; l < LAYOUTS; l++) draw(s, c, cost, &p->layout[l], l == NARROW);
    return 1;
}
