#include "base/progress.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What `fn` writes to stderr, in a process of its own. */
static char *stderr_of(void (*fn)(void)) {
    static char text[4096];
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (!child) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        fn();
        fflush(stderr);
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < sizeof text - 1 && (got = read(ends[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(ends[0]);
    waitpid(child, NULL, 0);
    return text;
}

static void long_run(void) {
    struct progress p;
    progress_start(&p, "training dssm", 4000);
    p.last_s -= 20; /* as if 20 s had passed */
    p.start_s -= 20;
    progress_at(&p, 1000, "GAUC .7012");
    for (uint64_t i = 1000; i < 4000; i++) progress_at(&p, i, "no line");
    progress_note("a note with %d", 42);
    progress_end(&p, "done");
}

Test(progress, off_a_terminal_prints_a_line_now_and_then) {
    char *text = stderr_of(long_run);
    cr_assert(strstr(text, "training dssm   25 %  1,000/4,000  ETA 1 min 00 s  GAUC .7012\n"), "%s", text);
    cr_assert_not(strstr(text, "no line"), "%s", text);
    cr_assert_not(strchr(text, '\r'), "%s", text);
    cr_assert(strstr(text, "a note with 42\n"), "%s", text);
    cr_assert(strstr(text, "20.0 s  done\n"), "%s", text);
}

static void quiet_run(void) {
    progress_set_quiet(1);
    long_run();
}

Test(progress, quiet_prints_nothing) { cr_assert_str_eq(stderr_of(quiet_run), ""); }

static void unknown_total(void) {
    struct progress p;
    progress_start(&p, "reading", 0);
    p.last_s -= 20;
    progress_at(&p, 12345, NULL);
    progress_end(&p, NULL);
}

Test(progress, works_without_a_total) {
    char *text = stderr_of(unknown_total);
    cr_assert(strstr(text, "reading  12,345\n"), "%s", text);
}

/* The same on a pseudo terminal. */
static void on_terminal(void) {
    int m = posix_openpt(O_RDWR | O_NOCTTY);
    if (m < 0 || grantpt(m) || unlockpt(m)) return;
    int s = open(ptsname(m), O_RDWR | O_NOCTTY);
    if (s < 0) return;
    int out = dup(STDERR_FILENO);
    setenv("TERM", "xterm", 1);
    dup2(s, STDERR_FILENO);
    long_run();
    fflush(stderr);
    char text[4096] = "";
    size_t n = 0; /* the terminal gives it piece by piece */
    for (ssize_t got; !strstr(text, "done") && (got = read(m, text + n, sizeof text - 1 - n)) > 0;) {
        n += (size_t)got;
        text[n] = '\0';
    }
    if (write(out, text, n) < 0) _exit(1);
}

Test(progress, a_terminal_gets_a_bar_that_notes_do_not_tear) {
    char *text = stderr_of(on_terminal);
    cr_assert(strstr(text, "[######..................]"), "%s", text);
    char *note = strstr(text, "a note");
    cr_assert_not_null(note);
    cr_assert_eq(memcmp(note - 4, "\r\033[K", 4), 0, "the bar is wiped before the note");
}

Test(interrupt, the_first_signal_sets_a_flag) {
    interrupt_install();
    cr_assert_not(interrupt_seen());
    raise(SIGTERM);
    cr_assert(interrupt_seen());
}

Test(interrupt, a_second_signal_of_either_kind_ends_the_process) {
    pid_t child = fork();
    if (!child) {
        interrupt_install();
        raise(SIGTERM);
        raise(SIGINT);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status));
    cr_assert_eq(WTERMSIG(status), SIGINT);
}

Test(clock, never_goes_back_and_both_units_agree) {
    int64_t a = clock_ns();
    double s = clock_seconds();
    int64_t b = clock_ns();
    cr_assert_leq(a, b);
    cr_assert(s >= (double)a * 1e-9 - 1e-6 && s <= (double)b * 1e-9 + 1e-6);
}
