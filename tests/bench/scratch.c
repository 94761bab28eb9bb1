#include "tests/bench/scratch.h"
#include "base/file.h"
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void scratch_make(struct scratch *s) {
    *s = (struct scratch){.dir = "/tmp/prerank-test-XXXXXX"};
    cr_assert(mkdtemp(s->dir));
}

void scratch_remove(struct scratch *s) {
    struct err e = ERR_INIT;
    cr_expect_eq(file_remove_tree(s->dir, &e), 0, "%s", e.msg);
    arena_release(&s->arena);
}

void scratch_write(struct scratch *s, const char *name, const char *text) {
    char path[1024];
    struct err e = ERR_INIT;
    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    cr_assert_eq(file_write_text(path, text, strlen(text), &e), 0, "%s", e.msg);
}

static char *read_path(struct scratch *s, const char *path) {
    struct err e = ERR_INIT;
    char *text;
    size_t n;
    cr_assert_eq(file_read_text(path, &text, &n, &e), 0, "%s", e.msg);
    char *copy = arena_strndup(&s->arena, text, n);
    mem_free(text);
    return copy;
}

char *scratch_read(struct scratch *s, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    return read_path(s, path);
}

int scratch_has(const struct scratch *s, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    return file_exists(path);
}

const char *prerank_path(void) {
    static char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 20);
    cr_assert_gt(n, 0);
    path[n] = '\0';
    *strrchr(path, '/') = '\0';
    strcpy(strrchr(path, '/'), "/prerank");
    return path;
}

struct ran prerank(struct scratch *s, const char *fmt, ...) {
    char args[2048], command[4096], path[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(args, sizeof args, fmt, ap);
    va_end(ap);
    snprintf(command, sizeof command, "exec '%s' %s >%s/stdout 2>%s/stderr </dev/null", prerank_path(), args,
             s->dir, s->dir);
    int status = system(command);
    struct ran r = {.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
    snprintf(path, sizeof path, "%s/stdout", s->dir);
    r.out = read_path(s, path);
    snprintf(path, sizeof path, "%s/stderr", s->dir);
    r.err = read_path(s, path);
    return r;
}

/* ---- tables; the cells that tests look at hold no quotes ---- */

/* Cell `k` of a line that ends at '\n' or NUL, as text of its own. */
static char *line_cell(struct scratch *s, const char *line, int k) {
    for (; k > 0; k--) {
        bool quoted = false;
        for (; quoted || *line != ','; line++) {
            cr_assert(*line && (quoted || *line != '\n'), "too few cells");
            if (*line == '"') quoted = !quoted;
        }
        line++;
    }
    return arena_strndup(&s->arena, line, strcspn(line, ",\n"));
}

static int column_number(const char *table, const char *name, size_t n) {
    int k = 0;
    for (const char *p = table;; k++) {
        size_t len = strcspn(p, ",\n");
        if (len == n && !strncmp(p, name, n)) return k;
        cr_assert_eq(p[len], ',', "no column %s", name);
        p += len + 1;
    }
}

char *without_columns(struct scratch *s, const char *table, const char *drop) {
    char *out = arena_alloc(&s->arena, strlen(table) + 2), *to = out;
    bool dropped[64] = {false};
    for (const char *d = drop; *d; d += strcspn(d, ","), d += *d == ',')
        dropped[column_number(table, d, strcspn(d, ","))] = true;
    for (const char *p = table; *p;) {
        bool quoted = false;
        int k = 0;
        for (; *p && (quoted || *p != '\n'); p++) {
            if (*p == '"') quoted = !quoted;
            if (*p == ',' && !quoted) k++;
            if (!dropped[k]) *to++ = *p;
        }
        *to++ = '\n';
        if (*p) p++;
    }
    return out;
}

static bool row_matches(struct scratch *s, const char *table, const char *line, const char *key) {
    for (const char *k = key; *k;) {
        size_t name = strcspn(k, "="), value = strcspn(k + name + 1, ",");
        const char *got = line_cell(s, line, column_number(table, k, name));
        if (strlen(got) != value || strncmp(got, k + name + 1, value) != 0) return false;
        k += name + 1 + value;
        k += *k == ',';
    }
    return true;
}

const char *cell(struct scratch *s, const char *table, const char *key, const char *column) {
    for (const char *line = strchr(table, '\n'); line && line[1]; line = strchr(line + 1, '\n'))
        if (row_matches(s, table, line + 1, key))
            return line_cell(s, line + 1, column_number(table, column, strlen(column)));
    cr_assert_fail("no row with %s", key);
    return NULL;
}

size_t count_lines(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

char *small_experiment(struct scratch *s, int rows, const char *rest) {
    char *text = arena_alloc(&s->arena, strlen(rest) + 2048);
    sprintf(text,
            "name: small\n"
            "data_dir: %s/data\n"
            "data:\n"
            "  synthetic: {rows: %d, users: 60, items: 40, seed: 7, user_fields: [6], item_fields: [6],\n"
            "              pair_effects: 1, noise_user_fields: 1, noise_item_fields: 1, vocab: 5}\n"
            "  user: user_id\n"
            "  item: item_id\n"
            "  time: ts\n"
            "  label: label\n"
            "  columns:\n"
            "    user_id: {side: user}\n"
            "    u0: {side: user}\n"
            "    item_id: {side: item}\n"
            "    i0: {side: item}\n"
            "  derive:\n"
            "    x: {kind: cross, of: [u0, i0], buckets: 100}\n"
            "  split: {by: time, valid: 0.15, test: 0.15}\n"
            "%s",
            s->dir, rows, rest);
    return text;
}

double scratch_uniform(unsigned *state) {
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / (1 << 24);
}

size_t count_parts(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)); text++) n++;
    return n;
}
