#include "base/mem.h"
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int aligned(const void *p) { return (uintptr_t)p % 64 == 0; }

Test(mem, every_allocation_is_64_byte_aligned) {
    for (size_t n = 0; n < 300; n += 7) {
        void *p = mem_alloc(n), *q = mem_calloc(n, 3), *r = mem_realloc(NULL, 0, n);
        cr_assert(p && q && r && aligned(p) && aligned(q) && aligned(r));
        memset(p, 1, n);
        mem_free(p), mem_free(q), mem_free(r);
    }
}

/* The flags of the mapping that p lies in, from /proc/self/smaps; false when the kernel does not tell. */
static bool mapping_flags(const void *p, char flags[256]) {
    char line[512];
    FILE *f = fopen("/proc/self/smaps", "r");
    bool inside = false, found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        unsigned long lo, hi;
        if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2) inside = lo <= (uintptr_t)p && (uintptr_t)p < hi;
        found = inside && sscanf(line, "VmFlags: %255[^\n]", flags) == 1;
    }
    if (f) fclose(f);
    return found;
}

Test(mem, large_blocks_lie_on_huge_pages_where_there_are_some) {
    size_t n = (4 << 20) + 5;
    char *p = mem_calloc(n, 1), *small = mem_alloc(n / 2), flags[256];
    cr_assert(p && small);
    cr_expect_eq((uintptr_t)p % (2 << 20), 0, "huge pages begin at multiples of 2 MiB");
    cr_expect_eq(p[n - 1], 0);
    if (mapping_flags(p, flags) && !access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK))
        cr_expect(strstr(flags, " hg"), "VmFlags: %s", flags);
    p = mem_realloc(p, n, 2 * n);
    cr_expect_eq(p[n - 1], 0);
    mem_free(p), mem_free(small);
}

Test(mem, calloc_is_zero_and_refuses_overflow) {
    unsigned char *p = mem_calloc(1000, 3);
    for (int i = 0; i < 3000; i++) cr_assert_eq(p[i], 0);
    mem_free(p);
    volatile size_t half = SIZE_MAX / 2; /* volatile: the compiler would warn */
    cr_assert_null(mem_calloc(half, 3));
    cr_assert_null(mem_alloc(SIZE_MAX));
    cr_assert_null(mem_alloc(SIZE_MAX - 63));
}

Test(mem, realloc_keeps_the_smaller_of_both_sizes) {
    char *p = mem_alloc(4);
    memcpy(p, "abc", 4);
    p = mem_realloc(p, 4, 100000);
    cr_assert_str_eq(p, "abc");
    p = mem_realloc(p, 100000, 2);
    cr_assert_eq(memcmp(p, "ab", 2), 0);
    mem_free(p);
}

Test(mem, failed_realloc_leaves_the_old_block) {
    char *p = mem_strdup("abc");
    mem_fail_after(1);
    cr_assert_null(mem_realloc(p, 4, 8));
    mem_fail_after(0);
    cr_assert_str_eq(p, "abc");
    mem_free(p);
    mem_free(NULL);
}

Test(mem, the_nth_allocation_and_all_later_ones_fail) {
    mem_fail_after(3);
    void *a = mem_alloc(1), *b = mem_calloc(1, 1);
    cr_assert(a && b);
    cr_assert_null(mem_alloc(1));
    cr_assert_null(mem_strdup("x"));
    mem_fail_after(0);
    void *c = mem_alloc(1);
    cr_assert_not_null(c);
    mem_free(a), mem_free(b), mem_free(c);
}

Test(mem, counts_what_was_asked_for) {
    unsigned long long before = mem_count();
    mem_free(mem_alloc(1));
    mem_free(mem_realloc(NULL, 0, 1));
    cr_assert_eq(mem_count() - before, 2);
}

Test(arena, pieces_are_zeroed_aligned_and_do_not_overlap) {
    struct arena a = ARENA_INIT;
    unsigned char *p[400];
    for (size_t i = 0; i < 400; i++) {
        size_t n = i * i % 5000;
        p[i] = arena_alloc(&a, n);
        cr_assert(p[i] && aligned(p[i]));
        for (size_t k = 0; k < n; k++) cr_assert_eq(p[i][k], 0);
        memset(p[i], (int)(i % 251) + 1, n);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < i * i % 5000; k++) cr_assert_eq(p[i][k], i % 251 + 1);
    arena_release(&a);
    cr_assert_null(a.head);
}

Test(arena, strings_pack_between_aligned_pieces) {
    struct arena a = ARENA_INIT;
    char *s = arena_strdup(&a, "one"), *t = arena_strndup(&a, "twoXXX", 3), *u = arena_strndup(&a, "abc", 10);
    void *p = arena_alloc(&a, 1);
    cr_assert_str_eq(s, "one");
    cr_assert_str_eq(t, "two");
    cr_assert_str_eq(u, "abc");
    cr_assert(aligned(p));
    arena_release(&a);
}

Test(arena, serves_large_pieces_and_keeps_filling_the_small_block) {
    struct arena a = ARENA_INIT;
    char *small = arena_strdup(&a, "x");
    unsigned long long before = mem_count();
    char *large = arena_alloc(&a, 8 << 20);
    char *again = arena_strdup(&a, "y");
    cr_assert(small && large && again);
    large[(8 << 20) - 1] = 1;
    cr_assert_eq(mem_count() - before, 1);
    cr_assert_null(arena_alloc(&a, SIZE_MAX));
    arena_release(&a);
}

Test(arena, is_usable_again_after_release_and_after_a_failure) {
    struct arena a = ARENA_INIT;
    mem_fail_after(1);
    cr_assert_null(arena_alloc(&a, 1));
    mem_fail_after(0);
    cr_assert_not_null(arena_alloc(&a, 1));
    arena_release(&a);
    arena_release(&a);
    cr_assert_str_eq(arena_strdup(&a, "x"), "x");
    arena_release(&a);
}
