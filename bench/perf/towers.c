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
 * exact, flat   for 1, 20 and 100 users at once the best 100 of all items: by serve/towers.h, and by FAISS's IndexFlatIP
 * flat+     the same with OpenBLAS, too, on all threads. FAISS has one thread for one user; below 20 users its OpenMP
 *           threads take a user each, from there on it multiplies matrices by OpenBLAS and keeps the best with OpenMP.
 *           The faster of the two counts.
 * exact, one thread   for one user, as FAISS has it
 *
 * Searches for 20 and 100 users take part in one round of eight, and after those of FAISS there is a pause: its threads
 * and OpenBLAS's go on looking for work for some tens of ms. Scores are checked against plain inner products in double,
 * and the lists against each other.
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
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DIM = 32, REQUESTS = 64, USERS = 100, TOP = 100, BATCH_EVERY = 8 };
enum kind { READ, SCORE, REQUEST, EXACT, EXACT_ALONE, FLAT, FLAT_BLAS };
static const struct what {
    const char *name;
    enum kind kind;
    size_t n; /* records ahead, or users */
} whats[] = {{"read16", READ, 16},    {"read32", READ, 32},         {"read64", READ, 64},
             {"score", SCORE, 0},     {"request", REQUEST, 0},      {"exact, one thread", EXACT_ALONE, 1},
             {"exact 1", EXACT, 1},   {"flat 1", FLAT, 1},          {"exact 20", EXACT, 20},
             {"flat 20", FLAT, 20},   {"flat+ 20", FLAT_BLAS, 20},  {"exact 100", EXACT, 100},
             {"flat 100", FLAT, 100}, {"flat+ 100", FLAT_BLAS, 100}};
enum { WHATS = sizeof whats / sizeof *whats };

struct towers {
    int64_t threads, items, candidates, rounds;
    struct pool *pool;
    struct graph graph;
    struct scorer *scorer;
    struct scorer_towers t;
    struct towers_search *search, *alone; /* on all threads, and on one */
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
    const struct towers_options exact = {.k = TOP, .users = USERS};
    TRY(towers_search_create(&p->t, &exact, p->pool, &p->search, e));
    TRY(towers_search_create(&p->t, &exact, NULL, &p->alone, e));
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

static int search(struct towers *p, enum kind kind, size_t users, struct err *e) {
    const float *user = p->users + (users == 1 ? (size_t)p->next % USERS : 0) * DIM;
    if (kind == FLAT || kind == FLAT_BLAS)
        return index_search(p->index, (struct vectors){user, users, DIM}, TOP, p->found[1], p->found_score[1],
                            e);
    towers_search(kind == EXACT ? p->search : p->alone, user, users, p->found[0], p->found_score[0]);
    return 0;
}

static int run_one(struct towers *p, const struct what *w, struct err *e) {
    switch (w->kind) {
    case READ:
        p->ahead = w->n;
        pool_run(p->pool, READ_TASKS, read_task, p);
        return 0;
    case SCORE:
    case REQUEST:
        return score_request(p, w->kind == REQUEST, e);
    case EXACT:
    case EXACT_ALONE:
    case FLAT:
    case FLAT_BLAS:
        return search(p, w->kind, w->n, e);
    }
    return 0;
}

static int time_one(struct towers *p, const struct what *w, int64_t *took, struct err *e) {
    bool flat = w->kind == FLAT || w->kind == FLAT_BLAS;
    if (w->kind == FLAT_BLAS) openblas_set_num_threads((int)p->threads);
    p->next = (p->next + 1) % REQUESTS;
    int64_t start = clock_ns();
    int rc = run_one(p, w, e);
    *took = clock_ns() - start;
    gemm_single_threaded();
    if (flat && w->n > 1) nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
    return rc;
}

/* One request each, another one every time, so that nothing is left of the last one in the near caches. */
static int run_rounds(struct towers *p, struct err *e) {
    for (int64_t round = 0; round < p->rounds; round++)
        for (int i = 0; i < WHATS; i++) {
            int w = round % 2 ? WHATS - 1 - i : i;
            int64_t *took = p->took[w];
            if (whats[w].n > 1 && whats[w].kind >= EXACT && round % BATCH_EVERY)
                took[round] = took[round - 1];
            else
                TRY(time_one(p, &whats[w], &took[round], e));
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
    TRY(search(p, EXACT, USERS, e));
    TRY(search(p, FLAT, USERS, e));
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

enum statistic { LEAST, MIDDLE, STATISTICS };

/* The fastest of a kind, in us. */
static double best_of(const struct towers *p, enum kind kind, size_t n, enum statistic s) {
    int64_t least = INT64_MAX, at = s == LEAST ? 0 : p->rounds / 2;
    for (int w = 0; w < WHATS; w++)
        if (whats[w].kind == kind && (!n || whats[w].n == n) && p->took[w][at] < least)
            least = p->took[w][at];
    return (double)least / 1e3;
}

static void report_search(const struct towers *p, enum kind kind, size_t users) {
    double ratio[STATISTICS];
    for (int s = LEAST; s < STATISTICS; s++) {
        double flat = best_of(p, FLAT, users, (enum statistic)s);
        if (users > 1) flat = fmin(flat, best_of(p, FLAT_BLAS, users, (enum statistic)s));
        ratio[s] = flat / best_of(p, kind, users, (enum statistic)s);
    }
    printf("exact top %d of %3zu user%s: %5.2f x as fast as Flat (middle: %5.2f x; target 3 x)%s\n", TOP,
           users, users > 1 ? "s" : "", ratio[LEAST], ratio[MIDDLE],
           kind == EXACT_ALONE ? ", on one thread" : "");
}

static void report(struct towers *p) {
    for (int w = 0; w < WHATS; w++) stat_sort_ns(p->took[w], (size_t)p->rounds);
    printf("%lld items of dimension %d, %lld candidates, %lld threads, %lld rounds\n", (long long)p->items,
           DIM, (long long)p->candidates, (long long)p->threads, (long long)p->rounds);
    printf("%-18s %12s %12s\n", "", "least us", "middle us");
    int64_t half = p->rounds / 2;
    for (int w = 0; w < WHATS; w++)
        printf("%-18s %12.1f %12.1f\n", whats[w].name, (double)p->took[w][0] / 1e3,
               (double)p->took[w][half] / 1e3);
    double bytes = (double)p->candidates * DIM * sizeof(float), least = best_of(p, READ, 0, LEAST),
           middle = best_of(p, READ, 0, MIDDLE);
    printf("random gather: %.1f GB/s (middle: %.1f)\n", bytes / least / 1e3, bytes / middle / 1e3);
    printf("scoring: %.0f %% of it (middle: %.0f %%; target 70 %%); with the best %d: %.0f %% (%.0f %%)\n",
           100 * least / best_of(p, SCORE, 0, LEAST), 100 * middle / best_of(p, SCORE, 0, MIDDLE), TOP,
           100 * least / best_of(p, REQUEST, 0, LEAST), 100 * middle / best_of(p, REQUEST, 0, MIDDLE));
    report_search(p, EXACT_ALONE, 1);
    for (size_t users = 1; users <= USERS; users = users == 1 ? 20 : users * 5)
        report_search(p, EXACT, users);
}

static void release(struct towers *p) {
    index_free(p->index);
    towers_search_free(p->search);
    towers_search_free(p->alone);
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
