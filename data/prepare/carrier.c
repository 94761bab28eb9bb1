#include "data/prepare/carrier.h"
#include "data/prepare/cell.h"
#include <math.h>
#include <stdio.h>

int carrier_open(struct carrier *c, const char *work, const char *name, struct err *e) {
    TRY(spool_open(&c->values, work, name, e));
    if (c->kind != CARRY_BAG) return 0;
    char offsets[64];
    snprintf(offsets, sizeof offsets, "%s.offsets", name);
    TRY(spool_open(&c->offsets, work, offsets, e));
    TRY(spool_u64(&c->offsets, 0, e));
    uint32_t id;
    for (int i = 0; i < c->bag->n_flags; i++) /* flags are numbered as written, not by appearance */
        TRY(vocab_add(&c->vocab, c->bag->flags[i], strlen(c->bag->flags[i]), &id, e));
    TRY(extract_open(&c->extract, c->bag->extract, c->bag->at, e));
    return 0;
}

static int add_number(struct carrier *c, const struct source *s, struct cell cell, struct err *e) {
    double v;
    if (cell_number(cell, &v) == CELL_BAD)
        return err_set(
            e, ERR_INPUT,
            "%s: column `%s`: \"%.60s\" is not a number; write numbers, or nothing, NA or NaN where one "
            "is missing",
            source_where(s), c->name, cell.p);
    return spool_f64(&c->values, v, e);
}

static int add_text(struct carrier *c, const struct source *s, struct cell cell, struct err *e) {
    uint32_t id = 0;
    if (cell.n) {
        TRY(vocab_add(&c->vocab, cell.p, cell.n, &id, e));
    } else if (c->required) {
        return err_set(e, ERR_INPUT, "%s: column `%s` is empty; every row needs a user and an item",
                       source_where(s), c->name);
    }
    return spool_u32(&c->values, id, e);
}

static int add_flags(struct carrier *c, const struct source *s, const struct cell *row, struct err *e) {
    for (int i = 0; i < c->bag->n_flags; i++) {
        struct cell cell = row[c->flag[i]];
        if (cell.n == 1 && *cell.p == '1') {
            TRY(spool_u32(&c->values, (uint32_t)i + 1, e));
            c->n_values++;
        } else if (!cell_missing(cell) && !(cell.n == 1 && *cell.p == '0')) {
            return err_set(e, ERR_INPUT, "%s: column `%s`: \"%.60s\" is no flag; flags are 0 or 1",
                           source_where(s), c->bag->flags[i], cell.p);
        }
    }
    return spool_u64(&c->offsets, c->n_values, e);
}

static int add_list(struct carrier *c, struct cell cell, struct err *e) {
    char part[1024];
    char *copy = NULL;
    if (c->extract.active) { /* pieces are found with strstr(), which needs an end */
        cell = extract_apply(&c->extract, cell);
        if (cell.n >= sizeof part) {
            copy = mem_alloc(cell.n + 1);
            if (!copy) return err_nomem(e, cell.n + 1);
        }
        char *to = copy ? copy : part;
        memcpy(to, cell.p, cell.n);
        to[cell.n] = '\0';
        cell.p = to;
    }
    int rc = 0;
    size_t at = 0;
    struct cell piece;
    while (!rc && cell_piece(cell, c->bag->sep, &at, &piece)) {
        uint32_t id;
        rc = vocab_add(&c->vocab, piece.p, piece.n, &id, e);
        if (!rc) rc = spool_u32(&c->values, id, e);
        c->n_values++;
    }
    mem_free(copy);
    return rc ? rc : spool_u64(&c->offsets, c->n_values, e);
}

int carrier_add(struct carrier *c, const struct source *s, const struct cell *row, struct err *e) {
    if (c->kind == CARRY_NUMBER) return add_number(c, s, row[c->cell], e);
    if (c->kind == CARRY_TEXT) return add_text(c, s, row[c->cell], e);
    return c->bag->n_flags ? add_flags(c, s, row, e) : add_list(c, row[c->cell], e);
}

int carrier_add_missing(struct carrier *c, struct err *e) {
    if (c->kind == CARRY_NUMBER) return spool_f64(&c->values, NAN, e);
    if (c->kind == CARRY_TEXT) return spool_u32(&c->values, 0, e);
    return spool_u64(&c->offsets, c->n_values, e);
}

int carrier_close(struct carrier *c, struct err *e) {
    extract_close(&c->extract);
    TRY(spool_map(&c->values, e));
    return c->kind == CARRY_BAG ? spool_map(&c->offsets, e) : 0;
}

void carrier_release(struct carrier *c) {
    extract_close(&c->extract);
    vocab_release(&c->vocab);
    spool_release(&c->values);
    spool_release(&c->offsets);
}
