/* measure_rows.h: private to measure: a point, what was measured at it under one load, and the rows of compute.csv and
 * latency.csv that tell it. */
#ifndef PRERANK_BENCH_MEASURE_ROWS_H
#define PRERANK_BENCH_MEASURE_ROWS_H
#include "bench/load/closed.h"
#include "bench/run/experiment.h"
#include "bench/run/machine.h"
#include "bench/run/requests.h"
#include "bench/run/rounds.h"
#include "serve/scorer.h"
#include <stdio.h>

struct point { /* a model ready to answer one kind of requests */
    const char *variant, *features, *precision, *store;
    const char *spread; /* distribution of the number of candidates; "": fixed */
    const struct requests *requests;
    int threads;
    struct scorer_cost cost;
    struct scorer_server scorer;
    struct load_server server; /* that one */
    uint64_t number;           /* of the next request */
    struct round_point round;
    uint64_t missing; /* candidates of the counted requests whose record the store did not have */
};

struct measured { /* a point under one load */
    const struct point *point;
    const char *load;
    double offered_qps, qps; /* offered: NaN in a closed loop */
    struct samples took;     /* counted response times, in the order of time; measure_write() sorts them */
    bool again;              /* another row's samples under another name: not to be released */
    double service_us, wait_us, lag_p99_us, utilisation; /* NaN in a closed loop */
    double limit_us;                                     /* 0: none */
    uint64_t missing;
    enum verdict verdict;
};
struct measured_list {
    int n, room;
    struct measured *v;
};
/* A new last row, zeroed but for `point` and `load`; NULL when memory is out. */
struct measured *measured_add(struct measured_list *l, const struct point *p, const char *load,
                              struct err *e);
void measured_release(struct measured_list *l);

/* The rows of point `from` once more, as those of point `to`: the same model under another name. */
int measured_again(struct measured_list *l, const struct point *from, const struct point *to, struct err *e);
/* Takes over the samples of p->round. */
int measured_closed(struct measured_list *l, struct point *p, double limit_ms, struct err *e);

/* measure_open.c: runs the open loads that `o` asks for at each point, one after the other. */
int measure_open_loads(struct point *p, int n, const struct measure_options *o, struct measured_list *out,
                       struct err *e);

void measure_names(FILE *out, const struct point *p); /* the first cells of its row, and a line's end */
int measure_write(const char *dir, struct measured_list *l, const struct machine *m, struct err *e);

#endif
