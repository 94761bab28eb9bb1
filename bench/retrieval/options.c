#include "bench/retrieval/options.h"
#include "base/progress.h"
#include "serve/index.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const retrieval_exclude_names[] = {"none", "seen", NULL};

static const char *const seeds_names[] = {"all", "first", NULL};

const struct opt retrieval_opts[] = {
    OPT_NAMES(struct retrieval_options, index, "Flat,HNSW32",
              "kinds of index, by FAISS's factory strings: Flat, \"IVF256,Flat\", HNSW32, \"IVF256,PQ8\""),
    OPT_INTS(struct retrieval_options, nprobe, "1,4,16,64", 1, 1 << 20,
             "IVF kinds: clusters that a search looks into, one point each; more than there are: all"),
    OPT_INTS(struct retrieval_options, ef_search, "16,64,256", 1, 1 << 20,
             "HNSW kinds: how wide a search walks the graph, one point each"),
    OPT_INTS(struct retrieval_options, topk, "10,100", 1, 1 << 20, "items that a request returns"),
    OPT_INT(struct retrieval_options, threads, "1", 1, 256, "threads of a search, and of making an index"),
    OPT_INT(struct retrieval_options, users, "1000", 0, 1e9,
            "users with held-out clicks, drawn at random, whose results are judged; 0: all"),
    OPT_INT(struct retrieval_options, requests, "1000", 1, 100000000,
            "requests that count at each point, at least"),
    OPT_DOUBLE(struct retrieval_options, min_seconds, "0.2", 0, 1e6,
               "fast points get more requests, up to 100 times as many, until they took this long"),
    OPT_ENUM(struct retrieval_options, exclude, "none", retrieval_exclude_names,
             "seen: items that the user was shown in the training split are not returned, and do not count"),
    OPT_ENUM(struct retrieval_options, seeds, "all", seeds_names,
             "all: every seed's model has its indexes, rows and times; first: that of the first seed alone"),
    OPT_END};

int64_t retrieval_clusters(const char *index) {
    return strncmp(index, "IVF", 3) != 0 ? 0 : strtoll(index + 3, NULL, 10);
}

/* FAISS is asked for each kind in a dimension that most products of quantisers divide. */
void retrieval_check_options(const struct retrieval_options *o, const struct conf *map, struct problems *p) {
    const struct conf *at = map->type == CONF_MAP && conf_get(map, "index") ? conf_get(map, "index") : map;
    if (!o->index.n) problems_add(p, at, "`retrieval.index` must name at least one, as in [Flat]");
    if (!o->topk.n) problems_add(p, at, "`retrieval.topk` must name at least one, as in [10]");
    for (int i = 0; i < o->index.n; i++) {
        struct err e = ERR_INIT;
        struct index *ix = NULL;
        for (int k = 0; k < i; k++)
            if (!strcmp(o->index.v[i], o->index.v[k]))
                problems_add(p, at, "`retrieval.index` names %s twice", o->index.v[i]);
        if (index_create(o->index.v[i], 960, 1, &ix, &e)) problems_add(p, at, "retrieval: %s", e.msg);
        index_free(ix);
    }
}

/* FAISS's Clustering asks for so many vectors a cluster, of IVF and of each part of PQ. */
enum { ADVISED = 39 };

/* The bits of a product quantizer's codes: 8 of PQ8, 4 of PQ8x4, 0 without one. */
static int code_bits(const char *index) {
    const char *pq = strstr(index, "PQ");
    size_t digits = pq ? strspn(pq + 2, "0123456789") : 0;
    if (!digits) return 0;
    return pq[2 + digits] == 'x' ? atoi(pq + 3 + digits) : 8;
}

static int check_items(const char *kind, uint32_t n_items, struct err *e) {
    int64_t clusters = retrieval_clusters(kind);
    int bits = code_bits(kind);
    if (clusters > n_items)
        return err_set(e, ERR_INPUT,
                       "retrieval: %s has %lld clusters, but there are only %u items; IVF%.0f would be about "
                       "right for so many",
                       kind, (long long)clusters, n_items, fmax(1, round(sqrt((double)n_items))));
    if (bits && (double)n_items < exp2(bits))
        return err_set(e, ERR_INPUT,
                       "retrieval: %s learns %.0f codes, but there are only %u items; Flat is exact and fast "
                       "for so few",
                       kind, exp2(bits), n_items);
    return 0;
}

static void advise(const char *kind, const char *what, double learned, uint32_t n_items,
                   const char *instead) {
    progress_note("retrieval: %s learns %.0f %s from %u items, but FAISS advises %d items for each, %.0f; %s "
                  "keeps to it",
                  kind, learned, what, n_items, ADVISED, ADVISED * learned, instead);
}

/* Says once what FAISS would say on stderr of every index that it trains. */
static void advise_on(const char *kind, uint32_t n_items) {
    double enough = floor((double)n_items / ADVISED), clusters = (double)retrieval_clusters(kind);
    int bits = code_bits(kind);
    char instead[64];
    snprintf(instead, sizeof instead, "IVF%.0f", enough);
    if (clusters > enough) advise(kind, "clusters", clusters, n_items, enough > 0 ? instead : "Flat");
    snprintf(instead, sizeof instead, "PQ%dx%.0f", bits ? atoi(strstr(kind, "PQ") + 2) : 0,
             floor(log2(enough)));
    if (bits && exp2(bits) > enough)
        advise(kind, "codes", exp2(bits), n_items, enough >= 16 ? instead : "Flat");
}

int retrieval_check_items(const struct retrieval_options *o, uint32_t n_items, struct err *e) {
    for (int i = 0; i < o->index.n; i++) TRY(check_items(o->index.v[i], n_items, e));
    for (int i = 0; i < o->index.n; i++) advise_on(o->index.v[i], n_items);
    return 0;
}
