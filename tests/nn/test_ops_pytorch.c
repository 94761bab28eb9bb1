/* Single operations against PyTorch: tests/fixtures/models/ops.safetensors, made by tests/fixtures/make_ops.py. An input in<k> (B,D)
 * becomes an embedding table of B rows that row r looks up at r, so that the table's gradient is the input's. The objective is
 * sum(out * gout). */
#include "nn/checkpoint.h"
#include "nn/op.h"
#include "nn/passes.h"
#include "tests/nn/batch.h"
#include "tests/nn/near.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct tensors file;

static const struct tensor *find(const char *name, const char *part) {
    char full[NN_NAME_MAX];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return tensors_find(&file, full);
}
static const struct tensor *get(const char *name, const char *part) {
    const struct tensor *t = find(name, part);
    cr_assert_not_null(t, "no tensor %s.%s", name, part);
    return t;
}
/* "in0", "gparam1", .. */
static const struct tensor *numbered(const char *name, const char *part, int k) {
    char full[32];
    snprintf(full, sizeof full, "%s%d", part, k);
    return find(name, full);
}
/* "groups=3,size=4" */
static int setting(const char *name, const char *key) {
    const char *text = json_string_value(json_object_get(file.metadata, name)),
               *at = text ? strstr(text, key) : NULL;
    cr_assert_not_null(at, "%s: no setting \"%s\"", name, key);
    return atoi(at + strlen(key) + 1);
}

/* ---- one operation ---- */

static int linear(struct graph *g, const char *name, const int *in) {
    static const char *const acts[] = {
        [ACT_NONE] = "none", [ACT_RELU] = "relu", [ACT_SIGMOID] = "sigmoid", [ACT_TANH] = "tanh"};
    enum act act = ACT_NONE;
    while (strcmp(name + strlen("linear."), acts[act])) act++;
    return nn_linear(g, in[0], (int)get(name, "param0")->dim[0], act, "l");
}
static int batch_norm(struct graph *g, const char *name, const int *in) {
    (void)name;
    return nn_batch_norm(g, in[0], "bn", false);
}
static int l2_normalize(struct graph *g, const char *name, const int *in) {
    (void)name;
    return nn_l2_normalize(g, in[0]);
}
static int dot(struct graph *g, const char *name, const int *in) {
    (void)name;
    return nn_dot(g, in[0], in[1]);
}
static int mul(struct graph *g, const char *name, const int *in) {
    (void)name;
    return nn_mul(g, in[0], in[1]);
}
static int group_sum(struct graph *g, const char *name, const int *in) {
    int groups = setting(name, "groups");
    return strstr(name, "within") ? nn_group_pool(g, in[0], groups) : nn_group_sum(g, in[0], groups);
}
static int slice(struct graph *g, const char *name, const int *in) {
    return nn_slice(g, in[0], setting(name, "begin"), setting(name, "width"));
}
static int concat(struct graph *g, const char *name, const int *in) {
    (void)name;
    return nn_concat(g, 3, in);
}
static int embedding(struct graph *g, const char *name, const int *in) {
    const struct tensor *table = get(name, "param0");
    enum value_type type = find(name, "offsets") ? VALUE_BAG : VALUE_ID;
    (void)in;
    return nn_embedding(g, graph_input(g, "ids", SIDE_USER, type, (uint32_t)table->dim[0]),
                        (int)table->dim[1], NULL);
}
static int bce(struct graph *g, const char *name, const int *in) {
    (void)name;
    return nn_bce(g, in[0], graph_input(g, "label", SIDE_NONE, VALUE_NUMBER, 0));
}

static const struct {
    const char *prefix;
    int (*build)(struct graph *g, const char *name, const int *in);
} ops[] = {{"linear.", linear},
           {"batch_norm.", batch_norm},
           {"l2_normalise.", l2_normalize},
           {"row_dot.", dot},
           {"mul.", mul},
           {"group_sum.", group_sum},
           {"slice.", slice},
           {"concat.", concat},
           {"embedding.", embedding},
           {"embedding_bag.", embedding},
           {"bce.", bce}};

/* ---- one case ---- */

struct trial {
    const char *name;
    struct graph g;
    struct batch b;
    struct exec *x;
    int node, gout, n_in;
    size_t rows;
};

static size_t columns_of(const struct tensor *t) { return t->n_dims == 1 ? 1 : t->dim[1]; }

static void set_param(struct param *p, const struct tensor *t) {
    cr_assert_eq(t->n, param_size(p), "%s and %s", t->name, p->name);
    memcpy(p->value, t->data, t->n * sizeof(float));
}

static uint32_t *ids_of(struct batch *b, const struct tensor *t) {
    uint32_t *ids = batch_alloc(b, t->n, sizeof *ids);
    for (size_t i = 0; i < t->n; i++) ids[i] = (uint32_t)((const int64_t *)t->data)[i];
    return ids;
}

/* Columns: in<k> counts up, ids and label are as in the file. */
static void fill_batch(struct trial *t, size_t slice_rows) {
    batch_init(&t->b, &t->g, t->rows);
    for (int c = 0; c < t->g.n_columns; c++) {
        struct batch_column *col = &t->b.column[c];
        const char *name = t->g.column[c].name;
        if (!strcmp(name, "label")) {
            col->number = get(t->name, "label")->data;
        } else if (!strcmp(name, "ids")) {
            col->ids = ids_of(&t->b, get(t->name, "ids"));
            if (find(t->name, "offsets")) col->offsets = ids_of(&t->b, get(t->name, "offsets"));
        } else {
            uint32_t *count = batch_alloc(&t->b, t->rows, sizeof *count);
            for (size_t r = 0; r < t->rows; r++) count[r] = (uint32_t)r;
            col->ids = count;
        }
    }
    batch_cut(&t->b, slice_rows);
}

static void start(struct trial *t, size_t k, size_t slice_rows) {
    struct graph *g = &t->g;
    struct err e = ERR_INIT;
    const struct tensor *x;
    int in[4];
    graph_init(g);
    for (t->n_in = 0; (x = numbered(t->name, "in", t->n_in)); t->n_in++) {
        char column[] = {'i', 'n', (char)('0' + t->n_in), 0};
        in[t->n_in] = nn_embedding(g, graph_input(g, column, SIDE_USER, VALUE_ID, (uint32_t)x->dim[0]),
                                   (int)columns_of(x), NULL);
    }
    t->node = ops[k].build(g, t->name, in);
    t->rows = ops[k].build == bce ? get(t->name, "rows")->n : get(t->name, "out")->dim[0];
    bool mean = ops[k].build == bce; /* its out is the mean over the rows, as the objective */
    t->gout = nn_external(g, "gout", SIDE_USER, g->err.code ? 1 : g->node[t->node]->width);
    int y = mean ? t->node : nn_row_sum(g, nn_mul(g, t->node, t->gout));
    graph_add_loss(g, y, mean ? 1 : (double)t->rows);
    cr_assert_eq(graph_alloc_params(g, 1, &e), 0, "%s: %s", t->name, e.msg);
    for (int i = 0; i < t->n_in; i++) set_param(g->param[i], numbered(t->name, "in", i));
    for (int i = 0; (x = numbered(t->name, "param", i)); i++) set_param(g->param[t->n_in + i], x);
    if (find(t->name, "running_mean_before")) {
        set_param(g->param[graph_find_param(g, "bn.running_mean")], get(t->name, "running_mean_before"));
        set_param(g->param[graph_find_param(g, "bn.running_var")], get(t->name, "running_var_before"));
    }
    fill_batch(t, slice_rows);
    t->x = exec_for(g, t->rows, slice_rows, NULL);
    exec_bind(t->x, t->gout,
              (struct mat){(float *)(uintptr_t)get(t->name, "gout")->data, columns_of(get(t->name, "gout"))});
}

static void stop(struct trial *t) {
    exec_free(t->x);
    batch_release(&t->b);
    graph_release(&t->g);
}

static void expect(const struct trial *t, const char *what, struct mat got, const struct tensor *want) {
    size_t w = columns_of(want);
    double slack = near_slack(want);
    for (size_t i = 0; i < want->n; i++) {
        float a = got.p[i / w * got.ld + i % w];
        cr_assert(near(a, near_value(want, i), slack), "%s: %s %zu: %.9g, PyTorch has %.9g", t->name, what, i,
                  (double)a, near_value(want, i));
    }
}

static void expect_equal_training(struct trial *t) {
    double loss = exec_train(t->x, t->b.slice, t->b.n_slices, 1);
    if (find(t->name, "rows")) {
        expect(t, "row", exec_value(t->x, t->node), get(t->name, "rows"));
        expect(t, "mean", (struct mat){&(float){(float)loss}, 1}, get(t->name, "out"));
    } else {
        expect(t, "out", exec_value(t->x, t->node), get(t->name, "out"));
    }
    float **grad = batch_gradients(&t->b, &t->g, t->x);
    for (int i = 0; i < t->g.n_params; i++) {
        bool input = i < t->n_in;
        const struct tensor *want = numbered(t->name, input ? "gin" : "gparam", input ? i : i - t->n_in);
        if (t->g.param[i]->kind == PARAM_STATE) continue;
        cr_assert_not_null(want, "%s: no gradient of %s", t->name, t->g.param[i]->name);
        expect(t, input ? "input's gradient" : "parameter's gradient",
               (struct mat){grad[i], columns_of(want)}, want);
    }
}

/* Training also moves the running statistics; evaluation leaves them. */
static void check(const char *name, size_t k, size_t slice_rows) {
    struct trial t = {.name = name};
    start(&t, k, slice_rows);
    if (!strcmp(name, "batch_norm.eval")) {
        exec_forward(t.x, t.b.slice, t.b.n_slices);
        expect(&t, "out", exec_value(t.x, t.node), get(name, "out"));
    } else {
        expect_equal_training(&t);
    }
    if (find(name, "running_mean_after")) {
        expect(&t, "mean", (struct mat){t.g.param[graph_find_param(&t.g, "bn.running_mean")]->value, 1},
               get(name, "running_mean_after"));
        expect(&t, "variance", (struct mat){t.g.param[graph_find_param(&t.g, "bn.running_var")]->value, 1},
               get(name, "running_var_after"));
    }
    stop(&t);
}

Test(ops, equal_pytorch) {
    struct err e = ERR_INIT;
    int cases = 0;
    cr_assert_eq(tensors_open("tests/fixtures/models/ops.safetensors", &file, &e), 0, "%s", e.msg);
    for (int i = 0; i < file.n; i++) { /* every "<op>.<case>.out" */
        char name[NN_NAME_MAX];
        size_t n = strlen(file.tensor[i].name), k = 0;
        if (n < 4 || strcmp(file.tensor[i].name + n - 4, ".out")) continue;
        snprintf(name, sizeof name, "%.*s", (int)(n - 4), file.tensor[i].name);
        while (k < sizeof ops / sizeof *ops && strncmp(name, ops[k].prefix, strlen(ops[k].prefix))) k++;
        cr_assert_lt(k, sizeof ops / sizeof *ops, "no operation for %s", name);
        check(name, k, 100);
        check(name, k, 4);
        cases++;
    }
    cr_assert_geq(cases, 20);
    tensors_close(&file);
}
