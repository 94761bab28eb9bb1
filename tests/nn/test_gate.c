/* FSCD's gate: what it is without training, and how it is distributed in training. */
#include "tests/nn/batch.h"
#include <criterion/criterion.h>
#include <math.h>

enum { FIELDS = 3, ROWS = 4, BATCHES = 4000 };
static const double temperature = 0.5;
static const float logit[FIELDS] = {-1.5f, 0, 0.8f};

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* z > sigmoid(c/t) where logit d + logit u > c, that is u > sigmoid(c - logit d): with probability
 * sigmoid(logit d - c). */
Test(gate, is_open_as_often_as_its_logit_says) {
    static const double cut[] = {-2, -0.5, 0, 1.5};
    struct graph g;
    struct batch b;
    int above[4][FIELDS] = {{0}};
    graph_init(&g);
    int x = nn_embedding(&g, graph_input(&g, "x", SIDE_USER, VALUE_ID, 5), FIELDS, NULL);
    int gate = nn_concrete_gate(&g, FIELDS, temperature, "gate");
    graph_add_loss(&g, nn_row_sum(&g, nn_mul(&g, x, gate)), 1);
    cr_assert_eq(graph_alloc_params(&g, 1, NULL), 0);
    for (int j = 0; j < FIELDS; j++) g.param[graph_find_param(&g, "gate.logit")]->value[j] = logit[j];
    batch_random(&b, &g, ROWS, 1);
    batch_cut(&b, ROWS);
    struct exec *e = exec_for(&g, ROWS, ROWS, NULL);
    exec_forward(e, b.slice, b.n_slices);
    for (int j = 0; j < FIELDS; j++)
        cr_expect_float_eq(exec_value(e, gate).p[j], sigmoid((double)logit[j] / temperature), 1e-6);
    for (uint64_t seed = 1; seed <= BATCHES; seed++) {
        exec_train(e, b.slice, b.n_slices, seed);
        struct mat z = exec_value(e, gate);
        for (int j = 0; j < FIELDS; j++) {
            cr_assert_eq(z.p[j], z.p[(ROWS - 1) * z.ld + (size_t)j], "one gate for all rows");
            for (int k = 0; k < 4; k++) above[k][j] += (double)z.p[j] > sigmoid(cut[k] / temperature);
        }
    }
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < FIELDS; j++) {
            double p = sigmoid((double)logit[j] - cut[k]), sd = sqrt(p * (1 - p) / BATCHES);
            cr_expect_float_eq(above[k][j] / (double)BATCHES, p, 4.5 * sd, "field %d above %g", j, cut[k]);
        }
    exec_free(e);
    batch_release(&b);
    graph_release(&g);
}

/* P(both > 1/2) = d^2, were it the same u for both it would be d; a copy of the node is for other rows of the same batch. */
Test(gate, two_gates_are_independent_and_a_copy_of_one_is_the_same) {
    static const double d = 0.5;
    struct graph g;
    struct batch b;
    int both[FIELDS] = {0}, id[3], map[16] = {0};
    graph_init(&g);
    int x = nn_embedding(&g, graph_input(&g, "x", SIDE_USER, VALUE_ID, 5), FIELDS, NULL);
    id[0] = nn_concrete_gate(&g, FIELDS, temperature, "user.gate");
    id[1] = nn_concrete_gate(&g, FIELDS, temperature, "item.gate");
    id[2] = graph_clone_node(&g, &g, id[1], map);
    for (int k = 0; k < 3; k++) x = nn_mul(&g, x, id[k]);
    graph_add_loss(&g, nn_row_sum(&g, x), 1);
    cr_assert_eq(graph_alloc_params(&g, 1, NULL), 0);
    batch_random(&b, &g, ROWS, 1);
    batch_cut(&b, ROWS);
    struct exec *e = exec_for(&g, ROWS, ROWS, NULL);
    for (uint64_t seed = 1; seed <= BATCHES; seed++) {
        exec_train(e, b.slice, b.n_slices, seed);
        const float *user = exec_value(e, id[0]).p, *item = exec_value(e, id[1]).p;
        for (int j = 0; j < FIELDS; j++) both[j] += user[j] > 0.5f && item[j] > 0.5f;
        cr_assert_arr_eq(item, exec_value(e, id[2]).p, FIELDS * sizeof *item);
    }
    for (int j = 0; j < FIELDS; j++) {
        double p = d * d, sd = sqrt(p * (1 - p) / BATCHES);
        cr_expect_float_eq(both[j] / (double)BATCHES, p, 4.5 * sd, "field %d", j);
    }
    exec_free(e);
    batch_release(&b);
    graph_release(&g);
}
