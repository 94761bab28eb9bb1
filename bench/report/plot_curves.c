/* Training of one variant: validation GAUC and training loss after each epoch, the mean over the seeds with
 * the spread from the lowest to the highest; the other variants behind it in grey, on the same scales. */
#include "base/mem.h"
#include "bench/report/plots.h"
#include <math.h>
#include <string.h>

enum { EPOCHS_MAX = 1000, LEGEND_MAX = 16, GAUC = 0, LOSS = 1 };

struct series { /* the seeds of one group: epochs 0..epochs-1 */
    const struct effect_group *group;
    int epochs;
    size_t seeds;
    int n[EPOCHS_MAX]; /* values at each epoch */
    double sum[EPOCHS_MAX], lo[EPOCHS_MAX], hi[EPOCHS_MAX];
};
struct curves {
    const struct study *s;
    int variant;
    const double *value[2]; /* columns of curves.csv */
    int column[2];          /* variant, features */
    struct scale x, y[2];
    struct series *work;
};

/* What row r says about epoch and value of `what`; 0 when it says nothing. */
static int row_value(const struct curves *c, size_t r, int what, int *epoch, double *v) {
    *v = c->value[what][r];
    if (!(c->s->epoch[r] >= 0 && c->s->epoch[r] < EPOCHS_MAX) || isnan(*v)) return 0;
    *epoch = (int)c->s->epoch[r];
    return 1;
}

static void gather(const struct curves *c, const struct effect_group *g, int what, struct series *out) {
    const struct table *t = &c->s->curves;
    *out = (struct series){.group = g};
    for (size_t r = 0; r < t->rows; r++) {
        int epoch;
        double v;
        if (strcmp(table_text(t, r, c->column[0]), g->variant) != 0 ||
            strcmp(table_text(t, r, c->column[1]), g->features) != 0 || !row_value(c, r, what, &epoch, &v))
            continue;
        if (!out->n[epoch]++) out->lo[epoch] = out->hi[epoch] = v;
        out->sum[epoch] += v;
        range_add(&out->lo[epoch], &out->hi[epoch], v);
        if (epoch >= out->epochs) out->epochs = epoch + 1;
        if ((size_t)out->n[epoch] > out->seeds) out->seeds = (size_t)out->n[epoch];
    }
}

/* The same for every variant's picture: before training (epoch 0) GAUC is a coin's, and would flatten the
 * rest. */
static int set_scales(struct curves *c) {
    double last = 0;
    bool any = false;
    for (int what = 0; what < 2; what++) {
        double lo = INFINITY, hi = -INFINITY;
        for (size_t r = 0; r < c->s->curves.rows; r++) {
            int epoch;
            double v;
            if (!row_value(c, r, what, &epoch, &v)) continue;
            last = fmax(last, epoch);
            if (epoch > 0) range_add(&lo, &hi, v);
        }
        any |= lo <= hi;
        c->y[what] = scale_around(lo, hi, false, 0.05);
    }
    c->x = (struct scale){last > 1 ? 1 : 0, fmax(last, 1), false};
    return any;
}

/* The mean goes as far as all seeds do: where some have stopped, it would jump for that reason alone. */
static void add_data(const struct series *k, const char *name, size_t i, struct str *out) {
    str_addf(out, "$%s%zu << EOD\n", name, i);
    int written = 0;
    for (int e = 0; e < k->epochs; e++) {
        if (!k->n[e]) continue;
        if ((size_t)k->n[e] < k->seeds && written) continue;
        str_addf(out, "%d %.9g %.9g %.9g\n", e, k->sum[e] / k->n[e], k->lo[e], k->hi[e]);
        written++;
    }
    if (!written) str_add(out, "0 NaN NaN NaN\n");
    str_add(out, "EOD\n");
}

static void plot_lines(const struct curves *c, struct str *out, size_t behind, size_t own, int what) {
    const char *name = what == GAUC ? "g" : "t", *sep = "plot ";
    for (size_t i = 0; i < behind; i++, sep = ", ")
        str_addf(out, "%s$%sb%zu using 1:2 with lines linewidth 1 linecolor rgb faint", sep, name, i);
    for (size_t i = 0; i < own; i++, sep = ", ")
        str_addf(out, "%s$%so%zu using 1:3:4 with filledcurves linecolor rgb %s", sep, name, i,
                 plot_colour(c->variant));
    for (size_t i = 0; i < own; i++, sep = ", ")
        str_addf(out,
                 "%s$%so%zu using 1:2 with linespoints linewidth 1.8 dashtype %s pointtype 7 pointsize 0.5 "
                 "linecolor rgb %s",
                 sep, name, i, plot_dash((int)i), plot_colour(c->variant));
    str_add(out, *sep == 'p' ? "plot NaN\n" : "\n");
}

static void draw_panel(const struct curves *c, const struct panel *at, int what, bool titles,
                       const struct legend_item *item, size_t n_items) {
    struct panel p = *at;
    struct ticks x, y;
    size_t behind = 0, own = 0;
    const struct effect *f = &c->s->effect;
    p.x = c->x;
    p.y = c->y[what];
    for (size_t g = 0; g < f->groups; g++) {
        bool mine = f->group[g].variant_index == c->variant;
        gather(c, &f->group[g], what, c->work);
        const char *name = what == GAUC ? (mine ? "go" : "gb") : (mine ? "to" : "tb");
        add_data(c->work, name, mine ? own++ : behind++, p.out);
    }
    ticks_number(&x, &p.x, 6);
    int whole = 0;
    for (int i = 0; i < x.n; i++) {
        if (fabs(x.at[i] - round(x.at[i])) > 1e-9) continue;
        x.at[whole] = x.at[i];
        snprintf(x.label[whole++], sizeof x.label[0], "%.0f", x.at[i]);
    }
    x.n = whole;
    ticks_number(&y, &p.y, 5);
    p.left += ticks_width(&y);
    panel_axes(&p, &x, &y);
    panel_text(&p, at->left + 4, p.top - 16, (struct pen){.colour = "muted", .align = -1},
               what == GAUC ? "GAUC, validation" : "loss, training");
    if (titles) panel_text(&p, p.right, p.bottom + 32, (struct pen){.colour = "muted", .align = 1}, "epoch");
    plot_legend(&p, item, n_items, 4, p.w - 8, 10);
    plot_lines(c, p.out, behind, own, what);
}

/* Lines of the legend, or 0 when there is but one feature subset. */
static size_t legend_items(const struct curves *c, struct legend_item *item) {
    const struct effect *f = &c->s->effect;
    size_t n = 0;
    for (size_t g = 0; g < f->groups && n < LEGEND_MAX; g++) {
        if (f->group[g].variant_index != c->variant) continue;
        item[n] = (struct legend_item){f->group[g].features, plot_colour(c->variant),
                                       LEGEND_LINE + (int)n % PLOT_DASHES, 0};
        n++;
    }
    return f->subsets > 1 ? n : 0;
}

static void draw(const struct curves *c, struct layout *l, int narrow) {
    struct legend_item item[LEGEND_MAX];
    size_t n = legend_items(c, item);
    l->w = narrow ? 360 : 520;
    int lines = plot_legend(NULL, item, n, 4, l->w - 8, 0);
    double top = 28 + 18 * lines, height = narrow ? 150 : 170;
    l->h = top + height + 44 + (narrow ? height + 50 : 0);
    struct panel p = {.out = &l->script, .w = l->w, .h = l->h, .left = 0, .top = top, .bottom = top + height};
    p.right = narrow ? l->w - 10 : l->w / 2 - 8;
    str_add(p.out, "set multiplot\n");
    draw_panel(c, &p, GAUC, !narrow, item, n);
    if (narrow) {
        p.top += height + 50;
        p.bottom += height + 50;
    } else {
        p.left = l->w / 2;
        p.right = l->w - 8;
    }
    draw_panel(c, &p, LOSS, true, NULL, 0);
    str_add(p.out, "unset multiplot\n");
}

int plot_curves(const struct study *s, int variant, struct picture *p) {
    struct curves c = {.s = s,
                       .variant = variant,
                       .value = {s->valid_gauc, s->train_loss},
                       .column = {table_column(&s->curves, "variant"), table_column(&s->curves, "features")}};
    char slug[64], name[96], title[200];
    const char *id = "";
    for (size_t g = 0; g < s->effect.groups; g++)
        if (s->effect.group[g].variant_index == variant) id = s->effect.group[g].variant;
    if (!set_scales(&c)) return 0;
    c.work = mem_calloc(1, sizeof *c.work);
    if (!c.work) return -1;
    plots_slug(id, variant, slug);
    snprintf(name, sizeof name, "curves-%s", slug);
    snprintf(title, sizeof title, "Training of %.100s", id);
    picture_name(p, name, title);
    str_addf(&p->text,
             "Validation GAUC and training loss after each epoch; the band spans the seeds, other variants "
             "are grey.");
    for (int l = 0; l < LAYOUTS; l++) draw(&c, &p->layout[l], l == NARROW);
    mem_free(c.work);
    return 1;
}
