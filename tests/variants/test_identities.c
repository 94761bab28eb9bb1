/* What the papers prove about the models, held against sums written out directly. */
#include "nn/exec.h"
#include "nn/op.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 30 };

static struct toy toy;

struct run {
    struct graph g;
    struct exec *x;
    struct toy_rows rows;
};

static void begin(struct run *r, const char *variant, const char *options) {
    static uint32_t users[ROWS], items[ROWS];
    static float label[ROWS];
    struct err e = ERR_INIT;
    toy_init(&toy);
    for (uint32_t i = 0; i < ROWS; i++) {
        users[i] = i % TOY_USERS;
        items[i] = i * 17 % TOY_ITEMS;
    }
    toy_model(variant, options, &r->g);
    cr_assert_eq(exec_create(&r->g, &(struct exec_options){.max_rows = ROWS}, &r->x, &e), 0, "%s", e.msg);
    toy_rows_init(&r->rows, &r->g, &toy, users, items, label, ROWS);
}

static void forward(struct run *r) { exec_forward(r->x, &(struct exec_slice){ROWS, r->rows.col}, 1); }

static void end(struct run *r) {
    exec_free(r->x);
    toy_rows_release(&r->rows);
    graph_release(&r->g);
}

static struct param *param(struct run *r, const char *name) {
    int p = graph_find_param(&r->g, name);
    cr_assert_geq(p, 0, "%s", name);
    return r->g.param[p];
}

/* The fused logistic regression as a plain sum: weights 1, no bias. */
static void plain_sum(struct run *r) {
    struct param *w = param(r, "fusion.weight");
    for (size_t k = 0; k < w->cols; k++) w->value[k] = 1;
    param(r, "fusion.bias")->value[0] = 0;
}

static double score(const struct run *r, size_t row) {
    struct mat m = exec_value(r->x, r->g.output);
    return (double)m.p[row * m.ld];
}

/* Component d of a field's vector in a row, read from the table as the definition says. */
static double embedded(struct run *r, const char *table, const char *field, size_t row, size_t d) {
    const struct batch_column *col = &r->rows.col[graph_column_index(&r->g, field)];
    const struct param *p = param(r, table);
    double sum = 0;
    if (col->number) return (double)col->number[row] * (double)p->value[d];
    size_t from = col->offsets ? col->offsets[row] : row, to = col->offsets ? col->offsets[row + 1] : row + 1;
    for (size_t i = from; i < to; i++) sum += (double)p->value[col->ids[i] * p->cols + d];
    return to > from ? sum / (double)(to - from) : 0;
}

static const char *const user_field[] = {"user_id", "user_bag", "age", "recent"}, *const item_field[] = {
                                                                                      "item_id", "item_bag"};
enum { USER_FIELDS = 4, ITEM_FIELDS = 2, FIELDS = USER_FIELDS + ITEM_FIELDS, DIM = 4, FFM = 2 };

/* `recent` reads the table of item_id. */
static double field_value(struct run *r, size_t f, size_t row, size_t d) {
    const char *name = f < USER_FIELDS ? user_field[f] : item_field[f - USER_FIELDS];
    char table[64];
    snprintf(table, sizeof table, "embedding.%s", strcmp(name, "recent") ? name : "item_id");
    return embedded(r, table, name, row, d);
}

/* sum over pairs of fields <v_i, v_j>: of all fields, or of one side with the other only. */
static double pairs(struct run *r, size_t row, bool across_only) {
    double sum = 0;
    for (size_t i = 0; i < FIELDS; i++)
        for (size_t j = i + 1; j < FIELDS; j++)
            for (size_t d = 0; d < DIM; d++)
                if (!across_only || (i < USER_FIELDS && j >= USER_FIELDS))
                    sum += field_value(r, i, row, d) * field_value(r, j, row, d);
    return sum;
}

/* Rendle 2010: sum_{i<j} <v_i, v_j> over all fields is one inner product of two vectors. */
Test(identities, fm_across_towers_and_within_them_is_the_double_sum) {
    struct run r;
    begin(&r, "parallel", "{dim: 4, channels: [fm]}");
    plain_sum(&r);
    forward(&r);
    for (size_t i = 0; i < ROWS; i++)
        cr_assert_float_eq(score(&r, i), pairs(&r, i, false), 1e-5, "row %zu", i);
    struct param *w = param(&r, "fusion.weight");
    w->value[DIM] = w->value[DIM + 1] = 0; /* the terms within a side stand alone */
    forward(&r);
    for (size_t i = 0; i < ROWS; i++)
        cr_assert_float_eq(score(&r, i), pairs(&r, i, true), 1e-5, "row %zu", i);
    end(&r);
}

/* Juan et al. 2016: sum over user field i and item field j of <v_{i->j}, v_{j->i}>. */
Test(identities, ffm_across_towers_is_the_double_sum) {
    struct run r;
    char of_user[64], of_item[64];
    begin(&r, "parallel", "{channels: [ffm], ffm_dim: 2}");
    plain_sum(&r);
    forward(&r);
    for (size_t row = 0; row < ROWS; row++) {
        double sum = 0;
        for (size_t i = 0; i < USER_FIELDS; i++)
            for (size_t j = 0; j < ITEM_FIELDS; j++)
                for (size_t d = 0; d < FFM; d++) {
                    snprintf(of_user, sizeof of_user, "ffm.%s", user_field[i]);
                    snprintf(of_item, sizeof of_item, "ffm.%s", item_field[j]);
                    sum += embedded(&r, of_user, user_field[i], row, j * FFM + d) *
                           embedded(&r, of_item, item_field[j], row, i * FFM + d);
                }
        cr_assert_float_eq(score(&r, row), sum, 1e-5, "row %zu: %g, not %g", row, score(&r, row), sum);
    }
    end(&r);
}

/* sum_k w_k u_k v_k + b = <w * u, v> + b: at serving the user's vector is w * u and the item's record is v, unchanged. */
Test(identities, fused_regression_folds_into_the_users_vector) {
    struct run r;
    struct err e = ERR_INIT;
    struct scorer *s;
    struct scorer_towers t;
    struct scorer_options o = scorer_defaults();
    begin(&r, "parallel", "{dim: 4, hidden: [6], d: 5, cin: [3, 2], ffm_dim: 2, cross_layers: 2}");
    struct serving_data data = toy_serving(&toy);
    forward(&r);
    const struct node *product = r.g.node[r.g.node[graph_find_node(&r.g, "fusion")]->in[0]];
    cr_assert_eq(product->op, &op_mul);
    struct mat u = exec_value(r.x, product->in[0]), v = exec_value(r.x, product->in[1]);
    const float *w = param(&r, "fusion.weight")->value;
    float vector[64];
    cr_assert_eq(scorer_create(&r.g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
    cr_assert_eq(scorer_towers(s, &t, &e), 0, "%s", e.msg);
    cr_assert(t.dim <= 64 && (int)t.dim == product->width);
    cr_expect_float_eq(t.bias, (double)param(&r, "fusion.bias")->value[0], 1e-7);
    for (uint32_t i = 0; i < ROWS; i++) {
        cr_assert_eq(scorer_user_vector(s, i % TOY_USERS, 0, vector, &e), 0, "%s", e.msg);
        for (size_t k = 0; k < t.dim; k++) {
            double mine = (double)vector[k] * t.scale, want = (double)w[k] * (double)u.p[i * u.ld + k],
                   record = (double)t.items[(size_t)(i * 17 % TOY_ITEMS) * t.dim + k],
                   item = (double)v.p[i * v.ld + k];
            cr_assert_float_eq(mine, want, 1e-4 * (1 + fabs(want)), "user vector, %zu: %g, not %g", k, mine,
                               want);
            cr_assert_float_eq(record, item, 1e-4 * (1 + fabs(item)), "record, %zu: %g, not %g", k, record,
                               item);
        }
    }
    scorer_free(s);
    end(&r);
}

/* ---- operations whose value the definitions fix ---- */

/* Loss and largest gradient of the alignment of two categories of five rows each; x[10][3]. */
static double alignment(const float *x, double *largest) {
    static const uint32_t row[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
                          category[10] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
    struct err e = ERR_INIT;
    struct graph g;
    struct exec *run;
    graph_init(&g);
    int v = nn_embedding(&g, graph_input(&g, "row", SIDE_ITEM, VALUE_ID, 10), 3, NULL);
    int c = graph_input(&g, "category", SIDE_ITEM, VALUE_ID, 2);
    g.output = nn_category_alignment(&g, v, c);
    graph_add_loss(&g, g.output, 1);
    cr_assert_eq(graph_alloc_params(&g, 1, &e), 0, "%s", e.msg);
    memcpy(g.param[0]->value, x, 30 * sizeof *x);
    cr_assert_eq(exec_create(&g, &(struct exec_options){.max_rows = 10, .train = true}, &run, &e), 0, "%s",
                 e.msg);
    struct batch_column col[] = {{.ids = row}, {.ids = category}};
    double loss = exec_train(run, &(struct exec_slice){10, col}, 1, 1);
    struct mat d = exec_grad(run, v);
    *largest = 0;
    for (size_t i = 0; i < 10; i++)
        for (size_t k = 0; k < 3; k++) *largest = fmax(*largest, fabs((double)d.p[i * d.ld + k]));
    exec_free(run);
    graph_release(&g);
    return loss;
}

Test(identities, category_alignment_is_zero_for_equal_covariances) {
    static const float first[5][3] = {{1, 2, 3}, {-1, 0.5f, 2}, {0, 0, 1}, {2, -1, 0}, {0.25f, 4, -2}};
    float x[10][3];
    double gradient, same[3], norm = 0;
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 5; i++)
            for (int d = 0; d < 3; d++) {
                x[i][d] = first[i][d];
                x[5 + i][d] = k == 0   ? first[4 - i][d] + (float)(8 * d) /* moved, in another order */
                              : k == 1 ? -first[i][d]                     /* mirrored */
                                       : 2 * first[i][d];                 /* twice as wide */
            }
        same[k] = alignment(x[0], &gradient);
        if (k < 2) cr_expect(same[k] < 1e-9 && gradient < 1e-5, "loss %g, gradient %g", same[k], gradient);
    }
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            double ma = 0, mb = 0, cov = 0;
            for (int i = 0; i < 5; i++) {
                ma += (double)first[i][a] / 5;
                mb += (double)first[i][b] / 5;
            }
            for (int i = 0; i < 5; i++) cov += ((double)first[i][a] - ma) * ((double)first[i][b] - mb) / 4;
            norm += cov * cov;
        }
    cr_expect_float_eq(same[2], 9 * norm, 1e-4 * norm, "Cov(2x) = 4 Cov(x): %g, not %g", same[2], 9 * norm);
    cr_expect_gt(gradient, 0.1);
}

Test(identities, linear_log_is_linear_to_one_and_logarithmic_beyond) {
    static const float x[] = {-20.085537f, -2.7182818f, -1, -0.5f, 0, 0.5f, 1, 2.7182818f, 20.085537f, 60000};
    static const double want[] = {-4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 12.002099841204238}; /* log(60000) + 1 */
    enum { N = sizeof x / sizeof *x };
    struct err e = ERR_INIT;
    struct graph g;
    struct exec *run;
    float got[N];
    graph_init(&g);
    g.output = nn_act(&g, nn_number(&g, graph_input(&g, "x", SIDE_USER, VALUE_NUMBER, 0)), ACT_LINEAR_LOG);
    cr_assert_eq(graph_alloc_params(&g, 1, &e), 0, "%s", e.msg);
    cr_assert_eq(exec_create(&g, &(struct exec_options){.max_rows = N}, &run, &e), 0, "%s", e.msg);
    struct batch_column col = {.number = x};
    exec_score(run, &(struct exec_slice){N, &col}, 1, got);
    for (size_t i = 0; i < N; i++)
        cr_expect_float_eq((double)got[i], want[i], 2e-6 * (1 + fabs(want[i])), "%g -> %g", (double)x[i],
                           (double)got[i]);
    exec_free(run);
    graph_release(&g);
}
