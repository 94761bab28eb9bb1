/* Every variant with every loss, through the program: it trains, with a loss that is finite and falls, or it is refused with
 * its position and the reason. */
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(matrix, .init = setup, .fini = teardown, .timeout = 120);

static const struct {
    const char *name, *options;
    bool product; /* the score is one inner product of a user's and an item's vector */
    bool hidden;  /* has a last hidden layer */
} variant[] = {
    {"dssm", "hidden: [8, 4]", true, true},
    {"dssm", "hidden: [8, 4], normalize: true, temperature: 0.1, batch_norm: true, dropout: 0.1", true, true},
    {"senet", "hidden: [8, 4], gate: sigmoid", true, true},
    {"parallel", "hidden: [8], d: 4", true, true},
    {"parallel", "channels: [fm]", true, false},
    {"dat", "hidden: [8, 4], category: i0", true, true}, /* mimics, and aligns categories */
    {"inttower", "hidden: [8, 4], heads: 2, head_dim: 4", false, false},
    {"mlp", "hidden: [8, 4]", false, true},
    {"dcn", "hidden: [8, 4]", false, true},
    {"din", "hidden: [8, 4]", false, true},
    {"cold", "hidden: [8, 4]", false, true},
};
static const struct {
    const char *text;
    bool softmax, feature, full; /* full: decay of the whole table with lazy updates */
} loss[] = {
    {"loss: bce", false, false, false},
    {"loss: in_batch", true, false, false},
    {"loss: {kind: in_batch, log_q: false}", true, false, false},
    {"loss: {kind: in_batch, hard_negatives: 2}", true, false, false},
    {"loss: {kind: uniform, temperature: 0.5}", true, false, false},
    {"loss: {kind: popularity, power: 0.5}", true, false, false},
    {"loss: {kind: mixed, negatives: 2, hard_negatives: 1}", true, false, false},
    {"distill: teacher", false, false, false},
    {"distill: {teacher: teacher, weight: 0, feature: 0.5}", false, true, false},
    {"loss: mixed, distill: {teacher: teacher, weight: 0.3}", true, false, false},
    {"loss: in_batch, distill: {teacher: teacher, feature: 0.5}", true, true, false},
    {"train: {embedding_l2: 0.001, embedding_decay: lazy}", false, false, false},
    {"train: {embedding_l2: 0.001, embedding_decay: full}", false, false, true},
    {"loss: mixed, train: {embedding_l2: 0.001, embedding_decay: full}", true, false, true},
    {"train: {embedding_l2: 0.001, embedding_decay: full, embedding_update: dense}", false, false, false},
    {"loss: mixed, train: {embedding_l2: 0.001, embedding_update: dense}", true, false, false},
};
enum { VARIANTS = sizeof variant / sizeof *variant, LOSSES = sizeof loss / sizeof *loss };

/* Why a combination makes no sense; NULL: it does. */
static const char *reason(int v, int l) {
    if (loss[l].feature && !variant[v].hidden) return "this model has none";
    if (loss[l].softmax && !variant[v].product) return "takes two towers that meet in one inner product";
    return loss[l].full ? "needs `embedding_update: dense`" : NULL;
}

/* Those that make sense, or all. Line 1 of the list is the teacher. */
static void write_list(bool all) {
    static const char begin[] =
        "train: {batch: 128, slice: 64, epochs: 5, patience: 0, learning_rate: 0.01}\n"
        "measure: {candidates: []}\nvariants:\n  - mlp: {id: teacher, hidden: [8]}\n";
    static char text[64 * 1024];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", begin);
    for (int v = 0; v < VARIANTS; v++)
        for (int l = 0; l < LOSSES; l++)
            if (all || !reason(v, l))
                n += (size_t)snprintf(text + n, sizeof text - n, "  - %s: {id: v%d-l%d, %s, %s}\n",
                                      variant[v].name, v, l, variant[v].options, loss[l].text);
    cr_assert_lt(n, sizeof text);
    const char *plan = small_experiment(&s, 1500, text), *derive = strstr(plan, "    x: {kind");
    char *with_history = arena_alloc(&s.arena, strlen(plan) + 100); /* which din reads */
    sprintf(with_history, "%.*s    recent: {kind: recent, of: item_id, n: 5}\n%s", (int)(derive - plan), plan,
            derive);
    scratch_write(&s, "x.yaml", with_history);
}

static int line_of(const char *text, const char *what) {
    const char *at = strstr(text, what);
    int line = 1;
    cr_assert(at);
    for (const char *c = text; c < at; c++) line += *c == '\n';
    return line;
}

Test(matrix, what_makes_no_sense_is_refused_where_it_stands_and_nothing_else) {
    size_t refused = 0;
    write_list(true);
    const char *text = scratch_read(&s, "x.yaml");
    struct ran r = prerank(&s, "check %s/x.yaml", s.dir);
    cr_assert_eq(r.status, 2, "%s", r.err);
    for (int v = 0; v < VARIANTS; v++)
        for (int l = 0; l < LOSSES; l++) {
            char id[32], place[32];
            snprintf(id, sizeof id, "id: v%d-l%d,", v, l);
            snprintf(place, sizeof place, "x.yaml:%d:", line_of(text, id));
            const char *at = strstr(r.err, place), *end = at ? strchr(at, '\n') : NULL;
            if (!reason(v, l)) {
                cr_expect_null(at, "%s with %s: %.300s", variant[v].name, loss[l].text, at);
                continue;
            }
            refused++;
            const char *why = at ? strstr(at, reason(v, l)) : NULL;
            cr_expect(why && why < end, "%s with %s: %.300s", variant[v].name, loss[l].text,
                      at ? at : "trains");
        }
    cr_expect_eq(count_lines(r.err), refused, "no more than that is refused");
}

static double loss_at(const char *curves, int v, int l, int epoch) {
    char key[64];
    snprintf(key, sizeof key, "variant=v%d-l%d,seed=1,epoch=%d", v, l, epoch);
    return atof(cell(&s, curves, key, "train_loss"));
}

Test(matrix, everything_else_learns) {
    write_list(false);
    struct ran r = prerank(&s, "run %s/x.yaml --quiet --no-report --out %s/out", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    const char *curves = scratch_read(&s, "out/curves.csv");
    for (int v = 0; v < VARIANTS; v++)
        for (int l = 0; l < LOSSES; l++) {
            if (reason(v, l)) continue;
            /* the lowest of the later epochs: what dat's vectors mimic moves while they learn */
            double first = loss_at(curves, v, l, 1), lowest = INFINITY;
            for (int epoch = 2; epoch <= 5; epoch++) {
                double now = loss_at(curves, v, l, epoch);
                cr_expect(isfinite(now));
                lowest = now < lowest ? now : lowest;
            }
            cr_expect_lt(lowest, first, "%s with %s: loss %g after one epoch, then %g", variant[v].name,
                         loss[l].text, first, lowest);
        }
    cr_expect_null(strstr(scratch_read(&s, "out/effect.csv"), ",failed,"));
}
