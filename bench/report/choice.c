#include "bench/report/choice.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The group that holds the predictions of a point's model; effect.groups when there is none. */
static size_t trained_group(const struct study *s, const struct choices *c, const struct tradeoff_point *p) {
    return effect_find(&s->effect, p->variant, subsets_trained_as(&c->subsets, p->variant, p->features));
}

static bool better_on_test(const struct tradeoff_point *q, const struct tradeoff_point *p) {
    return q->gauc.mean > p->gauc.mean || isnan(p->gauc.mean);
}

static void note_usable(const struct budget *b, const struct tradeoff_point *p, struct choice *c) {
    if (isnan(p->usable_qps)) return;
    c->usable = true;
    c->usable_limit_ms = fmax(p->usable_limit_ms, c->usable_limit_ms); /* not NaN, if one is a number */
    c->loose = budget_bounds(b, BUDGET_QPS) && c->usable_limit_ms > budget_most(b, BUDGET_P99);
}

static void look(const struct study *s, struct choice *c) {
    const struct budget *b = &s->tradeoff.budget;
    double least = (double)INFINITY;
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = &s->tradeoff.point[i];
        double value[BUDGET_METRICS], excess;
        if (p->candidates != c->candidates) continue;
        c->incomplete += !tradeoff_complete(p);
        if (!tradeoff_eligible(p)) continue;
        tradeoff_values(p, value);
        c->points++;
        c->doubtful += study_doubtful(p) || study_usable_doubtful(p);
        note_usable(b, p, c);
        if (!c->free || tradeoff_preferred(p, c->free)) c->free = p;
        excess = budget_excess(b, value);
        if (!budget_keeps(b, value)) {
            if (c->closest && !(excess < least)) continue;
            least = excess;
            c->closest = p;
            continue;
        }
        c->fit++;
        if (p->chosen == 1) c->pick = p;
        if (!c->by_test || better_on_test(p, c->by_test)) c->by_test = p;
    }
    if (c->pick) c->optimism = c->by_test->gauc.mean - c->pick->gauc.mean;
}

/* ---- what cannot be told from the pick ---- */

static bool alike(const struct difference *d) {
    return (d->lo <= 0 && d->hi >= 0) || (d->seeds_lo <= 0 && d->seeds_hi >= 0);
}

static double time_of(const struct study *s, const struct choice *c, const struct effect_group *g) {
    const struct tradeoff_point *p = study_point(s, c->candidates, g);
    return p ? p->p50_us : (double)INFINITY;
}

static void keep_alike(const struct study *s, struct choice *c, const struct differences *all) {
    for (size_t i = 0; i < all->n; i++) {
        struct difference d = all->d[i];
        if (!alike(&d)) continue;
        size_t at = c->like.n++;
        for (; at > 0 && time_of(s, c, c->like.d[at - 1].group) > time_of(s, c, d.group); at--)
            c->like.d[at] = c->like.d[at - 1];
        c->like.d[at] = d;
    }
}

/* Only models that were timed at this number of candidates. */
static int compare(const struct study *s, struct choices *cs, struct choice *c, struct err *e) {
    size_t pick = trained_group(s, cs, c->pick), best = trained_group(s, cs, c->free);
    bool *wanted = arena_alloc(&cs->arena, s->effect.groups + 1);
    struct differences all;
    c->like.d = mem_calloc(s->effect.groups + 1, sizeof *c->like.d);
    if (!wanted || !c->like.d) return err_nomem(e, s->effect.groups);
    if (pick >= s->effect.groups) return 0;
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = &s->tradeoff.point[i];
        size_t g = p->candidates == c->candidates && tradeoff_eligible(p) ? trained_group(s, cs, p)
                                                                          : s->effect.groups;
        if (g < s->effect.groups) wanted[g] = true;
    }
    TRY(differences_against(s, pick, wanted, &all, e));
    keep_alike(s, c, &all);
    for (size_t i = 0; i < all.n && best != pick; i++)
        if (all.d[i].group == &s->effect.group[best]) c->budget_cost = all.d[i];
    differences_release(&all);
    return 0;
}

static int make(struct study *s, struct choices *cs, struct err *e) {
    TRY(subsets_load(s->dir, &cs->subsets, e));
    cs->v = arena_alloc(&cs->arena, ((size_t)s->n_candidates + 1) * sizeof *cs->v);
    if (!cs->v) return err_nomem(e, 0);
    for (int k = s->n_candidates - 1; k >= 0 && s->tradeoff.picks; k--) {
        if (!budget_covers(&s->tradeoff.budget, s->candidates[k])) continue;
        struct choice *c = &cs->v[cs->n];
        *c = (struct choice){.candidates = s->candidates[k], .usable_limit_ms = (double)NAN};
        look(s, c);
        if (!c->points && !s->tradeoff.budget.n) continue;
        cs->n++;
        if (c->pick) TRY(compare(s, cs, c, e));
    }
    return 0;
}

int choices_make(struct study *s, struct err *e) {
    struct choices *cs = mem_calloc(1, sizeof *cs);
    if (!cs) return err_nomem(e, sizeof *cs);
    int rc = make(s, cs, e);
    if (rc) {
        choices_free(cs);
        return rc;
    }
    choices_free(s->choices);
    s->choices = cs;
    return 0;
}

void choices_free(struct choices *c) {
    if (!c) return;
    for (int i = 0; i < c->n; i++) differences_release(&c->v[i].like);
    table_release(&c->subsets);
    arena_release(&c->arena);
    mem_free(c);
}
