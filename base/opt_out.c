/* opt.h's ways out and back: JSON and help. */
#include "base/opt.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* JSON has no NaN; no option can be given one, but code may put one into a field. */
static json_t *real(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *choice(const struct opt *o, int64_t i) {
    for (int64_t k = 0; o->choices[k]; k++)
        if (k == i) return json_string(o->choices[k]);
    return json_null();
}

static json_t *field_json(const struct opt *o, const void *field) {
    const struct opt_ints *ints = field;
    const struct opt_doubles *doubles = field;
    const struct opt_names *names = field;
    int n = 0;
    switch (o->type) {
    case OPT_T_BOOL:
        return json_boolean(*(const bool *)field);
    case OPT_T_INT:
        return json_integer(*(const int64_t *)field);
    case OPT_T_DOUBLE:
        return real(*(const double *)field);
    case OPT_T_TEXT:
        return json_string(field);
    case OPT_T_ENUM:
        return choice(o, *(const int *)field);
    case OPT_T_INTS:
    case OPT_T_ENUMS:
        n = ints->n;
        break;
    case OPT_T_DOUBLES:
        n = doubles->n;
        break;
    case OPT_T_NAMES:
        n = names->n;
        break;
    }
    json_t *list = json_array();
    for (int i = 0; list && i < n; i++) {
        json_t *x = o->type == OPT_T_INTS    ? json_integer(ints->v[i])
                    : o->type == OPT_T_ENUMS ? choice(o, ints->v[i])
                    : o->type == OPT_T_NAMES ? json_string(names->v[i])
                                             : real(doubles->v[i]);
        if (!json_array_append_new(list, x)) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

json_t *opt_json(const struct opt *table, const void *obj) {
    json_t *j = json_object();
    for (; j && table->name; table++) {
        if (!json_object_set_new(j, table->name, field_json(table, (const char *)obj + table->offset)))
            continue;
        json_decref(j);
        j = NULL;
    }
    return j;
}

/* A JSON value as the scalar that YAML would have given; numbers are printed into `room`. */
static struct conf scalar_of(const json_t *j, char room[40]) {
    struct conf c = {.type = CONF_SCALAR, .text = room};
    room[0] = '\0';
    switch (json_typeof(j)) {
    case JSON_STRING:
        c.text = json_string_value(j);
        c.quoted = 1;
        break;
    case JSON_INTEGER:
        snprintf(room, 40, "%" PRId64, (int64_t)json_integer_value(j));
        break;
    case JSON_REAL:
        snprintf(room, 40, "%.17g", json_real_value(j));
        break;
    case JSON_TRUE:
        c.text = "true";
        break;
    case JSON_FALSE:
        c.text = "false";
        break;
    case JSON_NULL:
        c.text = "null";
        break;
    case JSON_OBJECT:
        c.type = CONF_MAP;
        break;
    case JSON_ARRAY:
        c.type = CONF_LIST;
        break;
    }
    return c;
}

static int from_json(const struct opt *table, void *obj, const char *name, const json_t *j, const char *what,
                     struct err *e) {
    char room[OPT_LIST_MAX][40];
    struct conf members[OPT_LIST_MAX], *items[OPT_LIST_MAX];
    struct conf value = scalar_of(j, room[0]);
    if (json_is_array(j)) {
        size_t n = json_array_size(j);
        if (n > OPT_LIST_MAX)
            return err_set(e, ERR_INPUT, "%s: `%s` must have at most %d members, not %zu", what, name,
                           OPT_LIST_MAX, n);
        for (size_t i = 0; i < n; i++) {
            members[i] = scalar_of(json_array_get(j, i), room[i]);
            items[i] = &members[i];
        }
        value.n = n;
        value.item = items;
    }
    return opt_set(table, obj, name, &value, what, e);
}

int opt_from_json(const struct opt *table, void *obj, const json_t *j, const char *what, struct err *e) {
    if (!json_is_object(j)) return err_set(e, ERR_INPUT, "%s must be a JSON object", what);
    json_t *object = (json_t *)j; /* jansson's iterator wants it without const, and changes nothing */
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *name = json_object_iter_key(it);
        const json_t *value = json_object_iter_value(it);
        if (json_is_null(value) && opt_find(table, name)) continue; /* as opt_json() writes "not a number" */
        TRY(from_json(table, obj, name, value, what, e));
    }
    return 0;
}

static void add_number(struct str *s, double v) { str_addf(s, fabs(v) < 1e15 ? "%.15g" : "%g", v); }

static void add_type(const struct opt *o, struct str *s) {
    switch (o->type) {
    case OPT_T_BOOL:
        str_add(s, "true or false");
        return;
    case OPT_T_TEXT:
        str_add(s, "text");
        return;
    case OPT_T_NAMES:
        str_add(s, "list of texts");
        return;
    case OPT_T_ENUM:
    case OPT_T_ENUMS:
        str_add(s, o->type == OPT_T_ENUM ? "one of " : "list of ");
        for (int i = 0; o->choices[i]; i++) str_addf(s, "%s%s", i ? "|" : "", o->choices[i]);
        return;
    case OPT_T_INT:
        str_add(s, "whole number");
        break;
    case OPT_T_DOUBLE:
        str_add(s, "number");
        break;
    case OPT_T_INTS:
        str_add(s, "list of whole numbers");
        break;
    case OPT_T_DOUBLES:
        str_add(s, "list of numbers");
        break;
    }
    int low = o->min > -9.2e18, high = o->max < 9.2e18;
    if (!low && !high) return;
    str_add(s, low && high ? " " : low ? " >= " : " <= ");
    if (low) add_number(s, o->min);
    if (low && high) str_add(s, "..");
    if (high) add_number(s, o->max);
}

void opt_help(const struct opt *table, struct str *out, int indent) {
    int width = 0;
    for (const struct opt *o = table; o->name; o++)
        if ((int)strlen(o->name) > width) width = (int)strlen(o->name);
    for (; table->name; table++) {
        str_addf(out, "%*s%-*s  ", indent, "", width, table->name);
        add_type(table, out);
        const char *def = table->def && *table->def ? table->def : table->type >= OPT_T_INTS ? "[]" : "\"\"";
        str_addf(out, ", default %s  %s\n", def, table->help ? table->help : "");
    }
}
