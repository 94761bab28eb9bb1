#include "nn/op.h"
#include "nn/passes.h"
#include <stdio.h>
#include <string.h>

/* A graph being cut into its three programs. */
struct cutting {
    const struct graph *g;
    struct cut *c;
    int *user_map, *item_map, *pair_map; /* old node -> node of that program, -1: not there */
    int *item_at;                        /* old node -> its place in the item record, -1: not in it */
    int item_ids, item_table;            /* in `pair`: the column "@item" and the store as a table */
};

/* The stage a computed node runs in. What depends on no column (side none) goes with the user: once a
 * request. */
static side_t stage(const struct node *n) { return n->side == SIDE_NONE ? SIDE_USER : n->side & 3; }

static bool on_frontier(const struct graph *g, const int *readers_pair, int i) {
    const struct node *n = g->node[i];
    return n->width > 0 && stage(n) != SIDE_PAIR && (readers_pair[i] || i == g->output);
}

/* The item record as a lookup of one row, or NULL-like (table -1) when the value is no item frontier. */
static struct lookup record_lookup(const struct cutting *w, int old) {
    return (struct lookup){w->item_ids, w->item_at[old] >= 0 ? w->item_table : -1, w->item_at[old]};
}

/* In a lookup_sum, an item-side value becomes one more lookup instead of a value fetched first and added
 * then. */
static int cut_lookup_sum(struct cutting *w, const struct node *n) {
    struct graph *p = &w->c->pair;
    int n_x = n->attr_i[0], lookups = n->n_in - n_x, x[NODE_MAX_INPUTS], dense = 0, total = 0;
    struct lookup all[NODE_MAX_INPUTS];
    for (int k = 0; k < n_x; k++) {
        if (w->item_at[n->in[k]] >= 0)
            all[total++] = record_lookup(w, n->in[k]);
        else
            x[dense++] = w->pair_map[n->in[k]];
    }
    for (int k = 0; k < lookups; k++) {
        int table = graph_borrow_param(p, w->g->param[n->param[k]]);
        all[total++] = (struct lookup){w->pair_map[n->in[n_x + k]], table, n->attr_list[2 * k]};
    }
    int bias = n->attr_i[2] ? graph_borrow_param(p, w->g->param[n->param[lookups]]) : -1;
    return nn_lookup_sum(p, dense, x, total, all, bias, n->width, (enum act)n->attr_i[1]);
}

/* Makes sure that the pair program has the value of old node i. */
static int pair_value(struct cutting *w, int i) {
    const struct node *n = w->g->node[i];
    if (w->pair_map[i] >= 0 || w->c->pair.err.code) return w->pair_map[i];
    if (w->item_at[i] >= 0) {
        struct lookup l = record_lookup(w, i);
        w->pair_map[i] = nn_lookup_sum(&w->c->pair, 0, NULL, 1, &l, -1, n->width, ACT_NONE);
    } else if (n->input >= 0) {
        w->pair_map[i] = graph_clone_node(&w->c->pair, w->g, i, w->pair_map);
    }
    return w->pair_map[i];
}

static int add_frontier(struct cutting *w, int i) {
    struct cut *c = w->c;
    const struct node *n = w->g->node[i];
    if (stage(n) == SIDE_ITEM) {
        w->item_at[i] = c->item_width;
        c->item_node[c->n_item] = w->item_map[i];
        c->item_offset[c->n_item++] = c->item_width;
        c->item_width += n->width;
        return 0;
    }
    c->user_node[c->n_user] = w->user_map[i];
    c->user_external[c->n_user++] = w->pair_map[i] = nn_external(&c->pair, n->name, SIDE_USER, n->width);
    c->user_width += n->width;
    return c->pair.err.code;
}

static int cut_sides(struct cutting *w, const int *readers_pair) {
    const struct graph *g = w->g;
    struct cut *c = w->c;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->node[i];
        w->user_map[i] = w->item_map[i] = w->pair_map[i] = w->item_at[i] = -1;
        if (stage(n) == SIDE_USER) w->user_map[i] = graph_clone_node(&c->user, g, i, w->user_map);
        if (stage(n) == SIDE_ITEM) w->item_map[i] = graph_clone_node(&c->item, g, i, w->item_map);
        if (on_frontier(g, readers_pair, i)) TRY(add_frontier(w, i));
    }
    return c->user.err.code ? c->user.err.code : c->item.err.code;
}

static int cut_pair(struct cutting *w) {
    const struct graph *g = w->g;
    struct graph *p = &w->c->pair;
    if (w->c->n_item) {
        w->item_ids = graph_input(p, "@item", SIDE_ITEM, VALUE_ID, 0);
        w->item_table = graph_add_param(p, "@items", PARAM_TABLE, 0, (size_t)w->c->item_width, INIT_ZERO);
        if (w->item_table >= 0)
            p->param[w->item_table]->borrowed = true; /* bound to the store's records before a run */
    }
    for (int i = 0; i < g->n_nodes && !p->err.code; i++) {
        const struct node *n = g->node[i];
        if (n->width == 0 || stage(n) != SIDE_PAIR) continue;
        bool merge = n->op == &op_lookup_sum;
        for (int k = 0; k < n->n_in; k++)
            if (!(merge && w->item_at[n->in[k]] >= 0)) pair_value(w, n->in[k]);
        w->pair_map[i] = merge ? cut_lookup_sum(w, n) : graph_clone_node(p, g, i, w->pair_map);
    }
    p->output = pair_value(w, g->output);
    return p->err.code;
}

int graph_cut(const struct graph *g, struct cut *c, struct err *e) {
    size_t n = (size_t)g->n_nodes + 1;
    *c = (struct cut){.arena = ARENA_INIT};
    graph_init(&c->user);
    graph_init(&c->item);
    graph_init(&c->pair);
    int *space = arena_alloc(&c->arena, 9 * n * sizeof *space);
    if (!space) return err_nomem(e, 9 * n * sizeof *space);
    int *readers_pair = space + 4 * n;
    c->user_node = space + 5 * n;
    c->user_external = space + 6 * n;
    c->item_node = space + 7 * n;
    c->item_offset = space + 8 * n;
    struct cutting w = {.g = g,
                        .c = c,
                        .user_map = space,
                        .item_map = space + n,
                        .pair_map = space + 2 * n,
                        .item_at = space + 3 * n};
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->node[i]->n_in; k++)
            if (stage(g->node[i]) == SIDE_PAIR) readers_pair[g->node[i]->in[k]]++;
    int rc = cut_sides(&w, readers_pair);
    if (!rc) rc = cut_pair(&w);
    if (rc) {
        const struct graph *bad = c->user.err.code ? &c->user : c->item.err.code ? &c->item : &c->pair;
        *e = bad->err;
        cut_release(c);
    }
    return rc;
}

void cut_release(struct cut *c) {
    graph_release(&c->user);
    graph_release(&c->item);
    graph_release(&c->pair);
    arena_release(&c->arena);
    *c = (struct cut){.arena = ARENA_INIT};
}
