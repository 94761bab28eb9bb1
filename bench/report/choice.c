#include "bench/report/choice.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the scores of a point's model are found by; the group is effect.groups when there are none. */
static struct scored scored_of(const struct study *s, const struct choices *c,
                               const struct tradeoff_point *p) {
    const char *features = subsets_trained_as(&c->subsets, p->variant, p->features);
    return (struct scored){effect_find(&s->effect, p->variant, features), p->precision};
}

bool choices_same_scores(const struct study *s, const struct tradeoff_point *p,
                         const struct tradeoff_point *q) {
    return scored_same(scored_of(s, s->choices, p), scored_of(s, s->choices, q));
}

static bool could_be_chosen(const struct choice *c, const struct tradeoff_point *p) {
    return p->candidates == c->candidates && tradeoff_eligible(p);
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
        c->incomplete += p->candidates == c->candidates && !tradeoff_complete(p);
        if (!could_be_chosen(c, p)) continue;
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

static const struct tradeoff_point *fastest(const struct study *s, const struct choices *cs,
                                            const struct choice *c, const struct difference *d) {
    const struct scored m = {(size_t)(d->group - s->effect.group), d->precision};
    const struct tradeoff_point *best = NULL;
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = &s->tradeoff.point[i];
        if (!could_be_chosen(c, p) || !scored_same(scored_of(s, cs, p), m)) continue;
        if (!best || p->p50_us < best->p50_us) best = p;
    }
    return best;
}

const struct tradeoff_point *choice_point(const struct study *s, const struct choice *c,
                                          const struct difference *d) {
    return fastest(s, s->choices, c, d);
}

static double time_of(const struct study *s, const struct choices *cs, const struct choice *c,
                      const struct difference *d) {
    const struct tradeoff_point *p = fastest(s, cs, c, d);
    return p ? p->p50_us : (double)INFINITY;
}

static void keep_alike(const struct study *s, const struct choices *cs, struct choice *c,
                       const struct differences *all) {
    for (size_t i = 0; i < all->n; i++) {
        struct difference d = all->d[i];
        if (!alike(&d)) continue;
        double time = time_of(s, cs, c, &d);
        size_t at = c->like.n++;
        for (; at > 0 && time_of(s, cs, c, &c->like.d[at - 1]) > time; at--)
            c->like.d[at] = c->like.d[at - 1];
        c->like.d[at] = d;
    }
}

/* What there is to compare with: the distinct models of this number of candidates. Beside it, the pick's other points and the
 * best of the other models that fit. */
static size_t list_models(const struct study *s, const struct choices *cs, struct choice *c,
                          struct scored *v) {
    const struct scored pick = scored_of(s, cs, c->pick);
    size_t n = 0;
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = &s->tradeoff.point[i];
        double value[BUDGET_METRICS];
        if (!could_be_chosen(c, p)) continue;
        const struct scored m = scored_of(s, cs, p);
        bool same = scored_same(m, pick);
        if (same && p != c->pick) c->same[c->n_same++] = p;
        tradeoff_values(p, value);
        if (!same && budget_keeps(&s->tradeoff.budget, value) && (!c->next || tradeoff_preferred(p, c->next)))
            c->next = p;
        size_t k = 0;
        while (k < n && !scored_same(v[k], m)) k++;
        if (k == n && m.group < s->effect.groups) v[n++] = m;
    }
    return n;
}

/* m's difference to the pick; seeds 0: there is none. */
static struct difference difference_of(const struct study *s, const struct differences *all,
                                       struct scored m) {
    for (size_t i = 0; i < all->n; i++) {
        const struct scored of = {(size_t)(all->d[i].group - s->effect.group), all->d[i].precision};
        if (scored_same(of, m)) return all->d[i];
    }
    return (struct difference){.seeds = 0};
}

/* Of the pick to the model, where d is of the model to the pick. */
static struct difference turned(struct difference d, const char *precision) {
    const struct difference was = d;
    d.group = was.against;
    d.against = was.group;
    d.precision = precision;
    d.value = -was.value;
    d.lo = -was.hi;
    d.hi = -was.lo;
    d.seeds_lo = -was.seeds_hi;
    d.seeds_hi = -was.seeds_lo;
    return d;
}

static int compare(const struct study *s, struct choices *cs, struct choice *c, struct err *e) {
    const struct scored pick = scored_of(s, cs, c->pick);
    size_t room = s->tradeoff.n + 1;
    struct scored *model = arena_alloc(&cs->arena, room * sizeof *model);
    struct differences all;
    c->same = arena_alloc(&cs->arena, room * sizeof(const struct tradeoff_point *));
    c->like.d = mem_calloc(room, sizeof *c->like.d);
    if (!model || !c->same || !c->like.d) return err_nomem(e, room * sizeof *c->like.d);
    size_t n = list_models(s, cs, c, model);
    if (pick.group >= s->effect.groups) return 0;
    TRY(differences_against(s, pick, model, n, &all, e));
    c->compared = all.n;
    keep_alike(s, cs, c, &all);
    c->budget_cost = difference_of(s, &all, scored_of(s, cs, c->free));
    if (c->next) c->lead = turned(difference_of(s, &all, scored_of(s, cs, c->next)), pick.precision);
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
