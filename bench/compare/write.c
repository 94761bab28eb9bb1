/* A comparison in words, and as a table on the terminal. */
#include "bench/compare/write.h"
#include "bench/report/plot.h"
#include <math.h>
#include <string.h>

static bool is_quality(const struct gate *g) { return !strncmp(g->metric, "gauc", 4); }
static bool is_time(const struct gate *g) {
    return !strncmp(g->metric, "p50", 3) || !strncmp(g->metric, "p99", 3);
}

void gate_subject(const struct gate *g, char out[300]) {
    snprintf(out, 300, "%.80s on %.80s%s%.120s", g->variant, g->features, *g->point ? ": " : "", g->point);
}

void gate_value(const struct gate *g, double v, char out[40]) {
    if (isnan(v))
        snprintf(out, 40, "–");
    else if (is_quality(g))
        snprintf(out, 40, "%.5f", v);
    else if (is_time(g))
        plot_microseconds(out, v);
    else if (fabs(v) >= 1e6)
        snprintf(out, 40, "%.5g M", v / 1e6);
    else
        snprintf(out, 40, "%.6g", v);
}

/* Of a quality in its own unit, of a cost in percent; how much worse is a plus. */
static void amount(const struct gate *g, double worse, char out[24]) {
    if (is_quality(g))
        snprintf(out, 24, "%+.5f", -worse);
    else
        snprintf(out, 24, "%+.*f %%", fabs(worse) < 0.1 ? 2 : 1, 100 * worse);
}

void gate_change(const struct gate *g, char out[120]) {
    char at[24], lo[24], hi[24];
    *out = '\0';
    if (isnan(g->worse) || g->verdict == GATE_SAME) return;
    amount(g, g->worse, at);
    amount(g, is_quality(g) ? g->hi : g->lo, lo);
    amount(g, is_quality(g) ? g->lo : g->hi, hi);
    if (isnan(g->lo))
        snprintf(out, 120, "%s", at);
    else
        snprintf(out, 120, "%s [%s, %s], p %.2g", at, lo, hi, g->p_holm);
}

const char *comparison_verdict(const struct comparison *c) {
    if (comparison_count(c, GATE_REGRESSED)) return "regression";
    return comparison_count(c, GATE_UNDECIDED) ? "undecided" : "no regression";
}

void comparison_summary(const struct comparison *c, struct str *out) {
    static const enum gate_verdict order[] = {GATE_REGRESSED, GATE_UNDECIDED, GATE_BETTER,
                                              GATE_OK,        GATE_SAME,      GATE_SKIPPED};
    static const char *const word[] = {"regressed", "undecided", "better", "ok", "same", "skipped"};
    const char *sep = "";
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        size_t n = comparison_count(c, order[i]);
        if (!n) continue;
        str_addf(out, "%s%zu %s", sep, n, word[i]);
        sep = ", ";
    }
}

/* Columns that UTF-8 text takes. */
static int width_of(const char *text) {
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void pad(FILE *out, const char *text, int width, bool right) {
    int spaces = width - width_of(text);
    if (!right) fputs(text, out);
    for (; spaces > 0; spaces--) fputc(' ', out);
    if (right) fputs(text, out);
}

struct row {
    char subject[300], base[40], new[40], change[120];
};

static struct row row_of(const struct gate *g) {
    struct row r = {"", "", "", ""};
    gate_subject(g, r.subject);
    gate_value(g, g->base, r.base);
    gate_value(g, g->new, r.new);
    gate_change(g, r.change);
    return r;
}

/* Counts that are the same are not worth a line each. */
static bool worth_a_line(const struct gate *g) { return g->verdict != GATE_SAME || is_quality(g); }

static void write_rows(const struct comparison *c, FILE *out) {
    int w[2] = {5, 6};
    for (size_t i = 0; i < c->n; i++) {
        if (!worth_a_line(&c->gate[i])) continue;
        struct row r = row_of(&c->gate[i]);
        int n = width_of(r.subject), m = width_of(c->gate[i].metric);
        if (n > w[0]) w[0] = n;
        if (m > w[1]) w[1] = m;
    }
    const char *const head[] = {"model", "metric", "base", "new", "verdict", "change of cost or quality"};
    pad(out, head[0], w[0] + 2, false);
    pad(out, head[1], w[1] + 2, false);
    pad(out, head[2], 10, true);
    pad(out, head[3], 12, true);
    fprintf(out, "  %-11s%s\n", head[4], head[5]);
    for (size_t i = 0; i < c->n; i++) {
        const struct gate *g = &c->gate[i];
        if (!worth_a_line(g)) continue;
        struct row r = row_of(g);
        pad(out, r.subject, w[0] + 2, false);
        pad(out, g->metric, w[1] + 2, false);
        pad(out, r.base, 10, true);
        pad(out, r.new, 12, true);
        fprintf(out, "  %-11s%s%s%s\n", gate_verdict_name(g->verdict), r.change,
                *r.change && *g->note ? "; " : "", g->note);
    }
}

int comparison_write_text(const struct comparison *c, FILE *out, struct err *e) {
    struct str summary = STR_INIT;
    str_add(&summary, "");
    comparison_summary(c, &summary);
    fprintf(out, "BASE %s: %s\nNEW  %s: %s\n\n", c->base, c->about[0], c->new, c->about[1]);
    write_rows(c, out);
    if (!summary.failed) fprintf(out, "\n%s: %s\n", comparison_verdict(c), summary.p);
    int rc = summary.failed ? err_nomem(e, 0) : 0;
    str_release(&summary);
    return rc;
}
