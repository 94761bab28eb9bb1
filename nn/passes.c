#include "nn/passes.h"
#include "nn/op.h"
#include "nn/vec.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is known of the graph while it is rewritten. */
struct rewrite {
    const struct graph *g;
    const struct pass_options *o;
    struct graph *out;
    int *map;     /* old node -> new node, -1: not needed */
    int *readers; /* old node -> needed nodes that read it */
    int *reader;  /* ... the last of them */
};

/* A linear layer with the batch norm and activation behind it pulled in: y = act(scale * (x W^T) + bias). */
struct layer {
    int input; /* old node */
    size_t units, width;
    float *weight, *bias; /* owned; [units][width], [units] */
    enum act act;
    const char *name;
};

/* Nodes that serving passes through unchanged. */
static bool is_identity(const struct node *n) { return n->op == &op_dropout || n->op == &op_stop_gradient; }

static int through_identities(const struct graph *g, int i) {
    while (is_identity(g->node[i])) i = g->node[i]->in[0];
    return i;
}

/* The one reader of node i behind identities, or -1. */
static int only_reader(const struct rewrite *w, int i) {
    while (w->readers[i] == 1 && i != w->g->output && is_identity(w->g->node[w->reader[i]])) i = w->reader[i];
    return w->readers[i] == 1 && i != w->g->output ? w->reader[i] : -1;
}

/* An owned parameter of the new graph. */
static float *new_param(struct graph *g, int *id, const char *name, const char *suffix, enum param_kind kind,
                        size_t rows, size_t cols) {
    char text[2 * NN_NAME_MAX];
    snprintf(text, sizeof text, "%s.%s", name, suffix);
    *id = graph_add_param(g, text, kind, rows, cols, INIT_ZERO);
    if (*id < 0) return NULL;
    float *v = g->param[*id]->value = mem_calloc(rows * cols, sizeof *v);
    if (!v) err_nomem(&g->err, rows * cols * sizeof *v);
    return v;
}

/* ---- folding ---- */

static void fold_batch_norm(struct layer *l, const struct graph *g, const struct node *bn) {
    const float *weight = g->param[bn->param[0]]->value, *bias = g->param[bn->param[1]]->value;
    const float *mean = g->param[bn->param[2]]->value, *var = g->param[bn->param[3]]->value;
    for (size_t u = 0; u < l->units; u++) {
        double f = (double)weight[u] / sqrt((double)var[u] + 1e-5);
        for (size_t k = 0; k < l->width; k++)
            l->weight[u * l->width + k] = (float)(f * (double)l->weight[u * l->width + k]);
        l->bias[u] = (float)(f * ((double)l->bias[u] - (double)mean[u]) + (double)bias[u]);
    }
}

/* Reads linear node i and what may be pulled into it; *last is the node whose value the layer then gives. */
static int read_layer(struct rewrite *w, int i, struct layer *l, int *last) {
    const struct graph *g = w->g;
    const struct node *n = g->node[i];
    *l = (struct layer){.input = n->in[0],
                        .units = (size_t)n->width,
                        .width = (size_t)g->node[n->in[0]]->width,
                        .act = (enum act)n->attr_i[0],
                        .name = n->name};
    l->weight = mem_alloc(l->units * l->width * sizeof *l->weight);
    l->bias = mem_calloc(l->units, sizeof *l->bias);
    if (!l->weight || !l->bias) return err_nomem(&w->out->err, l->units * l->width * sizeof *l->weight);
    memcpy(l->weight, g->param[n->param[0]]->value, l->units * l->width * sizeof *l->weight);
    if (n->attr_i[1]) memcpy(l->bias, g->param[n->param[1]]->value, l->units * sizeof *l->bias);
    *last = i;
    int next = only_reader(w, i);
    if (l->act != ACT_NONE || next < 0 || !w->o->bn_fold || g->node[next]->op != &op_batch_norm) return 0;
    fold_batch_norm(l, g, g->node[next]);
    *last = next;
    next = only_reader(w, *last);
    if (next >= 0 && g->node[next]->op == &op_act) {
        l->act = (enum act)g->node[next]->attr_i[0];
        *last = next;
    }
    return 0;
}

/* ---- splitting ---- */

struct leaf {     /* one part of the concat in front of a layer */
    int node;     /* old */
    size_t at;    /* its first column */
    enum act act; /* of an activation over the whole concat: it works on each part alone */
};

static int leaves_of(const struct graph *g, int i, size_t at, enum act act, struct leaf *leaf, int n) {
    i = through_identities(g, i);
    const struct node *over = g->node[i];
    if (over->op == &op_act && act == ACT_NONE &&
        g->node[through_identities(g, over->in[0])]->op == &op_concat)
        return leaves_of(g, over->in[0], at, (enum act)over->attr_i[0], leaf, n);
    if (over->op != &op_concat) {
        if (n < NODE_MAX_INPUTS) leaf[n] = (struct leaf){i, at, act};
        return n + 1;
    }
    for (int k = 0; k < g->node[i]->n_in; k++) {
        n = leaves_of(g, g->node[i]->in[k], at, act, leaf, n);
        at += (size_t)g->node[g->node[i]->in[k]]->width;
    }
    return n;
}

/* Room for the weights of linear node `id`, input by input: (width, units), see op_linear. */
static float *new_weight(struct rewrite *w, int id) {
    struct node *n = w->out->node[id];
    struct param *p = w->out->param[n->param[0]];
    n->attr_i[3] = 1;
    p->cols = (size_t)n->width;
    p->rows = (size_t)n->attr_i[2];
    p->value = mem_alloc(p->rows * p->cols * sizeof(float));
    if (!p->value) err_nomem(&w->out->err, p->rows * p->cols * sizeof(float));
    return p->value;
}

/* A linear without activation over some of the leaves; bias only if asked for. */
static int part_linear(struct rewrite *w, const struct layer *l, const struct leaf *leaf, const int *pick,
                       int n, const char *suffix) {
    int node[NODE_MAX_INPUTS];
    for (int k = 0; k < n; k++) {
        node[k] = w->map[leaf[pick[k]].node];
        if (leaf[pick[k]].act != ACT_NONE) node[k] = nn_act(w->out, node[k], leaf[pick[k]].act);
    }
    char name[2 * NN_NAME_MAX];
    snprintf(name, sizeof name, "%.*s.%s", NN_NAME_MAX - 32, l->name, suffix);
    int id = nn_linear_no_bias(w->out, nn_concat(w->out, n, node), (int)l->units, ACT_NONE, name);
    if (id < 0) return -1;
    float *to = new_weight(w, id);
    if (!to) return -1;
    for (int k = 0; k < n; k++) {
        const struct leaf *from = &leaf[pick[k]];
        for (size_t c = 0; c < (size_t)w->g->node[from->node]->width; c++)
            for (size_t u = 0; u < l->units; u++) *to++ = l->weight[u * l->width + from->at + c];
    }
    return id;
}

/* The activation of a bag's mean is not the mean of activations: such a leaf stays a product. */
static bool becomes_table(const struct rewrite *w, const struct layer *l, const struct leaf *leaf) {
    const struct node *n = w->g->node[leaf->node];
    if (n->op != &op_embedding || w->g->param[n->param[0]]->kind != PARAM_TABLE) return false;
    const struct param *e = w->g->param[n->param[0]];
    const struct node *ids = w->g->node[n->in[0]];
    struct pass_table t = {.layer = l->name,
                           .column = ids->name,
                           .rows = e->rows,
                           .dim = e->cols,
                           .units = l->units,
                           .act = leaf->act,
                           .bag = ids->type == VALUE_BAG,
                           .fits = e->rows * l->units * sizeof(float) <= w->o->table_bytes};
    if (t.bag && t.act != ACT_NONE) return false;
    return w->o->choose ? w->o->choose(w->o->ctx, &t) : t.fits;
}

/* Table of partial products: row v = W[:, leaf] act(E[v]). */
static int product_table(struct rewrite *w, const struct layer *l, const struct leaf *leaf,
                         struct lookup *out) {
    const struct node *n = w->g->node[leaf->node];
    const struct param *e = w->g->param[n->param[0]];
    char suffix[NN_NAME_MAX];
    const char *column = w->g->node[n->in[0]]->name;
    snprintf(suffix, sizeof suffix, "table.%.60s", column);
    float *t = new_param(w->out, &out->table, l->name, suffix, PARAM_TABLE, e->rows, l->units);
    float *rows = mem_alloc(e->rows * e->cols * sizeof *rows);
    if (!t || !rows) {
        mem_free(rows);
        return err_nomem(&w->out->err, e->rows * e->cols * sizeof *rows), -1;
    }
    memcpy(rows, e->value, e->rows * e->cols * sizeof *rows);
    vec_bias_act(e->rows, e->cols, (struct mat){rows, e->cols}, NULL, leaf->act);
    gemm_nt(e->rows, l->units, e->cols, (struct mat){rows, e->cols}, l->weight + leaf->at, l->width,
            (struct mat){t, l->units}, false);
    mem_free(rows);
    out->ids = w->map[n->in[0]];
    out->offset = 0;
    return 0;
}

static int split_layer(struct rewrite *w, const struct layer *l, const struct leaf *leaf, int n_leaves) {
    static const char *const suffix[] = {"", "user", "item", "pair"};
    int pick[NODE_MAX_INPUTS], x[4], n_x = 0, n_lookups = 0, bias;
    struct lookup lookup[NODE_MAX_INPUTS];
    for (side_t side = SIDE_USER; side <= SIDE_PAIR; side++) {
        int n = 0;
        for (int k = 0; k < n_leaves; k++) {
            if ((w->g->node[leaf[k].node]->side & 3) != side) continue;
            if (side == SIDE_PAIR && becomes_table(w, l, &leaf[k])) {
                if (product_table(w, l, &leaf[k], &lookup[n_lookups++])) return -1;
            } else
                pick[n++] = k;
        }
        if (n && (x[n_x++] = part_linear(w, l, leaf, pick, n, suffix[side])) < 0) return -1;
    }
    float *b = new_param(w->out, &bias, l->name, "bias", PARAM_DENSE, 1, l->units);
    if (!b) return -1;
    memcpy(b, l->bias, l->units * sizeof *b);
    w->out->param[bias]->vector = true;
    return nn_lookup_sum(w->out, n_x, x, n_lookups, lookup, bias, (int)l->units, l->act);
}

static int plain_layer(struct rewrite *w, const struct layer *l) {
    int id = nn_linear(w->out, w->map[through_identities(w->g, l->input)], (int)l->units, l->act, l->name);
    if (id < 0) return -1;
    struct param *bias = w->out->param[w->out->node[id]->param[1]];
    float *weight = new_weight(w, id);
    bias->value = mem_alloc(l->units * sizeof(float));
    if (!weight || !bias->value) return err_nomem(&w->out->err, l->units * sizeof(float)), -1;
    for (size_t u = 0; u < l->units; u++)
        for (size_t k = 0; k < l->width; k++) weight[k * l->units + u] = l->weight[u * l->width + k];
    memcpy(bias->value, l->bias, l->units * sizeof(float));
    return id;
}

/* The fusion of parallel towers: w . (u * v) + b = <w * u, v> + b with u of the user's and v of the item's
 * side. -1 when the layer has another shape. */
static int fuse_hadamard(struct rewrite *w, const struct layer *l) {
    const struct node *mul = w->g->node[through_identities(w->g, l->input)];
    if (l->units != 1 || l->act != ACT_NONE || mul->op != &op_mul || mul->attr_i[0]) return -1;
    int u = mul->in[0], v = mul->in[1];
    if (w->g->node[u]->side == SIDE_ITEM && w->g->node[v]->side == SIDE_USER) u = mul->in[1], v = mul->in[0];
    if (w->g->node[u]->side != SIDE_USER || w->g->node[v]->side != SIDE_ITEM) return -1;
    int scaled = nn_column_scale(w->out, w->map[u], l->name), bias;
    if (scaled < 0) return -1;
    struct param *p = w->out->param[w->out->node[scaled]->param[0]];
    if (!(p->value = mem_alloc(l->width * sizeof *p->value)))
        return err_nomem(&w->out->err, l->width * sizeof *p->value), -1;
    memcpy(p->value, l->weight, l->width * sizeof *p->value);
    int dot = nn_dot(w->out, scaled, w->map[v]);
    float *b = new_param(w->out, &bias, l->name, "bias", PARAM_DENSE, 1, 1);
    if (!b) return -1;
    b[0] = l->bias[0];
    w->out->param[bias]->vector = true;
    return nn_lookup_sum(w->out, 1, &dot, 0, NULL, bias, 1, ACT_NONE);
}

static int rewrite_layer(struct rewrite *w, int i, int *last) {
    struct layer l;
    struct leaf leaf[NODE_MAX_INPUTS];
    int id = -1;
    if (!read_layer(w, i, &l, last)) {
        int n = leaves_of(w->g, l.input, 0, ACT_NONE, leaf, 0);
        bool pair = w->g->node[l.input]->side == SIDE_PAIR;
        if (w->o->split) id = fuse_hadamard(w, &l);
        if (id < 0 && w->o->split && pair && n > 1 && n <= NODE_MAX_INPUTS)
            id = split_layer(w, &l, leaf, n);
        else if (id < 0)
            id = plain_layer(w, &l);
    }
    mem_free(l.weight);
    mem_free(l.bias);
    return id;
}

/* Nodes that only a split layer read (its concat, embeddings that became tables) are dead by now: copy what
 * the output needs. */
static int sweep(const struct graph *from, struct graph *to, struct err *e) {
    size_t n = (size_t)from->n_nodes + 1;
    bool *need = mem_calloc(n, sizeof *need);
    int *map = mem_calloc(n, sizeof *map);
    if (!need || !map) {
        mem_free(need);
        mem_free(map);
        return err_nomem(e, n * sizeof *map);
    }
    graph_mark(from, &from->output, 1, need);
    for (int i = 0; i < from->n_nodes; i++)
        if (need[i]) map[i] = graph_clone_node(to, from, i, map);
    to->output = map[from->output];
    /* what was computed for the swept graph now belongs to the clean one */
    for (int i = 0; i < from->n_params; i++) {
        int id = graph_find_param(to, from->param[i]->name);
        if (id < 0 || from->param[i]->borrowed) continue;
        to->param[id]->borrowed = false;
        from->param[i]->borrowed = true;
    }
    mem_free(need);
    mem_free(map);
    if (to->err.code) return *e = to->err, e->code;
    return 0;
}

static int rewrite_nodes(struct rewrite *w, const bool *need) {
    const struct graph *g = w->g;
    for (int i = 0; i < g->n_nodes; i++) w->map[i] = -1;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; need[i] && k < g->node[i]->n_in; k++) {
            w->readers[g->node[i]->in[k]]++;
            w->reader[g->node[i]->in[k]] = i;
        }
    for (int i = 0; i < g->n_nodes && !w->out->err.code; i++) {
        if (!need[i] || w->map[i] >= 0) continue;
        const struct node *n = g->node[i];
        int last = i, id;
        if (is_identity(n))
            id = w->map[n->in[0]];
        else if (n->op == &op_linear)
            id = rewrite_layer(w, i, &last);
        else
            id = graph_clone_node(w->out, g, i, w->map);
        w->map[i] = w->map[last] = id;
    }
    if (!w->out->err.code) w->out->output = w->map[g->output];
    return w->out->err.code;
}

int pass_serving(const struct graph *g, const struct pass_options *o, struct graph *out, struct err *e) {
    struct graph rough;
    size_t n = (size_t)g->n_nodes + 1;
    graph_init(out);
    graph_init(&rough);
    if (g->output < 0) return err_set(e, ERR_INPUT, "the graph has no output to serve");
    bool *need = mem_calloc(n, sizeof *need);
    int *space = mem_calloc(3 * n, sizeof *space), rc;
    if (!need || !space) {
        rc = err_nomem(e, 3 * n * sizeof *space);
    } else {
        struct rewrite w = {g, o, &rough, space, space + n, space + 2 * n};
        graph_mark(g, &g->output, 1, need);
        rc = rewrite_nodes(&w, need);
        if (rc)
            *e = rough.err;
        else
            rc = sweep(&rough, out, e);
    }
    mem_free(need);
    mem_free(space);
    graph_release(&rough);
    if (rc) graph_release(out);
    return rc;
}
