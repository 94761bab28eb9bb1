#include "bench/run/by_row.h"
#include "base/mem.h"

struct by_row {
    struct serving_data of;
};

static int user(void *self, const char *name, uint32_t user, struct batch_column *out, struct err *e) {
    const struct serving_data *d = &((struct by_row *)self)->of;
    return d->user(d->self, name, user, out, e);
}
static int user_at(void *self, const char *name, uint64_t moment, struct batch_column *out, struct err *e) {
    const struct serving_data *d = &((struct by_row *)self)->of;
    return d->user_at(d->self, name, moment, out, e);
}
static int item(void *self, const char *name, uint32_t first, size_t n, struct batch_column *out,
                struct err *e) {
    const struct serving_data *d = &((struct by_row *)self)->of;
    return d->item(d->self, name, first, n, out, e);
}
static int pair(void *self, const char *name, uint32_t user, const uint32_t *items, size_t n, uint32_t *ids,
                struct err *e) {
    const struct serving_data *d = &((struct by_row *)self)->of;
    for (size_t i = 0; i < n; i++) TRY(d->pair(d->self, name, user, items + i, 1, ids + i, e));
    return 0;
}
static int pair_at(void *self, const char *name, uint64_t moment, const uint32_t *items, size_t n,
                   uint32_t *ids, struct err *e) {
    const struct serving_data *d = &((struct by_row *)self)->of;
    for (size_t i = 0; i < n; i++) TRY(d->pair_at(d->self, name, moment, items + i, 1, ids + i, e));
    return 0;
}

static void release(void *self) {
    struct by_row *d = self;
    if (d->of.release) d->of.release(d->of.self);
    mem_free(d);
}

static void *share(void *self, struct err *e) {
    const struct by_row *from = self;
    struct by_row *d = mem_alloc(sizeof *d);
    if (!d) return err_nomem(e, sizeof *d), NULL;
    *d = *from;
    if ((d->of.self = from->of.share(from->of.self, e))) return d;
    mem_free(d);
    return NULL;
}

int serving_data_by_row(struct serving_data *d, struct err *e) {
    struct by_row *self = mem_alloc(sizeof *self);
    if (!self) return err_nomem(e, sizeof *self);
    self->of = *d;
    *d = (struct serving_data){.self = self,
                               .n_items = d->n_items,
                               .user = user,
                               .item = item,
                               .pair = pair,
                               .user_at = d->user_at ? user_at : NULL,
                               .pair_at = d->pair_at ? pair_at : NULL,
                               .release = release,
                               .share = d->share ? share : NULL};
    return 0;
}
