/* tally.h: exposures and positives counted by key: the state of count, rate and history features.
 *
 *     struct tally t;
 *     TRY(tally_hashed(&t, "out.tmp-17/work", e));     any keys but 0; or tally_dense(&t, n, ...): keys below n
 *     TRY(tally_add(&t, key, positive, e));
 *     struct tally_count c = tally_get(&t, key);       zeros for a key never seen
 *     TRY(tally_save(&t, dir, "taste", e));            DIR/state/taste.npy; tally_open() maps it again
 *     tally_release(&t);
 *
 * Hashed: open addressing, linear probing from rng_hash(key), at most 70 % full; slot i is the pair of words (key, n + 2^32 p) at
 * 2i, key 0 is a free slot. Saved as it is: u64, two words a slot. Large tables lie in mapped scratch files, not in anonymous
 * memory.
 */
#ifndef PRERANK_DATA_TALLY_H
#define PRERANK_DATA_TALLY_H
#include "base/err.h"
#include "base/rng.h"
#include "data/npy.h"
#include <stdbool.h>

struct tally_count {
    uint32_t n, p; /* exposures, positives */
};
struct tally_slot {
    uint64_t key;
    struct tally_count count;
};

struct tally {
    struct tally_count *dense; /* [keys], or NULL */
    struct tally_slot *slot;   /* [slots], a power of two, or NULL */
    uint64_t keys, slots, used;
    const char *work;
    struct file_map map; /* of a large one */
    struct npy file;     /* of one that tally_open() mapped */
};

int tally_dense(struct tally *t, uint64_t keys, const char *work, struct err *e);
int tally_hashed(struct tally *t, const char *work, struct err *e);
int tally_add(struct tally *t, uint64_t key, bool positive, struct err *e);
void tally_clear(struct tally *t); /* counts nothing again */
int tally_save(const struct tally *t, const char *dir, const char *name, struct err *e);
int tally_open(const char *dir, const char *name, struct tally *out,
               struct err *e);       /* for tally_get() only */
void tally_release(struct tally *t); /* a zeroed one is fine */

static inline struct tally_count tally_get(const struct tally *t, uint64_t key) {
    if (t->dense) return t->dense[key];
    uint64_t at = rng_hash(key) & (t->slots - 1);
    while (t->slot[at].key && t->slot[at].key != key) at = (at + 1) & (t->slots - 1);
    return t->slot[at].count;
}

#endif
