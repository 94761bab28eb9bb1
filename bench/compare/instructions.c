#include "bench/compare/instructions.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "bench/compare/turns.h"
#include "bench/results.h"
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

enum { REQUESTS = 20, ARGS_MAX = 600 };

bool instructions_possible(void) {
    const char *path = getenv("PATH");
    for (const char *p = path; p && *p; p += strspn(p, ":")) {
        char program[1024];
        size_t n = strcspn(p, ":");
        if (snprintf(program, sizeof program, "%.*s/valgrind", (int)n, p) < (int)sizeof program &&
            !access(program, X_OK))
            return true;
        p += n;
    }
    return false;
}

struct count {
    const char *argv[ARGS_MAX];
    char profile[1060], option[1100];
    int files; /* of the profile that were read: PROFILE.1, PROFILE.2, ... */
};

static int arguments(struct count *c, const char *self, const char *config, const char *dir,
                     const char *const *set, size_t n_set, struct err *e) {
    size_t n = 0;
    if (2 * n_set + 20 > ARGS_MAX) return err_set(e, ERR_INPUT, "--set stands more than %zu times", n_set);
    TRY(file_join(c->profile, sizeof c->profile, dir, ".callgrind.tmp-out", e));
    snprintf(c->option, sizeof c->option, "--callgrind-out-file=%s", c->profile);
    const char *const first[] = {"valgrind",
                                 "--tool=callgrind",
                                 "-q",
                                 c->option,
                                 "--toggle-collect=scorer_score",
                                 "--dump-after=scorer_score",
                                 self,
                                 "turns",
                                 config,
                                 "--out",
                                 dir,
                                 "--threads",
                                 "1",
                                 "--set",
                                 "measure.tables=all"}; /* times mean nothing here; `set` may say otherwise */
    for (; n < sizeof first / sizeof *first; n++) c->argv[n] = first[n];
    for (size_t i = 0; i < n_set; i++) {
        c->argv[n++] = "--set";
        c->argv[n++] = set[i];
    }
    c->argv[n] = NULL;
    return 0;
}

/* The line "totals: N" of one of callgrind's files, which is removed; *there: whether it was. */
static int read_profile(const char *path, double *total, bool *there, struct err *e) {
    char *text;
    size_t n;
    *there = file_exists(path);
    if (!*there) return 0;
    TRY(file_read_text(path, &text, &n, e));
    const char *line = strstr(text, "\ntotals:");
    bool good = line && sscanf(line, "\ntotals: %lf", total) == 1 && *total > 0;
    mem_free(text);
    unlink(path);
    return good ? 0 : err_set(e, ERR_INPUT, "%s: callgrind counted nothing inside scorer_score()", path);
}

/* Mean over an answer's last requests: each has left a file, the ones before them are the warm-up and what happens once. */
static int read_answer(struct count *c, double *mean, struct err *e) {
    double last[REQUESTS] = {0}, sum = 0;
    bool there = true;
    int n = 0;
    for (;; n++) {
        char path[1100];
        double total = 0;
        snprintf(path, sizeof path, "%s.%d", c->profile, c->files + 1);
        TRY(read_profile(path, &total, &there, e));
        if (!there) break;
        c->files++;
        last[n % REQUESTS] = total;
    }
    if (n < REQUESTS)
        return err_set(e, ERR_INPUT, "%s: callgrind left %d files for %d requests", c->profile, n, REQUESTS);
    for (int i = 1; i < REQUESTS; i++) sum += last[(n + i) % REQUESTS];
    *mean = sum / (REQUESTS - 1);
    return 0;
}

static int write_points(struct count *c, struct turns *t, FILE *f, struct err *e) {
    int64_t took_ns[REQUESTS];
    double mean = 0;
    for (int point = 0; point < t->n_points; point++) {
        TRY(turns_take(t, point, REQUESTS, took_ns, e));
        TRY(read_answer(c, &mean, e));
        fprintf(f, "%s,%.0f\n", t->name[point], mean);
    }
    return 0;
}

static void remove_files(const struct count *c) {
    char path[1100];
    int n = c->files;
    do snprintf(path, sizeof path, "%s.%d", c->profile, ++n);
    while (!unlink(path));
    unlink(c->profile);
}

static int count_all(struct count *c, FILE *f, struct err *e) {
    struct turns t;
    int rc = turns_start(&t, c->argv, e);
    if (!rc) rc = write_points(c, &t, f, e);
    if (rc)
        turns_abandon(&t);
    else
        rc = turns_end(&t, e);
    remove_files(c);
    return rc;
}

int instructions_count(const char *config, const char *dir, const char *const *set, size_t n_set,
                       struct err *e) {
    if (!instructions_possible())
        return err_set(e, ERR_INPUT,
                       "--instructions needs valgrind, which is not installed (Debian: apt-get install "
                       "valgrind)");
    char self[1024], path[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return err_errno(e, "/proc/self/exe", "read");
    self[n] = '\0';
    struct count c = {.files = 0};
    struct file_out o;
    TRY(arguments(&c, self, config, dir, set, n_set, e));
    TRY(file_join(path, sizeof path, dir, "instructions.csv", e));
    progress_note("counting instructions with valgrind");
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", RESULTS_INSTRUCTIONS_COLUMNS);
    /* Where texts lie decides which way strcmp() takes: the same places each time, where the system lets us choose. */
    int before = personality(0xffffffff);
    if (before >= 0) personality((unsigned long)before | ADDR_NO_RANDOMIZE);
    int rc = count_all(&c, o.f, e);
    if (before >= 0) personality((unsigned long)before);
    if (rc) {
        file_abort(&o);
        return rc;
    }
    return file_commit(&o, e);
}
