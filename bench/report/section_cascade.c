/* The cascade: each model in front of the ranker. */
#include "bench/report/section_cascade.h"
#include "bench/report/html.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

int cascade_table_load(const struct study *s, struct cascade_table *out, struct err *e) {
    static const char *const text[] = {"variant", "features", "ranker", "ranker_features"};
    bool there;
    *out = (struct cascade_table){.k = NULL};
    TRY(section_table(s, "cascade.csv", &out->t, &there, e));
    const struct {
        const char *name;
        double **value;
    } number[] = {{"k", &out->k},
                  {"candidates", &out->candidates},
                  {"requests", &out->requests},
                  {"seeds", &out->seeds},
                  {"ndcg10", &out->ndcg},
                  {"ndcg10_lo", &out->lo},
                  {"ndcg10_hi", &out->hi},
                  {"hr10", &out->hr},
                  {"clicks_kept", &out->kept},
                  {"ranker_recall", &out->recall},
                  {"pre_us", &out->pre_us},
                  {"ranker_us", &out->ranker_us},
                  {"total_us", &out->total_us},
                  {"total_flops", &out->total_flops},
                  {"floor_us", &out->floor_us}};
    int rc = 0;
    for (int i = 0; there && i < CASCADE_TEXTS; i++) out->text[i] = table_column(&out->t, text[i]);
    for (size_t i = 0; there && !rc && i < sizeof number / sizeof *number; i++)
        rc = table_numbers(&out->t, number[i].name, number[i].value, e);
    if (rc) table_release(&out->t);
    return rc;
}

const char *cascade_text(const struct cascade_table *c, size_t row, int which) {
    return table_text(&c->t, row, c->text[which]);
}

bool cascade_is_ranker(const struct cascade_table *c, size_t row) {
    return !strcmp(cascade_text(c, row, CASCADE_VARIANT), cascade_text(c, row, CASCADE_RANKER)) &&
           !strcmp(cascade_text(c, row, CASCADE_FEATURES), cascade_text(c, row, CASCADE_RANKER_FEATURES));
}

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    struct cascade_table c;
    TRY(cascade_table_load(s, &c, e));
    int rc = 0;
    for (int cost = 0; !rc && c.t.rows && cost < 2; cost++) {
        struct picture *p = gallery_next(g, e);
        rc = p ? gallery_keep(g, plot_cascade(s, &c, cost, p), e) : ERR_INPUT;
    }
    table_release(&c.t);
    return rc;
}

static void table_rows(const struct study *s, const struct cascade_table *c, struct str *out) {
    static const struct html_column column[] = {
        {"Pre-ranker", NULL, 't'},
        {"Keeps", "candidates that pass on to the ranker", 'h'},
        {"Ranker recall", "of the ranker's best, the share that passes", 'h'},
        {"Clicks kept", "share of the held-out clicks that pass", 'h'},
        {"NDCG@10", "of the final list, against the held-out clicks", 'h'},
        {"HR@10", "share of the requests with a click among the first ten", 'h'},
        {"Pre-ranker", "p50 on all candidates", 'l'},
        {"Ranker", "p50 on those that pass", 'l'},
        {"Both", NULL, 'l'},
        {"Floor", "what FLOPs and bytes of both stages alone would take on this machine", 'l'},
        {"FLOPs", "of both stages, a request", 'l'}};
    html_table_open(out, column, sizeof column / sizeof *column, -1);
    for (size_t r = 0; r < c->t.rows; r++) {
        const char *variant = cascade_text(c, r, CASCADE_VARIANT),
                   *features = cascade_text(c, r, CASCADE_FEATURES);
        size_t g = effect_find(&s->effect, variant, features);
        const struct effect_stat ndcg = {(size_t)c->seeds[r], c->ndcg[r], c->lo[r], c->hi[r]};
        str_add(out, "<tr>");
        html_model(out, variant, s->effect.subsets > 1 ? features : NULL,
                   g < s->effect.groups ? s->effect.group[g].variant_index : -1);
        html_count(out, c->k[r]);
        html_number(out, c->recall[r], "%.3f");
        html_number(out, c->kept[r], "%.3f");
        html_stat(out, &ndcg, 4);
        html_number(out, c->hr[r], "%.3f");
        html_time(out, cascade_is_ranker(c, r) ? (double)NAN : c->pre_us[r]);
        html_time(out, c->ranker_us[r]);
        html_time(out, c->total_us[r]);
        html_time(out, c->floor_us[r]);
        html_si(out, c->total_flops[r]);
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    struct cascade_table c;
    TRY(cascade_table_load(s, &c, e));
    if (c.t.rows) {
        str_add(out, "<section id=\"cascade\">\n<h2>The cascade</h2>\n<p>Each model keeps some of ");
        str_addf(out, "%.0f candidates, and <em>", c.candidates[0]);
        xml_text(out, cascade_text(&c, 0, CASCADE_RANKER));
        if (s->effect.subsets > 1) {
            str_add(out, " · ");
            xml_text(out, cascade_text(&c, 0, CASCADE_RANKER_FEATURES));
        }
        str_addf(out,
                 "</em> orders those: what the list of both is worth against the held-out clicks of %.0f "
                 "requests, "
                 "and what it costs.</p>\n<div class=\"grid\">\n",
                 c.requests[0]);
        section_figure(g, "cascade-k", "Against the candidates kept.", out);
        section_figure(g, "cascade-cost", "Against the time of both stages: sums of medians.", out);
        str_add(out, "</div>\n");
        table_rows(s, &c, out);
        str_add(out, "</section>\n");
    }
    table_release(&c.t);
    return 0;
}

const struct section section_cascade = {"cascade", "Cascade", "cascade-", draw, write};
