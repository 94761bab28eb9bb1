/* prerank help [COMMAND | KEY]: everything it prints about options comes from the option tables. */
#include "base/str.h"
#include "bench/commands.h"
#include "bench/run/experiment.h"
#include "data/synth.h"
#include "variants/variant.h"
#include <string.h>

const struct command commands[] = {
    {"data", "data SCHEMA [--out DIR]", "logs -> columnar dataset, with a summary",
     "  --out DIR        where the dataset goes; default results/data/<name of the schema>\n"
     "  --quiet          no progress\n",
     cmd_data},
    {"run",
     "run CONFIG [--out DIR] [--set KEY=VALUE]... [--threads N] [--resume] [--quiet]\n              "
     "[--no-report] [--instructions] [--costs-of RESULTS]",
     "train every variant on every feature subset, measure, report",
     "  --out DIR        where the results go; default results/<name of the experiment>\n"
     "  --set KEY=VALUE  change an option: train.batch=512, dssm.hidden=[64,32], measure.candidates=[100]\n"
     "  --threads N      default: all processors; the results of training do not depend on it\n"
     "  --resume         keep the runs that DIR already has; without it they are made again\n"
     "  --quiet          no progress\n"
     "  --no-report      no plots, no report.html, nothing on stdout\n"
     "  --instructions   count the instructions of a request with valgrind, into instructions.csv\n"
     "  --costs-of RESULTS  rank fields by the costs that another run of the experiment ranked them by\n",
     cmd_run},
    {"report",
     "report RESULTS [--set select.subject_to.KEY=VALUE | --set compare_with=[ID,...]]... [--no-plots]",
     "tables, plots, report.html from what a run wrote",
     "  --set KEY=VALUE  choose again under another budget, without running: select.subject_to.p99_ms=5\n"
     "  --no-plots       without pictures, so without gnuplot\n",
     cmd_report},
    {"compare",
     "compare BASE NEW [--exact] [--json FILE] [--junit FILE] [--markdown FILE]\n"
     "  prerank compare --builds OLD_PROGRAM NEW_PROGRAM CONFIG [--out DIR] [--set KEY=VALUE]... [--threads "
     "N]",
     "regression gate: two results folders, or two builds side by side (docs/ci.md)",
     "  --exact          a GAUC that is not the same to the bit is a regression, whatever its size\n"
     "  --json FILE      every gate, for machines\n"
     "  --junit FILE     every gate as a test case, for CI servers\n"
     "  --markdown FILE  a summary for a pull request\n"
     "  --margin M=VALUE let pass so much: gauc=0.001, and in %: p50=3, p99=20, qps=12, instructions=1; "
     "alpha=0.05\n"
     "  --builds         run both programs on CONFIG; response times are measured in turns and gated too\n"
     "  --out DIR        with --builds: where their results go; default results/compare\n"
     "  --set KEY=VALUE  with --builds: as for run\n"
     "  --threads N      with --builds: as for run\n"
     "  --groups N       with --builds: pairs of processes that are started, 6 to 200; default 20\n"
     "  --no-instructions  with --builds: do not count instructions, though valgrind is there\n"
     "  --quiet          no progress\n",
     cmd_compare},
    {"turns", "turns CONFIG --out DIR [--set KEY=VALUE]... [--threads N]",
     "answer requests when stdin says so, and say how long each took; `compare --builds` drives it",
     "  --out DIR        the results that `run` wrote for CONFIG\n"
     "stdin: lines \"POINT N\"; stdout: the points, then for each line the N response times in ns\n",
     cmd_turns},
    {"check", "check CONFIG [--set KEY=VALUE]...",
     "validate an experiment or a schema: every error with file:line:column",
     "  --set KEY=VALUE  as for run\n", cmd_check},
    {"help", "help [COMMAND | KEY]", "every option with type, range, default",
     "KEY is an option (train.batch, dssm.hidden, batch), a variant (dssm), or a section (train).\n",
     cmd_help},
    {NULL, NULL, NULL, NULL, NULL}};

void usage_short(FILE *out) {
    fputs("usage: prerank COMMAND ...\n\n", out);
    for (const struct command *c = commands; c->name; c++) fprintf(out, "  %-8s %s\n", c->name, c->help);
    fputs("\n`prerank help` says more; `prerank run configs/quickstart.yaml` is a good start.\n", out);
}

/* ---- sections: the maps of a config that have an option table ---- */
struct section {
    const char *name, *help;
    const struct opt *opts;
};
enum { SECTIONS_MAX = 128 };

static int sections(struct section out[SECTIONS_MAX], struct opt train[TRAIN_TABLE_MAX]) {
    int n = 0;
    train_table(train);
    out[n++] = (struct section){"train", "how models are trained", train};
    out[n++] = (struct section){"loss", "a variant's loss; `loss: in_batch` is short for {kind: in_batch}",
                                loss_opts};
    out[n++] = (struct section){"distill", "a variant's teacher; `distill: din` is short for {teacher: din}",
                                distill_opts};
    out[n++] = (struct section){"measure", "how requests are timed", measure_opts};
    out[n++] = (struct section){"select", "which fields are kept", select_opts};
    out[n++] =
        (struct section){"subject_to", "select.subject_to: the budget of the chosen model", budget_opts};
    for (const struct selector *const *s = selectors; *s; s++)
        out[n++] = (struct section){(*s)->name, (*s)->help, (*s)->opts};
    out[n++] =
        (struct section){"retrieval", "searching the whole item set with two-tower models", retrieval_opts};
    out[n++] = (struct section){"synthetic", "a schema's generator of logs with planted truth", synth_opts};
    for (const struct variant *const *v = variant_all(); *v && n < SECTIONS_MAX; v++)
        out[n++] = (struct section){(*v)->name, (*v)->help, (*v)->opts};
    return n;
}

static const struct command *find_command(const char *name) {
    const struct command *c = commands;
    while (c->name && strcmp(c->name, name) != 0) c++;
    return c->name ? c : NULL;
}

static void show_command(const struct command *c) {
    printf("usage: prerank %s\n\n%s\n", c->usage, c->help);
    if (*c->more) printf("\n%s", c->more);
}

static int show_table(const struct opt *table, struct err *e) {
    struct str s = STR_INIT;
    opt_help(table, &s, 2);
    if (s.failed) {
        str_release(&s);
        return err_nomem(e, 0);
    }
    if (s.p) fputs(s.p, stdout); /* a selector may have no option */
    str_release(&s);
    return 0;
}

static int show_section(const struct section *s, struct err *e) {
    printf("%s: %s\n\n", s->name, s->help);
    return show_table(s->opts, e);
}

static int show_option(const struct section *s, const struct opt *o, struct err *e) {
    const struct opt one[] = {*o, OPT_END};
    printf("%s.%s\n", s->name, o->name);
    return show_table(one, e);
}

static int show_all(struct err *e) {
    struct opt train[TRAIN_TABLE_MAX];
    struct section all[SECTIONS_MAX];
    int n = sections(all, train);
    puts("prerank: a benchmark and experimentation harness for the pre-ranking stage of a recommender\n\n"
         "commands");
    for (const struct command *c = commands; c->name; c++)
        printf("  prerank %s\n      %s\n", c->usage, c->help);
    puts("\nkeys of an experiment (docs/experiments.md)");
    for (const struct experiment_key *k = experiment_keys; k->name; k++)
        printf("  %-9s %s\n", k->name, k->help);
    for (int i = 0; i < n; i++) {
        putchar('\n');
        TRY(show_section(&all[i], e));
    }
    puts("\nexit codes: 0 ok, 1 a regression found, 2 usage, config or data error,\n"
         "            3 inconclusive or invalid measurement, 4 interrupted (what was finished is kept)");
    return 0;
}

/* A word without a dot: a section, a top-level key, or an option of any section. Returns whether it was
 * found. */
static int show_word(const char *word, const struct section *all, int n, bool *found, struct err *e) {
    *found = true;
    for (int i = 0; i < n; i++)
        if (!strcmp(all[i].name, word)) return show_section(&all[i], e);
    for (const struct experiment_key *k = experiment_keys; k->name; k++) {
        if (strcmp(k->name, word) != 0) continue;
        printf("%s: %s\n", k->name, k->help);
        return 0;
    }
    *found = false;
    for (int i = 0; i < n; i++) {
        const struct opt *o = opt_find(all[i].opts, word);
        if (!o) continue;
        *found = true;
        TRY(show_option(&all[i], o, e));
    }
    return 0;
}

static int show_dotted(const char *key, const struct section *all, int n, bool *found, struct err *e) {
    size_t first = strcspn(key, ".");
    *found = false;
    for (int i = 0; i < n && key[first]; i++) {
        if (strlen(all[i].name) != first || strncmp(all[i].name, key, first) != 0) continue;
        const struct opt *o = opt_find(all[i].opts, key + first + 1);
        if (!o) continue;
        *found = true;
        return show_option(&all[i], o, e);
    }
    return 0;
}

/* The nearest of everything that help knows; "section.option" only for a word with a dot. */
static int unknown_word(const char *word, const struct section *all, int n, struct err *e) {
    enum { MAX = 1024 };
    static const size_t width = 2 * OPT_NAME_MAX;
    struct arena a = ARENA_INIT;
    const char **known = arena_alloc(&a, MAX * sizeof *known);
    size_t m = 0;
    for (const struct command *c = commands; known && c->name; c++) known[m++] = c->name;
    for (const struct experiment_key *k = experiment_keys; known && k->name; k++) known[m++] = k->name;
    for (int i = 0; known && i < n; i++) {
        if (m < MAX) known[m++] = all[i].name;
        for (const struct opt *o = all[i].opts; o->name && m < MAX; o++) {
            char *dotted = arena_alloc(&a, width);
            if (!dotted) break;
            snprintf(dotted, width, "%s.%s", all[i].name, o->name);
            known[m++] = strchr(word, '.') ? dotted : o->name;
        }
    }
    const char *nearest = str_nearest(word, known, m);
    if (nearest)
        err_set(e, ERR_INPUT, "help: nothing is called \"%s\", did you mean \"%s\"?", word, nearest);
    else
        err_set(e, ERR_INPUT, "help: nothing is called \"%s\"; `prerank help` lists everything", word);
    arena_release(&a);
    return ERR_INPUT;
}

int cmd_help(int argc, char **argv, struct err *e) {
    if (argc < 2) return show_all(e);
    if (argc > 2) return err_set(e, ERR_INPUT, "help: one word at a time; \"%s\" is too many", argv[2]);
    struct opt train[TRAIN_TABLE_MAX];
    struct section all[SECTIONS_MAX];
    int n = sections(all, train);
    const struct command *c = find_command(argv[1]);
    if (c) {
        show_command(c);
        return 0;
    }
    bool found;
    TRY(strchr(argv[1], '.') ? show_dotted(argv[1], all, n, &found, e)
                             : show_word(argv[1], all, n, &found, e));
    return found ? 0 : unknown_word(argv[1], all, n, e);
}
