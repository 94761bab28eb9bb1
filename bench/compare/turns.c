#include "bench/compare/turns.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void become(const char *const *argv, int in, int out) {
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], (char *const *)argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static int start(struct turns *t, const char *const *argv, struct err *e) {
    int down[2], up[2];
    if (pipe2(down, O_CLOEXEC)) return err_errno(e, argv[0], "make a pipe to");
    if (pipe2(up, O_CLOEXEC)) {
        close(down[0]);
        close(down[1]);
        return err_errno(e, argv[0], "make a pipe to");
    }
    fflush(NULL);
    t->child = fork();
    if (!t->child) become(argv, down[0], up[1]);
    close(down[0]);
    close(up[1]);
    t->to = fdopen(down[1], "w");
    t->from = fdopen(up[0], "r");
    if (t->child < 0) return err_errno(e, argv[0], "start");
    return t->to && t->from ? 0 : err_nomem(e, 0);
}

/* It said something else, or nothing: most likely it has ended, with a reason on stderr. */
static int bad_answer(const struct turns *t, const char *what, struct err *e) {
    return err_set(e, ERR_INPUT,
                   "%s: does not answer as `prerank turns` (%s); is it a build of this program?", t->program,
                   what);
}

static int read_names(struct turns *t, struct err *e) {
    char line[2048];
    if (!fgets(line, sizeof line, t->from) || strcmp(line, TURNS_GREETING "\n") != 0)
        return bad_answer(t, "no greeting \"" TURNS_GREETING "\"", e);
    int n;
    if (!fgets(line, sizeof line, t->from) || sscanf(line, "%d", &n) != 1 || n < 0 || n > TURNS_POINTS_MAX)
        return bad_answer(t, "no number of points", e);
    t->name = mem_calloc((size_t)n + 1, sizeof *t->name);
    if (!t->name) return err_nomem(e, (size_t)n * sizeof *t->name);
    for (; t->n_points < n; t->n_points++) {
        if (!fgets(line, sizeof line, t->from)) return bad_answer(t, "too few points", e);
        line[strcspn(line, "\n")] = '\0';
        t->name[t->n_points] = mem_strdup(line);
        if (!t->name[t->n_points]) return err_nomem(e, strlen(line));
    }
    return 0;
}

int turns_start(struct turns *t, const char *const *argv, struct err *e) {
    *t = (struct turns){.child = -1, .program = argv[0]};
    signal(SIGPIPE, SIG_IGN); /* a program that has ended is an error of ours to report, not our end */
    int rc = start(t, argv, e);
    if (!rc) rc = read_names(t, e);
    if (rc) turns_abandon(t);
    return rc;
}

int turns_take(struct turns *t, int point, int n, int64_t *took_ns, struct err *e) {
    fprintf(t->to, "%d %d\n", point, n);
    if (fflush(t->to)) return bad_answer(t, "it has ended", e);
    for (int i = 0; i < n; i++)
        if (fscanf(t->from, "%" SCNd64, &took_ns[i]) != 1) return bad_answer(t, "too few times", e);
    return 0;
}

static void close_all(struct turns *t) {
    if (t->to) fclose(t->to);
    if (t->from) fclose(t->from);
    t->to = t->from = NULL;
    for (int i = 0; i < t->n_points; i++) mem_free(t->name[i]);
    mem_free(t->name);
    t->name = NULL;
    t->n_points = 0;
}

int turns_end(struct turns *t, struct err *e) {
    int status = -1;
    close_all(t); /* the end of its stdin is its sign to end */
    while (t->child > 0 && waitpid(t->child, &status, 0) < 0 && errno == EINTR) {}
    t->child = -1;
    if (WIFEXITED(status) && !WEXITSTATUS(status)) return 0;
    return err_set(e, ERR_INPUT, "%s: ended with status %d", t->program,
                   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void turns_abandon(struct turns *t) {
    if (t->child > 0) kill(t->child, SIGTERM);
    struct err ignored = ERR_INIT;
    turns_end(t, &ignored);
}
