#include "bench/run/served.h"
#include "base/progress.h"
#include "base/str.h"
#include "bench/results.h"
#include "bench/run/by_row.h"
#include "nn/checkpoint.h"
#include <unistd.h>

const struct sweep_run *served_run(const struct sweep *s, int model) {
    for (int i = 0; i < s->n_runs; i++)
        if (s->run[i].model == model && sweep_run_ok(&s->run[i])) return &s->run[i];
    return NULL;
}

int served_load(const struct sweep *s, const struct sweep_run *r, struct graph *out, struct err *e) {
    const struct sweep_model *m = &s->model[r->model];
    char path[1024];
    graph_init(out);
    TRY(variant_build(m->variant->variant, m->variant->options, &m->features, out, e));
    TRY(graph_alloc_params(out, (uint64_t)r->seed, e));
    TRY(sweep_path(s, "models", r, ".safetensors", path, e));
    return checkpoint_load(out, path, e);
}

int served_data(const struct sweep *s, const struct measure_options *m, struct serving_data *out,
                struct err *e) {
    TRY(serving_data_from_dataset(s->ds, out, e));
    int rc = m->by_column ? 0 : serving_data_by_row(out, e);
    if (rc) out->release(out->self);
    return rc;
}

struct scorer_options served_options(const struct sweep *s, const struct measure_options *m, bool timed) {
    struct scorer_options o = scorer_defaults();
    o.passes.split = m->split_layers;
    o.fuse = m->fuse;
    o.skip_zeros = m->skip_zeros;
    o.user_cache = timed ? (size_t)m->user_cache : 0;
    o.tables = !timed && m->tables == TABLES_AUTO ? TABLES_ALL : (enum tables)m->tables;
    o.table_times = s->table_times;
    o.passes.table_bytes = (size_t)m->tables_mib << 20;
    return o;
}

/* Models in two precisions are two sets of records. */
static int store_options(const struct experiment *x, const char *dir, int64_t kind, const char *run,
                         const char *precision, struct store_options *out, struct err *e) {
    const struct measure_options *o = &x->measure;
    opt_defaults(store_opts, out);
    out->kind = (int)kind;
    out->timeout_ms = o->store_timeout_ms;
    out->temporary = true;
    snprintf(out->server, sizeof out->server, "%s", o->store_server);
    if (snprintf(out->name, sizeof out->name, "%s.%s.%s", x->o.name, run, precision) >= (int)sizeof out->name)
        return err_set(e, ERR_INPUT, "item store of %s: the experiment's name is too long", run);
    int n = snprintf(out->path, sizeof out->path, "%s%s", *o->store_path ? o->store_path : dir,
                     *o->store_path ? "" : "/stores");
    return n < (int)sizeof out->path
               ? 0
               : err_set(e, ERR_INPUT,
                         "item store of %s: the results' folder has too long a name; set measure.store_path",
                         run);
}

/* The folder of lmdb files that is nobody's wish goes when it is empty. */
static void remove_folder(const struct experiment *x, const char *dir) {
    char path[1024];
    if (!*x->measure.store_path && !file_join(path, sizeof path, dir, "stores", NULL)) rmdir(path);
}

/* Creates in each store a set of records that nobody will see. */
int served_check(const struct experiment *x, const char *dir, struct err *e) {
    const struct opt_ints *stores = &x->measure.store;
    for (int i = 0; x->measure.candidates.n && i < stores->n; i++) {
        const struct store_header h = {.version = "0", .precision = "fp32", .bytes = 4, .n_items = 1};
        struct store_options o;
        struct store *s = NULL;
        TRY(store_options(x, dir, stores->v[i], "check", "none", &o, e));
        TRY(store_create(&o, &h, &s, e));
        store_close(s);
    }
    remove_folder(x, dir);
    return 0;
}

static int add(struct served_set *set, const struct sweep_run *r, const struct scorer_options *o,
               const char *precision, const struct serving_data *data, struct pool *pool, struct err *e) {
    struct served *v = &set->v[set->n];
    *v = (struct served){.model = r->model, .run = r, .precision = precision};
    struct err refused = ERR_INIT;
    int rc = scorer_create(&set->graph[r->model], data, o, pool, &v->scorer, &refused);
    if (rc == ERR_INPUT && o->precision != PRECISION_FP32) { /* the other models are measured all the same */
        progress_note("%s: %s; not measured", r->id, refused.msg);
        return 0;
    }
    if (rc) return *e = refused, rc;
    bool has_records = scorer_cost(v->scorer).item_record_bytes > 0;
    v->store = has_records ? store_kind_names[o->store.kind] : "none";
    for (int i = 0; i < set->n && !has_records; i++) /* every store would give the same */
        if (set->v[i].model == v->model && set->v[i].precision == precision) {
            scorer_free(v->scorer);
            return 0;
        }
    set->n++;
    return 0;
}

static int add_model(struct served_set *set, const struct sweep *s, const struct sweep_run *r,
                     const struct serving_data *data, struct pool *pool, struct err *e) {
    const struct measure_options *o = &s->x->measure;
    TRY(served_load(s, r, &set->graph[r->model], e));
    for (int p = 0; p < o->precision.n; p++)
        for (int k = 0; k < o->store.n; k++) {
            struct scorer_options so = served_options(s, o, true);
            const char *precision = precision_names[o->precision.v[p]];
            so.precision = (enum precision)o->precision.v[p];
            so.sample = &set->sample.rows;
            TRY(store_options(s->x, s->dir, o->store.v[k], r->id, precision, &so.store, e));
            TRY(add(set, r, &so, precision, data, pool, e));
        }
    return 0;
}

static int open_all(struct served_set *set, const struct sweep *s, const struct serving_data *data,
                    struct pool *pool, struct err *e) {
    const struct measure_options *o = &s->x->measure;
    size_t models = (size_t)s->n_models + 1;
    size_t most = models * (size_t)o->precision.n * (size_t)o->store.n;
    set->graph = mem_calloc(models, sizeof *set->graph);
    set->v = mem_calloc(most, sizeof *set->v);
    if (!set->graph || !set->v) return err_nomem(e, most * sizeof *set->v);
    TRY(precision_sample(s->ds, &set->sample, e));
    for (set->n_graphs = 0; set->n_graphs < s->n_models; set->n_graphs++)
        graph_init(&set->graph[set->n_graphs]);
    for (int i = 0; i < s->n_models; i++) {
        const struct sweep_run *r = served_run(s, i);
        if (s->model[i].teacher_only) continue; /* no candidate to serve */
        if (r && add_model(set, s, r, data, pool, e)) return err_prefix(e, "measuring %s", r->id);
    }
    return 0;
}

int served_open(const struct sweep *s, const struct serving_data *data, struct pool *pool,
                struct served_set *out, struct err *e) {
    *out = (struct served_set){.s = s};
    int rc = open_all(out, s, data, pool, e);
    if (rc) served_release(out);
    return rc;
}

int served_split(const struct measure_options *o, struct scorer *s, const struct requests *q, float *score,
                 struct err *e) {
    size_t i = 0;
    if (o->threads_over_candidates != SPLIT_AUTO) {
        scorer_split(s, o->threads_over_candidates == SPLIT_NEVER ? SIZE_MAX : 0);
        return 0;
    }
    while (requests_at(q, i).n < q->most) i++;
    const struct request r = requests_at(q, i);
    return scorer_calibrate(s, &r, score, e);
}

void served_release(struct served_set *set) {
    for (int i = 0; i < set->n; i++) scorer_free(set->v[i].scorer);
    for (int i = 0; i < set->n_graphs; i++) graph_release(&set->graph[i]);
    precision_sample_release(&set->sample);
    mem_free(set->v);
    mem_free(set->graph);
    if (set->s) remove_folder(set->s->x, set->s->dir);
    *set = (struct served_set){0};
}

/* ---- tables.csv ---- */

static void table_row(FILE *f, const struct served_set *set, const struct served *v,
                      const struct table_choice *t) {
    const struct sweep_model *m = &set->s->model[v->model];
    bool measured = t->table_ns > 0;
    struct csv_line c = {.f = f};
    csv_text(&c, m->variant->id);
    csv_text(&c, m->subset->name);
    csv_text(&c, v->precision);
    csv_text(&c, t->layer);
    csv_text(&c, t->field);
    csv_int(&c, (int64_t)t->rows);
    csv_int(&c, (int64_t)t->dim);
    csv_int(&c, (int64_t)t->units);
    csv_num(&c, (double)t->rows * (double)t->units * sizeof(float));
    csv_num(&c, t->table_ns);
    csv_num(&c, t->product_ns);
    csv_text(&c, t->table ? "table" : "product");
    csv_text(&c, measured ? "measured" : t->fits ? "option" : "limit");
    csv_end(&c);
}

/* A model has the same tables with every store; `f` NULL: only counts the rows. */
static size_t table_rows(const struct served_set *set, FILE *f) {
    size_t rows = 0;
    for (int i = 0; i < set->n; i++) {
        const struct served *v = &set->v[i];
        size_t n;
        const struct table_choice *t = scorer_tables(v->scorer, &n);
        if (i && v[-1].model == v->model && v[-1].precision == v->precision) continue;
        for (size_t k = 0; k < n && f; k++) table_row(f, set, v, &t[k]);
        rows += n;
    }
    return rows;
}

int served_write_tables(const struct served_set *set, struct err *e) {
    char path[1024];
    struct file_out o;
    if (!table_rows(set, NULL)) return 0;
    TRY(file_join(path, sizeof path, set->s->dir, "tables.csv", e));
    TRY(file_begin(&o, path, e));
    fprintf(o.f, "%s\n", RESULTS_TABLES_COLUMNS);
    table_rows(set, o.f);
    return file_commit(&o, e);
}

double served_floor_us(const struct scorer_cost *c, double candidates, bool caches_users,
                       const struct machine *m) {
    double flops = caches_users ? 0 : c->flops_per_request, bytes = caches_users ? 0 : c->weight_bytes;
    return machine_floor_us(m, flops + candidates * (c->flops_per_candidate - c->flops_skipped),
                            bytes + candidates * c->bytes_per_candidate, bytes + (double)c->item_store_bytes);
}
