/* Values that are G groups of D columns (fields side by side): one number a group, one factor a group.
 * attr_i: 0 = groups, 1 = D. */
#include "nn/op.h"
#include "nn/vec.h"

#define GROUPS(c) ((size_t)(c)->node->attr_i[0])
#define INNER(c)  ((size_t)(c)->node->attr_i[1])

static void group_cost(const struct graph *g, const struct node *n, struct cost *out) {
    double w = g->node[n->in[0]]->width;
    out->flops = w;
    out->stream_bytes = 4 * (w + n->width + (n->n_in > 1 ? n->attr_i[0] : 0));
}

static int group_node(struct graph *g, const struct op *op, int n_in, const int *in, int groups, int width) {
    int id = graph_add_node(g, op, op->name, n_in, in, width);
    if (id < 0) return -1;
    g->node[id]->attr_i[0] = groups;
    g->node[id]->attr_i[1] = g->node[in[0]]->width / groups;
    return id;
}

static bool fits(struct graph *g, const char *op, int x, int groups) {
    if (g->err.code) return false;
    if (x >= 0 && groups > 0 && g->node[x]->width > 0 && g->node[x]->width % groups == 0) return true;
    graph_fail(g, "%s: width %d is no multiple of %d groups", op, x < 0 ? -1 : g->node[x]->width, groups);
    return false;
}

/* pool: (B, G*D) -> (B, G), the sum over each group's columns */
static void pool_forward(struct op_ctx *c) {
    size_t d = INNER(c);
    for (size_t r = 0; r < c->rows; r++)
        for (size_t k = 0; k < GROUPS(c); k++) {
            const float *x = c->in[0].p + r * c->in[0].ld + k * d;
            float sum = 0;
            for (size_t j = 0; j < d; j++) sum += x[j];
            c->out.p[r * c->out.ld + k] = sum;
        }
}
static void pool_backward(struct op_ctx *c) {
    size_t d = INNER(c);
    if (!c->in_grad[0].p) return;
    for (size_t r = 0; r < c->rows; r++)
        for (size_t k = 0; k < GROUPS(c); k++) {
            float *to = c->in_grad[0].p + r * c->in_grad[0].ld + k * d,
                  g = c->out_grad.p[r * c->out_grad.ld + k];
            for (size_t j = 0; j < d; j++) to[j] = c->in_acc[0] ? to[j] + g : g;
        }
}
const struct op op_group_pool = {
    .name = "group_pool", .forward = pool_forward, .backward = pool_backward, .cost = group_cost};

int nn_group_pool(struct graph *g, int x, int groups) {
    return fits(g, "group_pool", x, groups) ? group_node(g, &op_group_pool, 1, &x, groups, groups) : -1;
}

/* scale: (B, G*D), (B, G) -> (B, G*D), each group times its factor */
static void scale_forward(struct op_ctx *c) {
    size_t d = INNER(c);
    for (size_t k = 0; k < GROUPS(c); k++)
        vec_mul(c->rows, d, mat_cols(c->out, k * d), mat_cols(c->in[0], k * d), mat_cols(c->in[1], k), true,
                false);
}
static void scale_backward(struct op_ctx *c) {
    size_t d = INNER(c);
    for (size_t k = 0; k < GROUPS(c); k++) {
        struct mat g = mat_cols(c->out_grad, k * d), x = mat_cols(c->in[0], k * d), f = mat_cols(c->in[1], k);
        if (c->in_grad[0].p) vec_mul(c->rows, d, mat_cols(c->in_grad[0], k * d), g, f, true, c->in_acc[0]);
        if (c->in_grad[1].p) vec_row_dot(c->rows, d, mat_cols(c->in_grad[1], k), g, x, c->in_acc[1]);
    }
}
const struct op op_group_scale = {
    .name = "group_scale", .forward = scale_forward, .backward = scale_backward, .cost = group_cost};

int nn_group_scale(struct graph *g, int x, int factor) {
    if (g->err.code || factor < 0) return -1;
    int groups = g->node[factor]->width, in[] = {x, factor};
    return fits(g, "group_scale", x, groups)
               ? group_node(g, &op_group_scale, 2, in, groups, g->node[x]->width)
               : -1;
}

/* max_sim: (B, H*D), (B, H*D) -> (B,1): sum over h of max over h' of <x_h, y_h'> (IntTower's late
 * interaction). Work: each row's argmax per h. */
static size_t max_sim_work(const struct node *n, size_t rows) {
    return rows * (size_t)n->attr_i[0] * sizeof(uint32_t);
}

static void max_sim_forward(struct op_ctx *c) {
    size_t h = GROUPS(c), d = INNER(c);
    uint32_t *best = c->work;
    for (size_t r = 0; r < c->rows; r++) {
        const float *x = c->in[0].p + r * c->in[0].ld, *y = c->in[1].p + r * c->in[1].ld;
        float sum = 0;
        for (size_t i = 0; i < h; i++) {
            float top = vec_dot(d, x + i * d, y);
            uint32_t at = 0;
            for (uint32_t j = 1; j < h; j++) {
                float v = vec_dot(d, x + i * d, y + j * d);
                if (v > top) {
                    top = v;
                    at = j;
                }
            }
            best[r * h + i] = at;
            sum += top;
        }
        c->out.p[r * c->out.ld] = sum;
    }
}
static void max_sim_backward(struct op_ctx *c) {
    size_t h = GROUPS(c), d = INNER(c);
    const uint32_t *best = c->work;
    for (int k = 0; k < 2; k++)
        if (c->in_grad[k].p && !c->in_acc[k]) vec_copy(c->rows, h * d, c->in_grad[k], c->in[k], 0, false);
    for (size_t r = 0; r < c->rows; r++) {
        float g = c->out_grad.p[r * c->out_grad.ld];
        for (size_t i = 0; i < h; i++) {
            size_t x = i * d, y = best[r * h + i] * d;
            if (c->in_grad[0].p)
                vec_copy(1, d, mat_cols(mat_rows(c->in_grad[0], r), x), mat_cols(mat_rows(c->in[1], r), y), g,
                         true);
            if (c->in_grad[1].p)
                vec_copy(1, d, mat_cols(mat_rows(c->in_grad[1], r), y), mat_cols(mat_rows(c->in[0], r), x), g,
                         true);
        }
    }
}
static void max_sim_cost(const struct graph *g, const struct node *n, struct cost *out) {
    double w = g->node[n->in[0]]->width;
    out->flops = 2 * w * n->attr_i[0];
    out->stream_bytes = 8 * w + 4;
}
const struct op op_max_sim = {.name = "max_sim",
                              .forward = max_sim_forward,
                              .backward = max_sim_backward,
                              .cost = max_sim_cost,
                              .work_bytes = max_sim_work};

int nn_max_sim(struct graph *g, int x, int y, int heads) {
    int in[] = {x, y};
    if (!fits(g, "max_sim", x, heads) || !fits(g, "max_sim", y, heads)) return -1;
    if (g->node[x]->width != g->node[y]->width)
        return graph_fail(g, "max_sim: widths %d and %d", g->node[x]->width, g->node[y]->width);
    return group_node(g, &op_max_sim, 2, in, heads, 1);
}
