#include "base/pool.h"
#include "base/mem.h"
#include "base/progress.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256, SPIN_NS = 50000, CACHE_LINE = 64 };

struct worker {
    struct pool *pool;
    int id;
    pthread_t thread;
};

/* `left` alone hands out the work: whoever lowers it from k to k - 1 owns task tasks - k. fn, ctx and tasks
 * are read only after a claim, and cannot change before the claimed task is counted in `done`; so a worker
 * that wakes up late, or in a later run, does no harm and nobody has to wait for it. */
struct pool { // NOLINT(clang-analyzer-optin.performance.Padding): a line each for what threads fight over
    _Alignas(CACHE_LINE) atomic_int left;
    _Alignas(CACHE_LINE) atomic_int done;
    _Alignas(CACHE_LINE) atomic_int sleepers; /* workers in, or about to enter, pthread_cond_wait(work) */
    atomic_int waiting; /* the caller is, or is about to be, in pthread_cond_wait(finished) */
    atomic_int stop;
    void (*fn)(void *ctx, int task, int worker);
    void *ctx;
    int tasks;
    int threads, started;
    int crowded; /* more threads than processors: give way instead of spinning */
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    struct worker workers[THREADS_MAX];
};

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int work_or_stop(struct pool *p) { return atomic_load(&p->left) > 0 || atomic_load(&p->stop); }

static int all_done(struct pool *p) { return atomic_load(&p->done) == p->tasks; }

/* 1 when `ready` came true within SPIN_NS. */
static int spin(struct pool *p, int (*ready)(struct pool *)) {
    int64_t until = clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            if (ready(p)) return 1;
            if (p->crowded) break;
            pause_cpu();
        }
        if (p->crowded) sched_yield();
    } while (clock_ns() < until);
    return 0;
}

static void claim_all(struct pool *p, int id) {
    int left = atomic_load(&p->left);
    while (left > 0) {
        if (!atomic_compare_exchange_weak(&p->left, &left, left - 1)) continue;
        int tasks = p->tasks;
        p->fn(p->ctx, tasks - left, id);
        int last = atomic_fetch_add(&p->done, 1) + 1 == tasks;
        if (last && atomic_load(&p->waiting)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->finished);
            pthread_mutex_unlock(&p->lock);
        }
        left = atomic_load(&p->left);
    }
}

/* Numbers below 1e-38 count as zero from here on in this thread: weights that decay get there by the thousand, and
 * some processors take a hundred times as long for each of them. */
static void flush_subnormals(void) {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040); /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | (uint64_t)1 << 24));
#endif
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    struct pool *p = w->pool;
    flush_subnormals();
    while (!atomic_load(&p->stop)) {
        claim_all(p, w->id);
        if (spin(p, work_or_stop)) continue;
        pthread_mutex_lock(&p->lock);
        atomic_fetch_add(&p->sleepers, 1);
        while (!work_or_stop(p)) pthread_cond_wait(&p->work, &p->lock);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

/* `left` (or `stop`) is stored before `sleepers` is read here, and a worker does it the other way round, all
 * sequentially consistent: one of the two sees the other. */
static void wake(struct pool *p) {
    if (!atomic_load(&p->sleepers)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

void pool_run(struct pool *p, int tasks, void (*fn)(void *ctx, int task, int worker), void *ctx) {
    if (!p || p->threads == 1 || tasks <= 1) {
        for (int i = 0; i < tasks; i++) fn(ctx, i, 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    p->tasks = tasks;
    atomic_store(&p->done, 0);
    atomic_store(&p->left, tasks);
    wake(p);
    claim_all(p, 0);
    if (spin(p, all_done)) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, 1);
    while (!all_done(p)) pthread_cond_wait(&p->finished, &p->lock);
    atomic_store(&p->waiting, 0);
    pthread_mutex_unlock(&p->lock);
}

static int start(struct pool *p) {
    /* signals are the main thread's business */
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    int rc = 0;
    while (!rc && p->started < p->threads - 1) {
        struct worker *w = &p->workers[p->started];
        *w = (struct worker){.pool = p, .id = p->started + 1};
        rc = pthread_create(&w->thread, NULL, worker_main, w);
        if (!rc) p->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int pool_create(int threads, struct pool **out, struct err *e) {
    *out = NULL;
    if (threads < 1 || threads > THREADS_MAX)
        return err_set(e, ERR_INPUT, "threads must be between 1 and %d, not %d", THREADS_MAX, threads);
    struct pool *p = mem_calloc(1, sizeof *p);
    if (!p) return err_nomem(e, sizeof *p);
    flush_subnormals();
    p->threads = threads;
    p->crowded = threads > pool_cpus();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->finished, NULL);
    int rc = start(p);
    if (rc) {
        char buf[128];
        int got = p->started + 1;
        pool_free(p);
        return err_set(e, ERR_INPUT, "cannot start %d threads: %s; %d worked, ask for fewer", threads,
                       strerror_r(rc, buf, sizeof buf), got);
    }
    *out = p;
    return 0;
}

void pool_free(struct pool *p) {
    if (!p) return;
    atomic_store(&p->stop, 1);
    wake(p);
    for (int i = 0; i < p->started; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->finished);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

int pool_threads(const struct pool *p) { return p ? p->threads : 1; }

int pool_cpus(void) {
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more than CPU_SETSIZE processors */
    return n > 0 ? (int)n : 1;
}
