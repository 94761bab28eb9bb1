#include "base/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef err_set
#undef err_nomem
#undef err_errno

int err_set(struct err *e, int code, const char *fmt, ...) {
    if (!e) return code;
    /* through a copy, so that e->msg may be one of the arguments */
    char text[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0) text[0] = '\0';
    va_end(ap);
    memcpy(e->msg, text, strlen(text) + 1);
    e->code = code;
    return code;
}

int err_prefix(struct err *e, const char *fmt, ...) {
    if (!e) return ERR_INPUT;
    char text[2 * sizeof e->msg + 2], prefix[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(prefix, sizeof prefix, fmt, ap) < 0) prefix[0] = '\0';
    va_end(ap);
    snprintf(text, sizeof text, "%s: %s", prefix, e->msg);
    text[sizeof e->msg - 1] = '\0';
    memcpy(e->msg, text, strlen(text) + 1);
    return e->code;
}

int err_nomem(struct err *e, unsigned long long bytes) {
    return err_set(e, ERR_INPUT, "out of memory (%llu bytes)", bytes);
}

int err_errno(struct err *e, const char *path, const char *what) {
    int saved = errno;
    if (saved == ENOSPC || saved == EDQUOT)
        return err_set(e, ERR_INPUT,
                       "%s: cannot %s: the disk is full; free some space or choose another folder", path,
                       what);
    char buf[128];
    return err_set(e, ERR_INPUT, "%s: cannot %s: %s", path, what, strerror_r(saved, buf, sizeof buf));
}
