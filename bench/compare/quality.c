/* compare.h's gates on quality: GAUC and the number of parameters, of each model. */
#include "bench/compare/chosen.h"
#include "bench/compare/compare.h"
#include "bench/compare/predictions.h"
#include "metrics/stats.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 10000, SEEDS_MAX = 1024 };
static const uint64_t bootstrap_seed = 5;
/* What must be the same to the bit, beside the predictions: nine digits of each. */
static const char *const exact[] = {"auc",    "gauc", "logloss", "pcoc", "ece",
                                    "ndcg10", "hr10", "epochs",  "rows"};

struct model { /* rows of effect.csv, split test, of one variant on one feature subset */
    const char *variant, *features;
    enum chosen chosen;
    size_t n;
    size_t base[SEEDS_MAX], new[SEEDS_MAX]; /* new: its rows, or SIZE_MAX */
};
struct quality {
    const struct side *base, *new;
    struct comparison *c;
    struct err *e;
};

static const char *text(const struct table *t, size_t row, const char *column) {
    return table_text(t, row, table_column(t, column));
}

static bool is(const struct table *t, size_t row, const char *column, const char *value) {
    return !strcmp(text(t, row, column), value);
}

static size_t find(const struct table *t, const char *variant, const char *features, const char *seed,
                   const char *split) {
    for (size_t r = 0; r < t->rows; r++)
        if (is(t, r, "variant", variant) && is(t, r, "features", features) && is(t, r, "seed", seed) &&
            is(t, r, "split", split))
            return r;
    return SIZE_MAX;
}

static bool same_row(const struct table *a, size_t i, const struct table *b, size_t j) {
    for (size_t k = 0; k < sizeof exact / sizeof *exact; k++)
        if (strcmp(text(a, i, exact[k]), text(b, j, exact[k])) != 0) return false;
    return true;
}

/* On validation too: that is where the kept epoch comes from. */
static bool same_effect(const struct quality *q, const struct model *m) {
    const struct table *a = &q->base->effect, *b = &q->new->effect;
    for (size_t i = 0; i < m->n; i++) {
        if (!same_row(a, m->base[i], b, m->new[i])) return false;
        const char *seed = text(a, m->base[i], "seed");
        size_t x = find(a, m->variant, m->features, seed, "valid"),
               y = find(b, m->variant, m->features, seed, "valid");
        if ((x == SIZE_MAX) != (y == SIZE_MAX) || (x != SIZE_MAX && !same_row(a, x, b, y))) return false;
    }
    return true;
}

/* ---- over users and over seeds ---- */

static struct predictions predictions_of(const struct quality *q, const struct model *m, size_t i) {
    return (struct predictions){q->base, q->new, m->variant, m->features,
                                text(&q->base->effect, m->base[i], "seed")};
}

static int same_to_the_bit(const struct quality *q, const struct model *m, bool *same) {
    *same = same_effect(q, m);
    for (size_t i = 0; i < m->n && *same; i++) {
        struct predictions p = predictions_of(q, m, i);
        TRY(predictions_same(&p, same, q->e));
    }
    return 0;
}

/* Adds a run's AUCs to those of its users, and takes it. The rows of all seeds are the same, and so are the users. */
static int add_run(struct gauc *sum, struct gauc *run) {
    if (!sum->user) {
        *sum = *run;
        return 0;
    }
    bool same = run->users_kept == sum->users_kept;
    for (size_t i = 0; same && i < run->users_kept; i++) sum->user[i].auc += run->user[i].auc;
    sum->value += run->value;
    gauc_release(run);
    return same ? 0 : ERR_INPUT;
}

static int add_seed(const struct quality *q, const struct model *m, size_t i, struct gauc sum[2],
                    double *drop) {
    struct predictions p = predictions_of(q, m, i);
    struct gauc run[2];
    TRY(predictions_gauc(&p, run, q->e));
    *drop = run[0].value - run[1].value;
    int rc = add_run(&sum[0], &run[0]), other = add_run(&sum[1], &run[1]);
    return rc || other ? err_set(q->e, ERR_INPUT,
                                 "predictions of %s on %s, seed %s, are of other rows than the others",
                                 m->variant, m->features, p.seed)
                       : 0;
}

/* Each user's AUC averaged over the seeds, for the interval over the users; and each seed's drop of GAUC. */
static int mean_gauc(const struct quality *q, const struct model *m, struct gauc out[2], double *drop) {
    for (size_t i = 0; i < m->n; i++) TRY(add_seed(q, m, i, out, &drop[i]));
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < out[k].users_kept; i++) out[k].user[i].auc /= (double)m->n;
        out[k].value /= (double)m->n;
    }
    return 0;
}

static void set_intervals(struct gate *g, const struct gauc_difference *d, const double *drop, size_t seeds) {
    double half = stat_t_half_width(drop, seeds, 0.95), centre = stat_mean(drop, seeds);
    g->kind = GATE_USERS;
    g->worse = d->value;
    g->lo = d->ci.lo;
    g->hi = d->ci.hi;
    g->seeds_lo = centre - half; /* NaN for one seed */
    g->seeds_hi = centre + half;
    g->p = d->p_two_sided;
    g->n = d->users;
}

static int bootstrap(const struct quality *q, const struct model *m, struct gate *g) {
    struct gauc mean[2] = {{.user = NULL}, {.user = NULL}};
    struct gauc_difference d;
    double *drop = arena_alloc(&q->c->arena, m->n * sizeof *drop);
    int rc = drop ? mean_gauc(q, m, mean, drop) : err_nomem(q->e, m->n * sizeof *drop);
    int bad = rc ? 0 : gauc_paired_bootstrap(&mean[0], &mean[1], RESAMPLES, 0.95, bootstrap_seed, &d);
    if (bad == -1) rc = err_nomem(q->e, 0);
    if (!rc && !bad) {
        g->base = mean[0].value;
        g->new = mean[1].value;
        set_intervals(g, &d, drop, m->n);
    } else if (!rc) {
        g->verdict = GATE_UNDECIDED;
        snprintf(g->note, sizeof g->note, "no user has both classes in both results");
    }
    for (int k = 0; k < 2; k++) gauc_release(&mean[k]);
    return rc;
}

/* ---- one model ---- */

static double mean_of(const struct table *t, const size_t *row, size_t n, const char *column) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += strtod(text(t, row[i], column), NULL);
    return sum / (double)n;
}

static int gate_gauc(const struct quality *q, const struct model *m) {
    struct comparison *c = q->c;
    struct gate *g = gate_add(c, m->variant, m->features, "gauc", GATE_EXACT, q->e);
    if (!g) return ERR_INPUT;
    g->base = mean_of(&q->base->effect, m->base, m->n, "gauc");
    g->new = mean_of(&q->new->effect, m->new, m->n, "gauc");
    g->worse = g->base - g->new;
    bool same;
    TRY(same_to_the_bit(q, m, &same));
    if (same) {
        g->verdict = GATE_SAME;
        return 0;
    }
    TRY(bootstrap(q, m, g));
    const char *what = m->chosen == CHOSEN_ALIKE ? "not the same to the bit" : chosen_note(m->chosen);
    if (c->same_machine && (c->same_program || c->exact)) {
        g->verdict = GATE_REGRESSED;
        g->settled = true;
        snprintf(g->note, sizeof g->note, "%s, %s", what,
                 c->same_program ? "though program and type of machine are the same" : "as --exact demands");
    } else if (g->kind == GATE_USERS) {
        snprintf(g->note, sizeof g->note, "%s: judged by its users",
                 c->same_machine ? what : "another type of machine rounds otherwise");
    }
    size_t n = strlen(g->note);
    if (!isnan(g->seeds_lo))
        snprintf(g->note + n, sizeof g->note - n, "; over the seeds %+.5f to %+.5f", -g->seeds_hi,
                 -g->seeds_lo);
    return 0;
}

static int gate_params(const struct quality *q, const struct model *m) {
    struct gate *g = gate_add(q->c, m->variant, m->features, "params", GATE_EXACT, q->e);
    if (!g) return ERR_INPUT;
    g->base = strtod(text(&q->base->effect, m->base[0], "params"), NULL);
    g->new = strtod(text(&q->new->effect, m->new[0], "params"), NULL);
    g->worse = g->base > 0 ? g->new / g->base - 1 : 0;
    g->verdict = g->base < g->new || g->base > g->new ? GATE_REGRESSED : GATE_SAME;
    if (g->verdict == GATE_REGRESSED) snprintf(g->note, sizeof g->note, "another number is another model");
    if (m->chosen != CHOSEN_ALIKE) gate_skip(g, chosen_note(m->chosen));
    return 0;
}

static int skip_model(const struct quality *q, const struct model *m) {
    struct gate *g = gate_add(q->c, m->variant, m->features, "gauc", GATE_EXACT, q->e);
    if (!g) return ERR_INPUT;
    gate_skip(g, chosen_note(m->chosen));
    return 0;
}

static int gate_failed(const struct quality *q, const struct model *m, size_t base, size_t new,
                       bool *comparable) {
    const struct table *a = &q->base->effect, *b = &q->new->effect;
    bool was = is(a, base, "status", "ok"), now = new != SIZE_MAX &&is(b, new, "status", "ok");
    *comparable = was && now;
    if (*comparable) return 0;
    struct gate *g = gate_add(q->c, m->variant, m->features, "status", GATE_EXACT, q->e);
    if (!g) return ERR_INPUT;
    snprintf(g->point, sizeof g->point, "seed %.60s", text(a, base, "seed"));
    g->verdict = was ? GATE_REGRESSED : now ? GATE_BETTER : GATE_SKIPPED;
    snprintf(g->note, sizeof g->note, "%s%.150s",
             was   ? "the run failed in NEW: "
             : now ? "the run failed in BASE: "
                   : "the run failed in both: ",
             new == SIZE_MAX ? "it has no row there" : text(was ? b : a, was ? new : base, "note"));
    return 0;
}

static int compare_model(const struct quality *q, struct model *m, size_t first) {
    const struct table *a = &q->base->effect;
    m->variant = text(a, first, "variant");
    m->features = text(a, first, "features");
    m->n = 0;
    m->chosen = chosen_compare(q->base, q->new, m->variant, m->features);
    if (m->chosen == CHOSEN_BY_OTHER_COSTS) return skip_model(q, m);
    for (size_t r = first; r < a->rows; r++) {
        if (!is(a, r, "split", "test") || !is(a, r, "variant", m->variant) ||
            !is(a, r, "features", m->features))
            continue;
        bool comparable;
        size_t other = find(&q->new->effect, m->variant, m->features, text(a, r, "seed"), "test");
        TRY(gate_failed(q, m, r, other, &comparable));
        if (!comparable) continue;
        if (m->n == SEEDS_MAX) return err_set(q->e, ERR_INPUT, "%s: more than %d seeds", a->path, SEEDS_MAX);
        m->base[m->n] = r;
        m->new[m->n++] = other;
    }
    if (!m->n) return 0;
    q->c->models++;
    TRY(gate_gauc(q, m));
    return gate_params(q, m);
}

int compare_quality(const struct side *base, const struct side *new, struct comparison *c, struct err *e) {
    static const char *const needed[] = {"variant", "features", "seed", "split", "status", "gauc"};
    struct quality q = {base, new, c, e};
    const struct table *a = &base->effect;
    int column;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        TRY(table_need(a, needed[i], &column, e));
        TRY(table_need(&new->effect, needed[i], &column, e));
    }
    struct model *m = arena_alloc(&c->arena, sizeof *m);
    if (!m) return err_nomem(e, sizeof *m);
    for (size_t r = 0; r < a->rows; r++) {
        bool seen = !is(a, r, "split", "test");
        for (size_t k = 0; k < r && !seen; k++)
            seen = is(a, k, "split", "test") && is(a, k, "variant", text(a, r, "variant")) &&
                   is(a, k, "features", text(a, r, "features"));
        if (!seen) TRY(compare_model(&q, m, r));
    }
    return 0;
}
