#include "data/prepare/sweep.h"
#include "data/prepare/scratch.h"
#include "data/prepare/staging.h"
#include <string.h>

enum { TRAIN = 1 << SPLIT_TRAIN, VALID = 1 << SPLIT_VALID, TEST = 1 << SPLIT_TEST };

static const struct derived_ops *const kinds[] = {
    [DERIVE_CROSS] = &derived_cross,   [DERIVE_HISTORY] = &derived_history,
    [DERIVE_RECENT] = &derived_recent, [DERIVE_OVERLAP] = &derived_overlap,
    [DERIVE_COUNT] = &derived_count,   [DERIVE_RATE] = &derived_rate};

int input_open(struct input *in, const char *dir, const char *folder, const struct field *f, struct err *e) {
    if (f->type == VALUE_BAG) TRY(staging_reopen(dir, folder, f->name, ".offsets", NPY_U64, &in->offsets, e));
    return staging_reopen(dir, folder, f->name, "", NPY_U32, &in->values, e);
}

void input_close(struct input *in) {
    npy_close(&in->values);
    npy_close(&in->offsets);
}

static int open_derived(struct sweep *w, int i, struct err *e) {
    const struct schema *s = w->schema;
    const struct schema_derived *d = &s->derived[i];
    struct derived *x = &w->derived[i];
    *x =
        (struct derived){.d = d, .ops = kinds[d->kind], .sweep = w, .field = &w->ds->field[s->n_columns + i]};
    *x->field = (struct field){.name = d->name,
                               .side = d->side,
                               .type = x->ops->type,
                               .kind = x->ops->kind,
                               .shares = -1,
                               .mean_length = 1};
    w->n = i + 1; /* from here on close_derived() has to do with it */
    for (int k = 0; k < d->n_of; k++) {
        if (d->of_index[k] >= s->n_columns)
            x->recent = &w->derived[d->of_index[k] - s->n_columns];
        else
            TRY(input_open(&x->of[k], w->dir, "rows", &w->ds->field[d->of_index[k]], e));
    }
    if (x->ops->type == VALUE_ID)
        TRY(staging_array(w->dir, "rows", d->name, "", NPY_U32, w->ds->n_rows, &x->out, e));
    return x->ops->open ? x->ops->open(x, e) : 0;
}

static void close_derived(struct derived *x) {
    for (int k = 0; k < 2; k++) input_close(&x->of[k]);
    npy_close(&x->out);
    file_unmap(&x->value);
    tally_release(&x->tally);
    file_unmap(&x->ring);
    mem_free(x->observed);
    for (int s = 0; s < SPLIT_COUNT; s++) spool_release(&x->values[s]);
    mem_free(x->room);
}

static int open_rows(struct sweep *w, struct err *e) {
    TRY(staging_reopen(w->dir, "rows", "label", "", NPY_U8, &w->label, e));
    TRY(staging_reopen(w->dir, "rows", "user", "", NPY_U32, &w->user, e));
    TRY(staging_reopen(w->dir, "rows", "row", "", NPY_U64, &w->row, e));
    return w->schema->time ? staging_reopen(w->dir, "rows", "time", "", NPY_I64, &w->time, e) : 0;
}

/* --- the sweep --- */

static int compute(struct sweep *w, uint64_t begin, uint64_t end, struct err *e) {
    for (uint64_t k = begin; k < end; k++)
        for (int i = 0; i < w->n; i++) TRY(w->derived[i].ops->compute(&w->derived[i], k, e));
    return 0;
}

static int observe(struct sweep *w, uint64_t k, struct err *e) {
    bool positive = ((const uint8_t *)w->label.data)[k];
    w->exposures++;
    w->positives += positive;
    for (int i = 0; i < w->n; i++)
        if (w->derived[i].ops->observe) TRY(w->derived[i].ops->observe(&w->derived[i], k, positive, e));
    return 0;
}

struct stretch { /* of one split: the rows that are next, and those of them that have the present time */
    uint64_t at, group, end;
};

/* The rows of the present time enter the state, in log order. */
static int observe_group(struct sweep *w, struct stretch part[SPLIT_COUNT], struct err *e) {
    const uint64_t *row = w->row.data;
    for (;;) {
        int next = -1;
        for (int s = 0; s < SPLIT_COUNT; s++)
            if (part[s].at < part[s].group && (next < 0 || row[part[s].at] < row[part[next].at])) next = s;
        if (next < 0) return 0;
        TRY(observe(w, part[next].at++, e));
    }
}

static bool next_group(const struct sweep *w, struct stretch part[SPLIT_COUNT]) {
    const int64_t *time = w->time.data;
    int first = -1;
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (part[s].at < part[s].end && (first < 0 || time[part[s].at] < time[part[first].at])) first = s;
    if (first < 0) return false;
    int64_t now = time[part[first].at];
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (part[s].group = part[s].at; part[s].group < part[s].end && time[part[s].group] == now;)
            part[s].group++;
    return true;
}

static int sweep_splits(struct sweep *w, unsigned splits, bool values, struct err *e) {
    struct stretch part[SPLIT_COUNT];
    memset(part, 0, sizeof part);
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (splits >> s & 1)
            part[s] = (struct stretch){.at = w->ds->split[s].begin, .end = w->ds->split[s].end};
    uint64_t before = w->progress.done, rows = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) rows += part[s].end - part[s].at;
    for (uint64_t done = before, told = before; next_group(w, part);) {
        for (int i = 0; i < w->n; i++)
            w->derived[i].prior_mass = derive_prior_mass(w->derived[i].d->prior, w->exposures, w->positives);
        for (int s = 0; s < SPLIT_COUNT; s++) {
            if (values) TRY(compute(w, part[s].at, part[s].group, e));
            done += part[s].group - part[s].at;
        }
        TRY(observe_group(w, part, e));
        if (done - told < 1 << 14) continue;
        told = done;
        progress_at(&w->progress, done, NULL);
        if (interrupt_seen()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    }
    w->progress.done = before + rows;
    return 0;
}

/* Without a time the schema has only features that do not look back. */
static int sweep_unordered(struct sweep *w, struct err *e) {
    enum { BLOCK = 1 << 16 };
    for (uint64_t k = 0; k < w->ds->n_rows; k += BLOCK) {
        TRY(compute(w, k, k + BLOCK < w->ds->n_rows ? k + BLOCK : w->ds->n_rows, e));
        progress_at(&w->progress, k, NULL);
        if (interrupt_seen()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    }
    w->progress.done = w->ds->n_rows;
    return 0;
}

static void forget(struct sweep *w) {
    w->exposures = w->positives = 0;
    for (int i = 0; i < w->n; i++)
        if (w->derived[i].ops->forget) w->derived[i].ops->forget(&w->derived[i]);
}

/* --- edges, and the state as of the end of training and validation --- */

static int find_edges(struct sweep *w, struct err *e) {
    for (int i = 0; i < w->n; i++) {
        struct derived *x = &w->derived[i];
        if (x->value.p)
            TRY(quantile_edges(x->value.p, w->ds->split[SPLIT_TRAIN].end, (uint32_t)x->d->buckets,
                               &w->ds->arena, &x->edges, e));
    }
    return 0;
}

static int keep_state(struct sweep *w, struct err *e) {
    for (int i = 0; i < w->n; i++) {
        struct derived *x = &w->derived[i];
        x->prior_mass = derive_prior_mass(x->d->prior, w->exposures, w->positives);
        if (x->ops->save) TRY(x->ops->save(x, e));
        if (x->d->side == SIDE_USER) TRY(x->ops->entity(x, "users", w->ds->n_users, e));
        if (x->d->side == SIDE_ITEM) TRY(x->ops->entity(x, "items", w->ds->n_items, e));
    }
    return 0;
}

static json_t *json_of(const struct derived *x) {
    const struct schema_derived *d = x->d;
    json_t *of = json_array(), *edges = json_array();
    int bad = 0;
    for (int i = 0; i < d->n_of; i++) bad |= json_array_append_new(of, json_string(d->of[i]));
    for (uint32_t i = 0; i < x->edges.n; i++) bad |= json_array_append_new(edges, json_real(x->edges.v[i]));
    json_t *j =
        json_pack("{s:o, s:I, s:f, s:I, s:I, s:o}", "of", of, "buckets", (json_int_t)d->buckets, "prior",
                  d->prior, "n", (json_int_t)d->n, "max", (json_int_t)d->max, "edges", edges);
    if (!bad) return j;
    json_decref(j);
    return NULL;
}

/* Of the state that state/ holds. */
static int describe(const struct sweep *w, json_t **out, struct err *e) {
    json_t *all = json_object();
    int bad = !all;
    for (int i = 0; i < w->n; i++)
        bad |= json_object_set_new(all, w->derived[i].d->name, json_of(&w->derived[i]));
    *out = json_pack("{s:I, s:I, s:o}", "exposures", (json_int_t)w->exposures, "positives",
                     (json_int_t)w->positives, "features", all);
    if (*out && !bad) return 0;
    json_decref(*out);
    *out = NULL;
    return err_nomem(e, 0);
}

/* Do all test rows come after all others? */
static bool test_is_last(const struct sweep *w) {
    const int64_t *time = w->time.data;
    const struct dataset *ds = w->ds;
    for (int s = SPLIT_TRAIN; s <= SPLIT_VALID; s++)
        if (ds->split[s].end > ds->split[s].begin &&
            time[ds->split[s].end - 1] >= time[ds->split[SPLIT_TEST].begin])
            return false;
    return true;
}

static int sweep_all(struct sweep *w, json_t **json, struct err *e) {
    bool last = !w->time.data || test_is_last(w);
    uint64_t n = w->ds->n_rows, known = w->ds->split[SPLIT_TEST].begin;
    progress_start(&w->progress, "deriving features", last ? n : n + known);
    if (!w->time.data) {
        TRY(sweep_unordered(w, e));
    } else if (last) {
        TRY(sweep_splits(w, TRAIN | VALID, true, e));
    } else {
        TRY(sweep_splits(w, TRAIN | VALID | TEST, true, e));
        forget(w);
        TRY(sweep_splits(w, TRAIN | VALID, false, e));
    }
    TRY(find_edges(w, e));
    TRY(keep_state(w, e));
    TRY(describe(w, json, e));
    if (w->time.data && last) TRY(sweep_splits(w, TEST, true, e));
    for (int i = 0; i < w->n; i++)
        if (w->derived[i].ops->finish) TRY(w->derived[i].ops->finish(&w->derived[i], e));
    w->progress.done = n;
    progress_end(&w->progress, "rows");
    return 0;
}

int sweep_run(const struct schema *s, const char *dir, const char *work, struct dataset *ds, json_t **json,
              struct err *e) {
    *json = NULL;
    if (!s->n_derived) return 0;
    struct sweep w = {.schema = s, .dir = dir, .work = work, .ds = ds};
    w.derived = mem_calloc((size_t)s->n_derived, sizeof *w.derived);
    if (!w.derived) return err_nomem(e, (size_t)s->n_derived * sizeof *w.derived);
    int rc = open_rows(&w, e);
    for (int i = 0; !rc && i < s->n_derived; i++) rc = open_derived(&w, i, e);
    if (!rc) rc = sweep_all(&w, json, e);
    if (rc) {
        json_decref(*json);
        *json = NULL;
    }
    for (int i = 0; i < w.n; i++) close_derived(&w.derived[i]);
    npy_close(&w.label);
    npy_close(&w.user);
    npy_close(&w.time);
    npy_close(&w.row);
    mem_free(w.derived);
    return rc;
}
