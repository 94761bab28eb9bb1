#include "metrics/rows.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 40 }; /* below, an insertion sort beats filling the radix counters */

struct row *rows_alloc(size_t n) {
    return n > SIZE_MAX / 2 ? NULL : reallocarray(NULL, 2 * n, sizeof(struct row));
}

uint32_t rows_key(float score) {
    const uint32_t sign = UINT32_C(1) << 31;
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    if (bits == sign) return sign; /* -0.0 is 0.0 */
    return bits & sign ? ~bits : bits | sign;
}

int rows_fill(struct row *rows, const float *score, const uint32_t *group, const uint8_t *label, size_t n,
              int descending) {
    for (size_t i = 0; i < n; i++) {
        if (isnan(score[i])) return -2;
        uint32_t key = rows_key(score[i]);
        if (descending) key = ~key;
        rows[i] = (struct row){(uint64_t)(group ? group[i] : 0) << 32 | key, label[i] != 0};
    }
    return 0;
}

static void insertion_sort(struct row *rows, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct row r = rows[i];
        size_t j = i;
        for (; j > 0 && rows[j - 1].key > r.key; j--) rows[j] = rows[j - 1];
        rows[j] = r;
    }
}

static void scatter_by_byte(const struct row *from, struct row *to, size_t n, int shift) {
    size_t place[256] = {0};
    for (size_t i = 0; i < n; i++) place[from[i].key >> shift & 255]++;
    size_t sum = 0;
    for (int d = 0; d < 256; d++) {
        size_t count = place[d];
        place[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++) to[place[from[i].key >> shift & 255]++] = from[i];
}

struct row *rows_sort(struct row *rows, size_t n) {
    if (n < SMALL) {
        insertion_sort(rows, n);
        return rows;
    }
    uint64_t differ = 0;
    for (size_t i = 1; i < n; i++) differ |= rows[i].key ^ rows[0].key;
    struct row *from = rows, *to = rows + n;
    for (int shift = 0; shift < 64; shift += 8) {
        if (!(differ >> shift & 255)) continue;
        scatter_by_byte(from, to, n, shift);
        struct row *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

size_t rows_group_end(const struct row *rows, size_t from, size_t n) {
    size_t end = from + 1;
    while (end < n && rows[end].key >> 32 == rows[from].key >> 32) end++;
    return end;
}

size_t rows_tie_end(const struct row *rows, size_t from, size_t n) {
    size_t end = from + 1;
    while (end < n && rows[end].key == rows[from].key) end++;
    return end;
}
