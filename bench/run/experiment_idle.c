/* Options that contradict each other, once the file and --set are read: what is written down and means nothing, and models
 * that are trained in a way that cannot be served. */
#include "bench/run/experiment.h"
#include <string.h>

/* Why one option of a variant, or of its `loss:`, means nothing; false: it means something. */
static bool is_idle(const struct experiment_variant *v, bool of_loss, const char *key, char *why,
                    size_t cap) {
    if (of_loss) {
        int kind = v->objective.loss.kind;
        if (!opt_find(loss_opts, key) || loss_option_applies(kind, key)) return false;
        snprintf(why, cap, "with `kind: %s`", loss_opts->choices[kind]);
        return true;
    }
    const char *text = opt_find(v->variant->opts, key) ? variant_idle(v->variant, v->options, key) : NULL;
    if (text) snprintf(why, cap, "%s", text);
    return text != NULL;
}

/* The variants that a map is for: one, or those of a name with --set. What one of them has a use for may stand there. */
struct members {
    const struct experiment_variant *first;
    int n;             /* from the first on */
    bool of_same_name; /* only those of the first one's variant */
};

static void check_map(const struct members *m, const struct conf *map, bool of_loss, struct problems *p) {
    for (size_t i = 0; map && map->type == CONF_MAP && i < map->n; i++) {
        char why[96];
        bool idle = true;
        for (int k = m->n - 1; idle && k >= 0; k--) /* the reason that is left is the first one's */
            if (!k || !m->of_same_name || m->first[k].variant == m->first->variant)
                idle = is_idle(&m->first[k], of_loss, map->key[i]->text, why, sizeof why);
        if (idle)
            problems_add(p, map->key[i], "%s: %s`%s` means nothing %s", m->first->id, of_loss ? "loss: " : "",
                         map->key[i]->text, why);
    }
}

static void check_body(const struct members *m, const struct conf *body, struct problems *p) {
    check_map(m, body, false, p);
    check_map(m, conf_get(body, "loss"), true, p);
}

void experiment_check_idle(const struct experiment *x, const struct conf *overrides, struct problems *p) {
    int n = x->n_variants + x->n_teachers;
    for (int i = 0; i < n; i++) {
        const struct experiment_variant *v = &x->variant[i];
        bool first = true;
        for (int k = 0; k < i; k++) first &= x->variant[k].variant != v->variant;
        check_body(&(struct members){v, 1, false}, v->body, p);
        if (first) check_body(&(struct members){v, n - i, true}, conf_get(overrides, v->variant->name), p);
        if (strcmp(v->id, v->variant->name) != 0)
            check_body(&(struct members){v, 1, false}, conf_get(overrides, v->id), p);
    }
}

void experiment_check_served(const struct experiment *x, struct problems *p) {
    for (int i = 0; i < x->n_variants; i++) {
        const struct experiment_variant *v = &x->variant[i];
        const char *why = variant_training_only(v->variant, v->options);
        if (why && select_wanted(&x->select) && select_takes(&x->select, v))
            problems_add(p, v->at, "%s: no fields are chosen for it: %s; say `select: false`", v->id, why);
        if (why && x->measure.candidates.n)
            problems_add(p, v->at,
                         "%s: cannot be served: %s; to train it all the same, measure nothing "
                         "(`measure: {candidates: []}`)",
                         v->id, why);
    }
}
