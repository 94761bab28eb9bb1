/* The registry of section.h, and what sections have in common. */
#include "base/file.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <string.h>

/* both lists, one a line, in the page's order */
/* clang-format off */
extern const struct section section_tradeoff;
extern const struct section section_selection;
extern const struct section section_quality;
extern const struct section section_differences;
extern const struct section section_slices;
extern const struct section section_calibration;
extern const struct section section_latency;
extern const struct section section_ladder;
extern const struct section section_load;
extern const struct section section_cascade;
extern const struct section section_retrieval;
extern const struct section section_training;
extern const struct section section_tuning;
extern const struct section section_manifest;

const struct section *const sections[] = {
    &section_tradeoff,
    &section_selection,
    &section_quality,
    &section_differences,
    &section_slices,
    &section_calibration,
    &section_latency,
    &section_ladder,
    &section_load,
    &section_cascade,
    &section_retrieval,
    &section_training,
    &section_tuning,
    &section_manifest,
    NULL};
/* clang-format on */

int section_table(const struct study *s, const char *file, struct table *t, bool *there, struct err *e) {
    char path[1024];
    *t = (struct table){.arena = ARENA_INIT};
    TRY(file_join(path, sizeof path, s->dir, file, e));
    *there = file_exists(path);
    return *there ? table_load(s->dir, file, t, e) : 0;
}

/* Both layouts; the page's style shows the one that fits. */
void section_figure(const struct gallery *g, const char *name, const char *caption, struct str *out) {
    const struct picture *p = g ? gallery_find(g, name) : NULL;
    if (!p) return;
    str_add(out, "<figure>\n");
    for (int l = 0; l < LAYOUTS; l++)
        svg_inline(&(struct svg_head){p->title, p->text.p, p->layout[l].w, p->layout[l].h},
                   l == NARROW ? "narrow" : "wide", p->layout[l].inner.p, out);
    if (*caption) str_addf(out, "<figcaption>%s</figcaption>\n", caption);
    str_add(out, "</figure>\n");
}

void section_numbered_figure(const struct gallery *g, const char *name, double number, const char *caption,
                             struct str *out) {
    char whole[64];
    snprintf(whole, sizeof whole, "%s-%.0f", name, number);
    section_figure(g, whole, caption, out);
}

void section_figures(const struct gallery *g, const char *prefix, size_t skip, struct str *out) {
    bool any = false;
    for (size_t i = 0; g && i < g->n; i++) {
        const struct picture *p = &g->picture[i];
        if (strncmp(p->name, prefix, strlen(prefix)) != 0) continue;
        if (!any) str_add(out, "<div class=\"grid\">\n");
        any = true;
        struct str caption = STR_INIT;
        xml_text(&caption, p->title + (skip < strlen(p->title) ? skip : 0));
        section_figure(g, p->name, caption.p ? caption.p : "", out);
        out->failed |= caption.failed;
        str_release(&caption);
    }
    if (any) str_add(out, "</div>\n");
}
