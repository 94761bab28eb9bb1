#include "bench/select/plan.h"
#include "base/progress.h"
#include "base/str.h"
#include "bench/report/subsets.h"
#include "bench/results.h"
#include "bench/select/importance.h"
#include <inttypes.h>
#include <string.h>

struct planned { /* a line of subsets.csv */
    const struct ranking_of *ranking;
    int64_t k;
    bool *kept; /* [ranking->n] by rank */
    int model;  /* of the sweep */
};

/* Whether the variant can be built on the fields of these ranks; `why` says why not. */
static bool builds(const struct sweep *s, const struct ranking_of *r, const bool *ranks, struct err *why) {
    const struct sweep_model *m = &s->model[r->model];
    struct arena a = ARENA_INIT;
    struct feature *kept = arena_alloc(&a, (size_t)r->n * sizeof *kept);
    struct features f = {0, kept};
    struct graph g;
    graph_init(&g);
    for (int i = 0; kept && i < r->n; i++)
        for (int at = 0; at < r->n; at++)
            if (r->order[at] == i && ranks[at]) kept[f.n++] = m->features.feature[i];
    int rc = kept ? variant_build(m->variant->variant, m->variant->options, &f, &g, why) : err_nomem(why, 0);
    graph_release(&g);
    arena_release(&a);
    return !rc;
}

/* The ranks of the K fields that are kept: the K best. Where the variant cannot be built of these (two towers need a field of
 * each side, din the history and the field that it shares with) the best ranks from which it can are taken, and given up from
 * the worst on, as long as it still can, until there are K. False, with `why`, when there are no such K. */
static bool choose(const struct sweep *s, const struct ranking_of *r, int64_t k, bool *ranks,
                   struct err *why) {
    int best = k < r->n ? (int)k : r->n, n;
    for (int at = 0; at < r->n; at++) ranks[at] = at < best;
    if (builds(s, r, ranks, why)) return true;
    struct err ignored = ERR_INIT;
    for (n = best; n < r->n;) {
        ranks[n++] = true;
        if (builds(s, r, ranks, &ignored)) break;
    }
    for (int at = n - 2; at >= 0 && n > best; at--) {
        ranks[at] = false;
        if (builds(s, r, ranks, &ignored))
            n--;
        else
            ranks[at] = true;
    }
    return n == best && builds(s, r, ranks, &ignored);
}

/* keep[] of the dataset's fields. */
static void keep_fields(const struct sweep *s, const struct planned *p, bool *keep) {
    const struct ranking_of *r = p->ranking;
    const struct sweep_model *m = &s->model[r->model];
    for (int d = 0; d < s->ds->n_fields; d++)
        for (int at = 0; at < r->n; at++)
            keep[d] |= p->kept[at] && !strcmp(s->ds->field[d].name, m->features.feature[r->order[at]].name);
}

static int add_subset(struct sweep *s, const struct experiment_variant *v, const char *name, const bool *keep,
                      struct err *e) {
    struct subset *subset = arena_alloc(&s->arena, sizeof *subset);
    if (!subset || !(subset->name = arena_strdup(&s->arena, name))) return err_nomem(e, sizeof *subset);
    return sweep_add(s, v, subset, keep, e);
}

static int add(struct sweep *s, struct planned *p, struct err *e) {
    const struct ranking_of *r = p->ranking;
    bool *keep = arena_alloc(&s->arena, (size_t)s->ds->n_fields + 1);
    char name[64];
    snprintf(name, sizeof name, "%s-%" PRId64, r->name, p->k);
    if (!keep) return err_nomem(e, 0);
    keep_fields(s, p, keep);
    p->model = s->n_models;
    return add_subset(s, s->model[r->model].variant, name, keep, e);
}

static void put_line(FILE *out, const struct sweep *s, const struct planned *p) {
    const struct sweep_model *m = &s->model[p->model], *all = &s->model[p->ranking->model];
    struct str fields = STR_INIT, required = STR_INIT;
    struct csv_line l = {.f = out};
    for (int at = 0; at < p->ranking->n; at++) {
        const char *name = all->features.feature[p->ranking->order[at]].name;
        if (p->kept[at]) str_addf(&fields, "%s%s", fields.len ? " " : "", name);
        if (p->kept[at] && at >= p->k) str_addf(&required, "%s%s", required.len ? " " : "", name);
    }
    csv_text(&l, m->variant->id);
    csv_text(&l, p->ranking->name);
    csv_int(&l, p->k);
    csv_text(&l, m->subset->name);
    csv_text(&l, m->same_as < 0 ? m->subset->name : s->model[m->same_as].subset->name);
    csv_int(&l, m->features.n);
    csv_text(&l, fields.p ? fields.p : "");
    csv_text(&l, required.p ? required.p : "");
    csv_end(&l);
    str_release(&required);
    str_release(&fields);
}

static int write_subsets(const struct sweep *s, const struct planned *p, int n, struct err *e) {
    char path[1024];
    struct file_out o;
    TRY(file_join(path, sizeof path, s->dir, "subsets.csv", e));
    TRY(file_begin(&o, path, e));
    fputs(RESULTS_SUBSETS_COLUMNS "\n", o.f);
    for (int i = 0; i < n; i++) put_line(o.f, s, &p[i]);
    return file_commit(&o, e);
}

static int add_all(struct sweep *s, const struct rankings *r, struct err *e) {
    const struct opt_ints *top_k = &s->x->select.top_k;
    size_t most = (size_t)r->n * (size_t)top_k->n + 1;
    struct planned *p = arena_alloc(&s->arena, most * sizeof *p);
    int n = 0, same = 0;
    if (!p) return err_nomem(e, most * sizeof *p);
    for (int i = 0; i < r->n; i++)
        for (int k = 0; k < top_k->n; k++) {
            struct err why = ERR_INIT;
            p[n] = (struct planned){.ranking = &r->v[i], .k = top_k->v[k]};
            p[n].kept = arena_alloc(&s->arena, (size_t)r->v[i].n + 1);
            if (!p[n].kept) return err_nomem(e, 0);
            if (!choose(s, &r->v[i], top_k->v[k], p[n].kept, &why)) {
                progress_note("select: %s by %s has no model with %" PRId64 " fields: %s",
                              s->model[r->v[i].model].variant->id, r->v[i].name, top_k->v[k], why.msg);
                continue;
            }
            TRY(add(s, &p[n++], e));
            same += s->model[p[n - 1].model].same_as >= 0;
        }
    if (same)
        progress_note("select: %d of %d subsets hold the same fields as another one and are trained with it",
                      same, n);
    return write_subsets(s, p, n, e);
}

int select_models(struct sweep *s, struct pool *pool, json_t **costs, struct err *e) {
    struct rankings r;
    *costs = NULL;
    TRY(rankings_make(s, pool, &r, e));
    int rc = add_all(s, &r, e);
    *costs = json_incref(r.costs);
    rankings_release(&r);
    return rc;
}

/* ---- what was planned before ---- */

static const struct experiment_variant *find_variant(const struct sweep *s, const char *id) {
    for (int v = 0; v < s->x->n_variants; v++)
        if (!strcmp(s->x->variant[v].id, id)) return &s->x->variant[v];
    return NULL;
}

/* keep[] of the dataset's fields that `names` holds, with spaces between; the first that the data do not have, or "". */
static const char *read_fields(const struct dataset *ds, const char *names, bool *keep) {
    for (const char *p = names; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        int d = 0;
        while (d < ds->n_fields && (strlen(ds->field[d].name) != n || strncmp(ds->field[d].name, p, n) != 0))
            d++;
        if (d == ds->n_fields) return p;
        keep[d] = true;
        p += n;
    }
    return "";
}

static int add_row(struct sweep *s, const struct table *t, size_t r, struct err *e) {
    const char *id = table_text(t, r, table_column(t, "variant")),
               *name = table_text(t, r, table_column(t, "features")),
               *fields = table_text(t, r, table_column(t, "fields"));
    const struct experiment_variant *v = find_variant(s, id);
    bool *keep = arena_alloc(&s->arena, (size_t)s->ds->n_fields + 1);
    if (!keep) return err_nomem(e, 0);
    if (!v) return err_set(e, ERR_INPUT, "%s: the experiment has no variant %s", t->where[r], id);
    const char *unknown = read_fields(s->ds, fields, keep);
    if (*unknown || !*fields)
        return err_set(e, ERR_INPUT, "%s: %s has no field \"%.*s\"", t->where[r], s->ds->dir,
                       (int)strcspn(unknown, " "), unknown);
    return add_subset(s, v, name, keep, e);
}

int select_again(struct sweep *s, struct err *e) {
    struct table t;
    if (!select_wanted(&s->x->select)) return 0;
    TRY(subsets_load(s->dir, &t, e));
    int rc = t.columns
                 ? 0
                 : err_set(e, ERR_INPUT, "%s: has no subsets.csv; `prerank run` chooses the fields", s->dir);
    for (size_t r = 0; !rc && r < t.rows; r++) rc = add_row(s, &t, r, e);
    table_release(&t);
    return rc;
}
