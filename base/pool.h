/* pool.h: a fixed set of worker threads that run numbered tasks.
 *
 * pool_run() calls fn(ctx, task, worker) once for each task 0..tasks-1 and returns when all are done. The caller is
 * worker 0; a task runs whole on one thread; which thread is not fixed, so a result must not depend on `worker`
 * (use it only to pick scratch memory). Workers spin for some tens of microseconds for the next run before they sleep, so
 * that requests of a millisecond do not pay a wake-up. The workers, and the thread that calls pool_create(), take
 * subnormal numbers for zero from then on (x86-64, AArch64).
 *
 *     struct pool *p;  TRY(pool_create(4, &p, e));
 *     pool_run(p, slices, run_slice, &ctx);
 *     pool_free(p);
 */
#ifndef PRERANK_BASE_POOL_H
#define PRERANK_BASE_POOL_H
#include "base/err.h"

struct pool;
/* threads: 1..256, including the caller. */
int pool_create(int threads, struct pool **out, struct err *e);
void pool_free(struct pool *p);
int pool_threads(const struct pool *p);
/* Not reentrant: one pool_run at a time, from one thread. p may be NULL: the tasks run on the caller. */
void pool_run(struct pool *p, int tasks, void (*fn)(void *ctx, int task, int worker), void *ctx);
/* Processors this process may use. */
int pool_cpus(void);

#endif
