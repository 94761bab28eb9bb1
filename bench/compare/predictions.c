#include "bench/compare/predictions.h"
#include "base/file.h"
#include <string.h>

static void name_of(const struct predictions *p, const struct side *s, char out[512]) {
    snprintf(out, 512, "predictions/%s.%s.%s.csv", p->variant,
             subsets_trained_as(&s->subsets, p->variant, p->features), p->seed);
}

static int map_file(const struct predictions *p, const struct side *s, struct file_map *out, struct err *e) {
    char name[512], path[1024];
    name_of(p, s, name);
    TRY(file_join(path, sizeof path, s->dir, name, e));
    return file_map_read(path, out, e);
}

int predictions_same(const struct predictions *p, bool *same, struct err *e) {
    struct file_map a, b;
    TRY(map_file(p, p->base, &a, e));
    int rc = map_file(p, p->new, &b, e);
    if (!rc) {
        *same = a.bytes == b.bytes && (!a.bytes || !memcmp(a.p, b.p, a.bytes));
        file_unmap(&b);
    }
    file_unmap(&a);
    return rc;
}

struct scores {
    size_t n;
    float *score;
    uint8_t *label;
    uint32_t *user;
};

static int read_scores(const struct predictions *p, const struct side *s, struct table *t, struct scores *out,
                       struct err *e) {
    char name[512];
    double *score, *label, *user;
    name_of(p, s, name);
    TRY(table_load(s->dir, name, t, e));
    TRY(table_numbers(t, "score", &score, e));
    TRY(table_numbers(t, "label", &label, e));
    TRY(table_numbers(t, "user", &user, e));
    *out = (struct scores){.n = t->rows,
                           .score = arena_alloc(&t->arena, (t->rows + 1) * sizeof *out->score),
                           .label = arena_alloc(&t->arena, t->rows + 1),
                           .user = arena_alloc(&t->arena, (t->rows + 1) * sizeof *out->user)};
    if (!out->score || !out->label || !out->user) return err_nomem(e, t->rows);
    for (size_t i = 0; i < t->rows; i++) {
        out->score[i] = (float)score[i];
        out->label[i] = label[i] > 0;
        out->user[i] = (uint32_t)user[i];
    }
    return 0;
}

static int same_rows(const struct table *a, const struct table *b, struct err *e) {
    static const char *const name[] = {"row", "user", "label"};
    static const char why[] =
        "the two programs split, filter or label the same data in different ways, and cannot be "
        "compared";
    if (a->rows != b->rows)
        return err_set(e, ERR_INPUT, "%s has %zu rows, %s has %zu: %s", a->path, a->rows, b->path, b->rows,
                       why);
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        int x, y;
        TRY(table_need(a, name[k], &x, e));
        TRY(table_need(b, name[k], &y, e));
        for (size_t i = 0; i < a->rows; i++)
            if (strcmp(table_text(a, i, x), table_text(b, i, y)) != 0)
                return err_set(e, ERR_INPUT, "%s: %s is %s; at %s it is %s: %s", b->where[i], name[k],
                               table_text(b, i, y), a->where[i], table_text(a, i, x), why);
    }
    return 0;
}

static int gauc_of(const struct scores *p, const struct table *t, enum gauc_weight by, struct gauc *out,
                   struct err *e) {
    int bad = gauc_compute(p->score, p->label, p->user, p->n, by, out);
    if (bad == -1) return err_nomem(e, p->n);
    return bad ? err_set(e, ERR_INPUT, "%s: holds a score that is no number", t->path) : 0;
}

int predictions_gauc(const struct predictions *p, struct gauc out[2], struct err *e) {
    const struct side *side[] = {p->base, p->new};
    struct table t[] = {{.arena = ARENA_INIT}, {.arena = ARENA_INIT}};
    struct scores scores[2];
    enum gauc_weight by =
        gauc_weight_named(side_text(p->base, "config.gauc_weight")); /* the new one's, too */
    int rc = 0;
    out[0] = out[1] = (struct gauc){.user = NULL};
    for (int k = 0; k < 2 && !rc; k++) rc = read_scores(p, side[k], &t[k], &scores[k], e);
    if (!rc) rc = same_rows(&t[0], &t[1], e);
    for (int k = 0; k < 2 && !rc; k++) rc = gauc_of(&scores[k], &t[k], by, &out[k], e);
    for (int k = 0; k < 2; k++) {
        table_release(&t[k]);
        if (rc) gauc_release(&out[k]);
    }
    return rc;
}
