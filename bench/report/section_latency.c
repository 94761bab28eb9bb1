/* Response times: percentiles on an axis of nines, and their table. */
#include "bench/report/html.h"
#include "bench/report/report.h"
#include "bench/report/section.h"

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    for (int c = s->n_candidates - 1; c >= 0; c--) {
        struct picture *p = gallery_next(g, e);
        if (!p) return ERR_INPUT;
        TRY(gallery_keep(g, plot_latency(s, s->candidates[c], p), e));
    }
    return 0;
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    (void)e;
    if (!s->n_candidates) return 0;
    str_add(out,
            "<section id=\"latency\">\n<h2>Response time</h2>\n<p>How long one request takes when the next "
            "one waits for it. The left of a line is the usual request, its right end the slowest of a "
            "hundred or a thousand: the longer a line stays flat, the better the model keeps to a "
            "limit.</p>\n");
    for (int c = s->n_candidates - 1; c >= 0; c--) {
        char count[32];
        count_text(count, s->candidates[c]);
        str_addf(out, "<h3>%s candidates</h3>\n", count);
        section_numbered_figure(
            g, "latency", s->candidates[c],
            "Percentiles of single requests, from the raw samples. Each nine of the tail has the same room.",
            out);
        report_latency_table(s, s->candidates[c], out);
    }
    str_add(out, "</section>\n");
    return 0;
}

const struct section section_latency = {"latency", "Response time", "latency-", draw, write};
