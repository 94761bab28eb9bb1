#include "bench/run/evaluate.h"
#include "base/mem.h"
#include "metrics/metrics.h"
#include <math.h>
#include <stdbool.h>

enum { RESAMPLES = 1000, ECE_BINS = 15, TOP_K = 10 };
static const uint64_t bootstrap_seed = 1;

static int failed(int rc, struct err *e) {
    if (rc == -2) return err_set(e, ERR_DIVERGED, "a score is NaN");
    return err_nomem(e, 0);
}

static int classes(const float *score, const uint8_t *label, const uint32_t *user, size_t n,
                   enum gauc_weight by, bool bootstrap, struct quality *out, struct err *e) {
    int rc = metric_auc(score, label, n, &out->auc);
    if (rc) return failed(rc, e);
    struct gauc g;
    rc = gauc_compute(score, label, user, n, by, &g);
    if (rc) return failed(rc, e);
    out->gauc = g.value;
    out->gauc_kept = g.kept;
    out->users_kept = g.users_kept;
    struct interval ci = {(double)NAN, (double)NAN};
    if (bootstrap) rc = gauc_bootstrap(&g, RESAMPLES, 0.95, bootstrap_seed, &ci);
    out->gauc_lo = ci.lo;
    out->gauc_hi = ci.hi;
    gauc_release(&g);
    return rc ? failed(rc, e) : 0;
}

static void fill_probabilities(const float *score, size_t n, float *p) {
    for (size_t i = 0; i < n; i++) p[i] = 1 / (1 + expf(-score[i]));
}

static int compute(const float *score, const uint8_t *label, const uint32_t *user, size_t n,
                   enum gauc_weight by, bool full, struct quality *out, struct err *e) {
    const double none = (double)NAN;
    *out = (struct quality){.rows = n, .pcoc = none, .ece = none, .ndcg10 = none, .hr10 = none};
    float *p = mem_alloc((n + 1) * sizeof *p);
    if (!p) return err_nomem(e, n * sizeof *p);
    int rc = classes(score, label, user, n, by, full, out, e);
    if (!rc) {
        fill_probabilities(score, n, p);
        out->logloss = metric_logloss(p, label, n);
    }
    if (!rc && full) {
        struct ranking r;
        out->pcoc = metric_pcoc(p, label, n);
        rc = metric_ece(p, label, n, ECE_BINS, &out->ece, NULL);
        if (!rc) rc = metric_ranking(score, label, user, n, TOP_K, &r);
        if (rc) failed(rc, e);
        out->ndcg10 = rc ? none : r.ndcg;
        out->hr10 = rc ? none : r.hit_rate;
    }
    mem_free(p);
    return rc ? (e ? e->code : ERR_INPUT) : 0;
}

int evaluate(const float *score, const uint8_t *label, const uint32_t *user, size_t n, enum gauc_weight by,
             struct quality *out, struct err *e) {
    return compute(score, label, user, n, by, true, out, e);
}

int evaluate_quick(const float *score, const uint8_t *label, const uint32_t *user, size_t n,
                   enum gauc_weight by, struct quality *out, struct err *e) {
    return compute(score, label, user, n, by, false, out, e);
}
