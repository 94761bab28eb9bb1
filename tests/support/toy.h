/* toy.h: a made-up world for tests of variants and serving: users, items and pair features as plain arrays.
 */
#ifndef PRERANK_TESTS_SERVE_TOY_H
#define PRERANK_TESTS_SERVE_TOY_H
#include "serve/scorer.h"
#include "variants/variant.h"

enum { TOY_USERS = 12, TOY_ITEMS = 700, TOY_BAG = 3 };
struct toy {
    uint32_t user_id[TOY_USERS], user_bag[TOY_USERS * TOY_BAG], user_offsets[TOY_USERS + 1];
    uint32_t recent[TOY_USERS * TOY_BAG]; /* item ids, by user_offsets too */
    float user_age[TOY_USERS];
    uint32_t item_id[TOY_ITEMS], item_bag[TOY_ITEMS * TOY_BAG], item_offsets[TOY_ITEMS + 1];
    uint32_t pair_small[TOY_USERS][TOY_ITEMS], pair_big[TOY_USERS][TOY_ITEMS];
    uint32_t local[2][2]; /* offsets handed out for one user */
    uint32_t item_local[TOY_ITEMS + 1];
};
void toy_init(struct toy *t);
struct features toy_features(void);
struct serving_data toy_serving(struct toy *t);
/* Scores of the training graph, run row by row on the joined columns: what serving must equal. */
void toy_training_scores(const struct graph *g, struct toy *t, uint32_t user, const uint32_t *items, size_t n,
                         float *out);
/* Columns of g for n (user, item) rows and labels; the arrays live in `rows` (release with toy_rows_release).
 */
struct toy_rows {
    struct batch_column col[16];
    void *own[32];
    int n_own;
};
void toy_rows_init(struct toy_rows *rows, const struct graph *g, struct toy *t, const uint32_t *users,
                   const uint32_t *items, const float *label, size_t n);
void toy_rows_release(struct toy_rows *rows);
/* A model with random weights, running statistics included. */
void toy_model(const char *variant, const char *options, struct graph *g);

#endif
