/* Checks of measure: that look at more than one option. */
#include "base/progress.h"
#include "bench/load/spread.h"
#include "bench/run/experiment.h"
#include <string.h>

static bool asked(const struct measure_options *o, int load) {
    for (int i = 0; i < o->load.n; i++)
        if (o->load.v[i] == load) return true;
    return false;
}

static void check_ranker(const struct experiment *x, const struct conf *at, struct problems *p) {
    const char *known[128];
    size_t n = 0;
    if (!*x->measure.ranker || !x->n_variants) return;
    for (int v = 0; v < x->n_variants; v++) {
        if (!strcmp(x->variant[v].id, x->measure.ranker)) return;
        if (n < sizeof known / sizeof *known) known[n++] = x->variant[v].id;
    }
    problems_unknown(p, at,
                     "measure: `ranker` must be the id of a variant of this experiment:", x->measure.ranker,
                     known, n);
}

void experiment_check_loads(const struct experiment *x, const struct conf *at, struct problems *p) {
    const struct measure_options *o = &x->measure;
    struct err e = ERR_INIT;
    struct spread size;
    if (*o->candidates_from && spread_read(o->candidates_from, &size, &e))
        problems_add(p, at, "measure: `candidates_from`: %s", e.msg);
    if (*o->candidates_from && !o->candidates.n)
        problems_add(p, at, "measure: `candidates_from` is one more point; `candidates` must not be empty");
    if (!asked(o, LOAD_CLOSED))
        problems_add(p, at, "measure: `load` must name closed too, which the trade-off is drawn from");
    if (asked(o, LOAD_USABLE) && !(o->limit_ms > 0))
        problems_add(p, at, "measure: the load `usable` needs a latency limit; set `limit_ms`");
    if (asked(o, LOAD_OPEN) && !o->offered_qps.n && !o->utilisation.n)
        problems_add(p, at, "measure: the load `open` needs rates; set `offered_qps` or `utilisation`");
    if (o->threads && o->servers > o->threads)
        problems_add(p, at, "measure: %lld `servers` need as many `threads`, and those are %lld",
                     (long long)o->servers, (long long)o->threads);
    check_ranker(x, at, p);
}

void experiment_note_budget(const struct experiment *x) {
    const struct measure_options *o = &x->measure;
    struct budget b;
    bool covered = false;
    if (budget_parse(&x->select.subject_to, &b, NULL)) return;
    for (int i = 0; i < o->candidates.n; i++) covered |= budget_covers(&b, (double)o->candidates.v[i]);
    if ((b.n || o->limit_ms > 0) && !covered)
        progress_note(
            "no number of `measure.candidates` is one that the budget is about: no model will fit it, and "
            "the exit code will be 3");
    if (asked(o, LOAD_USABLE) && budget_bounds(&b, BUDGET_QPS) && o->limit_ms > budget_most(&b, BUDGET_P99))
        progress_note("usable QPS will be those at `measure.limit_ms` %g, and the budget's p99 is tighter: "
                      "measure.limit_ms=%g would be of the same limit",
                      o->limit_ms, budget_most(&b, BUDGET_P99));
}
