/* passage.h: the validation rows through a trained graph, once or many times, also with one column shuffled.
 *
 *     struct passage p;
 *     TRY(passage_open(&ds, &graph, batch, slice, pool, &p, e));
 *     TRY(passage_score(&p, NULL, -1, score, e));                  score[p.n]
 *     TRY(passage_score(&p, &order, column, score, e));            row i has the column of row order(i)
 *     TRY(passage_means(&p, node, mean, e));                       mean[width of node] over the rows; the score depends on it
 *     passage_close(&p);
 */
#ifndef PRERANK_BENCH_PASSAGE_H
#define PRERANK_BENCH_PASSAGE_H
#include "base/rng.h"
#include "bench/run/evaluate.h"
#include "bench/run/feed.h"

struct passage {
    const struct dataset *ds;
    const struct graph *g;
    struct exec *x;
    struct feed feed, other; /* other: where the shuffled column comes from */
    uint64_t *rows;
    float *score;    /* [batch] */
    size_t batch, n; /* n: validation rows */
};
/* The graph's parameters must be there. Nothing depends on the number of threads. */
int passage_open(const struct dataset *ds, const struct graph *g, size_t batch, size_t slice,
                 struct pool *pool, struct passage *out, struct err *e);
void passage_close(struct passage *p);
/* order NULL: the rows as they are; column: of the graph. */
int passage_score(struct passage *p, const struct shuffle *order, int column, float *score, struct err *e);
int passage_means(struct passage *p, int node, double *mean, struct err *e);
/* GAUC of the scores, or AUC where GAUC does not exist; ERR_INPUT where neither does. */
int passage_quality(const struct passage *p, const float *score, enum gauc_weight by, double *out,
                    struct err *e);

#endif
