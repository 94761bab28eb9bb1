#include "data/schema.h"
#include "data/prepare/extract.h"
#include "data/schema_parts.h"
#include "data/synth.h"
#include <ctype.h>
#include <string.h>

static const char *const side_names[] = {"user", "item", "pair", NULL}; /* side_t - 1 */
static const char *const kind_names[] = {"category", "bucket", "multi", "number", "id", NULL};
enum { KIND_ID = COLUMN_NUMBER + 1 };

struct column_options {
    int side, kind, transform;
    int64_t min_count, max_vocab, buckets;
    char from[OPT_TEXT_MAX], extract[OPT_TEXT_MAX], sep[OPT_TEXT_MAX];
    struct opt_names flags;
};
static const char *const transform_names[] = {"none", "log1p", NULL};
const struct opt schema_column_opts[] = {
    OPT_ENUM(struct column_options, side, "user", side_names, "whose property it is; must be given"),
    OPT_ENUM(
        struct column_options, kind, "category", kind_names,
        "category: one value; bucket: a number cut at training quantiles; multi: several values in a cell; "
        "number: the number itself; id: a category of which every value counts"),
    OPT_TEXT(struct column_options, from, "",
             "the column of the log or of a joined file; default: the feature's name"),
    OPT_TEXT(struct column_options, extract, "",
             "POSIX extended regex; the value is what its first group matches"),
    OPT_INT(struct column_options, min_count, "1", 1, 1e9,
            "category, multi: values with fewer training rows are unknown"),
    OPT_INT(struct column_options, max_vocab, "100M", 1, 4e9,
            "category, multi: more distinct values are an error"),
    OPT_INT(struct column_options, buckets, "10", 2, 65536, "bucket: how many"),
    OPT_ENUM(struct column_options, transform, "none", transform_names,
             "number: log1p for counts and prices"),
    OPT_TEXT(struct column_options, sep, "|", "multi: what stands between the values of a cell"),
    OPT_NAMES(struct column_options, flags, "",
              "multi: 0/1 columns, each of which is a value, instead of one cell"),
    OPT_END};

struct split_options {
    int by;
    double valid, test;
    char column[OPT_TEXT_MAX];
    int64_t seed;
};
static const char *const split_names[] = {"time", "user", "random", "column", NULL};
const struct opt schema_split_opts[] = {
    OPT_ENUM(struct split_options, by, "time", split_names,
             "time: the last rows of all; user: the last rows of each user; random; column: as a column "
             "says. Default: "
             "time, or random where there is none"),
    OPT_DOUBLE(struct split_options, valid, "0.1", 0, 0.5, "share of rows for validation"),
    OPT_DOUBLE(struct split_options, test, "0.1", 0, 0.5,
               "share of rows for the test, the last ones; more than 0"),
    OPT_TEXT(struct split_options, column, "", "by column: holds train, valid or test"),
    OPT_INT(struct split_options, seed, "1", 0, 9e18, "random: the draw"),
    OPT_END};

/* ---- words ---- */

int schema_text(const struct conf *c, const char *what, const char **out, struct err *e) {
    TRY(conf_want(c, CONF_SCALAR, what, e));
    if (!*c->text) return conf_err(c, e, "%s is empty", what);
    *out = c->text;
    return 0;
}

int schema_feature_name(const struct conf *key, const char *what, struct err *e) {
    static const char *const taken[] = {"label", "user", "item", "pair", "time", "row"};
    const char *name = key->text;
    size_t n = strlen(name);
    bool good = n > 0 && n < OPT_NAME_MAX && (isalpha((unsigned char)*name) || *name == '_');
    for (size_t i = 0; good && i < n; i++)
        good = isalnum((unsigned char)name[i]) || name[i] == '_' || name[i] == '-';
    if (!good)
        return conf_err(
            key, e,
            "%s: the name \"%s\" must be a letter or _, then letters, digits, _ and -, at most %d; the log's "
            "own name goes behind `from`",
            what, name, OPT_NAME_MAX - 1);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (!strcmp(name, taken[i]))
            return conf_err(key, e, "%s: the name `%s` is taken; choose another, as in `%s_id: {from: %s}`",
                            what, name, name, name);
    return 0;
}

/* ---- conditions ---- */

static char *trimmed(struct arena *a, const char *p, size_t n) {
    while (n && *p == ' ') p++, n--;
    while (n && p[n - 1] == ' ') n--;
    return arena_strndup(a, p, n);
}

/* "OP VALUE", with `text` at the operator. */
static int read_comparison(struct schema *s, const struct conf *c, const char *text,
                           struct schema_condition *out, struct err *e) {
    static const struct {
        const char *text;
        enum compare_op op;
    } ops[] = {{">=", CMP_GE}, {"<=", CMP_LE}, {"==", CMP_EQ}, {"!=", CMP_NE}, {">", CMP_GT}, {"<", CMP_LT}};
    size_t i = 0;
    while (i < 6 && strncmp(text, ops[i].text, strlen(ops[i].text)) != 0) i++;
    if (i == 6) return conf_err(c, e, "\"%s\" needs one of >= > <= < == !=, as in \">= 4\"", c->text);
    out->op = ops[i].op;
    out->at = c;
    const char *value = text + strlen(ops[i].text);
    char *v = trimmed(&s->arena, value, strlen(value));
    if (!v) return err_nomem(e, strlen(value));
    size_t n = strlen(v);
    bool quoted = n >= 2 && (*v == '"' || *v == '\'') && v[n - 1] == *v;
    if (quoted) {
        v[n - 1] = '\0';
        v++;
    } else if (!n) {
        return conf_err(c, e, "\"%s\" needs a value behind the operator; an empty text is written ''",
                        c->text);
    }
    out->value = v;
    out->numeric = !quoted && !str_to_double(v, &out->number);
    if (!out->numeric && out->op != CMP_EQ && out->op != CMP_NE)
        return conf_err(c, e, "\"%s\" must compare with a number; texts work with == and != only", c->text);
    return 0;
}

static int read_where_one(struct schema *s, const struct conf *c, struct schema_condition *out,
                          struct err *e) {
    const char *text = "";
    TRY(schema_text(c, "a condition of `where`", &text, e));
    size_t at = strcspn(text, "<>=!");
    if (!text[at] || !at)
        return conf_err(c, e, "\"%s\" must be COLUMN OPERATOR VALUE, as in \"user_id <= 2999\"", text);
    char *column = trimmed(&s->arena, text, at);
    if (!column) return err_nomem(e, at);
    out->column = column;
    return read_comparison(s, c, text + at, out, e);
}

static int read_where(struct schema *s, struct conf *c, struct err *e) {
    if (!c) return 0;
    if (c->type != CONF_SCALAR) TRY(conf_want(c, CONF_LIST, "`where`", e));
    size_t n = c->type == CONF_LIST ? c->n : 1;
    s->where = arena_alloc(&s->arena, (n + 1) * sizeof *s->where);
    if (!s->where) return err_nomem(e, n * sizeof *s->where);
    for (size_t i = 0; i < n; i++)
        TRY(read_where_one(s, c->type == CONF_LIST ? c->item[i] : c, &s->where[i], e));
    s->n_where = (int)n;
    return 0;
}

static int read_label(struct schema *s, const struct conf *c, struct err *e) {
    static const char *const keys[] = {"column", "positive"};
    s->label = (struct schema_condition){
        .op = CMP_EQ, .value = "1", .number = 1, .numeric = true, .at = c ? c : s->root};
    s->label_is_binary = true;
    s->label.column = "label";
    if (!c && s->synthetic) return 0;
    if (!c)
        return conf_err(s->root, e,
                        "needs the key `label`, as in label: {column: rating, positive: \">= 4\"}");
    if (c->type == CONF_SCALAR) return schema_text(c, "`label`", &s->label.column, e);
    TRY(conf_only(c, "`label`", keys, 2, e));
    const struct conf *column = conf_get(c, "column"), *positive = conf_get(c, "positive");
    if (!column) return conf_err(c, e, "`label` needs the key `column`");
    TRY(schema_text(column, "the label's `column`", &s->label.column, e));
    if (!positive) return 0;
    const char *text = "";
    TRY(schema_text(positive, "`positive`", &text, e));
    s->label_is_binary = false;
    return read_comparison(s, positive, text + strspn(text, " "), &s->label, e);
}

static bool compare_numbers(enum compare_op op, double a, double b) {
    switch (op) {
    case CMP_GE:
        return a >= b;
    case CMP_GT:
        return a > b;
    case CMP_LE:
        return a <= b;
    case CMP_LT:
        return a < b;
    case CMP_EQ:
        return a == b;
    case CMP_NE:
        return a != b;
    }
    return false;
}

bool schema_compare(const struct schema_condition *c, const char *text, bool *ok) {
    double v;
    *ok = true;
    if (c->numeric && !str_to_double(text, &v)) return compare_numbers(c->op, v, c->number);
    if (c->op == CMP_EQ) return !strcmp(text, c->value);
    if (c->op == CMP_NE) return strcmp(text, c->value) != 0;
    *ok = false;
    return false;
}

/* ---- columns ---- */

static int check_extract(const struct conf *c, const char *extract, struct err *e) {
    struct extract x;
    TRY(extract_open(&x, extract, c, e));
    extract_close(&x);
    return 0;
}

/* Options that say nothing for the column's kind are mistakes. */
static int check_applies(const struct conf *c, const char *what, int kind, struct err *e) {
    static const struct {
        const char *key;
        unsigned kinds;
        const char *needs;
    } rules[] = {
        {"min_count", 1u << COLUMN_CATEGORY | 1u << COLUMN_MULTI, "category or multi"},
        {"max_vocab", 1u << COLUMN_CATEGORY | 1u << COLUMN_MULTI | 1u << KIND_ID, "category, id or multi"},
        {"buckets", 1u << COLUMN_BUCKET, "bucket"},
        {"transform", 1u << COLUMN_NUMBER, "number"},
        {"sep", 1u << COLUMN_MULTI, "multi"},
        {"flags", 1u << COLUMN_MULTI, "multi"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct conf *v = conf_get(c, rules[i].key);
        if (v && !(rules[i].kinds >> kind & 1))
            return conf_err(v, e, "%s: `%s` goes with kind %s, not with %s", what, rules[i].key,
                            rules[i].needs, kind_names[kind]);
    }
    static const char *const not_with_flags[] = {"from", "sep", "extract"};
    for (int i = 0; conf_get(c, "flags") && i < 3; i++)
        if (conf_get(c, not_with_flags[i]))
            return conf_err(conf_get(c, not_with_flags[i]), e, "%s: `%s` does not go with `flags`", what,
                            not_with_flags[i]);
    return 0;
}

static int copy_column(struct schema *s, const struct column_options *o, struct schema_column *out,
                       struct err *e) {
    struct arena *a = &s->arena;
    out->from = *o->from ? arena_strdup(a, o->from) : out->name;
    out->sep = arena_strdup(a, o->sep);
    out->extract = *o->extract ? arena_strdup(a, o->extract) : NULL;
    const char **flags = arena_alloc(a, (size_t)(o->flags.n + 1) * sizeof *flags);
    if (!out->from || !out->sep || (*o->extract && !out->extract) || !flags) return err_nomem(e, sizeof *o);
    for (int i = 0; i < o->flags.n; i++)
        if (!(flags[i] = arena_strdup(a, o->flags.v[i]))) return err_nomem(e, sizeof o->flags.v[i]);
    out->flags = flags;
    out->n_flags = o->flags.n;
    if (o->flags.n) out->from = flags[0];
    return 0;
}

static int read_column(struct schema *s, const struct conf *key, const struct conf *c,
                       struct schema_column *out, struct err *e) {
    char what[96];
    struct column_options o;
    snprintf(what, sizeof what, "column `%.64s`", key->text);
    TRY(schema_feature_name(key, "columns", e));
    TRY(conf_want(c, CONF_MAP, what, e));
    opt_defaults(schema_column_opts, &o);
    TRY(opt_read(schema_column_opts, &o, c, what, e));
    if (!conf_get(c, "side")) return conf_err(key, e, "%s needs `side`: user, item or pair", what);
    TRY(check_applies(c, what, o.kind, e));
    if (*o.extract) TRY(check_extract(conf_get(c, "extract"), o.extract, e));
    if (o.kind == COLUMN_MULTI && !*o.sep) return conf_err(conf_get(c, "sep"), e, "%s: `sep` is empty", what);
    for (int i = 0; i < o.flags.n; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(o.flags.v[i], o.flags.v[k]))
                return conf_err(conf_get(c, "flags"), e, "%s: `flags` names `%s` twice", what, o.flags.v[i]);
    *out = (struct schema_column){.name = key->text,
                                  .side = (side_t)o.side + 1,
                                  .kind = o.kind == KIND_ID ? COLUMN_CATEGORY : (enum column_kind)o.kind,
                                  .min_count = o.min_count,
                                  .max_vocab = o.max_vocab,
                                  .buckets = o.buckets,
                                  .log1p = o.transform == 1,
                                  .at = key};
    return copy_column(s, &o, out, e);
}

static int read_columns(struct schema *s, const struct conf *c, struct err *e) {
    if (!c && s->synthetic) return schema_synthetic_columns(s, e);
    if (!c)
        return conf_err(s->root, e,
                        "needs the key `columns`, as in columns: {age: {side: user, kind: bucket}}");
    TRY(conf_want(c, CONF_MAP, "`columns`", e));
    if (!c->n || c->n > SCHEMA_MAX_FIELDS)
        return conf_err(c, e, "`columns` must have 1 to %d features, not %zu", SCHEMA_MAX_FIELDS, c->n);
    s->column = arena_alloc(&s->arena, c->n * sizeof *s->column);
    if (!s->column) return err_nomem(e, c->n * sizeof *s->column);
    for (size_t i = 0; i < c->n; i++) TRY(read_column(s, c->key[i], c->item[i], &s->column[i], e));
    s->n_columns = (int)c->n;
    return 0;
}

/* ---- the other keys ---- */

static int read_split(struct schema *s, const struct conf *c, struct err *e) {
    struct split_options o;
    opt_defaults(schema_split_opts, &o);
    const struct conf *by = c && c->type == CONF_SCALAR ? c : conf_get(c, "by");
    if (by == c && c)
        TRY(opt_set(schema_split_opts, &o, "by", c, "`split`", e));
    else
        TRY(opt_read(schema_split_opts, &o, c, "`split`", e));
    if (!by) o.by = s->time ? SPLIT_TIME : SPLIT_RANDOM;
    const struct conf *at = by ? by : s->root;
    if (o.by == SPLIT_TIME && !s->time) return conf_err(at, e, "`split` by time needs the key `time`");
    if (o.by == SPLIT_COLUMN && !*o.column)
        return conf_err(at, e, "`split` by column needs the key `column`");
    if (o.by != SPLIT_COLUMN && *o.column)
        return conf_err(conf_get(c, "column"), e, "`split`: `column` goes with `by: column`");
    for (int i = 0; o.by == SPLIT_COLUMN && i < 2; i++)
        if (conf_get(c, i ? "test" : "valid"))
            return conf_err(conf_get(c, i ? "test" : "valid"), e,
                            "`split`: by column, the column says the shares");
    if (o.by != SPLIT_RANDOM && conf_get(c, "seed"))
        return conf_err(conf_get(c, "seed"), e, "`split`: `seed` goes with `by: random`");
    if (o.test <= 0) return conf_err(conf_get(c, "test"), e, "`split`: `test` must be more than 0");
    s->split = (struct schema_split){
        .by = (enum split_by)o.by, .valid = o.valid, .test = o.test, .seed = (uint64_t)o.seed};
    s->split.column = *o.column ? arena_strdup(&s->arena, o.column) : NULL;
    return *o.column && !s->split.column ? err_nomem(e, sizeof o.column) : 0;
}

static int read_joins(struct schema *s, const struct conf *c, struct err *e) {
    if (!c) return 0;
    TRY(conf_want(c, CONF_LIST, "`join`", e));
    if (c->n && s->synthetic) return conf_err(c, e, "`join` does not go with `synthetic`");
    s->join = arena_alloc(&s->arena, (c->n + 1) * sizeof *s->join);
    if (!s->join) return err_nomem(e, c->n * sizeof *s->join);
    for (size_t i = 0; i < c->n; i++) {
        struct schema_join *j = &s->join[i];
        TRY(schema_read_file(s, c->item[i], "a member of `join`", true, &j->file, e));
        const struct conf *on = conf_get(c->item[i], "on");
        if (!on)
            return conf_err(c->item[i], e,
                            "a member of `join` needs the key `on`: the column that both files have");
        TRY(schema_text(on, "`on`", &j->on, e));
        j->at = on;
    }
    s->n_joins = (int)c->n;
    return 0;
}

static int read_keep(struct schema *s, const struct conf *c, struct err *e) {
    size_t n = c && c->type == CONF_LIST ? c->n : 0;
    s->keep = arena_alloc(&s->arena, (n + 1) * sizeof *s->keep);
    if (!s->keep) return err_nomem(e, n * sizeof *s->keep);
    if (!c && s->synthetic) s->keep[s->n_keep++] = "bayes_p";
    if (!c) return 0;
    TRY(conf_want(c, CONF_LIST, "`keep`", e));
    for (size_t i = 0; i < c->n; i++) {
        TRY(schema_text(c->item[i], "a member of `keep`", &s->keep[i], e));
        const char *name = s->keep[i];
        if (strlen(name) >= OPT_NAME_MAX || *name == '.' || strpbrk(name, "/\\"))
            return conf_err(c->item[i], e, "`keep`: \"%s\" cannot be the name of a file", name);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(name, s->keep[k])) return conf_err(c->item[i], e, "`keep` names `%s` twice", name);
    }
    s->n_keep = (int)c->n;
    return 0;
}

/* The name becomes a folder. One that comes from the file's name is made fit for that. */
static int read_name(struct schema *s, const struct conf *c, const char *given, struct err *e) {
    const char *name = given;
    if (c) TRY(schema_text(c, "`name`", &name, e));
    char *copy = arena_strdup(&s->arena, *name ? name : "schema");
    if (!copy) return err_nomem(e, strlen(name));
    bool good = strlen(name) < OPT_NAME_MAX;
    for (char *p = copy; *p; p++) {
        if (isalnum((unsigned char)*p) || *p == '_' || (p > copy && (*p == '.' || *p == '-'))) continue;
        good = false;
        *p = '_';
    }
    if (c && !good)
        return conf_err(
            c, e, "`name`: \"%s\" must be letters, digits, _, . and - only, at most %d: it becomes a folder",
            name, OPT_NAME_MAX - 1);
    s->name = copy;
    return 0;
}

/* A scalar key of the top; without it `standard`, or an error when that is NULL and it is needed. */
static int read_key(struct schema *s, const char *key, const char *standard, const char **out,
                    struct err *e) {
    const struct conf *c = conf_get(s->root, key);
    char what[32];
    *out = s->synthetic ? standard : NULL;
    if (!c && !*out && strcmp(key, "time") != 0)
        return conf_err(s->root, e, "needs the key `%s`: the column that names the %s", key, key);
    if (!c) return 0;
    snprintf(what, sizeof what, "`%s`", key);
    return schema_text(c, what, out, e);
}

static int read_origin(struct schema *s, struct err *e) {
    const struct conf *log = conf_get(s->root, "log");
    s->synthetic = conf_get(s->root, "synthetic");
    if (!log == !s->synthetic)
        return conf_err(log ? log : s->root, e,
                        log ? "`log` and `synthetic` are both given; keep one"
                            : "needs the key `log`: the file, as in log: clicks.csv.gz");
    return log ? schema_read_file(s, log, "`log`", false, &s->log, e) : 0;
}

static int read_schema(struct schema *s, const char *name, struct err *e) {
    static const char *const keys[] = {"name", "log",     "user",   "item",  "time", "label",    "where",
                                       "join", "columns", "derive", "split", "keep", "synthetic"};
    struct conf *root = s->root;
    TRY(conf_only(root, "a schema", keys, sizeof keys / sizeof *keys, e));
    TRY(read_origin(s, e));
    TRY(read_name(s, conf_get(root, "name"), name, e));
    TRY(read_key(s, "user", "user_id", &s->user, e));
    TRY(read_key(s, "item", "item_id", &s->item, e));
    TRY(read_key(s, "time", "ts", &s->time, e));
    if (s->user && s->item && !strcmp(s->user, s->item))
        return conf_err(conf_get(root, "item"), e, "`user` and `item` are both `%s`", s->user);
    TRY(read_label(s, conf_get(root, "label"), e));
    TRY(read_where(s, conf_get(root, "where"), e));
    TRY(read_joins(s, conf_get(root, "join"), e));
    TRY(read_columns(s, conf_get(root, "columns"), e));
    TRY(schema_read_derived(s, conf_get(root, "derive"), e));
    TRY(read_split(s, conf_get(root, "split"), e));
    TRY(read_keep(s, conf_get(root, "keep"), e));
    return schema_check_files(s, e);
}

static int read_or_release(struct schema *s, const char *name, struct err *e) {
    int rc = read_schema(s, name, e);
    if (rc) schema_release(s);
    return rc;
}

/* "configs/data/mine.yaml" -> "mine" */
static const char *stem(struct arena *a, const char *path) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    bool yaml = dot && dot > base && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
    return arena_strndup(a, base, yaml ? (size_t)(dot - base) : strlen(base));
}

int schema_load(const char *path, struct schema *out, struct err *e) {
    *out = (struct schema){.arena = ARENA_INIT};
    int rc = conf_load(path, &out->arena, &out->root, e);
    const char *name = rc ? NULL : stem(&out->arena, path);
    if (!rc && !name) rc = err_nomem(e, strlen(path));
    if (rc) {
        schema_release(out);
        return rc;
    }
    out->path = out->root->file;
    return read_or_release(out, name, e);
}

int schema_from_conf(struct conf *root, const char *name, struct schema *out, struct err *e) {
    *out = (struct schema){.arena = ARENA_INIT, .root = root, .path = root->file};
    return read_or_release(out, name, e);
}

void schema_release(struct schema *s) {
    arena_release(&s->arena);
    *s = (struct schema){.arena = ARENA_INIT};
}
