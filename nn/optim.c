#include "nn/optim.h"
#include "nn/op.h"
#include "nn/vec.h"
#include <math.h>
#include <string.h>

static const char *const optimizer_names[] = {"adam", "adagrad", "sgd", NULL};
static const char *const update_names[] = {"lazy", "dense", NULL};
static const char *const decay_names[] = {"lazy", "full", NULL};
const struct opt optim_opts[] = {
    OPT_ENUM(struct optim_options, optimizer, "adam", optimizer_names, "how gradients become steps"),
    OPT_DOUBLE(struct optim_options, beta1, "0.9", 0, 0.99999, "adam: decay of the mean of gradients"),
    OPT_DOUBLE(struct optim_options, beta2, "0.999", 0, 0.9999999,
               "adam: decay of the mean of squared gradients"),
    OPT_DOUBLE(struct optim_options, epsilon, "1e-8", 0, 1,
               "adam, adagrad: added to the root of the squares"),
    OPT_DOUBLE(struct optim_options, l2, "0", 0, 1e3, "weight decay of linear weights: gradient += l2 * w"),
    OPT_DOUBLE(struct optim_options, embedding_l2, "0", 0, 1e3, "weight decay of embeddings"),
    OPT_ENUM(struct optim_options, embedding_decay, "lazy", decay_names,
             "embedding_l2 for the batch's rows (lazy) or for the whole table every step (full)"),
    OPT_ENUM(struct optim_options, embedding_update, "lazy", update_names,
             "update the batch's rows only (lazy) or every row every step (dense)"),
    OPT_DOUBLE(struct optim_options, clip_norm, "0", 0, 1e9,
               "scale all gradients down to this norm; 0 = off"),
    OPT_END};

#define CHUNK      4096 /* floats of a dense parameter in one task */
#define DENSE_ROWS 64   /* of a table that are updated together when all are */

struct step { /* constants of one step, shared by all updates */
    float rate, beta1, beta2, epsilon;
    float rest1, rest2; /* 1-beta1, 1-beta2: not to be had from the floats above without loss */
    float fix1, fix2;   /* 1/(1-beta1^t), 1/(1-beta2^t) */
};

/* Rows to update: row r of g (rows, cols) belongs to row id[r] of w, m and v; id NULL: they lie one after the
 * other. */
struct row_update {
    size_t rows, cols;
    const uint32_t *id;
    const float *g;
    float *w, *m, *v; /* m, v: state, as far as the rule has any */
};

/* One kind of optimiser. */
struct update_rule {
    int states;
    void (*update)(const struct step *s, const struct row_update *u);
};

#define INLINE static inline __attribute__((always_inline))

INLINE void adam_row(const struct step *s, size_t n, const float *restrict g, float *restrict w,
                     float *restrict m, float *restrict v) {
    float b1 = s->beta1, b2 = s->beta2, rest1 = s->rest1, rest2 = s->rest2, rate = s->rate * s->fix1,
          fix2 = s->fix2, eps = s->epsilon;
    for (size_t i = 0; i < n; i++) {
        m[i] = b1 * m[i] + rest1 * g[i];
        v[i] = b2 * v[i] + rest2 * g[i] * g[i];
        w[i] -= rate * m[i] / (sqrtf(v[i] * fix2) + eps);
    }
}

INLINE void adagrad_row(const struct step *s, size_t n, const float *restrict g, float *restrict w,
                        float *restrict m, float *restrict v) {
    (void)v;
    for (size_t i = 0; i < n; i++) {
        m[i] += g[i] * g[i];
        w[i] -= s->rate * g[i] / (sqrtf(m[i]) + s->epsilon);
    }
}

INLINE void sgd_row(const struct step *s, size_t n, const float *restrict g, float *restrict w,
                    float *restrict m, float *restrict v) {
    (void)m;
    (void)v;
    for (size_t i = 0; i < n; i++) w[i] -= s->rate * g[i];
}

typedef void row_rule(const struct step *s, size_t n, const float *restrict g, float *restrict w,
                      float *restrict m, float *restrict v);

#define AHEAD 8 /* rows asked for in advance, as in vec.c */

/* `cols` is u->cols, or the same as a constant, for which the compiler unrolls the row. */
INLINE void update_all(const struct step *s, const struct row_update *u, size_t cols, int states,
                       row_rule *row) {
    for (size_t r = 0; r < u->rows; r++) {
        if (u->id && r + AHEAD < u->rows) {
            size_t next = (size_t)u->id[r + AHEAD] * cols;
            for (size_t c = 0; c < cols; c += 16) {
                __builtin_prefetch(u->w + next + c, 1);
                if (states > 0) __builtin_prefetch(u->m + next + c, 1);
                if (states > 1) __builtin_prefetch(u->v + next + c, 1);
            }
        }
        size_t at = (u->id ? u->id[r] : r) * cols;
        row(s, cols, u->g + r * cols, u->w + at, states > 0 ? u->m + at : NULL,
            states > 1 ? u->v + at : NULL);
    }
}

INLINE void update_any(const struct step *s, const struct row_update *u, int states, row_rule *row) {
    if (u->cols == 16)
        update_all(s, u, 16, states, row);
    else
        update_all(s, u, u->cols, states, row);
}

KERNEL static void adam_update(const struct step *s, const struct row_update *u) {
    update_any(s, u, 2, adam_row);
}
KERNEL static void adagrad_update(const struct step *s, const struct row_update *u) {
    update_any(s, u, 1, adagrad_row);
}
KERNEL static void sgd_update(const struct step *s, const struct row_update *u) {
    update_any(s, u, 0, sgd_row);
}

static const struct update_rule rules[] = {
    [OPTIM_ADAM] = {2, adam_update}, [OPTIM_ADAGRAD] = {1, adagrad_update}, [OPTIM_SGD] = {0, sgd_update}};

struct table_grad { /* the batch's gradient of one table, one row of `grad` per distinct id ("slot") */
    uint32_t *mark; /* id -> slot + 1; 0 = not in this batch */
    uint32_t *id;   /* slot -> id */
    float *grad;    /* [slots][cols] */
    size_t slots, cap;
};

struct task { /* a chunk of a dense parameter, or a whole table */
    int param;
    size_t from, n; /* floats; tables: 0, 0 */
};

struct optim {
    struct graph *g;
    struct exec *x;
    struct optim_options o;
    struct pool *pool;
    const struct update_rule *rule;
    float **m, **v;           /* per parameter */
    float **sum;              /* per dense parameter: the slices' gradients added up */
    struct table_grad *table; /* per parameter */
    struct task *task;
    int n_tasks;
    double *square;             /* per task: its part of the squared norm */
    struct step step, row_step; /* of dense parameters, and of embeddings */
    uint64_t t;
    double norm;
    float scale;        /* of clipping */
    _Atomic int failed; /* out of memory while a table's gradient grew: set by any task */
};

/* ---- gradients: slices added in order; tables collected row by row in batch order ---- */

KERNEL static void sum_slices(const struct exec *x, int param, size_t from, size_t n, float l2,
                              const float *w, float *out) {
    const float *first = exec_param_grad(x, param, 0) + from;
    for (size_t i = 0; i < n; i++) out[i] = first[i] + l2 * w[i];
    for (int s = 1; s < exec_n_slices(x); s++) {
        const float *g = exec_param_grad(x, param, s) + from;
        for (size_t i = 0; i < n; i++) out[i] += g[i];
    }
}

/* Room for `more` further rows. */
static int table_reserve(struct table_grad *t, size_t more, size_t cols) {
    size_t need = t->slots + more, cap = t->cap ? t->cap : 1024;
    if (need <= t->cap) return 0;
    while (cap < need) cap *= 2;
    float *grad = mem_realloc(t->grad, t->cap * cols * sizeof *grad, cap * cols * sizeof *grad);
    if (!grad) return -1;
    t->grad = grad;
    uint32_t *ids = mem_realloc(t->id, t->cap * sizeof *ids, cap * sizeof *ids);
    if (!ids) return -1;
    t->id = ids;
    t->cap = cap;
    return 0;
}

/* Adds factor * g to the gradient of row `id`. */
INLINE void add_row(struct table_grad *t, uint32_t id, size_t cols, const float *restrict g, float factor) {
    uint32_t slot = t->mark[id];
    bool first = !slot;
    if (first) {
        t->id[t->slots] = id;
        t->mark[id] = slot = (uint32_t)++t->slots;
    }
    float *restrict sum = t->grad + (size_t)(slot - 1) * cols;
    if (first)
        for (size_t c = 0; c < cols; c++) sum[c] = factor * g[c];
    else
        for (size_t c = 0; c < cols; c++) sum[c] += factor * g[c];
}

INLINE void add_slice(struct table_grad *t, size_t rows, size_t cols, const struct batch_column *col,
                      struct mat g, size_t longest) {
    size_t step = longest ? cols : 0;
    for (size_t r = 0; r < rows; r++) {
        const float *row = g.p + r * g.ld;
        if (!col->offsets) {
            add_row(t, col->ids[r], cols, row, 1);
            continue;
        }
        const uint32_t *ids = col->ids + col->offsets[r];
        size_t n = col->offsets[r + 1] - col->offsets[r];
        float share = longest ? 1 : 1.0f / (float)n;
        if (longest && n > longest) n = longest;
        for (size_t i = 0; i < n; i++) add_row(t, ids[i], cols, row + i * step, share);
    }
}

/* A bag's mean spreads its gradient evenly over the bag's rows; a sequence of `longest` (0: it is none) hands each
 * row its own columns. */
KERNEL static void collect_slice(struct table_grad *t, size_t rows, size_t cols,
                                 const struct batch_column *col, struct mat g, size_t longest) {
    if (cols == 16)
        add_slice(t, rows, 16, col, g, longest);
    else
        add_slice(t, rows, cols, col, g, longest);
}

static int collect_use(struct table_grad *t, const struct exec_table_use *u, int column,
                       const struct param *p) {
    size_t longest = u->node->op == &op_sequence ? (size_t)u->node->attr_i[0] : 0, row = 0;
    for (int s = 0; s < u->n_slices; s++) {
        const struct batch_column *col = &u->slice[s].col[column];
        size_t rows = u->slice[s].rows, ids = col->offsets ? col->offsets[rows] - col->offsets[0] : rows;
        size_t left = p->rows - t->slots; /* that are not in this batch yet */
        if (table_reserve(t, ids < left ? ids : left, p->cols)) return -1;
        collect_slice(t, rows, p->cols, col, mat_rows(u->out_grad, row), longest);
        row += rows;
    }
    return 0;
}

static void collect_table(struct optim *o, int param) {
    struct table_grad *t = &o->table[param];
    const struct param *p = o->g->param[param];
    const struct exec_table_use *use;
    int n = exec_table_uses(o->x, &use);
    for (int k = 0; k < n; k++)
        if (use[k].param == param && collect_use(t, &use[k], o->g->node[use[k].node->in[0]]->input, p))
            o->failed = 1;
    if (o->o.embedding_l2 > 0 && o->o.embedding_decay == DECAY_LAZY)
        for (size_t s = 0; s < t->slots; s++)
            vec_copy(1, p->cols, (struct mat){t->grad + s * p->cols, 0},
                     (struct mat){p->value + t->id[s] * p->cols, 0}, (float)o->o.embedding_l2, true);
}

static void gather_task(struct optim *o, int i) {
    const struct task *task = &o->task[i];
    const struct param *p = o->g->param[task->param];
    if (p->kind == PARAM_TABLE) {
        collect_table(o, task->param);
        return;
    }
    double l2 = p->embedding ? o->o.embedding_l2 : p->decay ? o->o.l2 : 0;
    sum_slices(o->x, task->param, task->from, task->n, (float)l2, p->value + task->from,
               o->sum[task->param] + task->from);
}

/* ---- steps ---- */

/* `rows` rows of `cols` floats from float `from` of the parameter on: those with numbers `id`, or all of them. */
static void update_rows(struct optim *o, int param, size_t from, size_t rows, size_t cols, const uint32_t *id,
                        const float *grad) {
    const struct param *p = o->g->param[param];
    float *m = o->m[param], *v = o->v[param];
    struct row_update u = {rows, cols, id, grad, p->value + from, m ? m + from : NULL, v ? v + from : NULL};
    o->rule->update(p->kind == PARAM_TABLE || p->embedding ? &o->row_step : &o->step, &u);
}

static void scale_floats(size_t n, float *x, float f) {
    if (f != 1.0f) vec_copy(1, n, (struct mat){x, 0}, (struct mat){x, 0}, f, false);
}

/* Every row every step, some rows at a time. With full decay the table's own values enter each gradient. */
static void update_table_dense(struct optim *o, int param, float *grad) {
    struct param *p = o->g->param[param];
    struct table_grad *t = &o->table[param];
    float l2 = o->o.embedding_decay == DECAY_FULL ? (float)o->o.embedding_l2 : 0;
    for (size_t r = 0; r < p->rows; r += DENSE_ROWS) {
        size_t rows = p->rows - r < DENSE_ROWS ? p->rows - r : DENSE_ROWS;
        vec_copy(1, rows * p->cols, (struct mat){grad, 0}, (struct mat){p->value + r * p->cols, 0}, l2,
                 false);
        for (size_t i = 0; i < rows; i++)
            if (t->mark[r + i])
                vec_copy(1, p->cols, (struct mat){grad + i * p->cols, 0},
                         (struct mat){t->grad + (size_t)(t->mark[r + i] - 1) * p->cols, 0}, 1, true);
        scale_floats(rows * p->cols, grad, o->scale);
        update_rows(o, param, r * p->cols, 1, rows * p->cols, NULL, grad);
    }
}

static void update_table(struct optim *o, int param) {
    struct param *p = o->g->param[param];
    struct table_grad *t = &o->table[param];
    if (o->o.embedding_update == OPTIM_DENSE) {
        update_table_dense(o, param, o->sum[param]);
    } else {
        scale_floats(t->slots * p->cols, t->grad, o->scale);
        update_rows(o, param, 0, t->slots, p->cols, t->id, t->grad);
    }
    for (size_t s = 0; s < t->slots; s++) t->mark[t->id[s]] = 0;
    t->slots = 0;
}

static void update_task(struct optim *o, int i) {
    const struct task *task = &o->task[i];
    struct param *p = o->g->param[task->param];
    if (p->kind == PARAM_TABLE) {
        update_table(o, task->param);
        return;
    }
    float *g = o->sum[task->param] + task->from;
    scale_floats(task->n, g, o->scale);
    update_rows(o, task->param, task->from, 1, task->n, NULL, g);
}

/* Squared norm of a task's gradient, decay included. */
static double square_norm(struct optim *o, int i) {
    const struct task *task = &o->task[i];
    const struct param *p = o->g->param[task->param];
    if (p->kind != PARAM_TABLE) return vec_norm2(task->n, o->sum[task->param] + task->from);
    const struct table_grad *t = &o->table[task->param];
    if (o->o.embedding_decay != DECAY_FULL || o->o.embedding_l2 == 0)
        return vec_norm2(t->slots * p->cols, t->grad);
    double square = 0;
    for (size_t r = 0; r < p->rows; r++)
        for (size_t c = 0; c < p->cols; c++) {
            double g = o->o.embedding_l2 * (double)p->value[r * p->cols + c];
            if (t->mark[r]) g += (double)t->grad[(t->mark[r] - 1) * p->cols + c];
            square += g * g;
        }
    return square;
}

static void task_all(void *ctx, int i, int worker) {
    (void)worker;
    gather_task(ctx, i);
    update_task(ctx, i);
}
static void task_gather(void *ctx, int i, int worker) {
    struct optim *o = ctx;
    (void)worker;
    gather_task(o, i);
    o->square[i] = square_norm(o, i);
}
static void task_update(void *ctx, int i, int worker) {
    (void)worker;
    update_task(ctx, i);
}

void optim_step(struct optim *o, double learning_rate) {
    o->t++;
    o->step = (struct step){.rate = (float)learning_rate,
                            .beta1 = (float)o->o.beta1,
                            .beta2 = (float)o->o.beta2,
                            .epsilon = (float)o->o.epsilon,
                            .rest1 = (float)(1 - o->o.beta1),
                            .rest2 = (float)(1 - o->o.beta2),
                            .fix1 = (float)(1 / (1 - pow(o->o.beta1, (double)o->t))),
                            .fix2 = (float)(1 / (1 - pow(o->o.beta2, (double)o->t)))};
    o->row_step = o->step;
    if (o->o.optimizer == OPTIM_ADAM && o->o.embedding_update == OPTIM_LAZY)
        o->row_step.epsilon *= sqrtf(o->step.fix2);
    o->scale = 1;
    if (o->o.clip_norm <= 0) { /* gradients are used while they are in the cache */
        pool_run(o->pool, o->n_tasks, task_all, o);
        return;
    }
    pool_run(o->pool, o->n_tasks, task_gather, o);
    double square = 0;
    for (int i = 0; i < o->n_tasks; i++) square += o->square[i];
    o->norm = sqrt(square);
    if (o->norm > o->o.clip_norm) o->scale = (float)(o->o.clip_norm / o->norm);
    pool_run(o->pool, o->n_tasks, task_update, o);
}

double optim_grad_norm(const struct optim *o) { return o->o.clip_norm > 0 ? o->norm : (double)NAN; }
bool optim_failed(const struct optim *o) { return o->failed; }

/* ---- life ---- */

static int alloc_param(struct optim *o, int i) {
    const struct param *p = o->g->param[i];
    size_t n = p->rows * p->cols;
    if (p->kind == PARAM_STATE) return 0;
    if (o->rule->states > 0 && !(o->m[i] = mem_calloc(n, sizeof(float)))) return -1;
    if (o->rule->states > 1 && !(o->v[i] = mem_calloc(n, sizeof(float)))) return -1;
    if (p->kind == PARAM_TABLE) {
        if (!(o->table[i].mark = mem_calloc(p->rows, sizeof(uint32_t)))) return -1;
        o->task[o->n_tasks++] = (struct task){i, 0, 0};
        return (o->sum[i] = mem_calloc(DENSE_ROWS * p->cols, sizeof(float))) ? 0 : -1;
    }
    if (!(o->sum[i] = mem_calloc(n, sizeof(float)))) return -1;
    for (size_t from = 0; from < n; from += CHUNK)
        o->task[o->n_tasks++] = (struct task){i, from, n - from < CHUNK ? n - from : CHUNK};
    return 0;
}

int optim_create(struct graph *g, struct exec *x, const struct optim_options *options, struct pool *pool,
                 struct optim **out, struct err *e) {
    *out = NULL;
    if (options->embedding_l2 > 0 && options->embedding_decay == DECAY_FULL &&
        options->embedding_update != OPTIM_DENSE)
        return err_set(
            e, ERR_INPUT,
            "`embedding_decay: full` changes every row every step and needs `embedding_update: dense`");
    struct optim *o = mem_calloc(1, sizeof *o);
    if (!o) return err_nomem(e, sizeof *o);
    size_t n = (size_t)g->n_params + 1, tasks = 1;
    for (int i = 0; i < g->n_params; i++) tasks += 1 + g->param[i]->rows * g->param[i]->cols / CHUNK;
    *o = (struct optim){
        .g = g, .x = x, .o = *options, .pool = pool, .rule = &rules[options->optimizer], .norm = (double)NAN};
    o->m = mem_calloc(n, sizeof *o->m);
    o->v = mem_calloc(n, sizeof *o->v);
    o->sum = mem_calloc(n, sizeof *o->sum);
    o->table = mem_calloc(n, sizeof *o->table);
    o->task = mem_calloc(tasks, sizeof *o->task);
    o->square = mem_calloc(tasks, sizeof *o->square);
    int rc = !o->m || !o->v || !o->sum || !o->table || !o->task || !o->square;
    /* tables first: they are the longest tasks */
    for (int pass = 0; pass < 2 && !rc; pass++)
        for (int i = 0; i < g->n_params && !rc; i++)
            if ((g->param[i]->kind == PARAM_TABLE) == (pass == 0)) rc = alloc_param(o, i);
    if (rc) {
        optim_free(o);
        return err_nomem(e, graph_n_trained(g) * 2 * sizeof(float));
    }
    *out = o;
    return 0;
}

void optim_free(struct optim *o) {
    if (!o) return;
    for (int i = 0; i < o->g->n_params; i++) {
        if (o->m) mem_free(o->m[i]);
        if (o->v) mem_free(o->v[i]);
        if (o->sum) mem_free(o->sum[i]);
        if (!o->table) continue;
        mem_free(o->table[i].mark);
        mem_free(o->table[i].id);
        mem_free(o->table[i].grad);
    }
    void *own[] = {o->m, o->v, o->sum, o->table, o->task, o->square};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    mem_free(o);
}
