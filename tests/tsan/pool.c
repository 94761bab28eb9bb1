/* The thread pool under ThreadSanitizer, with a plain main() because Criterion crashes there: results of tasks are read by
 * the caller, scratch memory by the next run's worker, pools start and stop busy and idle. With the argument `race` two tasks
 * write one variable, which must be found: it shows that the check checks. */
#include "base/pool.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TASKS = 64, RUNS = 2000 };

struct work {
    int run, out[TASKS], scratch[8], shared;
};

static void task(void *ctx, int task, int worker) {
    struct work *w = ctx;
    w->scratch[worker] += task;
    w->out[task] = w->run + task;
}

static void racing(void *ctx, int task, int worker) {
    (void)worker;
    ((struct work *)ctx)->shared += task;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* both workers get a task */
}

static int check(struct pool *p) {
    struct work w = {.run = 0};
    for (w.run = 0; w.run < RUNS; w.run++) {
        pool_run(p, TASKS, task, &w);
        for (int i = 0; i < TASKS; i++)
            if (w.out[i] != w.run + i) return 1;
        if (w.run % 500 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* workers fall asleep */
    }
    return 0;
}

int main(int argc, char **argv) {
    struct err e = ERR_INIT;
    struct pool *p;
    struct work w = {.run = 0};
    for (int threads = 1; threads <= 8; threads *= 2) {
        if (pool_create(threads, &p, &e)) return fprintf(stderr, "%s\n", e.msg), 2;
        if (argc > 1 && !strcmp(argv[1], "race"))
            pool_run(p, TASKS, racing, &w);
        else if (check(p))
            return fprintf(stderr, "a task's result is lost\n"), 1;
        pool_free(p);
    }
    return 0;
}
