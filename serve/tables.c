#include "serve/tables.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include <string.h>

const char *const tables_names[] = {"all", "auto", "none", NULL};

struct known {
    struct hash key;
    double table_ns, product_ns;
    struct known *next;
};
struct table_times {
    table_timer *timer;
    void *ctx;
    struct arena arena;
    struct known *first;
};

int table_times_create(table_timer *timer, void *ctx, struct table_times **out, struct err *e) {
    struct table_times *t = *out = mem_calloc(1, sizeof *t);
    if (!t) return err_nomem(e, sizeof *t);
    t->timer = timer ? timer : table_time;
    t->ctx = ctx;
    return 0;
}

void table_times_free(struct table_times *t) {
    if (!t) return;
    arena_release(&t->arena);
    mem_free(t);
}

static int key_of(const struct table_shape *s, struct hash *out, struct err *e) {
    struct str text = STR_INIT;
    str_addf(&text, "%zu %zu %zu %d %d %d", s->rows, s->dim, s->units, s->act, s->precision, s->isa);
    if (s->chain) str_addf(&text, " act %d", s->chain->act);
    for (int k = 0; s->chain && k < s->chain->n_layers; k++)
        str_addf(&text, " %zu %d", s->chain->layer[k].n, s->chain->layer[k].act);
    if (s->n_ids) str_addf(&text, " %s", hash_bytes(s->ids, s->n_ids * sizeof *s->ids).hex);
    int rc = text.failed ? err_nomem(e, text.len) : 0;
    if (!rc) *out = hash_bytes(text.p, text.len);
    str_release(&text);
    return rc;
}

int table_times_get(struct table_times *t, const struct table_shape *s, double *table_ns, double *product_ns,
                    struct err *e) {
    struct hash key;
    if (!t) return table_time(NULL, s, table_ns, product_ns, e);
    TRY(key_of(s, &key, e));
    struct known *k = t->first;
    while (k && strcmp(k->key.hex, key.hex) != 0) k = k->next;
    if (!k) {
        if (!(k = arena_alloc(&t->arena, sizeof *k))) return err_nomem(e, sizeof *k);
        k->key = key;
        TRY(t->timer(t->ctx, s, &k->table_ns, &k->product_ns, e));
        k->next = t->first;
        t->first = k;
    }
    *table_ns = k->table_ns;
    *product_ns = k->product_ns;
    return 0;
}
