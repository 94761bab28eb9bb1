/* The options of `select:`. */
#include "bench/run/experiment.h"
#include "bench/select/select.h"
#include <string.h>

/* The selectors' names, in the order of selectors[]: a constant table cannot be made of that. */
static const char *const names[SELECTORS + 1] = {"se",     "permutation", "fscd", "lasso",
                                                 "single", "random",      NULL};

static const char *const rankings_names[] = {"mean", "each", NULL};

const struct opt select_opts[] = {
    {"rank_by", OPT_T_ENUMS, offsetof(struct select_options, rank_by), "", 0, 0, names,
     "how fields are ranked: one trade-off curve each; docs/selection.md"},
    OPT_INTS(struct select_options, top_k, "", 1, 512, "how many fields are kept: one model for each"),
    {"variant", OPT_T_NAMES, offsetof(struct select_options, variant), "", 0, 0, NULL,
     "ids of the variants that fields are chosen for; default: every one without `select: false`"},
    OPT_TEXT(struct select_options, from, "", "feature subset that is chosen from; default: the first"),
    OPT_INT(struct select_options, seeds, "1", 1, OPT_LIST_MAX,
            "so many of the experiment's seeds rank the fields"),
    OPT_ENUM(
        struct select_options, rankings, "mean", rankings_names,
        "mean: one ranking, by the mean importance over `seeds`; each: every seed's ranking has models and "
        "a curve of its own"),
    OPT_END};

/* The maps inside `select:`, which read_options() leaves to us. */
static int others(const char **out) {
    int n = 0;
    out[n++] = "subject_to";
    for (int i = 0; i < SELECTORS; i++) out[n++] = names[i];
    return n;
}

static void check_repeats(const struct select_options *o, const struct conf *map, struct problems *p) {
    for (int i = 0; i < o->top_k.n; i++)
        for (int k = 0; k < i; k++)
            if (o->top_k.v[i] == o->top_k.v[k])
                problems_add(p, conf_get(map, "top_k"), "select: `top_k` names %lld twice",
                             (long long)o->top_k.v[i]);
    for (int i = 0; i < o->rank_by.n; i++)
        for (int k = 0; k < i; k++)
            if (o->rank_by.v[i] == o->rank_by.v[k])
                problems_add(p, conf_get(map, "rank_by"), "select: `rank_by` names %s twice",
                             names[o->rank_by.v[i]]);
    if (!o->rank_by.n != !o->top_k.n)
        problems_add(p, map, "select: %s takes `%s`, too", o->rank_by.n ? "`rank_by`" : "`top_k`",
                     o->rank_by.n ? "top_k" : "rank_by");
}

void select_read(struct experiment *x, struct problems *p) {
    struct select_options *o = &x->select;
    const struct conf *map = conf_get(x->root, "select");
    const char *maps[SELECTORS + 1];
    int n = others(maps);
    opt_defaults(select_opts, o);
    opt_defaults(budget_opts, &o->subject_to);
    for (int i = 0; i < SELECTORS; i++) {
        o->own[i] = arena_alloc(&x->arena, selectors[i]->options_bytes + 1);
        if (!o->own[i]) {
            struct err e = ERR_INIT;
            err_nomem(&e, selectors[i]->options_bytes);
            problems_take(p, &e);
            return;
        }
        opt_defaults(selectors[i]->opts, o->own[i]);
    }
    if (!map) return;
    int before = p->n;
    experiment_read_options(p, select_opts, o, map, "select", maps, (size_t)n);
    if (p->n == before && map->type == CONF_MAP) check_repeats(o, map, p);
    experiment_read_options(p, budget_opts, &o->subject_to, conf_get(map, "subject_to"), "select.subject_to",
                            NULL, 0);
    budget_check(&o->subject_to, conf_get(map, "subject_to"), p);
    for (int i = 0; i < SELECTORS; i++) {
        char what[64];
        snprintf(what, sizeof what, "select.%s", names[i]);
        experiment_read_options(p, selectors[i]->opts, o->own[i], conf_get(map, names[i]), what, NULL, 0);
    }
}

bool select_wanted(const struct select_options *o) { return o->rank_by.n > 0 && o->top_k.n > 0; }

int select_rankings(const struct select_options *o) {
    return o->rankings == RANKINGS_EACH ? (int)o->seeds : 1;
}

bool select_takes(const struct select_options *o, const struct experiment_variant *v) {
    if (!o->variant.n) return v->select;
    for (int i = 0; i < o->variant.n; i++)
        if (!strcmp(o->variant.v[i], v->id)) return true;
    return false;
}

int select_from(const struct experiment *x) {
    for (int s = 0; s < x->n_subsets; s++)
        if (!strcmp(x->subset[s].name, x->select.from)) return s;
    return 0;
}

static void check_variant(const struct experiment *x, const char *id, const struct conf *at,
                          struct problems *p) {
    const char *known[128];
    size_t n = 0;
    for (int v = 0; v < x->n_variants && n < 128; v++) {
        known[n++] = x->variant[v].id;
        if (strcmp(x->variant[v].id, id) != 0) continue;
        if (!x->variant[v].select)
            problems_add(p, at, "select: `%s` is named here, and says `select: false` itself", id);
        return;
    }
    problems_unknown(p, at, "select: no variant of the experiment is called", id, known, n);
}

/* Names like `se-8` are taken by us. */
static void check_names(const struct experiment *x, struct problems *p) {
    const struct select_options *o = &x->select;
    for (int s = 0; s < x->n_subsets; s++)
        for (int i = 0; i < o->rank_by.n; i++) {
            size_t n = strlen(names[o->rank_by.v[i]]);
            const char *name = x->subset[s].name;
            if (!strncmp(name, names[o->rank_by.v[i]], n) && name[n] == '-')
                problems_add(p, x->subset[s].at, "feature subset `%s`: `select` makes subsets of such names",
                             name);
        }
}

/* Where the selector is named. */
static const struct conf *named_at(const struct experiment *x, int i) {
    const struct conf *list = conf_get(conf_get(x->root, "select"), "rank_by");
    return list->type == CONF_LIST ? list->item[i] : list;
}

/* A selector's models are trained by the variant's losses. */
static void check_losses(const struct experiment *x, const struct experiment_variant *v, struct problems *p) {
    const struct select_options *o = &x->select;
    for (int i = 0; i < o->rank_by.n; i++)
        if (selectors[o->rank_by.v[i]]->lone_fields && loss_is_softmax(&v->objective.loss))
            problems_add(
                p, named_at(x, i),
                "select: `%s` trains models of one field, which are no two towers, and %s is trained "
                "by a softmax of items, which takes two; leave out the one, or the other by its "
                "`select: false`",
                names[o->rank_by.v[i]], v->id);
}

void select_check_model(const struct experiment *x, const struct experiment_variant *v,
                        const struct features *used, struct problems *p) {
    const struct select_options *o = &x->select;
    struct err e = ERR_INIT;
    struct graph g;
    graph_init(&g);
    int rc = variant_build(v->variant, v->options, used, &g, &e); /* what it says is said elsewhere */
    for (int i = 0; i < o->rank_by.n && !rc; i++) {
        const struct selector *s = selectors[o->rank_by.v[i]];
        if (s->fits && s->fits(&g, used, &e))
            problems_add(p, named_at(x, i), "select: `%s` cannot rank the fields of %s: %s", s->name, v->id,
                         e.msg);
    }
    graph_release(&g);
}

void select_check(struct experiment *x, struct problems *p) {
    const struct select_options *o = &x->select;
    const struct conf *map = conf_get(x->root, "select"), *from = conf_get(map, "from"),
                      *list = conf_get(map, "variant");
    const char *known[128];
    size_t n = 0;
    bool found = !*o->from;
    for (int s = 0; s < x->n_subsets; s++) {
        found |= !strcmp(x->subset[s].name, o->from);
        if (n < 128) known[n++] = x->subset[s].name;
    }
    if (!found)
        problems_unknown(p, from ? from : map, "select: no feature subset is called", o->from, known, n);
    for (int i = 0; i < o->variant.n; i++)
        check_variant(x, o->variant.v[i], list && list->type == CONF_LIST ? list->item[i] : list, p);
    if (!select_wanted(o)) return;
    check_names(x, p);
    int taken = 0;
    for (int v = 0; v < x->n_variants; v++) {
        if (!select_takes(o, &x->variant[v])) continue;
        taken++;
        check_losses(x, &x->variant[v], p);
    }
    if (!taken && !o->variant.n)
        problems_add(p, map,
                     "select: every variant says `select: false`, so there is none to choose fields for");
    if (o->seeds > x->o.seeds.n)
        problems_add(p, conf_get(map, "seeds") ? conf_get(map, "seeds") : map,
                     "select: `seeds` is %lld, and the experiment has %d", (long long)o->seeds, x->o.seeds.n);
}

json_t *select_json(const struct experiment *x) {
    const struct select_options *o = &x->select;
    json_t *j = opt_json(select_opts, o), *budget = json_object(), *taken = json_array();
    bool bad = !j || !budget || !taken;
    for (int v = 0; v < x->n_variants && select_wanted(o) && !bad; v++)
        if (select_takes(o, &x->variant[v]))
            bad = json_array_append_new(taken, json_string(x->variant[v].id));
    if (!bad) bad = json_object_set(j, "variant", taken);
    for (int m = 0; m < BUDGET_METRICS && !bad; m++)
        if (o->subject_to.text[m][0])
            bad = json_object_set_new(budget, budget_name((enum budget_metric)m),
                                      json_string(o->subject_to.text[m]));
    if (!bad) bad = json_object_set(j, "subject_to", budget);
    for (int i = 0; i < o->rank_by.n && !bad; i++) {
        int64_t s = o->rank_by.v[i];
        if (selectors[s]->opts[0].name)
            bad = json_object_set_new(j, names[s], opt_json(selectors[s]->opts, o->own[s]));
    }
    json_decref(taken);
    json_decref(budget);
    if (!bad) return j;
    json_decref(j);
    return NULL;
}
