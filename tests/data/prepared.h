/* prepared.h: datasets made by prepare_dataset() inside the folder of a test (folder.h), and tables of expected values.
 *
 *     TestSuite(prepare, .init = folder_setup, .fini = folder_teardown);
 *     folder_put_text("log.csv", ...);
 *     struct dataset ds = prepared("out", "log: log.csv\nuser: u\n...");     fails the test when it cannot be made
 *     cr_assert_str_eq(prepare_error("out", "..."), "");                    the message when it should not work
 */
#ifndef PRERANK_TESTS_DATA_PREPARED_H
#define PRERANK_TESTS_DATA_PREPARED_H
#include "data/dataset.h"

/* The schema is written to NAME.yaml beside the log. */
int prepare_text(const char *name, const char *schema, struct err *e);
struct dataset prepared(const char *name, const char *schema);
struct dataset opened(const char *dir);
const char *prepare_error(const char *name, const char *schema);

/* A field's values in row k of rows/ or an entity table, as text: ids with | between, numbers as %.6g. */
const char *value_text(const struct field *f, const struct column *c, uint64_t k);
/* Line `id` of vocab/<field>.txt (id > 0). */
const char *vocab_line(const char *dir, const char *field, uint32_t id);
/* Number of entries in the test's folder whose name contains `part`. */
int entries_with(const char *part);
/* Are all files below two directories the same, byte for byte? Prints the first difference. */
bool same_trees(const char *a, const char *b);

struct table { /* a CSV file without quotes */
    char *text;
    size_t rows, columns;
    char **cell; /* [rows + 1][columns], row 0 is the header */
};
struct table table_read(const char *path);
const char *table_cell(const struct table *t, size_t row,
                       const char *column); /* row from 0, without the header */
void table_free(struct table *t);

#endif
