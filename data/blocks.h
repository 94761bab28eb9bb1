/* blocks.h: the bytes of a file in order, decompressed when the file is gzip or zstd (told by its first bytes).
 *
 *     struct blocks *b;
 *     TRY(blocks_open("clicks.csv.gz", &b, e));
 *     while (!(rc = blocks_read(b, buffer, sizeof buffer, &got, e)) && got) use(buffer, got);
 *     blocks_close(b);
 *
 * Memory does not grow with the file. A stream that ends early, is damaged, or has other bytes behind its end is an error;
 * several gzip members or zstd frames one after the other are one text.
 */
#ifndef PRERANK_DATA_BLOCKS_H
#define PRERANK_DATA_BLOCKS_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct blocks;
int blocks_open(const char *path, struct blocks **out, struct err *e);
void blocks_close(struct blocks *b); /* NULL is fine */
/* Up to `cap` bytes (cap > 0); *got = 0 only at the end. */
int blocks_read(struct blocks *b, void *out, size_t cap, size_t *got, struct err *e);
/* Bytes of the file (as stored) read so far, and its size or 0. */
void blocks_progress(const struct blocks *b, uint64_t *done, uint64_t *total);

#endif
