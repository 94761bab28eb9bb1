#include "bench/report/plot.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double scale_at(const struct scale *s, double v) {
    if (s->log) return (log(v) - log(s->lo)) / (log(s->hi) - log(s->lo));
    return (v - s->lo) / (s->hi - s->lo);
}

double panel_px(const struct panel *p, double x) {
    return p->left + (p->right - p->left) * scale_at(&p->x, x);
}

double panel_py(const struct panel *p, double y) {
    return p->bottom - (p->bottom - p->top) * scale_at(&p->y, y);
}

void range_add(double *lo, double *hi, double v) {
    if (isnan(v)) return;
    if (v < *lo) *lo = v;
    if (v > *hi) *hi = v;
}

struct scale scale_around(double lo, double hi, bool log_scale, double share) {
    if (!(lo <= hi) || (log_scale && lo <= 0))
        return log_scale ? (struct scale){1, 10, true} : (struct scale){0, 1, false};
    if (log_scale) {
        double pad = pow(hi / lo, share);
        if (hi / lo < 1.05) pad = 1.25;
        return (struct scale){lo / pad, hi * pad, true};
    }
    double pad = (hi - lo) * share, least = fabs(hi) > 0 ? fabs(hi) * 1e-3 : 1;
    if (hi - lo < least) pad = least;
    return (struct scale){lo - pad, hi + pad, false};
}

static int decimals_of(double step) {
    int d = 0;
    while (d < 9 && fabs(step - round(step * pow(10, d)) / pow(10, d)) > step * 1e-6) d++;
    return d;
}

static void ticks_linear(struct ticks *t, const struct scale *s, int most) {
    static const double nice[] = {1, 2, 2.5, 5, 10};
    double raw = (s->hi - s->lo) / (most > 1 ? most : 2), unit = pow(10, floor(log10(raw))), step = unit * 10;
    for (size_t i = sizeof nice / sizeof *nice; i-- > 0;)
        if (nice[i] * unit >= raw * 0.999) step = nice[i] * unit;
    t->n = 0;
    double first = ceil(s->lo / step - 1e-9);
    while (t->n < PLOT_TICKS && (first + t->n) * step <= s->hi + step * 1e-9) {
        t->at[t->n] = (first + t->n) * step;
        t->n++;
    }
    for (int i = 0; i < t->n; i++)
        snprintf(t->label[i], sizeof t->label[i], "%.*f", decimals_of(step), t->at[i] + 0.0);
}

/* The densest of these that fit: 1-1.5-2-2.5-3-4-5-6-8, 1-1.5-2-3-5-7, 1-2-5, 1-3, powers of ten, every n-th of them. */
static int log_candidates(const struct scale *s, int kind, double *at) {
    enum { KINDS = 5 };
    static const double digits[KINDS][10] = {
        {1, 1.5, 2, 2.5, 3, 4, 5, 6, 8}, {1, 1.5, 2, 3, 5, 7}, {1, 2, 5}, {1, 3}, {1}};
    int every = kind < KINDS ? 1 : kind - KINDS + 2, n = 0;
    for (int k = (int)floor(log10(s->lo)); k <= (int)ceil(log10(s->hi)); k++) {
        if (((k % every) + every) % every) continue;
        for (const double *d = digits[kind < KINDS ? kind : KINDS - 1]; *d > 0; d++) {
            double v = *d * pow(10, k);
            if (v < s->lo * 0.9999 || v > s->hi * 1.0001) continue;
            if (n == PLOT_TICKS) return n + 1;
            at[n++] = v;
        }
    }
    return n;
}

void ticks_number(struct ticks *t, const struct scale *s, int most) {
    if (most > PLOT_TICKS) most = PLOT_TICKS;
    if (!s->log) {
        ticks_linear(t, s, most);
        return;
    }
    for (int kind = 0; kind < 40; kind++) {
        t->n = log_candidates(s, kind, t->at);
        if (t->n <= most) break;
    }
    if (t->n > most) t->n = most;
    for (int i = 0; i < t->n; i++) snprintf(t->label[i], sizeof t->label[i], "%.12g", t->at[i]);
    if (t->n < 2) ticks_linear(t, s, most < 4 ? most : 4);
}

void ticks_whole(struct ticks *t, const struct scale *s, int most) {
    int whole = (int)(floor(s->hi) - ceil(s->lo)) + 1;
    ticks_number(t, s, most < whole ? most : whole);
    int kept = 0;
    for (int i = 0; i < t->n; i++) {
        if (fabs(t->at[i] - round(t->at[i])) > 1e-9) continue;
        t->at[kept] = t->at[i];
        snprintf(t->label[kept++], sizeof t->label[0], "%.0f", t->at[i]);
    }
    t->n = kept;
}

void plot_microseconds(char out[24], double us) {
    const char *unit = us < 999.5 ? "µs" : us < 999500 ? "ms" : "s";
    double v = us < 999.5 ? us : us < 999500 ? us / 1e3 : us / 1e6;
    int decimals = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
    snprintf(out, 24, "%.*f %s", decimals, v, unit);
}

void ticks_microseconds(struct ticks *t, const struct scale *s, int most) {
    ticks_number(t, s, most);
    for (int i = 0; i < t->n; i++) {
        double us = t->at[i];
        const char *unit = us < 1000 ? "µs" : us < 1e6 ? "ms" : "s";
        snprintf(t->label[i], sizeof t->label[i], "%.6g %s",
                 us < 1000  ? us
                 : us < 1e6 ? us / 1e3
                            : us / 1e6,
                 unit);
    }
}

double ticks_width(const struct ticks *t) {
    double widest = 0;
    for (int i = 0; i < t->n; i++) widest = fmax(widest, text_width(t->label[i], PLOT_TEXT_PX));
    return widest + 12;
}

/* A double-quoted string of gnuplot. Whatever could mean something to it (quotes, backslashes, backquotes) is an
 * octal escape; a single-quoted string will not do, since '' is an escape inside it but not at its start. */
static void quote(struct str *out, const char *text) {
    str_add(out, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 32)
            str_add(out, " ");
        else if (isalnum(c) || c >= 128 || strchr(" .-_+", c))
            str_addn(out, text, 1);
        else
            str_addf(out, "\\%03o", (unsigned)c);
    }
    str_add(out, "\"");
}

static void add_ticks(struct str *out, const char *axis, const struct ticks *t) {
    if (!t || !t->n) {
        str_addf(out, "unset %stics\n", axis);
        return;
    }
    str_addf(out, "set %stics (", axis);
    for (int i = 0; i < t->n; i++) {
        str_add(out, i ? ", " : "");
        quote(out, t->label[i]);
        str_addf(out, " %.9g", t->at[i]);
    }
    str_add(out, ")\n");
}

/* A name that would leave the picture, at the end of an axis, is left out; its line stays. */
static struct ticks inside(const struct panel *p, const struct ticks *x) {
    struct ticks t = *x;
    for (int i = 0; i < t.n; i++) {
        double at = panel_px(p, t.at[i]), half = text_width(t.label[i], PLOT_TEXT_PX) / 2;
        if (at + half > p->w || at - half < 0) t.label[i][0] = '\0';
    }
    return t;
}

void panel_axes(const struct panel *p, const struct ticks *x, const struct ticks *y) {
    struct ticks kept;
    if (x) {
        kept = inside(p, x);
        x = &kept;
    }
    str_add(p->out, "unset label\nunset arrow\nunset object\n");
    str_addf(p->out, "set lmargin at screen %.6f\nset rmargin at screen %.6f\n", p->left / p->w,
             p->right / p->w);
    str_addf(p->out, "set tmargin at screen %.6f\nset bmargin at screen %.6f\n", 1 - p->top / p->h,
             1 - p->bottom / p->h);
    str_addf(p->out, "%s logscale x\n%s logscale y\n", p->x.log ? "set" : "unset",
             p->y.log ? "set" : "unset");
    str_addf(p->out, "set xrange [%.12g:%.12g]\nset yrange [%.12g:%.12g]\n", p->x.lo, p->x.hi, p->y.lo,
             p->y.hi);
    add_ticks(p->out, "x", x);
    add_ticks(p->out, "y", y);
}

void panel_text(const struct panel *p, double x, double y, struct pen pen, const char *text) {
    static const char *const align[] = {"left", "center", "right"};
    if (!*text) return;
    str_add(p->out, "set label ");
    quote(p->out, text);
    str_addf(p->out, " at screen %.6f,%.6f %s front noenhanced textcolor rgb %s font '%s,%g'\n", x / p->w,
             1 - y / p->h, align[pen.align + 1], pen.colour ? pen.colour : "ink", pen.bold ? ":Bold" : "",
             pen.size > 0 ? pen.size : PLOT_TEXT_PX);
}

void panel_line(const struct panel *p, double x0, double y0, double x1, double y1, const char *colour,
                double width) {
    str_addf(
        p->out,
        "set arrow from screen %.6f,%.6f to screen %.6f,%.6f nohead back linewidth %g linecolor rgb %s\n",
        x0 / p->w, 1 - y0 / p->h, x1 / p->w, 1 - y1 / p->h, width, colour);
}

static const struct {
    const char *gnuplot;
    int n;
    double part[4]; /* line, gap, line, gap */
} dashes[PLOT_DASHES] = {
    {"solid", 2, {100, 0}}, {"(6,3)", 2, {6, 3}}, {"(2,2)", 2, {2, 2}}, {"(8,3,2,3)", 4, {8, 3, 2, 3}}};

const char *plot_dash(int i) { return dashes[i % PLOT_DASHES].gnuplot; }

void panel_dashes(const struct panel *p, double x0, double x1, double y, const char *colour, double width,
                  int i) {
    const double *part = dashes[i % PLOT_DASHES].part;
    int n = dashes[i % PLOT_DASHES].n, k = 0;
    while (x0 < x1) {
        panel_line(p, x0, y, fmin(x0 + part[k], x1), y, colour, width);
        x0 += part[k] + part[k + 1];
        k = (k + 2) % n;
    }
}

const char *mark_gnuplot(enum plot_mark mark) {
    static const char *const type[] = {"7", "6", "9", "13", "5", "4", "11", "12"};
    return type[mark];
}

void panel_mark(const struct panel *p, double x, double y, enum plot_mark mark, const char *colour,
                double size) {
    str_addf(p->out,
             "set label '' at screen %.6f,%.6f front point pointtype %s pointsize %.3f linewidth 1.6 "
             "linecolor rgb %s\n",
             x / p->w, 1 - y / p->h, mark_gnuplot(mark), size, colour);
}

const char *plot_colour(int series) {
    static const char *const name[] = {"c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"};
    return name[series % 8];
}

/* With the ninth series the colours begin anew, but each with another mark. */
enum plot_mark plot_mark_of(int i) { return (enum plot_mark)((i + i / 8) % PLOT_MARKS); }

/* In DejaVu Sans, which is wider than what most browsers use. */
static double glyph(unsigned char c) {
    if (strchr("ijl.,:;|'!I", c)) return 0.34;
    if (strchr("frt()[]/-\" ", c)) return 0.42;
    if (strchr("mwMW@%", c)) return 0.95;
    if (c >= 'A' && c <= 'Z') return 0.72;
    return 0.63;
}

double text_width(const char *text, double size) {
    double em = 0;
    for (; *text; text++)
        if (((unsigned char)*text & 0xC0) != 0x80) em += glyph((unsigned char)*text);
    return em * size;
}

/* Bytes of the UTF-8 character at `text`. */
static size_t character(const char *text) {
    size_t n = 1;
    while (((unsigned char)text[n] & 0xC0) == 0x80) n++;
    return n;
}

/* Bytes of the first line of `text`: up to the last space that fits, unless that is early; else to the last hyphen or
 * underscore; else as much of a long word as fits, but one character at least. */
static size_t line_bytes(const char *text, double size, double max) {
    size_t n = 0, space = 0, part = 0;
    double width = 0, space_at = 0;
    for (; text[n]; n += character(text + n)) {
        width += size * glyph((unsigned char)text[n]);
        if (n && width > max && text[n] != ' ') return space_at > max / 2 ? space : part ? part : n;
        if (!strchr(" -_", text[n])) continue;
        part = n + 1;
        if (text[n] != ' ') continue;
        space = part;
        space_at = width;
    }
    return n;
}

int text_wrap(const char *text, double size, double max, char out[PLOT_TEXT_MAX]) {
    size_t n = 0;
    int lines = 1;
    while (*text && n + 8 < PLOT_TEXT_MAX) {
        size_t bytes = line_bytes(text, size, max), shown = bytes;
        while (shown && text[bytes] && text[shown - 1] == ' ') shown--;
        if (n + shown + 8 > PLOT_TEXT_MAX) break;
        memcpy(out + n, text, shown);
        n += shown;
        text += bytes;
        if (!*text) break;
        out[n++] = '\n';
        lines++;
    }
    out[n] = '\0';
    return lines;
}

void panel_lines(const struct panel *p, double x, double y, struct pen pen, const char *lines) {
    char line[PLOT_TEXT_MAX];
    for (int k = 0;; k++) {
        size_t n = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, lines);
        panel_text(p, x, y + k * PLOT_LINE_PX, pen, line);
        if (!lines[n]) return;
        lines += n + 1;
    }
}

void text_fit(const char *text, double size, double max, char *out, size_t cap) {
    size_t n = strlen(text);
    bool cut = n + 1 > cap || text_width(text, size) > max;
    if (n + 4 > cap) n = cap - 4;
    memcpy(out, text, n);
    out[n] = '\0';
    while (cut && n > 1 && (((unsigned char)text[n] & 0xC0) == 0x80 || text_width(out, size) > max - size))
        out[--n] = '\0';
    if (cut) memcpy(out + n, "…", 4);
}
