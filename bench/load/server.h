/* server.h: what a load is sent to. The scorer is one; the null model measures the harness itself; a server
 * of a fixed service time has a queue whose waiting times are known in closed form (M/D/1).
 *
 *     struct fixed_server f = {.service_ns = 200000, .clock = clock_real()};
 *     struct load_server s = server_fixed(&f);
 *     TRY(s.answer(s.self, 17, e));                 the 17th request, counted from 0
 */
#ifndef PRERANK_BENCH_LOAD_SERVER_H
#define PRERANK_BENCH_LOAD_SERVER_H
#include "base/err.h"
#include "bench/load/clock.h"
#include "bench/run/requests.h"
#include "serve/scorer.h"

struct load_server { /* `self` belongs to whoever made it */
    const char *name;
    void *self;
    /* Answers request `number` and returns when that is done; servers with a list of requests begin again at
     * its end. */
    int (*answer)(void *self, uint64_t number, struct err *e);
};

struct load_server server_null(void); /* answers at once */

struct fixed_server {
    int64_t service_ns;
    struct load_clock clock;
};
struct load_server server_fixed(struct fixed_server *f);

struct scorer_pick { /* one candidate, for sorting */
    float score;
    uint32_t at;
};

/* Scores the request and chooses its best `topk`. `score` and `order` have room for the largest request, as has `pick`: then all
 * are sorted; NULL: the best are selected. */
struct scorer_server {
    struct scorer *scorer;
    const struct requests *requests;
    size_t topk;
    float *score;
    uint32_t *order;
    struct scorer_pick *pick;
    uint64_t missing;          /* candidates so far that the store did not have */
    uint64_t asked, user_hits; /* requests so far; those that found their user in the scorer's cache */
};
struct load_server server_scorer(struct scorer_server *s);

#endif
