/* Which training options each variant got, and what the others did on validation rows: tuning.csv. */
#include "bench/report/html.h"
#include "bench/report/section.h"
#include <math.h>
#include <string.h>

struct points { /* tuning.csv */
    struct table t;
    double *value;
    int variant, metric, chosen, first_option;
};

static int load(const struct study *s, struct points *p, bool *there, struct err *e) {
    TRY(section_table(s, "tuning.csv", &p->t, there, e));
    if (!*there) return 0;
    int rc = table_numbers(&p->t, "value", &p->value, e);
    if (!rc) rc = table_need(&p->t, "variant", &p->variant, e);
    if (!rc) rc = table_need(&p->t, "metric", &p->metric, e);
    if (!rc) rc = table_need(&p->t, "chosen", &p->chosen, e);
    p->first_option = p->chosen + 1;
    if (rc) table_release(&p->t);
    return rc;
}

static bool is_chosen(const struct points *p, size_t row) {
    return !strcmp(table_text(&p->t, row, p->chosen), "1");
}

/* Best value of row's variant less its worst: how much there was to choose. */
static double spread(const struct points *p, size_t row) {
    double lo = INFINITY, hi = -INFINITY;
    for (size_t i = 0; i < p->t.rows; i++) {
        if (strcmp(table_text(&p->t, i, p->variant), table_text(&p->t, row, p->variant)) != 0) continue;
        lo = fmin(lo, p->value[i]); /* a point that failed has none */
        hi = fmax(hi, p->value[i]);
    }
    return hi >= lo ? hi - lo : (double)NAN;
}

static void open_table(const struct points *p, bool all, struct str *out) {
    struct html_column column[64] = {{"model", NULL, 't'}};
    size_t n = 1;
    for (int c = p->first_option; c < p->t.columns && n < 60; c++)
        column[n++] = (struct html_column){p->t.name[c], "option of `train`", 't'};
    column[n++] = (struct html_column){"metric", "train.monitor, of the validation rows", 't'};
    column[n++] = (struct html_column){"value", "at the epoch that was kept, first seed", 'h'};
    if (all)
        column[n++] = (struct html_column){"taken", NULL, 't'};
    else
        column[n++] = (struct html_column){"best − worst", "of the points that were tried", 'h'};
    html_table_open(out, column, n, -1);
}

static void rows(const struct points *p, bool all, struct str *out) {
    open_table(p, all, out);
    for (size_t i = 0; i < p->t.rows; i++) {
        if (!all && !is_chosen(p, i)) continue;
        str_add(out, "<tr>");
        html_model(out, table_text(&p->t, i, p->variant), NULL, -1);
        for (int c = p->first_option; c < p->t.columns; c++) html_text_cell(out, table_text(&p->t, i, c));
        html_text_cell(out, table_text(&p->t, i, p->metric));
        html_number(out, p->value[i], "%.4f");
        if (all)
            html_text_cell(out, is_chosen(p, i) ? "taken" : "");
        else
            html_number(out, spread(p, i), "%.4f");
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    struct points p;
    bool there;
    (void)g;
    TRY(load(s, &p, &there, e));
    if (!there) return 0;
    if (p.t.rows) {
        str_add(out,
                "<section id=\"tuning\">\n<h2>Tuning</h2>\n<p>Training options that each variant got, by "
                "the validation rows of its first seed. The same number of points was tried for each, so "
                "that none is compared with options that suit another.</p>\n");
        rows(&p, false, out);
        str_add(out, "<details><summary>All points that were tried</summary>\n");
        rows(&p, true, out);
        str_add(out, "</details>\n</section>\n");
    }
    table_release(&p.t);
    return 0;
}

const struct section section_tuning = {"tuning", "Tuning", NULL, NULL, write};
