#include "data/prepare/tally.h"
#include "base/mem.h"
#include "data/prepare/scratch.h"
#include "data/prepare/staging.h"
#include <string.h>

_Static_assert(sizeof(struct tally_slot) == 16, "a slot is two words in the file");

enum { SLOTS_MIN = 1024 };
static const size_t anonymous_max = (size_t)64 << 20;

static void *room(size_t bytes, const char *work, struct file_map *m, struct err *e) {
    *m = (struct file_map){NULL, 0};
    if (bytes > anonymous_max) return scratch_map(work, bytes, m, e) ? NULL : m->p;
    void *p = mem_calloc(1, bytes);
    if (!p) err_nomem(e, bytes);
    return p;
}

int tally_dense(struct tally *t, uint64_t keys, const char *work, struct err *e) {
    *t = (struct tally){.keys = keys, .work = work};
    t->dense = room(keys * sizeof *t->dense, work, &t->map, e);
    return t->dense ? 0 : ERR_INPUT;
}

int tally_hashed(struct tally *t, const char *work, struct err *e) {
    *t = (struct tally){.slots = SLOTS_MIN, .work = work};
    t->slot = room(t->slots * sizeof *t->slot, work, &t->map, e);
    return t->slot ? 0 : ERR_INPUT;
}

static void drop(struct tally *t) {
    if (t->map.p) {
        file_unmap(&t->map);
    } else {
        mem_free(t->dense);
        mem_free(t->slot);
    }
}

static int grow(struct tally *t, struct err *e) {
    uint64_t slots = t->slots * 2;
    struct file_map m;
    struct tally_slot *to = room(slots * sizeof *to, t->work, &m, e);
    if (!to) return ERR_INPUT;
    for (uint64_t i = 0; i < t->slots; i++) {
        if (!t->slot[i].key) continue;
        uint64_t at = rng_hash(t->slot[i].key) & (slots - 1);
        while (to[at].key) at = (at + 1) & (slots - 1);
        to[at] = t->slot[i];
    }
    drop(t);
    t->slot = to;
    t->slots = slots;
    t->map = m;
    return 0;
}

int tally_add(struct tally *t, uint64_t key, bool positive, struct err *e) {
    struct tally_count *c;
    if (t->dense) {
        c = &t->dense[key];
    } else {
        if (t->used * 10 >= t->slots * 7) TRY(grow(t, e));
        uint64_t at = rng_hash(key) & (t->slots - 1);
        while (t->slot[at].key && t->slot[at].key != key) at = (at + 1) & (t->slots - 1);
        t->used += !t->slot[at].key;
        t->slot[at].key = key;
        c = &t->slot[at].count;
    }
    c->n++;
    c->p += positive;
    return 0;
}

void tally_clear(struct tally *t) {
    if (t->dense) memset(t->dense, 0, t->keys * sizeof *t->dense);
    if (t->slot) memset(t->slot, 0, t->slots * sizeof *t->slot);
    t->used = 0;
}

int tally_save(const struct tally *t, const char *dir, const char *name, struct err *e) {
    struct npy out;
    TRY(staging_array(dir, "state", name, "", NPY_U64, t->slots * 2, &out, e));
    memcpy(out.data, t->slot, t->slots * sizeof *t->slot);
    npy_close(&out);
    return 0;
}

int tally_open(const char *dir, const char *name, struct tally *out, struct err *e) {
    *out = (struct tally){.keys = 0};
    TRY(staging_reopen(dir, "state", name, "", NPY_U64, &out->file, e));
    uint64_t slots = out->file.n / 2;
    struct tally_slot *slot = out->file.data;
    bool free_slot = false; /* a search in a full table would not end */
    for (uint64_t i = 0; i < slots && !free_slot; i++) free_slot = !slot[i].key;
    if (out->file.n % 2 || (slots & (slots - 1)) || !free_slot) {
        npy_close(&out->file);
        return err_set(e, ERR_INPUT, "%s/state/%s.npy: is damaged; prepare the dataset again", dir, name);
    }
    out->slot = slot;
    out->slots = slots;
    return 0;
}

void tally_release(struct tally *t) {
    if (t->file.data)
        npy_close(&t->file);
    else
        drop(t);
    *t = (struct tally){.keys = 0};
}
