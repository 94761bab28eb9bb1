/* opt.h: one typed option table drives YAML, --set, `prerank help`, the resolved config in the manifest and the docs.
 *
 * A module describes its options as a plain struct and a table beside it; the struct owns nothing (texts and lists have a
 * fixed room), so it can be copied with `=`.
 *
 *     struct tower { struct opt_ints hidden; double dropout; bool batch_norm; int act; };
 *     static const char *const act_names[] = {"relu", "tanh", NULL};
 *     static const struct opt tower_opts[] = {
 *         OPT_INTS  (struct tower, hidden,     "128,64,32", 1, 65536, "units of each layer"),
 *         OPT_DOUBLE(struct tower, dropout,    "0", 0, 0.95, "share of hidden units dropped in training"),
 *         OPT_BOOL  (struct tower, batch_norm, "false", "batch norm on hidden layers"),
 *         OPT_ENUM  (struct tower, act,        "relu", act_names, "hidden activation"),
 *         OPT_END};
 *     struct tower t;
 *     opt_defaults(tower_opts, &t);
 *     TRY(opt_read(tower_opts, &t, conf_map, "dssm", e));     an unknown key: "mine.yaml:7:5: dssm: unknown key `hiden`, did you mean ..."
 */
#ifndef PRERANK_BASE_OPT_H
#define PRERANK_BASE_OPT_H
#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPT_TEXT_MAX 256
#define OPT_LIST_MAX 32
#define OPT_NAME_MAX 64
struct opt_ints {
    int n;
    int64_t v[OPT_LIST_MAX];
};
struct opt_doubles {
    int n;
    double v[OPT_LIST_MAX];
};
struct opt_names { /* a list of short texts */
    int n;
    char v[OPT_LIST_MAX][OPT_NAME_MAX];
};

enum opt_type {
    OPT_T_BOOL,
    OPT_T_INT,
    OPT_T_DOUBLE,
    OPT_T_TEXT,
    OPT_T_ENUM,
    OPT_T_INTS,
    OPT_T_DOUBLES,
    OPT_T_NAMES,
    OPT_T_ENUMS
};

/* bool: bool; int: int64_t; double: double; text: char[OPT_TEXT_MAX]; enum: int (index in choices); enums: struct opt_ints
 * of indices. */
struct opt {
    const char *name;
    enum opt_type type;
    size_t offset;
    const char *def;            /* as one would write it in YAML; lists as "1,2,3", an empty list as "" */
    double min, max;            /* int, double and each list member */
    const char *const *choices; /* enum: NULL-ended */
    const char *help;
};
#define OPT_BOOL(T, f, d, h)                                                                                 \
    { #f, OPT_T_BOOL, offsetof(T, f), d, 0, 1, NULL, h }
#define OPT_INT(T, f, d, lo, hi, h)                                                                          \
    { #f, OPT_T_INT, offsetof(T, f), d, lo, hi, NULL, h }
#define OPT_DOUBLE(T, f, d, lo, hi, h)                                                                       \
    { #f, OPT_T_DOUBLE, offsetof(T, f), d, lo, hi, NULL, h }
#define OPT_TEXT(T, f, d, h)                                                                                 \
    { #f, OPT_T_TEXT, offsetof(T, f), d, 0, 0, NULL, h }
#define OPT_ENUM(T, f, d, c, h)                                                                              \
    { #f, OPT_T_ENUM, offsetof(T, f), d, 0, 0, c, h }
#define OPT_INTS(T, f, d, lo, hi, h)                                                                         \
    { #f, OPT_T_INTS, offsetof(T, f), d, lo, hi, NULL, h }
#define OPT_DOUBLES(T, f, d, lo, hi, h)                                                                      \
    { #f, OPT_T_DOUBLES, offsetof(T, f), d, lo, hi, NULL, h }
#define OPT_NAMES(T, f, d, h)                                                                                \
    { #f, OPT_T_NAMES, offsetof(T, f), d, 0, 0, NULL, h }
#define OPT_ENUMS(T, f, d, c, h)                                                                             \
    { #f, OPT_T_ENUMS, offsetof(T, f), d, 0, 0, c, h }
#define OPT_END                                                                                              \
    { NULL, OPT_T_BOOL, 0, NULL, 0, 0, NULL, NULL }

void opt_defaults(const struct opt *table, void *obj);
/* Overrides fields from a map (NULL = nothing to read). Every key must be in the table. A scalar is accepted where a list is
 * wanted (a list of one). `what` names the object in messages. Integers that are whole ("20M", "1e3") only. */
int opt_read(const struct opt *table, void *obj, const struct conf *map, const char *what, struct err *e);
/* One field from text; `where` may be NULL (no position in the message). */
int opt_set(const struct opt *table, void *obj, const char *name, const struct conf *value, const char *what,
            struct err *e);
const struct opt *opt_find(const struct opt *table, const char *name);
json_t *opt_json(const struct opt *table,
                 const void *obj); /* all fields with their values; new reference or NULL */
int opt_from_json(const struct opt *table, void *obj, const json_t *j, const char *what, struct err *e);
bool opt_is_default(const struct opt *table, const void *obj, const struct opt *field);
/* Help: one entry a line: name, type, range or choices, default, help. `indent` spaces in front. */
void opt_help(const struct opt *table, struct str *out, int indent);

#endif
