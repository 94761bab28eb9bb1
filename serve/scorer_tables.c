/* The scorer's programs: the serving graph once without tables of partial products, which shows what can be a table, and
 * once with those that are chosen. */
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "nn/op.h"
#include "serve/scorer_own.h"
#include <math.h>
#include <string.h>

/* ---- the version ---- */

static void add_graph(struct str *text, const struct graph *g) {
    for (int i = 0; i < g->n_nodes; i++) {
        const struct node *n = g->node[i];
        str_addf(text, "%s %d:", n->op->name, n->width);
        for (int k = 0; k < n->n_in; k++) str_addf(text, " %d", n->in[k]);
        for (int k = 0; k < 4; k++) str_addf(text, " %d %.17g", n->attr_i[k], n->attr_f[k]);
        for (int k = 0; k < n->n_attr; k++) str_addf(text, " %d", n->attr_list[k]);
        if (n->input >= 0) str_addf(text, " %s", g->column[n->input].name);
        for (int k = 0; k < n->n_params; k++) {
            const struct param *p = g->param[n->param[k]];
            if (p->value) str_add(text, hash_bytes(p->value, p->rows * p->cols * sizeof *p->value).hex);
        }
        str_add(text, "\n");
    }
}

/* Of all three programs, before some of the pair program becomes tables. */
static int hash_programs(struct scorer *s, struct err *e) {
    const struct graph *program[] = {&s->cut.user, &s->cut.item, &s->cut.pair};
    struct str text = STR_INIT;
    for (int k = 0; k < 3; k++) add_graph(&text, program[k]);
    int rc = text.failed ? err_nomem(e, text.len) : 0;
    if (!rc) snprintf(s->model, sizeof s->model, "%.16s", hash_bytes(text.p, text.len).hex);
    str_release(&text);
    return rc;
}

/* ---- tables ---- */

static bool collect(void *ctx, const struct pass_table *p) {
    struct scorer *s = ctx;
    if (s->n_choices == s->room_choices) {
        size_t room = 2 * s->room_choices + 8, bytes = sizeof *s->choice;
        struct table_choice *more = mem_realloc(s->choice, s->room_choices * bytes, room * bytes);
        s->no_room |= !more;
        if (!more) return false;
        s->choice = more;
        s->room_choices = room;
    }
    struct table_choice *c = &s->choice[s->n_choices++];
    *c = (struct table_choice){.rows = p->rows, .dim = p->dim, .units = p->units, .fits = p->fits};
    c->table_ns = c->product_ns = (double)NAN;
    snprintf(c->layer, sizeof c->layer, "%s", p->layer);
    snprintf(c->field, sizeof c->field, "%s", p->column);
    c->act = p->act;
    return false;
}

static const struct table_choice *find(const struct scorer *s, const char *layer, const char *field) {
    for (size_t k = 0; k < s->n_choices; k++)
        if (!strcmp(s->choice[k].layer, layer) && !strcmp(s->choice[k].field, field)) return &s->choice[k];
    return NULL;
}

static bool is_chosen(void *ctx, const struct pass_table *p) {
    const struct table_choice *c = find(ctx, p->layer, p->column);
    return c && c->table;
}

static int measure(const struct scorer *s, struct table_choice *c, const struct chain *chain, struct err *e) {
    const struct scorer_sample *t = s->o.sample;
    struct table_shape shape = {.rows = c->rows,
                                .dim = c->dim,
                                .units = c->units,
                                .act = c->act,
                                .chain = chain,
                                .precision = s->o.precision,
                                .isa = s->o.isa};
    if (t && (shape.ids = scorer_sample_column(t, c->field))) shape.n_ids = t->n;
    TRY(table_times_get(s->o.table_times, &shape, &c->table_ns, &c->product_ns, e));
    c->table = c->table_ns <= c->product_ns;
    return 0;
}

/* The serving graph has no tables so far. */
static int choose(struct scorer *s, bool *any, struct err *e) {
    struct chain chain;
    bool fused = scorer_chain(s, &chain);
    for (size_t k = 0; k < s->n_choices; k++) {
        struct table_choice *c = &s->choice[k];
        const struct table_choice *like = s->o.scales ? find(s->o.scales, c->layer, c->field) : NULL;
        if (like)
            *c = *like;
        else if (c->fits && s->o.tables == TABLES_AUTO)
            TRY(measure(s, c, fused ? &chain : NULL, e));
        else
            c->table = c->fits && s->o.tables == TABLES_ALL;
        *any |= c->table;
    }
    return 0;
}

/* ---- programs ---- */

static int rewrite(struct scorer *s, const struct graph *g, bool (*choice)(void *, const struct pass_table *),
                   struct err *e) {
    struct pass_options o = s->o.passes;
    o.choose = choice;
    o.ctx = s;
    TRY(pass_serving(g, &o, &s->serving, e));
    return s->no_room ? err_nomem(e, s->room_choices * sizeof *s->choice)
                      : graph_cut(&s->serving, &s->cut, e);
}

int scorer_programs(struct scorer *s, const struct graph *g, struct err *e) {
    bool any = false;
    TRY(rewrite(s, g, collect, e));
    if (s->cut.n_item) TRY(hash_programs(s, e));
    TRY(choose(s, &any, e));
    if (!any) return 0;
    cut_release(&s->cut);
    graph_release(&s->serving);
    return rewrite(s, g, is_chosen, e);
}
