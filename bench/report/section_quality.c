/* GAUC and its companions. */
#include "bench/report/report.h"
#include "bench/report/section.h"

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    struct picture *p = gallery_next(g, e);
    return p ? gallery_keep(g, plot_gauc(s, p), e) : ERR_INPUT;
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    (void)e;
    str_add(out,
            "<section id=\"quality\">\n<h2>Quality</h2>\n<p>How well each model orders what a user was "
            "shown; 0.5 "
            "is chance. Where whiskers overlap, this picture does not tell which of two models is better: a "
            "comparison of both on the same users tells more.</p>\n");
    section_figure(
        g, "gauc",
        "The dot is the mean over the seeds, the whisker its 95&nbsp;% interval (Student’s t over the "
        "seeds; with one seed a bootstrap over users), each tick one seed. The axis does not begin at 0.",
        out);
    report_quality_table(s, out);
    report_notes(s, out);
    str_add(out, "</section>\n");
    return 0;
}

const struct section section_quality = {"quality", "Quality", "gauc", draw, write};
