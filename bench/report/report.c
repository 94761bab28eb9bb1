#include "bench/report/report.h"
#include "base/file.h"
#include "bench/commands.h"
#include "bench/report/assets.h"
#include "bench/report/choice.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <string.h>

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

/* The sections, and a link to each that had something to say. */
static int body(const struct study *s, const struct gallery *g, struct str *links, struct str *out,
                struct err *e) {
    for (size_t i = 0; sections[i]; i++) {
        size_t before = out->len;
        TRY(sections[i]->write(s, g, out, e));
        if (out->len > before)
            str_addf(links, "<a href=\"#%s\">%s</a>\n", sections[i]->id, sections[i]->link);
    }
    return 0;
}

static void page(const struct study *s, const struct gallery *g, const char *links, const char *parts,
                 struct str *out) {
    head(s, out);
    masthead(s, out);
    str_addf(out, "<nav aria-label=\"Sections\">%s</nav>\n", links);
    const char *status = json_string_value(study_manifest(s, "status"));
    if (status && !strcmp(status, "interrupted"))
        str_add(out, "<p class=\"warning\">The run was interrupted: what was finished is here.</p>\n");
    if (!g) str_add(out, "<p class=\"warning\">This report was made without pictures.</p>\n");
    str_add(out, parts);
    str_add(out, "<footer>Made by prerank " PRERANK_VERSION
                 " from the files beside this page; docs/results.md says what each of their columns means."
                 "</footer>\n</main>\n<script>\n");
    str_add(out, asset_report_js);
    str_add(out, "</script>\n</body>\n</html>\n");
}

static int write_page(const struct study *s, const struct gallery *g, struct err *e) {
    struct str links = STR_INIT, parts = STR_INIT, out = STR_INIT;
    char path[1024];
    str_add(&links, "");
    str_add(&parts, "");
    int rc = body(s, g, &links, &parts, e);
    if (!rc && !links.failed && !parts.failed) page(s, g, links.p, parts.p, &out);
    if (!rc && (links.failed || parts.failed || out.failed)) rc = err_nomem(e, out.len + parts.len);
    if (!rc) rc = file_join(path, sizeof path, s->dir, "report.html", e);
    if (!rc) rc = file_write_text(path, out.p, out.len, e);
    str_release(&links);
    str_release(&parts);
    str_release(&out);
    return rc;
}

static int make(struct study *s, bool pictures, struct err *e) {
    struct gallery g = {0, 0, NULL};
    TRY(choices_make(s, e));
    int rc = tradeoff_save(&s->tradeoff, s->dir, e);
    if (!rc) rc = choices_save(s, e);
    int not_drawn = !rc && pictures ? plots_draw(s, &g, e) : 0;
    if (!rc) rc = write_page(s, pictures && !not_drawn ? &g : NULL, not_drawn ? NULL : e);
    gallery_release(&g);
    return not_drawn ? not_drawn : rc;
}

int report_run(const char *dir, const struct report_changes *other, bool pictures, FILE *table,
               struct err *e) {
    struct study s;
    TRY(study_load(dir, &s, e));
    if (other && other->budget) tradeoff_subject(&s.tradeoff, other->budget);
    int rc = other && other->compare_with ? study_compare_with(&s, other->compare_with, e) : 0;
    if (!rc) rc = make(&s, pictures, e);
    if (!rc && table) rc = report_print(&s, table, e);
    if (!rc && table) rc = choices_verdict(&s, e);
    study_release(&s);
    return rc;
}

int report_choose(const char *dir, struct err *e) {
    struct study s;
    TRY(study_load(dir, &s, e));
    int rc = choices_make(&s, e);
    if (!rc) rc = tradeoff_save(&s.tradeoff, dir, e);
    if (!rc) rc = choices_save(&s, e);
    if (!rc) rc = choices_verdict(&s, e);
    study_release(&s);
    return rc;
}

int report_write(const char *dir, struct err *e) { return report_run(dir, NULL, true, NULL, e); }

int report_write_plain(const char *dir, struct err *e) { return report_run(dir, NULL, false, NULL, e); }
