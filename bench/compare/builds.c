#include "bench/compare/builds.h"
#include "base/file.h"
#include "base/progress.h"
#include "bench/compare/compare.h"
#include "bench/compare/instructions.h"
#include "bench/compare/timing.h"
#include "bench/compare/turns.h"
#include "bench/compare/twins.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 600, TURN = 50, ROUNDS = 4, GROUP = 2 * ROUNDS * TURN };
static const char *const side_name[] = {"old", "new"};

struct command {
    const char *argv[ARGS_MAX];
    size_t n;
    char dir[1024], data[1060], threads[16], costs_of[1024];
};

static void add(struct command *c, const char *text) {
    c->argv[c->n++] = text;
    c->argv[c->n] = NULL;
}

/* "PROGRAM WORD CONFIG --out OUT/old --set data_dir=OUT/old.data ..." */
static int command(const struct builds_task *t, int side, const char *word, struct command *c,
                   struct err *e) {
    c->n = 0;
    if (2 * t->n_set + 40 > ARGS_MAX)
        return err_set(e, ERR_INPUT, "--set stands more than %zu times", t->n_set);
    TRY(file_join(c->dir, sizeof c->dir, t->out, side_name[side], e));
    snprintf(c->data, sizeof c->data, "data_dir=%s.data", c->dir);
    snprintf(c->threads, sizeof c->threads, "%d", t->threads);
    const char *const first[] = {t->program[side], word,    t->config,   "--out",   c->dir,
                                 "--set",          c->data, "--threads", c->threads};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) add(c, first[i]);
    for (size_t i = 0; i < t->n_set; i++) {
        add(c, "--set");
        add(c, t->set[i]);
    }
    return 0;
}

/* Its stdout is not ours. That nothing fits the budget (ERR_MEASURE) is not asked here: the results are whole. */
static int run_program(const char *const *argv, struct err *e) {
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        if (!freopen("/dev/null", "w", stdout)) _exit(126);
        execvp(argv[0], (char *const *)argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (interrupt_seen()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    int code = child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (!code || code == ERR_MEASURE) return 0;
    return err_set(e, ERR_INPUT, "%s %s %s: ended with status %d", argv[0], argv[1], argv[2], code);
}

/* An earlier comparison's results: they may be another experiment's. */
static int forget(const char *dir, struct err *e) {
    char manifest[1060];
    TRY(file_join(manifest, sizeof manifest, dir, "manifest.json", e));
    return file_exists(manifest) ? file_remove_tree(dir, e) : 0;
}

/* Costs of fields are times: two programs that measured their own would choose other fields. NEW ranks by OLD's. */
static int share_costs(const struct builds_task *t, struct command *c, struct err *e) {
    char manifest[1060];
    json_t *j;
    TRY(file_join(c->costs_of, sizeof c->costs_of, t->out, side_name[0], e));
    TRY(file_join(manifest, sizeof manifest, c->costs_of, "manifest.json", e));
    TRY(file_read_json(manifest, &j, e));
    bool ranked_by_costs = json_object_size(json_object_get(j, "field_costs")) > 0;
    json_decref(j);
    if (!ranked_by_costs) return 0;
    add(c, "--costs-of");
    add(c, c->costs_of);
    return 0;
}

/* What it measures alone is not used; a few requests of the closed loop, so that compute.csv has its counts. */
static int train(const struct builds_task *t, int side, char dir[1024], struct err *e) {
    struct command c;
    TRY(command(t, side, "run", &c, e));
    static const char *const more[] = {"--no-report", "--quiet",
                                       "--set",       "measure.requests=10",
                                       "--set",       "measure.min_seconds=0",
                                       "--set",       "measure.load=closed"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) add(&c, more[i]);
    if (t->instructions && instructions_possible()) add(&c, "--instructions");
    if (side) TRY(share_costs(t, &c, e));
    snprintf(dir, 1024, "%s", c.dir);
    TRY(forget(dir, e));
    progress_note("%s: training", t->program[side]);
    return run_program(c.argv, e);
}

/* ---- one group ---- */

struct bench {
    const struct builds_task *t;
    struct timing *timing;
    const struct side *side; /* [2] */
    struct turns turns[2];
    int twin[TURNS_POINTS_MAX]; /* of each point of OLD's: NEW's number of it; -1: none */
    int64_t took_ns[2][GROUP];
    struct progress bar;
    struct err *e;
};

static int same_points(struct bench *b) {
    if (!b->turns[0].n_points)
        return err_set(
            b->e, ERR_INPUT,
            "%s: has no response times to compare (measure.candidates is empty); run both programs "
            "and compare the two results folders",
            b->t->config);
    if (twins_find(&b->side[0], &b->side[1], &b->turns[0], &b->turns[1], b->twin)) return 0;
    return err_set(b->e, ERR_INPUT, "%s and %s measure different points of %s", b->t->program[0],
                   b->t->program[1], b->t->config);
}

/* A B B A, or B A A B in every other group. */
static int measure_point(struct bench *b, int group, int point) {
    int64_t ignored[TURN];
    const int number[] = {point, b->twin[point]};
    for (int k = 0; k < 2; k++) TRY(turns_take(&b->turns[k], number[k], TURN, ignored, b->e));
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 4; i++) {
            int side = ((i == 1 || i == 2) + group) % 2;
            int64_t *to = b->took_ns[side] + round * 2 * TURN + (i >= 2) * TURN;
            if (interrupt_seen()) return err_set(b->e, ERR_INTERRUPTED, "interrupted");
            TRY(turns_take(&b->turns[side], number[side], TURN, to, b->e));
        }
    return timing_add(b->timing, point, b->took_ns[0], b->took_ns[1], GROUP, b->e);
}

static int start_pair(struct bench *b, int group) {
    struct command c;
    for (int i = 0; i < 2; i++) {
        int side = (i + group) % 2;
        TRY(command(b->t, side, "turns", &c, b->e));
        TRY(turns_start(&b->turns[side], c.argv, b->e));
    }
    TRY(same_points(b));
    if (b->timing->point) return 0; /* named by the first group */
    TRY(timing_name(b->timing, b->turns[0].name, b->turns[0].n_points, b->e));
    for (int p = 0; p < b->turns[0].n_points; p++)
        b->timing->point[p].skip = chosen_note(twins_chosen(&b->side[0], &b->side[1], b->turns[0].name[p]));
    return 0;
}

static int run_group(struct bench *b, int group, const bool *wanted) {
    int rc = start_pair(b, group);
    for (int p = 0; !rc && p < b->turns[0].n_points; p++)
        if (b->twin[p] >= 0 && (!wanted || wanted[p])) rc = measure_point(b, group, p);
    for (int k = 0; k < 2; k++) {
        if (rc)
            turns_abandon(&b->turns[k]);
        else
            rc = turns_end(&b->turns[k], b->e);
    }
    return rc;
}

/* wanted: NULL for all points. */
static int run_groups(const struct builds_task *t, const struct side *side, struct timing *timing,
                      const bool *wanted, struct err *e) {
    struct bench *b = mem_calloc(1, sizeof *b);
    if (!b) return err_nomem(e, sizeof *b);
    *b = (struct bench){
        .t = t, .timing = timing, .side = side, .turns = {{.child = -1}, {.child = -1}}, .e = e};
    progress_start(&b->bar, wanted ? "measuring again" : "measuring in turns", (uint64_t)t->groups);
    int rc = 0;
    for (int group = 0; group < t->groups && !rc; group++) {
        rc = run_group(b, group, wanted);
        progress_at(&b->bar, (uint64_t)group + 1, NULL);
    }
    progress_end(&b->bar, rc ? "stopped" : NULL);
    mem_free(b);
    return rc;
}

/* ---- judgement ---- */

static bool in_question(const struct gate *g) {
    return g->verdict == GATE_REGRESSED || g->verdict == GATE_UNDECIDED;
}

/* The points with a time that is a regression or undecided; false when there is none. */
static bool to_repeat(const struct comparison *c, size_t first, bool *wanted) {
    bool any = false;
    for (size_t i = first; i < c->n; i++)
        if (in_question(&c->gate[i])) any = wanted[(i - first) / TIMING_METRICS] = true;
    return any;
}

/* What was a regression must be one in the second measurement alone; what was undecided is judged by both together. */
static int judge_again(const struct timing *timing, struct comparison *c, size_t first, struct err *e) {
    for (size_t i = first; i < c->n; i++) {
        struct gate *g = &c->gate[i];
        int point = (int)((i - first) / TIMING_METRICS), metric = (int)((i - first) % TIMING_METRICS);
        bool was = g->verdict == GATE_REGRESSED;
        double said = g->worse;
        if (!in_question(g)) continue;
        TRY(timing_gate(timing, point, metric, was ? timing->groups / 2 : 0, g, e));
        g->verdict = GATE_OPEN;
        *g->note = '\0';
        if (was) snprintf(g->note, sizeof g->note, "measured twice; the first time %+.1f %%", 100 * said);
    }
    return comparison_judge(c, e);
}

static int compare_times(const struct builds_task *t, const struct side *side, struct comparison *c,
                         struct err *e) {
    struct timing timing;
    timing_init(&timing, 2 * t->groups);
    size_t first = c->n;
    int rc = run_groups(t, side, &timing, NULL, e);
    if (!rc) rc = timing_gates(&timing, c, e);
    if (!rc) rc = comparison_judge(c, e);
    bool *wanted = rc ? NULL : mem_calloc((size_t)timing.n_points + 1, sizeof *wanted);
    if (!rc && !wanted) rc = err_nomem(e, 0);
    if (!rc && to_repeat(c, first, wanted)) {
        rc = run_groups(t, side, &timing, wanted, e);
        if (!rc) rc = judge_again(&timing, c, first, e);
    }
    mem_free(wanted);
    timing_release(&timing);
    return rc;
}

int compare_builds(const struct builds_task *t, struct comparison *c, struct err *e) {
    char dir[2][1024];
    for (int side = 0; side < 2; side++) TRY(train(t, side, dir[side], e));
    TRY(compare_folders(dir[0], dir[1], c, e));
    c->base = arena_strdup(&c->arena, t->program[0]);
    c->new = arena_strdup(&c->arena, t->program[1]);
    if (!c->base || !c->new) return err_nomem(e, 0);
    struct side side[] = {{.dir = NULL}, {.dir = NULL}};
    int rc = side_open(&side[0], dir[0], e);
    if (!rc) rc = side_open(&side[1], dir[1], e);
    if (!rc) rc = compare_times(t, side, c, e);
    for (int k = 0; k < 2; k++) side_close(&side[k]);
    return rc;
}
