#include "tests/support/toy.h"
#include "base/rng.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 9, BIG = 40000 };

void toy_init(struct toy *t) {
    struct rng r = rng_init(7, 1);
    for (uint32_t u = 0; u < TOY_USERS; u++) {
        t->user_id[u] = u;
        t->user_age[u] = (float)rng_uniform(&r);
        t->user_offsets[u + 1] = t->user_offsets[u] + (uint32_t)rng_below(&r, TOY_BAG + 1);
    }
    for (uint32_t i = 0; i < TOY_ITEMS; i++) {
        t->item_id[i] = i;
        t->item_offsets[i + 1] = t->item_offsets[i] + (uint32_t)rng_below(&r, TOY_BAG + 1);
    }
    for (size_t k = 0; k < TOY_USERS * TOY_BAG; k++) t->user_bag[k] = (uint32_t)rng_below(&r, 6);
    for (size_t k = 0; k < TOY_USERS * TOY_BAG; k++) t->recent[k] = (uint32_t)rng_below(&r, TOY_ITEMS);
    for (size_t k = 0; k < TOY_ITEMS * TOY_BAG; k++) t->item_bag[k] = (uint32_t)rng_below(&r, 20);
    for (size_t u = 0; u < TOY_USERS; u++)
        for (size_t i = 0; i < TOY_ITEMS; i++) {
            t->pair_small[u][i] = (uint32_t)rng_below(&r, SMALL);
            t->pair_big[u][i] = (uint32_t)rng_below(&r, BIG);
        }
}

static const struct feature features[] = {{"user_id", SIDE_USER, VALUE_ID, TOY_USERS, NULL, 1},
                                          {"user_bag", SIDE_USER, VALUE_BAG, 6, NULL, 2},
                                          {"age", SIDE_USER, VALUE_NUMBER, 0, NULL, 1},
                                          {"item_id", SIDE_ITEM, VALUE_ID, TOY_ITEMS, NULL, 1},
                                          {"item_bag", SIDE_ITEM, VALUE_BAG, 20, NULL, 2},
                                          {"small", SIDE_PAIR, VALUE_ID, SMALL, NULL, 1},
                                          {"big", SIDE_PAIR, VALUE_ID, BIG, NULL, 1},
                                          {"recent", SIDE_USER, VALUE_BAG, TOY_ITEMS, "item_id", 2}};
struct features toy_features(void) {
    return (struct features){sizeof features / sizeof *features, features};
}

static int user(void *self, const char *name, uint32_t u, struct batch_column *out, struct err *e) {
    struct toy *t = self;
    (void)e;
    *out = (struct batch_column){0};
    if (!strcmp(name, "user_id")) out->ids = t->user_id + u;
    if (!strcmp(name, "age")) out->number = t->user_age + u;
    if (!strcmp(name, "user_bag") || !strcmp(name, "recent")) {
        const uint32_t *ids = !strcmp(name, "recent") ? t->recent : t->user_bag;
        t->local[0][0] = 0;
        t->local[0][1] = t->user_offsets[u + 1] - t->user_offsets[u];
        *out = (struct batch_column){ids + t->user_offsets[u], t->local[0], NULL};
    }
    return 0;
}

static int item(void *self, const char *name, uint32_t first, size_t n, struct batch_column *out,
                struct err *e) {
    struct toy *t = self;
    (void)e;
    (void)n;
    *out = (struct batch_column){0};
    if (!strcmp(name, "item_id")) out->ids = t->item_id + first;
    if (!strcmp(name, "item_bag")) *out = (struct batch_column){t->item_bag, t->item_offsets + first, NULL};
    return 0;
}

static int pair(void *self, const char *name, uint32_t u, const uint32_t *items, size_t n, uint32_t *ids,
                struct err *e) {
    struct toy *t = self;
    (void)e;
    for (size_t i = 0; i < n; i++)
        ids[i] = !strcmp(name, "small") ? t->pair_small[u][items[i]] : t->pair_big[u][items[i]];
    return 0;
}

struct serving_data toy_serving(struct toy *t) {
    return (struct serving_data){.self = t, .n_items = TOY_ITEMS, .user = user, .item = item, .pair = pair};
}

void toy_model(const char *variant, const char *options, struct graph *g) {
    struct err e = ERR_INIT;
    struct arena a = ARENA_INIT;
    const struct variant *v = variant_find(variant);
    void *o = calloc(1, v->options_bytes);
    struct conf *map = NULL;
    opt_defaults(v->opts, o);
    cr_assert_eq(conf_parse("options", options, strlen(options), &a, &map, &e), 0, "%s", e.msg);
    cr_assert_eq(opt_read(v->opts, o, map, variant, &e), 0, "%s", e.msg);
    struct features f = toy_features();
    graph_init(g);
    cr_assert_eq(variant_build(v, o, &f, g, &e), 0, "%s", e.msg);
    cr_assert_eq(graph_alloc_params(g, 3, &e), 0, "%s", e.msg);
    struct rng r = rng_init(11, 2);
    for (int p = 0; p < g->n_params; p++) /* no weight keeps a special start value */
        for (size_t i = 0; i < g->param[p]->rows * g->param[p]->cols; i++)
            g->param[p]->value[i] +=
                (float)(0.3 * (g->param[p]->kind == PARAM_STATE ? rng_uniform(&r) : rng_normal(&r)));
    free(o);
    arena_release(&a);
}

void toy_training_scores(const struct graph *g, struct toy *t, uint32_t u, const uint32_t *items, size_t n,
                         float *out) {
    struct err e = ERR_INIT;
    struct exec *x;
    cr_assert_eq(exec_create(g, &(struct exec_options){.max_rows = 1}, &x, &e), 0);
    for (size_t i = 0; i < n; i++) {
        struct batch_column col[10] = {0};
        uint32_t small = t->pair_small[u][items[i]], big = t->pair_big[u][items[i]];
        for (int c = 0; c < g->n_columns; c++) {
            const char *name = g->column[c].name;
            if (g->column[c].side == SIDE_USER) user(t, name, u, &col[c], &e);
            if (g->column[c].side == SIDE_ITEM) item(t, name, items[i], 1, &col[c], &e);
            if (!strcmp(name, "small")) col[c].ids = &small;
            if (!strcmp(name, "big")) col[c].ids = &big;
        }
        exec_score(x, &(struct exec_slice){1, col}, 1, out + i);
    }
    exec_free(x);
}

static void *own(struct toy_rows *rows, size_t bytes) {
    void *p = calloc(bytes + 1, 1);
    cr_assert_not_null(p);
    cr_assert_lt(rows->n_own, 32);
    return rows->own[rows->n_own++] = p;
}

/* One column, row after row from the one-row columns above. */
static void fill_column(struct toy_rows *rows, const struct graph_column *c, struct batch_column *col,
                        struct toy *t, const uint32_t *users, const uint32_t *items, size_t n) {
    uint32_t *ids = own(rows, n * TOY_BAG * sizeof *ids), *offsets = own(rows, (n + 1) * sizeof *offsets);
    float *number = own(rows, n * sizeof *number);
    struct err e = ERR_INIT;
    for (size_t r = 0; r < n; r++) {
        struct batch_column one = {0};
        if (c->side == SIDE_USER) user(t, c->name, users[r], &one, &e);
        if (c->side == SIDE_ITEM) item(t, c->name, items[r], 1, &one, &e);
        if (c->side == SIDE_PAIR) pair(t, c->name, users[r], items + r, 1, ids + r, &e);
        size_t begin = one.offsets ? one.offsets[0] : 0, len = one.offsets ? one.offsets[1] - begin
                                                               : one.ids   ? 1
                                                                           : 0;
        if (one.number) number[r] = one.number[0];
        for (size_t k = 0; k < len; k++) ids[offsets[r] + k] = one.ids[begin + k];
        offsets[r + 1] = offsets[r] + (uint32_t)len;
    }
    *col = (struct batch_column){c->type == VALUE_NUMBER ? NULL : ids, c->type == VALUE_BAG ? offsets : NULL,
                                 c->type == VALUE_NUMBER ? number : NULL};
}

void toy_rows_init(struct toy_rows *rows, const struct graph *g, struct toy *t, const uint32_t *users,
                   const uint32_t *items, const float *label, size_t n) {
    *rows = (struct toy_rows){0};
    for (int c = 0; c < g->n_columns; c++) {
        if (!strcmp(g->column[c].name, "label"))
            rows->col[c].number = label;
        else
            fill_column(rows, &g->column[c], &rows->col[c], t, users, items, n);
    }
}

void toy_rows_release(struct toy_rows *rows) {
    for (int i = 0; i < rows->n_own; i++) free(rows->own[i]);
    rows->n_own = 0;
}
