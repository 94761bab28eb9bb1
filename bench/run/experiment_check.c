/* experiment.h's checks: does every model of the experiment make sense, and can it be built? */
#include "bench/run/experiment.h"
#include "bench/run/teacher.h"
#include "nn/exec.h"
#include <string.h>

/* ---- losses ---- */

/* Teachers of teachers, until there is none; true when that leads back to `first`. */
static bool goes_in_circles(const struct experiment *x, int first, char *path, size_t cap) {
    int at = first;
    size_t used = (size_t)snprintf(path, cap, "%s", x->variant[first].id);
    for (int steps = x->n_variants + x->n_teachers; steps > 0 && at >= 0; steps--) {
        at = x->variant[at].teacher;
        if (at >= 0 && used < cap)
            used += (size_t)snprintf(path + used, cap - used, " <- %s", x->variant[at].id);
        if (at == first) return true;
    }
    return false;
}

static void check_teacher(const struct experiment *x, int v, struct problems *p) {
    const struct experiment_variant *student = &x->variant[v];
    if (student->teacher < 0) return;
    const struct experiment_variant *teacher = &x->variant[student->teacher];
    char path[512];
    if (teacher == student)
        problems_add(p, student->teacher_at,
                     "%s: distill: a variant cannot be its own teacher; give one of them "
                     "another `id`",
                     student->id);
    else if (goes_in_circles(x, v, path, sizeof path))
        problems_add(p, student->teacher_at, "%s: distill: teachers go in a circle: %s", student->id, path);
    if (loss_is_softmax(&teacher->objective.loss))
        problems_add(
            p, student->teacher_at,
            "%s: distill: the teacher `%s` is trained by a softmax loss: its scores rank items, and are no "
            "logits of a click to learn from",
            student->id, teacher->id);
}

void experiment_check_losses(const struct experiment *x, struct problems *p) {
    for (int v = 0; v < x->n_variants + x->n_teachers; v++) {
        const struct experiment_variant *m = &x->variant[v];
        check_teacher(x, v, p);
        if (loss_is_softmax(&m->objective.loss) && m->train.monitor == MONITOR_LOGLOSS &&
            !distill_wanted(&m->objective.distill))
            problems_add(
                p, m->loss_at,
                "%s: loss: a softmax's scores are no probabilities, so `train.monitor: logloss` means "
                "nothing; use gauc or auc",
                m->id);
        if (m->objective.loss.kind == LOSS_IN_BATCH && m->train.batch == 1 &&
            !m->objective.loss.hard_negatives)
            problems_add(
                p, m->loss_at,
                "%s: loss: `in_batch` takes the other items of a batch, and `train.batch: 1` has none",
                m->id);
        if (loss_is_softmax(&m->objective.loss) && m->teacher >= 0 && m->objective.distill.weight >= 1)
            problems_add(p, m->teacher_at,
                         "%s: distill: `weight: 1` leaves nothing of the loss `%s`; use less, or `loss: bce`",
                         m->id, loss_opts->choices[m->objective.loss.kind]);
    }
}

void experiment_check_compared(const struct experiment *x, struct problems *p) {
    const struct opt_names *o = &x->o.compare_with;
    const struct conf *at = conf_get(x->root, "compare_with");
    const char *known[128];
    size_t n = 0;
    for (int v = 0; v < x->n_variants && n < 128; v++) known[n++] = x->variant[v].id;
    for (int i = 0; i < o->n; i++) {
        const struct conf *name = at && at->type == CONF_LIST ? at->item[i] : at;
        bool found = false;
        for (int v = 0; v < x->n_variants; v++) found |= !strcmp(x->variant[v].id, o->v[i]);
        if (!found) problems_unknown(p, name, "compare_with: no variant has the id", o->v[i], known, n);
        for (int k = 0; k < i; k++)
            if (!strcmp(o->v[i], o->v[k])) problems_add(p, name, "`compare_with` names %s twice", o->v[i]);
    }
}

int experiment_teacher_features(const struct experiment_variant *v, const struct features *all,
                                struct arena *a, struct features *out, struct err *e) {
    bool *keep = arena_alloc(a, (size_t)all->n + 1);
    if (!keep) return err_nomem(e, (unsigned long long)all->n);
    for (int i = 0; i < all->n; i++) keep[i] = true;
    return features_select(all, keep, !v->variant->two_tower, a, out, NULL, e);
}

/* ---- models ---- */

/* What v is trained for, on fields whose number decides the teacher's width. */
static int find_objective(struct experiment *x, const struct experiment_variant *v,
                          const struct features *all, struct objective *out, struct err *e) {
    struct features f;
    *out = v->objective;
    if (v->teacher < 0 || !distill_wanted(&out->distill) || out->distill.feature <= 0) return 0;
    const struct experiment_variant *t = &x->variant[v->teacher];
    TRY(experiment_teacher_features(t, all, &x->arena, &f, e));
    out->teacher_width = teacher_width(t->variant, t->options, &f, e);
    return out->teacher_width ? 0 : err_prefix(e, "its teacher %s", t->id);
}

/* The whole of a model's machinery, on vocabularies of two: what it refuses, it refuses now. */
static int try_model(const struct experiment_variant *v, const struct objective *objective,
                     const struct features *used, struct err *e) {
    struct graph g;
    struct exec *x = NULL;
    struct optim *o = NULL;
    const struct exec_options xo = {.max_rows = 1, .train = true};
    graph_init(&g);
    int rc = variant_build_for(v->variant, v->options, used, objective, &g, e);
    if (!rc) rc = graph_alloc_params(&g, 1, e);
    if (!rc) rc = exec_create(&g, &xo, &x, e);
    if (!rc) rc = optim_create(&g, x, &v->train.optim, NULL, &o, e);
    optim_free(o);
    exec_free(x);
    graph_release(&g);
    return rc;
}

/* The position that explains a failure best: a model without its losses is tried, too. */
static const struct conf *blame(const struct experiment_variant *v, const struct features *used) {
    struct err e = ERR_INIT;
    if (try_model(v, NULL, used, &e)) return v->at;
    if (loss_is_softmax(&v->objective.loss)) {
        struct objective o = {.loss = v->objective.loss};
        if (try_model(v, &o, used, &e)) return v->loss_at;
    }
    return v->teacher_at ? v->teacher_at : v->at;
}

static void check_model(struct experiment *x, const struct experiment_variant *v, const struct subset *s,
                        const struct features *all, bool *keep, struct problems *p) {
    struct err e = ERR_INIT;
    struct features used;
    struct objective o;
    if (subset_resolve(s, all, keep, p)) return;
    if (features_select(all, keep, !v->variant->two_tower, &x->arena, &used, NULL, &e))
        problems_take(p, &e);
    else if (find_objective(x, v, all, &o, &e) || try_model(v, &o, &used, &e))
        problems_add(p, blame(v, &used), "%s on feature subset `%s`: %s", v->id, s->name, e.msg);
    else if (select_wanted(&x->select) && s == &x->subset[select_from(x)] && select_takes(&x->select, v))
        select_check_model(x, v, &used, p);
}

int experiment_check_models(struct experiment *x, struct problems *p) {
    int before = p->n;
    struct err e = ERR_INIT;
    struct features all;
    bool *keep = arena_alloc(&x->arena, SCHEMA_MAX_FIELDS + 1);
    if (!keep) err_nomem(&e, SCHEMA_MAX_FIELDS);
    if (e.code || features_of_schema(&x->schema, &x->arena, &all, &e)) {
        problems_take(p, &e);
        return ERR_INPUT;
    }
    for (int v = 0; v < x->n_variants; v++)
        for (int s = 0; s < x->n_subsets; s++) check_model(x, &x->variant[v], &x->subset[s], &all, keep, p);
    for (int v = x->n_variants; v < x->n_variants + x->n_teachers; v++)
        check_model(x, &x->variant[v], &x->everything, &all, keep, p);
    return p->n == before ? 0 : ERR_INPUT;
}
