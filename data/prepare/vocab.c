#include "data/prepare/vocab.h"
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct vocab_slot {
    uint32_t tag, id; /* id 0: free */
};

enum { PAGE_BITS = 12, PAGE = 1 << PAGE_BITS, SLOTS_MIN = 64 };

static uint64_t hash_of(const char *text, size_t n) { return XXH3_64bits(text, n); }

/* The low bits choose the slot, the high ones are the tag. */
static uint32_t tag_of(uint64_t h) { return (uint32_t)(h >> 32); }

const char *vocab_text(const struct vocab *v, uint32_t id) {
    return v->page[(id - 1) >> PAGE_BITS][(id - 1) & (PAGE - 1)];
}

static int grow_slots(struct vocab *v, struct err *e) {
    size_t slots = v->slots ? v->slots * 2 : SLOTS_MIN;
    struct vocab_slot *to = mem_calloc(slots, sizeof *to);
    if (!to) return err_nomem(e, slots * sizeof *to);
    /* only half of the hash is kept, so texts are hashed again: in id order, which reads the arena straight through */
    for (uint32_t id = 1; id <= v->n; id++) {
        const char *text = vocab_text(v, id);
        uint64_t h = hash_of(text, strlen(text));
        size_t at = h & (slots - 1);
        while (to[at].id) at = (at + 1) & (slots - 1);
        to[at] = (struct vocab_slot){tag_of(h), id};
    }
    mem_free(v->slot);
    v->slot = to;
    v->slots = slots;
    return 0;
}

static int add_page(struct vocab *v, struct err *e) {
    if (v->pages == v->page_room) {
        size_t room = v->page_room ? v->page_room * 2 : 8;
        const char ***p = mem_realloc(v->page, v->pages * sizeof *p, room * sizeof *p);
        if (!p) return err_nomem(e, room * sizeof *p);
        v->page = p;
        v->page_room = room;
    }
    const char **page = mem_alloc(PAGE * sizeof *page);
    if (!page) return err_nomem(e, PAGE * sizeof *page);
    v->page[v->pages++] = page;
    return 0;
}

static int add_text(struct vocab *v, const char *text, size_t n, struct err *e) {
    if (v->n == UINT32_MAX - 1)
        return err_set(e, ERR_INPUT, "more than %u distinct values in one column", v->n);
    if (v->n == v->pages * PAGE) TRY(add_page(v, e));
    char *copy = arena_strndup(&v->texts, text, n);
    if (!copy) return err_nomem(e, n + 1);
    v->page[v->n >> PAGE_BITS][v->n & (PAGE - 1)] = copy;
    v->n++;
    return 0;
}

static int is(const struct vocab *v, uint32_t id, const char *text, size_t n) {
    const char *have = vocab_text(v, id);
    for (size_t i = 0; i < n; i++) /* texts are short, and the tag has said that they are the same */
        if (have[i] != text[i]) return 0;
    return !have[n];
}

int vocab_add(struct vocab *v, const char *text, size_t n, uint32_t *id, struct err *e) {
    if ((uint64_t)v->n * 4 >= (uint64_t)v->slots * 3) TRY(grow_slots(v, e));
    uint64_t h = hash_of(text, n);
    size_t at = h & (v->slots - 1);
    for (; v->slot[at].id; at = (at + 1) & (v->slots - 1)) {
        if (v->slot[at].tag != tag_of(h) || !is(v, v->slot[at].id, text, n)) continue;
        *id = v->slot[at].id;
        return 0;
    }
    TRY(add_text(v, text, n, e));
    v->slot[at] = (struct vocab_slot){tag_of(h), v->n};
    *id = v->n;
    return 0;
}

uint32_t vocab_find(const struct vocab *v, const char *text, size_t n) {
    if (!v->n) return 0;
    uint64_t h = hash_of(text, n);
    for (size_t at = h & (v->slots - 1); v->slot[at].id; at = (at + 1) & (v->slots - 1))
        if (v->slot[at].tag == tag_of(h) && is(v, v->slot[at].id, text, n)) return v->slot[at].id;
    return 0;
}

void vocab_release(struct vocab *v) {
    for (size_t i = 0; i < v->pages; i++) mem_free(v->page[i]);
    mem_free(v->page);
    mem_free(v->slot);
    arena_release(&v->texts);
    *v = (struct vocab)VOCAB_INIT;
}
