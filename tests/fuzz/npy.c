/* A column of a dataset, read as each type in turn. */
#include "data/npy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *path = fuzz_file(data, n);
    for (int type = NPY_U8; type <= NPY_F64; type++) {
        struct npy a;
        struct err e = ERR_INIT;
        int rc = npy_open(path, (enum npy_type)type, &a, &e);
        fuzz_expect(rc, &e);
        if (rc) continue;
        fuzz_read(a.data, a.n * npy_item_bytes(a.type));
        npy_close(&a);
    }
    return 0;
}
