/* vocab.h: texts numbered from 1 in order of first appearance: the dictionary of one source column.
 *
 * An open-addressing table (xxh3, linear probing, 8 bytes a slot) over texts packed into an arena: about 20 bytes an entry
 * besides the text. Ids do not depend on anything but the order of the calls.
 *
 *     struct vocab v = VOCAB_INIT;
 *     uint32_t id;
 *     TRY(vocab_add(&v, cell.p, cell.n, &id, e));      the id it has, or a new one
 *     puts(vocab_text(&v, id));
 *     vocab_release(&v);
 */
#ifndef PRERANK_DATA_VOCAB_H
#define PRERANK_DATA_VOCAB_H
#include "base/err.h"
#include "base/mem.h"
#include <stddef.h>
#include <stdint.h>

struct vocab {
    struct arena texts;
    struct vocab_slot *slot; /* [slots], slots a power of two */
    size_t slots;
    const char ***page; /* texts by id, 4096 a page */
    size_t pages, page_room;
    uint32_t n; /* ids are 1..n */
};
#define VOCAB_INIT                                                                                           \
    { .texts = ARENA_INIT }

int vocab_add(struct vocab *v, const char *text, size_t n, uint32_t *id,
              struct err *e);                                           /* no NUL inside text */
uint32_t vocab_find(const struct vocab *v, const char *text, size_t n); /* 0: not there */
const char *vocab_text(const struct vocab *v, uint32_t id);             /* 1 <= id <= v->n */
void vocab_release(struct vocab *v); /* a zeroed one is fine; it is empty and usable again */

#endif
