#include "bench/select/budget.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BOUND(metric, name, help)                                                                            \
    { name, OPT_T_TEXT, offsetof(struct budget_options, text[metric]), "", 0, 0, NULL, help }
const struct opt budget_opts[] = {
    BOUND(BUDGET_P50, "p50_ms", "median response time, as in \"<= 2\""),
    BOUND(BUDGET_P95, "p95_ms", "95th percentile of the response time"),
    BOUND(BUDGET_P99, "p99_ms", "99th percentile of the response time, as in \"<= 10\""),
    BOUND(BUDGET_QPS, "qps",
          "requests per second, as in \">= 2000\": usable QPS where it was measured, else closed loop"),
    BOUND(BUDGET_ITEMS, "items_per_second", "candidates per second"),
    BOUND(BUDGET_FLOPS, "flops_per_candidate", "floating-point operations of the pair stage"),
    BOUND(BUDGET_BYTES, "bytes_per_candidate", "memory traffic of the pair stage"),
    BOUND(BUDGET_PARAMS, "params", "trained parameters"),
    BOUND(BUDGET_FIELDS, "n_features", "fields that the model reads"),
    BOUND(BUDGET_CANDIDATES, "candidates",
          "which numbers of candidates the budget is about, as in \">= 1000\""),
    OPT_END};

static const char *const symbols[] = {
    [BOUND_LE] = "<=", [BOUND_LT] = "<", [BOUND_GE] = ">=", [BOUND_GT] = ">", [BOUND_EQ] = "=="};

const char *budget_name(enum budget_metric m) { return budget_opts[m].name; }

static enum bound_kind natural(enum budget_metric m) {
    if (m == BUDGET_CANDIDATES) return BOUND_EQ;
    return m == BUDGET_QPS || m == BUDGET_ITEMS ? BOUND_GE : BOUND_LE;
}

/* Two-letter symbols first: "<=" begins with "<". */
static const char *read_symbol(const char *text, enum bound_kind *kind) {
    static const enum bound_kind order[] = {BOUND_LE, BOUND_GE, BOUND_EQ, BOUND_LT, BOUND_GT};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        size_t n = strlen(symbols[order[i]]);
        if (strncmp(text, symbols[order[i]], n) != 0) continue;
        *kind = order[i];
        return text + n;
    }
    return text;
}

static int parse_bound(enum budget_metric m, const char *text, struct bound *out, struct err *e) {
    *out = (struct bound){m, natural(m), 0};
    const char *number = read_symbol(text, &out->kind);
    number += strspn(number, " ");
    int64_t whole;
    int rc = str_to_double(number, &out->value);
    if (rc && !str_to_int(number, &whole)) { /* "20M" */
        out->value = (double)whole;
        rc = 0;
    }
    if (rc || out->value < 0)
        return err_set(e, ERR_INPUT,
                       "select.subject_to: `%s` is \"%.80s\"; write a comparison such as \"%s 10\"",
                       budget_name(m), text, symbols[natural(m)]);
    return 0;
}

int budget_parse(const struct budget_options *o, struct budget *out, struct err *e) {
    *out = (struct budget){.n = 0};
    for (int m = 0; m < BUDGET_METRICS; m++) {
        if (!o->text[m][0]) continue;
        TRY(parse_bound((enum budget_metric)m, o->text[m], &out->bound[out->n], e));
        out->n++;
    }
    return 0;
}

void budget_check(const struct budget_options *o, const struct conf *map, struct problems *p) {
    for (int m = 0; m < BUDGET_METRICS; m++) {
        struct bound unused;
        struct err e = ERR_INIT;
        if (!o->text[m][0] || !parse_bound((enum budget_metric)m, o->text[m], &unused, &e)) continue;
        problems_add(p, conf_get(map, budget_name((enum budget_metric)m)), "%s", e.msg);
    }
}

void budget_add(struct budget *b, enum budget_metric m, enum bound_kind kind, double value) {
    if (b->n < BUDGET_METRICS + 1) b->bound[b->n++] = (struct bound){m, kind, value};
}

bool bound_keeps(const struct bound *b, double value) {
    switch (b->kind) {
    case BOUND_LE:
        return value <= b->value;
    case BOUND_LT:
        return value < b->value;
    case BOUND_GE:
        return value >= b->value;
    case BOUND_GT:
        return value > b->value;
    default:
        return value == b->value;
    }
}

bool budget_keeps(const struct budget *b, const double value[BUDGET_METRICS]) {
    for (int i = 0; i < b->n; i++)
        if (!bound_keeps(&b->bound[i], value[b->bound[i].metric])) return false;
    return true;
}

double budget_excess(const struct budget *b, const double value[BUDGET_METRICS]) {
    double excess = 1;
    for (int i = 0; i < b->n; i++) {
        double v = value[b->bound[i].metric], limit = b->bound[i].value;
        if (bound_keeps(&b->bound[i], v)) continue;
        double ratio = v > limit ? v / limit : limit / v;
        excess *= isnan(ratio) ? INFINITY : fmax(ratio, 1);
    }
    return excess;
}

bool budget_covers(const struct budget *b, double candidates) {
    for (int i = 0; i < b->n; i++)
        if (b->bound[i].metric == BUDGET_CANDIDATES && !bound_keeps(&b->bound[i], candidates)) return false;
    return true;
}

bool budget_limits(const struct budget *b) {
    for (int i = 0; i < b->n; i++)
        if (b->bound[i].metric != BUDGET_CANDIDATES) return true;
    return false;
}

static void add_bounds(const struct budget *b, bool on_candidates, struct str *out) {
    str_add(out, "");
    for (int i = 0, said = 0; i < b->n; i++) {
        const struct bound *k = &b->bound[i];
        if ((k->metric == BUDGET_CANDIDATES) != on_candidates) continue;
        str_addf(out, "%s%s %s %.12g", said++ ? " and " : "", budget_name(k->metric), symbols[k->kind],
                 k->value);
    }
}

void budget_text(const struct budget *b, struct str *out) { add_bounds(b, false, out); }

void budget_candidates_text(const struct budget *b, struct str *out) { add_bounds(b, true, out); }

double budget_most(const struct budget *b, enum budget_metric m) {
    double most = (double)INFINITY;
    for (int i = 0; i < b->n; i++) {
        const struct bound *k = &b->bound[i];
        if (k->metric == m && k->kind != BOUND_GE && k->kind != BOUND_GT) most = fmin(most, k->value);
    }
    return most;
}

bool budget_bounds(const struct budget *b, enum budget_metric m) {
    for (int i = 0; i < b->n; i++)
        if (b->bound[i].metric == m) return true;
    return false;
}
