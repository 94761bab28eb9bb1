/* sweep.h's teachers: models that others learn from. */
#include "bench/run/sweep.h"
#include <stdio.h>
#include <string.h>

/* The model of variant x->variant[v] on all fields: one of the experiment's, or one more. */
static int teacher_model(struct sweep *s, int v, const struct features *all, int *out, struct err *e) {
    const struct experiment_variant *of = &s->x->variant[v];
    struct features f;
    TRY(experiment_teacher_features(of, all, &s->arena, &f, e));
    for (*out = 0; *out < s->n_models; ++*out) {
        const struct sweep_model *m = &s->model[*out];
        if (m->variant == of && m->same_as < 0 && sweep_same_features(&m->features, &f)) return 0;
    }
    s->model[s->n_models++] = (struct sweep_model){.variant = of,
                                                   .subset = &s->x->everything,
                                                   .features = f,
                                                   .same_as = -1,
                                                   .teacher_only = true,
                                                   .note = "teacher only"};
    return 0;
}

static int plan_teacher(struct sweep *s, struct sweep_model *m, const struct features *all, struct err *e) {
    struct objective *o = &m->objective;
    m->objective = m->variant->objective;
    m->teacher = -1;
    if (m->same_as >= 0 || m->variant->teacher < 0 || !distill_wanted(&o->distill)) return 0;
    TRY(teacher_model(s, m->variant->teacher, all, &m->teacher, e));
    const struct sweep_model *t = &s->model[m->teacher];
    if (o->distill.feature <= 0) return 0;
    o->teacher_width = teacher_width(t->variant->variant, t->variant->options, &t->features, e);
    return o->teacher_width ? 0 : ERR_INPUT;
}

/* A student's key holds its teacher's; experiment_load() refused circles. */
static int make_key(struct sweep *s, struct sweep_model *m, struct err *e) {
    if (m->teacher >= 0) TRY(make_key(s, &s->model[m->teacher], e));
    TRY(sweep_equal_key(s, m, e));
    return sweep_model_key(s, m, e);
}

int sweep_plan_teachers(struct sweep *s, int first, const struct features *all, struct err *e) {
    for (int i = first; i < s->n_models; i++)
        TRY(plan_teacher(s, &s->model[i], all, e)); /* n_models may grow */
    for (int i = first; i < s->n_models; i++) TRY(make_key(s, &s->model[i], e));
    return 0;
}

struct sweep_run *sweep_teacher_run(const struct sweep *s, const struct sweep_run *r) {
    int teacher = s->model[r->model].teacher;
    for (int i = 0; teacher >= 0 && i < s->n_runs; i++)
        if (s->run[i].model == teacher && s->run[i].seed == r->seed) return &s->run[i];
    return NULL;
}

int sweep_teacher(const struct sweep *s, const struct sweep_run *r, struct pool *pool, struct teacher *out,
                  struct err *e) {
    const struct sweep_run *of = sweep_teacher_run(s, r);
    char stem[1024], checkpoint[1024], key[24], dir[1024];
    *out = (struct teacher){.rows = 0};
    if (!of) return 0;
    const struct sweep_model *m = &s->model[of->model];
    snprintf(key, sizeof key, ".%.16s", of->key.hex);
    TRY(file_join(dir, sizeof dir, s->dir, "teachers", e));
    TRY(file_make_dirs(dir, e));
    TRY(sweep_path(s, "teachers", of, key, stem, e));
    TRY(sweep_path(s, "models", of, ".safetensors", checkpoint, e));
    const struct teacher_task t = {.ds = s->ds,
                                   .variant = m->variant->variant,
                                   .options = m->variant->options,
                                   .features = &m->features,
                                   .checkpoint = checkpoint,
                                   .stem = stem,
                                   .hidden = s->model[r->model].objective.distill.feature > 0,
                                   .pool = pool};
    int rc = teacher_open(&t, out, e);
    return rc && rc != ERR_INTERRUPTED && e ? err_prefix(e, "%s, teacher of %s", of->id, r->id) : rc;
}
