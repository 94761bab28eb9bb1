/* GAUC by the user's activity and by the item's popularity (slices.csv). */
#include "bench/report/html.h"
#include "bench/report/plot_series.h"
#include "bench/report/section.h"
#include <string.h>

struct kind {
    const char *by, *name, *title, *x_label;
};
static const struct kind kinds[] = {
    {"user", "slices-user", "GAUC by the user’s activity", "training rows of the user"},
    {"item", "slices-item", "GAUC by the item’s popularity", "training rows of the item"}};

struct rows {
    struct table t;
    int variant, features, by;
    double *slice, *from, *to, *gauc, *lo, *hi;
};

static int load(const struct study *s, struct rows *r, bool *there, struct err *e) {
    TRY(section_table(s, "slices.csv", &r->t, there, e));
    if (!*there) return 0;
    r->variant = table_column(&r->t, "variant");
    r->features = table_column(&r->t, "features");
    r->by = table_column(&r->t, "by");
    static const char *const name[] = {"slice", "from", "to", "gauc", "gauc_lo", "gauc_hi"};
    double **out[] = {&r->slice, &r->from, &r->to, &r->gauc, &r->lo, &r->hi};
    int rc = 0;
    for (size_t i = 0; i < sizeof name / sizeof *name && !rc; i++)
        rc = table_numbers(&r->t, name[i], out[i], e);
    if (rc) table_release(&r->t);
    return rc;
}

/* The models in order of GAUC, as many as can be told apart. */
static void fill(const struct study *s, const struct rows *r, const struct kind *k,
                 struct series_plot *plot) {
    for (size_t g = 0; g < s->effect.groups; g++) {
        const struct effect_group *group = s->ranked_groups[g];
        char label[STUDY_LABEL_MAX];
        struct series *one = NULL;
        for (size_t i = 0; i < r->t.rows; i++) {
            if (strcmp(table_text(&r->t, i, r->variant), group->variant) != 0 ||
                strcmp(table_text(&r->t, i, r->features), group->features) != 0 ||
                strcmp(table_text(&r->t, i, r->by), k->by) != 0 ||
                !(r->slice[i] >= 1 && r->slice[i] <= SERIES_POINTS))
                continue;
            int slice = (int)r->slice[i];
            study_group_label(s, group, label);
            if (!one) one = series_add(plot, label, group->variant_index, group->features_index);
            series_point(one, slice, r->gauc[i], r->lo[i], r->hi[i]);
            if (slice > plot->names) plot->names = slice;
            if (r->from[i] < r->to[i])
                snprintf(plot->x_name[slice - 1], 24, "%.0f–%.0f", r->from[i], r->to[i]);
            else
                snprintf(plot->x_name[slice - 1], 24, "%.0f", r->from[i]);
        }
    }
}

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    struct rows r;
    bool there;
    TRY(load(s, &r, &there, e));
    int rc = 0;
    for (size_t k = 0; there && k < 2 && !rc; k++) {
        struct series_plot *plot = arena_alloc(&r.t.arena, sizeof *plot);
        struct picture *p = plot ? gallery_next(g, e) : NULL;
        if (!p) {
            rc = plot ? ERR_INPUT : err_nomem(e, sizeof *plot);
            break;
        }
        *plot = (struct series_plot){
            .name = kinds[k].name, .title = kinds[k].title, .x_label = kinds[k].x_label, .y_label = "GAUC"};
        fill(s, &r, &kinds[k], plot);
        rc = gallery_keep(g, plot_series(plot, p), e);
    }
    if (there) table_release(&r.t);
    return rc;
}

static void table(const struct rows *r, const struct kind *k, struct str *out) {
    static const struct html_column columns[] = {
        {"model", NULL, 't'},
        {"rows", "training rows of the user or item", 'h'},
        {"GAUC", "of the slice's rows alone, mean over the seeds", 'h'},
        {"95 % low", "bootstrap over users", 'h'},
        {"95 % high", "bootstrap over users", 'h'}};
    str_addf(out, "<details><summary>%s, as a table</summary>\n", k->title);
    html_table_open(out, columns, sizeof columns / sizeof *columns, -1);
    for (size_t i = 0; i < r->t.rows; i++) {
        if (strcmp(table_text(&r->t, i, r->by), k->by) != 0) continue;
        char range[64];
        snprintf(range, sizeof range, "%.0f–%.0f", r->from[i], r->to[i]);
        str_add(out, "<tr>");
        html_model(out, table_text(&r->t, i, r->variant), table_text(&r->t, i, r->features), -1);
        str_addf(out, "<td class=\"n\" data-v=\"%.0f\">%s</td>", r->from[i], range);
        html_number(out, r->gauc[i], "%.4f");
        html_number(out, r->lo[i], "%.4f");
        html_number(out, r->hi[i], "%.4f");
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
    str_add(out, "</details>\n");
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    struct rows r;
    bool there;
    TRY(load(s, &r, &there, e));
    if (!there) return 0;
    if (r.t.rows) {
        str_add(out, "<section id=\"slices\">\n<h2>For whom</h2>\n<p>GAUC of the test rows of quiet and busy "
                     "users, and of "
                     "rare and popular items, by how often the training split saw them. Each slice has about "
                     "a quarter of the "
                     "users or of the rows; whiskers are 95&nbsp;% intervals over users. Of more than eight "
                     "models the best "
                     "eight are drawn; the tables hold all.</p>\n");
        section_figures(g, "slices-", 0, out);
        for (size_t k = 0; k < 2; k++) table(&r, &kinds[k], out);
        str_add(out, "</section>\n");
    }
    table_release(&r.t);
    return 0;
}

const struct section section_slices = {"slices", "For whom", "slices-", draw, write};
