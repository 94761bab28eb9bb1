/* extract.h: the part of a text that a schema's `extract` names: the first group of a POSIX extended regular expression.
 *
 *     struct extract x;
 *     TRY(extract_open(&x, "\\(([0-9]{4})\\)$", at, e));
 *     struct cell year = extract_apply(&x, title);       empty where the text does not match
 *     extract_close(&x);
 */
#ifndef PRERANK_DATA_EXTRACT_H
#define PRERANK_DATA_EXTRACT_H
#include "base/conf.h"
#include "data/source.h"
#include <regex.h>

struct extract {
    bool active; /* a zeroed one gives the text as it is */
    regex_t regex;
};
/* pattern may be NULL: then the text stays as it is. */
int extract_open(struct extract *x, const char *pattern, const struct conf *at, struct err *e);
struct cell extract_apply(const struct extract *x, struct cell c); /* points into c: not NUL-terminated */
void extract_close(struct extract *x);

#endif
