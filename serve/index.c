#include "serve/index.h"
#include "base/file.h"
#include "base/mem.h"
#include "nn/vec.h"
#include <errno.h>
#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void omp_set_num_threads(
    int n); /* of the OpenMP library that FAISS is linked with; not every compiler has omp.h */

void index_accept_few(FaissIndex *index); /* serve/faiss_few.cpp */

struct index {
    FaissIndex *faiss;
    char what[128]; /* for messages: index "IVF256,Flat" */
    size_t dim;
    int threads;
    idx_t *label; /* [label_room]: FAISS counts in 64 bits */
    size_t label_room;
};

static int failed(const char *what, const char *doing, struct err *e) {
    const char *text = faiss_get_last_error(), *at;
    if (!text) text = "unknown error";
    if (strstr(text, "bad_alloc")) return err_set(e, ERR_INPUT, "%s: out of memory while %s", what, doing);
    if ((at = strstr(text, " failed: "))) { /* "Error in FUNCTION at FILE:LINE: Error: 'TEST' failed: TEXT" */
        text = at + 9;
    } else if ((at = strstr(text, ".cpp:"))) {
        at = strstr(at, ": ");
        if (at) text = at + 2;
    }
    return err_set(e, ERR_INPUT, "%s: FAISS fails while %s: %s", what, doing, text);
}

static int new_index(const char *what, size_t dim, int threads, struct index **out, struct err *e) {
    struct index *ix = *out = mem_calloc(1, sizeof *ix);
    if (!ix) return err_nomem(e, sizeof *ix);
    ix->dim = dim;
    ix->threads = threads < 1 ? 1 : threads;
    snprintf(ix->what, sizeof ix->what, "%s", what);
    gemm_single_threaded();
    omp_set_num_threads(ix->threads);
    return 0;
}

/* A product quantizer at the end, PQ8 or PQ8x4, is asked for as PQ8np: otherwise FAISS orders its codes for a
 * filter at search (polysemous codes) that nobody here switches on, by a minute or two of annealing. The codes
 * are the same but for their numbers, and so are the results. What cannot be cut into codes is refused here,
 * because FAISS forgets some memory when it refuses it. */
static int plain_codes(const struct index *ix, const char *factory, char *out, size_t room, struct err *e) {
    size_t n = strlen(factory), at = n;
    while (at && ((factory[at - 1] >= '0' && factory[at - 1] <= '9') || factory[at - 1] == 'x')) at--;
    bool pq = at < n && at >= 2 && factory[at - 2] == 'P' && factory[at - 1] == 'Q';
    bool whole =
        !strncmp(factory, "IVF", 3) || !strncmp(factory, "PQ", 2); /* nothing changes the dimension */
    unsigned long codes = pq ? strtoul(factory + at, NULL, 10) : 0;
    if (codes && whole && ix->dim % codes)
        return err_set(e, ERR_INPUT,
                       "%s: %s cuts vectors into %lu parts, and the dimension is no multiple of that",
                       ix->what, factory + at - 2, codes);
    if (snprintf(out, room, "%s%s", factory, pq ? "np" : "") < (int)room) return 0;
    return err_set(e, ERR_INPUT, "%s: the kind is too long", ix->what);
}

static int wrong_factory(const struct index *ix, struct err *e) {
    struct err why = ERR_INIT;
    failed(ix->what, "making it", &why);
    return err_set(e, ERR_INPUT,
                   "%s; kinds are Flat, IVF<clusters>,Flat, HNSW<links>, IVF<clusters>,PQ<bytes>, such as "
                   "Flat, IVF256,Flat, HNSW32, IVF256,PQ8",
                   why.msg);
}

int index_create(const char *factory, size_t dim, int threads, struct index **out, struct err *e) {
    char what[128];
    snprintf(what, sizeof what, "index \"%.100s\" of dimension %zu", factory, dim);
    *out = NULL;
    if (!dim || dim > 1 << 20) return err_set(e, ERR_INPUT, "%s: the dimension must be 1 to 1048576", what);
    struct index *ix;
    TRY(new_index(what, dim, threads, &ix, e));
    char asked[256];
    int rc = plain_codes(ix, factory, asked, sizeof asked, e);
    if (!rc && faiss_index_factory(&ix->faiss, (int)dim, asked, METRIC_INNER_PRODUCT))
        rc = wrong_factory(ix, e);
    if (rc) {
        index_free(ix);
        return rc;
    }
    *out = ix;
    return 0;
}

void index_free(struct index *ix) {
    if (!ix) return;
    if (ix->faiss) faiss_Index_free(ix->faiss);
    mem_free(ix->label);
    mem_free(ix);
}

size_t index_count(const struct index *ix) { return (size_t)faiss_Index_ntotal(ix->faiss); }

static int check_dim(const struct index *ix, struct vectors v, const char *whose, struct err *e) {
    if (v.dim == ix->dim) return 0;
    return err_set(e, ERR_INPUT, "%s: the %s have dimension %zu", ix->what, whose, v.dim);
}

int index_train(struct index *ix, struct vectors sample, struct err *e) {
    TRY(check_dim(ix, sample, "vectors to train on", e));
    omp_set_num_threads(ix->threads);
    index_accept_few(ix->faiss);
    return faiss_Index_train(ix->faiss, (idx_t)sample.n, sample.p) ? failed(ix->what, "training", e) : 0;
}

int index_add(struct index *ix, struct vectors items, struct err *e) {
    TRY(check_dim(ix, items, "item vectors", e));
    if (index_count(ix) + items.n >= INDEX_NONE)
        return err_set(e, ERR_INPUT, "%s: more than %u items", ix->what, INDEX_NONE - 1);
    if (!faiss_Index_is_trained(ix->faiss)) TRY(index_train(ix, items, e));
    omp_set_num_threads(ix->threads);
    return faiss_Index_add(ix->faiss, (idx_t)items.n, items.p) ? failed(ix->what, "adding items", e) : 0;
}

int index_set(struct index *ix, const char *name, int64_t value, struct err *e) {
    FaissParameterSpace *space = NULL;
    if (value < 1 || value > INT32_MAX)
        return err_set(e, ERR_INPUT, "%s: %s must be 1 to %d, not %lld", ix->what, name, INT32_MAX,
                       (long long)value);
    if (faiss_ParameterSpace_new(&space)) return failed(ix->what, "setting a parameter", e);
    int rc = faiss_ParameterSpace_set_index_parameter(space, ix->faiss, name, (double)value);
    faiss_ParameterSpace_free(space);
    if (!rc) return 0;
    return err_set(
        e, ERR_INPUT,
        "%s: has no search parameter \"%s\"; IVF kinds have nprobe, HNSW kinds efSearch, Flat none", ix->what,
        name);
}

int index_search(struct index *ix, struct vectors users, size_t k, uint32_t *ids, float *scores,
                 struct err *e) {
    size_t n = users.n * k;
    TRY(check_dim(ix, users, "users' vectors", e));
    if (!n) return 0;
    if (n > ix->label_room) {
        mem_free(ix->label);
        ix->label = mem_alloc(n * sizeof *ix->label);
        ix->label_room = ix->label ? n : 0;
        if (!ix->label) return err_nomem(e, n * sizeof *ix->label);
    }
    omp_set_num_threads(ix->threads);
    if (faiss_Index_search(ix->faiss, (idx_t)users.n, users.p, (idx_t)k, scores, ix->label))
        return failed(ix->what, "searching", e);
    for (size_t i = 0; i < n; i++) {
        ids[i] = ix->label[i] < 0 ? INDEX_NONE : (uint32_t)ix->label[i];
        if (ix->label[i] < 0) scores[i] = -INFINITY;
    }
    return 0;
}

/* ---- files ---- */

enum {
    TAIL_BYTES = 96
}; /* of text, filled up with zeros: kind of file, model version, bytes in front of it */

int index_save(const struct index *ix, const char *path, const char *version, struct err *e) {
    struct file_out o;
    char tail[TAIL_BYTES] = "";
    if (!version[0] || strlen(version) > 32 || strchr(version, ' '))
        return err_set(e, ERR_INPUT, "%s: the model version \"%s\" must be a word of 1 to 32 letters", path,
                       version);
    TRY(file_begin(&o, path, e));
    if (faiss_write_index(ix->faiss, o.f)) {
        int rc = ferror(o.f) ? err_errno(e, path, "write") : failed(path, "writing", e);
        file_abort(&o);
        return rc;
    }
    snprintf(tail, sizeof tail, "prerank-index-1 %s %lld", version, (long long)ftello(o.f));
    fwrite(tail, 1, sizeof tail, o.f);
    return file_commit(&o, e);
}

static int check_tail(FILE *f, const char *path, const char *version, struct err *e) {
    char tail[TAIL_BYTES], there[33] = "";
    long long bytes = -1;
    if (fseeko(f, -TAIL_BYTES, SEEK_END) || fread(tail, 1, sizeof tail, f) != sizeof tail ||
        tail[TAIL_BYTES - 1] || sscanf(tail, "prerank-index-1 %32s %lld", there, &bytes) != 2 ||
        ftello(f) != bytes + TAIL_BYTES)
        return err_set(e, ERR_INPUT, "%s: this is no index of prerank, or it is cut off; build it again",
                       path);
    if (strcmp(there, version) != 0)
        return err_set(
            e, ERR_INPUT,
            "%s: the index was built from model version %s, but the model to serve is version %s; build "
            "it again with this model",
            path, there, version);
    rewind(f);
    return 0;
}

static int read_index(struct index *ix, FILE *f, const char *path, const char *version, struct err *e) {
    TRY(check_tail(f, path, version, e));
    if (faiss_read_index(f, 0, &ix->faiss)) return failed(path, "reading", e);
    if ((size_t)faiss_Index_d(ix->faiss) != ix->dim)
        return err_set(e, ERR_INPUT, "%s: the index has dimension %d, but the model's vectors have %zu", path,
                       faiss_Index_d(ix->faiss), ix->dim);
    if (faiss_Index_metric_type(ix->faiss) != METRIC_INNER_PRODUCT)
        return err_set(e, ERR_INPUT, "%s: the index does not order by inner product", path);
    return 0;
}

int index_open(const char *path, size_t dim, const char *version, int threads, struct index **out,
               struct err *e) {
    struct index *ix;
    *out = NULL;
    FILE *f = fopen(path, "rbe");
    if (!f) return err_errno(e, path, "open");
    char what[128];
    snprintf(what, sizeof what, "index %.100s", path);
    int rc = new_index(what, dim, threads, &ix, e);
    if (!rc) rc = read_index(ix, f, path, version, e);
    fclose(f);
    if (rc)
        index_free(ix);
    else
        *out = ix;
    return rc;
}
