/* Operations that compute more than a kernel of nn/vec.h, value and gradients, against the same thing one scalar at a time
 * (reference_ops.h). The op's functions are called as the executor calls them, on rows that are further apart than they are long,
 * with guards between and behind (grid.h) and behind the scratch memory; on one row, on rows around and beyond the blocks that ops
 * work in; with gradients added or not, of some inputs or none; and with inputs that are one row for all, as at serving. */
#include "base/mem.h"
#include "nn/loss.h"
#include "nn/passes.h"
#include "tests/nn/grid.h"
#include "tests/nn/reference_ops.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { VOCAB = 9, CATEGORIES = 4 };
static const size_t row_counts[] = {1, 2, 9, 33, 70, 200};
#define EACH(i, list) for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++)

struct trial;
struct op_case {
    const char *name;
    int (*build)(struct graph *g, const int *size);
    void (*reference)(struct reference *x);
    int size[4];
    void (*fill)(struct trial *t); /* inputs that are no random numbers; NULL: all are */
};

struct trial {
    struct graph g;
    struct op_ctx c;
    uint64_t seed;
    const struct batch_column *col[REFERENCE_INPUTS];
    struct mat in[REFERENCE_INPUTS], in_grad[REFERENCE_INPUTS];
    bool in_acc[REFERENCE_INPUTS];
    float *param[REFERENCE_PARAMS], *param_grad[REFERENCE_PARAMS];
    struct batch_column column; /* bce: its number is label */
    float *label;
    struct grid value[REFERENCE_INPUTS], weight[REFERENCE_PARAMS], out_grad, used_grad;
    struct grid out[2], value_grad[REFERENCE_INPUTS][2],
        weight_grad[REFERENCE_PARAMS][2]; /* the op's, the reference's */
};

/* ---- the operations: size is described beside each case ---- */

static int values(struct graph *g, const char *name, int width) {
    return nn_external(g, name, SIDE_USER, width);
}
static int number(struct graph *g, const char *name) {
    return nn_number(g, graph_input(g, name, SIDE_USER, VALUE_NUMBER, 0));
}
static int ids(struct graph *g, enum value_type type, uint32_t vocab) {
    return graph_input(g, "ids", SIDE_USER, type, vocab);
}
static int cin(struct graph *g, const int *s) {
    return nn_cin(g, values(g, "x", s[0] * s[2]), values(g, "x0", s[1] * s[2]), s[3], s[2], "cin");
}
static int attention(struct graph *g, const int *s) {
    int sequence = nn_sequence(g, ids(g, VALUE_BAG, VOCAB), s[0], s[1], "t");
    return nn_target_attention(g, sequence, values(g, "q", s[1]), s[2], "a");
}
static int max_sim(struct graph *g, const int *s) {
    return nn_max_sim(g, values(g, "x", s[0] * s[1]), values(g, "y", s[0] * s[1]), s[0]);
}
static int alignment(struct graph *g, const int *s) {
    return nn_category_alignment(g, values(g, "x", s[0]), ids(g, VALUE_ID, CATEGORIES));
}
static int softmax(struct graph *g, const int *s) {
    static const char *const part[] = {"v", "item", "p", "q"};
    struct softmax_item item[4] = {{0}};
    for (int k = 0; k <= s[1] + s[2]; k++)
        for (int i = 0; i < 4; i++) {
            char name[16];
            snprintf(name, sizeof name, "%s%d", part[i], k);
            ((int *)&item[k])[i] = i ? number(g, name) : values(g, name, s[0]);
        }
    return nn_sampled_softmax(g, &(struct softmax_inputs){.user = values(g, "u", s[0]),
                                                          .label = number(g, "label"),
                                                          .own = item[0],
                                                          .n_drawn = s[1],
                                                          .n_hard = s[2],
                                                          .drawn = item + 1,
                                                          .hard = item + 1 + s[1],
                                                          .in_batch = s[3],
                                                          .scale = 3,
                                                          .log_q = 1});
}
static int batch_norm(struct graph *g, const int *s) {
    return nn_batch_norm(g, values(g, "x", s[0]), "b", false);
}
static int l2_normalize(struct graph *g, const int *s) { return nn_l2_normalize(g, values(g, "x", s[0])); }
static int bce(struct graph *g, const int *s) {
    return nn_bce(g, values(g, "z", s[0]), graph_input(g, "label", SIDE_NONE, VALUE_NUMBER, 0));
}
static int column_scale(struct graph *g, const int *s) {
    return nn_column_scale(g, values(g, "x", s[0]), "c");
}
static int group_pool(struct graph *g, const int *s) {
    return nn_group_pool(g, values(g, "x", s[0] * s[1]), s[0]);
}
static int group_scale(struct graph *g, const int *s) {
    return nn_group_scale(g, values(g, "x", s[0] * s[1]), values(g, "f", s[0]));
}
static int group_norm(struct graph *g, const int *s) {
    nn_linear(g, values(g, "x", s[0] * s[1]), s[2], ACT_NONE, "l");
    return nn_group_norm(g, graph_find_param(g, "l.weight"), s[0]);
}

/* ---- inputs that mean something ---- */

static float *input(struct trial *t, int k, size_t row) { return t->in[k].p + row * t->in[k].ld; }
/* 0, 1, .. below n */
static float whole(struct trial *t, int n) { return floorf((grid_draw(&t->seed) + 1) / 2 * (float)n); }

/* Any number of recent items, also none; zeros behind them, and their number in the last column. */
static void fill_sequence(struct trial *t) {
    size_t length = (size_t)t->c.node->attr_i[0], d = (size_t)t->c.node->attr_i[1];
    for (size_t r = 0; r < (t->in[0].ld ? t->c.rows : 1); r++) {
        float *x = input(t, 0, r);
        x[length * d] = r % 3 == 1 ? 0 : r % 3 == 2 ? (float)length : whole(t, (int)length + 1);
        for (size_t i = (size_t)x[length * d] * d; i < length * d; i++) x[i] = 0;
    }
}
static void fill_categories(struct trial *t) {
    for (size_t r = 0; r < (t->in[1].ld ? t->c.rows : 1); r++) *input(t, 1, r) = whole(t, CATEGORIES);
}
static void fill_softmax(struct trial *t) {
    int drawn = t->c.node->attr_i[1], hard = 6 + 4 * drawn;
    for (int k = 2; k < t->c.node->n_in; k++)
        for (size_t r = 0; r < (t->in[k].ld ? t->c.rows : 1); r++) {
            int part = k < 6      ? k - 2
                       : k < hard ? (k - 6) % 4
                                  : (k - hard) % 2; /* in the order of the inputs */
            bool own_label = k == 2, item = k < 6 ? k == 3 : part == 1;
            float *x = input(t, k, r);
            if (own_label)
                *x = whole(t, 3) > 0 ? 1 : 0;
            else if (item)
                *x = whole(t, VOCAB) - (k < hard ? 0.0f : 1.0f);
            else if (k < 6 || (k < hard && part > 1))
                *x = (grid_draw(&t->seed) + 1.01f) / 4; /* a probability */
        }
}
static void fill_label(struct trial *t) {
    t->label = mem_calloc(t->c.rows, sizeof *t->label);
    cr_assert_not_null(t->label);
    for (size_t r = 0; r < t->c.rows; r++) t->label[r] = (grid_draw(&t->seed) + 1) / 2;
    t->column.number = t->label;
    t->col[1] = &t->column;
}

static const struct op_case cases[] = {
    /* vectors, vectors of X0, dimension, maps: blocks of 32 rows, of less, of one */
    {"cin", cin, reference_cin, {3, 2, 5, 4}, NULL},
    {"cin of single numbers", cin, reference_cin, {1, 1, 1, 1}, NULL},
    {"cin in blocks of 9 rows", cin, reference_cin, {20, 21, 17, 3}, NULL},
    {"cin in blocks of one row", cin, reference_cin, {5, 7, 999, 2}, NULL},
    /* recent items, dimension, hidden units: blocks of 256 items, at least one row */
    {"attention", attention, reference_target_attention, {5, 3, 7}, fill_sequence},
    {"attention over one item", attention, reference_target_attention, {1, 1, 1}, fill_sequence},
    {"attention in blocks of 6 rows", attention, reference_target_attention, {40, 17, 9}, fill_sequence},
    {"attention in blocks of one row", attention, reference_target_attention, {300, 2, 3}, fill_sequence},
    /* heads, dimension */
    {"max_sim", max_sim, reference_max_sim, {3, 5}, NULL},
    {"max_sim of one head", max_sim, reference_max_sim, {1, 17}, NULL},
    {"max_sim of many heads", max_sim, reference_max_sim, {9, 33}, NULL},
    /* dimension */
    {"category_alignment", alignment, reference_category_alignment, {3}, fill_categories},
    {"category_alignment of one column", alignment, reference_category_alignment, {1}, fill_categories},
    {"category_alignment of 33", alignment, reference_category_alignment, {33}, fill_categories},
    /* dimension, drawn and hard sets, the batch's items: blocks of 64 clicked rows in 4 parts */
    {"softmax in the batch", softmax, reference_sampled_softmax, {5, 0, 0, 1}, fill_softmax},
    {"softmax of drawn items", softmax, reference_sampled_softmax, {17, 2, 0, 0}, fill_softmax},
    {"softmax of all", softmax, reference_sampled_softmax, {7, 1, 2, 1}, fill_softmax},
    {"softmax of one column", softmax, reference_sampled_softmax, {1, 1, 1, 1}, fill_softmax},
    /* groups, columns of each (of one: the width); group_norm: rows of the weight */
    {"batch_norm", batch_norm, reference_batch_norm, {19}, NULL},
    {"l2_normalize", l2_normalize, reference_l2_normalize, {19}, NULL},
    {"bce", bce, reference_bce, {1}, fill_label},
    {"column_scale", column_scale, reference_column_scale, {19}, NULL},
    {"group_pool", group_pool, reference_group_pool, {3, 7}, NULL},
    {"group_scale", group_scale, reference_group_scale, {3, 17}, NULL},
    {"group_norm", group_norm, reference_group_norm, {3, 5, 7}, NULL},
};

/* ---- one trial ---- */

struct setting {
    size_t rows, gap;
    bool acc, broadcast;
    int wanted; /* bit k: the gradient of input k, of all beyond the second as of the second */
};

static bool wants(const struct setting *s, const struct node *input, int k) {
    return (input->op == &op_external || input->op == &op_sequence) && s->wanted >> (k > 1 ? 1 : k) & 1;
}

static void start(struct trial *t, const struct op_case *o, const struct setting *s) {
    *t = (struct trial){.seed = s->rows};
    graph_init(&t->g);
    int id = o->build(&t->g, o->size);
    cr_assert_eq(t->g.err.code, 0, "%s: %s", o->name, t->g.err.msg);
    const struct node *n = t->g.node[id];
    size_t width = (size_t)n->width, ld = width + s->gap;
    t->c = (struct op_ctx){.node = n,
                           .rows = s->rows,
                           .batch_rows = s->rows,
                           .in_col = t->col,
                           .in = t->in,
                           .in_grad = t->in_grad,
                           .in_acc = t->in_acc,
                           .param = t->param,
                           .param_grad = t->param_grad,
                           .training = true};
    for (int k = 0; k < n->n_in; k++) {
        size_t w = (size_t)t->g.node[n->in[k]]->width;
        if (!w) continue; /* a column of the batch */
        t->value[k] = grid_input(s->rows, w, s->broadcast ? 0 : w + s->gap, t->seed++);
        t->in[k] = t->value[k].m;
        for (int i = 0; i < 2; i++) t->value_grad[k][i] = grid_output(s->rows, w, w + s->gap + 1, t->seed);
        if (wants(s, t->g.node[n->in[k]], k)) t->in_grad[k] = t->value_grad[k][0].m;
        t->in_acc[k] = s->acc;
    }
    for (int k = 0; k < n->n_params; k++) {
        size_t size = t->g.param[n->param[k]]->rows * t->g.param[n->param[k]]->cols;
        t->weight[k] = grid_input(1, size, size, t->seed++);
        t->param[k] = t->weight[k].m.p;
        for (int i = 0; i < 2; i++) t->weight_grad[k][i] = grid_output(1, size, size, t->seed);
        t->param_grad[k] = t->weight_grad[k][0].m.p;
    }
    for (int i = 0; i < 2; i++) t->out[i] = grid_output(s->rows, width, ld, t->seed);
    t->c.out = t->out[0].m;
    t->out_grad = grid_input(s->rows, width, ld, ++t->seed);
    t->used_grad = grid_input(s->rows, width, ld, t->seed); /* an op may use it as scratch */
    if (o->fill) o->fill(t);
}

static void stop(struct trial *t) {
    struct grid *all = t->value;
    for (int k = 0; k < REFERENCE_INPUTS; k++)
        grid_free(&all[k]), grid_free(&t->value_grad[k][0]), grid_free(&t->value_grad[k][1]);
    for (int k = 0; k < REFERENCE_PARAMS; k++)
        grid_free(&t->weight[k]), grid_free(&t->weight_grad[k][0]), grid_free(&t->weight_grad[k][1]);
    grid_free(&t->out[0]), grid_free(&t->out[1]), grid_free(&t->out_grad), grid_free(&t->used_grad);
    mem_free(t->label);
    graph_release(&t->g);
}

/* With scratch memory of exactly the size asked for: NaN in it, a pattern behind it. */
static void run_op(struct trial *t, const char *what, bool backward) {
    const struct op *op = t->c.node->op;
    size_t floats =
        ((op->work_bytes ? op->work_bytes(t->c.node, t->c.rows) : 0) + sizeof(float) - 1) / sizeof(float);
    struct grid work = grid_input(1, 0, floats, 0);
    unsigned char pattern[64], *behind;
    memset(pattern, 0x5a, sizeof pattern);
    behind = memcpy(work.m.p + floats, pattern, sizeof pattern);
    t->c.work = work.m.p;
    op->forward(&t->c);
    t->c.out_grad = t->used_grad.m;
    if (backward) op->backward(&t->c);
    cr_assert_eq(memcmp(behind, pattern, sizeof pattern), 0, "%s: written behind the scratch memory", what);
    grid_free(&work);
}

static double *zeros(size_t n) {
    double *p = mem_calloc(n + 1, sizeof *p);
    cr_assert_not_null(p);
    return p;
}

/* into = sum, or into += sum; then what the op wrote must be near it. */
static void expect(const struct grid *got, struct grid *into, double *sum, bool acc, double tolerance,
                   const char *what) {
    for (size_t i = 0; i < into->rows * into->n; i++) {
        float *x = &into->m.p[i / into->n * into->ld + i % into->n];
        *x = (float)(sum[i] + (acc ? (double)*x : 0));
    }
    grid_expect(got, into, tolerance, what);
    mem_free(sum);
}

static void check(const struct op_case *o, const struct setting *s) {
    struct trial t;
    char what[160];
    snprintf(what, sizeof what, "%s, %zu rows%s%s, gradients %d", o->name, s->rows, s->acc ? ", added" : "",
             s->broadcast ? ", one row for all" : "", s->wanted);
    start(&t, o, s);
    bool backward = !s->broadcast;
    run_op(&t, what, backward);
    const struct node *n = t.c.node;
    struct reference x = {.c = &t.c, .out = zeros(s->rows * (size_t)n->width)};
    t.c.out_grad = t.out_grad.m;
    for (int k = 0; k < n->n_in; k++) {
        x.width[k] = (size_t)t.g.node[n->in[k]]->width;
        x.in_grad[k] = zeros(s->rows * x.width[k]);
    }
    for (int k = 0; k < n->n_params; k++) x.param_grad[k] = zeros(t.weight[k].n);
    o->reference(&x);
    expect(&t.out[0], &t.out[1], x.out, false, 2e-5, what);
    for (int k = 0; k < n->n_in; k++) {
        if (t.in_grad[k].p && backward && t.value_grad[k][0].n)
            expect(&t.value_grad[k][0], &t.value_grad[k][1], x.in_grad[k], s->acc, 2e-5, what);
        else
            mem_free(x.in_grad[k]);
    }
    for (int k = 0; k < n->n_params; k++)
        if (backward)
            expect(&t.weight_grad[k][0], &t.weight_grad[k][1], x.param_grad[k], true,
                   1e-5 * sqrt((double)s->rows) + 1e-5, what);
        else
            mem_free(x.param_grad[k]);
    stop(&t);
}

Test(ops_reference, values_and_gradients_equal_the_scalar_reference) {
    EACH(i, cases)
    EACH(r, row_counts) {
        size_t rows = row_counts[r];
        for (int v = 0; v < 4; v++)
            check(&cases[i],
                  &(struct setting){.rows = rows, .gap = v % 2 ? 3 : 0, .acc = v / 2, .wanted = 3});
        for (int wanted = 0; wanted < 3; wanted++)
            check(&cases[i], &(struct setting){.rows = rows, .gap = 1, .acc = rows % 2, .wanted = wanted});
        check(&cases[i], &(struct setting){.rows = rows, .gap = 2, .broadcast = true});
    }
}
