/* The trade-off, for each number of candidates: picture, what it says, table. */
#include "bench/report/html.h"
#include "bench/report/report.h"
#include "bench/report/section.h"
#include <math.h>

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    for (int c = s->n_candidates - 1; c >= 0; c--) {
        struct picture *p = gallery_next(g, e);
        if (!p) return ERR_INPUT;
        TRY(gallery_keep(g, plot_tradeoff(s, s->candidates[c], p), e));
    }
    return 0;
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
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
        section_numbered_figure(g, "tradeoff", s->candidates[c], first ? caption : "", out);
        if (first) TRY(report_summary(s, out, e));
        report_tradeoff_table(s, s->candidates[c], out);
        str_add(out, "</section>\n");
    }
    if (!s->n_candidates) TRY(report_summary(s, out, e));
    if (!untimed) return 0;
    str_addf(out, "<section%s>\n<h2>Not timed</h2>\n", s->n_candidates ? "" : " id=\"tradeoff\"");
    report_tradeoff_table(s, (double)NAN, out);
    str_add(out, "</section>\n");
    return 0;
}

const struct section section_tradeoff = {"tradeoff", "Trade-off", "tradeoff-", draw, write};
