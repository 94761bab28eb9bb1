#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "bench/report/gnuplot.h"
#include "bench/report/plot.h"
#include "bench/report/plot_label.h"
#include "bench/report/plots.h"
#include "bench/report/svg.h"
#include "tests/bench/results.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(plots, .init = setup, .fini = teardown);

#define EXPECT_HAS(text, what)   cr_expect(strstr(text, what), "\"%s\" is missing", what)
#define EXPECT_LACKS(text, what) cr_expect_not(strstr(text, what), "\"%s\" must not be there", what)

static void draw(void) {
    struct study study;
    struct gallery g;
    struct err e = ERR_INIT;
    cr_assert_eq(study_load(s.dir, &study, &e), 0, "%s", e.msg);
    cr_assert_eq(plots_draw(&study, &g, &e), 0, "%s", e.msg);
    gallery_release(&g);
    study_release(&study);
}

/* ---- names beside points ---- */
static void expect_apart(const struct label *l, size_t n, struct box area) {
    for (size_t i = 0; i < n; i++) {
        if (!l[i].placed) continue;
        struct box b = l[i].at;
        cr_assert(b.x0 >= area.x0 && b.x1 <= area.x1 && b.y0 >= area.y0 && b.y1 <= area.y1,
                  "name %zu is outside", i);
        for (size_t j = 0; j < n; j++) {
            struct box dot = {l[j].px - 6, l[j].py - 6, l[j].px + 6, l[j].py + 6};
            cr_assert_eq(box_overlap(b, dot), 0, "name %zu covers point %zu", i, j);
            if (j != i && l[j].placed)
                cr_assert_eq(box_overlap(b, l[j].at), 0, "names %zu and %zu overlap", i, j);
        }
    }
}

Test(plots, names_cover_neither_points_nor_each_other) {
    enum { N = 40 };
    struct box area = {0, 0, 360, 300};
    struct rng r = rng_init(1, rng_stream("labels"));
    for (int round = 0; round < 20; round++) {
        struct label l[N] = {{.px = 0}};
        double spread = round % 2 ? 60 : 300; /* a crowd, or points all over */
        for (size_t i = 0; i < N; i++)
            l[i] = (struct label){.px = 30 + spread * rng_uniform(&r),
                                  .py = 20 + spread * .8 * rng_uniform(&r),
                                  .w = 20 + 60 * rng_uniform(&r),
                                  .h = 14,
                                  .weight = -(double)i,
                                  .radius = 6};
        labels_place(l, N, N, area, NULL, 0);
        expect_apart(l, N, area);
    }
}

Test(plots, every_name_has_a_place_when_there_is_room) {
    enum { N = 12 };
    struct label l[N] = {{.px = 0}};
    for (size_t i = 0; i < N; i++)
        l[i] = (struct label){.px = 60 + 180 * (double)(i % 4),
                              .py = 50 + 120 * (double)(i / 4),
                              .w = 80,
                              .h = 15,
                              .radius = 6};
    labels_place(l, N, N, (struct box){0, 0, 800, 400}, NULL, 0);
    for (size_t i = 0; i < N; i++) cr_expect(l[i].placed && !l[i].leader, "name %zu", i);
    expect_apart(l, N, (struct box){0, 0, 800, 400});
}

Test(plots, a_point_among_twins_keeps_the_name_of_the_heaviest) {
    struct label l[30] = {{.px = 0}};
    for (size_t i = 0; i < 30; i++)
        l[i] = (struct label){.px = 50, .py = 50, .w = 60, .h = 15, .weight = (double)i, .radius = 6};
    labels_place(l, 30, 30, (struct box){0, 0, 130, 100}, NULL, 0);
    cr_expect(l[29].placed);
    expect_apart(l, 30, (struct box){0, 0, 130, 100});
}

/* ---- axes ---- */
Test(plots, ticks_are_few_inside_and_ascending) {
    struct rng r = rng_init(2, rng_stream("ticks"));
    for (int round = 0; round < 2000; round++) {
        double lo = exp(12 * rng_uniform(&r) - 6), hi = lo * (1 + exp(10 * rng_uniform(&r) - 5));
        struct scale scale = {lo, hi, round % 2};
        int most = 2 + (int)rng_below(&r, 9);
        struct ticks t;
        ticks_number(&t, &scale, most);
        cr_assert(t.n >= 1 || hi / lo < 1.1, "no tick from %g to %g", lo, hi);
        cr_assert_leq(t.n, most + 1);
        for (int i = 0; i < t.n; i++) {
            cr_assert(t.at[i] >= lo * .9999 && t.at[i] <= hi * 1.0001, "%g is outside %g..%g", t.at[i], lo,
                      hi);
            if (i) cr_assert_gt(t.at[i], t.at[i - 1]);
            if (i) cr_assert_str_neq(t.label[i], t.label[i - 1]);
        }
    }
}

Test(plots, counts_have_whole_ticks) {
    static const struct scale scales[] = {{1.92, 4.08, false}, {0.5, 31.5, false}, {3.9, 4.1, false}};
    static const char *const want[] = {"2 3 4", "10 20 30", "4"};
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        struct ticks t;
        char got[200] = "";
        ticks_whole(&t, &scales[k], 6);
        for (int i = 0; i < t.n; i++) {
            if (i) strcat(got, " ");
            strcat(got, t.label[i]);
        }
        cr_expect_str_eq(got, want[k]);
    }
}

Test(plots, times_have_three_digits) {
    static const struct {
        double us;
        const char *text;
    } want[] = {{.5, "0.50 µs"},    {9.996, "10.0 µs"}, {65.03, "65.0 µs"}, {392.4, "392 µs"},
                {999.7, "1.00 ms"}, {1620, "1.62 ms"},  {99960, "100 ms"},  {1.5e6, "1.50 s"}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        char text[24];
        plot_microseconds(text, want[i].us);
        cr_expect_str_eq(text, want[i].text);
    }
}

Test(plots, a_scale_is_never_empty) {
    double value[] = {0, 1, -3, .7123, 1e-9, 1e9};
    for (size_t i = 0; i < sizeof value / sizeof *value; i++)
        for (int log_scale = 0; log_scale < 2; log_scale++) {
            struct scale scale = scale_around(value[i], value[i], log_scale, .05);
            cr_expect_lt(scale.lo, scale.hi);
            if (log_scale) cr_expect_gt(scale.lo, 0);
        }
    struct scale none = scale_around(INFINITY, -INFINITY, false, .05);
    cr_expect_lt(none.lo, none.hi);
}

Test(plots, long_names_are_cut_between_characters) {
    const char *name = "größter Zwei-Türme-Ansatz mit Überlänge";
    for (size_t cap = 8; cap < 60; cap++)
        for (double max = 10; max < 400; max += 7) {
            char out[64];
            size_t bad;
            text_fit(name, 12, max, out, cap);
            cr_assert(str_utf8_valid(out, strlen(out), &bad), "%s", out);
            cr_assert_lt(strlen(out), cap);
            if (max > 40) cr_assert_leq(text_width(out, 12), max + 12);
        }
}

/* In any room: every character once and in its order, no line wider than the room (a single character aside), and no word
 * apart that fits a line. */
Test(plots, long_names_wrap_between_words_and_never_inside_a_character) {
    const char *name = "größter Zwei-Türme-Ansatz mit_Über_Länge · aller-Felder";
    for (double max = 1; max < 500; max += 3) {
        char out[PLOT_TEXT_MAX], again[PLOT_TEXT_MAX] = "", *rest = out;
        int lines = text_wrap(name, 12, max, out), seen = 0;
        size_t at = 0, bad;
        for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"), seen++) {
            cr_assert(str_utf8_valid(line, strlen(line), &bad), "%s", line);
            cr_assert(text_width(line, 12) <= max || strlen(line) <= 2, "%g: %s", max, line);
            while (name[at] == ' ') again[at++] = ' ';
            cr_assert(!strncmp(name + at, line, strlen(line)), "%g: %s", max, line);
            bool inside = at && !strchr(" -_", name[at - 1]);
            cr_assert(!inside || max < text_width("größter", 12), "%g: %s", max, line);
            strcpy(again + at, line);
            at += strlen(line);
        }
        cr_assert_str_eq(again, name);
        cr_assert_eq(lines, seen);
        cr_assert(lines == 1 || max < text_width(name, 12));
    }
    char out[PLOT_TEXT_MAX];
    cr_expect_eq(text_wrap("", 12, 100, out), 1);
    cr_expect_str_eq(out, "");
}

Test(plots, a_wrapped_name_prefers_spaces_to_hyphens) {
    char out[PLOT_TEXT_MAX];
    text_wrap("cold-and-long · single-4", 12, text_width("cold-and-long · single-", 12), out);
    cr_expect_str_eq(out, "cold-and-long ·\nsingle-4");
}

/* Requests of other loads are in latency.csv, but no lines: they must not flatten the lines that are drawn. */
Test(plots, the_scale_of_response_times_is_that_of_the_lines) {
    char rows[1024] = "";
    for (int p = 0; p <= 99; p += 33)
        sprintf(rows + strlen(rows), "dssm,all,100,%d,%d,closed\ndssm,all,100,%d,9000,open\n", p, 100 + p, p);
    results_minimal(&s, "dssm,all,1,test,0.7,,,ok\n", "dssm,all,100,120,190\n");
    scratch_write(&s, "compute.csv",
                  "variant,features,candidates,load,p50_us,p99_us\ndssm,all,100,closed,120,190\n");
    char text[1200];
    snprintf(text, sizeof text, "variant,features,candidates,percentile,rt_us,load\n%s", rows);
    scratch_write(&s, "latency.csv", text);
    draw();
    const char *svg = scratch_read(&s, "plots/latency-100.svg");
    EXPECT_HAS(svg, "150 µs");
    EXPECT_LACKS(svg, " ms<");
}

/* ---- files ---- */
Test(plots, every_picture_is_there_as_svg_and_png) {
    results_fixture(&s);
    draw();
    static const char *const name[] = {"tradeoff-100", "tradeoff-1000", "gauc",
                                       "latency-100",  "latency-1000",  "curves-dssm"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char file[64];
        snprintf(file, sizeof file, "plots/%s.svg", name[i]);
        const char *svg = scratch_read(&s, file);
        EXPECT_HAS(svg, "role=\"img\"");
        EXPECT_HAS(svg, "prefers-color-scheme:dark");
        EXPECT_LACKS(svg, "rgb(");
        EXPECT_LACKS(svg, "<use");
        EXPECT_LACKS(svg, "font-family=");
        cr_expect_str_eq(svg + strlen(svg) - 7, "</svg>\n");
        snprintf(file, sizeof file, "plots/%s-narrow.svg", name[i]);
        EXPECT_HAS(scratch_read(&s, file), "viewBox=\"0 0 360 ");
        snprintf(file, sizeof file, "plots/%s.png", name[i]);
        cr_expect(scratch_has(&s, file), "%s", file);
    }
}

Test(plots, names_from_data_are_text_and_no_commands) {
    static const char *const evil[] = {"`touch %s/pwned`", "'; system('touch %s/pwned'); print '",
                                       "\\\"$(touch %s/pwned)\\\"", "a<b>&amp;\\n{/Bold x}_y^z"};
    char effect[2048] = "", compute[2048] = "";
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        char name[256];
        snprintf(name, sizeof name, evil[i], s.dir);
        size_t n = strlen(effect), m = strlen(compute);
        snprintf(effect + n, sizeof effect - n, "\"%s\",all,1,test,0.7%zu,,,ok\n",
                 strchr(name, '"') ? "q" : name, i);
        snprintf(compute + m, sizeof compute - m, "\"%s\",all,100,%zu,300\n", strchr(name, '"') ? "q" : name,
                 10 * i + 10);
    }
    results_minimal(&s, effect, compute);
    draw();
    cr_expect_not(scratch_has(&s, "pwned"));
    EXPECT_HAS(scratch_read(&s, "plots/gauc.svg"), "a&lt;b&gt;&amp;amp;");
}

Test(plots, old_pictures_go_and_other_files_stay) {
    struct err e = ERR_INIT;
    char path[128];
    results_fixture(&s);
    snprintf(path, sizeof path, "%s/plots", s.dir);
    cr_assert_eq(file_make_dirs(path, &e), 0);
    scratch_write(&s, "plots/curves-gone.svg", "<svg/>");
    scratch_write(&s, "plots/mine.svg", "<svg/>");
    scratch_write(&s, "plots/curves-notes.txt", "mine");
    draw();
    cr_expect_not(scratch_has(&s, "plots/curves-gone.svg"));
    cr_expect(scratch_has(&s, "plots/mine.svg"));
    cr_expect(scratch_has(&s, "plots/curves-notes.txt"));
}

Test(plots, variants_never_share_a_file) {
    char a[64], b[64];
    plots_slug("a b", 0, a);
    plots_slug("a/b", 1, b);
    cr_expect_str_neq(a, b);
    cr_expect_null(strchr(b, '/'));
    plots_slug("two-tower_2", 3, a);
    cr_expect_str_eq(a, "two-tower_2");
    plots_slug("..", 4, a);
    cr_expect_str_neq(a, "..");
    plots_slug("", 5, a);
    cr_expect_gt(strlen(a), 0);
}

/* ---- gnuplot ---- */
Test(plots, a_script_that_fails_says_why) {
    const char *script = "set terminal svg\nplot undefined_thing(x)\n";
    struct err e = ERR_INIT;
    cr_assert_eq(gnuplot_run(script, strlen(script), s.dir, &e), ERR_INPUT);
    EXPECT_HAS(e.msg, "gnuplot: failed");
    EXPECT_HAS(e.msg, "undefined");
}

Test(plots, a_cut_svg_is_refused) {
    struct str out = STR_INIT;
    struct err e = ERR_INIT;
    const char *cut = "<svg><defs></defs><g><path d='M0";
    cr_expect_eq(svg_tidy(cut, strlen(cut), &out, &e), ERR_INPUT);
    EXPECT_HAS(e.msg, "without an end");
    str_release(&out);
}

Test(plots, every_colour_of_the_style_has_a_dark_one) {
    struct str out = STR_INIT;
    svg_palette(&out);
    const char *dark = strstr(out.p, "dark");
    cr_assert(dark);
    for (int i = 1; i <= 8; i++) {
        char name[24];
        snprintf(name, sizeof name, "--c%d:#", i);
        cr_expect_lt(strstr(out.p, name), dark);
        EXPECT_HAS(dark, name);
    }
    str_release(&out);
}
