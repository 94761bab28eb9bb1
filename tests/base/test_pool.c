#include "base/mem.h"
#include "base/pool.h"
#include "base/progress.h"
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

struct work {
    int threads;
    long long sum[300];   /* by worker */
    unsigned char *times; /* by task */
    atomic_int wrong_worker;
};

static void add(void *ctx, int task, int worker) {
    struct work *w = ctx;
    if (worker < 0 || worker >= w->threads) {
        atomic_store(&w->wrong_worker, 1);
        return;
    }
    w->sum[worker] += task;
    w->times[task]++;
}

static void assert_runs_all(struct pool *p, int tasks) {
    struct work w = {.threads = pool_threads(p), .times = mem_calloc((size_t)tasks + 1, 1)};
    pool_run(p, tasks, add, &w);
    long long sum = 0;
    for (int i = 0; i < w.threads; i++) sum += w.sum[i];
    cr_assert_eq(sum, (long long)tasks * (tasks - 1) / 2);
    for (int i = 0; i < tasks; i++) cr_assert_eq(w.times[i], 1, "task %d ran %d times", i, w.times[i]);
    cr_assert_not(atomic_load(&w.wrong_worker));
    mem_free(w.times);
}

static void assert_pool_of(int threads) {
    struct pool *p;
    struct err e = ERR_INIT;
    cr_assert_eq(pool_create(threads, &p, &e), 0, "%s", e.msg);
    cr_assert_eq(pool_threads(p), threads);
    static const int tasks[] = {0, 1, 2, 3, 7, 100, 12345};
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) assert_runs_all(p, tasks[i]);
    pool_free(p);
}

Test(pool, runs_each_task_once_with_1_thread, .timeout = 60) { assert_pool_of(1); }
Test(pool, runs_each_task_once_with_2_threads, .timeout = 60) { assert_pool_of(2); }
Test(pool, runs_each_task_once_with_8_threads, .timeout = 60) { assert_pool_of(8); }
Test(pool, runs_on_the_caller_without_a_pool, .timeout = 60) {
    assert_runs_all(NULL, 100);
    cr_assert_eq(pool_threads(NULL), 1);
    pool_free(NULL);
}

static void count(void *ctx, int task, int worker) {
    (void)task, (void)worker;
    atomic_fetch_add((atomic_llong *)ctx, 1);
}

Test(pool, many_tiny_runs_lose_nothing, .timeout = 120) {
    static const int threads[] = {2, 8};
    for (int t = 0; t < 2; t++) {
        struct pool *p;
        cr_assert_eq(pool_create(threads[t], &p, NULL), 0);
        atomic_llong n = 0;
        long long expected = 0;
        for (int i = 0; i < 20000; i++) {
            int tasks = 2 + i % 5;
            pool_run(p, tasks, count, &n);
            expected += tasks;
            cr_assert_eq(atomic_load(&n), expected, "after run %d", i); /* all done when pool_run returns */
        }
        pool_free(p);
    }
}

static void nap(void *ctx, int task, int worker) {
    (void)ctx, (void)worker;
    nanosleep(&(struct timespec){0, task ? 3000000 : 0}, NULL);
}

Test(pool, wakes_up_workers_that_went_to_sleep_and_sleeps_itself, .timeout = 60) {
    struct pool *p;
    cr_assert_eq(pool_create(3, &p, NULL), 0);
    atomic_llong n = 0;
    for (int i = 0; i < 50; i++) {
        pool_run(p, 4, nap, NULL); /* the caller waits long for the others */
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        pool_run(p, 3, count, &n);
    }
    cr_assert_eq(atomic_load(&n), 150);
    pool_free(p);
}

Test(pool, tasks_of_one_run_overlap, .timeout = 60) {
    struct pool *p;
    cr_assert_eq(pool_create(4, &p, NULL), 0);
    double start = clock_seconds();
    for (int i = 0; i < 20; i++) pool_run(p, 5, nap, NULL); /* four naps of 3 ms and a free one */
    double spent = clock_seconds() - start;
    cr_assert_lt(spent, 20 * 4 * 0.003 * 0.9, "%.3f s", spent);
    pool_free(p);
}

Test(pool, starts_and_stops_idle_pools, .timeout = 60) {
    for (int i = 0; i < 200; i++) {
        struct pool *p;
        cr_assert_eq(pool_create(1 + i % 5, &p, NULL), 0);
        if (i % 3 == 0) nanosleep(&(struct timespec){0, 200000}, NULL);
        pool_free(p);
    }
}

Test(pool, refuses_impossible_sizes_and_reports_missing_memory) {
    struct pool *p;
    struct err e = ERR_INIT;
    cr_assert_eq(pool_create(0, &p, &e), ERR_INPUT);
    cr_assert_str_eq(e.msg, "threads must be between 1 and 256, not 0");
    cr_assert_eq(pool_create(257, &p, &e), ERR_INPUT);
    cr_assert_null(p);
    mem_fail_after(1);
    cr_assert_eq(pool_create(2, &p, &e), ERR_INPUT);
    mem_fail_after(0);
    cr_assert(strstr(e.msg, "out of memory"));
}

Test(pool, counts_at_least_one_processor) { cr_assert_geq(pool_cpus(), 1); }

static void halve_smallest(void *ctx, int task, int worker) {
    volatile float *x = ctx;
    (void)worker;
    x[task] = x[task] * 0.5f;
}

#if defined(__x86_64__) || defined(__aarch64__)
Test(pool, subnormal_numbers_are_zero_in_every_thread) {
    struct pool *p;
    struct err e = ERR_INIT;
    float x[64], normal = 1.5e-38f; /* its half has no normal float */
    cr_assert_eq(pool_create(3, &p, &e), 0, "%s", e.msg);
    for (int i = 0; i < 64; i++) x[i] = normal;
    pool_run(p, 64, halve_smallest, x);
    for (int i = 0; i < 64; i++) cr_assert(memcmp(&x[i], &(float){0}, sizeof x[i]) == 0, "task %d", i);
    halve_smallest(&normal, 0, 0);
    cr_assert(memcmp(&normal, &(float){0}, sizeof normal) == 0, "the caller");
    pool_free(p);
}
#endif
