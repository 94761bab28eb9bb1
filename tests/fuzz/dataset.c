/* A dataset.json beside the arrays of a whole dataset, that of configs/data/example.yaml. */
#include "data/dataset.h"
#include "data/prepare.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <stdlib.h>

static const char *prepared(void) {
    static char dir[100];
    struct schema s;
    struct err e = ERR_INIT;
    if (*dir) return dir;
    snprintf(dir, sizeof dir, "%s/example", fuzz_folder());
    if (schema_load("configs/data/example.yaml", &s, &e) || prepare_dataset(&s, dir, &e)) {
        fprintf(stderr, "fuzz: %s\n", e.msg);
        abort();
    }
    schema_release(&s);
    return dir;
}

static void read_rows(const struct dataset *d, struct err *e) {
    int *fields = calloc((size_t)d->n_fields + 1, sizeof *fields);
    for (int i = 0; fields && i < d->n_fields; i++) fields[i] = i;
    struct batch b = {.rows = 0};
    uint64_t rows[] = {0, d->n_rows / 2, d->n_rows - 1};
    int rc = batch_init(&b, d, fields, d->n_fields, 3, e);
    fuzz_expect(rc, e);
    if (!rc) fuzz_expect(batch_gather(&b, rows, 3, e), e);
    batch_release(&b);
    free(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static FILE *nowhere;
    char path[120];
    if (!nowhere) nowhere = fopen("/dev/null", "w");
    snprintf(path, sizeof path, "%s/dataset.json", prepared());
    FILE *f = fopen(path, "wb"); /* not file_write_text(), which waits for the disk */
    if (!f || !nowhere) abort();
    fwrite(data, 1, n, f);
    fclose(f);
    struct dataset d;
    struct err e = ERR_INIT;
    int rc = dataset_open(prepared(), &d, &e);
    fuzz_expect(rc, &e);
    if (rc) return 0;
    rc = dataset_verify(&d, &e);
    fuzz_expect(rc, &e);
    if (!rc) dataset_summary(&d, nowhere, &e);
    e = (struct err)ERR_INIT;
    if (d.n_rows) read_rows(&d, &e);
    dataset_close(&d);
    return 0;
}
