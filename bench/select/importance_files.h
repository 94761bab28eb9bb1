/* importance_files.h: private to importance: what is kept of each ranking, and the tables made of all. */
#ifndef PRERANK_BENCH_IMPORTANCE_FILES_H
#define PRERANK_BENCH_IMPORTANCE_FILES_H
#include "bench/select/importance.h"

struct importance_file { /* which one, and what decides its contents */
    const struct sweep *sweep;
    int model, selector;
    int64_t seed;
    const double *share; /* [n] the costs that the selector ranks by, or NULL */
};
/* *seconds < 0: it is not there, or was made of something else. */
int importance_file_load(const struct importance_file *f, double *out, int n, double *seconds, struct err *e);
int importance_file_save(const struct importance_file *f, const double *importance, int n, double seconds,
                         struct err *e);
struct cost_file { /* the run's own measurement of what fields cost */
    const struct sweep *sweep;
    int model, threads;
    bool
        on_demand; /* `cost: measured`: of what was measured without that wish there may have been reason to measure again */
};
/* *there: whether the run that is resumed has measured just that, on the same machine by the same program. */
int field_cost_load(const struct cost_file *f, struct field_cost *out, struct cost_taken *taken, bool *there,
                    struct err *e);
int field_cost_save(const struct cost_file *f, const struct field_cost *cost, const struct cost_taken *taken,
                    struct err *e);
int rankings_write(const struct sweep *s, const struct rankings *r, struct err *e);

#endif
