/* Every variant: gradients against finite differences, a tiny set overfitted, the same weights for any number
 * of threads. */
#include "base/rng.h"
#include "nn/checkpoint.h"
#include "nn/op.h"
#include "nn/optim.h"
#include "tests/support/models.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 24, SLICE = 7 };

static struct toy toy;
static uint32_t users[ROWS], items[ROWS];
static float label[ROWS];

static void make_rows(void) {
    struct rng r = rng_init(21, 4);
    toy_init(&toy);
    for (size_t i = 0; i < ROWS; i++) {
        users[i] = (uint32_t)rng_below(&r, TOY_USERS);
        items[i] = (uint32_t)rng_below(&r, 40);
        label[i] = rng_uniform(&r) < 0.5;
    }
}

struct run {
    struct graph g;
    struct exec *x;
    struct toy_rows rows;
    struct exec_slice slice[ROWS / SLICE + 1];
    struct batch_column col[ROWS / SLICE + 1][16];
    int n;
};

/* The batch of a run's graph cut into slices, as the trainer does. */
static void begin_batch(struct run *r, struct pool *pool) {
    struct err e = ERR_INIT;
    cr_assert_eq(exec_create(&r->g, &(struct exec_options){ROWS, SLICE, true, pool}, &r->x, &e), 0, "%s",
                 e.msg);
    toy_rows_init(&r->rows, &r->g, &toy, users, items, label, ROWS);
    r->n = 0;
    for (size_t first = 0; first < ROWS; first += SLICE, r->n++) {
        for (int c = 0; c < r->g.n_columns; c++) {
            struct batch_column *b = &r->rows.col[c], *to = &r->col[r->n][c];
            *to = *b;
            if (b->number) to->number += first;
            if (b->offsets)
                to->offsets += first;
            else if (b->ids)
                to->ids += first;
        }
        r->slice[r->n] = (struct exec_slice){ROWS - first < SLICE ? ROWS - first : SLICE, r->col[r->n]};
    }
}

static void begin(struct run *r, const char *variant, const char *options, struct pool *pool) {
    toy_model(variant, options, &r->g);
    begin_batch(r, pool);
}

static void end(struct run *r) {
    exec_free(r->x);
    toy_rows_release(&r->rows);
    graph_release(&r->g);
}

static double objective(struct run *r) { return exec_train(r->x, r->slice, r->n, 1); }

/* Gradient of every parameter by one step of plain SGD with rate 1. Running statistics move in training: they
 * are put back. */
static float **gradients(struct run *r) {
    struct err e = ERR_INIT;
    struct optim *o;
    struct optim_options options;
    opt_defaults(optim_opts, &options);
    options.optimizer = OPTIM_SGD;
    cr_assert_eq(optim_create(&r->g, r->x, &options, NULL, &o, &e), 0, "%s", e.msg);
    float **grad = calloc((size_t)r->g.n_params, sizeof *grad);
    for (int p = 0; p < r->g.n_params; p++) {
        size_t bytes = r->g.param[p]->rows * r->g.param[p]->cols * sizeof(float);
        memcpy(grad[p] = malloc(bytes), r->g.param[p]->value, bytes);
    }
    objective(r);
    optim_step(o, 1);
    for (int p = 0; p < r->g.n_params; p++)
        for (size_t i = 0; i < r->g.param[p]->rows * r->g.param[p]->cols; i++) {
            float before = grad[p][i];
            grad[p][i] -= r->g.param[p]->value[i];
            r->g.param[p]->value[i] = before;
        }
    optim_free(o);
    return grad;
}

static void release_gradients(const struct run *r, float **grad) {
    for (int p = 0; p < r->g.n_params; p++) free(grad[p]);
    free(grad);
}

/* Some weights of every parameter: `grad` is what differences of the run's objective say. */
static void expect_differences(struct run *r, float **grad, const struct toy_variant *m, uint64_t seed) {
    double error = 0, size = 0;
    int kinks = 0, tried = 0;
    struct rng pick = rng_init(seed, 9);
    for (int p = 0; p < r->g.n_params; p++) {
        struct param *w = r->g.param[p];
        size_t n = w->rows * w->cols;
        for (int k = 0; k < 12 && w->kind != PARAM_STATE; k++) {
            size_t i = n <= 12 ? (size_t)k % n : rng_below(&pick, n);
            float keep = w->value[i], h = 4e-4f;
            w->value[i] = keep + h;
            double up = objective(r);
            w->value[i] = keep - h;
            double down = objective(r);
            w->value[i] = keep;
            double middle = objective(r), numeric = (up - down) / (double)((keep + h) - (keep - h));
            double d = numeric - (double)grad[p][i];
            tried++;
            if (fabs(up + down - 2 * middle) >
                0.02 * fabs(up - down) + 2e-7) { /* a kink (relu, max) lies in between */
                kinks++;
                continue;
            }
            error += d * d;
            size += numeric * numeric;
        }
    }
    cr_expect_lt(kinks, tried / 4, "%d of %d", kinks, tried);
    cr_expect_gt(size, 1e-6, "%s %s has no gradient to speak of", m->variant, m->options);
    cr_expect_lt(sqrt(error / size), 5e-3, "%s %s: relative error %g", m->variant, m->options,
                 sqrt(error / size));
}

Test(variants, gradients_equal_finite_differences, .timeout = 120) {
    make_rows();
    toy_variants_are_all();
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        struct run r;
        begin(&r, m->variant, m->options, NULL);
        float **grad = gradients(&r);
        expect_differences(&r, grad, m, (uint64_t)(m - toy_variants));
        release_gradients(&r, grad);
        end(&r);
    }
}

/* The same model whose stopped gradients are numbers: the values that they had in `like`. What a gradient does not see,
 * differences of this one do not see either.
 * Returns how many there are. */
static int begin_held(struct run *r, const struct run *like, const struct toy_variant *m) {
    int held = 0;
    toy_model(m->variant, m->options, &r->g);
    for (int i = 0; i < r->g.n_nodes; i++)
        if (r->g.node[i]->op == &op_stop_gradient) {
            r->g.node[i]->op = &op_external;
            r->g.node[i]->n_in = 0;
            held++;
        }
    begin_batch(r, NULL);
    for (int i = 0; i < r->g.n_nodes; i++)
        if (r->g.node[i]->op == &op_external) exec_bind(r->x, i, exec_value(like->x, i));
    return held;
}

Test(variants, gradients_of_the_mimic_losses_equal_finite_differences_with_the_other_vector_held) {
    static const struct toy_variant mimics[] = {
        {"dat", "{dim: 4, hidden: [6, 5], category_alignment: 0, mimic_user: 3, mimic_item: 0}", true},
        {"dat", "{dim: 4, hidden: [6, 5], category_alignment: 0, mimic_user: 0, mimic_item: 3}", true},
        {"dat", "{dim: 8, hidden: [24, 12]}", true}};
    make_rows();
    for (size_t k = 0; k < sizeof mimics / sizeof *mimics; k++) {
        struct run r, held;
        begin(&r, mimics[k].variant, mimics[k].options, NULL);
        float **grad = gradients(&r);
        cr_expect_eq(begin_held(&held, &r, &mimics[k]), k < 2 ? 1 : 2, "vectors that are held");
        expect_differences(&held, grad, &mimics[k], k);
        release_gradients(&r, grad);
        end(&held);
        end(&r);
    }
}

/* dL_u/da_u = 2/D y (a_u - p_v) / rows, and nothing flows into the item's tower that it imitates; L_v likewise. */
static void expect_mimic(bool user, const uint32_t *id, uint32_t n_ids) {
    float **grad[2];
    struct run r[2];
    const char *table = user ? "augmented.user" : "augmented.item", *imitated = user ? "item.1" : "user.1";
    char options[128];
    for (int k = 0; k < 2; k++) {
        snprintf(options, sizeof options, "{dim: 4, hidden: [6, 5], mimic_user: %d, mimic_item: %d}",
                 k && user ? 3 : 0, k && !user ? 3 : 0);
        begin(&r[k], "dat", options, NULL);
        grad[k] = gradients(&r[k]);
    }
    const struct graph *g = &r[1].g;
    for (int p = 0; p < g->n_params; p++) {
        int same = graph_find_param(&r[0].g, g->param[p]->name);
        size_t n = g->param[p]->rows * g->param[p]->cols;
        if (strcmp(g->param[p]->name, table))
            cr_expect_arr_eq(grad[0][same], grad[1][p], n * sizeof(float), "%s", g->param[p]->name);
    }
    int a = graph_find_param(g, table);
    struct mat vector = {0};
    for (int i = 0; i < g->n_nodes; i++)
        if (!strcmp(g->node[i]->name, imitated)) vector = exec_value(r[1].x, i);
    for (uint32_t u = 0; u < n_ids; u++)
        for (size_t d = 0; d < 5; d++) {
            double expect = 0, got = (double)grad[1][a][u * 5 + d] - (double)grad[0][a][u * 5 + d];
            for (size_t i = 0; i < ROWS; i++)
                if (id[i] == u && label[i] > 0)
                    expect += 3 * 2.0 / 5 / ROWS *
                              (double)(g->param[a]->value[u * 5 + d] - vector.p[i * vector.ld + d]);
            cr_expect_float_eq(got, expect, 1e-5, "%s %u: %g, closed form %g", table, u, got, expect);
        }
    for (int k = 0; k < 2; k++) {
        release_gradients(&r[k], grad[k]);
        end(&r[k]);
    }
}

Test(variants, mimic_losses_move_the_augmented_vector_and_stop_at_the_other_tower) {
    make_rows();
    expect_mimic(true, users, TOY_USERS);
    expect_mimic(false, items, 40);
}

static double train(struct run *r, struct pool *pool, int steps) {
    struct err e = ERR_INIT;
    struct optim *o;
    struct optim_options options;
    double loss = 0;
    opt_defaults(optim_opts, &options);
    cr_assert_eq(optim_create(&r->g, r->x, &options, pool, &o, &e), 0);
    for (int s = 0; s < steps; s++) {
        loss = exec_train(r->x, r->slice, r->n, (uint64_t)s);
        optim_step(o, 0.02);
    }
    optim_free(o);
    return loss;
}

/* What is saved scores the same when it is loaded, to the bit. */
static void expect_same_after_loading(struct run *r, const struct toy_variant *m) {
    char path[] = "/tmp/prerank-test-XXXXXX";
    struct err e = ERR_INIT;
    struct run loaded;
    float score[ROWS], again[ROWS];
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    begin(&loaded, m->variant, m->options, NULL);
    cr_assert_eq(checkpoint_save(&r->g, path, NULL, &e), 0, "%s", e.msg);
    cr_assert_eq(checkpoint_load(&loaded.g, path, &e), 0, "%s", e.msg);
    remove(path);
    exec_score(r->x, r->slice, r->n, score);
    exec_score(loaded.x, loaded.slice, loaded.n, again);
    cr_expect_eq(memcmp(score, again, sizeof score), 0, "%s %s: other scores after loading", m->variant,
                 m->options);
    end(&loaded);
}

static void expect_overfit(const struct toy_variant *m) {
    struct run r;
    begin(&r, m->variant, m->options, NULL);
    double loss = train(&r, NULL, 400), bce = 0;
    struct mat out = exec_value(r.x, r.g.loss[r.g.n_losses - 1].node);
    for (size_t i = 0; i < ROWS; i++) bce += (double)out.p[i * out.ld] / ROWS;
    cr_expect_lt(bce, 0.12, "%s %s: bce %g of objective %g", m->variant, m->options, bce, loss);
    expect_same_after_loading(&r, m);
    end(&r);
}

Test(variants, overfit_a_tiny_set, .timeout = 120) {
    make_rows();
    for (size_t i = 0; i < ROWS; i++)
        items[i] = (uint32_t)i; /* no pair of rows with equal features and different labels */
    for (const struct toy_variant *m = toy_variants; m->variant; m++) expect_overfit(m);
    expect_overfit(
        &(struct toy_variant){"dat", "{dim: 8, hidden: [24, 12]}", true}); /* and the mimic losses */
}

/* ---- what the options of a variant refuse and default to ---- */

static int build(const char *variant, const char *options, struct graph *g, struct err *e) {
    const struct variant *v = variant_find(variant);
    struct arena a = ARENA_INIT;
    struct conf *map;
    struct features f = toy_features();
    void *o = arena_alloc(&a, v->options_bytes);
    opt_defaults(v->opts, o);
    cr_assert_eq(conf_parse("options", options, strlen(options), &a, &map, e), 0, "%s", e->msg);
    int rc = opt_read(v->opts, o, map, variant, e);
    graph_init(g);
    if (!rc) rc = variant_build(v, o, &f, g, e);
    arena_release(&a);
    return rc;
}

Test(variants, refuse_what_makes_no_model) {
    static const struct {
        const char *variant, *options, *message;
    } bad[] = {{"parallel", "{channels: []}", "`channels` is empty"},
               {"parallel", "{channels: [fm, ffm, fm]}", "`fm` is listed twice"},
               {"parallel", "{cin: []}", "`cin` is empty"},
               {"parallel", "{channels: [dnn]}", "dnn"},
               {"dat", "{hidden: []}", "`hidden` is empty"},
               {"dat", "{category: item_bag}", "`item_bag` is no single-id field of the item side"},
               {"dat", "{user_id: nobody}", "`nobody` is no single-id field of the user side"},
               {"din", "{history: user_bag}", "`user_bag` is no bag of the user's recent items"},
               {"inttower", "{hidden: []}", "`hidden` is empty"},
               {"inttower", "{heads: 0}", "heads"},
               {"cold", "{importance: lasso}", "lasso"},
               {"senet", "{gate: tanh}", "tanh"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct graph g;
        struct err e = ERR_INIT;
        cr_expect_eq(build(bad[i].variant, bad[i].options, &g, &e), ERR_INPUT, "%s %s", bad[i].variant,
                     bad[i].options);
        cr_expect(strstr(e.msg, bad[i].message), "%s %s: %s", bad[i].variant, bad[i].options, e.msg);
        graph_release(&g);
    }
}

/* The toy's item side has no single id beside item_id, so there is nothing to align on by default. */
Test(variants, augmented_vectors_are_as_wide_as_the_tower_or_as_they_are_told) {
    static const struct {
        const char *options;
        size_t width; /* 0: refused */
    } cases[] = {{"{hidden: [6, 5]}", 5},
                 {"{hidden: [6, 5], augment: 5}", 5},
                 {"{hidden: [6, 5], augment: 7, mimic_user: 0, mimic_item: 0}", 7},
                 {"{hidden: [6, 5], augment: 7, mimic_user: 0}", 0},
                 {"{hidden: [6, 5], augment: 7, mimic_item: 0}", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct graph g;
        struct err e = ERR_INIT;
        int rc = build("dat", cases[i].options, &g, &e), table;
        cr_expect_eq(!rc, cases[i].width > 0, "%s: %s", cases[i].options, e.msg);
        if (rc) cr_expect(strstr(e.msg, "of dimension 7 cannot mimic a tower's of 5"), "%s", e.msg);
        if (!rc && (table = graph_find_param(&g, "augmented.item")) >= 0)
            cr_expect_eq(g.param[table]->cols, cases[i].width, "%s", cases[i].options);
        graph_release(&g);
    }
}

Test(variants, dat_aligns_only_where_there_is_a_category_and_ffm_alone_has_no_other_table) {
    struct graph g;
    struct err e = ERR_INIT;
    cr_assert_eq(build("dat", "{}", &g, &e), 0, "%s", e.msg);
    cr_expect_eq(g.n_losses, 3, "two mimic losses and the label's");
    graph_release(&g);
    cr_assert_eq(build("dat", "{category: item_id, mimic_item: 0}", &g, &e), 0, "%s", e.msg);
    cr_expect_eq(g.n_losses, 3, "one mimic loss, the alignment, and the label's");
    graph_release(&g);
    cr_assert_eq(build("parallel", "{channels: [ffm]}", &g, &e), 0, "%s", e.msg);
    for (int p = 0; p < g.n_params; p++)
        cr_expect(strncmp(g.param[p]->name, "embedding.", 10) != 0, "%s is of no use", g.param[p]->name);
    graph_release(&g);
}

Test(variants, train_to_the_same_bits_with_any_number_of_threads, .timeout = 120) {
    make_rows();
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        struct run one;
        begin(&one, m->variant, m->options, NULL);
        double expect = train(&one, NULL, 5);
        for (int threads = 2; threads <= 8; threads *= 4) {
            struct err e = ERR_INIT;
            struct pool *pool;
            struct run many;
            cr_assert_eq(pool_create(threads, &pool, &e), 0);
            begin(&many, m->variant, m->options, pool);
            double got = train(&many, pool, 5);
            cr_expect_eq(got, expect, "%s %s: loss %.17g and %.17g", m->variant, m->options, got, expect);
            for (int p = 0; p < one.g.n_params; p++)
                cr_expect_arr_eq(one.g.param[p]->value, many.g.param[p]->value,
                                 one.g.param[p]->rows * one.g.param[p]->cols * sizeof(float), "%s",
                                 one.g.param[p]->name);
            end(&many);
            pool_free(pool);
        }
        end(&one);
    }
}

/* What the papers use, or what public systems agree on; changing one changes everybody's results. */
Test(variants, have_the_options_and_defaults_that_are_usual) {
    static const struct {
        const char *variant, *option, *value;
    } usual[] = {{"dssm", "hidden", "128,64,32"},
                 {"dssm", "dropout", "0"},
                 {"dssm", "batch_norm", "false"},
                 {"dssm", "normalize", "false"},
                 {"dssm", "temperature", "1"},
                 {"senet", "reduction", "3"},
                 {"senet", "gate", "relu"},
                 {"senet", "skip", "false"},
                 {"parallel", "channels", "mlp,dcn,fm,ffm,cin"},
                 {"parallel", "cross_layers", "3"},
                 {"parallel", "cin", "32,32"},
                 {"parallel", "ffm_dim", "4"},
                 {"parallel", "d", "32"},
                 {"dat", "hidden", "256,128,32"},
                 {"dat", "mimic_user", "0.5"},
                 {"dat", "augment", "0"},
                 {"dat", "mimic_item", "0.5"},
                 {"dat", "category_alignment", "1"},
                 {"inttower", "heads", "4"},
                 {"inttower", "head_dim", "32"},
                 {"mlp", "hidden", "256,128,64"},
                 {"dcn", "cross_layers", "3"},
                 {"dcn", "hidden", "256,128"},
                 {"din", "length", "50"},
                 {"din", "attention", "36"},
                 {"cold", "hidden", "256,128,64"},
                 {"cold", "linear_log", "false"},
                 {"cold", "importance", "none"}};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const struct opt *o = variant_find(usual[i].variant)->opts;
        while (o->name && strcmp(o->name, usual[i].option) != 0) o++;
        cr_assert_not_null(o->name, "%s has no option %s", usual[i].variant, usual[i].option);
        cr_expect_str_eq(o->def, usual[i].value, "%s.%s is %s", usual[i].variant, usual[i].option, o->def);
    }
    for (const struct variant *const *v = variant_all(); *v; v++)
        for (const struct opt *o = (*v)->opts; o->name; o++)
            cr_expect(o->help && *o->help, "%s.%s says nothing of itself", (*v)->name, o->name);
}
