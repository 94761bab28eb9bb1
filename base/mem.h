/* mem.h: the only place that asks the system for memory, and the arena.
 *
 * Every allocation may fail: callers test for NULL and return err_nomem(). Tests set mem_fail_after() to make the n-th
 * allocation fail. An arena is a chain of blocks with one end: everything allocated from it dies in arena_release().
 * Blocks of 4 MiB and more lie on huge pages where the system gives them.
 *
 *     struct arena a = ARENA_INIT;
 *     char *s = arena_strdup(&a, "text");      NULL only when memory is out
 *     arena_release(&a);
 */
#ifndef PRERANK_BASE_MEM_H
#define PRERANK_BASE_MEM_H
#include <stddef.h>

void *mem_alloc(size_t bytes);               /* uninitialised, 64-byte aligned; NULL when out of memory */
void *mem_calloc(size_t count, size_t size); /* zeroed, 64-byte aligned; NULL on overflow or out of memory */
void *mem_realloc(void *p, size_t old_bytes,
                  size_t bytes); /* keeps min(old, new) bytes; p stays valid on NULL */
char *mem_strdup(const char *s);
void mem_free(void *p); /* NULL is fine */

/* Test hook: the n-th allocation from now (1 = the next) and all later ones fail; 0 switches it off.
 * mem_count() is the number of allocations asked for so far in this process. */
void mem_fail_after(unsigned long long n);
unsigned long long mem_count(void);

struct arena_block;
struct arena {
    struct arena_block *head;
};
#define ARENA_INIT                                                                                           \
    { NULL }
void *arena_alloc(struct arena *a, size_t bytes); /* zeroed, 64-byte aligned; NULL when out of memory */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
void arena_release(struct arena *a); /* frees everything; the arena is empty and usable again */

#endif
