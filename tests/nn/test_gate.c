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
