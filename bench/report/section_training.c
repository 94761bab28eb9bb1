/* Training curves, a picture for each variant. */
#include "bench/report/section.h"
#include <string.h>

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    for (int v = 0; v < s->effect.variants; v++) {
        struct picture *p = gallery_next(g, e);
        if (!p) return ERR_INPUT;
        TRY(gallery_keep(g, plot_curves(s, v, p), e));
    }
    return 0;
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    (void)e;
    bool any = false;
    for (size_t i = 0; g && i < g->n; i++) any |= !strncmp(g->picture[i].name, "curves-", 7);
    if (!any) return 0;
    (void)s;
    str_add(out,
            "<section id=\"training\">\n<h2>Training</h2>\n<p>Validation GAUC and training loss after each "
            "epoch: the line is the mean over the seeds as far as all of them went, the band spans them. The "
            "other variants are grey, on the same scales.</p>\n");
    section_figures(g, "curves-", strlen("Training of "), out);
    str_add(out, "</section>\n");
    return 0;
}

const struct section section_training = {"training", "Training", "curves-", draw, write};
