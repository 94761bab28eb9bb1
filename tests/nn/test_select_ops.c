/* The operations that choose features against PyTorch: tests/fixtures/models/select.safetensors, made by
 * tests/fixtures/make_select.py. As in test_ops_pytorch.c, in0 is an embedding table that row r looks up at r, and the
 * objective is sum(out * gout). */
#include "nn/checkpoint.h"
#include "nn/op.h"
#include "nn/passes.h"
#include "tests/nn/batch.h"
#include "tests/nn/near.h"
#include "variants/variant.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { FIELDS = 3 };
static struct tensors file;

static const struct tensor *get(const char *name, const char *part) {
    char full[NN_NAME_MAX];
    snprintf(full, sizeof full, "%s.%s", name, part);
    const struct tensor *t = tensors_find(&file, full);
    cr_assert_not_null(t, "no tensor %s", full);
    return t;
}

static int gate(struct graph *g, int x) {
    return nn_group_scale(g, x, nn_concrete_gate(g, FIELDS, 0.5, "g"));
}
static int gates(struct graph *g, int x) {
    return nn_group_scale(g, gate(g, x), nn_concrete_gate(g, FIELDS, 0.5, "h"));
}
static int se(struct graph *g, int x) { return parts_importance(g, x, FIELDS, "s"); }
/* The weight stands in a linear layer that nothing needs. */
static int lasso(struct graph *g, int x) {
    int wide = nn_concat(g, 6, (int[]){x, x, x, x, x, x});
    nn_linear_no_bias(g, wide, 5, ACT_NONE, "l");
    return nn_mul(g, x, nn_group_norm(g, graph_find_param(g, "l.weight"), FIELDS));
}

static void set(struct param *p, const struct tensor *t) {
    cr_assert_eq(param_size(p), t->n, "%s", p->name);
    memcpy(p->value, t->data, t->n * sizeof(float));
}

static void expect(const char *name, const char *what, const float *got, size_t ld,
                   const struct tensor *want) {
    size_t w = want->n_dims == 1 ? 1 : want->dim[1];
    double slack = near_slack(want);
    for (size_t i = 0; i < want->n; i++) {
        float a = got[i / w * ld + i % w];
        cr_assert(near(a, near_value(want, i), slack), "%s: %s %zu: %.9g, PyTorch has %.9g", name, what, i,
                  (double)a, near_value(want, i));
    }
}

static void check(const char *name, int (*build)(struct graph *, int), bool trains, size_t slice_rows) {
    static const char *const grads[] = {"gin0", "gparam0", "gparam1"}, *const values[] = {"in0", "param0",
                                                                                          "param1"};
    struct graph g;
    struct batch b;
    struct err e = ERR_INIT;
    const struct tensor *x = get(name, "in0"), *gout = get(name, "gout");
    size_t rows = x->dim[0], width = gout->dim[1];
    graph_init(&g);
    int in =
        nn_embedding(&g, graph_input(&g, "r", SIDE_USER, VALUE_ID, (uint32_t)rows), (int)x->dim[1], NULL);
    int out = build(&g, in), fixed = nn_external(&g, "gout", SIDE_USER, (int)width),
        product = nn_mul(&g, out, fixed);
    graph_add_loss(&g, width == 1 ? product : nn_row_sum(&g, product), (double)rows);
    cr_assert_eq(graph_alloc_params(&g, 1, &e), 0, "%s", e.msg);
    for (int i = 0; i < g.n_params; i++) set(g.param[i], get(name, values[i]));
    batch_init(&b, &g, rows);
    uint32_t *count = batch_alloc(&b, rows, sizeof *count);
    for (size_t r = 0; r < rows; r++) count[r] = (uint32_t)r;
    b.column[0].ids = count;
    batch_cut(&b, slice_rows);
    struct exec *run = exec_for(&g, rows, slice_rows, NULL);
    exec_bind(run, fixed, (struct mat){(float *)(uintptr_t)gout->data, width});
    if (trains) {
        exec_train(run, b.slice, b.n_slices, 1);
        float **grad = batch_gradients(&b, &g, run);
        for (int i = 0; i < g.n_params; i++) {
            const struct tensor *want = get(name, grads[i]);
            expect(name, grads[i], grad[i], want->n_dims == 1 ? 1 : want->dim[1], want);
        }
    } else {
        exec_forward(run, b.slice, b.n_slices);
    }
    struct mat v = exec_value(run, out);
    expect(name, "out", v.p, v.ld, get(name, "out"));
    exec_free(run);
    batch_release(&b);
    graph_release(&g);
}

Test(select_ops, equal_pytorch) {
    struct err e = ERR_INIT;
    cr_assert_eq(tensors_open("tests/fixtures/models/select.safetensors", &file, &e), 0, "%s", e.msg);
    for (size_t slice = 3; slice <= 100; slice += 97) {
        check("gate", gate, true, slice);
        check("gate_still", gate, false, slice);
        check("gates", gates, true, slice);
        check("se", se, true, slice);
        check("lasso", lasso, true, slice);
    }
    tensors_close(&file);
}

/* P(z > 1/2) = d (Maddison et al. 2017): the gate is a relaxed coin that shows heads with probability d. */
Test(select_ops, a_gate_is_open_with_its_probability) {
    struct graph g;
    struct batch b;
    struct err e = ERR_INIT;
    const double d[] = {0.1, 0.5, 0.85};
    int open[3] = {0}, draws = 4000;
    graph_init(&g);
    int z = nn_concrete_gate(&g, 3, 0.1, "g");
    g.output = nn_row_sum(
        &g, nn_mul(&g, z, nn_embedding(&g, graph_input(&g, "r", SIDE_USER, VALUE_ID, 2), 3, NULL)));
    graph_add_loss(&g, g.output, 1);
    cr_assert_eq(graph_alloc_params(&g, 1, &e), 0, "%s", e.msg);
    float *logit = g.param[graph_find_param(&g, "g.logit")]->value;
    for (int j = 0; j < 3; j++) logit[j] = (float)log(d[j] / (1 - d[j]));
    batch_random(&b, &g, 2, 1);
    batch_cut(&b, 2);
    struct exec *run = exec_for(&g, 2, 2, NULL);
    for (int k = 0; k < draws; k++) {
        exec_train(run, b.slice, b.n_slices, (uint64_t)k);
        struct mat v = exec_value(run, z);
        for (int j = 0; j < 3; j++) {
            open[j] += v.p[j] > 0.5f;
            cr_assert_eq(v.p[j], v.p[v.ld + (size_t)j], "the same in every row");
        }
    }
    for (int j = 0; j < 3; j++)
        cr_expect_float_eq((double)open[j] / draws, d[j], 4 * sqrt(d[j] * (1 - d[j]) / draws), "field %d: %d",
                           j, open[j]);
    exec_free(run);
    batch_release(&b);
    graph_release(&g);
}
