/* rows.h: private to metrics/. Rows sorted by a 64-bit key: every metric here is one sort and one walk.
 *
 *     struct row *rows = rows_alloc(n);           // room for n rows and as much scratch; free() ends it
 *     for (...) rows[i] = (struct row){.key = rows_key(score[i]), .value = label[i]};
 *     const struct row *sorted = rows_sort(rows, n); // either half of the same allocation
 *     free(rows);
 */
#ifndef PRERANK_METRICS_ROWS_H
#define PRERANK_METRICS_ROWS_H
#include <stddef.h>
#include <stdint.h>

struct row {
    uint64_t key;
    uint64_t value; /* what travels with the row: its label or its index */
};

/* n > 0. NULL when memory is out. */
struct row *rows_alloc(size_t n);

/* Orders as the float does, for all but NaN; -0 and 0 have one key. ~rows_key() is the descending order. */
uint32_t rows_key(float score);

/* Rows keyed by (group, score), ascending or (descending != 0) best score first. group may be NULL: one
 * group, 0. Returns -2 at the first NaN. */
int rows_fill(struct row *rows, const float *score, const uint32_t *group, const uint8_t *label, size_t n,
              int descending);

/* Stable LSD radix sort in O(n) a byte of the key that is not the same in all rows. Returns the sorted rows:
 * `rows` or `rows + n`. */
struct row *rows_sort(struct row *rows, size_t n);

/* The end of the group (equal upper key half) or tie (equal key) that starts at `from`. */
size_t rows_group_end(const struct row *rows, size_t from, size_t n);
size_t rows_tie_end(const struct row *rows, size_t from, size_t n);

/* AUC of rows sorted by ascending score, value = label; sets the number of positives. */
double rows_auc(const struct row *rows, size_t n, size_t *positives);

#endif
