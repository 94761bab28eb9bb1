#include "bench/report/report.h"
#include "base/file.h"
#include "bench/commands.h"
#include "bench/report/assets.h"
#include "bench/report/html.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

/* Both layouts; the page's style shows the one that fits. */
static void figure(const struct gallery *g, const char *name, const char *caption, struct str *out) {
    const struct picture *p = g ? gallery_find(g, name) : NULL;
    if (!p) return;
    str_add(out, "<figure>\n");
    for (int l = 0; l < LAYOUTS; l++)
        svg_inline(&(struct svg_head){p->title, p->text.p, p->layout[l].w, p->layout[l].h},
                   l == NARROW ? "narrow" : "wide", p->layout[l].inner.p, out);
    if (*caption) str_addf(out, "<figcaption>%s</figcaption>\n", caption);
    str_add(out, "</figure>\n");
}

static void numbered_figure(const struct gallery *g, const char *name, double candidates, const char *caption,
                            struct str *out) {
    char whole[64];
    snprintf(whole, sizeof whole, "%s-%.0f", name, candidates);
    figure(g, whole, caption, out);
}

static void head(const struct study *s, struct str *out) {
    str_add(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                 "<meta name=\"color-scheme\" content=\"light dark\">\n"
                 "<meta name=\"generator\" content=\"prerank " PRERANK_VERSION "\">\n"
                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                 "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
                 "<link rel=\"icon\" href=\"data:,\">\n<title>");
    xml_text(out, study_name(s));
    str_add(out, " · prerank report</title>\n<style>\n");
    svg_palette(out);
    str_add(out, asset_report_css);
    svg_css(".plot ", out);
    str_add(out, "</style>\n</head>\n<body>\n<main>\n");
}

static void meta_part(const json_t *j, const char *before, struct str *out) {
    const char *text = json_string_value(j);
    if (!text || !*text) return;
    str_addf(out, "<span>%s", before);
    xml_text(out, text);
    str_add(out, "</span>\n");
}

static const json_t *first_of(const struct study *s, const char *const *paths) {
    const json_t *found = NULL;
    for (; *paths && !found; paths++) found = study_manifest(s, *paths);
    return found;
}

static void masthead(const struct study *s, struct str *out) {
    static const char *const when[] = {"finished",      "started", "times.finished",
                                       "times.started", "time",    NULL};
    static const char *const cpu[] = {"machine.cpu", "cpu", NULL};
    static const char *const data[] = {"data.name", "config.data", NULL};
    str_add(out,
            "<header>\n<p class=\"kicker\">prerank · pre-ranking models, what they are worth and what they "
            "cost</p>\n<h1>");
    xml_text(out, study_name(s));
    str_add(out, "</h1>\n<p class=\"meta\">");
    meta_part(first_of(s, data), "", out);
    str_addf(out, "<span>%d variant%s × %d feature subset%s, %zu run%s</span>\n", s->effect.variants,
             s->effect.variants == 1 ? "" : "s", s->effect.subsets, s->effect.subsets == 1 ? "" : "s",
             s->effect.runs, s->effect.runs == 1 ? "" : "s");
    meta_part(first_of(s, cpu), "", out);
    meta_part(first_of(s, when), "", out);
    str_add(out, "</p>\n</header>\n");
}

static void tradeoff_sections(const struct study *s, const struct gallery *g, struct str *out) {
    static const char caption[] = "Each point is a model: its mean GAUC on the test split against its median "
                                  "response time. Whiskers are "
                                  "95&nbsp;% intervals, cut at the frame. No other point is at once as good "
                                  "and as fast as one on the Pareto "
                                  "front. Faster is left, better is up.";
    bool untimed = false;
    for (size_t i = 0; i < s->tradeoff.n; i++) untimed |= isnan(s->tradeoff.point[i].candidates);
    for (int c = s->n_candidates - 1; c >= 0; c--) {
        bool first = c == s->n_candidates - 1;
        char count[32];
        count_text(count, s->candidates[c]);
        str_addf(out, "<section%s>\n<h2>%s candidates per request</h2>\n", first ? " id=\"tradeoff\"" : "",
                 count);
        numbered_figure(g, "tradeoff", s->candidates[c], first ? caption : "", out);
        if (first) report_summary(s, out);
        report_tradeoff_table(s, s->candidates[c], out);
        str_add(out, "</section>\n");
    }
    if (!s->n_candidates) report_summary(s, out);
    if (!untimed) return;
    str_add(out, "<section>\n<h2>Not timed</h2>\n");
    report_tradeoff_table(s, (double)NAN, out);
    str_add(out, "</section>\n");
}

static void quality_section(const struct study *s, const struct gallery *g, struct str *out) {
    str_add(out, "<section id=\"quality\">\n<h2>Quality</h2>\n");
    figure(g, "gauc",
           "The dot is the mean over the seeds, the whisker its 95&nbsp;% interval (Student’s t over the "
           "seeds; with "
           "one seed a bootstrap over users), each tick one seed. The axis does not begin at 0.",
           out);
    report_quality_table(s, out);
    report_notes(s, out);
    str_add(
        out,
        "</section>\n<section id=\"calibration\">\n<h2>Calibration</h2>\n"
        "<p>Pre-ranking needs the right order; what is downstream may also need the right probability. PCOC "
        "is the sum of predicted clicks over the number of clicks, ECE the mean distance between the two "
        "over equal shares of the rows.</p>\n<div class=\"compact\">\n");
    report_calibration_table(s, out);
    str_add(out, "</div>\n</section>\n");
}

static void latency_section(const struct study *s, const struct gallery *g, struct str *out) {
    if (!s->n_candidates) return;
    str_add(out, "<section id=\"latency\">\n<h2>Response time</h2>\n");
    for (int c = s->n_candidates - 1; c >= 0; c--) {
        char count[32];
        count_text(count, s->candidates[c]);
        str_addf(out, "<h3>%s candidates</h3>\n", count);
        numbered_figure(
            g, "latency", s->candidates[c],
            "Percentiles of single requests, from the raw samples. Each nine of the tail has the same room.",
            out);
        report_latency_table(s, s->candidates[c], out);
    }
    str_add(out, "</section>\n");
}

static void training_section(const struct study *s, const struct gallery *g, struct str *out) {
    if (!g) return;
    struct str figures = STR_INIT;
    for (size_t i = 0; i < g->n; i++) {
        if (strncmp(g->picture[i].name, "curves-", 7) != 0) continue;
        struct str caption = STR_INIT;
        xml_text(&caption, g->picture[i].title + strlen("Training of "));
        if (caption.p) figure(g, g->picture[i].name, caption.p, &figures);
        str_release(&caption);
    }
    if (figures.p) {
        str_add(
            out,
            "<section id=\"training\">\n<h2>Training</h2>\n<p>Validation GAUC and training loss after each "
            "epoch: the line is the mean over the seeds as far as all of them went, the band spans them. The "
            "other variants are grey, on the same scales.</p>\n<div class=\"grid\">\n");
        str_add(out, figures.p);
        str_add(out, "</div>\n</section>\n");
    }
    out->failed |= figures.failed;
    str_release(&figures);
    (void)s;
}

static void page(const struct study *s, const struct gallery *g, struct str *out) {
    head(s, out);
    masthead(s, out);
    str_add(
        out,
        "<nav aria-label=\"Sections\"><a href=\"#tradeoff\">Trade-off</a> <a href=\"#quality\">Quality</a> "
        "<a href=\"#calibration\">Calibration</a> <a href=\"#latency\">Response time</a> "
        "<a href=\"#training\">Training</a> <a href=\"#manifest\">What ran where</a></nav>\n");
    const char *status = json_string_value(study_manifest(s, "status"));
    if (status && !strcmp(status, "interrupted"))
        str_add(out, "<p class=\"warning\">The run was interrupted: what was finished is here.</p>\n");
    if (!g) str_add(out, "<p class=\"warning\">This report was made without pictures.</p>\n");
    tradeoff_sections(s, g, out);
    quality_section(s, g, out);
    latency_section(s, g, out);
    training_section(s, g, out);
    report_manifest(s, out);
    str_add(
        out,
        "<footer>Made by prerank " PRERANK_VERSION
        " from manifest.json, effect.csv, compute.csv, curves.csv and latency.csv; docs/results.md says what "
        "each column means.</footer>\n</main>\n<script>\n");
    str_add(out, asset_report_js);
    str_add(out, "</script>\n</body>\n</html>\n");
}

static int write_page(const struct study *s, const struct gallery *g, struct err *e) {
    struct str out = STR_INIT;
    char path[1024];
    page(s, g, &out);
    int rc = out.failed ? err_nomem(e, out.len) : file_join(path, sizeof path, s->dir, "report.html", e);
    if (!rc) rc = file_write_text(path, out.p, out.len, e);
    str_release(&out);
    return rc;
}

static int make(const char *dir, bool pictures, struct err *e) {
    struct study s;
    struct gallery g = {0, 0, NULL};
    TRY(study_load(dir, &s, e));
    int rc = tradeoff_save(&s.tradeoff, dir, e);
    int not_drawn = !rc && pictures ? plots_draw(&s, &g, e) : 0;
    if (!rc) rc = write_page(&s, pictures && !not_drawn ? &g : NULL, not_drawn ? NULL : e);
    gallery_release(&g);
    study_release(&s);
    return not_drawn ? not_drawn : rc;
}

int report_write(const char *dir, struct err *e) { return make(dir, true, e); }

int report_write_plain(const char *dir, struct err *e) { return make(dir, false, e); }
