#include "bench/perf/perf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- command line ---- */

static int usage(const char *program, const struct perf_flag *flag, int n, struct err *e) {
    fprintf(stderr, "usage: %s [--NAME VALUE]...\n", program);
    for (int i = 0; i < n; i++) fprintf(stderr, "  --%-12s %s\n", flag[i].name, flag[i].help);
    return err_set(e, ERR_INPUT, "see the list of flags above");
}

int perf_flags(int argc, char **argv, const struct perf_flag *flag, int n, struct err *e) {
    for (int i = 1; i < argc; i += 2) {
        int k = 0;
        while (k < n && (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i] + 2, flag[k].name) != 0)) k++;
        if (k == n || i + 1 == argc) return usage(argv[0], flag, n, e);
        if (flag[k].text) {
            *flag[k].text = argv[i + 1];
            continue;
        }
        char *end;
        errno = 0;
        long long v = strtoll(argv[i + 1], &end, 10);
        if (errno || end == argv[i + 1] || *end || v < 0)
            return err_set(e, ERR_INPUT, "--%s: \"%s\" is no whole number", flag[k].name, argv[i + 1]);
        *flag[k].number = v;
    }
    return 0;
}

/* ---- the protocol ---- */

/* Prints and releases. */
static int print_line(json_t *j, struct err *e) {
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(j);
    if (!text) return err_nomem(e, 0);
    puts(text);
    free(text);
    return fflush(stdout) ? err_errno(e, "standard output", "write") : 0;
}

static json_t *calibration(struct pool *pool, struct err *e) {
    struct machine m;
    if (perf_calibrate(&m, pool, e)) return NULL;
    return json_pack("{s:s, s:i, s:s, s:I, s:i, s:f, s:f, s:f}", "cpu", m.cpu, "cpus", m.cpus, "blas_kernel",
                     m.blas_kernel, "cache_bytes", (json_int_t)m.cache_bytes, "threads", m.threads,
                     "peak_gflops", m.peak_gflops, "memory_gbs", m.memory_gbs, "cache_gbs", m.cache_gbs);
}

int perf_serve(const struct perf_contender *c, json_t *ready, struct err *e) {
    char line[64];
    TRY(print_line(ready, e));
    while (fgets(line, sizeof line, stdin)) {
        json_t *answer;
        if (!strcmp(line, "calibrate\n"))
            answer = calibration(c->pool, e);
        else if (!strncmp(line, "go ", 3))
            answer = c->go(c->self, strtoll(line + 3, NULL, 10), e);
        else
            return err_set(e, ERR_INPUT, "unknown command \"%s\"", line);
        if (!answer) return e->code ? e->code : err_nomem(e, 0);
        TRY(print_line(answer, e));
    }
    return 0;
}

int perf_calibrate(struct machine *best, struct pool *pool, struct err *e) {
    machine_describe(best);
    for (int i = 0; i < 3; i++) {
        struct machine m;
        machine_describe(&m);
        TRY(machine_calibrate(&m, pool, e));
        best->threads = m.threads;
        best->peak_gflops = fmax(best->peak_gflops, m.peak_gflops);
        best->memory_gbs = fmax(best->memory_gbs, m.memory_gbs);
        best->cache_gbs = fmax(best->cache_gbs, m.cache_gbs);
    }
    return 0;
}

/* ---- made-up data ---- */

static double uniform_of(uint64_t x) { return (double)(rng_hash(x) >> 11) * 0x1p-53; }

uint32_t perf_zipf(double u, uint32_t n) {
    uint32_t id = (uint32_t)exp(u * log((double)n));
    return id < n ? id : n - 1;
}

uint32_t perf_field_id(const struct feature *f, uint32_t entity) {
    size_t n = strlen(f->name);
    if (n > 3 && !strcmp(f->name + n - 3, "_id")) return entity % f->vocab;
    return perf_zipf(uniform_of(rng_stream(f->name) + entity), f->vocab);
}

double perf_effect(const struct feature *f, uint32_t id) {
    return 1.5 * (uniform_of(rng_stream(f->name) ^ rng_hash(id + 1)) - 0.5);
}

int perf_write_npy(const char *dir, const char *name, enum npy_type type, const void *values, size_t n,
                   struct err *e) {
    char file[256], path[1024];
    snprintf(file, sizeof file, "%s.npy", name);
    TRY(file_join(path, sizeof path, dir, file, e));
    struct npy a;
    TRY(npy_create(path, type, n, &a, e));
    if (n) memcpy(a.data, values, n * npy_item_bytes(type));
    npy_close(&a);
    return 0;
}

int perf_write_model(const char *dir, const struct features *f, json_t *more, struct err *e) {
    char path[1024];
    json_t *fields = json_array();
    for (int i = 0; i < f->n; i++)
        json_array_append_new(fields, json_pack("{s:s, s:s, s:I}", "name", f->feature[i].name, "side",
                                                side_name(f->feature[i].side), "vocab",
                                                (json_int_t)f->feature[i].vocab));
    if (!more || json_object_set_new(more, "fields", fields)) {
        json_decref(more);
        return err_nomem(e, 0);
    }
    int rc = file_join(path, sizeof path, dir, "model.json", e);
    if (!rc) rc = file_write_json(path, more, e);
    json_decref(more);
    return rc;
}
