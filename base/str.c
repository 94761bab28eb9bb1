#include "base/str.h"
#include "base/mem.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Room for `more` bytes and the NUL: 1, or 0 with `failed` set. */
static int reserve(struct str *s, size_t more) {
    if (s->failed) return 0;
    size_t need;
    if (__builtin_add_overflow(s->len, more, &need) || need > SIZE_MAX / 4) {
        s->failed = 1;
        return 0;
    }
    if (s->p && need < s->cap) return 1;
    size_t cap = s->cap ? s->cap : 64;
    while (cap <= need) cap *= 2;
    char *p = mem_realloc(s->p, s->p ? s->len + 1 : 0, cap);
    if (!p) {
        s->failed = 1;
        return 0;
    }
    s->p = p;
    s->cap = cap;
    return 1;
}

void str_addn(struct str *s, const char *text, size_t n) {
    if (!reserve(s, n)) return;
    if (n) memcpy(s->p + s->len, text, n);
    s->len += n;
    s->p[s->len] = '\0';
}

void str_add(struct str *s, const char *text) { str_addn(s, text, strlen(text)); }

void str_addf(struct str *s, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        s->failed = 1;
    } else if (reserve(s, (size_t)n)) {
        vsnprintf(s->p + s->len, s->cap - s->len, fmt, again);
        s->len += (size_t)n;
    }
    va_end(again);
}

void str_clear(struct str *s) {
    s->len = 0;
    s->failed = 0;
    if (s->p) s->p[0] = '\0';
}

void str_release(struct str *s) {
    mem_free(s->p);
    *s = (struct str)STR_INIT;
}

enum { WORD_MAX = 64 };

static int fold(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c; }

static int min_int(int a, int b) { return a < b ? a : b; }

/* Damerau-Levenshtein distance (optimal string alignment), ignoring the case of ASCII letters; both at most
 * WORD_MAX. */
static int distance(const char *a, int na, const char *b, int nb) {
    int rows[3][WORD_MAX + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2];
    for (int j = 0; j <= nb; j++) last[j] = j;
    memset(before, 0, sizeof rows[0]);
    for (int i = 1; i <= na; i++) {
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int differ = fold(a[i - 1]) != fold(b[j - 1]);
            int d = min_int(min_int(last[j] + 1, row[j - 1] + 1), last[j - 1] + differ);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                d = min_int(d, before[j - 2] + 1);
            row[j] = d;
        }
        int *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[nb];
}

const char *str_nearest(const char *word, const char *const *candidates, size_t n) {
    size_t length = strlen(word);
    if (length > WORD_MAX) return NULL;
    int best = length / 3 > 1 ? (int)(length / 3) : 1;
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(candidates[i]);
        if (other > WORD_MAX) continue;
        int d = distance(word, (int)length, candidates[i], (int)other);
        if (d < best || (d == best && !found)) {
            best = d;
            found = candidates[i];
        }
    }
    return found;
}

void str_add_suggestion(struct str *s, const char *word, const char *const *candidates, size_t n) {
    const char *nearest = str_nearest(word, candidates, n);
    if (nearest) {
        str_addf(s, ", did you mean \"%s\"?", nearest);
        return;
    }
    for (size_t i = 0; i < n; i++) str_addf(s, "%s%s", i ? ", " : "; known: ", candidates[i]);
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int suffix_zeros(char c) {
    switch (c) {
    case 'k':
    case 'K':
        return 3;
    case 'M':
        return 6;
    case 'G':
        return 9;
    default:
        return 0;
    }
}

/* Decimal and exact: the value is `digits` x 10^`zeros`, and a double is never on the way. */
int str_to_int(const char *s, int64_t *out) {
    int negative = *s == '-';
    if (*s == '-' || *s == '+') s++;
    uint64_t v = 0;
    int zeros = 0, any = 0, point = 0;
    int held = 0; /* zeros seen that count only when another digit follows */
    for (;; s++) {
        if (*s == '.' && !point) {
            point = 1;
            continue;
        }
        if (!is_digit(*s)) break;
        any = 1;
        if (point) zeros--;
        if (*s == '0') {
            if (v && ++held > 40) return -1;
            if (!v && zeros < -40) return -1;
            continue;
        }
        for (; held >= 0; held--)
            if (__builtin_mul_overflow(v, (uint64_t)10, &v)) return -1;
        held = 0;
        if (__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v)) return -1;
    }
    if (!any) return -1;
    zeros += held;
    if (*s == 'e' || *s == 'E') {
        s++;
        int minus = *s == '-', exponent = 0;
        if (*s == '-' || *s == '+') s++;
        if (!is_digit(*s)) return -1;
        for (; is_digit(*s); s++)
            if (exponent < 1000) exponent = exponent * 10 + (*s - '0');
        zeros += minus ? -exponent : exponent;
    }
    if (suffix_zeros(*s)) zeros += suffix_zeros(*s++);
    if (*s) return -1;
    if (v) {
        if (zeros < 0) return -1; /* not whole */
        for (; zeros > 0; zeros--)
            if (__builtin_mul_overflow(v, (uint64_t)10, &v)) return -1;
    }
    if (v > (uint64_t)INT64_MAX + (uint64_t)negative) return -1;
    *out = !negative ? (int64_t)v : v ? -(int64_t)(v - 1) - 1 : 0;
    return 0;
}

int str_to_double(const char *s, double *out) {
    if (!*s || s[strspn(s, "+-.0123456789eE")]) return -1; /* no spaces, hexadecimal, nan, inf */
    char *end;
    double v = strtod(s, &end);
    if (end == s || *end || !isfinite(v)) return -1;
    *out = v;
    return 0;
}

int str_utf8_valid(const char *s, size_t n, size_t *bad) {
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0;
    while (i < n) {
        unsigned c = p[i];
        if (c < 0x80) {
            i++;
            continue;
        }
        size_t more = c >= 0xC2 && c <= 0xDF   ? 1
                      : c >= 0xE0 && c <= 0xEF ? 2
                      : c >= 0xF0 && c <= 0xF4 ? 3
                                               : 0;
        /* the second byte's range excludes overlong forms, surrogates and what is above U+10FFFF */
        unsigned lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        unsigned hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        int good = more > 0 && n - i > more && p[i + 1] >= lo && p[i + 1] <= hi;
        for (size_t k = 2; good && k <= more; k++) good = (p[i + k] & 0xC0) == 0x80;
        if (!good) {
            if (bad) *bad = i;
            return 0;
        }
        i += more + 1;
    }
    return 1;
}

void str_count(char out[32], uint64_t n) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void str_duration(char out[32], double seconds) {
    if (!(seconds >= 0) || seconds > 1e12) {
        snprintf(out, 32, "?");
    } else if (seconds < 0.9995) {
        double ms = seconds * 1e3;
        snprintf(out, 32, ms > 0 && ms < 0.9995 ? "%.0f us" : "%.0f ms",
                 ms > 0 && ms < 0.9995 ? ms * 1e3 : ms);
    } else if (seconds < 59.95) {
        snprintf(out, 32, "%.1f s", seconds);
    } else if (seconds < 3599.5) {
        int64_t s = (int64_t)(seconds + 0.5);
        snprintf(out, 32, "%" PRId64 " min %02" PRId64 " s", s / 60, s % 60);
    } else {
        int64_t m = (int64_t)(seconds / 60 + 0.5);
        snprintf(out, 32, "%" PRId64 " h %02" PRId64 " min", m / 60, m % 60);
    }
}

static void cell(struct csv_line *l) {
    if (l->started) putc(',', l->f);
    l->started = 1;
}

void csv_text(struct csv_line *l, const char *s) {
    cell(l);
    if (!s) return;
    if (!s[strcspn(s, ",\"\r\n")]) {
        fputs(s, l->f);
        return;
    }
    putc('"', l->f);
    for (; *s; s++) {
        if (*s == '"') putc('"', l->f);
        putc(*s, l->f);
    }
    putc('"', l->f);
}

void csv_int(struct csv_line *l, int64_t v) {
    cell(l);
    fprintf(l->f, "%" PRId64, v);
}

void csv_num(struct csv_line *l, double v) {
    cell(l);
    if (!isnan(v)) fprintf(l->f, "%.9g", v);
}

void csv_end(struct csv_line *l) {
    putc('\n', l->f);
    l->started = 0;
}
