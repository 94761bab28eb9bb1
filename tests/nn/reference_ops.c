#include "tests/nn/reference_ops.h"
#include "nn/loss.h"
#include <math.h>
#include <stdlib.h>

/* Scalars of x's context: an input's, a parameter's, the value's gradient; and where to add value and gradients. */
static double in(const struct reference *x, size_t k, size_t row, size_t column) {
    return (double)x->c->in[k].p[row * x->c->in[k].ld + column];
}
static double param(const struct reference *x, int k, size_t i) { return (double)x->c->param[k][i]; }
static double grad(const struct reference *x, size_t row, size_t column) {
    return (double)x->c->out_grad.p[row * x->c->out_grad.ld + column];
}
static double *out(struct reference *x, size_t row, size_t column) {
    return &x->out[row * (size_t)x->c->node->width + column];
}
static double *in_grad(struct reference *x, size_t k, size_t row, size_t column) {
    return &x->in_grad[k][row * x->width[k] + column];
}
static size_t attr(const struct reference *x, int k) { return (size_t)x->c->node->attr_i[k]; }

/* Y_m = sum_ij W[m, i*F+j] X_i * X0_j */
void reference_cin(struct reference *x) {
    size_t h = attr(x, 0), f = attr(x, 1), d = attr(x, 2), maps = (size_t)x->c->node->width / d;
    for (size_t r = 0; r < x->c->rows; r++)
        for (size_t m = 0; m < maps; m++)
            for (size_t ij = 0; ij < h * f; ij++)
                for (size_t e = 0; e < d; e++) {
                    size_t at = m * h * f + ij, i = ij / f * d + e, j = ij % f * d + e;
                    double w = param(x, 0, at), a = in(x, 0, r, i), b = in(x, 1, r, j),
                           g = grad(x, r, m * d + e);
                    *out(x, r, m * d + e) += w * a * b;
                    *in_grad(x, 0, r, i) += g * w * b;
                    *in_grad(x, 1, r, j) += g * w * a;
                    x->param_grad[0][at] += g * a * b;
                }
}

/* weight_t = w2 relu(W1 [h, q, h - q, h * q] + b1) + b2,  out = sum_t weight_t h_t */
void reference_target_attention(struct reference *x) {
    size_t t = attr(x, 0), d = attr(x, 1), units = attr(x, 2);
    double *z = calloc(8 * d, sizeof *z), *dz = z + 4 * d; /* the network's input and its gradient */
    for (size_t r = 0; r < x->c->rows; r++)
        for (size_t i = 0; i < (size_t)in(x, 0, r, t * d); i++) {
            double weight = param(x, 3, 0), dw = 0;
            for (size_t k = 0; k < d; k++) {
                double h = in(x, 0, r, i * d + k), q = in(x, 1, r, k);
                z[k] = h, z[d + k] = q, z[2 * d + k] = h - q, z[3 * d + k] = h * q;
                dz[k] = dz[d + k] = dz[2 * d + k] = dz[3 * d + k] = 0;
                dw += grad(x, r, k) * h;
            }
            x->param_grad[3][0] += dw;
            for (size_t u = 0; u < units; u++) {
                double sum = param(x, 1, u), w2 = param(x, 2, u);
                for (size_t k = 0; k < 4 * d; k++) sum += param(x, 0, u * 4 * d + k) * z[k];
                if (sum <= 0) continue;
                weight += w2 * sum;
                x->param_grad[2][u] += dw * sum;
                x->param_grad[1][u] += dw * w2;
                for (size_t k = 0; k < 4 * d; k++) {
                    x->param_grad[0][u * 4 * d + k] += dw * w2 * z[k];
                    dz[k] += dw * w2 * param(x, 0, u * 4 * d + k);
                }
            }
            for (size_t k = 0; k < d; k++) {
                *out(x, r, k) += weight * z[k];
                *in_grad(x, 0, r, i * d + k) +=
                    weight * grad(x, r, k) + dz[k] + dz[2 * d + k] + dz[3 * d + k] * z[d + k];
                *in_grad(x, 1, r, k) += dz[d + k] - dz[2 * d + k] + dz[3 * d + k] * z[k];
            }
        }
    free(z);
}

/* sum_i max_j <x_i, y_j> */
void reference_max_sim(struct reference *x) {
    size_t heads = attr(x, 0), d = attr(x, 1);
    for (size_t r = 0; r < x->c->rows; r++)
        for (size_t i = 0; i < heads; i++) {
            double best = -INFINITY;
            size_t at = 0;
            for (size_t j = 0; j < heads; j++) {
                double dot = 0;
                for (size_t k = 0; k < d; k++) dot += in(x, 0, r, i * d + k) * in(x, 1, r, j * d + k);
                if (dot > best) best = dot, at = j;
            }
            *out(x, r, 0) += best;
            for (size_t k = 0; k < d; k++) {
                *in_grad(x, 0, r, i * d + k) += grad(x, r, 0) * in(x, 1, r, at * d + k);
                *in_grad(x, 1, r, at * d + k) += grad(x, r, 0) * in(x, 0, r, i * d + k);
            }
        }
}

struct category {
    double n, *mean, *cov, *grad; /* [D], [D][D], dL/dcov [D][D] */
};

/* Mean and covariance of one category's vectors. */
static struct category category_of(const struct reference *x, size_t id) {
    size_t d = attr(x, 0);
    struct category s = {.mean = calloc(d + 2 * d * d, sizeof(double))};
    s.cov = s.mean + d;
    s.grad = s.cov + d * d;
    for (size_t r = 0; r < x->c->rows; r++) s.n += in(x, 1, r, 0) == (double)id;
    for (size_t r = 0; r < x->c->rows; r++)
        for (size_t i = 0; i < d && in(x, 1, r, 0) == (double)id; i++) s.mean[i] += in(x, 0, r, i) / s.n;
    for (size_t r = 0; r < x->c->rows && s.n > 1; r++)
        for (size_t ij = 0; ij < d * d && in(x, 1, r, 0) == (double)id; ij++)
            s.cov[ij] +=
                (in(x, 0, r, ij / d) - s.mean[ij / d]) * (in(x, 0, r, ij % d) - s.mean[ij % d]) / (s.n - 1);
    return s;
}

/* L = sum over c != major of |Cov(major) - Cov(c)|^2;  dL/ds = 2/(n-1) dL/dCov (s - mean) */
void reference_category_alignment(struct reference *x) {
    size_t d = attr(x, 0), n = attr(x, 1), major = 0;
    struct category *s = calloc(n, sizeof *s);
    double loss = 0, total = 0;
    for (size_t c = 0; c < n; c++) {
        s[c] = category_of(x, c);
        if (s[c].n > s[major].n) major = c; /* of the largest the lowest id */
    }
    for (size_t c = 0; c < n; c++)
        for (size_t ij = 0; ij < d * d && c != major && s[c].n > 1; ij++) {
            double diff = s[major].cov[ij] - s[c].cov[ij];
            loss += diff * diff;
            s[major].grad[ij] += 2 * diff;
            s[c].grad[ij] -= 2 * diff;
        }
    for (size_t r = 0; r < x->c->rows; r++) total += grad(x, r, 0);
    for (size_t r = 0; r < x->c->rows; r++) {
        const struct category *own = &s[(size_t)in(x, 1, r, 0)];
        *out(x, r, 0) = loss;
        for (size_t ij = 0; ij < d * d && own->n > 1; ij++)
            *in_grad(x, 0, r, ij / d) +=
                total * 2 / (own->n - 1) * own->grad[ij] * (in(x, 0, r, ij % d) - own->mean[ij % d]);
    }
    for (size_t c = 0; c < n; c++) free(s[c].mean);
    free(s);
}

/* ---- sampled softmax: the inputs are u, v, label, item, p, q; v, item, p, q of each drawn set; v, item of each hard set ---- */

enum { U, V, LABEL, ITEM, P, OWN = 6 };

struct candidate {
    size_t in, row; /* of its vector */
    double score;   /* s_ij - log c_j */
};

static double scaled_dot(const struct reference *x, size_t row, size_t k, size_t other) {
    double sum = 0;
    for (size_t c = 0; c < attr(x, 0); c++) sum += in(x, U, row, c) * in(x, k, other, c);
    return x->c->node->attr_f[0] * sum;
}

static bool clicked(const struct reference *x, size_t row) { return in(x, LABEL, row, 0) > 0.5; }

/* What the sum Z of a row is over; the row's own item comes first. */
static size_t candidates_of(const struct reference *x, size_t row, struct candidate *list) {
    size_t rows = x->c->rows, n = 0, n_drawn = attr(x, 1);
    double clicks = -1, own = in(x, ITEM, row, 0), draws = (double)(rows * n_drawn);
    for (size_t r = 0; r < rows; r++) clicks += clicked(x, r);
    list[n++] = (struct candidate){V, row, scaled_dot(x, row, V, row)};
    for (size_t set = 0; set <= n_drawn; set++)
        for (size_t r = 0; r < rows; r++) {
            size_t v = set ? OWN + 4 * (set - 1) : V, item = set ? v + 1 : ITEM;
            if (in(x, item, r, 0) == own || (!set && (!attr(x, 3) || !clicked(x, r)))) continue;
            double expected =
                (attr(x, 3) ? clicks : 0) * in(x, item + 1, r, 0) + draws * in(x, item + 2, r, 0);
            list[n++] = (struct candidate){
                v, r, scaled_dot(x, row, v, r) - (expected > 0 ? x->c->node->attr_f[1] * log(expected) : 0)};
        }
    for (size_t k = 0; k < attr(x, 2); k++) {
        size_t v = OWN + 4 * n_drawn + 2 * k;
        double item = in(x, v + 1, row, 0);
        if (item >= 0 && item != own) list[n++] = (struct candidate){v, row, scaled_dot(x, row, v, row)};
    }
    return n;
}

/* rows / clicks (log Z - s) in clicked rows, 0 in others */
void reference_sampled_softmax(struct reference *x) {
    size_t rows = x->c->rows;
    struct candidate *list = calloc(1 + rows * (1 + attr(x, 1)) + attr(x, 2), sizeof *list);
    double clicks = 0;
    for (size_t r = 0; r < rows; r++) clicks += clicked(x, r);
    for (size_t r = 0; r < rows; r++) {
        if (!clicked(x, r)) continue;
        size_t n = candidates_of(x, r, list);
        double z = exp(list[0].score), weight = (double)rows / clicks;
        for (size_t j = 1; j < n; j++) z += exp(list[j].score);
        *out(x, r, 0) = weight * (log(z) - list[0].score);
        for (size_t j = 0; j < n; j++) {
            double ds = weight * grad(x, r, 0) * (exp(list[j].score) / z - (j == 0)) * x->c->node->attr_f[0];
            for (size_t k = 0; k < attr(x, 0); k++) {
                *in_grad(x, U, r, k) += ds * in(x, list[j].in, list[j].row, k);
                *in_grad(x, list[j].in, list[j].row, k) += ds * in(x, U, r, k);
            }
        }
    }
    free(list);
}

/* ---- norms, and the simple ones ---- */

void reference_batch_norm(struct reference *x) {
    double n = (double)x->c->rows;
    for (size_t j = 0; j < x->width[0]; j++) {
        double mean = 0, var = 0, sum_g = 0, sum_gx = 0;
        for (size_t r = 0; r < x->c->rows; r++) mean += in(x, 0, r, j) / n;
        for (size_t r = 0; r < x->c->rows; r++) var += pow(in(x, 0, r, j) - mean, 2) / n;
        double inverse = 1 / sqrt(var + 1e-5);
        for (size_t r = 0; r < x->c->rows; r++) {
            double xhat = (in(x, 0, r, j) - mean) * inverse;
            *out(x, r, j) = xhat * param(x, 0, j) + param(x, 1, j);
            sum_g += grad(x, r, j);
            sum_gx += grad(x, r, j) * xhat;
        }
        x->param_grad[0][j] = sum_gx;
        x->param_grad[1][j] = sum_g;
        for (size_t r = 0; r < x->c->rows; r++)
            *in_grad(x, 0, r, j) =
                param(x, 0, j) * inverse *
                (grad(x, r, j) - sum_g / n - (in(x, 0, r, j) - mean) * inverse * sum_gx / n);
    }
}

void reference_l2_normalize(struct reference *x) {
    for (size_t r = 0; r < x->c->rows; r++) {
        double norm = 0, along = 0;
        for (size_t j = 0; j < x->width[0]; j++) norm += pow(in(x, 0, r, j), 2);
        norm = sqrt(norm);
        for (size_t j = 0; j < x->width[0]; j++) along += grad(x, r, j) * in(x, 0, r, j) / norm;
        for (size_t j = 0; j < x->width[0]; j++) {
            *out(x, r, j) = in(x, 0, r, j) / norm;
            *in_grad(x, 0, r, j) = (grad(x, r, j) - along * in(x, 0, r, j) / norm) / norm;
        }
    }
}

void reference_bce(struct reference *x) {
    for (size_t r = 0; r < x->c->rows; r++) {
        double y = (double)x->c->in_col[1]->number[r], p = 1 / (1 + exp(-in(x, 0, r, 0)));
        *out(x, r, 0) = -y * log(p) - (1 - y) * log1p(-p);
        *in_grad(x, 0, r, 0) = grad(x, r, 0) * (p - y);
    }
}

void reference_column_scale(struct reference *x) {
    for (size_t r = 0; r < x->c->rows; r++)
        for (size_t j = 0; j < x->width[0]; j++) {
            *out(x, r, j) = in(x, 0, r, j) * param(x, 0, j);
            *in_grad(x, 0, r, j) = grad(x, r, j) * param(x, 0, j);
            x->param_grad[0][j] += grad(x, r, j) * in(x, 0, r, j);
        }
}

void reference_group_pool(struct reference *x) {
    for (size_t r = 0; r < x->c->rows; r++)
        for (size_t j = 0; j < x->width[0]; j++) {
            *out(x, r, j / attr(x, 1)) += in(x, 0, r, j);
            *in_grad(x, 0, r, j) = grad(x, r, j / attr(x, 1));
        }
}

void reference_group_scale(struct reference *x) {
    for (size_t r = 0; r < x->c->rows; r++)
        for (size_t j = 0; j < x->width[0]; j++) {
            size_t group = j / attr(x, 1);
            *out(x, r, j) = in(x, 0, r, j) * in(x, 1, r, group);
            *in_grad(x, 0, r, j) = grad(x, r, j) * in(x, 1, r, group);
            *in_grad(x, 1, r, group) += grad(x, r, j) * in(x, 0, r, j);
        }
}

/* sum over groups of the Frobenius norm of the weight's columns of that group */
void reference_group_norm(struct reference *x) {
    size_t rows = (size_t)x->c->node->attr_list[0], cols = (size_t)x->c->node->attr_list[1],
           width = cols / attr(x, 0);
    double sum = 0, total = 0;
    for (size_t r = 0; r < x->c->rows; r++) total += grad(x, r, 0);
    for (size_t group = 0; group < attr(x, 0); group++) {
        double norm = 0;
        for (size_t i = 0; i < rows * width; i++)
            norm += pow(param(x, 0, i / width * cols + group * width + i % width), 2);
        sum += norm = sqrt(norm);
        for (size_t i = 0; i < rows * width; i++) {
            size_t at = i / width * cols + group * width + i % width;
            x->param_grad[0][at] = total * param(x, 0, at) / norm;
        }
    }
    for (size_t r = 0; r < x->c->rows; r++) *out(x, r, 0) = sum;
}
