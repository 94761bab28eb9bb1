#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fixture fixture_open(const char *name) {
    char path[256], header[256];
    snprintf(path, sizeof path, "tests/fixtures/metrics/%s", name);
    struct fixture f = {.file = fopen(path, "r")};
    cr_assert(f.file, "%s: cannot open; run the tests from the repository root", path);
    cr_assert(fgets(header, sizeof header, f.file), "%s: empty", path);
    return f;
}

int fixture_next(struct fixture *f) {
    char line[2048];
    f->n = 0;
    if (!fgets(line, sizeof line, f->file)) {
        fclose(f->file);
        return 0;
    }
    for (char *at = line, *end; f->n < sizeof f->v / sizeof *f->v; at = end + 1) {
        f->v[f->n++] = strtod(at, &end);
        if (*end != ',') break;
    }
    return 1;
}

void split_read(struct split *s) {
    s->n = 0;
    struct fixture f = fixture_open("rows.csv");
    while (fixture_next(&f)) {
        size_t i = s->n++;
        s->user[i] = (uint32_t)f.v[0];
        s->label[i] = (uint8_t)f.v[1];
        s->score[i] = (float)f.v[2];
        s->tied[i] = (float)f.v[3];
        s->p[i] = (float)f.v[4];
        s->p_tied[i] = (float)f.v[5];
    }
    cr_assert_eq(s->n, FIXTURE_ROWS);
}

#define SWAP(type, array, i, j)                                                                              \
    do {                                                                                                     \
        type kept_ = (array)[i];                                                                             \
        (array)[i] = (array)[j];                                                                             \
        (array)[j] = kept_;                                                                                  \
    } while (0)

void split_shuffle(struct split *s, uint64_t seed) {
    for (size_t i = s->n; i > 1; i--) {
        size_t j = (size_t)(random_unit(&seed) * (double)i);
        SWAP(uint32_t, s->user, i - 1, j);
        SWAP(uint8_t, s->label, i - 1, j);
        SWAP(float, s->score, i - 1, j);
        SWAP(float, s->tied, i - 1, j);
        SWAP(float, s->p, i - 1, j);
        SWAP(float, s->p_tied, i - 1, j);
    }
}

double random_unit(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); /* Knuth's MMIX */
    return (double)(*state >> 11) * 0x1p-53;
}

double random_normal(uint64_t *state) {
    double radius = sqrt(-2 * log(1 - random_unit(state)));
    return radius * cos(2 * acos(-1) * random_unit(state));
}

int near(double a, double b, double relative) {
    return isnan(a) || isnan(b) ? isnan(a) && isnan(b) : a == b || fabs(a - b) <= relative * fabs(b);
}

/* The module allocates only here, so a test can make memory run out. */
static int fail_in;
void fail_allocation(int nth) { fail_in = nth; }

void *reallocarray(void *old, size_t n, size_t size) {
    if (fail_in && --fail_in == 0) return NULL;
    if (size && n > SIZE_MAX / size) return NULL;
    return realloc(old, n * size);
}
