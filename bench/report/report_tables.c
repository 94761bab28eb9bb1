/* The tables of report.html. */
#include "bench/report/html.h"
#include "bench/report/report.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void point_head(const struct study *s, const struct tradeoff_point *p, struct str *out) {
    char label[STUDY_LABEL_MAX];
    study_label(s, p, ~(unsigned)STUDY_FEATURES, label);
    html_model(out, label, s->varies & STUDY_FEATURES ? p->features : NULL,
               p->group ? p->group->variant_index : -1);
}

static void tradeoff_row(const struct study *s, const struct tradeoff_point *p, struct str *out) {
    str_addf(out, "<tr%s>", p->chosen == 1 ? " class=\"chosen\"" : p->pareto == 1 ? " class=\"front\"" : "");
    point_head(s, p, out);
    if (!isnan(p->candidates)) {
        str_addf(out, "<td class=\"mark\" data-v=\"%d\">%s", 2 * (p->chosen == 1) + (p->pareto == 1),
                 p->chosen == 1   ? "chosen "
                 : p->pareto == 1 ? "front "
                                  : "");
        if (study_doubtful(p)) {
            str_add(out, "<span class=\"bad\">");
            xml_text(out, p->verdict);
            str_add(out, "</span>");
        }
        str_add(out, "</td>");
    }
    html_stat(out, &p->gauc, 4);
    if (!isnan(p->candidates)) {
        html_time(out, p->p50_us);
        html_time(out, p->p99_us);
        html_count(out, p->qps);
        html_si(out, p->items_per_second);
        html_si(out, p->flops_per_candidate);
        html_si(out, p->bytes_per_candidate);
    }
    html_number(out, p->auc, "%.4f");
    html_si(out, p->params);
    html_number(out, p->n_features, "%.0f");
    html_number(out, p->seeds, "%.0f");
    str_add(out, "</tr>\n");
}

void report_tradeoff_table(const struct study *s, double candidates, struct str *out) {
    static const struct html_column timed[] = {
        {"Model", "variant and feature subset", 't'},
        {"Pareto", "on the Pareto front; chosen: the best on validation within the limit", 'm'},
        {"GAUC", "mean on the test split with its 95 % interval", 'h'},
        {"p50", "median response time of a request", 'l'},
        {"p99", "99th percentile of the response time", 'l'},
        {"QPS", "requests per second", 'h'},
        {"Items/s", "candidates per second", 'h'},
        {"FLOPs", "floating-point operations per candidate", 'l'},
        {"Bytes", "memory traffic per candidate", 'l'},
        {"AUC", "mean on the test split", 'h'},
        {"Params", "trained parameters", 'l'},
        {"Features", "columns that the model reads", 'l'},
        {"Seeds", "training runs behind the means", 'h'}};
    static const struct html_column untimed[] = {{"Model", NULL, 't'},    {"GAUC", NULL, 'h'},
                                                 {"AUC", NULL, 'h'},      {"Params", NULL, 'l'},
                                                 {"Features", NULL, 'l'}, {"Seeds", NULL, 'h'}};
    if (isnan(candidates))
        html_table_open(out, untimed, COUNT(untimed), 1);
    else
        html_table_open(out, timed, COUNT(timed), 2);
    for (size_t i = 0; i < s->tradeoff.n; i++)
        if (same(s->ranked[i]->candidates, candidates)) tradeoff_row(s, s->ranked[i], out);
    html_table_close(out);
}

static void group_head(const struct study *s, const struct effect_group *g, struct str *out) {
    str_add(out, g->seeds ? "<tr>" : "<tr class=\"failed\">");
    html_model(out, g->variant, s->effect.subsets > 1 ? g->features : NULL, g->variant_index);
}

/* Columns that no model has are left out. */
struct metric_column {
    struct html_column head;
    enum effect_metric metric;
    char format; /* '4': mean with its interval; 'm': without; '3', '1': so many decimals; 's': 1.23 M */
};
static const struct metric_column quality[] = {
    {{"AUC", NULL, 'h'}, EFFECT_AUC, '4'},
    {{"NDCG@10", NULL, 'h'}, EFFECT_NDCG10, 'm'},
    {{"HR@10", "hit rate", 'h'}, EFFECT_HR10, 'm'},
    {{"Recall", "of the ranker's top list", 'h'}, EFFECT_RANKER_RECALL, 'm'},
    {{"Kept", "share of the exposures whose users GAUC can count", 'h'}, EFFECT_GAUC_KEPT, '3'},
    {{"Params", "trained parameters", 'l'}, EFFECT_PARAMS, 's'},
    {{"Epochs", "mean", 'l'}, EFFECT_EPOCHS, '1'},
    {{"Train s", "seconds of training, mean", 'l'}, EFFECT_SECONDS, '1'},
    {{"Examples/s", "training speed, mean", 'h'}, EFFECT_SPEED, 's'}};

static bool has_metric(const struct study *s, enum effect_metric m) {
    for (size_t i = 0; i < s->effect.groups; i++)
        if (s->effect.group[i].metric[m].n) return true;
    return false;
}

static void metric_cell(const struct metric_column *c, const struct effect_stat *stat, struct str *out) {
    if (c->format == '4')
        html_stat(out, stat, 4);
    else if (c->format == 's')
        html_si(out, stat->mean);
    else
        html_number(out, stat->mean, c->format == 'm' ? "%.4f" : c->format == '3' ? "%.3f" : "%.1f");
}

void report_quality_table(const struct study *s, struct str *out) {
    struct html_column column[4 + COUNT(quality)] = {
        {"Model", "variant and feature subset", 't'},
        {"Seeds", "runs with status ok, of all", 'h'},
        {"GAUC", "test split, mean with its 95 % interval", 'h'},
        {"GAUC valid", "validation split: what choices are made on", 'h'}};
    size_t n = 4;
    for (size_t k = 0; k < COUNT(quality); k++)
        if (has_metric(s, quality[k].metric)) column[n++] = quality[k].head;
    html_table_open(out, column, n, 2);
    for (size_t i = 0; i < s->effect.groups; i++) {
        const struct effect_group *g = s->ranked_groups[i];
        group_head(s, g, out);
        if (g->failed)
            str_addf(out, "<td class=\"n bad\" data-v=\"%zu\">%zu of %zu</td>", g->seeds, g->seeds,
                     g->seeds + g->failed);
        else
            html_number(out, (double)g->seeds, "%.0f");
        html_stat(out, &g->metric[EFFECT_GAUC], 4);
        html_number(out, g->valid_gauc, "%.4f");
        for (size_t k = 0; k < COUNT(quality); k++)
            if (has_metric(s, quality[k].metric))
                metric_cell(&quality[k], &g->metric[quality[k].metric], out);
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
}

/* Predicted over observed clicks as a bar from 1: 20 % off fills it. */
static void pcoc_bar(double pcoc, struct str *out) {
    if (isnan(pcoc)) {
        str_add(out, "<td class=\"none\">–</td>");
        return;
    }
    double off = fmax(-1, fmin(1, (pcoc - 1) / 0.2));
    str_addf(out,
             "<td data-v=\"%.9g\"><span class=\"bar\"><i style=\"left:%.1f%%;width:%.1f%%\"></i></span></td>",
             fabs(pcoc - 1), off < 0 ? 50 + 50 * off : 50, 50 * fabs(off));
}

void report_calibration_table(const struct study *s, struct str *out) {
    static const struct html_column column[] = {
        {"Model", NULL, 't'},
        {"PCOC", "predicted clicks over observed clicks; 1 is right", 'l'},
        {"too low · too high", "PCOC from 0.8 to 1.2", 'm'},
        {"ECE", "expected calibration error", 'l'},
        {"Log loss", NULL, 'l'}};
    html_table_open(out, column, COUNT(column), -1);
    for (size_t i = 0; i < s->effect.groups; i++) {
        const struct effect_group *g = s->ranked_groups[i];
        group_head(s, g, out);
        html_stat(out, &g->metric[EFFECT_PCOC], 3);
        pcoc_bar(g->metric[EFFECT_PCOC].mean, out);
        html_stat(out, &g->metric[EFFECT_ECE], 4);
        html_stat(out, &g->metric[EFFECT_LOGLOSS], 4);
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
}

void report_latency_table(const struct study *s, double candidates, struct str *out) {
    static const struct html_column column[] = {
        {"Model", NULL, 't'},
        {"Floor", "what FLOPs and bytes alone would take on this machine", 'l'},
        {"p50", NULL, 'l'},
        {"95 % interval", "of the p50, from order statistics", 'l'},
        {"p95", NULL, 'l'},
        {"p99", NULL, 'l'},
        {"95 % interval", "of the p99, from order statistics", 'l'},
        {"p99.9", NULL, 'l'},
        {"Requests", "timed", 'h'},
        {"Load", NULL, 't'},
        {"Verdict", "of the measurement on itself", 't'}};
    html_table_open(out, column, COUNT(column), -1);
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = s->ranked[i];
        if (p->candidates != candidates) continue;
        str_add(out, "<tr>");
        point_head(s, p, out);
        html_time(out, p->floor_us);
        html_time(out, p->p50_us);
        html_time_range(out, p->p50_lo_us, p->p50_hi_us);
        html_time(out, p->p95_us);
        html_time(out, p->p99_us);
        html_time_range(out, p->p99_lo_us, p->p99_hi_us);
        html_time(out, p->p999_us);
        html_count(out, p->samples);
        html_text_cell(out, p->load);
        html_text_cell(out, p->verdict);
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
}

static void note_cell(const char *note, struct str *out) {
    str_add(out, "<td class=\"note\">");
    xml_text(out, *note ? note : "–");
    str_add(out, "</td></tr>\n");
}

static void failures(const struct study *s, struct str *out) {
    static const struct html_column column[] = {
        {"Model", NULL, 't'}, {"Seed", NULL, 't'}, {"Status", NULL, 't'}, {"Note", NULL, 't'}};
    size_t n = 0;
    for (size_t i = 0; i < s->effect.runs; i++) {
        const struct effect_run *r = &s->effect.run[i];
        if (r->ok) continue;
        if (!n++) {
            str_add(out, "<h3 id=\"failed\">Runs that failed</h3>\n");
            html_table_open(out, column, COUNT(column), -1);
        }
        str_add(out, "<tr class=\"failed\">");
        html_model(out, r->variant, s->effect.subsets > 1 ? r->features : NULL, -1);
        html_text_cell(out, r->seed);
        html_text_cell(out, r->status);
        note_cell(r->note, out);
    }
    if (n) html_table_close(out);
}

/* Another seed of the model says the same. */
static bool repeats(const struct study *s, size_t i) {
    const struct effect_run *run = s->effect.run;
    for (size_t k = 0; k < i; k++)
        if (run[k].ok && run[k].group == run[i].group && !strcmp(run[k].note, run[i].note)) return true;
    return false;
}

void report_notes(const struct study *s, struct str *out) {
    static const struct html_column column[] = {{"Model", NULL, 't'}, {"Note", NULL, 't'}};
    size_t n = 0;
    failures(s, out);
    for (size_t i = 0; i < s->effect.runs; i++) {
        const struct effect_run *r = &s->effect.run[i];
        if (!r->ok || !*r->note || repeats(s, i)) continue;
        if (!n++) {
            str_add(out, "<h3>Notes</h3>\n");
            html_table_open(out, column, COUNT(column), -1);
        }
        str_add(out, "<tr>");
        html_model(out, r->variant, s->effect.subsets > 1 ? r->features : NULL, -1);
        note_cell(r->note, out);
    }
    if (n) html_table_close(out);
}
