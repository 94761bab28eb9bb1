/* compare.h's exact gates on cost: what was counted, not timed. */
#include "bench/compare/chosen.h"
#include "bench/compare/compare.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rows are of the same point when these are equal. Threads and load are not among them: counts do not depend on them. */
static const char *const names[] = {"variant", "features", "precision", "store", "candidates"};
enum { VARIANT, FEATURES, PRECISION, NAMES = sizeof names / sizeof *names };

struct columns {
    int at[NAMES];
};

static struct columns columns_of(const struct table *t) {
    struct columns c;
    for (int i = 0; i < NAMES; i++) c.at[i] = table_column(t, names[i]);
    return c;
}

/* The first row of `b` that is of the point of row `r` of `a` with that feature subset, or b->rows. */
static size_t find_as(const struct table *a, size_t r, const struct table *b, const char *features) {
    struct columns x = columns_of(a), y = columns_of(b);
    for (size_t i = 0; i < b->rows; i++) {
        int k = 0;
        while (k < NAMES &&
               !strcmp(k == FEATURES ? features : table_text(a, r, x.at[k]), table_text(b, i, y.at[k])))
            k++;
        if (k == NAMES) return i;
    }
    return b->rows;
}

static size_t find(const struct table *a, size_t r, const struct table *b) {
    return find_as(a, r, b, table_text(a, r, columns_of(a).at[FEATURES]));
}

/* In NEW's table, which may have the model under the name that its subset was trained under alone. */
static size_t find_new(const struct side *new, const struct table *a, size_t r, const struct table *b) {
    struct columns at = columns_of(a);
    size_t there = find(a, r, b);
    if (there < b->rows) return there;
    return find_as(a, r, b,
                   subsets_trained_as(&new->subsets, table_text(a, r, at.at[VARIANT]),
                                      table_text(a, r, at.at[FEATURES])));
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

/* Does row r of tables.csv tell of that model in that precision? */
static bool is_of(const struct table *t, size_t r, const char *const model[3]) {
    static const char *const column[] = {"variant", "features", "precision"};
    for (int k = 0; k < 3; k++)
        if (strcmp(table_text(t, r, table_column(t, column[k])), model[k]) != 0) return false;
    return true;
}

static bool same_cell(const struct table *a, size_t i, const struct table *b, size_t j, const char *column) {
    return !strcmp(table_text(a, i, table_column(a, column)), table_text(b, j, table_column(b, column)));
}

/* Whether a point's pair fields became tables on one side and not on the other, which `measure.tables: auto` decides by time
 * (tables.csv): then its counts are of two ways to compute the same. */
static bool other_tables(const struct side *base, const struct side *new, size_t row) {
    const struct table *a = &base->tables, *b = &new->tables, *t = &base->compute;
    struct columns at = columns_of(t);
    const char *variant = table_text(t, row, at.at[VARIANT]), *features = table_text(t, row, at.at[FEATURES]),
               *precision = table_text(t, row, at.at[PRECISION]);
    const char *const there[] = {variant, subsets_trained_as(&base->subsets, variant, features), precision};
    const char *const here[] = {variant, subsets_trained_as(&new->subsets, variant, features), precision};
    for (size_t i = 0; i < a->rows; i++) {
        if (!is_of(a, i, there)) continue;
        for (size_t j = 0; j < b->rows; j++)
            if (is_of(b, j, here) && same_cell(a, i, b, j, "layer") && same_cell(a, i, b, j, "field") &&
                !same_cell(a, i, b, j, "chosen"))
                return true;
    }
    return false;
}

struct sides {
    const struct side *base, *new;
};

static int compare_metric(const struct sides *s, struct table *a, struct table *b, const char *metric,
                          struct comparison *c, struct err *e) {
    double *x, *y;
    TRY(table_numbers(a, metric, &x, e));
    TRY(table_numbers(b, metric, &y, e));
    struct columns at = columns_of(a);
    for (size_t r = 0; r < a->rows; r++) {
        if (find(a, r, a) < r) continue; /* the same point under another load */
        size_t other = find_new(s->new, a, r, b);
        struct gate *g = gate_add(c, table_text(a, r, at.at[VARIANT]), table_text(a, r, at.at[FEATURES]),
                                  metric, GATE_EXACT, e);
        if (!g) return ERR_INPUT;
        name_point(a, r, g->point, sizeof g->point);
        g->base = x[r];
        if (other < b->rows) g->new = y[other];
        judge_count(c, g);
        enum chosen chosen = chosen_compare(s->base, s->new, g->variant, g->features);
        if (chosen != CHOSEN_ALIKE) gate_skip(g, chosen_note(chosen));
    }
    return 0;
}

/* Of the gates of compute.csv from `first` on, in the order of its points. */
static void skip_other_tables(const struct side *base, const struct side *new, struct comparison *c,
                              size_t first) {
    const struct table *t = &base->compute;
    for (size_t r = 0; r < t->rows; r++) {
        if (find(t, r, t) < r) continue;
        struct gate *g = &c->gate[first++];
        if (g->verdict == GATE_SAME || g->verdict == GATE_SKIPPED || !other_tables(base, new, r)) continue;
        gate_skip(g, "other pair fields are tables, as measured times had it; measure.tables: all compares");
    }
}

static int compare_instructions(struct side *base, struct side *new, struct comparison *c, struct err *e) {
    bool counted = base->has_instructions && new->has_instructions;
    if (counted && c->same_machine)
        return compare_metric(&(struct sides){base, new}, &base->instructions, &new->instructions,
                              "instructions", c, e);
    struct gate *g = gate_add(c, "all", "all", "instructions", GATE_EXACT, e);
    if (!g) return ERR_INPUT;
    g->verdict = GATE_SKIPPED;
    if (counted)
        snprintf(g->note, sizeof g->note,
                 "another type of machine: other kernels and libraries take other instructions");
    else
        snprintf(g->note, sizeof g->note,
                 "not counted in %s; `prerank run --instructions` does it where valgrind is",
                 base->has_instructions ? c->new : c->base);
    return 0;
}

int compare_costs(struct side *base, struct side *new, struct comparison *c, struct err *e) {
    static const char *const metric[] = {"flops_per_candidate", "bytes_per_candidate", "flops_per_request"};
    for (size_t m = 0; m < sizeof metric / sizeof *metric; m++) {
        size_t gates = c->n;
        TRY(compare_metric(&(struct sides){base, new}, &base->compute, &new->compute, metric[m], c, e));
        skip_other_tables(base, new, c, gates);
    }
    return compare_instructions(base, new, c, e);
}
