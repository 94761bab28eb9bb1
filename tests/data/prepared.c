#include "tests/data/prepared.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "data/prepare.h"
#include "tests/data/folder.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <string.h>

int prepare_text(const char *name, const char *schema, struct err *e) {
    char file[128];
    struct schema s;
    progress_set_quiet(1);
    snprintf(file, sizeof file, "%s.yaml", name);
    folder_put_text(file, schema);
    TRY(schema_load(folder_path(file), &s, e));
    int rc = prepare_dataset(&s, folder_path(name), e);
    schema_release(&s);
    return rc;
}

struct dataset opened(const char *dir) {
    struct dataset ds;
    struct err e = ERR_INIT;
    cr_assert_eq(dataset_open(dir, &ds, &e), 0, "%s", e.msg);
    cr_assert_eq(dataset_verify(&ds, &e), 0, "%s", e.msg);
    return ds;
}

struct dataset prepared(const char *name, const char *schema) {
    struct err e = ERR_INIT;
    cr_assert_eq(prepare_text(name, schema, &e), 0, "%s", e.msg);
    return opened(folder_path(name));
}

const char *prepare_error(const char *name, const char *schema) {
    static struct err e;
    e = (struct err)ERR_INIT;
    cr_assert_eq(prepare_text(name, schema, &e), ERR_INPUT, "no error");
    cr_assert_eq(entries_with(".tmp-"), 0, "a temporary directory is left");
    return e.msg;
}

const char *value_text(const struct field *f, const struct column *c, uint64_t k) {
    static char text[8][2048];
    static int turn;
    char *out = text[turn = (turn + 1) % 8];
    size_t at = 0;
    *out = '\0';
    if (f->type == VALUE_NUMBER) {
        snprintf(out, sizeof text[0], "%.6g", (double)c->number[k]);
    } else if (f->type == VALUE_ID) {
        snprintf(out, sizeof text[0], "%u", c->ids[k]);
    } else {
        for (uint64_t i = c->offsets[k]; i < c->offsets[k + 1]; i++)
            at += (size_t)snprintf(out + at, sizeof text[0] - at, "%s%u", at ? "|" : "", c->ids[i]);
    }
    return out;
}

const char *vocab_line(const char *dir, const char *field, uint32_t id) {
    static char line[256];
    char path[1200];
    snprintf(path, sizeof path, "%s/vocab/%s.txt", dir, field);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    *line = '\0';
    while (id--)
        if (!fgets(line, sizeof line, f)) *line = '\0';
    fclose(f);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

int entries_with(const char *part) {
    DIR *d = opendir(folder_path("."));
    int n = 0;
    for (struct dirent *x; (x = readdir(d));) n += strstr(x->d_name, part) != NULL;
    closedir(d);
    return n;
}

static bool same_files(const char *a, const char *b) {
    char *x = NULL, *y = NULL;
    size_t n, m;
    struct err e = ERR_INIT;
    bool same =
        !file_read_text(a, &x, &n, &e) && !file_read_text(b, &y, &m, &e) && n == m && !memcmp(x, y, n);
    if (!same) cr_log_error("%s and %s differ %s", a, b, e.msg);
    mem_free(x);
    mem_free(y);
    return same;
}

static bool is_folder(const char *path) {
    DIR *d = opendir(path);
    if (d) closedir(d);
    return d;
}

/* Every entry of a is in b. */
static bool tree_in(const char *a, const char *b) {
    DIR *d = opendir(a);
    bool same = d;
    for (struct dirent *x; same && (x = readdir(d));) {
        char p[1200], q[1200];
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, "..")) continue;
        snprintf(p, sizeof p, "%s/%s", a, x->d_name);
        snprintf(q, sizeof q, "%s/%s", b, x->d_name);
        same = is_folder(p) ? tree_in(p, q) : same_files(p, q);
    }
    if (d) closedir(d);
    return same;
}

bool same_trees(const char *a, const char *b) { return tree_in(a, b) && tree_in(b, a); }

struct table table_read(const char *path) {
    struct table t = {.text = NULL};
    size_t n, lines = 0;
    struct err e = ERR_INIT;
    cr_assert_eq(file_read_text(path, &t.text, &n, &e), 0, "%s", e.msg);
    t.columns = 1;
    for (char *p = t.text; *p && *p != '\n'; p++) t.columns += *p == ',';
    for (char *p = t.text; *p; p++) lines += *p == '\n';
    t.cell = mem_calloc(lines * t.columns, sizeof *t.cell);
    char *p = t.text;
    for (size_t i = 0; i < lines * t.columns; i++) {
        t.cell[i] = p;
        p += strcspn(p, ",\n");
        *p++ = '\0';
    }
    t.rows = lines - 1;
    return t;
}

const char *table_cell(const struct table *t, size_t row, const char *column) {
    for (size_t c = 0; c < t->columns; c++)
        if (!strcmp(t->cell[c], column)) return t->cell[(row + 1) * t->columns + c];
    cr_assert_fail("no column %s", column);
    return "";
}

void table_free(struct table *t) {
    mem_free(t->cell);
    mem_free(t->text);
}
