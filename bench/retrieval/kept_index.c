#include "bench/retrieval/kept_index.h"
#include "base/file.h"
#include "base/opt.h"
#include "base/progress.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int make_paths(const char *stem, const char *kind, char index[1024], char about[1024], struct err *e) {
    char slug[OPT_NAME_MAX];
    size_t n = 0;
    for (const char *c = kind; *c && n + 1 < sizeof slug; c++)
        slug[n++] = isalnum((unsigned char)*c) ? *c : '-';
    slug[n] = '\0';
    if (snprintf(index, 1024, "%s.%s.index", stem, slug) >= 1024 ||
        snprintf(about, 1024, "%s.%s.index.json", stem, slug) >= 1024)
        return err_set(e, ERR_INPUT, "%.80s...: the path is too long", stem);
    return 0;
}

/* What is there, when it is of these vectors; otherwise k->index stays NULL. */
static void open_old(const char *path, const char *about, struct vectors items, const char *version,
                     int threads, struct kept_index *k) {
    struct err why = ERR_INIT;
    json_t *j = NULL;
    if (!file_exists(path) || !file_exists(about)) return;
    int rc = file_read_json(about, &j, &why);
    struct hash now = {""};
    if (!rc) rc = hash_file(path, &now, &why);
    const char *saved = json_string_value(json_object_get(j, "file_hash"));
    if (!rc && (!saved || strcmp(saved, now.hex) != 0))
        rc = err_set(&why, ERR_INPUT, "%s: is not the file that was saved", path);
    if (!rc) rc = index_open(path, items.dim, version, threads, &k->index, &why);
    const char *kind = json_string_value(json_object_get(j, "kind"));
    double seconds = json_number_value(json_object_get(j, "build_seconds"));
    if (!rc && (!kind || strcmp(kind, k->kind) != 0 || index_count(k->index) != items.n))
        rc = err_set(&why, ERR_INPUT, "%s: is of other items, or of another kind", path);
    json_decref(j);
    if (rc) {
        progress_note("%s; it is built again", why.msg);
        index_free(k->index);
        k->index = NULL;
        return;
    }
    k->build_seconds = seconds;
    k->opened = true;
}

static int build(const char *path, const char *about, struct vectors items, const char *version, int threads,
                 struct kept_index *k, struct err *e) {
    int64_t start = clock_ns();
    TRY(index_create(k->kind, items.dim, threads, &k->index, e));
    TRY(index_add(k->index, items, e));
    k->build_seconds = (double)(clock_ns() - start) * 1e-9;
    unlink(about); /* it must not speak of another file */
    TRY(index_save(k->index, path, version, e));
    struct hash hash;
    TRY(hash_file(path, &hash, e));
    json_t *j = json_pack("{s:s, s:s, s:I, s:I, s:i, s:f, s:s}", "kind", k->kind, "model_version", version,
                          "items", (json_int_t)items.n, "dim", (json_int_t)items.dim, "threads", threads,
                          "build_seconds", k->build_seconds, "file_hash", hash.hex);
    int rc = j ? file_write_json(about, j, e) : err_nomem(e, 0);
    json_decref(j);
    return rc;
}

int kept_index_get(const char *stem, const char *kind, struct vectors items, const char *version, int threads,
                   struct kept_index *out, struct err *e) {
    char path[1024], about[1024];
    *out = (struct kept_index){.kind = kind};
    TRY(make_paths(stem, kind, path, about, e));
    open_old(path, about, items, version, threads, out);
    int rc = out->index ? 0 : build(path, about, items, version, threads, out, e);
    out->bytes = file_size(path);
    if (rc) kept_index_release(out);
    return rc;
}

void kept_index_release(struct kept_index *k) {
    index_free(k->index);
    k->index = NULL;
}
