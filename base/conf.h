/* conf.h: YAML files as a tree in which every node knows its file, line and column.
 *
 * Parsed by libyaml; the tree lives in the caller's arena. A key that stands twice in a map, a second document, an anchor
 * or alias, non-UTF-8 bytes and a tab for indentation are errors here. An empty value is a scalar with text "".
 *
 *     struct conf *root;
 *     TRY(conf_load("mine.yaml", &arena, &root, e));
 *     struct conf *log = conf_get(root, "log");
 *     if (!log) return conf_err(root, e, "needs the key `log`");       "mine.yaml:1:1: needs the key `log`", ERR_INPUT
 */
#ifndef PRERANK_BASE_CONF_H
#define PRERANK_BASE_CONF_H
#include "base/err.h"
#include "base/mem.h"
#include <jansson.h>
#include <stddef.h>

enum conf_type { CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf {
    enum conf_type type;
    const char *file;  /* as given to conf_load, or "--set KEY=VALUE" */
    int line, column;  /* from 1; 0 when it did not come from a file */
    const char *text;  /* scalar: its text, otherwise NULL */
    int quoted;        /* scalar: written in quotes (so "*" or "1" is text) */
    size_t n;          /* list and map: number of children */
    struct conf **key; /* map: scalars, in file order; list: NULL */
    struct conf **item;
};

int conf_load(const char *path, struct arena *a, struct conf **out, struct err *e);
int conf_parse(const char *name, const char *text, size_t n, struct arena *a, struct conf **out,
               struct err *e);
/* The value of `key`, or NULL (also when `m` is NULL or no map). */
struct conf *conf_get(const struct conf *m, const char *key);
/* Sets "a.b.c" = VALUE (parsed as YAML) in the tree, making maps on the way; list elements by number: "variants.0". */
int conf_set(struct conf *root, const char *dotted, const char *value, struct arena *a, struct err *e);
/* ERR_INPUT with "file:line:col: " in front. */
int conf_err(const struct conf *c, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Each key of map `m` must be one of `known`; otherwise an error with a suggestion. `what` names the map: "a column". */
int conf_only(const struct conf *m, const char *what, const char *const *known, size_t n, struct err *e);
int conf_want(const struct conf *c, enum conf_type type, const char *what,
              struct err *e);            /* "WHAT must be a list, ..." */
json_t *conf_json(const struct conf *c); /* scalars as strings; a new reference, NULL when out of memory */

#endif
