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

#define CHUNK 4096 /* floats of a dense parameter in one task */

struct step { /* constants of one step, shared by all updates */
    float rate, beta1, beta2, epsilon;
    float rest1, rest2; /* 1-beta1, 1-beta2: not to be had from the floats above without loss */
    float fix1, fix2;   /* 1/(1-beta1^t), 1/(1-beta2^t) */
};

/* One kind of optimiser: n floats with gradient g; m and v are its state (`states` of them are used). */
struct update_rule {
    int states;
    void (*update)(const struct step *s, size_t n, float *w, const float *g, float *m, float *v);
};

KERNEL static void adam_update(const struct step *s, size_t n, float *restrict w, const float *restrict g,
                               float *restrict m, float *restrict v) {
    float b1 = s->beta1, b2 = s->beta2, rest1 = s->rest1, rest2 = s->rest2, rate = s->rate * s->fix1,
          fix2 = s->fix2, eps = s->epsilon;
    for (size_t i = 0; i < n; i++) {
        m[i] = b1 * m[i] + rest1 * g[i];
        v[i] = b2 * v[i] + rest2 * g[i] * g[i];
        w[i] -= rate * m[i] / (sqrtf(v[i] * fix2) + eps);
    }
}

KERNEL static void adagrad_update(const struct step *s, size_t n, float *restrict w, const float *restrict g,
                                  float *restrict m, float *restrict v) {
    (void)v;
    for (size_t i = 0; i < n; i++) {
        m[i] += g[i] * g[i];
        w[i] -= s->rate * g[i] / (sqrtf(m[i]) + s->epsilon);
    }
}

KERNEL static void sgd_update(const struct step *s, size_t n, float *restrict w, const float *restrict g,
                              float *restrict m, float *restrict v) {
    (void)m;
    (void)v;
    for (size_t i = 0; i < n; i++) w[i] -= s->rate * g[i];
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

static float *table_row(struct table_grad *t, uint32_t id, size_t cols) {
    if (t->mark[id]) return t->grad + (size_t)(t->mark[id] - 1) * cols;
    if (t->slots == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 1024;
        float *grad = mem_realloc(t->grad, t->cap * cols * sizeof *grad, cap * cols * sizeof *grad);
        if (!grad) return NULL;
        t->grad = grad;
        uint32_t *ids = mem_realloc(t->id, t->cap * sizeof *ids, cap * sizeof *ids);
        if (!ids) return NULL;
        t->id = ids;
        t->cap = cap;
    }
    t->id[t->slots] = id;
    t->mark[id] = (uint32_t)++t->slots;
    return memset(t->grad + (t->slots - 1) * cols, 0, cols * sizeof(float));
}

/* A bag's mean spreads its gradient evenly over the bag's rows; a sequence hands each row its own columns. */
static int collect_use(struct table_grad *t, const struct exec_table_use *u, int column, size_t cols) {
    bool sequence = u->node->op == &op_sequence;
    size_t row = 0, longest = sequence ? (size_t)u->node->attr_i[0] : SIZE_MAX, step = sequence ? cols : 0;
    for (int s = 0; s < u->n_slices; s++) {
        const struct batch_column *col = &u->slice[s].col[column];
        for (size_t r = 0; r < u->slice[s].rows; r++, row++) {
            struct mat g = mat_rows(u->out_grad, row);
            size_t begin = col->offsets ? col->offsets[r] : r,
                   n = col->offsets ? col->offsets[r + 1] - begin : 1;
            float share = sequence ? 1 : 1.0f / (float)n;
            for (size_t i = 0; i < n && i < longest; i++) {
                float *sum = table_row(t, col->ids[begin + i], cols);
                if (!sum) return -1;
                vec_copy(1, cols, (struct mat){sum, 0}, mat_cols(g, i * step), share, true);
            }
        }
    }
    return 0;
}

static void collect_table(struct optim *o, int param) {
    struct table_grad *t = &o->table[param];
    const struct param *p = o->g->param[param];
    const struct exec_table_use *use;
    int n = exec_table_uses(o->x, &use);
    for (int k = 0; k < n; k++)
        if (use[k].param == param && collect_use(t, &use[k], o->g->node[use[k].node->in[0]]->input, p->cols))
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

static void update_rows(struct optim *o, int param, uint32_t row, const float *grad) {
    struct param *p = o->g->param[param];
    size_t at = (size_t)row * p->cols;
    o->rule->update(&o->row_step, p->cols, p->value + at, grad, o->m[param] ? o->m[param] + at : NULL,
                    o->v[param] ? o->v[param] + at : NULL);
}

static void scale_floats(size_t n, float *x, float f) {
    if (f != 1.0f) vec_copy(1, n, (struct mat){x, 0}, (struct mat){x, 0}, f, false);
}

/* Every row every step. With full decay the table's own values enter each gradient. */
static void update_table_dense(struct optim *o, int param, float *row_grad) {
    struct param *p = o->g->param[param];
    struct table_grad *t = &o->table[param];
    float l2 = o->o.embedding_decay == DECAY_FULL ? (float)o->o.embedding_l2 : 0;
    for (size_t r = 0; r < p->rows; r++) {
        struct mat w = {p->value + r * p->cols, 0}, g = {row_grad, 0};
        vec_copy(1, p->cols, g, w, l2, false);
        if (t->mark[r])
            vec_copy(1, p->cols, g, (struct mat){t->grad + (t->mark[r] - 1) * p->cols, 0}, 1, true);
        scale_floats(p->cols, row_grad, o->scale);
        update_rows(o, param, (uint32_t)r, row_grad);
    }
}

static void update_table(struct optim *o, int param) {
    struct param *p = o->g->param[param];
    struct table_grad *t = &o->table[param];
    if (o->o.embedding_update == OPTIM_DENSE) {
        update_table_dense(o, param, o->sum[param]);
    } else {
        scale_floats(t->slots * p->cols, t->grad, o->scale);
        for (size_t s = 0; s < t->slots; s++) update_rows(o, param, t->id[s], t->grad + s * p->cols);
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
    o->rule->update(p->embedding ? &o->row_step : &o->step, task->n, p->value + task->from, g,
                    o->m[task->param] ? o->m[task->param] + task->from : NULL,
                    o->v[task->param] ? o->v[task->param] + task->from : NULL);
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
        return (o->sum[i] = mem_calloc(p->cols, sizeof(float))) ? 0 : -1;
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
