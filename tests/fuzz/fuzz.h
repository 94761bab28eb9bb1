/* fuzz.h: what the fuzz targets share. Each target is one file here with a LLVMFuzzerTestOneInput(), linked with
 * libFuzzer, AddressSanitizer and UBSan (`make fuzz`; seeds in tests/fuzz/seeds/<target>/). A target does to its input what the
 * program does to a file, reads every byte of what was accepted, and releases it: a crash, a leak, a hang or an error
 * without a message is a finding.
 */
#ifndef PRERANK_TESTS_FUZZ_FUZZ_H
#define PRERANK_TESTS_FUZZ_FUZZ_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The path of a file in memory that holds these bytes, until the next call. */
const char *fuzz_file(const uint8_t *data, size_t n);
/* Aborts unless rc is 0, or a code of the contract with a message. */
void fuzz_expect(int rc, const struct err *e);
/* Reads each byte, so that AddressSanitizer sees one that is not there. */
void fuzz_read(const void *p, size_t bytes);
/* A folder of the process that is gone when it ends. */
const char *fuzz_folder(void);

#endif
