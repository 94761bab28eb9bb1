/* Requests at planned times: the rows of compute.csv whose load is open or usable. */
#include "bench/report/html.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

enum { OFFERED, COUNT, P50, P99, P99_LO, P99_HI, SERVICE, WAIT, LAG, BUSY, LATE, NUMBERS };
struct rows {
    const struct table *t;
    double *v[NUMBERS]; /* columns */
};

static const char *text(const struct rows *r, size_t row, const char *column) {
    return table_text(r->t, row, table_column(r->t, column));
}

static double at(const struct rows *r, size_t row, int number) {
    return r->v[number] ? r->v[number][row] : (double)NAN;
}

static bool planned(const struct rows *r, size_t row) {
    const char *load = text(r, row, "load");
    return !strcmp(load, "open") || !strcmp(load, "usable");
}

static int load(struct table *t, struct rows *r, struct err *e) {
    static const char *const name[NUMBERS] = {"offered_qps", "n",           "p50_us",     "p99_us",
                                              "p99_lo_us",   "p99_hi_us",   "service_us", "wait_us",
                                              "lag_p99_us",  "utilisation", "late_share"};
    r->t = t;
    for (int i = 0; i < NUMBERS; i++) TRY(table_numbers(t, name[i], &r->v[i], e));
    return 0;
}

static void row(const struct study *s, const struct rows *r, size_t i, struct str *out) {
    const char *variant = text(r, i, "variant"), *features = text(r, i, "features"),
               *parts[] = {"precision", "store"};
    char model[STUDY_LABEL_MAX];
    size_t g = effect_find(&s->effect, variant, features);
    int n = snprintf(model, sizeof model, "%.60s", variant);
    for (unsigned k = 0; k < 2; k++)
        if (s->varies & (k ? STUDY_STORE : STUDY_PRECISION))
            n += snprintf(model + n, sizeof model - (size_t)n, " · %.30s", text(r, i, parts[k]));
    str_add(out, "<tr>");
    html_model(out, model, s->effect.subsets > 1 ? features : NULL,
               g < s->effect.groups ? s->effect.group[g].variant_index : -1);
    const char *spread = text(r, i, "candidates_from");
    html_text_cell(out, *spread ? spread : text(r, i, "candidates"));
    html_text_cell(out, text(r, i, "load"));
    html_count(out, at(r, i, OFFERED));
    html_number(out, 100 * at(r, i, BUSY), "%.0f %%");
    html_time(out, at(r, i, P50));
    html_time(out, at(r, i, P99));
    html_time_range(out, at(r, i, P99_LO), at(r, i, P99_HI));
    html_time(out, at(r, i, SERVICE));
    html_time(out, at(r, i, WAIT));
    html_time(out, at(r, i, LAG));
    html_number(out, 100 * at(r, i, LATE), "%.2f %%");
    html_count(out, at(r, i, COUNT));
    html_text_cell(out, text(r, i, "verdict"));
    str_add(out, "</tr>\n");
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    static const struct html_column column[] = {
        {"Model", NULL, 't'},
        {"Candidates", NULL, 't'},
        {"Load", "open: a given rate; usable: the largest rate that keeps to the limit", 't'},
        {"Offered", "requests a second, at random times that were fixed before", 'h'},
        {"Busy", "share of the time that is work", 'l'},
        {"p50", "from the planned time", 'l'},
        {"p99", "from the planned time", 'l'},
        {"95 % interval", "of the p99, from order statistics, allowing for requests that wait for each other",
         'l'},
        {"Service", "mean, without waiting", 'l'},
        {"Wait", "mean, behind other requests", 'l'},
        {"Lag p99", "lateness of the generator, part of the latency", 'l'},
        {"Late", "share beyond the limit", 'l'},
        {"Requests", "that count", 'h'},
        {"Verdict", NULL, 't'}};
    struct table t;
    struct rows r = {.t = NULL};
    bool there;
    size_t n = 0;
    (void)g;
    TRY(section_table(s, "compute.csv", &t, &there, e));
    int rc = there ? load(&t, &r, e) : 0;
    for (size_t i = 0; !rc && i < t.rows; i++) {
        if (!planned(&r, i)) continue;
        if (!n++) {
            str_add(
                out,
                "<section id=\"load\">\n<h2>Under load</h2>\n<p>Requests come at random times, whether the "
                "last one is answered or not; response times count from the planned time.</p>\n");
            html_table_open(out, column, sizeof column / sizeof *column, -1);
        }
        row(s, &r, i, out);
    }
    if (n) {
        html_table_close(out);
        str_add(out, "</section>\n");
    }
    if (there) table_release(&t);
    return rc;
}

const struct section section_load = {"load", "Under load", NULL, NULL, write};
