/* dataset.h: a prepared dataset directory, memory-mapped, read-only.
 *
 *     dataset.json                    columns, sides, kinds, vocabulary sizes, bucket edges, split boundaries, hash, summary
 *     rows/label.npy        u8        0/1
 *     rows/user.npy         u32       the row's user as a number (1..n_users-1; every user, also those outside the training split)
 *     rows/item.npy         u32       likewise
 *     rows/time.npy         i64       (when the schema names a time)
 *     rows/row.npy          u64       the row's number in the log, from 0
 *     rows/<field>.npy      u32 ids | f32 numbers; bags: values, with rows/<field>.offsets.npy u64 (n_rows + 1)
 *     rows/keep.<name>.npy  f64       the schema's `keep` columns
 *     users/<field>.npy, items/<field>.npy        the user- and item-side fields once per user / item (row 0 = unknown), as of
 *                                                 the end of training and validation; bags with .offsets.npy
 *     vocab/<field>.txt               one value a line, line k (from 1) is id k
 *     state/<derived>.*.npy           what derive.h needs to compute pair features at serving time
 *
 * Rows are stored split after split (train, valid, test), in time order within each (log order where there is no time).
 *
 *     struct dataset ds;
 *     TRY(dataset_open("results/data/ml1m", &ds, e));
 *     const struct field *f = dataset_field(&ds, "genres");
 *     dataset_close(&ds);
 */
/* dataset.json:
 *     {"format": 1, "name": "ml-1m", "hash": "32 hex digits", "rows": 487650, "users": 2939, "items": 3663, "has_time": true,
 *      "split": {"train": [0, 390120], "valid": [390120, 438885], "test": [438885, 487650]},      begin and end, adjoining
 *      "keep": ["bayes_p"],
 *      "fields": [{"name": "genres", "side": "item", "type": "bag", "kind": "multi", "vocab": 19, "shares": null,
 *                  "mean_length": 2.1}, ...],           type: id | bag | number; shares: the name of another field, or null
 *      ...}                                             any further keys: "summary", "derive", "edges"
 * "users", "items" and "vocab" count row 0, unknown. "vocab" is 0 for numbers. A reader refuses another "format".
 */
#ifndef PRERANK_DATA_DATASET_H
#define PRERANK_DATA_DATASET_H
#include "base/err.h"
#include "base/mem.h"
#include "data/field.h"
#include "data/npy.h"
#include <jansson.h>
#include <stdbool.h>

enum split { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLIT_COUNT };
const char *split_name(enum split s); /* "train", "valid", "test" */

struct column { /* n rows of one field, mapped */
    const uint32_t *ids;
    const uint64_t *offsets;
    const float *number;
    struct npy values_file, offsets_file;
};

struct field {
    const char *name;
    side_t side;
    enum value_type type;
    uint32_t vocab;   /* ids are 0..vocab-1; 0 for numbers */
    const char *kind; /* as in the schema: "category", "history", ... */
    int shares;       /* the field whose vocabulary (and embedding table) it uses, as `recent` does; or -1 */
    double mean_length;   /* ids a row: 1 for ID */
    struct column rows;   /* [n_rows] */
    struct column entity; /* user side: [n_users]; item side: [n_items]; pair: empty */
};

struct dataset {
    struct arena arena;
    char dir[1024];
    const char *name, *hash; /* hash of schema and input: two datasets of equal hash hold equal bytes */
    uint64_t n_rows;
    struct {
        uint64_t begin, end;
    } split[SPLIT_COUNT];
    uint32_t n_users, n_items; /* including row 0, unknown */
    int n_fields;
    struct field *field;
    const uint8_t *label;
    const uint32_t *user, *item;
    const int64_t *time; /* NULL without one */
    const uint64_t *row;
    struct npy label_file, user_file, item_file, time_file, row_file;
    json_t *json; /* the whole dataset.json */
};

/* Checks dataset.json and the type and length of every file; reads no array. */
int dataset_open(const char *dir, struct dataset *out, struct err *e);
void dataset_close(struct dataset *d);
const struct field *dataset_field(const struct dataset *d, const char *name); /* NULL when there is none */
/* A `keep` column, mapped; close it with npy_close. */
int dataset_keep(const struct dataset *d, const char *name, struct npy *out, struct err *e);
/* Every id below its vocabulary, offsets rising, labels 0/1, numbers finite, time never back within a split: reads everything. */
int dataset_verify(const struct dataset *d, struct err *e);

/* Writes DIR/dataset.json from these members of *d: name, hash, n_rows, split, n_users, n_items, n_fields and each field's
 * name, side, type, vocab, kind, shares, mean_length. `more` (borrowed; may be NULL) is an object of further keys. */
int dataset_write_json(const char *dir, const struct dataset *d, bool has_time, const char *const *keep,
                       int n_keep, json_t *more, struct err *e);

/* A batch is a number of rows copied together from chosen fields, in the layout that nn/ reads.
 *     struct batch b;
 *     TRY(batch_init(&b, &ds, fields, n_fields, 256, e));
 *     batch_gather(&b, row_numbers, n);           b.col[i] holds field fields[i]; b.label
 *     batch_release(&b);
 */
struct batch {
    const struct dataset *ds;
    int n_fields;
    size_t max_rows, rows;
    struct batch_column *col; /* [n_fields]; offsets[0] = 0; bags may move from one gather to the next */
    const struct field **field;
    float *label; /* [rows] 0.0/1.0 */
    struct batch_store *store;
};
int batch_init(struct batch *b, const struct dataset *ds, const int *fields, int n_fields, size_t max_rows,
               struct err *e);
/* n <= max_rows. Grows bags as needed. A row or id that is out of range is an error, also in a dataset that was not verified. */
int batch_gather(struct batch *b, const uint64_t *rows, size_t n, struct err *e);
void batch_release(struct batch *b); /* a zeroed struct is fine */

#endif
