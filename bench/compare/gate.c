#include "bench/compare/gate.h"
#include "metrics/stats.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const struct opt margin_opts[] = {
    OPT_DOUBLE(struct margins, gauc, "0.001", 0, 1, "drop of GAUC that is let pass"),
    OPT_DOUBLE(struct margins, p50, "3", 0, 1000,
               "growth of the median response time that is let pass, in %"),
    OPT_DOUBLE(struct margins, p99, "20", 0, 1000, "growth of the 99th percentile that is let pass, in %"),
    OPT_DOUBLE(struct margins, qps, "12", 0, 1000,
               "loss of throughput that is let pass, in % of time per request"),
    OPT_DOUBLE(struct margins, instructions, "1", 0, 1000,
               "growth of instruction counts that is let pass, in %: addresses change them a little"),
    OPT_DOUBLE(struct margins, alpha, "0.05", 1e-6, 0.5, "largest p, after Holm's correction, that counts"),
    OPT_END};

void comparison_init(struct comparison *c) {
    *c = (struct comparison){.arena = ARENA_INIT};
    opt_defaults(margin_opts, &c->margins);
}

void comparison_release(struct comparison *c) {
    mem_free(c->gate);
    arena_release(&c->arena);
    *c = (struct comparison){.arena = ARENA_INIT};
}

static bool has(const char *metric, const char *name) { return !strncmp(metric, name, strlen(name)); }

void gate_skip(struct gate *g, const char *why) {
    g->verdict = GATE_SKIPPED;
    g->settled = true;
    snprintf(g->note, sizeof g->note, "%s", why);
}

double gate_margin(const struct margins *m, const char *metric) {
    if (has(metric, "gauc")) return m->gauc;
    if (has(metric, "p50")) return m->p50 / 100;
    if (has(metric, "p99")) return m->p99 / 100;
    if (has(metric, "qps")) return m->qps / 100;
    if (has(metric, "instructions")) return m->instructions / 100;
    return 0;
}

struct gate *gate_add(struct comparison *c, const char *variant, const char *features, const char *metric,
                      enum gate_kind kind, struct err *e) {
    if (c->n == c->room) {
        size_t more = c->room ? 2 * c->room : 64;
        struct gate *g = mem_realloc(c->gate, c->n * sizeof *g, more * sizeof *g);
        if (!g) {
            err_nomem(e, more * sizeof *g);
            return NULL;
        }
        c->gate = g;
        c->room = more;
    }
    const double none = (double)NAN;
    struct gate *g = &c->gate[c->n];
    *g = (struct gate){.variant = arena_strdup(&c->arena, variant),
                       .features = arena_strdup(&c->arena, features),
                       .metric = arena_strdup(&c->arena, metric),
                       .kind = kind,
                       .base = none,
                       .new = none,
                       .worse = none,
                       .lo = none,
                       .hi = none,
                       .seeds_lo = none,
                       .seeds_hi = none,
                       .p = none,
                       .p_holm = none,
                       .margin = gate_margin(&c->margins, metric)};
    if (!g->variant || !g->features || !g->metric) {
        err_nomem(e, 0);
        return NULL;
    }
    c->n++;
    return g;
}

static enum gate_verdict undecided(struct gate *g, const char *why) {
    size_t n = strlen(g->note);
    snprintf(g->note + n, sizeof g->note - n, "%s%s", n ? "; " : "", why);
    return GATE_UNDECIDED;
}

/* Whether it is better by the same rules is for people to know; it is never a failure. */
static enum gate_verdict judge(const struct comparison *c, struct gate *g) {
    if (isnan(g->lo) || isnan(g->p)) return undecided(g, "too few samples for an interval");
    if (g->lo > g->margin)
        return g->p_holm <= c->margins.alpha
                   ? GATE_REGRESSED
                   : undecided(g, "beyond the margin, but p is too large: too few groups, or too many gates");
    if (g->kind == GATE_TURNS && g->hi > g->margin && g->hi - g->lo > g->margin)
        return undecided(g, "the machine is too noisy: the interval is wider than the margin");
    return g->hi < -g->margin ? GATE_BETTER : GATE_OK;
}

/* Holm's correction goes over all gates: what was judged before others were added is judged anew. */
static void judge_anew(const struct comparison *c, struct gate *g) {
    if (g->verdict == GATE_OPEN)
        g->noted = strlen(g->note);
    else
        g->note[g->noted] = '\0';
    g->verdict = judge(c, g);
}

int comparison_judge(struct comparison *c, struct err *e) {
    double *p = arena_alloc(&c->arena, (c->n + 1) * sizeof *p);
    if (!p) return err_nomem(e, c->n * sizeof *p);
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->gate[i].kind != GATE_EXACT && !isnan(c->gate[i].p)) p[n++] = c->gate[i].p;
    if (stat_holm(p, n, p)) return err_nomem(e, n * sizeof *p);
    n = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct gate *g = &c->gate[i];
        if (g->kind == GATE_EXACT) continue;
        g->p_holm = isnan(g->p) ? (double)NAN : p[n++];
        if (!g->settled) judge_anew(c, g);
    }
    return 0;
}

size_t comparison_count(const struct comparison *c, enum gate_verdict v) {
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) n += c->gate[i].verdict == v;
    return n;
}

int comparison_code(const struct comparison *c) {
    if (comparison_count(c, GATE_REGRESSED)) return ERR_REGRESSION;
    return comparison_count(c, GATE_UNDECIDED) ? ERR_MEASURE : 0;
}

const char *gate_verdict_name(enum gate_verdict v) {
    static const char *const name[] = {"open", "same", "ok", "better", "REGRESSED", "undecided", "skipped"};
    return name[v];
}

const char *gate_kind_name(enum gate_kind k) {
    static const char *const name[] = {"exact", "users", "turns"};
    return name[k];
}
