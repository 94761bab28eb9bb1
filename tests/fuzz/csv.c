/* A log, plain or compressed. The first byte chooses the separator, quotes and encoding. */
#include "data/source.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const seps[] = {",", "\t", "::", ";"};
    static const char *const names[] = {"a", "b", "c"};
    if (!n) return 0;
    struct file_spec spec = {.quotes = !(data[0] & 4), .latin1 = data[0] & 8};
    snprintf(spec.sep, sizeof spec.sep, "%s", seps[data[0] & 3]);
    if (data[0] & 2) spec.quotes = spec.quotes && (data[0] & 1); /* "::" has no quotes */
    if (data[0] & 16) spec.n_header = 3, spec.header = names;
    snprintf(spec.path, sizeof spec.path, "%s", fuzz_file(data + 1, n - 1));
    struct source *s = NULL;
    struct err e = ERR_INIT;
    const struct cell *row;
    int got = 1, rc = source_open_file(&spec, &s, &e);
    for (; !rc && got;) {
        rc = source_next(s, &row, &got, &e);
        for (int i = 0; !rc && got && i < source_columns(s); i++) fuzz_read(row[i].p, row[i].n + 1);
    }
    fuzz_expect(rc, &e);
    if (s) source_where(s);
    source_close(s);
    return 0;
}
