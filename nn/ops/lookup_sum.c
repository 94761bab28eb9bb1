/* act(sum of dense inputs + sum of table rows + bias): what the first layer of a model becomes when it is
 * split by side and its embeddings are multiplied out into tables. Inference only. Inputs: n_x values, then
 * the id columns. attr_i: 0 = n_x, 1 = activation, 2 = 1 with bias (the last parameter); attr_list: first
 * column and row width per lookup. */
#include "nn/op.h"
#include "nn/passes.h"
#include "nn/vec.h"
#include <string.h>

/* What is the same for all rows is added up first, in `work`. */
static void lookup_sum_rows(struct op_ctx *c, const float *bias) {
    const struct node *n = c->node;
    size_t w = (size_t)n->width;
    int n_x = n->attr_i[0], terms = 1;
    float *same = c->work;
    struct vec_term term[VEC_MAX_TERMS] = {{same, 0, NULL}};
    if (bias)
        memcpy(same, bias, w * sizeof *same);
    else
        memset(same, 0, w * sizeof *same);
    for (int k = 0; k < n_x; k++) {
        if (c->in[k].ld)
            term[terms++] = (struct vec_term){c->in[k].p, c->in[k].ld, NULL};
        else
            vec_copy(1, w, (struct mat){same, 0}, c->in[k], 1, true);
    }
    for (int k = 0; k < n->n_in - n_x; k++) {
        const int *at = n->attr_list + 2 * k;
        term[terms++] = (struct vec_term){c->param[k] + at[0], (size_t)at[1], c->in_col[n_x + k]->ids};
    }
    vec_sum(c->rows, w, c->out, term, terms, (enum act)n->attr_i[1]);
}

static void lookup_sum_forward(struct op_ctx *c) {
    const struct node *n = c->node;
    size_t w = (size_t)n->width;
    int n_x = n->attr_i[0], lookups = n->n_in - n_x;
    const float *bias = n->attr_i[2] ? c->param[lookups] : NULL;
    bool bags = n->n_in >= VEC_MAX_TERMS;
    for (int k = 0; k < lookups; k++) bags |= c->in_col[n_x + k]->offsets != NULL;
    if (!bags) {
        lookup_sum_rows(c, bias);
        return;
    }
    for (size_t r = 0; r < c->rows; r++) {
        float *y = c->out.p + r * c->out.ld;
        if (bias)
            memcpy(y, bias, w * sizeof *y);
        else
            memset(y, 0, w * sizeof *y);
    }
    for (int k = 0; k < n_x; k++) vec_copy(c->rows, w, c->out, c->in[k], 1, true);
    for (int k = 0; k < lookups; k++) {
        const int *at = n->attr_list + 2 * k;
        const struct batch_column *col = c->in_col[n_x + k];
        vec_gather_add(c->rows, w, c->out, c->param[k] + at[0], (size_t)at[1], col->ids, col->offsets);
    }
    vec_bias_act(c->rows, w, c->out, NULL, (enum act)n->attr_i[1]);
}

static size_t lookup_sum_work_bytes(const struct node *n, size_t rows) {
    (void)rows;
    return (size_t)n->width * sizeof(float);
}

static void lookup_sum_cost(const struct graph *g, const struct node *n, struct cost *out) {
    int n_x = n->attr_i[0];
    double w = n->width;
    out->flops = w * (n_x + n->attr_i[2] + (n->attr_i[1] ? 1 : 0));
    out->stream_bytes = 4 * w * (n_x + 1);
    for (int k = 0; k < n->n_in - n_x; k++) {
        double rows = g->column[g->node[n->in[n_x + k]]->input].mean_length;
        out->flops += w * rows;
        out->gather_bytes += rows * (4 * w + 4);
    }
}

const struct op op_lookup_sum = {.name = "lookup_sum",
                                 .forward = lookup_sum_forward,
                                 .cost = lookup_sum_cost,
                                 .work_bytes = lookup_sum_work_bytes};

int nn_lookup_sum(struct graph *g, int n_x, const int *x, int n_lookups, const struct lookup *lookup,
                  int bias, int width, enum act act) {
    if (g->err.code) return -1;
    if (n_x + n_lookups < 1) return graph_fail(g, "lookup_sum: nothing to add");
    int *in = arena_alloc(&g->arena, (size_t)(n_x + n_lookups) * sizeof *in);
    int *at = arena_alloc(&g->arena, (size_t)(n_lookups + 1) * 2 * sizeof *at);
    int *param = arena_alloc(&g->arena, (size_t)(n_lookups + 1) * sizeof *param);
    if (!in || !at || !param) return err_nomem(&g->err, sizeof *in), -1;
    for (int k = 0; k < n_x; k++) {
        if (x[k] < 0 || g->node[x[k]]->width != width)
            return graph_fail(g, "lookup_sum: value %d has another width than %d", k, width);
        in[k] = x[k];
    }
    for (int k = 0; k < n_lookups; k++) {
        const struct lookup *l = &lookup[k];
        if (l->ids < 0 || g->node[l->ids]->input < 0 || l->table < 0)
            return graph_fail(g, "lookup_sum: lookup %d is incomplete", k);
        if (g->param[l->table]->cols < (size_t)l->offset + (size_t)width)
            return graph_fail(g, "lookup_sum: the rows of \"%s\" are too short", g->param[l->table]->name);
        in[n_x + k] = l->ids;
        param[k] = l->table;
        at[2 * k] = l->offset;
        at[2 * k + 1] = (int)g->param[l->table]->cols;
    }
    int id = graph_add_node(g, &op_lookup_sum, "lookup_sum", n_x + n_lookups, in, width);
    if (id < 0) return -1;
    struct node *n = g->node[id];
    param[n_lookups] = bias;
    n->param = param;
    n->n_params = n_lookups + (bias >= 0);
    n->attr_list = at;
    n->n_attr = 2 * n_lookups;
    n->attr_i[0] = n_x;
    n->attr_i[1] = (int)act;
    n->attr_i[2] = bias >= 0;
    return id;
}
