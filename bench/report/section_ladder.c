/* What each step of the serving engine is worth: ladder.csv as pictures and a table. */
#include "bench/report/html.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

enum { MODELS_MOST = 12, RANKS = 32 };
struct rungs { /* ladder.csv */
    struct table t;
    double *candidates, *rank, *p50, *p99, *qps, *speedup, *gauc, *delta, *differs, *hits, *concurrent,
        *floor;
    int variant, features, step;
};

static int rungs_load(const struct study *s, struct rungs *r, bool *there, struct err *e) {
    *r = (struct rungs){0};
    TRY(section_table(s, "ladder.csv", &r->t, there, e));
    if (!*there) return 0;
    const struct {
        const char *name;
        double **to;
    } column[] = {{"candidates", &r->candidates},
                  {"rank", &r->rank},
                  {"p50_us", &r->p50},
                  {"p99_us", &r->p99},
                  {"qps", &r->qps},
                  {"speedup", &r->speedup},
                  {"gauc", &r->gauc},
                  {"gauc_delta", &r->delta},
                  {"score_max_diff", &r->differs},
                  {"user_hit_share", &r->hits},
                  {"concurrent", &r->concurrent},
                  {"floor_us", &r->floor}};
    int rc = 0;
    for (size_t i = 0; i < sizeof column / sizeof *column && !rc; i++)
        rc = table_numbers(&r->t, column[i].name, column[i].to, e);
    if (!rc) rc = table_need(&r->t, "variant", &r->variant, e);
    if (!rc) rc = table_need(&r->t, "features", &r->features, e);
    if (!rc) rc = table_need(&r->t, "step", &r->step, e);
    if (rc) table_release(&r->t);
    return rc;
}

static bool same_model(const struct rungs *r, size_t a, size_t b) {
    return !strcmp(table_text(&r->t, a, r->variant), table_text(&r->t, b, r->variant)) &&
           !strcmp(table_text(&r->t, a, r->features), table_text(&r->t, b, r->features));
}

/* Rows where a model begins, for one number of candidates. */
static size_t models_of(const struct rungs *r, double candidates, size_t first[MODELS_MOST]) {
    size_t n = 0;
    for (size_t i = 0; i < r->t.rows && n < MODELS_MOST; i++)
        if (r->candidates[i] == candidates && (!n || !same_model(r, i, first[n - 1]))) first[n++] = i;
    return n;
}

static void model_name(const struct rungs *r, const struct study *s, size_t row, char out[STUDY_LABEL_MAX]) {
    bool many = s->effect.subsets > 1;
    snprintf(out, STUDY_LABEL_MAX, "%s%s%s", table_text(&r->t, row, r->variant), many ? " · " : "",
             many ? table_text(&r->t, row, r->features) : "");
}

static void series(const struct rungs *r, size_t k, size_t first, struct str *script) {
    str_addf(script, "$m%zu << EOD\n", k);
    for (size_t i = first;
         i < r->t.rows && same_model(r, i, first) && r->candidates[i] == r->candidates[first]; i++)
        if (r->p50[i] > 0) str_addf(script, "%.9g %.9g\n", r->p50[i], -r->rank[i]);
    str_add(script, "EOD\n");
}

/* A step a line, from top to bottom; response time to the right. */
static void draw_layout(const struct rungs *r, const struct study *s, double candidates, struct layout *out,
                        bool narrow) {
    size_t first[MODELS_MOST], n = models_of(r, candidates, first);
    const char *label[RANKS] = {0};
    struct legend_item item[MODELS_MOST];
    char name[MODELS_MOST][STUDY_LABEL_MAX];
    double lo = INFINITY, hi = -INFINITY, last = 0, widest = 0, size = narrow ? 10 : PLOT_TEXT_PX;
    for (size_t i = 0; i < r->t.rows; i++) {
        if (r->candidates[i] != candidates || r->rank[i] < 0 || r->rank[i] >= RANKS) continue;
        label[(size_t)r->rank[i]] = table_text(&r->t, i, r->step);
        last = fmax(last, r->rank[i]);
        range_add(&lo, &hi, r->p50[i] > 0 ? r->p50[i] : (double)NAN);
        widest = fmax(widest, text_width(label[(size_t)r->rank[i]], size));
    }
    out->w = narrow ? 360 : 960;
    for (size_t k = 0; k < n; k++) {
        model_name(r, s, first[k], name[k]);
        item[k] =
            (struct legend_item){name[k], plot_colour((int)k), LEGEND_LINE, 1 + (int)plot_mark_of((int)k)};
    }
    double top = 20 + 18 * plot_legend(NULL, item, n, 4, out->w - 8, 0);
    out->h = 26 * (last + 1) + 50 + top;
    struct panel p = {.out = &out->script,
                      .w = out->w,
                      .h = out->h,
                      .left = widest + 14,
                      .right = out->w - 20,
                      .top = top,
                      .bottom = out->h - 46};
    struct ticks x, y = {0};
    p.x = scale_around(lo, hi, true, 0.05);
    p.y = (struct scale){-last - 0.5, 0.5, false};
    ticks_microseconds(&x, &p.x, narrow ? 4 : 8);
    panel_axes(&p, &x, &y);
    for (size_t k = 0; k < RANKS && k <= (size_t)last; k++)
        if (label[k])
            panel_text(&p, p.left - 8, panel_py(&p, -(double)k), (struct pen){.align = 1, .size = size},
                       label[k]);
    for (size_t k = 0; k < n; k++) series(r, k, first[k], p.out);
    plot_legend(&p, item, n, 4, out->w - 8, 12);
    panel_text(&p, p.right, out->h - 8, (struct pen){.colour = "muted", .align = 1},
               "response time p50, log scale");
    for (size_t k = 0; k < n; k++)
        str_addf(p.out, "%s $m%zu using 1:2 with linespoints linewidth 1.6 pointtype %s linecolor rgb %s",
                 k ? "," : "plot", k, mark_gnuplot(plot_mark_of((int)k)), plot_colour((int)k));
    str_add(p.out, "\n");
}

static int draw_one(const struct rungs *r, const struct study *s, double candidates, struct picture *p) {
    size_t first[MODELS_MOST], n = models_of(r, candidates, first);
    char name[64], title[120];
    if (!n || !(r->p50[first[0]] > 0)) return 0;
    snprintf(name, sizeof name, "ladder-%.0f", candidates);
    snprintf(title, sizeof title, "Response time as the engine's steps are added, %.0f candidates",
             candidates);
    picture_name(p, name, title);
    str_addf(&p->text, "%zu models, a line each; a step of the engine a row", n);
    for (int k = 0; k < LAYOUTS; k++) draw_layout(r, s, candidates, &p->layout[k], k == NARROW);
    return 1;
}

/* The next number of candidates above `last`; NaN at the end. */
static double next_size(const struct rungs *r, double last) {
    double next = (double)NAN;
    for (size_t i = 0; i < r->t.rows; i++)
        if (r->candidates[i] > last && !(r->candidates[i] >= next)) next = r->candidates[i];
    return next;
}

static int draw(const struct study *s, struct gallery *g, struct err *e) {
    struct rungs r;
    bool there;
    int rc = 0;
    TRY(rungs_load(s, &r, &there, e));
    if (!there) return 0;
    double c = 0;
    while (!rc && !isnan(c = next_size(&r, c))) {
        struct picture *p = gallery_next(g, e);
        rc = p ? gallery_keep(g, draw_one(&r, s, c, p), e) : ERR_INPUT;
    }
    table_release(&r.t);
    return rc;
}

static void ladder_table(const struct rungs *r, const struct study *s, double candidates, struct str *out) {
    static const struct html_column column[] = {
        {"Model", NULL, 't'},
        {"Step", "added to those above it; of the precisions one at a time", 't'},
        {"Floor", "what FLOPs and bytes alone would take on this machine", 'l'},
        {"RT p50", NULL, 'l'},
        {"RT p99", NULL, 'l'},
        {"QPS", "requests a second in a closed loop", 'h'},
        {"Speed-up", "of p50, to the first step", 'h'},
        {"GAUC", "test split, as served with this step", 'h'},
        {"ΔGAUC", "to the first step", 'h'},
        {"Scores differ", "largest distance of a logit to the first step's", 'l'},
        {"User hits",
         "share of the requests that found their user in the cache; requests repeat when more samples are "
         "taken than there are",
         'h'}};
    html_table_open(out, column, sizeof column / sizeof *column, -1);
    for (size_t i = 0; i < r->t.rows; i++) {
        if (r->candidates[i] != candidates) continue;
        str_add(out, "<tr>");
        html_model(out, table_text(&r->t, i, r->variant),
                   s->effect.subsets > 1 ? table_text(&r->t, i, r->features) : NULL, -1);
        html_text_cell(out, table_text(&r->t, i, r->step));
        html_time(out, r->floor[i]);
        html_time(out, r->p50[i]);
        html_time(out, r->p99[i]);
        html_count(out, r->qps[i]);
        html_number(out, r->speedup[i], "%.2f");
        html_number(out, r->gauc[i], "%.4f");
        html_number(out, r->delta[i], "%+.5f");
        html_number(out, r->differs[i], "%.1e");
        html_number(out, r->hits[i], "%.2f");
        str_add(out, "</tr>\n");
    }
    html_table_close(out);
}

/* What was chosen to be a table: one sentence from tables.csv, which need not be there. */
static int tables_sentence(const struct study *s, struct str *out, struct err *e) {
    enum { NAMED = 6 };
    static const char *const names[] = {"variant", "precision", "field", "chosen", "why"};
    struct table t;
    bool there;
    int column[5], rc = 0;
    double *table_ns, *product_ns;
    size_t measured = 0, tables = 0, named = 0;
    TRY(section_table(s, "tables.csv", &t, &there, e));
    if (!there) return 0;
    for (int k = 0; k < 5 && !rc; k++) rc = table_need(&t, names[k], &column[k], e);
    if (!rc) rc = table_numbers(&t, "table_ns", &table_ns, e);
    if (!rc) rc = table_numbers(&t, "product_ns", &product_ns, e);
    for (size_t i = 0; i < t.rows && !rc; i++) {
        bool is_measured = !strcmp(table_text(&t, i, column[4]), "measured");
        measured += is_measured;
        tables += is_measured && !strcmp(table_text(&t, i, column[3]), "table");
    }
    if (!rc && measured)
        str_addf(out,
                 "<p>By measured cost, %zu of %zu pair fields (over models and precisions) are tables of "
                 "partial products",
                 tables, measured);
    for (size_t i = 0; i < t.rows && !rc && measured > tables; i++) {
        if (strcmp(table_text(&t, i, column[4]), "measured") != 0 ||
            !strcmp(table_text(&t, i, column[3]), "table"))
            continue;
        if (named == NAMED) str_add(out, ", and others");
        if (named++ >= NAMED) continue;
        str_add(out, named > 1 ? ", " : "; faster as products: ");
        xml_text(out, table_text(&t, i, column[0]));
        str_addf(out, " in %s: ", table_text(&t, i, column[1]));
        xml_text(out, table_text(&t, i, column[2]));
        str_addf(out, " (%.0f ns a candidate instead of %.0f ns)", product_ns[i], table_ns[i]);
    }
    if (!rc && measured) str_add(out, " (tables.csv).</p>\n");
    table_release(&t);
    return rc;
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    struct rungs r;
    bool there;
    TRY(rungs_load(s, &r, &there, e));
    if (!there) return 0;
    int rc = 0;
    if (r.t.rows) {
        str_add(out,
                "<section id=\"ladder\">\n<h2>The engine, step by step</h2>\n<p>What each step of serving is "
                "worth: where a model’s line moves to the left, the step made it faster; where it does "
                "not, the step is not for this model.</p>\n");
        rc = tables_sentence(s, out, e);
    }
    double c = 0;
    while (!rc && !isnan(c = next_size(&r, c))) {
        char count[32];
        count_text(count, c);
        str_addf(out, "<h3>%s candidates</h3>\n", count);
        section_numbered_figure(
            g, "ladder", c,
            "From top to bottom each step is added to those before it; the precisions one at a "
            "time. All steps took turns on the same requests.",
            out);
        size_t shown[MODELS_MOST];
        if (models_of(&r, c, shown) == MODELS_MOST)
            str_addf(out, "<p>The picture has room for the first %d models.</p>\n", MODELS_MOST);
        str_add(out, "<details><summary>Every model and step, as a table</summary>\n");
        ladder_table(&r, s, c, out);
        str_add(out, "</details>\n");
    }
    if (r.t.rows) str_add(out, "</section>\n");
    table_release(&r.t);
    return rc;
}

const struct section section_ladder = {"ladder", "Engine", "ladder-", draw, write};
