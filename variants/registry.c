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

int variant_build(const struct variant *v, const void *options, const struct features *f, struct graph *g,
                  struct err *e) {
    const struct model_options *model = options;
    g->init_std = model->embedding_std;
    TRY(v->build(g, f, options, e));
    for (int i = 0; i < g->n_columns; i++)
        for (int k = 0; k < f->n; k++)
            if (!strcmp(g->column[i].name, f->feature[k].name))
                g->column[i].mean_length = f->feature[k].mean_length;
    graph_add_loss(g, nn_bce(g, g->output, graph_input(g, "label", SIDE_NONE, VALUE_NUMBER, 0)), 1);
    if (g->err.code) {
        if (e) *e = g->err;
        return err_prefix(e, "variant %s", v->name);
    }
    return 0;
}
