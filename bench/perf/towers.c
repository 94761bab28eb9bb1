/* perf_towers: what two-tower scoring takes, against what memory can give and against FAISS.
 *
 *     build/perf_towers [--threads 2] [--items 1000000] [--candidates 10000] [--rounds 200]
 *
 * A million items of dimension 32 (records of 128 bytes), vectors normal; requests of 10,000 items drawn at random,
 * enough different ones that their records are not still in the caches of the last request. In turns (A B C, C B A),
 * the least and the middle of all rounds each:
 *
 * read16.. the same records of the same request, read and added up, in the same order, by as many threads, asking for
 *           16, 32, 64 records ahead: the best of them is the random-gather bandwidth
 * score     the request through serve/scorer.h: user stage, inner products, scores written
 * request   the same with the choice of the best 100
 * exact     the best 100 of all items for one user: serve/towers.h
 * flat      the same by FAISS's IndexFlatIP, which has one thread for one user
 * exact20, flat20   for 20 users at once: FAISS then takes a matrix product, by OpenBLAS on one thread
 *
 * Scores are checked against plain inner products in double, and the two lists against each other.
 */
#include "serve/towers.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/rng.h"
#include "bench/perf/perf.h"
#include "metrics/stats.h"
#include "nn/vec.h"
#include "serve/index.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DIM = 32, REQUESTS = 64, USERS = 20, TOP = 100 };
enum what { READ_16, READ_32, READ_64, SCORE, REQUEST, EXACT, FLAT, EXACT_20, FLAT_20, WHATS };
static const char *const names[WHATS] = {"read16", "read32", "read64",  "score", "request",
                                         "exact",  "flat",   "exact20", "flat20"};

struct towers {
    int64_t threads, items, candidates, rounds;
    struct pool *pool;
    struct graph graph;
    struct scorer *scorer;
    struct scorer_towers t;
    struct towers_search *search;
    struct index *index;
    float *users; /* [USERS][DIM] */
    uint32_t *identity;
    uint32_t *request; /* [REQUESTS][candidates] */
    float *score;
    uint32_t *order, *found[2]; /* [USERS][TOP]: ours, FAISS's */
    float *found_score[2];
    int next;
    size_t ahead;         /* of the read under way */
    float *sum;           /* [tasks][DIM] */
    int64_t *took[WHATS]; /* [rounds] */
};

/* ---- a model whose item records are DIM floats ---- */

static int user_column(void *self, const char *name, uint32_t user, struct batch_column *out, struct err *e) {
    (void)name, (void)e;
    *out = (struct batch_column){.ids = ((struct towers *)self)->identity + user};
    return 0;
}

static int item_column(void *self, const char *name, uint32_t first, size_t n, struct batch_column *out,
                       struct err *e) {
    (void)name, (void)n, (void)e;
    *out = (struct batch_column){.ids = ((struct towers *)self)->identity + first};
    return 0;
}

static int no_pair(void *self, const char *name, uint32_t user, const uint32_t *items, size_t n,
                   uint32_t *ids, struct err *e) {
    (void)self, (void)user, (void)items, (void)n, (void)ids;
    return err_set(e, ERR_INPUT, "there is no pair column \"%s\"", name);
}

/* An embedding a side and their inner product: every item has a vector of its own. */
static int make_model(struct towers *p, struct err *e) {
    graph_init(&p->graph);
    struct graph *g = &p->graph;
    int u = nn_embedding(g, graph_input(g, "user_id", SIDE_USER, VALUE_ID, USERS), DIM, "embedding.user_id");
    int v = nn_embedding(g, graph_input(g, "item_id", SIDE_ITEM, VALUE_ID, (uint32_t)p->items), DIM,
                         "embedding.item_id");
    g->output = nn_dot(g, u, v);
    if (p->graph.err.code) return (*e = p->graph.err).code;
    TRY(graph_alloc_params(&p->graph, 1, e));
    struct rng r = rng_init(1, rng_stream("perf_towers"));
    for (int k = 0; k < p->graph.n_params; k++) {
        struct param *w = p->graph.param[k];
        for (size_t i = 0; i < w->rows * w->cols; i++) w->value[i] = (float)rng_normal(&r);
    }
    return 0;
}

static int make_room(struct towers *p, struct err *e) {
    size_t n = (size_t)p->candidates, items = (size_t)p->items;
    p->identity = mem_alloc((items > USERS ? items : USERS) * sizeof *p->identity);
    p->request = mem_alloc(REQUESTS * n * sizeof *p->request);
    p->score = mem_alloc(n * sizeof *p->score);
    p->order = mem_alloc(n * sizeof *p->order);
    p->users = mem_alloc(USERS * DIM * sizeof *p->users);
    p->sum = mem_calloc(64 * DIM, sizeof *p->sum);
    bool ok = p->identity && p->request && p->score && p->order && p->users && p->sum;
    for (int i = 0; i < 2 && ok; i++) {
        p->found[i] = mem_alloc(USERS * TOP * sizeof *p->found[i]);
        p->found_score[i] = mem_alloc(USERS * TOP * sizeof *p->found_score[i]);
        ok = p->found[i] && p->found_score[i];
    }
    for (int i = 0; i < WHATS && ok; i++)
        ok = (p->took[i] = mem_calloc((size_t)p->rounds, sizeof *p->took[i])) != NULL;
    return ok ? 0 : err_nomem(e, REQUESTS * n * sizeof *p->request);
}

static int make(struct towers *p, struct err *e) {
    TRY(make_room(p, e));
    for (uint32_t i = 0; i < p->items || i < USERS; i++) p->identity[i] = i;
    TRY(make_model(p, e));
    struct rng r = rng_init(2, rng_stream("perf_towers"));
    for (size_t i = 0; i < REQUESTS * (size_t)p->candidates; i++)
        p->request[i] = (uint32_t)rng_below(&r, (uint64_t)p->items);
    struct scorer_options o = scorer_defaults();
    struct serving_data data = {
        .self = p, .n_items = (uint32_t)p->items, .user = user_column, .item = item_column, .pair = no_pair};
    TRY(scorer_create(&p->graph, &data, &o, p->pool, &p->scorer, e));
    TRY(scorer_towers(p->scorer, &p->t, e));
    for (uint32_t u = 0; u < USERS; u++) TRY(scorer_user_vector(p->scorer, u, 0, p->users + u * DIM, e));
    TRY(towers_search_create(&p->t, 0, TOP, p->pool, &p->search, e));
    TRY(index_create("Flat", DIM, (int)p->threads, &p->index, e));
    return index_add(p->index, (struct vectors){p->t.items, (size_t)p->items, DIM}, e);
}

/* ---- what is timed ---- */

enum { READ_TASKS = 16 };

KERNEL static void read_records(const float *table, const uint32_t *ids, size_t n, size_t ahead, float *out) {
    float sum[DIM] = {0};
    for (size_t i = 0; i < n; i++) {
        if (i + ahead < n)
            for (size_t c = 0; c < DIM; c += 16) __builtin_prefetch(table + (size_t)ids[i + ahead] * DIM + c);
        const float *row = table + (size_t)ids[i] * DIM;
        for (size_t c = 0; c < DIM; c++) sum[c] += row[c];
    }
    memcpy(out, sum, sizeof sum);
}

static void read_task(void *ctx, int task, int worker) {
    struct towers *p = ctx;
    size_t n = (size_t)p->candidates, each = (n + READ_TASKS - 1) / READ_TASKS, first = (size_t)task * each;
    (void)worker;
    if (first >= n) return;
    read_records(p->t.items, p->request + (size_t)p->next * n + first, n - first < each ? n - first : each,
                 p->ahead, p->sum + (size_t)task * DIM);
}

static int score_request(struct towers *p, bool top, struct err *e) {
    size_t n = (size_t)p->candidates;
    struct request r = {
        .user = (uint32_t)(p->next % USERS), .n = n, .items = p->request + (size_t)p->next * n};
    TRY(scorer_score(p->scorer, &r, p->score, e));
    if (top) scorer_top(p->score, n, TOP, p->order);
    return 0;
}

static int search(struct towers *p, bool faiss, size_t users, struct err *e) {
    size_t first = users == 1 ? (size_t)p->next % USERS : 0;
    const float *user = p->users + first * DIM;
    if (faiss)
        return index_search(p->index, (struct vectors){user, users, DIM}, TOP, p->found[1], p->found_score[1],
                            e);
    for (size_t u = 0; u < users; u++)
        towers_search(p->search, user + u * DIM, p->found[0] + u * TOP, p->found_score[0] + u * TOP);
    return 0;
}

static int run_one(struct towers *p, enum what what, struct err *e) {
    switch (what) {
    case READ_16:
    case READ_32:
    case READ_64:
        p->ahead = what == READ_16 ? 16 : what == READ_32 ? 32 : 64;
        pool_run(p->pool, READ_TASKS, read_task, p);
        return 0;
    case SCORE:
        return score_request(p, false, e);
    case REQUEST:
        return score_request(p, true, e);
    case EXACT:
    case FLAT:
        return search(p, what == FLAT, 1, e);
    case EXACT_20:
    case FLAT_20:
        return search(p, what == FLAT_20, USERS, e);
    case WHATS:
        break;
    }
    return 0;
}

/* One request each, another one every time, so that nothing is left of the last one in the near caches. */
static int run_rounds(struct towers *p, struct err *e) {
    for (int64_t round = 0; round < p->rounds; round++)
        for (int i = 0; i < WHATS; i++) {
            int what = round % 2 ? WHATS - 1 - i : i;
            if (what >= EXACT_20 && round % 8) { /* far longer than the others */
                p->took[what][round] = round ? p->took[what][round - 1] : 0;
                continue;
            }
            p->next = (p->next + 1) % REQUESTS;
            int64_t start = clock_ns();
            TRY(run_one(p, (enum what)what, e));
            p->took[what][round] = clock_ns() - start;
        }
    return 0;
}

/* ---- checks ---- */

static double plain(const struct towers *p, size_t user, uint32_t item) {
    double sum = 0;
    for (size_t c = 0; c < DIM; c++)
        sum += (double)p->users[user * DIM + c] * (double)p->t.items[(size_t)item * DIM + c];
    return sum;
}

static int check(struct towers *p, struct err *e) {
    p->next = 3;
    TRY(score_request(p, true, e));
    for (size_t i = 0; i < (size_t)p->candidates; i++)
        if (!(fabs(plain(p, 3, p->request[3 * (size_t)p->candidates + i]) - (double)p->score[i]) < 1e-4))
            return err_set(e, ERR_INPUT, "candidate %zu has a wrong score", i);
    TRY(search(p, false, USERS, e));
    TRY(search(p, true, USERS, e));
    for (size_t i = 0; i < USERS * TOP; i++) {
        double ours = (double)p->found_score[0][i], want = plain(p, i / TOP, p->found[0][i]);
        if (!(fabs(ours - want) < 1e-4) || !(fabs(ours - (double)p->found_score[1][i]) < 1e-4))
            return err_set(e, ERR_INPUT, "user %zu, place %zu: item %u with %g, FAISS has item %u with %g",
                           i / TOP, i % TOP, p->found[0][i], ours, p->found[1][i],
                           (double)p->found_score[1][i]);
    }
    return 0;
}

/* ---- the answer ---- */

static double least(const struct towers *p, enum what w) { return (double)p->took[w][0] / 1e3; }
static double middle(const struct towers *p, enum what w) {
    int64_t half = p->rounds / 2;
    return (double)p->took[w][half] / 1e3;
}

static void report(struct towers *p) {
    for (int w = 0; w < WHATS; w++) stat_sort_ns(p->took[w], (size_t)p->rounds);
    printf("%lld items of dimension %d, %lld candidates, %lld threads, %lld rounds\n", (long long)p->items,
           DIM, (long long)p->candidates, (long long)p->threads, (long long)p->rounds);
    printf("%-8s %12s %12s\n", "", "least us", "middle us");
    for (int w = 0; w < WHATS; w++)
        printf("%-8s %12.1f %12.1f\n", names[w], least(p, (enum what)w), middle(p, (enum what)w));
    double bytes = (double)p->candidates * DIM * sizeof(float);
    double best[2] = {fmin(least(p, READ_16), fmin(least(p, READ_32), least(p, READ_64))),
                      fmin(middle(p, READ_16), fmin(middle(p, READ_32), middle(p, READ_64)))};
    double matrix = (double)p->items * DIM * sizeof(float);
    printf("random gather      %6.1f GB/s\n", bytes / best[0] / 1e3);
    printf("scoring            %6.1f GB/s: %.0f %% of it (middle: %.0f %%; with the best %d: %.0f %%)\n",
           bytes / least(p, SCORE) / 1e3, 100 * best[0] / least(p, SCORE), 100 * best[1] / middle(p, SCORE),
           TOP, 100 * best[0] / least(p, REQUEST));
    printf("exact top %d      %6.1f GB/s: %.2f x as fast as Flat (middle: %.2f x); %d users: %.2f x\n", TOP,
           matrix / least(p, EXACT) / 1e3, least(p, FLAT) / least(p, EXACT),
           middle(p, FLAT) / middle(p, EXACT), USERS, least(p, FLAT_20) / least(p, EXACT_20));
}

static void release(struct towers *p) {
    index_free(p->index);
    towers_search_free(p->search);
    scorer_free(p->scorer);
    graph_release(&p->graph);
    pool_free(p->pool);
    void *own[] = {p->identity, p->request,  p->score,    p->order,          p->users,
                   p->sum,      p->found[0], p->found[1], p->found_score[0], p->found_score[1]};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) mem_free(own[i]);
    for (int i = 0; i < WHATS; i++) mem_free(p->took[i]);
}

int main(int argc, char **argv) {
    struct towers p = {.threads = 2, .items = 1000000, .candidates = 10000, .rounds = 200};
    struct err e = ERR_INIT;
    const struct perf_flag flags[] = {{"threads", "threads of everything (2)", &p.threads, NULL},
                                      {"items", "in all (1000000)", &p.items, NULL},
                                      {"candidates", "of a request (10000)", &p.candidates, NULL},
                                      {"rounds", "of everything (200)", &p.rounds, NULL}};
    int rc = perf_flags(argc, argv, flags, (int)(sizeof flags / sizeof *flags), &e);
    if (!rc && (p.items < TOP || p.items > 1 << 28 || p.candidates < TOP || p.rounds < 1 || p.threads < 1 ||
                p.threads > 256))
        rc = err_set(&e, ERR_INPUT,
                     "--items and --candidates must be at least %d, --rounds and --threads at least 1", TOP);
    gemm_single_threaded();
    if (!rc) rc = pool_create((int)p.threads, &p.pool, &e);
    if (!rc) rc = make(&p, &e);
    if (!rc) rc = check(&p, &e);
    if (!rc) rc = run_rounds(&p, &e);
    if (!rc) report(&p);
    release(&p);
    if (rc) fprintf(stderr, "%s: %s\n", argv[0], e.msg);
    return rc ? 2 : 0;
}
