#include "data/prepare/scratch.h"
#include <unistd.h>

int scratch_map(const char *work, size_t bytes, struct file_map *m, struct err *e) {
    char path[1200];
    TRY(file_join(path, sizeof path, work, "scratch", e));
    TRY(file_map_create(path, bytes, m, e));
    unlink(path); /* the mapping keeps the file alive */
    return 0;
}
