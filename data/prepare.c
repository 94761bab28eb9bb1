#include "data/prepare.h"
#include "base/str.h"
#include "data/derive.h"
#include "data/prepare/encode.h"
#include "data/prepare/entity.h"
#include "data/prepare/log.h"
#include "data/prepare/order.h"
#include "data/prepare/staging.h"
#include "data/prepare/summary.h"
#include "data/prepare/sweep.h"
#include "data/synth.h"
#include <stdlib.h>
#include <string.h>

/* A change of what the same schema and log give must change this, so that old datasets are made again. */
#define PREPARE_VERSION "prerank dataset, version 1"

/* --- hash --- */

static int add_json(struct str *text, json_t *j, struct err *e) {
    char *dump = json_dumps(j, JSON_COMPACT); /* key order kept: the order of fields is that of the schema */
    json_decref(j);
    if (!dump) return err_nomem(e, 0);
    str_addf(text, "%s\n", dump);
    free(dump);
    return 0;
}

static int add_synthetic(struct str *text, const struct schema *s, struct err *e) {
    struct synth_options o;
    opt_defaults(synth_opts, &o);
    TRY(opt_read(synth_opts, &o, s->synthetic, "synthetic", e));
    return add_json(text, opt_json(synth_opts, &o), e);
}

static int add_file(struct str *text, const struct file_spec *f, struct err *e) {
    struct hash h;
    TRY(hash_file(f->path, &h, e));
    str_addf(text, "%s\n", h.hex);
    return 0;
}

static int add_all(struct str *text, const struct schema *s, struct err *e) {
    str_addf(text, "%s\n%s\n", PREPARE_VERSION, s->name);
    TRY(add_json(text, conf_json(s->root), e));
    TRY(s->synthetic ? add_synthetic(text, s, e) : add_file(text, &s->log, e));
    for (int i = 0; i < s->n_joins; i++) TRY(add_file(text, &s->join[i].file, e));
    return text->failed ? err_nomem(e, text->len) : 0;
}

static int hash_input(const struct schema *s, struct hash *out, struct err *e) {
    struct str text = STR_INIT;
    int rc = add_all(&text, s, e);
    if (!rc) *out = hash_bytes(text.p, text.len);
    str_release(&text);
    return rc;
}

/* What dataset_open() does not look at. */
static int check_rest(const struct schema *s, const struct dataset *ds, struct err *e) {
    struct derive *d = NULL;
    struct npy keep;
    TRY(derive_open(ds, &d, e));
    derive_free(d);
    for (int i = 0; i < s->n_keep; i++) {
        TRY(dataset_keep(ds, s->keep[i], &keep, e));
        npy_close(&keep);
    }
    for (int i = 0; i < s->n_columns; i++) {
        char path[1200], name[128];
        if (s->column[i].kind != COLUMN_CATEGORY && s->column[i].kind != COLUMN_MULTI) continue;
        snprintf(name, sizeof name, "vocab/%s.txt", s->column[i].name);
        TRY(file_join(path, sizeof path, ds->dir, name, e));
        if (!file_exists(path)) return err_set(e, ERR_INPUT, "%s: is missing", path);
    }
    return 0;
}

/* Is there a whole dataset of this hash? */
static bool is_there(const struct schema *s, const char *dir, const struct hash *h) {
    struct dataset ds;
    struct err e = ERR_INIT;
    char json[1060];
    if (file_join(json, sizeof json, dir, "dataset.json", &e) || !file_exists(json)) return false;
    int rc = dataset_open(dir, &ds, &e);
    bool same = !rc && !strcmp(ds.hash, h->hex);
    if (same) rc = check_rest(s, &ds, &e);
    if (rc) progress_note("%s: is damaged (%s); it is made again", dir, e.msg);
    dataset_close(&ds);
    return same && !rc;
}

/* --- the phases --- */

struct making {
    const struct schema *s;
    struct staging staging;
    struct dataset ds; /* what dataset.json will say */
    float *missing;
    json_t *more; /* further keys of it */
};

static int describe(struct making *m, const struct hash *h, struct err *e) {
    size_t fields = (size_t)m->s->n_columns + (size_t)m->s->n_derived + 1;
    m->ds.name = m->s->name;
    m->ds.hash = arena_strdup(&m->ds.arena, h->hex);
    m->ds.field = arena_alloc(&m->ds.arena, fields * sizeof *m->ds.field);
    m->missing = arena_alloc(&m->ds.arena, fields * sizeof *m->missing);
    m->more = json_pack("{s:{}, s:{}}", "edges", "means");
    return m->ds.hash && m->ds.field && m->missing && m->more ? 0
                                                              : err_nomem(e, fields * sizeof *m->ds.field);
}

static int encode(struct making *m, struct log *l, struct err *e) {
    struct order o;
    TRY(order_make(l, m->staging.work, &o, e));
    m->ds.n_rows = o.n;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        m->ds.split[s].begin = o.split[s].begin;
        m->ds.split[s].end = o.split[s].end;
    }
    struct encode x = {.l = l,
                       .o = &o,
                       .dir = m->staging.tmp,
                       .work = m->staging.work,
                       .ds = &m->ds,
                       .missing = m->missing,
                       .edges = json_object_get(m->more, "edges"),
                       .means = json_object_get(m->more, "means")};
    int rc = encode_rows(&x, e);
    if (!rc) rc = encode_columns(&x, e);
    m->ds.n_fields = m->s->n_columns;
    order_release(&o);
    return rc;
}

static int read_and_encode(struct making *m, struct err *e) {
    struct log l;
    TRY(log_read(m->s, m->staging.work, &l, e));
    int rc = encode(m, &l, e);
    log_release(&l);
    return rc;
}

static int make_entities(struct making *m, side_t side, struct err *e) {
    struct entity t;
    TRY(entity_find(&t, m->staging.tmp, side, &m->ds, e));
    int rc = 0;
    for (int i = 0; !rc && i < m->ds.n_fields; i++)
        if (m->ds.field[i].side == side)
            rc = entity_column(&t, m->staging.tmp, &m->ds.field[i], m->missing[i], e);
    entity_release(&t);
    return rc;
}

static int derive(struct making *m, struct err *e) {
    json_t *json;
    TRY(sweep_run(m->s, m->staging.tmp, m->staging.work, &m->ds, &json, e));
    m->ds.n_fields = m->s->n_columns + m->s->n_derived;
    if (json && json_object_set_new(m->more, "derive", json)) return err_nomem(e, 0);
    return 0;
}

static int write_json(struct making *m, struct err *e) {
    return dataset_write_json(m->staging.tmp, &m->ds, m->s->time != NULL, m->s->keep, m->s->n_keep, m->more,
                              e);
}

/* Reads what was written as any user would, and counts it. */
static int finish(struct making *m, struct err *e) {
    struct dataset ds;
    json_t *summary = NULL;
    TRY(write_json(m, e));
    TRY(dataset_open(m->staging.tmp, &ds, e));
    int rc = summary_count(&ds, &summary, e);
    dataset_close(&ds);
    TRY(rc);
    if (json_object_set_new(m->more, "summary", summary)) return err_nomem(e, 0);
    return write_json(m, e);
}

static int make(struct making *m, const struct hash *h, struct err *e) {
    TRY(describe(m, h, e));
    TRY(read_and_encode(m, e));
    TRY(make_entities(m, SIDE_USER, e));
    TRY(make_entities(m, SIDE_ITEM, e));
    TRY(derive(m, e));
    TRY(finish(m, e));
    return interrupt_seen() ? err_set(e, ERR_INTERRUPTED, "interrupted") : staging_commit(&m->staging, e);
}

int prepare_dataset(const struct schema *s, const char *dir, struct err *e) {
    struct hash h;
    TRY(hash_input(s, &h, e));
    if (is_there(s, dir, &h)) {
        progress_note("%s: kept as it is: schema and log have not changed", dir);
        return 0;
    }
    struct making m = {.s = s, .ds = {.arena = ARENA_INIT}};
    TRY(staging_begin(&m.staging, dir, e));
    int rc = make(&m, &h, e);
    if (rc) staging_abort(&m.staging);
    json_decref(m.more);
    arena_release(&m.ds.arena);
    return rc;
}
