/* A schema; the files that it may name lie in configs/data/example/. */
#include "data/schema.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    setenv("PRERANK_DATA", "configs/data", 1);
    struct schema s;
    struct err e = ERR_INIT;
    int rc = schema_load(fuzz_file(data, n), &s, &e);
    fuzz_expect(rc, &e);
    if (rc) return 0;
    for (int i = 0; i < s.n_where; i++) {
        bool ok;
        schema_compare(&s.where[i], "3.5", &ok);
        schema_compare(&s.where[i], "bot", &ok);
    }
    schema_release(&s);
    return 0;
}
