/* choice.h in words and as JSON. */
#include "base/file.h"
#include "bench/report/choice.h"
#include "bench/report/html.h"
#include "bench/report/plot.h"
#include <math.h>
#include <string.h>

static void add_name(const struct study *s, const struct tradeoff_point *p, struct str *out) {
    char label[STUDY_LABEL_MAX];
    study_label(s, p, ~0u, label);
    str_add(out, label);
}

static void add_gauc(const struct effect_stat *g, struct str *out) {
    str_addf(out, "%.4f", g->mean);
    if (!isnan(g->lo)) str_addf(out, " (95 %% interval %.4f to %.4f)", g->lo, g->hi);
}

/* Files of earlier versions do not say at which limit. */
static void add_limit(double ms, struct str *out) {
    if (isnan(ms))
        str_add(out, "usable at the latency limit");
    else
        str_addf(out, "usable at %g ms", ms);
}

static void add_speed(const struct tradeoff_point *p, struct str *out) {
    char text[24], number[32];
    plot_microseconds(text, p->p50_us);
    str_addf(out, "p50 %s", text);
    if (!isnan(p->p99_us)) {
        plot_microseconds(text, p->p99_us);
        str_addf(out, ", p99 %s", text);
    }
    if (study_doubtful(p)) str_addf(out, " (verdict: %s)", p->verdict);
    count_text(number, isnan(p->usable_qps) ? p->qps : p->usable_qps);
    str_addf(out, ", %s QPS", number);
    if (isnan(p->usable_qps)) return;
    str_add(out, " ");
    add_limit(p->usable_limit_ms, out);
    if (study_usable_doubtful(p)) str_addf(out, " (verdict: %s)", p->usable_verdict);
}

/* Which of the points the choice had to do without, and which it should not have to trust. */
static void say_verdicts(const struct choice *c, struct str *out) {
    if (c->doubtful)
        str_addf(out, "The verdict on %zu of the %zu is not `ok`: measure again before relying on %s. ",
                 c->doubtful, c->points, c->doubtful == 1 ? "it" : "them");
    if (c->incomplete)
        str_addf(out, "%zu more cannot be chosen: requests found items missing there. ", c->incomplete);
}

static void say_budget(const struct study *s, const struct choice *c, struct str *out) {
    char number[32];
    count_text(number, c->candidates);
    str_addf(out, "%s candidates, ", number);
    if (budget_limits(&s->tradeoff.budget)) {
        str_add(out, "within ");
        budget_text(&s->tradeoff.budget, out);
        str_add(out, " (QPS ");
        if (c->usable)
            add_limit(c->usable_limit_ms, out);
        else
            str_add(out, "of a closed loop");
        str_addf(out, "): %zu of %zu points fit. ", c->fit, c->points);
    } else {
        str_addf(out, "without a budget, of %zu points. ", c->points);
    }
    if (c->loose)
        str_addf(out,
                 "How many QPS are usable at the budget's own p99 was not measured; `run --resume --set "
                 "measure.limit_ms=%g` does. ",
                 budget_most(&s->tradeoff.budget, BUDGET_P99));
    say_verdicts(c, out);
}

static void say_closest(const struct study *s, const struct choice *c, struct str *out) {
    if (!c->points) str_add(out, "None is of a model with a GAUC on validation and a complete measurement. ");
    str_add(out, "No point fits");
    if (!c->closest) {
        str_add(out, ". ");
        return;
    }
    str_add(out, "; the closest is ");
    add_name(s, c->closest, out);
    str_add(out, ": ");
    add_speed(c->closest, out);
    str_addf(out, ", GAUC %.4f on validation. It breaks", c->closest->gauc_valid);
    double value[BUDGET_METRICS];
    tradeoff_values(c->closest, value);
    for (int i = 0, said = 0; i < s->tradeoff.budget.n; i++) {
        const struct bound *b = &s->tradeoff.budget.bound[i];
        if (bound_keeps(b, value[b->metric])) continue;
        str_addf(out, "%s %s, which ", said++ ? " and" : "", budget_name(b->metric));
        if (isnan(value[b->metric]))
            str_addf(out, "is not known where %.4g is asked", b->value);
        else
            str_addf(out, "is %.4g where %.4g is asked", value[b->metric], b->value);
    }
    str_add(out, ". ");
}

static void add_difference(const struct difference *d, struct str *out) {
    str_addf(out, "%+.4f GAUC on test, paired by user %+.4f to %+.4f", d->value, d->lo, d->hi);
    if (!isnan(d->seeds_lo)) str_addf(out, ", over seeds %+.4f to %+.4f", d->seeds_lo, d->seeds_hi);
    str_add(out, "; ");
}

static bool above(const struct difference *d) { return d->lo > 0 && !(d->seeds_lo <= 0); }
static bool below(const struct difference *d) { return d->hi < 0 && !(d->seeds_hi >= 0); }

static void say_cost(const struct study *s, const struct choice *c, struct str *out) {
    const struct difference *d = &c->budget_cost;
    if (!budget_limits(&s->tradeoff.budget)) return;
    if (c->free == c->pick) {
        str_add(out, "The budget costs nothing: this is the best of all points on validation. ");
        return;
    }
    str_add(out, "Without the budget validation would choose ");
    add_name(s, c->free, out);
    if (choices_same_scores(s, c->free, c->pick)) {
        str_add(out, ", which is the same model with the same scores: the budget costs no quality. ");
    } else if (!d->seeds) {
        str_addf(out, " (GAUC on test %.4f). ", c->free->gauc.mean);
    } else {
        str_add(out, ": ");
        add_difference(d, out);
        str_add(out, above(d) ? "that is what the budget costs. "
                              : "so these rows do not show that the budget costs anything. ");
    }
}

/* By how much it won, and over what. */
static void say_next(const struct study *s, const struct choice *c, struct str *out) {
    const struct difference *d = &c->lead;
    if (!c->next) {
        str_add(out,
                budget_limits(&s->tradeoff.budget) ? "No other model fits. " : "There is no other model. ");
        return;
    }
    str_add(out, "The runner-up on validation is ");
    add_name(s, c->next, out);
    str_addf(out, " with %.4f there", c->next->gauc_valid);
    if (!d->seeds) {
        str_addf(out, " and %.4f on test. ", c->next->gauc.mean);
        return;
    }
    str_add(out, "; against it the choice has ");
    add_difference(d, out);
    str_add(out, above(d)   ? "better. "
                 : below(d) ? "worse on test rows, which decide nothing. "
                            : "these rows do not tell the two apart. ");
}

enum { NAMED = 6 };

static void add_timed(const struct study *s, const struct tradeoff_point *p, struct str *out) {
    char time[24];
    plot_microseconds(time, p->p50_us);
    add_name(s, p, out);
    str_addf(out, " (%s", time);
}

static void say_same(const struct study *s, const struct choice *c, struct str *out) {
    for (size_t i = 0; i < c->n_same && i < NAMED; i++) {
        str_add(out, i ? ", " : "The same scores, in another store or under another name: ");
        add_timed(s, c->same[i], out);
        str_add(out, ")");
    }
    if (c->n_same > NAMED) str_addf(out, " and %zu more", c->n_same - NAMED);
    if (c->n_same) str_add(out, ". ");
}

static void say_alike(const struct study *s, const struct choice *c, struct str *out) {
    if (!c->compared) {
        if (c->points > c->n_same + 1)
            str_add(out, "There are no predictions/ by which it could be told from the others. ");
        return;
    }
    if (!c->like.n) {
        str_add(out, "Test rows tell every other model from it. ");
        return;
    }
    str_addf(out,
             "Test rows do not tell it from %zu other model%s (paired interval over users or seeds holds 0)",
             c->like.n, c->like.n == 1 ? "" : "s");
    for (size_t i = 0; i < c->like.n && i < NAMED; i++) {
        str_add(out, i ? ", " : c->like.n > NAMED ? "; the fastest are " : ": ");
        add_timed(s, choice_point(s, c, &c->like.d[i]), out);
        str_addf(out, ", %+.4f)", c->like.d[i].value);
    }
    str_add(out, ". ");
}

static void say_optimism(const struct study *s, const struct choice *c, struct str *out) {
    if (isnan(c->optimism)) return;
    if (c->by_test == c->pick || !(c->optimism > 0)) {
        str_add(out, "Test rows would have chosen the same: choosing on them would have bought nothing.");
        return;
    }
    str_add(out, "Chosen on test rows it would have been ");
    add_name(s, c->by_test, out);
    str_addf(out, " with %.4f: %.4f of optimism that an honest choice does not have.", c->by_test->gauc.mean,
             c->optimism);
}

void choice_text(const struct study *s, const struct choice *c, struct str *out) {
    say_budget(s, c, out);
    if (!c->pick) {
        say_closest(s, c, out);
        return;
    }
    str_add(out, "Validation chooses ");
    add_name(s, c->pick, out);
    str_addf(out, ": GAUC %.4f on validation, ", c->pick->gauc_valid);
    add_gauc(&c->pick->gauc, out);
    str_add(out, " on test; ");
    add_speed(c->pick, out);
    str_add(out, ". ");
    say_next(s, c, out);
    say_cost(s, c, out);
    say_same(s, c, out);
    say_alike(s, c, out);
    say_optimism(s, c, out);
}

void choices_none_text(const struct study *s, struct str *out) {
    const struct budget *b = &s->tradeoff.budget;
    char number[32];
    str_add(out, "");
    if (!s->choices || s->choices->n || !b->n) return;
    if (!s->n_candidates) {
        str_add(out, "Nothing was timed (`measure.candidates`), so nothing can be held against the budget. ");
        return;
    }
    str_add(out, "No point has ");
    budget_candidates_text(b, out);
    str_add(out, "; timed: ");
    for (int k = 0; k < s->n_candidates; k++) {
        count_text(number, s->candidates[k]);
        str_addf(out, "%s%s", k ? ", " : "", number);
    }
    str_add(out, ". ");
}

int choices_verdict(const struct study *s, struct err *e) {
    struct str out = STR_INIT;
    choices_none_text(s, &out);
    for (int i = 0; s->choices && i < s->choices->n; i++)
        if (!s->choices->v[i].pick) choice_text(s, &s->choices->v[i], &out);
    bool fits = !out.len && !out.failed;
    if (!fits) err_set(e, ERR_MEASURE, "no model fits the budget: %.800s", out.p ? out.p : "");
    str_release(&out);
    return fits ? 0 : ERR_MEASURE;
}

/* ---- chosen.json ---- */

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *point_json(const struct study *s, const struct tradeoff_point *p) {
    if (!p) return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s}",
                     "variant", p->variant, "features", p->features, "trained_as",
                     subsets_trained_as(&s->choices->subsets, p->variant, p->features), "precision",
                     p->precision, "store", p->store, "n_features", number(p->n_features), "gauc_valid",
                     number(p->gauc_valid), "gauc", number(p->gauc.mean), "gauc_lo", number(p->gauc.lo),
                     "gauc_hi", number(p->gauc.hi), "p50_us", number(p->p50_us), "p99_us", number(p->p99_us),
                     "qps", number(p->qps), "usable_qps", number(p->usable_qps), "usable_limit_ms",
                     number(p->usable_limit_ms), "verdict", p->verdict, "usable_verdict", p->usable_verdict);
}

static json_t *difference_json(const struct difference *d) {
    if (!d->seeds) return json_null();
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "variant", d->group->variant, "features",
                     d->group->features, "precision", d->precision, "difference", number(d->value), "lo",
                     number(d->lo), "hi", number(d->hi), "seeds_lo", number(d->seeds_lo), "seeds_hi",
                     number(d->seeds_hi));
}

static json_t *choice_json(const struct study *s, const struct choice *c) {
    json_t *like = json_array(), *same = json_array();
    for (size_t i = 0; i < c->n_same; i++) json_array_append_new(same, point_json(s, c->same[i]));
    for (size_t i = 0; i < c->like.n; i++) json_array_append_new(like, difference_json(&c->like.d[i]));
    struct str text = STR_INIT;
    choice_text(s, c, &text);
    json_t *j = json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:s}",
        "candidates", number(c->candidates), "points", (json_int_t)c->points, "fit", (json_int_t)c->fit,
        "doubtful", (json_int_t)c->doubtful, "incomplete", (json_int_t)c->incomplete, "chosen",
        point_json(s, c->pick), "runner_up", point_json(s, c->next), "lead", difference_json(&c->lead),
        "same_scores", same, "unconstrained", point_json(s, c->free), "budget_cost",
        difference_json(&c->budget_cost), "not_told_apart", like, "chosen_on_test", point_json(s, c->by_test),
        "optimism", number(c->pick ? c->optimism : (double)NAN), "closest",
        c->pick ? json_null() : point_json(s, c->closest), "qps_of", c->usable ? "usable" : "closed",
        "qps_limit_ms", number(c->usable_limit_ms), "explanation", text.p ? text.p : "");
    str_release(&text);
    return j;
}

int choices_save(const struct study *s, struct err *e) {
    char path[1024];
    struct str budget = STR_INIT, none = STR_INIT;
    TRY(file_join(path, sizeof path, s->dir, "chosen.json", e));
    choices_none_text(s, &none);
    bool said = none.len || none.failed;
    if (!s->choices || (!s->choices->n && !said)) {
        str_release(&none);
        return file_remove_tree(path, e);
    }
    budget_text(&s->tradeoff.budget, &budget);
    json_t *list = json_array();
    for (int i = 0; i < s->choices->n; i++) json_array_append_new(list, choice_json(s, &s->choices->v[i]));
    json_t *j = json_pack("{s:s, s:o, s:s}", "budget", budget.p ? budget.p : "", "choices", list,
                          "explanation", none.p ? none.p : "");
    str_release(&budget);
    str_release(&none);
    int rc = j ? file_write_json(path, j, e) : err_nomem(e, 0);
    json_decref(j);
    return rc;
}
