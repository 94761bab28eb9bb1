#include "base/conf.h"
#include "base/file.h"
#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 64, FILE_MAX = 16 << 20 };

struct reader {
    yaml_parser_t parser;
    const char *name;
    const char *text;
    size_t n;
    int no_position; /* --set: nodes have line 0 */
    struct arena *arena;
    struct err *e;
};

static int fail_at(const struct reader *r, size_t line, size_t column, const char *problem,
                   const char *more) {
    if (r->no_position) return err_set(r->e, ERR_INPUT, "%s: %s%s", r->name, problem, more);
    return err_set(r->e, ERR_INPUT, "%s:%zu:%zu: %s%s", r->name, line + 1, column + 1, problem, more);
}

static int fail_mark(const struct reader *r, const yaml_mark_t *at, const char *problem) {
    return fail_at(r, at->line, at->column, problem, "");
}

/* Is there a tab in the white space that begins line `line` (from 0)? */
static int tab_indents(const struct reader *r, size_t line) {
    const char *p = r->text, *end = r->text + r->n;
    for (; line && p < end; line--) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p) return 0;
        p++;
    }
    for (; p < end && (*p == ' ' || *p == '\t'); p++)
        if (*p == '\t') return 1;
    return 0;
}

/* What libyaml did not like, with the usual cure. */
static int fail_yaml(const struct reader *r) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return err_nomem(r->e, r->n);
    if (p->error == YAML_READER_ERROR) {
        size_t line = 0, column = 0;
        for (size_t i = 0; i < p->problem_offset && i < r->n; i++) {
            column++;
            if (r->text[i] != '\n') continue;
            line++;
            column = 0;
        }
        return fail_at(r, line, column, p->problem ? p->problem : "unreadable", "");
    }
    char problem[256];
    snprintf(problem, sizeof problem, "%s%s%s", p->context ? p->context : "", p->context ? ": " : "",
             p->problem ? p->problem : "not valid YAML");
    const char *context = p->context ? p->context : "", *more = "";
    const yaml_mark_t *at = &p->problem_mark;
    if (tab_indents(r, at->line)) {
        more = "; indent with spaces, not with tabs";
    } else if (strstr(context, "alias") || strstr(context, "anchor")) {
        at = &p->context_mark;
        more = "; a text that begins with * or & needs quotes, as in \"*\"";
    } else if (strstr(context, "quoted scalar")) {
        at = &p->context_mark; /* where the quote opens */
    } else if (p->error == YAML_SCANNER_ERROR) {
        more = "; a text with characters that YAML gives a meaning needs quotes";
    }
    return fail_at(r, at->line, at->column, problem, more);
}

static int next_event(struct reader *r, yaml_event_t *ev) {
    return yaml_parser_parse(&r->parser, ev) ? 0 : fail_yaml(r);
}

static struct conf *new_node(struct reader *r, enum conf_type type, const yaml_mark_t *at) {
    struct conf *c = arena_alloc(r->arena, sizeof *c);
    if (!c) return NULL;
    c->type = type;
    c->file = r->name;
    c->line = r->no_position ? 0 : (int)at->line + 1;
    c->column = r->no_position ? 0 : (int)at->column + 1;
    return c;
}

static struct conf **grown(struct conf **old, size_t n, struct arena *a) {
    struct conf **p = arena_alloc(a, (n ? 2 * n : 4) * sizeof *p);
    if (p && n) memcpy(p, old, n * sizeof *p);
    return p;
}

/* The room is 4, 8, 16, ... and follows from n. */
static int push(struct conf *c, struct conf *key, struct conf *item, struct arena *a, struct err *e) {
    if (!c->n || (c->n >= 4 && !(c->n & (c->n - 1)))) {
        struct conf **items = grown(c->item, c->n, a);
        struct conf **keys = c->type == CONF_MAP ? grown(c->key, c->n, a) : NULL;
        if (!items || (c->type == CONF_MAP && !keys)) return err_nomem(e, c->n * sizeof *items);
        c->item = items;
        c->key = keys;
    }
    if (c->key) c->key[c->n] = key;
    c->item[c->n++] = item;
    return 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *ev, struct conf **out) {
    const char *text = (const char *)ev->data.scalar.value;
    size_t n = ev->data.scalar.length;
    if (memchr(text, '\0', n)) return fail_mark(r, &ev->start_mark, "a text cannot hold a NUL character");
    struct conf *c = new_node(r, CONF_SCALAR, &ev->start_mark);
    if (!c) return err_nomem(r->e, sizeof *c);
    c->text = arena_strndup(r->arena, text, n);
    if (!c->text) return err_nomem(r->e, n + 1);
    c->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    *out = c;
    return 0;
}

static int read_node(struct reader *r, const yaml_event_t *ev, int depth, struct conf **out);

static int read_list(struct reader *r, const yaml_mark_t *at, int depth, struct conf **out) {
    struct conf *c = new_node(r, CONF_LIST, at);
    if (!c) return err_nomem(r->e, sizeof *c);
    *out = c;
    for (;;) {
        yaml_event_t ev;
        TRY(next_event(r, &ev));
        int end = ev.type == YAML_SEQUENCE_END_EVENT;
        struct conf *item = NULL;
        int rc = end ? 0 : read_node(r, &ev, depth + 1, &item);
        yaml_event_delete(&ev);
        if (rc || end) return rc;
        TRY(push(c, NULL, item, r->arena, r->e));
    }
}

/* The keys met so far, hashed: a map of n keys is checked for duplicates in O(n). */
struct seen {
    size_t slots;
    struct conf **slot;
};

static struct conf **seen_slot(const struct seen *s, const char *key) {
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (const char *p = key; *p; p++) h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    size_t i = (size_t)(h ^ (h >> 32)) & (s->slots - 1);
    while (s->slot[i] && strcmp(s->slot[i]->text, key) != 0) i = (i + 1) & (s->slots - 1);
    return &s->slot[i];
}

static int seen_add(struct seen *s, const struct conf *map, struct conf *key, struct err *e) {
    if (2 * map->n >= s->slots) {
        struct seen more = {.slots = s->slots ? 4 * s->slots : 16};
        more.slot = mem_calloc(more.slots, sizeof(struct conf *));
        if (!more.slot) return err_nomem(e, more.slots * sizeof(struct conf *));
        for (size_t i = 0; i < map->n; i++) *seen_slot(&more, map->key[i]->text) = map->key[i];
        mem_free(s->slot);
        *s = more;
    }
    struct conf **slot = seen_slot(s, key->text);
    if (*slot && (*slot)->line)
        return conf_err(key, e, "the key `%s` stands twice in this map, first on line %d; keep one",
                        key->text, (*slot)->line);
    if (*slot) return conf_err(key, e, "the key `%s` stands twice in this map; keep one", key->text);
    *slot = key;
    return 0;
}

/* One key and its value; *end = 1 when the map is over instead. */
static int read_pair(struct reader *r, struct conf *c, struct seen *seen, int depth, int *end) {
    yaml_event_t ev;
    struct conf *key = NULL, *item = NULL;
    TRY(next_event(r, &ev));
    *end = ev.type == YAML_MAPPING_END_EVENT;
    int rc = 0;
    if (!*end) {
        if (ev.type == YAML_MAPPING_START_EVENT || ev.type == YAML_SEQUENCE_START_EVENT)
            rc = fail_mark(r, &ev.start_mark, "a key must be a text, not a list or a map");
        else
            rc = read_node(r, &ev, depth + 1, &key);
    }
    yaml_event_delete(&ev);
    if (rc || *end) return rc;
    TRY(seen_add(seen, c, key, r->e));
    TRY(next_event(r, &ev));
    rc = read_node(r, &ev, depth + 1, &item);
    yaml_event_delete(&ev);
    if (rc) return rc;
    return push(c, key, item, r->arena, r->e);
}

static int read_map(struct reader *r, const yaml_mark_t *at, int depth, struct conf **out) {
    struct conf *c = new_node(r, CONF_MAP, at);
    if (!c) return err_nomem(r->e, sizeof *c);
    *out = c;
    struct seen seen = {0, NULL};
    int rc = 0, end = 0;
    while (!rc && !end) rc = read_pair(r, c, &seen, depth, &end);
    mem_free(seen.slot);
    return rc;
}

static int read_node(struct reader *r, const yaml_event_t *ev, int depth, struct conf **out) {
    static const char no_anchor[] =
        "anchors (&name) are not supported; write the value where it is used, or put "
        "quotes around a text that begins with &";
    static const char no_tag[] =
        "tags (!name) are not supported; put quotes around a text that begins with !";
    if (depth > DEPTH_MAX) return fail_mark(r, &ev->start_mark, "nested too deep, at most 64 levels work");
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        if (ev->data.scalar.anchor) return fail_mark(r, &ev->start_mark, no_anchor);
        if (ev->data.scalar.tag) return fail_mark(r, &ev->start_mark, no_tag);
        return read_scalar(r, ev, out);
    case YAML_SEQUENCE_START_EVENT:
        if (ev->data.sequence_start.anchor) return fail_mark(r, &ev->start_mark, no_anchor);
        if (ev->data.sequence_start.tag) return fail_mark(r, &ev->start_mark, no_tag);
        return read_list(r, &ev->start_mark, depth, out);
    case YAML_MAPPING_START_EVENT:
        if (ev->data.mapping_start.anchor) return fail_mark(r, &ev->start_mark, no_anchor);
        if (ev->data.mapping_start.tag) return fail_mark(r, &ev->start_mark, no_tag);
        return read_map(r, &ev->start_mark, depth, out);
    case YAML_ALIAS_EVENT:
        return fail_mark(
            r, &ev->start_mark,
            "aliases (*name) are not supported; a text that begins with * needs quotes, as in \"*\"");
    default:
        return fail_mark(r, &ev->start_mark, "a value is missing here");
    }
}

/* STREAM-START (DOCUMENT-START node DOCUMENT-END)? STREAM-END */
static int read_stream(struct reader *r, struct conf **out) {
    for (;;) {
        yaml_event_t ev;
        TRY(next_event(r, &ev));
        int rc = 0, end = 0;
        switch (ev.type) {
        case YAML_STREAM_END_EVENT:
            end = 1;
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (*out) rc = fail_mark(r, &ev.start_mark, "a second document begins here; a file holds one");
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        default:
            rc = read_node(r, &ev, 1, out);
        }
        yaml_event_delete(&ev);
        if (rc) return rc;
        if (end) break;
    }
    if (*out) return 0;
    static const yaml_mark_t start = {0, 0, 0}; /* nothing, or only comments */
    struct conf *c = new_node(r, CONF_SCALAR, &start);
    if (!c) return err_nomem(r->e, sizeof *c);
    c->text = "";
    *out = c;
    return 0;
}

static int check_utf8(const struct reader *r) {
    size_t bad, line = 0, column = 0;
    if (str_utf8_valid(r->text, r->n, &bad)) return 0;
    for (size_t i = 0; i < bad; i++) {
        if (r->text[i] == '\n') {
            line++;
            column = 0;
        } else if (((unsigned char)r->text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    char problem[96];
    snprintf(problem, sizeof problem, "the byte 0x%02x is not UTF-8; save the file as UTF-8",
             (unsigned char)r->text[bad]);
    return fail_at(r, line, column, problem, "");
}

static int parse(struct reader *r, struct conf **out) {
    *out = NULL;
    if (r->n > FILE_MAX)
        return err_set(r->e, ERR_INPUT, "%s: larger than 16 MiB, which no config is", r->name);
    TRY(check_utf8(r));
    r->name = arena_strdup(r->arena, r->name);
    if (!r->name) return err_nomem(r->e, 0);
    if (!yaml_parser_initialize(&r->parser)) return err_nomem(r->e, sizeof r->parser);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text, r->n);
    int rc = read_stream(r, out);
    yaml_parser_delete(&r->parser);
    if (rc) *out = NULL;
    return rc;
}

int conf_parse(const char *name, const char *text, size_t n, struct arena *a, struct conf **out,
               struct err *e) {
    struct reader r = {.name = name, .text = text, .n = n, .arena = a, .e = e};
    return parse(&r, out);
}

int conf_load(const char *path, struct arena *a, struct conf **out, struct err *e) {
    *out = NULL;
    char *text;
    size_t n;
    TRY(file_read_text(path, &text, &n, e));
    int rc = conf_parse(path, text, n, a, out, e);
    mem_free(text);
    return rc;
}

struct conf *conf_get(const struct conf *m, const char *key) {
    if (!m || m->type != CONF_MAP) return NULL;
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->key[i]->text, key)) return m->item[i];
    return NULL;
}

static int is_empty(const struct conf *c) { return c->type == CONF_SCALAR && !c->quoted && !c->text[0]; }

static struct conf *set_node(enum conf_type type, const char *origin, const char *text, struct arena *a) {
    struct conf *c = arena_alloc(a, sizeof *c);
    if (!c) return NULL;
    *c = (struct conf){.type = type, .file = origin, .text = text};
    return c;
}

/* Where `part` of the path leads from `at`: *slot is the place of the child, made when it is not there. */
static int step(struct conf *at, const char *part, const char *origin, struct arena *a, struct conf ***slot,
                struct err *e) {
    if (is_empty(at)) { /* "a:" with nothing behind becomes a map */
        at->type = CONF_MAP;
        at->text = NULL;
    }
    if (at->type == CONF_SCALAR)
        return err_set(e, ERR_INPUT,
                       "%s: cannot set `%s`: what stands before it is the text \"%s\" and has no keys",
                       origin, part, at->text);
    if (at->type == CONF_LIST) {
        int64_t i;
        if (part[strspn(part, "0123456789")] || str_to_int(part, &i))
            return err_set(e, ERR_INPUT, "%s: `%s` stands after a list; give the element's number, from 0",
                           origin, part);
        if ((uint64_t)i >= at->n)
            return err_set(e, ERR_INPUT, "%s: there is no element %s; the list has %zu, counted from 0",
                           origin, part, at->n);
        *slot = &at->item[i];
        return 0;
    }
    for (size_t i = 0; i < at->n; i++) {
        if (strcmp(at->key[i]->text, part) != 0) continue;
        *slot = &at->item[i];
        return 0;
    }
    const char *text = arena_strdup(a, part);
    struct conf *key = text ? set_node(CONF_SCALAR, origin, text, a) : NULL;
    struct conf *item = set_node(CONF_SCALAR, origin, "", a);
    if (!key || !item) return err_nomem(e, sizeof *key);
    TRY(push(at, key, item, a, e));
    *slot = &at->item[at->n - 1];
    return 0;
}

int conf_set(struct conf *root, const char *dotted, const char *value, struct arena *a, struct err *e) {
    struct str s = STR_INIT;
    str_addf(&s, "--set %s=%s", dotted, value);
    char *origin = s.failed ? NULL : arena_strdup(a, s.p);
    str_release(&s);
    char *path = arena_strdup(a, dotted);
    if (!origin || !path) return err_nomem(e, strlen(dotted) + strlen(value));
    struct reader r = {
        .name = origin, .text = value, .n = strlen(value), .no_position = 1, .arena = a, .e = e};
    struct conf *node;
    TRY(parse(&r, &node));

    int depth = 0;
    for (char *part = path, *dot;; part = dot + 1) {
        dot = strchr(part, '.');
        if (dot) *dot = '\0';
        if (!*part)
            return err_set(e, ERR_INPUT, "%s: a part of the key \"%s\" is empty; write it as in a.b.c",
                           origin, dotted);
        if (++depth > DEPTH_MAX)
            return err_set(e, ERR_INPUT, "%s: the key has too many parts, at most %d work", origin,
                           DEPTH_MAX);
        struct conf **slot = NULL;
        TRY(step(root, part, origin, a, &slot, e));
        if (!dot) {
            *slot = node;
            return 0;
        }
        root = *slot;
    }
}

int conf_err(const struct conf *c, struct err *e, const char *fmt, ...) {
    char text[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0) text[0] = '\0';
    va_end(ap);
    if (!c || !c->file) return err_set(e, ERR_INPUT, "%s", text);
    if (!c->line) return err_set(e, ERR_INPUT, "%s: %s", c->file, text);
    return err_set(e, ERR_INPUT, "%s:%d:%d: %s", c->file, c->line, c->column, text);
}

int conf_only(const struct conf *m, const char *what, const char *const *known, size_t n, struct err *e) {
    if (!m) return 0;
    TRY(conf_want(m, CONF_MAP, what, e));
    for (size_t i = 0; i < m->n; i++) {
        const char *key = m->key[i]->text;
        size_t k = 0;
        while (k < n && strcmp(known[k], key) != 0) k++;
        if (k < n) continue;
        struct str s = STR_INIT;
        str_add(&s, "");
        str_add_suggestion(&s, key, known, n);
        conf_err(m->key[i], e, "%s: unknown key `%s`%s", what, key, s.failed ? "" : s.p);
        str_release(&s);
        return ERR_INPUT;
    }
    return 0;
}

int conf_want(const struct conf *c, enum conf_type type, const char *what, struct err *e) {
    static const char *const names[] = {"a single value", "a list", "a map"};
    if (!c) return err_set(e, ERR_INPUT, "%s is missing", what);
    if (c->type == type) return 0;
    if (c->type != CONF_SCALAR)
        return conf_err(c, e, "%s must be %s, not %s", what, names[type], names[c->type]);
    if (is_empty(c)) return conf_err(c, e, "%s must be %s, but it is empty", what, names[type]);
    return conf_err(c, e, "%s must be %s, not \"%s\"", what, names[type], c->text);
}

json_t *conf_json(const struct conf *c) {
    if (!c) return json_null();
    if (c->type == CONF_SCALAR) return json_string(c->text);
    json_t *j = c->type == CONF_LIST ? json_array() : json_object();
    for (size_t i = 0; j && i < c->n; i++) {
        json_t *item = conf_json(c->item[i]); /* taken over also when the call fails */
        int rc = c->type == CONF_LIST ? json_array_append_new(j, item)
                                      : json_object_set_new(j, c->key[i]->text, item);
        if (rc) {
            json_decref(j);
            j = NULL;
        }
    }
    return j;
}
