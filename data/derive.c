#include "data/derive.h"
#include "data/derive_value.h"
#include "data/schema.h"
#include <string.h>

enum { SET_MAX = 4096, CACHE = 256 };

/* One pair-side derived feature, ready to be computed for any pair. */
struct served {
    const struct field *field;
    void (*pairs)(const struct served *s, struct ids user, const uint32_t *items, size_t n, uint32_t *ids);
    const struct column *user, *item; /* users/ and items/ of the columns that it is derived of */
    const struct column *user_rows;   /* rows/ of the user's */
    uint32_t n_items;
    uint64_t seed;
    uint32_t buckets, max;
    double prior, prior_mass;
    struct edges edges;
    struct tally tally;
};

struct derive {
    const struct dataset *ds;
    struct arena arena;
    struct served *served; /* [n_fields]; pairs is NULL for all others */
};

static struct ids ids_of(const struct column *c, uint64_t entity) {
    if (!c->offsets) return (struct ids){c->ids + entity, 1};
    if (!c->ids) return (struct ids){NULL, 0}; /* all bags are empty */
    uint64_t at = c->offsets[entity];
    return (struct ids){c->ids + at, c->offsets[entity + 1] - at};
}

/* --- the kinds --- */

static void cross_pairs(const struct served *s, struct ids user, const uint32_t *items, size_t n,
                        uint32_t *ids) {
    for (size_t i = 0; i < n; i++)
        ids[i] =
            items[i] < s->n_items ? derive_cross_id(s->seed, s->buckets, user, ids_of(s->item, items[i])) : 0;
}

static void overlap_pairs(const struct served *s, struct ids user, const uint32_t *items, size_t n,
                          uint32_t *ids) {
    uint32_t room[SET_MAX];
    bool fits = user.n <= SET_MAX;
    struct ids set = {room, fits ? derive_distinct(user, room) : 0};
    for (size_t i = 0; i < n; i++) {
        ids[i] = 0;
        if (!items[i] || items[i] >= s->n_items) continue;
        struct ids item = ids_of(s->item, items[i]);
        uint32_t both = fits ? derive_overlap_sorted(set, item) : derive_overlap(user, item);
        ids[i] = 1 + (both < s->max ? both : s->max);
    }
}

/* What the user's values have with one of the item's, remembered: items share values. */
struct remembered {
    uint32_t value;
    bool known;
    struct tally_count count;
};

static const struct remembered *remember(const struct served *s, struct ids user, uint32_t value,
                                         struct remembered *cache) {
    struct remembered *r = &cache[value % CACHE];
    if (r->value != value) {
        r->value = value;
        r->count = derive_pair_sum(&s->tally, user, (struct ids){&value, 1}, &r->known);
    }
    return r;
}

static void history_pairs(const struct served *s, struct ids user, const uint32_t *items, size_t n,
                          uint32_t *ids) {
    struct remembered cache[CACHE];
    memset(cache, 0, sizeof cache); /* value 0: nothing, and unknown */
    for (size_t i = 0; i < n; i++) {
        struct ids item = items[i] < s->n_items ? ids_of(s->item, items[i]) : (struct ids){NULL, 0};
        struct tally_count sum = {0, 0};
        bool known = false;
        for (size_t j = 0; j < item.n; j++) {
            const struct remembered *r = remember(s, user, item.p[j], cache);
            sum.n += r->count.n;
            sum.p += r->count.p;
            known |= r->known;
        }
        double rate = derive_rate(sum, s->prior, s->prior_mass);
        ids[i] = known ? derive_history_id(&s->edges, rate, derive_level(sum.n)) : 0;
    }
}

/* --- opening --- */

struct opening {
    const struct dataset *ds;
    struct derive *d;
    const json_t *json; /* dataset.json's "derive" */
    struct err *e;
};

static int damaged(const struct opening *o, const char *what) {
    return err_set(o->e, ERR_INPUT,
                   "%s/dataset.json: the derived feature `%s` is not described as it should be; prepare the "
                   "dataset again",
                   o->ds->dir, what);
}

static int find_input(const struct opening *o, const struct field *f, const json_t *j, size_t i,
                      const struct field **out) {
    const char *name = json_string_value(json_array_get(json_object_get(j, "of"), i));
    const struct field *of = name ? dataset_field(o->ds, name) : NULL;
    if (!of || of->side != (i ? SIDE_ITEM : SIDE_USER) || of->type == VALUE_NUMBER)
        return damaged(o, f->name);
    *out = of;
    return 0;
}

static int read_edges(const struct opening *o, const struct field *f, const json_t *j, struct edges *out) {
    const json_t *list = json_object_get(j, "edges");
    size_t n = json_array_size(list);
    double *v = arena_alloc(&o->d->arena, (n + 1) * sizeof *v);
    if (!v) return err_nomem(o->e, n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        v[i] = json_number_value(json_array_get(list, i));
        if (i && v[i] <= v[i - 1]) return damaged(o, f->name);
    }
    *out = (struct edges){(uint32_t)n, v};
    return 0;
}

static uint64_t get_count(const json_t *j, const char *key) {
    json_int_t v = json_integer_value(json_object_get(j, key));
    return v > 0 ? (uint64_t)v : 0;
}

static int open_one(const struct opening *o, int index) {
    const struct field *f = &o->ds->field[index];
    struct served *s = &o->d->served[index];
    const json_t *j = json_object_get(json_object_get(o->json, "features"), f->name);
    *s = (struct served){.field = f, .n_items = o->ds->n_items};
    if (f->side != SIDE_PAIR || !j) return 0;
    const struct field *user = NULL, *item = NULL;
    TRY(find_input(o, f, j, 0, &user));
    TRY(find_input(o, f, j, 1, &item));
    s->user = &user->entity;
    s->user_rows = &user->rows;
    s->item = &item->entity;
    TRY(read_edges(o, f, j, &s->edges));
    s->seed = derive_cross_seed(f->name);
    s->buckets = (uint32_t)get_count(j, "buckets");
    s->max = (uint32_t)get_count(j, "max");
    s->prior = json_number_value(json_object_get(j, "prior"));
    s->prior_mass =
        derive_prior_mass(s->prior, get_count(o->json, "exposures"), get_count(o->json, "positives"));
    if (!strcmp(f->kind, "cross") && f->vocab == (uint64_t)s->buckets + 1) {
        s->pairs = cross_pairs;
    } else if (!strcmp(f->kind, "overlap") && f->vocab == (uint64_t)s->max + 2) {
        s->pairs = overlap_pairs;
    } else if (!strcmp(f->kind, "history") && f->vocab == derive_history_vocab(&s->edges)) {
        TRY(tally_open(o->ds->dir, f->name, &s->tally, o->e));
        s->pairs = history_pairs;
    }
    return s->pairs ? 0 : damaged(o, f->name);
}

int derive_open(const struct dataset *ds, struct derive **out, struct err *e) {
    *out = NULL;
    struct derive *d = mem_calloc(1, sizeof *d);
    if (!d) return err_nomem(e, sizeof *d);
    d->ds = ds;
    size_t bytes = ((size_t)ds->n_fields + 1) * sizeof *d->served;
    d->served = arena_alloc(&d->arena, bytes);
    int rc = d->served ? 0 : err_nomem(e, bytes);
    struct opening o = {ds, d, json_object_get(ds->json, "derive"), e};
    for (int i = 0; !rc && i < ds->n_fields; i++) rc = open_one(&o, i);
    if (rc)
        derive_free(d);
    else
        *out = d;
    return rc;
}

void derive_free(struct derive *d) {
    if (!d) return;
    for (int i = 0; d->served && i < d->ds->n_fields; i++) tally_release(&d->served[i].tally);
    arena_release(&d->arena);
    mem_free(d);
}

/* --- values --- */

void derive_pairs(const struct derive *d, int field, uint32_t user, const uint32_t *items, size_t n,
                  uint32_t *ids) {
    const struct served *s = &d->served[field];
    if (s->pairs && user && user < d->ds->n_users)
        s->pairs(s, ids_of(s->user, user), items, n, ids);
    else
        memset(ids, 0, n * sizeof *ids);
}

void derive_pairs_at(const struct derive *d, int field, uint64_t row, const uint32_t *items, size_t n,
                     uint32_t *ids) {
    const struct served *s = &d->served[field];
    if (s->pairs && row < d->ds->n_rows)
        s->pairs(s, ids_of(s->user_rows, row), items, n, ids);
    else
        memset(ids, 0, n * sizeof *ids);
}

int derive_pair(const struct derive *d, int field, uint32_t user, uint32_t item, uint32_t *id) {
    *id = 0;
    if (field < 0 || field >= d->ds->n_fields || !d->served[field].pairs) return ERR_INPUT;
    if (user >= d->ds->n_users || item >= d->ds->n_items) return ERR_INPUT;
    derive_pairs(d, field, user, &item, 1, id);
    return 0;
}
