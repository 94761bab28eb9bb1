#include "serve/user_cache.h"
#include "base/mem.h"

enum { NONE = UINT32_MAX };

struct entry {
    uint64_t moment;
    uint32_t user;
    uint32_t newer, older; /* in the order of use */
    uint32_t next;         /* in its bucket */
    bool used;
};

struct user_cache {
    size_t floats;
    uint32_t n, buckets;
    uint32_t newest, oldest;
    struct entry *entry;
    uint32_t *bucket;
    float *value;
};

int user_cache_create(size_t users, size_t floats, struct user_cache **out, struct err *e) {
    *out = NULL;
    struct user_cache *c = mem_calloc(1, sizeof *c);
    if (!c) return err_nomem(e, sizeof *c);
    c->n = (uint32_t)users;
    c->buckets = 2 * c->n + 1;
    c->floats = (floats + 15) / 16 * 16;
    c->entry = mem_calloc(users, sizeof *c->entry);
    c->bucket = mem_alloc(c->buckets * sizeof *c->bucket);
    c->value = mem_calloc(users, c->floats * sizeof *c->value);
    if (!c->entry || !c->bucket || !c->value) {
        user_cache_free(c);
        return err_nomem(e, users * c->floats * sizeof(float));
    }
    for (uint32_t b = 0; b < c->buckets; b++) c->bucket[b] = NONE;
    for (uint32_t i = 0; i < c->n; i++) {
        c->entry[i].newer = i ? i - 1 : NONE;
        c->entry[i].older = i + 1 < c->n ? i + 1 : NONE;
    }
    c->oldest = c->n - 1;
    *out = c;
    return 0;
}

void user_cache_free(struct user_cache *c) {
    if (!c) return;
    mem_free(c->entry);
    mem_free(c->bucket);
    mem_free(c->value);
    mem_free(c);
}

static uint32_t *bucket_of(struct user_cache *c, uint32_t user, uint64_t moment) {
    uint64_t h = (user + moment * 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U; /* splitmix64's multipliers */
    return &c->bucket[(h >> 32) % c->buckets];
}

static void take_out(struct user_cache *c, uint32_t i) {
    struct entry *x = &c->entry[i];
    if (x->newer != NONE)
        c->entry[x->newer].older = x->older;
    else
        c->newest = x->older;
    if (x->older != NONE)
        c->entry[x->older].newer = x->newer;
    else
        c->oldest = x->newer;
}

static void put_first(struct user_cache *c, uint32_t i) {
    struct entry *x = &c->entry[i];
    x->newer = NONE;
    x->older = c->newest;
    if (c->newest != NONE) c->entry[c->newest].newer = i;
    c->newest = i;
    if (c->oldest == NONE) c->oldest = i;
}

static void unlink_bucket(struct user_cache *c, uint32_t i) {
    uint32_t *at = bucket_of(c, c->entry[i].user, c->entry[i].moment);
    while (*at != i) at = &c->entry[*at].next;
    *at = c->entry[i].next;
    c->entry[i].used = false;
}

float *user_cache_at(struct user_cache *c, uint32_t user, uint64_t moment, bool *known) {
    uint32_t *bucket = bucket_of(c, user, moment), i = *bucket;
    while (i != NONE && (c->entry[i].user != user || c->entry[i].moment != moment)) i = c->entry[i].next;
    *known = i != NONE;
    if (!*known) {
        i = c->oldest;
        if (c->entry[i].used) unlink_bucket(c, i);
        c->entry[i].user = user;
        c->entry[i].moment = moment;
        c->entry[i].used = true;
        c->entry[i].next = *bucket;
        *bucket = i;
    }
    take_out(c, i);
    put_first(c, i);
    return c->value + i * c->floats;
}

void user_cache_forget(struct user_cache *c) { unlink_bucket(c, c->newest); }
