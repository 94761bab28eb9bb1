#include "bench/report/svg.h"
#include "bench/report/assets.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *p, const char *with) { return !strncmp(p, with, strlen(with)); }

void xml_text(struct str *out, const char *text) {
    for (; *text; text++) {
        const char *entity = *text == '&'    ? "&amp;"
                             : *text == '<'  ? "&lt;"
                             : *text == '>'  ? "&gt;"
                             : *text == '"'  ? "&quot;"
                             : *text == '\'' ? "&#39;"
                                             : NULL;
        if (entity)
            str_add(out, entity);
        else
            str_addn(out, (unsigned char)*text < 32 ? " " : text, 1);
    }
}

/* "rgb(  0, 114, 178)" -> "#0072b2"; returns what follows it, or NULL when it is something else. */
static const char *colour(const char *p, struct str *out) {
    long v[3];
    char *end;
    if (!begins(p, "rgb(")) return NULL;
    p += 4;
    for (int i = 0; i < 3; i++) {
        v[i] = strtol(p, &end, 10);
        if (end == p || *end != (i < 2 ? ',' : ')') || v[i] < 0 || v[i] > 255) return NULL;
        p = end + 1;
    }
    str_addf(out, "#%02lx%02lx%02lx", (unsigned long)v[0], (unsigned long)v[1], (unsigned long)v[2]);
    return p;
}

/* ` name="value"` -> what follows it. */
static const char *skip_attribute(const char *p) {
    p += strcspn(p, "'\"\n");
    if (*p != '\'' && *p != '"') return p;
    char quote = *p++;
    while (*p && *p != quote) p++;
    return *p ? p + 1 : p;
}

/* gnuplot's marks refer to definitions by id, which would clash between the pictures of a page: here they become
 * shapes. Returns what follows the mark, or NULL when it is none that the style uses. */
static const char *mark(const char *p, struct str *out) {
    static const char *const path[15] = {
        [3] = "M-1,-1h2v2h-2z",
        [4] = "M-1,-1h2v2h-2z",
        [8] = "M0,-1.33L-1.33,.67L1.33,.67z",
        [10] = "M0,1.33L-1.33,-.67L1.33,-.67z",
        [11] = "M0,-1.41L1.41,0L0,1.41L-1.41,0z",
        [12] = "M0,-1.41L1.41,0L0,1.41L-1.41,0z",
    };
    static const char dot[] = "<use xlink:href='#gpDot'"; /* the middle of a whisker without a mark */
    int type;
    double x, y, size;
    if (begins(p, dot)) {
        p = strstr(p, "/>");
        return p ? p + 2 : NULL;
    }
    if (sscanf(p, "<use xlink:href='#gpPt%d' transform='translate(%lf,%lf) scale(%lf)'", &type, &x, &y,
               &size) != 4)
        return NULL;
    const char *end = strstr(p, "/>"), *c = strstr(p, "color='");
    bool hollow = type == 3 || type == 5 || type == 11;
    if (type < 0 || type > 14 || !end || !c || c > end) return NULL;
    if (!begins(c + 7, "rgb(")) return end + 2; /* gnuplot's white patch below a whisker's mark */
    if (type == 5 || type == 6)
        str_addf(out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" ", x, y, size);
    else if (path[type])
        str_addf(out, "<path d=\"%s\" transform=\"translate(%.2f,%.2f) scale(%.2f)\" ", path[type], x, y,
                 size);
    else
        return NULL;
    str_add(out, hollow ? "fill=\"#ffffff\" stroke=\"" : "stroke=\"none\" fill=\"");
    if (!colour(c + 7, out)) str_add(out, "#000000");
    if (hollow) str_addf(out, "\" stroke-width=\"%.3g", type == 5 ? 1.6 : 1.6 / size);
    str_add(out, "\"/>");
    return end + 2;
}

/* What stands at p and is written in another way, or not at all: returns what follows it, or NULL. */
static const char *exchange(const char *p, struct str *out) {
    static const char *const dropped[] = {
        " id=", " shape-rendering=", " color=", " stroke-linecap=", " stroke-linejoin="};
    const char *next = colour(p, out);
    if (!next && begins(p, "<use ")) next = mark(p, out);
    if (next) return next;
    if (begins(p, " font-family=")) {
        if (begins(p, " font-family=\":Bold\"")) str_add(out, " font-weight=\"600\"");
        return skip_attribute(p);
    }
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        if (begins(p, dropped[i])) return skip_attribute(p);
    if (begins(p, "<title>") && strstr(p, "</title>")) return strstr(p, "</title>") + strlen("</title>");
    if (begins(p, " = ")) {
        str_add(out, "=");
        return p + 3;
    }
    return begins(p, "  ") || *p == '\t' ? p + 1 : NULL;
}

/* One line of markup that is no text. */
static void tidy_markup(const char *p, const char *end, struct str *out) {
    while (p < end) {
        const char *next = exchange(p, out);
        if (!next) str_addn(out, p, 1);
        p = next ? next : p + 1;
    }
    str_add(out, "\n");
}

/* A group at p that holds nothing, or the text of a label that is only a mark: what follows it, else NULL. */
static const char *after_empty_group(const char *p) {
    static const char nothing[] = "<text></text>\n", close[] = "</g>\n";
    if (!begins(p, "<g ")) return NULL;
    p += strcspn(p, ">\n");
    if (!begins(p, ">\n")) return NULL;
    p += 2 + strspn(p + 2, " \t");
    if (begins(p, nothing)) p += strlen(nothing) + strspn(p + strlen(nothing), " \t");
    return begins(p, close) ? p + strlen(close) : NULL;
}

int svg_tidy(const char *raw, size_t n, struct str *inner, struct err *e) {
    const char *p = strstr(raw, "</defs>"), *end = raw + n;
    while (end > raw && (end[-1] == '\n' || end[-1] == ' ')) end--;
    if (!p || end - raw < 6 || strncmp(end - 6, "</svg>", 6) != 0)
        return err_set(e, ERR_INPUT, "gnuplot wrote an SVG without an end; is the disk full?");
    p += strlen("</defs>\n");
    end -= 6;
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (!line_end) line_end = end;
        const char *text = p + strspn(p, " \t"), *after = after_empty_group(text);
        if (after) {
            line_end = after - 1;
        } else if (begins(text, "<text>")) {
            str_addn(inner, text, (size_t)(line_end - text) + 1);
        } else if (text < line_end) {
            tidy_markup(text, line_end, inner);
        }
        p = line_end + 1;
    }
    return inner->failed ? err_nomem(e, inner->len) : 0;
}

static void add_head(const struct svg_head *h, const char *class_name, struct str *out) {
    str_addf(out,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"%s\" role=\"img\" viewBox=\"0 0 %g %g\" "
             "width=\"%g\" "
             "height=\"%g\" font-size=\"12\">\n<title>",
             class_name, h->w, h->h, h->w, h->h);
    xml_text(out, h->title);
    str_add(out, "</title>\n<desc>");
    xml_text(out, h->text);
    str_add(out, "</desc>\n");
}

void svg_inline(const struct svg_head *head, const char *class_name, const char *inner, struct str *out) {
    char names[80];
    snprintf(names, sizeof names, "plot %s", class_name);
    add_head(head, names, out);
    str_addf(out, "<g>\n%s</svg>\n", inner);
}

void svg_file(const struct svg_head *head, const char *inner, struct str *out) {
    str_add(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    add_head(head, "plot", out);
    str_add(out, "<style>\n");
    svg_css("", out);
    str_addf(out, "</style>\n<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\"/>\n<g>\n%s</svg>\n", head->w,
             head->h, inner);
}

/* `name = '#light' # dark #dark` of the style file: the next such line after *p. */
struct named_colour {
    char name[16], light[8], dark[8];
};
static bool next_colour(const char **p, struct named_colour *c) {
    while (**p) {
        const char *line = *p, *end = line + strcspn(line, "\n");
        int n = 0;
        *p = *end ? end + 1 : end;
        if (sscanf(line, "%15[a-z0-9] = '%7[#0-9a-f]' # dark %7[#0-9a-f]%n", c->name, c->light, c->dark,
                   &n) == 3 &&
            n)
            return true;
    }
    return false;
}

void svg_palette(struct str *out) {
    struct named_colour c;
    for (int dark = 0; dark < 2; dark++) {
        const char *p = asset_style_gp;
        str_add(out, dark ? "@media screen and (prefers-color-scheme:dark){:root{" : ":root{");
        while (next_colour(&p, &c)) str_addf(out, "--%s:%s;", c.name, dark ? c.dark : c.light);
        str_add(out, dark ? "}}\n" : "}\n");
    }
}

void svg_css(const char *prefix, struct str *out) {
    str_addf(out,
             "%stext{font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",\"Noto "
             "Sans\",Arial,sans-serif;font-variant-numeric:tabular-nums;paint-order:stroke;stroke:#ffffff;"
             "stroke-width:3px;stroke-linejoin:round}\n%s.tip{pointer-events:all}\n",
             prefix, prefix);
    str_add(out, "@media screen and (prefers-color-scheme:dark){\n");
    struct named_colour c;
    const char *p = asset_style_gp;
    while (next_colour(&p, &c)) {
        str_addf(out, "%s[fill=\"%s\"]{fill:%s}%s[stroke=\"%s\"]{stroke:%s}", prefix, c.light, c.dark, prefix,
                 c.light, c.dark);
        if (!strcmp(c.name, "paper")) str_addf(out, "%stext{stroke:%s}", prefix, c.dark);
        str_add(out, "\n");
    }
    str_add(out, "}\n");
}
