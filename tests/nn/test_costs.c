/* What operations count (struct cost): multiplications and additions of their definitions, floats read and written, by hand; and
 * what builders do when memory ends within any of them. */
#include "base/mem.h"
#include "nn/exec.h"
#include "nn/loss.h"
#include "nn/passes.h"
#include <criterion/criterion.h>
#include <string.h>

enum { VOCAB = 20 };

static int column(struct graph *g, const char *name, enum value_type type) {
    return graph_input(g, name, SIDE_USER, type, type == VALUE_NUMBER ? 0 : VOCAB);
}
static int value(struct graph *g, const char *name, int width) {
    return nn_external(g, name, SIDE_USER, width);
}
static int bag(struct graph *g) {
    int id = column(g, "bag", VALUE_BAG);
    if (id >= 0) g->column[g->node[id]->input].mean_length = 2.5;
    return id;
}
static int weight_norm(struct graph *g, int groups) {
    nn_linear(g, value(g, "norm", 4), 3, ACT_NONE, "norm");
    return nn_group_norm(g, graph_find_param(g, "norm.weight"), groups);
}
static int wide_table(struct graph *g) {
    return graph_add_param(g, "wide", PARAM_TABLE, VOCAB, 8, INIT_NORMAL);
}

/* X(builder, FLOPs, bytes gathered, activations in floats, weights in floats): of the last node alone */
#define OPS(X)                                                                                               \
    X(nn_embedding(g, column(g, "id", VALUE_ID), 4, NULL), 0, 4 * 4 + 4, 4, 0)                               \
    X(nn_embedding(g, bag(g), 4, NULL), 2.5 * 2 * 4, 2.5 * (4 * 4 + 4), 4, 0)                                \
    X(nn_embedding(g, column(g, "n", VALUE_NUMBER), 4, NULL), 4, 0, 4, 4)                                    \
    X(nn_concat(g, 2, (int[]){value(g, "x", 4), value(g, "y", 3)}), 0, 0, 7, 0)                              \
    X(nn_linear(g, value(g, "x", 4), 3, ACT_RELU, "l"), 2 * 4 * 3 + 3 + 3, 0, 4 + 3, 4 * 3 + 3)              \
    X(nn_linear_no_bias(g, value(g, "x", 4), 3, ACT_NONE, "l"), 2 * 4 * 3, 0, 4 + 3, 4 * 3)                  \
    X(nn_dot(g, value(g, "x", 4), value(g, "y", 4)), 2 * 4, 0, 4 + 4 + 1, 0)                                 \
    X(nn_mul(g, value(g, "x", 4), value(g, "y", 4)), 4, 0, 4 + 4 + 4, 0)                                     \
    X(nn_add(g, 3, (int[]){value(g, "x", 4), value(g, "y", 4), value(g, "z", 4)}), 2 * 4, 0, 4 * 4, 0)       \
    X(nn_row_sum(g, value(g, "x", 4)), 4, 0, 4 + 1, 0)                                                       \
    X(nn_group_sum(g, value(g, "x", 6), 3), 6, 0, 6 + 2, 0)                                                  \
    X(nn_group_pool(g, value(g, "x", 6), 3), 6, 0, 6 + 3, 0)                                                 \
    X(nn_group_scale(g, value(g, "x", 6), value(g, "f", 3)), 6, 0, 6 + 6 + 3, 0)                             \
    X(nn_max_sim(g, value(g, "x", 6), value(g, "y", 6), 3), 3 * 3 * 2 * 2, 0, 6 + 6 + 1, 0)                  \
    X(nn_cin(g, value(g, "x", 2 * 4), value(g, "x0", 3 * 4), 5, 4, "c"), 2 * 3 * 4 + 5 * 2 * 2 * 3 * 4, 0,   \
      (2 + 3 + 5) * 4, 5 * 2 * 3)                                                                            \
    X(nn_column_scale(g, value(g, "x", 4), "s"), 4, 0, 4 + 4, 4)                                             \
    X(nn_l2_normalize(g, value(g, "x", 4)), 2 * 4 + 4, 0, 4 + 4, 0)                                          \
    X(nn_batch_norm(g, value(g, "x", 4), "b", false), 2 * 4, 0, 4 + 4, 4 * 4)                                \
    X(nn_sequence(g, bag(g), 3, 2, "t"), 0, 4 * (3 * 2 + 1), 3 * 2 + 1, 0)                                   \
    X(nn_target_attention(g, nn_sequence(g, bag(g), 3, 2, "t"), value(g, "q", 2), 5, "a"),                   \
      3 * (2 * 2 + 2 * 8 * 5 + 5 + 2 * 5 + 2 * 2), 0, 3 * 2 + 2 + 2, 8 * 5 + 5 + 5 + 1)                      \
    X(nn_category_alignment(g, value(g, "x", 4), column(g, "kind", VALUE_ID)), 2 * 4 * 4, 0, 4, 0)           \
    X(nn_lookup_sum(g, 1, (int[]){value(g, "x", 3)}, 1, (struct lookup[]){{bag(g), wide_table(g), 2}}, -1,   \
                    3, ACT_RELU),                                                                            \
      3 + 2.5 * 3 + 3, 2.5 * (4 * 3 + 4), 3 + 3, 0)                                                          \
    X(weight_norm(g, 2), 0, 0, 0, 0)                                                                         \
    X(nn_concrete_gate(g, 3, 0.5, "gate"), 0, 0, 0, 0)                                                       \
    X(nn_bce(g, value(g, "z", 1), column(g, "label", VALUE_NUMBER)), 0, 0, 0, 0)

Test(costs, are_those_of_the_definitions) {
#define CHECK(builder, want_flops, want_gather, floats, weights)                                             \
    do {                                                                                                     \
        struct graph graph, *g = &graph;                                                                     \
        struct cost c = {0};                                                                                 \
        graph_init(g);                                                                                       \
        int node = builder;                                                                                  \
        cr_assert(node >= 0, "%s", g->err.msg);                                                              \
        if (g->node[node]->op->cost) g->node[node]->op->cost(g, g->node[node], &c);                          \
        cr_expect_eq(c.flops, want_flops, "%s: %g FLOPs", #builder, c.flops);                                \
        cr_expect_eq(c.gather_bytes, want_gather, "%s: %g bytes gathered", #builder, c.gather_bytes);        \
        cr_expect_eq(c.stream_bytes, 4 * (floats), "%s: %g bytes", #builder, c.stream_bytes);                \
        cr_expect_eq(c.weight_bytes, 4 * (weights), "%s: %g bytes of weights", #builder, c.weight_bytes);    \
        graph_release(g);                                                                                    \
    } while (0);
    OPS(CHECK)
}

Test(costs, add_up_by_side) {
    struct graph g;
    struct graph_cost c;
    graph_init(&g);
    int u = nn_linear(&g, value(&g, "u", 4), 3, ACT_NONE, "u"),
        v = nn_scale(&g, nn_external(&g, "v", SIDE_ITEM, 3), 2);
    g.output = nn_dot(&g, u, v);
    graph_cost_count(&g, &c);
    cr_expect_eq(c.side[SIDE_USER].flops, 2 * 4 * 3 + 3);
    cr_expect_eq(c.side[SIDE_ITEM].flops, 3);
    cr_expect_eq(c.side[SIDE_USER | SIDE_ITEM].flops, 2 * 3);
    cr_expect_eq(c.total.flops, 27 + 3 + 6);
    graph_release(&g);
}

/* In an arena that is full up to `used` bytes, with all that follows refused: so every allocation of a builder is at some time the
 * one that needs a new block. */
Test(costs, builders_end_cleanly_where_memory_ends) {
#define RUN(builder, f, b, s, w)                                                                             \
    do {                                                                                                     \
        int failed = 0, whole = 0;                                                                           \
        for (size_t used = 64; used <= 4032; used += 64) {                                                   \
            struct graph graph, *g = &graph;                                                                 \
            graph_init(g);                                                                                   \
            cr_assert_not_null(arena_alloc(&g->arena, used));                                                \
            mem_fail_after(1);                                                                               \
            int node = builder;                                                                              \
            mem_fail_after(0);                                                                               \
            *(node < 0 ? &failed : &whole) += 1;                                                             \
            if (node < 0)                                                                                    \
                cr_expect(g->err.code == ERR_INPUT && strstr(g->err.msg, "out of memory"),                   \
                          "%s, %zu bytes: \"%s\"", #builder, used, g->err.msg);                              \
            graph_release(g);                                                                                \
        }                                                                                                    \
        cr_expect(failed > 1, "%s: %d times memory ended, %d times not", #builder, failed, whole);           \
    } while (0);
    OPS(RUN)
}
