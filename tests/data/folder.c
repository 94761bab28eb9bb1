#include "folder.h"
#include "base/file.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char folder[64];

void folder_setup(void) {
    strcpy(folder, "/tmp/prerank-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

void folder_teardown(void) { file_remove_tree(folder, NULL); }

const char *folder_path(const char *name) {
    static char path[8][512];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(path[turn], sizeof path[turn], "%s%s%s", folder, *name ? "/" : "", name);
    return path[turn];
}

void folder_put(const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(folder_path(name), "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
}

void folder_put_text(const char *name, const char *text) { folder_put(name, text, strlen(text)); }
