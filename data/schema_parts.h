/* schema_parts.h: what the files of schema.c share; for them only. */
#ifndef PRERANK_DATA_SCHEMA_PARTS_H
#define PRERANK_DATA_SCHEMA_PARTS_H
#include "data/schema.h"

/* A scalar that is not empty, copied by nobody: it lives in the tree. "WHAT must be a single value, not a
 * list" */
int schema_text(const struct conf *c, const char *what, const char **out, struct err *e);
/* Is `name` fit for a feature: a letter or _, then letters, digits, _ and -; at most 63; no word that is
 * taken. */
int schema_feature_name(const struct conf *key, const char *what, struct err *e);

/* `log` (a path or a map) and a member of `join` (a map that has `on` too). */
int schema_read_file(struct schema *s, const struct conf *c, const char *what, bool join,
                     struct file_spec *out, struct err *e);
int schema_read_derived(struct schema *s, const struct conf *map, struct err *e);
/* All columns of a synthetic log as features, when the schema names none. */
int schema_synthetic_columns(struct schema *s, struct err *e);
/* Opens the files and looks for every column that the schema names. */
int schema_check_files(const struct schema *s, struct err *e);

#endif
