/* checkpoint.h: parameters as .safetensors (https://github.com/huggingface/safetensors#format), float32,
 * readable from PyTorch.
 *
 *     TRY(checkpoint_save(&g, "models/dssm.safetensors", metadata, e));     atomic
 *     TRY(checkpoint_load(&g, "models/dssm.safetensors", e));               every parameter, exact name and
 * shape
 *
 * Also the plain reader, used by tests on files that PyTorch scripts wrote. Errors: truncated file, header
 * that is no JSON or too large (100 MB), offsets outside the file or overlapping, another dtype, wrong shape,
 * missing or unknown tensor.
 */
#ifndef PRERANK_NN_CHECKPOINT_H
#define PRERANK_NN_CHECKPOINT_H
#include "base/err.h"
#include "base/file.h"
#include "nn/graph.h"
#include <jansson.h>

int checkpoint_save(const struct graph *g, const char *path, const json_t *metadata,
                    struct err *e); /* metadata: text -> text, or NULL */
int checkpoint_load(struct graph *g, const char *path, struct err *e);

struct tensor {
    const char *name;
    enum { TENSOR_F32, TENSOR_I64, TENSOR_U32, TENSOR_I32 } dtype;
    int n_dims;
    size_t dim[4], n; /* n = product of dims */
    const void *data; /* in the mapping, aligned to its item size by copy if need be */
};
struct tensors {
    struct arena arena;
    struct file_map map;
    int n;
    struct tensor *tensor;
    json_t *metadata; /* may be NULL */
};
int tensors_open(const char *path, struct tensors *out, struct err *e);
const struct tensor *tensors_find(const struct tensors *t, const char *name);
void tensors_close(struct tensors *t);

#endif
