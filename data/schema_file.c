/* The files of a schema: how they are written, and where they are. */
#include "base/file.h"
#include "data/schema_parts.h"
#include <stdlib.h>
#include <string.h>

/* The folder of the file that the schema stands in: "configs/data", or "" for the working directory. */
static int schema_folder(const struct schema *s, char out[1024], struct err *e) {
    const char *slash = s->root->line ? strrchr(s->root->file, '/') : NULL;
    size_t n = slash ? (size_t)(slash - s->root->file) + (slash == s->root->file) : 0;
    if (n >= 1024) return conf_err(s->root, e, "the schema's path is too long");
    if (n) memcpy(out, s->root->file, n);
    out[n] = '\0';
    return 0;
}

/* "${PRERANK_DATA}/x" and "$PRERANK_DATA/x": *rest = "x". */
static bool names_data_folder(const char *path, const char **rest) {
    static const char *const forms[] = {"${PRERANK_DATA}", "$PRERANK_DATA"};
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(forms[i]);
        if (strncmp(path, forms[i], n) != 0 || (path[n] && path[n] != '/')) continue;
        *rest = path + n + (path[n] == '/');
        return true;
    }
    return false;
}

static int not_found(const struct conf *c, const char *path, char place[3][1024], const char *data,
                     struct err *e) {
    struct str s = STR_INIT;
    for (int i = 0; i < 3; i++)
        if (*place[i]) str_addf(&s, "%s\"%s\"", s.len ? ", " : "", place[i]);
    if (!data) str_addf(&s, " (and PRERANK_DATA, a folder to look in as well, is not set)");
    conf_err(c, e, "there is no file \"%s\"; looked for %s", path, s.failed || !s.p ? "it" : s.p);
    str_release(&s);
    return ERR_INPUT;
}

static int resolve(const struct schema *s, const struct conf *c, const char *path, char out[1024],
                   struct err *e) {
    const char *data = getenv("PRERANK_DATA"), *rest = path;
    char place[3][1024] = {"", "", ""};
    if (data && !*data) data = NULL;
    if (names_data_folder(path, &rest)) {
        if (!data) return conf_err(c, e, "\"%s\": the environment variable PRERANK_DATA is not set", path);
        TRY(file_join(place[2], sizeof place[2], data, rest, e));
    } else if (*path == '/') {
        TRY(file_join(place[0], sizeof place[0], "", path, e));
        data = path; /* an absolute path is in one place only */
    } else {
        char folder[1024] = "";
        TRY(schema_folder(s, folder, e));
        if (*folder) TRY(file_join(place[0], sizeof place[0], folder, path, e));
        TRY(file_join(place[1], sizeof place[1], "", path, e));
        if (data) TRY(file_join(place[2], sizeof place[2], data, path, e));
    }
    for (int i = 0; i < 3; i++) {
        if (!*place[i] || !file_exists(place[i])) continue;
        memcpy(out, place[i], sizeof place[i]);
        return 0;
    }
    return not_found(c, path, place, data, e);
}

static bool ends_with(const char *s, size_t n, const char *end) {
    size_t m = strlen(end);
    return n >= m && !memcmp(s + n - m, end, m);
}

static const char *default_sep(const char *path) {
    size_t n = strlen(path);
    if (ends_with(path, n, ".gz")) n -= 3;
    if (ends_with(path, n, ".zst")) n -= 4;
    return ends_with(path, n, ".tsv") || ends_with(path, n, ".tab") ? "\t" : ",";
}

static int read_sep(const struct conf *c, const char *what, struct file_spec *out, struct err *e) {
    const char *text = "";
    TRY(conf_want(c, CONF_SCALAR, what, e));
    text = c->text;
    if (!strcmp(text, "tab") || !strcmp(text, "\\t")) text = "\t";
    bool good = *text && strlen(text) < sizeof out->sep;
    for (const char *p = text; good && *p; p++) good = (unsigned char)*p < 0x80 && !strchr("\"\r\n", *p);
    if (!good)
        return conf_err(c, e,
                        "%s must be 1 to 7 ASCII characters, as in \",\", \"\\t\" or \"::\", not \"%s\"",
                        what, c->text);
    snprintf(out->sep, sizeof out->sep, "%s", text);
    return 0;
}

static int read_encoding(const struct conf *c, struct file_spec *out, struct err *e) {
    static const char *const names[] = {"utf-8", "utf8", "latin-1", "latin1", "iso-8859-1"};
    const char *text = "";
    TRY(schema_text(c, "`encoding`", &text, e));
    for (int i = 0; i < 5; i++)
        if (!strcasecmp(text, names[i])) {
            out->latin1 = i >= 2;
            return 0;
        }
    return conf_err(c, e, "`encoding` must be utf-8 or latin-1, not \"%s\"", text);
}

static int read_quotes(const struct conf *c, struct file_spec *out, struct err *e) {
    static const struct opt opts[] = {OPT_BOOL(struct file_spec, quotes, "true", ""), OPT_END};
    TRY(opt_set(opts, out, "quotes", c, "file", e));
    if (out->quotes && out->sep[1])
        return conf_err(c, e, "quotes go with a separator of one character only, not with \"%s\"", out->sep);
    return 0;
}

static int read_header(struct schema *s, const struct conf *c, struct file_spec *out, struct err *e) {
    TRY(conf_want(c, CONF_LIST, "`header`", e));
    if (!c->n) return conf_err(c, e, "`header` must name the columns of the file, but it is empty");
    const char **names = arena_alloc(&s->arena, c->n * sizeof *names);
    if (!names) return err_nomem(e, c->n * sizeof *names);
    for (size_t i = 0; i < c->n; i++) {
        TRY(schema_text(c->item[i], "a name in `header`", &names[i], e));
        for (size_t k = 0; k < i; k++)
            if (!strcmp(names[i], names[k]))
                return conf_err(c->item[i], e, "`header` names `%s` twice", names[i]);
    }
    out->n_header = (int)c->n;
    out->header = names;
    return 0;
}

int schema_read_file(struct schema *s, const struct conf *c, const char *what, bool join,
                     struct file_spec *out, struct err *e) {
    static const char *const keys[] = {"file", "sep", "header", "encoding", "quotes", "on"};
    *out = (struct file_spec){.quotes = false};
    const struct conf *file = c;
    const char *path;
    if (c->type != CONF_SCALAR || join) {
        TRY(conf_want(c, CONF_MAP, what, e));
        TRY(conf_only(c, what, keys, join ? 6 : 5, e));
        file = conf_get(c, "file");
        if (!file) return conf_err(c, e, "%s needs the key `file`", what);
    }
    TRY(schema_text(file, "`file`", &path, e));
    TRY(resolve(s, file, path, out->path, e));
    snprintf(out->sep, sizeof out->sep, "%s", default_sep(path));
    const struct conf *part;
    if ((part = conf_get(c, "sep"))) TRY(read_sep(part, "`sep`", out, e));
    out->quotes = !strcmp(out->sep, ",");
    if ((part = conf_get(c, "quotes"))) TRY(read_quotes(part, out, e));
    if ((part = conf_get(c, "encoding"))) TRY(read_encoding(part, out, e));
    if ((part = conf_get(c, "header"))) TRY(read_header(s, part, out, e));
    return 0;
}
