/* Losses and teachers of an experiment, through the program and the trainer. */
#include "base/file.h"
#include "base/rng.h"
#include "bench/run/experiment.h"
#include "bench/run/negatives.h"
#include "data/prepare.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(losses, .init = setup, .fini = teardown, .timeout = 120);

static const char rest[] = "seeds: [1, 2]\n"
                           "train: {batch: 128, slice: 32, epochs: 2, patience: 0, learning_rate: 0.01}\n"
                           "measure: {candidates: []}\n";
static const char times[] = "train_seconds,examples_per_second";

static void write_plan(const char *name, int rows, const char *variants) {
    char text[4096];
    snprintf(text, sizeof text, "%s%s", variants, rest);
    scratch_write(&s, name, small_experiment(&s, rows, text));
}

static void run(const char *fmt, const char *out) {
    char args[300];
    snprintf(args, sizeof args, fmt, out);
    struct ran r = prerank(&s, "run %s/x.yaml --quiet %s", s.dir, args);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
}

static char *path_of(const char *name) {
    char *path = arena_alloc(&s.arena, 1024);
    snprintf(path, 1024, "%s/%s", s.dir, name);
    return path;
}

/* Nanoseconds at which the file was made. */
static int64_t made_at(const char *name) {
    struct stat st;
    cr_assert_eq(stat(path_of(name), &st), 0, "no %s", name);
    return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

static char *effect(const char *dir) {
    char name[100];
    snprintf(name, sizeof name, "%s/effect.csv", dir);
    return without_columns(&s, scratch_read(&s, name), times);
}

/* ---- teachers ---- */

static const char taught[] = "variants:\n"
                             "  - dssm: {hidden: [8, 4]}\n"
                             "  - dssm: {id: none, hidden: [8, 4], distill: {teacher: mlp, weight: 0}}\n"
                             "  - dssm: {id: student, hidden: [8, 4], distill: mlp}\n"
                             "  - dssm: {id: close, hidden: [8, 4], distill: {teacher: mlp, feature: 0.5}}\n"
                             "  - mlp: {id: chain, hidden: [8], distill: {teacher: close, weight: 0.9}}\n";

Test(losses, a_weight_of_0_is_no_distillation_to_the_bit) {
    write_plan("x.yaml", 1500, taught);
    run("--out %s/a", s.dir);
    cr_expect_str_eq(scratch_read(&s, "a/predictions/dssm.all.1.csv"),
                     scratch_read(&s, "a/predictions/none.all.1.csv"));
    cr_expect_str_neq(scratch_read(&s, "a/predictions/dssm.all.1.csv"),
                      scratch_read(&s, "a/predictions/student.all.1.csv"));
    cr_expect_str_neq(scratch_read(&s, "a/predictions/student.all.1.csv"),
                      scratch_read(&s, "a/predictions/close.all.1.csv"));
}

/* The name of the one file of teachers/ that begins and ends so. */
static char *column_file(const char *begin, const char *ending) {
    char command[400], line[300] = "";
    snprintf(command, sizeof command, "cd %s/a/teachers && ls %s*%s", s.dir, begin, ending);
    FILE *f = popen(command, "r");
    cr_assert(f && fgets(line, sizeof line, f), "no %s*%s", begin, ending);
    char more[300];
    cr_expect_null(fgets(more, sizeof more, f), "two of %s*%s", begin, ending);
    pclose(f);
    line[strcspn(line, "\n")] = '\0';
    char *name = arena_alloc(&s.arena, 400);
    snprintf(name, 400, "a/teachers/%s", line);
    return name;
}

Test(losses, a_teacher_is_trained_once_for_all_students_and_kept_over_resume) {
    char *runs = path_of("a/runs/student.all.1.json");
    write_plan("x.yaml", 1500, taught);
    run("--out %s/a", s.dir);
    const char *table = effect("a");
    cr_expect(strstr(cell(&s, table, "variant=mlp,seed=1,split=test", "note"), "teacher only"));
    cr_expect_str_eq(cell(&s, table, "variant=mlp,seed=2,split=test", "features"), "all-fields");
    /* 5 variants and a teacher, 2 seeds, 2 splits */
    cr_expect_eq(count_lines(table), 1 + 2 * 2 * 6);
    /* the teacher is older than its first student: no later one trained it again */
    int64_t teacher = made_at("a/models/mlp.all-fields.1.safetensors");
    cr_expect_lt(teacher, made_at("a/models/student.all.1.safetensors"));
    int64_t logit = made_at(column_file("mlp.all-fields.1", ".logit.npy")),
            hidden = made_at(column_file("mlp.all-fields.1", ".hidden.npy"));
    cr_expect_eq(file_size(path_of(column_file("mlp.all-fields.1", ".hidden.npy"))) -
                     file_size(path_of(column_file("mlp.all-fields.1", ".logit.npy"))),
                 (int64_t)(1500 - 2 * 225) * (64 - 1) * 4);
    cr_assert_eq(unlink(runs), 0);
    run("--resume --out %s/a", s.dir);
    cr_expect_eq(made_at("a/models/mlp.all-fields.1.safetensors"), teacher);
    cr_expect_eq(made_at(column_file("mlp.all-fields.1", ".hidden.npy")), hidden);
    cr_expect_str_eq(effect("a"), table);
    /* a student that comes without its teacher's columns makes them from the teacher's weights */
    cr_assert_eq(unlink(runs), 0);
    cr_assert_eq(unlink(path_of(column_file("mlp.all-fields.1", ".logit.npy"))), 0);
    run("--resume --out %s/a", s.dir);
    cr_expect_eq(made_at("a/models/mlp.all-fields.1.safetensors"), teacher);
    cr_expect_gt(made_at(column_file("mlp.all-fields.1", ".logit.npy")), logit);
    cr_expect_str_eq(effect("a"), table);
}

Test(losses, a_run_from_the_start_forgets_what_teachers_said) {
    write_plan("x.yaml", 1500, "variants:\n  - dssm: {id: student, hidden: [8, 4], distill: mlp}\n");
    run("--out %s/a", s.dir);
    char *logit = column_file("mlp.all-fields.1", ".logit.npy");
    int64_t then = made_at(logit);
    run("--out %s/a", s.dir);
    cr_expect_gt(made_at(logit), then);
}

Test(losses, a_student_of_a_failed_teacher_fails_and_says_why) {
    write_plan("x.yaml", 1500,
               "variants:\n  - dssm: {hidden: [8, 4], distill: bad}\n"
               "  - mlp: {id: bad, train: {learning_rate: 1e30}}\n  - mlp\n");
    run("--out %s/a", s.dir);
    const char *table = effect("a");
    cr_expect_str_eq(cell(&s, table, "variant=dssm,seed=1,split=test", "status"), "failed");
    cr_expect(
        strstr(cell(&s, table, "variant=dssm,seed=1,split=test", "note"), "its teacher bad.all.1 failed"));
    cr_expect_str_eq(cell(&s, table, "variant=mlp,seed=1,split=test", "status"), "ok");
}

/* ---- softmax over sampled items ---- */

Test(losses, effect_is_the_same_to_the_bit_on_any_number_of_threads) {
    write_plan("x.yaml", 1500,
               "variants:\n"
               "  - dssm: {id: a, hidden: [8, 4], dropout: 0.2, loss: in_batch}\n"
               "  - dssm: {id: b, hidden: [8, 4], batch_norm: true, distill: mlp,\n"
               "           loss: {kind: mixed, hard_negatives: 1, negatives: 2}}\n"
               "  - parallel: {hidden: [8], channels: [mlp, fm], d: 4, loss: popularity}\n"
               "  - dat: {hidden: [8, 4], loss: {kind: uniform, temperature: 0.5}}\n");
    run("--threads 1 --out %s/one", s.dir);
    run("--threads 2 --out %s/two", s.dir);
    run("--threads 8 --out %s/eight", s.dir);
    cr_expect_str_eq(effect("one"), effect("two"));
    cr_expect_str_eq(effect("one"), effect("eight"));
}

/* Which items a user clicks follows from the planted pair effect of u0 and i0. */
Test(losses, a_softmax_ranks_held_out_clicks_above_chance) {
    write_plan("x.yaml", 6000,
               "variants:\n"
               "  - dssm: {id: in_batch, dim: 8, hidden: [16, 8], loss: in_batch}\n"
               "  - dssm: {id: uniform, dim: 8, hidden: [16, 8], loss: uniform}\n"
               "  - dssm: {id: hard, dim: 8, hidden: [16, 8], loss: {kind: mixed, hard_negatives: 2}}\n");
    run("--set train.epochs=8 --out %s/a", s.dir);
    static const char *const id[] = {"in_batch", "uniform", "hard"};
    for (int k = 0; k < 3; k++)
        for (int seed = 1; seed <= 2; seed++) {
            char key[100];
            snprintf(key, sizeof key, "variant=%s,seed=%d,split=test", id[k], seed);
            double gauc = atof(cell(&s, effect("a"), key, "gauc"));
            cr_expect_gt(gauc, 0.6, "%s: GAUC %g", key, gauc);
        }
}

static struct dataset ds;

static void open_data(struct experiment *x) {
    struct problems p = PROBLEMS_INIT;
    struct err e = ERR_INIT;
    write_plan("x.yaml", 3000, "variants: [dssm]\n");
    cr_assert_eq(experiment_load(path_of("x.yaml"), NULL, 0, x, &p), 0, "%s", p.text.p);
    cr_assert_eq(prepare_dataset(&x->schema, x->o.data_dir, &e), 0, "%s", e.msg);
    cr_assert_eq(dataset_open(x->o.data_dir, &ds, &e), 0, "%s", e.msg);
}

/* Pearson's statistic of the draws against q, over its degrees of freedom: near 1 when q tells the truth. */
static double misfit(const struct negatives *n, uint64_t draws) {
    double *seen = mem_calloc(ds.n_items, sizeof *seen), sum = 0;
    for (uint64_t i = 0; i < draws; i++) {
        uint64_t row = negatives_draw(n, rng_hash(i));
        cr_assert(row >= ds.split[SPLIT_TRAIN].begin && row < ds.split[SPLIT_TRAIN].end);
        seen[ds.item[row]]++;
    }
    for (uint32_t i = 0; i < ds.n_items; i++) {
        double want = (double)n->q[i] * (double)draws;
        if (want > 0) sum += (seen[i] - want) * (seen[i] - want) / want;
        if (want <= 0) cr_expect_eq(seen[i], 0);
    }
    mem_free(seen);
    return sum / (n->n_shown - 1);
}

/* p is each item's share of the clicks, q: uniform: all shown ones alike; popularity: count^0.75; mixed: half and half. */
static void expect_counted(const struct negatives *n, int kind, uint64_t first, uint64_t rows) {
    double clicks = 0, shown = 0, power = 0, *shows = mem_calloc(ds.n_items, sizeof *shows),
           *clicked = mem_calloc(ds.n_items, sizeof *clicked);
    cr_assert(shows && clicked);
    for (uint64_t r = first; r < first + rows; r++) {
        shows[ds.item[r]]++;
        clicked[ds.item[r]] += ds.label[r];
        clicks += ds.label[r];
    }
    for (uint32_t i = 0; i < ds.n_items; i++) {
        shown += shows[i] > 0;
        power += pow(shows[i], 0.75);
    }
    double uniform = kind == LOSS_UNIFORM ? 1 : kind == LOSS_MIXED ? 0.5 : 0;
    for (uint32_t i = 0; i < ds.n_items; i++) {
        double q = uniform * (shows[i] > 0) / shown + (1 - uniform) * pow(shows[i], 0.75) / power;
        cr_expect_float_eq((double)n->p[i], clicked[i] / clicks, 1e-6, "item %u: p %g", i, (double)n->p[i]);
        cr_expect_float_eq((double)n->q[i], q, 1e-6, "kind %d, item %u: q %g, not %g", kind, i,
                           (double)n->q[i], q);
    }
    mem_free(shows);
    mem_free(clicked);
}

Test(losses, items_are_drawn_as_often_as_the_correction_believes) {
    struct experiment x;
    struct err e = ERR_INIT;
    open_data(&x);
    uint64_t first = ds.split[SPLIT_TRAIN].begin, rows = ds.split[SPLIT_TRAIN].end - first;
    for (int kind = LOSS_UNIFORM; kind <= LOSS_MIXED; kind++) {
        struct loss_options o;
        struct negatives n;
        opt_defaults(loss_opts, &o);
        o.kind = kind;
        o.hard_negatives = 1;
        cr_assert_eq(negatives_init(&n, &ds, rows, &o, &e), 0, "%s", e.msg);
        expect_counted(&n, kind, first, rows);
        /* 39 degrees of freedom: the mean of 39 squares has a standard deviation of 0.23 */
        double off = misfit(&n, 200000);
        cr_expect(off > 0.3 && off < 1.8, "kind %d: chi-squared over its degrees of freedom is %g", kind,
                  off);
        for (uint64_t i = 0, row; i < 1000; i++) {
            uint64_t own = first + i % rows;
            if (!negatives_hard(&n, own, i, &row)) continue;
            cr_expect(ds.user[row] == ds.user[own] && !ds.label[row] && row >= first && row < first + rows);
        }
        negatives_release(&n);
    }
    dataset_close(&ds);
    experiment_release(&x);
}

static double steps_of_an_epoch(const char *id) {
    char key[100];
    snprintf(key, sizeof key, "variant=%s,seed=1,epoch=1", id);
    return atof(cell(&s, scratch_read(&s, "a/curves.csv"), key, "step"));
}

Test(losses, rows_that_no_loss_learns_from_are_left_out) {
    struct experiment x;
    double rows = 0, clicks = 0;
    open_data(&x);
    for (uint64_t r = ds.split[SPLIT_TRAIN].begin; r < ds.split[SPLIT_TRAIN].end; r++) {
        rows++;
        clicks += ds.label[r];
    }
    write_plan(
        "x.yaml", 3000,
        "variants:\n"
        "  - dssm: {id: in_batch, hidden: [8, 4], loss: in_batch}\n"
        "  - dssm: {id: hard, hidden: [8, 4], loss: {kind: mixed, hard_negatives: 1}}\n"
        "  - dssm: {id: bce, hidden: [8, 4]}\n"
        "  - dssm: {id: taught, hidden: [8, 4], loss: in_batch, distill: {teacher: bce, weight: 0.9}}\n"
        "  - dat: {hidden: [8, 4], loss: in_batch}\n");
    run("--out %s/a", s.dir);
    cr_assert_lt(ceil(clicks / 128), ceil(rows / 128));
    cr_expect_eq(steps_of_an_epoch("in_batch"), ceil(clicks / 128));
    cr_expect_eq(steps_of_an_epoch("hard"), ceil(clicks / 128));
    cr_expect_eq(steps_of_an_epoch("bce"), ceil(rows / 128));
    cr_expect_eq(steps_of_an_epoch("taught"), ceil(rows / 128), "the teacher speaks of every row");
    cr_expect_eq(steps_of_an_epoch("dat"), ceil(rows / 128), "the mean of mimicking is over all rows");
    dataset_close(&ds);
    experiment_release(&x);
}

/* ---- what is refused ---- */

static void expect_refusal(const char *variants, const char *const *why) {
    write_plan("x.yaml", 1500, variants);
    struct ran r = prerank(&s, "check %s/x.yaml", s.dir);
    cr_expect_eq(r.status, 2, "%s", variants);
    for (; *why; why++) cr_expect(strstr(r.err, *why), "\"%s\" is not in:\n%s", *why, r.err);
}
#define REFUSED(variants, ...)                                                                               \
    expect_refusal("variants:\n" variants, (const char *const[]){__VA_ARGS__, NULL})

Test(losses, what_makes_no_sense_is_refused_with_its_position) {
    REFUSED("  - dssm: {distill: dssm}\n", "x.yaml:19:21: ", "cannot be its own teacher");
    REFUSED("  - dssm: {distill: {teacher: dim}}\n", "x.yaml:19:31: ", "`dim`, did you mean \"din\"?");
    REFUSED("  - dssm: {distill: mlp}\n  - mlp: {distill: dssm}\n",
            "x.yaml:19:21: ", "circle: dssm <- mlp <- dssm", "x.yaml:20:20: ");
    REFUSED("  - mlp: {loss: in_batch}\n", "x.yaml:19:17: ", "two towers");
    REFUSED("  - inttower: {loss: {kind: mixed}}\n", "x.yaml:19:22: ", "two towers");
    REFUSED("  - dssm: {loss: {kind: bce, negatives: 2}}\n",
            "x.yaml:19:30: ", "`negatives` means nothing with `kind: bce`");
    REFUSED("  - dssm: {loss: {kind: softmax}}\n", "x.yaml:19:25: ", "in_batch");
    REFUSED("  - dssm: {loss: in_batch, train: {monitor: logloss}}\n", "x.yaml:19:18: ", "logloss");
    REFUSED("  - dssm: {train: {monitor: none, schedule: plateau}}\n",
            "x.yaml:19:19: ", "`schedule: plateau` waits");
    REFUSED("  - dssm: {loss: in_batch, distill: {teacher: mlp, weight: 1}}\n",
            "x.yaml:19:", "leaves nothing of the loss `in_batch`");
    REFUSED("  - dssm: {id: a, loss: in_batch}\n  - dssm: {distill: a}\n", "x.yaml:20:21: ", "softmax");
    REFUSED("  - dssm: {distill: {weight: 0.2}}\n", "x.yaml:19:21: ", "needs a `teacher`");
    REFUSED("  - parallel: {channels: [fm], distill: {teacher: mlp, feature: 1}}\n",
            "x.yaml:19:51: ", "last hidden layers");
    REFUSED("  - dssm: {distill: {teacher: inttower, feature: 1}}\n",
            "x.yaml:19:31: ", "its teacher inttower", "last hidden layers");
    REFUSED("  - dssm: {loss: {negatives: 0}}\n", "x.yaml:19:", "negatives");
}

Test(losses, help_knows_them) {
    struct ran r = prerank(&s, "help loss");
    cr_expect(!r.status && strstr(r.out, "hard_negatives") && strstr(r.out, "in_batch"), "%s", r.out);
    r = prerank(&s, "help distill.temperature");
    cr_expect(!r.status && strstr(r.out, "default 2"), "%s", r.out);
}
