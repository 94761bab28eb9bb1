/* order.h: a stable radix sort over mapped files, least significant digit first; nothing per row is in anonymous memory. */
#include "base/progress.h"
#include "data/prepare/order.h"
#include "data/prepare/scratch.h"
#include <string.h>

enum { DIGIT = 11, DIGITS = 1 << DIGIT };

struct pairs { /* (time - least time, row) */
    struct file_map key_map, row_map;
    uint64_t *key;
    uint32_t *row;
};

static int pairs_create(struct pairs *p, const char *work, uint64_t n, struct err *e) {
    TRY(scratch_map(work, n * sizeof *p->key, &p->key_map, e));
    TRY(scratch_map(work, n * sizeof *p->row, &p->row_map, e));
    p->key = p->key_map.p;
    p->row = p->row_map.p;
    return 0;
}

static void pairs_release(struct pairs *p) {
    file_unmap(&p->key_map);
    file_unmap(&p->row_map);
}

static void scatter(const struct pairs *from, struct pairs *to, uint64_t n, unsigned shift) {
    uint64_t at[DIGITS] = {0}, sum = 0;
    for (uint64_t i = 0; i < n; i++) at[from->key[i] >> shift & (DIGITS - 1)]++;
    for (size_t d = 0; d < DIGITS; d++) {
        uint64_t count = at[d];
        at[d] = sum;
        sum += count;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t to_at = at[from->key[i] >> shift & (DIGITS - 1)]++;
        to->key[to_at] = from->key[i];
        to->row[to_at] = from->row[i];
    }
}

static int sort(const int64_t *time, uint64_t n, uint64_t least, uint64_t range, struct pairs p[2],
                struct file_map *row, struct err *e) {
    for (uint64_t i = 0; i < n; i++) {
        p[0].key[i] = (uint64_t)time[i] - least;
        p[0].row[i] = (uint32_t)i;
    }
    int now = 0;
    for (unsigned shift = 0; shift < 64 && range >> shift; shift += DIGIT, now ^= 1) {
        scatter(&p[now], &p[now ^ 1], n, shift);
        if (interrupt_seen()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    }
    *row = p[now].row_map;
    p[now].row_map = (struct file_map){NULL, 0};
    return 0;
}

int order_by_time(const int64_t *time, uint64_t n, const char *work, struct file_map *row, struct err *e) {
    *row = (struct file_map){NULL, 0};
    int sorted = 1;
    int64_t least = time[0], most = time[0];
    for (uint64_t i = 1; i < n; i++) {
        sorted &= time[i - 1] <= time[i];
        least = time[i] < least ? time[i] : least;
        most = time[i] > most ? time[i] : most;
    }
    if (sorted) return 0;
    struct pairs p[2];
    memset(p, 0, sizeof p);
    int rc = pairs_create(&p[0], work, n, e);
    if (!rc) rc = pairs_create(&p[1], work, n, e);
    if (!rc) rc = sort(time, n, (uint64_t)least, (uint64_t)most - (uint64_t)least, p, row, e);
    pairs_release(&p[0]);
    pairs_release(&p[1]);
    return rc;
}
