/* Losses (nn/loss.h) on small graphs: the sampled softmax against the full one, masks, finite differences, refusals.
 * Values and gradients on whole models are compared with PyTorch in test_models.c. */
#include "base/rng.h"
#include "nn/loss.h"
#include "nn/op.h"
#include "nn/optim.h"
#include "tests/nn/batch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { USERS = 3, ITEMS = 12, DIM = 4, TEACHER = 3 };

static int ids_of(struct graph *g, const char *prefix, const char *name, uint32_t vocab) {
    char text[NN_NAME_MAX];
    snprintf(text, sizeof text, "%s%s", prefix, name);
    return graph_input(g, text, *name == 'u' ? SIDE_USER : SIDE_ITEM, VALUE_ID, vocab);
}

/* Two towers without layers: embedding tables. Where last hidden layers are compared, they have one each. */
static void build(struct graph *g, struct objective *o) {
    struct err e = ERR_INIT;
    graph_init(g);
    g->init_std = 1;
    int u = nn_embedding(g, ids_of(g, "", "user", USERS), DIM, NULL),
        v = nn_embedding(g, ids_of(g, "", "item", ITEMS), DIM, NULL);
    if (o->distill.feature > 0) {
        u = nn_linear(g, u, DIM, ACT_NONE, "user");
        v = nn_linear(g, v, DIM, ACT_NONE, "item");
    }
    g->output = nn_dot(g, u, v);
    cr_assert_eq(loss_build(g, o, &e), 0, "%s", e.msg);
    cr_assert_eq(graph_alloc_params(g, 5, &e), 0, "%s", e.msg);
}

static struct objective objective_of(int kind) {
    struct objective o = {.teacher_width = 0};
    opt_defaults(loss_opts, &o.loss);
    opt_defaults(distill_opts, &o.distill);
    o.loss.kind = kind;
    return o;
}

/* `weight` and `feature` of a teacher's share; 0 and 0: no teacher. */
static struct objective taught(int kind, int hard_negatives, double weight, double feature) {
    struct objective o = objective_of(kind);
    o.loss.hard_negatives = hard_negatives;
    o.loss.negatives = 2;
    o.distill.weight = weight;
    o.distill.feature = feature;
    if (distill_wanted(&(struct distill_options){.teacher = "t", .weight = weight, .feature = feature}))
        snprintf(o.distill.teacher, sizeof o.distill.teacher, "t");
    o.teacher_width = feature > 0 ? TEACHER : 0;
    return o;
}

/* ---- batches: items are drawn in proportion to their number + 1 ---- */

static double popularity(uint32_t item) { return (item + 1.0) / (ITEMS * (ITEMS + 1) / 2.0); }

static uint32_t draw(struct rng *r) {
    double x = rng_uniform(r);
    uint32_t item = 0;
    while (item < ITEMS - 1 && x >= popularity(item)) x -= popularity(item++);
    return item;
}

struct rows {
    uint32_t *user, *item;
    float *label;
};

/* Row 0 is user 0's click on `target`; the others are clicks (or not) of user 1 on drawn items. */
static struct rows fill(struct batch *b, const struct graph *g, struct rng *r, uint32_t target, bool clicks) {
    struct rows rows = {.user = batch_alloc(b, b->rows, sizeof(uint32_t))};
    for (int c = 0; c < g->n_columns; c++) {
        enum loss_set set;
        int k;
        const char *name = loss_column(g->column[c].name, &set, &k);
        uint32_t *ids = batch_alloc(b, b->rows, sizeof *ids);
        float *number = batch_alloc(b, b->rows, sizeof *number);
        if (!strcmp(name, "item")) {
            for (size_t i = 0; i < b->rows; i++) ids[i] = draw(r);
            if (set == LOSS_SET_ROW) {
                ids[0] = target;
                rows.item = ids;
            }
            b->column[c].ids = ids;
        } else if (!strcmp(name, "user")) {
            for (size_t i = 0; i < b->rows; i++) rows.user[i] = i > 0;
            b->column[c].ids = rows.user;
        } else if (!strcmp(name, "label")) {
            for (size_t i = 0; i < b->rows; i++) number[i] = !i || clicks;
            b->column[c].number = rows.label = number;
        } else {
            b->column[c].number = number; /* fill_numbers() */
        }
    }
    return rows;
}

/* The numbers of a set's items: after what the items are is known. */
static void fill_numbers(struct batch *b, const struct graph *g) {
    for (int c = 0; c < g->n_columns; c++) {
        const char *full = g->column[c].name, *at = strstr(full, "@loss.");
        if (!at || !strcmp(at, LOSS_TEACHER)) continue;
        char items[NN_NAME_MAX];
        snprintf(items, sizeof items, "%.*sitem", (int)(at - full), full);
        const uint32_t *ids = b->column[graph_column_index(g, items)].ids;
        float *number = (float *)(uintptr_t)b->column[c].number;
        for (size_t i = 0; i < b->rows; i++)
            number[i] = !strcmp(at, LOSS_ITEM) ? (float)ids[i] : (float)popularity(ids[i]);
    }
}

/* What a teacher says of the rows: scores in 0..1, or with `agrees` the labels; and a last hidden layer that follows from user
 * and item. */
static void fill_teacher(struct batch *b, const struct graph *g, struct exec *x, const struct rows *rows,
                         struct rng *r, bool agrees) {
    int soft = graph_column_index(g, LOSS_TEACHER), hidden = graph_find_node(g, LOSS_HIDDEN);
    float *score = batch_alloc(b, b->rows, sizeof *score),
          *layer = batch_alloc(b, b->rows * TEACHER, sizeof *layer);
    for (size_t i = 0; i < b->rows; i++) {
        score[i] = agrees ? rows->label[i] : (float)rng_uniform(r);
        for (uint32_t k = 0; k < TEACHER; k++)
            layer[i * TEACHER + k] =
                sinf((float)(3 * rows->user[i] + k)) + cosf((float)(5 * rows->item[i] + k));
    }
    if (soft >= 0) b->column[soft].number = score;
    if (hidden >= 0) exec_bind(x, hidden, (struct mat){layer, TEACHER});
}

/* ---- logQ ---- */

static const float *table(const struct graph *g, const char *name) {
    return g->param[graph_find_param(g, name)]->value;
}

/* Gradient of user 0's vector by a softmax over all items. */
static void full_gradient(const struct graph *g, uint32_t target, double out[DIM]) {
    const float *u = table(g, "embedding.user"), *v = table(g, "embedding.item");
    double p[ITEMS], z = 0;
    for (int j = 0; j < ITEMS; j++) {
        double s = 0;
        for (int k = 0; k < DIM; k++) s += (double)u[k] * (double)v[j * DIM + k];
        z += p[j] = exp(s);
    }
    for (int k = 0; k < DIM; k++) {
        out[k] = -(double)v[target * DIM + (uint32_t)k];
        for (int j = 0; j < ITEMS; j++) out[k] += p[j] / z * (double)v[j * DIM + k];
    }
}

/* How far the mean sampled gradient is from the full one, relative to that. `factor` of log q: 1, 0 or -1. */
static double bias(int kind, double factor, size_t n_rows) {
    enum { TRIALS = 400 };
    struct objective o = objective_of(kind);
    struct graph g;
    build(&g, &o);
    for (int i = 0; i < g.n_nodes; i++)
        if (g.node[i]->op == &op_sampled_softmax) g.node[i]->attr_f[1] = factor;
    struct rng r = rng_init(11, 3);
    struct exec *x = exec_for(&g, n_rows, 0, NULL);
    double full[DIM], mean[DIM] = {0}, off = 0, size = 0;
    const uint32_t target = 7;
    full_gradient(&g, target, full);
    for (int t = 0; t < TRIALS; t++) {
        struct batch b;
        batch_init(&b, &g, n_rows);
        fill(&b, &g, &r, target, kind != LOSS_POPULARITY);
        fill_numbers(&b, &g);
        batch_cut(&b, n_rows);
        exec_train(x, b.slice, b.n_slices, 1);
        float **grad = batch_gradients(&b, &g, x);
        double clicks = kind == LOSS_POPULARITY ? 1 : (double)n_rows; /* the loss is the mean over clicks */
        for (int k = 0; k < DIM; k++)
            mean[k] += clicks * (double)grad[graph_find_param(&g, "embedding.user")][k] / TRIALS;
        batch_release(&b);
    }
    for (int k = 0; k < DIM; k++) {
        off += (mean[k] - full[k]) * (mean[k] - full[k]);
        size += full[k] * full[k];
    }
    exec_free(x);
    graph_release(&g);
    return sqrt(off / size);
}

Test(loss, log_q_makes_the_sampled_softmax_unbiased) {
    static const int kinds[] = {LOSS_IN_BATCH, LOSS_POPULARITY, LOSS_MIXED};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        double few = bias(kinds[i], 1, 24), many = bias(kinds[i], 1, 256), none = bias(kinds[i], 0, 256),
               wrong = bias(kinds[i], -1, 256);
        cr_expect_lt(many, 0.02, "kind %d: off by %g", kinds[i], many);
        cr_expect_lt(many, few, "kind %d: %g with 256 rows, %g with 24", kinds[i], many, few);
        cr_expect_gt(none, 10 * many, "kind %d: %g without the correction", kinds[i], none);
        cr_expect_gt(wrong, 10 * many, "kind %d: %g with its sign turned", kinds[i], wrong);
    }
}

/* ---- masks and rows without a click ---- */

static double loss_of(struct objective *o, uint32_t others, float label) {
    enum { ROWS = 6 };
    struct graph g;
    struct batch b;
    struct rng r = rng_init(2, 2);
    build(&g, o);
    batch_init(&b, &g, ROWS);
    struct rows rows = fill(&b, &g, &r, 4, true);
    for (int c = 0; c < g.n_columns; c++)
        for (size_t i = 0; b.column[c].ids && b.column[c].ids != rows.user && i < ROWS; i++)
            ((uint32_t *)(uintptr_t)b.column[c].ids)[i] = others;
    for (size_t i = 0; i < ROWS; i++) {
        rows.item[i] = 4;
        rows.label[i] = label;
    }
    fill_numbers(&b, &g);
    batch_cut(&b, 2);
    struct exec *x = exec_for(&g, ROWS, 2, NULL);
    double loss = exec_train(x, b.slice, b.n_slices, 1);
    exec_free(x);
    batch_release(&b);
    graph_release(&g);
    return loss;
}

Test(loss, the_rows_own_item_is_masked_wherever_it_is_met) {
    struct objective o = objective_of(LOSS_MIXED);
    o.loss.hard_negatives = 2;
    cr_expect_eq(loss_of(&o, 4, 1), 0, "all candidates are the row's own item");
    cr_expect_gt(loss_of(&o, 5, 1), 0.1, "and here they are not");
}

Test(loss, rows_without_a_click_have_no_softmax_loss) {
    struct objective o = objective_of(LOSS_MIXED);
    cr_expect_eq(loss_of(&o, 5, 0), 0);
}

/* ---- gradients ---- */

static double difference(struct exec *x, struct batch *b, float *w) {
    float kept = *w, h = 4e-3f;
    *w = kept + h;
    double up = exec_train(x, b->slice, b->n_slices, 1);
    *w = kept - h;
    up -= exec_train(x, b->slice, b->n_slices, 1);
    *w = kept;
    return up / (double)(2 * h);
}

static void expect_differences(struct objective o) {
    enum { ROWS = 10 };
    struct graph g;
    struct batch b;
    struct rng r = rng_init((uint64_t)o.loss.kind, 8);
    build(&g, &o);
    batch_init(&b, &g, ROWS);
    struct rows rows = fill(&b, &g, &r, 4, true);
    fill_numbers(&b, &g);
    for (size_t i = 0; i < ROWS; i++) rows.label[i] = i % 3 != 1;
    struct exec *x = exec_for(&g, ROWS, 4, NULL);
    fill_teacher(&b, &g, x, &rows, &r, false);
    batch_cut(&b, 4);
    exec_train(x, b.slice, b.n_slices, 1);
    float **grad = batch_gradients(&b, &g, x);
    for (int p = 0; p < g.n_params; p++) {
        double largest = 0;
        for (size_t i = 0; i < param_size(g.param[p]); i++) {
            double want = difference(x, &b, &g.param[p]->value[i]), got = (double)grad[p][i];
            largest = fmax(largest, fabs(want));
            cr_expect_lt(fabs(want - got), 2e-4, "kind %d, feature %g: %s[%zu] is %g, differences say %g",
                         o.loss.kind, o.distill.feature, g.param[p]->name, i, got, want);
        }
        cr_expect_gt(largest, 0.05, "kind %d, feature %g: %s has no gradient to speak of", o.loss.kind,
                     o.distill.feature, g.param[p]->name);
    }
    exec_free(x);
    batch_release(&b);
    graph_release(&g);
}

Test(loss, gradients_equal_finite_differences) {
    for (int kind = LOSS_BCE; kind <= LOSS_MIXED; kind++) {
        expect_differences(taught(kind, kind != LOSS_BCE, 0.5, 0));
        expect_differences(taught(kind, kind != LOSS_BCE, 0.5, 0.4));
        expect_differences(taught(kind, 0, 0, 0.4));
    }
}

/* The item tower runs a second time on drawn items: other units are dropped there, as other items are scored. */
Test(loss, a_copied_tower_drops_units_of_its_own) {
    enum { ROWS = 40, WIDE = 8 };
    struct objective o = objective_of(LOSS_UNIFORM);
    struct err e = ERR_INIT;
    struct graph g;
    struct batch b;
    struct rng r = rng_init(3, 3);
    int dropout[4], n = 0;
    o.loss.negatives = 1;
    graph_init(&g);
    g.init_std = 1;
    g.output = nn_dot(&g, nn_embedding(&g, ids_of(&g, "", "user", USERS), WIDE, NULL),
                      nn_dropout(&g, nn_embedding(&g, ids_of(&g, "", "item", ITEMS), WIDE, NULL), 0.5));
    cr_assert(loss_build(&g, &o, &e) == 0 && graph_alloc_params(&g, 5, &e) == 0, "%s", e.msg);
    for (int i = 0; i < g.n_nodes && n < 4; i++)
        if (g.node[i]->op == &op_dropout) dropout[n++] = i;
    cr_assert_eq(n, 2);
    batch_init(&b, &g, ROWS);
    fill(&b, &g, &r, 4, true);
    fill_numbers(&b, &g);
    batch_cut(&b, ROWS);
    struct exec *x = exec_for(&g, ROWS, 0, NULL);
    exec_train(x, b.slice, b.n_slices, 9);
    double same = 0;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < WIDE; k++) {
            struct mat u = exec_value(x, dropout[0]), v = exec_value(x, dropout[1]);
            same += (u.p[i * u.ld + k] == 0) == (v.p[i * v.ld + k] == 0);
        }
    cr_expect_float_eq(same / (ROWS * WIDE), 0.5, 0.1, "%g of the units are dropped, or kept, in both",
                       same / (ROWS * WIDE));
    exec_free(x);
    batch_release(&b);
    graph_release(&g);
}

/* ---- refusals ---- */

static void expect_refusal(struct graph *g, const struct objective *o, const char *why) {
    struct err e = ERR_INIT;
    cr_expect_eq(loss_build(g, o, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, why), "\"%s\"", e.msg);
    graph_release(g);
}

Test(loss, refuses_what_makes_no_sense) {
    struct graph g;
    struct objective o = objective_of(LOSS_IN_BATCH);
    graph_init(&g);
    int x = nn_embedding(&g, ids_of(&g, "", "user", USERS), DIM, NULL);
    g.output = nn_linear(&g, x, 1, ACT_NONE, "out");
    expect_refusal(&g, &o, "two towers");
    graph_init(&g); /* an inner product of two vectors of one side is no pair of towers */
    x = nn_embedding(&g, ids_of(&g, "", "user", USERS), DIM, NULL);
    g.output = nn_dot(&g, x, nn_scale(&g, x, 2));
    expect_refusal(&g, &o, "two towers");
    static const char tens[] =
        "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii";
    o = objective_of(LOSS_UNIFORM);
    graph_init(&g); /* with "@drawn0." before it */
    g.output = nn_dot(&g, nn_embedding(&g, ids_of(&g, "", "user", USERS), DIM, "u"),
                      nn_embedding(&g, ids_of(&g, tens, "item", ITEMS), DIM, "v"));
    expect_refusal(&g, &o, "is too long for a sampled softmax");
    o = objective_of(LOSS_BCE);
    o.distill.feature = 1;
    o.teacher_width = 3;
    snprintf(o.distill.teacher, sizeof o.distill.teacher, "t");
    graph_init(&g);
    x = nn_embedding(&g, ids_of(&g, "", "user", USERS), DIM, NULL);
    g.output = nn_linear(&g, x, 1, ACT_NONE, "out");
    expect_refusal(&g, &o, "last hidden layers, and this model has none");
}

Test(loss, distillations_map_is_no_part_of_the_model) {
    struct graph g;
    struct err e = ERR_INIT;
    struct objective o = objective_of(LOSS_BCE);
    o.distill.feature = 1;
    o.teacher_width = 3;
    snprintf(o.distill.teacher, sizeof o.distill.teacher, "t");
    graph_init(&g);
    int x = nn_linear(&g, nn_embedding(&g, ids_of(&g, "", "user", USERS), DIM, NULL), 5, ACT_RELU, "hidden");
    g.output = nn_linear(&g, x, 1, ACT_NONE, "out");
    uint64_t before = graph_n_trained(&g);
    cr_assert_eq(loss_build(&g, &o, &e), 0, "%s", e.msg);
    cr_expect_geq(graph_find_param(&g, "distill.map.weight"), 0);
    cr_expect_eq(graph_n_trained(&g), before);
    graph_release(&g);
}

/* ---- learning ---- */

/* Each of three users clicks an item of its own; what else is drawn, they do not. A teacher agrees with the labels. */
static void expect_overfit(struct objective o) {
    enum { ROWS = 12, STEPS = 400 };
    struct graph g;
    struct batch b;
    struct rng r = rng_init(4, 4);
    struct optim_options oo;
    struct optim *optim;
    struct err e = ERR_INIT;
    opt_defaults(optim_opts, &oo);
    build(&g, &o);
    batch_init(&b, &g, ROWS);
    struct rows rows = fill(&b, &g, &r, 0, true);
    for (uint32_t i = 0; i < ROWS; i++) {
        rows.user[i] = i % USERS;
        rows.label[i] = o.loss.kind != LOSS_BCE || i % 2;
        rows.item[i] = rows.label[i] > 0 ? i % USERS : 5;
    }
    fill_numbers(&b, &g);
    struct exec *x = exec_for(&g, ROWS, 5, NULL);
    fill_teacher(&b, &g, x, &rows, &r, true);
    batch_cut(&b, 5);
    cr_assert_eq(optim_create(&g, x, &oo, NULL, &optim, &e), 0);
    double first = exec_train(x, b.slice, b.n_slices, 1), last = 0;
    optim_step(optim, 0.05);
    for (int i = 0; i < STEPS; i++) {
        last = exec_train(x, b.slice, b.n_slices, 1);
        optim_step(optim, 0.05);
    }
    cr_expect(first > 0.3 && last < 0.01, "kind %d, hard %d, teacher %g and %g: the loss goes from %g to %g",
              o.loss.kind, (int)o.loss.hard_negatives, o.distill.weight, o.distill.feature, first, last);
    optim_free(optim);
    exec_free(x);
    batch_release(&b);
    graph_release(&g);
}

Test(loss, every_kind_overfits_a_tiny_set) {
    for (int kind = LOSS_BCE; kind <= LOSS_MIXED; kind++) {
        expect_overfit(taught(kind, 0, 0, 0));
        expect_overfit(taught(kind, 0, 0.5, 0));
        if (kind != LOSS_BCE) expect_overfit(taught(kind, 2, 0, 0));
        expect_overfit(taught(kind, kind == LOSS_BCE ? 0 : 2, 0.5, 0.4));
    }
}
