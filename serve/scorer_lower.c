/* A scorer below fp32 whose pair program is no chain: item records in the precision, turned into floats block by block, and
 * products by packed weights (nn/fused/product.h); all else is fp32. And what int8 sees on training rows, for the
 * fused engine as well. */
#include "base/mem.h"
#include "serve/scorer_own.h"
#include <string.h>

/* ---- the sample ---- */

const uint32_t *scorer_sample_column(const struct scorer_sample *t, const char *name) {
    for (int k = 0; k < t->n_pair; k++)
        if (!strcmp(t->pair[k], name)) return t->pair_ids[k];
    return NULL;
}

static int check_sample(const struct scorer *s, const uint32_t **column, struct err *e) {
    const struct scorer_sample *t = s->o.sample;
    if (!t || !t->n)
        return err_set(e, ERR_INPUT, "int8 takes a sample of training rows for the scales of activations");
    for (int k = 0; k < s->n_pair; k++)
        if (!(column[k] = scorer_sample_column(t, s->pair_column[k])))
            return err_set(e, ERR_INPUT, "the sample has no column `%s`", s->pair_column[k]);
    for (size_t i = 0; i < t->n; i++)
        if (t->item[i] >= s->data.n_items)
            return err_set(e, ERR_INPUT, "row %zu of the sample is item %u, but there are only %u items", i,
                           t->item[i], s->data.n_items);
    return 0;
}

enum { SAMPLE_AT_ONCE = 64 };

/* Requests of rows that follow each other and have the same user. */
static int score_sample(struct scorer *s, const uint32_t **column, const uint32_t **ids, struct err *e) {
    const struct scorer_sample *t = s->o.sample;
    float score[SAMPLE_AT_ONCE];
    for (size_t i = 0, n; i < t->n; i += n) {
        for (n = 1; n < SAMPLE_AT_ONCE && i + n < t->n && t->user[i + n] == t->user[i];) n++;
        for (int k = 0; k < s->n_pair; k++) ids[k] = column[k] + i;
        TRY(scorer_score(s, &(struct request){t->user[i], n, t->item + i, ids, 0}, score, e));
    }
    return 0;
}

/* Larger values than the sample's come, and what is beyond the range is cut off: 15 % more cost 15 % of a byte's
 * resolution, and took the largest errors of logits down by a factor of up to five (docs/performance.md). */
static const float head_room = 1.15f;

int scorer_watch(struct scorer *s, float *most, size_t n_most, struct err *e) {
    size_t n = (size_t)s->n_pair + 1;
    const uint32_t **column = mem_calloc(2 * n, sizeof *column);
    int rc = column ? 0 : err_nomem(e, 2 * n * sizeof *column);
    if (!rc) rc = check_sample(s, column, e);
    if (!rc) rc = scorer_make_workers(s, e);
    s->split_from = SIZE_MAX; /* ranges are seen by one thread */
    if (!rc) rc = score_sample(s, column, column + n, e);
    s->split_from = 0;
    s->user_hits = 0;
    scorer_free_workers(s);
    for (size_t i = 0; i < n_most; i++) most[i] *= head_room;
    mem_free(column);
    return rc;
}

/* ---- products ---- */

/* The layer of a node that multiplies by weights. Single units are left as they are: a panel has 32. */
static bool product_layer(const struct graph *g, const struct node *n, struct chain_layer *l) {
    if (n->op == &op_target_attention)
        *l = (struct chain_layer){
            .weight = g->param[n->param[0]]->value, .k = 4 * (size_t)n->attr_i[1], .n = (size_t)n->attr_i[2]};
    else if (n->op == &op_linear)
        *l = chain_layer_of(g, n);
    else
        return false;
    l->bias = NULL;
    return l->n > 1;
}

/* Is no value of node i below zero? */
static bool is_positive(const struct graph *g, int i) {
    const struct node *n = g->node[i];
    bool all = n->op == &op_concat;
    for (int k = 0; all && k < n->n_in; k++) all = is_positive(g, n->in[k]);
    if (n->op != &op_linear && n->op != &op_act && n->op != &op_lookup_sum) return all;
    enum act act = (enum act)n->attr_i[n->op == &op_lookup_sum];
    return act == ACT_RELU || act == ACT_SIGMOID;
}

static void free_products(struct scorer *s) {
    for (int i = 0; i < s->n_products; i++) product_free(s->product[i]);
    for (int i = 0; i < s->cut.pair.n_nodes; i++) s->cut.pair.node[i]->product = NULL;
    s->n_products = 0;
}

/* Column ranges of the products' inputs lie one after the other in `most`, in the order of nodes; fp32 sees them. */
static int make_products(struct scorer *s, enum precision p, float *most, struct err *e) {
    const struct graph *g = &s->cut.pair;
    free_products(s);
    for (int i = 0; i < g->n_nodes; i++) {
        struct node *n = g->node[i];
        struct chain_layer l;
        if (!product_layer(g, n, &l)) continue;
        struct product_options o = {.precision = p,
                                    .isa = s->o.isa,
                                    .most = most,
                                    .positive = n->op == &op_linear && is_positive(g, n->in[0]),
                                    .seen = p == PRECISION_FP32 ? most : NULL};
        TRY(product_create(&l, &o, &s->product[s->n_products], e));
        n->product = s->product[s->n_products++];
        if (most) most += l.k;
    }
    return 0;
}

/* ---- int8 ---- */

static size_t count_inputs(const struct graph *g, size_t *inputs) {
    size_t products = 0;
    *inputs = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        struct chain_layer l;
        if (!product_layer(g, g->node[i], &l)) continue;
        *inputs += l.k;
        products++;
    }
    return products;
}

static void scale_of_records(struct scorer *s) {
    for (size_t i = 0; i < s->data.n_items; i++)
        row_widen(s->form.width, s->table + i * s->form.width, s->record_scale);
    for (size_t c = 0; c < s->form.width; c++) s->record_scale[c] /= 127;
}

static int find_scales(struct scorer *s, size_t inputs, struct err *e) {
    const struct scorer *like = s->o.scales;
    size_t width = s->form.width;
    s->record_scale = mem_calloc(width + 1, sizeof(float));
    s->most = mem_calloc(inputs + 1, sizeof(float));
    if (!s->record_scale || !s->most) return err_nomem(e, (width + inputs) * sizeof(float));
    s->form.scale = s->record_scale;
    if (like) {
        memcpy(s->record_scale, like->record_scale, width * sizeof(float));
        memcpy(s->most, like->most, inputs * sizeof(float));
        return 0;
    }
    if (s->cut.n_item) TRY(scorer_make_table(s, e));
    if (s->cut.n_item) scale_of_records(s);
    if (!inputs) return 0;
    TRY(make_products(s, PRECISION_FP32, s->most, e));
    return scorer_watch(s, s->most, inputs, e);
}

/* ---- making and scoring ---- */

int scorer_lower(struct scorer *s, enum precision p, struct err *e) {
    size_t width = (size_t)s->cut.item_width, inputs, products = count_inputs(&s->cut.pair, &inputs);
    if (!products && !width)
        return err_set(e, ERR_INPUT,
                       "the model cannot be served in %s: its pair stage has no product of layers and reads "
                       "no item record",
                       precision_names[p]);
    if (!(s->product = mem_calloc(products + 1, sizeof(struct product *))))
        return err_nomem(e, products * sizeof(struct product *));
    s->form = (struct row_form){p, width, (width + 31) / 32 * 32, NULL};
    if (p == PRECISION_INT8) TRY(find_scales(s, inputs, e));
    TRY(make_products(s, p, s->most, e));
    s->unpack = width > 0;
    return 0;
}

void scorer_lower_free(struct scorer *s) {
    if (s->product) free_products(s);
    mem_free(s->product);
    mem_free(s->record_scale);
    mem_free(s->most);
}

void scorer_unpack(struct scorer *s, size_t first, size_t n) {
    size_t bytes = row_bytes(&s->form);
    const char *table = s->fetch ? s->fetched : store_table(s->store);
    for (size_t i = first; i < first + n; i++) {
        size_t row = s->fetch ? i : s->r->items[i];
        row_unpack(&s->form, table + row * bytes, s->unpacked + i * s->form.width);
    }
}

/* Counted as fp32 before: rows of the record, and weights. */
void scorer_lower_cost(const struct scorer *s, struct scorer_cost *c) {
    const struct graph *g = &s->cut.pair;
    const struct param *records = scorer_records(s);
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->node[i];
        struct chain_layer l;
        for (int k = 0; n->op == &op_lookup_sum && k < n->n_in - n->attr_i[0]; k++)
            if (g->param[n->param[k]] == records) c->bytes_per_candidate -= 4.0 * (n->width + 1);
        if (n->product && product_layer(g, n, &l))
            c->weight_bytes += (double)product_bytes(n->product) - 4.0 * (double)(l.k * l.n);
    }
    if (s->unpack) c->bytes_per_candidate += (double)(row_bytes(&s->form) + sizeof(uint32_t));
}
