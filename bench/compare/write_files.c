/* A comparison as JSON, JUnit XML and Markdown. */
#include "base/file.h"
#include "bench/compare/write.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

/* ---- JSON ---- */

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *gate_json(const struct gate *g) {
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:s}",
        "variant", g->variant, "features", g->features, "point", g->point, "metric", g->metric, "kind",
        gate_kind_name(g->kind), "base", number(g->base), "new", number(g->new), "worse", number(g->worse),
        "worse_lo", number(g->lo), "worse_hi", number(g->hi), "seeds_lo", number(g->seeds_lo), "seeds_hi",
        number(g->seeds_hi), "margin", number(g->margin), "p", number(g->p), "p_holm", number(g->p_holm), "n",
        (json_int_t)g->n, "verdict",
        g->verdict == GATE_REGRESSED ? "regressed" : gate_verdict_name(g->verdict), "note", g->note);
}

int comparison_write_json(const struct comparison *c, const char *path, struct err *e) {
    json_t *gates = json_array();
    int bad = !gates;
    for (size_t i = 0; i < c->n && !bad; i++) bad = json_array_append_new(gates, gate_json(&c->gate[i]));
    json_t *j = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:b, s:b, s:o}", "verdict", comparison_verdict(c),
                          "exit_code", comparison_code(c), "base", c->base, "new", c->new, "base_about",
                          c->about[0], "new_about", c->about[1], "same_machine", c->same_machine,
                          "same_program", c->same_program, "gates", gates);
    int rc = bad || !j ? err_nomem(e, 0) : file_write_json(path, j, e);
    json_decref(j);
    return rc;
}

static int write_text_file(struct str *s, const char *path, struct err *e) {
    int rc = s->failed ? err_nomem(e, s->len) : file_write_text(path, s->p, s->len, e);
    str_release(s);
    return rc;
}

/* ---- JUnit ---- */

static void attribute(struct str *out, const char *name, const char *value) {
    str_addf(out, " %s=\"", name);
    xml_text(out, value);
    str_add(out, "\"");
}

static void message(const struct gate *g, char out[800]) {
    char base[40], new[40], change[120];
    gate_value(g, g->base, base);
    gate_value(g, g->new, new);
    gate_change(g, change);
    snprintf(out, 800, "%s: %s before, %s now%s%s%s%s", g->metric, base, new, *change ? "; " : "", change,
             *g->note ? "; " : "", g->note);
}

static void test_case(const struct gate *g, struct str *out) {
    char subject[300], name[400], text[800];
    gate_subject(g, subject);
    snprintf(name, sizeof name, "%.60s%s%.128s", g->metric, *g->point ? ", " : "", g->point);
    message(g, text);
    str_add(out, "    <testcase");
    snprintf(subject, sizeof subject, "%.120s.%.120s", g->variant, g->features);
    attribute(out, "classname", subject);
    attribute(out, "name", name);
    static const char *const element[] = {
        [GATE_REGRESSED] = "failure", [GATE_UNDECIDED] = "error", [GATE_SKIPPED] = "skipped"};
    const char *inner = g->verdict < sizeof element / sizeof *element ? element[g->verdict] : NULL;
    if (inner) {
        str_addf(out, ">\n      <%s", inner);
        attribute(out, "message", text);
        str_add(out, "/>\n    </testcase>\n");
    } else {
        str_add(out, ">\n      <system-out>");
        xml_text(out, text);
        str_add(out, "</system-out>\n    </testcase>\n");
    }
}

int comparison_write_junit(const struct comparison *c, const char *path, struct err *e) {
    struct str s = STR_INIT;
    char counts[160];
    snprintf(counts, sizeof counts, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"", c->n,
             comparison_count(c, GATE_REGRESSED), comparison_count(c, GATE_UNDECIDED),
             comparison_count(c, GATE_SKIPPED));
    str_addf(&s,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"prerank "
             "compare\"%s>\n",
             counts);
    for (size_t i = 0; i < c->n; i++) test_case(&c->gate[i], &s);
    str_add(&s, "  </testsuite>\n</testsuites>\n");
    return write_text_file(&s, path, e);
}

/* ---- Markdown ---- */

/* What would end a table's cell or begin markup is escaped. */
static void md(struct str *out, const char *text) {
    for (; *text; text++) {
        if (strchr("\\`*_{}[]<>|#", *text)) str_add(out, "\\");
        str_addn(out, *text == '\n' ? " " : text, 1);
    }
}

static void md_row(const struct gate *g, struct str *out) {
    char subject[300], base[40], new[40], change[120];
    gate_subject(g, subject);
    gate_value(g, g->base, base);
    gate_value(g, g->new, new);
    gate_change(g, change);
    const char *const cell[] = {subject, g->metric, base, new, change, gate_verdict_name(g->verdict),
                                g->note};
    str_add(out, "|");
    for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
        str_add(out, " ");
        md(out, cell[i]);
        str_add(out, " |");
    }
    str_add(out, "\n");
}

int comparison_write_markdown(const struct comparison *c, const char *path, struct err *e) {
    static const char *const mark[] = {"✅", "❌", "", "⚠️"};
    struct str s = STR_INIT;
    str_addf(&s, "### %s prerank: %s\n\n", mark[comparison_code(c)], comparison_verdict(c));
    comparison_summary(c, &s);
    str_add(&s,
            "\n\n| model | metric | base | new | change | verdict | note |\n|---|---|--:|--:|---|---|---|\n");
    size_t same = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->gate[i].verdict == GATE_SAME)
            same++;
        else
            md_row(&c->gate[i], &s);
    }
    if (same == c->n) str_add(&s, "| every model | every figure |  |  |  | same |  |\n");
    str_add(&s, "\n<details><summary>What was compared</summary>\n\n* base: ");
    for (int k = 0; k < 2; k++) {
        str_add(&s, k ? "\n* new: " : "");
        md(&s, k ? c->new : c->base);
        str_add(&s, ", ");
        md(&s, c->about[k]);
    }
    str_add(&s, "\n\n</details>\n");
    return write_text_file(&s, path, e);
}
