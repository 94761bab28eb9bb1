/* variant.h: what a model variant is: a function that builds a graph from the features it is given, and its option table.
 *
 * A new variant is one file here and one line in registry.c. It knows nothing of files, clocks or training.
 *
 *     const struct variant *v = variant_find("dssm");
 *     void *o = variant options (v->options_bytes), opt_defaults(v->opts, o), opt_read(...)
 *     struct graph g; graph_init(&g);
 *     TRY(variant_build(v, o, &features, &g, e));        adds the BCE loss on the column "label"
 *
 * Parameter names (checkpoints): "embedding.<feature>", "user.<k>.weight", "item.<k>.bias", "mlp.<k>.weight", ...
 */
#ifndef PRERANK_VARIANTS_VARIANT_H
#define PRERANK_VARIANTS_VARIANT_H
#include "base/opt.h"
#include "nn/graph.h"

struct feature { /* one input of the model: a field of the dataset that the feature subset kept */
    const char *name;
    side_t side;
    enum value_type type;
    uint32_t vocab;
    const char *shares;  /* feature whose embedding table this one uses, or NULL */
    double mean_length;
};
struct features {
    int n;
    const struct feature *feature;
};

struct variant {
    const char *name;
    const char *help;         /* one line */
    const struct opt *opts;   /* every variant's table includes `dim` (embedding size, default 16) and `embedding_std` */
    size_t options_bytes;
    bool two_tower;           /* pair features cannot enter: they are left out, and the sweep says so */
    int (*build)(struct graph *g, const struct features *f, const void *options, struct err *e); /* sets g->output */
};

const struct variant *variant_find(const char *name); /* NULL when there is none */
const struct variant *const *variant_all(void);       /* NULL-ended */
int variant_build(const struct variant *v, const void *options, const struct features *f, struct graph *g, struct err *e);

/* ---- pieces that variants share (variants/parts.c) ---- */
struct model_options { /* first member of every variant's options */
    int64_t dim;
    double embedding_std;
};
#define MODEL_OPTS(T)                                                                                                  \
    OPT_INT(T, dim, "16", 1, 1024, "embedding size of every field"),                                                  \
        OPT_DOUBLE(T, embedding_std, "0.01", 0, 10, "embeddings start as N(0, std)")
struct mlp_options {
    struct opt_ints hidden;
    double dropout;
    bool batch_norm;
    bool batch_norm_uniform; /* scale starts as U(0,1), as PyTorch did before 1.2 */
};
/* Embeddings of all features whose side is within `sides` (e.g. SIDE_USER only user; SIDE_PAIR all), concatenated; -1 and sets
 * *n = 0 when there are none. */
int parts_embed(struct graph *g, const struct features *f, bool (*take)(side_t), int dim, int *n);
/* units[0..n-1] with ReLU (and batch norm, dropout); with linear_last the last layer has neither. Names "<name>.<k>". */
int parts_mlp(struct graph *g, int x, const struct mlp_options *o, bool linear_last, const char *name);

#endif
