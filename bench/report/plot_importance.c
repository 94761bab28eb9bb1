/* Importance of each field by one selector: a bar each, the most important first. */
#include "base/mem.h"
#include "bench/report/plots.h"
#include "bench/report/selection.h"
#include <math.h>
#include <string.h>

enum { BARS_MAX = 60 };

struct bars {
    int n;
    const char *field[BARS_MAX], *side[BARS_MAX];
    double value[BARS_MAX];
};

/* The rows of the mean over seeds, which importance.csv has by rank. */
static int collect(const struct selection *sel, const struct selection_curve *c, struct bars *b) {
    const struct table *t = &sel->importance;
    const double *value = sel->importance_value;
    b->n = 0;
    for (size_t r = 0; r < t->rows && b->n < BARS_MAX; r++) {
        if (strcmp(table_text(t, r, table_column(t, "variant")), c->variant) != 0 ||
            strcmp(table_text(t, r, table_column(t, "selector")), c->selector) != 0 ||
            strcmp(table_text(t, r, table_column(t, "seed")), "mean") != 0 || isnan(value[r]))
            continue;
        b->field[b->n] = table_text(t, r, table_column(t, "field"));
        b->side[b->n] = table_text(t, r, table_column(t, "side"));
        b->value[b->n++] = value[r];
    }
    return b->n > 0;
}

/* The side has its own colour, and its name stands beside the bar: colour alone says nothing. */
static const char *side_colour(const char *side) {
    return !strcmp(side, "user") ? "c1" : !strcmp(side, "item") ? "c3" : "c2";
}

/* Room of the names, and where each row is; a name that is too long for its room takes several lines. */
struct rows {
    double name, y[BARS_MAX], bottom;
};

static void place(const struct bars *b, double top, double most, struct rows *r) {
    char text[PLOT_TEXT_MAX];
    r->name = 40;
    for (int i = 0; i < b->n; i++) r->name = fmin(fmax(r->name, text_width(b->field[i], PLOT_TEXT_PX)), most);
    r->bottom = top;
    for (int i = 0; i < b->n; i++) {
        double h = 5 + PLOT_LINE_PX * text_wrap(b->field[i], PLOT_TEXT_PX, r->name, text);
        r->y[i] = r->bottom + h / 2;
        r->bottom += h;
    }
}

static void draw(const struct bars *b, const struct selection_curve *c, struct layout *l, int narrow) {
    static const double top = 8, side = 34;
    double lo = 0, hi = 0;
    struct ticks x;
    struct rows r;
    for (int i = 0; i < b->n; i++) range_add(&lo, &hi, b->value[i]);
    place(b, top, narrow ? 130 : 200, &r);
    l->w = narrow ? 360 : 460;
    l->h = r.bottom + 54;
    struct panel p = {.out = &l->script,
                      .w = l->w,
                      .h = l->h,
                      .left = r.name + 16 + side,
                      .right = l->w - 16,
                      .top = top,
                      .bottom = r.bottom + 6};
    p.x = (struct scale){lo, hi > lo ? hi : lo + 1, false};
    if (lo < 0) p.x.lo = lo - (hi - lo) * 0.02;
    p.y = (struct scale){0, 1, false};
    ticks_number(&x, &p.x, narrow ? 3 : 4);
    panel_axes(&p, &x, NULL);
    panel_text(&p, p.right, l->h - 8, (struct pen){.colour = "muted", .align = 1}, "importance");
    for (int i = 0; i < b->n; i++) {
        char text[PLOT_TEXT_MAX], tip[256];
        double y = r.y[i];
        int lines = text_wrap(b->field[i], PLOT_TEXT_PX, r.name, text);
        panel_lines(&p, r.name + 8, y - PLOT_LINE_PX * (lines - 1) / 2, (struct pen){.align = 1}, text);
        panel_text(&p, r.name + 16, y, (struct pen){.colour = "muted", .align = -1, .size = 10}, b->side[i]);
        panel_line(&p, panel_px(&p, 0), y, panel_px(&p, b->value[i]), y, side_colour(b->side[i]), 9);
        snprintf(tip, sizeof tip, "%.80s (%.10s) by %.40s: %.4g", b->field[i], b->side[i], c->selector,
                 b->value[i]);
        layout_tip(l, panel_px(&p, b->value[i]), y, 8, tip);
    }
    str_add(p.out, "plot NaN\n");
}

int plot_importance(const struct selection *sel, const struct selection_curve *c, struct picture *p) {
    struct bars b;
    char name[96], title[200];
    int rc = collect(sel, c, &b);
    if (rc <= 0) return rc;
    snprintf(name, sizeof name, "selection-importance-%.48s-%.24s", c->variant, c->selector);
    snprintf(title, sizeof title, "Importance of fields: %.60s by %.40s", c->variant, c->selector);
    picture_name(p, name, title);
    str_add(&p->text, "The most important first:");
    for (int i = 0; i < b.n; i++) str_addf(&p->text, "%s %s %.4g", i ? "," : "", b.field[i], b.value[i]);
    for (int l = 0; l < LAYOUTS; l++) draw(&b, c, &p->layout[l], l == NARROW);
    return 1;
}
