#include "bench/report/subsets.h"
#include "base/file.h"
#include <string.h>

int subsets_load(const char *dir, struct table *t, struct err *e) {
    static const char *const needed[] = {"variant", "selector", "features", "trained_as", "fields"};
    char path[1024];
    int column;
    *t = (struct table){.arena = ARENA_INIT};
    TRY(file_join(path, sizeof path, dir, "subsets.csv", e));
    if (!file_exists(path)) return 0;
    TRY(table_load(dir, "subsets.csv", t, e));
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof needed / sizeof *needed; i++)
        rc = table_need(t, needed[i], &column, e);
    if (rc) table_release(t);
    return rc;
}

size_t subsets_find(const struct table *t, const char *variant, const char *features) {
    int of = table_column(t, "variant"), name = table_column(t, "features");
    size_t r = 0;
    while (r < t->rows &&
           (strcmp(table_text(t, r, of), variant) != 0 || strcmp(table_text(t, r, name), features) != 0))
        r++;
    return r;
}

const char *subsets_trained_as(const struct table *t, const char *variant, const char *features) {
    size_t r = subsets_find(t, variant, features);
    return r < t->rows ? table_text(t, r, table_column(t, "trained_as")) : features;
}
