#include "base/opt.h"
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Fields that are text or list are written whole, so room for the largest serves for every one of them. */
union field {
    bool b;
    int64_t i;
    double d;
    int choice;
    char text[OPT_TEXT_MAX];
    struct opt_ints ints;
    struct opt_doubles doubles;
    struct opt_names names;
};

static void *at(const struct opt *o, void *obj) { return (char *)obj + o->offset; }

static const void *at_const(const struct opt *o, const void *obj) { return (const char *)obj + o->offset; }

static int is_list(const struct opt *o) { return o->type >= OPT_T_INTS; }

const struct opt *opt_find(const struct opt *table, const char *name) {
    for (; table->name; table++)
        if (!strcmp(table->name, name)) return table;
    return NULL;
}

/* Reading one scalar. `value` says where and how it was written, `text` is what to read. */
struct from {
    const struct opt *o;
    const struct conf *value;
    const char *text;
    const char *what;
    const char *member; /* "each member of ", or "" */
    int any_range;      /* a table's own default may lie outside, as 0 = automatic */
    struct err *e;
};

static int wrong(const struct from *f, const char *must_be) {
    const char *text = f->text;
    if (f->value && f->value->type == CONF_SCALAR && f->value->quoted && f->o->type != OPT_T_ENUM &&
        f->o->type != OPT_T_ENUMS)
        return conf_err(f->value, f->e, "%s: %s`%s` must be %s, not the text \"%s\"; leave the quotes away",
                        f->what, f->member, f->o->name, must_be, text);
    if (!*text)
        return conf_err(f->value, f->e, "%s: %s`%s` must be %s, but it is empty", f->what, f->member,
                        f->o->name, must_be);
    return conf_err(f->value, f->e, "%s: %s`%s` must be %s, not \"%s\"", f->what, f->member, f->o->name,
                    must_be, text);
}

static int range_has_low(const struct opt *o) { return o->min > -9.2e18; }

static int range_has_high(const struct opt *o) { return o->max < 9.2e18; }

static void number(char out[32], double v) { snprintf(out, 32, fabs(v) < 1e15 ? "%.15g" : "%g", v); }

static int check_range(const struct from *f, double v) {
    const struct opt *o = f->o;
    char lo[32], hi[32], must[96];
    if (f->any_range || (v >= o->min && v <= o->max)) return 0;
    number(lo, o->min);
    number(hi, o->max);
    if (range_has_low(o) && range_has_high(o))
        snprintf(must, sizeof must, "between %s and %s", lo, hi);
    else
        snprintf(must, sizeof must, v < o->min ? "at least %s" : "at most %s", v < o->min ? lo : hi);
    return wrong(f, must);
}

static int read_bool(const struct from *f, bool *out) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    if (!f->value || !f->value->quoted)
        for (int i = 0; i < 6; i++)
            if (!strcmp(f->text, words[i])) {
                *out = i % 2;
                return 0;
            }
    return wrong(f, "true or false");
}

static int read_int(const struct from *f, int64_t *out) {
    int64_t v;
    if ((f->value && f->value->quoted) || str_to_int(f->text, &v)) return wrong(f, "a whole number");
    TRY(check_range(f, (double)v));
    *out = v;
    return 0;
}

static int read_double(const struct from *f, double *out) {
    double v;
    if ((f->value && f->value->quoted) || str_to_double(f->text, &v)) return wrong(f, "a number");
    TRY(check_range(f, v));
    *out = v;
    return 0;
}

static int read_choice(const struct from *f, int *out) {
    size_t n = 0;
    for (; f->o->choices[n]; n++) {
        if (strcmp(f->o->choices[n], f->text) != 0) continue;
        *out = (int)n;
        return 0;
    }
    struct str s = STR_INIT;
    for (size_t i = 0; i < n; i++) str_addf(&s, "%s%s", i ? ", " : "one of ", f->o->choices[i]);
    wrong(f, s.failed || !s.p ? "one of its choices" : s.p);
    str_release(&s);
    const char *nearest = str_nearest(f->text, f->o->choices, n);
    if (nearest && f->e) {
        size_t used = strlen(f->e->msg);
        snprintf(f->e->msg + used, sizeof f->e->msg - used, ", did you mean \"%s\"?", nearest);
    }
    return ERR_INPUT;
}

static int read_text(const struct from *f, char *out, size_t cap) {
    size_t n = strlen(f->text);
    if (n >= cap)
        return conf_err(f->value, f->e, "%s: %s`%s` must be shorter than %zu bytes, not %zu: \"%.40s...\"",
                        f->what, f->member, f->o->name, cap, n, f->text);
    memset(out, 0, cap);
    memcpy(out, f->text, n);
    return 0;
}

/* Reads f->text into `dst`: the field of a scalar, or the next member of a list's field. */
static int read_one(const struct from *f, void *dst) {
    switch (f->o->type) {
    case OPT_T_BOOL:
        return read_bool(f, dst);
    case OPT_T_INT:
        return read_int(f, dst);
    case OPT_T_DOUBLE:
        return read_double(f, dst);
    case OPT_T_TEXT:
        return read_text(f, dst, OPT_TEXT_MAX);
    case OPT_T_ENUM:
        return read_choice(f, dst);
    case OPT_T_INTS: {
        struct opt_ints *l = dst;
        TRY(read_int(f, &l->v[l->n]));
        l->n++;
        return 0;
    }
    case OPT_T_DOUBLES: {
        struct opt_doubles *l = dst;
        TRY(read_double(f, &l->v[l->n]));
        l->n++;
        return 0;
    }
    case OPT_T_NAMES: {
        struct opt_names *l = dst;
        TRY(read_text(f, l->v[l->n], OPT_NAME_MAX));
        l->n++;
        return 0;
    }
    case OPT_T_ENUMS: {
        struct opt_ints *l = dst;
        int choice;
        TRY(read_choice(f, &choice));
        l->v[l->n++] = choice;
        return 0;
    }
    }
    return err_set(f->e, ERR_INPUT, "%s: `%s` has no known type", f->what, f->o->name);
}

static size_t field_size(const struct opt *o) {
    switch (o->type) {
    case OPT_T_BOOL:
        return sizeof(bool);
    case OPT_T_INT:
        return sizeof(int64_t);
    case OPT_T_DOUBLE:
        return sizeof(double);
    case OPT_T_TEXT:
        return OPT_TEXT_MAX;
    case OPT_T_ENUM:
        return sizeof(int);
    case OPT_T_DOUBLES:
        return sizeof(struct opt_doubles);
    case OPT_T_NAMES:
        return sizeof(struct opt_names);
    default:
        return sizeof(struct opt_ints);
    }
}

/* The table's default; a default that cannot be read is a mistake in the table. */
static void set_default(const struct opt *o, void *field) {
    memset(field, 0, field_size(o));
    struct from f = {.o = o, .what = "default", .member = "", .any_range = 1};
    const char *def = o->def ? o->def : "";
    int rc = 0;
    if (!is_list(o)) {
        f.text = def;
        rc = read_one(&f, field);
    }
    int members = 0;
    while (!rc && is_list(o) && *def) {
        char part[OPT_TEXT_MAX];
        def += strspn(def, " ");
        size_t n = strcspn(def, ",");
        assert(n < sizeof part && members < OPT_LIST_MAX);
        memcpy(part, def, n);
        part[n] = '\0';
        f.text = part;
        rc = read_one(&f, field);
        members++;
        def += n;
        if (*def) def++;
    }
    assert(!rc && "an option table has a default that its own type refuses");
    (void)rc;
}

void opt_defaults(const struct opt *table, void *obj) {
    for (; table->name; table++) set_default(table, at(table, obj));
}

static int same_list(int na, const void *a, int nb, const void *b, size_t size) {
    return na == nb && !memcmp(a, b, (size_t)na * size);
}

static bool same(const struct opt *o, const void *a, const void *b) {
    switch (o->type) {
    case OPT_T_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case OPT_T_INT:
        return *(const int64_t *)a == *(const int64_t *)b;
    case OPT_T_DOUBLE:
        return !memcmp(a, b, sizeof(double));
    case OPT_T_TEXT:
        return !strncmp(a, b, OPT_TEXT_MAX);
    case OPT_T_ENUM:
        return *(const int *)a == *(const int *)b;
    case OPT_T_DOUBLES: {
        const struct opt_doubles *x = a, *y = b;
        return same_list(x->n, x->v, y->n, y->v, sizeof x->v[0]);
    }
    case OPT_T_NAMES: {
        const struct opt_names *x = a, *y = b;
        int equal = x->n == y->n;
        for (int i = 0; equal && i < x->n; i++) equal = !strncmp(x->v[i], y->v[i], OPT_NAME_MAX);
        return equal;
    }
    default: {
        const struct opt_ints *x = a, *y = b;
        return same_list(x->n, x->v, y->n, y->v, sizeof x->v[0]);
    }
    }
}

bool opt_is_default(const struct opt *table, const void *obj, const struct opt *field) {
    (void)table;
    union field def;
    set_default(field, &def);
    return same(field, at_const(field, obj), &def);
}

static int wrong_shape(const struct opt *o, const struct conf *value, const char *what, struct err *e) {
    const char *have = value->type == CONF_MAP ? "a map" : "a list";
    return conf_err(value, e, "%s: `%s` must be %s, not %s", what, o->name,
                    is_list(o) ? "a list of single values" : "a single value", have);
}

static int read_list(struct from *f, const struct conf *value, union field *out) {
    if (value->n > OPT_LIST_MAX)
        return conf_err(value, f->e, "%s: `%s` must have at most %d members, not %zu", f->what, f->o->name,
                        OPT_LIST_MAX, value->n);
    f->member = "each member of ";
    for (size_t i = 0; i < value->n; i++) {
        f->value = value->item[i];
        if (f->value->type != CONF_SCALAR) return wrong_shape(f->o, f->value, f->what, f->e);
        f->text = f->value->text;
        TRY(read_one(f, out));
    }
    return 0;
}

static int read_scalar(struct from *f, const struct conf *value, union field *out) {
    f->value = value;
    f->text = value->text;
    if (!is_list(f->o)) return read_one(f, out);
    if (!*value->text && !value->quoted)
        return conf_err(value, f->e, "%s: `%s` is empty; write [] for an empty list", f->what, f->o->name);
    int rc = read_one(f, out);
    if (rc && f->e && strchr(value->text, ',')) {
        size_t used = strlen(f->e->msg);
        snprintf(f->e->msg + used, sizeof f->e->msg - used, "; write a list as [a, b]");
    }
    return rc;
}

static int read_value(struct from f, const struct conf *value, union field *out) {
    memset(out, 0, sizeof *out);
    if (value->type == CONF_SCALAR) return read_scalar(&f, value, out);
    if (value->type == CONF_LIST && is_list(f.o)) return read_list(&f, value, out);
    return wrong_shape(f.o, value, f.what, f.e);
}

/* The field is read aside, so that a wrong value changes nothing. */
static int set_field(const struct opt *o, void *obj, const struct conf *value, const char *what,
                     struct err *e) {
    if (!value) return err_set(e, ERR_INPUT, "%s: `%s` has no value", what, o->name);
    struct from f = {.o = o, .what = what, .member = "", .e = e};
    union field got, def;
    int rc = read_value(f, value, &got);
    if (rc) { /* a default outside the range may be written down too */
        struct from any = {.o = o, .what = what, .member = "", .any_range = 1};
        set_default(o, &def);
        if (read_value(any, value, &got) || !same(o, &got, &def)) return rc;
        if (e) *e = (struct err)ERR_INIT;
    }
    memcpy(at(o, obj), &got, field_size(o));
    return 0;
}

static int unknown(const struct opt *table, const struct conf *key, const char *what, struct err *e) {
    enum { NAMES_MAX = 256 };
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (; table->name && n < NAMES_MAX; table++) names[n++] = table->name;
    struct str s = STR_INIT;
    str_add(&s, "");
    str_add_suggestion(&s, key->text, names, n);
    conf_err(key, e, "%s: unknown key `%s`%s", what, key->text, s.failed ? "" : s.p);
    str_release(&s);
    return ERR_INPUT;
}

int opt_set(const struct opt *table, void *obj, const char *name, const struct conf *value, const char *what,
            struct err *e) {
    const struct opt *o = opt_find(table, name);
    if (o) return set_field(o, obj, value, what, e);
    struct conf key = {.type = CONF_SCALAR, .text = name};
    if (value) {
        key.file = value->file;
        key.line = value->line;
        key.column = value->column;
    }
    return unknown(table, &key, what, e);
}

int opt_read(const struct opt *table, void *obj, const struct conf *map, const char *what, struct err *e) {
    if (!map) return 0;
    if (map->type == CONF_SCALAR && !map->quoted && !map->text[0]) return 0; /* "dssm:" with nothing behind */
    TRY(conf_want(map, CONF_MAP, what, e));
    for (size_t i = 0; i < map->n; i++) {
        const struct opt *o = opt_find(table, map->key[i]->text);
        if (!o) return unknown(table, map->key[i], what, e);
        TRY(set_field(o, obj, map->item[i], what, e));
    }
    return 0;
}
