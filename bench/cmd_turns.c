/* prerank turns CONFIG --out DIR: the measuring loop of `run`, with somebody else deciding whose turn it is: `compare
 * --builds`, which interleaves two programs, and callgrind. Reads what `run` wrote, writes nothing. */
#include "base/pool.h"
#include "base/progress.h"
#include "bench/args.h"
#include "bench/commands.h"
#include "bench/compare/turns.h"
#include "bench/run/measure.h"
#include "bench/run/sweep.h"
#include "bench/run/tune.h"
#include "bench/select/plan.h"
#include <inttypes.h>
#include <string.h>

static int answer(struct measure *m, int point, size_t n, int64_t *took_ns, struct err *e) {
    TRY(measure_turn(m, point, n, took_ns, e));
    for (size_t i = 0; i < n; i++) printf("%s%" PRId64, i ? " " : "", took_ns[i]);
    putchar('\n');
    if (fflush(stdout)) return err_errno(e, "standard output", "write");
    return 0;
}

static int loop(struct measure *m, struct err *e) {
    int64_t *took_ns = mem_alloc(TURNS_MAX * sizeof *took_ns);
    char line[80];
    int rc = took_ns ? 0 : err_nomem(e, TURNS_MAX * sizeof *took_ns);
    printf(TURNS_GREETING "\n%d\n", measure_points(m));
    for (int i = 0; i < measure_points(m); i++) measure_name(m, i, stdout);
    fflush(stdout);
    while (!rc && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        int point, n, end = 0;
        if (sscanf(line, "%d %d%n", &point, &n, &end) < 2 || line[end] || point < 0 ||
            point >= measure_points(m) || n < 1 || n > TURNS_MAX)
            rc = err_set(e, ERR_INPUT,
                         "turns: \"%.40s\" is not \"POINT N\", a point below %d and 1 to %d requests", line,
                         measure_points(m), TURNS_MAX);
        else
            rc = answer(m, point, (size_t)n, took_ns, e);
    }
    mem_free(took_ns);
    return rc;
}

static int with_sweep(struct sweep *s, int threads, struct err *e) {
    struct pool *pool = NULL;
    struct measure *m = NULL;
    TRY(select_again(s, e));
    TRY(sweep_resume(s, e));
    if (sweep_n_finished(s) < s->n_runs)
        return err_set(e, ERR_INPUT, "turns: %s has %d of %d runs; `prerank run` does the others", s->dir,
                       sweep_n_finished(s), s->n_runs);
    TRY(pool_create(threads, &pool, e));
    int rc = measure_open(s, pool, &m, e);
    if (!rc) rc = loop(m, e);
    measure_close(m);
    pool_free(pool);
    return rc;
}

/* The training options that the run has chosen are part of what its models are. */
static int take_tuned(struct experiment *x, const char *dir, struct err *e) {
    char path[1024];
    json_t *manifest;
    if (!x->tune) return 0;
    TRY(file_join(path, sizeof path, dir, "manifest.json", e));
    TRY(file_read_json(path, &manifest, e));
    int rc = tune_again(x, json_object_get(manifest, "tuned"), e);
    json_decref(manifest);
    return rc ? err_prefix(e, "turns: %s", path) : 0;
}

int cmd_turns(int argc, char **argv, struct err *e) {
    struct arg_list set = {0, {NULL}};
    const char *config = NULL, *out = NULL, *threads_text = NULL;
    int threads = pool_cpus();
    const struct arg args[] = {{"out", &out, NULL, NULL},
                               {"set", NULL, NULL, &set},
                               {"threads", &threads_text, NULL, NULL},
                               ARGS_END};
    TRY(args_parse(argc, argv, args, "an experiment", &config, e));
    if (!out) return err_set(e, ERR_INPUT, "turns: needs --out, the results folder that `prerank run` wrote");
    if (threads_text) TRY(args_int("threads", threads_text, 1, 256, &threads, e));
    progress_set_quiet(1);
    struct problems p = PROBLEMS_INIT;
    struct experiment x;
    int rc = experiment_load(config, set.v, set.n, &x, &p);
    problems_print(&p, stderr);
    problems_release(&p);
    if (rc) return rc;
    struct dataset ds;
    struct sweep s;
    if (x.measure.threads) threads = (int)x.measure.threads;
    rc = dataset_open(x.o.data_dir, &ds, e);
    if (!rc) {
        rc = take_tuned(&x, out, e);
        if (!rc && !(rc = sweep_plan(&x, &ds, out, &s, e))) {
            rc = with_sweep(&s, threads, e);
            sweep_release(&s);
        }
        dataset_close(&ds);
    }
    experiment_release(&x);
    return rc;
}
