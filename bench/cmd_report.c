/* prerank report RESULTS [--set KEY=VALUE]... [--no-plots]: everything that can be made again from what a run wrote, also
 * under another budget, and with other models to compare with. */
#include "bench/args.h"
#include "bench/commands.h"
#include "bench/report/report.h"
#include "bench/run/experiment.h"
#include <string.h>

/* select.subject_to.p99_ms=5, or measure.limit_ms=5. The value is taken as it stands: ">= 2000" would mean something else to
 * YAML. */
static int set_budget(const char *dir, const char *setting, struct budget_options *o, struct err *e) {
    static const char prefix[] = "select.subject_to.", limit[] = "measure.limit_ms=";
    const char *equals = strchr(setting, '=');
    char key[OPT_NAME_MAX], value[OPT_TEXT_MAX];
    if (!strncmp(setting, limit, strlen(limit))) {
        snprintf(key, sizeof key, "%s", budget_name(BUDGET_P99));
    } else if (equals && !strncmp(setting, prefix, strlen(prefix))) {
        int n = (int)(equals - setting) - (int)strlen(prefix);
        snprintf(key, sizeof key, "%.*s", n, setting + strlen(prefix));
    } else {
        return err_set(
            e, ERR_INPUT,
            "--set %s: a report can have another budget, as in --set select.subject_to.p99_ms=5, and other "
            "models to compare with, as in --set compare_with=[dssm,cold]; the rest of %s was decided by its "
            "run",
            setting, dir);
    }
    snprintf(value, sizeof value, "%s", equals + 1);
    const struct conf text = {.type = CONF_SCALAR, .file = "--set", .text = value, .quoted = 1};
    return opt_set(budget_opts, o, key, &text, "select.subject_to", e);
}

static bool of_compared(const char *setting) {
    static const char key[] = "compare_with=";
    return !strncmp(setting, key, strlen(key));
}

static int set_compared(const char *setting, struct experiment_options *o, struct err *e) {
    struct arena a = ARENA_INIT;
    struct conf map = {.type = CONF_MAP, .file = "--set"};
    int rc = conf_set(&map, "compare_with", strchr(setting, '=') + 1, &a, e);
    if (!rc) rc = opt_set(experiment_opts, o, "compare_with", conf_get(&map, "compare_with"), "--set", e);
    arena_release(&a);
    return rc;
}

struct changes {
    struct experiment_options options; /* compare_with of them */
    struct budget budget;
    struct report_changes of;
};

/* The manifest's budget with the changes on top: what is not named stays. */
static int read_changes(const char *dir, const struct arg_list *set, struct changes *c, struct err *e) {
    struct budget_options o;
    TRY(tradeoff_budget(dir, &o, e));
    for (size_t i = 0; i < set->n; i++) {
        if (of_compared(set->v[i])) {
            TRY(set_compared(set->v[i], &c->options, e));
            c->of.compare_with = &c->options.compare_with;
        } else {
            TRY(set_budget(dir, set->v[i], &o, e));
            c->of.budget = &c->budget;
        }
    }
    return c->of.budget ? budget_parse(&o, &c->budget, e) : 0;
}

int cmd_report(int argc, char **argv, struct err *e) {
    bool no_plots = false;
    const char *dir = NULL;
    struct arg_list set = {0, {NULL}};
    struct changes changes = {.of = {NULL, NULL}};
    const struct arg args[] = {{"no-plots", NULL, &no_plots, NULL}, {"set", NULL, NULL, &set}, ARGS_END};
    TRY(args_parse(argc, argv, args, "a results folder", &dir, e));
    if (set.n) TRY(read_changes(dir, &set, &changes, e));
    int rc = report_run(dir, &changes.of, !no_plots, stdout, e);
    if (!rc || rc == ERR_MEASURE) fprintf(stderr, "%s/report.html\n", dir);
    return rc;
}
