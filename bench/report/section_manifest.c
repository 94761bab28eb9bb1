/* "What ran where": manifest.json as a page part. Its keys may grow; whatever is there is shown. */
#include "bench/report/html.h"
#include "bench/report/section.h"
#include "bench/report/svg.h"
#include <string.h>

enum { DEPTH_MAX = 16 };

static bool ends(const char *key, const char *with) {
    size_t n = strlen(key), m = strlen(with);
    return n >= m && !strcmp(key + n - m, with);
}

/* A number in the unit that its key names: 1 if that was possible. */
static int add_quantity(const char *key, const json_t *j, struct str *out) {
    char text[32];
    if (!json_is_number(j)) return 0;
    if (ends(key, "seconds"))
        str_duration(text, json_number_value(j));
    else if (ends(key, "bytes"))
        si_text(text, json_number_value(j));
    else
        return 0;
    str_addf(out, "%s%s", text, ends(key, "bytes") ? "B" : "");
    return 1;
}

static void add_scalar(const char *key, const json_t *j, struct str *out) {
    if (add_quantity(key, j, out)) return;
    switch (json_typeof(j)) {
    case JSON_STRING:
        xml_text(out, *json_string_value(j) ? json_string_value(j) : "–");
        break;
    case JSON_INTEGER:
        str_addf(out, "%lld", (long long)json_integer_value(j));
        break;
    case JSON_REAL:
        str_addf(out, "%.9g", json_real_value(j));
        break;
    case JSON_TRUE:
        str_add(out, "yes");
        break;
    case JSON_FALSE:
        str_add(out, "no");
        break;
    default:
        str_add(out, "–");
    }
}

static bool is_scalar(const json_t *j) { return !json_is_object(j) && !json_is_array(j); }

static bool is_short_list(const json_t *j) {
    for (size_t i = 0; i < json_array_size(j); i++)
        if (!is_scalar(json_array_get(j, i))) return false;
    return json_is_array(j);
}

static void add_value(const char *key, const json_t *j, int depth, struct str *out);

static void add_members(const json_t *j, int depth, struct str *out) {
    const char *key;
    json_t *member;
    char number[32];
    str_add(out, "<dl>\n");
    for (size_t i = 0; i < json_array_size(j); i++) {
        snprintf(number, sizeof number, "%zu", i + 1);
        add_value(number, json_array_get(j, i), depth + 1, out);
    }
    for (int folded = 0; json_is_object(j) && folded < 2; folded++) /* what unfolds comes last */
        json_object_foreach((json_t *)j, key, member) {
            if ((is_scalar(member) || is_short_list(member)) == !folded)
                add_value(key, member, depth + 1, out);
        }
    str_add(out, "</dl>\n");
}

static void add_value(const char *key, const json_t *j, int depth, struct str *out) {
    bool list = is_short_list(j), plain = is_scalar(j) || list;
    if (depth > DEPTH_MAX) return;
    if (!plain) {
        str_addf(out, "<div class=\"fold\"><details%s><summary>",
                 depth < 2 && json_object_size(j) < 10 ? " open" : "");
        xml_text(out, key);
        str_add(out, "</summary>\n");
        add_members(j, depth, out);
        str_add(out, "</details></div>\n");
        return;
    }
    str_add(out, "<div><dt>");
    xml_text(out, key);
    str_add(out, "</dt><dd>");
    if (!list) add_scalar(key, j, out);
    for (size_t i = 0; list && i < json_array_size(j); i++) {
        str_add(out, i ? ", " : "");
        add_scalar(key, json_array_get(j, i), out);
    }
    if (list && !json_array_size(j)) str_add(out, "–");
    str_add(out, "</dd></div>\n");
}

static int write(const struct study *s, const struct gallery *g, struct str *out, struct err *e) {
    (void)g;
    (void)e;
    str_add(out, "<section id=\"manifest\"><h2>What ran where</h2>\n");
    if (!json_is_object(s->manifest))
        str_add(out, "<p>There is no manifest.json, so nobody can say where these numbers come from.</p>\n");
    else
        add_members(s->manifest, 0, out);
    str_add(out, "</section>\n");
    return 0;
}

const struct section section_manifest = {"manifest", "What ran where", NULL, NULL, write};
