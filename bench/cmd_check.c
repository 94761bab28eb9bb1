/* prerank check CONFIG: an experiment or a schema, everything that can be known before the data is read. */
#include "bench/args.h"
#include "bench/commands.h"
#include "bench/run/experiment.h"

static int finish(struct problems *p) {
    int n = p->n;
    problems_print(p, stderr);
    problems_release(p);
    return n ? ERR_INPUT : 0;
}

static int check_schema(const char *path, struct problems *p) {
    struct err e = ERR_INIT;
    struct schema s;
    if (schema_load(path, &s, &e)) {
        problems_take(p, &e);
        return finish(p);
    }
    printf("%s: ok: a schema of %d columns and %d derived features\n", path, s.n_columns, s.n_derived);
    schema_release(&s);
    return finish(p);
}

static int check_experiment(const char *path, const struct arg_list *set, struct problems *p) {
    struct experiment x;
    if (experiment_load(path, set->v, set->n, &x, p)) return finish(p);
    if (!experiment_check_models(&x, p)) {
        printf("%s: ok: %d variants x %d feature subsets x %d seeds = %d runs%s\n", path, x.n_variants,
               x.n_subsets, x.o.seeds.n, x.n_variants * x.n_subsets * x.o.seeds.n,
               x.n_teachers ? ", and the teachers" : "");
        int taken = 0;
        for (int v = 0; v < x.n_variants; v++) taken += select_takes(&x.select, &x.variant[v]);
        int more = taken * x.select.rank_by.n * select_rankings(&x.select) * x.select.top_k.n * x.o.seeds.n;
        experiment_note_budget(&x);
        if (more) printf("%s: select: at most %d runs more, on fields that are chosen\n", path, more);
    }
    experiment_release(&x);
    return finish(p);
}

int cmd_check(int argc, char **argv, struct err *e) {
    struct arg_list set = {0, {NULL}};
    const char *path = NULL;
    const struct arg args[] = {{"set", NULL, NULL, &set}, ARGS_END};
    TRY(args_parse(argc, argv, args, "an experiment or a schema", &path, e));
    struct arena a = ARENA_INIT;
    struct conf *root;
    int rc = conf_load(path, &a, &root, e);
    if (!rc) rc = conf_want(root, CONF_MAP, "a config", e);
    bool experiment = !rc && (conf_get(root, "variants") || conf_get(root, "data"));
    bool schema = !rc && (conf_get(root, "log") || conf_get(root, "synthetic") || conf_get(root, "columns"));
    if (!rc && !experiment && !schema)
        conf_err(root, e,
                 "neither an experiment (it has no `variants` and no `data`) nor a schema (no `log`, "
                 "`synthetic` or `columns`)");
    arena_release(&a);
    if (!experiment && !schema) return ERR_INPUT;
    struct problems p = PROBLEMS_INIT;
    return experiment ? check_experiment(path, &set, &p) : check_schema(path, &p);
}
