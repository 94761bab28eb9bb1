#include "bench/run/features.h"
#include <fnmatch.h>
#include <string.h>

int features_of_dataset(const struct dataset *ds, struct arena *a, struct features *out, struct err *e) {
    size_t bytes = ((size_t)ds->n_fields + 1) * sizeof(struct feature);
    struct feature *f = arena_alloc(a, bytes);
    if (!f) return err_nomem(e, bytes);
    for (int i = 0; i < ds->n_fields; i++) {
        const struct field *d = &ds->field[i];
        f[i] = (struct feature){.name = d->name,
                                .side = d->side,
                                .type = d->type,
                                .vocab = d->vocab,
                                .shares = d->shares >= 0 ? ds->field[d->shares].name : NULL,
                                .mean_length = d->mean_length};
    }
    *out = (struct features){ds->n_fields, f};
    return 0;
}

int features_of_schema(const struct schema *s, struct arena *a, struct features *out, struct err *e) {
    static const enum value_type column_type[] = {[COLUMN_CATEGORY] = VALUE_ID,
                                                  [COLUMN_BUCKET] = VALUE_ID,
                                                  [COLUMN_MULTI] = VALUE_BAG,
                                                  [COLUMN_NUMBER] = VALUE_NUMBER};
    size_t bytes = ((size_t)s->n_columns + (size_t)s->n_derived + 1) * sizeof(struct feature);
    struct feature *f = arena_alloc(a, bytes);
    if (!f) return err_nomem(e, bytes);
    int n = 0;
    for (int i = 0; i < s->n_columns; i++, n++) {
        const struct schema_column *c = &s->column[i];
        f[n] = (struct feature){
            .name = c->name, .side = c->side, .type = column_type[c->kind], .mean_length = 1};
        if (c->kind != COLUMN_NUMBER) f[n].vocab = 2;
    }
    for (int i = 0; i < s->n_derived; i++, n++) {
        const struct schema_derived *d = &s->derived[i];
        f[n] = (struct feature){
            .name = d->name, .side = d->side, .type = VALUE_ID, .vocab = 2, .mean_length = 1};
        if (d->kind != DERIVE_RECENT) continue;
        f[n].type = VALUE_BAG;
        f[n].shares = d->of[0];
    }
    *out = (struct features){n, f};
    return 0;
}

static int matches(const char *pattern, const struct feature *f) {
    static const side_t sides[] = {SIDE_USER, SIDE_ITEM, SIDE_PAIR};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        if (!strcmp(pattern, side_name(sides[i]))) return f->side == sides[i];
    return !fnmatch(pattern, f->name, 0);
}

static void no_match(const struct subset *s, const struct subset_term *t, const char *pattern,
                     const struct features *all, struct problems *p) {
    if (!*pattern) {
        problems_add(p, t->at, "feature subset `%s`: \"%s\" names no field", s->name, t->text);
        return;
    }
    const char *known[SCHEMA_MAX_FIELDS + 3] = {"user", "item", "pair"};
    size_t n = 3;
    for (int i = 0; i < all->n && n < sizeof known / sizeof *known; i++) known[n++] = all->feature[i].name;
    char what[160];
    snprintf(what, sizeof what, "feature subset `%s`: no field of the data matches", s->name);
    problems_unknown(p, t->at, what, pattern, known, n);
}

int subset_resolve(const struct subset *s, const struct features *all, bool *keep, struct problems *p) {
    int before = p->n, kept = 0;
    bool from_all = s->n && s->term[0].text[0] == '-';
    for (int i = 0; i < all->n; i++) keep[i] = from_all;
    for (int t = 0; t < s->n; t++) {
        const char *pattern = s->term[t].text;
        bool value = *pattern != '-';
        if (!value) pattern++;
        int found = 0;
        for (int i = 0; i < all->n; i++) {
            if (!matches(pattern, &all->feature[i])) continue;
            keep[i] = value;
            found++;
        }
        /* a whole side may be empty: [user, item, pair] is fine for data without pair fields */
        bool side = !strcmp(pattern, "user") || !strcmp(pattern, "item") || !strcmp(pattern, "pair");
        if (!found && !side) no_match(s, &s->term[t], pattern, all, p);
    }
    for (int i = 0; i < all->n; i++) kept += keep[i];
    if (!kept && s->n && p->n == before)
        problems_add(p, s->at, "feature subset `%s` keeps no field", s->name);
    return p->n - before;
}

int features_select(const struct features *all, const bool *keep, bool pair, struct arena *a,
                    struct features *out, int *left_out, struct err *e) {
    size_t bytes = ((size_t)all->n + 1) * sizeof(struct feature);
    struct feature *f = arena_alloc(a, bytes);
    if (!f) return err_nomem(e, bytes);
    int n = 0, out_n = 0;
    for (int i = 0; i < all->n; i++) {
        if (!keep[i]) continue;
        if (all->feature[i].side == SIDE_PAIR && !pair)
            out_n++;
        else
            f[n++] = all->feature[i];
    }
    if (left_out) *left_out = out_n;
    *out = (struct features){n, f};
    return 0;
}
