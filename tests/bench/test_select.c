/* Choosing features: planted truth is found, nothing is trained twice, the pick is honest and can be made again. */
#include "base/file.h"
#include "bench/run/experiment.h"
#include "bench/select/field_cost.h"
#include "bench/select/select.h"
#include "data/prepare.h"
#include "tests/bench/results.h"
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(select, .init = setup, .fini = teardown);

/* Four planted fields and four of noise; `twin` holds what i0 does, but is computed live for each candidate. */
static void write_planted(const char *columns, const char *derive, const char *rest) {
    char text[4096];
    snprintf(text, sizeof text,
             "name: planted\ndata_dir: %s/data\n"
             "data:\n"
             "  synthetic: {rows: 24000, users: 200, items: 150, seed: 3, user_fields: [10, 6], item_fields: "
             "[10, 6],\n"
             "              pair_effects: 2, pair_strength: 1.2, noise_user_fields: 2, noise_item_fields: 2, "
             "vocab: 6}\n"
             "  user: user_id\n  item: item_id\n  time: ts\n  label: label\n"
             "  columns:\n%s%s"
             "  split: {by: time, valid: 0.15, test: 0.15}\n%s",
             s.dir, columns, derive, rest);
    scratch_write(&s, "x.yaml", text);
}

static const char all_columns[] =
    "    u0: {side: user}\n    u1: {side: user}\n    nu0: {side: user}\n    nu1: {side: user}\n"
    "    i0: {side: item}\n    i1: {side: item}\n    ni0: {side: item}\n    ni1: {side: item}\n";
static const char *const planted[] = {"u0", "i0", "u1", "i1"}, *const noise[] = {"nu0", "nu1", "ni0", "ni1"};
static const double strength[] = {10, 10, 6, 6, 0, 0, 0, 0};

static void assert_status(struct ran r, int status) {
    cr_assert_eq(r.status, status, "exit %d: %s", r.status, r.err);
}

static double importance(const char *table, const char *selector, const char *field) {
    char key[128];
    snprintf(key, sizeof key, "selector=%s,seed=mean,field=%s", selector, field);
    return atof(cell(&s, table, key, "importance"));
}

/* Spearman's rank correlation of importance with the planted strength; equal strengths share their mean rank. */
static double rank_correlation(const char *table, const char *selector) {
    double x[8], rx[8], ry[8], sxy = 0, sxx = 0, syy = 0;
    for (int i = 0; i < 8; i++) x[i] = importance(table, selector, i < 4 ? planted[i] : noise[i - 4]);
    for (int i = 0; i < 8; i++) {
        rx[i] = ry[i] = -3.5;
        for (int k = 0; k < 8; k++) {
            rx[i] += (x[k] < x[i]) + 0.5 * (k != i && x[k] == x[i]);
            ry[i] += (strength[k] < strength[i]) + 0.5 * (k != i && strength[k] == strength[i]);
        }
    }
    for (int i = 0; i < 8; i++) {
        sxy += rx[i] * ry[i];
        sxx += rx[i] * rx[i];
        syy += ry[i] * ry[i];
    }
    return sxy / sqrt(sxx * syy);
}

static bool planted_above_noise(const char *table, const char *selector) {
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++)
            if (importance(table, selector, planted[i]) <= importance(table, selector, noise[k]))
                return false;
    return true;
}

Test(select, planted_fields_come_before_noise_by_every_selector_but_random) {
    write_planted(
        all_columns, "",
        "variants:\n  - cold: {dim: 8, hidden: [24]}\n"
        "train: {batch: 128, epochs: 6, learning_rate: 0.004, patience: 0}\nmeasure: {candidates: []}\n"
        "select: {rank_by: [se, permutation, fscd, lasso, random], top_k: [4]}\n");
    assert_status(prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir), 0);
    const char *t = scratch_read(&s, "out/importance.csv");
    static const char *const found[] = {"se", "permutation", "fscd", "lasso"};
    for (int i = 0; i < 4; i++) {
        double r = rank_correlation(t, found[i]);
        cr_log_info("%s: rank correlation with the planted strength %.3f", found[i], r);
        cr_expect(planted_above_noise(t, found[i]), "%s:\n%s", found[i], t);
        cr_expect_gt(r, 0.7, "%s: rank correlation %.3f", found[i], r);
    }
    cr_expect(!planted_above_noise(t, "random"));
    cr_expect_lt(rank_correlation(t, "random"), 0.5);
    const char *subsets =
        scratch_read(&s, "out/subsets.csv"); /* the same four fields by four selectors: one training */
    for (int i = 1; i < 4; i++) {
        char key[64];
        snprintf(key, sizeof key, "selector=%s", found[i]);
        cr_expect_str_eq(cell(&s, subsets, key, "trained_as"), "se-4", "%s", found[i]);
    }
}

Test(select, fscd_prefers_the_cheaper_of_two_equally_useful_fields) {
    write_planted(
        "    k: {side: user, from: ts, extract: \"^(1)\"}\n    u0: {side: user}\n    i0: {side: item}\n",
        "  derive:\n    twin: {kind: cross, of: [k, i0], buckets: 1000}\n",
        "variants:\n  - cold: {dim: 8, hidden: [24]}\nfeatures: {all: [u0, i0, twin]}\n"
        "train: {batch: 128, epochs: 6, learning_rate: 0.004, patience: 0}\nmeasure: {candidates: []}\n"
        "select: {rank_by: [fscd], top_k: [2], fscd: {strength: 3}}\n");
    /* Costs are measured: another program's turn on the processor may fall on the cheap field's. Then once more, anew. */
    double dear = 0, cheap = 0;
    for (int attempt = 0; attempt < 5 && !(dear > 2 * cheap); attempt++) {
        assert_status(prerank(&s, "run %s/x.yaml --out %s/out --no-report --set select.fscd.cost=measured",
                              s.dir, s.dir),
                      0);
        const char *fields = scratch_read(&s, "out/fields.csv");
        dear = atof(cell(&s, fields, "field=twin", "ns_per_candidate"));
        cheap = atof(cell(&s, fields, "field=i0", "ns_per_candidate"));
    }
    cr_assert_gt(dear, cheap);
    const char *t = scratch_read(&s, "out/importance.csv");
    double priced = importance(t, "fscd", "i0") - importance(t, "fscd", "twin");
    cr_expect_gt(priced, 0.1, "%s", t);
    assert_status(
        prerank(&s, "run %s/x.yaml --out %s/free --no-report --set select.fscd.cost=equal", s.dir, s.dir), 0);
    t = scratch_read(&s, "free/importance.csv");
    double alike = importance(t, "fscd", "i0") - importance(t, "fscd", "twin");
    cr_expect_lt(fabs(alike), priced / 2, "at the same cost they are alike: %s", t);
}

/* ---- every variant, every loss ---- */

static size_t count_files(const char *sub) {
    char command[200], text[32] = "";
    snprintf(command, sizeof command, "ls %s/%s | wc -l", s.dir, sub);
    FILE *f = popen(command, "r");
    cr_assert(f && fgets(text, sizeof text, f));
    pclose(f);
    return (size_t)atol(text);
}

/* Cell `key` of the chosen point of the largest number of candidates. */
static const char *chosen(const char *out, const char *key) {
    char name[128];
    snprintf(name, sizeof name, "%s/chosen.json", out);
    json_error_t why;
    json_t *j = json_loads(scratch_read(&s, name), 0, &why);
    cr_assert(j, "%s", why.text);
    const json_t *point = json_object_get(json_array_get(json_object_get(j, "choices"), 0), "chosen");
    const json_t *v = json_object_get(point, key);
    char text[64] = "";
    if (json_is_string(v)) snprintf(text, sizeof text, "%s", json_string_value(v));
    if (json_is_number(v)) snprintf(text, sizeof text, "%.9g", json_number_value(v));
    json_decref(j);
    return arena_strdup(&s.arena, text);
}

static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
    return false;
}

static bool has_side(const char *list, const char *const *fields, int n) {
    for (int i = 0; i < n; i++)
        if (has_word(list, fields[i])) return true;
    return false;
}

/* What of a subset is there for the model's sake alone: not among the K best. */
static void assert_subset(const char *subsets, const char *importance_table, const char *variant,
                          const char *selector, int k) {
    static const char *const user[] = {"u0", "u1", "nu0", "nu1", "recent"}, *const item[] = {"i0", "i1",
                                                                                             "ni0", "ni1"};
    char key[128], rank[160];
    snprintf(key, sizeof key, "variant=%s,selector=%s,k=%d", variant, selector, k);
    const char *fields = cell(&s, subsets, key, "fields"), *required = cell(&s, subsets, key, "required");
    cr_expect_eq(atoi(cell(&s, subsets, key, "n_fields")), k, "%s", key);
    if (strcmp(variant, "cold") != 0 && strcmp(variant, "mlp") != 0 && strcmp(variant, "dcn") != 0)
        cr_expect(has_side(fields, user, 5) && has_side(fields, item, 4), "%s: %s", key, fields);
    if (!strcmp(variant, "din"))
        cr_expect(has_word(fields, "recent") && has_word(fields, "i0"), "%s: %s", key, fields);
    if (!strcmp(variant, "dat"))
        cr_expect(has_word(fields, "u0") && has_word(fields, "i0"), "%s: %s", key, fields);
    for (int i = 0; i < 9; i++) {
        const char *field = i < 5 ? user[i] : item[i - 5];
        snprintf(rank, sizeof rank, "variant=%s,selector=%s,seed=mean,field=%s", variant, selector, field);
        bool late = atoi(cell(&s, importance_table, rank, "rank")) > k;
        cr_expect_eq(has_word(required, field), late && has_word(fields, field), "%s: %s of %s", key, field,
                     fields);
    }
}

Test(select, every_variant_gets_the_best_fields_that_it_can_be_built_of) {
    static const char *const variants[] = {"dssm", "senet", "parallel", "dat", "inttower",
                                           "mlp",  "dcn",   "din",      "cold"};
    static const char *const by[] = {"se", "permutation", "fscd", "single", "random"};
    write_planted(
        all_columns, "  derive:\n    recent: {kind: recent, of: i0, n: 5}\n",
        "variants:\n  - dssm: {dim: 4, hidden: [8]}\n  - senet: {dim: 4, hidden: [8]}\n"
        "  - parallel: {dim: 4, hidden: [8], d: 4, cin: [2]}\n"
        "  - dat: {dim: 4, hidden: [8], user_id: u0, item_id: i0}\n"
        "  - inttower: {dim: 4, hidden: [8], heads: 2, head_dim: 4}\n  - mlp: {dim: 4, hidden: [8]}\n"
        "  - dcn: {dim: 4, hidden: [8]}\n  - din: {dim: 4, hidden: [8], attention: 4}\n"
        "  - cold: {dim: 4, hidden: [8]}\ntrain: {batch: 512, epochs: 1, rows: 2000}\n"
        "measure: {candidates: []}\n"
        "select: {rank_by: [se, permutation, fscd, single, random], top_k: [2, 5], permutation: {shuffles: "
        "1}}\n");
    assert_status(prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir), 0);
    const char *subsets = scratch_read(&s, "out/subsets.csv"),
               *ranks = scratch_read(&s, "out/importance.csv"), *effect = scratch_read(&s, "out/effect.csv");
    for (int v = 0; v < 9; v++)
        for (int i = 0; i < 5; i++) {
            assert_subset(subsets, ranks, variants[v], by[i], 2);
            assert_subset(subsets, ranks, variants[v], by[i], 5);
            char key[128];
            snprintf(key, sizeof key, "variant=%s,features=%s-5,split=test", variants[v], by[i]);
            cr_expect_str_eq(cell(&s, effect, key, "status"), "ok", "%s", key);
        }
}

Test(select, every_variant_precision_and_number_of_candidates_has_its_points_and_the_choice_names_them) {
    write_planted(all_columns, "",
                  "variants:\n  - dssm: {dim: 4, hidden: [8]}\n  - mlp: {dim: 4, hidden: [16]}\n"
                  "train: {batch: 256, epochs: 1, rows: 4000}\n"
                  "measure: {candidates: [20, 50], precision: [fp32, bf16], requests: 60, min_seconds: 0, "
                  "recall_requests: 0}\n"
                  "select: {rank_by: [single, random], top_k: [4, 6], subject_to: {n_features: 6}}\n");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir);
    assert_status(r, 0);
    const char *points = scratch_read(&s, "out/tradeoff.csv");
    for (int k = 0; k < 16; k++) {
        char key[128];
        snprintf(key, sizeof key, "variant=%s,features=%s-%d,precision=%s,candidates=%d",
                 k & 1 ? "mlp" : "dssm", k & 2 ? "single" : "random", 6, k & 4 ? "fp32" : "bf16",
                 k & 8 ? 20 : 50);
        cr_expect_gt(atof(cell(&s, points, key, "p50_us")), 0, "%s", key);
    }
    const char *precision = chosen("out", "precision"), *report = scratch_read(&s, "out/report.html");
    cr_expect(!strcmp(precision, "fp32") || !strcmp(precision, "bf16"), "the choice names its precision: %s",
              precision);
    cr_expect(strstr(r.out, precision) && strstr(r.out, "50 candidates, within") &&
                  strstr(r.out, "20 candidates, within"),
              "%s", r.out);
    cr_expect(strstr(report, "GAUC of dssm against the number of fields") &&
                  strstr(report, "GAUC of mlp against the number of fields") &&
                  scratch_has(&s, "out/plots/selection-k-mlp.svg"),
              "a picture of each variant");
    char legend[64];
    const char *areas = scratch_read(&s, "out/selection.csv");
    snprintf(legend, sizeof legend, "single, area %.4f",
             atof(cell(&s, areas, "variant=mlp,selector=single", "area")));
    cr_expect(strstr(scratch_read(&s, "out/plots/selection-k-mlp.svg"), legend), "%s", legend);
}

Test(select, areas_and_their_intervals_equal_numpy_and_scipy) {
    write_planted(
        all_columns, "",
        "variants:\n  - dssm: {dim: 4, hidden: [8]}\n  - mlp: {dim: 4, hidden: [16]}\nseeds: [1, 2, 3]\n"
        "train: {batch: 256, epochs: 1, rows: 3000}\n"
        "measure: {candidates: [20, 50], requests: 60, min_seconds: 0, recall_requests: 0}\n"
        "select: {rank_by: [single, random], top_k: [1, 3, 4, 7]}\n");
    assert_status(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir), 0);
    char command[128];
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/check_selection.py %s/out >&2", s.dir);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "out/selection.csv"));
}

Test(select, fields_of_two_towers_are_told_from_noise_on_both_sides) {
    write_planted(
        all_columns, "",
        "variants:\n  - dssm: {dim: 8, hidden: [16, 8]}\n"
        "train: {batch: 128, epochs: 6, learning_rate: 0.004, patience: 0}\nmeasure: {candidates: []}\n"
        "select: {rank_by: [se, permutation, fscd, lasso], top_k: [1, 4]}\n");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir);
    assert_status(r, 0);
    const char *subsets = scratch_read(&s, "out/subsets.csv"), *t = scratch_read(&s, "out/importance.csv");
    static const char *const by[] = {"se", "permutation", "fscd", "lasso"};
    for (int i = 0; i < 4; i++) {
        char key[64];
        snprintf(key, sizeof key, "selector=%s,k=4", by[i]);
        const char *fields = cell(&s, subsets, key, "fields");
        for (int k = 0; k < 4; k++) cr_expect(has_word(fields, planted[k]), "%s: %s\n%s", by[i], fields, t);
    }
    cr_expect(strstr(r.err, "has no model with 1 fields") && !strstr(subsets, ",1,"), "%s", r.err);
}

/* Importances of `selector` with the variants' list and settings `text`. */
static char *importances(const char *out, const char *variants, const char *selector) {
    char rest[800];
    snprintf(rest, sizeof rest,
             "variants:\n%strain: {batch: 256, epochs: 2, rows: 6000}\nmeasure: {candidates: []}\n"
             "select: {rank_by: [%s], top_k: [4], fscd: {cost: equal}}\n",
             variants, selector);
    write_planted(all_columns, "", rest);
    assert_status(prerank(&s, "run %s/x.yaml --out %s/%s --no-report", s.dir, s.dir, out), 0);
    return without_columns(&s, scratch_read(&s, strcat(strcpy((char[64]){0}, out), "/importance.csv")),
                           "seconds,request_us,ns_per_candidate");
}

Test(select, selectors_train_by_the_losses_of_the_variant) {
    static const char
        bce[] = "  - dssm: {dim: 4, hidden: [8]}\n",
        in_batch[] = "  - dssm: {dim: 4, hidden: [8], loss: in_batch}\n",
        mixed[] = "  - dssm: {dim: 4, hidden: [8], loss: {kind: mixed, negatives: 2, hard_negatives: 1}}\n";
    static const char *const by[] = {"se", "fscd", "lasso", "permutation"};
    for (int i = 0; i < 4; i++) {
        char out[3][32];
        for (int k = 0; k < 3; k++) snprintf(out[k], sizeof out[k], "%s%d", by[i], k);
        char *a = importances(out[0], bce, by[i]), *b = importances(out[1], in_batch, by[i]),
             *c = importances(out[2], mixed, by[i]);
        cr_expect(strcmp(a, b) != 0 && strcmp(b, c) != 0, "%s does not look at the loss: %s", by[i], a);
    }
    struct ran r = prerank(&s, "check %s/x.yaml --set select.rank_by=[random,single]", s.dir);
    assert_status(r, 2);
    cr_expect(strstr(r.err, "select: `single` trains models of one field") &&
                  strstr(r.err, "dssm is trained by a softmax"),
              "%s", r.err);
}

Test(select, selectors_and_the_models_that_follow_learn_from_one_teacher) {
    static const char plain[] =
        "  - cold: {dim: 4, hidden: [8]}\n  - mlp: {dim: 4, hidden: [16], select: false}\n",
                      taught[] = "  - cold: {dim: 4, hidden: [8], distill: {teacher: mlp, feature: 0.1}}\n"
                                 "  - mlp: {dim: 4, hidden: [16], select: false}\n";
    static const char *const by[] = {"se", "fscd", "lasso", "single"};
    for (int i = 0; i < 4; i++) {
        char out[2][32], name[64];
        for (int k = 0; k < 2; k++) snprintf(out[k], sizeof out[k], "%s%d", by[i], k);
        cr_expect_str_neq(importances(out[1], taught, by[i]), importances(out[0], plain, by[i]), "%s", by[i]);
        snprintf(name, sizeof name, "%s/effect.csv", out[1]);
        const char *effect = scratch_read(&s, name);
        size_t taught_by = 0;
        for (const char *at = effect; (at = strstr(at, "\nmlp,")); at++) taught_by++;
        cr_expect_eq(taught_by, 2, "the teacher has one run, of two splits: %s", effect);
        snprintf(name, sizeof name, "%s/teachers", out[1]);
        cr_expect_eq(count_files(name), 2, "and says once what it thinks");
    }
}

/* ---- several rankings ---- */

static double area_of(const char *selector, const char *column) {
    char key[64];
    snprintf(key, sizeof key, "selector=%s", selector);
    return atof(cell(&s, scratch_read(&s, "out/selection.csv"), key, column));
}

/* Mean and t interval of three areas: the quantile of 2 degrees of freedom is 4.30265273. */
static void expect_interval_over_rankings(const char *selector) {
    double x[3], mean = 0, square = 0;
    for (int k = 0; k < 3; k++) {
        char name[32];
        snprintf(name, sizeof name, k ? "%s~%d" : "%s", selector, k + 1);
        x[k] = area_of(name, "area");
        cr_expect(x[k] > .4 && x[k] < 1, "%s: %g", name, x[k]);
        mean += x[k] / 3;
    }
    for (int k = 0; k < 3; k++) square += (x[k] - mean) * (x[k] - mean) / 2;
    double half = 4.30265273 * sqrt(square / 3);
    cr_expect_eq(area_of(selector, "rankings"), 3);
    cr_expect_float_eq(area_of(selector, "area_rankings"), mean, 1e-7, "%s", selector);
    cr_expect_float_eq(area_of(selector, "area_rankings_lo"), mean - half, 1e-6, "%s", selector);
    cr_expect_float_eq(area_of(selector, "area_rankings_hi"), mean + half, 1e-6, "%s", selector);
}

Test(select, each_seed_ranks_for_itself_on_demand_and_the_interval_is_over_rankings) {
    write_planted(all_columns, "",
                  "variants:\n  - cold: {dim: 4, hidden: [8]}\nseeds: [7, 8, 9]\n"
                  "train: {batch: 256, epochs: 2, rows: 6000}\nmeasure: {candidates: []}\n"
                  "select: {rank_by: [permutation, random], top_k: [2, 4], seeds: 3, rankings: each}\n");
    assert_status(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir), 0);
    const char *subsets = scratch_read(&s, "out/subsets.csv"),
               *ranks = scratch_read(&s, "out/importance.csv");
    const char *draw[3];
    for (int k = 0; k < 3; k++) {
        char key[64], seed[96];
        snprintf(key, sizeof key, k ? "selector=random~%d" : "selector=random", k + 1);
        snprintf(seed, sizeof seed, "%s,seed=%d,rank=1", key, k + 7);
        draw[k] = cell(&s, subsets, strcat(strcpy((char[80]){0}, key), ",k=4"), "fields");
        const char *best = cell(&s, ranks, seed, "field");
        cr_expect(!strncmp(draw[k], best, strlen(best)), "%s: the best of seed %d is %s", draw[k], k + 7,
                  best);
    }
    cr_expect(strcmp(draw[0], draw[1]) != 0 && strcmp(draw[1], draw[2]) != 0, "%s, %s, %s", draw[0], draw[1],
              draw[2]);
    expect_interval_over_rankings("permutation");
    expect_interval_over_rankings("random");
    cr_expect_str_eq(cell(&s, scratch_read(&s, "out/selection.csv"), "selector=random~2", "rankings"), "");
    const char *picture = scratch_read(&s, "out/plots/selection-k-cold.svg");
    cr_expect(strstr(picture, "random, area") && !strstr(picture, "random~2, area"),
              "one line of the legend");
    assert_status(prerank(&s, "run %s/x.yaml --out %s/out --resume --set select.rankings=mean", s.dir, s.dir),
                  0);
    cr_expect(!strstr(scratch_read(&s, "out/subsets.csv"), "~"));
    cr_expect_eq(area_of("random", "rankings"), 1);
    cr_expect_str_eq(cell(&s, scratch_read(&s, "out/selection.csv"), "selector=random", "area_rankings"), "");
}

/* ---- costs that are kept ---- */

static void write_priced(void) {
    write_planted(all_columns, "",
                  "variants:\n  - cold: {dim: 4, hidden: [8]}\ntrain: {batch: 256, epochs: 2}\n"
                  "measure: {candidates: []}\nselect: {rank_by: [fscd, random], top_k: [2, 4]}\n");
}

static struct ran run_priced(const char *out, const char *settings) {
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/%s --no-report %s", s.dir, s.dir, out, settings);
    assert_status(r, 0);
    return r;
}

static const char *result(const char *out, const char *file, const char *times) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", out, file);
    return without_columns(&s, scratch_read(&s, name), times);
}

/* fscd's importances depend on the costs in every digit, and the subsets on them. */
static bool ranks_alike(const char *a, const char *b) {
    static const char *const files[][2] = {{"effect.csv", "train_seconds,examples_per_second"},
                                           {"importance.csv", "seconds,request_us,ns_per_candidate"},
                                           {"subsets.csv", ""}};
    for (int i = 0; i < 3; i++)
        if (strcmp(result(a, files[i][0], files[i][1]), result(b, files[i][0], files[i][1])) != 0)
            return false;
    return true;
}

/* The one file of DATA_DIR/field-costs. */
static char *kept_file(void) {
    char command[200], *text = arena_alloc(&s.arena, 200);
    snprintf(command, sizeof command, "ls %s/data/field-costs/*.json", s.dir);
    FILE *f = popen(command, "r");
    cr_assert(f && fgets(text, 200, f));
    cr_assert(pclose(f) == 0 && !strchr(text, ' '));
    text[strcspn(text, "\n")] = '\0';
    return text + strlen(s.dir) + 1;
}

static json_t *says(const char *out) {
    char name[64];
    snprintf(name, sizeof name, "%s/manifest.json", out);
    json_t *j = json_loads(scratch_read(&s, name), 0, NULL);
    json_t *costs = json_incref(json_object_get(json_object_get(j, "field_costs"), "cold"));
    json_decref(j);
    cr_assert(costs, "%s has no field_costs", name);
    return costs;
}

static void assert_says(const char *out, const char *costs, const char *taken) {
    json_t *j = says(out);
    cr_expect_str_eq(json_string_value(json_object_get(j, "costs")), costs, "%s", out);
    if (taken) cr_expect_str_eq(json_string_value(json_object_get(j, "taken")), taken, "%s", out);
    json_decref(j);
}

Test(select, runs_rank_by_the_same_kept_costs_and_give_the_same_bits) {
    write_priced();
    struct ran r = run_priced("a", "--threads 1");
    cr_expect(strstr(r.err, "ranked by costs measured now"), "%s", r.err);
    assert_says("a", "measured", NULL);
    json_t *first = says("a");
    const char *taken = json_string_value(json_object_get(first, "taken"));
    r = run_priced("b", "--threads 2");
    cr_expect(strstr(r.err, "ranked by costs measured at") && strstr(r.err, taken), "%s", r.err);
    assert_says("b", "kept", taken);
    run_priced("c", "--threads 8");
    cr_expect(ranks_alike("a", "b") && ranks_alike("a", "c"), "%s\n%s", scratch_read(&s, "a/importance.csv"),
              scratch_read(&s, "b/importance.csv"));
    cr_expect_str_neq(scratch_read(&s, "a/fields.csv"), scratch_read(&s, "b/fields.csv"),
                      "what a run shows is its own measurement");
    cr_expect_str_eq(cell(&s, scratch_read(&s, "a/importance.csv"), "selector=random", "ranked_cost"), "");
    json_decref(first);
}

Test(select, costs_are_measured_anew_on_demand_and_resuming_keeps_to_its_own) {
    write_priced();
    run_priced("a", "");
    char *kept = scratch_read(&s, kept_file());
    run_priced("b", "--set select.fscd.cost=measured");
    assert_says("b", "measured", NULL);
    cr_expect_str_neq(scratch_read(&s, kept_file()), kept, "the new ones take the place of the old");
    cr_expect(!ranks_alike("a", "b"));
    run_priced("c", "");
    cr_expect(ranks_alike("b", "c"), "the new ones are those that are kept");
    char command[256];
    snprintf(command, sizeof command, "cp -r %s/a %s/d && rm %s/d/importance/cold.fscd.1.json", s.dir, s.dir,
             s.dir);
    cr_assert_eq(system(command), 0);
    run_priced("d", "--resume");
    cr_expect(ranks_alike("a", "d"), "a run goes on with what it began with");
}

static json_t *own_costs(const char *out) {
    char name[64];
    snprintf(name, sizeof name, "%s/importance/cold.cost.json", out);
    json_t *j = json_loads(scratch_read(&s, name), 0, NULL), *costs = json_incref(json_object_get(j, "cost"));
    json_decref(j);
    cr_assert(costs);
    return costs;
}

/* Resumes, and whether the costs were measured for that. */
static bool measured_anew(const char *settings) {
    json_t *before = own_costs("a");
    run_priced("a", settings);
    json_t *after = own_costs("a");
    bool anew = !json_equal(before, after);
    json_decref(before);
    json_decref(after);
    return anew;
}

Test(select, costs_of_another_run_rank_alike_whatever_lies_beside_the_data) {
    char other[256];
    write_priced();
    snprintf(other, sizeof other, "--set data_dir=%s/other --costs-of %s/a", s.dir, s.dir);
    run_priced("a", "");
    run_priced("b", other);
    assert_says("b", "kept", NULL);
    cr_expect(ranks_alike("a", "b"), "%s\n%s", scratch_read(&s, "a/importance.csv"),
              scratch_read(&s, "b/importance.csv"));
    cr_expect(!scratch_has(&s, "other/field-costs"), "they are that run's, and not kept for others");
    strcat(other, " --set select.fscd.cost=measured");
    run_priced("c", other);
    cr_expect(ranks_alike("a", "c"));
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/d --costs-of %s/nowhere", s.dir, s.dir, s.dir);
    cr_expect(r.status == 2 && strstr(r.err, "nowhere: is no results folder"), "exit %d: %s", r.status,
              r.err);
}

Test(select, resuming_takes_costs_over_only_when_they_would_be_measured_in_the_same_way) {
    static const char on_demand[] = "--resume --set select.fscd.cost=measured";
    write_priced();
    run_priced("a", "--threads 2");
    json_t *first = says("a"), *there;
    cr_expect(!measured_anew("--resume --threads 2"));
    cr_expect(measured_anew("--resume --threads 1"));
    cr_expect(measured_anew("--resume --threads 1 --set measure.threads=2"));
    cr_expect(measured_anew("--resume"));
    sleep(1); /* times are in seconds */
    cr_expect(measured_anew(on_demand), "`measured` is this run's own");
    there = says("a");
    cr_expect_str_neq(json_string_value(json_object_get(there, "taken")),
                      json_string_value(json_object_get(first, "taken")));
    json_decref(first);
    run_priced("b", "--set select.fscd.cost=measured");
    char *kept = scratch_read(&s, kept_file());
    cr_expect(!measured_anew(on_demand), "which is finished");
    assert_says("a", "measured", json_string_value(json_object_get(there, "taken")));
    cr_expect_str_eq(scratch_read(&s, kept_file()), kept, "later costs stay kept");
    json_decref(there);
}

Test(select, kept_costs_that_are_not_what_was_written_are_not_believed) {
    write_priced();
    run_priced("a", "");
    char *name = kept_file(), *good = scratch_read(&s, name), *bad = arena_strdup(&s.arena, good);
    char *digit = strchr(strstr(bad, "request_us"), '.') + 1;
    *digit = *digit == '9' ? '8' : '9';
    scratch_write(&s, name, bad);
    struct ran r = run_priced("b", "");
    cr_expect(strstr(r.err, "is damaged or was changed") && strstr(r.err, "measured now"), "%s", r.err);
    assert_says("b", "measured", NULL);
    bad[strlen(bad) / 2] = '\0';
    scratch_write(&s, name, bad);
    r = run_priced("c", "");
    cr_expect(strstr(r.err, "costs of fields are not taken from there") && strstr(r.err, "measured now"),
              "%s", r.err);
    scratch_write(&s, name, good);
    run_priced("d", "");
    cr_expect(ranks_alike("a", "d"), "they are whole again");
    /* Requests of another size, or a model of other options, have costs of their own, not these. */
    run_priced("e", "--set measure.candidates=[30] --set measure.requests=20 --set measure.min_seconds=0");
    assert_says("e", "measured", NULL);
    run_priced("f", "--set cold.dim=8");
    assert_says("f", "measured", NULL);
    cr_expect_eq(count_lines(scratch_read(&s, "a/fields.csv")), 9);
}

/* ---- the sweep ---- */

static const char small[] = "variants:\n  - cold: {dim: 4, hidden: [8]}\n  - dssm: {dim: 4, hidden: [8], "
                            "select: false}\nseeds: [1, 2]\n"
                            "train: {batch: 256, epochs: 2}\n"
                            "measure: {candidates: [20, 50], requests: 400, min_seconds: 0}\n"
                            "select: {rank_by: [permutation, single, random], top_k: [1, 2, 3, 7, 8]}\n";

/* Distinct sets of fields in subsets.csv that are not all fields. */
static size_t distinct_subsets(const char *subsets) {
    size_t n = 0;
    char seen[64][64];
    for (const char *line = strchr(subsets, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        char features[64], trained_as[64];
        cr_assert_eq(sscanf(line, "%*[^,],%*[^,],%*[^,],%63[^,],%63[^,]", features, trained_as), 2);
        size_t k = 0;
        while (k < n && strcmp(seen[k], trained_as) != 0) k++;
        if (k == n && strcmp(trained_as, "all") != 0) strcpy(seen[n++], trained_as);
    }
    return n;
}

Test(select, every_name_has_its_rows_and_nothing_is_trained_twice) {
    write_planted(all_columns, "", small);
    assert_status(prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir), 0);
    const char *subsets = scratch_read(&s, "out/subsets.csv"), *effect = scratch_read(&s, "out/effect.csv"),
               *compute = scratch_read(&s, "out/compute.csv");
    static const char *const by[] = {"permutation", "single", "random"};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 5; k++) {
            char key[96];
            int fields[] = {1, 2, 3, 7, 8};
            snprintf(key, sizeof key, "variant=cold,features=%s-%d,seed=2,split=valid", by[i], fields[k]);
            cr_expect_eq(atoi(cell(&s, effect, key, "n_features")), fields[k]);
            snprintf(key, sizeof key, "variant=cold,features=%s-%d,candidates=50", by[i], fields[k]);
            cr_expect_gt(atof(cell(&s, compute, key, "qps")), 0);
        }
    cr_expect_str_eq(cell(&s, subsets, "selector=random,k=8", "trained_as"), "all",
                     "all fields are the ordinary model");
    cr_expect_str_eq(cell(&s, effect, "variant=cold,features=random-8,seed=1,split=test", "gauc"),
                     cell(&s, effect, "variant=cold,features=all,seed=1,split=test", "gauc"));
    size_t distinct = distinct_subsets(subsets);
    cr_expect_lt(distinct, 12, "some of the 12 sets must be the same");
    cr_expect_eq(count_files("out/runs"), 2 * (2 + distinct),
                 "two seeds of two variants, and of each set once");
    cr_expect_eq(count_lines(effect) - 1, 2 * 2 * (2 + 15), "a row for every name, seed and split");
}

static void kill_after(const char *file) {
    char config[100], out[100];
    snprintf(config, sizeof config, "%s/x.yaml", s.dir);
    snprintf(out, sizeof out, "%s/killed", s.dir);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(126);
        execl(prerank_path(), "prerank", "run", config, "--out", out, "--no-report", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    for (int i = 0; i < 6000 && !scratch_has(&s, file); i++) {
        cr_assert_eq(waitpid(child, &status, WNOHANG), 0, "it ended by itself");
        usleep(2000);
    }
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
}

Test(select, resumes_in_every_stage_to_the_same_files) {
    static const char *const stage[] = {"killed/importance/cold.permutation.1.json", "killed/subsets.csv",
                                        "killed/runs/cold.permutation-1.1.json"};
    static const char *const files[] = {"effect.csv", "curves.csv", "importance.csv", "subsets.csv"};
    static const char *const times[] = {"train_seconds,examples_per_second", "seconds",
                                        "seconds,request_us,ns_per_candidate", ""};
    write_planted(all_columns, "", small);
    assert_status(prerank(&s, "run %s/x.yaml --out %s/whole --no-report", s.dir, s.dir), 0);
    for (int i = 0; i < 3; i++) {
        kill_after(stage[i]);
        struct ran r = prerank(&s, "run %s/x.yaml --out %s/killed --resume --no-report", s.dir, s.dir);
        assert_status(r, 0);
        cr_expect(strstr(r.err, "runs are there already"), "%s", r.err);
        for (int k = 0; k < 4; k++) {
            char a[64], b[64];
            snprintf(a, sizeof a, "whole/%s", files[k]);
            snprintf(b, sizeof b, "killed/%s", files[k]);
            cr_expect_str_eq(without_columns(&s, scratch_read(&s, b), times[k]),
                             without_columns(&s, scratch_read(&s, a), times[k]), "%s, killed at %s", files[k],
                             stage[i]);
        }
        cr_assert_eq(
            system(strcat(strcpy((char[128]){0}, "rm -r "), strcat(strcpy((char[96]){0}, s.dir), "/killed"))),
            0);
    }
}

/* ---- the pick ---- */

/* Turns the label of every test row around, in the dataset itself. */
static void flip_test_labels(void) {
    char path[128];
    struct err e = ERR_INIT;
    struct dataset ds;
    snprintf(path, sizeof path, "%s/data", s.dir);
    cr_assert_eq(dataset_open(path, &ds, &e), 0, "%s", e.msg);
    uint64_t begin = ds.split[SPLIT_TEST].begin, end = ds.split[SPLIT_TEST].end, rows = ds.n_rows;
    dataset_close(&ds);
    snprintf(path, sizeof path, "%s/data/rows/label.npy", s.dir);
    FILE *f = fopen(path, "r+b");
    cr_assert(f && !fseek(f, 0, SEEK_END));
    long head = ftell(f) - (long)rows;
    for (uint64_t i = begin; i < end; i++) {
        fseek(f, head + (long)i, SEEK_SET);
        int label = fgetc(f);
        fseek(f, head + (long)i, SEEK_SET);
        fputc(!label, f);
    }
    fclose(f);
}

Test(select, the_pick_depends_on_validation_rows_only) {
    write_planted(all_columns, "", small);
    assert_status(prerank(&s, "run %s/x.yaml --out %s/a --set measure.candidates=[20]", s.dir, s.dir), 0);
    flip_test_labels();
    assert_status(prerank(&s, "run %s/x.yaml --out %s/b --set measure.candidates=[20]", s.dir, s.dir), 0);
    cr_expect_str_eq(chosen("b", "trained_as"), chosen("a", "trained_as"));
    cr_expect_str_eq(chosen("b", "gauc_valid"), chosen("a", "gauc_valid"));
    cr_expect_gt(atof(chosen("a", "gauc")), 0.6);
    cr_expect_lt(atof(chosen("b", "gauc")), 0.4, "the labels were turned around");
}

Test(select, another_budget_chooses_again_and_one_that_nobody_fits_is_exit_3) {
    write_planted(all_columns, "", small);
    struct ran r = prerank(&s,
                           "run %s/x.yaml --out %s/out --set measure.candidates=[20] "
                           "--set select.subject_to.n_features=3",
                           s.dir, s.dir);
    assert_status(r, 0);
    cr_expect(strstr(r.out, "n_features <= 3"), "%s", r.out);
    cr_expect_leq(atof(chosen("out", "n_features")), 3);
    char *before = scratch_read(&s, "out/effect.csv");
    r = prerank(&s, "report %s/out --no-plots --set 'select.subject_to.n_features=<= 1'", s.dir);
    assert_status(r, 0);
    cr_expect_str_eq(chosen("out", "n_features"), "1");
    cr_expect_str_eq(scratch_read(&s, "out/effect.csv"), before, "nothing was run again");
    cr_expect(strstr(scratch_read(&s, "out/report.html"), "n_features &lt;= 1"));
    r = prerank(&s, "report %s/out --no-plots --set select.subject_to.p99_ms=0.000001", s.dir);
    assert_status(r, 3);
    cr_expect(strstr(r.err, "no model fits the budget") && strstr(r.err, "the closest is"), "%s", r.err);
    cr_expect_str_eq(chosen("out", "features"), "");
    r = prerank(&s,
                "run %s/x.yaml --out %s/out --resume --set measure.candidates=[20] "
                "--set select.subject_to.qps=1e12",
                s.dir, s.dir);
    assert_status(r, 3);
    cr_expect(scratch_has(&s, "out/report.html"), "the report is there all the same");
    r = prerank(&s,
                "run %s/x.yaml --out %s/out --resume --set measure.candidates=[20] --no-report "
                "--set select.subject_to.qps=1e12",
                s.dir, s.dir);
    assert_status(r, 3);
    cr_expect(strstr(r.err, "the closest is") && !*r.out, "%s\n%s", r.out, r.err);
    r = prerank(&s,
                "run %s/x.yaml --out %s/out --resume --set measure.candidates=[] --no-report "
                "--set select.subject_to.n_features=3",
                s.dir, s.dir);
    assert_status(r, 3);
    cr_expect(strstr(r.err, "Nothing was timed"), "%s", r.err);
    cr_expect(strstr(r.err, "the exit code will be 3"), "said before it trains: %s", r.err);
    r = prerank(&s,
                "check %s/x.yaml --set measure.load=[closed,usable] --set measure.limit_ms=10 "
                "--set select.subject_to.qps=5 --set select.subject_to.p99_ms=%d",
                s.dir, 10);
    assert_status(r, 0);
    cr_expect(!strstr(r.err, "tighter") && !strstr(r.err, "exit code"), "%s", r.err);
    r = prerank(&s,
                "check %s/x.yaml --set measure.load=[closed,usable] --set measure.limit_ms=10 "
                "--set select.subject_to.qps=5 --set select.subject_to.p99_ms=%d",
                s.dir, 5);
    assert_status(r, 0);
    cr_expect(strstr(r.err, "measure.limit_ms=5"), "%s", r.err);
    r = prerank(&s, "report %s/out --set train.batch=3", s.dir);
    assert_status(r, 2);
    r = prerank(&s, "report %s/out --set select.subject_to.p98_ms=3", s.dir);
    assert_status(r, 2);
    cr_expect(strstr(r.err, "unknown key `p98_ms`"), "%s", r.err);
}

Test(select, the_choice_and_every_figure_of_its_explanation_equal_pandas_and_scipy) {
    write_planted(all_columns, "", small);
    assert_status(prerank(&s,
                          "run %s/x.yaml --out %s/out --set measure.precision=[fp32,int8] "
                          "--set measure.store=[memory,lmdb] --set measure.recall_requests=0 "
                          "--set select.subject_to.n_features=3",
                          s.dir, s.dir),
                  0);
    char command[128];
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/check_choice.py %s/out >&2", s.dir);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "out/chosen.json"));
    /* A budget that costs nothing, and one that nothing fits. */
    assert_status(prerank(&s, "report %s/out --no-plots --set select.subject_to.n_features=100", s.dir), 0);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "out/chosen.json"));
    assert_status(prerank(&s, "report %s/out --no-plots --set select.subject_to.qps=1e12", s.dir), 3);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "out/chosen.json"));
}

/* ---- what the pick is made of ---- */

/* Three models of which a is the best and c the worst, with the rows of compute.csv; then another budget for them. */
static struct ran choose_of(const char *rows, const char *budget) {
    results_minimal(&s,
                    "a,all,1,test,0.73,,,ok\na,all,1,valid,0.73,,,ok\nb,all,1,test,0.72,,,ok\n"
                    "b,all,1,valid,0.72,,,ok\nc,all,1,test,0.71,,,ok\nc,all,1,valid,0.71,,,ok\n",
                    "");
    char text[1200];
    snprintf(
        text, sizeof text,
        "variant,features,precision,store,candidates,threads,load,qps,p50_us,p99_us,verdict,limit_ms\n%s",
        rows);
    scratch_write(&s, "compute.csv", text);
    return prerank(&s, "report %s --no-plots %s", s.dir, budget);
}

static json_t *first_choice(void) {
    json_t *j = json_loads(scratch_read(&s, "chosen.json"), 0, NULL);
    json_t *c = json_incref(json_array_get(json_object_get(j, "choices"), 0));
    json_decref(j);
    return c;
}

#define CLOSED(id, verdict)      id ",all,fp32,memory,100,1,closed,9000,100,200," verdict ",10\n"
#define USABLE(id, qps, verdict) id ",all,fp32,memory,100,1,usable," qps ",300,9000," verdict ",10\n"

Test(select, a_usable_rate_is_said_to_be_of_the_limit_at_which_it_was_searched) {
    static const char rows[] =
        CLOSED("a", "ok") USABLE("a", "2500", "ok") CLOSED("b", "ok") USABLE("b", "1500", "ok");
    struct ran r = choose_of(rows, "--set select.subject_to.qps=2000 --set select.subject_to.p99_ms=10");
    assert_status(r, 0);
    cr_expect(strstr(r.out, "(QPS usable at 10 ms): 1 of 2 points fit") &&
                  strstr(r.out, "2,500 QPS usable at 10 ms"),
              "%s", r.out);
    cr_expect(!strstr(r.out, "was not measured"), "%s", r.out);
    r = choose_of(rows, "--set select.subject_to.qps=2000 --set select.subject_to.p99_ms=5");
    assert_status(r, 0);
    cr_expect(strstr(r.out, "usable at the budget's own p99 was not measured") &&
                  strstr(r.out, "measure.limit_ms=5"),
              "%s", r.out);
    json_t *c = first_choice();
    cr_expect_eq(json_number_value(json_object_get(c, "qps_limit_ms")), 10);
    cr_expect_eq(json_number_value(json_object_get(json_object_get(c, "chosen"), "usable_limit_ms")), 10);
    json_decref(c);
    r = choose_of(rows, "--set select.subject_to.qps=2000 --set measure.limit_ms=5");
    assert_status(r, 0);
    cr_expect(strstr(r.out, "was not measured"), "%s", r.out);
}

Test(select, verdicts_stand_beside_what_they_are_about_and_missing_items_are_not_chosen) {
    struct ran r =
        choose_of(CLOSED("a", "items missing") CLOSED("b", "unstable") USABLE("b", "3000", "invalid")
                      CLOSED("c", "ok") USABLE("c", "0", "overloaded"),
                  "--set select.subject_to.p99_ms=1");
    assert_status(r, 0);
    json_t *c = first_choice(), *pick = json_object_get(c, "chosen");
    cr_expect_str_eq(json_string_value(json_object_get(pick, "variant")), "b");
    cr_expect_str_eq(json_string_value(json_object_get(pick, "verdict")), "unstable");
    cr_expect_str_eq(json_string_value(json_object_get(pick, "usable_verdict")), "invalid");
    cr_expect_eq(json_integer_value(json_object_get(c, "points")), 2);
    cr_expect_eq(json_integer_value(json_object_get(c, "doubtful")), 1);
    cr_expect_eq(json_integer_value(json_object_get(c, "incomplete")), 1);
    const char *text = json_string_value(json_object_get(c, "explanation"));
    static const char *const want[] = {"p99 200 µs (verdict: unstable)",
                                       "3,000 QPS usable at 10 ms (verdict: invalid)",
                                       "verdict on 1 of the 2 is not `ok`", "1 more cannot be chosen"};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_expect(strstr(text, want[i]), "%s\n%s", want[i], text);
    json_decref(c);
    r = choose_of(CLOSED("a", "items missing"), "--set select.subject_to.p99_ms=1");
    assert_status(r, 3);
    cr_expect(strstr(r.err, "No point fits"), "%s", r.err);
}

/* Each K with a time in fp32 and a shorter one in int8, whose quality is another. */
Test(select, the_area_over_response_time_pairs_times_with_the_quality_of_their_precision) {
    results_minimal(&s,
                    "a,se-1,1,test,0.60,,,ok\na,se-1,1,valid,0.60,,,ok\na,se-2,1,test,0.70,,,ok\n"
                    "a,se-2,1,valid,0.70,,,ok\na,se-3,1,test,0.65,,,ok\na,se-3,1,valid,0.65,,,ok\n",
                    "");
    scratch_write(&s, "subsets.csv",
                  "variant,selector,k,features,trained_as,n_fields,fields\na,se,1,se-1,se-1,1,x\n"
                  "a,se,2,se-2,se-2,2,x y\na,se,3,se-3,se-3,3,x y z\n");
    scratch_write(&s, "importance.csv", "variant,selector,seed,field,importance\n");
    static const char head[] = "variant,features,precision,candidates,p50_us\n",
                      lower[] = "a,se-1,int8,10,50\na,se-2,int8,10,60\na,se-3,int8,10,150\n",
                      exact[] = "a,se-1,fp32,10,100\na,se-2,fp32,10,200\na,se-3,fp32,10,300\n";
    char text[400];
    scratch_write(&s, "precision.csv",
                  "variant,features,precision,seed,split,gauc_delta\na,se-1,int8,1,test,-0.1\n"
                  "a,se-2,int8,1,test,-0.1\na,se-3,int8,1,test,-0.1\n");
    for (int both = 0; both < 2; both++) {
        snprintf(text, sizeof text, "%s%s%s", head, lower, both ? exact : "");
        scratch_write(&s, "compute.csv", text);
        struct ran r = prerank(&s, "report %s --no-plots", s.dir);
        assert_status(r, 0);
        double area = atof(cell(&s, scratch_read(&s, "selection.csv"), "selector=se", "area_rt")),
               want = both ? (.60 + .70) / 2 : (.60 * 10 + .70 * 90) / 100 - .1;
        cr_expect_float_eq(area, want, 1e-6, "%g, not %g", area, want);
    }
}

Test(select, a_budget_that_is_about_nothing_that_was_timed_is_exit_3) {
    struct ran r = choose_of(CLOSED("a", "ok"), "--set select.subject_to.candidates=5000");
    assert_status(r, 3);
    cr_expect(strstr(r.err, "No point has candidates == 5000; timed: 100"), "%s", r.err);
    cr_expect(strstr(r.out, "No point has candidates == 5000"), "%s", r.out);
    cr_expect(strstr(scratch_read(&s, "report.html"), "No point has candidates == 5000"));
    cr_expect(strstr(scratch_read(&s, "chosen.json"), "No point has candidates == 5000"));
    r = choose_of(CLOSED("a", "ok"), "--set 'select.subject_to.candidates=<= 100'");
    assert_status(r, 0);
    r = choose_of("", "--set select.subject_to.p99_ms=5");
    assert_status(r, 3);
    cr_expect(strstr(r.err, "Nothing was timed"), "%s", r.err);
    r = choose_of("", "");
    assert_status(r, 0);
}

/* ---- options ---- */

Test(select, mistakes_have_a_position) {
    write_planted(all_columns, "",
                  "variants: [dssm, cold]\n"
                  "select:\n  rank_by: [se, permutaton]\n  top_k: [2]\n  variant: [dsm]\n  form: all\n"
                  "  subject_to: {p99_ms: \"<= ten\", qsp: 3}\n  fscd: {strength: -1}\n");
    struct ran r = prerank(&s, "check %s/x.yaml", s.dir);
    assert_status(r, 2);
    static const char *const want[] = {
        ":22:17: select: each member of `rank_by`",
        "did you mean \"permutation\"?",
        ":24:13: select: no variant of the experiment is called `dsm`, did you mean \"dssm\"?",
        ":25:3: select: unknown key `form`, did you mean \"from\"?",
        "`p99_ms` is \"<= ten\"; write a comparison",
        ":26:34: select.subject_to: unknown key `qsp`",
        ":27:20: select.fscd: `strength` must be between"};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_expect(strstr(r.err, want[i]), "%s\n%s", want[i], r.err);
}

Test(select, the_list_of_names_is_that_of_the_registry) {
    for (int i = 0; i < SELECTORS; i++) {
        cr_assert_eq(strcmp(select_opts[0].name, "rank_by"), 0);
        cr_expect_str_eq(select_opts[0].choices[i], selectors[i]->name);
    }
    cr_expect_eq(selectors[SELECTORS], NULL);
}

/* ---- budgets ---- */

Test(budget, bare_numbers_take_the_direction_of_their_kind) {
    struct budget_options o;
    struct budget b;
    struct str text = STR_INIT;
    struct err e = ERR_INIT;
    opt_defaults(budget_opts, &o);
    strcpy(o.text[BUDGET_P99], "5");
    strcpy(o.text[BUDGET_QPS], ">2000");
    strcpy(o.text[BUDGET_ITEMS], "2M");
    strcpy(o.text[BUDGET_CANDIDATES], "1000");
    cr_assert_eq(budget_parse(&o, &b, &e), 0, "%s", e.msg);
    budget_text(&b, &text);
    cr_expect_str_eq(text.p, "p99_ms <= 5 and qps > 2000 and items_per_second >= 2000000");
    str_release(&text);
    cr_expect(budget_covers(&b, 1000) && !budget_covers(&b, 100));
    double v[BUDGET_METRICS] = {
        [BUDGET_P99] = 5, [BUDGET_QPS] = 2001, [BUDGET_ITEMS] = 2e6, [BUDGET_CANDIDATES] = 1000};
    cr_expect(budget_keeps(&b, v));
    cr_expect_eq(budget_excess(&b, v), 1);
    v[BUDGET_QPS] = 2000;
    cr_expect(!budget_keeps(&b, v), "not more than itself");
    v[BUDGET_QPS] = 1000;
    v[BUDGET_P99] = 15;
    cr_expect_float_eq(budget_excess(&b, v), 6, 1e-12, "twice too few, three times too slow");
    v[BUDGET_P99] = (double)NAN;
    cr_expect(!budget_keeps(&b, v) && isinf(budget_excess(&b, v)), "what was not measured fits no budget");
}

Test(budget, nonsense_is_refused) {
    static const char *const bad[] = {"soon", "<=", "<= -1", "=> 5", "5 ms"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct budget_options o;
        struct budget b;
        struct err e = ERR_INIT;
        opt_defaults(budget_opts, &o);
        strcpy(o.text[BUDGET_P99], bad[i]);
        cr_expect_eq(budget_parse(&o, &b, &e), ERR_INPUT, "%s", bad[i]);
        cr_expect(strstr(e.msg, bad[i]) && strstr(e.msg, "p99_ms"), "%s", e.msg);
    }
}
