/* The result table for a terminal. */
#include "bench/report/choice.h"
#include "bench/report/html.h"
#include "bench/report/report.h"
#include <math.h>
#include <string.h>

enum { COLUMNS = 12, CELL = STUDY_LABEL_MAX };

struct text_table {
    int columns;
    size_t rows;
    bool left[COLUMNS];
    char (*cell)[COLUMNS][CELL]; /* row 0 is the head */
};

static int width(const char *s) { /* code points: the texts here have no wide ones */
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void print_table(const struct text_table *t, FILE *out) {
    int wide[COLUMNS] = {0};
    for (size_t r = 0; r < t->rows; r++)
        for (int c = 0; c < t->columns; c++)
            if (width(t->cell[r][c]) > wide[c]) wide[c] = width(t->cell[r][c]);
    for (size_t r = 0; r < t->rows; r++) {
        int owed = 0; /* spaces are printed before the next text, so that no line ends in them */
        for (int c = 0; c < t->columns; c++) {
            const char *text = t->cell[r][c];
            int pad = wide[c] - width(text);
            owed += c > 1 ? 2 : 0;
            if (!t->left[c]) owed += pad;
            if (*text) {
                fprintf(out, "%*s%s", owed, "", text);
                owed = 0;
            } else {
                owed += width(text);
            }
            if (t->left[c]) owed += pad;
        }
        putc('\n', out);
    }
}

static void gauc_text(const struct effect_stat *g, char out[CELL]) {
    if (isnan(g->mean))
        snprintf(out, CELL, "–");
    else if (isnan(g->lo))
        snprintf(out, CELL, "%.4f", g->mean);
    else
        snprintf(out, CELL, "%.4f ±%.4f", g->mean, (g->hi - g->lo) / 2);
}

static void time_text(double us, char out[CELL]) {
    char text[24];
    plot_microseconds(text, us);
    snprintf(out, CELL, "%s", isnan(us) ? "–" : text);
}

/* The name is cut at what a terminal bears; control characters must not reach it. */
static void plain(char *out, const char *text) {
    text_fit(text, 1, 30, out, CELL);
    for (; *out; out++)
        if ((unsigned char)*out < 32 || *out == 127) *out = ' ';
}

static void fill(const struct study *s, const struct tradeoff_point *p, char cell[COLUMNS][CELL]) {
    char label[STUDY_LABEL_MAX], number[32];
    study_label(s, p, ~(unsigned)STUDY_FEATURES, label);
    snprintf(cell[0], CELL, "%s", p->chosen == 1 ? "> " : p->pareto == 1 ? "* " : "  ");
    plain(cell[1], label);
    plain(cell[2], p->features);
    snprintf(cell[3], CELL, isnan(p->seeds) ? "–" : "%.0f", p->seeds);
    gauc_text(&p->gauc, cell[4]);
    snprintf(cell[5], CELL, isnan(p->auc) ? "–" : "%.4f", p->auc);
    time_text(p->p50_us, cell[6]);
    time_text(p->p99_us, cell[7]);
    count_text(number, p->qps);
    snprintf(cell[8], CELL, "%s", number);
    count_text(number, p->items_per_second);
    snprintf(cell[9], CELL, "%s", number);
    if (study_doubtful(p)) plain(cell[10], p->verdict);
}

static int print_points(const struct study *s, double candidates, FILE *out, struct err *e) {
    static const char *const heads[] = {"",       "model",  "features", "seeds",   "GAUC", "AUC",
                                        "RT p50", "RT p99", "QPS",      "items/s", ""};
    size_t room = s->tradeoff.n + 1;
    struct text_table t = {.rows = 1, .columns = isnan(candidates) ? 6 : 11, .left = {true, true, true}};
    t.left[10] = true;
    t.cell = mem_calloc(room, sizeof *t.cell);
    if (!t.cell) return err_nomem(e, room * sizeof *t.cell);
    for (int c = 0; c < t.columns; c++) snprintf(t.cell[0][c], CELL, "%s", c ? heads[c] : "  ");
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        const struct tradeoff_point *p = s->ranked[i];
        if (p->candidates == candidates || (isnan(p->candidates) && isnan(candidates)))
            fill(s, p, t.cell[t.rows++]);
    }
    print_table(&t, out);
    mem_free(t.cell);
    return 0;
}

static void print_failures(const struct study *s, FILE *out) {
    size_t failed = 0;
    for (size_t i = 0; i < s->effect.runs; i++) failed += !s->effect.run[i].ok;
    if (!failed) return;
    fprintf(out, "\n%zu of %zu runs failed and %s in no mean:\n", failed, s->effect.runs,
            failed == 1 ? "is" : "are");
    for (size_t i = 0; i < s->effect.runs; i++) {
        const struct effect_run *r = &s->effect.run[i];
        char name[3][CELL];
        if (r->ok) continue;
        plain(name[0], r->variant);
        plain(name[1], r->features);
        snprintf(name[2], CELL, "%s", *r->note ? r->note : r->status);
        for (char *p = name[2]; *p; p++)
            if ((unsigned char)*p < 32 || *p == 127) *p = ' ';
        fprintf(out, "  %s, features %s, seed %s: %s\n", name[0], name[1], r->seed, name[2]);
    }
}

/* A paragraph, in lines that a terminal bears; ends the text. */
static void print_paragraph(struct str *text, FILE *out) {
    int at = 0;
    if (text->len) putc('\n', out);
    for (const char *word = text->p; word && *word;) {
        int n = (int)strcspn(word, " ");
        if (at && at + 1 + n > 110) {
            putc('\n', out);
            at = 0;
        }
        at += fprintf(out, "%s%.*s", at ? " " : "", n, word);
        word += n;
        word += strspn(word, " ");
    }
    if (text->len) putc('\n', out);
    str_release(text);
}

static void print_choices(const struct study *s, FILE *out) {
    struct str none = STR_INIT;
    choices_none_text(s, &none);
    print_paragraph(&none, out);
    for (int i = 0; s->choices && i < s->choices->n; i++) {
        struct str text = STR_INIT;
        choice_text(s, &s->choices->v[i], &text);
        print_paragraph(&text, out);
    }
}

int report_print(const struct study *s, FILE *out, struct err *e) {
    char count[32];
    bool untimed = false, chosen = false;
    for (size_t i = 0; i < s->tradeoff.n; i++) {
        untimed |= isnan(s->tradeoff.point[i].candidates);
        chosen |= s->tradeoff.point[i].chosen == 1;
    }
    for (int c = 0; c < s->n_candidates; c++) {
        count_text(count, s->candidates[c]);
        fprintf(out, "%s%s candidates per request\n", c ? "\n" : "", count);
        TRY(print_points(s, s->candidates[c], out, e));
    }
    if (untimed) {
        fprintf(out, "%snot timed\n", s->n_candidates ? "\n" : "");
        TRY(print_points(s, (double)NAN, out, e));
    }
    fprintf(out, "\n");
    if (s->n_candidates) fprintf(out, "* on the Pareto front of GAUC and RT p50   ");
    if (chosen) fprintf(out, "> chosen on validation   ");
    fprintf(out, "± 95 %% interval\n");
    print_choices(s, out);
    print_failures(s, out);
    return 0;
}

int report_table(const char *dir, FILE *out, struct err *e) {
    struct study s;
    TRY(study_load(dir, &s, e));
    int rc = choices_make(&s, e);
    if (!rc) rc = report_print(&s, out, e);
    study_release(&s);
    return rc;
}
