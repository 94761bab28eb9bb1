/* lasso: group lasso (Yuan & Lin 2006) on the layers that read the fields: a price on the norm of each field's block of
 * their weights, which drives the blocks of useless fields towards 0. A field's importance is the norm that is left,
 * summed over these layers. */
#include "bench/select/gated.h"
#include "bench/select/learn.h"
#include "nn/op.h"
#include <math.h>

struct lasso_options {
    double strength;
};
static const struct opt opts[] = {
    OPT_DOUBLE(struct lasso_options, strength, "0.001", 0, 1e6, "factor on the sum of the norms"), OPT_END};

enum { READERS = 8 };

/* Linear layers that read the concat, itself or through an activation or weights of the fields (senet); returns their
 * number. */
static int readers(const struct graph *g, int concat, int node[READERS]) {
    int n = 0;
    for (int i = 0; i < g->n_nodes && n < READERS; i++) {
        const struct node *l = g->node[i];
        if (l->op != &op_linear) continue;
        int from = l->in[0];
        while (from != concat && (g->node[from]->op == &op_act || g->node[from]->op == &op_group_scale))
            from = g->node[from]->in[0];
        if (from == concat) node[n++] = i;
    }
    return n;
}

static int find_readers(const struct graph *g, const struct features *f, struct field_concats *c,
                        int node[2][READERS], int n[2], struct err *e) {
    TRY(field_concats_find(g, f, c, e));
    for (int k = 0; k < c->n; k++)
        if (!(n[k] = readers(g, c->v[k].node, node[k])))
            return err_set(
                e, ERR_INPUT,
                "no linear layer reads the fields as they are, so group lasso has nothing to shrink");
    return 0;
}

static int fits(const struct graph *g, const struct features *f, struct err *e) {
    struct field_concats c;
    int node[2][READERS], n[2];
    return find_readers(g, f, &c, node, n, e);
}

struct lasso_build { /* options of variant_lasso */
    struct model_options model;
    const struct rank_task *t;
};

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct rank_task *t = ((const struct lasso_build *)options)->t;
    const struct lasso_options *o = t->options;
    struct field_concats c;
    int node[2][READERS], n[2];
    TRY(t->variant->variant->build(g, f, t->variant->options, e));
    if (g->err.code) return *e = g->err, g->err.code;
    TRY(find_readers(g, f, &c, node, n, e));
    for (int i = 0; i < c.n; i++)
        for (int k = 0; k < n[i] && o->strength > 0; k++)
            graph_add_loss(g, nn_group_norm(g, g->node[node[i][k]]->param[0], c.v[i].n), o->strength);
    return 0;
}
static const struct variant variant_lasso = {.name = "lasso",
                                             .help = "a variant with group lasso on its fields",
                                             .opts = opts,
                                             .options_bytes = sizeof(struct lasso_build),
                                             .build = build};

static double block_norm(const struct param *p, int blocks, int k) {
    size_t width = p->cols / (size_t)blocks;
    double sum = 0;
    for (size_t r = 0; r < p->rows; r++)
        for (size_t i = 0; i < width; i++) {
            double w = p->value[r * p->cols + (size_t)k * width + i];
            sum += w * w;
        }
    return sqrt(sum);
}

static int rank(const struct rank_task *t, double *importance, struct err *e) {
    const struct lasso_build o = {*(const struct model_options *)t->variant->options, t};
    struct trained m;
    struct field_concats c;
    int node[2][READERS], n[2], rc = learn_to_the_end(t, &variant_lasso, &o, t->features, &m, e);
    if (!rc) rc = find_readers(&m.graph, t->features, &c, node, n, e);
    for (int i = 0; !rc && i < c.n; i++)
        for (int k = 0; k < c.v[i].n; k++) {
            double *sum = &importance[c.v[i].field[k]];
            *sum = 0;
            for (int r = 0; r < n[i]; r++)
                *sum += block_norm(m.graph.param[m.graph.node[node[i][r]]->param[0]], c.v[i].n, k);
        }
    trained_release(&m);
    return rc;
}

const struct selector selector_lasso = {.name = "lasso",
                                        .help = "group lasso on the first layer: norm of the field's weights",
                                        .opts = opts,
                                        .options_bytes = sizeof(struct lasso_options),
                                        .fits = fits,
                                        .rank = rank};
