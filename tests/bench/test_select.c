/* Choosing features: planted truth is found, every variant is ranked for, nothing is trained twice. */
#include "base/file.h"
#include "bench/run/experiment.h"
#include "bench/select/field_cost.h"
#include "bench/select/select.h"
#include "data/prepare.h"
#include "tests/bench/planted.h"
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

static const char *const planted[] = {"u0", "i0", "u1", "i1"}, *const noise[] = {"nu0", "nu1", "ni0", "ni1"};
static const double strength[] = {10, 10, 6, 6, 0, 0, 0, 0};

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
    planted_write(
        &s, planted_columns, "",
        "variants:\n  - cold: {dim: 8, hidden: [24]}\n"
        "train: {batch: 128, epochs: 6, learning_rate: 0.004, patience: 0}\nmeasure: {candidates: []}\n"
        "select: {rank_by: [se, permutation, fscd, lasso, random], top_k: [4]}\n");
    planted_status(prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir), 0);
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
    planted_write(
        &s, "    k: {side: user, from: ts, extract: \"^(1)\"}\n    u0: {side: user}\n    i0: {side: item}\n",
        "  derive:\n    twin: {kind: cross, of: [k, i0], buckets: 1000}\n",
        "variants:\n  - cold: {dim: 8, hidden: [24]}\nfeatures: {all: [u0, i0, twin]}\n"
        "train: {batch: 128, epochs: 6, learning_rate: 0.004, patience: 0}\nmeasure: {candidates: []}\n"
        "select: {rank_by: [fscd], top_k: [2], fscd: {strength: 5}}\n");
    /* Costs are measured: another program's turn on the processor may fall on the cheap field's. Then once more, anew. */
    double dear = 0, cheap = 0;
    for (int attempt = 0; attempt < 5 && !(dear > 2 * cheap); attempt++) {
        planted_status(prerank(&s, "run %s/x.yaml --out %s/out --no-report --set select.fscd.cost=measured",
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
    planted_status(
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
    planted_write(
        &s, planted_columns, "  derive:\n    recent: {kind: recent, of: i0, n: 5}\n",
        "variants:\n  - dssm: {dim: 4, hidden: [8]}\n  - senet: {dim: 4, hidden: [8]}\n"
        "  - parallel: {dim: 4, hidden: [8], d: 4, cin: [2]}\n"
        "  - dat: {dim: 4, hidden: [8], user_id: u0, item_id: i0}\n"
        "  - inttower: {dim: 4, hidden: [8], heads: 2, head_dim: 4}\n  - mlp: {dim: 4, hidden: [8]}\n"
        "  - dcn: {dim: 4, hidden: [8]}\n  - din: {dim: 4, hidden: [8], attention: 4}\n"
        "  - cold: {dim: 4, hidden: [8]}\ntrain: {batch: 512, epochs: 1, rows: 2000}\n"
        "measure: {candidates: []}\n"
        "select: {rank_by: [se, permutation, fscd, single, random], top_k: [2, 5], permutation: {shuffles: "
        "1}}\n");
    planted_status(prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir), 0);
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
    planted_write(&s, planted_columns, "",
                  "variants:\n  - dssm: {dim: 4, hidden: [8]}\n  - mlp: {dim: 4, hidden: [16]}\n"
                  "train: {batch: 256, epochs: 1, rows: 4000}\n"
                  "measure: {candidates: [20, 50], precision: [fp32, bf16], requests: 60, min_seconds: 0, "
                  "recall_requests: 0}\n"
                  "select: {rank_by: [single, random], top_k: [4, 6], subject_to: {n_features: 6}}\n");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir);
    planted_status(r, 0);
    const char *points = scratch_read(&s, "out/tradeoff.csv");
    for (int k = 0; k < 16; k++) {
        char key[128];
        snprintf(key, sizeof key, "variant=%s,features=%s-%d,precision=%s,candidates=%d",
                 k & 1 ? "mlp" : "dssm", k & 2 ? "single" : "random", 6, k & 4 ? "fp32" : "bf16",
                 k & 8 ? 20 : 50);
        cr_expect_gt(atof(cell(&s, points, key, "p50_us")), 0, "%s", key);
    }
    const char *precision = planted_chosen(&s, "out", "precision"),
               *report = scratch_read(&s, "out/report.html");
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
    planted_write(
        &s, planted_columns, "",
        "variants:\n  - dssm: {dim: 4, hidden: [8]}\n  - mlp: {dim: 4, hidden: [16]}\nseeds: [1, 2, 3]\n"
        "train: {batch: 256, epochs: 1, rows: 3000}\n"
        "measure: {candidates: [20, 50], requests: 60, min_seconds: 0, recall_requests: 0}\n"
        "select: {rank_by: [single, random], top_k: [1, 3, 4, 7]}\n");
    planted_status(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir), 0);
    char command[128];
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/check_selection.py %s/out >&2", s.dir);
    cr_expect_eq(system(command), 0, "%s", scratch_read(&s, "out/selection.csv"));
}

Test(select, fields_of_two_towers_are_told_from_noise_on_both_sides) {
    planted_write(
        &s, planted_columns, "",
        "variants:\n  - dssm: {dim: 8, hidden: [16, 8]}\n"
        "train: {batch: 128, epochs: 6, learning_rate: 0.004, patience: 0}\nmeasure: {candidates: []}\n"
        "select: {rank_by: [se, permutation, fscd, lasso], top_k: [1, 4]}\n");
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir);
    planted_status(r, 0);
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
    planted_write(&s, planted_columns, "", rest);
    planted_status(prerank(&s, "run %s/x.yaml --out %s/%s --no-report", s.dir, s.dir, out), 0);
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
    planted_status(r, 2);
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
    planted_write(&s, planted_columns, "",
                  "variants:\n  - cold: {dim: 4, hidden: [8]}\nseeds: [7, 8, 9]\n"
                  "train: {batch: 256, epochs: 2, rows: 6000}\nmeasure: {candidates: []}\n"
                  "select: {rank_by: [permutation, random], top_k: [2, 4], seeds: 3, rankings: each}\n");
    planted_status(prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir), 0);
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
    planted_status(
        prerank(&s, "run %s/x.yaml --out %s/out --resume --set select.rankings=mean", s.dir, s.dir), 0);
    cr_expect(!strstr(scratch_read(&s, "out/subsets.csv"), "~"));
    cr_expect_eq(area_of("random", "rankings"), 1);
    cr_expect_str_eq(cell(&s, scratch_read(&s, "out/selection.csv"), "selector=random", "area_rankings"), "");
}

/* ---- the sweep ---- */

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
    planted_write(&s, planted_columns, "", planted_small);
    planted_status(prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir), 0);
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
    planted_write(&s, planted_columns, "", planted_small);
    planted_status(prerank(&s, "run %s/x.yaml --out %s/whole --no-report", s.dir, s.dir), 0);
    for (int i = 0; i < 3; i++) {
        kill_after(stage[i]);
        struct ran r = prerank(&s, "run %s/x.yaml --out %s/killed --resume --no-report", s.dir, s.dir);
        planted_status(r, 0);
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

/* ---- options ---- */

Test(select, mistakes_have_a_position) {
    planted_write(&s, planted_columns, "",
                  "variants: [dssm, cold]\n"
                  "select:\n  rank_by: [se, permutaton]\n  top_k: [2]\n  variant: [dsm]\n  form: all\n"
                  "  subject_to: {p99_ms: \"<= ten\", qsp: 3}\n  fscd: {strength: -1}\n");
    struct ran r = prerank(&s, "check %s/x.yaml", s.dir);
    planted_status(r, 2);
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
