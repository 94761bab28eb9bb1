#include "nn/graph.h"
#include "base/rng.h"
#include "nn/op.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void graph_init(struct graph *g) {
    *g = (struct graph){.arena = ARENA_INIT, .err = ERR_INIT, .output = -1, .init_std = 0.01};
}

void graph_release(struct graph *g) {
    for (int i = 0; i < g->n_params; i++)
        if (!g->param[i]->borrowed) mem_free(g->param[i]->value);
    arena_release(&g->arena);
    graph_init(g);
}

int graph_fail(struct graph *g, const char *fmt, ...) {
    if (g->err.code) return -1;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(&g->err, ERR_INPUT, "%s", text);
    return -1;
}

/* Room for one more in an arena-backed array that doubles; the old half is left to the arena. */
static void *grow(struct graph *g, void *old, int n, int *cap, size_t size) {
    if (n < *cap) return old;
    int next = *cap ? *cap * 2 : 32;
    void *p = arena_alloc(&g->arena, (size_t)next * size);
    if (!p) {
        err_nomem(&g->err, (unsigned long long)next * size);
        return NULL;
    }
    if (n) memcpy(p, old, (size_t)n * size);
    *cap = next;
    return p;
}

int graph_add_node(struct graph *g, const struct op *op, const char *name, int n_in, const int *in,
                   int width) {
    if (g->err.code) return -1;
    if (n_in > NODE_MAX_INPUTS)
        return graph_fail(g, "%s: %d inputs, but at most %d are possible", op->name, n_in, NODE_MAX_INPUTS);
    for (int i = 0; i < n_in; i++)
        if (in[i] < 0 || in[i] >= g->n_nodes) return graph_fail(g, "%s: input %d is no node", op->name, i);
    void *list = grow(g, g->node, g->n_nodes, &g->cap_nodes, sizeof *g->node);
    if (!list) return -1;
    g->node = list;
    struct node *n = arena_alloc(&g->arena, sizeof *n);
    int *inputs = arena_alloc(&g->arena, (size_t)(n_in ? n_in : 1) * sizeof *inputs);
    if (!n || !inputs) {
        err_nomem(&g->err, sizeof *n);
        return -1;
    }
    n->op = op;
    snprintf(n->name, sizeof n->name, "%s", name ? name : op->name);
    n->n_in = n_in;
    n->in = inputs;
    n->width = width;
    n->type = VALUE_NUMBER;
    n->input = -1;
    for (int i = 0; i < n_in; i++) {
        n->in[i] = in[i];
        n->side |= g->node[in[i]]->side;
    }
    g->node[g->n_nodes] = n;
    return g->n_nodes++;
}

int graph_add_param(struct graph *g, const char *name, enum param_kind kind, size_t rows, size_t cols,
                    enum init_kind init) {
    if (g->err.code) return -1;
    if (strlen(name) >= NN_NAME_MAX)
        return graph_fail(g, "the parameter name \"%s\" is longer than %d characters", name, NN_NAME_MAX - 1);
    if (graph_find_param(g, name) >= 0) return graph_fail(g, "two parameters are called \"%s\"", name);
    void *list = grow(g, g->param, g->n_params, &g->cap_params, sizeof *g->param);
    if (!list) return -1;
    g->param = list;
    struct param *p = arena_alloc(&g->arena, sizeof *p);
    if (!p) {
        err_nomem(&g->err, sizeof *p);
        return -1;
    }
    snprintf(p->name, sizeof p->name, "%s", name);
    p->kind = kind;
    p->rows = rows;
    p->cols = cols;
    p->init = init;
    p->init_scale = g->init_std;
    g->param[g->n_params] = p;
    return g->n_params++;
}

int graph_input(struct graph *g, const char *name, side_t side, enum value_type type, uint32_t vocab) {
    if (g->err.code) return -1;
    int known = graph_column_index(g, name);
    if (known >= 0) return g->column[known].node;
    void *list = grow(g, g->column, g->n_columns, &g->cap_columns, sizeof *g->column);
    if (!list) return -1;
    g->column = list;
    int id = graph_add_node(g, &op_input, name, 0, NULL, 0);
    if (id < 0) return -1;
    g->node[id]->side = side;
    g->node[id]->type = type;
    g->node[id]->input = g->n_columns;
    struct graph_column *c = &g->column[g->n_columns++];
    *c = (struct graph_column){.side = side, .type = type, .vocab = vocab, .mean_length = 1, .node = id};
    snprintf(c->name, sizeof c->name, "%s", name);
    return id;
}

int graph_set_params(struct graph *g, int node, int n, const int *param) {
    if (node < 0) return -1;
    size_t bytes = (size_t)n * sizeof *param;
    int *list = arena_alloc(&g->arena, bytes);
    if (!list) return err_nomem(&g->err, bytes), -1;
    g->node[node]->param = memcpy(list, param, bytes);
    g->node[node]->n_params = n;
    return node;
}

void graph_add_loss(struct graph *g, int node, double weight) {
    if (g->err.code) return;
    if (node < 0 || g->node[node]->width != 1 || g->n_losses == 8) {
        graph_fail(g, "a loss must be a node of width 1, and a graph holds at most 8");
        return;
    }
    g->loss[g->n_losses++] = (struct graph_loss){node, weight};
}

int graph_find_param(const struct graph *g, const char *name) {
    for (int i = 0; i < g->n_params; i++)
        if (!strcmp(g->param[i]->name, name)) return i;
    return -1;
}

int graph_find_node(const struct graph *g, const char *name) {
    for (int i = 0; i < g->n_nodes; i++)
        if (!strcmp(g->node[i]->name, name)) return i;
    return -1;
}

int graph_column_index(const struct graph *g, const char *name) {
    for (int i = 0; i < g->n_columns; i++)
        if (!strcmp(g->column[i].name, name)) return i;
    return -1;
}

static void init_param(struct param *p, uint64_t seed) {
    struct rng r = rng_init(seed, rng_stream(p->name));
    size_t n = p->rows * p->cols;
    /* Glorot & Bengio 2010: variance 2 / (fan in + fan out) */
    double std = p->init == INIT_XAVIER_NORMAL ? sqrt(2.0 / (double)(p->rows + p->cols)) : p->init_scale;
    for (size_t i = 0; i < n; i++) switch (p->init) {
        case INIT_ZERO:
            p->value[i] = 0;
            break;
        case INIT_ONE:
            p->value[i] = 1;
            break;
        case INIT_UNIFORM01:
            p->value[i] = (float)rng_uniform(&r);
            break;
        case INIT_XAVIER_NORMAL:
        case INIT_NORMAL:
            p->value[i] = (float)(std * rng_normal(&r));
            break;
        }
}

int graph_alloc_params(struct graph *g, uint64_t seed, struct err *e) {
    if (g->err.code) {
        if (e) *e = g->err;
        return g->err.code;
    }
    for (int i = 0; i < g->n_params; i++) {
        struct param *p = g->param[i];
        if (!p->value && !(p->value = mem_calloc(p->rows * p->cols, sizeof(float))))
            return err_nomem(e, p->rows * p->cols * sizeof(float));
        if (!p->borrowed) init_param(p, seed);
    }
    return 0;
}

uint64_t graph_n_trained(const struct graph *g) {
    uint64_t n = 0;
    for (int i = 0; i < g->n_params; i++)
        if (g->param[i]->kind != PARAM_STATE && !g->param[i]->training_only)
            n += (uint64_t)g->param[i]->rows * g->param[i]->cols;
    return n;
}

void graph_mark(const struct graph *g, const int *roots, int n_roots, bool *mark) {
    memset(mark, 0, (size_t)g->n_nodes * sizeof *mark);
    for (int i = 0; i < n_roots; i++)
        if (roots[i] >= 0) mark[roots[i]] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--)
        if (mark[i])
            for (int k = 0; k < g->node[i]->n_in; k++) mark[g->node[i]->in[k]] = true;
}

int graph_borrow_param(struct graph *to, const struct param *p) {
    int id = graph_find_param(to, p->name);
    if (id >= 0) return id;
    id = graph_add_param(to, p->name, p->kind, p->rows, p->cols, p->init);
    if (id < 0) return -1;
    to->param[id]->value = p->value;
    to->param[id]->borrowed = true;
    to->param[id]->vector = p->vector;
    to->param[id]->decay = p->decay;
    return id;
}

int graph_copy_params(struct graph *to, const struct graph *from, struct err *e) {
    for (int i = 0; i < from->n_params; i++) {
        const struct param *p = from->param[i];
        int id = graph_add_param(to, p->name, p->kind, p->rows, p->cols, p->init);
        if (id < 0) break;
        to->param[id]->vector = p->vector;
        to->param[id]->decay = p->decay;
        to->param[id]->embedding = p->embedding;
        to->param[id]->init_scale = p->init_scale;
    }
    if (to->err.code && e) *e = to->err;
    return to->err.code;
}

int graph_clone_node(struct graph *to, const struct graph *from, int node, const int *map) {
    const struct node *n = from->node[node];
    if (to->err.code) return -1;
    if (n->input >= 0) {
        const struct graph_column *c = &from->column[n->input];
        int id = graph_input(to, c->name, c->side, c->type, c->vocab);
        if (id >= 0) to->column[to->node[id]->input].mean_length = c->mean_length;
        return id;
    }
    int in[NODE_MAX_INPUTS];
    for (int k = 0; k < n->n_in; k++) in[k] = map[n->in[k]];
    int id = graph_add_node(to, n->op, n->name, n->n_in, in, n->width);
    if (id < 0) return -1;
    struct node *copy = to->node[id];
    copy->side |= n->side;
    memcpy(copy->attr_i, n->attr_i, sizeof copy->attr_i);
    memcpy(copy->attr_f, n->attr_f, sizeof copy->attr_f);
    copy->n_params = n->n_params;
    copy->param = arena_alloc(&to->arena, (size_t)(n->n_params + 1) * sizeof *copy->param);
    copy->attr_list = arena_alloc(&to->arena, (size_t)(n->n_attr + 1) * sizeof *copy->attr_list);
    if (!copy->param || !copy->attr_list) return err_nomem(&to->err, sizeof *copy->param), -1;
    copy->n_attr = n->n_attr;
    if (n->n_attr) memcpy(copy->attr_list, n->attr_list, (size_t)n->n_attr * sizeof *copy->attr_list);
    for (int k = 0; k < n->n_params; k++)
        if ((copy->param[k] = graph_borrow_param(to, from->param[n->param[k]])) < 0) return -1;
    return id;
}

static json_t *node_json(const struct graph *g, const struct node *n) {
    json_t *in = json_array(), *params = json_array();
    for (int k = 0; k < n->n_in; k++) json_array_append_new(in, json_integer(n->in[k]));
    for (int k = 0; k < n->n_params; k++)
        if (n->param[k] >= 0) json_array_append_new(params, json_string(g->param[n->param[k]]->name));
    return json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "op", n->op->name, "name", n->name, "side",
                     side_name(n->side), "width", n->width, "inputs", in, "params", params);
}

json_t *graph_json(const struct graph *g) {
    json_t *nodes = json_array(), *params = json_array(), *columns = json_array();
    static const char *const types[] = {"id", "bag", "number"};
    for (int i = 0; i < g->n_nodes; i++) json_array_append_new(nodes, node_json(g, g->node[i]));
    for (int i = 0; i < g->n_params; i++) {
        const struct param *p = g->param[i];
        json_t *shape = p->vector ? json_pack("[I]", (json_int_t)p->cols)
                                  : json_pack("[I,I]", (json_int_t)p->rows, (json_int_t)p->cols);
        json_array_append_new(params, json_pack("{s:s, s:o, s:b}", "name", p->name, "shape", shape, "trained",
                                                p->kind != PARAM_STATE));
    }
    for (int i = 0; i < g->n_columns; i++) {
        const struct graph_column *c = &g->column[i];
        json_array_append_new(columns,
                              json_pack("{s:s, s:s, s:s, s:I}", "name", c->name, "side", side_name(c->side),
                                        "type", types[c->type], "vocab", (json_int_t)c->vocab));
    }
    return json_pack("{s:i, s:o, s:o, s:o}", "output", g->output, "columns", columns, "nodes", nodes,
                     "parameters", params);
}
