/* section.h: the parts of report.html. A section is one file, section_<id>.c, and one line in the registry
 * sections.c, whose order is the page's.
 *
 * A section draws its pictures, then writes its HTML: a whole <section id="ID">...</section>, or nothing when
 * the results folder has nothing to say about it; then it has no link at the top of the page either. What the
 * study does not hold (a file that only some runs write) it reads itself, with section_table().
 *
 *     static int draw(const struct study *s, struct gallery *g, struct err *e) {
 *         struct picture *p = gallery_next(g, e);
 *         if (!p) return ERR_INPUT;
 *         return gallery_keep(g, plot_ladder(s, p), e);        as plot_*.c: 1 drawn, 0 nothing, -1 out of memory
 *     }
 *     static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
 *         if (nothing) return 0;
 *         str_add(out, "<section id=\"ladder\">\n<h2>Optimisation ladder</h2>\n");
 *         section_figure(g, "ladder", "what is to be seen", out);
 *         str_add(out, "</section>\n");
 *         return 0;
 *     }
 *     const struct section section_ladder = {"ladder", "Ladder", "ladder", draw, write};
 */
#ifndef PRERANK_BENCH_SECTION_H
#define PRERANK_BENCH_SECTION_H
#include "base/err.h"
#include "base/str.h"
#include "bench/report/plots.h"
#include "bench/report/study.h"
#include "bench/report/table.h"
#include <stdbool.h>

struct section {
    const char *id, *link; /* anchor; text of its link */
    const char
        *pictures; /* names of its pictures begin so; NULL: none. Older ones of that name are removed */
    int (*draw)(const struct study *s, struct gallery *g, struct err *e); /* NULL: no pictures */
    /* g: NULL in a report without pictures. Memory that runs out in `out` is its `failed`. */
    int (*write)(const struct study *s, const struct gallery *g, struct str *out, struct err *e);
};
extern const struct section *const sections[]; /* NULL-ended, in the page's order */

/* A table that only some runs write: *there is false, and `t` empty, when the folder has none. */
int section_table(const struct study *s, const char *file, struct table *t, bool *there, struct err *e);
/* The picture of that name in both layouts, with its caption (HTML); nothing when there is no such picture. */
void section_figure(const struct gallery *g, const char *name, const char *caption, struct str *out);
/* The picture "NAME-1000". */
void section_numbered_figure(const struct gallery *g, const char *name, double number, const char *caption,
                             struct str *out);
/* Every picture whose name begins with `prefix`, side by side; the caption is the title without its first
 * `skip` bytes. */
void section_figures(const struct gallery *g, const char *prefix, size_t skip, struct str *out);

#endif
