/* fixture.h: numbers that tests/fixtures/make_metrics.py wrote, and random ones. Tests run from the
 * repository root.
 *
 *     struct fixture f = fixture_open("auc.csv");
 *     while (fixture_next(&f)) ... f.v[0] ... f.v[f.n - 1]    // one line; the last call closes the file
 */
#ifndef PRERANK_TESTS_METRICS_FIXTURE_H
#define PRERANK_TESTS_METRICS_FIXTURE_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct fixture {
    FILE *file;
    double v[64];
    size_t n;
};
struct fixture fixture_open(const char *name);
int fixture_next(struct fixture *f);

/* rows.csv: a test split. */
enum { FIXTURE_ROWS = 600 };
struct split {
    size_t n;
    uint32_t user[FIXTURE_ROWS];
    uint8_t label[FIXTURE_ROWS];
    float score[FIXTURE_ROWS], tied[FIXTURE_ROWS], p[FIXTURE_ROWS], p_tied[FIXTURE_ROWS];
};
void split_read(struct split *s);
void split_shuffle(struct split *s, uint64_t seed); /* whole rows */

double random_unit(uint64_t *state);   /* uniform in [0,1) */
double random_normal(uint64_t *state); /* standard normal */

/* |a - b| within `relative` of b; two NaNs are near. */
int near(double a, double b, double relative);

/* The n-th allocation of the module from now on fails; 0: none does. */
void fail_allocation(int nth);

#endif
