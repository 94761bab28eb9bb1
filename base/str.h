/* str.h: a growing string, and the words for error messages.
 *
 *     struct str s = STR_INIT;
 *     str_addf(&s, "%d rows", n);
 *     if (s.failed) return err_nomem(e, s.len);
 *     str_release(&s);
 */
#ifndef PRERANK_BASE_STR_H
#define PRERANK_BASE_STR_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct str {
    char *p; /* NUL-terminated; never NULL after the first add that succeeds */
    size_t len, cap;
    int failed; /* out of memory at some add; later adds do nothing */
};
#define STR_INIT                                                                                             \
    { NULL, 0, 0, 0 }
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *text, size_t n);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_clear(struct str *s);
void str_release(struct str *s);

/* The candidate nearest to `word` (Damerau-Levenshtein distance at most a third of its length, at least 1), or NULL. */
const char *str_nearest(const char *word, const char *const *candidates, size_t n);
/* Appends `, did you mean "x"?` when there is a nearest one, else `; known: a, b, c`. */
void str_add_suggestion(struct str *s, const char *word, const char *const *candidates, size_t n);

/* Whole-string numbers ("12abc", "", " 1" are errors): 0, or -1. Integers take a k/M/G suffix (1000s): "20M". */
int str_to_int(const char *s, int64_t *out);
int str_to_double(const char *s, double *out);            /* "nan" and "inf" are refused */
int str_utf8_valid(const char *s, size_t n, size_t *bad); /* 1 or 0; *bad = offset of the first wrong byte */
/* 12345678 -> "12,345,678"; a duration in s -> "1 h 02 min", "3 min 05 s", "4.2 s", "37 ms". */
void str_count(char out[32], uint64_t n);
void str_duration(char out[32], double seconds);

/* One CSV line, RFC 4180 quoting, '\n' at the end. Numbers are "%.9g" (floats survive); NaN is an empty cell. */
struct csv_line {
    FILE *f;
    int started;
};
void csv_text(struct csv_line *l, const char *s);
void csv_int(struct csv_line *l, int64_t v);
void csv_num(struct csv_line *l, double v);
void csv_end(struct csv_line *l);

#endif
