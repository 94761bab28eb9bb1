#include "base/mem.h"
#include "data/synth.h"
#include "metrics/metrics.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct err e;

static struct source *opened(const char *options) {
    struct arena a = ARENA_INIT;
    struct conf *map;
    struct source *s = NULL;
    cr_assert_eq(conf_parse("x.yaml", options, strlen(options), &a, &map, &e), 0, "%s", e.msg);
    cr_assert_eq(synth_open(map, &s, &e), 0, "%s", e.msg);
    arena_release(&a);
    return s;
}

static const struct cell *next(struct source *s) {
    const struct cell *row;
    int got;
    cr_assert_eq(source_next(s, &row, &got, &e), 0);
    return got ? row : NULL;
}

static void assert_refused(const char *options, const char *message) {
    struct arena a = ARENA_INIT;
    struct conf *map;
    struct source *s;
    cr_assert_eq(conf_parse("x.yaml", options, strlen(options), &a, &map, &e), 0, "%s", e.msg);
    cr_expect_eq(synth_open(map, &s, &e), ERR_INPUT, "accepted %s", options);
    cr_expect(strstr(e.msg, message), "wanted %s\ngot    %s", message, e.msg);
    arena_release(&a);
}

Test(synth, has_the_columns_that_the_options_ask_for) {
    struct source *s =
        opened("{rows: 3, user_fields: [1], item_fields: [1, 2], pair_effects: 1, noise_item_fields: 0}");
    static const char *const names[] = {"user_id", "item_id", "ts", "u0",    "nu0",
                                        "nu1",     "i0",      "i1", "label", "bayes_p"};
    cr_assert_eq(source_columns(s), 10);
    for (int i = 0; i < 10; i++) cr_expect_str_eq(source_name(s, i), names[i]);
    for (int r = 0; r < 3; r++) cr_assert_not_null(next(s));
    cr_assert_str_eq(source_where(s), "synthetic row 2");
    uint64_t done, total;
    source_progress(s, &done, &total);
    cr_assert(done == 3 && total == 3);
    cr_assert_null(next(s));
    cr_assert_null(next(s));
    source_close(s);
}

Test(synth, refuses_options_that_cannot_be) {
    assert_refused("{row: 3}", "unknown key `row`");
    assert_refused("{positive_rate: 0}", "between 0.001 and 0.999");
    assert_refused("{user_fields: [-1]}", "between 0 and 1000");
    assert_refused("{user_fields: [], pair_effects: 1}",
                   "x.yaml:1:33: `synthetic`: `pair_effects` must be at most 0");
    assert_refused("{item_fields: [], pair_effects: 0, drift: 1}", "`drift` needs");
}

/* Cells of both sources are equal for `rows` rows. */
static void assert_same_rows(struct source *a, struct source *b, int rows) {
    for (int r = 0; r < rows; r++) {
        const struct cell *x = next(a), *y = next(b);
        for (int c = 0; c < source_columns(a); c++) cr_assert_str_eq(x[c].p, y[c].p, "row %d, cell %d", r, c);
    }
}

Test(synth, a_row_depends_on_the_seed_and_its_number_only) {
    struct source *a = opened("{rows: 5000, seed: 7, drift: 2}"),
                  *b = opened("{rows: 50, seed: 7, drift: 2}");
    assert_same_rows(a, b, 50);
    source_close(b);
    b = opened("{rows: 1000, first: 50, seed: 7, drift: 2}");
    assert_same_rows(a, b, 1000);
    cr_assert_null(next(b));
    cr_assert_str_eq(source_where(b), "synthetic row 1049");
    source_close(a);
    source_close(b);
}

Test(synth, another_seed_gives_other_rows) {
    struct source *a = opened("{rows: 100, seed: 1}"), *b = opened("{rows: 100, seed: 2}");
    int same = 0;
    for (int r = 0; r < 100; r++) same += !strcmp(next(a)[0].p, next(b)[0].p);
    cr_assert_lt(same, 10);
    source_close(a);
    source_close(b);
}

/* ---- statistics of a log ---- */

enum { MAX_ROWS = 200000, MAX_COLUMNS = 32, VOCAB = 50 };
struct log {
    size_t n;
    int columns;
    uint32_t *v[MAX_COLUMNS]; /* every column but bayes_p */
    uint8_t *label;
    float *p;
};

static int read_log(struct log *g, const char *options) {
    struct source *s = opened(options);
    const struct cell *row;
    g->n = 0;
    g->columns = source_columns(s);
    for (int c = 0; c < g->columns; c++) g->v[c] = mem_alloc(MAX_ROWS * 4);
    g->label = mem_alloc(MAX_ROWS);
    g->p = mem_alloc(MAX_ROWS * 4);
    while ((row = next(s))) {
        for (int c = 0; c + 1 < g->columns; c++) g->v[c][g->n] = (uint32_t)strtoul(row[c].p, NULL, 10);
        g->label[g->n] = row[g->columns - 2].p[0] == '1';
        g->p[g->n++] = strtof(row[g->columns - 1].p, NULL);
    }
    int u0 = source_column(s, "u0");
    source_close(s);
    return u0;
}

static void free_log(struct log *g) {
    for (int c = 0; c < g->columns; c++) mem_free(g->v[c]);
    mem_free(g->label);
    mem_free(g->p);
}

/* AUC, on the second half of the rows, of scoring by the mean label of the column's value in the first half. */
static double auc_of_column(const struct log *g, int c) {
    double sum[VOCAB] = {0}, count[VOCAB] = {0}, auc;
    size_t half = g->n / 2;
    float *score = mem_alloc(g->n * sizeof *score);
    for (size_t i = 0; i < half; i++) {
        sum[g->v[c][i]] += g->label[i];
        count[g->v[c][i]]++;
    }
    for (size_t i = half; i < g->n; i++) score[i] = (float)((sum[g->v[c][i]] + 1) / (count[g->v[c][i]] + 3));
    cr_assert_eq(metric_auc(score + half, g->label + half, g->n - half, &auc), 0);
    mem_free(score);
    return auc;
}

Test(synth, labels_follow_bayes_p_and_the_positive_rate) {
    struct log g;
    read_log(&g, "{rows: 200000, positive_rate: 0.2}");
    double y = 0, p = 0, variance = 0;
    for (size_t i = 0; i < g.n; i++) {
        cr_assert(g.p[i] >= 0 && g.p[i] <= 1);
        y += g.label[i];
        p += g.p[i];
        variance += g.p[i] * (1 - g.p[i]);
    }
    cr_assert_float_eq(p / (double)g.n, 0.2, 0.005);
    cr_assert_lt(fabs(y - p), 4 * sqrt(variance)); /* four standard deviations of a sum of Bernoullis */
    double ece;
    cr_assert_eq(metric_ece(g.p, g.label, g.n, 15, &ece, NULL), 0);
    cr_assert_lt(ece, 0.005);
    free_log(&g);
}

Test(synth, strengths_can_be_recovered_and_bayes_p_is_best) {
    struct log g;
    int u0 = read_log(
        &g, "{rows: 200000, zipf: 0, user_fields: [8, 4, 2], item_fields: [8, 4, 2], pair_effects: 2}");
    double bayes, auc[10]; /* u0 u1 u2 nu0 nu1 i0 i1 i2 ni0 ni1 */
    cr_assert_eq(metric_auc(g.p, g.label, g.n, &bayes), 0);
    for (int f = 0; f < 10; f++) auc[f] = auc_of_column(&g, u0 + f);
    cr_expect_gt(bayes, 0.75);
    for (int f = 0; f < 10; f++) cr_expect_gt(bayes, auc[f] + 0.05);
    for (int side = 0; side < 10; side += 5) {
        cr_expect_gt(auc[side], auc[side + 1] + 0.02, "field %d: %f, next %f", side, auc[side],
                     auc[side + 1]);
        cr_expect_gt(auc[side + 1], auc[side + 2] + 0.01, "%f, next %f", auc[side + 1], auc[side + 2]);
        cr_expect_gt(auc[side + 2], 0.52);
    }
    free_log(&g);
}

/* The strength is the standard deviation of what a field adds to the logit, also when few items make most of the rows: the sum
 * of squares of the three is the variance of the logit without pair effects. */
Test(synth, strength_is_in_tenths_of_a_logit) {
    struct log g;
    static const char *const options[] = {
        "{rows: 200000, user_fields: [9, 3], item_fields: [6], pair_effects: 0, zipf: 0}",
        "{rows: 200000, user_fields: [9], item_fields: [6], pair_effects: 0, zipf: 1.5, items: 100}"};
    for (int k = 0; k < 2; k++) {
        double sum = 0, squares = 0;
        read_log(&g, options[k]);
        for (size_t i = 0; i < g.n; i++) {
            double z = log(g.p[i] / (1 - g.p[i]));
            sum += z / (double)g.n;
            squares += z * z / (double)g.n;
        }
        cr_expect_float_eq(squares - sum * sum, k ? 0.81 + 0.36 : 0.81 + 0.09 + 0.36, 0.03);
        free_log(&g);
    }
}

Test(synth, noise_fields_say_nothing) {
    struct log
        g; /* many items of equal weight, or the few popular ones would make a noise value informative */
    int u0 = read_log(&g, "{rows: 200000, users: 1M, items: 1M, zipf: 0}");
    for (int f = 3; f < 10; f += f == 4 ? 4 : 1)
        cr_expect_float_eq(auc_of_column(&g, u0 + f), 0.5, 0.01, "field %d", f);
    free_log(&g);
}

/* Chi-square over the cells of two fields: independent draws give about (VOCAB - 1)^2 = 2401, sd 69. */
static double chi_square(const struct log *g, int a, int b) {
    static double count[VOCAB][VOCAB], row[VOCAB], column[VOCAB];
    memset(count, 0, sizeof count);
    memset(row, 0, sizeof row);
    memset(column, 0, sizeof column);
    for (size_t i = 0; i < g->n; i++) {
        count[g->v[a][i]][g->v[b][i]]++;
        row[g->v[a][i]]++;
        column[g->v[b][i]]++;
    }
    double x2 = 0;
    for (int i = 0; i < VOCAB; i++)
        for (int k = 0; k < VOCAB; k++) {
            double want = row[i] * column[k] / (double)g->n, d = count[i][k] - want;
            x2 += d * d / want;
        }
    return x2;
}

Test(synth, fields_are_independent_of_each_other) {
    struct log g;
    int u0 = read_log(&g, "{rows: 200000, users: 1G, items: 1G, zipf: 0}");
    for (int a = 0; a < 10; a++)
        for (int b = 0; b < a; b++) {
            double x2 = chi_square(&g, u0 + a, u0 + b);
            cr_expect(fabs(x2 - 2401) < 5 * 69, "fields %d and %d: %f", a, b, x2);
        }
    free_log(&g);
}

Test(synth, a_users_fields_never_change) {
    struct log g;
    int u0 = read_log(&g, "{rows: 20000, users: 100, items: 100}");
    for (size_t i = 1; i < g.n; i++)
        for (size_t k = i > 200 ? i - 200 : 0; k < i; k++) {
            if (g.v[0][i] == g.v[0][k])
                for (int f = 0; f < 5; f++) cr_assert_eq(g.v[u0 + f][i], g.v[u0 + f][k]);
            if (g.v[1][i] == g.v[1][k])
                for (int f = 5; f < 10; f++) cr_assert_eq(g.v[u0 + f][i], g.v[u0 + f][k]);
        }
    free_log(&g);
}

Test(synth, time_rises_strictly_and_users_are_all_drawn_alike) {
    struct log g;
    double count[51] = {0}, x2 = 0;
    read_log(&g, "{rows: 100000, users: 50}");
    for (size_t i = 0; i < g.n; i++) {
        cr_assert(g.v[0][i] >= 1 && g.v[0][i] <= 50);
        count[g.v[0][i]]++;
        if (i) cr_assert_gt(g.v[2][i], g.v[2][i - 1]);
    }
    for (int u = 1; u <= 50; u++) x2 += (count[u] - 2000) * (count[u] - 2000) / 2000;
    cr_assert_lt(x2, 49 + 5 * 10); /* 49 degrees of freedom, sd 9.9 */
    free_log(&g);
}

/* Item k is drawn with probability k^-s / sum_j j^-s. */
static void assert_zipf(const char *options, double s, int items) {
    struct log g;
    double *count = mem_calloc((size_t)items + 1, sizeof *count), total = 0, x2 = 0;
    read_log(&g, options);
    for (size_t i = 0; i < g.n; i++) {
        cr_assert(g.v[1][i] >= 1 && g.v[1][i] <= (uint32_t)items);
        count[g.v[1][i]]++;
    }
    for (int k = 1; k <= items; k++) total += pow(k, -s);
    for (int k = 1; k <= items; k++) {
        double want = (double)g.n * pow(k, -s) / total;
        x2 += (count[k] - want) * (count[k] - want) / want;
    }
    cr_expect(fabs(x2 - (items - 1)) <= 5 * sqrt(2.0 * (items - 1)), "%s: %f", options, x2);
    mem_free(count);
    free_log(&g);
}

Test(synth, items_follow_zipfs_law) {
    assert_zipf("{rows: 200000, items: 100, zipf: 1}", 1, 100);
    assert_zipf("{rows: 200000, items: 100, zipf: 0.5}", 0.5, 100);
    assert_zipf("{rows: 200000, items: 40, zipf: 1.7}", 1.7, 40);
    assert_zipf("{rows: 200000, items: 100, zipf: 0}", 0, 100);
    assert_zipf("{rows: 1000, items: 1, zipf: 1}", 1, 1);
    assert_zipf("{rows: 200000, items: 2, zipf: 1}", 1, 2);
}

Test(synth, drift_moves_the_truth) {
    struct log g, h;
    int u0 = read_log(&g, "{rows: 20000, drift: 5, first: 0, pair_effects: 0, items: 100000, zipf: 0}");
    read_log(&h, "{rows: 20000, drift: 5, first: 1M, pair_effects: 0, items: 100000, zipf: 0}");
    double a[VOCAB] = {0}, b[VOCAB] = {0}, n[VOCAB] = {0}, m[VOCAB] = {0}, moved = 0;
    for (size_t i = 0; i < g.n; i++) {
        a[g.v[u0 + 5][i]] += g.p[i];
        n[g.v[u0 + 5][i]]++;
        b[h.v[u0 + 5][i]] += h.p[i];
        m[h.v[u0 + 5][i]]++;
    }
    for (int v = 0; v < VOCAB; v++) moved += fabs(a[v] / n[v] - b[v] / m[v]) / VOCAB;
    cr_assert_gt(moved, 0.2);
    free_log(&g);
    free_log(&h);
}

/* The history of a log, read back from its labels: where one of the user's last n positive rows has the row's value of i0,
 * the logit is higher by the strength than in the log without the effect, whose rows are the same otherwise. */
Test(synth, history_adds_its_strength_where_a_recent_positive_item_is_alike) {
    enum { USERS = 40, N = 3 };
    static uint32_t recent[USERS + 1][N];
    static size_t positives[USERS + 1];
    struct log with, without;
    size_t matches = 0, late = 0;
    int i0 =
        read_log(&with, "{rows: 20000, users: 40, items: 500, history_strength: 1.5, history_length: 3}") + 5;
    read_log(&without, "{rows: 20000, users: 40, items: 500}");
    for (size_t i = 0; i < with.n; i++) {
        uint32_t user = with.v[0][i], value = with.v[i0][i];
        bool match = false;
        cr_assert(user == without.v[0][i] && value == without.v[i0][i]);
        for (size_t k = 0; k < N && k < positives[user]; k++) match |= recent[user][k] == value;
        double z = log((double)with.p[i] / (1 - (double)with.p[i])),
               z0 = log((double)without.p[i] / (1 - (double)without.p[i]));
        cr_assert_float_eq(z - z0, match ? 1.5 : 0, 2e-4, "row %zu: %g", i, z - z0);
        matches += match;
        if (with.label[i]) recent[user][positives[user]++ % N] = value;
    }
    cr_expect_gt(matches, 500);
    free_log(&without);
    free_log(&with);
    struct source *whole = opened("{rows: 900, users: 9, history_strength: 2}"),
                  *part = opened("{rows: 200, first: 700, users: 9, history_strength: 2}");
    while (late++ < 700) next(whole);
    assert_same_rows(whole, part, 200);
    source_close(whole);
    source_close(part);
    assert_refused("{item_fields: [], pair_effects: 0, history_strength: 1}", "`history_strength` needs");
}

Test(synth, every_failing_allocation_is_an_error) {
    int failures = 0;
    struct arena a = ARENA_INIT;
    struct conf *map;
    const char *text = "{history_strength: 1}";
    cr_assert_eq(conf_parse("x.yaml", text, strlen(text), &a, &map, &e), 0, "%s", e.msg);
    for (unsigned long long nth = 1;; nth++) {
        struct source *s;
        e = (struct err)ERR_INIT;
        mem_fail_after(nth);
        int rc = synth_open(map, &s, &e);
        mem_fail_after(0);
        source_close(s);
        if (!rc) break;
        cr_assert(strstr(e.msg, "memory"), "%s", e.msg);
        failures++;
    }
    arena_release(&a);
    cr_assert_gt(failures, 5);
}
