/* Every operation's gradient against finite differences of its own forward pass.
 *
 * A case builds one operation on trained inputs (embeddings of width `in[k]`). The objective is a fixed
 * random projection of its value, so that every column counts differently. Each case runs alone, with other
 * readers of its inputs before or after it (its gradient must be added to theirs), and with its value among
 * the columns of a concat; on one slice, and on slices of 4, 4, 1. */
#include "base/rng.h"
#include "nn/optim.h"
#include "nn/passes.h"
#include "nn/vec.h"
#include "tests/nn/batch.h"
#include "tests/nn/reference.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { ROWS = 9, VOCAB = 12, W = -1 }; /* W, 2*W, ..: as often the width that the case is run with */

struct op_case {
    const char *name;
    int (*build)(struct graph *g, const int *in, int width); /* the node under test */
    int in[3];
};

static int column(struct graph *g, const char *name, enum value_type type) {
    return graph_input(g, name, SIDE_USER, type, type == VALUE_NUMBER ? 0 : VOCAB);
}

/* ---- what is built ---- */

#define BUILD(name, value)                                                                                   \
    static int name(struct graph *g, const int *in, int width) {                                             \
        (void)in, (void)width;                                                                               \
        return value;                                                                                        \
    }
BUILD(number, nn_mul(g, in[0], nn_number(g, column(g, "n", VALUE_NUMBER))))
BUILD(embedding_id, nn_embedding(g, column(g, "id", VALUE_ID), width, NULL))
BUILD(embedding_bag, nn_embedding(g, column(g, "bag", VALUE_BAG), width, NULL))
BUILD(embedding_number, nn_embedding(g, column(g, "n", VALUE_NUMBER), width, NULL))
BUILD(concat, nn_concat(g, 2, in))
BUILD(linear, nn_linear(g, in[0], 3, ACT_NONE, "l"))
BUILD(linear_relu, nn_linear(g, in[0], 17, ACT_RELU, "l"))
BUILD(linear_sigmoid, nn_linear(g, in[0], 4, ACT_SIGMOID, "l"))
BUILD(linear_tanh, nn_linear(g, in[0], 2, ACT_TANH, "l"))
BUILD(linear_one_unit, nn_linear(g, in[0], 1, ACT_SIGMOID, "l"))
BUILD(linear_no_bias, nn_linear_no_bias(g, in[0], 3, ACT_TANH, "l"))
BUILD(act_none, nn_act(g, in[0], ACT_NONE))
BUILD(act_relu, nn_act(g, in[0], ACT_RELU))
BUILD(act_sigmoid, nn_act(g, in[0], ACT_SIGMOID))
BUILD(act_tanh, nn_act(g, in[0], ACT_TANH))
BUILD(act_linear_log, nn_act(g, in[0], ACT_LINEAR_LOG))
BUILD(dot, nn_dot(g, in[0], in[1]))
BUILD(dot_with_itself, nn_dot(g, in[0], in[0]))
BUILD(mul, nn_mul(g, in[0], in[1]))
BUILD(mul_by_itself, nn_mul(g, in[0], in[0]))
BUILD(add, nn_add(g, 2, in))
BUILD(scale, nn_scale(g, in[0], -2.5))
BUILD(slice_middle, nn_slice(g, in[0], 1, width))
BUILD(slice_begin, nn_slice(g, in[0], 0, 2))
BUILD(slice_all, nn_slice(g, in[0], 0, width))
BUILD(row_sum, nn_row_sum(g, in[0]))
BUILD(group_sum, nn_group_sum(g, in[0], 3))
BUILD(group_sum_one, nn_group_sum(g, in[0], 1))
BUILD(group_pool, nn_group_pool(g, in[0], 3))
BUILD(group_scale, nn_group_scale(g, in[0], in[1]))
BUILD(max_sim, nn_max_sim(g, in[0], in[1], 3))
BUILD(max_sim_with_itself, nn_max_sim(g, in[0], in[0], 2))
BUILD(cin, nn_cin(g, in[0], in[1], 2, width, "cin"))
BUILD(cin_first_layer, nn_cin(g, in[0], in[0], 3, width, "cin"))
BUILD(column_scale, nn_column_scale(g, in[0], "s"))
BUILD(constant, nn_mul(g, in[0], nn_constant(g, SIDE_USER, 1, -0.75)))
BUILD(l2_normalize, nn_l2_normalize(g, in[0]))
BUILD(batch_norm, nn_batch_norm(g, in[0], "bn", false))
BUILD(batch_norm_uniform, nn_batch_norm(g, in[0], "bn", true))
BUILD(dropout, nn_dropout(g, in[0], 0.4))
BUILD(dropout_none, nn_dropout(g, in[0], 0))
BUILD(bce, nn_bce(g, in[0], column(g, "label", VALUE_NUMBER)))

BUILD(sequence, nn_sequence(g, column(g, "bag", VALUE_BAG), 3, width, "t"))
BUILD(target_attention, nn_target_attention(g, nn_sequence(g, column(g, "bag", VALUE_BAG), 3, width, "t"),
                                            in[0], 4, "attention"))
BUILD(category_alignment, nn_category_alignment(g, in[0], graph_input(g, "category", SIDE_ITEM, VALUE_ID, 3)))

BUILD(concrete_gate, nn_group_scale(g, in[0], nn_concrete_gate(g, 3, 0.7, "gate")))

static int group_norm(struct graph *g, const int *in, int width) {
    (void)width;
    int l = nn_linear(g, in[0], 3, ACT_TANH, "l");
    return nn_mul(g, l, nn_group_norm(g, graph_find_param(g, "l.weight"), 3));
}
static int embedding_shared(struct graph *g, const int *in, int width) {
    (void)in;
    int a = nn_embedding(g, column(g, "a", VALUE_ID), width, "t"),
        b = nn_embedding(g, column(g, "b", VALUE_BAG), width, "t");
    return nn_mul(g, a, b);
}
static int attention_with_a_shared_table(struct graph *g, const int *in, int width) {
    (void)in;
    int q = nn_embedding(g, column(g, "id", VALUE_ID), width, "t");
    return nn_target_attention(g, nn_sequence(g, column(g, "bag", VALUE_BAG), 2, width, "t"), q, 3,
                               "attention");
}
static int number_shared(struct graph *g, const int *in, int width) {
    (void)in;
    int a = nn_embedding(g, column(g, "n", VALUE_NUMBER), width, "v"),
        b = nn_embedding(g, column(g, "m", VALUE_NUMBER), width, "v");
    return nn_mul(g, a, b);
}
static int concat_with_repeats(struct graph *g, const int *in, int width) {
    (void)width;
    int x[] = {in[0], in[1], in[0], nn_scale(g, in[1], 3)};
    return nn_concat(g, 4, x);
}
static int concat_of_concats(struct graph *g, const int *in, int width) {
    (void)width;
    int inner = nn_concat(g, 2, in), first = nn_scale(g, in[1], 0.5),
        x[] = {first, inner, nn_act(g, in[0], ACT_TANH)};
    return nn_concat(g, 3, x);
}
static int add_with_repeats(struct graph *g, const int *in, int width) {
    (void)width;
    int x[] = {in[0], in[1], in[0]};
    return nn_add(g, 3, x);
}
static int slices_of_one_value(struct graph *g, const int *in, int width) {
    return nn_mul(g, nn_slice(g, in[0], 0, width), nn_slice(g, in[0], width, width));
}
static int layers(struct graph *g, const int *in, int width) {
    int a = nn_linear(g, nn_batch_norm(g, in[0], "bn", false), width, ACT_TANH, "l.0");
    return nn_linear(g, nn_batch_norm(g, nn_linear(g, a, 3, ACT_NONE, "l.1"), "bn.1", true), 2, ACT_SIGMOID,
                     "l.2");
}

static const struct op_case cases[] = {
    {"number", number, {W}},
    {"embedding of an id", embedding_id, {0}},
    {"embedding of a bag", embedding_bag, {0}},
    {"embedding of a number", embedding_number, {0}},
    {"embedding, a table with two readers", embedding_shared, {0}},
    {"embedding, a vector of two number columns", number_shared, {0}},
    {"sequence", sequence, {0}},
    {"target_attention", target_attention, {W}},
    {"target_attention over the target's own table", attention_with_a_shared_table, {0}},
    {"category_alignment", category_alignment, {W}},
    {"concat", concat, {W, 2}},
    {"concat of the same input twice", concat_with_repeats, {W, 2}},
    {"concat of concats", concat_of_concats, {W, 3}},
    {"linear", linear, {W}},
    {"linear, relu", linear_relu, {W}},
    {"linear, sigmoid", linear_sigmoid, {W}},
    {"linear, tanh", linear_tanh, {W}},
    {"linear, one unit", linear_one_unit, {W}},
    {"linear, one input", linear_tanh, {1}},
    {"linear, one of both", linear_one_unit, {1}},
    {"linear, no bias", linear_no_bias, {W}},
    {"act none", act_none, {W}},
    {"act relu", act_relu, {W}},
    {"act sigmoid", act_sigmoid, {W}},
    {"act tanh", act_tanh, {W}},
    {"act linear_log", act_linear_log, {W}},
    {"dot", dot, {W, W}},
    {"dot with itself", dot_with_itself, {W}},
    {"mul", mul, {W, W}},
    {"mul by itself", mul_by_itself, {W}},
    {"mul by a factor a row", mul, {W, 1}},
    {"mul of width one", mul, {1, 1}},
    {"add", add, {W, W}},
    {"add of the same input twice", add_with_repeats, {W, W}},
    {"scale", scale, {W}},
    {"slice, middle", slice_middle, {3 * W}},
    {"slice, begin", slice_begin, {W}},
    {"slice, all", slice_all, {W}},
    {"two slices of one value", slices_of_one_value, {2 * W}},
    {"row_sum", row_sum, {W}},
    {"group_sum", group_sum, {3 * W}},
    {"group_sum, one group", group_sum_one, {W}},
    {"group_pool", group_pool, {3 * W}},
    {"group_scale", group_scale, {3 * W, 3}},
    {"max_sim", max_sim, {3 * W, 3 * W}},
    {"max_sim with itself", max_sim_with_itself, {2 * W}},
    {"cin", cin, {3 * W, 2 * W}},
    {"cin of one vector each", cin, {W, W}},
    {"cin, first layer", cin_first_layer, {2 * W}},
    {"column_scale", column_scale, {W}},
    {"constant", constant, {W}},
    {"concrete_gate", concrete_gate, {3 * W}},
    {"group_norm", group_norm, {3 * W}},
    {"l2_normalize", l2_normalize, {W}},
    {"batch_norm", batch_norm, {W}},
    {"batch_norm, uniform scale", batch_norm_uniform, {W}},
    {"dropout", dropout, {W}},
    {"dropout of nothing", dropout_none, {W}},
    {"bce", bce, {1}},
    {"layers with batch norm", layers, {W}},
};

/* ---- the objective ---- */

enum setting { ALONE, READERS_BEFORE, READERS_AFTER, IN_A_CONCAT, N_SETTINGS };
static const char *const setting_name[] = {"alone", "other readers before it", "other readers after it",
                                           "in a concat"};

struct trial {
    struct graph g;
    struct batch batch;
    struct exec *x;
    int external[8], n_external;
    int node; /* under test */
    size_t slice_rows;
};

/* A loss: the row's values times fixed random factors (bound in start()). */
static void project(struct trial *t, int node, double weight) {
    struct graph *g = &t->g;
    int fixed = nn_external(g, "factors", SIDE_USER, node < 0 ? 1 : g->node[node]->width);
    t->external[t->n_external++] = fixed;
    int y = nn_mul(g, node, fixed);
    graph_add_loss(g, g->err.code || g->node[y]->width == 1 ? y : nn_row_sum(g, y), weight);
}

static void build(struct trial *t, const struct op_case *c, enum setting setting, int width) {
    struct graph *g = &t->g;
    int in[3], n = 0;
    *t = (struct trial){.n_external = 0};
    graph_init(g);
    g->init_std = 1;
    for (; n < 3 && c->in[n]; n++) {
        char name[] = {'i', 'n', (char)('0' + n), 0};
        in[n] = nn_embedding(g, column(g, name, VALUE_ID), c->in[n] < 0 ? -c->in[n] * width : c->in[n], NULL);
    }
    for (int k = 0; setting == READERS_BEFORE && k < n; k++) project(t, nn_scale(g, in[k], 0.7), 0.5);
    t->node = c->build(g, in, width);
    if (setting == IN_A_CONCAT) {
        int before = nn_embedding(g, column(g, "before", VALUE_ID), 3, NULL), after = nn_scale(g, before, 2);
        project(t, nn_concat(g, 3, (int[]){before, t->node, after}), 1);
    } else {
        project(t, t->node, 1);
    }
    for (int k = 0; setting == READERS_AFTER && k < n; k++) project(t, nn_scale(g, in[k], 0.7), 0.5);
}

static void start(struct trial *t, size_t slice_rows, uint64_t seed) {
    struct graph *g = &t->g;
    struct err e = ERR_INIT;
    struct rng r = rng_init(seed, 1);
    cr_assert_eq(graph_alloc_params(g, seed, &e), 0, "%s", e.msg);
    for (int i = 0; i < g->n_params; i++) /* biases too */
        for (size_t k = 0; g->param[i]->init == INIT_ZERO && g->param[i]->kind == PARAM_DENSE &&
                           k < param_size(g->param[i]);
             k++)
            g->param[i]->value[k] = (float)(0.3 * rng_normal(&r));
    batch_random(&t->batch, g, ROWS, seed);
    batch_cut(&t->batch, slice_rows);
    t->x = exec_for(g, ROWS, slice_rows, NULL);
    for (int k = 0; k < t->n_external; k++) {
        size_t ld = (size_t)g->node[t->external[k]]->width + 3;
        float *p = batch_alloc(&t->batch, ROWS * ld, sizeof *p);
        for (size_t i = 0; i < ROWS * ld; i++) p[i] = (float)rng_normal(&r);
        exec_bind(t->x, t->external[k], (struct mat){p, ld});
    }
}

static void stop(struct trial *t) {
    exec_free(t->x);
    batch_release(&t->batch);
    graph_release(&t->g);
}

static double objective(struct trial *t) { return exec_train(t->x, t->batch.slice, t->batch.n_slices, 77); }

static double central_difference(struct trial *t, float *w, double step) {
    float kept = *w, up = (float)((double)kept + step), down = (float)((double)kept - step);
    *w = up;
    double f = objective(t);
    *w = down;
    f -= objective(t);
    *w = kept;
    return f / ((double)up - (double)down);
}

/* Differences at two steps that disagree lie on a kink (relu) and are left out; they must be few. */
static int expect_gradient(struct trial *t, struct param *p, const float *grad, const char *what) {
    double largest = 0.02, worst = 0;
    size_t n = param_size(p);
    int kinks = 0;
    for (size_t k = 0; k < n; k++) largest = fmax(largest, fabs((double)grad[k]));
    for (size_t k = 0; k < n; k++) {
        double wide = central_difference(t, &p->value[k], 8e-3),
               f = central_difference(t, &p->value[k], 4e-3);
        if (fabs(wide - f) > 1e-3 * largest)
            kinks++;
        else
            worst = fmax(worst, fabs(f - (double)grad[k]));
    }
    cr_expect(worst <= 2e-3 * largest, "%s: d/d(%s) is off by %.3g; the largest is %.3g", what, p->name,
              worst, largest);
    return kinks;
}

static void expect_gradients(struct trial *t, const char *what) {
    size_t total = 0, kinks = 0;
    objective(t);
    objective(t); /* what the first run left behind must not matter */
    float **grad = batch_gradients(&t->batch, &t->g, t->x);
    for (int i = 0; i < t->g.n_params; i++) {
        struct param *p = t->g.param[i];
        if (p->kind == PARAM_STATE) continue;
        kinks += (size_t)expect_gradient(t, p, grad[i], what);
        total += param_size(p);
    }
    cr_expect(total > 0 && kinks <= total / 10, "%s: %zu of %zu differences lie on kinks", what, kinks,
              total);
}

Test(ops, gradients_equal_finite_differences) {
    static const int width[] = {5, 18};
    static const size_t slice_rows[] = {ROWS, 4};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int v = 0; v < N_SETTINGS * 4; v++) {
            struct trial t;
            char what[200];
            enum setting setting = v / 4;
            snprintf(what, sizeof what, "%s (%s, width %d, %s)", cases[i].name, setting_name[setting],
                     width[v % 2], v / 2 % 2 ? "slices of 4" : "one slice");
            build(&t, &cases[i], setting, width[v % 2]);
            cr_assert_eq(t.g.err.code, 0, "%s: %s", what, t.g.err.msg);
            start(&t, slice_rows[v / 2 % 2], i + 1);
            expect_gradients(&t, what);
            stop(&t);
        }
}
