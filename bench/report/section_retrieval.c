/* Retrieval: recall against QPS for each model and index, and what the retrieved lists are worth. */
#include "bench/report/html.h"
#include "bench/report/retrieval.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

/* Each number of items once, in order of appearance. */
static bool first_of_topk(const struct retrieval *r, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (r->line[k].topk == r->line[i].topk && r->line[k].model == r->line[i].model) return false;
    return true;
}

static int draw_all(const struct study *s, const struct retrieval *r, struct gallery *g, struct err *e) {
    for (size_t i = 0; i < r->n; i++) {
        if (!first_of_topk(r, i)) continue;
        struct picture *p = gallery_next(g, e);
        if (!p) return ERR_INPUT;
        TRY(gallery_keep(g, plot_retrieval(s, r, r->line[i].model, r->line[i].topk, p), e));
    }
    return 0;
}

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    struct retrieval r;
    TRY(retrieval_load(s, &r, e));
    int rc = draw_all(s, &r, g, e);
    retrieval_release(&r);
    return rc;
}

/* "0.5712 ±0.0110", over seeds */
static void number_over_seeds(struct str *out, double mean, double lo, double hi, int decimals) {
    const struct effect_stat stat = {.mean = mean, .lo = lo, .hi = hi};
    html_stat(out, &stat, decimals);
}

static void table(const struct study *s, const struct retrieval *r, struct str *out) {
    static const struct html_column column[] = {
        {"Model", NULL, 't'},
        {"Index", NULL, 't'},
        {"Searched", "the search parameter and its value", 't'},
        {"Top", "items that are returned", 'l'},
        {"Recall", "share of the exact result that the index finds", 'h'},
        {"HR", "share of users with a held-out click in their list", 'h'},
        {"over users", "HR's interval over users", 'h'},
        {"NDCG", "of the held-out clicks", 'h'},
        {"over users", "NDCG's interval over users", 'h'},
        {"Clicks found", "share of a user's held-out clicks in the list", 'h'},
        {"QPS", "requests per second of one client", 'h'},
        {"p50", NULL, 'l'},
        {"p99", NULL, 'l'},
        {"Built in", "seconds", 'l'},
        {"Bytes", "of the index", 'l'},
        {"Verdict", "of the measurement on itself", 't'}};
    html_table_open(out, column, sizeof column / sizeof *column, -1);
    for (size_t i = 0; i < r->n; i++) {
        const struct retrieval_line *l = &r->line[i];
        size_t g = effect_find(&s->effect, l->variant, l->features);
        char searched[96] = "";
        if (*l->parameter) snprintf(searched, sizeof searched, "%.60s %.0f", l->parameter, l->value);
        str_add(out, "<tr>");
        html_model(out, l->variant, s->effect.subsets > 1 ? l->features : NULL,
                   g < s->effect.groups ? s->effect.group[g].variant_index : -1);
        html_text_cell(out, l->index);
        html_text_cell(out, searched);
        html_number(out, l->topk, "%.0f");
        number_over_seeds(out, l->recall, l->recall_seeds_lo, l->recall_seeds_hi, 4);
        number_over_seeds(out, l->hr, l->hr_seeds_lo, l->hr_seeds_hi, 4);
        html_range(out, l->hr_lo, l->hr_hi, false);
        number_over_seeds(out, l->ndcg, l->ndcg_seeds_lo, l->ndcg_seeds_hi, 4);
        html_range(out, l->ndcg_lo, l->ndcg_hi, false);
        html_number(out, l->click_recall, "%.4f");
        number_over_seeds(out, l->qps, l->qps_seeds_lo, l->qps_seeds_hi, 0);
        html_time(out, l->p50_us);
        html_time(out, l->p99_us);
        html_number(out, l->build_seconds, "%.3g");
        html_si(out, l->index_bytes);
        html_text_cell(out, l->verdict);
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
}

static void section(const struct study *s, const struct gallery *g, const struct retrieval *r,
                    struct str *out) {
    char items[32], users[32];
    count_text(items, r->line[0].items);
    count_text(users, r->line[0].users);
    str_add(out, "<section id=\"retrieval\">\n<h2>Retrieval</h2>\n<p>");
    str_addf(out,
             "The two-tower models search all %s items. Recall is against the exact result; hits, NDCG and "
             "clicks found are against the test split's clicks of %s users. ",
             items, users);
    str_add(out, !strcmp(r->line[0].exclude, "seen")
                     ? "Items that a user was shown in the training split are not returned. "
                     : "Items that a user was shown in the training split may be returned, too. ");
    str_add(out,
            "Figures are means over seeds with their 95 % t interval (±); intervals over users are "
            "bootstraps of the users' values, averaged over seeds. Whiskers are the intervals over seeds, "
            "or where there is one seed that of recall over users.</p>\n");
    section_figures(g, "retrieval-", 0, out);
    table(s, r, out);
    str_add(out, "</section>\n");
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    struct retrieval r;
    TRY(retrieval_load(s, &r, e));
    if (r.n) section(s, g, &r, out);
    retrieval_release(&r);
    return 0;
}

const struct section section_retrieval = {"retrieval", "Retrieval", "retrieval-", draw, write};
