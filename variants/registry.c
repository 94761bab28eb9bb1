#include "variants/variant.h"
#include <string.h>

/* clang-format off: one line a variant */
extern const struct variant variant_dssm, variant_senet, variant_parallel, variant_dat, variant_inttower,
    variant_mlp, variant_dcn, variant_din, variant_cold;

static const struct variant *const variants[] = {
    &variant_dssm, &variant_senet, &variant_parallel, &variant_dat,  &variant_inttower,
    &variant_mlp,  &variant_dcn,   &variant_din,      &variant_cold, NULL};
/* clang-format on */

const struct variant *const *variant_all(void) { return variants; }

const struct variant *variant_find(const char *name) {
    for (size_t i = 0; variants[i]; i++)
        if (!strcmp(variants[i]->name, name)) return variants[i];
    return NULL;
}

int variant_build_for(const struct variant *v, const void *options, const struct features *f,
                      const struct objective *objective, struct graph *g, struct err *e) {
    const struct model_options *model = options;
    g->init_std = model->embedding_std;
    TRY(v->build(g, f, options, e));
    for (int i = 0; i < g->n_columns; i++)
        for (int k = 0; k < f->n; k++)
            if (!strcmp(g->column[i].name, f->feature[k].name))
                g->column[i].mean_length = f->feature[k].mean_length;
    int rc = loss_build(g, objective, e);
    return rc && e ? err_prefix(e, "variant %s", v->name) : rc;
}

const char *variant_idle(const struct variant *v, const void *options, const char *name) {
    const struct opt *norm = opt_find(v->opts, "batch_norm");
    if (norm && !strcmp(name, "batch_norm_uniform") && !*(const bool *)((const char *)options + norm->offset))
        return "without `batch_norm: true`";
    return v->idle ? v->idle(options, name) : NULL;
}

const char *variant_training_only(const struct variant *v, const void *options) {
    return v->training_only ? v->training_only(options) : NULL;
}

int variant_build(const struct variant *v, const void *options, const struct features *f, struct graph *g,
                  struct err *e) {
    return variant_build_for(v, options, f, NULL, g, e);
}
