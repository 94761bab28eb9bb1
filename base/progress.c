#include "base/progress.h"
#include "base/str.h"
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_S 0.1
#define LINE_S   10.0 /* between two lines when stderr is no terminal */
enum { BAR = 24, LINE_CAP = 512 };

static atomic_int quiet;
static atomic_int bar_shown; /* the terminal's last line is a bar */
static atomic_int interrupted;

int64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double clock_seconds(void) { return (double)clock_ns() * 1e-9; }

static int on_terminal(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
}

static size_t terminal_width(void) {
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || w.ws_col < 20) return 79;
    return (size_t)w.ws_col - 1;
}

/* Appends to `line`, cut at its end. */
static void put(char line[LINE_CAP], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(char line[LINE_CAP], const char *fmt, ...) {
    size_t at = strlen(line);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line + at, LINE_CAP - at, fmt, ap);
    va_end(ap);
}

static void describe(const struct progress *p, int bar, double now, const char *note, char line[LINE_CAP]) {
    char a[32];
    line[0] = '\0';
    put(line, "%s", p->label);
    str_count(a, p->done);
    if (!p->total) {
        put(line, "  %s", a);
    } else {
        double share = fmin((double)p->done / (double)p->total, 1);
        int filled = (int)(share * BAR);
        if (bar)
            put(line, "  [%.*s%.*s]", filled, "########################", BAR - filled,
                "........................");
        char b[32];
        str_count(b, p->total);
        put(line, "  %3.0f %%  %s/%s", floor(share * 100), a, b);
        double spent = now - p->start_s;
        if (p->done && p->done < p->total && spent > 0.5) {
            str_duration(a, spent / share - spent);
            put(line, "  ETA %s", a);
        }
    }
    if (note && *note) put(line, "  %s", note);
}

/* Cut to `columns`, counting each UTF-8 character as one. */
static void cut(char *line, size_t columns) {
    size_t seen = 0;
    for (; *line; line++) {
        if (((unsigned char)*line & 0xC0) == 0x80) continue;
        if (seen++ == columns) {
            *line = '\0';
            return;
        }
    }
}

static void draw(struct progress *p, double now, const char *note) {
    char line[LINE_CAP];
    p->last_s = now;
    if (on_terminal()) {
        describe(p, 1, now, note, line);
        cut(line, terminal_width());
        fprintf(stderr, "\r%s\033[K", line);
        fflush(stderr);
        atomic_store(&bar_shown, 1);
    } else {
        describe(p, 0, now, note, line);
        fprintf(stderr, "%s\n", line);
    }
}

void progress_set_quiet(int on) { atomic_store(&quiet, on != 0); }

void progress_start(struct progress *p, const char *label, uint64_t total) {
    double now = clock_seconds();
    *p = (struct progress){.label = label, .total = total, .start_s = now, .last_s = now};
    if (!atomic_load(&quiet) && on_terminal()) draw(p, now, NULL);
}

void progress_at(struct progress *p, uint64_t done, const char *note) {
    p->done = done;
    if (atomic_load(&quiet)) return;
    double now = clock_seconds();
    if (now - p->last_s < REDRAW_S) return;
    if (now - p->last_s < LINE_S && !on_terminal()) return;
    draw(p, now, note);
}

void progress_end(struct progress *p, const char *note) {
    if (atomic_load(&quiet)) return;
    char line[LINE_CAP], spent[32];
    str_duration(spent, clock_seconds() - p->start_s);
    line[0] = '\0';
    put(line, "%s", p->label);
    if (p->done) {
        char count[32];
        str_count(count, p->done);
        put(line, "  %s", count);
    }
    put(line, "  %s", spent);
    if (note && *note) put(line, "  %s", note);
    fprintf(stderr, "%s%s\n", atomic_exchange(&bar_shown, 0) ? "\r\033[K" : "", line);
}

void progress_note(const char *fmt, ...) {
    if (atomic_load(&quiet)) return;
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    /* the bar comes back, below, at the next progress_at() */
    fprintf(stderr, "%s%s\n", atomic_exchange(&bar_shown, 0) ? "\r\033[K" : "", text);
}

static void on_signal(int sig) {
    if (atomic_exchange(&interrupted, 1)) {
        signal(sig, SIG_DFL);
        raise(sig); /* delivered when this handler returns */
    }
}

void interrupt_install(void) {
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

int interrupt_seen(void) { return atomic_load(&interrupted); }
