/* Are the probabilities right, not only their order? (calibration.csv, and PCOC and ECE of effect.csv) */
#include "bench/report/plot_series.h"
#include "bench/report/report.h"
#include "bench/report/section.h"
#include <math.h>
#include <string.h>

static void fill(const struct study *s, const struct table *t, const double *predicted,
                 const double *observed, struct series_plot *plot) {
    int variant = table_column(t, "variant"), features = table_column(t, "features");
    for (size_t g = 0; g < s->effect.groups; g++) {
        const struct effect_group *group = s->ranked_groups[g];
        char label[STUDY_LABEL_MAX];
        struct series *one = NULL;
        study_group_label(s, group, label);
        for (size_t i = 0; i < t->rows; i++) {
            if (strcmp(table_text(t, i, variant), group->variant) != 0 ||
                strcmp(table_text(t, i, features), group->features) != 0)
                continue;
            if (!one) one = series_add(plot, label, group->variant_index, group->features_index);
            series_point(one, predicted[i], observed[i], (double)NAN, (double)NAN);
        }
    }
}

static int draw_table(const struct study *s, struct table *t, struct gallery *g, struct err *e) {
    double *predicted, *observed;
    TRY(table_numbers(t, "predicted", &predicted, e));
    TRY(table_numbers(t, "observed", &observed, e));
    struct series_plot *plot = arena_alloc(&t->arena, sizeof *plot);
    if (!plot) return err_nomem(e, sizeof *plot);
    *plot = (struct series_plot){.name = "calibration",
                                 .title = "Observed share of clicks against the predicted one",
                                 .x_label = "predicted",
                                 .y_label = "observed",
                                 .diagonal = true};
    fill(s, t, predicted, observed, plot);
    struct picture *p = gallery_next(g, e);
    return p ? gallery_keep(g, plot_series(plot, p), e) : ERR_INPUT;
}

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    struct table t;
    bool there;
    TRY(section_table(s, "calibration.csv", &t, &there, e));
    if (!there) return 0;
    int rc = draw_table(s, &t, g, e);
    table_release(&t);
    return rc;
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    (void)e;
    str_add(
        out,
        "<section id=\"calibration\">\n<h2>Calibration</h2>\n"
        "<p>Pre-ranking needs the right order; what is downstream may also need the right probability. PCOC "
        "is the sum of predicted clicks over the number of clicks, ECE the mean distance between the two "
        "over equal shares of the rows.</p>\n<div class=\"beside\">\n");
    section_figure(
        g, "calibration",
        "Ten bins of equally many rows, all seeds together. On the grey line predictions are right; below it "
        "they promise too much. Of more than eight models the best eight are drawn.",
        out);
    str_add(out, "<div class=\"compact\">\n");
    report_calibration_table(s, out);
    str_add(out, "</div>\n</div>\n</section>\n");
    return 0;
}

const struct section section_calibration = {"calibration", "Calibration", "calibration", draw, write};
