/* prerank compare BASE NEW, prerank compare --builds OLD NEW CONFIG: the regression gate. */
#include "base/pool.h"
#include "base/progress.h"
#include "bench/args.h"
#include "bench/commands.h"
#include "bench/compare/builds.h"
#include "bench/compare/compare.h"
#include "bench/compare/write.h"
#include <string.h>

struct outputs {
    const char *json, *junit, *markdown;
};

static int write_all(const struct comparison *c, const struct outputs *o, struct err *e) {
    TRY(comparison_write_text(c, stdout, e));
    if (o->json) TRY(comparison_write_json(c, o->json, e));
    if (o->junit) TRY(comparison_write_junit(c, o->junit, e));
    return o->markdown ? comparison_write_markdown(c, o->markdown, e) : 0;
}

/* --margin p50=5 */
static int read_margins(const struct arg_list *list, struct margins *m, struct err *e) {
    for (size_t i = 0; i < list->n; i++) {
        char name[OPT_NAME_MAX];
        const char *equals = strchr(list->v[i], '=');
        size_t n = equals ? (size_t)(equals - list->v[i]) : 0;
        if (!n || n >= sizeof name)
            return err_set(e, ERR_INPUT, "--margin %s: write it as METRIC=VALUE, for example --margin p50=5",
                           list->v[i]);
        snprintf(name, sizeof name, "%.*s", (int)n, list->v[i]);
        const struct conf value = {.type = CONF_SCALAR, .text = equals + 1, .file = "--margin"};
        if (!opt_find(margin_opts, name))
            return err_set(e, ERR_INPUT, "--margin %s: known are gauc, p50, p99, qps, instructions and alpha",
                           list->v[i]);
        TRY(opt_set(margin_opts, m, name, &value, "margin", e));
    }
    return 0;
}

int cmd_compare(int argc, char **argv, struct err *e) {
    struct comparison c;
    struct outputs o = {NULL, NULL, NULL};
    struct builds_task t = {.out = "results/compare", .groups = BUILDS_GROUPS, .threads = pool_cpus()};
    struct arg_list margins = {0, {NULL}}, set = {0, {NULL}};
    bool builds = false, exact = false, quiet = false, no_instructions = false;
    const char *threads = NULL, *groups = NULL, *position[3];
    const struct arg args[] = {{"json", &o.json, NULL, NULL},
                               {"junit", &o.junit, NULL, NULL},
                               {"markdown", &o.markdown, NULL, NULL},
                               {"margin", NULL, NULL, &margins},
                               {"exact", NULL, &exact, NULL},
                               {"builds", NULL, &builds, NULL},
                               {"out", &t.out, NULL, NULL},
                               {"set", NULL, NULL, &set},
                               {"threads", &threads, NULL, NULL},
                               {"groups", &groups, NULL, NULL},
                               {"no-instructions", NULL, &no_instructions, NULL},
                               {"quiet", NULL, &quiet, NULL},
                               ARGS_END};
    for (int i = 1; i < argc; i++) builds |= !strcmp(argv[i], "--builds");
    TRY(args_parse_n(argc, argv, args,
                     builds ? "two programs and an experiment: OLD NEW CONFIG"
                            : "two results folders: BASE NEW",
                     builds ? 3 : 2, position, e));
    if (threads) TRY(args_int("threads", threads, 1, 256, &t.threads, e));
    if (groups) TRY(args_int("groups", groups, 6, 200, &t.groups, e));
    progress_set_quiet(quiet);
    interrupt_install();
    comparison_init(&c);
    c.exact = exact;
    int rc = read_margins(&margins, &c.margins, e);
    t.program[0] = position[0];
    t.program[1] = position[1];
    t.config = position[2];
    t.set = set.v;
    t.n_set = set.n;
    t.instructions = !no_instructions;
    if (!rc) rc = builds ? compare_builds(&t, &c, e) : compare_folders(position[0], position[1], &c, e);
    if (!rc) rc = write_all(&c, &o, e);
    if (!rc) rc = comparison_code(&c);
    comparison_release(&c);
    return rc;
}
