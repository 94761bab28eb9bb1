/* perf.h: what the benchmark programs build/perf_train and build/perf_score share.
 *
 * Each is a contender of bench/peers/duel.py: it sets everything up, prints one JSON line of facts, and then
 * answers each line on stdin with one JSON line on stdout:
 *
 *     go N          one timed burst of N steps or N requests: {"seconds": .., "examples": ..} or {"ns": [..]}
 *     calibrate     measures the machine again: {"peak_gflops": .., "memory_gbs": ..}
 *
 * Between lines it sleeps in read(). The contenders in other languages speak the same protocol.
 *
 * The data are made up, but have what matters for speed: ids of a field are log-uniform (Zipf with exponent
 * 1), an entity's fields are functions of the entity, and the label depends on the ids so that a model has
 * something to learn.
 */
#ifndef PRERANK_BENCH_PERF_PERF_H
#define PRERANK_BENCH_PERF_PERF_H
#include "base/err.h"
#include "base/pool.h"
#include "bench/run/machine.h"
#include "data/npy.h"
#include "variants/variant.h"
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* ---- command line: --NAME VALUE, in any order ---- */
struct perf_flag {
    const char *name, *help;
    int64_t *number; /* one of the two */
    const char **text;
};
/* Prints the flags and exits for --help or for what it does not know. */
int perf_flags(int argc, char **argv, const struct perf_flag *flag, int n, struct err *e);

/* ---- the protocol ---- */
struct perf_contender {
    void *self;
    json_t *(*go)(void *self, int64_t n, struct err *e); /* a new reference; NULL: e says why */
    struct pool *pool;
};
/* Prints `ready` (takes the reference) and serves stdin until its end. */
int perf_serve(const struct perf_contender *c, json_t *ready, struct err *e);
/* Best of several calibrations. */
int perf_calibrate(struct machine *best, struct pool *pool, struct err *e);

/* ---- made-up data ---- */
/* The id of field `f` for entity number `entity`: 1 .. vocab-1, log-uniform; field "..._id" is the entity
 * itself when its vocabulary is large enough. */
uint32_t perf_field_id(const struct feature *f, uint32_t entity);
/* Log-uniform over 1 .. n-1 from u in [0,1). */
uint32_t perf_zipf(double u, uint32_t n);
/* The planted effect of an id on the label's logit. */
double perf_effect(const struct feature *f, uint32_t id);
/* DIR/NAME.npy of n values. */
int perf_write_npy(const char *dir, const char *name, enum npy_type type, const void *values, size_t n,
                   struct err *e);
/* DIR/model.json: fields with sides and vocabularies, and what else the peers must know (takes `more`). */
int perf_write_model(const char *dir, const struct features *f, json_t *more, struct err *e);

#endif
