/* spool.h: a column of unknown length on disk: appended to in order, then mapped. Nothing of it stays in memory but a buffer.
 *
 *     struct spool s = SPOOL_INIT;
 *     TRY(spool_open(&s, "out.tmp-17/work", "age", e));
 *     TRY(spool_u32(&s, 25, e));
 *     TRY(spool_map(&s, e));                 no more appending
 *     const uint32_t *age = s.map.p;         s.map.bytes / 4 of them; NULL when there are none
 *     spool_release(&s);                     the file is removed
 */
#ifndef PRERANK_DATA_SPOOL_H
#define PRERANK_DATA_SPOOL_H
#include "base/err.h"
#include "base/file.h"
#include <stdint.h>
#include <string.h>

enum { SPOOL_BUFFER = 1 << 16 };

struct spool {
    char *path, *buffer;
    int fd; /* while `buffer` is there */
    size_t used;
    struct file_map map;
};
#define SPOOL_INIT                                                                                           \
    {                                                                                                        \
        NULL, NULL, -1, 0, { NULL, 0 }                                                                       \
    }

int spool_open(struct spool *s, const char *dir, const char *name, struct err *e);
int spool_flush(struct spool *s, struct err *e);
int spool_map(struct spool *s, struct err *e);
void spool_release(struct spool *s); /* a zeroed one is fine */

/* n divides SPOOL_BUFFER. */
static inline int spool_add(struct spool *s, const void *p, size_t n, struct err *e) {
    if (s->used + n > SPOOL_BUFFER) TRY(spool_flush(s, e));
    memcpy(s->buffer + s->used, p, n);
    s->used += n;
    return 0;
}
static inline int spool_u8(struct spool *s, uint8_t v, struct err *e) {
    return spool_add(s, &v, sizeof v, e);
}
static inline int spool_u32(struct spool *s, uint32_t v, struct err *e) {
    return spool_add(s, &v, sizeof v, e);
}
static inline int spool_u64(struct spool *s, uint64_t v, struct err *e) {
    return spool_add(s, &v, sizeof v, e);
}
static inline int spool_i64(struct spool *s, int64_t v, struct err *e) {
    return spool_add(s, &v, sizeof v, e);
}
static inline int spool_f64(struct spool *s, double v, struct err *e) {
    return spool_add(s, &v, sizeof v, e);
}

#endif
