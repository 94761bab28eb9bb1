/* Embedding lookup: ids (B) -> (B,D). A bag gives the mean of its rows, an empty bag zeros. A number column
 * gives value x learned vector.
 *
 * The gradient of a table is sparse: it is not scattered here but by optim.c, straight from this node's
 * output gradient.
 */
#include "nn/op.h"
#include "nn/passes.h"
#include "nn/vec.h"
#include <stdio.h>

static void embedding_forward(struct op_ctx *c) {
    const struct node *n = c->node;
    const struct batch_column *col = c->in_col[0];
    size_t dim = (size_t)n->width;
    if (col->number)
        for (size_t r = 0; r < c->rows; r++)
            vec_copy(1, dim, mat_rows(c->out, r), (struct mat){c->param[0], 0}, col->number[r], false);
    else if (col->offsets)
        vec_gather_mean(c->rows, dim, c->out, c->param[0], dim, col->ids, col->offsets);
    else
        vec_gather(c->rows, dim, c->out, c->param[0], dim, col->ids);
}

static void embedding_backward(struct op_ctx *c) {
    const struct batch_column *col = c->in_col[0];
    if (!col->number || !c->param_grad[0]) return;
    struct mat w = {(float *)col->number, 1};
    vec_col_sum(c->rows, (size_t)c->node->width, c->out_grad, &w, c->param_grad[0]);
}

static void embedding_cost(const struct graph *g, const struct node *n, struct cost *out) {
    const struct graph_column *col = &g->column[g->node[n->in[0]]->input];
    double rows = col->type == VALUE_NUMBER ? 0 : col->mean_length;
    out->flops = col->type == VALUE_ID ? 0 : (col->type == VALUE_NUMBER ? 1 : 2 * rows) * n->width;
    out->gather_bytes = rows * (4.0 * n->width + 4.0);
    out->stream_bytes = 4.0 * n->width;
    if (col->type == VALUE_NUMBER) out->weight_bytes = 4.0 * n->width;
}

const struct op op_embedding = {.name = "embedding",
                                .forward = embedding_forward,
                                .backward = embedding_backward,
                                .cost = embedding_cost};

int nn_embedding(struct graph *g, int ids, int dim, const char *name) {
    if (g->err.code) return -1;
    if (ids < 0 || g->node[ids]->input < 0) return graph_fail(g, "embedding: needs an input column");
    if (dim < 1) return graph_fail(g, "embedding: the dimension must be at least 1");
    const struct graph_column *col = &g->column[g->node[ids]->input];
    char own[NN_NAME_MAX + 16];
    snprintf(own, sizeof own, "embedding.%s", col->name);
    if (!name) name = own;
    bool number = col->type == VALUE_NUMBER;
    size_t rows = number ? 1 : col->vocab;
    int p = graph_find_param(g, name);
    if (p < 0)
        p = graph_add_param(g, name, number ? PARAM_DENSE : PARAM_TABLE, rows, (size_t)dim, INIT_NORMAL);
    if (p < 0) return -1;
    if ((g->param[p]->kind == PARAM_TABLE) == number)
        return graph_fail(g, "embedding: \"%s\" cannot be shared by ids and numbers (%s)", name, col->name);
    g->param[p]->embedding = number;
    if (g->param[p]->rows != rows || g->param[p]->cols != (size_t)dim)
        return graph_fail(g, "embedding: \"%s\" is %zu x %zu and cannot be shared with %s (%zu x %d)", name,
                          g->param[p]->rows, g->param[p]->cols, col->name, rows, dim);
    return graph_set_params(g, graph_add_node(g, &op_embedding, name, 1, &ids, dim), 1, &p);
}
