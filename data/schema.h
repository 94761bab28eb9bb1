/* schema.h: what a log is: the YAML of configs/data/, read and checked (docs/data.md documents every key).
 *
 *     log: ratings.csv                    or {file: u.data, sep: "\t", header: [user_id, item_id, rating, ts], encoding: latin-1}
 *     user: user_id                       the column that names the user (the request; GAUC groups by it)
 *     item: item_id
 *     time: ts                            whole numbers; optional unless a split or a derived feature needs it
 *     label: {column: rating, positive: ">= 4"}     or `label: click` for a 0/1 column; ops: >= > <= < == !=
 *     where: ["user_id <= 2999"]          rows to keep; numeric comparison, or == / != of texts
 *     join:
 *       - {file: users.csv, on: user_id}  same file options as log; each column becomes a column of the row (but user, item,
 *                                         time, label, split and the keys are columns of the log itself)
 *     columns:                            the features
 *       user_id: {side: user}             kind defaults to category; `id` is category with min_count 1
 *       age:     {side: user, kind: bucket, buckets: 10}
 *       zip1:    {side: user, from: zip, extract: "^(.)"}      POSIX extended regex, first group
 *       genres:  {side: item, kind: multi, sep: "|"}
 *       genres:  {side: item, kind: multi, flags: [g0, g1]}    ids from 0/1 columns
 *       price:   {side: item, kind: number}                    log1p is `transform: log1p`; missing = training mean
 *     derive:
 *       x_seg:  {kind: cross, of: [user_id, genres], buckets: 10000}
 *       taste:  {kind: history, of: [user_id, genres]}         of: [user column, item column]; prior: 5, buckets: 8
 *       recent: {kind: recent, of: item_id, n: 20}             this user's last n positive items; side user
 *       same:   {kind: overlap, of: [recent_genres, genres], max: 5}
 *       pop:    {kind: count, of: item_id}                     past exposures of this key
 *       ctr:    {kind: rate, of: item_id, prior: 10}           past positive rate of this key
 *     split: {by: time, valid: 0.1, test: 0.1}      by: time | user (the last shares of each user's rows) | random | column
 *     keep: [bayes_p]                     numeric columns stored beside the features, no input of any model
 *     synthetic: {...}                    instead of `log`: see synth.h
 *
 * The side of a derived feature follows from its columns (user | item = pair); writing `side:` is allowed and checked.
 * Files are looked for in the schema's folder, then the working directory, then $PRERANK_DATA; an error names all three.
 * A path may begin with ${PRERANK_DATA}.
 * With `synthetic`, everything else has a default: user_id, item_id, ts, label, all columns, keep: [bayes_p].
 * Loading opens every file and looks for each column that the schema names; no row is read.
 */
#ifndef PRERANK_DATA_SCHEMA_H
#define PRERANK_DATA_SCHEMA_H
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"
#include "data/field.h"
#include "data/source.h"

#define SCHEMA_MAX_FIELDS 256

enum column_kind { COLUMN_CATEGORY, COLUMN_BUCKET, COLUMN_MULTI, COLUMN_NUMBER };
enum derive_kind { DERIVE_CROSS, DERIVE_HISTORY, DERIVE_RECENT, DERIVE_OVERLAP, DERIVE_COUNT, DERIVE_RATE };
enum split_by { SPLIT_TIME, SPLIT_USER, SPLIT_RANDOM, SPLIT_COLUMN };
enum compare_op { CMP_GE, CMP_GT, CMP_LE, CMP_LT, CMP_EQ, CMP_NE };

struct schema_condition { /* column OP value */
    const char *column;
    enum compare_op op;
    const char *value;
    double number;
    bool numeric;
    const struct conf *at;
};

struct schema_column {
    const char *name; /* the feature */
    const char *from; /* the column of the log or of a joined table */
    side_t side;
    enum column_kind kind;
    int64_t min_count;   /* category, multi: rarer values in the training split are "unknown"; default 1 */
    int64_t max_vocab;   /* more distinct training values are an error that says so; default 100,000,000 */
    int64_t buckets;     /* bucket: training quantiles; default 10 */
    bool log1p;          /* number */
    const char *extract; /* regex or NULL */
    const char *sep;     /* multi; default "|" */
    int n_flags;         /* multi: ids 1.. are these columns in order; then `from` is flags[0] */
    const char *const *flags;
    const struct conf *at;
};

struct schema_derived {
    const char *name;
    enum derive_kind kind;
    side_t side;
    int n_of;
    const char *of[2]; /* columns above, for overlap also an earlier `recent`; user side first */
    int of_index[2];   /* index in schema.column, or n_columns + index in schema.derived */
    int64_t buckets;   /* cross: hash buckets (10000); history, rate, count: quantile buckets (8, 16, 16) */
    double prior;      /* history 5, rate 10: pseudo-exposures at the global past positive rate */
    int64_t n;         /* recent: length, default 20 */
    int64_t max;       /* overlap: larger sizes count as this; default 5 */
    const struct conf *at;
};

struct schema_join {
    struct file_spec file;
    const char *on;
    const struct conf *at;
};

struct schema_split {
    enum split_by by;
    double valid, test; /* shares, each in [0, 0.5], test > 0 */
    const char *column; /* by column: values train | valid | test (also validation, val) */
    uint64_t seed;      /* random */
};

/* The options of the parts, for reading, `prerank help` and docs/data.md. schema_derive_opts is indexed by derive_kind. */
extern const struct opt schema_column_opts[], schema_split_opts[];
extern const struct opt *const schema_derive_opts[];

struct schema {
    struct arena arena; /* owns every text and the YAML tree */
    const char *name;   /* default: the file's name without .yaml */
    const char *path;
    struct file_spec log;
    const struct conf *synthetic;   /* or NULL; then log is unused */
    const char *user, *item, *time; /* time may be NULL */
    struct schema_condition label;
    bool label_is_binary; /* `label: click`: "== 1", and any value but 0 and 1 is an error */
    int n_where, n_joins, n_columns, n_derived, n_keep;
    struct schema_condition *where;
    struct schema_join *join;
    struct schema_column *column;
    struct schema_derived *derived;
    const char **keep;
    struct schema_split split;
    struct conf *root;
};

int schema_load(const char *path, struct schema *out, struct err *e); /* on failure nothing to release */
/* From a YAML map that stands inside another file (an experiment's `data:`). The tree must outlive the schema. */
int schema_from_conf(struct conf *root, const char *name, struct schema *out, struct err *e);
void schema_release(struct schema *s);
/* *ok = false when `text` is no number but the operator is >, >=, < or <=. == and != compare numbers as numbers where both
 * sides are, otherwise texts. */
bool schema_compare(const struct schema_condition *c, const char *text, bool *ok);

#endif
