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
};

static int arguments(struct count *c, const char *self, const char *config, const char *dir,
                     const char *const *set, size_t n_set, struct err *e) {
    size_t n = 0;
    if (2 * n_set + 18 > ARGS_MAX) return err_set(e, ERR_INPUT, "--set stands more than %zu times", n_set);
    TRY(file_join(c->profile, sizeof c->profile, dir, ".callgrind.tmp-out", e));
    snprintf(c->option, sizeof c->option, "--callgrind-out-file=%s", c->profile);
    const char *const first[] = {"valgrind",
                                 "--tool=callgrind",
                                 "-q",
                                 c->option,
                                 "--toggle-collect=scorer_score",
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

/* The line "totals: N" of callgrind's file, over the requests: the counted ones and the warm-up. */
static int read_profile(const struct count *c, double *total, struct err *e) {
    char *text;
    size_t n;
    TRY(file_read_text(c->profile, &text, &n, e));
    const char *line = strstr(text, "\ntotals:");
    bool good = line && sscanf(line, "\ntotals: %lf", total) == 1 && *total > 0;
    mem_free(text);
    if (!good)
        return err_set(e, ERR_INPUT, "%s: callgrind counted nothing inside scorer_score()", c->profile);
    return 0;
}

/* Two runs of different length: the difference is what requests cost, without what happens once. */
static int count_once(const struct count *c, int point, int requests, double *total, char **names,
                      struct err *e) {
    struct turns t;
    int64_t took_ns[REQUESTS];
    TRY(turns_start(&t, c->argv, e));
    int rc = point < t.n_points ? turns_take(&t, point, requests, took_ns, e) : 0;
    if (!rc && names && point < t.n_points) {
        *names = mem_strdup(t.name[point]);
        if (!*names) rc = err_nomem(e, 0);
    }
    bool beyond = point >= t.n_points;
    if (rc)
        turns_abandon(&t);
    else
        rc = turns_end(&t, e);
    if (!rc && beyond) *total = -1;
    if (!rc && !beyond) rc = read_profile(c, total, e);
    unlink(c->profile);
    return rc;
}

static int write_points(const struct count *c, FILE *f, struct err *e) {
    for (int point = 0;; point++) {
        char *names = NULL;
        double few, many = 0;
        int rc = count_once(c, point, 1, &few, &names, e);
        if (rc || few < 0) return rc;
        rc = count_once(c, point, REQUESTS, &many, NULL, e);
        if (!rc) fprintf(f, "%s,%.0f\n", names, (many - few) / (REQUESTS - 1));
        mem_free(names);
        if (rc) return rc;
    }
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
    struct count c;
    struct file_out o;
    TRY(arguments(&c, self, config, dir, set, n_set, e));
    TRY(file_join(path, sizeof path, dir, "instructions.csv", e));
    progress_note("counting instructions with valgrind");
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", RESULTS_INSTRUCTIONS_COLUMNS);
    /* Where texts lie decides which way strcmp() takes: the same places each time, where the system lets us choose. */
    int before = personality(0xffffffff);
    if (before >= 0) personality((unsigned long)before | ADDR_NO_RANDOMIZE);
    int rc = write_points(&c, o.f, e);
    if (before >= 0) personality((unsigned long)before);
    if (rc) {
        file_abort(&o);
        return rc;
    }
    return file_commit(&o, e);
}
