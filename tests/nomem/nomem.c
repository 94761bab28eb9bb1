/* Memory that runs out, in libraries too: this program has a malloc() of its own, which fails the n-th call (and, in a second
 * pass, all later ones too) for every n over what reads configs, prepares and opens data, and writes and reads checkpoints.
 * mem_fail_after() sees prerank's own allocations only; this one also those of libyaml, jansson, libcsv, xxHash and stdio. Each
 * failure must be an error with a message, and leave no memory and no file. A plain main(), run from the repository's root.
 *
 * WORKERS processes share the n's, each in a folder of its own: in memory (/dev/shm) where there is such a place, for on a disk
 * the waits for its fsync() would be most of the time. */
#include "base/file.h"
#include "base/progress.h"
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
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2 };

/* ---- malloc and friends over glibc's own ---- */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

static long asked, live, fail_at;
static int all_later, spared, worker, forks, failures;

/* At every WORKERS-th allocation a child goes on from here with that allocation failing, so that what came before is done once
 * and not for every n. The child ends in every(). */
static int fails_in_child(void) {
    if (asked % WORKERS != worker) return 0;
    int status;
    spared = 1;
    pid_t child = fork();
    spared = 0;
    if (!child) {
        forks = 0;
        fail_at = asked;
        return 1;
    }
    failures += child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status);
    return 0;
}

static int fails(void) {
    if (spared) return 0;
    asked++;
    int yes = forks ? fails_in_child() : fail_at && (asked == fail_at || (asked > fail_at && all_later));
    if (yes) errno = ENOMEM;
    return yes;
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

static char dir[64];

static const char *in_dir(const char *name) {
    static char path[100];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int experiment(struct err *e) {
    const char *set[] = {"train.batch=64"};
    struct experiment x;
    struct problems p = PROBLEMS_INIT;
    int rc = experiment_load("tests/nomem/experiment.yaml", set, 1, &x, &p);
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

static int load_schema(const char *path, struct err *e) {
    struct schema s;
    int rc = schema_load(path, &s, e);
    if (!rc) schema_release(&s);
    return rc;
}
static int schema(struct err *e) { return load_schema("configs/data/example.yaml", e); }
static int synthetic(struct err *e) { return load_schema("tests/nomem/synthetic.yaml", e); }

static int prepare(struct err *e) {
    struct schema s;
    int rc = schema_load("configs/data/example.yaml", &s, e);
    if (rc) return rc;
    rc = prepare_dataset(&s, in_dir("data"), e);
    schema_release(&s);
    if (rc) return rc;
    spared = 1; /* a folder that is emptied half is what nobody can go on from */
    rc = file_remove_tree(in_dir("data"), e);
    spared = 0;
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

/* One run of `work` in which allocation n fails. */
static int check(const char *what, long n, int rc, long before, const struct err *e) {
    int bad = 0;
    if (rc && (rc != ERR_INPUT || !e->msg[0]))
        bad = complain(what, n, "an error without a message or code", e->msg);
    if (live != before)
        bad |= complain(what, n, live > before ? "memory is left" : "memory is freed twice", e->msg);
    remove_what_needs_memory();
    if (entries()) bad |= complain(what, n, "a temporary file is left", e->msg);
    return bad;
}

/* Every n by children of one run: for work that leaves no file, which they would share. Or every n by a run of its own. */
static int by_children(const char *what, int (*work)(struct err *e)) {
    struct err e = ERR_INIT;
    long before = live;
    forks = 1;
    failures = 0;
    asked = 0;
    int rc = work(&e), child = !forks;
    forks = 0;
    if (child) {
        long n = fail_at;
        fail_at = 0;
        _exit(check(what, n, rc, before, &e));
    }
    return rc ? complain(what, 0, "no allocation fails, and yet", e.msg) : failures > 0;
}

static int by_runs(const char *what, int (*work)(struct err *e)) {
    int bad = 0;
    for (long n = worker + 1; !bad; n += WORKERS) {
        struct err e = ERR_INIT;
        long before = live;
        asked = 0;
        fail_at = n;
        int rc = work(&e);
        fail_at = 0;
        if (asked < n) return rc ? complain(what, 0, "no allocation fails, and yet", e.msg) : 0;
        bad = check(what, n, rc, before, &e);
    }
    return bad;
}

static int run(void) {
    static const struct {
        const char *name;
        int (*work)(struct err *e);
        int (*every)(const char *what, int (*work)(struct err *e));
    } task[] = {{"experiment", experiment, by_children}, {"schema", schema, by_children},
                {"synthetic", synthetic, by_children},   {"prepare", prepare, by_runs},
                {"dataset", dataset, by_children},       {"checkpoint", checkpoint, by_runs}};
    struct err e = ERR_INIT;
    struct schema s;
    int bad = 0;
    snprintf(dir, sizeof dir, "%s/prerank-nomem-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(dir)) return fprintf(stderr, "nomem: no folder %s\n", dir), 2;
    if (schema_load("configs/data/example.yaml", &s, &e) || prepare_dataset(&s, in_dir("kept"), &e))
        return fprintf(stderr, "nomem: %s\n", e.msg), 2;
    schema_release(&s);
    for (all_later = 0; all_later < 2; all_later++)
        for (size_t k = 0; k < sizeof task / sizeof *task; k++) {
            if (task[k].work(&e)) bad |= complain(task[k].name, 0, "no allocation fails, and yet", e.msg);
            bad |= task[k].every(task[k].name, task[k].work); /* what is made once is there now */
            if (!worker)
                printf("%-12s %5ld allocations, %s\n", task[k].name, asked,
                       all_later ? "each and all later ones" : "each alone");
        }
    file_remove_tree(dir, NULL);
    return bad;
}

int main(void) {
    pid_t child[WORKERS];
    int bad = 0, status;
    progress_set_quiet(1);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (!freopen("/dev/null", "r", stdin)) return 2;
    for (int i = 0; i < WORKERS; i++) {
        worker = i;
        child[i] = fork();
        if (!child[i]) exit(run());
        if (child[i] < 0) return perror("nomem: fork"), 2;
    }
    for (int i = 0; i < WORKERS; i++)
        bad |= waitpid(child[i], &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status);
    return bad;
}
