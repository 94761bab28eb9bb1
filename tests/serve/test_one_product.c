/* "Each is a two-tower variant", literally: whatever channels of `parallel` are chosen, serving is one inner product of a
 * user's and an item's vector, and it gives the training graph's logit. */
#include "tests/support/models.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>

static struct toy toy;

/* Width of each channel's vector with the options of toy_channels(): mlp, dcn and cin d = 5; fm dim + 2; ffm 4 x 2 fields of 2.
 */
static size_t width(int mask) {
    static const size_t of[] = {5, 5, 6, 4 * 2 * 2, 5};
    size_t sum = 0;
    for (int c = 0; c < 5; c++) sum += mask >> c & 1 ? of[c] : 0;
    return sum;
}

/* dim: of the vectors; 0: whatever it is. */
static void expect_one_product(const char *variant, const char *options, size_t dim) {
    struct graph g;
    struct err e = ERR_INIT;
    struct scorer *s;
    struct scorer_towers t;
    struct scorer_options o = scorer_defaults();
    struct serving_data data = toy_serving(&toy);
    uint32_t all[TOY_ITEMS];
    float expect[TOY_ITEMS], user[512];
    double worst = 0, largest = 0;
    for (uint32_t i = 0; i < TOY_ITEMS; i++) all[i] = i;
    toy_model(variant, options, &g);
    cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s %s: %s", variant, options, e.msg);
    cr_assert_eq(scorer_towers(s, &t, &e), 0, "%s %s: %s", variant, options, e.msg);
    if (dim) cr_expect_eq(t.dim, dim, "%s: vectors of %zu, not %zu", options, t.dim, dim);
    cr_assert(t.dim <= 512 && t.scale > 0);
    for (uint32_t u = 0; u < TOY_USERS; u += 4) {
        toy_training_scores(&g, &toy, u, all, TOY_ITEMS, expect);
        cr_assert_eq(scorer_user_vector(s, u, 0, user, &e), 0, "%s", e.msg);
        for (size_t i = 0; i < TOY_ITEMS; i++) {
            double dot = 0;
            for (size_t k = 0; k < t.dim; k++) dot += (double)user[k] * (double)t.items[i * t.dim + k];
            worst = fmax(worst, fabs(t.scale * dot + t.bias - (double)expect[i]));
            largest = fmax(largest, fabs((double)expect[i]));
        }
    }
    cr_assert_gt(largest, 0.01);
    cr_expect_lt(worst / largest, 1e-5, "%s %s: %g", variant, options, worst / largest);
    scorer_free(s);
    graph_release(&g);
}

Test(one_product, serves_any_subset_of_the_channels_of_parallel_in_any_order) {
    toy_init(&toy);
    for (int mask = 1; mask < TOY_CHANNEL_SETS; mask++)
        for (int reversed = 0; reversed < 2; reversed++) {
            char options[128];
            toy_channels(mask, reversed, options);
            expect_one_product("parallel", options, width(mask));
        }
}

Test(one_product, serves_every_two_tower_variant) {
    toy_init(&toy);
    for (const struct toy_variant *m = toy_variants; m->variant; m++)
        if (m->towers) expect_one_product(m->variant, m->options, 0);
}
