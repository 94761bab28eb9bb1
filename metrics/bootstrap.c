/* Bootstrap over users: impressions of one user are not independent, users nearly are. */
#include "metrics/metrics.h"
#include <math.h>
#include <stdlib.h>

/* What a resample sums of a user: weight and weight * AUC, of one model or of two. */
struct share {
    double weight, part;
};
struct pair {
    struct share a, b;
};

/* splitmix64 (Steele, Lea & Flood 2014): the module has no generator of the project's to use. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Uniform in [0,n), without bias (Lemire 2019); n < 2^32 as user ids are 32 bits. */
static uint32_t random_below(uint64_t *state, uint32_t n) {
    uint64_t m = (next_random(state) >> 32) * n;
    if ((uint32_t)m < n) {
        const uint32_t reject = (0 - n) % n;
        while ((uint32_t)m < reject) m = (next_random(state) >> 32) * n;
    }
    return (uint32_t)(m >> 32);
}

static double resample(const struct share *user, size_t users, uint64_t *state) {
    struct share sum = {0, 0};
    for (size_t i = 0; i < users; i++) {
        const struct share *u = &user[random_below(state, (uint32_t)users)];
        sum.weight += u->weight;
        sum.part += u->part;
    }
    return sum.part / sum.weight;
}

static double resample_pair(const struct pair *user, size_t users, uint64_t *state) {
    struct share a = {0, 0}, b = {0, 0};
    for (size_t i = 0; i < users; i++) {
        const struct pair *u = &user[random_below(state, (uint32_t)users)];
        a.weight += u->a.weight;
        a.part += u->a.part;
        b.weight += u->b.weight;
        b.part += u->b.part;
    }
    return a.part / a.weight - b.part / b.weight;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Resamples cut off at either end: the k-th smallest and k-th largest of B bound the interval, k =
 * floor((B+1) alpha/2) (Efron & Tibshirani 1993, sec. 12.5). 0 when B resamples cannot carry the confidence.
 * The small term undoes the rounding of 1 - confidence, so that 19 resamples carry 90 %. */
static size_t cut_off(int resamples, double confidence) {
    if (resamples < 1 || !(confidence > 0 && confidence < 1)) return 0;
    return (size_t)floor(((double)resamples + 1) * (1 - confidence) / 2 + 1e-9);
}

static struct interval percentile_interval(double *value, size_t resamples, size_t k) {
    qsort(value, resamples, sizeof *value, compare_doubles);
    return (struct interval){value[k - 1], value[resamples - k]};
}

/* Of sum(part) / sum(weight) over users. */
static int bootstrap(const struct share *user, size_t users, int resamples, double confidence, uint64_t seed,
                     struct interval *out) {
    const size_t k = cut_off(resamples, confidence), times = k ? (size_t)resamples : 0;
    if (k == 0 || users < 2) return 0;
    double *value = reallocarray(NULL, times, sizeof *value);
    if (!value) return -1;
    for (size_t r = 0; r < times; r++) value[r] = resample(user, users, &seed);
    *out = percentile_interval(value, times, k);
    free(value);
    return 0;
}

int gauc_bootstrap(const struct gauc *g, int resamples, double confidence, uint64_t seed,
                   struct interval *out) {
    *out = (struct interval){NAN, NAN};
    struct share *user = reallocarray(NULL, g->users_kept + 1, sizeof *user);
    if (!user) return -1;
    for (size_t i = 0; i < g->users_kept; i++)
        user[i] = (struct share){g->user[i].weight, g->user[i].weight * g->user[i].auc};
    int bad = bootstrap(user, g->users_kept, resamples, confidence, seed, out);
    free(user);
    return bad;
}

int mean_bootstrap(const double *value, size_t n, int resamples, double confidence, uint64_t seed,
                   struct interval *out) {
    *out = (struct interval){NAN, NAN};
    struct share *user = reallocarray(NULL, n + 1, sizeof *user);
    if (!user) return -1;
    for (size_t i = 0; i < n; i++) user[i] = (struct share){1, value[i]};
    int bad = bootstrap(user, n, resamples, confidence, seed, out);
    free(user);
    return bad;
}

/* Users in both, in order of user id; `out` has room for the users of `a`. */
static size_t pair_users(const struct gauc *a, const struct gauc *b, struct pair *out) {
    size_t users = 0;
    for (size_t i = 0, j = 0; i < a->users_kept && j < b->users_kept;) {
        const struct gauc_user *p = &a->user[i], *q = &b->user[j];
        if (p->user == q->user) {
            out[users++] = (struct pair){{p->weight, p->weight * p->auc}, {q->weight, q->weight * q->auc}};
        }
        i += p->user <= q->user;
        j += q->user <= p->user;
    }
    return users;
}

static double difference(const struct pair *user, size_t users) {
    struct share a = {0, 0}, b = {0, 0};
    for (size_t i = 0; i < users; i++) {
        a.weight += user[i].a.weight;
        a.part += user[i].a.part;
        b.weight += user[i].b.weight;
        b.part += user[i].b.part;
    }
    return a.part / a.weight - b.part / b.weight;
}

/* The observed sample counts as one resample more (Davison & Hinkley 1997, ch. 4), so p is never 0. */
static double two_sided_p(const double *value, size_t resamples) {
    size_t low = 0, high = 0;
    for (size_t r = 0; r < resamples; r++) {
        low += value[r] <= 0;
        high += value[r] >= 0;
    }
    return fmin(1, 2 * (double)((low < high ? low : high) + 1) / (double)(resamples + 1));
}

int gauc_paired_bootstrap(const struct gauc *a, const struct gauc *b, int resamples, double confidence,
                          uint64_t seed, struct gauc_difference *out) {
    *out = (struct gauc_difference){NAN, {NAN, NAN}, NAN, 0};
    if (a->users_kept == 0 || b->users_kept == 0) return -3;
    const size_t k = cut_off(resamples, confidence), times = k ? (size_t)resamples : 0;
    struct pair *user = reallocarray(NULL, a->users_kept, sizeof *user);
    double *value = reallocarray(NULL, times + 1, sizeof *value);
    int bad = user && value ? 0 : -1;
    if (!bad) {
        out->users = pair_users(a, b, user);
        if (out->users == 0) bad = -3;
    }
    if (!bad) out->value = difference(user, out->users);
    if (!bad && k && out->users > 1) {
        for (size_t r = 0; r < times; r++) value[r] = resample_pair(user, out->users, &seed);
        out->p_two_sided = two_sided_p(value, times);
        out->ci = percentile_interval(value, times, k);
    }
    free(user);
    free(value);
    return bad;
}
