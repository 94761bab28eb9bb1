/* What the fused engine runs (chain.h), and why it refuses the rest. */
#include "nn/fused/fused.h"
#include "nn/passes.h"
#include <criterion/criterion.h>
#include <string.h>

enum { WIDTH = 4, VOCAB = 9 };

static int ids(struct graph *g, int k, enum value_type type) {
    char name[16];
    snprintf(name, sizeof name, "id%d", k);
    return graph_input(g, name, SIDE_ITEM, type, VOCAB);
}

/* relu(x + rows of `n` tables), then `layers` layers, the last of one unit; none: no chain */
static void build(struct graph *g, int n, enum value_type type, int layers) {
    struct lookup lookup[CHAIN_LOOKUPS + 1];
    int user = nn_external(g, "user", SIDE_USER, WIDTH);
    for (int k = 0; k < n; k++) {
        char name[24];
        snprintf(name, sizeof name, "table%d", k);
        int column = ids(g, k, type);
        lookup[k] =
            (struct lookup){column, graph_add_param(g, name, PARAM_TABLE, VOCAB, WIDTH, INIT_NORMAL), 0};
    }
    int sum = nn_lookup_sum(g, 1, &user, n, lookup, -1, WIDTH, ACT_RELU);
    if (layers == 2) sum = nn_linear(g, sum, WIDTH, ACT_RELU, "hidden");
    g->output = layers ? nn_linear(g, sum, 1, ACT_NONE, "out") : nn_row_sum(g, sum);
    cr_assert_eq(graph_alloc_params(g, 1, NULL), 0, "%s", g->err.msg);
}

Test(chain, is_a_sum_of_table_rows_and_linear_layers) {
    static const struct {
        int tables;
        enum value_type type;
        int layers;
        const char *why; /* NULL: it is one */
    } cases[] = {{1, VALUE_ID, 1, NULL},
                 {3, VALUE_ID, 2, NULL},
                 {CHAIN_LOOKUPS, VALUE_ID, 1, NULL},
                 {CHAIN_LOOKUPS + 1, VALUE_ID, 1, "its first layer adds up too many values"},
                 {0, VALUE_ID, 1, "no rows of tables"},
                 {2, VALUE_BAG, 1, "it looks up bags of ids per candidate"},
                 {2, VALUE_ID, 0, "its pair stage is no chain of linear layers"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct graph g;
        struct chain c;
        const char *why = "";
        graph_init(&g);
        build(&g, cases[i].tables, cases[i].type, cases[i].layers);
        bool found = chain_find(&g, &c, &why);
        cr_expect_eq(found, !cases[i].why, "case %zu: %s", i, why);
        if (!found) cr_expect(cases[i].why && strstr(why, cases[i].why), "case %zu: \"%s\"", i, why);
        if (found)
            cr_expect(c.n_lookups == cases[i].tables && c.n_users == 1 && c.n_layers == cases[i].layers &&
                      c.width == WIDTH);
        graph_release(&g);
    }
}

Test(chain, int8_needs_ranges_of_activations) {
    struct graph g;
    struct chain c;
    struct fused *f = NULL;
    struct err e = ERR_INIT;
    const char *why;
    graph_init(&g);
    build(&g, 2, VALUE_ID, 2);
    cr_assert(chain_find(&g, &c, &why), "%s", why);
    cr_expect_eq(fused_create(&c, &(struct fused_options){.precision = PRECISION_INT8}, &f, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "int8 takes ranges of activations"), "%s", e.msg);
    cr_expect_eq(fused_create(&c, &(struct fused_options){.precision = PRECISION_BF16}, &f, &e), 0, "%s",
                 e.msg);
    fused_free(f);
    graph_release(&g);
}
