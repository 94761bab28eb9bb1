/* "Selection": which fields, how many, and by whose advice. */
#include "bench/report/html.h"
#include "bench/report/section.h"
#include "bench/report/selection.h"
#include "bench/report/svg.h"
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static bool first_of_variant(const struct selection *sel, int i) {
    for (int k = 0; k < i; k++)
        if (!strcmp(sel->curve[k].variant, sel->curve[i].variant)) return false;
    return true;
}

static int keep_next(struct gallery *g, int (*plot)(const struct selection *, int, struct picture *),
                     const struct selection *sel, int i, struct err *e) {
    struct picture *p = gallery_next(g, e);
    return p ? gallery_keep(g, plot(sel, i, p), e) : ERR_INPUT;
}

static int by_k(const struct selection *sel, int i, struct picture *p) {
    return plot_selection(sel, sel->curve[i].variant, false, p);
}
static int by_time(const struct selection *sel, int i, struct picture *p) {
    return plot_selection(sel, sel->curve[i].variant, true, p);
}
static int bars(const struct selection *sel, int i, struct picture *p) {
    return plot_importance(sel, &sel->curve[i], p);
}

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    struct selection sel;
    int rc = selection_load(s, &sel, e);
    for (int i = 0; i < sel.n && !rc; i++) {
        if (first_of_variant(&sel, i)) rc = keep_next(g, by_k, &sel, i, e);
        if (!rc && first_of_variant(&sel, i)) rc = keep_next(g, by_time, &sel, i, e);
        if (!rc && selection_first(&sel.curve[i])) rc = keep_next(g, bars, &sel, i, e);
    }
    selection_release(&sel);
    return rc;
}

static void area_table(const struct selection *sel, struct str *out) {
    static const struct html_column column[] = {
        {"Curve", "variant, and the selector that ranked its fields", 't'},
        {"Area over K",
         "mean test GAUC over the numbers of fields; 95 % interval over the seeds of training, the ranking "
         "being the same",
         'h'},
        {"over rankings",
         "mean of the areas by each of the selector's rankings, where it has several; 95 % interval over "
         "these",
         'h'},
        {"on validation", "the same on the validation split", 'h'},
        {"Area over RT", "mean over the response time of what validation would choose within it", 'h'},
        {"Points", "numbers of fields that were tried", 'h'}};
    html_table_open(out, column, COUNT(column), -1);
    for (int i = 0; i < sel->n; i++) {
        const struct selection_curve *c = &sel->curve[i];
        const struct effect_stat area = {1, c->area, c->area_lo, c->area_hi},
                                 over = {1, c->area_rankings, c->area_rankings_lo, c->area_rankings_hi};
        str_add(out, "<tr>");
        html_model(out, c->variant, c->selector, c->colour);
        html_stat(out, &area, 4);
        html_stat(out, &over, 4);
        html_number(out, c->area_valid, "%.4f");
        html_number(out, c->area_rt, "%.4f");
        html_number(out, c->n, "%.0f");
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
}

static void curves(const struct selection *sel, const struct gallery *g, struct str *out) {
    for (int i = 0; i < sel->n; i++) {
        char name[96];
        if (!first_of_variant(sel, i)) continue;
        snprintf(name, sizeof name, "selection-k-%.60s", sel->curve[i].variant);
        section_figure(g, name,
                       "Each point is a model trained again on that many fields, the most important ones of "
                       "one selector. "
                       "Whiskers: 95&nbsp;% intervals over the seeds.",
                       out);
        snprintf(name, sizeof name, "selection-rt-%.60s", sel->curve[i].variant);
        section_figure(g, name, "The same models against what they cost; whiskers on both axes.", out);
    }
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    struct selection sel;
    TRY(selection_load(s, &sel, e));
    int rc = sel.n ? selection_save(&sel, s->dir, e) : 0;
    if (!rc && sel.n) {
        str_add(out, "<section id=\"selection\">\n<h2>Choosing fields</h2>\n<p>How much quality is left when "
                     "only the most important fields are kept: the better a selector ranks the fields, the "
                     "higher its curve at the left.</p>\n");
        curves(&sel, g, out);
        area_table(&sel, out);
        str_add(
            out,
            "<h3>What a field is worth</h3>\n<p>Each selector on a scale of its own. A bar’s colour is the "
            "field’s side, "
            "which stands beside its name. What each costs is in fields.csv.</p>\n");
        section_figures(g, "selection-importance-", strlen("Importance of fields: "), out);
        str_add(out, "</section>\n");
    }
    selection_release(&sel);
    return rc;
}

const struct section section_selection = {"selection", "Selection", "selection-", draw, write};
