/* "Against the first model", or those of `compare_with`: what differences.csv says, which this section makes. */
#include "bench/report/differences.h"
#include "bench/report/html.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <math.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void row(const struct study *s, const struct difference *d, struct str *out) {
    str_add(out, "<tr>");
    html_model(out, d->group->variant, s->effect.subsets > 1 ? d->group->features : NULL,
               d->group->variant_index);
    html_number(out, d->value, "%+.4f");
    html_range(out, d->lo, d->hi, true);
    html_range(out, d->seeds_lo, d->seeds_hi, true);
    html_number(out, d->p_holm, "%.3f");
    html_text_cell(out, difference_verdict(d));
    html_number(out, (double)d->seeds, "%.0f");
    str_add(out, "</tr>\n");
}

static void page_part(const struct study *s, const struct differences *d, struct str *out) {
    static const struct html_column column[] = {
        {"Model", "variant and feature subset", 't'},
        {"ΔGAUC", "test split; a user's AUC is the mean over the seeds", 'h'},
        {"over users", "95 % interval: bootstrap over users, paired", 'h'},
        {"over seeds", "95 % interval: Student's t of the runs with the same seed", 'h'},
        {"p", "over users, corrected for the number of models in this table (Holm)", 'l'},
        {"Verdict", "better or worse: p below 0.05, and 0 outside the interval over seeds", 't'},
        {"Seeds", "that both models have", 'h'}};
    str_add(out, "<h3>Against ");
    xml_text(out, d->d[0].against->variant);
    if (s->effect.subsets > 1) {
        str_add(out, " · ");
        xml_text(out, d->d[0].against->features);
    }
    str_addf(out,
             "</h3>\n<p>GAUC minus that of this model, paired: the same %zu users, the same seeds.</p>\n",
             d->d[0].users);
    html_table_open(out, column, COUNT(column), -1);
    for (size_t i = 0; i < s->effect.groups; i++)
        for (size_t k = 0; k < d->n; k++)
            if (d->d[k].group == s->ranked_groups[i]) row(s, &d->d[k], out);
    html_table_close(out);
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    struct differences d[OPT_LIST_MAX];
    size_t n;
    (void)g;
    TRY(differences_load(s, d, &n, e));
    int rc = n ? differences_save(d, n, s->dir, e) : 0;
    if (!rc && n) {
        str_add(out, "<section id=\"differences\">\n<h2>Differences</h2>\n");
        for (size_t i = 0; i < n; i++) page_part(s, &d[i], out);
        str_add(out, "</section>\n");
    }
    for (size_t i = 0; i < n; i++) differences_release(&d[i]);
    return rc;
}

const struct section section_differences = {"differences", "Differences", NULL, NULL, write};
