/* Requests: who asks, when, and for what. */
#include "bench/load/server.h"
#include "bench/load/spread.h"
#include "bench/run/by_row.h"
#include "bench/run/requests.h"
#include "bench/run/served.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(requests, .init = setup, .fini = teardown, .timeout = 120);

/* A log whose user side changes with time: what the user saw, and which tags the last clicks had. `skew`: item k is shown in
 * proportion to 1/(k+1), else all alike. */
static void make_log_of(unsigned users, bool skew) {
    char *log = arena_alloc(&s.arena, 3000 * 40), *at = log, config[1200];
    struct rng r = rng_init(5, 1);
    at += sprintf(at, "user,item,ts,label,tags\n");
    for (int i = 0; i < 3000; i++) {
        unsigned item = skew ? (unsigned)pow(121, rng_uniform(&r)) - 1 : (unsigned)rng_below(&r, 120);
        at += sprintf(at, "u%u,i%u,%d,%u,%c|%c\n", (unsigned)rng_below(&r, users), item, i,
                      (unsigned)rng_below(&r, 2), 'a' + item % 5, 'a' + item % 7);
    }
    scratch_write(&s, "log.csv", log);
    snprintf(config, sizeof config,
             "data_dir: %s/data\n"
             "data:\n  log: %s/log.csv\n  user: user\n  item: item\n  time: ts\n  label: label\n"
             "  columns:\n    user_id: {side: user, from: user}\n    item_id: {side: item, from: item}\n"
             "    tags: {side: item, kind: multi, sep: \"|\"}\n"
             "  derive:\n    seen: {kind: count, of: user_id}\n    recent: {kind: recent, of: tags, n: 3}\n"
             "    both: {kind: overlap, of: [recent, tags]}\n"
             "    x: {kind: cross, of: [user_id, tags], buckets: 100}\n"
             "  split: {by: time, valid: 0.15, test: 0.15}\n"
             "variants: [dssm, mlp]\ntrain: {epochs: 1}\nmeasure: {candidates: []}\n",
             s.dir, s.dir);
    scratch_write(&s, "x.yaml", config);
    struct ran run = prerank(&s, "run %s/x.yaml --out %s/out --no-report", s.dir, s.dir);
    cr_assert_eq(run.status, 0, "%s", run.err);
}

static void make_log(void) { make_log_of(60, false); }

struct world {
    struct experiment x;
    struct dataset ds;
    struct sweep sweep;
    struct serving_data data;
    struct pool *pool;
    char out[100];
};
static void open_world(struct world *w) {
    struct problems p = PROBLEMS_INIT;
    char path[100];
    struct err e = ERR_INIT;
    snprintf(path, sizeof path, "%s/x.yaml", s.dir);
    snprintf(w->out, sizeof w->out, "%s/out", s.dir);
    cr_assert_eq(experiment_load(path, NULL, 0, &w->x, &p), 0);
    snprintf(path, sizeof path, "%s/data", s.dir);
    cr_assert_eq(dataset_open(path, &w->ds, &e), 0, "%s", e.msg);
    cr_assert_eq(sweep_plan(&w->x, &w->ds, w->out, &w->sweep, &e), 0, "%s", e.msg);
    cr_assert_eq(sweep_resume(&w->sweep, &e), 0);
    cr_assert_eq(sweep_n_finished(&w->sweep), 2);
    cr_assert_eq(serving_data_from_dataset(&w->ds, &w->data, &e), 0, "%s", e.msg);
    cr_assert_eq(pool_create(1, &w->pool, &e), 0);
}
static void close_world(struct world *w) {
    pool_free(w->pool);
    w->data.release(w->data.self);
    sweep_release(&w->sweep);
    dataset_close(&w->ds);
    experiment_release(&w->x);
}

/* Scores of the test split by the training graph, in the split's order. */
static size_t read_predictions(const char *id, float *score, size_t room) {
    char name[200];
    snprintf(name, sizeof name, "out/predictions/%s.csv", id);
    char *line = strchr(scratch_read(&s, name), '\n') + 1;
    size_t n = 0;
    for (; *line && n < room; line = strchr(line, '\n') + 1) {
        char *cell = line;
        for (int i = 0; i < 3; i++) cell = strchr(cell, ',') + 1;
        score[n++] = strtof(cell, NULL);
    }
    return n;
}

/* Rows whose score as a request of one candidate is not the training graph's. */
static size_t count_different(struct world *w, const struct sweep_run *r, bool with_moment) {
    static float trained[3000];
    struct err e = ERR_INIT;
    struct graph g;
    struct scorer *scorer;
    struct scorer_options so = scorer_defaults();
    size_t n = read_predictions(r->id, trained, 3000), different = 0;
    uint64_t begin = w->ds.split[SPLIT_TEST].begin;
    cr_assert_eq(n, w->ds.split[SPLIT_TEST].end - begin);
    cr_assert_eq(served_load(&w->sweep, r, &g, &e), 0, "%s", e.msg);
    cr_assert_eq(scorer_create(&g, &w->data, &so, w->pool, &scorer, &e), 0, "%s", e.msg);
    for (size_t i = 0; i < n; i++) {
        float score;
        struct request q = {.user = w->ds.user[begin + i],
                            .n = 1,
                            .items = &w->ds.item[begin + i],
                            .moment = with_moment ? 1 + begin + i : 0};
        cr_assert_eq(scorer_score(scorer, &q, &score, &e), 0, "%s", e.msg);
        different += fabsf(score - trained[i]) > 1e-5f * fmaxf(1, fabsf(trained[i]));
    }
    scorer_free(scorer);
    graph_release(&g);
    return different;
}

Test(requests, with_a_moment_are_scored_with_the_users_values_of_then) {
    struct world w;
    make_log();
    open_world(&w);
    for (int i = 0; i < w.sweep.n_runs; i++) {
        cr_expect_eq(count_different(&w, &w.sweep.run[i], true), 0, "%s", w.sweep.run[i].id);
        cr_expect_gt(count_different(&w, &w.sweep.run[i], false), 200, "%s at the end of validation",
                     w.sweep.run[i].id);
    }
    close_world(&w);
}

/* ---- the engine's steps as options of `measure:` ---- */

enum { CANDIDATES = 60, TOP = 20 };
struct answered {
    float score[CANDIDATES];
    uint32_t order[CANDIDATES];
    uint64_t user_hits;
    double flops;
};

/* The first request, asked twice. */
static void answer_as(struct world *w, const struct measure_options *m, const struct requests *q,
                      struct answered *out) {
    struct err e = ERR_INIT;
    struct graph g;
    struct serving_data data;
    struct scorer_pick pick[CANDIDATES];
    struct scorer_server v = {.requests = q,
                              .topk = TOP,
                              .score = out->score,
                              .order = out->order,
                              .pick = m->top_by == TOP_BY_SORT ? pick : NULL};
    const struct scorer_options o = served_options(&w->sweep, m, true);
    cr_assert_eq(served_data(&w->sweep, m, &data, &e), 0, "%s", e.msg);
    cr_assert_eq(served_load(&w->sweep, &w->sweep.run[1], &g, &e), 0, "%s", e.msg);
    cr_assert_eq(scorer_create(&g, &data, &o, w->pool, &v.scorer, &e), 0, "%s", e.msg);
    const struct load_server to = server_scorer(&v);
    for (int i = 0; i < 2; i++) cr_assert_eq(to.answer(to.self, 0, &e), 0, "%s", e.msg);
    cr_expect_eq(v.asked, 2);
    out->user_hits = v.user_hits;
    out->flops = scorer_cost(v.scorer).flops_per_candidate;
    scorer_free(v.scorer);
    graph_release(&g);
    data.release(data.self);
}

static void expect_best_first(const struct answered *a) {
    for (size_t i = 0; i < TOP; i++) {
        size_t better = 0;
        for (size_t k = 0; k < CANDIDATES; k++)
            better += a->score[k] > a->score[a->order[i]] ||
                      (a->score[k] == a->score[a->order[i]] && k < a->order[i]);
        cr_expect_eq(better, i);
    }
}

Test(requests, each_step_of_the_engine_is_an_option_and_leaves_scores_and_order) {
    enum { WHOLE, SPLIT_LAYERS, BY_COLUMN, FUSE, SKIP_ZEROS, USER_CACHE, TOP_BY, OPTIONS };
    static struct answered a[OPTIONS];
    const struct spread size = spread_fixed(CANDIDATES);
    struct measure_options m[OPTIONS];
    struct world w;
    struct requests q;
    make_log();
    open_world(&w);
    cr_assert_eq(requests_draw(&w.ds, &size, 10, 3, &q, NULL), 0);
    for (int i = 0; i < OPTIONS; i++) m[i] = w.x.measure;
    m[SPLIT_LAYERS].split_layers = m[BY_COLUMN].by_column = m[FUSE].fuse = m[SKIP_ZEROS].skip_zeros = false;
    m[USER_CACHE].user_cache = 8;
    m[TOP_BY].top_by = TOP_BY_SORT;
    for (int i = 0; i < OPTIONS; i++) {
        answer_as(&w, &m[i], &q, &a[i]);
        expect_best_first(&a[i]);
        for (int k = 0; k < CANDIDATES; k++)
            cr_expect_float_eq(a[i].score[k], a[WHOLE].score[k], 1e-5, "option %d", i);
        cr_expect_eq(a[i].user_hits, i == USER_CACHE ? 1 : 0);
        cr_expect_eq(served_options(&w.sweep, &m[i], true).fuse, i != FUSE);
        cr_expect_eq(served_options(&w.sweep, &m[i], true).skip_zeros, i != SKIP_ZEROS);
        cr_expect_eq(served_options(&w.sweep, &m[i], false).user_cache, 0);
    }
    cr_expect_gt(a[SPLIT_LAYERS].flops, 1.5 * a[WHOLE].flops,
                 "the items' part is computed for each candidate");
    requests_release(&q);
    close_world(&w);
}

struct counting {
    struct serving_data of;
    int calls;
};
static int count_pairs(void *self, const char *name, uint64_t moment, const uint32_t *items, size_t n,
                       uint32_t *ids, struct err *e) {
    struct counting *c = self;
    c->calls++;
    return c->of.pair_at(c->of.self, name, moment, items, n, ids, e);
}

Test(requests, by_row_every_candidate_has_a_call_of_its_own_also_where_data_is_shared) {
    struct world w;
    struct err e = ERR_INIT;
    make_log();
    open_world(&w);
    struct counting c = {w.data, 0};
    struct serving_data data = w.data;
    uint32_t items[5] = {4, 0, 9, 9, 1}, want[5], ids[5];
    uint64_t moment = 1 + w.ds.split[SPLIT_TEST].begin;
    cr_assert_eq(w.data.pair_at(w.data.self, "x", moment, items, 5, want, &e), 0, "%s", e.msg);
    data.self = &c;
    data.pair_at = count_pairs;
    data.release = NULL;
    data.share = NULL;
    cr_assert_eq(serving_data_by_row(&data, &e), 0);
    cr_assert_eq(data.pair_at(data.self, "x", moment, items, 5, ids, &e), 0, "%s", e.msg);
    cr_expect_eq(c.calls, 5);
    cr_expect_arr_eq(ids, want, sizeof ids);
    cr_expect_null(data.share);
    data.release(data.self);
    data = w.data;
    cr_assert_not_null(data.self = w.data.share(w.data.self, &e)); /* the world keeps its own */
    cr_assert_eq(serving_data_by_row(&data, &e), 0);
    struct serving_data other = data;
    cr_assert_not_null(other.self = data.share(data.self, &e));
    cr_assert_eq(other.pair_at(other.self, "x", moment, items, 5, ids, &e), 0, "%s", e.msg);
    cr_expect_arr_eq(ids, want, sizeof ids);
    other.release(other.self);
    data.release(data.self);
    close_world(&w);
}

static void expect_request(const struct dataset *ds, const struct requests *q, size_t i) {
    uint64_t begin = ds->split[SPLIT_TEST].begin, end = ds->split[SPLIT_TEST].end, first = end;
    const struct request r = requests_at(q, i);
    for (uint64_t k = end; k-- > begin;)
        if (ds->user[k] == r.user) first = k;
    cr_assert_eq(r.moment, first + 1, "the user's first row of the test period");
    for (size_t k = 0; k < r.n; k++) {
        bool shown = false, clicked = false;
        for (uint64_t t = begin; t < end; t++) {
            bool same = ds->user[t] == r.user && ds->item[t] == r.items[k];
            shown |= same;
            clicked |= same && ds->label[t];
        }
        cr_assert_eq(q->clicked[q->first[i] + k], clicked, "request %zu, candidate %zu, shown %d", i, k,
                     shown);
        for (size_t t = 0; t < k; t++) cr_assert_neq(r.items[t], r.items[k]);
    }
    for (uint64_t t = 0; t < begin; t++) /* and nothing from before, as there is enough else */
        for (size_t k = 0; k < r.n; k++) {
            bool again = false;
            for (uint64_t b = begin; b < end; b++)
                again |= ds->user[b] == r.user && ds->item[b] == r.items[k];
            cr_assert(again || ds->user[t] != r.user || ds->item[t] != r.items[k]);
        }
    for (uint64_t t = begin; t < end; t++) { /* all that were shown are there */
        bool there = ds->user[t] != r.user;
        for (size_t k = 0; k < r.n; k++) there |= r.items[k] == ds->item[t];
        cr_assert(there);
    }
}

Test(requests, hold_what_was_shown_and_which_of_it_was_clicked) {
    struct world w;
    struct requests q, again;
    const struct spread size = spread_fixed(38);
    make_log();
    open_world(&w);
    cr_assert_eq(requests_draw(&w.ds, &size, 80, 3, &q, NULL), 0);
    cr_assert_eq(requests_draw(&w.ds, &size, 80, 3, &again, NULL), 0);
    cr_expect_eq(q.mean, 38);
    cr_expect_arr_eq(q.item, again.item, 80 * 38 * sizeof *q.item);
    for (size_t i = 0; i < 80; i++) expect_request(&w.ds, &q, i);
    size_t users = requests_users(&w.ds);
    cr_assert(users > 10 && users < 80);
    for (size_t i = 0; i < users; i++)
        for (size_t k = 0; k < i; k++) cr_assert_neq(q.user[i], q.user[k], "each user once, then again");
    cr_expect_eq(q.user[users], q.user[0]);
    requests_release(&q);
    requests_release(&again);
    const struct spread uniform = {SPREAD_UNIFORM, 10, 30};
    cr_assert_eq(requests_draw(&w.ds, &uniform, 400, 3, &q, NULL), 0);
    size_t sum = 0;
    for (size_t i = 0; i < 400; i++) {
        size_t n = requests_at(&q, i).n;
        cr_assert(n >= 10 && n <= 30);
        sum += n;
    }
    cr_expect_float_eq(q.mean, (double)sum / 400, 1e-12);
    cr_expect_float_eq(q.mean, 20, 1);
    cr_expect_eq(q.most, 30);
    requests_release(&q);
    close_world(&w);
}

/* A line of the distinct items in rows from..to of the user. */
static void put_items(FILE *f, const struct dataset *ds, uint32_t user, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; i++)
        if (ds->user[i] == user) fprintf(f, "%u ", ds->item[i]);
    fputc('\n', f);
}

Test(requests, of_nearly_all_items_are_still_filled_up_by_popularity) {
    enum { N = 300, WANT = 112 };
    struct world w;
    struct requests q;
    const struct spread size = spread_fixed(WANT);
    char path[100], command[200];
    make_log_of(600, true);
    open_world(&w);
    cr_assert_lt(w.ds.n_items, 125);
    cr_assert_eq(requests_draw(&w.ds, &size, N, 3, &q, NULL), 0);
    snprintf(path, sizeof path, "%s/drawn.txt", s.dir);
    FILE *f = fopen(path, "w");
    uint64_t begin = w.ds.split[SPLIT_TEST].begin, end = w.ds.split[SPLIT_TEST].end;
    for (uint32_t x = 0; x < w.ds.n_items; x++) {
        unsigned rows = 0;
        for (uint64_t i = w.ds.split[SPLIT_TRAIN].begin; i < w.ds.split[SPLIT_TRAIN].end; i++)
            rows += w.ds.item[i] == x;
        fprintf(f, "%u ", rows);
    }
    fputc('\n', f);
    for (size_t i = 0; i < N; i++) {
        const struct request r = requests_at(&q, i);
        put_items(f, &w.ds, r.user, begin, end);
        put_items(f, &w.ds, r.user, 0, begin);
        for (size_t k = 0; k < r.n; k++) fprintf(f, "%u ", r.items[k]);
        fputc('\n', f);
    }
    fclose(f);
    snprintf(command, sizeof command, "/usr/bin/python3 tests/bench/check_drawn.py %s >&2", path);
    cr_expect_eq(system(command), 0);
    requests_release(&q);
    close_world(&w);
}

Test(spread, reads_what_is_written) {
    struct spread p;
    struct err e = ERR_INIT;
    cr_assert_eq(spread_read("uniform:500:1500", &p, &e), 0);
    cr_expect(p.kind == SPREAD_UNIFORM && spread_mean(&p) == 1000 && spread_most(&p) == 1500);
    cr_assert_eq(spread_read("70", &p, &e), 0);
    cr_expect(p.kind == SPREAD_FIXED && spread_most(&p) == 70);
    static const char *const wrong[] = {"",
                                        "0",
                                        "uniform:5",
                                        "uniform:9:5",
                                        "uniform:1:x",
                                        "normal:5:1",
                                        "lognormal:5:0",
                                        "lognormal:5:9",
                                        "1.5",
                                        "uniform:1:2:3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(spread_read(wrong[i], &p, &e), ERR_INPUT, "%s", wrong[i]);
}

Test(spread, lognormal_has_its_median_and_spread) {
    enum { N = 20000 };
    struct spread p;
    struct rng r = rng_init(1, 1);
    double sum = 0, square = 0;
    size_t below = 0;
    cr_assert_eq(spread_read("lognormal:500:0.6", &p, NULL), 0);
    for (int i = 0; i < N; i++) {
        size_t n = spread_draw(&p, &r);
        cr_assert(n >= 1 && n <= spread_most(&p));
        below += n < 500;
        sum += log((double)n);
        square += log((double)n) * log((double)n);
    }
    double mean = sum / N;
    cr_expect_float_eq((double)below / N, .5, .015);
    cr_expect_float_eq(mean, log(500), .015);
    cr_expect_float_eq(sqrt(square / N - mean * mean), .6, .015);
}
