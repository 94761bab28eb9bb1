#include "bench/report/plots.h"
#include "base/file.h"
#include "base/mem.h"
#include "bench/report/assets.h"
#include "bench/report/gnuplot.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <ctype.h>
#include <dirent.h>
#include <string.h>
#include <unistd.h>

void picture_name(struct picture *p, const char *name, const char *title) {
    snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->title, sizeof p->title, "%s", title);
}

void layout_tip(struct layout *l, double x, double y, double radius, const char *text) {
    str_addf(&l->tips, "<circle class=\"tip\" cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"none\"><title>", x, y,
             radius);
    xml_text(&l->tips, text);
    str_add(&l->tips, "</title></circle>\n");
}

void plots_slug(const char *variant, int index, char out[64]) {
    size_t n = 0;
    bool same = *variant != '\0';
    for (; *variant && n < 40; variant++) {
        bool good = isalnum((unsigned char)*variant) || *variant == '-' || *variant == '_';
        same &= good;
        out[n] = '-';
        if (good) out[n] = *variant;
        n++;
    }
    same &= !*variant;
    out[n] = '\0';
    if (!same) snprintf(out + n, 64 - n, ".%d", index + 1);
}

static const double LEGEND_GAP = 14, LEGEND_LINE_PX = 18;

static double legend_key_width(const struct legend_item *item) { return item->kind >= LEGEND_LINE ? 24 : 14; }

static double legend_width(const struct legend_item *item) {
    return legend_key_width(item) + text_width(item->text, PLOT_TEXT_PX) + LEGEND_GAP;
}

static void legend_key(const struct panel *p, const struct legend_item *item, double x, double y) {
    if (item->kind < LEGEND_LINE) {
        panel_mark(p, x + 5, y, (enum plot_mark)item->kind, item->colour, 0.8);
    } else if (item->kind == LEGEND_CHOSEN) {
        panel_mark(p, x + 9, y, MARK_RING, item->colour, 1.5);
        panel_mark(p, x + 9, y, MARK_DISC, "muted", 0.7);
    } else {
        panel_dashes(p, x, x + 18, y, item->colour, 2, item->kind - LEGEND_LINE);
        if (item->mark) panel_mark(p, x + 9, y, (enum plot_mark)(item->mark - 1), item->colour, 0.8);
    }
}

int plot_legend(const struct panel *p, const struct legend_item *item, size_t n, double x0, double x1,
                double y) {
    double x = x0;
    int lines = n > 0;
    for (size_t i = 0; i < n; i++) {
        char text[PLOT_TEXT_MAX];
        double w = legend_width(&item[i]), key = legend_key_width(&item[i]);
        if (x > x0 && x + w - LEGEND_GAP > x1) {
            x = x0;
            y += LEGEND_LINE_PX;
            lines++;
        }
        int more = text_wrap(item[i].text, PLOT_TEXT_PX, x1 - x0 - key, text) - 1;
        if (p) {
            legend_key(p, &item[i], x, y);
            panel_lines(p, x + key, y, (struct pen){.colour = "muted", .align = -1}, text);
        }
        x = more ? x1 : x + w; /* nothing stands beside an item of several lines */
        y += LEGEND_LINE_PX * more;
        lines += more;
    }
    return lines;
}

/* ---- the gallery ---- */
static void layout_release(struct layout *l) {
    str_release(&l->script);
    str_release(&l->tips);
    str_release(&l->inner);
}

static void picture_release(struct picture *p) {
    str_release(&p->text);
    for (int l = 0; l < LAYOUTS; l++) layout_release(&p->layout[l]);
}

void gallery_release(struct gallery *g) {
    for (size_t i = 0; i < g->n; i++) picture_release(&g->picture[i]);
    mem_free(g->picture);
    *g = (struct gallery){0, 0, NULL};
}

const struct picture *gallery_find(const struct gallery *g, const char *name) {
    for (size_t i = 0; i < g->n; i++)
        if (!strcmp(g->picture[i].name, name)) return &g->picture[i];
    return NULL;
}

struct picture *gallery_next(struct gallery *g, struct err *e) {
    if (g->n == g->room) {
        size_t more = g->room ? 2 * g->room : 16;
        struct picture *p = mem_realloc(g->picture, g->room * sizeof *p, more * sizeof *p);
        if (!p) {
            err_nomem(e, more * sizeof *p);
            return NULL;
        }
        g->picture = p;
        g->room = more;
    }
    g->picture[g->n] = (struct picture){.text = STR_INIT};
    return &g->picture[g->n];
}

int gallery_keep(struct gallery *g, int drawn, struct err *e) {
    struct picture *p = &g->picture[g->n];
    bool failed = drawn < 0 || p->text.failed;
    for (int l = 0; l < LAYOUTS; l++) failed |= p->layout[l].script.failed | p->layout[l].tips.failed;
    if (drawn && !failed)
        g->n++;
    else
        picture_release(p);
    return failed ? err_nomem(e, 0) : 0;
}

static int script_all(const struct study *s, struct gallery *g, struct err *e) {
    for (size_t i = 0; sections[i]; i++)
        if (sections[i]->draw) TRY(sections[i]->draw(s, g, e));
    return 0;
}

/* One script for all: `0-0.svg` is picture 0, layout 0. */
static void add_script(struct str *out, const struct picture *p, size_t i) {
    for (int l = 0; l < LAYOUTS; l++)
        str_addf(out,
                 "reset session\n%s\nset terminal svg size %g,%g noenhanced font 'Sans,%g'\n"
                 "set output '%zu-%d.svg'\n%s\nunset output\n",
                 asset_style_gp, p->layout[l].w, p->layout[l].h, PLOT_TEXT_PX, i, l, p->layout[l].script.p);
    const struct layout *wide = &p->layout[WIDE];
    str_addf(out,
             "reset session\n%s\nset terminal pngcairo size %g,%g noenhanced font 'Sans,%g' fontscale 1.5 "
             "linewidth 2 pointscale 2\nset output '%zu.png'\n%s\nunset output\n",
             asset_style_gp, 2 * wide->w, 2 * wide->h, PLOT_TEXT_PX, i, wide->script.p);
}

static int take_svg(struct picture *p, size_t i, int layout, const char *work, const char *plots,
                    struct err *e) {
    char name[128], path[1024], *raw;
    size_t n;
    struct layout *l = &p->layout[layout];
    snprintf(name, sizeof name, "%zu-%d.svg", i, layout);
    TRY(file_join(path, sizeof path, work, name, e));
    TRY(file_read_text(path, &raw, &n, e));
    int rc = svg_tidy(raw, n, &l->inner, e);
    mem_free(raw);
    if (rc) return rc;
    if (l->tips.p) str_add(&l->inner, l->tips.p);
    struct str whole = STR_INIT;
    svg_file(&(struct svg_head){p->title, p->text.p ? p->text.p : "", l->w, l->h}, l->inner.p, &whole);
    snprintf(name, sizeof name, "%s%s.svg", p->name, layout == NARROW ? "-narrow" : "");
    rc = whole.failed || l->inner.failed ? err_nomem(e, whole.len)
                                         : file_join(path, sizeof path, plots, name, e);
    if (!rc) rc = file_write_text(path, whole.p, whole.len, e);
    str_release(&whole);
    return rc;
}

static int take_png(const struct picture *p, size_t i, const char *work, const char *plots, struct err *e) {
    char name[128], path[1024], *png;
    size_t n;
    snprintf(name, sizeof name, "%zu.png", i);
    TRY(file_join(path, sizeof path, work, name, e));
    TRY(file_read_text(path, &png, &n, e));
    snprintf(name, sizeof name, "%s.png", p->name);
    bool whole = n > 20 && !memcmp(png, "\x89PNG", 4) && !memcmp(png + n - 8, "IEND", 4);
    int rc = whole ? file_join(path, sizeof path, plots, name, e)
                   : err_set(e, ERR_INPUT, "gnuplot wrote a PNG without an end; is the disk full?");
    if (!rc) rc = file_write_text(path, png, n, e);
    mem_free(png);
    return rc;
}

/* Pictures that an earlier report left and this one does not write. */
static void remove_old(const char *plots) {
    DIR *d = opendir(plots);
    for (struct dirent *f = d ? readdir(d) : NULL; f; f = readdir(d)) {
        const char *dot = strrchr(f->d_name, '.');
        if (!dot || (strcmp(dot, ".svg") != 0 && strcmp(dot, ".png") != 0)) continue;
        for (size_t i = 0; sections[i]; i++) {
            const char *ours = sections[i]->pictures;
            if (ours && !strncmp(f->d_name, ours, strlen(ours))) unlinkat(dirfd(d), f->d_name, 0);
        }
    }
    if (d) closedir(d);
}

static int run_all(struct gallery *g, const char *work, const char *plots, struct err *e) {
    struct str script = STR_INIT;
    str_add(&script, "");
    for (size_t i = 0; i < g->n; i++) add_script(&script, &g->picture[i], i);
    int rc = script.failed ? err_nomem(e, script.len) : file_make_dirs(work, e);
    if (!rc) rc = gnuplot_run(script.p, script.len, work, e);
    str_release(&script);
    if (!rc) remove_old(plots);
    for (size_t i = 0; !rc && i < g->n; i++) {
        for (int l = 0; !rc && l < LAYOUTS; l++) rc = take_svg(&g->picture[i], i, l, work, plots, e);
        if (!rc) rc = take_png(&g->picture[i], i, work, plots, e);
    }
    return rc;
}

int plots_draw(const struct study *s, struct gallery *g, struct err *e) {
    *g = (struct gallery){0, 0, NULL};
    char plots[1024], work[1024], name[64];
    TRY(file_join(plots, sizeof plots, s->dir, "plots", e));
    snprintf(name, sizeof name, ".drawing.tmp-%ld", (long)getpid());
    TRY(file_join(work, sizeof work, plots, name, e));
    int rc = script_all(s, g, e);
    if (!rc) rc = run_all(g, work, plots, e);
    file_remove_tree(work, NULL);
    if (rc) gallery_release(g);
    return rc;
}
