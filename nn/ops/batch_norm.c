/* Batch norm over the rows of the whole batch (Ioffe & Szegedy 2015), as torch.nn.BatchNorm1d: eps 1e-5,
 * biased variance to normalise, unbiased variance into the running statistics, momentum 0.1.
 *
 * Coupled: it needs every row, so the executor gathers the slices before it. Inference uses the running
 * statistics. Parameters: weight, bias, running_mean, running_var. Work: mean and 1/sd of each column, in
 * double for the sums. */
#include "nn/op.h"
#include "nn/passes.h"
#include "nn/vec.h"
#include <math.h>
#include <stdio.h>

#define EPSILON  1e-5
#define MOMENTUM 0.1

struct column_stats {
    double mean, inverse_sd;
};

static size_t batch_norm_work(const struct node *n, size_t rows) {
    (void)rows;
    return (size_t)n->width * 2 * sizeof(struct column_stats);
}

static void batch_statistics(struct op_ctx *c, struct column_stats *s) {
    size_t w = (size_t)c->node->width;
    double n = (double)c->rows;
    for (size_t j = 0; j < w; j++) s[j] = (struct column_stats){0, 0};
    for (size_t r = 0; r < c->rows; r++)
        for (size_t j = 0; j < w; j++) s[j].mean += (double)c->in[0].p[r * c->in[0].ld + j];
    for (size_t j = 0; j < w; j++) s[j].mean /= n;
    for (size_t r = 0; r < c->rows; r++)
        for (size_t j = 0; j < w; j++) {
            double d = (double)c->in[0].p[r * c->in[0].ld + j] - s[j].mean;
            s[j].inverse_sd += d * d;
        }
    for (size_t j = 0; j < w; j++) {
        double var = s[j].inverse_sd / n, unbiased = c->rows > 1 ? s[j].inverse_sd / (n - 1) : var;
        c->param[2][j] += (float)(MOMENTUM * (s[j].mean - (double)c->param[2][j]));
        c->param[3][j] += (float)(MOMENTUM * (unbiased - (double)c->param[3][j]));
        s[j].inverse_sd = 1 / sqrt(var + EPSILON);
    }
}

static void batch_norm_forward(struct op_ctx *c) {
    struct column_stats *s = c->work;
    size_t w = (size_t)c->node->width;
    if (c->training)
        batch_statistics(c, s);
    else
        for (size_t j = 0; j < w; j++)
            s[j] = (struct column_stats){(double)c->param[2][j], 1 / sqrt((double)c->param[3][j] + EPSILON)};
    for (size_t r = 0; r < c->rows; r++) {
        const float *x = c->in[0].p + r * c->in[0].ld;
        float *y = c->out.p + r * c->out.ld;
        for (size_t j = 0; j < w; j++)
            y[j] = (float)(((double)x[j] - s[j].mean) * s[j].inverse_sd) * c->param[0][j] + c->param[1][j];
    }
}

/* dx = w/sd (g - mean(g) - xhat mean(g xhat)) */
static void batch_norm_backward(struct op_ctx *c) {
    struct column_stats *s = c->work,
                        *sum = s + c->node->width; /* sum.mean = sum g, sum.inverse_sd = sum g xhat */
    size_t w = (size_t)c->node->width;
    double n = (double)c->rows;
    for (size_t j = 0; j < w; j++) sum[j] = (struct column_stats){0, 0};
    for (size_t r = 0; r < c->rows; r++) {
        const float *x = c->in[0].p + r * c->in[0].ld, *g = c->out_grad.p + r * c->out_grad.ld;
        for (size_t j = 0; j < w; j++) {
            sum[j].mean += (double)g[j];
            sum[j].inverse_sd += (double)g[j] * ((double)x[j] - s[j].mean) * s[j].inverse_sd;
        }
    }
    for (size_t j = 0; j < w; j++) {
        c->param_grad[0][j] += (float)sum[j].inverse_sd;
        c->param_grad[1][j] += (float)sum[j].mean;
    }
    if (!c->in_grad[0].p) return;
    for (size_t r = 0; r < c->rows; r++) {
        const float *x = c->in[0].p + r * c->in[0].ld, *g = c->out_grad.p + r * c->out_grad.ld;
        float *d = c->in_grad[0].p + r * c->in_grad[0].ld;
        for (size_t j = 0; j < w; j++) {
            double xhat = ((double)x[j] - s[j].mean) * s[j].inverse_sd;
            double v = (double)c->param[0][j] * s[j].inverse_sd *
                       ((double)g[j] - sum[j].mean / n - xhat * sum[j].inverse_sd / n);
            d[j] = c->in_acc[0] ? d[j] + (float)v : (float)v;
        }
    }
}

static void batch_norm_cost(const struct graph *g, const struct node *n, struct cost *out) {
    (void)g;
    out->flops = 2.0 * n->width;
    out->stream_bytes = 8.0 * n->width;
    out->weight_bytes = 16.0 * n->width;
}

const struct op op_batch_norm = {.name = "batch_norm",
                                 .forward = batch_norm_forward,
                                 .backward = batch_norm_backward,
                                 .cost = batch_norm_cost,
                                 .work_bytes = batch_norm_work,
                                 .coupled = true};

int nn_batch_norm(struct graph *g, int x, const char *name, bool uniform_scale) {
    if (g->err.code) return -1;
    if (x < 0 || g->node[x]->width < 1) return graph_fail(g, "%s: batch norm needs a computed input", name);
    static const char *const part[] = {"weight", "bias", "running_mean", "running_var"};
    static const enum init_kind init[] = {INIT_ONE, INIT_ZERO, INIT_ZERO, INIT_ONE};
    int w = g->node[x]->width, id = graph_add_node(g, &op_batch_norm, name, 1, &x, w);
    int param[4];
    for (int k = 0; k < 4; k++) {
        char text[NN_NAME_MAX + 16];
        snprintf(text, sizeof text, "%s.%s", name, part[k]);
        param[k] = graph_add_param(g, text, k < 2 ? PARAM_DENSE : PARAM_STATE, 1, (size_t)w,
                                   k == 0 && uniform_scale ? INIT_UNIFORM01 : init[k]);
        if (param[k] >= 0) g->param[param[k]]->vector = true;
    }
    if (g->err.code) return -1;
    return graph_set_params(g, id, 4, param);
}
