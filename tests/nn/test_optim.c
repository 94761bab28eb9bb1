#include "base/rng.h"
#include "nn/optim.h"
#include "nn/passes.h"
#include "tests/nn/batch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* ---- a model whose gradients do not depend on its weights ----
 * Losses are values times factors drawn anew each step: l = linear(n) (weights and bias), e = a table read by an id and a bag
 * column, v = a number's vector. */

enum { ROWS = 10, SLICE = 4, UNITS = 4100 /* more than one chunk of work */, VOCAB = 14, D = 3, STEPS = 5 };

struct toy {
    struct graph g;
    struct batch b;
    struct exec *x;
    int column_n, column_id, column_bag;
    int l, e_id, e_bag, v;           /* nodes */
    int factor[4];                   /* externals for l, e_id, e_bag, v */
    float f[4][ROWS * UNITS];        /* their values */
    int weight, bias, table, vector; /* parameters */
};

static int loss_of(struct toy *t, int k, int node) {
    t->factor[k] = nn_external(&t->g, "factor", SIDE_USER, t->g.node[node]->width);
    graph_add_loss(&t->g, nn_row_sum(&t->g, nn_mul(&t->g, node, t->factor[k])), 1);
    return node;
}

static void toy_init(struct toy *t) {
    struct graph *g = &t->g;
    graph_init(g);
    g->init_std = 0.5;
    int n = graph_input(g, "n", SIDE_USER, VALUE_NUMBER, 0),
        id = graph_input(g, "id", SIDE_USER, VALUE_ID, VOCAB),
        bag = graph_input(g, "bag", SIDE_USER, VALUE_BAG, VOCAB);
    t->column_n = g->node[n]->input;
    t->column_id = g->node[id]->input;
    t->column_bag = g->node[bag]->input;
    t->l = loss_of(t, 0, nn_linear(g, nn_number(g, n), UNITS, ACT_NONE, "l"));
    t->e_id = loss_of(t, 1, nn_embedding(g, id, D, "embedding.id"));
    t->e_bag = loss_of(t, 2, nn_embedding(g, bag, D, "embedding.id"));
    t->v = loss_of(t, 3, nn_embedding(g, n, D, NULL));
    cr_assert_eq(graph_alloc_params(g, 2, NULL), 0, "%s", g->err.msg);
    t->weight = graph_find_param(g, "l.weight");
    t->bias = graph_find_param(g, "l.bias");
    t->table = graph_find_param(g, "embedding.id");
    t->vector = graph_find_param(g, "embedding.n");
    for (int i = 0; i < UNITS; i++) g->param[t->bias]->value[i] = (float)(i % 7) - 3;
    t->x = exec_for(g, ROWS, SLICE, NULL);
}

/* Draws a batch (of every id below `vocab`) and its factors, and leaves its gradients with the executor. */
static void toy_train(struct toy *t, uint64_t step, uint64_t vocab) {
    struct rng r = rng_init(step, 11);
    batch_random(&t->b, &t->g, ROWS, step);
    for (int k = 0; k < 2; k++) {
        const struct batch_column *c = &t->b.column[k ? t->column_bag : t->column_id];
        for (size_t i = 0; i < (k ? c->offsets[ROWS] : ROWS); i++)
            ((uint32_t *)(uintptr_t)c->ids)[i] %= (uint32_t)vocab;
    }
    batch_cut(&t->b, SLICE);
    for (int k = 0; k < 4; k++) {
        size_t width = (size_t)t->g.node[t->factor[k]]->width;
        for (size_t i = 0; i < ROWS * width; i++) t->f[k][i] = (float)rng_normal(&r);
        exec_bind(t->x, t->factor[k], (struct mat){t->f[k], width});
    }
    exec_train(t->x, t->b.slice, t->b.n_slices, step);
}

static void toy_release(struct toy *t) {
    exec_free(t->x);
    graph_release(&t->g);
}

/* ---- the same in double, one number after the other ---- */

struct slow {
    struct optim_options o;
    double *w[8], *g[8], *m[8], *v[8]; /* by parameter */
    bool touched[VOCAB];
    double norm;
    int t;
    struct arena arena;
};

static void slow_init(struct slow *s, const struct graph *g, const struct optim_options *o) {
    *s = (struct slow){.o = *o, .arena = ARENA_INIT};
    for (int i = 0; i < g->n_params; i++) {
        size_t n = param_size(g->param[i]);
        double **of[] = {&s->w[i], &s->g[i], &s->m[i], &s->v[i]};
        for (int k = 0; k < 4; k++) cr_assert_not_null(*of[k] = arena_alloc(&s->arena, n * sizeof(double)));
        for (size_t k = 0; k < n; k++) s->w[i][k] = (double)g->param[i]->value[k];
    }
}

static void slow_gradients(struct slow *s, const struct toy *t) {
    const struct batch_column *bag = &t->b.column[t->column_bag];
    memset(s->touched, 0, sizeof s->touched);
    for (int i = 0; i < t->g.n_params; i++) memset(s->g[i], 0, param_size(t->g.param[i]) * sizeof(double));
    for (size_t r = 0; r < ROWS; r++) {
        double n = (double)t->b.column[t->column_n].number[r];
        uint32_t id = t->b.column[t->column_id].ids[r];
        for (size_t c = 0; c < UNITS; c++) {
            s->g[t->weight][c] += n * (double)t->f[0][r * UNITS + c] / ROWS;
            s->g[t->bias][c] += (double)t->f[0][r * UNITS + c] / ROWS;
        }
        s->touched[id] = true;
        for (size_t c = 0; c < D; c++) {
            s->g[t->table][id * D + c] += (double)t->f[1][r * D + c] / ROWS;
            s->g[t->vector][c] += n * (double)t->f[3][r * D + c] / ROWS;
        }
        for (size_t i = bag->offsets[r]; i < bag->offsets[r + 1]; i++) {
            s->touched[bag->ids[i]] = true;
            for (size_t c = 0; c < D; c++)
                s->g[t->table][bag->ids[i] * D + c] +=
                    (double)t->f[2][r * D + c] / ROWS / (bag->offsets[r + 1] - bag->offsets[r]);
        }
    }
}

/* Weights of the linear layer: l2. The table's touched rows, or all of them, and the number's vector: embedding_l2. */
static void slow_decay(struct slow *s, const struct toy *t) {
    for (size_t c = 0; c < UNITS; c++) s->g[t->weight][c] += s->o.l2 * s->w[t->weight][c];
    for (size_t c = 0; c < D; c++) s->g[t->vector][c] += s->o.embedding_l2 * s->w[t->vector][c];
    for (size_t k = 0; k < VOCAB * D; k++)
        if (s->touched[k / D] || s->o.embedding_decay == DECAY_FULL)
            s->g[t->table][k] += s->o.embedding_l2 * s->w[t->table][k];
}

static void slow_update(struct slow *s, int p, size_t k, bool embedding, double lr) {
    double g = s->g[p][k], *m = &s->m[p][k], *v = &s->v[p][k], eps = s->o.epsilon;
    double fix1 = 1 - pow(s->o.beta1, s->t), fix2 = 1 - pow(s->o.beta2, s->t);
    switch (s->o.optimizer) {
    case OPTIM_SGD:
        s->w[p][k] -= lr * g;
        break;
    case OPTIM_ADAGRAD:
        *m += g * g;
        s->w[p][k] -= lr * g / (sqrt(*m) + eps);
        break;
    case OPTIM_ADAM:
        if (embedding && s->o.embedding_update == OPTIM_LAZY) eps /= sqrt(fix2);
        *m = s->o.beta1 * *m + (1 - s->o.beta1) * g;
        *v = s->o.beta2 * *v + (1 - s->o.beta2) * g * g;
        s->w[p][k] -= lr * (*m / fix1) / (sqrt(*v / fix2) + eps);
        break;
    }
}

static void slow_step(struct slow *s, const struct toy *t, double lr) {
    double square = 0;
    slow_gradients(s, t);
    slow_decay(s, t);
    s->t++;
    for (int p = 0; p < t->g.n_params; p++)
        for (size_t k = 0; k < param_size(t->g.param[p]); k++) square += s->g[p][k] * s->g[p][k];
    s->norm = sqrt(square);
    double scale = s->o.clip_norm > 0 && s->norm > s->o.clip_norm ? s->o.clip_norm / s->norm : 1;
    for (int p = 0; p < t->g.n_params; p++)
        for (size_t k = 0; k < param_size(t->g.param[p]); k++) {
            if (p == t->table && s->o.embedding_update == OPTIM_LAZY && !s->touched[k / D]) continue;
            s->g[p][k] *= scale;
            slow_update(s, p, k, p == t->table || p == t->vector, lr);
        }
}

/* ---- steps ---- */

static void expect_near(const struct slow *s, const struct toy *t, const char *what) {
    for (int p = 0; p < t->g.n_params; p++)
        for (size_t k = 0; k < param_size(t->g.param[p]); k++) {
            double got = (double)t->g.param[p]->value[k], want = s->w[p][k];
            cr_assert(fabs(got - want) <= 1e-5 * fmax(fabs(want), 0.1),
                      "%s: %s[%zu] is %.9g, not %.9g after step %d", what, t->g.param[p]->name, k, got, want,
                      s->t);
        }
}

static void check(const struct optim_options *o, const char *what) {
    static struct toy t;
    struct slow s;
    struct optim *optim;
    struct err e = ERR_INIT;
    toy_init(&t);
    slow_init(&s, &t.g, o);
    cr_assert_eq(optim_create(&t.g, t.x, o, NULL, &optim, &e), 0, "%s: %s", what, e.msg);
    for (int step = 0; step < STEPS; step++) {
        double lr = 0.05 / (1 + step);
        toy_train(&t, (uint64_t)step, step % 2 ? 5 : VOCAB); /* some rows rest every other step */
        optim_step(optim, lr);
        slow_step(&s, &t, lr);
        expect_near(&s, &t, what);
        if (o->clip_norm > 0)
            cr_assert_float_eq(optim_grad_norm(optim), s.norm, 1e-5 * s.norm, "%s", what);
        else
            cr_assert(isnan(optim_grad_norm(optim)));
        batch_release(&t.b);
    }
    cr_assert_not(optim_failed(optim));
    optim_free(optim);
    arena_release(&s.arena);
    toy_release(&t);
}

static struct optim_options defaults(void) {
    struct optim_options o;
    opt_defaults(optim_opts, &o);
    return o;
}

Test(optim, every_combination_of_options_equals_the_textbook_in_double) {
    static const double clips[] = {0, 0.3, 1e6};
    static const char *const names[] = {"adam", "adagrad", "sgd"};
    for (int i = 0; i < 3 * 2 * 2 * 2 * 2 * 3; i++) {
        struct optim_options o = defaults();
        char what[200];
        o.optimizer = i % 3;
        o.embedding_update = i / 3 % 2;
        o.embedding_decay = i / 6 % 2;
        o.l2 = i / 12 % 2 ? 0.1 : 0;
        o.embedding_l2 = i / 24 % 2 ? 0.2 : 0;
        o.clip_norm = clips[i / 48];
        if (o.embedding_decay == DECAY_FULL && o.embedding_update == OPTIM_LAZY) continue;
        snprintf(what, sizeof what, "%s, update %s, decay %s, l2 %g, embedding_l2 %g, clip %g",
                 names[o.optimizer], o.embedding_update ? "dense" : "lazy",
                 o.embedding_decay ? "full" : "lazy", o.l2, o.embedding_l2, o.clip_norm);
        check(&o, what);
    }
}

Test(optim, betas_and_epsilon_are_used) {
    struct optim_options o = defaults();
    o.beta1 = 0.5;
    o.beta2 = 0.75;
    o.epsilon = 0.3;
    check(&o, "adam with its own betas, lazy");
    o.embedding_update = OPTIM_DENSE;
    check(&o, "adam with its own betas, dense");
    o.beta1 = 0;
    check(&o, "adam without momentum");
    o.optimizer = OPTIM_ADAGRAD;
    check(&o, "adagrad with its own epsilon");
}

/* The first step's closed form, whatever the gradient's size: adam and adagrad move by the rate, sgd by rate * gradient. */
Test(optim, first_steps_are_as_long_as_they_should_be) {
    for (int optimizer = OPTIM_ADAM; optimizer <= OPTIM_SGD; optimizer++) {
        static struct toy t;
        struct slow s;
        struct optim *optim;
        struct optim_options o = defaults();
        o.optimizer = optimizer;
        toy_init(&t);
        slow_init(&s, &t.g, &o);
        cr_assert_eq(optim_create(&t.g, t.x, &o, NULL, &optim, NULL), 0);
        toy_train(&t, 1, VOCAB);
        slow_gradients(&s, &t);
        optim_step(optim, 0.25);
        for (size_t k = 0; k < UNITS; k++) {
            double g = s.g[t.weight][k], moved = s.w[t.weight][k] - (double)t.g.param[t.weight]->value[k];
            if (fabs(g) < 1e-3) continue;
            cr_assert_float_eq(moved, optimizer == OPTIM_SGD ? 0.25 * g : copysign(0.25, g), 1e-5,
                               "weight %zu", k);
        }
        optim_free(optim);
        batch_release(&t.b);
        arena_release(&s.arena);
        toy_release(&t);
    }
}

Test(optim, clipping_leaves_short_gradients_alone_bit_for_bit) {
    static struct toy a, b;
    struct optim *optim[2];
    struct optim_options off = defaults(), far = off;
    far.clip_norm = 1e9;
    toy_init(&a);
    toy_init(&b);
    cr_assert_eq(optim_create(&a.g, a.x, &off, NULL, &optim[0], NULL), 0);
    cr_assert_eq(optim_create(&b.g, b.x, &far, NULL, &optim[1], NULL), 0);
    for (uint64_t step = 0; step < 3; step++) {
        toy_train(&a, step, VOCAB);
        toy_train(&b, step, VOCAB);
        optim_step(optim[0], 0.1);
        optim_step(optim[1], 0.1);
        batch_release(&a.b);
        batch_release(&b.b);
    }
    for (int p = 0; p < a.g.n_params; p++)
        cr_assert_eq(
            memcmp(a.g.param[p]->value, b.g.param[p]->value, param_size(a.g.param[p]) * sizeof(float)), 0,
            "%s", a.g.param[p]->name);
    optim_free(optim[0]);
    optim_free(optim[1]);
    toy_release(&a);
    toy_release(&b);
}

Test(optim, running_statistics_are_never_stepped) {
    struct graph g;
    struct batch b;
    struct optim *optim;
    struct optim_options o = defaults();
    o.l2 = o.embedding_l2 = 1;
    graph_init(&g);
    int x = nn_batch_norm(&g, nn_number(&g, graph_input(&g, "n", SIDE_USER, VALUE_NUMBER, 0)), "bn", false);
    graph_add_loss(&g, nn_mul(&g, x, x), 1);
    cr_assert_eq(graph_alloc_params(&g, 1, NULL), 0);
    batch_random(&b, &g, 8, 1);
    struct exec *e = exec_for(&g, 8, 8, NULL);
    cr_assert_eq(optim_create(&g, e, &o, NULL, &optim, NULL), 0);
    exec_train(e, b.slice, b.n_slices, 1);
    float mean = g.param[2]->value[0], var = g.param[3]->value[0], weight = g.param[0]->value[0];
    optim_step(optim, 0.5);
    cr_assert(g.param[2]->value[0] == mean && g.param[3]->value[0] == var && g.param[0]->value[0] != weight);
    optim_free(optim);
    exec_free(e);
    batch_release(&b);
    graph_release(&g);
}

/* ---- errors ---- */

Test(optim, full_decay_needs_dense_updates) {
    static struct toy t;
    struct optim *optim;
    struct err e = ERR_INIT;
    struct optim_options o = defaults();
    o.embedding_l2 = 0.1;
    o.embedding_decay = DECAY_FULL;
    toy_init(&t);
    cr_assert_eq(optim_create(&t.g, t.x, &o, NULL, &optim, &e), ERR_INPUT);
    cr_assert_null(optim);
    cr_assert_not_null(strstr(e.msg, "embedding_update: dense"), "%s", e.msg);
    toy_release(&t);
}

Test(optim, running_out_of_memory_is_told) {
    static struct toy t;
    struct optim *optim = NULL;
    struct optim_options o = defaults();
    toy_init(&t);
    for (unsigned nth = 1; !optim; nth++) {
        struct err e = ERR_INIT;
        cr_assert_lt(nth, 1000);
        mem_fail_after(nth);
        int rc = optim_create(&t.g, t.x, &o, NULL, &optim, &e);
        mem_fail_after(0);
        cr_assert(rc ? !optim && strstr(e.msg, "out of memory") : optim != NULL);
    }
    toy_train(&t, 1, VOCAB);
    mem_fail_after(1);
    optim_step(optim, 0.1);
    mem_fail_after(0);
    cr_assert(optim_failed(optim));
    optim_free(optim);
    batch_release(&t.b);
    toy_release(&t);
}

/* ---- schedules ---- */

static struct schedule schedule_of(int kind, int64_t warmup, int64_t total) {
    struct schedule s;
    struct schedule_options o;
    opt_defaults(schedule_opts, &o);
    cr_assert_eq(o.schedule, SCHEDULE_CONSTANT);
    o.schedule = kind;
    o.learning_rate = 0.2;
    o.warmup_steps = warmup;
    o.plateau_factor = 0.5;
    o.plateau_patience = 2;
    schedule_init(&s, &o, total);
    return s;
}

Test(schedule, warm_up_rises_linearly_to_the_rate_and_stays) {
    struct schedule s = schedule_of(SCHEDULE_CONSTANT, 4, 100), flat = schedule_of(SCHEDULE_CONSTANT, 0, 100);
    static const double want[] = {0.05, 0.1, 0.15, 0.2, 0.2, 0.2};
    for (int k = 0; k < 6; k++) cr_assert_float_eq(schedule_rate(&s, k), want[k], 1e-12);
    cr_assert_float_eq(schedule_rate(&s, 1000000), 0.2, 1e-12);
    cr_assert_float_eq(schedule_rate(&flat, 0), 0.2, 1e-12);
}

Test(schedule, cosine_falls_to_zero_over_the_steps_after_warm_up) {
    struct schedule s = schedule_of(SCHEDULE_COSINE, 10, 110);
    cr_assert_float_eq(schedule_rate(&s, 4), 0.1, 1e-12);
    for (int k = 0; k <= 100; k++)
        cr_assert_float_eq(schedule_rate(&s, 10 + k), 0.2 * (1 + cos(acos(-1) * k / 100)) / 2, 1e-12,
                           "step %d", k);
    cr_assert_float_eq(schedule_rate(&s, 60), 0.1, 1e-12);
    cr_assert_float_eq(schedule_rate(&s, 110), 0, 1e-12);
    cr_assert_eq(schedule_rate(&s, 5000), 0);
    for (int k = 10; k < 110; k++) cr_assert_gt(schedule_rate(&s, k), schedule_rate(&s, k + 1));
}

Test(schedule, warm_up_longer_than_training_leaves_no_cosine) {
    struct schedule s = schedule_of(SCHEDULE_COSINE, 10, 10);
    cr_assert_float_eq(schedule_rate(&s, 9), 0.2, 1e-12);
    cr_assert_float_eq(schedule_rate(&s, 10), 0.2, 1e-12);
}

Test(schedule, plateau_cuts_after_patience_epochs_without_a_better_metric) {
    struct schedule s = schedule_of(SCHEDULE_PLATEAU, 0, 100);
    static const struct {
        double metric, rate;
    } epochs[] = {
        {0.5, 0.2}, {0.6, 0.2}, {0.6, 0.2}, {0.61, 0.2}, {0.6, 0.2},  {0.61, 0.1}, /* twice no better */
        {0.6, 0.1}, {0.7, 0.1}, {0.1, 0.1}, {0.2, 0.05}, {0.3, 0.05}, {0.4, 0.025}};
    for (size_t k = 0; k < sizeof epochs / sizeof *epochs; k++) {
        schedule_epoch(&s, epochs[k].metric);
        cr_assert_float_eq(schedule_rate(&s, 7), epochs[k].rate, 1e-12, "after epoch %zu", k);
    }
    s = schedule_of(SCHEDULE_PLATEAU, 4, 100);
    schedule_epoch(&s, -0.7); /* a metric may be negative: minus the logloss */
    schedule_epoch(&s, -0.8);
    schedule_epoch(&s, -0.8);
    cr_assert_float_eq(schedule_rate(&s, 0), 0.025, 1e-12, "warm-up and plateau multiply");
}

Test(schedule, other_schedules_do_not_look_at_the_metric) {
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_COSINE; kind += SCHEDULE_COSINE - SCHEDULE_CONSTANT) {
        struct schedule s = schedule_of(kind, 0, 100);
        double before = schedule_rate(&s, 30);
        for (int k = 0; k < 10; k++) schedule_epoch(&s, 0.5);
        cr_assert_eq(schedule_rate(&s, 30), before);
    }
}
