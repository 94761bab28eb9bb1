/* Every variant, whole, against PyTorch: tests/fixtures/models/<case>.safetensors, made by
 * tests/fixtures/make_models.py, make_variants.py and make_losses.py, hold start weights, a batch, and what PyTorch computes from
 * them in float64: logits, loss, every gradient, the weights after three optimiser steps and, after a fourth on
 * other rows, the difference between lazy and dense updates. */
#include "base/conf.h"
#include "nn/checkpoint.h"
#include "nn/optim.h"
#include "tests/nn/batch.h"
#include "tests/nn/near.h"
#include "variants/variant.h"
#include <criterion/criterion.h>
#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FEATURES = 8 };

struct fixture {
    const char *path;
    struct tensors t;
    struct arena arena;
    struct feature feature[MAX_FEATURES];
    struct features features;
    struct graph g;
};

static const char *setting(const struct fixture *f, const char *key) {
    const char *text = json_string_value(json_object_get(f->t.metadata, key));
    cr_assert_not_null(text, "%s: no \"%s\" in the metadata", f->path, key);
    return text;
}
static double number(const struct fixture *f, const char *key) { return atof(setting(f, key)); }
static bool says(const struct fixture *f, const char *key, const char *text) {
    return !strcmp(setting(f, key), text);
}

static const struct tensor *tensor(const struct fixture *f, const char *fmt, const char *name) {
    char full[2 * NN_NAME_MAX];
    snprintf(full, sizeof full, fmt, name);
    const struct tensor *t = tensors_find(&f->t, full);
    cr_assert_not_null(t, "%s: no tensor \"%s\"", f->path, full);
    return t;
}

/* ---- the model ---- */

/* "name:side:type:rows;.." and "a=b": column a reads column b's table */
static void read_features(struct fixture *f) {
    char *at, *part, *columns = arena_strdup(&f->arena, setting(f, "columns")),
                     *shared = arena_strdup(&f->arena, setting(f, "shared"));
    for (part = strtok_r(columns, ";", &at); part; part = strtok_r(NULL, ";", &at)) {
        char *field, *name = strtok_r(part, ":", &field), *side = strtok_r(NULL, ":", &field),
                     *type = strtok_r(NULL, ":", &field);
        cr_assert_lt(f->features.n, MAX_FEATURES);
        f->feature[f->features.n++] = (struct feature){.name = name,
                                                       .side = !strcmp(side, "user")   ? SIDE_USER
                                                               : !strcmp(side, "item") ? SIDE_ITEM
                                                                                       : SIDE_PAIR,
                                                       .type = !strcmp(type, "id")    ? VALUE_ID
                                                               : !strcmp(type, "bag") ? VALUE_BAG
                                                                                      : VALUE_NUMBER,
                                                       .vocab = (uint32_t)atoi(strtok_r(NULL, ":", &field)),
                                                       .mean_length = 1};
    }
    char *reader = strtok_r(shared, "=", &at), *table = strtok_r(NULL, "=", &at);
    for (int i = 0; i < f->features.n; i++)
        if (reader && !strcmp(f->feature[i].name, reader)) f->feature[i].shares = table;
    f->features.feature = f->feature;
}

/* make_losses.py's: "{loss: {...}, distill: {...}}" */
static struct objective objective_of(struct fixture *f) {
    struct objective o = {.teacher_width = 0};
    struct conf *map;
    struct err e = ERR_INIT;
    const char *text = json_string_value(json_object_get(f->t.metadata, "objective"));
    opt_defaults(loss_opts, &o.loss);
    opt_defaults(distill_opts, &o.distill);
    if (!text) return o;
    cr_assert_eq(conf_parse("objective", text, strlen(text), &f->arena, &map, &e), 0, "%s", e.msg);
    cr_assert_eq(opt_read(loss_opts, &o.loss, conf_get(map, "loss"), "loss", &e), 0, "%s", e.msg);
    cr_assert_eq(opt_read(distill_opts, &o.distill, conf_get(map, "distill"), "distill", &e), 0, "%s", e.msg);
    o.teacher_width = (int)number(f, "teacher_width");
    return o;
}

/* A softmax alone trains without the score. */
static bool trains_score(struct fixture *f) {
    struct objective o = objective_of(f);
    return !loss_is_softmax(&o.loss) || distill_wanted(&o.distill);
}

static void build(struct fixture *f) {
    struct err e = ERR_INIT;
    struct conf *options;
    struct objective objective = objective_of(f);
    const struct variant *v = variant_find(setting(f, "model"));
    cr_assert_not_null(v, "%s: variant \"%s\"", f->path, setting(f, "model"));
    void *o = arena_alloc(&f->arena, v->options_bytes);
    const char *text = setting(f, "options");
    opt_defaults(v->opts, o);
    cr_assert_eq(conf_parse("options", text, strlen(text), &f->arena, &options, &e), 0, "%s", e.msg);
    cr_assert_eq(opt_read(v->opts, o, options, v->name, &e), 0, "%s", e.msg);
    graph_init(&f->g);
    cr_assert_eq(variant_build_for(v, o, &f->features, &objective, &f->g, &e), 0, "%s: %s", f->path, e.msg);
    cr_assert_eq(graph_alloc_params(&f->g, 1, &e), 0, "%s", e.msg);
}

static void expect_shape(const struct fixture *f, const struct tensor *t, const struct param *p) {
    bool same = p->vector ? t->n_dims == 1 && t->dim[0] == p->cols
                          : t->n_dims == 2 && t->dim[0] == p->rows && t->dim[1] == p->cols;
    cr_assert(same && t->dtype == TENSOR_F32, "%s: \"%s\" has another shape in PyTorch", f->path, t->name);
}

static void load_start(struct fixture *f) {
    int n = 0;
    for (int i = 0; i < f->t.n; i++) n += !strncmp(f->t.tensor[i].name, "param.", 6);
    cr_assert_eq(n, f->g.n_params, "%s: %d parameters, the model has %d", f->path, n, f->g.n_params);
    for (int i = 0; i < f->g.n_params; i++) {
        const struct tensor *t = tensor(f, "param.%s", f->g.param[i]->name);
        expect_shape(f, t, f->g.param[i]);
        memcpy(f->g.param[i]->value, t->data, t->n * sizeof(float));
    }
}

static const uint32_t *as_ids(struct batch *b, const struct tensor *t) {
    uint32_t *out = batch_alloc(b, t->n, sizeof *out);
    cr_assert_eq(t->dtype, TENSOR_I64);
    for (size_t i = 0; i < t->n; i++) out[i] = (uint32_t)((const int64_t *)t->data)[i];
    return out;
}

/* prefix "" or "next." */
static void load_batch(const struct fixture *f, struct batch *b, const char *prefix, size_t slice_rows) {
    char fmt[32];
    batch_init(b, &f->g, tensor(f, "%slabel", prefix)->n);
    for (int c = 0; c < f->g.n_columns; c++) {
        const struct graph_column *col = &f->g.column[c];
        snprintf(fmt, sizeof fmt, "%scolumn.%%s", prefix);
        const struct tensor *t =
            strcmp(col->name, "label") ? tensor(f, fmt, col->name) : tensor(f, "%slabel", prefix);
        if (col->type == VALUE_NUMBER)
            b->column[c].number = t->data;
        else
            b->column[c].ids = as_ids(b, t);
        snprintf(fmt, sizeof fmt, "%soffsets.%%s", prefix);
        if (col->type == VALUE_BAG) b->column[c].offsets = as_ids(b, tensor(f, fmt, col->name));
    }
    batch_cut(b, slice_rows);
}

/* ---- what must be equal ---- */

/* A bias before batch norm has no influence: its gradient is rounding noise, which Adam turns into whole
 * steps; the running mean follows it, and with that the evaluation mode. The case with SGD pins these down.
 */
static bool wanders(const struct fixture *f, const char *param) {
    char bn[NN_NAME_MAX + 8];
    size_t n = strlen(param);
    if (strncmp(setting(f, "optimizer"), "adam", 4)) return false;
    if (n > 13 && !strcmp(param + n - 13, ".running_mean")) return true;
    if (n < 5 || strcmp(param + n - 5, ".bias")) return false;
    snprintf(bn, sizeof bn, "%.*s.bn.bias", (int)(n - 5), param);
    return graph_find_param(&f->g, bn) >= 0;
}

static void expect_near(const struct fixture *f, const char *what, const char *name, const float *got,
                        size_t stride, size_t n, const struct tensor *want) {
    cr_assert_eq(want->n, n, "%s: %s%s has %zu values, not %zu", f->path, what, name, n, want->n);
    double slack = near_slack(want);
    for (size_t i = 0; i < n; i++)
        cr_assert(near(got[i * stride], near_value(want, i), slack),
                  "%s: %s%s[%zu] is %.9g, PyTorch has %.9g", f->path, what, name, i, (double)got[i * stride],
                  near_value(want, i));
}
static void expect_scalar(const struct fixture *f, const char *what, double got, const struct tensor *want,
                          size_t i) {
    double b = (double)((const float *)want->data)[i];
    cr_assert(fabs(got - b) <= 1e-5 * fabs(b) + 1e-7, "%s: %s %zu is %.9g, PyTorch has %.9g", f->path, what,
              i, got, b);
}
static void expect_params(const struct fixture *f, const char *step) {
    char fmt[32];
    snprintf(fmt, sizeof fmt, "%s.%%s", step);
    for (int i = 0; i < f->g.n_params; i++) {
        const struct param *p = f->g.param[i];
        if (!wanders(f, p->name))
            expect_near(f, step, p->name, p->value, 1, param_size(p), tensor(f, fmt, p->name));
    }
}

/* The teacher's last hidden layer on the batch. */
static void bind_hidden(const struct fixture *f, struct exec *x, const char *prefix) {
    int node = graph_find_node(&f->g, LOSS_HIDDEN);
    if (node < 0) return;
    const struct tensor *t = tensor(f, "%shidden", prefix);
    exec_bind(x, node, (struct mat){(float *)(uintptr_t)t->data, t->dim[1]});
}

static void expect_start(struct fixture *f, struct exec *x, struct batch *b) {
    load_start(f);
    bind_hidden(f, x, "");
    double loss = exec_train(x, b->slice, b->n_slices, 1);
    struct mat out = exec_value(x, f->g.output);
    if (trains_score(f)) expect_near(f, "out", "", out.p, out.ld, b->rows, tensor(f, "%s", "out"));
    expect_scalar(f, "loss", loss, tensor(f, "%s", "loss"), 0);
    float **grad = batch_gradients(b, &f->g, x);
    for (int i = 0; i < f->g.n_params; i++) {
        const struct param *p = f->g.param[i];
        if (p->kind != PARAM_STATE)
            expect_near(f, "gradient of ", p->name, grad[i], 1, param_size(p), tensor(f, "grad.%s", p->name));
    }
}

/* Lazy and dense updates are one for optimisers that do not move on a zero gradient: `dense` chooses then. */
static struct optim_options optim_of(const struct fixture *f, bool dense) {
    struct optim_options o;
    opt_defaults(optim_opts, &o);
    o.optimizer = says(f, "optimizer", "adagrad") ? OPTIM_ADAGRAD
                  : says(f, "optimizer", "sgd")   ? OPTIM_SGD
                                                  : OPTIM_ADAM;
    o.embedding_update = says(f, "optimizer", "adam_dense") ? OPTIM_DENSE : OPTIM_LAZY;
    if (o.optimizer != OPTIM_ADAM && dense) o.embedding_update = OPTIM_DENSE;
    o.l2 = number(f, "l2");
    o.embedding_l2 = number(f, "embedding_l2");
    o.embedding_decay = says(f, "embedding_l2_mode", "full") ? DECAY_FULL : DECAY_LAZY;
    o.clip_norm =
        number(f, "clip_norm") > 0 ? number(f, "clip_norm") : 1e30; /* so that there is a norm to compare */
    return o;
}

static void expect_steps(struct fixture *f, struct exec *x, struct batch *b, struct batch *next,
                         struct pool *pool, bool dense) {
    struct optim_options o = optim_of(f, dense);
    struct optim *optim;
    struct err e = ERR_INIT;
    float score[64];
    load_start(f);
    cr_assert_eq(optim_create(&f->g, x, &o, pool, &optim, &e), 0, "%s", e.msg);
    for (size_t step = 0; step < 3; step++) {
        expect_scalar(f, "loss before step", exec_train(x, b->slice, b->n_slices, 1),
                      tensor(f, "%s", "loss3"), step);
        optim_step(optim, number(f, "lr"));
        expect_scalar(f, "norm in step", optim_grad_norm(optim), tensor(f, "%s", "norm3"), step);
    }
    expect_params(f, "step3");
    cr_assert_leq(b->rows, 64);
    exec_score(x, b->slice, b->n_slices, score);
    if (!(says(f, "batch_norm", "true") && o.optimizer == OPTIM_ADAM))
        expect_near(f, "score", "", score, 1, b->rows, tensor(f, "%s", "score.out"));
    bind_hidden(f, x, "next.");
    expect_scalar(f, "loss of the next batch", exec_train(x, next->slice, next->n_slices, 1),
                  tensor(f, "%s", "next.loss"), 0);
    optim_step(optim, number(f, "lr"));
    expect_params(f, "step4");
    optim_free(optim);
}

static struct hash hash_of_params(const struct graph *g) {
    char all[32 * 64 + 1] = "";
    cr_assert_leq(g->n_params, 64);
    for (int i = 0; i < g->n_params; i++)
        memcpy(all + 32 * i, hash_bytes(g->param[i]->value, param_size(g->param[i]) * sizeof(float)).hex, 32);
    return hash_bytes(all, (size_t)g->n_params * 32);
}

/* One way to cut the batch, on no pool and on pools of 1, 2 and 3 threads. */
static void expect_all(struct fixture *f, size_t slice_rows, bool dense) {
    struct hash first = {""};
    struct batch b, next;
    load_batch(f, &b, "", slice_rows);
    load_batch(f, &next, "next.", slice_rows);
    for (int threads = 0; threads <= 3; threads++) {
        struct pool *pool = NULL;
        if (threads) cr_assert_eq(pool_create(threads, &pool, NULL), 0);
        struct exec *x = exec_for(&f->g, b.rows, slice_rows, pool);
        expect_start(f, x, &b);
        expect_steps(f, x, &b, &next, pool, dense);
        struct hash h = hash_of_params(&f->g);
        if (!threads) first = h;
        cr_assert_str_eq(h.hex, first.hex, "%s: the weights depend on the number of threads", f->path);
        exec_free(x);
        pool_free(pool);
    }
    batch_release(&b);
    batch_release(&next);
}

static void check(const char *path) {
    struct fixture f = {.path = path, .arena = ARENA_INIT};
    struct err e = ERR_INIT;
    cr_assert_eq(tensors_open(path, &f.t, &e), 0, "%s", e.msg);
    if (json_object_get(f.t.metadata, "model")) {
        read_features(&f);
        build(&f);
        expect_all(&f, (size_t)number(&f, "rows"), false);
        expect_all(&f, 8, true);
        expect_all(&f, 5, false);
        graph_release(&f.g);
    }
    tensors_close(&f.t);
    arena_release(&f.arena);
}

/* Whether there is a fixture of this variant among the files. */
static bool is_covered(const glob_t *found, const char *variant) {
    for (size_t i = 0; i < found->gl_pathc; i++) {
        struct tensors t;
        cr_assert_eq(tensors_open(found->gl_pathv[i], &t, NULL), 0);
        const char *model = json_string_value(json_object_get(t.metadata, "model"));
        bool same = model && !strcmp(model, variant);
        tensors_close(&t);
        if (same) return true;
    }
    return false;
}

Test(models, equal_pytorch_in_logits_gradients_and_steps, .timeout = 120) {
    glob_t found;
    cr_assert_eq(glob("tests/fixtures/models/*.safetensors", 0, NULL, &found), 0,
                 "no fixtures: run the tests from the root");
    cr_assert_geq(found.gl_pathc, 10);
    for (size_t i = 0; i < found.gl_pathc; i++) check(found.gl_pathv[i]);
    for (const struct variant *const *v = variant_all(); *v; v++)
        cr_expect(is_covered(&found, (*v)->name), "no fixture of variant %s", (*v)->name);
    globfree(&found);
}
