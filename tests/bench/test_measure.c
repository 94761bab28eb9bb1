/* Measuring with each item store, through the program; redis with a server of the test's own. */
#include "base/mem.h"
#include "bench/run/measure_rows.h"
#include "tests/bench/scratch.h"
#include "tests/support/redis.h"
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scratch s;
static struct redis_server server;
static void setup(void) {
    scratch_make(&s);
    server.pid = -1;
}
static void teardown(void) {
    redis_stop(&server);
    scratch_remove(&s);
}
TestSuite(measure, .init = setup, .fini = teardown, .timeout = 120);

static struct ran run(const char *measure) {
    char rest[600];
    snprintf(rest, sizeof rest,
             "variants: [dssm, mlp]\ntrain: {epochs: 1}\n"
             "measure: {candidates: [10, 300], requests: 400, min_seconds: 0, %s}\n",
             measure);
    scratch_write(&s, "x.yaml", small_experiment(&s, 1000, rest));
    return prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir);
}

static void expect_points(const char *const *stores, int n) {
    const char *compute = scratch_read(&s, "out/compute.csv"),
               *tradeoff = scratch_read(&s, "out/tradeoff.csv");
    static const char *const variants[] = {"dssm", "mlp"}, *const candidates[] = {"10", "300"};
    cr_expect_eq(count_lines(compute), 1 + 4 * (size_t)n);
    cr_expect_eq(count_lines(tradeoff), 1 + 4 * (size_t)n);
    for (int i = 0; i < n; i++)
        for (int v = 0; v < 2; v++)
            for (int c = 0; c < 2; c++) {
                char key[120];
                snprintf(key, sizeof key, "variant=%s,candidates=%s,precision=fp32,store=%s", variants[v],
                         candidates[c], stores[i]);
                cr_expect_str_eq(cell(&s, compute, key, "missing"), "0");
                cr_expect_str_eq(cell(&s, compute, key, "n"), "400");
                cr_expect_gt(atof(cell(&s, tradeoff, key, "p50_us")), 0);
                cr_expect_gt(atof(cell(&s, tradeoff, key, "gauc")), 0);
            }
}

Test(measure, a_model_is_timed_with_each_local_store) {
    static const char *const stores[] = {"memory", "lmdb"};
    struct ran r = run("store: [memory, lmdb]");
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    expect_points(stores, 2);
    cr_expect_str_eq(cell(&s, scratch_read(&s, "out/compute.csv"), "variant=mlp", "user_hit_share"), "",
                     "no user is cached unasked");
    cr_expect(!scratch_has(&s, "out/stores"), "the files of the stores are taken away");
}

Test(measure, a_model_is_timed_with_redis) {
    static const char *const stores[] = {"redis"};
    char text[100];
    if (!redis_start(&server, 0)) cr_skip_test("redis-server is not installed");
    snprintf(text, sizeof text, "store: redis, store_server: \"%s\"", server.address);
    struct ran r = run(text);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    expect_points(stores, 1);
    double redis =
        atof(cell(&s, scratch_read(&s, "out/compute.csv"), "variant=dssm,candidates=10", "p50_us"));
    cr_expect_gt(redis, 10, "p50 of %g us: there was no round trip", redis);
}

Test(measure, a_server_that_is_down_ends_the_run_before_anything_is_trained) {
    char text[100], message[80];
    int port = redis_free_port();
    snprintf(text, sizeof text, "store: [memory, redis], store_server: \"127.0.0.1:%d\"", port);
    snprintf(message, sizeof message, "redis 127.0.0.1:%d", port);
    struct ran r = run(text);
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, message), "%s", r.err);
    const char *said = strstr(r.err, "prerank: ");
    cr_expect(said && !strstr(said + 1, "prerank: "), "one message, not\n%s", r.err);
    cr_expect(!scratch_has(&s, "out/runs/dssm.all.1.json"));
    cr_expect(!scratch_has(&s, "out/compute.csv"));
}

/* ---- what goes wrong in the middle ---- */

/* A run that would take a minute, and `meddle` beside it, again and again until the run is over. */
static struct ran run_with(const char *store, void (*meddle)(void)) {
    char rest[600];
    snprintf(
        rest, sizeof rest,
        "variants: [dssm]\ntrain: {epochs: 1}\nmeasure: {candidates: [30], requests: 1000000, min_seconds: "
        "60, %s}\n",
        store);
    scratch_write(&s, "x.yaml", small_experiment(&s, 1000, rest));
    pid_t child = fork();
    for (int i = 0; !child; i++) {
        if (i == 5000) _exit(0);
        meddle();
        usleep(20000);
    }
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return r;
}

static void kill_server_in_use(void) {
    char command[100], keys[30] = "";
    snprintf(command, sizeof command, "redis-cli -p %d dbsize 2>/dev/null", server.port);
    FILE *f = popen(command, "r");
    if (f && fgets(keys, sizeof keys, f) && atoi(keys) > 0) kill(server.pid, SIGKILL);
    if (f) pclose(f);
}

Test(measure, a_server_that_dies_under_requests_ends_the_run_with_its_name) {
    char text[100];
    if (!redis_start(&server, 0)) cr_skip_test("redis-server is not installed");
    snprintf(text, sizeof text, "store: redis, store_server: \"%s\"", server.address);
    struct ran r = run_with(text, kill_server_in_use);
    cr_expect_eq(r.status, 2, "exit %d", r.status);
    cr_expect(strstr(r.err, "prerank: ") && strstr(r.err, server.address), "%s", r.err);
    cr_expect(!scratch_has(&s, "out/compute.csv"));
}

static void cut_off_the_table(void) {
    char path[200];
    snprintf(path, sizeof path, "%s/out/stores/small.dssm.all.1.fp32.lmdb", s.dir);
    if (!truncate(path, 4096)) return;
}

Test(measure, a_table_that_is_cut_off_under_requests_ends_the_run_with_its_name) {
    struct ran r = run_with("store: lmdb", cut_off_the_table);
    cr_expect_eq(r.status, 2, "exit %d", r.status);
    cr_expect(strstr(r.err, "small.dssm.all.1.fp32.lmdb"), "%s", r.err);
    cr_expect(!scratch_has(&s, "out/compute.csv"));
}

Test(measure, stores_are_named_once_and_redis_with_its_server) {
    struct ran r = run("store: [lmdb, lmdb]");
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, "x.yaml:20:") && strstr(r.err, "`measure.store` names lmdb twice"), "%s", r.err);
    r = run("store: redis");
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, "`store_server` must say which server"), "%s", r.err);
    r = run("precision: []");
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, "`measure.precision` must name at least one, as in [fp32]"), "%s", r.err);
}

Test(measure, users_are_cached_and_the_engine_is_taken_apart_where_options_say_so) {
    static const char *const stores[] = {"memory"};
    struct ran r = run("user_cache: 1000, split_layers: false, by_column: false, fuse: false, top_by: sort");
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    expect_points(stores, 1);
    const char *compute = scratch_read(&s, "out/compute.csv");
    double share = atof(cell(&s, compute, "variant=dssm,candidates=10", "user_hit_share"));
    cr_expect(share > 0.5 && share < 1, "60 users, each at least once a newcomer: %g", share);
}

Test(measure, missing_items_show_in_their_column_and_the_verdict) {
    struct requests q = {.n = 1, .most = 10, .mean = 10};
    struct point p[2];
    struct measured_list l = {0};
    struct machine m = {0};
    struct err e = ERR_INIT;
    for (int i = 0; i < 2; i++) {
        p[i] = (struct point){.variant = i ? "whole" : "holes",
                              .features = "all",
                              .precision = "fp32",
                              .store = "redis",
                              .spread = "",
                              .requests = &q,
                              .threads = 1,
                              .servers = {.n = 1},
                              .round = {.busy_ns = 500000},
                              .missing = i ? 0 : 7};
        cr_assert_eq(samples_room(&p[i].round.got, 500, &e), 0);
        while (p[i].round.got.n < 500) p[i].round.got.v[p[i].round.got.n++] = 1000;
        cr_assert_eq(measured_closed(&l, &p[i], 0, &e), 0);
    }
    cr_assert_eq(measure_write(s.dir, &l, &m, &e), 0, "%s", e.msg);
    const char *t = scratch_read(&s, "compute.csv");
    cr_expect_str_eq(cell(&s, t, "variant=holes", "missing"), "7");
    cr_expect_str_eq(cell(&s, t, "variant=holes", "verdict"), "items missing");
    cr_expect_str_eq(cell(&s, t, "variant=whole", "missing"), "0");
    cr_expect_str_eq(cell(&s, t, "variant=whole", "verdict"), "ok");
    measured_release(&l);
}

static double number(const char *table, const char *variant, const char *precision, const char *split,
                     const char *column) {
    char key[120];
    snprintf(key, sizeof key, "variant=%s,precision=%s,split=%s", variant, precision, split);
    return atof(cell(&s, table, key, column));
}

Test(measure, lower_precisions_are_timed_and_their_quality_is_measured_on_the_logged_rows) {
    static const char *const precisions[] = {"bf16", "fp16", "int8"};
    struct ran r = run("precision: [fp32, bf16, fp16, int8]");
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    const char *quality = scratch_read(&s, "out/precision.csv"), *effect = scratch_read(&s, "out/effect.csv"),
               *tradeoff = scratch_read(&s, "out/tradeoff.csv");
    cr_expect_eq(count_lines(quality), 1 + 2 * 4 * 2);
    cr_expect_eq(count_lines(scratch_read(&s, "out/compute.csv")), 1 + 2 * 4 * 2);
    for (int v = 0; v < 2; v++) {
        const char *variant = v ? "mlp" : "dssm";
        char key[120];
        snprintf(key, sizeof key, "variant=%s,split=test", variant);
        /* as served, it is the model that was trained */
        cr_expect_float_eq(number(quality, variant, "fp32", "test", "gauc"),
                           atof(cell(&s, effect, key, "gauc")), 1e-9);
        cr_expect_eq(number(quality, variant, "fp32", "test", "score_max_diff"), 0);
        for (int p = 0; p < 3; p++) {
            double most = number(quality, variant, precisions[p], "test", "score_max_diff"),
                   delta = number(quality, variant, precisions[p], "test", "gauc_delta");
            cr_expect(most > 0 && most < 0.2, "%s in %s: %g", variant, precisions[p], most);
            cr_expect_float_eq(delta,
                               number(quality, variant, precisions[p], "test", "gauc") -
                                   number(quality, variant, "fp32", "test", "gauc"),
                               1e-8);
            cr_expect_lt(fabs(delta), 0.02);
            cr_expect_leq(number(quality, variant, precisions[p], "test", "gauc_delta_lo"), delta);
            cr_expect_geq(number(quality, variant, precisions[p], "test", "gauc_delta_hi"), delta);
            snprintf(key, sizeof key, "variant=%s,candidates=10,precision=%s", variant, precisions[p]);
            cr_expect_float_eq(atof(cell(&s, tradeoff, key, "gauc_delta")), delta, 1e-9);
            cr_expect_float_eq(atof(cell(&s, tradeoff, key, "gauc")),
                               number(quality, variant, precisions[p], "test", "gauc"), 1e-8,
                               "the trade-off is that of the precision");
        }
    }
}

Test(measure, records_take_fewer_bytes_in_a_lower_precision_in_every_store) {
    scratch_write(&s, "x.yaml",
                  small_experiment(&s, 1000,
                                   "variants: [dcn, mlp]\ntrain: {epochs: 1}\n"
                                   "measure: {candidates: [10], requests: 400, min_seconds: 0, "
                                   "precision: [fp32, int8], store: [memory, lmdb]}\n"));
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/out", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    const char *compute = scratch_read(&s, "out/compute.csv");
    cr_expect_eq(count_lines(compute), 1 + 2 * 2 * 2);
    cr_expect_eq(count_lines(scratch_read(&s, "out/precision.csv")), 1 + 2 * 2 * 2);
    for (int v = 0; v < 2; v++) {
        double bytes[2][2];
        for (int p = 0; p < 2; p++)
            for (int k = 0; k < 2; k++) {
                char key[120];
                snprintf(key, sizeof key, "variant=%s,precision=%s,store=%s", v ? "mlp" : "dcn",
                         p ? "int8" : "fp32", k ? "lmdb" : "memory");
                bytes[p][k] = atof(cell(&s, compute, key, "bytes_per_candidate"));
            }
        cr_expect_eq(bytes[0][0], bytes[0][1]);
        cr_expect_eq(bytes[1][0], bytes[1][1]);
        cr_expect(bytes[1][0] > 0 && bytes[1][0] < bytes[0][0], "%g of %g", bytes[1][0], bytes[0][0]);
    }
}

Test(measure, fp32_alone_writes_no_table_of_precisions) {
    struct ran r = run("store: memory");
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    cr_expect(!scratch_has(&s, "out/precision.csv"));
}

/* The cells of dssm's rows with 300 candidates under each load. */
static void expect_servers(const char *servers, const char *threads) {
    static const char *const load[] = {"closed", "open", "usable"};
    const char *t = scratch_read(&s, "out/compute.csv");
    for (int i = 0; i < 3; i++) {
        char key[100];
        snprintf(key, sizeof key, "variant=dssm,candidates=300,load=%s", load[i]);
        cr_expect_str_eq(cell(&s, t, key, "servers"), servers, "%s", load[i]);
        cr_expect_str_eq(cell(&s, t, key, "threads_per_request"), threads, "%s", load[i]);
        cr_expect_str_eq(cell(&s, t, key, "threads"), "2");
        cr_expect_gt(atof(cell(&s, t, key, "p50_us")), 0);
    }
}

Test(measure, several_servers_answer_at_once_with_each_store_and_the_rows_say_so) {
    static const char loads[] = "threads: 2, load: [closed, open, usable], limit_ms: 50, open_seconds: 0.2, "
                                "utilisation: [0.5], probe_seconds: 0.1, probe_tolerance: 0.5";
    char text[400];
    snprintf(text, sizeof text, "%s, servers: 2, store: [memory, lmdb]", loads);
    struct ran r = run(text);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    expect_servers("2", "1");
    const char *t = scratch_read(&s, "out/compute.csv");
    cr_expect_eq(count_lines(t), 1 + 4 * 2 * 3);
    cr_expect_str_eq(cell(&s, t, "variant=mlp,candidates=300,store=lmdb,load=closed", "missing"), "0");
    cr_expect_str_eq(cell(&s, t, "variant=mlp,candidates=300,store=lmdb,load=closed", "n"), "400");
    cr_expect_str_eq(cell(&s, t, "variant=mlp,candidates=300,store=lmdb,load=closed", "split_from"), "");
    snprintf(text, sizeof text, "%s, servers: 1, threads_over_candidates: always", loads);
    cr_assert_eq(run(text).status, 0);
    expect_servers("1", "2");
    snprintf(text, sizeof text, "%s, threads_over_candidates: never", loads);
    cr_assert_eq(run(text).status, 0);
    expect_servers("1", "1");
}

Test(measure, servers_are_chosen_by_throughput_at_each_point) {
    struct ran r = run("threads: 2, servers: 0");
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    const char *t = scratch_read(&s, "out/compute.csv");
    for (int v = 0; v < 2; v++)
        for (int c = 0; c < 2; c++) {
            char key[100];
            snprintf(key, sizeof key, "variant=%s,candidates=%d", v ? "mlp" : "dssm", c ? 300 : 10);
            int servers = atoi(cell(&s, t, key, "servers"));
            cr_expect(servers == 1 || servers == 2, "%s: %d", key, servers);
            if (servers == 2) cr_expect_str_eq(cell(&s, t, key, "threads_per_request"), "1");
        }
    r = run("threads: 2, servers: 3");
    cr_expect_eq(r.status, 2);
    cr_expect(strstr(r.err, "3 `servers` need as many `threads`, and those are 2"), "%s", r.err);
}

Test(measure, several_servers_have_a_connection_each_to_redis) {
    char text[200];
    if (!redis_start(&server, 0)) cr_skip_test("redis-server is not installed");
    snprintf(text, sizeof text, "threads: 2, servers: 2, store: redis, store_server: \"%s\"", server.address);
    struct ran r = run(text);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    cr_expect_str_eq(cell(&s, scratch_read(&s, "out/compute.csv"), "variant=mlp,candidates=300", "missing"),
                     "0");
    cr_expect_str_eq(cell(&s, scratch_read(&s, "out/compute.csv"), "variant=mlp,candidates=300", "servers"),
                     "2");
}

static const char *tables(const char *which, const char *rest) {
    char text[400];
    snprintf(
        text, sizeof text,
        "variants: [mlp, dssm]\ntrain: {epochs: 1}\n"
        "measure: {candidates: [10], requests: 400, min_seconds: 0, recall_requests: 20, tables: %s%s}\n",
        which, rest);
    scratch_write(&s, "x.yaml", small_experiment(&s, 1000, text));
    struct ran r = prerank(&s, "run %s/x.yaml --out %s/%s", s.dir, s.dir, which);
    cr_assert_eq(r.status, 0, "exit %d\n%s", r.status, r.err);
    snprintf(text, sizeof text, "%s/tables.csv", which);
    return scratch_read(&s, text);
}

Test(measure, which_pair_fields_are_tables_is_asked_for_or_measured_and_written_down) {
    const char *all = tables("all", ""), *none = tables("none", ""), *measured = tables("auto", "");
    size_t fields = count_lines(all) - 1;
    cr_assert_gt(fields, 0);
    cr_expect_eq(count_lines(none) - 1, fields);
    cr_expect_eq(count_lines(measured) - 1, fields);
    cr_expect_str_eq(cell(&s, all, "variant=mlp", "chosen"), "table");
    cr_expect_str_eq(cell(&s, all, "variant=mlp", "why"), "option");
    cr_expect_str_eq(cell(&s, all, "variant=mlp", "table_ns"), "");
    cr_expect_str_eq(cell(&s, none, "variant=mlp", "chosen"), "product");
    cr_expect_str_eq(cell(&s, measured, "variant=mlp", "why"), "measured");
    double table_ns = atof(cell(&s, measured, "variant=mlp", "table_ns")),
           product_ns = atof(cell(&s, measured, "variant=mlp", "product_ns"));
    cr_expect(table_ns > 0 && product_ns > 0);
    cr_expect_str_eq(cell(&s, measured, "variant=mlp", "chosen"),
                     table_ns <= product_ns ? "table" : "product");
    double bytes = atof(cell(&s, all, "variant=mlp", "table_bytes"));
    cr_expect_eq(bytes, 4 * atof(cell(&s, all, "variant=mlp", "vocab")) *
                            atof(cell(&s, all, "variant=mlp", "units")));
    double flops_all =
               atof(cell(&s, scratch_read(&s, "all/compute.csv"), "variant=mlp", "flops_per_candidate")),
           flops_none =
               atof(cell(&s, scratch_read(&s, "none/compute.csv"), "variant=mlp", "flops_per_candidate"));
    cr_expect_gt(flops_none, flops_all, "the option reaches the scorer that is timed");
    /* quality does not depend on what was measured: with `auto` it is that of `all` */
    static const char times[] = "train_seconds,examples_per_second";
    cr_expect_str_eq(without_columns(&s, scratch_read(&s, "auto/effect.csv"), times),
                     without_columns(&s, scratch_read(&s, "all/effect.csv"), times));
}

Test(measure, a_field_beyond_the_limit_is_no_table) {
    const char *t = tables("all", ", tables_mib: 0");
    cr_expect_str_eq(cell(&s, t, "variant=mlp", "chosen"), "product");
    cr_expect_str_eq(cell(&s, t, "variant=mlp", "why"), "limit");
}
