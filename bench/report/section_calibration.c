/* Are the probabilities right, not only their order? */
#include "bench/report/report.h"
#include "bench/report/section.h"

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    (void)e;
    (void)g;
    str_add(
        out,
        "<section id=\"calibration\">\n<h2>Calibration</h2>\n"
        "<p>Pre-ranking needs the right order; what is downstream may also need the right probability. PCOC "
        "is the sum of predicted clicks over the number of clicks, ECE the mean distance between the two "
        "over equal shares of the rows.</p>\n<div class=\"compact\">\n");
    report_calibration_table(s, out);
    str_add(out, "</div>\n</section>\n");
    return 0;
}

const struct section section_calibration = {"calibration", "Calibration", NULL, NULL, write};
