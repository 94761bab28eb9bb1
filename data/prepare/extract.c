#include "data/prepare/extract.h"
#include <string.h>

int extract_open(struct extract *x, const char *pattern, const struct conf *at, struct err *e) {
    *x = (struct extract){.active = false};
    if (!pattern) return 0;
    int bad = regcomp(&x->regex, pattern, REG_EXTENDED);
    if (bad == REG_ESPACE) return err_nomem(e, strlen(pattern));
    if (bad) {
        char why[128];
        regerror(bad, &x->regex, why, sizeof why);
        return conf_err(at, e, "`extract`: \"%s\" is no POSIX extended regex: %s", pattern, why);
    }
    x->active = true;
    if (x->regex.re_nsub) return 0;
    extract_close(x);
    return conf_err(at, e, "`extract`: \"%s\" has no group; put ( ) around what is wanted", pattern);
}

struct cell extract_apply(const struct extract *x, struct cell c) {
    if (!x->active) return c;
    regmatch_t m[2];
    if (regexec(&x->regex, c.p, 2, m, 0) || m[1].rm_so < 0) return (struct cell){c.p + c.n, 0};
    return (struct cell){c.p + m[1].rm_so, (size_t)(m[1].rm_eo - m[1].rm_so)};
}

void extract_close(struct extract *x) {
    if (x->active) regfree(&x->regex);
    x->active = false;
}
