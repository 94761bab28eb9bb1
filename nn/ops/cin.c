/* One layer of the compressed interaction network (Lian et al. 2018, xDeepFM): with X (B, H*D) and X0 (B,
 * F*D) seen as H and F vectors of D,  Y_k = sum_ij W[k, i*F+j] X_i * X0_j  -> (B, K*D). W is (K, H*F).
 * attr_i: 0 = H, 1 = F, 2 = D. Work: a block of
 * rows' products (H*F, R*D), made again in the backward pass. */
#include "nn/op.h"
#include "nn/vec.h"
#include <stdio.h>
#include <string.h>

struct dims {
    size_t h, f, d, k;
};
static struct dims dims(const struct node *n) {
    return (struct dims){(size_t)n->attr_i[0], (size_t)n->attr_i[1], (size_t)n->attr_i[2],
                         (size_t)(n->width / n->attr_i[2])};
}

/* Rows that are computed together: with their vectors side by side, X (H, R*D), the products Z (H*F, R*D) go through one
 * matrix product and stay in the cache. */
enum { BLOCK_BYTES = 1 << 18, BLOCK_ROWS = 32 };

static size_t block_rows(struct dims s) {
    size_t rows = BLOCK_BYTES / (s.h * s.f * s.d * sizeof(float));
    return rows < 1 ? 1 : rows > BLOCK_ROWS ? BLOCK_ROWS : rows;
}

struct block {
    size_t rows, n;        /* n = rows * D */
    float *x, *x0, *z, *y; /* (H,n), (F,n), (H*F,n), (K,n) */
    float *dx, *dx0, *dz;  /* their gradients; y is the output's */
};

static size_t cin_work(const struct node *n, size_t rows) {
    struct dims s = dims(n);
    (void)rows;
    return (2 * (s.h + s.f + s.h * s.f) + s.k) * s.d * block_rows(s) * sizeof(float);
}

static struct block block_of(struct dims s, void *work, size_t rows) {
    struct block b = {.rows = rows, .n = rows * s.d, .x = work};
    b.x0 = b.x + s.h * b.n;
    b.z = b.x0 + s.f * b.n;
    b.y = b.z + s.h * s.f * b.n;
    b.dx = b.y + s.k * b.n;
    b.dx0 = b.dx + s.h * b.n;
    b.dz = b.dx0 + s.f * b.n;
    return b;
}

static struct mat from_row(struct mat m, size_t first) { return (struct mat){m.p + first * m.ld, m.ld}; }

/* (rows, vectors * D) to (vectors, rows * D) */
static void side_by_side(size_t rows, size_t vectors, size_t d, struct mat from, float *to) {
    for (size_t v = 0; v < vectors; v++)
        for (size_t r = 0; r < rows; r++)
            memcpy(to + (v * rows + r) * d, from.p + r * from.ld + v * d, d * sizeof *to);
}

/* and back: to = from, or to += from */
static void row_by_row(size_t rows, size_t vectors, size_t d, const float *from, struct mat to, bool acc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++) {
            const float *x = from + (v * rows + r) * d;
            float *y = to.p + r * to.ld + v * d;
            for (size_t c = 0; c < d; c++) y[c] = acc ? y[c] + x[c] : x[c];
        }
}

KERNEL static void products(size_t h, size_t f, size_t n, const float *restrict x, const float *restrict x0,
                            float *restrict z) {
    for (size_t i = 0; i < h; i++)
        for (size_t j = 0; j < f; j++)
            for (size_t c = 0; c < n; c++) z[(i * f + j) * n + c] = x[i * n + c] * x0[j * n + c];
}

/* dX_i = sum_j dZ_ij * X0_j,  dX0_j = sum_i dZ_ij * X_i */
KERNEL static void products_grad(size_t h, size_t f, size_t n, const float *restrict x,
                                 const float *restrict x0, const float *restrict dz, float *restrict dx,
                                 float *restrict dx0) {
    for (size_t i = 0; i < h; i++)
        for (size_t j = 0; j < f; j++) {
            const float *g = dz + (i * f + j) * n;
            for (size_t c = 0; c < n; c++) {
                dx[i * n + c] = (j ? dx[i * n + c] : 0) + g[c] * x0[j * n + c];
                dx0[j * n + c] = (i ? dx0[j * n + c] : 0) + g[c] * x[i * n + c];
            }
        }
}

static struct block block_forward(struct op_ctx *c, struct dims s, size_t first) {
    size_t rows = block_rows(s);
    struct block b = block_of(s, c->work, c->rows - first < rows ? c->rows - first : rows);
    side_by_side(b.rows, s.h, s.d, from_row(c->in[0], first), b.x);
    side_by_side(b.rows, s.f, s.d, from_row(c->in[1], first), b.x0);
    products(s.h, s.f, b.n, b.x, b.x0, b.z);
    return b;
}

static void cin_forward(struct op_ctx *c) {
    struct dims s = dims(c->node);
    for (size_t r = 0; r < c->rows; r += block_rows(s)) {
        struct block b = block_forward(c, s, r);
        gemm_nn(s.k, b.n, s.h * s.f, (struct mat){c->param[0], s.h * s.f}, b.z, b.n, (struct mat){b.y, b.n},
                false);
        row_by_row(b.rows, s.k, s.d, b.y, from_row(c->out, r), false);
    }
}

static void cin_backward(struct op_ctx *c) {
    struct dims s = dims(c->node);
    size_t hf = s.h * s.f;
    for (int k = 0; k < 2; k++)
        if (c->in_grad[k].p && !c->in_acc[k])
            vec_copy(c->rows, (k ? s.f : s.h) * s.d, c->in_grad[k], c->in[k], 0, false);
    for (size_t r = 0; r < c->rows; r += block_rows(s)) {
        struct block b = block_forward(c, s, r);
        struct mat g = {b.y, b.n}, w = {c->param[0], hf};
        side_by_side(b.rows, s.k, s.d, from_row(c->out_grad, r), b.y);
        gemm_nt(s.k, hf, b.n, g, b.z, b.n, (struct mat){c->param_grad[0], hf}, true);
        memset(b.dz, 0, hf * b.n * sizeof *b.dz);
        gemm_tn_add(s.k, hf, b.n, w, g, b.dz, b.n);
        products_grad(s.h, s.f, b.n, b.x, b.x0, b.dz, b.dx, b.dx0);
        if (c->in_grad[0].p) row_by_row(b.rows, s.h, s.d, b.dx, from_row(c->in_grad[0], r), true);
        if (c->in_grad[1].p) row_by_row(b.rows, s.f, s.d, b.dx0, from_row(c->in_grad[1], r), true);
    }
}

static void cin_cost(const struct graph *g, const struct node *n, struct cost *out) {
    struct dims s = dims(n);
    (void)g;
    out->flops = (double)(s.h * s.f * s.d) * (1 + 2 * (double)s.k);
    out->stream_bytes = 4.0 * (double)((s.h + s.f + s.k) * s.d);
    out->weight_bytes = 4.0 * (double)(s.k * s.h * s.f);
}

const struct op op_cin = {.name = "cin",
                          .forward = cin_forward,
                          .backward = cin_backward,
                          .cost = cin_cost,
                          .work_bytes = cin_work};

int nn_cin(struct graph *g, int x, int x0, int maps, int dim, const char *name) {
    if (g->err.code) return -1;
    if (x < 0 || x0 < 0 || dim < 1 || maps < 1 || g->node[x]->width % dim || g->node[x0]->width % dim)
        return graph_fail(g, "%s: the inputs of a CIN layer must be vectors of %d", name, dim);
    int h = g->node[x]->width / dim, f = g->node[x0]->width / dim, in[] = {x, x0};
    char text[NN_NAME_MAX + 16];
    snprintf(text, sizeof text, "%s.weight", name);
    int w = graph_add_param(g, text, PARAM_DENSE, (size_t)maps, (size_t)h * (size_t)f, INIT_XAVIER_NORMAL);
    int id = w < 0 ? -1 : graph_add_node(g, &op_cin, name, 2, in, maps * dim);
    if (id < 0) return -1;
    g->param[w]->decay = true;
    struct node *n = g->node[id];
    n->attr_i[0] = h;
    n->attr_i[1] = f;
    n->attr_i[2] = dim;
    return graph_set_params(g, id, 1, &w);
}
