#include "bench/report/gnuplot.h"
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int cannot_start(int why, struct err *e) {
    if (why == ENOENT)
        return err_set(
            e, ERR_INPUT,
            "gnuplot is not installed, so no pictures: install it (Debian: apt-get install gnuplot-nox), "
            "or use `prerank report RESULTS --no-plots`");
    return err_set(e, ERR_INPUT, "gnuplot: cannot start: %s", strerror(why));
}

static int spawn(FILE *in, FILE *said, const char *folder, pid_t *pid, struct err *e) {
    char name[] = "gnuplot", plain[] = "--default-settings", from_stdin[] = "-";
    char *argv[] = {name, plain, from_stdin, NULL};
    posix_spawn_file_actions_t actions;
    int why = posix_spawn_file_actions_init(&actions);
    if (why) return cannot_start(why, e);
    why = posix_spawn_file_actions_adddup2(&actions, fileno(in), 0);
    if (!why) why = posix_spawn_file_actions_adddup2(&actions, fileno(said), 1);
    if (!why) why = posix_spawn_file_actions_adddup2(&actions, fileno(said), 2);
    if (!why) why = posix_spawn_file_actions_addchdir_np(&actions, folder);
    if (!why) why = posix_spawnp(pid, name, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return why ? cannot_start(why, e) : 0;
}

/* Its last line, which names the mistake. */
static void last_words(FILE *said, char out[400]) {
    char line[400];
    snprintf(out, 400, "it said nothing");
    rewind(said);
    while (fgets(line, sizeof line, said)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[strspn(line, " \t^")]) snprintf(out, 400, "%s", line);
    }
}

static int finish(pid_t pid, FILE *said, struct err *e) {
    int status;
    pid_t got;
    do got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) return err_set(e, ERR_INPUT, "gnuplot: lost its process: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    char words[400];
    last_words(said, words);
    if (WIFSIGNALED(status))
        return err_set(e, ERR_INPUT, "gnuplot: ended by signal %d; last words: %s", WTERMSIG(status), words);
    return err_set(e, ERR_INPUT, "gnuplot: failed: %s", words);
}

int gnuplot_run(const char *script, size_t n, const char *folder, struct err *e) {
    FILE *in = tmpfile(), *said = tmpfile();
    pid_t pid;
    int rc = 0;
    if (!in || !said || fwrite(script, 1, n, in) != n || fflush(in))
        rc = err_errno(e, "gnuplot's script", "write a temporary file");
    if (!rc) {
        rewind(in);
        rc = spawn(in, said, folder, &pid, e);
    }
    if (!rc) rc = finish(pid, said, e);
    if (in) fclose(in);
    if (said) fclose(said);
    return rc;
}
