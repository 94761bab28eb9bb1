/* What operations compute, against their definitions written out; and what they refuse. */
#include "base/rng.h"
#include "nn/loss.h"
#include "nn/op.h"
#include "nn/passes.h"
#include "nn/vec.h"
#include "tests/nn/batch.h"
#include "tests/nn/reference.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { ROWS = 13, SLICE = 5, VOCAB = 20 };

/* A graph that has been run on random rows. */
struct run {
    struct graph g;
    struct batch b;
    struct exec *x;
};

static int table(struct graph *g, const char *name, int width) {
    return nn_embedding(g, graph_input(g, name, SIDE_USER, VALUE_ID, VOCAB), width, NULL);
}
static void begin(struct run *r) {
    graph_init(&r->g);
    r->g.init_std = 1;
}
static void prepare(struct run *r) {
    struct err e = ERR_INIT;
    cr_assert_eq(graph_alloc_params(&r->g, 7, &e), 0, "%s", e.msg);
    struct rng rng = rng_init(3, 3);
    for (int i = 0; i < r->g.n_params; i++) /* biases and factors too */
        for (size_t k = 0; k < param_size(r->g.param[i]); k++)
            r->g.param[i]->value[k] = (float)rng_normal(&rng);
    batch_random(&r->b, &r->g, ROWS, 4);
    batch_cut(&r->b, SLICE);
    r->x = exec_for(&r->g, ROWS, SLICE, NULL);
}
static void forward(struct run *r) {
    prepare(r);
    exec_forward(r->x, r->b.slice, r->b.n_slices);
}
static void end(struct run *r) {
    exec_free(r->x);
    batch_release(&r->b);
    graph_release(&r->g);
}
static double value(const struct run *r, int node, size_t row, size_t column) {
    struct mat m = exec_value(r->x, node);
    return (double)m.p[row * m.ld + column];
}
static double param(const struct run *r, const char *name, size_t k) {
    int p = graph_find_param(&r->g, name);
    cr_assert_geq(p, 0, "%s", name);
    return (double)r->g.param[p]->value[k];
}
#define EXPECT(node, row, column, want)                                                                      \
    do {                                                                                                     \
        double got_ = value(&r, node, row, column), want_ = want;                                            \
        cr_assert(fabs(got_ - want_) <= 1e-5 * fmax(1, fabs(want_)), "row %zu, column %zu is %g, not %g",    \
                  (size_t)(row), (size_t)(column), got_, want_);                                             \
    } while (0)

Test(values, group_scale_gives_each_group_its_factor) {
    struct run r;
    begin(&r);
    int x = table(&r.g, "x", 12), f = table(&r.g, "f", 3), y = nn_group_scale(&r.g, x, f);
    forward(&r);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < 12; c++) EXPECT(y, i, c, value(&r, x, i, c) * value(&r, f, i, c / 4));
    end(&r);
}

Test(values, column_scale_and_constant) {
    struct run r;
    begin(&r);
    int x = table(&r.g, "x", 5), y = nn_column_scale(&r.g, x, "s"), c = nn_constant(&r.g, SIDE_USER, 2, -1.5);
    forward(&r);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t k = 0; k < 5; k++) EXPECT(y, i, k, value(&r, x, i, k) * param(&r, "s.weight", k));
        EXPECT(c, i, 0, -1.5);
        EXPECT(c, i, 1, -1.5);
    }
    end(&r);
}

Test(values, max_sim_adds_each_heads_best_match) {
    struct run r;
    begin(&r);
    int x = table(&r.g, "x", 12), y = table(&r.g, "y", 12), z = nn_max_sim(&r.g, x, y, 3);
    forward(&r);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (size_t h = 0; h < 3; h++) {
            double best = -INFINITY;
            for (size_t j = 0; j < 3; j++) {
                double dot = 0;
                for (size_t k = 0; k < 4; k++) dot += value(&r, x, i, h * 4 + k) * value(&r, y, i, j * 4 + k);
                best = fmax(best, dot);
            }
            sum += best;
        }
        EXPECT(z, i, 0, sum);
    }
    end(&r);
}

/* X^k_h = sum_ij W^k_hij X^(k-1)_i * X^0_j */
Test(values, cin_sums_weighted_products_of_all_pairs) {
    struct run r;
    enum { D = 3, H = 2, F = 4, K = 5 };
    begin(&r);
    int x = table(&r.g, "x", H * D), x0 = table(&r.g, "x0", F * D), y = nn_cin(&r.g, x, x0, K, D, "cin");
    forward(&r);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < K; k++)
            for (size_t d = 0; d < D; d++) {
                double sum = 0;
                for (size_t h = 0; h < H; h++)
                    for (size_t f = 0; f < F; f++)
                        sum += param(&r, "cin.weight", (k * H + h) * F + f) * value(&r, x, i, h * D + d) *
                               value(&r, x0, i, f * D + d);
                EXPECT(y, i, k * D + d, sum);
            }
    end(&r);
}

/* weight_t = w2 relu(W1 [h, q, h - q, h * q] + b1) + b2, no softmax; out = sum of weight_t h_t over the first 3 */
Test(values, sequence_and_target_attention) {
    struct run r;
    enum { D = 3, T = 3, H = 4 };
    begin(&r);
    int bag = graph_input(&r.g, "recent", SIDE_USER, VALUE_BAG, VOCAB), q = table(&r.g, "q", D);
    int s = nn_sequence(&r.g, bag, T, D, "items"), y = nn_target_attention(&r.g, s, q, H, "att");
    forward(&r);
    const struct batch_column *col = &r.b.column[r.g.node[bag]->input];
    bool cut = false, empty = false;
    for (size_t i = 0; i < ROWS; i++) {
        size_t n = col->offsets[i + 1] - col->offsets[i];
        double out[D] = {0};
        cut |= n > T;
        empty |= n == 0;
        if (n > T) n = T;
        EXPECT(s, i, T * D, (double)n);
        for (size_t t = 0; t < T; t++) {
            double weight = param(&r, "att.1.bias", 0), in[4 * D];
            for (size_t d = 0; d < D; d++) {
                double h = t < n ? param(&r, "items", col->ids[col->offsets[i] + t] * D + d) : 0,
                       target = value(&r, q, i, d);
                EXPECT(s, i, t * D + d, h);
                in[d] = h, in[D + d] = target, in[2 * D + d] = h - target, in[3 * D + d] = h * target;
            }
            for (size_t h = 0; h < H; h++) {
                double z = param(&r, "att.0.bias", h);
                for (size_t k = 0; k < 4 * D; k++) z += param(&r, "att.0.weight", h * 4 * D + k) * in[k];
                weight += param(&r, "att.1.weight", h) * fmax(z, 0);
            }
            for (size_t d = 0; d < D && t < n; d++) out[d] += weight * in[d];
        }
        for (size_t d = 0; d < D; d++) EXPECT(y, i, d, out[d]);
    }
    cr_assert(cut && empty, "the rows must hold a long and an empty bag");
    end(&r);
}

/* sum over c != major of |Cov(major) - Cov(c)|^2 */
Test(values, category_alignment_compares_covariances_with_the_largest_category) {
    struct run r;
    enum { D = 3, C = 5 };
    begin(&r);
    int x = table(&r.g, "x", D), ids = graph_input(&r.g, "category", SIDE_ITEM, VALUE_ID, C);
    int y = nn_category_alignment(&r.g, x, ids);
    forward(&r);
    uint32_t category[ROWS] = {3, 1, 1, 0, 2, 3, 1,
                               0, 3, 3, 1, 1, 3}; /* 1 and 3 five times each, 2 once, 4 never */
    r.b.column[r.g.node[ids]->input].ids = category;
    batch_cut(&r.b, SLICE);
    exec_forward(r.x, r.b.slice, r.b.n_slices);
    double cov[C][D][D] = {{{0}}}, loss = 0;
    for (size_t c = 0; c < C; c++) {
        double n = 0, mean[D] = {0};
        for (size_t i = 0; i < ROWS; i++) n += category[i] == c;
        for (size_t i = 0; i < ROWS; i++)
            for (size_t d = 0; d < D && category[i] == c; d++) mean[d] += value(&r, x, i, d) / n;
        for (size_t i = 0; i < ROWS; i++)
            for (size_t k = 0; k < D * D && category[i] == c && n > 1; k++)
                cov[c][k / D][k % D] +=
                    (value(&r, x, i, k / D) - mean[k / D]) * (value(&r, x, i, k % D) - mean[k % D]) / (n - 1);
    }
    for (size_t c = 0; c < 4; c += 3) /* against 1, the lower of the two largest; 2 has no covariance */
        for (size_t k = 0; k < D * D; k++) loss += pow(cov[1][k / D][k % D] - cov[c][k / D][k % D], 2);
    for (size_t i = 0; i < ROWS; i++) EXPECT(y, i, 0, loss);
    end(&r);
}

Test(values, lookup_sum_adds_values_and_table_rows) {
    for (enum act act = ACT_NONE; act <= ACT_LINEAR_LOG; act++)
        for (int with = 0; with < 4; with++) { /* bit 0: a bias, bit 1: values */
            struct run r;
            enum { N = 6, WIDE = 9, FROM = 2 };
            begin(&r);
            int id = graph_input(&r.g, "id", SIDE_ITEM, VALUE_ID, VOCAB),
                bag = graph_input(&r.g, "bag", SIDE_ITEM, VALUE_BAG, VOCAB);
            int x[] = {table(&r.g, "x", N), table(&r.g, "y", N)};
            int t = graph_add_param(&r.g, "table", PARAM_TABLE, VOCAB, N, INIT_NORMAL);
            int wide = graph_add_param(&r.g, "wide", PARAM_TABLE, VOCAB, WIDE, INIT_NORMAL);
            int bias = graph_add_param(&r.g, "bias", PARAM_DENSE, 1, N, INIT_NORMAL);
            struct lookup l[] = {{id, t, 0}, {bag, wide, FROM}, {id, wide, WIDE - N}};
            int y = nn_lookup_sum(&r.g, with & 2 ? 2 : 0, x, 3, l, with & 1 ? bias : -1, N, act);
            forward(&r);
            const uint32_t *ids = r.b.column[r.g.node[id]->input].ids;
            const struct batch_column *col = &r.b.column[r.g.node[bag]->input];
            for (size_t i = 0; i < ROWS; i++)
                for (size_t c = 0; c < N; c++) {
                    double sum = with & 1 ? param(&r, "bias", c) : 0, mean = 0;
                    for (int k = 0; k < 2 && with & 2; k++) sum += value(&r, x[k], i, c);
                    for (size_t k = col->offsets[i]; k < col->offsets[i + 1]; k++)
                        mean += param(&r, "wide", col->ids[k] * WIDE + FROM + c) /
                                (col->offsets[i + 1] - col->offsets[i]);
                    sum += param(&r, "table", ids[i] * N + c) + mean +
                           param(&r, "wide", ids[i] * WIDE + WIDE - N + c);
                    EXPECT(y, i, c, reference_act(sum, act));
                }
            end(&r);
        }
}

/* Single ids alone take another way than bags. */
Test(values, lookup_sum_reads_its_part_of_a_wide_row) {
    struct run r;
    enum { N = 6, WIDE = 9, FROM = 2 };
    begin(&r);
    int id = graph_input(&r.g, "id", SIDE_ITEM, VALUE_ID, VOCAB);
    int wide = graph_add_param(&r.g, "wide", PARAM_TABLE, VOCAB, WIDE, INIT_NORMAL);
    int y =
        nn_lookup_sum(&r.g, 0, NULL, 2, (struct lookup[]){{id, wide, FROM}, {id, wide, 0}}, -1, N, ACT_NONE);
    forward(&r);
    const uint32_t *ids = r.b.column[r.g.node[id]->input].ids;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < N; c++)
            EXPECT(y, i, c,
                   param(&r, "wide", ids[i] * WIDE + FROM + c) + param(&r, "wide", ids[i] * WIDE + c));
    end(&r);
}

Test(values, lookup_sum_takes_one_row_for_all) {
    struct run r;
    begin(&r);
    int user = nn_external(&r.g, "user", SIDE_USER, 3), item = table(&r.g, "item", 3);
    int y = nn_lookup_sum(&r.g, 2, (int[]){user, item}, 0, NULL, -1, 3, ACT_NONE);
    prepare(&r);
    float row[] = {1, -2, 3};
    exec_bind(r.x, user, (struct mat){row, 0});
    exec_forward(r.x, r.b.slice, r.b.n_slices);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < 3; c++) EXPECT(y, i, c, value(&r, item, i, c) + (double)row[c]);
    end(&r);
}

/* ---- dropout ---- */

enum { MANY = 2000, WIDE = 20 };

/* Values of dropout on ones, MANY x WIDE, in training. */
static void dropout(float *out, double rate, size_t slice_rows, uint64_t seed, bool second) {
    struct graph g;
    struct batch b;
    graph_init(&g);
    int x = table(&g, "x", WIDE), first = nn_dropout(&g, x, rate), other = nn_dropout(&g, x, rate);
    graph_add_loss(&g, nn_row_sum(&g, first), 1);
    graph_add_loss(&g, nn_row_sum(&g, other), 1);
    cr_assert_eq(graph_alloc_params(&g, 1, NULL), 0);
    for (size_t i = 0; i < param_size(g.param[0]); i++) g.param[0]->value[i] = 1;
    batch_random(&b, &g, MANY, 1);
    batch_cut(&b, slice_rows);
    struct exec *e = exec_for(&g, MANY, slice_rows, NULL);
    exec_train(e, b.slice, b.n_slices, seed);
    struct mat v = exec_value(e, second ? other : first);
    for (size_t i = 0; i < MANY * WIDE; i++) out[i] = v.p[i / WIDE * v.ld + i % WIDE];
    exec_forward(e, b.slice, b.n_slices); /* no dropout at inference */
    v = exec_value(e, first);
    for (size_t i = 0; i < MANY * WIDE; i++) cr_assert_eq(v.p[i / WIDE * v.ld + i % WIDE], 1);
    exec_free(e);
    batch_release(&b);
    graph_release(&g);
}

static double share_kept(const float *v, size_t first, size_t step, size_t n) {
    double kept = 0;
    for (size_t i = 0; i < n; i++) kept += v[first + i * step] > 0;
    return kept / (double)n;
}

Test(values, dropout_keeps_the_stated_share_scaled_up_in_every_row_and_column) {
    static float v[MANY * WIDE];
    static const double rates[] = {0.1, 0.5, 0.8};
    for (int k = 0; k < 3; k++) {
        double keep = 1 - rates[k];
        dropout(v, rates[k], MANY, 5, false);
        for (size_t i = 0; i < MANY * WIDE; i++) cr_assert(v[i] == 0 || fabs((double)v[i] - 1 / keep) < 1e-6);
        cr_assert_float_eq(share_kept(v, 0, 1, MANY * WIDE), keep, 5 * sqrt(keep * rates[k] / (MANY * WIDE)));
        for (size_t c = 0; c < WIDE; c++)
            cr_assert_float_eq(share_kept(v, c, WIDE, MANY), keep, 5 * sqrt(keep * rates[k] / MANY),
                               "column %zu", c);
        for (size_t r = 0; r + 100 <= MANY; r += 100) /* a hundred rows at a time */
            cr_assert_float_eq(share_kept(v, r * WIDE, 1, 100 * WIDE), keep,
                               5 * sqrt(keep * rates[k] / (100 * WIDE)), "row %zu", r);
    }
}

Test(values, dropout_is_independent_between_steps_layers_and_neighbours_but_not_between_cuts) {
    static float a[MANY * WIDE], b[MANY * WIDE];
    dropout(a, 0.5, MANY, 5, false);
    dropout(b, 0.5, 64, 5, false);
    cr_assert_eq(memcmp(a, b, sizeof a), 0, "the mask depends on how the batch is cut");
    for (int other = 0; other < 2; other++) {
        double both = 0;
        dropout(b, 0.5, MANY, other ? 5 : 6, other);
        for (size_t i = 0; i < MANY * WIDE; i++) both += a[i] > 0 && b[i] > 0;
        cr_assert_float_eq(both / (MANY * WIDE), 0.25, 0.02, "masks of two %s are alike",
                           other ? "layers" : "steps");
    }
    static const size_t lags[] = {1, WIDE, WIDE + 1, WIDE - 1};
    for (int k = 0; k < 4; k++) {
        double both = 0;
        for (size_t i = 0; i + lags[k] < MANY * WIDE; i++) both += a[i] > 0 && a[i + lags[k]] > 0;
        cr_assert_float_eq(both / (double)(MANY * WIDE - lags[k]), 0.25, 0.02,
                           "neighbours at distance %zu are alike", lags[k]);
    }
}

/* ---- refusals ---- */

static int id(struct graph *g) { return graph_input(g, "id", SIDE_USER, VALUE_ID, 9); }
static int bag(struct graph *g) { return graph_input(g, "bag", SIDE_USER, VALUE_BAG, 9); }
static int number(struct graph *g) { return graph_input(g, "number", SIDE_USER, VALUE_NUMBER, 0); }

#define REFUSALS(X)                                                                                          \
    X(nn_number(g, id(g)), "number: needs a number column")                                                  \
    X(nn_number(g, table(g, "x", 3)), "number: needs a number column")                                       \
    X(nn_embedding(g, table(g, "x", 3), 3, NULL), "embedding: needs an input column")                        \
    X(nn_embedding(g, id(g), 0, NULL), "dimension must be at least 1")                                       \
    X((nn_embedding(g, id(g), 3, "t"), nn_embedding(g, bag(g), 4, "t")),                                     \
      "\"t\" is 9 x 3 and cannot be shared with bag (9 x 4)")                                                \
    X((nn_embedding(g, number(g), 3, "t"),                                                                   \
       nn_embedding(g, graph_input(g, "one", SIDE_USER, VALUE_ID, 1), 3, "t")),                              \
      "\"t\" cannot be shared by ids and numbers (one)")                                                     \
    X(nn_concat(g, 0, NULL), "concat: nothing")                                                              \
    X(nn_concat(g, 2, (int[]){table(g, "x", 3), id(g)}), "concat: input 1 is no computed value")             \
    X(nn_linear(g, id(g), 3, ACT_NONE, "l"), "l: linear needs a computed input")                             \
    X(nn_linear(g, table(g, "x", 3), 0, ACT_NONE, "l"), "at least one unit")                                 \
    X((nn_linear(g, table(g, "x", 3), 2, ACT_NONE, "l"), nn_linear(g, table(g, "x", 3), 2, ACT_NONE, "l")),  \
      "two parameters are called \"l.weight\"")                                                              \
    X(nn_act(g, id(g), ACT_RELU), "act: widths differ")                                                      \
    X(nn_dot(g, table(g, "x", 3), table(g, "y", 4)), "dot: the two vectors have 3 and 4 dimensions")         \
    X(nn_dot(g, table(g, "x", 3), id(g)), "dot: needs a computed input")                                     \
    X(nn_mul(g, table(g, "x", 3), table(g, "y", 4)), "mul: widths differ: 3 and 4")                          \
    X(nn_add(g, 2, (int[]){table(g, "x", 3), table(g, "y", 4)}), "add: widths differ: 3 and 4")              \
    X(nn_add(g, 0, NULL), "add: nothing")                                                                    \
    X(nn_slice(g, table(g, "x", 3), 1, 3), "slice: columns 1 .. 4 of a value of width 3")                    \
    X(nn_slice(g, table(g, "x", 3), -1, 2), "slice: columns -1")                                             \
    X(nn_group_sum(g, table(g, "x", 4), 3), "group_sum: width 4 is no multiple of 3 groups")                 \
    X(nn_group_pool(g, table(g, "x", 4), 3), "group_pool: width 4 is no multiple of 3 groups")               \
    X(nn_group_scale(g, table(g, "x", 4), table(g, "y", 3)),                                                 \
      "group_scale: width 4 is no multiple of 3 groups")                                                     \
    X(nn_max_sim(g, table(g, "x", 4), table(g, "y", 8), 2), "max_sim: widths 4 and 8")                       \
    X(nn_cin(g, table(g, "x", 4), table(g, "y", 8), 2, 3, "cin"),                                            \
      "cin: the inputs of a CIN layer must be vectors of 3")                                                 \
    X(nn_l2_normalize(g, id(g)), "l2_normalize: needs a computed input")                                     \
    X(nn_batch_norm(g, id(g), "bn", false), "bn: batch norm needs a computed input")                         \
    X(nn_dropout(g, table(g, "x", 4), 1), "dropout: the rate must be in [0, 1), not 1")                      \
    X(nn_dropout(g, table(g, "x", 4), (double)NAN), "dropout: the rate must be")                             \
    X(nn_bce(g, table(g, "x", 2), number(g)), "bce: the logit must have width 1")                            \
    X(nn_bce(g, table(g, "x", 1), id(g)), "bce: the label must be a number column")                          \
    X(nn_sequence(g, id(g), 3, 4, "t"), "sequence: needs a bag column")                                      \
    X(nn_target_attention(g, nn_sequence(g, bag(g), 3, 4, "t"), table(g, "x", 5), 4, "a"),                   \
      "a target of the same dimension")                                                                      \
    X(nn_category_alignment(g, table(g, "x", 4), bag(g)), "needs a column of single ids")                    \
    X((nn_sequence(g, bag(g), 3, 4, "t"), nn_sequence(g, bag(g), 3, 5, "t")),                                \
      "sequence: \"t\" is 9 x 4, wanted 9 x 5")                                                              \
    X((nn_linear(g, table(g, "x", 4), 2, ACT_NONE, "l"), nn_group_norm(g, 1, 3)),                            \
      "group_norm: the weight's columns are no multiple of 3 groups")                                        \
    X(nn_lookup_sum(g, 0, NULL, 0, NULL, -1, 3, ACT_NONE), "lookup_sum: nothing to add")                     \
    X(nn_lookup_sum(g, 1, (int[]){table(g, "x", 4)}, 0, NULL, -1, 3, ACT_NONE),                              \
      "lookup_sum: value 0 has another width than 3")                                                        \
    X(nn_lookup_sum(g, 0, NULL, 1, (struct lookup[]){{table(g, "x", 4), 0, 0}}, -1, 3, ACT_NONE),            \
      "lookup_sum: lookup 0 is incomplete")                                                                  \
    X((table(g, "x", 4), nn_lookup_sum(g, 0, NULL, 1, (struct lookup[]){{id(g), 0, 2}}, -1, 3, ACT_NONE)),   \
      "lookup_sum: the rows of \"embedding.x\" are too short")                                               \
    X(nn_sampled_softmax(g, &(struct softmax_inputs){.user = table(g, "x", 2), .n_drawn = 127}),             \
      "sampled_softmax: 127 drawn and 0 hard negatives a row are too many")                                  \
    X(concat_many(g, NODE_MAX_INPUTS + 1), "concat: 513 inputs, but at most 512 are possible")               \
    X(nn_linear(g, table(g, "x", 2), 2, ACT_NONE, LONG_NAME), "is longer than 95 characters")                \
    X((graph_add_loss(g, table(g, "x", 2), 1), -1), "a loss must be a node of width 1")

static int concat_many(struct graph *g, int n) {
    int in[NODE_MAX_INPUTS + 1], x = table(g, "x", 2);
    for (int k = 0; k < n; k++) in[k] = x;
    return nn_concat(g, n, in);
}
#define TEN       "0123456789"
#define LONG_NAME TEN TEN TEN TEN TEN TEN TEN TEN TEN

Test(values, builders_refuse_what_does_not_fit_and_stay_refused) {
#define TRY_ONE(expression, words)                                                                           \
    do {                                                                                                     \
        struct graph graph, *g = &graph;                                                                     \
        graph_init(g);                                                                                       \
        cr_expect_eq(expression, -1, #expression);                                                           \
        cr_expect(g->err.code == ERR_INPUT && strstr(g->err.msg, words), "%s says \"%s\"", #expression,      \
                  g->err.msg);                                                                               \
        int nodes = g->n_nodes;                                                                              \
        cr_expect(table(g, "after", 3) == -1 && g->n_nodes == nodes &&                                       \
                  graph_alloc_params(g, 1, NULL) == ERR_INPUT);                                              \
        graph_release(g);                                                                                    \
    } while (0);
    REFUSALS(TRY_ONE)
}
