/* One layer of the compressed interaction network (Lian et al. 2018, xDeepFM): with X (B, H*D) and X0 (B,
 * F*D) seen as H and F vectors of D,  Y_k = sum_ij W[k, i*F+j] X_i * X0_j  -> (B, K*D). W is (K, H*F).
 * attr_i: 0 = H, 1 = F, 2 = D. Work: one row's products (H*F, D), made again in the backward pass. */
#include "nn/op.h"
#include "nn/vec.h"
#include <stdio.h>

struct dims {
    size_t h, f, d, k;
};
static struct dims dims(const struct node *n) {
    return (struct dims){(size_t)n->attr_i[0], (size_t)n->attr_i[1], (size_t)n->attr_i[2],
                         (size_t)(n->width / n->attr_i[2])};
}

static size_t cin_work(const struct node *n, size_t rows) {
    struct dims s = dims(n);
    (void)rows;
    return 2 * s.h * s.f * s.d * sizeof(float);
}

static void products(struct dims s, const float *x, const float *x0, float *z) {
    for (size_t i = 0; i < s.h; i++) /* (F,D) = X0 * X_i seen by every row */
        vec_mul(s.f, s.d, (struct mat){z + i * s.f * s.d, s.d}, (struct mat){(float *)x0, s.d},
                (struct mat){(float *)(x + i * s.d), 0}, false, false);
}

static void cin_forward(struct op_ctx *c) {
    struct dims s = dims(c->node);
    float *z = c->work;
    for (size_t r = 0; r < c->rows; r++) {
        products(s, c->in[0].p + r * c->in[0].ld, c->in[1].p + r * c->in[1].ld, z);
        gemm_nn(s.k, s.d, s.h * s.f, (struct mat){c->param[0], s.h * s.f}, z, s.d,
                (struct mat){c->out.p + r * c->out.ld, s.d}, false);
    }
}

static void cin_backward(struct op_ctx *c) {
    struct dims s = dims(c->node);
    float *z = c->work, *dz = z + s.h * s.f * s.d;
    for (int k = 0; k < 2; k++)
        if (c->in_grad[k].p && !c->in_acc[k])
            vec_copy(c->rows, (k ? s.f : s.h) * s.d, c->in_grad[k], c->in[k], 0, false);
    for (size_t r = 0; r < c->rows; r++) {
        const float *x = c->in[0].p + r * c->in[0].ld, *x0 = c->in[1].p + r * c->in[1].ld,
                    *g = c->out_grad.p + r * c->out_grad.ld;
        struct mat gm = {(float *)g, s.d}, w = {c->param[0], s.h * s.f};
        products(s, x, x0, z);
        gemm_nt(s.k, s.h * s.f, s.d, gm, z, s.d, (struct mat){c->param_grad[0], s.h * s.f}, true);
        for (size_t i = 0; i < s.h * s.f * s.d; i++) dz[i] = 0;
        gemm_tn_add(s.k, s.h * s.f, s.d, w, gm, dz, s.d);
        for (size_t i = 0; i < s.h; i++)
            for (size_t j = 0; j < s.f; j++) {
                const float *p = dz + (i * s.f + j) * s.d;
                for (size_t d = 0; d < s.d; d++) {
                    if (c->in_grad[0].p)
                        c->in_grad[0].p[r * c->in_grad[0].ld + i * s.d + d] += p[d] * x0[j * s.d + d];
                    if (c->in_grad[1].p)
                        c->in_grad[1].p[r * c->in_grad[1].ld + j * s.d + d] += p[d] * x[i * s.d + d];
                }
            }
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
    if (!(n->param = arena_alloc(&g->arena, sizeof *n->param)))
        return err_nomem(&g->err, sizeof *n->param), -1;
    n->param[0] = w;
    n->n_params = 1;
    return id;
}
