/* machine.h: what the program runs on, and what that can do: the figures behind floor_us and the manifest.
 *
 *     struct machine m;
 *     machine_describe(&m);                      names and sizes
 *     TRY(machine_calibrate(&m, pool, e));       measures; less than a second
 *     double us = machine_floor_us(&m, flops, bytes, working_set);
 *
 * Peak: the best of some sgemm of 1024 x 1024 x 1024, one on each thread at a time. Bandwidth: the best of
 * some sweeps over buffers, one on each thread, of 128 MiB together with the others (memory) and of 256 KiB
 * each (cache). Both count the threads' processor time, so that a busy machine does not look like a slow one.
 */
#ifndef PRERANK_BENCH_MACHINE_H
#define PRERANK_BENCH_MACHINE_H
#include "base/err.h"
#include "base/pool.h"
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct machine {
    char host[128], system[256], cpu[128], blas_kernel[64], blas_config[256];
    int cpus;             /* that this process may use */
    int64_t memory_bytes; /* -1: unknown */
    size_t cache_bytes;   /* of the largest cache; 0: unknown */
    int threads;          /* of the calibration; 0: not calibrated */
    double peak_gflops;   /* of all threads together */
    double memory_gbs, cache_gbs;
    double calibration_seconds;
};
void machine_describe(struct machine *m);
int machine_calibrate(struct machine *m, struct pool *pool, struct err *e);
/* The roofline: no request of so many FLOPs and bytes can be faster. The bytes come from the cache when
 * `working_set` bytes, of which they are a part, fit there. NaN before calibration. */
double machine_floor_us(const struct machine *m, double flops, double bytes, double working_set);
json_t *machine_json(const struct machine *m);

#endif
