/* Two towers: whether the pair stage is one inner product of a user's and an item's vector, and the user's vector. */
#include "nn/op.h"
#include "serve/scorer_own.h"
#include <string.h>

/* From the output down to the inner product: a factor and a bias may lie on the way (the fused LR's, the
 * temperature). Returns the inner product's node, or -1. */
static int towers_product(const struct graph *g, struct scorer_towers *t) {
    int i = g->output;
    for (;; i = g->node[i]->in[0]) {
        const struct node *n = g->node[i];
        if (n->op == &op_scale) {
            t->scale *= n->attr_f[0];
        } else if (n->op == &op_lookup_sum && n->attr_i[0] == 1 && n->n_in == 1 && n->attr_i[1] == ACT_NONE) {
            if (n->attr_i[2]) t->bias += t->scale * (double)g->param[n->param[0]]->value[0];
        } else {
            return n->op == &op_dot ? i : -1;
        }
    }
}

/* Is the value of node i the whole record, as it is? */
static bool is_record(const struct graph *g, int i, int width) {
    const struct node *n = g->node[i];
    return n->op == &op_lookup_sum && n->attr_i[0] == 0 && n->n_in == 1 && n->attr_i[1] == ACT_NONE &&
           !n->attr_i[2] && n->width == width && !strcmp(g->param[n->param[0]]->name, "@items");
}

int scorer_towers(const struct scorer *s, struct scorer_towers *out, struct err *e) {
    const struct cut *c = &s->cut;
    struct scorer_towers t = {.dim = (size_t)c->item_width, .scale = 1, .n_items = s->data.n_items};
    int dot = c->n_user == 1 && c->n_item == 1 ? towers_product(&c->pair, &t) : -1;
    const int *in = dot < 0 ? NULL : c->pair.node[dot]->in;
    int user = in ? c->user_external[0] : -1, item = in ? in[in[0] == user] : -1;
    if (!in || (in[0] != user && in[1] != user) || !is_record(&c->pair, item, c->item_width) ||
        !(t.scale > 0))
        return err_set(
            e, ERR_INPUT,
            "the model is no two-tower at serving: its pair stage is not one inner product of a "
            "user's and an item's vector (dssm, senet, parallel and dat are, with the pass `split`)");
    if (!s->fetch && s->store && s->form.precision == PRECISION_FP32) t.items = store_table(s->store);
    *out = t;
    return 0;
}

int scorer_user_vector(struct scorer *s, uint32_t user, uint64_t moment, float *out, struct err *e) {
    struct scorer_towers t = {0};
    TRY(scorer_towers(s, &t, e));
    if (moment && !s->data.user_at)
        return err_set(e, ERR_INPUT, "a user's vector of a moment, and there are no features of that time");
    TRY(scorer_user_stage(s, user, moment, e));
    memcpy(out, s->user_value[0], t.dim * sizeof *out);
    return 0;
}
