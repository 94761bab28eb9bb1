/* variant.h: what a model variant is: a function that builds a graph from the features it is given, and its
 * option table.
 *
 * A new variant is one file here and one line in registry.c. It knows nothing of files, clocks or training.
 *
 *     const struct variant *v = variant_find("dssm");
 *     void *o = variant options (v->options_bytes), opt_defaults(v->opts, o), opt_read(...)
 *     struct graph g; graph_init(&g);
 *     TRY(variant_build(v, o, &features, &g, e));        adds the BCE loss on the column "label"
 *
 * Parameter names (checkpoints): "embedding.<feature>", "user.<k>.weight", "item.<k>.bias", "mlp.<k>.weight",
 * ...
 */
#ifndef PRERANK_VARIANTS_VARIANT_H
#define PRERANK_VARIANTS_VARIANT_H
#include "base/opt.h"
#include "nn/graph.h"
#include "nn/loss.h"

struct feature { /* one input of the model: a field of the dataset that the feature subset kept */
    const char *name;
    side_t side;
    enum value_type type;
    uint32_t vocab;
    const char *shares; /* feature whose embedding table this one uses, or NULL */
    double mean_length;
};
struct features {
    int n;
    const struct feature *feature;
};

struct variant {
    const char *name;
    const char *help; /* one line */
    const struct opt
        *opts; /* every variant's table includes `dim` (embedding size, default 16) and `embedding_std` */
    size_t options_bytes;
    bool two_tower; /* pair features cannot enter: they are left out, and the sweep says so */
    /* What variant_idle() and variant_training_only() say of these options beyond what goes for all variants; NULL: nothing. */
    const char *(*idle)(const void *options, const char *name);
    const char *(*training_only)(const void *options);
    int (*build)(struct graph *g, const struct features *f, const void *options,
                 struct err *e); /* sets g->output */
};

const struct variant *variant_find(const char *name); /* NULL when there is none */
const struct variant *const *variant_all(void);       /* NULL-ended */
int variant_build(const struct variant *v, const void *options, const struct features *f, struct graph *g,
                  struct err *e);
/* With other losses than BCE: nn/loss.h. */
int variant_build_for(const struct variant *v, const void *options, const struct features *f,
                      const struct objective *objective, struct graph *g, struct err *e);
/* Why the option `name` means nothing beside the others, as in "without `normalize: true`"; NULL: it means something. */
const char *variant_idle(const struct variant *v, const void *options, const char *name);
/* Why a model with these options is for training and cannot be served; NULL: it can. */
const char *variant_training_only(const struct variant *v, const void *options);

/* ---- pieces that variants share (variants/parts.c) ---- */
struct model_options { /* first member, called `model`, of every variant's options */
    int64_t dim;
    double embedding_std;
};
#define MODEL_OPTS(T)                                                                                        \
    {"dim", OPT_T_INT, offsetof(T, model.dim), "16", 1, 1024, NULL, "embedding size of every field"}, {      \
        "embedding_std", OPT_T_DOUBLE, offsetof(T, model.embedding_std), "0.01", 0, 10, NULL,                \
            "embeddings start as N(0, std)"                                                                  \
    }
struct mlp_options {
    struct opt_ints hidden;
    double dropout;
    bool batch_norm;
    bool batch_norm_uniform; /* scale starts as U(0,1), as PyTorch did before 1.2 */
};
/* The options of an MLP that is the member `m` of T, in T's table. */
#define MLP_OPTS(T, m, hidden_default, hidden_help)                                                          \
    {"hidden", OPT_T_INTS, offsetof(T, m.hidden), hidden_default, 1, 65536, NULL, hidden_help},              \
        {"dropout",                                                                                          \
         OPT_T_DOUBLE,                                                                                       \
         offsetof(T, m.dropout),                                                                             \
         "0",                                                                                                \
         0,                                                                                                  \
         0.95,                                                                                               \
         NULL,                                                                                               \
         "share of hidden units dropped in training"},                                                       \
        {"batch_norm",                                                                                       \
         OPT_T_BOOL,                                                                                         \
         offsetof(T, m.batch_norm),                                                                          \
         "false",                                                                                            \
         0,                                                                                                  \
         0,                                                                                                  \
         NULL,                                                                                               \
         "batch norm on hidden layers"},                                                                     \
    {                                                                                                        \
        "batch_norm_uniform", OPT_T_BOOL, offsetof(T, m.batch_norm_uniform), "false", 0, 0, NULL,            \
            "batch norm's scale starts as U(0,1), as PyTorch did before 1.2"                                 \
    }
/* Embeddings of the features whose side is taken, concatenated in their order; sets *n to their number, -1
 * when there are none. */
bool take_user(side_t s);
bool take_item(side_t s);
bool take_all(side_t s);
int parts_embed(struct graph *g, const struct features *f, bool (*take)(side_t), int dim, int *n);
/* DCN-v2 cross layers (Wang et al. 2021): x_{l+1} = x0 * (W x_l + b) + x_l. Names "<name>.<k>". */
int parts_cross(struct graph *g, int x, int64_t layers, const char *name);
/* COLD's importance block (Wang et al. 2020) over the M fields of x = concat(e_1 .. e_M), (B, M*D):
 * s = sigmoid(W x + b), W (M, M*D);  v_f = s_f e_f. Returns v (B, M*D), for training only: a gate over all fields
 * ties the sides together. s (B, M), in the order of the fields, is the node graph_find_node(g, name); after
 * exec_score() its values are those of exec_value(). Names "<name>.weight", "<name>.bias". */
int parts_importance(struct graph *g, int x, int fields, const char *name);
/* units[0..n-1] with ReLU (and batch norm, dropout); with linear_last the last layer has neither. Names
 * "<name>.<k>". */
int parts_mlp(struct graph *g, int x, const struct mlp_options *o, bool linear_last, const char *name);

#endif
