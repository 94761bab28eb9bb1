/* prerank run CONFIG: data, training, measuring, report. */
#include "base/pool.h"
#include "base/progress.h"
#include "bench/args.h"
#include "bench/commands.h"
#include "bench/compare/instructions.h"
#include "bench/load/overhead.h"
#include "bench/report/gnuplot.h"
#include "bench/report/report.h"
#include "bench/retrieval/retrieval.h"
#include "bench/run/cascade.h"
#include "bench/run/ladder.h"
#include "bench/run/manifest.h"
#include "bench/run/measure.h"
#include "bench/run/precision.h"
#include "bench/run/served.h"
#include "bench/run/slices.h"
#include "bench/run/sweep.h"
#include "bench/run/tune.h"
#include "bench/select/plan.h"
#include "data/prepare.h"
#include <string.h>

struct run {
    const char *config, *out, *threads_text, *costs_of;
    struct arg_list set;
    bool resume, quiet, no_report, instructions;
    int threads;
    char dir[1024];
    struct experiment x;
    struct dataset ds;
    struct sweep sweep;
    struct manifest manifest;
    struct machine machine;
    struct pool *pool;
};

/* What times contain of the harness itself. */
static int measure_harness(struct run *r, struct err *e) {
    struct overhead h;
    TRY(overhead_measure(&h, e));
    return manifest_set(&r->manifest, "harness", overhead_json(&h), e);
}

/* With `measure: {threads: N}` requests get threads of their own. */
static int measure(struct run *r, struct err *e) {
    const struct measure_options *o = &r->x.measure;
    struct pool *own = NULL;
    if (o->threads && o->threads != pool_threads(r->pool)) TRY(pool_create((int)o->threads, &own, e));
    struct pool *pool = own ? own : r->pool;
    int rc = o->candidates.n ? machine_calibrate(&r->machine, pool, e) : 0;
    if (!rc) rc = manifest_set(&r->manifest, "machine", machine_json(&r->machine), e);
    if (!rc && o->candidates.n) rc = measure_harness(r, e);
    if (!rc) rc = measure_run(&r->sweep, &r->machine, pool, e);
    if (!rc && o->candidates.n) rc = precision_run(&r->sweep, pool, e);
    if (!rc && o->candidates.n && o->ladder) rc = ladder_run(&r->sweep, &r->machine, pool, e);
    if (!rc && o->candidates.n) rc = cascade_run(&r->sweep, &r->machine, pool, e);
    if (!rc && o->candidates.n) rc = sweep_assemble(&r->sweep, e);
    pool_free(own);
    return rc;
}

/* The second stage: models of the fields that the first one's models chose. */
static int train_selected(struct run *r, struct err *e) {
    json_t *costs;
    int rc = select_models(&r->sweep, r->pool, &costs, e);
    if (!rc && json_object_size(costs)) rc = manifest_set(&r->manifest, "field_costs", json_incref(costs), e);
    json_decref(costs);
    TRY(rc);
    if (r->resume) TRY(sweep_resume(&r->sweep, e));
    return sweep_train(&r->sweep, r->pool, e);
}

/* Before the sweep is planned, as it decides what the variants are. */
static int tune(struct run *r, struct err *e) {
    json_t *chosen;
    TRY(tune_run(&r->x, &r->ds, r->dir, r->resume, r->pool, &chosen, e));
    return chosen ? manifest_set(&r->manifest, "tuned", chosen, e) : 0;
}

static int train_and_measure(struct run *r, struct err *e) {
    struct sweep *s = &r->sweep;
    TRY(served_check(&r->x, r->dir, e));
    TRY(retrieval_check(&r->x, &r->ds, e));
    if (r->resume) TRY(sweep_resume(s, e));
    int rc = sweep_train(s, r->pool, e);
    if (!rc && select_wanted(&r->x.select)) rc = train_selected(r, e);
    if (rc && rc != ERR_INTERRUPTED) return rc;
    TRY(sweep_assemble(s, rc ? NULL : e));
    if (rc) return rc;
    int failed = sweep_n_failed(s);
    if (failed == s->n_runs)
        return err_set(e, ERR_INPUT, "every run failed; the notes in %s/effect.csv say why", r->dir);
    if (failed) progress_note("%d of %d runs failed; effect.csv says why", failed, s->n_runs);
    TRY(slices_write(s, e));
    TRY(measure(r, e));
    return retrieval_run(s, r->pool, e);
}

/* Without gnuplot there is a report without pictures, and that is no reason to fail; a full disk is one. */
static int show(struct run *r, struct err *e) {
    struct err warning = ERR_INIT;
    bool pictures = !gnuplot_run("", 0, "/", &warning);
    if (!pictures) fprintf(stderr, "prerank: warning: %s\n", warning.msg);
    int rc = report_run(r->dir, NULL, pictures, stdout, e);
    if (!rc || rc == ERR_MEASURE) printf("\n%s/report.html\n", r->dir);
    return rc;
}

static int with_data(struct run *r, struct err *e) {
    TRY(manifest_open(r->dir, &r->x, &r->ds, r->resume, &r->manifest, e));
    machine_describe(&r->machine);
    TRY(manifest_set(&r->manifest, "machine", machine_json(&r->machine), e));
    TRY(pool_create(r->threads, &r->pool, e));
    TRY(manifest_set(&r->manifest, "threads", json_integer(r->threads), e));
    TRY(manifest_write(&r->manifest, "running", e));
    int rc = tune(r, e);
    if (!rc) rc = sweep_plan(&r->x, &r->ds, r->dir, &r->sweep, e);
    if (!rc) rc = tune_offer(&r->x, &r->sweep, e);
    if (!rc) sweep_announce(&r->sweep);
    if (!rc) rc = train_and_measure(r, e);
    if (rc == ERR_INTERRUPTED) {
        err_set(e, rc, "interrupted: %d of %d runs are finished and kept in %s; --resume does the rest",
                sweep_n_finished(&r->sweep), r->sweep.n_runs, r->dir);
        manifest_write(&r->manifest, "interrupted", NULL);
        return rc;
    }
    if (rc) return rc;
    TRY(manifest_write(&r->manifest, "finished", e));
    return r->no_report ? report_choose(r->dir, e) : show(r, e);
}

static int take_costs_of(struct run *r, struct err *e) {
    char path[1024];
    if (!r->costs_of) return 0;
    TRY(file_join(path, sizeof path, r->costs_of, "manifest.json", e));
    if (!file_exists(path))
        return err_set(e, ERR_INPUT,
                       "--costs-of %s: is no results folder of `prerank run`: it has no manifest.json",
                       r->costs_of);
    r->x.select.costs_of = r->costs_of;
    return 0;
}

static int run(struct run *r, struct err *e) {
    TRY(take_costs_of(r, e));
    experiment_note_budget(&r->x);
    TRY(r->out ? file_join(r->dir, sizeof r->dir, "", r->out, e)
               : file_join(r->dir, sizeof r->dir, "results", r->x.o.name, e));
    TRY(prepare_dataset(&r->x.schema, r->x.o.data_dir, e));
    TRY(dataset_open(r->x.o.data_dir, &r->ds, e));
    int rc = with_data(r, e);
    sweep_release(&r->sweep);
    pool_free(r->pool);
    manifest_close(&r->manifest);
    dataset_close(&r->ds);
    /* The results are whole, also when nothing fits the budget. */
    if (r->instructions && (!rc || rc == ERR_MEASURE))
        TRY(instructions_count(r->config, r->dir, r->set.v, r->set.n, e));
    return rc;
}

int cmd_run(int argc, char **argv, struct err *e) {
    struct run r = {.manifest = {.lock = -1}, .threads = pool_cpus()};
    const struct arg args[] = {{"out", &r.out, NULL, NULL},
                               {"set", NULL, NULL, &r.set},
                               {"threads", &r.threads_text, NULL, NULL},
                               {"costs-of", &r.costs_of, NULL, NULL},
                               {"resume", NULL, &r.resume, NULL},
                               {"quiet", NULL, &r.quiet, NULL},
                               {"no-report", NULL, &r.no_report, NULL},
                               {"instructions", NULL, &r.instructions, NULL},
                               ARGS_END};
    TRY(args_parse(argc, argv, args, "an experiment such as configs/quickstart.yaml", &r.config, e));
    if (r.threads_text) TRY(args_int("threads", r.threads_text, 1, 256, &r.threads, e));
    progress_set_quiet(r.quiet);
    interrupt_install();
    struct problems p = PROBLEMS_INIT;
    int rc = experiment_load(r.config, r.set.v, r.set.n, &r.x, &p);
    if (!rc && experiment_check_models(&r.x, &p)) {
        experiment_release(&r.x);
        rc = ERR_INPUT;
    }
    problems_print(&p, stderr);
    problems_release(&p);
    if (rc) return rc;
    rc = run(&r, e);
    experiment_release(&r.x);
    return rc;
}
