#include "bench/select/gated.h"
#include "nn/op.h"
#include <stdio.h>
#include <string.h>

static int feature_of_column(const struct graph *g, const struct features *f, int column) {
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->feature[i].name, g->column[column].name)) return i;
    return -1;
}

/* The field of an embedding, else -1. */
static int direct(const struct graph *g, const struct features *f, int node) {
    const struct node *n = g->node[node];
    if (n->op != &op_embedding) return -1;
    return feature_of_column(g, f, g->node[n->in[0]]->input);
}

/* A field that is no plain embedding (a pooled history): the only column below it that is not in the concat itself. */
static int indirect(const struct graph *g, const struct features *f, const struct node *concat, int node) {
    bool below[NODE_MAX_INPUTS * 4] = {false};
    int found = -1;
    if (g->n_nodes > (int)(sizeof below / sizeof *below)) return -1;
    graph_mark(g, &node, 1, below);
    for (int i = 0; i < g->n_nodes; i++) {
        if (!below[i] || g->node[i]->input < 0) continue;
        int field = feature_of_column(g, f, g->node[i]->input);
        for (int k = 0; k < concat->n_in && field >= 0; k++)
            if (direct(g, f, concat->in[k]) == field) field = -1;
        if (field < 0) continue;
        if (found >= 0 && found != field) return -1;
        found = field;
    }
    return found;
}

/* Whether the node is the concat of `fields` different fields of the sides that are taken; of a single one its embedding. */
static bool holds(const struct graph *g, const struct features *f, int node, bool (*take)(side_t), int fields,
                  struct field_concat *out) {
    const struct node *n = g->node[node];
    int alone = fields == 1 ? direct(g, f, node) : -1;
    *out = (struct field_concat){.node = node, .n = fields, .field = {alone}};
    if (alone >= 0) return take(f->feature[alone].side);
    if (n->op != &op_concat || n->n_in != fields) return false;
    for (int k = 0; k < n->n_in; k++) {
        int field = direct(g, f, n->in[k]);
        if (field < 0) field = indirect(g, f, n, n->in[k]);
        if (field < 0 || !take(f->feature[field].side)) return false;
        if (g->node[n->in[k]]->width != g->node[n->in[0]]->width) return false;
        for (int i = 0; i < k; i++)
            if (out->field[i] == field) return false;
        out->field[k] = field;
    }
    return true;
}

static bool find_one(const struct graph *g, const struct features *f, bool (*take)(side_t),
                     struct field_concats *out) {
    int fields = 0;
    for (int i = 0; i < f->n; i++) fields += take(f->feature[i].side);
    for (int i = 0; fields && i < g->n_nodes; i++) {
        if (!holds(g, f, i, take, fields, &out->v[out->n])) continue;
        out->v[out->n].number = out->n;
        out->n++;
        return true;
    }
    return false;
}

int field_concats_find(const struct graph *g, const struct features *f, struct field_concats *out,
                       struct err *e) {
    *out = (struct field_concats){.n = 0};
    if (find_one(g, f, take_all, out)) return 0;
    if (find_one(g, f, take_user, out) && find_one(g, f, take_item, out) && out->v[0].n + out->v[1].n == f->n)
        return 0;
    return err_set(e, ERR_INPUT,
                   "the model does not lay its %d fields side by side, so this selector has no place in it",
                   f->n);
}

int field_concats_fit(const struct graph *g, const struct features *f, struct err *e) {
    struct field_concats c;
    return field_concats_find(g, f, &c, e);
}

const char *field_concat_name(const struct field_concat *c, const char *base, char out[NN_NAME_MAX]) {
    snprintf(out, NN_NAME_MAX, c->number ? "%s.%d" : "%s", base, c->number);
    return out;
}

static int copy_gated(struct graph *g, const struct graph *from, const struct features *f,
                      const struct gated_options *o, struct err *e) {
    struct field_concats c;
    TRY(field_concats_find(from, f, &c, e));
    TRY(graph_copy_params(g, from, e));
    int *map = arena_alloc(&g->arena, (size_t)from->n_nodes * sizeof *map);
    if (!map) return err_nomem(e, 0);
    for (int i = 0; i < from->n_nodes && !g->err.code; i++) {
        map[i] = graph_clone_node(g, from, i, map);
        for (int k = 0; k < c.n; k++)
            if (i == c.v[k].node) map[i] = o->gate(g, map[i], &c.v[k], o->ctx);
    }
    if (!g->err.code) g->output = map[from->output];
    for (int k = 0; k < from->n_losses && !g->err.code; k++)
        graph_add_loss(g, map[from->loss[k].node], from->loss[k].weight);
    if (g->err.code && e) *e = g->err;
    return g->err.code;
}

static int build(struct graph *g, const struct features *f, const void *options, struct err *e) {
    const struct gated_options *o = options;
    struct graph plain;
    graph_init(&plain);
    plain.init_std = g->init_std;
    int rc = o->variant->build(&plain, f, o->options, e);
    if (!rc && plain.err.code) {
        if (e) *e = plain.err;
        rc = plain.err.code;
    }
    if (!rc) rc = copy_gated(g, &plain, f, o, e);
    graph_release(&plain);
    return rc;
}

static const struct opt no_opts[] = {OPT_END};
const struct variant variant_gated = {.name = "gated",
                                      .help = "a variant with a gate behind its fields",
                                      .opts = no_opts,
                                      .options_bytes = sizeof(struct gated_options),
                                      .build = build};
