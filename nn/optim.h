/* optim.h: optimisers, decay, clipping and learning-rate schedules.
 *
 *     struct optim_options o;  opt_defaults(optim_opts, &o);
 *     struct optim *opt;
 *     TRY(optim_create(&g, x, &o, pool, &opt, e));
 *     loss = exec_train(x, ...);  optim_step(opt, lr);
 *
 * adam (Kingma & Ba 2015):
 *     m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  w -= lr * (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)
 * adagrad (Duchi et al. 2011):
 *     s += g^2;  w -= lr * g / (sqrt(s) + eps)
 * sgd:
 *     w -= lr * g
 *
 * Embeddings: `embedding_update: lazy` touches the rows of the batch only, as torch.optim.SparseAdam: with
 * the global step count t in the bias correction, and eps / sqrt(1-b2^t) for eps. `dense` updates every row
 * every step (torch.optim.Adam on a dense gradient). A number column's vector is a table of one row.
 *
 * l2: g += l2 * w for linear weights (not biases). embedding_l2: g += embedding_l2 * row, for touched rows
 * (`lazy`) or for the whole table every step (`full`, which needs embedding_update: dense). clip_norm: all
 * gradients scaled by min(1, clip/norm).
 *
 * Work is cut by parameter and by fixed chunks, never by thread: results do not depend on the threads.
 */
#ifndef PRERANK_NN_OPTIM_H
#define PRERANK_NN_OPTIM_H
#include "base/err.h"
#include "base/opt.h"
#include "base/pool.h"
#include "nn/exec.h"
#include "nn/graph.h"

enum { OPTIM_ADAM, OPTIM_ADAGRAD, OPTIM_SGD };
enum { OPTIM_LAZY, OPTIM_DENSE };
enum { DECAY_LAZY, DECAY_FULL };
struct optim_options {
    int optimizer; /* adam | adagrad | sgd */
    double beta1, beta2, epsilon;
    double l2, embedding_l2;
    int embedding_decay;  /* lazy | full */
    int embedding_update; /* lazy | dense */
    double clip_norm;     /* 0 = off */
};
extern const struct opt optim_opts[];

struct optim;
int optim_create(struct graph *g, struct exec *x, const struct optim_options *o, struct pool *pool,
                 struct optim **out, struct err *e);
void optim_step(struct optim *o, double learning_rate);
bool optim_failed(
    const struct optim *o); /* memory ran out while a batch's table gradients were collected: stop */
double
optim_grad_norm(const struct optim *o); /* of the last step, before clipping; NaN when clip_norm is 0 */
void optim_free(struct optim *o);

/* constant | plateau (x factor when the monitored metric has not improved for `patience` epochs) | cosine (to
 * 0 over all steps) ; each after `warmup_steps` of linear warm-up. */
enum { SCHEDULE_CONSTANT, SCHEDULE_PLATEAU, SCHEDULE_COSINE };
struct schedule_options {
    int schedule;
    double learning_rate;
    int64_t warmup_steps;
    double plateau_factor;    /* 0.1 */
    int64_t plateau_patience; /* 1 */
};
extern const struct opt schedule_opts[];
struct schedule {
    struct schedule_options o;
    int64_t total_steps;
    double factor, best;
    int64_t bad_epochs;
};
void schedule_init(struct schedule *s, const struct schedule_options *o, int64_t total_steps);
double schedule_rate(const struct schedule *s, int64_t step); /* step from 0 */
void schedule_epoch(struct schedule *s, double metric_higher_is_better);

#endif
