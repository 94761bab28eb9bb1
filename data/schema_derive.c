/* The derived features of a schema: their options, and what they may be derived of. */
#include "data/schema_parts.h"
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"cross", "history", "recent", "overlap", "count", "rate", NULL};
static const char *const side_names[] = {"user", "item", "pair", NULL}; /* side_t - 1 */

struct derive_options {
    int kind, side;
    struct opt_names of;
    int64_t buckets, n, max;
    double prior;
};

#define KIND(of_help)                                                                                        \
    OPT_ENUM(struct derive_options, kind, "cross", kind_names, "must be given"),                             \
        OPT_NAMES(struct derive_options, of, "", of_help),                                                   \
        OPT_ENUM(struct derive_options, side, "pair", side_names, "follows from `of`; checked when given")
#define BUCKETS(def, help) OPT_INT(struct derive_options, buckets, def, 2, 100e6, help)
#define PRIOR(def)                                                                                           \
    OPT_DOUBLE(struct derive_options, prior, def, 0.001, 1e6,                                                \
               "pseudo-exposures at the global past positive rate")

static const struct opt cross_opts[] = {KIND("two columns, not numbers"), BUCKETS("10000", "hash buckets"),
                                        OPT_END};
static const struct opt history_opts[] = {
    KIND("a user-side and an item-side column"),
    OPT_INT(struct derive_options, buckets, "8", 2, 1000,
            "training quantiles of the rate, for each of 5 levels of exposure"),
    PRIOR("5"), OPT_END};
static const struct opt recent_opts[] = {
    KIND("an item-side column, no number"),
    OPT_INT(struct derive_options, n, "20", 1, 1000, "positive items, newest first"), OPT_END};
static const struct opt overlap_opts[] = {
    KIND("a `recent` of a multi column, and that column"),
    OPT_INT(struct derive_options, max, "5", 1, 1000, "larger sizes count as this"), OPT_END};
static const struct opt count_opts[] = {
    KIND("a column of one value"),
    OPT_INT(struct derive_options, buckets, "16", 2, 64, "log2-spaced buckets"), OPT_END};
static const struct opt rate_opts[] = {
    KIND("a column of one value"),
    OPT_INT(struct derive_options, buckets, "16", 2, 1000, "training quantiles"), PRIOR("10"), OPT_END};
const struct opt *const schema_derive_opts[] = {
    [DERIVE_CROSS] = cross_opts,     [DERIVE_HISTORY] = history_opts, [DERIVE_RECENT] = recent_opts,
    [DERIVE_OVERLAP] = overlap_opts, [DERIVE_COUNT] = count_opts,     [DERIVE_RATE] = rate_opts,
};

struct input { /* what a name in `of` stands for */
    int index;
    side_t side;
    bool number, bag;
    int vocabulary; /* the column whose ids it holds */
};

static int unknown_name(const struct schema *s, int n_derived, const struct conf *at, const char *what,
                        const char *name, struct err *e) {
    const char *known[2 * SCHEMA_MAX_FIELDS];
    size_t n = 0;
    for (int i = 0; i < s->n_columns; i++) known[n++] = s->column[i].name;
    for (int i = 0; i < n_derived; i++)
        if (s->derived[i].kind == DERIVE_RECENT) known[n++] = s->derived[i].name;
    struct str text = STR_INIT;
    str_add_suggestion(&text, name, known, n);
    conf_err(at, e, "%s: `of` names `%s`, which is no feature under `columns`%s", what, name,
             text.failed || !text.p ? "" : text.p);
    str_release(&text);
    return ERR_INPUT;
}

/* `n_derived` features stand before this one. */
static int find_input(const struct schema *s, int n_derived, const struct conf *at, const char *what,
                      const char *name, struct input *out, struct err *e) {
    for (int i = 0; i < s->n_columns; i++) {
        const struct schema_column *c = &s->column[i];
        if (strcmp(c->name, name) != 0) continue;
        *out = (struct input){i, c->side, c->kind == COLUMN_NUMBER, c->kind == COLUMN_MULTI, i};
        return 0;
    }
    for (int i = 0; i < n_derived; i++) {
        const struct schema_derived *d = &s->derived[i];
        if (strcmp(d->name, name) != 0) continue;
        *out = (struct input){s->n_columns + i, d->side, false, d->kind == DERIVE_RECENT, d->of_index[0]};
        return 0;
    }
    return unknown_name(s, n_derived, at, what, name, e);
}

static void swap_inputs(struct schema_derived *d, struct input in[2]) {
    struct input first = in[0];
    const char *name = d->of[0];
    in[0] = in[1];
    in[1] = first;
    d->of[0] = d->of[1];
    d->of[1] = name;
}

static int check_overlap(const struct schema_derived *d, const struct input in[2], const struct conf *at,
                         const char *what, struct err *e) {
    if (!in[0].bag || !in[1].bag)
        return conf_err(
            at, e, "%s: overlap needs two bags (a `recent`, or a column of kind multi), but `%s` is none",
            what, d->of[in[0].bag ? 1 : 0]);
    if (in[0].vocabulary != in[1].vocabulary)
        return conf_err(at, e,
                        "%s: overlap needs two bags of the same values, as a `recent` of `%s` and `%s`", what,
                        d->of[1], d->of[1]);
    return 0;
}

static int check_inputs(const struct schema *s, struct schema_derived *d, struct input in[2],
                        const struct conf *at, const char *what, struct err *e) {
    bool two_sides = d->kind == DERIVE_HISTORY || d->kind == DERIVE_OVERLAP;
    for (int i = 0; i < d->n_of; i++) {
        if (in[i].number)
            return conf_err(at, e, "%s: `%s` is a number; make it a bucket for use in `of`", what, d->of[i]);
        if (in[i].side == SIDE_PAIR)
            return conf_err(at, e, "%s: `%s` is pair-side; `of` takes user-side and item-side columns", what,
                            d->of[i]);
        if (in[i].index >= s->n_columns && d->kind != DERIVE_OVERLAP)
            return conf_err(at, e, "%s: `%s` is derived; only overlap takes a derived feature, a `recent`",
                            what, d->of[i]);
        if (in[i].bag && (d->kind == DERIVE_COUNT || d->kind == DERIVE_RATE))
            return conf_err(at, e, "%s: `%s` has several values; %s takes a column of one value", what,
                            d->of[i], kind_names[d->kind]);
    }
    if (d->n_of == 2 && in[0].side == SIDE_ITEM && in[1].side == SIDE_USER) swap_inputs(d, in);
    if (d->n_of == 2 && in[0].index == in[1].index)
        return conf_err(at, e, "%s: `of` names `%s` twice", what, d->of[0]);
    if (two_sides && (in[0].side != SIDE_USER || in[1].side != SIDE_ITEM))
        return conf_err(
            at, e, "%s: %s needs a user-side and an item-side column; `%s` is %s-side and `%s` is %s-side",
            what, kind_names[d->kind], d->of[0], side_name(in[0].side), d->of[1], side_name(in[1].side));
    if (d->kind == DERIVE_RECENT && in[0].side != SIDE_ITEM)
        return conf_err(at, e, "%s: recent needs an item-side column; `%s` is user-side", what, d->of[0]);
    return d->kind == DERIVE_OVERLAP ? check_overlap(d, in, at, what, e) : 0;
}

static int check_side(const struct schema_derived *d, const struct derive_options *o, const struct conf *at,
                      const char *what, struct err *e) {
    if (!at || (side_t)o->side + 1 == d->side) return 0;
    return conf_err(at, e, "%s: is %s-side by what it is derived of, not %s-side", what, side_name(d->side),
                    side_name((side_t)o->side + 1));
}

static int link_inputs(struct schema *s, struct schema_derived *d, const struct derive_options *o,
                       const struct conf *of, const char *what, struct err *e) {
    static const int wanted[] = {[DERIVE_CROSS] = 2,   [DERIVE_HISTORY] = 2, [DERIVE_RECENT] = 1,
                                 [DERIVE_OVERLAP] = 2, [DERIVE_COUNT] = 1,   [DERIVE_RATE] = 1};
    struct input in[2] = {{.index = -1}, {.index = -1}};
    d->n_of = wanted[d->kind];
    if (o->of.n != d->n_of)
        return conf_err(of ? of : d->at, e, "%s: %s needs %s in `of`, not %d", what, kind_names[d->kind],
                        d->n_of == 1 ? "1 column" : "2 columns", o->of.n);
    for (int i = 0; i < d->n_of; i++) {
        d->of[i] = arena_strdup(&s->arena, o->of.v[i]);
        if (!d->of[i]) return err_nomem(e, OPT_NAME_MAX);
        const struct conf *at = of->type == CONF_LIST ? of->item[i] : of;
        TRY(find_input(s, s->n_derived, at, what, d->of[i], &in[i], e));
    }
    TRY(check_inputs(s, d, in, of, what, e));
    d->side = SIDE_NONE;
    for (int i = 0; i < d->n_of; i++) {
        d->of_index[i] = in[i].index;
        d->side |= in[i].side;
    }
    if (d->kind == DERIVE_RECENT) d->side = SIDE_USER; /* a property of the user's past */
    return 0;
}

static int read_kind(const struct conf *key, const struct conf *c, const char *what, int *kind,
                     struct err *e) {
    struct derive_options o;
    const struct conf *at = conf_get(c, "kind");
    if (!at) return conf_err(key, e, "%s needs `kind`: cross, history, recent, overlap, count or rate", what);
    TRY(opt_set(cross_opts, &o, "kind", at, what, e));
    *kind = o.kind;
    return 0;
}

static int read_one(struct schema *s, const struct conf *key, const struct conf *c, struct err *e) {
    char what[96];
    int kind = 0;
    struct derive_options o = {.buckets = 0};
    struct schema_derived *d = &s->derived[s->n_derived];
    snprintf(what, sizeof what, "derived `%.64s`", key->text);
    TRY(schema_feature_name(key, "derive", e));
    for (int i = 0; i < s->n_columns; i++)
        if (!strcmp(s->column[i].name, key->text))
            return conf_err(key, e, "%s: `columns` has a feature of this name, too; rename one", what);
    TRY(conf_want(c, CONF_MAP, what, e));
    TRY(read_kind(key, c, what, &kind, e));
    opt_defaults(schema_derive_opts[kind], &o);
    TRY(opt_read(schema_derive_opts[kind], &o, c, what, e));
    *d = (struct schema_derived){.name = key->text,
                                 .kind = (enum derive_kind)kind,
                                 .buckets = o.buckets,
                                 .prior = o.prior,
                                 .n = o.n,
                                 .max = o.max,
                                 .at = key};
    TRY(link_inputs(s, d, &o, conf_get(c, "of"), what, e));
    TRY(check_side(d, &o, conf_get(c, "side"), what, e));
    if (kind != DERIVE_CROSS && !s->time)
        return conf_err(key, e, "%s: %s looks at the past and needs the key `time`", what, kind_names[kind]);
    s->n_derived++;
    return 0;
}

int schema_read_derived(struct schema *s, const struct conf *map, struct err *e) {
    if (!map) return 0;
    TRY(conf_want(map, CONF_MAP, "`derive`", e));
    if (map->n > (size_t)(SCHEMA_MAX_FIELDS - s->n_columns))
        return conf_err(map, e, "%zu features under `columns` and `derive` together, but %d is the limit",
                        map->n + (size_t)s->n_columns, SCHEMA_MAX_FIELDS);
    s->derived = arena_alloc(&s->arena, (map->n + 1) * sizeof *s->derived);
    if (!s->derived) return err_nomem(e, map->n * sizeof *s->derived);
    for (size_t i = 0; i < map->n; i++) TRY(read_one(s, map->key[i], map->item[i], e));
    return 0;
}
