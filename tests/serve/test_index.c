/* Retrieval: `Flat` is exact, the approximate kinds come nearer to it the more they search, files give the same
 * answers, and what does not fit is refused with the reason. */
#include "base/file.h"
#include "base/rng.h"
#include "nn/vec.h"
#include "serve/index.h"
#include "tests/support/models.h"
#include "tests/support/toy.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 16, ITEMS = 12000, USERS = 64, K = 20 };

static float item[ITEMS * DIM], user[USERS * DIM];
static uint32_t exact_id[USERS * K], id[USERS * K];
static float exact_score[USERS * K], score[USERS * K];
static char dir[64];

/* Items around 60 centres, as trained vectors are; users likewise. */
static void draw(float *v, size_t n, uint64_t stream) {
    struct rng centres = rng_init(1, 1), r = rng_init(2, stream);
    static float centre[60 * DIM];
    for (size_t i = 0; i < 60 * DIM; i++) centre[i] = (float)rng_normal(&centres);
    for (size_t i = 0; i < n; i++) {
        const float *c = centre + rng_below(&r, 60) * DIM;
        for (size_t k = 0; k < DIM; k++) v[i * DIM + k] = c[k] + 0.5f * (float)rng_normal(&r);
    }
}

static struct vectors items(void) { return (struct vectors){item, ITEMS, DIM}; }
static struct vectors users(size_t n) { return (struct vectors){user, n, DIM}; }

/* The K best of all items for every user, by the plain formula in double. */
static void search_exactly(void) {
    static float all[ITEMS];
    for (size_t u = 0; u < USERS; u++) {
        for (size_t i = 0; i < ITEMS; i++) {
            double s = 0;
            for (size_t k = 0; k < DIM; k++) s += (double)user[u * DIM + k] * (double)item[i * DIM + k];
            all[i] = (float)s;
        }
        scorer_top(all, ITEMS, K, exact_id + u * K);
        for (size_t k = 0; k < K; k++) exact_score[u * K + k] = all[exact_id[u * K + k]];
    }
}

static void setup(void) {
    draw(item, ITEMS, 1);
    draw(user, USERS, 2);
    search_exactly();
    strcpy(dir, "/tmp/prerank-index-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void) { file_remove_tree(dir, NULL); }

TestSuite(index, .init = setup, .fini = teardown);

static struct index *make(const char *factory, int threads) {
    struct err e = ERR_INIT;
    struct index *ix;
    cr_assert_eq(index_create(factory, DIM, threads, &ix, &e), 0, "%s", e.msg);
    cr_assert_eq(index_add(ix, items(), &e), 0, "%s", e.msg);
    cr_assert_eq(index_count(ix), ITEMS);
    return ix;
}

static void set(struct index *ix, const char *name, int64_t value) {
    struct err e = ERR_INIT;
    cr_assert_eq(index_set(ix, name, value, &e), 0, "%s", e.msg);
}

/* Share of the exact K best that the index finds. */
static double recall(struct index *ix) {
    struct err e = ERR_INIT;
    size_t hits = 0;
    cr_assert_eq(index_search(ix, users(USERS), K, id, score, &e), 0, "%s", e.msg);
    for (size_t u = 0; u < USERS; u++)
        for (size_t a = 0; a < K; a++)
            for (size_t b = 0; b < K; b++) hits += exact_id[u * K + a] == id[u * K + b];
    return (double)hits / (USERS * K);
}

static void equals_exact(struct index *ix, size_t n_users) {
    struct err e = ERR_INIT;
    memset(id, 0, sizeof id);
    cr_assert_eq(index_search(ix, users(n_users), K, id, score, &e), 0, "%s", e.msg);
    for (size_t i = 0; i < n_users * K; i++) {
        cr_assert_float_eq(score[i], exact_score[i], 1e-4, "user %zu, place %zu", i / K, i % K);
        cr_assert_eq(id[i], exact_id[i], "user %zu, place %zu: %u, not %u", i / K, i % K, id[i], exact_id[i]);
    }
}

Test(index, flat_is_exact) {
    for (int threads = 1; threads <= 2; threads++) {
        struct index *ix = make("Flat", threads);
        equals_exact(ix, 1);
        equals_exact(ix, 19);
        equals_exact(ix, USERS); /* FAISS goes another way from 20 users on: a matrix product */
        index_free(ix);
    }
}

Test(index, ivf_that_looks_into_every_cluster_equals_flat) {
    struct index *ix = make("IVF64,Flat", 1);
    set(ix, "nprobe", 64);
    equals_exact(ix, USERS);
    index_free(ix);
}

Test(index, more_probes_find_more) {
    static const struct {
        const char *factory, *name;
        int64_t value[5];
        double at_least; /* recall in the end */
    } kind[] = {{"IVF256,Flat", "nprobe", {1, 4, 16, 64, 256}, 1},
                {"HNSW32", "efSearch", {K, 40, 80, 160, 1000}, 0.95},
                {"IVF256,PQ8", "nprobe", {1, 2, 4, 16, 256}, 0.3}};
    for (size_t k = 0; k < sizeof kind / sizeof *kind; k++) {
        struct index *ix = make(kind[k].factory, 1);
        double first = 0, last = 0;
        for (int i = 0; i < 5; i++) {
            set(ix, kind[k].name, kind[k].value[i]);
            double now = recall(ix);
            cr_expect_geq(now, last - 0.005, "%s %s %d: %g after %g", kind[k].factory, kind[k].name,
                          (int)kind[k].value[i], now, last);
            if (!i) first = now;
            last = now;
        }
        cr_expect_gt(last, first + 0.02, "%s: %g .. %g", kind[k].factory, first, last);
        cr_expect_geq(last, kind[k].at_least, "%s: %g", kind[k].factory, last);
        index_free(ix);
    }
}

Test(index, scores_of_whole_vectors_are_inner_products) {
    const char *kind[] = {"IVF256,Flat", "HNSW32"};
    struct err e = ERR_INIT;
    for (size_t k = 0; k < 2; k++) {
        struct index *ix = make(kind[k], 1);
        cr_assert_eq(index_search(ix, users(USERS), K, id, score, &e), 0, "%s", e.msg);
        for (size_t i = 0; i < USERS * K; i++) {
            if (id[i] == INDEX_NONE)
                continue; /* the one cluster that was looked into has fewer than K items */
            cr_assert_lt(id[i], ITEMS);
            float expect = vec_dot(DIM, user + i / K * DIM, item + id[i] * DIM);
            cr_assert_float_eq(score[i], expect, 1e-4);
            if (i % K) cr_assert_leq(score[i], score[i - 1]);
        }
        index_free(ix);
    }
}

Test(index, asked_for_more_than_there_is_says_none) {
    struct err e = ERR_INIT;
    struct index *ix;
    cr_assert_eq(index_create("Flat", DIM, 1, &ix, &e), 0, "%s", e.msg);
    for (size_t i = 0; i < 5; i++) /* in portions */
        cr_assert_eq(index_add(ix, (struct vectors){item + i * DIM, 1, DIM}, &e), 0, "%s", e.msg);
    cr_assert_eq(index_search(ix, users(2), K, id, score, &e), 0, "%s", e.msg);
    for (size_t i = 0; i < 2 * K; i++) {
        cr_expect_eq(id[i] == INDEX_NONE, i % K >= 5);
        cr_expect_eq(score[i] == -INFINITY, i % K >= 5);
    }
    cr_assert_eq(index_search(ix, users(0), K, id, score, &e), 0);
    index_free(ix);
}

Test(index, a_saved_index_gives_the_same_answers) {
    const char *kind[] = {"Flat", "IVF256,Flat", "HNSW32", "IVF256,PQ8"};
    static uint32_t before[USERS * K];
    static float before_score[USERS * K];
    struct err e = ERR_INIT;
    char path[128];
    snprintf(path, sizeof path, "%s/x.index", dir);
    for (size_t k = 0; k < 4; k++) {
        struct index *ix = make(kind[k], 1);
        cr_assert_eq(index_search(ix, users(USERS), K, before, before_score, &e), 0, "%s", e.msg);
        cr_assert_eq(index_save(ix, path, "abc123", &e), 0, "%s", e.msg);
        index_free(ix);
        cr_assert_eq(index_open(path, DIM, "abc123", 1, &ix, &e), 0, "%s", e.msg);
        cr_expect_eq(index_count(ix), ITEMS);
        cr_assert_eq(index_search(ix, users(USERS), K, id, score, &e), 0, "%s", e.msg);
        cr_expect_arr_eq(id, before, sizeof id, "%s", kind[k]);
        cr_expect_arr_eq(score, before_score, sizeof score, "%s", kind[k]);
        index_free(ix);
    }
}

/* ---- what does not fit ---- */

static void refuses_kind(const char *factory, size_t dim, const char *text) {
    struct err e = ERR_INIT;
    struct index *ix;
    int rc = index_create(factory, dim, 1, &ix, &e);
    cr_expect_eq(rc, ERR_INPUT, "%s", factory);
    cr_expect_null(ix);
    cr_expect(strstr(e.msg, factory) && strstr(e.msg, text), "\"%s\" does not say \"%s\"", e.msg, text);
}

Test(index, unknown_kinds_are_refused_with_those_that_there_are) {
    refuses_kind("Flatt", DIM, "could not parse");
    refuses_kind("Flatt", DIM, "IVF<clusters>,Flat");
    refuses_kind("", DIM, "IVF<clusters>,Flat");
    refuses_kind("IVF256,PQ8", 12, "multiple");
    refuses_kind("Flat", 0, "dimension");
}

Test(index, wrong_dimensions_parameters_and_samples_are_refused) {
    struct err e = ERR_INIT;
    struct index *ix = make("IVF256,Flat", 1);
    cr_expect_eq(index_add(ix, (struct vectors){item, 10, 8}, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "of dimension 16: the item vectors have dimension 8"), "%s", e.msg);
    cr_expect_eq(index_search(ix, (struct vectors){user, 1, 32}, K, id, score, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "users' vectors have dimension 32"), "%s", e.msg);
    cr_expect_eq(index_train(ix, (struct vectors){user, 1, 32}, &e), ERR_INPUT);
    cr_expect_eq(index_set(ix, "efSearch", 10, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "no search parameter \"efSearch\"; IVF kinds have nprobe"), "%s", e.msg);
    cr_expect_eq(index_set(ix, "nprobes", 10, &e), ERR_INPUT);
    cr_expect_eq(index_set(ix, "nprobe", 0, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "nprobe must be 1 to"), "%s", e.msg);
    index_free(ix);
    cr_assert_eq(index_create("IVF256,Flat", DIM, 1, &ix, &e), 0, "%s", e.msg);
    cr_expect_eq(index_add(ix, (struct vectors){item, 100, DIM}, &e), ERR_INPUT, "100 items, 256 clusters");
    cr_expect(strstr(e.msg, "training") && strstr(e.msg, "256"), "%s", e.msg);
    index_free(ix);
}

static void refuses_file(const char *path, size_t dim, const char *version, const char *text) {
    struct err e = ERR_INIT;
    struct index *ix;
    cr_expect_eq(index_open(path, dim, version, 1, &ix, &e), ERR_INPUT);
    cr_expect_null(ix);
    cr_expect(strstr(e.msg, path) && strstr(e.msg, text), "\"%s\" does not say \"%s\"", e.msg, text);
}

Test(index, files_of_another_model_cut_off_or_foreign_are_refused) {
    struct err e = ERR_INIT;
    char path[128];
    snprintf(path, sizeof path, "%s/x.index", dir);
    refuses_file(path, DIM, "v1", "No such file");
    struct index *ix = make("IVF256,Flat", 1);
    cr_assert_eq(index_save(ix, path, "v1", &e), 0, "%s", e.msg);
    refuses_file(path, DIM, "v2", "built from model version v1, but the model to serve is version v2");
    refuses_file(path, 8, "v1", "dimension 16, but the model's vectors have 8");
    for (int64_t size = file_size(path) - 1; size > 0; size /= 2) {
        cr_assert_eq(truncate(path, size), 0);
        refuses_file(path, DIM, "v1", "no index of prerank, or it is cut off");
    }
    cr_assert_eq(file_write_text(path, "user,item\n", 10, &e), 0);
    refuses_file(path, DIM, "v1", "no index of prerank");
    cr_expect_eq(index_save(ix, "/proc/none/x", "v1", &e), ERR_INPUT);
    cr_expect_eq(index_save(ix, path, "", &e), ERR_INPUT);
    index_free(ix);
}

/* ---- with a model ---- */

static struct toy toy;

Test(index, retrieval_by_flat_equals_scoring_all_items_for_every_two_tower) {
    struct err e = ERR_INIT;
    toy_init(&toy);
    struct serving_data data = toy_serving(&toy);
    uint32_t all[TOY_ITEMS], order[TOY_ITEMS], got[TOY_ITEMS];
    float expect[TOY_ITEMS], found[TOY_ITEMS], vector[512];
    for (uint32_t i = 0; i < TOY_ITEMS; i++) all[i] = i;
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        if (!m->towers) continue;
        struct graph g;
        struct scorer *s;
        struct scorer_towers t;
        struct index *ix;
        struct scorer_options o = scorer_defaults();
        toy_model(m->variant, m->options, &g);
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
        cr_assert_eq(scorer_towers(s, &t, &e), 0, "%s %s: %s", m->variant, m->options, e.msg);
        cr_assert_leq(t.dim, 512);
        cr_assert_eq(index_create("Flat", t.dim, 1, &ix, &e), 0, "%s", e.msg);
        cr_assert_eq(index_add(ix, (struct vectors){t.items, t.n_items, t.dim}, &e), 0, "%s", e.msg);
        for (uint32_t u = 0; u < TOY_USERS; u += 3) {
            struct request r = {.user = u, .n = TOY_ITEMS, .items = all};
            cr_assert_eq(scorer_score(s, &r, expect, &e), 0, "%s", e.msg);
            scorer_top(expect, TOY_ITEMS, TOY_ITEMS, order);
            cr_assert_eq(scorer_user_vector(s, u, 0, vector, &e), 0, "%s", e.msg);
            cr_assert_eq(index_search(ix, (struct vectors){vector, 1, t.dim}, TOY_ITEMS, got, found, &e), 0);
            double largest = fmax(fabs((double)expect[order[0]]), fabs((double)expect[order[TOY_ITEMS - 1]]));
            cr_assert_gt(largest, 0.01);
            for (size_t k = 0; k < TOY_ITEMS;
                 k++) { /* places differ only among scores that are equal but for rounding */
                double logit = t.scale * (double)found[k] + t.bias;
                cr_assert_float_eq(logit, (double)expect[order[k]], 1e-5 * largest, "%s %s", m->variant,
                                   m->options);
                cr_assert_float_eq(logit, (double)expect[got[k]], 1e-5 * largest, "%s %s", m->variant,
                                   m->options);
            }
        }
        index_free(ix);
        scorer_free(s);
        graph_release(&g);
    }
}

Test(index, models_that_are_no_two_towers_have_no_vectors) {
    struct err e = ERR_INIT;
    toy_init(&toy);
    struct serving_data data = toy_serving(&toy);
    toy_variants_are_all();
    for (const struct toy_variant *m = toy_variants; m->variant; m++) {
        if (m->towers) continue;
        struct graph g;
        struct scorer *s;
        struct scorer_towers t;
        struct scorer_options o = scorer_defaults();
        toy_model(m->variant, m->options, &g);
        cr_assert_eq(scorer_create(&g, &data, &o, NULL, &s, &e), 0, "%s", e.msg);
        cr_expect_eq(scorer_towers(s, &t, &e), ERR_INPUT, "%s", m->variant);
        cr_expect(strstr(e.msg, "no two-tower"), "%s", e.msg);
        scorer_free(s);
        graph_release(&g);
    }
}
