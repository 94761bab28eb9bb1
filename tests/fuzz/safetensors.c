/* A checkpoint: as any tensors, and as the parameters of a model. */
#include "nn/checkpoint.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>

/* The model of which seeds/safetensors/model.safetensors is a checkpoint. */
static struct graph *model(void) {
    static struct graph g;
    if (g.n_nodes) return &g;
    struct err e = ERR_INIT;
    graph_init(&g);
    int u = nn_embedding(&g, graph_input(&g, "u", SIDE_USER, VALUE_ID, 3), 2, NULL);
    int v = nn_embedding(&g, graph_input(&g, "v", SIDE_ITEM, VALUE_ID, 2), 2, NULL);
    g.output = nn_dot(&g, nn_linear(&g, u, 2, ACT_RELU, "user.0"), v);
    if (graph_alloc_params(&g, 1, &e)) abort();
    return &g;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *path = fuzz_file(data, n);
    struct tensors t;
    struct err e = ERR_INIT;
    int rc = tensors_open(path, &t, &e);
    fuzz_expect(rc, &e);
    for (int i = 0; !rc && i < t.n; i++) {
        fuzz_read(t.tensor[i].data, t.tensor[i].n * (t.tensor[i].dtype == TENSOR_I64 ? 8 : 4));
        if (!tensors_find(&t, t.tensor[i].name)) abort();
    }
    if (!rc) tensors_close(&t);
    struct err why = ERR_INIT;
    int loaded = checkpoint_load(model(), path, &why);
    fuzz_expect(loaded, &why);
    if (rc && !loaded) abort(); /* no checkpoint that is no file of tensors */
    return 0;
}
