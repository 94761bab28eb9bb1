/* Sources of values: input columns (ids stay in the batch; number columns become a (B,1) node), and values
 * bound from outside. */
#include "nn/op.h"
#include "nn/passes.h"
#include "nn/vec.h"

const struct op op_input = {.name = "input"};

static void number_forward(struct op_ctx *c) {
    const float *x = c->in_col[0]->number;
    for (size_t r = 0; r < c->rows; r++) c->out.p[r * c->out.ld] = x[r];
}
const struct op op_number = {.name = "number", .forward = number_forward};

int nn_number(struct graph *g, int column) {
    if (g->err.code) return -1;
    if (column < 0 || g->node[column]->input < 0 || g->node[column]->type != VALUE_NUMBER)
        return graph_fail(g, "number: needs a number column");
    return graph_add_node(g, &op_number, g->node[column]->name, 1, &column, 1);
}

const struct op op_external = {.name = "external"};

int nn_external(struct graph *g, const char *name, side_t side, int width) {
    int id = graph_add_node(g, &op_external, name, 0, NULL, width);
    if (id >= 0) g->node[id]->side = side;
    return id;
}
