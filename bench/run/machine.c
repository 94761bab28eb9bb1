#include "bench/run/machine.h"
#include "base/mem.h"
#include "base/progress.h"
#include "nn/vec.h"
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void cpu_name(char *out, size_t cap) {
    snprintf(out, cap, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon++;
        colon += strspn(colon, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, cap, "%.120s", colon);
        break;
    }
    if (f) fclose(f);
}

/* From sysfs: sysconf() asks the processor, which knows nothing of what a virtual machine was given. */
static size_t largest_cache(void) {
    size_t best = 0;
    for (int i = 0; i < 8; i++) {
        char path[80], text[32] = "";
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        FILE *f = fopen(path, "r");
        if (!f) break;
        unsigned long kib = fgets(text, sizeof text, f) ? strtoul(text, NULL, 10) : 0;
        fclose(f);
        if (strchr(text, 'M')) kib *= 1024;
        if (kib * 1024 > best) best = kib * 1024;
    }
    return best;
}

void machine_describe(struct machine *m) {
    *m = (struct machine){.cpus = pool_cpus(), .memory_bytes = -1, .cache_bytes = largest_cache()};
    struct utsname u;
    if (!uname(&u)) {
        snprintf(m->host, sizeof m->host, "%.120s", u.nodename);
        snprintf(m->system, sizeof m->system, "%.64s %.64s %.64s", u.sysname, u.release, u.machine);
    }
    cpu_name(m->cpu, sizeof m->cpu);
    snprintf(m->blas_kernel, sizeof m->blas_kernel, "%s", openblas_get_corename());
    snprintf(m->blas_config, sizeof m->blas_config, "%s", openblas_get_config());
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0) m->memory_bytes = (int64_t)pages * page;
}

enum { GEMM = 1024, REPEATS = 8, CALIBRATION_THREADS = 256 };
static const size_t memory_floats = (size_t)32 << 20; /* of all threads */
static const size_t cache_floats = (size_t)64 << 10;  /* of each thread */

struct calibration {
    float *buffer;
    size_t each; /* floats of one thread */
    int sweeps;
    double seconds[CALIBRATION_THREADS], sink[CALIBRATION_THREADS];
};

/* Processor time of this thread: what it loses to other programs is not the machine's fault. */
static double thread_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_gemm(void *ctx, int task, int worker) {
    struct calibration *c = ctx;
    (void)worker;
    const size_t n = (size_t)GEMM * GEMM;
    float *a = c->buffer, *b = a + n, *out = b + n * (size_t)(task + 1);
    double start = thread_seconds();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, GEMM, GEMM, GEMM, 1, a, GEMM, b, GEMM, 0, out,
                GEMM);
    c->seconds[task] = thread_seconds() - start;
}

static void run_read(void *ctx, int task, int worker) {
    struct calibration *c = ctx;
    (void)worker;
    const float *p = c->buffer + (size_t)task * c->each;
    double start = thread_seconds();
    for (int s = 0; s < c->sweeps; s++)
        c->sink[task] += (double)cblas_sdot((blasint)(c->each / 2), p, 1, p + c->each / 2, 1);
    c->seconds[task] = thread_seconds() - start;
}

/* The best sum over the threads of `work` per second; the first run wakes the threads and touches the memory. */
static double best_rate(struct pool *pool, int threads, void (*fn)(void *, int, int), struct calibration *c,
                        double work) {
    double best = 0;
    for (int i = 0; i <= REPEATS; i++) {
        pool_run(pool, threads, fn, c);
        double sum = 0;
        for (int k = 0; k < threads; k++) sum += work / c->seconds[k];
        if (i && sum > best) best = sum;
    }
    return best;
}

int machine_calibrate(struct machine *m, struct pool *pool, struct err *e) {
    int threads = pool ? pool_threads(pool) : 1;
    double start = clock_seconds();
    const size_t square = (size_t)GEMM * GEMM, gemm = square * (size_t)(threads + 2);
    const size_t cached = cache_floats * (size_t)threads;
    size_t floats = memory_floats;
    if (gemm > floats) floats = gemm;
    if (cached > floats) floats = cached;
    struct calibration c = {.buffer = mem_alloc(floats * sizeof(float))};
    if (!c.buffer) return err_nomem(e, floats * sizeof(float));
    for (size_t i = 0; i < floats; i++) c.buffer[i] = 1e-3f;
    gemm_single_threaded();
    m->threads = threads;
    m->peak_gflops = 1e-9 * best_rate(pool, threads, run_gemm, &c, 2.0 * GEMM * (double)square);
    c.sweeps = 1;
    c.each = memory_floats / (size_t)threads & ~(size_t)31;
    m->memory_gbs = 1e-9 * best_rate(pool, threads, run_read, &c, (double)(c.each * sizeof(float)));
    c.sweeps = 200;
    c.each = cache_floats;
    m->cache_gbs = 1e-9 * best_rate(pool, threads, run_read, &c, 200.0 * (double)(c.each * sizeof(float)));
    mem_free(c.buffer);
    m->calibration_seconds = clock_seconds() - start;
    return 0;
}

double machine_floor_us(const struct machine *m, double flops, double bytes, double working_set) {
    if (!m->threads) return (double)NAN;
    double gbs =
        working_set <= (double)m->cache_bytes && m->cache_gbs > m->memory_gbs ? m->cache_gbs : m->memory_gbs;
    double compute = flops / m->peak_gflops * 1e-3, transfer = bytes / gbs * 1e-3;
    return compute > transfer ? compute : transfer;
}

json_t *machine_json(const struct machine *m) {
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:s, s:s}", "host", m->host, "system", m->system, "cpu",
                  m->cpu, "cpus", m->cpus, "memory_bytes", (json_int_t)m->memory_bytes, "cache_bytes",
                  (json_int_t)m->cache_bytes, "blas_kernel", m->blas_kernel, "blas_config", m->blas_config);
    if (!j || !m->threads) return j;
    json_t *c = json_pack("{s:i, s:f, s:f, s:f, s:f}", "threads", m->threads, "peak_gflops", m->peak_gflops,
                          "memory_gb_per_s", m->memory_gbs, "cache_gb_per_s", m->cache_gbs, "seconds",
                          m->calibration_seconds);
    if (!json_object_set_new(j, "calibration", c)) return j;
    json_decref(j);
    return NULL;
}
