/* Lists from a whole item set, against scikit-learn and NumPy (tests/fixtures/make_metrics.py). */
#include "metrics/metrics.h"
#include "tests/metrics/fixture.h"
#include <criterion/criterion.h>
#include <math.h>

enum { CASES = 12, ITEMS = 200 };
static uint32_t list[CASES][ITEMS], relevant[CASES][ITEMS];
static size_t n_relevant[CASES];

static void read_lists(void) {
    static uint8_t is[CASES][ITEMS];
    static size_t n[CASES];
    struct fixture f = fixture_open("top_list.csv");
    while (fixture_next(&f)) {
        size_t c = (size_t)f.v[0], item = (size_t)f.v[1];
        list[c][n[c]++] = (uint32_t)item;
        is[c][item] = f.v[2] > 0;
    }
    for (size_t c = 0; c < CASES; c++) {
        cr_assert_eq(n[c], ITEMS);
        for (uint32_t i = 0; i < ITEMS; i++)
            if (is[c][i]) relevant[c][n_relevant[c]++] = i;
    }
}

Test(top_list, agrees_with_scikit_learn) {
    read_lists();
    struct fixture f = fixture_open("top_list_expected.csv");
    size_t rows = 0;
    for (; fixture_next(&f); rows++) {
        size_t c = (size_t)f.v[0], k = (size_t)f.v[1];
        struct ranking r;
        metric_top_list(list[c], ITEMS, relevant[c], n_relevant[c], k, &r);
        cr_expect(near(r.ndcg, f.v[2], 1e-12), "case %zu, k %zu: NDCG %.17g, not %.17g", c, k, r.ndcg,
                  f.v[2]);
        cr_expect(near(r.hit_rate, f.v[3], 0) && near(r.recall, f.v[4], 1e-12), "case %zu, k %zu", c, k);
        struct ranking same; /* what stands behind the first k does not count */
        metric_top_list(list[c], k, relevant[c], n_relevant[c], k, &same);
        cr_expect_eq(same.ndcg, r.ndcg);
    }
    cr_expect_eq(rows, 5 * CASES);
}

Test(top_list, a_short_list_misses_what_it_does_not_have) {
    const uint32_t two[] = {9, 4}, wanted[] = {1, 4};
    struct ranking r;
    metric_top_list(two, 2, wanted, 2, 10, &r);
    cr_expect_float_eq(r.ndcg, (1 / log2(3)) / (1 + 1 / log2(3)), 1e-15);
    cr_expect_eq(r.recall, 0.5);
    cr_expect_eq(r.hit_rate, 1);
    metric_top_list(two, 0, wanted, 2, 10, &r);
    cr_expect_eq(r.ndcg, 0);
    metric_top_list(two, 2, wanted, 0, 10, &r);
    cr_expect(isnan(r.ndcg) && isnan(r.recall) && !r.requests, "nothing is relevant");
    metric_top_list(two, 2, wanted, 2, 0, &r);
    cr_expect(isnan(r.ndcg) && !r.requests);
}
