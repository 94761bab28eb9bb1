/* The summary of a report in plain words; every claim in it is computed here, none is written by hand. */
#include "bench/report/choice.h"
#include "bench/report/differences.h"
#include "bench/report/html.h"
#include "bench/report/report.h"
#include "bench/report/svg.h"
#include <math.h>
#include <string.h>

static void add_bold(struct str *out, const char *text) {
    str_add(out, "<b>");
    xml_text(out, text);
    str_add(out, "</b>");
}

static void add_group(const struct study *s, const struct effect_group *g, struct str *out) {
    char label[STUDY_LABEL_MAX];
    study_group_label(s, g, label);
    add_bold(out, label);
}

static void add_interval(const struct effect_stat *g, struct str *out) {
    str_addf(out, "%.4f", g->mean);
    if (!isnan(g->lo))
        str_addf(out, " (95&nbsp;%% interval <span class=\"nowrap\">%.4f–%.4f</span>)", g->lo, g->hi);
}

/* A time that no line break parts from its unit. */
static void add_time(double us, struct str *out) {
    char text[24];
    plot_microseconds(text, us);
    str_addf(out, "<span class=\"nowrap\">%s</span>", text);
}

static const struct effect_group *best_group(const struct effect *f, bool on_validation) {
    const struct effect_group *best = NULL;
    double high = -INFINITY;
    for (size_t i = 0; i < f->groups; i++) {
        double v = on_validation ? f->group[i].valid_gauc : f->group[i].metric[EFFECT_GAUC].mean;
        if (!(v > high)) continue;
        high = v;
        best = &f->group[i];
    }
    return best;
}

static void say_best(const struct study *s, const struct effect_group *best, struct str *out) {
    add_group(s, best, out);
    str_add(out, " has the highest GAUC on the test split: ");
    add_interval(&best->metric[EFFECT_GAUC], out);
    str_add(out, ". ");
}

static void say_validation(const struct study *s, const struct effect_group *best, struct str *out) {
    const struct effect_group *valid = best_group(&s->effect, true);
    if (!valid || valid == best) return;
    str_add(out, "On the validation split, where a choice belongs, ");
    add_group(s, valid, out);
    str_add(out, " leads. ");
}

/* From the intervals of the two alone: where there are no predictions by which they could be paired. */
static void say_unpaired(const struct effect_stat *b, const struct effect_stat *t, struct str *out) {
    if (isnan(b->lo) || isnan(t->lo))
        str_add(out, "; without an interval for both, the difference may be chance. ");
    else if (b->lo > t->hi)
        str_add(out, "; the intervals do not overlap. ");
    else
        str_add(out, "; but the intervals overlap, so these runs do not tell the two apart. ");
}

static void add_range(double lo, double hi, const char *over, struct str *out) {
    str_addf(out, "<span class=\"nowrap\">%+.4f … %+.4f</span> over %s", lo, hi, over);
}

/* What stands among the differences, too, where it is corrected for the number of models. */
static void say_paired(const struct difference *d, struct str *out) {
    bool seeds = !isnan(d->seeds_lo), told = d->lo > 0 && (!seeds || d->seeds_lo > 0);
    str_add(out, "; paired, the difference is ");
    add_range(d->lo, d->hi, "users", out);
    if (seeds) {
        str_add(out, " and ");
        add_range(d->seeds_lo, d->seeds_hi, "seeds", out);
    }
    str_add(out, told ? ". " : ", so these runs do not tell the two apart. ");
}

static int say_difference(const struct study *s, const struct effect_group *best, struct str *out,
                          struct err *e) {
    const struct scored base = {(size_t)(s->baseline - s->effect.group), "fp32"},
                        of = {(size_t)(best - s->effect.group), "fp32"};
    struct differences d;
    TRY(differences_against(s, base, &of, 1, &d, e));
    if (d.n)
        say_paired(&d.d[0], out);
    else
        say_unpaired(&best->metric[EFFECT_GAUC], &s->baseline->metric[EFFECT_GAUC], out);
    differences_release(&d);
    return 0;
}

static int say_against(const struct study *s, const struct effect_group *best, struct str *out,
                       struct err *e) {
    const struct effect_group *base = s->baseline;
    if (!base) return 0;
    if (base == best) {
        str_add(out, "It is the two-tower itself: no other model here does better. ");
        return 0;
    }
    const struct effect_stat *b = &best->metric[EFFECT_GAUC], *t = &base->metric[EFFECT_GAUC];
    str_addf(out, "That is %.4f above the two-tower ", b->mean - t->mean);
    add_group(s, base, out);
    str_add(out, " at ");
    add_interval(t, out);
    return say_difference(s, best, out, e);
}

static void say_cost(const struct study *s, const struct effect_group *best, double candidates,
                     struct str *out) {
    const struct tradeoff_point *p = study_point(s, candidates, best),
                                *q = study_point(s, candidates, s->baseline);
    char count[32];
    if (!p) {
        str_add(out, "It was not timed. ");
        return;
    }
    count_text(count, candidates);
    str_addf(out, "A request of %s candidates takes ", count);
    add_group(s, best, out);
    str_add(out, " ");
    add_time(p->p50_us, out);
    if (*p->precision && strcmp(p->precision, "fp32") != 0) str_addf(out, " in %s", p->precision);
    str_add(out, " at the median");
    if (q && q != p && q->p50_us > 0) {
        double ratio = p->p50_us / q->p50_us;
        if (fabs(ratio - 1) < 0.05)
            str_add(out, ", about as long as the two-tower with ");
        else
            str_addf(out, ", %.*f times the two-tower’s ", ratio < 9.95 ? 1 : 0, ratio);
        add_time(q->p50_us, out);
    }
    str_add(out, ". ");
}

enum { FRONT_LISTED = 8 };

static void say_front(const struct study *s, double candidates, struct str *out) {
    const struct tradeoff *t = &s->tradeoff;
    const struct tradeoff_point *listed[FRONT_LISTED];
    size_t front = 0, all = 0, n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct tradeoff_point *p = &t->point[i];
        if (p->candidates != candidates || p->pareto < 0) continue;
        all++;
        if (p->pareto != 1) continue;
        front++;
        if (n == FRONT_LISTED) continue;
        size_t at = n++;
        for (; at > 0 && listed[at - 1]->p50_us > p->p50_us; at--) listed[at] = listed[at - 1];
        listed[at] = p;
    }
    if (all < 2) return;
    str_addf(out, "%zu of the %zu points %s on the Pareto front", front, all, front == 1 ? "is" : "are");
    for (size_t i = 0; front <= FRONT_LISTED && i < n; i++) {
        char label[STUDY_LABEL_MAX];
        study_label(s, listed[i], ~0u, label);
        str_add(out, i ? i + 1 < n ? ", " : " and " : n > 1 ? ", from the fastest to the best: " : ": ");
        xml_text(out, label);
    }
    str_add(out, ". ");
}

static void say_choice(const struct study *s, struct str *out) {
    struct str none = STR_INIT;
    choices_none_text(s, &none);
    if (none.len) str_add(out, "</p>\n<p class=\"warning\">");
    xml_text(out, none.p ? none.p : "");
    out->failed |= none.failed;
    str_release(&none);
    for (int i = 0; s->choices && i < s->choices->n; i++) {
        struct str text = STR_INIT;
        choice_text(s, &s->choices->v[i], &text);
        str_add(out, s->choices->v[i].pick ? "</p>\n<p class=\"choice\">" : "</p>\n<p class=\"warning\">");
        xml_text(out, text.p ? text.p : "");
        out->failed |= text.failed;
        str_release(&text);
    }
}

static void say_doubts(const struct study *s, struct str *out) {
    size_t doubtful = 0, all = 0;
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        all += isnan(s->tradeoff.point[i].candidates) ? 0 : 1;
        doubtful += study_doubtful(&s->tradeoff.point[i]);
    }
    if (doubtful)
        str_addf(out,
                 "%zu of the %zu measurements of response time %s not to be trusted (see the verdicts <a "
                 "href=\"#latency\">below</a>). ",
                 doubtful, all, doubtful == 1 ? "is" : "are");
}

static void say_failures(const struct study *s, struct str *out) {
    size_t failed = 0;
    for (size_t i = 0; i < s->effect.runs; i++) failed += !s->effect.run[i].ok;
    if (failed)
        str_addf(out, "<a href=\"#failed\">%zu of %zu training runs failed</a> and %s in no mean. ", failed,
                 s->effect.runs, failed == 1 ? "is" : "are");
}

int report_summary(const struct study *s, struct str *out, struct err *e) {
    const struct effect_group *best = best_group(&s->effect, false);
    str_add(out, "<p class=\"lead\">");
    if (best) {
        say_best(s, best, out);
        TRY(say_against(s, best, out, e));
        say_validation(s, best, out);
    } else {
        str_add(
            out,
            "No training run was finished with a GAUC on the test split, so there is no model to compare. ");
    }
    if (s->n_candidates) {
        double candidates = s->candidates[s->n_candidates - 1];
        if (best) say_cost(s, best, candidates, out);
        say_front(s, candidates, out);
    } else {
        str_add(out, "No requests were timed, so there is no trade-off to show. ");
    }
    say_doubts(s, out);
    say_failures(s, out);
    say_choice(s, out);
    str_add(out, "</p>\n");
    return 0;
}
