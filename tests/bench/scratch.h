/* scratch.h: what the tests of bench/ share: a folder of their own, prerank as a program, and small
 * experiments.
 *
 *     struct scratch s;  scratch_make(&s);
 *     scratch_write(&s, "x.yaml", text);
 *     struct ran r = prerank(&s, "check %s/x.yaml", s.dir);     r.status, r.out, r.err; freed with the
 * scratch scratch_remove(&s);
 */
#ifndef PRERANK_TESTS_BENCH_SCRATCH_H
#define PRERANK_TESTS_BENCH_SCRATCH_H
#include "base/mem.h"
#include <stddef.h>

struct scratch {
    char dir[64];
    struct arena arena;
};
void scratch_make(struct scratch *s);
void scratch_remove(struct scratch *s);
void scratch_write(struct scratch *s, const char *name, const char *text);
char *scratch_read(struct scratch *s, const char *name); /* fails the test when there is no such file */
int scratch_has(const struct scratch *s, const char *name);

struct ran {
    int status; /* exit code, or 128 + signal */
    char *out, *err;
};
/* The program that lies beside the tests (build/prerank for build/tests/bench). */
const char *prerank_path(void);
struct ran prerank(struct scratch *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* `table` without the columns named in `drop` ("a,b"), for comparing what must not differ. */
char *without_columns(struct scratch *s, const char *table, const char *drop);
/* Cell of the first row whose `key_column`s hold `key` ("variant=a,split=test"); fails the test when there is
 * none. */
const char *cell(struct scratch *s, const char *table, const char *key, const char *column);
size_t count_lines(const char *text);
size_t count_parts(const char *text, const char *part); /* how often it is in there */

/* An experiment on `rows` synthetic rows, inline; `rest` is appended: variants, train, ... */
char *small_experiment(struct scratch *s, int rows, const char *rest);

/* Of a text that should hold another. */
#define HAS(text, part) cr_expect(strstr(text, part), "no \"%s\" in:\n%s", part, text)
/* Numbers of [0, 1) that look random; *state is any number to begin with. */
double scratch_uniform(unsigned *state);

#endif
