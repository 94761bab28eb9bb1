/* gate.h: the gates of a comparison: one figure of one model each, in BASE and in NEW, and what is to be made of the two.
 *
 * Exact gates (kind "exact") compare counts. Statistical ones ("users", "turns") are regressions only when both hold:
 * the lower bound of the 95 % interval of how much worse NEW is exceeds the metric's margin, and the p of the
 * test, corrected over all statistical gates of the comparison (Holm 1979), is at most alpha. The first without the second
 * is undecided; so is a time whose interval is wider than the margin and reaches beyond it.
 *
 *     struct comparison c;
 *     comparison_init(&c);
 *     struct gate *g = gate_add(&c, "mlp", "all", "params", GATE_EXACT, e);       NULL: memory is out
 *     g->base = 120; g->new = 121; g->verdict = GATE_REGRESSED;
 *     TRY(comparison_judge(&c, e));            the statistical gates; again when there are more
 *     int code = comparison_code(&c);          0, ERR_REGRESSION or ERR_MEASURE
 *     comparison_release(&c);
 */
#ifndef PRERANK_BENCH_GATE_H
#define PRERANK_BENCH_GATE_H
#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"
#include <stdbool.h>

/* Margins: how much worse NEW may be. Figures of docs/trust.md stand behind the defaults. */
struct margins {
    double gauc, p50, p99, qps, instructions, alpha;
};
extern const struct opt margin_opts[];

enum gate_kind { GATE_EXACT, GATE_USERS, GATE_TURNS };
enum gate_verdict {
    GATE_OPEN,   /* statistical, and not judged yet */
    GATE_SAME,   /* equal, to the bit where it is a quality */
    GATE_OK,     /* different, but no regression */
    GATE_BETTER, /* lower cost, or higher quality by the same rules that find a regression */
    GATE_REGRESSED,
    GATE_UNDECIDED, /* the measurement cannot tell */
    GATE_SKIPPED    /* nothing to compare it with; the note says why */
};
struct gate {
    const char *variant, *features; /* the model */
    char point[128];                /* "fp32, memory, 1000 candidates"; "" when the figure is the model's */
    const char *metric;
    enum gate_kind kind;
    double base, new;
    /* How much worse NEW is: of a quality the drop, of a time or count the growth as a share of BASE. NaN: none. */
    double worse, lo, hi, margin, p, p_holm;
    double seeds_lo, seeds_hi; /* of a quality, over the seeds: Student's t, for people; NaN with one */
    size_t n;                  /* users or groups behind the interval */
    enum gate_verdict verdict;
    bool settled; /* statistical, but the verdict is whoever's added it, whatever interval and p say */
    char note[240];
    size_t noted; /* of a judged gate: the length of its note without what the judgement added */
};
struct comparison {
    struct arena arena;
    size_t n, room;
    struct gate *gate;
    struct margins margins;
    bool exact; /* a GAUC that is not the same to the bit is a regression */
    bool same_machine, same_program;
    const char *base, *new; /* the folders or programs */
    char about[2][400];     /* version, revision, machine of each */
    size_t models;          /* in both */
};
void comparison_init(struct comparison *c);
void comparison_release(struct comparison *c);
/* The texts are copied. The pointer lives until the next gate_add(). */
struct gate *gate_add(struct comparison *c, const char *variant, const char *features, const char *metric,
                      enum gate_kind kind, struct err *e);
/* Nothing can be said; the note says why. */
void gate_skip(struct gate *g, const char *why);
/* Margin of a metric, as a share for times and counts; 0 for one that has none. */
double gate_margin(const struct margins *m, const char *metric);
/* Corrects the p of the statistical gates and judges those that are not settled, also those that were judged before. */
int comparison_judge(struct comparison *c, struct err *e);
size_t comparison_count(const struct comparison *c, enum gate_verdict v);
int comparison_code(const struct comparison *c); /* exit code */
const char *gate_verdict_name(enum gate_verdict v);
const char *gate_kind_name(enum gate_kind k);

#endif
