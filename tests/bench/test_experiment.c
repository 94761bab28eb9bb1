#include "bench/run/experiment.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static struct experiment x;
static struct problems p;
static int loaded;

static void setup(void) {
    scratch_make(&s);
    p = (struct problems)PROBLEMS_INIT;
    loaded = 0;
}
static void teardown(void) {
    if (loaded) experiment_release(&x);
    problems_release(&p);
    scratch_remove(&s);
}
TestSuite(experiment, .init = setup, .fini = teardown);

static int load(const char *rest, const char *const *set, size_t n) {
    char path[100];
    if (loaded) experiment_release(&x);
    scratch_write(&s, "mine.yaml", small_experiment(&s, 2000, rest));
    snprintf(path, sizeof path, "%s/mine.yaml", s.dir);
    int rc = experiment_load(path, set, n, &x, &p);
    loaded = !rc;
    return rc;
}

static void assert_loads(const char *rest) { cr_assert_eq(load(rest, NULL, 0), 0, "%s", p.text.p); }

/* `rest` begins on line 18 of the file. The only message must be `message`, with the path left out. */
static void assert_problem(const char *rest, const char *message) {
    problems_release(&p);
    cr_expect_eq(load(rest, NULL, 0), ERR_INPUT);
    if (loaded) experiment_release(&x);
    loaded = 0;
    cr_assert_eq(p.n, 1, "%d problems:\n%s", p.n, p.text.p);
    const char *got = p.text.p + strlen(s.dir) + strlen("/mine.yaml:");
    cr_expect_eq(strncmp(got, message, strlen(message)), 0, "wanted %s\ngot    %s", message, got);
}

Test(experiment, a_short_one_has_defaults) {
    assert_loads("variants: [dssm]\n");
    cr_expect_str_eq(x.o.name, "small");
    cr_expect_eq(x.n_subsets, 1);
    cr_expect_str_eq(x.subset[0].name, "all");
    cr_expect_eq(x.o.seeds.n, 1);
    cr_expect_eq(x.train.batch, 1024);
    cr_expect_eq(x.train.monitor, MONITOR_GAUC);
    cr_expect_eq(x.variant[0].train.optim.optimizer, OPTIM_ADAM);
    cr_expect_eq(x.measure.candidates.n, 2);
    cr_expect_eq(experiment_check_models(&x, &p), 0, "%s", p.text.p);
}

Test(experiment, a_variant_overrides_options_and_training) {
    assert_loads("train: {epochs: 4, l2: 0.1}\n"
                 "variants:\n"
                 "  - mlp\n"
                 "  - mlp: {id: wide, dim: 32, train: {epochs: 7}}\n");
    cr_expect_eq(x.variant[0].train.epochs, 4);
    cr_expect_eq(x.variant[1].train.epochs, 7);
    cr_expect_eq(x.variant[1].train.optim.l2, 0.1);
    cr_expect_str_eq(x.variant[1].id, "wide");
    cr_expect_eq(((const struct model_options *)x.variant[1].options)->dim, 32);
}

Test(experiment, set_changes_any_option) {
    const char *set[] = {"train.batch=2k", "seeds=[4, 5]", "dssm.dim=8", "deep.train.epochs=3",
                         "measure.candidates=[10]"};
    cr_assert_eq(load("variants: [dssm, mlp: {id: deep}]\n", set, 5), 0, "%s", p.text.p);
    cr_expect_eq(x.train.batch, 2000);
    cr_expect_eq(x.o.seeds.v[1], 5);
    cr_expect_eq(((const struct model_options *)x.variant[0].options)->dim, 8);
    cr_expect_eq(x.variant[1].train.epochs, 3);
    cr_expect_eq(x.measure.candidates.v[0], 10);
}

Test(experiment, set_of_something_unknown_says_so) {
    const char *set[] = {"trian.batch=2", "nonsense"};
    cr_assert_eq(load("variants: [dssm]\n", set, 2), ERR_INPUT);
    cr_expect_eq(p.n, 2);
    cr_expect(strstr(p.text.p, "`trian`, did you mean \"train\"?"), "%s", p.text.p);
    cr_expect(strstr(p.text.p, "--set nonsense: write it as KEY=VALUE"), "%s", p.text.p);
}

Test(experiment, errors_say_where_and_what_would_work) {
    assert_problem("variants: [dsm]\n", "18:12: unknown variant `dsm`, did you mean \"dssm\"?");
    assert_problem("variants: [dssm]\nseds: [1]\n",
                   "19:1: experiment: unknown key `seds`, did you mean \"seeds\"?");
    assert_problem("variants: [dssm]\ntrain: {bach: 2}\n",
                   "19:9: train: unknown key `bach`, did you mean \"batch\"?");
    assert_problem("variants:\n  - dssm: {hiden: [2]}\n",
                   "19:12: dssm: unknown key `hiden`, did you mean \"hidden\"?");
    assert_problem("variants:\n  - dssm: {train: {epohs: 2}}\n", "19:20: dssm: train: unknown key `epohs`");
    assert_problem("variants: [dssm]\ntrain: {epochs: none}\n", "19:17: train: `epochs` must be");
    assert_problem("variants: [dssm, dssm]\n",
                   "18:18: two variants are called `dssm`; give one another `id`");
    assert_problem("variants:\n  - dssm: {id: a/b}\n", "19:16: the id \"a/b\" becomes part of file names");
    assert_problem("variants:\n  - dssm:\n    dim: 8\n",
                   "20:5: a variant is one `name: {options}`; indent `dim`");
    assert_problem("variants: dssm\n", "18:11: `variants` must be a list, not \"dssm\"");
    assert_problem("features: {all: \"*\"}\n", "1:1: needs the key `variants`");
    assert_problem("variants: [dssm]\nfeatures: {a: [user, itm]}\n",
                   "19:22: feature subset `a`: no field of the data matches `itm`, did you mean \"item\"?");
    assert_problem("variants: [dssm]\nfeatures: {a: []}\n",
                   "19:15: feature subset `a` must be \"*\" or a list");
    assert_problem("variants: [dssm]\nseeds: [1, 1]\n", "19:8: `seeds` names 1 twice");
}

Test(experiment, all_problems_are_told_at_once) {
    cr_assert_eq(
        load("variants: [dsm, {mlp: {dim: 0}}]\ntrain: {epochs: -1, patiense: 2}\nfeatures: {a: [nope]}\n",
             NULL, 0),
        ERR_INPUT);
    cr_expect_eq(p.n, 5, "%s", p.text.p);
}

Test(experiment, a_model_that_cannot_be_built_is_found_before_the_data_is_read) {
    assert_loads("variants: [mlp, dssm]\nfeatures: {half: [user]}\n");
    cr_expect_eq(experiment_check_models(&x, &p), ERR_INPUT);
    cr_expect_eq(p.n, 1);
    cr_expect(strstr(p.text.p, ":18:17: dssm on feature subset `half`: "), "%s", p.text.p);
}

Test(experiment, options_that_do_not_go_together_are_found_too) {
    assert_loads("variants: [mlp]\ntrain: {embedding_decay: full, embedding_l2: 1e-5}\n");
    cr_expect_eq(experiment_check_models(&x, &p), ERR_INPUT);
    cr_expect(strstr(p.text.p, "needs `embedding_update: dense`"), "%s", p.text.p);
}

static struct hash train_hash(const char *rest) {
    struct hash h;
    assert_loads(rest);
    json_t *j = experiment_train_json(&x);
    cr_assert_eq(json_hash(j, &h, NULL), 0);
    json_decref(j);
    experiment_release(&x);
    loaded = 0;
    return h;
}

Test(experiment, what_is_measured_is_no_part_of_the_training_hash) {
    struct hash plain = train_hash("variants: [dssm]\n");
    cr_expect_str_eq(plain.hex, train_hash("variants: [dssm]\nmeasure: {requests: 7}\n").hex);
    cr_expect_str_eq(plain.hex, train_hash("variants:\n  - dssm: {dim: 16}\ntrain: {batch: 1024}\n").hex);
    cr_expect_str_neq(plain.hex, train_hash("variants: [dssm]\ntrain: {batch: 512}\n").hex);
    cr_expect_str_neq(plain.hex, train_hash("variants:\n  - dssm: {dim: 8}\n").hex);
}

Test(experiment, the_resolved_config_names_every_option) {
    assert_loads("variants: [dssm]\n");
    json_t *j = experiment_json(&x);
    json_t *v = json_array_get(json_object_get(j, "variants"), 0);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(v, "options"), "dim")), 16);
    cr_expect(json_object_get(json_object_get(v, "train"), "learning_rate"));
    cr_expect(json_object_get(json_object_get(j, "measure"), "warmup"));
    json_decref(j);
}

/* ---- options beside each other ---- */

Test(experiment, an_option_that_means_nothing_beside_the_others_is_refused_where_it_stands) {
    assert_problem("variants:\n  - dssm: {temperature: 0.05}\n",
                   "19:12: dssm: `temperature` means nothing without `normalize: true`");
    assert_problem("variants: [dat: {category_alignment: 0, category: i0}]\n",
                   "18:41: dat: `category` means nothing with `category_alignment: 0`");
    assert_problem("variants:\n  - mlp: {id: m, batch_norm_uniform: true}\n",
                   "19:18: m: `batch_norm_uniform` means nothing without `batch_norm: true`");
    static const char *const channel[][2] = {
        {"d: 9", "`d` means nothing without the channels mlp, dcn and cin"},
        {"cin: [7]", "`cin` means nothing without the channel cin"},
        {"ffm_dim: 2", "`ffm_dim` means nothing without the channel ffm"},
        {"cross_layers: 9", "`cross_layers` means nothing without"},
        {"hidden: [8]", "`hidden` means nothing without the channel mlp"},
        {"dropout: 0.1", "`dropout` means nothing without"},
        {"batch_norm: true", "`batch_norm` means nothing without"}};
    for (size_t i = 0; i < sizeof channel / sizeof *channel; i++) {
        char rest[128], message[128];
        snprintf(rest, sizeof rest, "variants:\n  - parallel: {channels: [fm], %s}\n", channel[i][0]);
        snprintf(message, sizeof message, "19:32: parallel: %s", channel[i][1]);
        assert_problem(rest, message);
    }
    assert_problem("variants: [parallel: {channels: [ffm], dim: 4}]\n",
                   "18:40: parallel: `dim` means nothing with `channels: [ffm]`");
    assert_loads(
        "variants: [dssm: {normalize: true, temperature: 0.05}, mlp: {batch_norm: true, "
        "batch_norm_uniform: true}, parallel: {channels: [ffm, cin], ffm_dim: 2, cin: [7], d: 9}]\n");
}

/* The reason is found after both were read, whichever of them makes an option idle. */
Test(experiment, options_of_the_file_and_of_set_are_held_against_each_other) {
    static const char *const file = "variants:\n  - dssm: {loss: {kind: mixed, negatives: 4}}\n"
                                    "  - dssm: {id: b, normalize: true}\n";
    static const struct {
        const char *set, *message; /* NULL: accepted */
    } cases[] = {{"dssm.loss=in_batch", "19:32: dssm: loss: `negatives` means nothing with `kind: in_batch`"},
                 {"variants.0.dssm.loss=bce", NULL}, /* takes the place of the whole map */
                 {"b.loss.negatives=2", ": b: loss: `negatives` means nothing with `kind: bce`"},
                 {"dssm.temperature=0.1", NULL}, /* one of the two has a use for it */
                 {"dssm.batch_norm_uniform=true", ": dssm: `batch_norm_uniform` means nothing"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        problems_release(&p);
        int rc = load(file, &cases[i].set, 1);
        cr_expect_eq(rc, cases[i].message ? ERR_INPUT : 0, "%s: %s", cases[i].set, p.text.p);
        cr_expect(!cases[i].message || (p.n == 1 && strstr(p.text.p, cases[i].message)), "%s: %s",
                  cases[i].set, p.text.p);
        if (loaded) experiment_release(&x);
        loaded = 0;
    }
}

Test(experiment, models_to_compare_with_are_ids_of_its_own) {
    assert_loads("variants: [dssm, cold: {id: c}]\ncompare_with: [c, dssm]\n");
    cr_expect_eq(x.o.compare_with.n, 2);
    assert_problem("variants: [dssm, cold: {id: c}]\ncompare_with: [dssm, cold]\n",
                   "19:22: compare_with: no variant has the id");
    assert_problem("variants: [dssm, mlp]\ncompare_with: [mlp, mlp]\n",
                   "19:21: `compare_with` names mlp twice");
}

Test(experiment, a_softmax_over_a_batch_of_one_row_is_refused) {
    assert_problem("variants:\n  - dssm: {loss: in_batch, train: {batch: 1}}\n",
                   "19:18: dssm: loss: `in_batch` takes the other items of a batch");
    assert_loads("variants: [dssm: {loss: {kind: in_batch, hard_negatives: 1}, train: {batch: 1}}]\n");
}

Test(experiment, a_gate_over_all_fields_is_trained_and_not_served) {
    assert_problem("variants:\n  - mlp\n  - cold: {id: gated, importance: se}\n",
                   "20:5: gated: cannot be served: `importance: se` is a gate over all fields");
    assert_problem("variants: [cold: {importance: se}]\nmeasure: {candidates: []}\n"
                   "select: {rank_by: [permutation], top_k: [2]}\n",
                   "18:12: cold: no fields are chosen for it: `importance: se` is a gate over all fields");
    assert_loads("variants: [cold: {importance: se}]\nmeasure: {candidates: []}\n");
}
