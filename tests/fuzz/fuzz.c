#include "tests/fuzz/fuzz.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

const char *fuzz_file(const uint8_t *data, size_t n) {
    static char path[64];
    static int fd = -1;
    if (fd >= 0) close(fd); /* a new one each time: an old one may still be mapped */
    fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || (n && write(fd, data, n) != (ssize_t)n)) die("no file in memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

void fuzz_expect(int rc, const struct err *e) {
    if (rc && rc != ERR_INPUT) die("an error code that is not ERR_INPUT");
    if (rc && !e->msg[0]) die("an error without a message");
}

/* A loop of ours: AddressSanitizer sees no read that a library makes. */
void fuzz_read(const void *p, size_t bytes) {
    const volatile uint8_t *byte = p;
    for (size_t i = 0; i < bytes; i++) (void)byte[i];
}

static char folder[64] = "/tmp/prerank-fuzz-XXXXXX";
static void remove_folder(void) { file_remove_tree(folder, NULL); }

const char *fuzz_folder(void) {
    static int made;
    if (!made && (!mkdtemp(folder) || atexit(remove_folder))) die("no folder");
    made = 1;
    return folder;
}
