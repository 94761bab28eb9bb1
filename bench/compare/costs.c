/* compare.h's exact gates on cost: what was counted, not timed. */
#include "bench/compare/compare.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rows are of the same point when these are equal. Threads and load are not among them: counts do not depend on them. */
static const char *const names[] = {"variant", "features", "precision", "store", "candidates"};
enum { NAMES = sizeof names / sizeof *names };

struct columns {
    int at[NAMES];
};

static struct columns columns_of(const struct table *t) {
    struct columns c;
    for (int i = 0; i < NAMES; i++) c.at[i] = table_column(t, names[i]);
    return c;
}

/* The first row of `b` that is of the point of row `r` of `a`, or b->rows. */
static size_t find(const struct table *a, size_t r, const struct table *b) {
    struct columns x = columns_of(a), y = columns_of(b);
    for (size_t i = 0; i < b->rows; i++) {
        int k = 0;
        while (k < NAMES && !strcmp(table_text(a, r, x.at[k]), table_text(b, i, y.at[k]))) k++;
        if (k == NAMES) return i;
    }
    return b->rows;
}

static void name_point(const struct table *t, size_t r, char *out, size_t cap) {
    struct columns c = columns_of(t);
    snprintf(out, cap, "%s, %s, %s candidates", table_text(t, r, c.at[2]), table_text(t, r, c.at[3]),
             table_text(t, r, c.at[4]));
}

/* Counts are written with nine digits; a difference below that is none. */
static void judge_count(const struct comparison *c, struct gate *g) {
    bool known = !isnan(g->base) && !isnan(g->new);
    g->worse = known && g->base > 0 ? g->new / g->base - 1 : known && g->new > 0 ? (double)INFINITY : 0;
    g->verdict = g->worse > g->margin ? GATE_REGRESSED : g->worse < -g->margin ? GATE_BETTER : GATE_OK;
    if (known && fabs(g->worse) < 1e-8) g->verdict = GATE_SAME;
    if (!known) {
        g->verdict = isnan(g->base) && isnan(g->new) ? GATE_SKIPPED : GATE_UNDECIDED;
        snprintf(g->note, sizeof g->note, "%s has no figure", isnan(g->new) ? c->new : c->base);
    }
}

static int compare_metric(struct table *a, struct table *b, const char *metric, struct comparison *c,
                          struct err *e) {
    double *x, *y;
    TRY(table_numbers(a, metric, &x, e));
    TRY(table_numbers(b, metric, &y, e));
    struct columns at = columns_of(a);
    for (size_t r = 0; r < a->rows; r++) {
        if (find(a, r, a) < r) continue; /* the same point under another load */
        size_t other = find(a, r, b);
        struct gate *g =
            gate_add(c, table_text(a, r, at.at[0]), table_text(a, r, at.at[1]), metric, GATE_EXACT, e);
        if (!g) return ERR_INPUT;
        name_point(a, r, g->point, sizeof g->point);
        g->base = x[r];
        if (other < b->rows) g->new = y[other];
        judge_count(c, g);
    }
    return 0;
}

static int compare_instructions(struct side *base, struct side *new, struct comparison *c, struct err *e) {
    if (base->has_instructions && new->has_instructions)
        return compare_metric(&base->instructions, &new->instructions, "instructions", c, e);
    struct gate *g = gate_add(c, "all", "all", "instructions", GATE_EXACT, e);
    if (!g) return ERR_INPUT;
    g->verdict = GATE_SKIPPED;
    snprintf(g->note, sizeof g->note,
             "not counted in %s; `prerank run --instructions` does it where valgrind is",
             base->has_instructions ? c->new : c->base);
    return 0;
}

int compare_costs(struct side *base, struct side *new, struct comparison *c, struct err *e) {
    static const char *const metric[] = {"flops_per_candidate", "bytes_per_candidate", "flops_per_request"};
    for (size_t m = 0; m < sizeof metric / sizeof *metric; m++)
        TRY(compare_metric(&base->compute, &new->compute, metric[m], c, e));
    return compare_instructions(base, new, c, e);
}
