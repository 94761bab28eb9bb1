/* Memory that runs out, in libraries too: this program has a malloc() of its own, which fails the n-th call (and, in a second
 * pass, all later ones too) for every n over what reads configs, prepares and opens data, and writes and reads checkpoints.
 * mem_fail_after() sees prerank's own allocations only; this one also those of libyaml, jansson, libcsv, xxHash and stdio. Each
 * failure must be an error with a message, and leave no memory and no file. A plain main(), run from the repository's root. */
#include "base/file.h"
#include "bench/run/experiment.h"
#include "data/dataset.h"
#include "data/prepare.h"
#include "nn/checkpoint.h"
#include <dirent.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- malloc and friends over glibc's own ---- */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

static long asked, live, fail_at;
static int all_later, spared;

static int fails(void) {
    if (spared) return 0;
    asked++;
    if (!fail_at || asked < fail_at || (asked > fail_at && !all_later)) return 0;
    errno = ENOMEM;
    return 1;
}
static void *counted(void *p) {
    live += p != NULL;
    return p;
}
void *malloc(size_t n) { return fails() ? NULL : counted(__libc_malloc(n)); }
void *calloc(size_t count, size_t n) { return fails() ? NULL : counted(__libc_calloc(count, n)); }
void *aligned_alloc(size_t align, size_t n) { return fails() ? NULL : counted(__libc_memalign(align, n)); }
void *memalign(size_t align, size_t n) { return aligned_alloc(align, n); }
int posix_memalign(void **p, size_t align, size_t n) {
    *p = aligned_alloc(align, n);
    return *p ? 0 : ENOMEM;
}
void *realloc(void *p, size_t n) {
    if (!p) return malloc(n);
    return fails() ? NULL : __libc_realloc(p, n);
}
void free(void *p) {
    live -= p != NULL;
    __libc_free(p);
}

/* Linked with --wrap: without memory, glibc's own regcomp() leaks and frees twice (2.36), which is not ours to mend. */
int __real_regcomp(regex_t *re, const char *pattern, int flags);
int __wrap_regcomp(regex_t *re, const char *pattern, int flags);
int __wrap_regcomp(regex_t *re, const char *pattern, int flags) {
    spared = 1;
    int rc = __real_regcomp(re, pattern, flags);
    spared = 0;
    return rc;
}

/* ---- what is done without memory ---- */

static char dir[64] = "/tmp/prerank-nomem-XXXXXX";

static const char *in_dir(const char *name) {
    static char path[100];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int experiment(struct err *e) {
    const char *set[] = {"train.batch=64"};
    struct experiment x;
    struct problems p = PROBLEMS_INIT;
    int rc = experiment_load("tests/robust/sweep.yaml", set, 1, &x, &p);
    if (!rc) {
        rc = experiment_check_models(&x, &p);
        json_t *j = experiment_json(&x);
        struct hash h;
        if (j && !rc) rc = json_hash(j, &h, e);
        if (!j && !rc) rc = err_nomem(e, 0);
        json_decref(j);
        experiment_release(&x);
    }
    if (p.n) err_set(e, ERR_INPUT, "%s", p.text.p ? p.text.p : "out of memory");
    problems_release(&p);
    return rc;
}

static int schema(struct err *e) {
    struct schema s;
    int rc = schema_load("configs/data/example.yaml", &s, e);
    if (!rc) schema_release(&s);
    return rc;
}

static int prepare(struct err *e) {
    struct schema s;
    int rc = schema_load("configs/data/example.yaml", &s, e);
    if (rc) return rc;
    rc = prepare_dataset(&s, in_dir("data"), e);
    schema_release(&s);
    if (!rc) rc = file_remove_tree(in_dir("data"), e);
    return rc;
}

static int dataset(struct err *e) {
    struct dataset d;
    int rc = dataset_open(in_dir("kept"), &d, e);
    if (rc) return rc;
    rc = dataset_verify(&d, e);
    dataset_close(&d);
    return rc;
}

static int checkpoint(struct err *e) {
    struct graph g;
    graph_init(&g);
    int u = nn_embedding(&g, graph_input(&g, "u", SIDE_USER, VALUE_ID, 30), 4, NULL);
    g.output = nn_linear(&g, u, 1, ACT_NONE, "out");
    int rc = graph_alloc_params(&g, 1, e);
    json_t *metadata = json_pack("{s:s}", "variant", "mlp");
    if (!rc && !metadata) rc = err_nomem(e, 0);
    if (!rc) rc = checkpoint_save(&g, in_dir("x.safetensors"), metadata, e);
    if (!rc) rc = checkpoint_load(&g, in_dir("x.safetensors"), e);
    json_decref(metadata);
    graph_release(&g);
    return rc;
}

/* ---- every n ---- */

/* Emptying a folder takes memory (opendir). With none at all the folder of a preparation stays, for the next one to remove. */
static void remove_what_needs_memory(void) {
    char name[40];
    snprintf(name, sizeof name, "data.tmp-%ld", (long)getpid());
    if (all_later) file_remove_tree(in_dir(name), NULL);
}

static int entries(void) {
    int n = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *x; d && (x = readdir(d));) n += strstr(x->d_name, ".tmp-") != NULL;
    if (d) closedir(d);
    return n;
}

static int complain(const char *what, long n, const char *why, const char *message) {
    fprintf(stderr, "nomem: %s: allocation %ld%s fails: %s: %s\n", what, n,
            all_later ? " and all later ones" : "", why, message);
    return 1;
}

static int every(const char *what, int (*work)(struct err *e)) {
    struct err e = ERR_INIT;
    int bad = work(&e) ? complain(what, 0, "no allocation fails, and yet", e.msg)
                       : 0; /* what is made once is there now */
    for (long n = 1; !bad; n++) {
        e = (struct err)ERR_INIT;
        long before = live;
        asked = 0;
        fail_at = n;
        int rc = work(&e);
        fail_at = 0;
        if (asked < n && !rc) {
            printf("%-12s %5ld allocations, %s\n", what, n - 1,
                   all_later ? "each and all later ones" : "each alone");
            return 0;
        }
        if (rc && (rc != ERR_INPUT || !e.msg[0]))
            bad = complain(what, n, "an error without a message or code", e.msg);
        if (live != before)
            bad |= complain(what, n, live > before ? "memory is left" : "memory is freed twice", e.msg);
        remove_what_needs_memory();
        if (entries()) bad |= complain(what, n, "a temporary file is left", e.msg);
    }
    return bad;
}

int main(void) {
    struct err e = ERR_INIT;
    struct schema s;
    int bad = 0;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (!mkdtemp(dir) || !freopen("/dev/null", "w", stdin)) return 2;
    if (schema_load("configs/data/example.yaml", &s, &e) || prepare_dataset(&s, in_dir("kept"), &e))
        return fprintf(stderr, "nomem: %s\n", e.msg), 2;
    schema_release(&s);
    for (all_later = 0; all_later < 2; all_later++) {
        bad |= every("experiment", experiment);
        bad |= every("schema", schema);
        bad |= every("prepare", prepare);
        bad |= every("dataset", dataset);
        bad |= every("checkpoint", checkpoint);
    }
    file_remove_tree(dir, NULL);
    return bad;
}
