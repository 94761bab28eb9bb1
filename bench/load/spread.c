#include "bench/load/spread.h"
#include "base/str.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

struct spread spread_fixed(size_t n) {
    return (struct spread){SPREAD_FIXED, (double)n, 0};
}

/* The k-th part between colons as a number. */
static bool part(const char *text, int k, double *out) {
    char word[32];
    while (k-- > 0) {
        text = strchr(text, ':');
        if (!text++) return false;
    }
    size_t n = strcspn(text, ":");
    if (n >= sizeof word) return false;
    memcpy(word, text, n);
    word[n] = '\0';
    return !str_to_double(word, out);
}

static bool whole(double v) { return v >= 1 && v <= SPREAD_MAX && floor(v) >= v; }

static int parts(const char *text) {
    int n = 1;
    for (; *text; text++) n += *text == ':';
    return n;
}

int spread_read(const char *text, struct spread *out, struct err *e) {
    double a = 0, b = 0;
    int n = parts(text);
    if (n == 1 && part(text, 0, &a) && whole(a)) {
        *out = spread_fixed((size_t)a);
        return 0;
    }
    bool two = n == 3 && part(text, 1, &a) && part(text, 2, &b) && whole(a);
    if (two && !strncmp(text, "uniform:", 8) && whole(b) && b >= a) {
        *out = (struct spread){SPREAD_UNIFORM, a, b};
        return 0;
    }
    *out = (struct spread){SPREAD_LOGNORMAL, a, b};
    if (two && !strncmp(text, "lognormal:", 10) && b > 0 && b <= 2 && a * exp(4 * b) <= SPREAD_MAX) return 0;
    return err_set(e, ERR_INPUT,
                   "\"%.60s\" is no distribution of candidates; write uniform:500:1500 (from, to) or "
                   "lognormal:500:0.6 (median, sigma of the logarithm, at most 2)",
                   text);
}

size_t spread_most(const struct spread *s) {
    if (s->kind == SPREAD_LOGNORMAL) return (size_t)ceil(s->a * exp(4 * s->b));
    return (size_t)(s->kind == SPREAD_UNIFORM ? s->b : s->a);
}

double spread_mean(const struct spread *s) {
    if (s->kind == SPREAD_LOGNORMAL) return s->a * exp(s->b * s->b / 2);
    return s->kind == SPREAD_UNIFORM ? (s->a + s->b) / 2 : s->a;
}

size_t spread_draw(const struct spread *s, struct rng *r) {
    if (s->kind == SPREAD_FIXED) return (size_t)s->a;
    if (s->kind == SPREAD_UNIFORM) return (size_t)s->a + (size_t)rng_below(r, (uint64_t)(s->b - s->a) + 1);
    double n = round(s->a * exp(s->b * rng_normal(r)));
    return (size_t)fmin(fmax(n, 1), (double)spread_most(s));
}
