/* file.h: files that appear whole or not at all, memory maps, hashes and folders.
 *
 *     struct file_out o;
 *     TRY(file_begin(&o, "effect.csv", e));        writes to effect.csv.tmp-<pid>
 *     fprintf(o.f, ...);
 *     return file_commit(&o, e);                   checks every write, fsync, rename; on failure the temporary is gone
 */
#ifndef PRERANK_BASE_FILE_H
#define PRERANK_BASE_FILE_H
#include "base/err.h"
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct file_out {
    FILE *f;
    char path[1024], tmp[1060];
};
int file_begin(struct file_out *o, const char *path, struct err *e);
int file_commit(struct file_out *o, struct err *e);
void file_abort(struct file_out *o); /* after file_begin, instead of commit; safe to call twice */
int file_write_text(const char *path, const char *text, size_t n, struct err *e); /* atomic */
int file_write_json(const char *path, const json_t *j, struct err *e); /* atomic, indented, key order kept */
int file_read_json(const char *path, json_t **out, struct err *e);     /* path:line:column in errors */
int file_read_text(const char *path, char **out, size_t *n,
                   struct err *e); /* NUL-terminated; mem_free() it */

struct file_map {
    void *p; /* NULL for an empty file */
    size_t bytes;
};
int file_map_read(const char *path, struct file_map *m, struct err *e);
/* A new file of `bytes` zero bytes (space is reserved, so a full disk is an error here and not a SIGBUS later), mapped for
 * reading and writing. */
int file_map_create(const char *path, size_t bytes, struct file_map *m, struct err *e);
void file_unmap(struct file_map *m);

int file_make_dirs(const char *path, struct err *e);   /* mkdir -p */
int file_remove_tree(const char *path, struct err *e); /* rm -r; a missing path is fine */
int file_exists(const char *path);                     /* 1 or 0 */
int64_t file_size(const char *path);                   /* -1 when there is none */
/* out gets "a/b"; an error when it does not fit. An absolute b replaces a. */
int file_join(char *out, size_t cap, const char *a, const char *b, struct err *e);

/* XXH3-128 as 32 hex digits + NUL. hash_file streams. */
struct hash {
    char hex[33];
};
struct hash hash_bytes(const void *p, size_t n);
int hash_file(const char *path, struct hash *out, struct err *e);

#endif
