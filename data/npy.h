/* npy.h: one-dimensional NumPy .npy arrays (format 1.0, little endian, C order), mapped.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 *     struct npy a;
 *     TRY(npy_open("label.npy", NPY_U8, &a, e));        refuses another dtype, a truncated file, Fortran order
 *     const uint8_t *label = a.data;
 *     npy_close(&a);
 *
 * Writing is into a mapping of known length (npy_create), which readers see only after the dataset directory is renamed
 * into place (see prepare.h).
 */
#ifndef PRERANK_DATA_NPY_H
#define PRERANK_DATA_NPY_H
#include "base/err.h"
#include "base/file.h"
#include <stddef.h>
#include <stdint.h>

enum npy_type { NPY_U8, NPY_U32, NPY_U64, NPY_I64, NPY_F32, NPY_F64 };
struct npy {
    enum npy_type type;
    size_t n;
    void *data; /* 64-byte aligned; NULL when n = 0 */
    struct file_map map;
};
int npy_open(const char *path, enum npy_type type, struct npy *out, struct err *e);
int npy_create(const char *path, enum npy_type type, size_t n, struct npy *out, struct err *e);
void npy_close(struct npy *a); /* a zeroed struct is fine */
size_t npy_item_bytes(enum npy_type t);

#endif
