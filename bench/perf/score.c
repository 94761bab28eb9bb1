/* perf_score: time to score one request with the ranker (variant mlp: 20 fields, D 16, 256-128-64), ids in,
 * scores out, through serve/scorer.h. See perf.h for the protocol.
 *
 *     build/perf_score --write DIR                     requests and weights for the peers; then ends
 *     build/perf_score --threads 2 --scores FILE       a contender; FILE gets the scores of all requests
 *
 * 100000 items; a request is one user and --candidates different items, log-uniform in popularity. The user's
 * and the items' fields come from arrays in memory when the scorer asks for them (the items' once, when it is
 * made); the pair fields' ids come with the request, for every contender. The weights are random. The scales of int8
 * come from rows drawn like the requests' but apart from them.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "bench/perf/perf.h"
#include "nn/checkpoint.h"
#include "nn/fused/peak.h"
#include "nn/vec.h"
#include "serve/scorer.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ENTITIES 100000 /* items, and users; number 0 is "unknown" and never drawn */
#define REQUESTS 64
#define FIELDS   20
#define PAIRS    4

#define FIELD(name, side, vocab)                                                                             \
    { name, side, VALUE_ID, vocab, NULL, 1 }
static const struct feature standard[FIELDS] = {
    FIELD("user_id", SIDE_USER, 100000),   FIELD("user_city", SIDE_USER, 1000),
    FIELD("user_model", SIDE_USER, 500),   FIELD("user_segment", SIDE_USER, 200),
    FIELD("user_age", SIDE_USER, 100),     FIELD("user_level", SIDE_USER, 50),
    FIELD("user_os", SIDE_USER, 20),       FIELD("user_sex", SIDE_USER, 5),
    FIELD("item_id", SIDE_ITEM, 100000),   FIELD("item_brand", SIDE_ITEM, 10000),
    FIELD("item_shop", SIDE_ITEM, 5000),   FIELD("item_category", SIDE_ITEM, 500),
    FIELD("item_price", SIDE_ITEM, 100),   FIELD("item_age", SIDE_ITEM, 100),
    FIELD("item_stars", SIDE_ITEM, 20),    FIELD("item_stock", SIDE_ITEM, 10),
    FIELD("pair_category", SIDE_PAIR, 50), FIELD("pair_shop", SIDE_PAIR, 100),
    FIELD("pair_price", SIDE_PAIR, 500),   FIELD("pair_ctr", SIDE_PAIR, 1000)};

struct score {
    int64_t threads, candidates, block, fuse, skip;
    int64_t vocab, uniform, tables_mib; /* of the last pair field */
    struct feature fields[FIELDS];
    const char *tables;
    enum isa used, level;                 /* by the products; and of everything else */
    double product_gflops;                /* of one thread, in the precision */
    const char *precision, *isa, *hidden; /* names; layers as "256,128,64" */
    uint32_t *column[FIELDS];             /* user and item fields: [ENTITIES] */
    uint32_t user[REQUESTS];
    uint32_t *items;           /* [REQUESTS][candidates] */
    uint32_t *pair;            /* [REQUESTS][PAIRS][candidates] */
    const uint32_t **pair_ids; /* [REQUESTS][PAIRS], in the scorer's order */
    struct pool *pool;
    struct graph graph;
    struct scorer *scorer;
    float *scores; /* [candidates] */
    int next;
};

/* ---- requests ---- */

static int draw_items(const struct score *s, struct rng *r, uint32_t *items, struct err *e) {
    struct shuffle number = shuffle_init(ENTITIES - 1, 2); /* popularity rank -> item */
    bool *taken = mem_calloc(ENTITIES, sizeof *taken);
    if (!taken) return err_nomem(e, ENTITIES);
    for (int64_t i = 0; i < s->candidates;) {
        uint32_t rank = perf_zipf(rng_uniform(r), ENTITIES);
        if (taken[rank]) continue;
        taken[rank] = true;
        items[i++] = 1 + (uint32_t)shuffle_at(&number, rank - 1);
    }
    mem_free(taken);
    return 0;
}

static uint32_t draw_pair(const struct score *s, size_t p, struct rng *r) {
    uint32_t vocab = s->fields[FIELDS - PAIRS + p].vocab;
    if (p + 1 == PAIRS && s->uniform) return 1 + (uint32_t)rng_below(r, vocab - 1);
    return perf_zipf(rng_uniform(r), vocab);
}

static int make_requests(struct score *s, struct err *e) {
    size_t n = (size_t)s->candidates;
    for (int f = 0; f < FIELDS - PAIRS; f++) {
        if (!(s->column[f] = mem_alloc(ENTITIES * sizeof(uint32_t))))
            return err_nomem(e, ENTITIES * sizeof(uint32_t));
        for (uint32_t i = 0; i < ENTITIES; i++) s->column[f][i] = perf_field_id(&s->fields[f], i);
    }
    s->items = mem_alloc(REQUESTS * n * sizeof *s->items);
    s->pair = mem_alloc(REQUESTS * PAIRS * n * sizeof *s->pair);
    s->pair_ids = mem_calloc(REQUESTS * PAIRS, sizeof *s->pair_ids);
    s->scores = mem_alloc(n * sizeof *s->scores);
    if (!s->items || !s->pair || !s->pair_ids || !s->scores)
        return err_nomem(e, REQUESTS * PAIRS * n * sizeof *s->pair);
    struct rng r = rng_init(1, rng_stream("perf_score"));
    for (size_t k = 0; k < REQUESTS; k++) {
        s->user[k] = perf_zipf(rng_uniform(&r), ENTITIES);
        TRY(draw_items(s, &r, s->items + k * n, e));
        for (size_t p = 0; p < PAIRS; p++)
            for (size_t i = 0; i < n; i++) s->pair[(k * PAIRS + p) * n + i] = draw_pair(s, p, &r);
    }
    return 0;
}

/* What a model without sides is fed: [REQUESTS][candidates][FIELDS]. */
static uint32_t *plain_ids(const struct score *s, struct err *e) {
    size_t n = (size_t)s->candidates;
    uint32_t *ids = mem_alloc(REQUESTS * n * FIELDS * sizeof *ids);
    if (!ids) err_nomem(e, REQUESTS * n * FIELDS * sizeof *ids);
    for (size_t k = 0; ids && k < REQUESTS; k++)
        for (size_t i = 0; i < n; i++)
            for (size_t f = 0; f < FIELDS; f++) {
                uint32_t *to = &ids[(k * n + i) * FIELDS + f];
                if (f >= FIELDS - PAIRS)
                    *to = s->pair[(k * PAIRS + f - (FIELDS - PAIRS)) * n + i];
                else
                    *to = s->column[f][s->fields[f].side == SIDE_USER ? s->user[k] : s->items[k * n + i]];
            }
    return ids;
}

static json_t *hidden_json(const struct score *s) {
    char text[256];
    snprintf(text, sizeof text, "[%s]", s->hidden);
    return json_loads(text, 0, NULL);
}

static int write_inputs(const struct score *s, const char *dir, struct err *e) {
    TRY(file_make_dirs(dir, e));
    uint32_t *ids = plain_ids(s, e);
    if (!ids) return e->code;
    int rc = perf_write_npy(dir, "ids", NPY_U32, ids, REQUESTS * (size_t)s->candidates * FIELDS, e);
    mem_free(ids);
    TRY(rc);
    char path[1024];
    TRY(file_join(path, sizeof path, dir, "weights.safetensors", e));
    TRY(checkpoint_save(&s->graph, path, NULL, e));
    return perf_write_model(dir, &(struct features){FIELDS, s->fields},
                            json_pack("{s:i, s:o, s:I, s:i}", "dim", 16, "hidden", hidden_json(s),
                                      "candidates", (json_int_t)s->candidates, "requests", REQUESTS),
                            e);
}

/* ---- serving data: arrays in memory ---- */

static int find_field(const char *name, side_t side, struct err *e) {
    for (int f = 0; f < FIELDS; f++)
        if (standard[f].side == side && !strcmp(standard[f].name, name)) return f;
    err_set(e, ERR_INPUT, "no field \"%s\"", name);
    return -1;
}

static int user_column(void *self, const char *name, uint32_t user, struct batch_column *out, struct err *e) {
    int f = find_field(name, SIDE_USER, e);
    if (f < 0) return e->code;
    *out = (struct batch_column){.ids = ((struct score *)self)->column[f] + user};
    return 0;
}

static int item_column(void *self, const char *name, uint32_t first, size_t n, struct batch_column *out,
                       struct err *e) {
    int f = find_field(name, SIDE_ITEM, e);
    (void)n;
    if (f < 0) return e->code;
    *out = (struct batch_column){.ids = ((struct score *)self)->column[f] + first};
    return 0;
}

static int no_pair(void *self, const char *name, uint32_t user, const uint32_t *items, size_t n,
                   uint32_t *ids, struct err *e) {
    (void)self, (void)user, (void)items, (void)n, (void)ids;
    return err_set(e, ERR_INPUT, "the ids of \"%s\" come with the request", name);
}

/* ---- the contender ---- */

static int read_options(const struct score *s, const struct variant *v, void *options, struct arena *a,
                        struct err *e) {
    char text[256];
    struct conf *map;
    snprintf(text, sizeof text, "{hidden: [%s]}", s->hidden);
    opt_defaults(v->opts, options);
    ((struct model_options *)options)->embedding_std = 1; /* scores of order 1 */
    TRY(conf_parse("--hidden", text, strlen(text), a, &map, e));
    return opt_read(v->opts, options, map, "--hidden", e);
}

static int make_model(struct score *s, struct err *e) {
    const struct variant *v = variant_find("mlp");
    struct arena a = ARENA_INIT;
    void *options = arena_alloc(&a, v->options_bytes);
    graph_init(&s->graph);
    int rc = options ? read_options(s, v, options, &a, e) : err_nomem(e, v->options_bytes);
    if (!rc) rc = variant_build(v, options, &(struct features){FIELDS, s->fields}, &s->graph, e);
    arena_release(&a);
    TRY(rc);
    return graph_alloc_params(&s->graph, 1, e);
}

static int named(const char *const *names, const char *name, const char *flag, int *out, struct err *e) {
    for (*out = 0; names[*out]; ++*out)
        if (!strcmp(names[*out], name)) return 0;
    return err_set(e, ERR_INPUT, "%s: there is no \"%s\"", flag, name);
}

enum { SAMPLE = 2048 };
struct sample {
    uint32_t user[SAMPLE], item[SAMPLE], pair[PAIRS][SAMPLE];
};

static void draw_sample(const struct score *s, struct sample *t) {
    struct rng r = rng_init(1, rng_stream("perf_score sample"));
    for (size_t i = 0; i < SAMPLE; i++) {
        t->user[i] = i % 16 ? t->user[i - 1] : perf_zipf(rng_uniform(&r), ENTITIES);
        t->item[i] = perf_zipf(rng_uniform(&r), ENTITIES);
        for (size_t p = 0; p < PAIRS; p++) t->pair[p][i] = draw_pair(s, p, &r);
    }
}

static int create_scorer(struct score *s, struct sample *t, struct err *e) {
    struct scorer_options o = scorer_defaults();
    const char *name[PAIRS];
    const uint32_t *ids[PAIRS];
    int precision, isa, tables;
    TRY(named(precision_names, s->precision, "--precision", &precision, e));
    TRY(named(isa_names, s->isa, "--isa", &isa, e));
    TRY(named(tables_names, s->tables, "--tables", &tables, e));
    draw_sample(s, t);
    for (size_t p = 0; p < PAIRS; p++) name[p] = standard[FIELDS - PAIRS + p].name, ids[p] = t->pair[p];
    struct scorer_sample sample = {SAMPLE, t->user, t->item, PAIRS, name, ids};
    o.precision = (enum precision)precision;
    o.isa = (enum isa)isa;
    o.tables = (enum tables)tables;
    o.passes.table_bytes = (size_t)s->tables_mib << 20;
    TRY(fused_peak(o.precision, o.isa, &s->used, &s->product_gflops, e));
    s->level = isa_limit(isa_best(), o.isa);
    o.sample = &sample;
    o.fuse = s->fuse;
    o.skip_zeros = s->skip;
    o.block = (size_t)s->block;
    struct serving_data data = {
        .self = s, .n_items = ENTITIES, .user = user_column, .item = item_column, .pair = no_pair};
    return scorer_create(&s->graph, &data, &o, s->pool, &s->scorer, e);
}

static int make_scorer(struct score *s, struct err *e) {
    struct sample *t = mem_alloc(sizeof *t);
    int rc = t ? create_scorer(s, t, e) : err_nomem(e, sizeof *t);
    mem_free(t);
    TRY(rc);
    const char *const *name = scorer_pair_columns(s->scorer);
    for (size_t k = 0; k < PAIRS && name[k]; k++) {
        int f = find_field(name[k], SIDE_PAIR, e);
        if (f < 0) return e->code;
        for (size_t r = 0; r < REQUESTS; r++)
            s->pair_ids[r * PAIRS + k] =
                s->pair + (r * PAIRS + (size_t)(f - (FIELDS - PAIRS))) * (size_t)s->candidates;
    }
    return 0;
}

static int score_next(struct score *s, struct err *e) {
    size_t k = (size_t)s->next, n = (size_t)s->candidates;
    s->next = (s->next + 1) % REQUESTS;
    struct request r = {
        .user = s->user[k], .n = n, .items = s->items + k * n, .pair_ids = s->pair_ids + k * PAIRS};
    return scorer_score(s->scorer, &r, s->scores, e);
}

static int write_scores(struct score *s, const char *path, struct err *e) {
    struct file_out o;
    TRY(file_begin(&o, path, e));
    for (int k = 0; k < REQUESTS; k++) {
        int rc = score_next(s, e);
        if (rc) {
            file_abort(&o);
            return rc;
        }
        fwrite(s->scores, sizeof(float), (size_t)s->candidates, o.f);
    }
    return file_commit(&o, e);
}

/* Processor time of all threads. */
static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static json_t *go(void *self, int64_t n, struct err *e) {
    struct score *s = self;
    json_t *ns = json_array();
    int64_t begin = cpu_ns();
    for (int64_t i = 0; i < n; i++) {
        int64_t start = clock_ns();
        if (score_next(s, e)) {
            json_decref(ns);
            return NULL;
        }
        json_array_append_new(ns, json_integer(clock_ns() - start));
    }
    return json_pack("{s:o, s:I}", "ns", ns, "cpu_ns", (json_int_t)(cpu_ns() - begin));
}

/* For the floor: what is left to do per request and per candidate once the graph is cut, and what of that was skipped in the
 * requests scored so far (all of them, with --scores); and the FLOPs of the uncut model, per candidate. */
static json_t *work(const struct score *s) {
    struct scorer_cost c = scorer_cost(s->scorer);
    struct graph_cost whole;
    graph_cost_count(&s->graph, &whole);
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:f}", "flops_per_request",
                     c.flops_per_request, "flops_per_candidate", c.flops_per_candidate,
                     "flops_skipped_per_candidate", c.flops_skipped, "bytes_per_candidate",
                     c.bytes_per_candidate, "weight_bytes", c.weight_bytes, "uncut_flops_per_candidate",
                     whole.total.flops, "item_store_bytes", (json_int_t)c.item_store_bytes,
                     "item_record_bytes", (json_int_t)c.item_record_bytes, "product_gflops",
                     s->product_gflops * (double)s->threads);
}

/* The last pair field: what it is, and what was measured. */
static json_t *last_table(const struct score *s) {
    size_t n;
    const struct table_choice *c = scorer_tables(s->scorer, &n);
    for (; n && strcmp(c->field, standard[FIELDS - 1].name) != 0; n--) c++;
    if (!n) return json_object();
    json_t *j = json_pack("{s:b}", "table", c->table);
    if (c->table_ns > 0)
        json_object_update_new(j,
                               json_pack("{s:f, s:f}", "table_ns", c->table_ns, "product_ns", c->product_ns));
    return j;
}

static json_t *ready(const struct score *s) {
    return json_pack("{s:b, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o}", "ready", 1, "name", "prerank",
                     "precision", s->precision, "isa", isa_names[s->used], "level", isa_names[s->level],
                     "threads", (json_int_t)s->threads, "block", (json_int_t)s->block, "candidates",
                     (json_int_t)s->candidates, "work", work(s), "last_pair_field", last_table(s));
}

static void release(struct score *s) {
    scorer_free(s->scorer);
    graph_release(&s->graph);
    pool_free(s->pool);
    for (int f = 0; f < FIELDS; f++) mem_free(s->column[f]);
    void *own[] = {s->items, s->pair, s->pair_ids, s->scores};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
}

int main(int argc, char **argv) {
    struct score s = {.threads = 2,
                      .candidates = 2000,
                      .fuse = 1,
                      .skip = 1,
                      .vocab = standard[FIELDS - 1].vocab,
                      .tables_mib = 64,
                      .tables = "all",
                      .precision = "fp32",
                      .isa = "best",
                      .hidden = "256,128,64"};
    struct err e = ERR_INIT;
    const char *dir = NULL, *scores = NULL;
    int64_t requests = 0;
    const struct perf_flag flags[] = {
        {"threads", "worker threads (2)", &s.threads, NULL},
        {"candidates", "of a request (2000)", &s.candidates, NULL},
        {"block", "candidates that one thread takes at a time (0: the scorer's default)", &s.block, NULL},
        {"fuse", "1: the fused engine, 0: op by op (1)", &s.fuse, NULL},
        {"skip", "1: activations that are 0 are not multiplied where that is faster, 0: they are (1)",
         &s.skip, NULL},
        {"precision", "fp32, bf16, fp16 or int8 (fp32)", NULL, &s.precision},
        {"isa", "instructions: best, portable, avx2, avx512, dot or amx (best)", NULL, &s.isa},
        {"tables", "which pair fields are tables of partial products: all, auto or none (all)", NULL,
         &s.tables},
        {"tables-mib", "largest such table (64)", &s.tables_mib, NULL},
        {"vocab", "ids of the last pair field (1000)", &s.vocab, NULL},
        {"uniform", "1: that field's ids are uniform, 0: log-uniform (0)", &s.uniform, NULL},
        {"hidden", "units of the hidden layers (256,128,64)", NULL, &s.hidden},
        {"requests", "no protocol: score so many requests (for a profiler), then end", &requests, NULL},
        {"scores", "write the scores of all requests to this file", NULL, &scores},
        {"write", "write the inputs of the peers to this folder, then end", NULL, &dir}};
    int rc = perf_flags(argc, argv, flags, (int)(sizeof flags / sizeof *flags), &e);
    gemm_single_threaded();
    if (!rc && (!s.candidates || s.candidates > ENTITIES / 4))
        rc = err_set(&e, ERR_INPUT, "--candidates must be 1 .. %d", ENTITIES / 4);
    if (!rc && (s.vocab < 2 || s.vocab > 1 << 28)) rc = err_set(&e, ERR_INPUT, "--vocab must be 2 .. 2^28");
    memcpy(s.fields, standard, sizeof s.fields);
    s.fields[FIELDS - 1].vocab = (uint32_t)s.vocab;
    if (!rc) rc = pool_create((int)s.threads, &s.pool, &e);
    if (!rc) rc = make_requests(&s, &e);
    if (!rc) rc = make_model(&s, &e);
    if (!rc && dir) {
        rc = write_inputs(&s, dir, &e);
    } else if (!rc) {
        rc = make_scorer(&s, &e);
        if (!rc && scores) rc = write_scores(&s, scores, &e);
        for (int64_t i = 0; i < requests && !rc; i++) rc = score_next(&s, &e);
        if (!rc && !requests) rc = perf_serve(&(struct perf_contender){&s, go, s.pool}, ready(&s), &e);
    }
    if (rc) fprintf(stderr, "%s: %s\n", argv[0], e.msg);
    release(&s);
    return rc;
}
