#include "nn/exec.h"
#include "nn/vec.h"
#include <string.h>

struct slot { /* where a node's value and gradient lie */
    struct mat value, grad;
    int alias_of;  /* concat whose columns these are, or -1 */
    size_t column; /* first column there */
    bool train;    /* a loss depends on it */
    bool score;    /* the output depends on it */
    bool needs_grad;
    size_t work; /* offset in the slice's (or, coupled, the batch's) scratch */
};

struct exec {
    const struct graph *g;
    struct exec_options o;
    size_t max_slices;
    struct slot *slot;
    bool *in_acc; /* per node input, in node order */
    int *in_at;   /* node -> its first entry in in_acc */
    int max_in, max_params;
    float *arena;      /* values and gradients */
    float *dense_grad; /* [max_slices][dense_floats] */
    size_t dense_floats, *param_at;
    char *work; /* [max_slices][slice_work], then batch_work */
    size_t slice_work, batch_work;
    double *slice_loss;
    int *coupled, n_coupled; /* nodes at which slices meet; coupled[n_coupled] = n_nodes */
    struct exec_table_use *use;
    int n_uses;
    /* the run under way */
    const struct exec_slice *s;
    int n_slices;
    size_t batch_rows;
    uint64_t seed;
    bool training;
    enum { RUN_ALL, RUN_TRAIN, RUN_SCORE } what;
    int from, to; /* node range of a segment */
};

static size_t padded(size_t width) { return width >= 16 ? (width + 15) / 16 * 16 : width; }

/* ---- plan: what is needed, in which order gradients arrive, where values lie ---- */

static void mark_needed(struct exec *x, bool *mark) {
    const struct graph *g = x->g;
    int roots[9] = {0};
    graph_mark(g, &g->output, 1, mark);
    for (int i = 0; i < g->n_nodes; i++) x->slot[i].score = mark[i];
    for (int k = 0; k < g->n_losses; k++) roots[k] = g->loss[k].node;
    graph_mark(g, roots, g->n_losses, mark);
    for (int i = 0; i < g->n_nodes; i++) x->slot[i].train = mark[i];
}

/* A node needs a gradient when something trained lies below it and a loss above it, with no stop_gradient in
 * between. */
static void plan_gradients(struct exec *x, bool *below) {
    const struct graph *g = x->g;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->node[i];
        below[i] = false;
        for (int k = 0; k < n->n_params; k++) below[i] |= g->param[n->param[k]]->kind != PARAM_STATE;
        for (int k = 0; k < n->n_in; k++) below[i] |= below[n->in[k]];
        below[i] &= n->op->backward != NULL;
    }
    for (int k = 0; k < g->n_losses; k++) x->slot[g->loss[k].node].needs_grad = below[g->loss[k].node];
    for (int i = g->n_nodes - 1; i >= 0; i--)
        if (x->slot[i].needs_grad)
            for (int k = 0; k < g->node[i]->n_in; k++)
                if (below[g->node[i]->in[k]]) x->slot[g->node[i]->in[k]].needs_grad = true;
    /* backward goes from the last node to the first: the first to write a gradient overwrites, later ones add
     */
    bool *written = below;
    memset(written, 0, (size_t)g->n_nodes * sizeof *written);
    for (int k = 0; k < g->n_losses; k++) written[g->loss[k].node] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--)
        for (int k = 0; x->slot[i].needs_grad && k < g->node[i]->n_in; k++) {
            x->in_acc[x->in_at[i] + k] = written[g->node[i]->in[k]];
            written[g->node[i]->in[k]] = true;
        }
}

/* The only reader of a value being a concat, the value is laid straight into the concat's columns. */
static void plan_aliases(struct exec *x, int *readers) {
    const struct graph *g = x->g;
    memset(readers, 0, (size_t)g->n_nodes * sizeof *readers);
    for (int i = 0; i < g->n_nodes; i++) {
        x->slot[i].alias_of = -1;
        for (int k = 0; k < g->node[i]->n_in; k++) readers[g->node[i]->in[k]]++;
    }
    if (g->output >= 0) readers[g->output]++;
    for (int k = 0; k < g->n_losses; k++) readers[g->loss[k].node]++; /* its gradient is set from outside */
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->node[i];
        size_t at = 0;
        for (int k = 0; n->op == &op_concat && k < n->n_in; k++) {
            const struct node *in = g->node[n->in[k]];
            if (readers[n->in[k]] == 1 && in->op != &op_external) {
                x->slot[n->in[k]].alias_of = i;
                x->slot[n->in[k]].column = at;
            }
            at += (size_t)in->width;
        }
    }
}

/* Hands out the arena; with p NULL only counts. From the last node to the first, so that a concat lies before
 * its inputs. */
static size_t lay_out(struct exec *x, float *p) {
    size_t used = 0;
    for (int i = x->g->n_nodes - 1; i >= 0; i--) {
        const struct node *n = x->g->node[i];
        struct slot *s = &x->slot[i];
        if (!n->width || n->op == &op_external) continue;
        if (s->alias_of >= 0) {
            const struct slot *parent = &x->slot[s->alias_of];
            s->value = mat_cols(parent->value, s->column);
            s->grad = s->needs_grad ? mat_cols(parent->grad, s->column) : (struct mat){NULL, 0};
            continue;
        }
        size_t ld = padded((size_t)n->width), floats = padded(x->o.max_rows * ld);
        s->value = (struct mat){p ? p + used : NULL, ld};
        used += floats;
        s->grad = (struct mat){NULL, 0};
        if (s->needs_grad) {
            s->grad = (struct mat){p ? p + used : NULL, ld};
            used += floats;
        }
    }
    return used;
}

static void plan_sizes(struct exec *x) {
    const struct graph *g = x->g;
    for (int i = 0; i < g->n_params; i++) {
        x->param_at[i] = x->dense_floats;
        if (g->param[i]->kind == PARAM_DENSE)
            x->dense_floats += padded(g->param[i]->rows * g->param[i]->cols);
    }
    x->dense_floats = (x->dense_floats + 15) / 16 * 16;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->node[i];
        if (n->n_in > x->max_in) x->max_in = n->n_in;
        if (n->n_params > x->max_params) x->max_params = n->n_params;
        if (n->op->coupled) x->coupled[x->n_coupled++] = i;
        if (!n->op->work_bytes) continue;
        size_t *total = n->op->coupled ? &x->batch_work : &x->slice_work;
        x->slot[i].work = *total;
        *total += (n->op->work_bytes(n, n->op->coupled ? x->o.max_rows : x->o.slice_rows) + 63) / 64 * 64;
    }
    x->coupled[x->n_coupled] = g->n_nodes;
}

static void plan_table_uses(struct exec *x) {
    const struct graph *g = x->g;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->node[i];
        if ((n->op == &op_embedding || n->op == &op_sequence) && g->param[n->param[0]]->kind == PARAM_TABLE &&
            x->slot[i].needs_grad)
            x->use[x->n_uses++] =
                (struct exec_table_use){.param = n->param[0], .node = n, .out_grad = x->slot[i].grad};
    }
}

int exec_create(const struct graph *g, const struct exec_options *o, struct exec **out, struct err *e) {
    size_t nodes = (size_t)g->n_nodes + 1, inputs = 1;
    for (int i = 0; i < g->n_nodes; i++) inputs += (size_t)g->node[i]->n_in;
    struct exec *x = mem_calloc(1, sizeof *x);
    *out = NULL;
    if (!x) return err_nomem(e, sizeof *x);
    x->g = g;
    x->o = *o;
    if (!x->o.slice_rows || x->o.slice_rows > x->o.max_rows) x->o.slice_rows = x->o.max_rows;
    x->max_slices = (x->o.max_rows + x->o.slice_rows - 1) / x->o.slice_rows;
    x->slot = mem_calloc(nodes, sizeof *x->slot);
    x->in_acc = mem_calloc(inputs, sizeof *x->in_acc);
    x->in_at = mem_calloc(nodes, sizeof *x->in_at);
    x->coupled = mem_calloc(nodes, sizeof *x->coupled);
    x->use = mem_calloc(nodes, sizeof *x->use);
    x->param_at = mem_calloc((size_t)g->n_params + 1, sizeof *x->param_at);
    x->slice_loss = mem_calloc(x->max_slices, sizeof *x->slice_loss);
    int *scratch = mem_calloc(nodes, sizeof *scratch);
    int rc = !x->slot || !x->in_acc || !x->in_at || !x->coupled || !x->use || !x->param_at ||
             !x->slice_loss || !scratch;
    if (!rc) {
        for (int i = 1; i < g->n_nodes; i++) x->in_at[i] = x->in_at[i - 1] + g->node[i - 1]->n_in;
        mark_needed(x, (bool *)scratch);
        if (o->train) plan_gradients(x, (bool *)scratch);
        plan_aliases(x, scratch);
        plan_sizes(x);
        size_t floats = lay_out(x, NULL);
        x->arena = mem_calloc(floats + 16, sizeof *x->arena);
        x->dense_grad = o->train ? mem_calloc(x->max_slices * x->dense_floats + 16, sizeof(float)) : NULL;
        x->work = mem_calloc(x->max_slices * x->slice_work + x->batch_work + 64, 1);
        rc = !x->arena || !x->work || (o->train && !x->dense_grad);
        if (!rc) {
            lay_out(x, x->arena);
            plan_table_uses(x);
        }
        if (rc) err_nomem(e, floats * sizeof(float));
    } else
        err_nomem(e, nodes * sizeof *x->slot);
    mem_free(scratch);
    if (rc) {
        exec_free(x);
        return ERR_INPUT;
    }
    *out = x;
    return 0;
}

void exec_free(struct exec *x) {
    if (!x) return;
    void *own[] = {x->slot,     x->in_acc,     x->in_at, x->coupled,    x->use,
                   x->param_at, x->slice_loss, x->arena, x->dense_grad, x->work};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    mem_free(x);
}

/* ---- runs ---- */

static void run_node(struct exec *x, int i, int slice, bool backward) {
    const struct graph *g = x->g;
    const struct node *n = g->node[i];
    void (*run)(struct op_ctx *) = backward ? n->op->backward : n->op->forward;
    if (!run) return;
    bool whole = n->op->coupled;
    size_t first = whole ? 0 : (size_t)slice * x->o.slice_rows;
    struct mat in[NODE_MAX_INPUTS], in_grad[NODE_MAX_INPUTS];
    const struct batch_column *in_col[NODE_MAX_INPUTS];
    float *param[NODE_MAX_INPUTS], *param_grad[NODE_MAX_INPUTS];
    for (int k = 0; k < n->n_in; k++) {
        const struct slot *s = &x->slot[n->in[k]];
        int column = g->node[n->in[k]]->input;
        in_col[k] = column >= 0 ? &x->s[whole ? 0 : slice].col[column] : NULL;
        in[k] = mat_rows(s->value, first);
        if (backward) in_grad[k] = s->needs_grad ? mat_rows(s->grad, first) : (struct mat){NULL, 0};
    }
    for (int k = 0; k < n->n_params; k++) {
        const struct param *p = g->param[n->param[k]];
        param[k] = p->value;
        param_grad[k] = NULL;
        if (backward && p->kind == PARAM_DENSE)
            param_grad[k] =
                x->dense_grad + (size_t)(whole ? 0 : slice) * x->dense_floats + x->param_at[n->param[k]];
    }
    char *work = whole ? x->work + x->max_slices * x->slice_work : x->work + (size_t)slice * x->slice_work;
    struct op_ctx c = {.node = n,
                       .rows = whole ? x->batch_rows : x->s[slice].rows,
                       .batch_rows = x->batch_rows,
                       .first_row = first,
                       .in_col = in_col,
                       .in = in,
                       .in_grad = in_grad,
                       .in_acc = x->in_acc + x->in_at[i],
                       .out = mat_rows(x->slot[i].value, first),
                       .out_grad = backward ? mat_rows(x->slot[i].grad, first) : (struct mat){NULL, 0},
                       .param = param,
                       .param_grad = param_grad,
                       .work = work + x->slot[i].work,
                       .pool = whole ? x->o.pool : NULL,
                       .training = x->training,
                       .seed = x->seed};
    run(&c);
}

static bool wanted(const struct exec *x, int i) {
    return x->what == RUN_ALL || (x->what == RUN_TRAIN ? x->slot[i].train : x->slot[i].score);
}

static void forward_segment(struct exec *x, int slice) {
    for (int i = x->from; i < x->to; i++)
        if (wanted(x, i)) run_node(x, i, slice, false);
}

static void backward_segment(struct exec *x, int slice) {
    for (int i = x->to - 1; i >= x->from; i--)
        if (x->slot[i].needs_grad) run_node(x, i, slice, true);
}

/* The objective's gradient with respect to each row's loss is weight / batch rows. */
static void seed_losses(struct exec *x, int slice) {
    size_t first = (size_t)slice * x->o.slice_rows, rows = x->s[slice].rows;
    double sum = 0;
    for (int k = 0; k < x->g->n_losses; k++) {
        const struct graph_loss *l = &x->g->loss[k];
        const struct slot *slot = &x->slot[l->node];
        const float *v = slot->value.p + first * slot->value.ld;
        struct mat d = mat_rows(slot->grad, first);
        bool again = false; /* a node may be several losses */
        for (int j = 0; j < k; j++) again |= x->g->loss[j].node == l->node;
        for (size_t r = 0; r < rows; r++) {
            float g = (float)(l->weight / (double)x->batch_rows);
            sum += l->weight * (double)v[r * slot->value.ld];
            if (d.p) d.p[r * d.ld] = again ? d.p[r * d.ld] + g : g;
        }
    }
    x->slice_loss[slice] = sum;
    memset(x->dense_grad + (size_t)slice * x->dense_floats, 0, x->dense_floats * sizeof(float));
}

static void task_forward(void *ctx, int slice, int worker) {
    (void)worker;
    forward_segment(ctx, slice);
}
static void task_seed(void *ctx, int slice, int worker) {
    (void)worker;
    seed_losses(ctx, slice);
}
static void task_backward(void *ctx, int slice, int worker) {
    (void)worker;
    backward_segment(ctx, slice);
}
/* No op couples rows: a slice goes all the way forward and back while its values are in the cache. */
static void task_both(void *ctx, int slice, int worker) {
    (void)worker;
    forward_segment(ctx, slice);
    seed_losses(ctx, slice);
    backward_segment(ctx, slice);
}

static void begin_run(struct exec *x, const struct exec_slice *s, int n) {
    x->s = s;
    x->n_slices = n;
    x->batch_rows = 0;
    for (int i = 0; i < n; i++) x->batch_rows += s[i].rows;
}

static void forward_all(struct exec *x) {
    int from = 0;
    for (int k = 0; k <= x->n_coupled; k++) {
        x->from = from;
        x->to = x->coupled[k];
        pool_run(x->o.pool, x->n_slices, task_forward, x);
        if (k < x->n_coupled && wanted(x, x->coupled[k])) run_node(x, x->coupled[k], 0, false);
        from = x->coupled[k] + 1;
    }
}

double exec_train(struct exec *x, const struct exec_slice *s, int n, uint64_t seed) {
    begin_run(x, s, n);
    for (int i = 0; i < x->n_uses; i++) { /* here, as optim.c asks for them from several threads */
        x->use[i].slice = s;
        x->use[i].n_slices = n;
    }
    x->seed = seed;
    x->training = true;
    x->what = RUN_TRAIN;
    if (!x->n_coupled) {
        x->from = 0;
        x->to = x->g->n_nodes;
        pool_run(x->o.pool, n, task_both, x);
    } else {
        forward_all(x);
        pool_run(x->o.pool, n, task_seed, x);
        for (int k = x->n_coupled; k >= 0; k--) {
            if (k < x->n_coupled && x->slot[x->coupled[k]].needs_grad) run_node(x, x->coupled[k], 0, true);
            x->from = k ? x->coupled[k - 1] + 1 : 0;
            x->to = x->coupled[k];
            pool_run(x->o.pool, n, task_backward, x);
        }
    }
    double loss = 0;
    for (int i = 0; i < n; i++) loss += x->slice_loss[i];
    return loss / (double)x->batch_rows;
}

void exec_score(struct exec *x, const struct exec_slice *s, int n, float *score) {
    begin_run(x, s, n);
    x->training = false;
    x->what = RUN_SCORE;
    forward_all(x);
    struct mat v = x->slot[x->g->output].value;
    for (size_t r = 0; r < x->batch_rows; r++) score[r] = v.p[r * v.ld];
}

void exec_forward(struct exec *x, const struct exec_slice *s, int n) {
    begin_run(x, s, n);
    x->training = false;
    x->what = RUN_ALL;
    forward_all(x);
}

struct mat exec_value(const struct exec *x, int node) {
    return x->slot[node].value;
}
struct mat exec_grad(const struct exec *x, int node) {
    return x->slot[node].grad;
}
void exec_bind(struct exec *x, int node, struct mat value) { x->slot[node].value = value; }
int exec_n_slices(const struct exec *x) { return x->n_slices; }

const float *exec_param_grad(const struct exec *x, int param, int slice) {
    return x->dense_grad + (size_t)slice * x->dense_floats + x->param_at[param];
}

int exec_table_uses(const struct exec *x, const struct exec_table_use **out) {
    *out = x->use;
    return x->n_uses;
}
