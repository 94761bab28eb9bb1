#include "data/prepare/cell.h"
#include "base/str.h"
#include <math.h>
#include <string.h>
#include <strings.h>

int cell_missing(struct cell c) {
    if (c.n > 3) return 0;
    return !c.n || (c.n == 2 && !strcasecmp(c.p, "na")) || (c.n == 3 && !strcasecmp(c.p, "nan"));
}

/* A decimal of at most 15 digits without exponent: digits / 10^k is exact before the one rounding of the division (Clinger
 * 1990), so this equals strtod(). 1, or 0: ask strtod(). */
static int short_decimal(struct cell c, double *out) {
    static const double power[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *p = c.p, *end = c.p + c.n;
    int minus = p < end && *p == '-';
    p += minus;
    if (end - p > 16 || p == end) return 0;
    uint64_t digits = 0;
    int n = 0, after = -1; /* digits behind the point, -1: no point yet */
    for (; p < end; p++) {
        if (*p == '.' && after < 0) {
            after = 0;
        } else if (*p >= '0' && *p <= '9') {
            digits = digits * 10 + (uint64_t)(*p - '0');
            n++;
            after += after >= 0;
        } else {
            return 0;
        }
    }
    if (!n || n > 15) return 0;
    double v = after > 0 ? (double)digits / power[after] : (double)digits;
    *out = minus ? -v : v;
    return 1;
}

enum cell_is cell_number(struct cell c, double *out) {
    if (short_decimal(c, out)) return CELL_GOOD;
    *out = NAN;
    if (cell_missing(c)) return CELL_MISSING;
    double v;
    if (str_to_double(c.p, &v) || !isfinite(v)) return CELL_BAD;
    *out = v;
    return CELL_GOOD;
}

enum cell_is cell_time(struct cell c, int64_t *out) {
    *out = 0;
    if (cell_missing(c)) return CELL_MISSING;
    const char *p = c.p, *end = c.p + c.n;
    int minus = *p == '-';
    p += minus;
    if (p == end) return CELL_BAD;
    int64_t v = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return CELL_BAD;
        if (__builtin_mul_overflow(v, (int64_t)10, &v) || __builtin_sub_overflow(v, (int64_t)(*p - '0'), &v))
            return CELL_BAD;
    }
    if (!minus && v == INT64_MIN) return CELL_BAD;
    *out = minus ? v : -v;
    return CELL_GOOD;
}

int cell_piece(struct cell c, const char *sep, size_t *at, struct cell *piece) {
    size_t width = strlen(sep);
    while (*at <= c.n) {
        const char *from = c.p + *at, *to = width ? strstr(from, sep) : NULL;
        *piece = (struct cell){from, to ? (size_t)(to - from) : c.n - *at};
        *at += piece->n + (to ? width : 1);
        if (piece->n) return 1;
    }
    return 0;
}
