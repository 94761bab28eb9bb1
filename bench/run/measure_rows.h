/* measure_rows.h: private to measure: a point, what was measured at it under one load, and the rows of compute.csv and
 * latency.csv that tell it. */
#ifndef PRERANK_BENCH_MEASURE_ROWS_H
#define PRERANK_BENCH_MEASURE_ROWS_H
#include "bench/load/closed.h"
#include "bench/run/experiment.h"
#include "bench/run/machine.h"
#include "bench/run/requests.h"
#include "bench/run/rounds.h"
#include "bench/run/served.h"
#include "serve/scorer.h"
#include <stdatomic.h>
#include <stdio.h>

struct point { /* a model ready to answer one kind of requests */
    const char *variant, *features, *precision, *store;
    const char *spread; /* distribution of the number of candidates; "": fixed */
    const struct requests *requests;
    int threads;             /* of all servers */
    struct scorer_cost cost; /* with what was skipped until the closed loop's end */
    bool caches_users;
    struct load_servers servers;
    struct scorer_server *scorer; /* [servers.n], those */
    int threads_per_request;      /* of the largest */
    size_t split_from;        /* candidates from which a server's threads share a request; SIZE_MAX: none */
    struct round_point round; /* whose `number` all loads go on from */
    _Atomic uint64_t missing; /* candidates of the counted requests whose record the store did not have */
};

struct measured { /* a point under one load */
    const struct point *point;
    const char *load;
    double offered_qps, qps; /* offered: NaN in a closed loop */
    struct samples took;     /* counted response times, in the order of time; measure_write() sorts them */
    bool waits; /* requests wait for each other: then the intervals of p50 and p99 are these, in us */
    double interval[2][2];
    bool again; /* another row's samples under another name: not to be released */
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

/* measure_servers.c: what the servers of all points use, one point at a time. */
struct measure_servers {
    const struct measure_options *o;
    struct pool *pool;         /* all threads */
    int most;                  /* servers of a point */
    size_t candidates;         /* of the largest request */
    struct pool **own;         /* [most]: of one of so many servers; NULL when it has one thread */
    struct scorer ***shared;   /* [served][most]: with several servers */
    struct load_clock *clock;  /* [most] */
    float **score;             /* [most][candidates] */
    uint32_t **order;          /* [most][candidates] */
    struct scorer_pick **pick; /* [most][candidates] to sort by; [most] of NULL where the best are selected */
    int n_served;
};
/* The served models' scorers are calibrated by the requests q, the largest of all. */
int measure_servers_open(const struct measure_options *o, struct pool *pool, const struct served_set *served,
                         const struct requests *q, struct measure_servers *out, struct arena *a,
                         struct err *e);
/* Fills in the servers of p, of model number `i`: how many, and who. */
int measure_servers_choose(struct measure_servers *m, const struct served_set *served, int i, struct point *p,
                           struct arena *a, struct err *e);
void measure_servers_close(struct measure_servers *m); /* a zeroed struct is fine */

/* measure_open.c: runs the open loads that `o` asks for at each point, one after the other. */
int measure_open_loads(struct point *p, int n, const struct measure_options *o, struct measured_list *out,
                       struct err *e);

void measure_names(FILE *out, const struct point *p); /* the first cells of its row, and a line's end */
int measure_write(const char *dir, struct measured_list *l, const struct machine *m, struct err *e);

#endif
