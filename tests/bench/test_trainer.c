#include "base/pool.h"
#include "base/progress.h"
#include "bench/run/trainer.h"
#include "data/prepare.h"
#include "metrics/metrics.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct scratch s;
static struct experiment x;
static struct dataset ds;
static struct features all;
static struct err e;

/* Reads, prepares and opens the small experiment. */
static void open_data(int rows, const char *rest) {
    struct problems p = PROBLEMS_INIT;
    char path[100];
    scratch_make(&s);
    scratch_write(&s, "x.yaml", small_experiment(&s, rows, rest));
    snprintf(path, sizeof path, "%s/x.yaml", s.dir);
    cr_assert_eq(experiment_load(path, NULL, 0, &x, &p), 0, "%s", p.text.p);
    cr_assert_eq(prepare_dataset(&x.schema, x.o.data_dir, &e), 0, "%s", e.msg);
    cr_assert_eq(dataset_open(x.o.data_dir, &ds, &e), 0, "%s", e.msg);
    cr_assert_eq(features_of_dataset(&ds, &s.arena, &all, &e), 0);
}

static void close_data(void) {
    dataset_close(&ds);
    experiment_release(&x);
    scratch_remove(&s);
}
TestSuite(trainer, .fini = close_data);

static int train(int threads, struct trained *m) {
    struct pool *pool = NULL;
    cr_assert_eq(pool_create(threads, &pool, &e), 0);
    struct train_task t = {.ds = &ds,
                           .variant = x.variant[0].variant,
                           .options = x.variant[0].options,
                           .features = &all,
                           .train = &x.variant[0].train,
                           .seed = 1,
                           .pool = pool};
    int rc = trainer_run(&t, m, &e);
    pool_free(pool);
    return rc;
}

static size_t test_rows(void) { return (size_t)(ds.split[SPLIT_TEST].end - ds.split[SPLIT_TEST].begin); }

Test(trainer, learns_planted_effects_and_reports_what_its_scores_give) {
    struct trained m;
    open_data(6000, "variants: [mlp]\ntrain: {batch: 64, epochs: 6, learning_rate: 0.003}\n");
    cr_assert_eq(train(2, &m), 0, "%s", e.msg);
    const struct quality *q = &m.quality[SPLIT_TEST];
    cr_expect_gt(q->auc, 0.6, "AUC %g", q->auc);
    cr_expect_lt(m.epoch[m.best_epoch].valid.logloss, m.epoch[0].valid.logloss);
    double auc;
    uint64_t begin = ds.split[SPLIT_TEST].begin;
    cr_assert_eq(metric_auc(m.test_score, ds.label + begin, test_rows(), &auc), 0);
    cr_expect_eq(auc, q->auc);
    struct gauc g;
    cr_assert_eq(
        gauc_compute(m.test_score, ds.label + begin, ds.user + begin, test_rows(), GAUC_BY_EXPOSURES, &g), 0);
    cr_expect_eq(g.value, q->gauc);
    gauc_release(&g);
    cr_expect(q->gauc_lo < q->gauc && q->gauc < q->gauc_hi);
    cr_expect_eq(q->rows, test_rows());
    trained_release(&m);
}

Test(trainer, keeps_the_epoch_that_validation_likes_best_and_stops) {
    struct trained m;
    open_data(3000, "variants: [mlp]\ntrain: {batch: 32, epochs: 60, patience: "
                    "2, learning_rate: 0.01}\n");
    cr_assert_eq(train(2, &m), 0, "%s", e.msg);
    cr_expect_lt(m.epochs, 60, "it must overfit and stop");
    cr_expect_eq(m.n_epochs, (size_t)m.epochs + 1);
    cr_expect_eq(m.best_epoch, m.epochs - 2);
    for (size_t i = 1; i < m.n_epochs; i++)
        cr_expect_leq(m.epoch[i].valid.gauc, m.epoch[m.best_epoch].valid.gauc);
    cr_expect_eq(m.quality[SPLIT_VALID].gauc, m.epoch[m.best_epoch].valid.gauc, "the best weights are back");
    trained_release(&m);
}

Test(trainer, monitors_what_it_is_told_to) {
    struct trained m;
    open_data(3000, "variants: [mlp]\ntrain: {batch: 32, epochs: 60, patience: "
                    "1, learning_rate: 0.01, monitor: logloss}\n");
    cr_assert_eq(train(2, &m), 0, "%s", e.msg);
    for (size_t i = 1; i < m.n_epochs; i++)
        cr_expect_geq(m.epoch[i].valid.logloss, m.epoch[m.best_epoch].valid.logloss);
    trained_release(&m);
}

Test(trainer, with_nothing_to_monitor_it_runs_all_epochs_and_keeps_the_last) {
    struct trained m;
    open_data(3000, "variants: [mlp]\ntrain: {batch: 32, epochs: 20, patience: "
                    "1, learning_rate: 0.01, monitor: none}\n");
    cr_assert_eq(train(2, &m), 0, "%s", e.msg);
    double best = 0;
    for (size_t i = 1; i < m.n_epochs; i++) best = fmax(best, m.epoch[i].valid.gauc);
    cr_expect_eq(m.best_epoch, 20);
    cr_expect_eq(m.quality[SPLIT_VALID].gauc, m.epoch[20].valid.gauc);
    cr_expect_lt(m.epoch[20].valid.gauc, best, "GAUC would have chosen another");
    cr_expect_str_eq(m.note, "");
    trained_release(&m);
}

Test(trainer, gives_the_same_bits_on_any_number_of_threads) {
    struct trained a, b;
    open_data(2500, "variants:\n  - dssm: {dropout: 0.2, batch_norm: true}\n"
                    "train: {batch: 200, slice: 32, epochs: 3, patience: 0}\n");
    cr_assert_eq(train(1, &a), 0, "%s", e.msg);
    for (int threads = 2; threads <= 8; threads += 3) {
        cr_assert_eq(train(threads, &b), 0, "%s", e.msg);
        cr_expect_eq(memcmp(a.test_score, b.test_score, test_rows() * sizeof(float)), 0, "%d threads",
                     threads);
        for (int k = 0; k < 4; k++) cr_expect_eq(a.epoch[k].valid.gauc, b.epoch[k].valid.gauc);
        for (int k = 1; k < 4; k++) cr_expect_eq(a.epoch[k].loss, b.epoch[k].loss);
        trained_release(&b);
    }
    trained_release(&a);
}

Test(trainer, divergence_names_the_step_and_the_learning_rate) {
    struct trained m;
    open_data(1500, "variants: [mlp]\ntrain: {learning_rate: 1e30, batch: 100}\n");
    cr_assert_eq(train(2, &m), ERR_DIVERGED);
    cr_expect(strstr(e.msg, "at step ") && strstr(e.msg, ", learning rate 1e+30"), "%s", e.msg);
    trained_release(&m);
}

Test(trainer, trains_on_the_first_rows_only_when_told_to) {
    struct trained m;
    open_data(1500, "variants: [dssm]\ntrain: {rows: 100, epochs: 2, patience: "
                    "0, batch: 64}\n");
    cr_assert_eq(train(1, &m), 0, "%s", e.msg);
    cr_expect_eq(m.rows, 200);
    cr_expect_eq(m.epoch[2].step, 4);
    trained_release(&m);
}

Test(trainer, without_a_validation_split_it_runs_all_epochs_and_says_so) {
    struct trained m;
    open_data(1500, "variants: [dssm]\ntrain: {epochs: 4, patience: 1, batch: 64}\n");
    uint64_t end = ds.split[SPLIT_VALID].begin;
    ds.split[SPLIT_VALID].end = end;
    cr_assert_eq(train(1, &m), 0, "%s", e.msg);
    cr_expect_eq(m.epochs, 4);
    cr_expect_eq(m.best_epoch, 4);
    cr_expect(strstr(m.note, "no validation rows"), "%s", m.note);
    trained_release(&m);
}
