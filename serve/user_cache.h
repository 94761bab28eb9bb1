/* user_cache.h: values of the user stage, kept for users that come again: the least recently used one makes room.
 *
 *     struct user_cache *c;
 *     TRY(user_cache_create(1000, 256, &c, e));              1000 users of 256 floats
 *     bool known;
 *     float *v = user_cache_at(c, user, moment, &known);     not known: the caller fills it in
 *     user_cache_free(c);
 *
 * A user at another moment has other features, so both are the key. Not for several threads at once. */
#ifndef PRERANK_SERVE_USER_CACHE_H
#define PRERANK_SERVE_USER_CACHE_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct user_cache;
int user_cache_create(size_t users, size_t floats, struct user_cache **out, struct err *e);
float *user_cache_at(struct user_cache *c, uint32_t user, uint64_t moment, bool *known)
    __attribute__((returns_nonnull));
void user_cache_forget(struct user_cache *c); /* the entry handed out last: it could not be filled in */
void user_cache_free(struct user_cache *c);   /* NULL is fine */

#endif
