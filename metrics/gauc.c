#include "metrics/metrics.h"
#include "metrics/rows.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const gauc_weight_names[] = {"exposures", "positives", "users", NULL};

enum gauc_weight gauc_weight_named(const char *name) {
    for (int w = GAUC_BY_POSITIVES; name && w <= GAUC_BY_USER; w++)
        if (!strcmp(name, gauc_weight_names[w])) return (enum gauc_weight)w;
    return GAUC_BY_EXPOSURES;
}

static double weight_of(enum gauc_weight w, size_t exposures, size_t positives) {
    switch (w) {
    case GAUC_BY_EXPOSURES:
        return (double)exposures;
    case GAUC_BY_POSITIVES:
        return (double)positives;
    case GAUC_BY_USER:
        return 1;
    }
    return NAN;
}

static void count_users(const struct row *rows, size_t n, struct gauc *out) {
    for (size_t i = 0, end; i < n; i = end) {
        end = rows_group_end(rows, i, n);
        size_t hits = 0;
        for (size_t j = i; j < end; j++) hits += rows[j].value;
        out->users_all++;
        out->users_kept += hits > 0 && hits < end - i;
    }
}

/* out->user has room for the users that count_users() found. */
static void score_users(const struct row *rows, size_t n, enum gauc_weight w, struct gauc *out) {
    double sum = 0, weights = 0;
    size_t kept = 0;
    struct gauc_user *u = out->user;
    for (size_t i = 0, end; i < n; i = end) {
        end = rows_group_end(rows, i, n);
        size_t positives;
        double auc = rows_auc(rows + i, end - i, &positives);
        if (isnan(auc)) continue;
        *u = (struct gauc_user){(uint32_t)(rows[i].key >> 32), auc, weight_of(w, end - i, positives)};
        sum += u->weight * u->auc;
        weights += u->weight;
        kept += end - i;
        u++;
    }
    out->value = sum / weights;
    out->kept = (double)kept / (double)n;
}

int gauc_compute(const float *score, const uint8_t *label, const uint32_t *user, size_t n, enum gauc_weight w,
                 struct gauc *out) {
    *out = (struct gauc){.value = NAN, .kept = NAN};
    if (n == 0) return 0;
    struct row *rows = rows_alloc(n);
    if (!rows) return -1;
    int bad = rows_fill(rows, score, user, label, n, 0);
    if (!bad) {
        const struct row *sorted = rows_sort(rows, n);
        struct gauc g = *out;
        count_users(sorted, n, &g);
        if (g.users_kept == 0) {
            g.kept = 0;
        } else if ((g.user = reallocarray(NULL, g.users_kept, sizeof *g.user))) {
            score_users(sorted, n, w, &g);
        } else {
            bad = -1;
        }
        if (!bad) *out = g;
    }
    free(rows);
    return bad;
}

void gauc_release(struct gauc *g) {
    free(g->user);
    *g = (struct gauc){.value = NAN, .kept = NAN};
}
