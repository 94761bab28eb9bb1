#include "base/file.h"
#include "nn/optim.h"
#include "nn/passes.h"
#include "nn/vec.h"
#include "tests/nn/batch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* A little of everything: ids, a shared table, a bag, a number; dropout; optionally batch norm. */
static void model(struct graph *g, bool batch_norm) {
    graph_init(g);
    g->init_std = 0.5;
    int user = nn_embedding(g, graph_input(g, "user", SIDE_USER, VALUE_ID, 40), 6, "embedding.item");
    int item = nn_embedding(g, graph_input(g, "item", SIDE_ITEM, VALUE_ID, 40), 6, "embedding.item");
    int genres = nn_embedding(g, graph_input(g, "genres", SIDE_ITEM, VALUE_BAG, 9), 6, NULL);
    int age = nn_embedding(g, graph_input(g, "age", SIDE_USER, VALUE_NUMBER, 0), 6, NULL);
    int x = nn_concat(g, 4, (int[]){user, item, genres, age});
    x = nn_linear(g, x, 33, batch_norm ? ACT_NONE : ACT_RELU, "mlp.0");
    if (batch_norm) x = nn_act(g, nn_batch_norm(g, x, "mlp.0.bn", false), ACT_RELU);
    x = nn_linear(g, nn_dropout(g, x, 0.3), 17, ACT_TANH, "mlp.1");
    if (batch_norm) x = nn_batch_norm(g, x, "mlp.1.bn", true);
    g->output = nn_linear(g, x, 1, ACT_NONE, "mlp.2");
    graph_add_loss(g, nn_bce(g, g->output, graph_input(g, "label", SIDE_NONE, VALUE_NUMBER, 0)), 1);
    struct err e = ERR_INIT;
    cr_assert_eq(graph_alloc_params(g, 5, &e), 0, "%s", e.msg);
}

/* ---- threads ---- */

enum { STEPS = 5, ROWS = 230 };
struct trace {
    double loss[STEPS];
    float score[ROWS];
    struct hash weights[32];
};

static void train(struct trace *t, bool batch_norm, int threads, double clip) {
    struct graph g;
    struct pool *pool = NULL;
    struct optim_options o;
    struct optim *optim;
    struct err e = ERR_INIT;
    memset(t, 0, sizeof *t);
    model(&g, batch_norm);
    opt_defaults(optim_opts, &o);
    o.clip_norm = clip;
    o.embedding_l2 = o.l2 = 1e-3;
    if (threads) cr_assert_eq(pool_create(threads, &pool, &e), 0, "%s", e.msg);
    struct exec *x = exec_for(&g, ROWS, 16, pool);
    cr_assert_eq(optim_create(&g, x, &o, pool, &optim, &e), 0, "%s", e.msg);
    for (int step = 0; step < STEPS; step++) {
        struct batch b;
        batch_random(&b, &g, ROWS, (uint64_t)step);
        batch_cut(&b, 16);
        t->loss[step] = exec_train(x, b.slice, b.n_slices, 100 + (uint64_t)step);
        optim_step(optim, 0.05);
        if (step == STEPS - 1) exec_score(x, b.slice, b.n_slices, t->score);
        batch_release(&b);
    }
    cr_assert_leq(g.n_params, 32);
    for (int i = 0; i < g.n_params; i++)
        t->weights[i] = hash_bytes(g.param[i]->value, param_size(g.param[i]) * sizeof(float));
    optim_free(optim);
    exec_free(x);
    pool_free(pool);
    graph_release(&g);
}

static void expect_the_same_for_all_threads(bool batch_norm, double clip) {
    struct trace alone, t;
    train(&alone, batch_norm, 0, clip);
    for (int k = 0; k < STEPS; k++) cr_assert(isfinite(alone.loss[k]) && alone.loss[k] > 0.01);
    for (int threads = 1; threads <= 8; threads *= 2)
        for (int again = 0; again < 3; again++) {
            train(&t, batch_norm, threads, clip);
            cr_assert_eq(memcmp(&t, &alone, sizeof t), 0,
                         "%d threads differ from none; first loss %.17g and %.17g", threads, t.loss[0],
                         alone.loss[0]);
        }
}

Test(exec, training_is_bit_identical_for_any_number_of_threads) { expect_the_same_for_all_threads(false, 0); }
Test(exec, training_with_batch_norm_is_bit_identical_for_any_number_of_threads) {
    expect_the_same_for_all_threads(true, 0);
}
Test(exec, training_with_clipping_is_bit_identical_for_any_number_of_threads) {
    expect_the_same_for_all_threads(true, 0.05);
}

/* ---- slices ---- */

/* Loss and gradients of one batch, cut into slices of `slice_rows`. */
struct run {
    struct batch b;
    struct exec *x;
    double loss;
    float **grad;
};
static struct run run_once(struct graph *g, size_t max_rows, size_t rows, size_t slice_rows) {
    struct run r = {.x = exec_for(g, max_rows, slice_rows, NULL)};
    batch_random(&r.b, g, rows, 3);
    batch_cut(&r.b, slice_rows);
    r.loss = exec_train(r.x, r.b.slice, r.b.n_slices, 8);
    r.grad = batch_gradients(&r.b, g, r.x);
    return r;
}
static void run_end(struct run *r) {
    exec_free(r->x);
    batch_release(&r->b);
}

static void expect_same_gradients(const struct graph *g, float **a, float **b, const char *what) {
    for (int i = 0; i < g->n_params; i++)
        for (size_t k = 0; k < param_size(g->param[i]); k++)
            cr_assert_float_eq(a[i][k], b[i][k], 1e-6 + 1e-5 * fabs((double)b[i][k]),
                               "%s: %s[%zu]: %.9g, not %.9g", what, g->param[i]->name, k, (double)a[i][k],
                               (double)b[i][k]);
}

Test(exec, how_a_batch_is_cut_changes_nothing_but_rounding) {
    for (int batch_norm = 0; batch_norm < 2; batch_norm++) {
        struct graph g;
        model(&g, batch_norm);
        struct run whole = run_once(&g, 61, 61, 61);
        static const size_t slice_rows[] = {1, 7, 16, 30, 60};
        for (size_t k = 0; k < sizeof slice_rows / sizeof *slice_rows; k++) {
            char what[64];
            snprintf(what, sizeof what, "slices of %zu", slice_rows[k]);
            struct run cut = run_once(&g, 61, 61, slice_rows[k]);
            cr_assert_float_eq(cut.loss, whole.loss, 1e-6);
            expect_same_gradients(&g, cut.grad, whole.grad, what);
            run_end(&cut);
        }
        run_end(&whole);
        graph_release(&g);
    }
}

Test(exec, a_batch_smaller_than_the_largest_is_not_touched_by_what_was_before) {
    for (int batch_norm = 0; batch_norm < 2; batch_norm++) {
        struct graph g;
        struct batch large;
        model(&g, batch_norm);
        struct run fresh = run_once(&g, 19, 19, 8), used = {.x = exec_for(&g, 64, 8, NULL)};
        batch_random(&large, &g, 64, 9);
        batch_cut(&large, 8);
        exec_train(used.x, large.slice, large.n_slices, 1);
        batch_random(&used.b, &g, 19, 3);
        batch_cut(&used.b, 8);
        used.loss = exec_train(used.x, used.b.slice, used.b.n_slices, 8);
        cr_assert_eq(used.loss, fresh.loss);
        cr_assert_eq(exec_n_slices(used.x), 3);
        expect_same_gradients(&g, batch_gradients(&used.b, &g, used.x), fresh.grad, "after a larger batch");
        batch_release(&large);
        run_end(&fresh);
        run_end(&used);
        graph_release(&g);
    }
}

Test(exec, a_batch_of_one_row_works) {
    for (int batch_norm = 0; batch_norm < 2; batch_norm++) {
        struct graph g;
        float score;
        model(&g, batch_norm);
        struct run one = run_once(&g, 1, 1, 0 + 1), of_many = run_once(&g, 50, 1, 8);
        cr_assert(isfinite(one.loss));
        cr_assert_eq(one.loss, of_many.loss);
        expect_same_gradients(&g, one.grad, of_many.grad, "one row");
        for (int i = 0; i < g.n_params; i++)
            for (size_t k = 0; k < param_size(g.param[i]); k++) cr_assert(isfinite((double)one.grad[i][k]));
        exec_score(of_many.x, one.b.slice, 1, &score);
        cr_assert(isfinite((double)score));
        run_end(&one);
        run_end(&of_many);
        graph_release(&g);
    }
}

/* ---- scoring ---- */

Test(exec, scoring_needs_no_label_and_changes_no_state) {
    struct graph g;
    float score[50], again[50];
    model(&g, true);
    struct run r = run_once(&g, 50, 50, 16);
    struct hash before[32];
    for (int i = 0; i < g.n_params; i++)
        before[i] = hash_bytes(g.param[i]->value, param_size(g.param[i]) * sizeof(float));
    exec_score(r.x, r.b.slice, r.b.n_slices, score);
    exec_forward(r.x, r.b.slice, r.b.n_slices);
    struct mat out = exec_value(r.x, g.output);
    for (size_t i = 0; i < 50; i++) cr_assert_eq(out.p[i * out.ld], score[i]);
    r.b.column[graph_column_index(&g, "label")].number = NULL;
    batch_cut(&r.b, 50);
    struct exec *inference;
    struct exec_options o = {.max_rows = 50};
    cr_assert_eq(exec_create(&g, &o, &inference, NULL), 0);
    exec_score(inference, r.b.slice, 1, again);
    for (size_t i = 0; i < 50; i++) cr_assert_float_eq(again[i], score[i], 1e-5);
    for (int i = 0; i < g.n_params; i++)
        cr_assert_str_eq(before[i].hex,
                         hash_bytes(g.param[i]->value, param_size(g.param[i]) * sizeof(float)).hex);
    exec_free(inference);
    run_end(&r);
    graph_release(&g);
}

/* ---- concat: inputs laid straight into its columns ---- */

static void columns(struct graph *g, int *a, int *b, int *c) {
    graph_init(g);
    g->init_std = 1;
    *a = nn_embedding(g, graph_input(g, "a", SIDE_USER, VALUE_ID, 30), 3, NULL);
    *b = nn_embedding(g, graph_input(g, "b", SIDE_USER, VALUE_ID, 30), 17, NULL);
    *c = nn_embedding(g, graph_input(g, "c", SIDE_USER, VALUE_ID, 30), 2, NULL);
}

/* Runs the graph on 11 rows and checks that `wide` is table rows side by side, `n` of them: columns of the
 * batch by number. */
static void expect_rows(struct graph *g, int wide, int n, const int *column, const char *what) {
    g->output = nn_row_sum(g, wide);
    graph_add_loss(g, nn_mul(g, g->output, g->output), 1);
    cr_assert_eq(graph_alloc_params(g, 3, NULL), 0);
    struct run r = run_once(g, 11, 11, 4);
    for (int run = 0; run < 2; run++) {
        struct mat v = exec_value(r.x, wide);
        for (size_t row = 0; row < 11; row++) {
            size_t at = 0;
            for (int k = 0; k < n; k++) {
                const struct param *p = g->param[column[k]]; /* one table a column, in the same order */
                for (size_t j = 0; j < p->cols; j++, at++)
                    cr_assert_eq(v.p[row * v.ld + at], p->value[r.b.column[column[k]].ids[row] * p->cols + j],
                                 "%s, run %d: row %zu, column %zu", what, run, row, at);
            }
        }
        exec_forward(r.x, r.b.slice, r.b.n_slices);
    }
    run_end(&r);
    graph_release(g);
}

Test(exec, concat_holds_its_inputs_in_order_however_they_are_laid) {
    struct graph g;
    int a, b, c;
    columns(&g, &a, &b, &c);
    expect_rows(&g, nn_concat(&g, 3, (int[]){b, a, c}), 3, (int[]){1, 0, 2}, "plain");

    columns(&g, &a, &b, &c);
    int inner = nn_concat(&g, 2, (int[]){a, b});
    expect_rows(&g, nn_concat(&g, 2, (int[]){c, inner}), 3, (int[]){2, 0, 1}, "nested");

    columns(&g, &a, &b, &c);
    inner = nn_concat(&g, 2, (int[]){c, a});
    int outer = nn_concat(&g, 2, (int[]){inner, b});
    expect_rows(&g, nn_concat(&g, 2, (int[]){outer, inner}), 5, (int[]){2, 0, 1, 2, 0},
                "nested, one of them twice");

    columns(&g, &a, &b, &c);
    expect_rows(&g, nn_concat(&g, 4, (int[]){a, c, a, b}), 4, (int[]){0, 2, 0, 1}, "the same input twice");

    columns(&g, &a, &b, &c);
    graph_add_loss(&g, nn_row_sum(&g, b), 0.1);
    expect_rows(&g, nn_concat(&g, 3, (int[]){a, b, c}), 3, (int[]){0, 1, 2}, "an input with another reader");

    columns(&g, &a, &b, &c);
    int first = nn_concat(&g, 2, (int[]){a, b});
    graph_add_loss(&g, nn_row_sum(&g, nn_concat(&g, 2, (int[]){b, a})), 0.1);
    expect_rows(&g, nn_concat(&g, 2, (int[]){first, c}), 3, (int[]){0, 1, 2}, "inputs of two concats");
}

Test(exec, a_value_that_is_the_output_and_lies_in_a_concat_is_scored) {
    struct graph g;
    float score[10];
    graph_init(&g);
    g.init_std = 1;
    int a = nn_embedding(&g, graph_input(&g, "a", SIDE_USER, VALUE_ID, 30), 1, NULL);
    graph_add_loss(&g, nn_row_sum(&g, nn_concat(&g, 2, (int[]){nn_scale(&g, a, 2), a})), 1);
    g.output = a;
    cr_assert_eq(graph_alloc_params(&g, 3, NULL), 0);
    struct run r = run_once(&g, 10, 10, 4);
    exec_score(r.x, r.b.slice, r.b.n_slices, score);
    for (size_t i = 0; i < 10; i++) cr_assert_eq(score[i], g.param[0]->value[r.b.column[0].ids[i]]);
    run_end(&r);
    graph_release(&g);
}

/* ---- losses and stops: the gradient of w in y = w n, n a number column, is the mean of n times dloss/dy
 * ---- */

static double mean_square(const struct run *r, int column) {
    double sum = 0;
    for (size_t i = 0; i < r->b.rows; i++)
        sum += (double)r->b.column[column].number[i] * (double)r->b.column[column].number[i];
    return sum / (double)r->b.rows;
}
static double mean(const struct run *r, int column) {
    double sum = 0;
    for (size_t i = 0; i < r->b.rows; i++) sum += (double)r->b.column[column].number[i];
    return sum / (double)r->b.rows;
}
static int weighed(struct graph *g, const char *column) {
    return nn_embedding(g, graph_input(g, column, SIDE_USER, VALUE_NUMBER, 0), 1, NULL);
}

Test(exec, stop_gradient_lets_values_through_and_gradients_not) {
    struct graph g;
    graph_init(&g);
    int y = weighed(&g, "n"), stopped = nn_stop_gradient(&g, nn_scale(&g, weighed(&g, "m"), 3));
    graph_add_loss(&g, nn_mul(&g, y, nn_stop_gradient(&g, y)), 1); /* d/dw w sg(w) n^2 = w n^2 */
    graph_add_loss(&g, stopped, 1);
    cr_assert_eq(graph_alloc_params(&g, 3, NULL), 0);
    g.param[0]->value[0] = 0.5f;
    g.param[1]->value[0] = 2;
    struct run r = run_once(&g, 20, 20, 6);
    cr_assert_float_eq(r.grad[0][0], 0.5 * mean_square(&r, 0), 1e-5);
    cr_assert_eq(r.grad[1][0], 0);
    cr_assert_float_eq(r.loss, 0.25 * mean_square(&r, 0) + 6 * mean(&r, 1), 1e-5);
    run_end(&r);
    graph_release(&g);
}

Test(exec, a_table_behind_a_stop_gets_no_gradient) {
    struct graph g;
    graph_init(&g);
    int a = nn_embedding(&g, graph_input(&g, "a", SIDE_USER, VALUE_ID, 30), 4, NULL);
    int b = nn_embedding(&g, graph_input(&g, "b", SIDE_USER, VALUE_ID, 30), 4, NULL);
    graph_add_loss(&g, nn_dot(&g, nn_stop_gradient(&g, a), b), 1);
    cr_assert_eq(graph_alloc_params(&g, 3, NULL), 0);
    struct run r = run_once(&g, 20, 20, 6);
    const struct exec_table_use *use;
    cr_assert_eq(exec_table_uses(r.x, &use), 1);
    cr_assert_eq(use[0].param, 1);
    for (size_t k = 0; k < param_size(g.param[0]); k++) cr_assert_eq(r.grad[0][k], 0);
    run_end(&r);
    graph_release(&g);
}

Test(exec, several_losses_add_up_with_their_weights) {
    struct graph g;
    graph_init(&g);
    int y = weighed(&g, "n");
    graph_add_loss(&g, y, 2);
    graph_add_loss(&g, nn_mul(&g, y, y), 0.25); /* reads a node that is a loss itself */
    graph_add_loss(&g, y, 1);                   /* the same node again */
    cr_assert_eq(graph_alloc_params(&g, 3, NULL), 0);
    g.param[0]->value[0] = 1.5f;
    struct run r = run_once(&g, 20, 20, 6);
    cr_assert_float_eq(r.loss, 3 * 1.5 * mean(&r, 0) + 0.25 * 2.25 * mean_square(&r, 0), 1e-5);
    cr_assert_float_eq(r.grad[0][0], 3 * mean(&r, 0) + 0.25 * 2 * 1.5 * mean_square(&r, 0), 1e-5);
    run_end(&r);
    graph_release(&g);
}

Test(exec, a_loss_may_be_read_by_a_concat) {
    struct graph g;
    graph_init(&g);
    int y = weighed(&g, "n"), z = weighed(&g, "m");
    graph_add_loss(&g, y, 2);
    graph_add_loss(&g, nn_row_sum(&g, nn_concat(&g, 2, (int[]){y, z})), 1);
    cr_assert_eq(graph_alloc_params(&g, 3, NULL), 0);
    struct run r = run_once(&g, 20, 20, 6);
    cr_assert_float_eq(r.grad[0][0], 3 * mean(&r, 0), 1e-5);
    cr_assert_float_eq(r.grad[1][0], mean(&r, 1), 1e-5);
    run_end(&r);
    graph_release(&g);
}

/* ---- memory ---- */

Test(exec, running_out_of_memory_is_an_error) {
    struct graph g;
    model(&g, true);
    struct exec_options o = {.max_rows = 100, .slice_rows = 10, .train = true};
    int rc = 1;
    for (unsigned nth = 1; rc; nth++) {
        struct exec *x = NULL;
        struct err e = ERR_INIT;
        cr_assert_lt(nth, 1000);
        mem_fail_after(nth);
        rc = exec_create(&g, &o, &x, &e);
        mem_fail_after(0);
        cr_assert(rc ? !x && strstr(e.msg, "out of memory") : x != NULL, "%s", e.msg);
        exec_free(x);
    }
    graph_release(&g);
}
