#include "base/mem.h"
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN     ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_FROM (2 * HUGE_PAGE)

/* The test hook: the only state of this file. */
static atomic_ullong asked;
static atomic_ullong fail_from; /* 0 = never */

void mem_fail_after(unsigned long long n) { atomic_store(&fail_from, n ? atomic_load(&asked) + n : 0); }

unsigned long long mem_count(void) { return atomic_load(&asked); }

/* Tables of embeddings and records are read at random: on huge pages a read costs one miss instead of two. Where
 * the system has none, the advice does nothing. */
static void *alloc_large(size_t bytes) {
    void *p;
    if (posix_memalign(&p, HUGE_PAGE, bytes)) return NULL;
    madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return p;
}

void *mem_alloc(size_t bytes) {
    unsigned long long nth = atomic_fetch_add(&asked, 1) + 1;
    unsigned long long from = atomic_load(&fail_from);
    if (from && nth >= from) return NULL;
    if (bytes > PTRDIFF_MAX - ALIGN) return NULL;
    size_t rounded = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    return rounded >= HUGE_FROM ? alloc_large(rounded) : aligned_alloc(ALIGN, rounded);
}

void *mem_calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    void *p = mem_alloc(bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void *mem_realloc(void *p, size_t old_bytes, size_t bytes) {
    void *q = mem_alloc(bytes);
    if (!q) return NULL;
    if (p) memcpy(q, p, old_bytes < bytes ? old_bytes : bytes);
    mem_free(p);
    return q;
}

char *mem_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *p = mem_alloc(n);
    if (p) memcpy(p, s, n);
    return p;
}

void mem_free(void *p) { free(p); }

/* The head is the block that is being filled; its data starts ALIGN bytes after the block. */
struct arena_block {
    struct arena_block *next;
    size_t used, cap;
};
_Static_assert(sizeof(struct arena_block) <= ALIGN, "the block's head must fit before its data");

enum { BLOCK_MIN = 4096 - 64, BLOCK_MAX = 1 << 20 };

static void *take(struct arena *a, size_t bytes, size_t align) {
    struct arena_block *h = a->head;
    if (h) {
        size_t at = (h->used + align - 1) / align * align;
        if (at <= h->cap && bytes <= h->cap - at) {
            h->used = at + bytes;
            return (char *)h + ALIGN + at;
        }
    }
    if (bytes > PTRDIFF_MAX - 4 * ALIGN) return NULL;
    size_t cap = h ? h->cap * 2 : BLOCK_MIN;
    if (cap > BLOCK_MAX) cap = BLOCK_MAX;
    int own = bytes > cap / 2; /* a large piece gets a block of its own, behind the head */
    if (own) cap = bytes ? bytes : 1;
    struct arena_block *b = mem_alloc(ALIGN + cap);
    if (!b) return NULL;
    *b = (struct arena_block){.next = h, .used = bytes, .cap = cap};
    if (own && h) {
        b->next = h->next;
        h->next = b;
    } else {
        a->head = b;
    }
    return (char *)b + ALIGN;
}

void *arena_alloc(struct arena *a, size_t bytes) {
    void *p = take(a, bytes, ALIGN);
    if (p) memset(p, 0, bytes);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n) {
    n = strnlen(s, n);
    char *p = take(a, n + 1, 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *arena_strdup(struct arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

void arena_release(struct arena *a) {
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    a->head = NULL;
}
