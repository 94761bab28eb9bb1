/* experiment.h's option tables, and the experiment as JSON. */
#include "bench/run/experiment.h"
#include "serve/store.h"
#include "serve/tables.h"
#include <stdlib.h>
#include <string.h>

static const char *const monitor_names[] = {"gauc", "auc", "logloss", "none", NULL};
static const struct opt train_own[] = {
    OPT_INT(struct train_options, batch, "1024", 1, 1 << 20, "rows of a training step"),
    OPT_INT(struct train_options, slice, "256", 1, 1 << 20,
            "rows that one thread computes at a time; part of the arithmetic, unlike the number of threads"),
    OPT_INT(struct train_options, epochs, "10", 1, 100000, "passes over the training rows, at most"),
    OPT_INT(struct train_options, patience, "2", 0, 100000,
            "stop after this many evaluations without a better one on the validation split; 0: never"),
    OPT_ENUM(
        struct train_options, monitor, "gauc", monitor_names,
        "validation metric that stops training and chooses the epoch to keep; none: all epochs run, and the "
        "last one is kept"),
    OPT_INT(struct train_options, eval_every, "1", 1, 100000, "epochs from one evaluation to the next"),
    OPT_INT(struct train_options, rows, "0", 0, 1e15,
            "train on this many rows, the first of the training split; 0: all"),
    OPT_END};

static struct opt *append(struct opt *to, const struct opt *end, const struct opt *table, size_t offset) {
    for (; table->name; table++) {
        if (to + 1 >= end) abort(); /* a table outgrew TRAIN_TABLE_MAX: a mistake in the program */
        *to = *table;
        to++->offset += offset;
    }
    return to;
}

void train_table(struct opt out[TRAIN_TABLE_MAX]) {
    const struct opt *end = out + TRAIN_TABLE_MAX;
    struct opt *to = append(out, end, train_own, 0);
    to = append(to, end, optim_opts, offsetof(struct train_options, optim));
    to = append(to, end, schedule_opts, offsetof(struct train_options, schedule));
    *to = (struct opt)OPT_END;
}

static const char *const split_names[] = {"auto", "always", "never", NULL};
static const char *const top_by_names[] = {"selection", "sort", NULL};
static const char *const load_names[] = {"closed", "open", "usable", NULL};
const struct opt measure_opts[] = {
    OPT_INTS(struct measure_options, candidates, "100,1000", 1, 1 << 24,
             "candidates of a request: one point each; [] measures nothing"),
    OPT_INT(struct measure_options, requests, "1000", 1, 100000000,
            "requests that count at each point, at least; p99 takes 368, p99.9 takes 3688"),
    OPT_DOUBLE(struct measure_options, min_seconds, "0.5", 0, 1e6,
               "fast points get more requests, up to 100 times as many, until they took this long"),
    OPT_DOUBLE(struct measure_options, seconds, "60", 0.01, 1e6,
               "a point that has taken this long gets no more requests"),
    OPT_INT(struct measure_options, turn, "50", 1, 1000000,
            "requests of one point before the next point's turn; turns go A B B A"),
    OPT_INT(struct measure_options, warmup, "5", 0, 1000000,
            "requests at the start of each turn that do not count"),
    OPT_INT(struct measure_options, threads, "0", 0, 256, "threads that work; 0: those of the run"),
    OPT_INT(struct measure_options, servers, "1", 0, 256,
            "servers that answer requests at once and share the threads; 0: one, or as many as threads, "
            "whichever answers more requests a second at that point"),
    OPT_ENUM(struct measure_options, threads_over_candidates, "auto", split_names,
             "whether a server's threads share a request; auto: from the number of candidates where it "
             "was measured to pay"),
    OPT_INT(struct measure_options, topk, "100", 1, 1 << 24,
            "best candidates that a request returns; all if it has fewer"),
    OPT_DOUBLE(struct measure_options, limit_ms, "0", 0, 1e6,
               "response time budget, on the p99: slower points are not chosen; 0: none"),
    OPT_BOOL(struct measure_options, ladder, "false",
             "also time every model with the engine's steps added one after the other: ladder.csv"),
    OPT_BOOL(struct measure_options, split_layers, "true",
             "a linear layer over a concat as a sum of layers, one a side: the items' part is computed "
             "ahead, the user's "
             "once a request"),
    OPT_BOOL(struct measure_options, by_column, "true",
             "pair features of all candidates field by field; false: candidate by candidate"),
    OPT_BOOL(
        struct measure_options, fuse, "true",
        "the pair stage in the fused engine, where the model has its form; false: operation by operation"),
    OPT_BOOL(struct measure_options, skip_zeros, "true",
             "the fused engine leaves out activations that are 0 behind a relu, where that is faster; the "
             "scores are the same"),
    OPT_INT(struct measure_options, user_cache, "0", 0, 1 << 24,
            "users whose part of the model is kept by each server; 0: computed at each request"),
    OPT_ENUM(struct measure_options, top_by, "selection", top_by_names,
             "the best `topk` by selection, or by sorting all candidates"),
    OPT_ENUM(struct measure_options, tables, "auto", tables_names,
             "pair fields as tables of partial products: those that are faster so by measured time "
             "(tables.csv), all, or "
             "none"),
    OPT_INT(
        struct measure_options, tables_mib, "64", 0, 1 << 20,
        "largest table of partial products, in MiB as floats; larger fields are multiplied per candidate"),
    OPT_ENUMS(struct measure_options, precision, "fp32", precision_names,
              "arithmetic of the pair stage and of item records: each model is timed in each"),
    OPT_ENUMS(struct measure_options, store, "memory", store_kind_names,
              "where item records lie: each model is timed with each"),
    OPT_TEXT(struct measure_options, store_path, "",
             "lmdb: folder of the files; default: in the results' folder"),
    OPT_TEXT(struct measure_options, store_server, "",
             "redis: HOST:PORT, such as 127.0.0.1:6379; it must be running"),
    OPT_INT(struct measure_options, store_timeout_ms, "1000", 1, 3600000,
            "redis: longest wait for a connection or an answer"),
    OPT_TEXT(struct measure_options, candidates_from, "",
             "one more point, whose requests differ in size: uniform:500:1500 or lognormal:500:0.6 (median, "
             "sigma)"),
    OPT_ENUMS(struct measure_options, load, "closed", load_names,
              "closed: peak throughput, and always there; open: requests at planned random times; usable: "
              "the largest "
              "such rate that keeps to limit_ms"),
    OPT_DOUBLES(struct measure_options, offered_qps, "", 0.001, 1e7,
                "open: requests a second; empty: `utilisation` of what each point can do"),
    OPT_DOUBLES(struct measure_options, utilisation, "0.5,0.8", 0.001, 2,
                "open: shares of the rate that a point reaches without a pause"),
    OPT_DOUBLE(struct measure_options, open_seconds, "2", 0.001, 1e6,
               "open: of a run that count, after a tenth of it that does not"),
    OPT_DOUBLE(struct measure_options, probe_seconds, "1", 0.001, 1e6, "usable: of one rate, at most"),
    OPT_DOUBLE(struct measure_options, probe_tolerance, "0.03", 0.001, 1,
               "usable: how near, relatively, the rates that pass and fail must come"),
    OPT_TEXT(struct measure_options, ranker, "",
             "id of the variant that all models are held against; default: of those that are no two-towers "
             "the one "
             "with the best validation GAUC"),
    OPT_INT(struct measure_options, recall_k, "100", 1, 1 << 24,
            "ranker_recall: candidates that the pre-ranker keeps"),
    OPT_INT(struct measure_options, recall_m, "10", 1, 1 << 24,
            "ranker_recall: of the ranker's best so many"),
    OPT_INT(struct measure_options, recall_candidates, "1000", 1, 1 << 24,
            "ranker_recall and cascade: candidates of a request"),
    OPT_INT(struct measure_options, recall_requests, "300", 0, 1000000,
            "ranker_recall and cascade: requests, at most one a user; 0: neither"),
    OPT_INTS(struct measure_options, cascade_k, "10,20,50,100,200,500,1000", 1, 1 << 24,
             "cascade: candidates that the pre-ranker keeps for the ranker"),
    OPT_END};

const struct opt experiment_opts[] = {
    OPT_TEXT(struct experiment_options, name, "",
             "names results/<name>; default: the file's name without .yaml"),
    OPT_TEXT(struct experiment_options, data_dir, "",
             "the prepared dataset; default: results/data/<name of the schema>"),
    OPT_INTS(struct experiment_options, seeds, "1", 0, 9e15,
             "each variant is trained once a seed on each feature subset"),
    OPT_ENUM(struct experiment_options, gauc_weight, "exposures", gauc_weight_names,
             "what GAUC, wherever it is said, weighs a user by: exposures, clicked rows, or all users alike"),
    OPT_NAMES(
        struct experiment_options, compare_with, "",
        "ids of variants that all models are compared with, a table of differences each; default: the first"),
    OPT_END};

const struct experiment_key experiment_keys[] = {
    {"name", "text: names results/<name>; default: the file's name without .yaml"},
    {"data", "the log's schema: a file like configs/data/*.yaml, or its text as a map"},
    {"data_dir", "folder of the prepared dataset; default: results/data/<name of the schema>"},
    {"variants",
     "list of models: `name`, or `name: {options, id: ..., train: {overrides}, loss: {...}, distill: "
     "{teacher: ID}}`"},
    {"features", "map of feature subsets: name -> \"*\", or a list of user, item, pair, fields, \"glob*\" "
                 "and -exclusions"},
    {"seeds", "list of whole numbers: each variant is trained once a seed on each feature subset"},
    {"gauc_weight", "exposures, positives or users: what GAUC weighs a user by; default: exposures"},
    {"compare_with",
     "list of ids: the variants that all models are compared with; default: the first of `variants`"},
    {"train", "map: how models are trained"},
    {"tune",
     "map: options of `train` with lists of values, of which each variant gets the best on validation rows"},
    {"measure", "map: how requests are timed"},
    {"select", "map: which fields are kept, and the budget that the chosen model must fit"},
    {"retrieval", "map: which indexes search the whole item set with two-tower models; not done without it"},
    {NULL, NULL}};

/* A new reference is taken over also when it is NULL: then the object is given up. */
static json_t *with(json_t *object, const char *key, json_t *value) {
    if (!json_object_set_new(object, key, value)) return object; /* which ends the value in any case */
    json_decref(object);
    return NULL;
}

static json_t *train_json(const struct train_options *t) {
    struct opt table[TRAIN_TABLE_MAX];
    train_table(table);
    return opt_json(table, t);
}

json_t *experiment_variant_json(const struct experiment_variant *v) {
    json_t *j = with(json_object(), "id", json_string(v->id));
    j = with(j, "variant", json_string(v->variant->name));
    j = with(j, "options", opt_json(v->variant->opts, v->options));
    j = with(j, "train", train_json(&v->train));
    if (v->objective.loss.kind != LOSS_BCE) j = with(j, "loss", opt_json(loss_opts, &v->objective.loss));
    return *v->objective.distill.teacher ? with(j, "distill", opt_json(distill_opts, &v->objective.distill))
                                         : j;
}

static json_t *subsets_json(const struct experiment *x) {
    json_t *j = json_object();
    for (int s = 0; s < x->n_subsets; s++) {
        json_t *terms = json_array();
        for (int t = 0; terms && t < x->subset[s].n; t++) {
            if (!json_array_append_new(terms, json_string(x->subset[s].term[t].text))) continue;
            json_decref(terms);
            terms = NULL;
        }
        j = with(j, x->subset[s].name, terms);
    }
    return j;
}

json_t *experiment_train_json(const struct experiment *x) {
    json_t *variants = json_array();
    for (int v = 0; variants && v < x->n_variants + x->n_teachers; v++) {
        if (!json_array_append_new(variants, experiment_variant_json(&x->variant[v]))) continue;
        json_decref(variants);
        variants = NULL;
    }
    json_t *top = opt_json(experiment_opts, &x->o);
    json_t *j = with(json_object(), "variants", variants);
    j = with(j, "features", subsets_json(x));
    json_t *seeds = json_object_get(top, "seeds");
    j = with(j, "seeds", json_incref(seeds));
    if (x->o.gauc_weight != GAUC_BY_EXPOSURES)
        j = with(j, "gauc_weight", json_incref(json_object_get(top, "gauc_weight")));
    if (x->tune) j = with(j, "tune", conf_json(x->tune));
    json_decref(top);
    return j;
}

json_t *experiment_json(const struct experiment *x) {
    json_t *j = with(json_object(), "name", json_string(x->o.name));
    j = with(j, "data", *x->data_path ? json_string(x->data_path) : conf_json(conf_get(x->root, "data")));
    j = with(j, "data_dir", json_string(x->o.data_dir));
    json_t *top = opt_json(experiment_opts, &x->o);
    if (x->o.compare_with.n) j = with(j, "compare_with", json_incref(json_object_get(top, "compare_with")));
    json_decref(top);
    json_t *train = experiment_train_json(x);
    if (!j || !train || json_object_update(j, train)) {
        json_decref(j);
        j = NULL;
    }
    json_decref(train);
    j = with(j, "train", train_json(&x->train));
    j = with(j, "measure", opt_json(measure_opts, &x->measure));
    if (x->has_retrieval) j = with(j, "retrieval", opt_json(retrieval_opts, &x->retrieval));
    return with(j, "select", select_json(x));
}

int json_hash(const json_t *j, struct hash *out, struct err *e) {
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    if (!text) return err_nomem(e, 0);
    *out = hash_bytes(text, strlen(text));
    free(text);
    return 0;
}
