/* `tune:`: each variant gets the training options that are best on validation rows, as if they were written in the file. */
#include "base/file.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(tune, .init = setup, .fini = teardown);

#define MODELS                                                                                               \
    "variants:\n  - dssm: {hidden: [8]%s}\n  - cold: {hidden: [8]%s}\n  - dssm: {id: student, hidden: [8], " \
    "distill: cold%s}\n"                                                                                     \
    "seeds: [1, 2]\ntrain: {batch: 64, epochs: 2}\nmeasure: {candidates: []}\n"

static void write_experiment(const char *dssm, const char *cold, const char *student, const char *rest) {
    char text[2048];
    int n = snprintf(text, sizeof text, MODELS, dssm, cold, student);
    snprintf(text + n, sizeof text - (size_t)n, "%s", rest);
    scratch_write(&s, "x.yaml", small_experiment(&s, 3000, text));
}

static void run(const char *out, const char *more) {
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/%s --no-report %s", s.dir, s.dir, out, more);
    cr_assert_eq(r.status, 0, "exit %d: %s", r.status, r.err);
}

static const char *point(const char *table, const char *variant, const char *rate, const char *column) {
    char key[128];
    snprintf(key, sizeof key, "variant=%s,learning_rate=%s", variant, rate);
    return cell(&s, table, key, column);
}

/* All that training leaves, and that is not a time, to the byte. */
static void expect_same_curves_and_models(void) {
    static const char *const id[] = {"dssm.all", "cold.all", "student.all"};
    cr_expect_str_eq(without_columns(&s, scratch_read(&s, "tuned/curves.csv"), "seconds"),
                     without_columns(&s, scratch_read(&s, "written/curves.csv"), "seconds"));
    for (int i = 0; i < 3; i++) {
        char command[512];
        snprintf(command, sizeof command,
                 "cd %s && for f in models/%s.1.safetensors models/%s.1.json predictions/%s.1.csv; do "
                 "cmp tuned/$f written/$f || exit 1; done",
                 s.dir, id[i], id[i], id[i]);
        cr_expect_eq(system(command), 0, "%s", id[i]);
    }
}

Test(tune, what_is_best_on_validation_rows_is_what_is_trained) {
    write_experiment("", "", "", "tune: {learning_rate: [1e-7, 0.01]}\n");
    run("tuned", "");
    const char *t = scratch_read(&s, "tuned/tuning.csv");
    static const char *const id[] = {"dssm", "cold", "student"};
    for (int i = 0; i < 3; i++) { /* hardly moved from its random start, against learned */
        double slow, fast;
        sscanf(point(t, id[i], "1e-7", "value"), "%lf", &slow);
        sscanf(point(t, id[i], "0.01", "value"), "%lf", &fast);
        cr_expect_gt(fast, slow, "%s:\n%s", id[i], t);
        cr_expect_str_eq(point(t, id[i], "0.01", "chosen"), "1");
        cr_expect_str_eq(point(t, id[i], "1e-7", "chosen"), "0");
    }
    /* the value is that of the point's own sweep, and the models are those of a file that says so itself */
    const char *of_points = scratch_read(&s, "tuned/tuning/1/effect.csv");
    cr_expect_str_eq(point(t, "dssm", "0.01", "value"),
                     cell(&s, of_points, "variant=dssm~1,split=valid", "gauc"));
    write_experiment(", train: {learning_rate: 0.01}", ", train: {learning_rate: 0.01}",
                     ", train: {learning_rate: 0.01}", "");
    run("written", "");
    static const char times[] = "train_seconds,examples_per_second";
    cr_expect_str_eq(without_columns(&s, scratch_read(&s, "tuned/effect.csv"), times),
                     without_columns(&s, scratch_read(&s, "written/effect.csv"), times));
    expect_same_curves_and_models();
}

/* Seconds of training are never the same twice. */
static const char *seconds(const char *table, const char *key) {
    return cell(&s, scratch_read(&s, table), key, "train_seconds");
}

static void expect_taken_over(void) {
    static const char *const id[] = {"dssm", "cold", "student"};
    for (int i = 0; i < 3; i++) {
        char key[64], point_key[64], table[32];
        snprintf(key, sizeof key, "variant=%s,seed=1", id[i]);
        snprintf(point_key, sizeof point_key, "variant=%s~1", id[i]);
        snprintf(table, sizeof table, "out/tuning/%d/effect.csv", i == 2 ? 2 : 1);
        cr_expect_str_eq(seconds("out/effect.csv", key), seconds(table, point_key), "%s", id[i]);
    }
    cr_expect_str_eq(seconds("out/tuning/2/effect.csv", "variant=cold"),
                     seconds("out/tuning/1/effect.csv", "variant=cold~1"), "the student's teacher");
    char command[256];
    snprintf(command, sizeof command,
             "cd %s/out/tuning/2/models && grep -qaF '\"features\":\"all-fields\"' "
             "cold.all-fields.1.safetensors && "
             "grep -qF '\"features\": \"all-fields\"' cold.all-fields.1.json",
             s.dir);
    cr_expect_eq(system(command), 0, "it has its own name in every file");
}

Test(tune, nothing_is_trained_twice_also_when_resumed) {
    static const char *const lost[] = {"runs/cold.all.1.json", "models/student.all.1.safetensors",
                                       "tuning/2/runs/cold.all-fields.1.json"};
    write_experiment("", "", "", "tune: {learning_rate: [1e-7, 0.01]}\n");
    run("out", "");
    expect_taken_over();
    const char *effect = scratch_read(&s, "out/effect.csv");
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/out/%s", s.dir, lost[i]);
        cr_assert_eq(remove(path), 0, "%s", path);
    }
    run("out", "--resume");
    expect_taken_over();
    cr_expect_str_eq(scratch_read(&s, "out/effect.csv"), effect);
}

/* A teacher that is not in the list is on all fields, the points are on the first subset. */
Test(tune, a_teacher_on_more_fields_than_the_points_is_trained_once) {
    scratch_write(&s, "x.yaml",
                  small_experiment(&s, 3000,
                                   "variants:\n  - dssm: {hidden: [8], distill: mlp}\n"
                                   "  - dssm: {id: other, hidden: [4], distill: mlp}\n"
                                   "features: {some: [user, item], all: \"*\"}\n"
                                   "train: {batch: 64, epochs: 1}\nmeasure: {candidates: []}\n"
                                   "tune: {learning_rate: [1e-7, 0.01]}\n"));
    run("out", "");
    const char *effect = scratch_read(&s, "out/effect.csv"), *note = cell(&s, effect, "variant=mlp", "note");
    cr_expect_str_eq(seconds("out/effect.csv", "variant=mlp"),
                     seconds("out/tuning/2/effect.csv", "variant=mlp"));
    cr_expect_str_eq(note, "teacher only");
}

Test(tune, resumed_it_trains_nothing_again_and_chooses_the_same) {
    write_experiment("", "", "", "tune: {learning_rate: [1e-7, 0.01]}\n");
    run("out", "");
    const char *effect = scratch_read(&s, "out/effect.csv"), *tuning = scratch_read(&s, "out/tuning.csv");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out --no-report --resume", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    cr_expect(strstr(r.err, "4 of 4 runs are there already") && strstr(r.err, "3 of 3 runs") &&
                  strstr(r.err, "6 of 6 runs"),
              "%s", r.err); /* dssm and cold at two points; the student at two and its teacher; the sweep */
    cr_expect_str_eq(scratch_read(&s, "out/effect.csv"), effect);
    cr_expect_str_eq(scratch_read(&s, "out/tuning.csv"), tuning);
    r = prerank(&s, "run %s/x.yaml --out %s/out --no-report --resume --set 'tune.learning_rate=[0.02]'",
                s.dir, s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "another experiment"), "exit %d: %s", r.status, r.err);
}

Test(tune, a_mistake_has_its_place_and_reason) {
    static const struct {
        const char *text, *message;
    } bad[] = {{"tune: {learning_rat: [1]}\n", "did you mean \"learning_rate\"?"},
               {"tune: {learning_rate: [0.1, fast]}\n", "learning_rate"},
               {"tune: {learning_rate: []}\n", "needs a list of values to try"},
               {"tune: {monitor: [auc, gauc]}\n", "must be the same for all"},
               {"tune: [1]\n", "must be a map"},
               {"tune: {batch: [1,2,3,4,5,6,7,8,9], epochs: [1,2,3,4,5,6,7,8]}\n", "more than 64"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_experiment("", "", "", bad[i].text);
        struct ran r = prerank(&s, "check %s/x.yaml", s.dir);
        cr_expect_eq(r.status, 2, "%s", bad[i].text);
        cr_expect(strstr(r.err, bad[i].message) && strstr(r.err, "x.yaml:"), "%s%s", bad[i].text, r.err);
    }
    write_experiment(", train: {monitor: none}", "", "", "tune: {learning_rate: [0.1]}\n");
    struct ran r = prerank(&s, "check %s/x.yaml", s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "dssm has `monitor: none`"), "%s", r.err);
}
