/* progress.h: a progress bar with ETA on stderr when it is a terminal, otherwise a line every some seconds; and Ctrl-C.
 *
 *     struct progress p;
 *     progress_start(&p, "training dssm/all/1", rows);
 *     progress_at(&p, done, "GAUC .7012");
 *     progress_end(&p, NULL);
 *
 * progress_set_quiet(1) silences all of it (--quiet). Messages printed with progress_note() do not tear the bar.
 */
#ifndef PRERANK_BASE_PROGRESS_H
#define PRERANK_BASE_PROGRESS_H
#include <stdint.h>

struct progress {
    const char *label;
    uint64_t total, done;
    double start_s, last_s;
};
void progress_set_quiet(int quiet);
void progress_start(struct progress *p, const char *label,
                    uint64_t total); /* label is not copied; total 0 = unknown */
void progress_at(struct progress *p, uint64_t done,
                 const char *note); /* cheap: redraws at most 10 times a second */
void progress_end(struct progress *p, const char *note);
void progress_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void interrupt_install(void); /* SIGINT and SIGTERM set a flag; a second one ends the process */
int interrupt_seen(void);

/* Monotonic clock. */
double clock_seconds(void);
int64_t clock_ns(void);

#endif
