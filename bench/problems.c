#include "bench/problems.h"
#include <stdarg.h>
#include <string.h>

void problems_take(struct problems *p, struct err *e) {
    p->n++;
    str_addf(&p->text, "%s\n", e->msg);
    *e = (struct err)ERR_INIT;
}

void problems_add(struct problems *p, const struct conf *at, const char *fmt, ...) {
    struct err e = ERR_INIT;
    char text[sizeof e.msg];
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0) text[0] = '\0';
    va_end(ap);
    conf_err(at, &e, "%s", text);
    problems_take(p, &e);
}

void problems_unknown(struct problems *p, const struct conf *at, const char *what, const char *word,
                      const char *const *known, size_t n) {
    struct str s = STR_INIT;
    str_add(&s, "");
    str_add_suggestion(&s, word, known, n);
    problems_add(p, at, "%s `%s`%s", what, word, s.failed ? "" : s.p);
    str_release(&s);
}

void problems_print(const struct problems *p, FILE *out) {
    if (p->text.failed || !p->text.p) {
        if (p->n) fputs("prerank: out of memory for the list of errors\n", out);
        return;
    }
    for (const char *line = p->text.p, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        fprintf(out, "prerank: %.*s\n", (int)(end - line), line);
    }
}

void problems_release(struct problems *p) {
    str_release(&p->text);
    p->n = 0;
}
