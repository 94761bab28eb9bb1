/* err.h: how every function of prerank reports a failure.
 *
 * A function that can fail returns an int: 0 for success, otherwise one of the codes below, which are also the
 * program's exit codes. The last argument is a caller-owned `struct err` that receives a message for a person: what
 * failed, the offending value in quotes, and what would work; with file:line:column in front where there is a file.
 * Only main() exits.
 *
 *     struct err e = ERR_INIT;
 *     if (schema_load("mine.yaml", &schema, &e)) { fprintf(stderr, "prerank: %s\n", e.msg); return e.code; }
 */
#ifndef PRERANK_BASE_ERR_H
#define PRERANK_BASE_ERR_H

enum {
    ERR_OK = 0,
    ERR_REGRESSION = 1,  /* a regression was found */
    ERR_INPUT = 2,       /* usage, config, data or system (disk full, no memory) error */
    ERR_MEASURE = 3,     /* inconclusive or invalid measurement */
    ERR_INTERRUPTED = 4, /* stopped by the user; what was finished is kept */
    ERR_DIVERGED = 5     /* internal: a training run met NaN/Inf; the sweep records it and goes on */
};

struct err {
    int code;
    char msg[1024];
};
#define ERR_INIT                                                                                             \
    { 0, "" }

/* Sets code and message (cut at the buffer's end) and returns code. `e` may be NULL: then only the code is returned. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "prefix: " in front of the message that is there; returns e->code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "out of memory (N bytes)": ERR_INPUT. */
int err_nomem(struct err *e, unsigned long long bytes);
/* "PATH: cannot WHAT: strerror(errno)": ERR_INPUT; ENOSPC says that the disk is full. */
int err_errno(struct err *e, const char *path, const char *what);

#ifdef __clang_analyzer__ /* which sees one file at a time, and would think that these may return 0 */
#define err_set(e, code, ...)    ((void)err_set((e), (code), __VA_ARGS__), (code))
#define err_nomem(e, bytes)      ((void)err_nomem((e), (bytes)), ERR_INPUT)
#define err_errno(e, path, what) ((void)err_errno((e), (path), (what)), ERR_INPUT)
#endif

/* Return at once if `expr` fails. */
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        int try_rc_ = (expr);                                                                                \
        if (try_rc_) return try_rc_;                                                                         \
    } while (0)

#endif
