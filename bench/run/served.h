/* served.h: the trained models ready to answer: one for each model, precision and store of `measure:`.
 *
 *     TRY(served_check(&x, dir, e));                      before hours of training: is every store reachable?
 *     struct served_set set;
 *     TRY(served_open(&sweep, &data, pool, &set, e));
 *     for (int i = 0; i < set.n; i++) scorer_score(set.v[i].scorer, &request, score, e);
 *     served_release(&set);
 *
 * A model's weights are those of the first seed that trained. Its item records are put into each store under the
 * name <experiment>.<run>.<precision>, and taken away again by served_release(). lmdb files lie in `store_path`, or
 * in the results folder. A model without item records has nothing to store: it is there once, with the store `none`. A
 * model that cannot be served in a precision is left out, with a message.
 */
#ifndef PRERANK_BENCH_SERVED_H
#define PRERANK_BENCH_SERVED_H
#include "bench/run/machine.h"
#include "bench/run/precision.h"
#include "bench/run/requests.h"
#include "bench/run/sweep.h"
#include "serve/scorer.h"

/* Scorer options as some `measure:` of the experiment asks for. `timed` false: for quality, where the choice of tables must be the
 * same in every run (`auto` takes all then) and no user is cached. */
struct scorer_options served_options(const struct sweep *s, const struct measure_options *m, bool timed);
/* The dataset's users and items, with pair features computed as `m` says. */
int served_data(const struct sweep *s, const struct measure_options *m, struct serving_data *out,
                struct err *e);

struct served {
    int model; /* of the sweep */
    const struct sweep_run *run;
    const char *precision, *store;
    struct scorer *scorer;
};
struct served_set {
    int n, n_graphs;
    struct served *v; /* by model, then precision, then store */
    struct graph *graph;
    const struct sweep *s;
    struct precision_sample sample; /* for the scales of int8 */
};
int served_check(const struct experiment *x, const char *dir, struct err *e);
int served_open(const struct sweep *s, const struct serving_data *data, struct pool *pool,
                struct served_set *out, struct err *e);
void served_release(struct served_set *set);
/* `measure.threads_over_candidates`: from how many candidates the scorer's threads share a request; auto measures it on the
 * largest of some requests. score[] has room for that one. */
int served_split(const struct measure_options *o, struct scorer *s, const struct requests *q, float *score,
                 struct err *e);
/* tables.csv: the pair fields of each model and precision that could be tables; no file when there are none. */
int served_write_tables(const struct served_set *set, struct err *e);

/* floor_us: the roofline of a request with so many candidates. Where there is a cache of users, of one whose user is there: the
 * candidates' work alone, without weights. */
double served_floor_us(const struct scorer_cost *c, double candidates, bool caches_users,
                       const struct machine *m);

/* The weights of one run; `out` is initialised also on errors, and the caller's to release. */
int served_load(const struct sweep *s, const struct sweep_run *r, struct graph *out, struct err *e);
/* The first run of `model` that trained, or NULL. */
const struct sweep_run *served_run(const struct sweep *s, int model);

#endif
