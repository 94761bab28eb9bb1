#include "bench/report/html.h"
#include "bench/report/plot.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

enum { MANY = 13 }; /* a table with more columns needs to be denser on paper */

void html_table_open(struct str *out, const struct html_column *column, size_t n, int sorted) {
    str_addf(out,
             "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"table\"><table "
             "class=\"sortable%s\">\n"
             "<thead><tr>",
             n > MANY ? " many" : "");
    for (size_t i = 0; i < n; i++) {
        const struct html_column *c = &column[i];
        str_addf(out, "<th scope=\"col\" class=\"%c\" aria-sort=\"%s\"", c->kind,
                 (int)i != sorted ? "none"
                 : c->kind == 'h' ? "descending"
                                  : "ascending");
        if (c->help) {
            str_add(out, " title=\"");
            xml_text(out, c->help);
            str_add(out, "\"");
        }
        str_add(out, "><button type=\"button\">");
        xml_text(out, c->label);
        str_add(out, "</button></th>");
    }
    str_add(out, "</tr></thead>\n<tbody>\n");
}

void html_table_close(struct str *out) { str_add(out, "</tbody></table></div>\n"); }

void html_model(struct str *out, const char *variant, const char *features, int series) {
    str_add(out, series >= 0 ? "<th scope=\"row\"><span class=\"dotted\">" : "<th scope=\"row\"><span>");
    if (series >= 0) str_addf(out, "<i class=\"dot\" style=\"background:var(--c%d)\"></i>", series % 8 + 1);
    xml_text(out, variant);
    if (features) {
        str_add(out, " <small>");
        xml_text(out, features);
        str_add(out, "</small>");
    }
    str_add(out, "</span></th>");
}

void html_text_cell(struct str *out, const char *text) {
    str_add(out, *text ? "<td>" : "<td class=\"none\">–");
    xml_text(out, text);
    str_add(out, "</td>");
}

static void number_cell(struct str *out, double v, const char *text) {
    if (isnan(v))
        str_add(out, "<td class=\"n none\">–</td>");
    else
        str_addf(out, "<td class=\"n\" data-v=\"%.9g\">%s</td>", v, text);
}

void html_number(struct str *out, double v, const char *format) {
    char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, format, v);
#pragma GCC diagnostic pop
    number_cell(out, v, text);
}

void html_stat(struct str *out, const struct effect_stat *s, int decimals) {
    char text[96];
    int n = snprintf(text, sizeof text, "%.*f", decimals, s->mean);
    if (!isnan(s->lo) && !isnan(s->hi))
        snprintf(text + n, sizeof text - (size_t)n, " <small>±%.*f</small>", decimals, (s->hi - s->lo) / 2);
    number_cell(out, s->mean, text);
}

void html_time(struct str *out, double us) {
    char text[24];
    plot_microseconds(text, us);
    number_cell(out, us, text);
}

void html_time_range(struct str *out, double lo_us, double hi_us) {
    char lo[24], hi[24], text[64];
    plot_microseconds(lo, lo_us);
    plot_microseconds(hi, hi_us);
    const char *unit = strchr(lo, ' ');
    int n = unit && strstr(hi, unit) ? (int)(unit - lo) : (int)strlen(lo); /* "1.60–1.64 ms" */
    snprintf(text, sizeof text, "%.*s–%s", n, lo, hi);
    number_cell(out, lo_us + (hi_us - lo_us) / 2, text);
}

void count_text(char out[32], double v) {
    if (isnan(v))
        snprintf(out, 32, "–");
    else if (fabs(v) < 100 && v != floor(v))
        snprintf(out, 32, "%.1f", v);
    else if (v >= 0 && v < 1e18)
        str_count(out, (uint64_t)(v + 0.5));
    else
        snprintf(out, 32, "%.4g", v);
}

void html_range(struct str *out, double lo, double hi, bool sign) {
    if (isnan(lo) || isnan(hi)) {
        number_cell(out, (double)NAN, "");
        return;
    }
    str_addf(out,
             sign ? "<td class=\"n range\" data-v=\"%.9g\">%+.4f … %+.4f</td>"
                  : "<td class=\"n range\" data-v=\"%.9g\">%.4f … %.4f</td>",
             lo, lo, hi);
}

void html_count(struct str *out, double v) {
    char text[32];
    count_text(text, v);
    number_cell(out, v, text);
}

void si_text(char out[32], double v) {
    static const char *const unit[] = {"", " k", " M", " G", " T", " P"};
    int i = 0;
    if (isnan(v)) {
        snprintf(out, 32, "–");
        return;
    }
    while (fabs(v) >= 999.5 && i < 5) {
        v /= 1000;
        i++;
    }
    int decimals = i == 0 && v == floor(v) ? 0 : fabs(v) < 9.995 ? 2 : fabs(v) < 99.95 ? 1 : 0;
    snprintf(out, 32, "%.*f%s", decimals, v, unit[i]);
}

void html_si(struct str *out, double v) {
    char text[32];
    si_text(text, v);
    number_cell(out, v, text);
}
