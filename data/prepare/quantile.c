#include "data/prepare/quantile.h"
#include <math.h>
#include <string.h>

/* Bits a pass: fewer where there are many histograms, so that they take 32 MiB at most. */
enum { WIDE = 11, NARROW = 6, MANY = 1024 };

/* Doubles in order as unsigned numbers (-0 and 0 are made one before). */
static uint64_t key_of(double x) {
    uint64_t bits;
    x += 0.0;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static double of_key(uint64_t key) {
    uint64_t bits = key >> 63 ? key & ~((uint64_t)1 << 63) : ~key;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The ranks asked for, each with the leading bits of its value that are known so far and its rank among the values that share
 * them. Ranks with the same bits share one histogram. */
struct selection {
    uint32_t n, groups;
    uint64_t *prefix, *rank; /* [n], prefix rising */
    uint64_t *group;         /* [groups] the distinct prefixes */
    unsigned bits;           /* a pass */
    uint64_t *count;         /* [groups][1 << bits] */
};

static void find_groups(struct selection *s) {
    s->groups = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (!i || s->prefix[i] != s->prefix[i - 1]) s->group[s->groups++] = s->prefix[i];
}

static uint32_t group_of(const struct selection *s, uint64_t prefix) {
    uint32_t low = 0, high = s->groups;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (s->group[middle] <= prefix)
            low = middle;
        else
            high = middle;
    }
    return s->group[low] == prefix ? low : UINT32_MAX;
}

/* One pass: the bits [shift, shift + width) of the values that share a known prefix. */
static void refine(struct selection *s, const double *v, uint64_t n, unsigned shift, unsigned width) {
    uint64_t mask = ((uint64_t)1 << width) - 1;
    find_groups(s);
    memset(s->count, 0, ((size_t)s->groups << s->bits) * sizeof *s->count);
    for (uint64_t i = 0; i < n; i++) {
        if (isnan(v[i])) continue;
        uint64_t key = key_of(v[i]);
        uint32_t g = shift + width == 64 ? 0 : group_of(s, key >> (shift + width));
        if (g != UINT32_MAX) s->count[((size_t)g << s->bits) + (key >> shift & mask)]++;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const uint64_t *count = s->count + ((size_t)group_of(s, s->prefix[i]) << s->bits);
        uint64_t digit = 0;
        while (s->rank[i] >= count[digit]) s->rank[i] -= count[digit++];
        s->prefix[i] = s->prefix[i] << width | digit;
    }
}

static void select_all(struct selection *s, const double *v, uint64_t n) {
    unsigned shift = 64;
    while (shift) {
        unsigned width = shift > s->bits ? s->bits : shift;
        shift -= width;
        refine(s, v, n, shift, width);
    }
}

struct range {
    uint64_t n;         /* values that are no NaN */
    double least, next; /* next: the least value above `least`, infinity when there is none */
};

static struct range range_of(const double *v, uint64_t n) {
    struct range r = {0, INFINITY, INFINITY};
    for (uint64_t i = 0; i < n; i++) {
        if (isnan(v[i])) continue;
        r.n++;
        if (v[i] < r.least) {
            r.next = r.least;
            r.least = v[i];
        } else if (v[i] > r.least && v[i] < r.next) {
            r.next = v[i];
        }
    }
    return r;
}

static int room(struct selection *s, struct arena *a, struct err *e) {
    s->bits = s->n < MANY ? WIDE : NARROW;
    size_t n = s->n, histograms = n << s->bits;
    s->prefix = arena_alloc(a, n * sizeof *s->prefix);
    s->rank = arena_alloc(a, n * sizeof *s->rank);
    s->group = arena_alloc(a, n * sizeof *s->group);
    s->count = arena_alloc(a, histograms * sizeof *s->count);
    return s->prefix && s->rank && s->group && s->count ? 0 : err_nomem(e, histograms * sizeof *s->count);
}

static int find(struct selection *s, const double *v, uint64_t n, struct range r, struct arena *scratch,
                struct arena *a, struct edges *out, struct err *e) {
    TRY(room(s, scratch, e));
    for (uint32_t j = 0; j < s->n; j++) s->rank[j] = r.n * (j + 1) / (s->n + 1);
    select_all(s, v, n);
    double *edge = arena_alloc(a, s->n * sizeof *edge);
    if (!edge) return err_nomem(e, s->n * sizeof *edge);
    uint32_t edges = 0;
    for (uint32_t j = 0; j < s->n; j++) {
        double x = of_key(s->prefix[j]);
        if (x <= r.least) x = r.next;
        if (isfinite(x) && (!edges || x > edge[edges - 1])) edge[edges++] = x;
    }
    *out = (struct edges){edges, edge};
    return 0;
}

int quantile_edges(const double *v, uint64_t n, uint32_t buckets, struct arena *a, struct edges *out,
                   struct err *e) {
    *out = (struct edges){0, NULL};
    struct range r = range_of(v, n);
    if (!r.n || buckets < 2) return 0;
    struct selection s = {.n = buckets - 1};
    struct arena scratch = ARENA_INIT;
    int rc = find(&s, v, n, r, &scratch, a, out, e);
    arena_release(&scratch);
    return rc;
}
