/* svg.h: makes gnuplot's SVG small, fit to stand inside a page, and right on light and dark backgrounds.
 *
 * gnuplot writes fixed colours. svg_tidy() keeps them as attributes, for viewers that know no CSS; the rules
 * of svg_css() exchange them where the reader prefers dark. Both come from bench/report/assets/style.gp.
 *
 *     struct str inner = STR_INIT, file = STR_INIT;
 *     TRY(svg_tidy(raw, n, &inner, e));
 *     svg_file(&(struct svg_head){.title = "GAUC", .w = 720, .h = 400}, inner.p, &file);      a file of its
 * own svg_inline(&head, "wide", inner.p, &page);                   inside a page that has svg_css(".plot ",
 * ...)
 */
#ifndef PRERANK_BENCH_SVG_H
#define PRERANK_BENCH_SVG_H
#include "base/err.h"
#include "base/str.h"

struct svg_head {
    const char *title, *text; /* for those who do not see it; plain text */
    double w, h;
};
/* The elements of gnuplot's picture without its frame. */
int svg_tidy(const char *raw, size_t n, struct str *inner, struct err *e);
void svg_file(const struct svg_head *head, const char *inner, struct str *out);
void svg_inline(const struct svg_head *head, const char *class_name, const char *inner, struct str *out);
/* Rules, each selector behind `prefix`. */
void svg_css(const char *prefix, struct str *out);
/* `:root{--c1:...}`: every colour of the style by its name, for the page around the pictures. */
void svg_palette(struct str *out);
/* Text with & < > " ' written as entities, and control characters as spaces. */
void xml_text(struct str *out, const char *text);

#endif
